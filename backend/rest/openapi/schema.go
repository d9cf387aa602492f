package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/wire"
)

// converter makes schemas of JSON Schema 2020-12 out of those of a document, for one operation. References become $defs;
// those beyond the budget accept any value.
type converter struct {
	d      *Doc
	output bool // of an answer: nothing is required, null is accepted everywhere, write-only members are left out
	budget int
	level  int // of levels
	nodes  int
	made   // of the schema in hand
}

// made is what a conversion came to, besides its schema.
type made struct {
	refs    []loc // shared schemas it refers to, in order
	cut     bool  // something was left open
	dropped int   // patterns left out
}

// def is one shared schema, converted. It is the same for every operation.
type def struct {
	out []byte
	made
}

// defKey identifies a converted schema.
type defKey struct {
	at     loc
	output bool
	level  int
}

// maxDefs bounds the bytes of converted schemas that a document keeps.
const maxDefs = 16 << 20

// levels are tries at a schema, each with less prose and depth than the one before, until one fits.
var levels = []struct{ descr, depth int }{{300, 24}, {100, 24}, {0, 12}, {0, 4}}

func (d *Doc) converter(output bool, level int) *converter {
	c := &converter{d: d, output: output, budget: d.opt.MaxSchema, level: level}
	if output {
		c.budget /= 4
	}
	return c
}

// at is where a schema stands while it is converted.
type at struct {
	depth int
	hops  int    // references written out on the way here (Options.Inline)
	goal  loc    // the shared schema it belongs to; zero in none
	chain string // "": a place that descends into the instance; "allOf" or "other": one applied to the same instance
}

var anything = []byte("true")

// maxNodes bounds the schemas of one conversion.
const maxNodes = 20_000

// schema converts n and returns the schema as it stands in place of n.
func (c *converter) schema(n node, a at) []byte {
	switch string(n.raw) {
	case "true", "false":
		return n.raw
	}
	o, ok := wire.ParseObject(n.raw)
	if c.nodes++; !ok || a.depth > levels[c.level].depth || c.nodes > maxNodes {
		c.cut = c.cut || ok
		return anything
	}
	if ref, ok := wire.Text(o.Get("$ref")); ok {
		return c.ref(n, o, ref, a)
	}
	return c.object(n, o, a)
}

// ref converts a reference.
func (c *converter) ref(n node, o wire.Object, ref string, a at) []byte {
	target, where, err := c.d.resolve(n.f, ref)
	if err != nil {
		c.cut = true
		return anything
	}
	if a.chain != "" && a.goal.f != nil && c.d.loops(a.goal, where, a.chain) {
		if a.chain != "allOf" {
			return anything
		}
		return c.bare(target, a)
	}
	if c.d.opt.Inline > 0 {
		if a.hops >= c.d.opt.Inline {
			c.cut = true
			return anything
		}
		a.hops++
		a.depth++
		return c.schema(target, a)
	}
	c.refs = append(c.refs, where)
	out := wire.Object{{Name: "$ref", Value: wire.String("#/$defs/" + c.d.defName(where))}}
	if c.d.Revision >= "3.1" && len(o) > 1 { // siblings count since 3.1
		if rest := c.object(n, slices.Clone(o).Delete("$ref"), a); string(rest) != "{}" {
			if r, ok := wire.ParseObject(rest); ok {
				return append(out, r...).Bytes()
			}
		}
	}
	return out.Bytes()
}

// finish adds the shared schemas that root needs, breadth first, so that what is deep is left open first.
func (c *converter) finish(root wire.Object) []byte {
	used := len(root.Bytes())
	queue := c.refs
	have := map[loc]bool{}
	var defs wire.Object
	for i := 0; i < len(queue); i++ {
		if have[queue[i]] {
			continue
		}
		have[queue[i]] = true
		x := def{out: anything, made: made{cut: true}}
		if used <= c.budget {
			if y := c.d.def(queue[i], c.output, c.level); used+len(y.out) <= c.budget+c.budget/2 {
				x = y
			}
		}
		queue = append(queue, x.refs...)
		c.cut, c.dropped = c.cut || x.cut, c.dropped+x.dropped
		name := c.d.defName(queue[i])
		defs = append(defs, wire.Member{Name: name, Value: x.out})
		used += len(x.out) + len(name) + 4
	}
	if defs == nil {
		return root.Bytes()
	}
	return root.Set("$defs", defs.Bytes()).Bytes()
}

