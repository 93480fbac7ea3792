package observe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// WriteEMF writes numbers in CloudWatch's embedded metric format: lines of JSON
// that become metrics when a log that reaches CloudWatch holds them. See
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func WriteEMF(w io.Writer, n Numbers) error {
	for _, s := range n.series() {
		if len(s.values) == 0 {
			continue
		}
		line, err := json.Marshal(s.emf(n))
		if err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write metrics: %w", err)
		}
	}
	return nil
}

type emfMetric struct {
	Name metric.Name
	Unit string
}

type emfDirective struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []emfMetric
}

// emf is one line: the values beside what says which of them are metrics.
func (s series) emf(n Numbers) map[string]any {
	directive := emfDirective{Namespace: metric.Namespace}
	document := map[string]any{}
	for _, set := range s.sets {
		var names []string
		for _, d := range set {
			names = append(names, d.Name)
			document[d.Name] = d.Value
		}
		directive.Dimensions = append(directive.Dimensions, names)
	}
	for _, name := range sortedKeys(s.values) {
		directive.Metrics = append(directive.Metrics, emfMetric{name, name.Unit()})
		if values := s.values[name]; len(values) == 1 {
			document[string(name)] = values[0]
		} else {
			document[string(name)] = values
		}
	}
	document["_aws"] = map[string]any{"Timestamp": n.At.UnixMilli(), "CloudWatchMetrics": []emfDirective{directive}}
	return document
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
