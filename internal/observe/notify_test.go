package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// hidden parts of the URLs in these tests: none may be in an error.
const (
	secretPath  = "T0SECRETpath"
	secretQuery = "q0SECRETquery"
	secretUser  = "u0SECRETuser"
)

var now = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)

func nightly(event job.Event) Report {
	code := exitcode.Done
	r := Report{
		Event: event, Run: "RUN", Job: "nightly", Kind: job.KindLogical, Command: "backup", Repository: "s3://acme/prod", Policy: "prod",
		Host: "db1", Runner: "1.2.3", Start: now.Add(-time.Minute), End: now, Seconds: 60, ExitCode: &code, Outcome: code.String(),
		Points: []Point{{Source: "app@db1", Kind: "logical", ID: "20260301T020204Z-abcdefgh", Stored: 3 << 20, Plain: 9 << 20, Rows: 7, Tables: 2}},
	}
	if event == job.OnFailure {
		code = exitcode.Failed
		r.Outcome, r.Error, r.Points = code.String(), "no connection to <db1> & co", nil
	}
	return r
}

// received is a request as a receiver saw it.
type received struct {
	method, path, query string
	header              http.Header
	body                []byte
}

// receiver is a server that keeps what it got and answers as told.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	rec := &receiver{}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		rec.mu.Lock()
		rec.got = append(rec.got, received{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body})
		n := len(rec.got)
		rec.mu.Unlock()
		if answer != nil {
			answer(n, w, r)
		}
	}))
	t.Cleanup(func() { rec.CloseClientConnections(); rec.Close() })
	return rec
}

func (r *receiver) requests() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// url is a URL of the server with a secret in each part that may hold one.
func (r *receiver) url() []byte {
	return []byte(strings.Replace(r.URL, "://", "://"+secretUser+":pw@", 1) + "/services/" + secretPath + "?key=" + secretQuery + "\n")
}

func hasNoSecret(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, s := range []string{secretPath, secretQuery, secretUser, "/services/", "127.0.0.1"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("the error repeats %q of the URL: %v", s, err)
		}
	}
}

func TestAWebhookGetsADocumentThatItsReceiverCanTrust(t *testing.T) {
	t.Parallel()
	server := receive(t, nil)
	to := Receiver{Channel: job.ChannelWebhook, URL: server.url(), Secret: []byte("a key of sixteen bytes"), Agent: "pgbackup-runner/1.2.3"}
	if err := to.Send(t.Context(), nightly(job.OnSuccess), now); err != nil {
		t.Fatal(err)
	}
	got := server.requests()[0]
	if got.method != http.MethodPost || got.path != "/services/"+secretPath || got.query != "key="+secretQuery || got.header.Get("User-Agent") != "pgbackup-runner/1.2.3" {
		t.Errorf("%+v", got)
	}
	timestamp := got.header.Get(HeaderTimestamp)
	if timestamp != fmt.Sprint(now.Unix()) || got.header.Get(HeaderEvent) != "success" {
		t.Errorf("headers: %v", got.header)
	}
	if got.header.Get(HeaderSignature) != Signature(to.Secret, timestamp, got.body) || got.header.Get(HeaderSignature) == Signature([]byte("another"), timestamp, got.body) {
		t.Errorf("signature %s", got.header.Get(HeaderSignature))
	}
	const want = `{"format":1,"event":"success","run":"RUN","job":"nightly","kind":"logical","command":"backup","repository":"s3://acme/prod","policy":"prod","host":"db1","runner":"1.2.3",` +
		`"start":"2026-03-01T02:02:04Z","end":"2026-03-01T02:03:04Z","duration_seconds":60,"exit_code":0,"outcome":"done",` +
		`"points":[{"source":"app@db1","kind":"logical","id":"20260301T020204Z-abcdefgh","stored_bytes":3145728,"plain_bytes":9437184,"rows":7,"tables":2}]}`
	if string(got.body) != want {
		t.Errorf("got  %s\nwant %s", got.body, want)
	}
}

// The value was computed with `printf '1772330584.{}' | openssl dgst -sha256 -hmac key`.
func TestTheSignatureIsWhatOthersCompute(t *testing.T) {
	t.Parallel()
	if got := Signature([]byte("key"), "1772330584", []byte("{}")); got != "sha256=339ef281f35504ce436606877009f887b7111e5f9f8f42f2b2b9405de5bfee9a" {
		t.Error(got)
	}
}

