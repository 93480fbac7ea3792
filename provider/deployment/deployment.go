// Package deployment is what the resources have in common that carry a job to where
// it runs: the attributes of when, where and who is told, the life of what is
// deployed, and bringing what is there into a state.
//
// Each target of run_on has a file named after it, behind the interface in
// target.go. What must not live here: what the job does, which a resource says with
// a Type (packages schedule and restoredrill); what a job file means (package job);
// and how the texts for a platform look (packages below deploy).
package deployment

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Type is a type of resource whose instances are deployed jobs.
type Type struct {
	Name string // behind the provider's: schedule
	// Kinds of job that it deploys; a job of another one cannot be imported.
	Kinds []job.Kind
	// Schema is made of Attributes and of what says what the job does.
	Schema func() schema.Schema
	// New makes an empty model of the schema.
	New func() Declared
	// FromJob gives the attributes that are not in Attributes, by name, as a
	// configuration would say them. It is the reverse of Declared.Work.
	FromJob func(ctx context.Context, j job.Job) (map[string]any, diag.Diagnostics)
	// Wording are pairs: how the path of a field begins in an error about a job file,
	// and how in the configuration.
	Wording []string
	// Warn looks at what is planned, and asks nothing that could fail the plan; nil
	// for nothing.
	Warn func(ctx context.Context, p Planned) diag.Diagnostics
}

// Declared is the model of a resource: a pointer to a struct that embeds Model and
// has the attributes besides.
type Declared interface {
	// Base is the embedded Model.
	Base() *Model
	// Own are the attributes besides those of Model.
	Own() []attr.Value
	// Given reports whether those that are required are there, known or not.
	Given() bool
	// Work takes what is to be done into the job, once Own is known. Errors name
	// attributes as the configuration has them; see At.
	Work(ctx context.Context, j *job.Job, errs *[]error)
}

// Archives is a Declared with an attribute for the archive_command of a server that
// hands its WAL to the job; null for other jobs.
type Archives interface {
	Declared
	// ArchivedBy is where the attribute is.
	ArchivedBy() *types.String
}

// New makes a resource of a type.
func New(t Type) resource.Resource { return &Resource{typ: &t} }
