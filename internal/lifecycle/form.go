package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// form is how a rule says which objects it is for.
type form int

const (
	formNone   form = iota // neither of them
	formFilter             // <Filter>, since 2016; what pgbackup writes
	formPrefix             // S3's older form, a <Prefix> of the rule itself
)

func (e *element) form() form {
	f := formNone
	for _, c := range e.children {
		switch {
		case c.name.Space != e.name.Space:
		case c.name.Local == "Filter":
			return formFilter
		case c.name.Local == "Prefix":
			f = formPrefix
		}
	}
	return f
}

// OldFormError: rules of others are of S3's older form. AWS takes no document in
// which rules of both forms stand: "Filter element can only be used in Lifecycle
// V2".
type OldFormError struct {
	Rules []string // their ids; "" for one without
}

func (e *OldFormError) Error() string {
	var names []string
	for i, id := range e.Rules {
		if i == 5 {
			names = append(names, fmt.Sprintf("%d more", len(e.Rules)-i))
			break
		}
		names = append(names, fmt.Sprintf("%q", clip(id)))
	}
	return fmt.Sprintf("the rules %s have S3's older form, a <Prefix> of the rule itself, beside which S3 takes no rule with a <Filter>: write them with <Filter><Prefix>…</Prefix></Filter>, which means the same "+
		"(filter { prefix = … } instead of prefix in an aws_s3_bucket_lifecycle_configuration; the AWS console does it when each of them is saved again)", strings.Join(names, ", "))
}

// mixes is the OldFormError of a document that our edits would be the first to
// put a filter into. Where both forms stand already, or the server made the older
// one of a rule of ours, it takes them.
func (c Configuration) mixes(edits []edit) error {
	e := &OldFormError{}
	for _, r := range c.rules {
		switch {
		case r.form == formFilter, r.form == formPrefix && r.ours():
			return nil
		case r.form == formPrefix:
			e.Rules = append(e.Rules, r.ID)
		}
	}
	writes := slices.ContainsFunc(edits, func(e edit) bool { return len(e.text) > 0 })
	if !writes || len(e.Rules) == 0 {
		return nil
	}
	return e
}
