package config

import (
	"regexp"
	"strings"
)

// include is a reference from one file to others, as it is written.
type include struct {
	kind includeKind
	path string
}

type includeKind int

const (
	includeFile includeKind = iota
	includeIfExists
	includeDir
	includeNames // @file in pg_hba.conf: a list of names
)

var includeKinds = map[string]includeKind{"include": includeFile, "include_if_exists": includeIfExists, "include_dir": includeDir}

// parameter matches a line of postgresql.conf: name = 'value' # comment.
var parameter = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=?\s*(?:'((?:[^'\\]|''|\\.)*)'|([^\s#']+))`)

// parameters calls f for each line that sets something.
func parameters(text string, f func(name, value string)) {
	for line := range strings.Lines(text) {
		m := parameter.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		value := m[3]
		if value == "" {
			value = strings.NewReplacer("''", "'", `\'`, "'", `\\`, `\`).Replace(m[2])
		}
		f(strings.ToLower(m[1]), value)
	}
}

// confIncludes finds what postgresql.conf includes.
func confIncludes(text string) []include {
	var list []include
	parameters(text, func(name, value string) {
		if kind, ok := includeKinds[name]; ok {
			list = append(list, include{kind, value})
		}
	})
	return list
}

// hbaIncludes finds what pg_hba.conf and pg_ident.conf include: files by their own
// lines (PostgreSQL 16 and later), and lists of names by @file in a field.
func hbaIncludes(text string) []include {
	var list []include
	for line := range strings.Lines(text) {
		fields := tokens(line)
		if len(fields) == 2 {
			if kind, ok := includeKinds[fields[0]]; ok {
				list = append(list, include{kind, fields[1]})
				continue
			}
		}
		list = append(list, atFiles(fields)...)
	}
	return list
}

// namesIncludes finds what a list of names includes: other lists.
func namesIncludes(text string) []include {
	var list []include
	for line := range strings.Lines(text) {
		list = append(list, atFiles(tokens(line))...)
	}
	return list
}

func atFiles(fields []string) []include {
	var list []include
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f, "@"); ok && name != "" {
			list = append(list, include{includeNames, name})
		}
	}
	return list
}

// tokens splits a line as pg_hba.conf is split: at white space and commas, with
// quotes around what holds either, up to a comment.
func tokens(line string) []string {
	var list []string
	var b strings.Builder
	quoted, any := false, false
	flush := func() {
		if any {
			list = append(list, b.String())
		}
		b.Reset()
		any = false
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case quoted:
			b.WriteRune(r)
		case r == '#':
			flush()
			return list
		case r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n':
			flush()
		default:
			b.WriteRune(r)
			any = true
		}
	}
	flush()
	return list
}
