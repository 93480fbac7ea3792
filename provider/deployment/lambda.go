package deployment

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/lambda"
)

// lambdaTarget is an AWS Lambda function.
type lambdaTarget struct{ awsSide }

type lambdaDeployment struct {
	side     awsSide
	rendered lambda.Rendered
	files    *papers
	applied  *lambda.Target // what apply went through
}

func (t lambdaTarget) render(ctx context.Context, in input) (deployment, diag.Diagnostics, error) {
	on, errs := in.on.Lambda, []error(nil)
	spec, err := t.spec(ctx, in)
	facts, later := t.facts(ctx)
	later = errors.Join(later, t.addKeys(ctx, in, on.RoleARN.ValueString(), &facts))
	on.fill(ctx, &facts, &errs)
	config := lambda.Config{
		MemoryMiB: int(on.Memory.ValueInt64()), Architecture: on.Architecture.ValueString(),
		Subnets: Texts(ctx, on.Subnets, &errs), SecurityGroups: Texts(ctx, on.SecurityGroups, &errs), RoleARN: on.RoleARN.ValueString(),
		Environment: TextMap(ctx, on.Environment, &errs), Config: on.config("run_on.lambda", in.enabled(), &errs),
	}
	config.Timeout, _ = Span("run_on.lambda.timeout", on.Timeout, &errs).Exact()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, invalid(deploy.Lambda, err), nil
	}
	d := &lambdaDeployment{side: t.awsSide}
	if d.rendered, err = lambda.Render(lambda.Spec{Spec: spec, Config: config, Facts: facts}); err == nil {
		d.files, err = newPapers(d.rendered.Job, deploy.Lambda, in.release, true)
	}
	if err != nil {
		return nil, invalid(deploy.Lambda, err), nil
	}
	return d, nil, later
}

func (d *lambdaDeployment) describe(m *Model) {
	document := d.rendered.Document()
	describeJob(m, d.rendered.Job, d.files, document)
	m.Deployment = types.StringValue(document)
	lambdaDeployed(d.rendered.Planned()).describe(m)
}

func lambdaDeployed(d lambda.Deployed) deployed {
	return deployed{schedule: d.ScheduleARN, role: d.RoleARN, logGroup: d.LogGroup, queue: d.DeadLetterQueueARN}
}

func (d *lambdaDeployment) papers() *papers { return d.files }

func (d *lambdaDeployment) free(ctx context.Context) error {
	cfg, err := d.side.at(d.rendered.Document())
	if err != nil {
		return err
	}
	return importable(lambda.New(cfg, lambda.Options{}).CheckFree(ctx, d.rendered), d.rendered.Planned().ScheduleARN)
}

func (d *lambdaDeployment) apply(ctx context.Context, generation string) error {
	cfg, err := d.side.at(d.rendered.Document())
	if err != nil {
		return err
	}
	d.applied = lambda.New(cfg, lambda.Options{Generation: generation})
	_, err = d.applied.Apply(ctx, d.rendered)
	return err
}

func (d *lambdaDeployment) undo(ctx context.Context) error {
	if d.applied == nil {
		return nil
	}
	return d.applied.Undo(ctx)
}

func (t lambdaTarget) read(ctx context.Context, m *Model, _ runOnModel) error {
	cfg, err := t.at(m.Deployment.ValueString())
	if err != nil {
		return err
	}
	now, _, err := lambda.New(cfg, lambda.Options{}).Read(ctx, m.Deployment.ValueString())
	if err != nil {
		return err
	}
	m.Deployment = types.StringValue(now)
	return nil
}

func (lambdaTarget) document(m *Model, _ runOnModel) string { return m.Deployment.ValueString() }

func (t lambdaTarget) remove(ctx context.Context, l left, generation string) error {
	cfg, err := t.at(l.Document)
	if err != nil {
		return err
	}
	return lambda.New(cfg, lambda.Options{Generation: generation}).Remove(ctx, l.Document)
}

func (lambdaTarget) afterwards(_, _ *Model) diag.Diagnostics { return nil }
