// Package alarm decides which alarms watch the backups of a policy: over which
// numbers, by which maths, and from when on they ring.
//
// It is pure. What must not live here: CloudWatch and SNS (awsapi/alarms), and the
// names of the numbers (package metric).
package alarm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// Spec is what is to be watched. Zero values watch nothing.
type Spec struct {
	Repository string // value of the dimension, see metric.Repository
	Policy     string
	Name       string // what the names of the alarms begin with; "" is Policy
	// Jobs are the names of the schedules that are watched, each by itself.
	// Without one, all runs under the policy count together, and one job that
	// works hides another that does not.
	Jobs []string

	OverdueAfter time.Duration // without a success
	Failed       bool          // a run that failed
	Size         *Size
	StorageAbove int64         // bytes of all points of the repository
	GrowthPerDay int64         // bytes of them more than a day before
	WALLag       time.Duration // since the newest archived WAL
	WALGap       bool          // a gap in it, inside of what can be recovered to
	Drill        *Drill
}

// Size is how far a backup may be out of line with those before it, in percent of
// their median.
type Size struct {
	Below, Above int // 0 is no limit
}

// Drill is what is watched of restore drills.
type Drill struct {
	Jobs         []string
	OverdueAfter time.Duration // since one proved a backup
	Failed       bool
}

// Missing is what an alarm makes of absent data, as CloudWatch spells it.
type Missing string

const (
	Breaching    Missing = "breaching"
	NotBreaching Missing = "notBreaching"
)

// Alarm is one alarm of CloudWatch. JSON of it is shown in plans.
type Alarm struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Metrics     map[string]Series `json:"metrics"`    // by the id the expression has for each
	Expression  string            `json:"expression"` // metric math over the ids
	Period      int               `json:"period"`     // seconds
	Comparison  string            `json:"comparison"` // LessThanThreshold and so on
	Threshold   float64           `json:"threshold"`
	Periods     int               `json:"evaluation_periods"`
	ToAlarm     int               `json:"datapoints_to_alarm"`
	Missing     Missing           `json:"treat_missing_data"`
}

// Series is one metric.
type Series struct {
	Metric     metric.Name       `json:"metric"`
	Dimensions map[string]string `json:"dimensions"`
	Statistic  string            `json:"statistic"`
}

const (
	less    = "LessThanThreshold"
	greater = "GreaterThanThreshold"
	atLeast = "GreaterThanOrEqualToThreshold"
)

// Plan makes the alarms. The error names everything that is wrong with the spec,
// by the name of the attribute.
func Plan(s Spec) ([]Alarm, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	var alarms []Alarm
	for _, w := range s.watched(s.Jobs) {
		if s.OverdueAfter > 0 {
			alarms = append(alarms, s.overdue(w, s.OverdueAfter, metric.Age, "no backup succeeded"))
		}
		if s.Failed {
			alarms = append(alarms, s.failed(w, "a run failed"))
		}
		if s.Size != nil {
			alarms = append(alarms, s.size(w)...)
		}
	}
	whole := s.watched(nil)[0]
	if s.StorageAbove > 0 {
		alarms = append(alarms, s.storage(whole))
	}
	if s.GrowthPerDay > 0 {
		alarms = append(alarms, s.growth(whole))
	}
	if s.WALLag > 0 {
		alarms = append(alarms, s.walLag(whole))
	}
	if s.WALGap {
		alarms = append(alarms, s.walGap(whole))
	}
	if s.Drill != nil {
		for _, w := range s.watched(s.Drill.Jobs) {
			if s.Drill.OverdueAfter > 0 {
				a := s.overdue(w, s.Drill.OverdueAfter, metric.DrillAge, "no restore drill proved a backup")
				a.Name = s.name(w, "drill-overdue")
				alarms = append(alarms, a)
			}
			if s.Drill.Failed {
				a := s.failed(w, "a restore drill failed")
				a.Name = s.name(w, "drill-failed")
				alarms = append(alarms, a)
			}
		}
	}
	if len(alarms) == 0 {
		return nil, errors.New("nothing is watched: give overdue_after, or leave failed = true")
	}
	return alarms, nil
}

// Longest is how far back an alarm of CloudWatch can look over single runs.
const Longest = 7 * 24 * time.Hour

