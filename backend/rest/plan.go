package rest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gatehouse"
	"gatehouse/backend/rest/openapi"
	"gatehouse/config"
	"gatehouse/egress"
	"gatehouse/internal/jsonschema"
	"gatehouse/wire"
)

// planned is all that a call of one tool needs, made once.
type planned struct {
	*openapi.Plan
	input  []byte // the schema as it is published: without what is fixed or hidden
	check  *jsonschema.Schema
	output *jsonschema.Schema // nil when no JSON is declared
	blank  []byte             // structured content of an answer that has none
	fixed  []argument
	binary [][]string // arguments that stand for bytes

	client *egress.Client
	base   *url.URL
	prefix string         // escaped path of base, without "/" at its end
	extra  []egress.Field // headers of the configuration, for the API's own server
	signs  []sign
	wants  string // the schemes that no credential is configured for
}

// argument is a value and its place in the arguments.
type argument struct {
	path  []string
	value []byte
}

// planCell holds a plan while it is kept.
type planCell struct {
	plan atomic.Pointer[planned]
	used atomic.Bool // since the keeper last looked
}

// maxPlans bounds the plans that a document keeps, as their weight in bytes.
const maxPlans = 48 << 20

// weight is about what a plan takes: its schemas as text and compiled.
func (p *planned) weight() int { return 4<<10 + 8*(len(p.Input)+len(p.Output)) }

// plans keeps the plans used lately. Reading one takes no lock.
type plans struct {
	mu    sync.Mutex // guards what follows
	kept  []*tool
	hand  int
	bytes int
}

// keep stores a plan, in place of those that nobody used for long.
func (k *plans) keep(t *tool, p *planned) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !t.cell.plan.CompareAndSwap(nil, p) {
		return
	}
	for k.bytes += p.weight(); k.bytes > maxPlans && len(k.kept) > 0; {
		k.hand %= len(k.kept)
		old := k.kept[k.hand]
		if old.cell.used.Swap(false) {
			k.hand++
			continue
		}
		k.bytes -= old.cell.plan.Swap(nil).weight()
		last := len(k.kept) - 1
		k.kept[k.hand], k.kept = k.kept[last], k.kept[:last]
	}
	t.cell.used.Store(true)
	k.kept = append(k.kept, t)
}

// planned returns the plan of the tool, and keeps it.
func (t *tool) planned() (*planned, error) {
	if p := t.cell.plan.Load(); p != nil {
		if !t.cell.used.Load() {
			t.cell.used.Store(true)
		}
		return p, nil
	}
	p, err := t.look()
	if err == nil {
		t.doc.plans.keep(t, p)
	}
	return p, err
}

// look makes the plan of the tool, or returns the one that is kept. The error is a *gatehouse.Error that says why the
// operation cannot be called.
func (t *tool) look() (*planned, error) {
	if p := t.cell.plan.Load(); p != nil {
		return p, nil
	}
	p, err := t.make()
	if err != nil {
		msg := fmt.Sprintf("cannot call %s (%s %s): %s", t.name, t.op.Method, t.op.Path, msgOf(err))
		return nil, t.doc.src.fault(codeOperation, msg, hintOf(err, "correct the document, or the entry of this tool"), nil)
	}
	return p, nil
}

// msgOf is what an error says without its cause.
func msgOf(err error) string {
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
		return ge.Msg
	}
	return err.Error()
}

func (t *tool) make() (*planned, error) {
	plan, err := t.doc.doc.Plan(t.op)
	if err != nil {
		return nil, err
	}
	p := &planned{Plan: plan}
	if err := p.arrange(t.rule); err != nil {
		return nil, err
	}
	if p.check, err = jsonschema.Compile(p.input, jsonschema.Limits{}); err != nil {
		return nil, err
	}
	if p.Output != nil {
		p.outgoing()
	}
	for _, a := range p.Args {
		if a.Binary {
			p.binary = append(p.binary, a.Path)
		}
	}
	if p.base, err = t.doc.server(plan); err != nil {
		return nil, err
	}
	p.prefix = strings.TrimRight(p.base.EscapedPath(), "/")
	if p.client, err = t.doc.src.client(p.base); err != nil {
		return nil, err
	}
	if t.doc.isHome(p.base) {
		p.extra = t.doc.src.extra
	}
	p.signs, p.wants = t.doc.sign(p)
	return p, nil
}

// outgoing compiles the schema of answers. One that cannot be used, or that no empty value fits, is not promised.
func (p *planned) outgoing() {
	out, err := jsonschema.Compile(p.Output, jsonschema.Limits{})
	if err == nil {
		for _, blank := range []string{"{}", "[]", "null"} {
			if b, _, err := out.Conform([]byte(blank)); err == nil && b != nil {
				p.output, p.blank = out, b
				return
			}
		}
	}
	p.Plan = clone(p.Plan)
	p.Output = nil
}

func clone(p *openapi.Plan) *openapi.Plan {
	c := *p
	return &c
}

