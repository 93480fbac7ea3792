package config

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Parameter is one of an RDS parameter group.
type Parameter struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`  // "" where none is set
	Source string `json:"source,omitempty"` // user, system or engine-default
	Apply  string `json:"apply,omitempty"`  // immediate or pending-reboot
}

// ParameterSource reads the parameter group of an RDS instance or cluster.
type ParameterSource interface {
	Parameters(ctx context.Context, id string, cluster bool) (group string, parameters []Parameter, err error)
}

// ParameterGroup reads the configuration of an RDS instance or cluster.
type ParameterGroup struct {
	ID      string
	Cluster bool
	From    ParameterSource
}

// String names the instance or cluster.
func (g ParameterGroup) String() string {
	if g.Cluster {
		return "RDS cluster " + g.ID
	}
	return "RDS instance " + g.ID
}

// Read reads all parameters of the group, set or not.
func (g ParameterGroup) Read(ctx context.Context) (Configuration, error) {
	found := Configuration{Tool: "rds", Origin: repo.Origin{RDS: g.ID, RDSCluster: g.Cluster}}
	group, list, err := g.From.Parameters(ctx, g.ID, g.Cluster)
	if err != nil {
		return found, err
	}
	found.Origin.ParameterGroup = group
	data, err := lines(list)
	if err != nil {
		return found, fmt.Errorf("parameter group %s of %s: %w", group, g, err)
	}
	found.Files = []File{{Name: Own + "parameters.jsonl", Data: data, Modified: time.Now()}}
	return found, nil
}
