package alarm

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// Recover works out, from alarms that Plan made, what they watch: the reverse of
// Plan, for those that are taken over. Others are left out, as a name that does not
// belong to the spec is.
func Recover(s Spec, alarms []Alarm) (Spec, []Alarm) {
	var ours []Alarm
	for _, a := range alarms {
		if !strings.HasPrefix(a.Name, s.Prefix()) || !strings.HasSuffix(a.Name, "-"+s.suffix()) || !a.of(s) {
			continue
		}
		ours = append(ours, a)
		job := a.job()
		what := strings.TrimSuffix(strings.TrimPrefix(a.Name, s.Prefix()), "-"+s.suffix())
		if job != "" {
			what = strings.TrimPrefix(what, job+"-")
		}
		if kind, drill := strings.CutPrefix(what, "drill-"); drill {
			if s.Drill == nil {
				s.Drill = &Drill{}
			}
			s.Drill.Jobs = with(s.Drill.Jobs, job)
			s.Drill.Failed = s.Drill.Failed || kind == "failed"
			s.Drill.OverdueAfter = max(s.Drill.OverdueAfter, a.window(kind))
			continue
		}
		switch what {
		case "overdue":
			s.Jobs, s.OverdueAfter = with(s.Jobs, job), a.window(what)
		case "failed":
			s.Jobs, s.Failed = with(s.Jobs, job), true
		case "size-below", "size-above":
			if s.Size == nil {
				s.Size = &Size{}
			}
			s.Jobs = with(s.Jobs, job)
			if what == "size-below" {
				s.Size.Below = int(a.Threshold)
			} else {
				s.Size.Above = int(a.Threshold)
			}
		case "storage":
			s.StorageAbove = int64(a.Threshold)
		case "growth":
			s.GrowthPerDay = int64(a.Threshold)
		case "wal-lag":
			s.WALLag = time.Duration(a.Threshold) * time.Second
		case "wal-gap":
			s.WALGap = true
		}
	}
	return s, ours
}

// of tells whether the alarm is over numbers of the policy.
func (a Alarm) of(s Spec) bool {
	for _, series := range a.Metrics {
		if series.Dimensions[metric.DimensionRepository] != s.Repository || series.Dimensions[metric.DimensionPolicy] != s.Policy {
			return false
		}
	}
	return len(a.Metrics) > 0
}

func (a Alarm) job() string {
	for _, series := range a.Metrics {
		if job := series.Dimensions[metric.DimensionJob]; job != "" {
			return job
		}
	}
	return ""
}

// window is the time an alarm of the kind overdue waits for.
func (a Alarm) window(kind string) time.Duration {
	if kind != "overdue" {
		return 0
	}
	if _, rest, ok := strings.Cut(a.Expression, "age <= "); ok {
		number, _, _ := strings.Cut(rest, ",")
		seconds, err := strconv.ParseInt(number, 10, 64)
		if err == nil {
			return time.Duration(seconds) * time.Second
		}
	}
	return time.Duration(a.Period*a.Periods) * time.Second
}

func with(jobs []string, job string) []string {
	if job == "" || slices.Contains(jobs, job) {
		return jobs
	}
	return append(jobs, job)
}
