package kubernetes_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/kubernetes"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

var update = flag.Bool("update", false, "write the golden files anew")

func ref(s string) secretref.Ref {
	r, err := secretref.Parse(s)
	if err != nil {
		panic(err)
	}
	return r
}

// nightly backs up a database that runs in a pod of the same cluster.
func nightly() kubernetes.Spec {
	return kubernetes.Spec{
		Spec: deploy.Spec{
			Job: job.Job{
				Format: job.Format, Name: "nightly", Kind: job.KindLogical, Repository: "s3://acme-pg-backups/prod?region=us-east-1", Policy: "prod",
				Logical: &job.Logical{
					Databases: []string{"app"},
					Server:    job.Server{Host: "postgres.shop.svc.cluster.local", User: "backup", PasswordRef: ref("env:PGPASSWORD"), SSLMode: "verify-full", SSLRootCert: "/etc/postgres-ca/ca.crt"},
				},
				Schedule: &job.Schedule{Cron: "0 2 * * *", Timezone: "Europe/Berlin"},
			},
			Runner: deploy.Runner{
				Repository: job.RepositoryURL{Bucket: "acme-pg-backups", Prefix: "prod", Region: "us-east-1"},
				SHA256:     map[string]string{"x86_64": strings.Repeat("9c41d2e8", 8), "arm64": strings.Repeat("0a1b2c3d", 8)},
			},
		},
		Config: kubernetes.Config{
			Namespace: "shop", RoleARN: "arn:aws:iam::111122223333:role/backup",
			SecretEnv:   map[string]kubernetes.SecretKey{"PGPASSWORD": {Secret: "postgres-credentials", Key: "password"}},
			SecretFiles: map[string]kubernetes.SecretKey{"/etc/postgres-ca/ca.crt": {Secret: "postgres-tls", Key: "ca.crt"}},
		},
	}
}

func cases() map[string]kubernetes.Spec {
	full := nightly()
	full.Job.Limits.MaxDuration, _ = duration.Parse("4h")
	full.Tags = map[string]string{"team": "Data & Ops"}
	full.Config = kubernetes.Config{
		Namespace: "shop", ServiceAccount: "backup", CreateServiceAccount: true, PodIdentity: true,
		PostgresVersion: 18, FetchImage: "registry.example.org/tools/aws:1", Architecture: "arm64", RunAsUser: 70,
		Resources:    kubernetes.Resources{CPURequest: "500m", CPULimit: "2", MemoryRequest: "512Mi", MemoryLimit: "1Gi"},
		NodeSelector: map[string]string{"pool": "batch"}, Tolerations: []kubernetes.Toleration{{Key: "batch", Operator: "Exists", Effect: "NoSchedule"}},
		Environment: map[string]string{"TZ": "UTC"}, SecretEnv: nightly().Config.SecretEnv, SecretFiles: nightly().Config.SecretFiles,
		Suspend: true, BackoffLimit: 2, Deadline: 30 * time.Minute,
	}
	files := nightly()
	files.Job.Kind, files.Job.Logical, files.Job.Files = job.KindFiles, nil, &job.Files{Paths: []string{"/srv/uploads"}}
	files.Config = kubernetes.Config{Volumes: map[string]kubernetes.Volume{"/srv/uploads": {Claim: "uploads"}}}
	rotate := nightly()
	rotate.Job.Kind, rotate.Job.Logical = job.KindRotate, nil
	rotate.Job.Name = strings.Repeat("a", 63)
	rotate.Config = kubernetes.Config{ServiceAccount: "there-already"}
	directory := nightly()
	directory.Job.Repository = "file:///backups/pg"
	directory.Config.Volumes = map[string]kubernetes.Volume{"/backups": {Claim: "nfs", Writable: true}}
	drill := nightly()
	drill.Job.Kind, drill.Job.Logical = job.KindDrill, nil
	drill.Job.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: "/scratch"}}, Checks: []job.DrillCheck{{Name: "orders", SQL: "select count(*) from orders", Expect: "> 0"}}}
	physical := nightly()
	physical.Job.Name, physical.Job.Kind, physical.Job.Logical = "base", job.KindPhysical, nil
	physical.Job.Physical = &job.Physical{Server: nightly().Job.Logical.Server}
	return map[string]kubernetes.Spec{"nightly": nightly(), "full": full, "files": files, "rotate": rotate, "directory": directory, "drill": drill,
		"physical": physical, "receive": receiver(), "spooled": spooled()}
}

