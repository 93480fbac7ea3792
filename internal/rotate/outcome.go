package rotate

import (
	"maps"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// addFacts fills in what is known of the points whose manifests are loaded.
func (o *Outcome) addFacts(listed []repo.Listed) {
	loaded := map[repo.Ref]*repo.Listed{}
	for i := range listed {
		if listed[i].Manifest != nil {
			loaded[listed[i].Ref] = &listed[i]
		}
	}
	for _, list := range [][]Decision{o.Keep, o.Delete} {
		for i := range list {
			d := &list[i]
			if l := loaded[d.ref]; l != nil {
				d.Bytes, d.made, d.committed, d.end, d.system = l.Manifest.StoredSize(), madeUnder(l.Manifest), l.Committed, l.End, l.System
			}
		}
	}
}

// addTiers fills in the tiers of the points that the rules do not keep.
func (o *Outcome) addTiers(listed []repo.Listed) {
	without := map[repo.Ref]*Decision{}
	for _, list := range [][]Decision{o.Keep, o.Delete} {
		for i := range list {
			if d := &list[i]; d.Tier == "" {
				without[d.ref] = d
			}
		}
	}
	for i := range listed {
		if d := without[listed[i].Ref]; d != nil {
			d.Tier = listed[i].Tier
		}
	}
}

// kept is the decision of a point that the rules would delete and that stays.
func (d Decision) kept(by keeper, why string) Decision {
	d.keeper, d.Reasons = by, append([]string{why}, d.Reasons...) // reasons may share memory
	return d
}

// spare moves what of a source would be deleted to what is kept, until something
// is put right.
func (o *Outcome) spare(source, why string) {
	o.spareIf(keptForNow, func(d Decision) string {
		if d.Source == source {
			return why
		}
		return ""
	})
}

// spareIf moves what would be deleted and has a reason to stay to what is kept,
// and returns how many that were.
func (o *Outcome) spareIf(by keeper, why func(Decision) string) int {
	doomed := o.Delete
	o.Delete = make([]Decision, 0, len(doomed))
	for _, d := range doomed {
		if reason := why(d); reason != "" {
			o.Keep = append(o.Keep, d.kept(by, reason))
		} else {
			o.Delete = append(o.Delete, d)
		}
	}
	return len(doomed) - len(o.Delete)
}

// sources lists the sources of an outcome, in alphabetical order. Points without
// one are strangers' files, which nobody decides about.
func (o Outcome) sources() []string {
	var names []string
	for _, d := range slices.Concat(o.Keep, o.Delete) {
		if d.Source != "" {
			names = append(names, d.Source)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// of is the part of an outcome that is about one source.
func (o Outcome) of(source string) Outcome {
	other := func(d Decision) bool { return d.Source != source }
	o.Keep = slices.DeleteFunc(slices.Clone(o.Keep), other)
	o.Delete = slices.DeleteFunc(slices.Clone(o.Delete), other)
	o.warnings = slices.DeleteFunc(slices.Clone(o.warnings), func(w warning) bool { return w.source != source })
	o.restricted = maps.Clone(o.restricted)
	maps.DeleteFunc(o.restricted, func(r restricted, _ int) bool { return r.source != source })
	return o
}

func (o Outcome) keepAll(why string) Outcome {
	for _, d := range o.Delete {
		o.Keep = append(o.Keep, d.kept(keptForNow, why))
	}
	o.Delete = nil
	return o
}

func (o *Outcome) addWAL(w WAL) { o.WAL = append(o.WAL, w) }

func (o *Outcome) add(part Outcome) {
	o.WAL = append(o.WAL, part.WAL...)
	o.Keep = append(o.Keep, part.Keep...)
	o.Delete = append(o.Delete, part.Delete...)
	o.warnings = append(o.warnings, part.warnings...)
	for r, n := range part.restricted {
		o.restricted[r] += n
	}
}

// warning is one about a source, or about no source in particular.
type warning struct{ source, text string }

func (o *Outcome) warn(source, text string) { o.warnings = append(o.warnings, warning{source, text}) }

// told is the outcome with its warnings as users get them.
func (o Outcome) told() Outcome {
	for _, w := range o.warnings {
		o.Warnings = append(o.Warnings, w.text)
	}
	o.Warnings = append(o.Warnings, o.restrictedWarnings()...)
	return o
}
