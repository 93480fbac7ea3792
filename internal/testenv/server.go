package testenv

import (
	"bytes"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// serve starts a server and waits until it answers at url; it is stopped when
// the test ends. One that did not come up is stopped at once, and what it
// printed is returned: somebody else may have taken the free port between our
// look and the server's bind, so callers try another one.
func serve(t testing.TB, cmd *exec.Cmd, url string, limit time.Duration) (trouble string) {
	t.Helper()
	return serveWith(t, &http.Client{}, cmd, url, limit)
}

// serveWith is serve with a client that trusts the server.
func serveWith(t testing.TB, client *http.Client, cmd *exec.Cmd, url string, limit time.Duration) (trouble string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	stop := func() { _ = cmd.Process.Kill(); <-exited }
	if answers(client, url, exited, limit) {
		t.Cleanup(stop)
		return ""
	}
	stop()
	if out.Len() == 0 {
		return "no output, no answer at " + url
	}
	return out.String()
}

// answers waits until an HTTP server answers anything at url.
func answers(client *http.Client, url string, exited <-chan struct{}, limit time.Duration) bool {
	client = &http.Client{Transport: client.Transport, Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		if res, err := client.Get(url); err == nil {
			_ = res.Body.Close()
			return true
		}
		select {
		case <-exited:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}
