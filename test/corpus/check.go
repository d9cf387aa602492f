package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse/test/corpus/expect"
)

// Outcome is what became of one operation.
type Outcome struct {
	Operation string  `json:"operation"`
	Faults    []Fault `json:"faults,omitempty"`
	Skipped   string  `json:"skipped,omitempty"`   // the mapping's reason for leaving it out
	Unsampled string  `json:"unsampled,omitempty"` // why there are no sample values: the document contradicts itself
	Undefined bool    `json:"undefined,omitempty"` // OpenAPI leaves a part of the request open
}

// Fault is one failed check; Args are the arguments it failed with.
type Fault struct {
	Class string `json:"class"`
	Msg   string `json:"msg"`
	Args  string `json:"args,omitempty"`
}

func (o *Outcome) ok() bool { return len(o.Faults) == 0 && o.Skipped == "" && o.Unsampled == "" }

// DocResult is what became of one document.
type DocResult struct {
	Name       string        `json:"name"`
	Bytes      int           `json:"bytes"`
	Fault      string        `json:"fault,omitempty"` // the document as a whole
	Operations int           `json:"operations"`
	OK         int           `json:"ok"`
	Undefined  int           `json:"undefined"`
	Samples    int           `json:"samples"`
	Outcomes   []Outcome     `json:"-"` // those that are not plainly right
	Spent      time.Duration `json:"spent"`
	Crashed    bool          `json:"crashed,omitempty"`
}

const limit = 60 * time.Second // of the mapping's own time, for one document

var errCrash = errors.New("crash")

// clock runs the mapping's part of the work: its time is counted and a panic in it is a result.
type clock struct{ spent time.Duration }

func (c *clock) run(what string, f func() error) (err error) {
	runtime.LockOSThread()
	start := used()
	defer func() {
		c.spent += used() - start
		runtime.UnlockOSThread()
		if r := recover(); r != nil {
			stack := strings.Split(string(debug.Stack()), "\n")
			err = fmt.Errorf("%w: %s: %v at %s", errCrash, what, r, strings.TrimSpace(strings.Join(stack[min(8, len(stack)):min(12, len(stack))], " ")))
		}
	}()
	return f()
}

// checkDocument takes every operation of a document through the mapping and compares.
func checkDocument(m mapping, name, place string, b []byte, read func(string) ([]byte, error)) *DocResult {
	r := &DocResult{Name: name, Bytes: len(b)}
	want, err := expect.Read(place, b, &expect.Files{Read: read})
	if err != nil {
		r.Fault = "not an OpenAPI document: " + err.Error()
	}
	var c clock
	var got *parsed
	parseErr := c.run("parse", func() (err error) { got, err = m.parse(place, b, read); return err })
	defer func() { r.Spent = c.spent }()
	if errors.Is(parseErr, errCrash) {
		r.Crashed = true
	}
	if want == nil {
		return r
	}
	r.Operations = len(want.Operations)
	if parseErr != nil {
		r.Fault = parseErr.Error()
		for _, op := range want.Operations {
			r.Outcomes = append(r.Outcomes, Outcome{Operation: op.Method + " " + op.Path, Faults: []Fault{{Class: "document", Msg: parseErr.Error()}}})
		}
		return r
	}
	index, names := map[string]int{}, map[string]int{}
	for i, op := range got.operations {
		index[op.method+" "+op.path] = i
		names[op.name]++
	}
	for _, op := range want.Operations {
		key := op.Method + " " + op.Path
		o := Outcome{Operation: key}
		i, have := index[key]
		switch {
		case !have && got.skipped[key] != "":
			o.Skipped = got.skipped[key]
		case !have:
			o.fault("missing", "neither a tool nor a reason", nil)
		case c.spent > limit:
			o.fault("time", "the document took more than 60 s", nil)
		default:
			if n := got.operations[i].name; !toolName.MatchString(n) || names[n] > 1 {
				o.fault("name", fmt.Sprintf("%q, %d times", n, names[n]), nil)
			}
			r.Samples += o.check(&c, op, got, i)
		}
		if slices.ContainsFunc(o.Faults, func(f Fault) bool { return f.Class == "crash" }) {
			r.Crashed = true
		}
		if o.Undefined {
			r.Undefined++
		}
		if o.ok() {
			r.OK++
		} else {
			r.Outcomes = append(r.Outcomes, o)
		}
	}
	return r
}

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (o *Outcome) fault(class, msg string, args []byte) {
	if len(msg) > 700 {
		msg = strings.ToValidUTF8(msg[:700], "") + "…"
	}
	if len(args) > 1000 {
		args = append(bytes.ToValidUTF8(args[:1000:1000], nil), "…"...)
	}
	o.Faults = append(o.Faults, Fault{class, msg, string(args)})
}

