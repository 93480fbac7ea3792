package kubernetes

// The part of Kubernetes' own types that a manifest needs. The tests read every
// manifest into the real ones, strictly.

type metadata struct {
	Name        string            `json:"name,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type serviceAccount struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
}

type configMap struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data"`
}

type cronJob struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Metadata   metadata    `json:"metadata"`
	Spec       cronJobSpec `json:"spec"`
}

type cronJobSpec struct {
	Schedule                   string      `json:"schedule"`
	TimeZone                   string      `json:"timeZone"`
	ConcurrencyPolicy          string      `json:"concurrencyPolicy"`
	StartingDeadlineSeconds    int64       `json:"startingDeadlineSeconds"`
	Suspend                    bool        `json:"suspend,omitempty"`
	SuccessfulJobsHistoryLimit int         `json:"successfulJobsHistoryLimit"`
	FailedJobsHistoryLimit     int         `json:"failedJobsHistoryLimit"`
	JobTemplate                jobTemplate `json:"jobTemplate"`
}

type jobTemplate struct {
	Metadata metadata `json:"metadata"`
	Spec     jobSpec  `json:"spec"`
}

type jobSpec struct {
	BackoffLimit          int         `json:"backoffLimit"`
	ActiveDeadlineSeconds int64       `json:"activeDeadlineSeconds,omitempty"`
	Template              podTemplate `json:"template"`
}

type deployment struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       deploymentSpec `json:"spec"`
}

type deploymentSpec struct {
	Replicas             int         `json:"replicas"`
	RevisionHistoryLimit int         `json:"revisionHistoryLimit"`
	Strategy             strategy    `json:"strategy"`
	Selector             selector    `json:"selector"`
	Template             podTemplate `json:"template"`
}

type strategy struct {
	Type string `json:"type"`
}

type selector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type podTemplate struct {
	Metadata metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
}

type podSpec struct {
	ServiceAccountName            string            `json:"serviceAccountName"`
	RestartPolicy                 string            `json:"restartPolicy"`
	TerminationGracePeriodSeconds int               `json:"terminationGracePeriodSeconds"`
	SecurityContext               podSecurity       `json:"securityContext"`
	NodeSelector                  map[string]string `json:"nodeSelector,omitempty"`
	Tolerations                   []toleration      `json:"tolerations,omitempty"`
	InitContainers                []container       `json:"initContainers"`
	Containers                    []container       `json:"containers"`
	Volumes                       []volume          `json:"volumes"`
}

type podSecurity struct {
	RunAsNonRoot        bool           `json:"runAsNonRoot"`
	RunAsUser           int64          `json:"runAsUser"`
	RunAsGroup          int64          `json:"runAsGroup"`
	FSGroup             int64          `json:"fsGroup"`
	FSGroupChangePolicy string         `json:"fsGroupChangePolicy"`
	SeccompProfile      seccompProfile `json:"seccompProfile"`
}

type seccompProfile struct {
	Type string `json:"type"`
}

type toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"`
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"`
}

type container struct {
	Name            string            `json:"name"`
	Image           string            `json:"image"`
	Command         []string          `json:"command"`
	Args            []string          `json:"args,omitempty"`
	Env             []variable        `json:"env,omitempty"`
	Resources       resources         `json:"resources"`
	LivenessProbe   *probe            `json:"livenessProbe,omitempty"`
	SecurityContext containerSecurity `json:"securityContext"`
	VolumeMounts    []mount           `json:"volumeMounts"`
}

type probe struct {
	Exec                execAction `json:"exec"`
	InitialDelaySeconds int        `json:"initialDelaySeconds"`
	PeriodSeconds       int        `json:"periodSeconds"`
	TimeoutSeconds      int        `json:"timeoutSeconds"`
	FailureThreshold    int        `json:"failureThreshold"`
}

type execAction struct {
	Command []string `json:"command"`
}

type variable struct {
	Name      string       `json:"name"`
	Value     string       `json:"value,omitempty"`
	ValueFrom *valueSource `json:"valueFrom,omitempty"`
}

type valueSource struct {
	SecretKeyRef secretKeyRef `json:"secretKeyRef"`
}

type secretKeyRef struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type resources struct {
	Requests map[string]string `json:"requests,omitempty"`
	Limits   map[string]string `json:"limits,omitempty"`
}

type containerSecurity struct {
	AllowPrivilegeEscalation bool         `json:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool         `json:"readOnlyRootFilesystem"`
	Capabilities             capabilities `json:"capabilities"`
}

type capabilities struct {
	Drop []string `json:"drop"`
}

type mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	SubPath   string `json:"subPath,omitempty"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

type volume struct {
	Name                  string        `json:"name"`
	EmptyDir              *emptyDir     `json:"emptyDir,omitempty"`
	ConfigMap             *configSource `json:"configMap,omitempty"`
	Secret                *secretSource `json:"secret,omitempty"`
	PersistentVolumeClaim *claimSource  `json:"persistentVolumeClaim,omitempty"`
}

type emptyDir struct {
	SizeLimit string `json:"sizeLimit,omitempty"`
}

type configSource struct {
	Name string `json:"name"`
}

type secretSource struct {
	SecretName  string      `json:"secretName"`
	DefaultMode int         `json:"defaultMode"`
	Items       []keyToPath `json:"items"`
}

type keyToPath struct {
	Key  string `json:"key"`
	Path string `json:"path"`
}

type claimSource struct {
	ClaimName string `json:"claimName"`
}