// receiver streams the WAL of the database in the same cluster.
func receiver() kubernetes.Spec {
	s := nightly()
	s.Job.Name, s.Job.Kind, s.Job.Logical, s.Job.Schedule = "shop-wal", job.KindWAL, nil, nil
	s.Job.WAL = &job.WAL{Mode: job.WALReceive, Server: nightly().Job.Logical.Server, Heartbeat: &job.Heartbeat{}}
	return s
}

// spooled confirms what is on a disk of its own.
func spooled() kubernetes.Spec {
	s := receiver()
	s.Job.WAL.Confirm, s.Job.WAL.Spool = job.ConfirmSpooled, "/spool/shop"
	s.Tags = map[string]string{"team": "data"}
	s.Config.Volumes = map[string]kubernetes.Volume{"/spool": {Claim: "wal-spool", Writable: true}}
	s.Config.Suspend = true
	return s
}

func TestManifestsAreTheGoldenOnes(t *testing.T) {
	for name, spec := range cases() {
		t.Run(name, func(t *testing.T) {
			r, err := kubernetes.Render(spec)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(file, []byte(r.Manifest), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), r.Manifest); diff != "" {
				t.Errorf("differs (-golden +rendered):\n%s", diff)
			}
		})
	}
}

// objects of a manifest, read into Kubernetes' own types: a field they do not know
// is an error, as it is for the API server with strict validation.
type objects struct {
	account *corev1.ServiceAccount
	file    corev1.ConfigMap
	job     batchv1.CronJob
	keeps   *appsv1.Deployment // instead of job
}

// workload is what runs the job: its name, and the pod.
func (o objects) workload() (metav1.ObjectMeta, corev1.PodSpec) {
	if o.keeps != nil {
		return o.keeps.ObjectMeta, o.keeps.Spec.Template.Spec
	}
	return o.job.ObjectMeta, o.job.Spec.JobTemplate.Spec.Template.Spec
}

func read(t *testing.T, manifest string) objects {
	t.Helper()
	var o objects
	for _, document := range strings.Split(manifest, "\n---\n")[1:] {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		var into any
		switch kind.Kind {
		case "ServiceAccount":
			o.account = &corev1.ServiceAccount{}
			into = o.account
		case "ConfigMap":
			into = &o.file
		case "CronJob":
			into = &o.job
		case "Deployment":
			o.keeps = &appsv1.Deployment{}
			into = o.keeps
		default:
			t.Fatalf("kind %q", kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Fatalf("%s: %v", kind.Kind, err)
		}
	}
	return o
}

func TestKubernetesReadsEveryManifestToTheLastField(t *testing.T) {
	t.Parallel()
	for name, spec := range cases() {
		r, err := kubernetes.Render(spec)
		if err != nil {
			t.Fatal(err)
		}
		o := read(t, r.Manifest)
		meta, pod := o.workload()
		if meta.Name != r.Name || len(r.Name) > 52 || meta.Namespace != r.Namespace || pod.ServiceAccountName != r.ServiceAccount {
			t.Errorf("%s: %s/%s as %s, rendered %+v", name, meta.Namespace, meta.Name, pod.ServiceAccountName, r)
		}
		if wanted := name != "rotate"; (o.account != nil) != wanted {
			t.Errorf("%s: a service account is there: %v", name, o.account != nil)
		}
		mounted := map[string]bool{}
		for _, v := range pod.Volumes {
			mounted[v.Name] = true
		}
		for _, c := range append(pod.InitContainers, pod.Containers...) {
			for _, m := range c.VolumeMounts {
				if !mounted[m.Name] {
					t.Errorf("%s: %s mounts %s, which the pod does not have", name, c.Name, m.Name)
				}
			}
			if c.SecurityContext.RunAsUser != nil || *c.SecurityContext.AllowPrivilegeEscalation || !*c.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: %s may do too much: %+v", name, c.Name, c.SecurityContext)
			}
		}
		// The job the pod reads is the job that was rendered.
		args := pod.Containers[0].Args
		at := args[len(args)-1]
		file := o.file.Data[filepath.Base(at)]
		if j, err := job.Parse([]byte(file)); err != nil || j.Digest() != spec.Job.Digest() {
			t.Errorf("%s: %s in the ConfigMap: %v", name, at, err)
		}
		// Quantities are parsed when they are read.
		_ = pod.Containers[0].Resources.Requests.Memory()
	}
}

