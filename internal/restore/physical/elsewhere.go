package physical

import (
	"fmt"
	"path/filepath"
	"strings"
)

// elsewhere warns of a configuration that came with the backup and names a data
// directory: started by hand, the server would run on that one, which may be the one
// that is to be replaced by this.
func (r *restore) elsewhere(configuration []byte) {
	if to, is := valueIn(string(configuration), "data_directory"); is && filepath.Clean(to) != r.Directory {
		r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("%s says data_directory = %s: a server that is started on %s runs on %s instead, until that line is changed", mainConf, to, r.Directory, to))
	}
}

// shellWord is text as one word of a shell.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
