package policy_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
}

// bucketRules is a bucket's lifecycle document, which is as strict about the
// older form of rules as S3 is, and may refuse what is written.
type bucketRules struct {
	mu      sync.Mutex
	raw     []byte
	refuses string // the code it answers to every PUT; "" takes it
	status  int
	puts    int
}

func (d *bucketRules) refuse(status int, code string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status, d.refuses = status, code
}

func (d *bucketRules) document() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.raw)
}

func (d *bucketRules) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if d.raw == nil {
			answer(w, http.StatusNotFound, "NoSuchLifecycleConfiguration")
			return
		}
		_, _ = w.Write(d.raw)
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		d.puts++
		switch {
		case d.refuses != "":
			answer(w, d.status, d.refuses)
		case bytes.Contains(body, []byte("</ID><Prefix>")) && bytes.Contains(body, []byte("<Filter>")):
			answer(w, http.StatusBadRequest, "InvalidRequest") // "Filter element can only be used in Lifecycle V2."
		default:
			d.raw = body
		}
	default:
		d.raw = nil
		w.WriteHeader(http.StatusNoContent)
	}
}

// place is the id of the repository that inBucket declares.
func place(s3 *testenv.S3Server) string {
	return fmt.Sprintf("s3://%s/pg?endpoint=%s&path_style=true", s3.Bucket, url.QueryEscape(s3.Endpoint))
}

// revisions is how many revisions of policy prod there are.
func revisions(t *testing.T, s3 *testenv.S3Server) int {
	t.Helper()
	past, err := providertest.Open(t, place(s3)).PolicyHistory(t.Context(), "prod")
	if err != nil {
		return 0
	}
	return len(past)
}

func TestAccPolicy_withoutTransitionsAsksForNoLifecycleRules(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	s3 := testenv.S3Front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		n := asked
		mu.Unlock()
		t.Errorf("%s %s", r.Method, r.URL)
		switch n % 4 {
		case 0:
			answer(w, http.StatusBadRequest, "InvalidArgument")
		case 1:
			answer(w, http.StatusForbidden, "AccessDenied")
		case 2:
			answer(w, http.StatusNotFound, "NoSuchKey")
		default:
			_, _ = io.WriteString(w, "<html>sign in</html>")
		}
	}))
	as(t, s3)
	w := providertest.NewWorkspace(t, inBucket(s3, "", daily(7)))
	passed(t, w.Apply(), "pgbackup_repository (s3://"+s3.Bucket+"/pg")
	w.Configure(inBucket(s3, "", daily(30)))
	passed(t, w.Apply())
	w.Configure(inBucket(s3, "", daily(30)+"\n  manage_lifecycle = false"))
	passed(t, w.Apply())
	w.Configure(inBucket(s3, "", daily(60)))
	passed(t, w.Apply())
	if n := revisions(t, s3); n != 3 {
		t.Errorf("%d revisions", n)
	}
	w.Configure(strings.Split(inBucket(s3, "", ""), "resource \"pgbackup_policy\"")[0])
	passed(t, w.Apply(), "pgbackup_policy (prod) will be retired")
}

func TestAccPolicy_rulesThatTheServerRefusesLeaveNothingBehind(t *testing.T) {
	bucket := &bucketRules{}
	s3 := testenv.S3Front(t, bucket)
	as(t, s3)
	w := providertest.NewWorkspace(t, inBucket(s3, "", moving("90d")))
	for code, words := range map[string][]string{
		"InvalidStorageClass": {"moves objects to GLACIER after 90 days", "manage_lifecycle = false", "storage.transitions"},
		"MalformedXML":        {"moves objects to GLACIER after 90 days", "manage_lifecycle = false"},
		"AccessDenied":        {"s3:PutLifecycleConfiguration"},
	} {
		status := http.StatusBadRequest
		if code == "AccessDenied" {
			status = http.StatusForbidden
		}
		bucket.refuse(status, code)
		out := w.Apply()
		for _, word := range words {
			if !out.Failed || !strings.Contains(out.String(), word) {
				t.Errorf("%s: the apply lacks %q: %s", code, word, out)
			}
		}
		if state := w.State(address); state != nil || revisions(t, s3) != 0 {
			t.Errorf("%s: the state is %v, and there are %d revisions", code, state, revisions(t, s3))
		}
	}

	w.Configure(inBucket(s3, "", daily(30)))
	w.MustApply()
	w.Configure(inBucket(s3, "", moving("90d")))
	if out := w.Apply(); !out.Failed {
		t.Errorf("the apply: %s", out)
	}
	if state := w.State(address); state["revision"] != 1.0 || state["lifecycle_rules"] != nil || revisions(t, s3) != 1 {
		t.Errorf("the state is %v, and there are %d revisions", state, revisions(t, s3))
	}
	bucket.refuse(0, "")
	passed(t, w.Apply())
	if state := w.State(address); state["revision"] != 2.0 || len(state["lifecycle_rules"].([]any)) != 1 {
		t.Errorf("the state is %v", state)
	}
	passed(t, w.Plan())
	if again := w.Show(address); again.Actions[0] != "no-op" {
		t.Errorf("a second plan does %v", again.Actions)
	}
}