func (s Spec) validate() error {
	var errs []error
	check := func(attribute string, d time.Duration) {
		if d < 0 || d > 0 && d < 15*time.Minute {
			errs = append(errs, fmt.Errorf("%s = %s: give at least 15m", attribute, d))
		}
	}
	check("overdue_after", s.OverdueAfter)
	if s.WALLag < 0 || s.WALLag > 0 && s.WALLag < time.Minute {
		errs = append(errs, fmt.Errorf("wal_lag = %s: give at least 1m", s.WALLag))
	}
	if s.Drill != nil {
		check("drill.overdue_after", s.Drill.OverdueAfter)
		if len(s.Drill.Jobs) == 0 {
			errs = append(errs, errors.New("drill.jobs is missing: name the drills that are watched"))
		}
		for _, job := range s.Drill.Jobs {
			if slices.Contains(s.Jobs, job) {
				errs = append(errs, fmt.Errorf("%q is in both jobs and drill.jobs: a drill is watched in drill.jobs", job))
			}
		}
	}
	if z := s.Size; z != nil {
		switch {
		case z.Below == 0 && z.Above == 0:
			errs = append(errs, errors.New("size: give below_percent, above_percent or both"))
		case z.Below < 0 || z.Below >= 100:
			errs = append(errs, fmt.Errorf("size.below_percent = %d: give 1 to 99", z.Below))
		case z.Above != 0 && z.Above <= 100:
			errs = append(errs, fmt.Errorf("size.above_percent = %d: give more than 100", z.Above))
		}
	}
	return errors.Join(errs...)
}

// watch is one thing that is watched: a job, or all under the policy.
type watch struct {
	job        string // "" is all
	dimensions map[string]string
}

func (s Spec) watched(jobs []string) []watch {
	base := map[string]string{metric.DimensionRepository: s.Repository, metric.DimensionPolicy: s.Policy}
	if len(jobs) == 0 {
		return []watch{{dimensions: base}}
	}
	var all []watch
	for _, job := range slices.Sorted(slices.Values(jobs)) {
		all = append(all, watch{job, map[string]string{metric.DimensionRepository: s.Repository, metric.DimensionPolicy: s.Policy, metric.DimensionJob: job}})
	}
	return all
}

// name is one per alarm in an account: policies of two repositories may share
// theirs.
func (s Spec) name(w watch, what string) string {
	parts := []string{"pgbackup", s.named(), w.job, what, s.suffix()}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "-")
}

func (s Spec) named() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Policy
}

// suffix tells repositories apart.
func (s Spec) suffix() string {
	sum := sha256.Sum256([]byte(s.Repository))
	return hex.EncodeToString(sum[:4])
}

// Prefix is what the names of the alarms begin with.
func (s Spec) Prefix() string { return "pgbackup-" + s.named() + "-" }

// Topic is the name of the topic that is made for the alarms.
func (s Spec) Topic() string { return s.Prefix() + s.suffix() }

// of says in a description what is watched.
func (s Spec) of(w watch) string {
	if w.job == "" {
		return fmt.Sprintf("policy %s of %s", s.Policy, s.Repository)
	}
	return fmt.Sprintf("job %s, policy %s of %s", w.job, s.Policy, s.Repository)
}

// overdue rings when there was no success for a time.
//
// Up to Longest it looks at that many periods in a row: with 25h, at 25 hours,
// each of which has to be without a success. A success at 02:10 keeps it quiet
// until 03:10 of the next day; a run that is half an hour late does not ring.
//
// Longer times cannot be looked back over. There the age that a freshness job
// publishes every day is held against the time, and a day without a good age is
// as bad as a bad one: silence is an alarm.
func (s Spec) overdue(w watch, after time.Duration, age metric.Name, what string) Alarm {
	a := Alarm{
		Name:        s.name(w, "overdue"),
		Description: fmt.Sprintf("%s for %s: %s", what, Span(after), s.of(w)),
		Metrics:     map[string]Series{"armed": {metric.Armed, w.dimensions, "Sum"}},
		Comparison:  less, Threshold: 1, Missing: Breaching,
	}
	window := after
	if after > Longest {
		a.Metrics["age"] = Series{age, s.watched(nil)[0].dimensions, "Maximum"}
		a.Expression = fmt.Sprintf("FILL(IF(age <= %.0f, 1, 0), 0) + FILL(armed, 0)", after.Seconds())
		window = reported
	} else {
		a.Metrics["succeeded"] = Series{metric.Succeeded, w.dimensions, "Sum"}
		a.Expression = "FILL(succeeded, 0) + FILL(armed, 0)"
	}
	// CloudWatch looks back over at most a day in periods below an hour.
	period := time.Hour
	if window <= 6*time.Hour {
		period = 5 * time.Minute
	}
	a.Period, a.Periods = int(period/time.Second), int((window+period-1)/period)
	a.ToAlarm = a.Periods
	return a
}

