package physical

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// dataDirectory is the line of a configuration that has the server use another
// directory than the one it is started on.
var dataDirectory = regexp.MustCompile(`(?im)^[ \t]*data_directory(?:[ \t]*=[ \t]*|[ \t]+)('(?:[^'\n]|\x27\x27)*'|[^ \t\n#]+)`)

// elsewhere warns of a configuration that came with the backup and names a data
// directory: started by hand, the server would run on that one, which may be the one
// that is to be replaced by this.
func (r *restore) elsewhere(configuration []byte) {
	all := dataDirectory.FindAllStringSubmatch(string(configuration), -1)
	if len(all) == 0 {
		return
	}
	to := strings.ReplaceAll(strings.Trim(all[len(all)-1][1], "'"), "''", "'")
	if filepath.Clean(to) != r.Directory {
		r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("%s says data_directory = %s: a server that is started on %s runs on %s instead, until that line is changed", mainConf, to, r.Directory, to))
	}
}

// shellWord is text as one word of a shell.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