func TestAReceiverIsOnePodThatIsKeptRunning(t *testing.T) {
	t.Parallel()
	for name, replicas := range map[string]int32{"receive": 1, "spooled": 0} {
		r, err := kubernetes.Render(cases()[name])
		if err != nil {
			t.Fatal(err)
		}
		o := read(t, r.Manifest)
		if o.keeps == nil || o.job.Name != "" {
			t.Fatalf("%s: no Deployment: %s", name, r.Manifest)
		}
		d := o.keeps.Spec
		if *d.Replicas != replicas || d.Strategy.Type != appsv1.RecreateDeploymentStrategyType || d.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
			t.Errorf("%s: %d pods, %s, restarted %s", name, *d.Replicas, d.Strategy.Type, d.Template.Spec.RestartPolicy)
		}
		chosen, err := metav1.LabelSelectorAsSelector(d.Selector)
		if err != nil || !chosen.Matches(labels.Set(d.Template.Labels)) {
			t.Errorf("%s: the Deployment does not find its pods: %v", name, err)
		}
	}
}

// The probe runs in the shell of the image, whichever that is.
func TestAReceiverThatHangsIsStartedAnewAndOneThatWaitsIsNot(t *testing.T) {
	t.Parallel()
	r, err := kubernetes.Render(receiver())
	if err != nil {
		t.Fatal(err)
	}
	c := read(t, r.Manifest).keeps.Spec.Template.Spec.Containers[0]
	file := ""
	for _, e := range c.Env {
		if e.Name == "PGBACKUP_ALIVE_FILE" {
			file = e.Value
		}
	}
	if file == "" || c.LivenessProbe == nil || !strings.HasPrefix(file, "/tmp/") {
		t.Fatalf("probe %v of file %q", c.LivenessProbe, file)
	}
	here := filepath.Join(t.TempDir(), "alive")
	for _, sh := range []string{"dash", "bash"} {
		asked := func() error {
			argv := c.LivenessProbe.Exec.Command
			return exec.Command(sh, argv[1], strings.ReplaceAll(argv[2], file, here)).Run()
		}
		if err := os.RemoveAll(here); err != nil {
			t.Fatal(err)
		}
		if err := asked(); err != nil {
			t.Errorf("%s: one that waits for its turn: %v", sh, err)
		}
		if err := os.WriteFile(here, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := asked(); err != nil {
			t.Errorf("%s: one that works: %v", sh, err)
		}
		before := time.Now().Add(-3 * time.Minute)
		if err := os.Chtimes(here, before, before); err != nil {
			t.Fatal(err)
		}
		if err := asked(); err == nil {
			t.Errorf("%s: one that hangs is taken for alive", sh)
		}
	}
}

func TestTheFetchImageIsTheOneOfFargate(t *testing.T) {
	t.Parallel()
	if kubernetes.DefaultFetchImage != fargate.DefaultFetchImage || kubernetes.DefaultPostgresVersion != fargate.DefaultPostgresVersion {
		t.Error("two targets that run the same images have different defaults")
	}
}

// scratchIn makes a drill whose server lies in a folder; /srv is a volume to read.
func scratchIn(dir string) func(*kubernetes.Spec) {
	return func(s *kubernetes.Spec) {
		s.Job.Kind, s.Job.Logical, s.Job.Drill = job.KindDrill, nil, &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: dir}}}
		s.Config.Volumes = map[string]kubernetes.Volume{"/srv": {Claim: "uploads"}}
	}
}

