package policy

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
)

// The JSON form of a lifecycle rule, as `aws s3api put-bucket-lifecycle-configuration`
// takes it. Rules that mean the same have the same form.
type (
	jsonRule struct {
		ID          string           `json:"ID"`
		Filter      jsonFilter       `json:"Filter"`
		Status      string           `json:"Status"`
		Transitions []jsonTransition `json:"Transitions,omitempty"`
		Noncurrent  *jsonNoncurrent  `json:"NoncurrentVersionExpiration,omitempty"`
		Abort       *jsonAbort       `json:"AbortIncompleteMultipartUpload,omitempty"`
		// Other elements that somebody added, by name: not part of S3's form.
		Other []string `json:"Other,omitempty"`
	}
	jsonFilter struct {
		And jsonAnd `json:"And"`
	}
	jsonAnd struct {
		Prefix string    `json:"Prefix"`
		Tags   []jsonTag `json:"Tags"`
	}
	jsonTag struct {
		Key   string `json:"Key"`
		Value string `json:"Value"`
	}
	jsonTransition struct {
		Days         int    `json:"Days"`
		StorageClass string `json:"StorageClass"`
	}
	jsonNoncurrent struct {
		NoncurrentDays int `json:"NoncurrentDays"`
	}
	jsonAbort struct {
		DaysAfterInitiation int `json:"DaysAfterInitiation"`
	}
)

func ruleJSON(r lifecycle.Rule) string {
	out := jsonRule{ID: r.ID, Filter: jsonFilter{And: jsonAnd{Prefix: r.Prefix}}, Status: "Enabled", Other: r.Other}
	if r.Disabled {
		out.Status = "Disabled"
	}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		out.Filter.And.Tags = append(out.Filter.And.Tags, jsonTag{Key: key, Value: r.Tags[key]})
	}
	for _, t := range r.Transitions {
		out.Transitions = append(out.Transitions, jsonTransition{Days: t.Days, StorageClass: t.Class})
	}
	slices.SortFunc(out.Transitions, func(a, b jsonTransition) int {
		return cmp.Or(cmp.Compare(a.Days, b.Days), cmp.Compare(a.StorageClass, b.StorageClass))
	})
	if r.NoncurrentDays > 0 {
		out.Noncurrent = &jsonNoncurrent{r.NoncurrentDays}
	}
	if r.AbortDays > 0 {
		out.Abort = &jsonAbort{r.AbortDays}
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // numbers and texts can be written
	}
	return string(data)
}

// ordered gives the rules by id.
func ordered(rules []lifecycle.Rule) []lifecycle.Rule {
	return slices.SortedFunc(slices.Values(rules), func(a, b lifecycle.Rule) int { return cmp.Compare(a.ID, b.ID) })
}
