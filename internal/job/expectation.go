package job

import (
	"fmt"
	"math/big"
	"strings"
)

// Expectation is what a check of a drill must find.
type Expectation struct {
	operator string   // "", one of operators, or nonEmpty
	value    string   // to be equal to, as PostgreSQL writes it
	number   *big.Rat // of a comparison
}

const nonEmpty = "non-empty"

// operators, the longer ones first: "<=" also begins with "<".
var operators = []string{"<=", ">=", "!=", "<>", "==", "<", ">", "="}

// ParseExpectation reads what a check expects: a value ("true", "42", "ready"), a
// comparison with a number ("> 100", "<= 5", "!= 0"), or "non-empty". "" is "true".
func ParseExpectation(text string) (Expectation, error) {
	text = strings.TrimSpace(text)
	switch text {
	case "":
		return Expectation{value: "true"}, nil
	case nonEmpty:
		return Expectation{operator: nonEmpty}, nil
	}
	for _, op := range operators {
		rest, ok := strings.CutPrefix(text, op)
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		number, isNumber := new(big.Rat).SetString(rest)
		switch op {
		case "=", "==":
			return Expectation{value: rest}, nil
		case "!=", "<>":
			return Expectation{operator: "!=", value: rest}, nil
		}
		if !isNumber {
			return Expectation{}, fmt.Errorf("%.100q: %s compares with a number, such as %q", text, op, op+" 100")
		}
		return Expectation{operator: op, number: number}, nil
	}
	return Expectation{value: text}, nil
}

// Met tells whether rows of a result, and the text of the first column of the first
// one (null without a value), are what was expected.
func (e Expectation) Met(rows int, first string, null bool) bool {
	if e.operator == nonEmpty {
		return rows > 0
	}
	if rows == 0 || null {
		return false
	}
	switch e.operator {
	case "":
		return equalValues(first, e.value)
	case "!=":
		return !equalValues(first, e.value)
	}
	got, ok := new(big.Rat).SetString(first)
	if !ok {
		return false
	}
	order := got.Cmp(e.number)
	switch e.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

// equalValues compares texts as people mean them: PostgreSQL writes true as t, and
// 42 is 42.0.
func equalValues(got, want string) bool {
	if got == want {
		return true
	}
	if b, ok := boolean(want); ok {
		g, ok := boolean(got)
		return ok && g == b
	}
	w, isNumber := new(big.Rat).SetString(want)
	g, also := new(big.Rat).SetString(got)
	return isNumber && also && w.Cmp(g) == 0
}

func boolean(s string) (value, is bool) {
	switch strings.ToLower(s) {
	case "t", "true":
		return true, true
	case "f", "false":
		return false, true
	}
	return false, false
}
