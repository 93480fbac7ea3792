package deployment

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
)

// fargateTarget is Amazon ECS on Fargate.
type fargateTarget struct{ awsSide }

type fargateDeployment struct {
	side     awsSide
	rendered fargate.Rendered
	files    *papers
	applied  *fargate.Target // what apply went through
}

func (t fargateTarget) render(ctx context.Context, in input) (deployment, diag.Diagnostics, error) {
	on, errs := in.on.Fargate, []error(nil)
	spec, err := t.spec(ctx, in)
	facts, later := t.facts(ctx)
	later = errors.Join(later, t.addKeys(ctx, in, on.TaskRoleARN.ValueString(), &facts))
	on.fill(ctx, &facts, &errs)
	config := fargate.Config{
		Cluster: on.Cluster.ValueString(), Subnets: Texts(ctx, on.Subnets, &errs), SecurityGroups: Texts(ctx, on.SecurityGroups, &errs), AssignPublicIP: on.AssignPublicIP.ValueBool(),
		PostgresVersion: int(on.PostgresVersion.ValueInt64()), Image: on.Image.ValueString(), FetchImage: on.FetchImage.ValueString(),
		CPU: int(on.CPU.ValueInt64()), MemoryMiB: int(on.Memory.ValueInt64()), StorageGiB: int(on.Storage.ValueInt64()), Architecture: on.Architecture.ValueString(),
		Environment: TextMap(ctx, on.Environment, &errs), TaskRoleARN: on.TaskRoleARN.ValueString(), ExecutionRoleARN: on.ExecutionRoleARN.ValueString(),
		Config: on.config("run_on.fargate", in.enabled(), &errs),
	}
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, invalid(deploy.Fargate, err), nil
	}
	if later != nil {
		facts.Region = regionOf(config.Cluster, facts.Region)
	}
	d := &fargateDeployment{side: t.awsSide}
	if d.rendered, err = fargate.Render(fargate.Spec{Spec: spec, Config: config, Facts: facts}); err == nil {
		d.files, err = newPapers(d.rendered.Job, deploy.Fargate, in.release, true)
	}
	if err != nil {
		return nil, invalid(deploy.Fargate, err), nil
	}
	return d, nil, later
}

func (d *fargateDeployment) describe(m *Model) {
	document := d.rendered.Document()
	describeJob(m, d.rendered.Job, d.files, document)
	m.Deployment = types.StringValue(document)
	fargateDeployed(d.rendered.Planned()).describe(m)
}

func fargateDeployed(d fargate.Deployed) deployed {
	return deployed{schedule: d.ScheduleARN, role: d.TaskRoleARN, logGroup: d.LogGroup, queue: d.DeadLetterQueueARN}
}

func (d *fargateDeployment) papers() *papers { return d.files }

func (d *fargateDeployment) free(ctx context.Context) error {
	cfg, err := d.side.at(d.rendered.Document())
	if err != nil {
		return err
	}
	return importable(fargate.New(cfg, fargate.Options{}).CheckFree(ctx, d.rendered), d.rendered.Planned().ScheduleARN)
}

func (d *fargateDeployment) apply(ctx context.Context, generation string) error {
	cfg, err := d.side.at(d.rendered.Document())
	if err != nil {
		return err
	}
	d.applied = fargate.New(cfg, fargate.Options{Generation: generation})
	_, err = d.applied.Apply(ctx, d.rendered)
	return err
}

func (d *fargateDeployment) undo(ctx context.Context) error {
	if d.applied == nil {
		return nil
	}
	return d.applied.Undo(ctx)
}

func (t fargateTarget) read(ctx context.Context, m *Model, _ runOnModel) error {
	cfg, err := t.at(m.Deployment.ValueString())
	if err != nil {
		return err
	}
	now, _, err := fargate.New(cfg, fargate.Options{}).Read(ctx, m.Deployment.ValueString())
	if err != nil {
		return err
	}
	m.Deployment = types.StringValue(now)
	return nil
}

func (fargateTarget) document(m *Model, _ runOnModel) string { return m.Deployment.ValueString() }

func (t fargateTarget) remove(ctx context.Context, l left, generation string) error {
	cfg, err := t.at(l.Document)
	if err != nil {
		return err
	}
	return fargate.New(cfg, fargate.Options{Generation: generation}).Remove(ctx, l.Document)
}

func (fargateTarget) afterwards(_, _ *Model) diag.Diagnostics { return nil }
