package sqlscript

import (
	"errors"
	"fmt"
	"io"
)

// word takes a name or keyword, or the letter that a literal begins with.
func (s *Scanner) word(c byte, backslashes bool) error {
	from := len(s.buf)
	s.buf = append(s.buf, c)
	for isNamePart(s.peek(0)) {
		next, err := s.byte()
		if err != nil {
			return err
		}
		if s.buf = append(s.buf, next); len(s.buf) > s.limit {
			return nil // told by who called
		}
	}
	name := s.buf[from:]
	if len(name) == 1 {
		letter, next := name[0]|0x20, s.peek(0)
		if letter == 'u' && next == '&' && (s.peek(1) == '\'' || s.peek(1) == '"') {
			_, _ = s.byte()
			quote, err := s.byte()
			if err != nil {
				return err
			}
			s.buf = append(s.buf, '&')
			if quote == '"' {
				return s.quotedName()
			}
			return s.literal(false)
		}
		if next == '\'' {
			switch letter {
			case 'e':
				s.escape = true
				return s.prefixed(true)
			case 'b', 'x':
				return s.prefixed(false)
			case 'n':
				return s.prefixed(backslashes)
			}
		}
	}
	s.name(string(name))
	return nil
}

func (s *Scanner) prefixed(backslashes bool) error {
	if _, err := s.byte(); err != nil {
		return err
	}
	return s.literal(backslashes)
}

// name notes an unquoted name, and whether it begins or ends the body of a
// function: semicolons in there end nothing. Short of a parser, psql decides it by
// the words that the statement begins with, and so does this.
func (s *Scanner) name(text string) {
	s.keep(Token{text, Word, s.depth})
	if s.names < len(s.first) {
		for _, known := range []string{"CREATE", "FUNCTION", "PROCEDURE", "OR", "REPLACE"} {
			if fold(text, known) {
				s.first[s.names] = known[0]
			}
		}
	}
	s.names++
	makes := string(s.first[:2]) == "CF" || string(s.first[:2]) == "CP" ||
		string(s.first[:]) == "CORF" || string(s.first[:]) == "CORP"
	if !makes || s.depth > 0 {
		return
	}
	switch {
	case fold(text, "BEGIN"), fold(text, "CASE") && s.begin > 0:
		s.begin++
	case fold(text, "END") && s.begin > 0:
		s.begin--
	}
}

// literal takes what follows an opening quote. A doubled quote ends it and begins
// it again, which comes to the same.
func (s *Scanner) literal(backslashes bool) error {
	s.buf = append(s.buf, '\'')
	from := len(s.buf)
	for {
		c, err := s.inside("a literal")
		if err != nil {
			return err
		}
		switch {
		case c == '\\' && backslashes:
			if _, err := s.inside("a literal"); err != nil {
				return err
			}
		case c == '\'' && s.peek(0) == '\'':
			if _, err := s.inside("a literal"); err != nil {
				return err
			}
		case c == '\'':
			if text := s.buf[from : len(s.buf)-1]; len(text) <= keptLiteral {
				s.keep(Token{undouble(string(text), '\''), Literal, s.depth})
			}
			return nil
		}
	}
}

func (s *Scanner) quotedName() error {
	s.buf = append(s.buf, '"')
	from := len(s.buf)
	for {
		c, err := s.inside("a quoted name")
		if err != nil {
			return err
		}
		switch {
		case c == '"' && s.peek(0) == '"':
			if _, err := s.inside("a quoted name"); err != nil {
				return err
			}
		case c == '"':
			s.keep(Token{undouble(string(s.buf[from:len(s.buf)-1]), '"'), Quoted, s.depth})
			return nil
		}
	}
}

// dollar takes $tag$ … $tag$, or a lone dollar sign.
func (s *Scanner) dollar() error {
	s.buf = append(s.buf, '$')
	n := 0
	for isNamePart(s.peek(n)) && s.peek(n) != '$' && n < 64 {
		n++
	}
	if s.peek(n) != '$' || n > 0 && !isNameStart(s.peek(0)) {
		return nil
	}
	tag := []byte{'$'}
	for range n + 1 {
		c, err := s.inside("a dollar quote")
		if err != nil {
			return err
		}
		tag = append(tag, c)
	}
	body := len(s.buf)
	for {
		c, err := s.inside("a dollar quote")
		if err != nil {
			return err
		}
		if c == '$' && len(s.buf)-body >= len(tag) && string(s.buf[len(s.buf)-len(tag):]) == string(tag) {
			return nil
		}
	}
}

// inside takes one byte of something that must end.
func (s *Scanner) inside(what string) (byte, error) {
	c, err := s.byte()
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("line %d: the file ends inside %s: %w", s.start, what, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return 0, err
	}
	if len(s.buf) > s.limit {
		return 0, fmt.Errorf("line %d: %w: it has more than %d MiB", s.start, ErrTooLarge, s.limit>>20)
	}
	s.buf = append(s.buf, c)
	return c, nil
}

// keep notes a token. Of rows written as INSERT nothing is asked but that.
func (s *Scanner) keep(t Token) {
	if len(s.tokens) >= keptTokens || len(s.tokens) > 2 && s.tokens[0].is("INSERT") {
		return
	}
	s.tokens = append(s.tokens, t)
}
