package lifecycle

import (
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// OfPolicy compiles what a valid policy says about storage classes to rules for
// the data of its recovery points, found by their tags. keyPrefix is the prefix
// of its repository in the bucket, "" for the whole bucket.
//
// One rule does for all points where all tiers move alike; otherwise each tier
// has its own. A tier with a class of its own is moved there a day after the
// point got the tier, because points are uploaded under the shortest tier and
// become weekly or yearly later.
//
// For example, keep_daily and keep_monthly, class STANDARD_IA, and for monthly
// points GLACIER after 90d, make one rule: monthly, 90 days, GLACIER.
func OfPolicy(doc policy.Document, keyPrefix string) []Rule {
	owner := Policy(doc.Name, keyPrefix)
	tiers := doc.Tiers()
	chains := make([][]Transition, len(tiers))
	for i, tier := range tiers {
		chains[i] = chain(doc, tier)
	}
	rule := func(part string, transitions []Transition) Rule {
		return Rule{ID: owner.id(part), Prefix: below(keyPrefix, "points/"), Tags: map[string]string{TagPolicy: doc.Name}, Transitions: transitions}
	}
	alike := !slices.ContainsFunc(chains, func(c []Transition) bool { return !slices.Equal(c, chains[0]) })
	if alike {
		if len(chains) == 0 || len(chains[0]) == 0 {
			return nil
		}
		return []Rule{rule(allTiers, chains[0])}
	}
	var rules []Rule
	for i, tier := range tiers {
		if len(chains[i]) > 0 {
			r := rule(tier, chains[i])
			r.Tags[TagTier] = tier
			rules = append(rules, r)
		}
	}
	return rules
}

// chain lists the classes objects of a tier move through, youngest first.
func chain(doc policy.Document, tier string) []Transition {
	var all []Transition
	for _, t := range doc.Storage.TransitionsOf(tier) {
		all = append(all, Transition{Days: t.Days(), Class: t.Class})
	}
	begins, uploaded := doc.Storage.UploadClass(tier), retention.Rules{Keep: doc.Retention}.UploadTier()
	if moves(doc.Storage.UploadClass(uploaded), begins) && (len(all) == 0 || all[0].Days > 1) {
		all = slices.Insert(all, 0, Transition{Days: 1, Class: begins})
	}
	return all
}

// moves tells whether S3 moves objects from one class to another: only ever down.
// Points of a tier whose class is higher than that of their upload, by default
// STANDARD, stay where they were uploaded to.
func moves(from, to string) bool {
	source, err := storageclass.Parse(from)
	if err != nil {
		return false
	}
	target, err := storageclass.Parse(to)
	return err == nil && source.MovesTo(target)
}
