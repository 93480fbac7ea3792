package storageclass

import (
	"strings"
	"testing"
	"time"
)

func TestArchivesHaveTheTiersAndHoursThatS3Documents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class, tier, text string
		within            time.Duration
	}{
		{Glacier, TierExpedited, "1 to 5 minutes", 5 * time.Minute},
		{Glacier, TierStandard, "3 to 5 hours", 5 * time.Hour},
		{Glacier, TierBulk, "5 to 12 hours", 12 * time.Hour},
		{DeepArchive, TierStandard, "up to 12 hours", 12 * time.Hour},
		{DeepArchive, TierBulk, "up to 48 hours", 48 * time.Hour},
	} {
		class, err := Parse(c.class)
		if err != nil {
			t.Fatal(err)
		}
		r, err := class.Retrieval(c.tier)
		if err != nil || r.String() != c.text || r.Within != c.within {
			t.Errorf("%s %s: %s within %s, %v", c.class, c.tier, r, r.Within, err)
		}
	}
	for _, c := range All() {
		if first := c.Retrievals(); c.Archived && (len(first) == 0 || first[0].Tier != TierStandard) {
			t.Errorf("%s: %v, want the standard tier first", c.Name, first)
		}
	}
}

func TestATierThatAClassDoesNotHaveNamesThoseItHas(t *testing.T) {
	t.Parallel()
	deep, _ := Parse(DeepArchive)
	if _, err := deep.Retrieval(TierExpedited); err == nil || !strings.Contains(err.Error(), "give standard or bulk") {
		t.Error(err)
	}
	instant, _ := Parse(GlacierIR)
	if _, err := instant.Retrieval(TierStandard); err == nil || !strings.Contains(err.Error(), "read at once") {
		t.Error(err)
	}
	if tier, err := ParseTier("bULK"); err != nil || tier != TierBulk {
		t.Errorf("%s, %v", tier, err)
	}
	if tier, err := ParseTier(""); err != nil || tier != TierStandard {
		t.Errorf("%s, %v", tier, err)
	}
	if _, err := ParseTier("blk"); err == nil || !strings.Contains(err.Error(), `did you mean "bulk"?`) {
		t.Error(err)
	}
}

func TestTheLowerOfTwoClassesIsTheSlowerOne(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"", Glacier, Glacier}, {Glacier, "", Glacier}, {DeepArchive, Glacier, DeepArchive}, {Standard, DeepArchive, DeepArchive}, {Glacier, "NEVER_HEARD", Glacier}} {
		if got := Lower(c[0], c[1]); got != c[2] {
			t.Errorf("of %q and %q: %q, want %q", c[0], c[1], got, c[2])
		}
	}
}
