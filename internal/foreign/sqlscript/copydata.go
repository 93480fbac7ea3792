package sqlscript

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Rows are the lines that follow a COPY … FROM stdin, up to the line \. that ends
// them. The next item can be asked for when they were read to their end.
type Rows struct {
	s       *Scanner
	pending []byte // of the scanner's buffer: good until the next read from it
	begun   bool   // the end of the line of the COPY itself was taken
	newline bool   // pending begins a line
	done    bool
}

// Rows are those that follow the statement just returned.
func (s *Scanner) Rows() *Rows { return &Rows{s: s, newline: true} }

// Read gives the rows as COPY wants them. A script that ends among them is
// io.ErrUnexpectedEOF.
func (r *Rows) Read(p []byte) (int, error) {
	if !r.begun {
		r.begun = true
		// The rows begin on the line after the semicolon.
		if _, err := r.s.r.ReadSlice('\n'); err != nil {
			return 0, unexpected(err)
		}
		r.s.line++
	}
	n := 0
	for n < len(p) {
		if len(r.pending) == 0 {
			if r.done {
				break
			}
			// What is read of a slow source is passed on before more is waited for.
			if n > 0 && r.s.r.Buffered() == 0 {
				break
			}
			if err := r.more(); err != nil {
				return n, err
			}
			continue
		}
		c := copy(p[n:], r.pending)
		r.pending = r.pending[c:]
		n += c
	}
	if n == 0 && r.done {
		return 0, io.EOF
	}
	return n, nil
}

// more takes the next line, or as much of it as the buffer holds.
func (r *Rows) more() error {
	line, err := r.s.r.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) && r.newline && string(line) == `\.` {
			r.done = true
			return nil
		}
		return unexpected(err)
	}
	if r.newline && (string(line) == "\\.\n" || string(line) == "\\.\r\n") {
		r.s.line++
		r.done = true
		return nil
	}
	r.newline = bytes.HasSuffix(line, []byte("\n"))
	if r.newline {
		r.s.line++
	}
	r.pending = line
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
