package metric

import "strings"

// maxValue is how long the value of a dimension may be.
const maxValue = 1024

// Value is a name as the value of a dimension, for which CloudWatch takes ASCII
// only, not beginning with a colon: other characters become '?'.
func Value(name string) string {
	value := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	if strings.HasPrefix(value, ":") {
		value = "?" + value[1:]
	}
	return value[:min(len(value), maxValue)]
}
