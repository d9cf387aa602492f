package rest

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/backend/rest/openapi"
	"gatehouse/config"
	"gatehouse/wire"
)

// document is an OpenAPI document in force. It is immutable but for its plans.
type document struct {
	src   *source
	doc   *openapi.Doc
	cat   *backend.Catalog
	tools map[string]*tool
	plans plans

	schemes map[string]openapi.Scheme
	home    func() *url.URL // the document's own first server, nil when it has none that is absolute
}

// tool is one operation that is published.
type tool struct {
	doc  *document
	op   *openapi.Operation
	rule *config.ToolRule // never nil
	name string
	risk gatehouse.Risk

	cell planCell
}

// picks tells which operations are meant, and what is different about them.
type picks struct {
	include, exclude []config.Pick
	rules            []rule
}

type rule struct {
	key string
	config.Pick
	*config.ToolRule
}

func newPicks(src config.Source) (p picks, err error) {
	parse := func(list []string) (out []config.Pick) {
		for _, s := range list {
			x, perr := config.ParsePick(s)
			if perr != nil {
				err = fmt.Errorf("%q %w", s, perr)
			}
			out = append(out, x)
		}
		return out
	}
	p.include, p.exclude = parse(src.Include), parse(src.Exclude)
	for _, key := range slices.Sorted(maps.Keys(src.Tools)) {
		p.rules = append(p.rules, rule{key, parse([]string{key})[0], src.Tools[key]})
	}
	return p, err
}

func match(p config.Pick, op *openapi.Operation) bool {
	return p.Match(op.ID, op.Name, op.Method, op.Path, op.Tags)
}

// wants reports whether an operation is to be published.
func (p picks) wants(op *openapi.Operation) bool {
	is := func(x config.Pick) bool { return match(x, op) }
	return (len(p.include) == 0 || slices.ContainsFunc(p.include, is)) && !slices.ContainsFunc(p.exclude, is)
}

func (p picks) rule(op *openapi.Operation) *config.ToolRule {
	for _, r := range p.rules {
		if match(r.Pick, op) && r.ToolRule != nil {
			return r.ToolRule
		}
	}
	return &config.ToolRule{}
}

// build makes the tools of a document.
func (s *source) build(doc *openapi.Doc) *document {
	d := &document{src: s, doc: doc, schemes: doc.Security(), tools: make(map[string]*tool, len(doc.Operations))}
	d.home = sync.OnceValue(d.findHome)
	d.cat = &backend.Catalog{Era: gatehouse.Modern, Templates: []gatehouse.Tool{s.held.template(s.env.Label)}}
	for _, op := range doc.Operations {
		if !s.picks.wants(op) {
			continue
		}
		t := &tool{doc: d, op: op, rule: s.picks.rule(op), name: op.Name, risk: riskOf(op.Method)}
		if t.rule.Expose != nil && !*t.rule.Expose {
			continue
		}
		if t.rule.Risk != "" {
			t.risk = gatehouse.Risk(t.rule.Risk)
		}
		if n := t.rule.Name; n != "" && d.tools[n] == nil {
			t.name = n
		} else if n != "" {
			s.log.LogAttrs(s.life, slog.LevelWarn, "name of a tool is taken; it keeps its own", slog.String("tool", op.Name), slog.String("name", n))
		}
		if d.tools[t.name] != nil {
			s.log.LogAttrs(s.life, slog.LevelWarn, "operation is left out: its name was given to another tool", slog.String("operation", op.Method+" "+op.Path), slog.String("tool", t.name))
			continue
		}
		d.tools[t.name] = t
		d.cat.Tools = append(d.cat.Tools, gatehouse.Tool{Name: t.name, Define: t.define, Risk: t.risk, Text: t.text})
	}
	return d
}

// riskOf is the risk class of a method.
func riskOf(method string) gatehouse.Risk {
	switch method {
	case "GET", "HEAD", "OPTIONS", "QUERY":
		return gatehouse.Read
	case "DELETE":
		return gatehouse.Delete
	}
	return gatehouse.Write
}

// hints are the annotations of a tool: those of its method, or of the risk class that an administrator gave it.
func (t *tool) hints() []byte {
	read, destroys, again := false, false, false
	switch {
	case t.risk == gatehouse.Read:
		read = true
	case t.risk == gatehouse.Delete:
		destroys, again = true, t.op.Method == "DELETE"
	case t.op.Method == "PUT":
		again = true
	}
	if read {
		return []byte(`{"readOnlyHint":true}`)
	}
	return fmt.Appendf(nil, `{"readOnlyHint":false,"destructiveHint":%t,"idempotentHint":%t}`, destroys, again)
}

// maxTitle and maxDescription are where texts of the document are cut for models.
const (
	maxTitle       = 120
	maxDescription = 1500
)