func TestAWebhookWithoutAKeyIsNotSigned(t *testing.T) {
	t.Parallel()
	server := receive(t, nil)
	if err := (Receiver{Channel: job.ChannelWebhook, URL: server.url()}).Send(t.Context(), nightly(job.OnSuccess), now); err != nil {
		t.Fatal(err)
	}
	if got := server.requests()[0].header; got.Get(HeaderSignature) != "" || got.Get(HeaderTimestamp) == "" {
		t.Error(got)
	}
}

func TestAPingGoesWhereADeadMansSwitchExpectsIt(t *testing.T) {
	t.Parallel()
	for event, want := range map[job.Event]string{
		job.OnStart: "/services/" + secretPath + "/start", job.OnSuccess: "/services/" + secretPath,
		job.OnWarning: "/services/" + secretPath, job.OnFailure: "/services/" + secretPath + "/fail",
	} {
		server := receive(t, nil)
		if err := (Receiver{Channel: job.ChannelPing, URL: server.url()}).Send(t.Context(), nightly(event), now); err != nil {
			t.Fatal(err)
		}
		if got := server.requests()[0]; got.path != want || got.method != http.MethodGet || got.query != "key="+secretQuery || len(got.body) > 0 {
			t.Errorf("%s: %+v", event, got)
		}
	}
}

func TestSlackGetsAShortMessageInWhichNamesAreOnlyNames(t *testing.T) {
	t.Parallel()
	server := receive(t, nil)
	r := nightly(job.OnFailure)
	r.Warnings = []string{"<!channel> look", "second", strings.Repeat("x", 5000), "fourth", "fifth"}
	for i := range 12 {
		r.Points = append(r.Points, Point{Source: fmt.Sprintf("db%d<@U1>", i), ID: "id", Stored: 1 << 20})
	}
	if err := (Receiver{Channel: job.ChannelSlack, URL: server.url()}).Send(t.Context(), r, now); err != nil {
		t.Fatal(err)
	}
	body := server.requests()[0].body
	var message slackDocument
	if err := json.Unmarshal(body, &message); err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for _, want := range []string{":x: *nightly* (logical) failed after 1m0s: failed", "no connection to &lt;db1&gt; &amp; co", "and 2 more warnings", "and 7 more recovery points", "s3://acme/prod", "policy prod"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not have %q", text, want)
		}
	}
	if strings.Contains(text, "<!") || strings.Contains(text, "<@") {
		t.Errorf("a name calls people: %s", text)
	}
	for _, b := range message.Blocks {
		if b.Text != nil && len([]rune(b.Text.Text)) > 3000 {
			t.Errorf("a block of %d runes: Slack takes 3000", len(b.Text.Text))
		}
	}
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	t.Parallel()
	server := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[n-1])
		}
	})
	if err := (Receiver{Channel: job.ChannelWebhook, URL: server.url(), Secret: []byte("k")}).Send(t.Context(), nightly(job.OnSuccess), now); err != nil {
		t.Fatal(err)
	}
	got := server.requests()
	if len(got) != 3 || !bytes.Equal(got[0].body, got[2].body) || got[0].header.Get(HeaderSignature) != got[2].header.Get(HeaderSignature) {
		t.Errorf("%d requests", len(got))
	}
}

func TestAReceiverThatRefusesIsNotAskedAgainAndNothingOfTheURLIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(n int, w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"not found": {func(_ int, w http.ResponseWriter, _ *http.Request) { http.Error(w, "no_service", 404) }, "it answered 404 Not Found: no_service"},
		"a mirror":  {func(_ int, w http.ResponseWriter, r *http.Request) { http.Error(w, r.RequestURI, 400) }, "it answered 400 Bad Request"},
		"another server": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2:1/"+secretPath, http.StatusTemporaryRedirect)
		}, "redirect to another server"},
		"body dropped": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "a redirect that drops the message"},
		"round and round": {func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.RequestURI, http.StatusPermanentRedirect)
		}, "more than 3 redirects"},
		"no place": {func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://%zz/"+secretPath)
			w.WriteHeader(307)
		}, "it cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := receive(t, c.answer)
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			err := (Receiver{Channel: job.ChannelSlack, URL: server.url()}).Send(ctx, nightly(job.OnFailure), now)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %s", err, c.want)
			}
			hasNoSecret(t, err)
		})
	}
}

