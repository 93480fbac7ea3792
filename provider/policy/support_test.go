package policy_test

import "github.com/pgbackup/terraform-provider-pgbackup/internal/repo"

// all recovery points.
var all = repo.Filter{}
