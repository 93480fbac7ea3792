// Package bytesize writes sizes for people, the same way in a plan and in a
// terminal. Documents for programs hold bytes; none of them comes through here.
package bytesize

import "fmt"

// Text writes a number of bytes in powers of 1024: "512 B", "1.4 GiB".
func Text(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	for value >= 1023.95 && unit < 6 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "BKMGTPE"[unit])
}
