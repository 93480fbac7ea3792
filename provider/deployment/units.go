package deployment

import (
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// fromUnits takes from the units, or from the file for cron, what a job file
// does not say. What is not there, or not written the way this provider writes
// it, stays for the next plan to set.
func (on *hostModel) fromUnits(p places) {
	take := func(into *types.String, value string) {
		// '%' begins a specifier or is an escape: not the text that was declared.
		if value != "" && !strings.ContainsAny(value, `%"'\`) {
			*into = types.StringValue(value)
		}
	}
	service, timer := lines(p.service), lines(p.timer)
	take(&on.User, after(service, "User="))
	take(&on.EnvironmentFile, after(service, "EnvironmentFile=-"))
	take(&on.RandomizedDelay, delay(after(timer, "RandomizedDelaySec=")))
	for _, line := range lines(p.cron) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(fields) < 7 {
			continue
		}
		if fields[5] != "root" { // also what is written when no user is declared
			take(&on.User, fields[5])
		}
		if _, rest, ok := strings.Cut(line, "if [ -r "); ok {
			file, _, _ := strings.Cut(rest, " ]; then ")
			take(&on.EnvironmentFile, file)
		}
	}
}

// delay writes a number of seconds, which units have, as a person would: 300s is
// 5m. Anything else stays as it is.
func delay(text string) string {
	number, ok := strings.CutSuffix(text, "s")
	n, err := strconv.Atoi(number)
	switch {
	case !ok || err != nil || n == 0 || n%60 != 0:
		return text
	case n%3600 == 0:
		return strconv.Itoa(n/3600) + "h"
	}
	return strconv.Itoa(n/60) + "m"
}

// lines of a file; none when there is no such file.
func lines(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Split(string(content), "\n")
}

// after gives what follows a prefix on the first line that has it.
func after(lines []string, prefix string) string {
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, prefix); ok {
			return value
		}
	}
	return ""
}
