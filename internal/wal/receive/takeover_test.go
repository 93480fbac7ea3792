package receive_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// elsewhere is a process of which this machine can not say whether it lives.
func elsewhere(host string) repo.Holder {
	return repo.Holder{Host: host, Machine: host, Boot: host, PID: 1, Started: "1"}
}

func TestOfTwoReceiversOneWorksAndTheOtherTakesOver(t *testing.T) {
	t.Parallel()
	pg := server(t)
	s := testenv.S3(t)
	link := testenv.Faulty(t, strings.TrimPrefix(s.Endpoint, "http://"))
	direct := create(t, bucket(t, s, s.Endpoint, time.Minute))
	cut := reopen(t, bucket(t, s, "http://"+link.Addr(), 3*time.Second))

	one := options(t, cut, target(t, pg.URL("postgres")))
	one.Self, one.LeaseTTL = elsewhere("one"), 5*time.Second
	two := options(t, direct, target(t, pg.URL("postgres")))
	two.Self, two.LeaseTTL = elsewhere("two"), 5*time.Second
	first := run(t, one)
	first.says("the archive begins")
	second := run(t, two)
	second.says("another receiver is at work")
	write(t, pg, 20)
	reaches(t, direct, pg, 1, flushed(t, pg))

	// The first can not reach the repository any more: the lease expires, and the slot is
	// still in use.
	link.Cut()
	write(t, pg, 20)
	second.says("the slot is taken from a receiver that does not have the lease")
	write(t, pg, 20)
	reaches(t, direct, pg, 1, flushed(t, pg))
	link.Restore()
	first.says("another receiver took over")

	// One that ends in order lets the other one in at once.
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	write(t, pg, 5)
	reaches(t, direct, pg, 1, flushed(t, pg))
}
