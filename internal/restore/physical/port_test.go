package physical_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The copy has the configuration of the first, which runs.
func TestAStartOnAPortThatIsTakenIsRefusedBeforeAnythingIsFetched(t *testing.T) {
	t.Parallel()
	p := protect(t, testenv.PostgresOptions{})
	sockets := folder(t)
	p.Exec(t, "postgres", ledger)
	configured := p.Port
	p.Exec(t, "postgres", "ALTER SYSTEM SET port = "+strconv.Itoa(configured), "ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
	p.backup(t)
	p.mark(t, 1)
	p.switched(t)
	o := p.options(t, filepath.Join(folder(t), "data"))
	given := o.Settings["port"]
	delete(o.Settings, "port")
	refused := func(says string) {
		t.Helper()
		for what, do := range map[string]func() error{
			"plan":    func() error { _, err := physical.Examine(t.Context(), o); return err },
			"restore": func() error { _, err := physical.Run(t.Context(), o); return err },
		} {
			if err := do(); !errors.Is(err, physical.ErrOptions) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--port") {
				t.Errorf("%s: does not say %q: %v", what, says, err)
			}
		}
		if _, err := os.Stat(o.Directory); err == nil {
			t.Error("something was made")
		}
	}
	o.Start = true
	refused("127.0.0.1:" + strconv.Itoa(configured))

	// Without an address the socket is what a server is in the way with.
	o.Settings["listen_addresses"] = ""
	if _, err := physical.Examine(t.Context(), o); err != nil {
		t.Errorf("nobody is at its socket: %v", err)
	}
	socket := filepath.Join(sockets, ".s.PGSQL."+strconv.Itoa(configured))
	live, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	o.Settings["unix_socket_directories"] = sockets
	refused(socket)

	// Not started, or on another port, it disturbs nobody.
	o.Start = false
	if _, err := physical.Examine(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.Start = true
	o.Settings["port"], o.Settings["listen_addresses"] = given, "127.0.0.1"
	p.run(t, o)
	if got := p.rows(t, o); got != "1" {
		t.Error(got)
	}
}
