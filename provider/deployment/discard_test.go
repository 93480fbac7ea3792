package deployment

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
)

func TestWhatARunMayStillAskForStaysForADay(t *testing.T) {
	t.Parallel()
	mark := func(target, file string) usemark.Use {
		return usemark.Use{Runner: "r", Job: "nightly", Target: target, File: file}
	}
	now, before, elsewhere := mark(deploy.Fargate, "now"), mark(deploy.Fargate, "before"), mark(deploy.Lambda, "other")
	yesterday, lastWeek := mark(deploy.Fargate, "yesterday").End(), mark(deploy.Fargate, "last week").End()
	longAgo := func(u usemark.Use) (bool, error) { return u == lastWeek, nil }
	all := []usemark.Use{now, before, elsewhere, yesterday, lastWeek}
	keep := &papers{uses: []usemark.Use{now}}
	for name, c := range map[string]struct {
		ending
		all   []usemark.Use
		want  going
		files []string
	}{
		"an update": {
			ending{deploy.Fargate, "before", keep, true}, all,
			going{marks: []usemark.Use{before, lastWeek}, replaced: []usemark.Use{before.End()}}, []string{"last week"},
		},
		"a change of the repository": {
			ending{deploy.Fargate, "before", keep, false}, all,
			going{marks: []usemark.Use{before, yesterday, lastWeek}}, []string{"before", "last week", "yesterday"},
		},
		"a destroy": {
			ending{deploy.Fargate, "now", nil, false}, all,
			going{marks: []usemark.Use{now, before, yesterday, lastWeek}}, []string{"before", "last week", "now", "yesterday"},
		},
		"a move": {
			ending{deploy.Fargate, "now", &papers{uses: []usemark.Use{elsewhere}}, true}, []usemark.Use{now, elsewhere},
			going{marks: []usemark.Use{now}, replaced: []usemark.Use{now.End()}}, nil,
		},
		"back to what was before": {
			ending{deploy.Fargate, "before", &papers{uses: []usemark.Use{mark(deploy.Fargate, "last week")}}, true},
			[]usemark.Use{mark(deploy.Fargate, "last week"), before, lastWeek},
			going{marks: []usemark.Use{before, lastWeek}, replaced: []usemark.Use{before.End()}}, nil,
		},
		"without marks": {ending{deploy.Fargate, "now", nil, false}, nil, going{}, []string{"now"}},
	} {
		got, files, err := c.of(c.all, longAgo)
		if err != nil || !reflect.DeepEqual(got, c.want) || !slices.Equal(files, c.files) {
			t.Errorf("%s: %+v %v %v", name, got, files, err)
		}
	}
	broken := errors.New("no answer")
	if _, _, err := (ending{deploy.Fargate, "before", keep, true}).of(all, func(usemark.Use) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("a mark that cannot be read: %v", err)
	}
}
