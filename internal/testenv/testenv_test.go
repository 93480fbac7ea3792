package testenv_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func get(t *testing.T, url string) (int, error) {
	t.Helper()
	client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

func TestAToolIsFound(t *testing.T) {
	if st, err := os.Stat(testenv.Tool(t, "versitygw")); err != nil || st.Mode()&0o100 == 0 {
		t.Errorf("versitygw: %v", err)
	}
}

func TestTheServerIsGoneWhenItsTestEnds(t *testing.T) {
	var endpoint string
	t.Run("with a server", func(t *testing.T) {
		s := testenv.S3(t)
		endpoint = s.Endpoint
		if status, err := get(t, endpoint); err != nil || status != http.StatusForbidden {
			t.Errorf("an unsigned request: %d, %v", status, err)
		}
		if !strings.Contains(strings.Join(s.Env(), " "), "AWS_SECRET_ACCESS_KEY="+s.SecretKey) {
			t.Errorf("environment %q", s.Env())
		}
	})
	if _, err := get(t, endpoint); err == nil {
		t.Error("the server still answers")
	}
}

func TestFaultsComeAndGo(t *testing.T) {
	upstream := testenv.FaultyHTTP(t, "http://127.0.0.1:1", func(int, *http.Request) (int, bool) { return 204, true })
	p := testenv.Faulty(t, strings.TrimPrefix(upstream.URL, "http://"))
	url := "http://" + p.Addr()
	for name, fault := range map[string]func(){
		"cut": p.Cut, "reset": p.Reset, "stalled answers": p.StallAnswers, "stalled requests": p.StallRequests,
		"latency":      func() { p.Latency(time.Second) },
		"cut answers":  func() { p.CutAnswersAfter(10) },
		"cut requests": func() { p.CutRequestsAfter(10) },
	} {
		if status, err := get(t, url); err != nil || status != 204 {
			t.Fatalf("before %s: %d, %v", name, status, err)
		}
		fault()
		if status, err := get(t, url); err == nil {
			t.Errorf("with %s: %d", name, status)
		}
		p.Restore()
	}
}

func TestAnHTTPFaultHitsTheChosenRequests(t *testing.T) {
	up := testenv.FaultyHTTP(t, "http://127.0.0.1:1", func(_ int, r *http.Request) (int, bool) { return 200, r.Host != "" })
	s := testenv.FaultyHTTP(t, up.URL, func(n int, _ *http.Request) (int, bool) { return 503, n == 2 })
	for n, want := range []int{200, 503, 200} {
		if status, err := get(t, s.URL); err != nil || status != want {
			t.Errorf("request %d: %d, %v, want %d", n+1, status, err, want)
		}
	}
}

func TestAnS3ServerSpeaksHTTPSToWhoTrustsIt(t *testing.T) {
	t.Parallel()
	s := testenv.S3(t, testenv.S3TLS())
	if !strings.HasPrefix(s.Endpoint, "https://") || s.CA == "" {
		t.Fatalf("it is at %s, certified by %q", s.Endpoint, s.CA)
	}
	if _, err := http.Get(s.Endpoint); err == nil {
		t.Error("somebody who does not know the certificate reached it")
	}
}
