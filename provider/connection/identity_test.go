package connection_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

func TestAnSTSThatHangsIsWaitedForOnceAndAskedAgainLater(t *testing.T) {
	credentials(t)
	server := testenv.AWS(t)
	var asked atomic.Int32
	var up atomic.Bool
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if up.Load() {
			proxy.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // until then nobody notices a client that leaves
		<-r.Context().Done()
	}))
	t.Cleanup(sts.Close)
	c := connection.New(connection.Settings{Region: "eu-west-1", MaxRetries: 1, SkipMetadata: true, SkipCredentialsValidation: true, Endpoints: map[string]string{"STS": sts.URL}})

	// Somebody who gives up says nothing about STS.
	stopped, stop := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, stop)
	if _, err := c.Identity(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	const schedules, patience = 5, 300 * time.Millisecond
	before, begun := asked.Load(), time.Now()
	for range schedules {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if _, err := c.Identity(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		cancel()
	}
	if n, took := asked.Load()-before, time.Since(begun); n != 1 || took > 3*patience {
		t.Errorf("asked %d times, in %s", n, took)
	}
	up.Store(true)
	c.Age(connection.FailureTime)
	if who, err := c.Identity(t.Context()); err != nil || who.Account != "123456789012" {
		t.Errorf("%+v, %v", who, err)
	}
}
