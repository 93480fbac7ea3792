//go:build linux

package scratch_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// reaches lets a program that the server starts connect to a port of loopback,
// as a restored function could.
const reaches = `DO $$ BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %%L', 'bash -c "cat > /dev/null; exec 3<>/dev/tcp/127.0.0.1/%d"');
END $$`

func TestAnIsolatedServerReachesNoPortOfThisMachine(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	attempt := fmt.Sprintf(reaches, listener.Addr().(*net.TCPAddr).Port)

	// The attempt is a good one: a server that nothing isolates gets through.
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", attempt)

	c := start(t, scratch.Options{})
	_, err = query(t, c, attempt)
	if reached := err == nil; reached == c.Isolated() {
		t.Errorf("isolated: %v, but the attempt ended with: %v", c.Isolated(), err)
	}
	said := strings.Join(c.Isolation(), "\n")
	if c.Isolated() != strings.Contains(said, "network namespace of its own without any interface") {
		t.Errorf("isolated: %v, but it says:\n%s", c.Isolated(), said)
	}
}

func TestAsRootTheServerRunsAsAnotherUser(t *testing.T) {
	t.Parallel()
	c := start(t, scratch.Options{})
	uid, err := query(t, c, "CREATE TEMP TABLE id (line text); COPY id FROM PROGRAM 'id -u'; SELECT line FROM id")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 && uid == "0" || os.Getuid() != 0 && uid != fmt.Sprint(os.Getuid()) {
		t.Errorf("the runner is user %d, the server %s", os.Getuid(), uid)
	}
}

// confined starts a server where the kernel refuses every namespace, as it does
// in a container without privileges.
func confined(dir string) error {
	for _, limit := range []string{"user", "net"} {
		if err := os.WriteFile("/proc/sys/user/max_"+limit+"_namespaces", []byte("0\n"), 0); err != nil {
			return err
		}
	}
	c, err := scratch.Start(context.Background(), scratch.Options{Directory: dir})
	if err != nil {
		return err
	}
	fmt.Println(c.Isolated(), c.Isolation())
	conn, err := c.Target("postgres").Connect(context.Background())
	if err != nil {
		return err
	}
	if err := conn.Close(context.Background()); err != nil {
		return err
	}
	return c.Stop()
}

func TestWhereNamespacesAreForbiddenTheServerStartsAndSaysSo(t *testing.T) {
	t.Parallel()
	dir := place(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), confinedVariable+"="+dir)
	// In a namespace of users the limits are its own to set, with a capability.
	uids := []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
	gids := []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	if os.Getuid() == 0 { // the server's user is there too
		uids[0].Size, gids[0].Size = 1<<16, 1<<16
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: uids, GidMappings: gids, GidMappingsEnableSetgroups: os.Getuid() == 0,
		AmbientCaps: []uintptr{unix.CAP_SYS_RESOURCE},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := string(out); !strings.HasPrefix(got, "false ") || !strings.Contains(got, "nothing keeps it off the network (a network namespace of its own was refused: ") {
		t.Errorf("%s", got)
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}