// arrange takes what is fixed and hidden out of the published schema.
func (p *planned) arrange(r *config.ToolRule) error {
	p.input = p.Input
	take := func(name string) (path []string, schema []byte, err error) {
		path = p.argument(name)
		if path == nil {
			return nil, nil, fmt.Errorf("it has no argument %q; its arguments are %s", name, p.names())
		}
		p.input, schema = without(p.input, path)
		if schema == nil {
			return nil, nil, fmt.Errorf("argument %q cannot be taken out of its schema", name)
		}
		return path, schema, nil
	}
	for _, name := range r.Hidden {
		path, _, err := take(name)
		if err != nil {
			return err
		}
		for _, a := range p.Args {
			if slices.Equal(a.Path, path) && a.Required {
				return fmt.Errorf("argument %q is hidden, but the operation needs it: give it a value under fixed", name)
			}
		}
	}
	for name, value := range r.Fixed {
		path, schema, err := take(name)
		if err != nil {
			return err
		}
		whole, _ := wire.ParseObject(p.Input)
		if o, ok := wire.ParseObject(schema); ok && whole.Has("$defs") {
			schema = o.Set("$defs", whole.Get("$defs")).Bytes()
		}
		c, err := jsonschema.Compile(schema, jsonschema.Limits{})
		if err != nil {
			return fmt.Errorf("the schema of argument %q cannot be used: %w", name, err)
		}
		fails, err := c.Validate(value)
		if err != nil || len(fails) > 0 {
			return fmt.Errorf("the fixed argument %q does not fit: %s", name, jsonschema.Text(fails))
		}
		p.fixed = append(p.fixed, argument{path, value})
	}
	slices.SortFunc(p.fixed, func(a, b argument) int { return slices.Compare(a.path, b.path) })
	return nil
}

// argument finds an argument by its name, or by group and name as in query.id.
func (p *planned) argument(name string) []string {
	for _, a := range p.Args {
		if strings.Join(a.Path, ".") == name {
			return a.Path
		}
	}
	return nil
}

func (p *planned) names() string {
	var out []string
	for _, a := range p.Args {
		out = append(out, strings.Join(a.Path, "."))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// without returns the object schema without the property at path, and the property's schema; nil when it is not there.
func without(schema []byte, path []string) (rest, taken []byte) {
	o, ok := wire.ParseObject(schema)
	props, isObject := wire.ParseObject(o.Get("properties"))
	prop := props.Get(path[0])
	if !ok || !isObject || prop == nil {
		return schema, nil
	}
	o, props = slices.Clone(o), slices.Clone(props)
	if len(path) > 1 {
		inner, taken := without(prop, path[1:])
		return o.Set("properties", props.Set(path[0], inner).Bytes()).Bytes(), taken
	}
	o = o.Set("properties", props.Delete(path[0]).Bytes())
	required, _ := wire.Elements(o.Get("required"))
	kept := []byte{'['}
	for _, e := range required {
		if name, _ := wire.Text(e); name != path[0] {
			if len(kept) > 1 {
				kept = append(kept, ',')
			}
			kept = append(kept, e...)
		}
	}
	if len(kept) > 1 {
		o = o.Set("required", append(kept, ']'))
	} else {
		o = o.Delete("required")
	}
	return o.Bytes(), prop
}

// with puts a value at path into an object.
func with(object []byte, path []string, value []byte) []byte {
	o, _ := wire.ParseObject(object)
	o = slices.Clone(o)
	if len(path) > 1 {
		inner := o.Get(path[0])
		if inner == nil {
			inner = []byte("{}")
		}
		value = with(inner, path[1:], value)
	}
	return o.Set(path[0], value).Bytes()
}

// server is where the operation is: url: of the configuration in place of the document's servers, and an operation's own
// server where that is another one.
func (d *document) server(p *openapi.Plan) (*url.URL, error) {
	cfg := d.src.cfg
	place := p.Base
	if place == "" && cfg.Remote() {
		place = "/" // OpenAPI 3.0.3, "OpenAPI Object": the default, relative to the document
	}
	u, err := url.Parse(place)
	if err != nil || strings.ContainsAny(p.Base, "{}") {
		return nil, fmt.Errorf("its server %q is no URL: give its variables values, or say with url: where the API is", p.Base)
	}
	var own *url.URL
	switch {
	case cfg.URL != "":
		if own, err = url.Parse(cfg.URL); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	case cfg.Remote():
		if own, err = url.Parse(cfg.OpenAPI); err != nil {
			return nil, fmt.Errorf("openapi: %w", err)
		}
	}
	switch {
	case cfg.URL != "" && !p.OwnBase:
		u = own
	case cfg.URL != "" && (u.Host == "" || d.home() != nil && origin(d.home()) == origin(u)): // the same server, another path
		u = own.ResolveReference(&url.URL{Path: u.Path, RawPath: u.RawPath})
	case u.Host == "" && cfg.Remote():
		u = own.ResolveReference(u)
	case u.Host == "":
		return nil, fmt.Errorf("the document does not say where the API is: say so with url:")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("its server %q is no http or https URL", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}, nil
}
