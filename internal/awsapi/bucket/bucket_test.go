package bucket

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// foreign is a document full of what SDK types do not know.
const foreign = `<?xml version="1.0"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/" future="1">
  <!-- legal -->
  <Rule><ID>keep  this</ID><Filter><And><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><Prefix>a&#38;b</Prefix></And></Filter><Status>Enabled</Status><Melt><At>noon</At></Melt></Rule>
</LifecycleConfiguration>
`

func apply(t *testing.T, b *Bucket, owner lifecycle.Owner, rules []lifecycle.Rule) {
	t.Helper()
	if err := b.Apply(t.Context(), owner, rules); err != nil {
		t.Fatal(err)
	}
}

func TestForeignRulesAndTheSizeSettingKeepEveryByte(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	owner, rules := lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 7)
	apply(t, b, owner, rules)
	with := r.document()
	cut := strings.Replace(with, with[strings.Index(with, "<Rule><ID>pgbackup/"):strings.LastIndex(with, "</Rule>")+len("</Rule>")], "", 1)
	if cut != foreign || with == foreign {
		t.Errorf("the document became\n%s", with)
	}
	if r.minimum != "varies_by_storage_class" {
		t.Errorf("the setting for the smallest object became %q", r.minimum)
	}
	apply(t, b, owner, rules)
	if n := r.count(http.MethodPut); n != 1 {
		t.Errorf("%d writes for one change", n)
	}
	apply(t, b, owner, nil)
	if r.document() != foreign || r.minimum != "varies_by_storage_class" {
		t.Errorf("after our rules went: %s\n%s", r.minimum, r.document())
	}
}

func TestTheDocumentGoesWithItsLastRule(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, "")
	owner := lifecycle.Repository("")
	apply(t, b, owner, nil)
	if n := r.count(http.MethodPut) + r.count(http.MethodDelete); n != 0 {
		t.Errorf("%d writes where nothing was to be done", n)
	}
	apply(t, b, owner, lifecycle.OfRepository("", 30, 0))
	apply(t, b, owner, nil)
	if r.document() != "" || r.count(http.MethodDelete) != 1 {
		t.Errorf("left: %s", r.document())
	}
}