// def converts a shared schema, or returns it as it was converted before.
func (d *Doc) def(at_ loc, output bool, level int) def {
	key := defKey{at_, output, level}
	d.mu.Lock()
	x, ok := d.defs[key]
	d.mu.Unlock()
	if ok {
		return x
	}
	c := d.converter(output, level)
	t, _ := at_.f.lookup(at_.ptr)
	x = def{out: c.schema(node{at_.f, t.v}, at{goal: at_, chain: "other"})}
	x.made = c.made
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.defBytes += len(x.out) + 200; d.defBytes > maxDefs || d.defs == nil {
		d.defs, d.defBytes = map[defKey]def{}, len(x.out)
	}
	d.defs[key] = x
	return x
}

// defName is the key of a shared schema under $defs: its own name where that is a plain one among the document's schemas.
func (d *Doc) defName(at loc) string {
	parent, last, _ := cutLast(at.ptr, '/')
	base := clip(letters(last, "_-."), 80)
	if at.f == d.root && base == last && (parent == "/components/schemas" || parent == "/definitions") {
		return base
	}
	h := sha256.Sum256([]byte(at.f.place + "#" + at.ptr))
	return base + "_" + hex.EncodeToString(h[:4])
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// maxWalk bounds the search for a reference that leads back.
const maxWalk = 2000

// loops reports whether a reference from the schema at goal to where leads back to goal without descending into the
// instance. Such a circle is broken at its allOf; one without any, where it is met.
func (d *Doc) loops(goal, where loc, chain string) bool {
	key := loopKey{goal, where, chain == "allOf"}
	d.mu.Lock()
	v, ok := d.circles[key]
	d.mu.Unlock()
	if ok {
		return v
	}
	v = d.search(goal, where, chain)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.circles) > maxRefs || d.circles == nil {
		d.circles = map[loopKey]bool{}
	}
	d.circles[key] = v
	return v
}

type loopKey struct {
	goal, where loc
	allOf       bool
}

func (d *Doc) search(goal, where loc, chain string) bool {
	seen := map[loc]bool{}
	steps := 0
	var visit func(n node, depth int) bool
	reach := func(l loc, n node, depth int) bool {
		if l == goal {
			return true
		}
		if seen[l] {
			return false
		}
		seen[l] = true
		return visit(n, depth)
	}
	visit = func(n node, depth int) bool {
		if steps++; steps > maxWalk || depth > 64 {
			return true // unsure
		}
		o, ok := wire.ParseObject(n.raw)
		if !ok {
			return false
		}
		for _, m := range o {
			switch m.Name {
			case "$ref":
				if s, ok := wire.Text(m.Value); ok {
					if t, l, err := d.resolve(n.f, s); err == nil && reach(l, t, depth+1) {
						return true
					}
				}
			case "allOf", "anyOf", "oneOf":
				if m.Name == "allOf" && chain != "allOf" {
					continue
				}
				el, _ := wire.Elements(m.Value)
				for _, e := range el {
					if visit(node{n.f, e}, depth+1) {
						return true
					}
				}
			case "not", "if", "then", "else":
				if visit(node{n.f, m.Value}, depth+1) {
					return true
				}
			}
		}
		return false
	}
	t, _ := where.f.lookup(where.ptr)
	return reach(where, node{where.f, t.v}, 0)
}

// bare converts the parent that a circle leads to, without its choices: its members still count.
func (c *converter) bare(n node, a at) []byte {
	n, err := c.d.deref(n)
	o, ok := wire.ParseObject(n.raw)
	if err != nil || !ok {
		return anything
	}
	a.depth++
	return c.object(n, slices.Clone(o).Delete("oneOf", "anyOf", "allOf", "discriminator"), a)
}

