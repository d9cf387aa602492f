// Package jsonschema checks JSON values against JSON Schema 2020-12, schemas and values both from strangers. A schema is
// compiled within bounds and refers to nothing outside of itself; a check runs on fuel, so that no schema makes it long.
// What it says about a value that does not fit is written for a model that will try again.
//
// Draft-07 is read where it differs. Not followed are references to other documents, $vocabulary, dynamic scopes
// ($dynamicRef is a $ref) and format, which is a note for people.
package jsonschema

import (
	"slices"
	"strings"
	"sync"

	"gatehouse"
)

// Limits bounds a schema and what checking with it costs. A field that is zero has its default.
type Limits struct {
	Bytes      int // of the schema; default 64 KiB
	Subschemas int // default 2,000
	Depth      int // subschemas within each other; default 32
	Pattern    int // bytes of one pattern; default 1 KiB
	Fuel       int // steps of one check, and parts of a value; default 100,000
	Failures   int // that a check reports; default 5
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.Bytes, 64 << 10}, {&l.Subschemas, 2000}, {&l.Depth, 32}, {&l.Pattern, 1 << 10}, {&l.Fuel, 100_000}, {&l.Failures, 5}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// Schema is a compiled schema. It does not change and may be used by many at once.
type Schema struct {
	Warnings []string // what is not checked, and why; at most 20

	doc    value // the schema's own text
	root   *node
	limits Limits
}

// Failure is one thing that is wrong with a value. It prints as a sentence.
type Failure struct {
	Path string // items[2].price; "" is the whole value
	Rule string // the keyword, or what it is about: type, number, length, required, additionalProperties, anyOf, …
	Want string // "a number of at least 0"
	Got  string // `the string "cheap"`
}

func (f Failure) String() string {
	s := f.Want + ", got " + f.Got
	switch f.Rule {
	case "required", "dependentRequired":
		s = "missing: expected " + f.Want
	case "additionalProperties", "unevaluatedProperties":
		s = "unknown property: " + f.Want
	default:
		s = "expected " + s
	}
	if f.Path == "" {
		return s
	}
	return f.Path + ": " + s
}

var runs = sync.Pool{New: func() any { return new(run) }}

// start splits the instance. The error is an *Error.
func (s *Schema) start(instance []byte) (*run, error) {
	r := runs.Get().(*run)
	r.schema, r.fuel, r.spent, r.frames = s, s.limits.Fuel, false, 0
	r.report, r.limit, r.fails = false, s.limits.Failures, nil
	if r.in.read(instance, s.limits.Fuel) {
		return r, nil
	}
	full := len(r.in.parts) >= s.limits.Fuel
	r.done()
	if full {
		return nil, outOfFuel()
	}
	return nil, &gatehouse.Error{
		Code: "jsonschema.instance",
		Msg:  "the value cannot be checked: it is no JSON, is nested too deep or has a number beyond bounds",
		Hint: "write numbers with at most 64 characters and 9 digits of exponent",
	}
}

func (r *run) done() {
	if cap(r.in.parts) > 1<<14 {
		r.in.parts = nil
	}
	r.schema, r.fails, r.in.b = nil, nil, nil
	runs.Put(r)
}

func outOfFuel() error {
	return &gatehouse.Error{
		Code: "jsonschema.fuel",
		Msg:  "checking the value against its schema takes too many steps",
		Hint: "make the value smaller, or have the schema say it with fewer alternatives",
	}
}

// Validate returns what is wrong with a verified instance, nothing when it fits. With an error, an *Error jsonschema.fuel
// or jsonschema.instance, it is not known whether it fits: refuse it.
func (s *Schema) Validate(instance []byte) ([]Failure, error) {
	r, err := s.start(instance)
	if err != nil {
		return nil, err
	}
	defer r.done()
	switch fits := r.check(s.root, 0, nil); {
	case r.spent:
		return nil, outOfFuel()
	case fits:
		return nil, nil
	}
	// It does not fit. What to say about it is found in a second reading, on fresh fuel.
	r.fuel, r.report = s.limits.Fuel, true
	r.check(s.root, 0, nil)
	if len(r.fails) == 0 { // the fuel went before the first was found
		return nil, outOfFuel()
	}
	out := make([]Failure, 0, len(r.fails))
	for _, f := range r.fails {
		if m := r.message(f); !slices.Contains(out, m) { // two branches may say the same
			out = append(out, m)
		}
	}
	return out, nil
}

// Text puts failures into one text, a line each.
func Text(fails []Failure) string {
	lines := make([]string, len(fails))
	for i, f := range fails {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