// called turns the error of a call into a fault and says whether there was one.
func (o *Outcome) called(err error, class string, args []byte) bool {
	if errors.Is(err, errCrash) {
		class = "crash"
	}
	if err != nil {
		o.fault(class, err.Error(), args)
	}
	return err != nil
}

func (o *Outcome) check(c *clock, op *expect.Operation, doc *parsed, i int) (samples int) {
	if op.Fault != "" {
		o.Unsampled = op.Fault
	}
	var p *plan
	if o.called(c.run("plan", func() (err error) { p, err = doc.plan(i); return err }), "plan", nil) {
		if o.Faults[0].Class == "plan" { // a reason why not
			o.Skipped, o.Faults = o.Faults[0].Msg, nil
		}
		return 0
	}
	input, err := compile(p.input)
	if err != nil {
		o.fault("schema", err.Error(), nil)
		return 0
	}
	if p.output != nil {
		if _, err := compile(p.output); err != nil {
			o.fault("output schema", err.Error(), nil)
		}
	}
	if op.Fault != "" {
		return 0
	}
	if why := op.CompareBase(p.base); why != "" {
		o.fault("server", why, nil)
	}
	if why := op.CompareSecurity(p.security); why != "" {
		o.fault("security", why, nil)
	}
	for _, q := range op.Params {
		if q.Note == "" && find(p.args, q.In, q.Name) == nil {
			o.fault("unreachable", q.In+" parameter "+q.Name, nil)
		}
	}
	if op.Body != nil && !op.Body.Optional && !slices.ContainsFunc(p.args, func(a argument) bool { return a.in == "body" }) && !op.EmptyBody() {
		o.fault("unreachable", "body", nil)
	}
	list, problems, err := samplesOf(op)
	if err != nil {
		o.fault("generator", err.Error(), nil)
		return 0
	}
	if len(list) == 0 {
		o.Unsampled = strings.Join(problems, "; ")
		return 0
	}
	o.strict(p, input, op, &list[0])
	for _, s := range list {
		samples++
		o.Undefined = o.Undefined || s.Undefined()
		o.sample(c, p, input, op, &s)
	}
	return samples
}

// strict holds the tool's schema to what it must refuse: a call without a required parameter, and an object where the
// parameter's schema has none. A schema that accepts everything would pass all other checks.
func (o *Outcome) strict(p *plan, input *jsonschema.Schema, op *expect.Operation, s *expect.Sample) {
	refused := func(change func(*expect.Sample)) ([]byte, bool) {
		t := *s
		t.Values = slices.Clone(s.Values)
		change(&t)
		args, _ := arguments(p.args, op, &t)
		raw := expect.JSON(args)
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		return raw, err == nil && input.Validate(v) != nil
	}
	for i, v := range s.Values[:min(len(s.Values), 5)] {
		if v.Param.Needed() {
			if raw, ok := refused(func(t *expect.Sample) { t.Values = slices.Delete(t.Values, i, i+1) }); !ok {
				o.fault("not required", "without "+v.Param.In+" parameter "+v.Param.Name, raw)
			}
		}
		if op.Plain(v.Param) {
			if raw, ok := refused(func(t *expect.Sample) { t.Values[i].Value = map[string]any{"wrong": true} }); !ok {
				o.fault("not typed", v.Param.In+" parameter "+v.Param.Name+" accepts an object", raw)
			}
		}
	}
}