// reported is how often the age has to be published: daily, with two hours for a
// run that is late.
const reported = 26 * time.Hour

// failed rings at each run that failed. It is over at the next run: whether there
// is a good backup at all is what overdue watches.
func (s Spec) failed(w watch, what string) Alarm {
	return Alarm{
		Name: s.name(w, "failed"), Description: what + ": " + s.of(w),
		Metrics:    map[string]Series{"failed": {metric.Failed, w.dimensions, "Sum"}},
		Expression: "FILL(failed, 0)", Period: 300, Comparison: atLeast, Threshold: 1, Periods: 1, ToAlarm: 1, Missing: NotBreaching,
	}
}

func (s Spec) size(w watch) []Alarm {
	var alarms []Alarm
	one := func(what, statistic, comparison string, percent int, text string) {
		alarms = append(alarms, Alarm{
			Name: s.name(w, what), Description: fmt.Sprintf("a backup is %s %d%% of the median of the seven before it: %s", text, percent, s.of(w)),
			Metrics:    map[string]Series{"ratio": {metric.SizeRatio, w.dimensions, statistic}},
			Expression: "ratio", Period: 300, Comparison: comparison, Threshold: float64(percent), Periods: 1, ToAlarm: 1, Missing: NotBreaching,
		})
	}
	if s.Size.Below > 0 {
		one("size-below", "Minimum", less, s.Size.Below, "below")
	}
	if s.Size.Above > 0 {
		one("size-above", "Maximum", greater, s.Size.Above, "above")
	}
	return alarms
}

func (s Spec) storage(w watch) Alarm {
	return Alarm{
		Name: s.name(w, "storage"), Description: fmt.Sprintf("the recovery points take more than %s: repository %s", bytesize.Text(s.StorageAbove), s.Repository),
		Metrics:    map[string]Series{"bytes": {metric.RepositoryBytes, w.dimensions, "Maximum"}},
		Expression: "bytes", Period: 3600, Comparison: greater, Threshold: float64(s.StorageAbove), Periods: 1, ToAlarm: 1, Missing: "ignore",
	}
}

// growth compares a day with the one before. RATE is the change in a second.
func (s Spec) growth(w watch) Alarm {
	return Alarm{
		Name: s.name(w, "growth"), Description: fmt.Sprintf("the recovery points grew by more than %s in a day: repository %s", bytesize.Text(s.GrowthPerDay), s.Repository),
		Metrics:    map[string]Series{"bytes": {metric.RepositoryBytes, w.dimensions, "Maximum"}},
		Expression: "RATE(FILL(bytes, REPEAT)) * 86400", Period: 86400, Comparison: greater, Threshold: float64(s.GrowthPerDay), Periods: 2, ToAlarm: 1, Missing: NotBreaching,
	}
}

func (s Spec) walLag(w watch) Alarm {
	return Alarm{
		Name: s.name(w, "wal-lag"), Description: fmt.Sprintf("the newest archived WAL is older than %s: %s", Span(s.WALLag), s.of(w)),
		Metrics:    map[string]Series{"lag": {metric.WALLag, w.dimensions, "Maximum"}, "armed": {metric.Armed, w.dimensions, "Sum"}},
		Expression: "IF(FILL(armed, 0) > 0, 0, lag)", Period: 300, Comparison: greater, Threshold: s.WALLag.Seconds(), Periods: 3, ToAlarm: 3, Missing: Breaching,
	}
}

// walGap rings for as long as there is a gap. What says nothing of one leaves it as it
// was: silence is what walLag rings for.
func (s Spec) walGap(w watch) Alarm {
	return Alarm{
		Name: s.name(w, "wal-gap"), Description: "the archived WAL has a gap, and what came after it cannot be recovered to before the next base backup: " + s.of(w),
		Metrics:    map[string]Series{"gaps": {metric.WALGaps, w.dimensions, "Maximum"}},
		Expression: "gaps", Period: 300, Comparison: atLeast, Threshold: 1, Periods: 1, ToAlarm: 1, Missing: "ignore",
	}
}

// Armed are the series that need a first point when the alarm is made, so that it
// does not ring before the first run had its time.
func (a Alarm) Armed() []Series {
	var list []Series
	for _, series := range a.Metrics {
		if series.Metric == metric.Armed {
			list = append(list, series)
		}
	}
	return list
}

// Span writes a length of time as people do: 25h, 7d, 90m.
func Span(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
