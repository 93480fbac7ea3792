package scheduled

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/logs"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/queues"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// Document is everything of one deployment in AWS: as it should be, known at
// plan, or as it is. What is given and not made here is only referred to.
//
// Task definition, function and schedule are in the form in which the AWS CLI
// takes them (--cli-input-json), without what is empty. The schedule names the
// task definition without its revision, which only the apply gives.
type Document struct {
	Target          string           `json:"target"`
	Region          string           `json:"region"`
	Name            string           `json:"name"`
	TaskDefinition  map[string]any   `json:"task_definition,omitempty"`
	Function        map[string]any   `json:"function,omitempty"`
	Schedule        map[string]any   `json:"schedule,omitempty"`
	ScheduleGroup   *schedules.Group `json:"schedule_group,omitempty"`
	Roles           map[string]Role  `json:"roles,omitempty"` // by the end of their name
	DeadLetterQueue *queues.Queue    `json:"dead_letter_queue,omitempty"`
	LogGroup        *logs.Group      `json:"log_group,omitempty"`
}

// Role is a role in a document.
type Role struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	Description string            `json:"description,omitempty"`
	Trust       json.RawMessage   `json:"trust"`
	Policy      json.RawMessage   `json:"policy"`
	Boundary    string            `json:"permissions_boundary,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

func describeRole(r role.Role) Role {
	return Role{
		Name: r.Name, Path: r.Path, Description: r.Description, Boundary: r.Boundary, Tags: r.Tags,
		Trust: normal(r.Trust), Policy: normal(r.Policy),
	}
}

func normal(d iampolicy.Document) json.RawMessage { return d.JSON() }

// String is the one written form.
func (d Document) String() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		panic(fmt.Sprintf("a deployment cannot be written: %v", err)) // texts, numbers and documents only
	}
	return b.String()
}

// Parse reads a document that String wrote.
func Parse(text string) (Document, error) {
	var d Document
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("read the document of a deployment: %w", err)
	}
	if d.Target == "" || d.Name == "" || d.Region == "" {
		return Document{}, fmt.Errorf("read the document of a deployment: target, name or region is missing")
	}
	return d, nil
}