// samplesOf makes the samples; a panic in the generator is a fault of this program and is shown as one.
func samplesOf(op *expect.Operation) (list []expect.Sample, problems []string, err error) {
	var c clock
	err = c.run("samples", func() error { list, problems = op.Samples(); return nil })
	return list, problems, err
}

// find is the argument that goes to a place; a querystring parameter is the whole query.
func find(args []argument, in, name string) *argument {
	if in == "querystring" {
		in, name = "query", ""
	}
	for i, a := range args {
		if a.in == in && (a.name == name || in == "header" && strings.EqualFold(a.name, name)) {
			return &args[i]
		}
	}
	return nil
}

func (o *Outcome) sample(c *clock, p *plan, input *jsonschema.Schema, op *expect.Operation, s *expect.Sample) {
	args, lost := arguments(p.args, op, s)
	for _, l := range lost {
		o.fault("unreachable", l, nil)
	}
	if len(lost) > 0 {
		return
	}
	raw := expect.JSON(args)
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err == nil {
		err = input.Validate(v)
	}
	if err != nil {
		o.fault("refused", shorter(err), raw)
		return
	}
	var got *request
	if o.called(c.run("request", func() (err error) { got, err = p.request(raw); return err }), "request", raw) {
		return
	}
	for _, f := range s.Compare(expect.Got{Method: got.method, Path: got.path, Header: got.header, Body: got.body}) {
		o.fault(f.Class, f.Msg, raw)
	}
}

// shorter is the deepest reason of a validation error.
func shorter(err error) string {
	s := err.Error()
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return strings.ReplaceAll(strings.TrimSpace(s[i:]), "\n", "; ")
	}
	return s
}

// arguments puts the values of a sample where the plan says they go.
func arguments(args []argument, op *expect.Operation, s *expect.Sample) (out map[string]any, lost []string) {
	out = map[string]any{}
	set := func(a *argument, v any) {
		m := out
		for _, step := range a.path[:len(a.path)-1] {
			next, _ := m[step].(map[string]any)
			if next == nil {
				next = map[string]any{}
				m[step] = next
			}
			m = next
		}
		m[a.path[len(a.path)-1]] = expect.Argument(v, a.binary)
	}
	for _, v := range s.Values {
		a := find(args, v.Param.In, v.Param.Name)
		if a == nil {
			if v.Param.Note == "" {
				lost = append(lost, v.Param.In+" parameter "+v.Param.Name)
			}
			continue
		}
		set(a, v.Value)
	}
	if !s.HasBody {
		return out, lost
	}
	if a := find(args, "body", ""); a != nil {
		set(a, s.Body)
		return out, lost
	}
	m, isObject := s.Body.(map[string]any)
	if !isObject && !op.Body.Optional {
		return out, append(lost, "body")
	}
	any := slices.ContainsFunc(args, func(a argument) bool { return a.in == "body" })
	if !any && op.Body.Optional {
		return out, lost
	}
	for k, v := range m {
		if a := find(args, "body", k); a != nil {
			set(a, v)
		} else {
			lost = append(lost, "body property "+k)
		}
	}
	slices.Sort(lost)
	return out, lost
}

// lenient is the engine for patterns: one that Go cannot compile holds for every text, for it may be right in ECMA-262.
type lenient string

func (l lenient) MatchString(string) bool { return true }
func (l lenient) String() string          { return string(l) }

// compile compiles a tool's schema with a compiler that nobody here wrote; nothing outside the schema can be referred to.
func compile(schema []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		re, err := expect.Regexp(s)
		if err != nil {
			return lenient(s), nil
		}
		return re, nil
	})
	if err := c.AddResource("tool.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("tool.json")
}

type nothing struct{}

func (nothing) Load(url string) (any, error) {
	return nil, errors.New("the schema leads outside: " + url)
}