// object converts a schema object member by member; what has the wrong form for its keyword is left out.
func (c *converter) object(n node, o wire.Object, a at) []byte {
	in := a
	in.depth++
	in.chain = ""
	same := func(chain string) at { s := in; s.chain = chain; return s }
	var out wire.Object
	add := func(name string, v []byte) {
		if v != nil {
			out = append(out, wire.Member{Name: name, Value: v})
		}
	}
	hidden := c.hidden(n, o)
	for _, m := range o {
		switch m.Name {
		case "type":
			add("type", c.kinds(o, m.Value))
		case "title":
			if a.depth == 0 && levels[c.level].descr > 0 {
				add("title", short(m.Value, 100))
			}
		case "description":
			add("description", short(m.Value, levels[c.level].descr))
		case "properties":
			add("properties", c.properties(n, o, hidden, in))
		case "required":
			if !c.output {
				add("required", required(m.Value, hidden))
			}
		case "items":
			if el, ok := wire.Elements(m.Value); ok { // the tuples of older drafts
				add("prefixItems", c.list(n, el, in))
				continue
			}
			add("items", c.schema(node{n.f, m.Value}, in))
		case "additionalProperties":
			switch {
			case wire.IsObject(m.Value):
				add(m.Name, c.schema(node{n.f, m.Value}, in))
			case string(m.Value) == "false" && !c.output && a.chain != "allOf":
				add(m.Name, m.Value)
			}
		case "allOf":
			add("allOf", c.each(n, m.Value, same("allOf")))
		case "anyOf", "oneOf":
			// One of overlapping branches is what authors write and servers accept more of: any is enough here.
			if out.Has("anyOf") {
				continue
			}
			add("anyOf", c.branches(n, m.Value, o, same("other")))
		default:
			c.keyword(n, o, m, in, same("other"), add)
		}
	}
	if c.d.Revision < "3.1" && string(o.Get("nullable")) == "true" && !c.output {
		out = nullable(out)
	}
	if disc, ok := wire.ParseObject(o.Get("discriminator")); ok {
		out = discriminated(out, text(disc, "propertyName"))
	}
	return out.Bytes()
}

// keyword converts the plainer keywords.
func (c *converter) keyword(n node, o wire.Object, m wire.Member, in, same at, add func(string, []byte)) {
	modern := c.d.Revision >= "3.1"
	switch m.Name {
	case "format", "contentEncoding", "contentMediaType":
		if s, ok := wire.Text(m.Value); ok && len(s) <= 100 {
			add(m.Name, m.Value)
		}
	case "deprecated":
		if string(m.Value) == "true" {
			add(m.Name, m.Value)
		}
	}
	if c.output { // a looser promise is kept more often
		if m.Name == "prefixItems" {
			if el, ok := wire.Elements(m.Value); ok && modern {
				add(m.Name, c.list(n, el, in))
			}
		}
		return
	}
	switch m.Name {
	case "enum":
		if el, ok := wire.Elements(m.Value); ok && len(el) > 0 {
			add("enum", m.Value)
		}
	case "const":
		if modern {
			add("const", m.Value)
		}
	case "default":
		if len(m.Value) <= 200 {
			add("default", m.Value)
		}
	case "minimum", "maximum":
		exclusive := "exclusiveMinimum"
		if m.Name == "maximum" {
			exclusive = "exclusiveMaximum"
		}
		if !isNumber(m.Value) {
			return
		}
		if string(o.Get(exclusive)) == "true" {
			add(exclusive, m.Value)
			return
		}
		add(m.Name, m.Value)
	case "exclusiveMinimum", "exclusiveMaximum":
		if isNumber(m.Value) {
			add(m.Name, m.Value)
		}
	case "multipleOf":
		if isNumber(m.Value) && m.Value[0] != '-' && strings.Trim(string(m.Value), "0.") != "" {
			add(m.Name, m.Value)
		}
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		if isCount(m.Value) {
			add(m.Name, m.Value)
		}
	case "uniqueItems":
		if string(m.Value) == "true" {
			add(m.Name, m.Value)
		}
	case "pattern":
		if s, ok := wire.Text(m.Value); ok && portable(s) {
			add(m.Name, m.Value)
		} else {
			c.dropped++
		}
	case "not":
		if wire.IsObject(m.Value) {
			add(m.Name, c.schema(node{n.f, m.Value}, same))
		}
	}
	if !modern {
		return
	}
	switch m.Name {
	case "if", "then", "else":
		add(m.Name, c.schema(node{n.f, m.Value}, same))
	case "contains", "propertyNames", "unevaluatedItems":
		add(m.Name, c.schema(node{n.f, m.Value}, in))
	case "prefixItems":
		if el, ok := wire.Elements(m.Value); ok && len(el) > 0 {
			add(m.Name, c.list(n, el, in))
		}
	case "patternProperties":
		p, _ := wire.ParseObject(m.Value)
		var out wire.Object
		for _, x := range p {
			if portable(x.Name) {
				out = append(out, wire.Member{Name: x.Name, Value: c.schema(node{n.f, x.Value}, in)})
			}
		}
		add(m.Name, out.Bytes())
	case "dependentRequired":
		p, _ := wire.ParseObject(m.Value)
		var out wire.Object
		for _, x := range p {
			if r := required(x.Value, nil); r != nil {
				out = append(out, wire.Member{Name: x.Name, Value: r})
			}
		}
		add(m.Name, out.Bytes())
	case "dependentSchemas":
		p, _ := wire.ParseObject(m.Value)
		var out wire.Object
		for _, x := range p {
			out = append(out, wire.Member{Name: x.Name, Value: c.schema(node{n.f, x.Value}, same)})
		}
		add(m.Name, out.Bytes())
	}
}