// define writes the definition of the tool; nil when the operation cannot be called.
func (t *tool) define() []byte {
	p, err := t.look()
	if err != nil {
		return nil
	}
	o := wire.Object{{Name: "name", Value: wire.String(t.name)}}
	if s := t.op.Summary; s != "" && len(s) <= maxTitle && !strings.ContainsAny(s, "\n\r") {
		o = append(o, wire.Member{Name: "title", Value: wire.String(s)})
	}
	o = append(o, wire.Member{Name: "description", Value: wire.String(t.description())}, wire.Member{Name: "inputSchema", Value: p.input})
	if p.Output != nil {
		o = append(o, wire.Member{Name: "outputSchema", Value: p.Output})
	}
	return append(o, wire.Member{Name: "annotations", Value: t.hints()}).Bytes()
}

func (t *tool) description() string {
	if t.rule.Description != "" {
		return t.rule.Description
	}
	n := maxDescription
	if l := t.doc.src.env.Limits.Description; l > 0 && l < n {
		n = l
	}
	return t.op.Summarise(n)
}

// text is the words to find the tool by.
func (t *tool) text() string {
	out := []string{t.op.ID, t.op.Method, t.op.Path, t.description()}
	out = append(out, t.op.Tags...)
	if p, err := t.look(); err == nil {
		for _, a := range p.Args {
			out = append(out, strings.Join(a.Path, " "))
		}
	}
	return strings.Join(out, "\n")
}

func (t *tool) timeout() time.Duration {
	if t.rule.Timeout > 0 {
		return t.rule.Timeout
	}
	return t.doc.src.cfg.Timeout
}

// diffMost is how many tools are compared, and logMost how many are named in the log.
const (
	diffMost = 2000
	logMost  = 20
)

// announce logs what a document brings, or what is different to the one before.
func (s *source) announce(old, d *document) {
	attrs := []slog.Attr{slog.Int("tools", len(d.tools)), slog.Int("left_out", len(d.doc.Skipped))}
	if old != nil {
		attrs = append(attrs, diff(old, d)...)
		s.log.LogAttrs(s.life, slog.LevelInfo, "document has changed", attrs...)
	} else {
		s.log.LogAttrs(s.life, slog.LevelDebug, "document is read", attrs...)
	}
	s.doubts(d)
}

// diff names the tools that came, went and changed.
func diff(old, d *document) []slog.Attr {
	var added, removed, changed []string
	compare := len(old.tools)+len(d.tools) <= diffMost
	for name, t := range d.tools {
		o := old.tools[name]
		switch {
		case o == nil:
			added = append(added, name)
		case o.op.Method != t.op.Method || o.op.Path != t.op.Path:
			changed = append(changed, name)
		case compare && sha256.Sum256(o.define()) != sha256.Sum256(t.define()):
			changed = append(changed, name)
		}
	}
	for name := range old.tools {
		if d.tools[name] == nil {
			removed = append(removed, name)
		}
	}
	var out []slog.Attr
	for _, g := range []struct {
		name  string
		tools []string
	}{{"added", added}, {"removed", removed}, {"changed", changed}} {
		if len(g.tools) == 0 {
			continue
		}
		slices.Sort(g.tools)
		text := strings.Join(g.tools[:min(len(g.tools), logMost)], " ")
		if n := len(g.tools) - logMost; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		out = append(out, slog.String(g.name, text))
	}
	return out
}

// doubts logs what in the configuration does not fit the document.
func (s *source) doubts(d *document) {
	warn := func(what, key, value string) {
		s.log.LogAttrs(s.life, slog.LevelWarn, "configuration does not fit the document", slog.String("fault", what), slog.String(key, value))
	}
	for key, list := range map[string][]config.Pick{"include": s.picks.include, "exclude": s.picks.exclude} {
		for i, p := range list {
			if !slices.ContainsFunc(d.doc.Operations, func(op *openapi.Operation) bool { return match(p, op) }) {
				warn("no operation of the document is meant", key, map[string][]string{"include": s.cfg.Include, "exclude": s.cfg.Exclude}[key][i])
			}
		}
	}
	for _, r := range s.picks.rules {
		i := slices.IndexFunc(d.doc.Operations, func(op *openapi.Operation) bool { return match(r.Pick, op) })
		if i < 0 {
			warn("no operation of the document is meant", "tools", r.key)
			continue
		}
		for _, t := range d.tools {
			if t.rule != r.ToolRule {
				continue
			}
			if _, err := t.look(); err != nil {
				warn("tool cannot be used", "error", err.Error())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.creds)) {
		c := s.creds[name]
		if c.In != "" {
			continue
		}
		scheme, ok := d.schemes[name]
		if !ok {
			warn("no security scheme of the document has this name", "auth", name)
		} else if _, err := c.sign(scheme, nil); err != nil {
			warn("credential does not fit its scheme", "error", fmt.Sprintf("auth.%s: %v", name, err))
		}
	}
}

// findHome looks for the document's own server, in the first operations that have none of their own.
func (d *document) findHome() *url.URL {
	for _, op := range d.doc.Operations[:min(len(d.doc.Operations), 20)] {
		if p, err := d.doc.Plan(op); err == nil && !p.OwnBase {
			if u, err := url.Parse(p.Base); err == nil && u.Host != "" {
				return u
			}
			if d.src.cfg.Remote() {
				if u, err := url.Parse(d.src.cfg.OpenAPI); err == nil {
					return u.ResolveReference(&url.URL{Path: "/"})
				}
			}
			return nil
		}
	}
	return nil
}
