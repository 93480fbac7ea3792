package scheduled

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Reach says why a reference cannot be read by a task or function, nil when it
// can: they have a role, and neither a disk that somebody prepares nor variables
// that may hold secrets.
func Reach(r job.Reference) error {
	switch r.Ref.Scheme {
	case secretref.SecretsManager, secretref.SSM, secretref.KMS:
		return nil
	}
	return errors.New("nobody puts a file or a variable with a secret there: keep it in AWS, and name it secretsmanager:NAME or ssm:NAME")
}

// MachineFiles lists what a job needs of the disk of the machine it runs on.
func MachineFiles(j job.Job) []job.File {
	files := j.ServerFiles()
	if j.Files != nil {
		for i, path := range j.Files.Paths {
			files = append(files, job.File{Field: fmt.Sprintf("files.paths[%d]", i), Path: path})
		}
	}
	if j.Config != nil && j.Config.Directory != "" {
		files = append(files, job.File{Field: "config.directory", Path: j.Config.Directory})
	}
	return files
}

// CheckHosts says which servers cannot be reached from a task or function:
// those on its own machine.
func CheckHosts(j job.Job, environment map[string]string) error {
	for _, host := range j.ServerHosts() {
		switch {
		case host == "" && environment["PGHOST"] == "":
			return errors.New("the server's host is missing: there is none on the machine that runs the job")
		case strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@"):
			return fmt.Errorf("the server's host %q is a socket: give a name or an address that can be reached over the network", host)
		}
	}
	return nil
}