func TestARedirectOnTheSameServerIsFollowedWithTheMessage(t *testing.T) {
	t.Parallel()
	server := receive(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			http.Redirect(w, r, "/moved", http.StatusPermanentRedirect)
		}
	})
	if err := (Receiver{Channel: job.ChannelWebhook, URL: server.url()}).Send(t.Context(), nightly(job.OnSuccess), now); err != nil {
		t.Fatal(err)
	}
	if got := server.requests(); len(got) != 2 || got[1].path != "/moved" || !bytes.Equal(got[0].body, got[1].body) {
		t.Errorf("%+v", got)
	}
}

func TestAReceiverThatDoesNotAnswerIsLeftWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	server := receive(t, func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	began := time.Now()
	err := (Receiver{Channel: job.ChannelSlack, URL: server.url()}).Send(ctx, nightly(job.OnFailure), now)
	if err == nil || !strings.Contains(err.Error(), "did not answer in time") || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	hasNoSecret(t, err)
}

func TestHowMuchAReceiverSaysDoesNotMatter(t *testing.T) {
	t.Parallel()
	endless := func(status int) func(int, http.ResponseWriter, *http.Request) {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			for block := bytes.Repeat([]byte("x"), 1<<20); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}
	}
	for status, want := range map[int]string{200: "", 404: "it answered 404"} {
		server := receive(t, endless(status))
		began := time.Now()
		err := (Receiver{Channel: job.ChannelWebhook, URL: server.url()}).Send(t.Context(), nightly(job.OnSuccess), now)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || time.Since(began) > 5*time.Second {
			t.Errorf("%d, after %s: %v", status, time.Since(began), err)
		}
	}
	server := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat(secretPath, 1000))
		}
	})
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	err := (Receiver{Channel: job.ChannelWebhook, URL: server.url()}).Send(ctx, nightly(job.OnSuccess), now)
	if err == nil {
		t.Error("megabytes of headers were read")
	}
	hasNoSecret(t, err)
}

// noise answers with bytes that are no HTTP.
func noise(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request := make([]byte, 4096)
			n, _ := conn.Read(request)
			_, _ = conn.Write(append([]byte("SSH-2.0 "), request[:n]...)) // with our own path in it
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/services/" + secretPath
}

func TestAPlaceThatCannotBeReachedIsToldWithoutItsURL(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	tls := httptest.NewTLSServer(nil)
	t.Cleanup(tls.Close)
	tls.Config.ErrorLog = nil
	for url, want := range map[string]string{
		gone.URL + "/services/" + secretPath: "refused",
		noise(t):                             "it cannot be reached",
		tls.URL + "/services/" + secretPath:  "certificate",
		"https://" + secretPath + ".invalid/services/" + secretPath: "not known to DNS",
	} {
		ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
		err := (Receiver{Channel: job.ChannelPing, URL: []byte(url)}).Send(ctx, nightly(job.OnFailure), now)
		stop()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", url, err, want)
		}
		hasNoSecret(t, err)
	}
}

func TestASecretThatIsNoURLIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", secretPath, "ftp://" + secretPath, "http://", "http://[" + secretPath, "https://host/%zz" + secretPath, "http://host:port/" + secretPath} {
		err := (Receiver{Channel: job.ChannelSlack, URL: []byte(url)}).Send(t.Context(), nightly(job.OnFailure), now)
		if !errors.Is(err, ErrBadURL) {
			t.Errorf("%q: %v", url, err)
		}
		hasNoSecret(t, err)
	}
}

func TestAReportIsBounded(t *testing.T) {
	t.Parallel()
	r := nightly(job.OnFailure)
	r.Error = strings.Repeat("ü", 10_000)
	for range 10_000 {
		r.Points = append(r.Points, Point{Source: "s"})
		r.Warnings = append(r.Warnings, r.Error)
	}
	b := r.bounded()
	if len(b.Points) != maxListed || len(b.Warnings) != maxListed || len([]rune(b.Error)) != maxText || len([]rune(b.Warnings[0])) != maxText || len(r.Points) != 10_000 {
		t.Errorf("%d points, %d warnings, %d runes", len(b.Points), len(b.Warnings), len([]rune(b.Error)))
	}
}