func (c *converter) list(n node, el [][]byte, a at) []byte {
	out := []byte{'['}
	for i, e := range el {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, c.schema(node{n.f, e}, a)...)
	}
	return append(out, ']')
}

// each converts a list of schemas; nil when it is none or empty.
func (c *converter) each(n node, list []byte, a at) []byte {
	el, _ := wire.Elements(list)
	if len(el) == 0 {
		return nil
	}
	return c.list(n, el, a)
}

// branches converts anyOf or oneOf. Where there are both, what is said by oneOf joins the choices of anyOf only when it
// stands alone; two independent lists cannot be one.
func (c *converter) branches(n node, list []byte, o wire.Object, a at) []byte {
	out := c.each(n, list, a)
	if out == nil {
		return nil
	}
	if c.output || c.d.Revision < "3.1" && string(o.Get("nullable")) == "true" {
		return append(out[:len(out)-1], `,{"type":"null"}]`...)
	}
	return out
}

// hidden names the properties that are not part of this direction: read-only ones of a request, write-only ones of an answer.
func (c *converter) hidden(n node, o wire.Object) map[string]bool {
	mark := "readOnly"
	if c.output {
		mark = "writeOnly"
	}
	props, _ := wire.ParseObject(o.Get("properties"))
	var out map[string]bool
	for _, p := range props {
		if c.d.marked(node{n.f, p.Value}, mark) {
			if out == nil {
				out = map[string]bool{}
			}
			out[p.Name] = true
		}
	}
	return out
}

func (c *converter) properties(n node, o wire.Object, hidden map[string]bool, a at) []byte {
	props, ok := wire.ParseObject(o.Get("properties"))
	if !ok {
		return nil
	}
	out := make(wire.Object, 0, len(props))
	for _, p := range props {
		if !hidden[p.Name] {
			out = append(out, wire.Member{Name: p.Name, Value: c.schema(node{n.f, p.Value}, a)})
		}
	}
	return out.Bytes()
}

// kinds converts type. Names of other languages are taken for what they mean; an unknown one says nothing.
func (c *converter) kinds(o wire.Object, v []byte) []byte {
	var list []string
	if el, ok := wire.Elements(v); ok {
		for _, e := range el {
			if s, ok := wire.Text(e); ok {
				list = append(list, kind(s))
			}
		}
	} else if s, ok := wire.Text(v); ok {
		list = []string{kind(s)}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) == 0 || !c.output && !fits(list, o.Get("enum")) {
		return nil
	}
	if c.output && !slices.Contains(list, "null") {
		list = append(list, "null")
	}
	if len(list) == 1 {
		return wire.String(list[0])
	}
	return stringList(list)
}

func kind(s string) string {
	switch s {
	case "string", "number", "integer", "boolean", "array", "object", "null":
		return s
	case "int", "long", "int32", "int64", "Integer":
		return "integer"
	case "float", "double", "decimal", "Number":
		return "number"
	case "bool", "Boolean":
		return "boolean"
	case "file", "date", "datetime", "date-time", "dateTime", "uuid", "uri", "url", "email", "String":
		return "string"
	case "list", "Array":
		return "array"
	}
	return ""
}

// fits reports whether at least one value of enum has one of the types, or there is no enum.
func fits(kinds []string, enum []byte) bool {
	el, ok := wire.Elements(enum)
	if !ok || len(el) == 0 {
		return true
	}
	for _, e := range el {
		k := valueKind(e)
		if slices.Contains(kinds, k) || k == "integer" && slices.Contains(kinds, "number") {
			return true
		}
	}
	return false
}

// valueKind is the JSON Schema type of a value.
func valueKind(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	switch v[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	if strings.ContainsAny(string(v), ".eE") {
		return "number"
	}
	return "integer"
}

func stringList(list []string) []byte {
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = wire.AppendString(out, s)
	}
	return append(out, ']')
}

