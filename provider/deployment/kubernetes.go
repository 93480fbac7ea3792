package deployment

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/kubernetes"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// kubernetesTarget is a Kubernetes cluster, which somebody else applies the
// manifest to.
type kubernetesTarget struct{ awsSide }

type kubernetesDeployment struct {
	in       input
	rendered kubernetes.Rendered
	files    *papers
}

func (t kubernetesTarget) render(ctx context.Context, in input) (deployment, diag.Diagnostics, error) {
	on, errs := in.on.Kubernetes, []error(nil)
	spec, err := t.spec(ctx, in)
	config := kubernetes.Config{
		Namespace: on.Namespace.ValueString(), ServiceAccount: on.ServiceAccount.ValueString(), RoleARN: on.RoleARN.ValueString(), PodIdentity: on.PodIdentity.ValueBool(),
		CreateServiceAccount: on.CreateServiceAccount.ValueBool() || on.CreateServiceAccount.IsNull() && on.ServiceAccount.IsNull(),
		PostgresVersion:      int(on.PostgresVersion.ValueInt64()), Image: on.Image.ValueString(), FetchImage: on.FetchImage.ValueString(),
		Architecture: on.Architecture.ValueString(), RunAsUser: on.RunAsUser.ValueInt64(),
		NodeSelector: TextMap(ctx, on.NodeSelector, &errs), Environment: TextMap(ctx, on.Environment, &errs),
		SecretEnv: secretKeys(on.SecretEnv), SecretFiles: secretKeys(on.SecretFiles), Volumes: map[string]kubernetes.Volume{},
		Suspend: !in.enabled(), BackoffLimit: int(on.BackoffLimit.ValueInt64()),
	}
	config.Deadline, _ = Span("run_on.kubernetes.deadline", on.Deadline, &errs).Exact()
	if r := on.Resources; r != nil {
		config.Resources = kubernetes.Resources{
			CPURequest: r.CPURequest.ValueString(), CPULimit: r.CPULimit.ValueString(), MemoryRequest: r.MemoryRequest.ValueString(), MemoryLimit: r.MemoryLimit.ValueString(),
		}
	}
	for _, t := range on.Tolerations {
		config.Tolerations = append(config.Tolerations, kubernetes.Toleration{Key: t.Key.ValueString(), Operator: t.Operator.ValueString(), Value: t.Value.ValueString(), Effect: t.Effect.ValueString()})
	}
	for at, v := range on.Volumes {
		config.Volumes[at] = kubernetes.Volume{Claim: v.Claim.ValueString(), Writable: v.Writable.ValueBool()}
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, invalid(deploy.Kubernetes, err), nil
	}
	d := kubernetesDeployment{in: in}
	if d.rendered, err = kubernetes.Render(kubernetes.Spec{Spec: spec, Config: config}); err == nil {
		// The manifest carries the job. In a bucket its file is for people, and for
		// taking it over.
		at, parseErr := location.Parse(in.job.Repository)
		d.files, err = newPapers(in.job, deploy.Kubernetes, in.release, parseErr == nil && !at.IsDirectory())
	}
	if err != nil {
		return nil, invalid(deploy.Kubernetes, err), nil
	}
	return d, nil, nil
}

func secretKeys(models map[string]secretKeyModel) map[string]kubernetes.SecretKey {
	out := map[string]kubernetes.SecretKey{}
	for name, m := range models {
		out[name] = kubernetes.SecretKey{Secret: m.Secret.ValueString(), Key: m.Key.ValueString()}
	}
	return out
}

func (d kubernetesDeployment) describe(m *Model) {
	describeJob(m, d.in.job, d.files, d.rendered.Manifest)
	m.ID, m.KubernetesManifest = types.StringValue(elsewhereID(d.in.job)), types.StringValue(d.rendered.Manifest)
}

func (d kubernetesDeployment) papers() *papers { return d.files }

func (kubernetesDeployment) free(context.Context) error { return nil }

func (kubernetesDeployment) apply(context.Context, string) error { return nil }

func (kubernetesDeployment) undo(context.Context) error { return nil }

func (kubernetesTarget) read(context.Context, *Model, runOnModel) error { return nil }

func (kubernetesTarget) document(*Model, runOnModel) string { return "" }

func (kubernetesTarget) remove(context.Context, left, string) error { return nil }

func (kubernetesTarget) afterwards(before, after *Model) diag.Diagnostics {
	end := "kubectl delete what kubernetes_manifest had: the CronJob still starts it"
	if before != nil && before.always() {
		end = "kubectl delete what kubernetes_manifest had: the Deployment still keeps it running"
	}
	return ownHands(before, after, func(m *Model) string { return m.KubernetesManifest.ValueString() }, "apply kubernetes_manifest to the cluster", end)
}