func TestWhatAPodCannotHaveIsRefusedByName(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*kubernetes.Spec){
		`logical.server.password_ref = "env:PGPASSWORD" cannot be read on kubernetes: say which Secret has it: secret_env = { PGPASSWORD`: func(s *kubernetes.Spec) { s.Config.SecretEnv = nil },
		`logical.server.sslrootcert = "/etc/postgres-ca/ca.crt" is not in the pod`:                                                        func(s *kubernetes.Spec) { s.Config.SecretFiles = nil },
		`secret_files = { "/run/key" = {`:           func(s *kubernetes.Spec) { s.Job.KeyRef = ref("file:/run/key") },
		"repository file:///backups is a directory": func(s *kubernetes.Spec) { s.Job.Repository = "file:///backups" },
		`"/srv" is not in the pod: say which persistent volume claim`: func(s *kubernetes.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.Files = job.KindFiles, nil, &job.Files{Paths: []string{"/srv"}}
		},
		"role_arn and pod_identity":                       func(s *kubernetes.Spec) { s.Config.PodIdentity = true },
		`role_arn "me": give the ARN of an IAM role`:      func(s *kubernetes.Spec) { s.Config.RoleARN = "me" },
		`namespace: "Shop": give the name of a namespace`: func(s *kubernetes.Spec) { s.Config.Namespace = "Shop" },
		"postgres_version is 9: give 10 to 18":            func(s *kubernetes.Spec) { s.Config.PostgresVersion = 9 },
		`memory_limit: "lots": give a quantity`:           func(s *kubernetes.Spec) { s.Config.Resources.MemoryLimit = "lots" },
		"the deadline of a start is 5s":                   func(s *kubernetes.Spec) { s.Config.Deadline = 5 * time.Second },
		"the job has no schedule":                         func(s *kubernetes.Spec) { s.Job.Schedule = nil },
		"PGPASSWORD is in environment and in secret_env":  func(s *kubernetes.Spec) { s.Config.Environment = map[string]string{"PGPASSWORD": "x"} },
		"is used by the job itself":                       func(s *kubernetes.Spec) { s.Config.Volumes = map[string]kubernetes.Volume{"/tmp": {Claim: "x"}} },
		"secret_env.PGPASSWORD.key: \"a b\": give a key of that Secret": func(s *kubernetes.Spec) {
			s.Config.SecretEnv = map[string]kubernetes.SecretKey{"PGPASSWORD": {Secret: "s", Key: "a b"}}
		},
		`drill.into.scratch_cluster.directory = "/tmp/drills" is not there`: scratchIn("/tmp/drills"),
		`"/srv/drills" is in a volume that is not writable`:                 scratchIn("/srv/drills"),
		"/pgbackup is used by the job itself":                               scratchIn("/pgbackup"),
		`archive_command is called by the server on its own machine`: func(s *kubernetes.Spec) {
			*s = receiver()
			s.Job.WAL, s.Job.Schedule = &job.WAL{Mode: job.WALPush}, &job.Schedule{Cron: "*/5 * * * *"}
		},
		"it has no schedule": func(s *kubernetes.Spec) {
			*s = receiver()
			s.Job.Schedule = &job.Schedule{Cron: "*/5 * * * *"}
		},
		"backoff_limit and deadline have no meaning for a receiver": func(s *kubernetes.Spec) { *s = receiver(); s.Config.BackoffLimit = 1 },
		`wal.confirm = "spooled": the server then removes`:          func(s *kubernetes.Spec) { *s = spooled(); s.Config.Volumes = nil },
		`wal.spool = "/spool/shop" is in a volume that is not writable`: func(s *kubernetes.Spec) {
			*s = spooled()
			s.Job.WAL.Confirm = ""
			s.Config.Volumes["/spool"] = kubernetes.Volume{Claim: "wal-spool"}
		},
		"wal.spool: /pgbackup is used by the job itself": func(s *kubernetes.Spec) { *s = receiver(); s.Job.WAL.Spool = "/pgbackup" },
		"only for x86_64: add it to architectures":       func(s *kubernetes.Spec) { s.Config.Architecture = "arm64"; delete(s.Runner.SHA256, "arm64") },
	} {
		spec := nightly()
		change(&spec)
		if _, err := kubernetes.Render(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// lines of a manifest are for people too: what is long is a block, not one line
// with escapes.
func TestScriptsAndJobsCanBeRead(t *testing.T) {
	t.Parallel()
	r, err := kubernetes.Render(nightly())
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.NewBufferString(r.Manifest)
	for {
		line, err := b.ReadString('\n')
		if strings.Contains(line, `\n`) {
			t.Errorf("a text with escaped lines: %s", line)
		}
		if err == io.EOF {
			return
		}
	}
}
