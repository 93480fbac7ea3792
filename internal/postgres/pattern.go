package postgres

import (
	"fmt"
	"regexp"
	"strings"
)

// Pattern is a pattern of pg_dump's options -t and -n, for names that are not in
// a database but in an archive.
type Pattern struct {
	Text      string
	Qualified bool // it names a schema too
	Literal   bool // it has no wildcards, so at most one name of a schema matches

	schema, name *regexp.Regexp
}

// TablePattern reads a pattern of tables: NAME or SCHEMA.NAME, see Selection.
func TablePattern(text string) (Pattern, error) {
	parts := patternToRegexps(text)
	if len(parts) > 2 {
		return Pattern{}, &reason{kind: ErrNoMatch, text: fmt.Sprintf("table pattern %s has too many dots; put a name that contains dots in double quotes", text)}
	}
	p := Pattern{Text: text, Qualified: len(parts) == 2, Literal: literal(text)}
	var err error
	if p.name, err = nameRegexp("table", text, parts[len(parts)-1]); err == nil && p.Qualified {
		p.schema, err = nameRegexp("table", text, parts[0])
	}
	return p, err
}

// SchemaPattern reads a pattern of schemas.
func SchemaPattern(text string) (Pattern, error) {
	parts := patternToRegexps(text)
	if len(parts) > 1 {
		return Pattern{}, &reason{kind: ErrNoMatch, text: fmt.Sprintf("schema pattern %s has too many dots; put a name that contains dots in double quotes", text)}
	}
	schema, err := nameRegexp("schema", text, parts[0])
	return Pattern{Text: text, Qualified: true, Literal: literal(text), schema: schema}, err
}

// Match tells whether the pattern means the named table, or schema.
func (p Pattern) Match(schema, name string) bool {
	return (p.schema == nil || p.schema.MatchString(schema)) && (p.name == nil || p.name.MatchString(name))
}

func nameRegexp(what, text, expression string) (*regexp.Regexp, error) {
	compiled, err := regexp.Compile("(?s)" + expression)
	if err != nil {
		return nil, &reason{kind: ErrNoMatch, text: fmt.Sprintf("%s pattern %s is not valid: %v; put names with special characters in double quotes", what, text, err), cause: err}
	}
	return compiled, nil
}

// literal tells whether a pattern has no wildcards outside quotes.
func literal(text string) bool {
	quoted := false
	for _, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && strings.ContainsRune("*?|+()[]{}^\\", c):
			return false
		}
	}
	return true
}