func TestAccPolicy_rulesOfARevisionThatCouldNotBeWrittenAreTakenBack(t *testing.T) {
	bucket := &bucketRules{}
	var mu sync.Mutex
	denied := false
	s3 := testenv.S3Behind(t, func(objects http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.URL.Query().Has("lifecycle"):
				bucket.ServeHTTP(w, r)
			case denied && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/policies/"):
				answer(w, http.StatusForbidden, "AccessDenied")
			default:
				objects.ServeHTTP(w, r)
			}
		})
	})
	deny := func(yes bool) {
		mu.Lock()
		defer mu.Unlock()
		denied = yes
	}
	as(t, s3)
	w := providertest.NewWorkspace(t, strings.Split(inBucket(s3, "", ""), "resource \"pgbackup_policy\"")[0])
	w.MustApply()
	deny(true)
	w.Configure(inBucket(s3, "", moving("90d")))
	if out := w.Apply(); !out.Failed || bucket.document() != "" || bucket.puts != 1 {
		t.Errorf("the apply: %s\nleft after %d writes: %s", out, bucket.puts, bucket.document())
	}
	deny(false)
	w.MustApply()
	before := bucket.document()
	deny(true)
	w.Configure(inBucket(s3, "", moving("120d")))
	if out := w.Apply(); !out.Failed || bucket.document() != before || bucket.puts != 4 {
		t.Errorf("the apply: %s\nleft after %d writes: %s", out, bucket.puts, bucket.document())
	}
	if state := w.State(address); state["revision"] != 1.0 || !strings.Contains(fmt.Sprint(state["lifecycle_rules"]), `"Days":90,`) {
		t.Errorf("the state is %v", state)
	}
	deny(false)
	passed(t, w.Apply())
	passed(t, w.Plan())
}

func TestAccPolicy_foreignRulesOfTheOlderFormAreNamedBeforeAnythingIsWritten(t *testing.T) {
	const older = `<LifecycleConfiguration><Rule><ID>their logs</ID><Prefix>logs/</Prefix><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>`
	bucket := &bucketRules{raw: []byte(older)}
	s3 := testenv.S3Front(t, bucket)
	as(t, s3)
	w := providertest.NewWorkspace(t, inBucket(s3, "", moving("90d")))
	if out := w.Apply(); !out.Failed || !strings.Contains(out.String(), `"their logs"`) || !strings.Contains(out.String(), "<Filter><Prefix>") || revisions(t, s3) != 0 || bucket.puts != 0 {
		t.Errorf("%d writes, the apply: %s", bucket.puts, out)
	}
	bucket.mu.Lock()
	bucket.raw = []byte(strings.NewReplacer("<Prefix>", "<Filter><Prefix>", "</Prefix>", "</Prefix></Filter>").Replace(older))
	bucket.mu.Unlock()
	passed(t, w.Apply())
}

func TestAccPolicy_aClassThatTheServerDoesNotHaveIsNamedBeforeAnythingIsWritten(t *testing.T) {
	var mu sync.Mutex
	var tried []string
	s3 := testenv.S3Behind(t, func(objects http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			class := r.Header.Get("X-Amz-Storage-Class")
			if class != "" {
				mu.Lock()
				tried = append(tried, r.URL.Path+" "+class)
				mu.Unlock()
			}
			if class != "" && class != "STANDARD_IA" {
				answer(w, http.StatusBadRequest, "InvalidStorageClass")
				return
			}
			objects.ServeHTTP(w, r)
		})
	})
	as(t, s3)
	config := func(storage string) string { return inBucket(s3, "", daily(7)+"\n  storage = { "+storage+" }") }
	w := providertest.NewWorkspace(t, config(`class = "GLACIER_IR"`))
	if out := w.Apply(); !out.Failed || !strings.Contains(out.String(), "storage.class says GLACIER_IR") || w.State(address) != nil || revisions(t, s3) != 0 {
		t.Errorf("the apply: %s", out)
	}
	w.Configure(config(`classes = { daily = "ONEZONE_IA" }`))
	if out := w.Apply(); !out.Failed || !strings.Contains(out.String(), "storage.classes.daily says ONEZONE_IA") {
		t.Errorf("the apply: %s", out)
	}
	mu.Lock()
	n := len(tried)
	mu.Unlock()
	w.Configure(config(`class = "STANDARD_IA"`))
	if out := w.Apply(); out.Failed {
		t.Errorf("the apply: %s", out)
	}
	w.Configure(inBucket(s3, "", daily(60)+"\n  storage = { class = \"STANDARD_IA\" }")) // another rule tries nothing
	if out := w.Apply(); out.Failed {
		t.Errorf("the apply: %s", out)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(tried) != n+1 || !strings.Contains(tried[n], "/pg/locks/probe-") {
		t.Errorf("tried %q", tried)
	}
	left, err := s3.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: &s3.Bucket, Prefix: aws.String("pg/locks/probe-")})
	if err != nil || len(left.Contents) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}