// required keeps the names of a required list that are not hidden; nil when nothing is left.
func required(v []byte, hidden map[string]bool) []byte {
	el, ok := wire.Elements(v)
	if !ok {
		return nil
	}
	var list []string
	for _, e := range el {
		if s, ok := wire.Text(e); ok && !hidden[s] && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return stringList(list)
}

// nullable lets a schema of OpenAPI 3.0 accept null as well.
func nullable(o wire.Object) wire.Object {
	t := o.Get("type")
	switch {
	case t == nil && (o.Has("allOf") || o.Has("$ref")):
		return wire.Object{{Name: "anyOf", Value: append(append([]byte{'['}, o.Bytes()...), `,{"type":"null"}]`...)}}
	case t == nil || strings.Contains(string(t), `"null"`):
		return o
	case o.Has("allOf") || o.Has("anyOf"):
		return wire.Object{{Name: "anyOf", Value: append(append([]byte{'['}, o.Bytes()...), `,{"type":"null"}]`...)}}
	}
	if s, ok := wire.Text(t); ok {
		return o.Set("type", stringList([]string{s, "null"}))
	}
	return o
}

// discriminated makes sure that the property which tells the branches apart can be given.
func discriminated(o wire.Object, name string) wire.Object {
	if name == "" || o.Has("anyOf") || o.Has("allOf") {
		return o
	}
	props, _ := wire.ParseObject(o.Get("properties"))
	if props.Has(name) || string(o.Get("additionalProperties")) != "false" {
		return o
	}
	return o.Set("properties", props.Set(name, []byte(`{"type":"string"}`)).Bytes())
}

func isNumber(v []byte) bool { return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9') }

func isCount(v []byte) bool {
	for _, b := range v {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(v) > 0 && len(v) < 16
}

// portable reports whether a pattern means the same to the validators clients use: it compiles here, and it escapes only
// what ECMAScript's Unicode mode lets it.
func portable(p string) bool {
	if len(p) > 1000 {
		return false
	}
	if _, err := regexp.Compile(p); err != nil {
		return false
	}
	class := false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case c == '\\':
			i++
			if i >= len(p) {
				return false
			}
			e := p[i]
			if strings.IndexByte(`^$\.*+?()[]{}|/dDwWsSbBnrtfv`, e) < 0 && !(class && e == '-') {
				return false
			}
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(' && i+1 < len(p) && p[i+1] == '?':
			if i+2 >= len(p) || p[i+2] != ':' {
				return false
			}
		case c == '{' || c == '}' || c == ']':
			if c == ']' || !quantifier(p, i) {
				return false
			}
			if c == '{' {
				i += strings.IndexByte(p[i:], '}')
			}
		}
	}
	return true
}

// quantifier reports whether the brace at i opens a repetition.
func quantifier(p string, i int) bool {
	if p[i] != '{' {
		return false
	}
	end := strings.IndexByte(p[i:], '}')
	if end < 2 {
		return false
	}
	body := p[i+1 : i+end]
	return strings.Trim(body, "0123456789,") == "" && body[0] != ','
}

// short is a description cut to n bytes at the end of a sentence or word, as JSON; nil when nothing is left.
func short(v []byte, n int) []byte {
	s, ok := wire.Text(v)
	if !ok || n == 0 {
		return nil
	}
	if s = prose(s, n); s == "" {
		return nil
	}
	return wire.String(s)
}

var tags = regexp.MustCompile(`</?[a-zA-Z][^<>]{0,200}>`)

// prose is text of a document for a model: without mark-up tags, in one paragraph, cut to n bytes at a sentence or word.
func prose(s string, n int) string {
	if strings.Contains(s, "</") || strings.Contains(s, "<br") {
		s = tags.ReplaceAllString(s, " ")
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	cut := clip(s, n)
	if i := strings.LastIndex(cut, ". "); i > n/2 {
		return cut[:i+1]
	}
	if i := strings.LastIndexByte(cut, ' '); i > 0 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}

// Summarise is the description of an operation for a tool: summary and description, at most n bytes.
func (x *Operation) Summarise(n int) string {
	s, t := prose(x.Summary, n), prose(x.Description, n)
	switch {
	case s == "":
		s = t
	case t != "" && !strings.HasPrefix(t, strings.TrimRight(s, ".…")):
		if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "…") {
			s += "."
		}
		s = prose(s+" "+t, n)
	case t != "":
		s = t
	}
	if s == "" {
		s = fmt.Sprintf("%s %s", x.Method, x.Path)
	}
	if x.Deprecated {
		s = "Deprecated. " + s
	}
	return s
}
