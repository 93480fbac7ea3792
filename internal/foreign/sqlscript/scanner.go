package sqlscript

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxStatement bounds one statement in bytes. COPY rows are not part of one; a
// statement that is larger holds a single huge value.
const MaxStatement = 256 << 20

// ErrTooLarge: a statement has more than MaxStatement bytes.
var ErrTooLarge = errors.New("a statement is too large")

const (
	bufferSize  = 1 << 20
	keptComment = 1 << 10 // bytes of a comment line that are looked at
	keptTokens  = 256     // of a statement
	keptLiteral = 256     // bytes of a literal that are kept as a token
)

// Kind of an Item.
type Kind int

// Kinds of items.
const (
	Statement Kind = iota
	Command        // a line that begins with a backslash: one of psql's
)

// Item is a statement without its semicolon, or a command with its arguments.
type Item struct {
	Kind   Kind
	Text   string
	Line   int // of its first character, from 1
	Tokens Tokens
	// Inner: a semicolon is inside it, in parentheses or in a function's body.
	Inner bool
}

// Scanner reads a script once, from its beginning to its end.
type Scanner struct {
	// Comment is told of every line comment between statements, cut to 1 KiB. May be nil.
	Comment func(text string)

	r     *bufio.Reader
	line  int // number of newlines read, plus one
	limit int // of a statement, in bytes

	buf    []byte // of the item being read
	start  int    // its line
	tokens Tokens
	depth  int // of parentheses
	begin  int // of BEGIN … END in a function's body
	names  int // unquoted names so far
	first  [4]byte
	inner  bool
	escape bool // the token before was an E'…' literal
	broken bool // and a newline followed it
}

// NewScanner reads a script.
func NewScanner(r io.Reader) *Scanner {
	return &Scanner{r: bufio.NewReaderSize(r, bufferSize), line: 1, limit: MaxStatement}
}

// Line is the number of the line being read, from 1.
func (s *Scanner) Line() int { return s.line }

// Next returns the next item, io.EOF after the last. backslashes tells that the
// session has standard_conforming_strings off, where a backslash escapes in every
// literal; that can change from one statement to the next. A statement that the
// end of the script cuts is returned as it is: the server will say what it lacks.
func (s *Scanner) Next(backslashes bool) (Item, error) {
	s.buf, s.tokens = s.buf[:0], nil
	s.depth, s.begin, s.names, s.inner, s.escape, s.broken = 0, 0, 0, false, false, false
	s.first = [4]byte{}
	for {
		c, err := s.byte()
		if errors.Is(err, io.EOF) {
			if text := strings.TrimSpace(string(s.buf)); text != "" {
				return Item{Statement, text, s.start, s.tokens, s.inner}, nil
			}
			return Item{}, io.EOF
		}
		if err != nil {
			return Item{}, err
		}
		if c == ';' && s.depth == 0 && s.begin == 0 {
			if len(s.buf) == 0 {
				continue // an empty statement
			}
			return Item{Statement, strings.TrimSpace(string(s.buf)), s.start, s.tokens, s.inner}, nil
		}
		if c == '\\' {
			if len(s.buf) > 0 {
				return Item{}, fmt.Errorf("line %d: a backslash command inside a statement, which no dump has", s.line)
			}
			return s.command()
		}
		if err := s.token(c, backslashes); err != nil {
			return Item{}, err
		}
		if len(s.buf) > s.limit {
			return Item{}, fmt.Errorf("line %d: %w: it has more than %d MiB", s.start, ErrTooLarge, s.limit>>20)
		}
	}
}

// token takes one token that begins with c.
func (s *Scanner) token(c byte, backslashes bool) error {
	escape, broken := s.escape, s.broken
	switch {
	case isSpace(c):
		s.broken = s.broken || c == '\n'
		if len(s.buf) > 0 {
			s.buf = append(s.buf, c)
		}
		return nil
	case c == '-' && s.peek(0) == '-':
		return s.lineComment()
	case c == '/' && s.peek(0) == '*':
		return s.blockComment()
	}
	s.escape, s.broken = false, false
	if len(s.buf) == 0 {
		s.start = s.line
	}
	switch {
	case c == '\'':
		// A literal goes on after a newline as the kind it began as.
		if escape && broken {
			s.escape = true
			return s.literal(true)
		}
		return s.literal(backslashes)
	case c == '"':
		return s.quotedName()
	case c == '$':
		return s.dollar()
	case isNameStart(c):
		return s.word(c, backslashes)
	case c == '(':
		s.depth++
	case c == ')' && s.depth > 0:
		s.depth--
	case c == ';':
		s.inner = true
	}
	s.buf = append(s.buf, c)
	return nil
}

// command takes the rest of a line that begins with a backslash.
func (s *Scanner) command() (Item, error) {
	item := Item{Kind: Command, Line: s.line}
	s.buf = append(s.buf, '\\')
	for {
		c, err := s.byte()
		if errors.Is(err, io.EOF) || c == '\n' {
			break
		}
		if err != nil {
			return Item{}, err
		}
		if len(s.buf) > keptComment {
			return Item{}, fmt.Errorf("line %d: %w: a backslash command of more than %d bytes", item.Line, ErrTooLarge, keptComment)
		}
		s.buf = append(s.buf, c)
	}
	item.Text = strings.TrimSpace(string(s.buf))
	return item, nil
}

func (s *Scanner) lineComment() error {
	inside := len(s.buf) > 0
	text := []byte{'-'}
	if inside {
		s.buf = append(s.buf, '-')
	}
	for {
		c, err := s.byte()
		if errors.Is(err, io.EOF) || c == '\n' {
			break
		}
		if err != nil {
			return err
		}
		if inside {
			if s.buf = append(s.buf, c); len(s.buf) > s.limit {
				return nil // told by who called
			}
		} else if len(text) < keptComment {
			text = append(text, c)
		}
	}
	s.broken = true
	if inside {
		s.buf = append(s.buf, '\n')
	} else if s.Comment != nil {
		s.Comment(strings.TrimSpace(string(text)))
	}
	return nil
}

// blockComment takes a comment that may have others inside; nothing of it is kept.
func (s *Scanner) blockComment() error {
	if _, err := s.byte(); err != nil {
		return err
	}
	if len(s.buf) > 0 {
		s.buf = append(s.buf, ' ')
	}
	for depth := 1; depth > 0; {
		c, err := s.byte()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: a comment does not end", s.line)
		}
		if err != nil {
			return err
		}
		switch {
		case c == '/' && s.peek(0) == '*':
			depth++
			_, _ = s.byte() // it was there a moment ago
		case c == '*' && s.peek(0) == '/':
			depth--
			_, _ = s.byte()
		}
	}
	return nil
}

// byte takes one byte.
func (s *Scanner) byte() (byte, error) {
	c, err := s.r.ReadByte()
	if c == '\n' && err == nil {
		s.line++
	}
	return c, err
}

// peek is the byte that follows after n others, 0 at the end.
func (s *Scanner) peek(n int) byte {
	b, _ := s.r.Peek(n + 1) // a failure shows when it is read
	if len(b) <= n {
		return 0
	}
	return b[n]
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isNamePart(c byte) bool { return isNameStart(c) || c >= '0' && c <= '9' || c == '$' }