func TestARealServerGivesTheRulesBackInItsOwnFormAndNothingIsWrittenTwice(t *testing.T) {
	t.Parallel()
	b := open(testenv.S3WithLifecycle(t))
	owner := lifecycle.Policy("prod", "pg")
	rules := []lifecycle.Rule{{
		ID: "pgbackup/prod/daily@" + strings.SplitAfter(lifecycle.OfRepository("pg", 1, 0)[0].ID, "@")[1], Prefix: "pg/points/",
		Tags:        map[string]string{lifecycle.TagPolicy: "prod", lifecycle.TagTier: "daily"},
		Transitions: []lifecycle.Transition{{Days: 30, Class: "STANDARD_IA"}, {Days: 90, Class: "GLACIER"}},
	}}
	apply(t, b, owner, rules)
	apply(t, b, lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 7))
	c, err := b.Lifecycle(t.Context())
	if err != nil || len(lifecycle.Drift(rules, c.Own(owner))) > 0 || c.Len() != 3 {
		t.Fatalf("%+v, %v", c.Own(owner), err)
	}
	if _, _, changed, err := b.merged(t.Context(), owner, rules); err != nil || changed {
		t.Errorf("changed %t, %v", changed, err)
	}
	apply(t, b, owner, nil)
	apply(t, b, lifecycle.Repository("pg"), nil)
	if raw, _, err := b.GetLifecycle(t.Context()); err != nil || raw != nil {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestWritersAtTheSameTimeAllLand(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	var wg sync.WaitGroup
	prefixes := []string{"a", "b", "c"}
	for _, p := range prefixes {
		wg.Go(func() {
			if err := b.Apply(t.Context(), lifecycle.Repository(p), lifecycle.OfRepository(p, 30, 7)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c, err := lifecycle.Parse([]byte(r.document()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prefixes {
		if own := c.Own(lifecycle.Repository(p)); !reflect.DeepEqual(own, lifecycle.OfRepository(p, 30, 7)) {
			t.Errorf("rules of %s: %+v", p, own)
		}
	}
}

func TestAChangeWaitsForTheOneUnderWay(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	lease, _, err := b.lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, func() {
		if n := r.count(http.MethodPut); n != 0 {
			t.Errorf("%d writes while somebody else has the lease", n)
		}
		if err := lease.Release(); err != nil {
			t.Error(err)
		}
	})
	apply(t, b, lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 7))
	if n := r.count(http.MethodPut); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestABucketThatShowsOlderRulesForAWhileIsWaitedFor(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	stale := 0
	r.afterPut = func() { stale = 1 }
	r.answer = func(method string, w http.ResponseWriter) bool {
		if method != http.MethodGet || stale == 0 {
			return false
		}
		stale--
		_, _ = w.Write([]byte(foreign))
		return true
	}
	apply(t, b, lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 7))
	if reads := r.count(http.MethodGet); reads < 2+1+steady {
		t.Errorf("only %d reads", reads)
	}
}

func TestAnotherOwnerOfTheWholeConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	r.afterPut = func() { r.raw = []byte(foreign) }
	err := b.Apply(t.Context(), lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 0))
	var competitor *CompetitorError
	if !errors.As(err, &competitor) || competitor.Seen[0] != "keep  this" || !strings.HasPrefix(competitor.Lost[0], "pgbackup/repository/versions@") {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{`"keep  this"`, "aws_s3_bucket_lifecycle_configuration", "pgbackup/repository/versions@"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestRulesThatNeverShowAreSaid(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, "")
	r.afterPut = func() { r.raw = nil }
	err := b.Apply(t.Context(), lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 0))
	if err == nil || !strings.Contains(err.Error(), "are not as written") || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("%v", err)
	}
}

func TestAServerWithoutLifecycleRulesIsToldApart(t *testing.T) {
	t.Parallel()
	b := open(testenv.S3(t)) // answers 501
	_, _, err := b.GetLifecycle(t.Context())
	if !errors.Is(err, ErrNoLifecycle) || !strings.Contains(err.Error(), "HTTP 501") {
		t.Errorf("read: %v", err)
	}
	if err := b.Apply(t.Context(), lifecycle.Repository("pg"), nil); !errors.Is(err, ErrNoLifecycle) {
		t.Errorf("apply: %v", err)
	}
	if err := b.DeleteLifecycle(t.Context()); !errors.Is(err, ErrNoLifecycle) {
		t.Errorf("remove: %v", err)
	}
}

func TestARefusalNamesThePermissionThatIsMissing(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	refused := http.MethodGet
	r.answer = func(method string, w http.ResponseWriter) bool {
		if method != refused {
			return false
		}
		fail(w, http.StatusForbidden, "AccessDenied")
		return true
	}
	rules := lifecycle.OfRepository("pg", 30, 0)
	if err := b.Apply(t.Context(), lifecycle.Repository("pg"), rules); !errors.Is(err, objstore.ErrDenied) || !strings.Contains(err.Error(), "s3:GetLifecycleConfiguration on arn:aws:s3:::test-bucket") {
		t.Errorf("read: %v", err)
	}
	r.mu.Lock()
	refused = http.MethodPut
	r.mu.Unlock()
	if err := b.Apply(t.Context(), lifecycle.Repository("pg"), rules); !errors.Is(err, objstore.ErrDenied) || !strings.Contains(err.Error(), "s3:PutLifecycleConfiguration") {
		t.Errorf("write: %v", err)
	}
}

func TestWhoChangesRulesOfOneOwnerOnlyIsNotTakenForAnotherOwnerOfAllRules(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	apply(t, b, lifecycle.Repository("other"), lifecycle.OfRepository("other", 30, 0))
	before := r.document()
	r.afterPut = func() { r.raw = []byte(before) } // drops what comes
	err := b.Apply(t.Context(), lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 0, 7))
	var competitor *CompetitorError
	if err == nil || errors.As(err, &competitor) || !strings.Contains(err.Error(), "whether this server has such rules") {
		t.Errorf("%v", err)
	}
}

func TestRulesTheServerRefusesAreNamedWithWhatTheyDo(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"InvalidStorageClass", "InvalidArgument", "MalformedXML", "InvalidRequest"} {
		b, r := recorded(t, foreign)
		r.answer = func(method string, w http.ResponseWriter) bool {
			if method == http.MethodPut {
				fail(w, http.StatusBadRequest, code)
			}
			return method == http.MethodPut
		}
		err := b.Apply(t.Context(), lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 0, 7))
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "drops unfinished uploads after 7 days") || r.document() != foreign {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// As S3 answers to it, which no server here does.
func TestRulesOfTheOlderFormAreRefusedBeforeTheServerRefusesTheMix(t *testing.T) {
	t.Parallel()
	const older = `<LifecycleConfiguration><Rule><ID>older</ID><Prefix>logs/</Prefix><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>`
	b, r := recorded(t, older)
	rules := lifecycle.OfRepository("pg", 30, 0)
	var mixed *lifecycle.OldFormError
	for name, err := range map[string]error{
		"asked": b.Possible(t.Context(), lifecycle.Repository("pg"), rules), "applied": b.Apply(t.Context(), lifecycle.Repository("pg"), rules),
	} {
		if !errors.As(err, &mixed) || !strings.Contains(err.Error(), `"older"`) || r.count(http.MethodPut) != 0 {
			t.Errorf("%s: %v, %d writes", name, err, r.count(http.MethodPut))
		}
	}
	apply(t, b, lifecycle.Repository("pg"), nil)
	if err := b.PutLifecycle(t.Context(), []byte(strings.Replace(older, "</Rule>", "</Rule><Rule><Filter/></Rule>", 1)), ""); !errors.Is(err, ErrRefused) {
		t.Errorf("the server takes the mix: %v", err)
	}
}

func TestAnAnswerThatIsNoConfigurationIsNeverWrittenBack(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a page of a proxy": "<html><body>sign in</body></html>",
		"entities":          `<!DOCTYPE a [<!ENTITY b "c">]><LifecycleConfiguration>&b;</LifecycleConfiguration>`,
		"cut off":           foreign[:len(foreign)-30],
		"not XML":           "{}",
	} {
		b, r := recorded(t, answer)
		err := b.Apply(t.Context(), lifecycle.Repository("pg"), lifecycle.OfRepository("pg", 30, 0))
		if !errors.Is(err, lifecycle.ErrNotConfiguration) || !strings.Contains(err.Error(), "nothing was changed") || r.count(http.MethodPut) != 0 {
			t.Errorf("%s: %v, %d writes", name, err, r.count(http.MethodPut))
		}
	}
}

func TestAFailingServerIsAskedAgain(t *testing.T) {
	t.Parallel()
	b, r := recorded(t, foreign)
	left := 2
	r.answer = func(_ string, w http.ResponseWriter) bool {
		if left--; left < 0 {
			return false
		}
		if left == 0 { // S3 can say so with status 200 too
			_, _ = w.Write([]byte("<Error><Code>InternalError</Code></Error>"))
			return true
		}
		fail(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	}
	if raw, _, err := b.GetLifecycle(t.Context()); err != nil || string(raw) != foreign {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestABucketThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	s := testenv.S3WithLifecycle(t)
	s.Bucket = "no-such-bucket"
	if _, _, err := open(s).GetLifecycle(t.Context()); !errors.Is(err, objstore.ErrNoBucket) || !strings.Contains(err.Error(), "no-such-bucket") {
		t.Errorf("%v", err)
	}
}
