package dir

import (
	"fmt"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// A folder goes with the last object in it, and comes back with the next.
func TestAListingBesideWritersThatComeAndGoDoesNotFail(t *testing.T) {
	t.Parallel()
	s, err := Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("a/b/%d-%d", i, n)
				if _, err := s.Put(t.Context(), key, nil, objstore.PutOptions{}); err != nil {
					t.Error(err)
				}
				if err := s.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2000 {
		for _, err := range s.List(t.Context(), "a/b/") {
			if err != nil {
				t.Errorf("list: %v", err)
			}
		}
		if _, err := s.Folders(t.Context(), "a/"); err != nil {
			t.Errorf("folders: %v", err)
		}
		if t.Failed() {
			break
		}
	}
	close(stop)
	wg.Wait()
}
