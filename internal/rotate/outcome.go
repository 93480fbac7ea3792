package rotate

import (
	"maps"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// addBytes fills in what the manifests say that are loaded: the stored size, and
// the policy that a point was made under.
func (o *Outcome) addBytes(listed []repo.Listed) {
	sizes, made := map[repo.Ref]int64{}, map[repo.Ref]string{}
	for i := range listed {
		if m := listed[i].Manifest; m != nil {
			sizes[listed[i].Ref], made[listed[i].Ref] = m.StoredSize(), madeUnder(m)
		}
	}
	for _, list := range [][]Decision{o.Keep, o.Delete} {
		for i := range list {
			list[i].Bytes, list[i].made = sizes[list[i].ref], made[list[i].ref]
		}
	}
}

// kept is the decision of a point that the rules would delete and that stays.
func (d Decision) kept(why string) Decision {
	d.Reasons = append([]string{why}, d.Reasons...) // reasons may share memory
	return d
}

// spare moves what of a source would be deleted to what is kept.
func (o *Outcome) spare(source, why string) {
	o.spareIf(func(d Decision) string {
		if d.Source == source {
			return why
		}
		return ""
	})
}

// spareIf moves what would be deleted and has a reason to stay to what is kept,
// and returns how many that were.
func (o *Outcome) spareIf(why func(Decision) string) int {
	doomed := o.Delete
	o.Delete = make([]Decision, 0, len(doomed))
	for _, d := range doomed {
		if reason := why(d); reason != "" {
			o.Keep = append(o.Keep, d.kept(reason))
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
		o.Keep = append(o.Keep, d.kept(why))
	}
	o.Delete = nil
	return o
}

func (o *Outcome) add(part Outcome) {
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
