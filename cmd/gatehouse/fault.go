package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse"
)

// faultJSON is one fault for machines.
type faultJSON struct {
	Code    string `json:"code,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitzero"`
	Column  int    `json:"column,omitzero"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitzero"`
}

// fail prints every fault of err with its place and its hint.
func (c *context) fail(err error) int {
	for _, e := range split(err) {
		c.tell(e, false)
	}
	return failed
}

const codeUsage = "cli.usage" // the command line cannot be understood

// misuse says what is wrong with the command line.
func (c *context) misuse(where, msg, hint string) int {
	c.tell(&gatehouse.Error{Code: codeUsage, Msg: where + ": " + msg, Hint: hint}, false)
	return usage
}

// warn prints what deserves a look.
func (c *context) warn(err error) { c.tell(err, true) }

func (c *context) tell(err error, warning bool) {
	ge, known := errors.AsType[*gatehouse.Error](err)
	if c.json {
		f := faultJSON{Message: clean(err.Error()), Warning: warning}
		if known {
			f.Code, f.File, f.Line, f.Column, f.Hint = ge.Code, ge.Pos.File, ge.Pos.Line, ge.Pos.Col, ge.Hint
		}
		b, _ := json.Marshal(f)
		fmt.Fprintf(c.err, "%s\n", b)
		return
	}
	if warning {
		fmt.Fprint(c.err, "warning: ")
	}
	fmt.Fprintln(c.err, clean(err.Error()))
	if known && ge.Hint != "" {
		fmt.Fprintf(c.err, "hint: %s\n", clean(ge.Hint))
	}
}

func split(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, split(e)...)
		}
		return out
	}
	return []error{err}
}

// print writes a result as JSON.
func (c *context) print(v any) int {
	if err := writeJSON(c.out, v); err != nil {
		return c.fail(err)
	}
	return ok
}

func writeJSON(out io.Writer, v any) error {
	b, err := json.Marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = out.Write(append(b, '\n'))
	return err
}
