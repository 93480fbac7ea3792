package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgservicefile"
)

// serviceParams puts what a service file says beside what the connection string
// says, which wins, and takes the service away: to pgx the string beats the
// service, and to libpq the service beats the environment, which is how client
// programs are told the string. Left to itself, pg_restore would reach the server of
// PGSERVICE where the string names another.
func serviceParams(params map[string]string) error {
	service, file := cmp.Or(params["service"], os.Getenv("PGSERVICE")), cmp.Or(params["servicefile"], os.Getenv("PGSERVICEFILE"))
	delete(params, "service")
	delete(params, "servicefile")
	if service != "" {
		if err := readService(params, service, file); err != nil {
			return err
		}
	}
	if params["hostaddr"] != "" {
		return errors.New("connection string: hostaddr is not supported: give the address as host")
	}
	return nil
}

func readService(params map[string]string, service, file string) error {
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".pg_service.conf")
	}
	read, err := pgservicefile.ReadServicefile(file)
	if err != nil {
		return fmt.Errorf("connection string: read the service file %s: %w", file, err)
	}
	found, err := read.GetService(service)
	if err != nil {
		return fmt.Errorf("connection string: service %s is not in %s", service, file)
	}
	for name, value := range found.Settings {
		if _, said := params[name]; !said && name != "password" {
			params[name] = value
		}
	}
	return nil
}
