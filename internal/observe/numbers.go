package observe

import (
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// Numbers are what a run publishes: those of the run as a whole, and those of each
// source it knows something about. Units are those of package metric.
type Numbers struct {
	At                      time.Time
	Repository, Policy, Job string // values of the dimensions; "" leaves a dimension out
	Run                     map[metric.Name]float64
	Many                    map[metric.Name][]float64 // of the run, several values of one moment
	Own                     map[metric.Name]float64   // of the job alone, not of its policy
	Sources                 map[string]map[metric.Name]float64
}

// Dimension is one name and value a number is published under.
type Dimension struct{ Name, Value string }

// series is numbers that are published under the same sets of dimensions.
type series struct {
	sets   [][]Dimension
	values map[metric.Name][]float64
}

// series applies the sets of dimensions that package metric promises.
func (n Numbers) series() []series {
	policy := given(Dimension{metric.DimensionRepository, n.Repository}, Dimension{metric.DimensionPolicy, n.Policy})
	run := given(append(policy, Dimension{metric.DimensionJob, n.Job})...)
	all := each(n.Run)
	for name, values := range n.Many {
		if len(values) > 0 {
			all[name] = ends(values)
		}
	}
	list := []series{{[][]Dimension{policy, run}, all}, {[][]Dimension{run}, each(n.Own)}}
	for _, source := range sortedKeys(n.Sources) {
		set := given(append(run, Dimension{metric.DimensionSource, metric.Value(source)})...)
		list = append(list, series{[][]Dimension{set}, each(n.Sources[source])})
	}
	return list
}

func each(values map[metric.Name]float64) map[metric.Name][]float64 {
	lists := make(map[metric.Name][]float64, len(values))
	for name, value := range values {
		lists[name] = []float64{value}
	}
	return lists
}

// maxValues is how many values the embedded metric format takes of one metric.
const maxValues = 100

// ends leaves out the middle of too many values: alarms ask for the extremes.
func ends(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) > maxValues {
		return append(sorted[:maxValues/2:maxValues/2], sorted[len(sorted)-maxValues/2:]...)
	}
	return sorted
}

// given leaves out the dimensions without a value, which CloudWatch refuses.
func given(dimensions ...Dimension) []Dimension {
	list := make([]Dimension, 0, len(dimensions))
	for _, d := range dimensions {
		if d.Value != "" {
			list = append(list, d)
		}
	}
	return list
}
