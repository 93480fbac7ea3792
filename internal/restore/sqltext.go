package restore

import (
	"regexp"
	"strings"
)

// identifier is a name as pg_dump writes it: quoted where it must be.
const identifier = `("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)`

// unquote gives the name that an identifier stands for.
func unquote(name string) string {
	if strings.HasPrefix(name, `"`) {
		return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	}
	return name
}

// identifiers unquotes a list such as `bob, "O'Brien"`.
func identifiers(list string) []string {
	var names []string
	for _, m := range oneIdentifier.FindAllString(list, -1) {
		names = append(names, unquote(m))
	}
	return names
}

var oneIdentifier = regexp.MustCompile(identifier)

// statements splits what pg_dump or pg_dumpall wrote at the semicolons that end
// statements, which are returned without them. Comments and psql's commands,
// each a line of its own, are left out.
func statements(sql string) []string {
	var out []string
	var b strings.Builder
	add := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			out = append(out, s)
		}
		b.Reset()
	}
	for i := 0; i < len(sql); {
		rest := sql[i:]
		lineStart := strings.TrimSpace(b.String()) == "" && (i == 0 || sql[i-1] == '\n')
		switch {
		case lineStart && (strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, `\`)):
			line, _, _ := strings.Cut(rest, "\n")
			i += min(len(line)+1, len(rest))
		case rest[0] == '\'' || rest[0] == '"':
			n := quotedLength(rest, rest[0] == '\'' && i > 0 && sql[i-1] == 'E')
			b.WriteString(rest[:n])
			i += n
		case rest[0] == ';':
			add()
			i++
		default:
			b.WriteByte(rest[0])
			i++
		}
	}
	add()
	return out
}

// quotedLength is how long the literal or name is that s begins with, in bytes.
// A doubled quote ends it and begins it again, which comes to the same.
func quotedLength(s string, backslashes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case backslashes && s[i] == '\\':
			i++
		case s[i] == s[0] && backslashes && i+1 < len(s) && s[i+1] == s[0]:
			i++ // still inside E'…', where backslashes go on to escape
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}
