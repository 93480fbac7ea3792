package sqlscript

import "strings"

// TokenKind tells the tokens apart that are kept.
type TokenKind int

// Kinds of tokens.
const (
	Word    TokenKind = iota // a keyword or a name without quotes, as written
	Quoted                   // a name, without its quotes
	Literal                  // a text, without its quotes
)

// Token of a statement.
type Token struct {
	Text  string
	Kind  TokenKind
	Depth int // of the parentheses around it
}

func (t Token) is(keyword string) bool { return t.Kind == Word && fold(t.Text, keyword) }

// Name is the name that the token stands for, "" for a literal.
func (t Token) Name() string {
	switch t.Kind {
	case Word:
		return strings.ToLower(t.Text)
	case Quoted:
		return t.Text
	}
	return ""
}

// Tokens are the names, keywords and short literals of a statement, the first 256.
// Of an INSERT only the first few are kept.
type Tokens []Token

// Begin tells whether the statement begins with these keywords.
func (t Tokens) Begin(keywords ...string) bool { return t.at(0, keywords...) }

func (t Tokens) at(i int, keywords ...string) bool {
	if len(t) < i+len(keywords) {
		return false
	}
	for j, k := range keywords {
		if !t[i+j].is(k) {
			return false
		}
	}
	return true
}

// Find is where these keywords follow one another outside parentheses, -1 for
// nowhere.
func (t Tokens) Find(keywords ...string) int {
	for i := range t {
		if t[i].Depth == 0 && t.at(i, keywords...) {
			return i
		}
	}
	return -1
}

// last is like Find from the end.
func (t Tokens) last(keyword string) int {
	for i := len(t) - 1; i >= 0; i-- {
		if t[i].Depth == 0 && t[i].is(keyword) {
			return i
		}
	}
	return -1
}

// Name is the name at i, "" when there is none.
func (t Tokens) Name(i int) string {
	if i < 0 || i >= len(t) {
		return ""
	}
	return t[i].Name()
}

// fold compares with an upper-case ASCII keyword.
func fold(text, keyword string) bool {
	return len(text) == len(keyword) && strings.EqualFold(text, keyword)
}

func undouble(s string, quote byte) string {
	q := string(quote)
	return strings.ReplaceAll(s, q+q, q)
}
