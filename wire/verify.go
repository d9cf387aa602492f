package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// verifier is a decoder and what it reads from; both are used again.
type verifier struct {
	d jsontext.Decoder
	b bytes.Buffer
}

var verifiers = sync.Pool{New: func() any { return new(verifier) }}

// Verify reports whether b is exactly one JSON value with one reading: valid UTF-8, no duplicate members, no byte order
// mark, no U+0000, nothing after the value, and within l. The error is an *Error.
func Verify(b []byte, l Limits) error {
	if l.Bytes > 0 && len(b) > l.Bytes {
		return &Error{"wire.too_large", -1, fmt.Sprintf("message of %d bytes is over the limit of %d", len(b), l.Bytes), true}
	}
	if isPlain(b, l) {
		return nil
	}
	return verify(b, l)
}

// verify is the full reader.
func verify(b []byte, l Limits) error {
	// Our own bounds come first: they cost one pass over the bytes and keep the decoder from deep or huge input.
	if err := bound(b, l); err != nil {
		return err
	}
	v := verifiers.Get().(*verifier)
	defer verifiers.Put(v)
	v.b = *bytes.NewBuffer(b)
	d := &v.d
	d.Reset(&v.b)
	if _, err := d.ReadValue(); err != nil {
		e := syntaxError(err)
		if e.Offset < 0 { // it ends too early
			e.Offset = len(b)
		}
		return e
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return &Error{"wire.trailing_data", int(d.InputOffset()), "bytes after the JSON value", true}
	}
	return nil
}

func syntaxError(err error) *Error {
	var se *jsontext.SyntacticError
	e := &Error{Code: "wire.syntax", Offset: -1, Msg: "not valid JSON", Parse: true}
	if errors.As(err, &se) {
		e.Offset = int(se.ByteOffset)
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			e.Code, e.Msg = "wire.duplicate_member", "an object has the same member twice"
		case se.Err != nil:
			e.Msg = "not valid JSON: " + se.Err.Error()
			if bytes.Contains([]byte(e.Msg), []byte("UTF-8")) || bytes.Contains([]byte(e.Msg), []byte("surrogate")) {
				e.Code = "wire.encoding"
			}
		}
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		e.Msg = "not valid JSON: it ends too early"
	}
	return e
}

// bound checks depth, members, number length and U+0000 in one pass. It makes no judgement on syntax.
func bound(b []byte, l Limits) error {
	members := 0
	var room [64]bool
	arrays := room[:0] // of the containers that are open, which are arrays
	over := func(i int) error {
		if members++; l.Members > 0 && members > l.Members {
			return &Error{"wire.members", i, fmt.Sprintf("more than %d members", l.Members), true}
		}
		return nil
	}
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					if i+5 < len(b) && b[i+1] == 'u' && string(b[i+2:i+6]) == "0000" {
						return &Error{"wire.encoding", i, "the character U+0000 is not accepted", true}
					}
					i++
				}
			}
		case '{', '[':
			if arrays = append(arrays, c == '['); l.Depth > 0 && len(arrays) > l.Depth {
				return &Error{"wire.depth", i, fmt.Sprintf("nested deeper than %d", l.Depth), true}
			}
			if next := skipSpace(b, i+1); c == '[' && next < len(b) && b[next] != ']' {
				if err := over(i); err != nil {
					return err
				}
			}
		case '}', ']':
			arrays = arrays[:max(len(arrays)-1, 0)]
		case ':', ',': // a member of an object has a colon; each element of an array but the first a comma
			if c == ':' || len(arrays) > 0 && arrays[len(arrays)-1] {
				if err := over(i); err != nil {
					return err
				}
			}
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			start := i
			for i+1 < len(b) && (b[i+1] >= '0' && b[i+1] <= '9' || b[i+1] == '.' || b[i+1] == 'e' || b[i+1] == 'E' || b[i+1] == '+' || b[i+1] == '-') {
				i++
			}
			if l.Number > 0 && i+1-start > l.Number {
				return &Error{"wire.number", start, fmt.Sprintf("a number of more than %d characters", l.Number), true}
			}
		}
	}
	return nil
}
