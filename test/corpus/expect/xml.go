package expect

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is an XML element: what is expected of it, or what came.
type node struct {
	names []string // acceptable local names; nil: any
	space string   // namespace; "" when the schema says none: then a default namespace may be in force or not
	attrs map[string]string
	text  string
	kids  []*node
	any   bool   // what is inside has no prescribed form
	list  string // the property whose list it is an element of
}

// document is the XML document for a value of the schemas.
func (d dialect) document(ss []at, v any) (*node, bool) {
	ps, err := d.every(ss)
	if err != nil {
		return nil, false
	}
	inferred := ""
	for _, p := range ps {
		if p.component != "" {
			inferred = p.component
			break
		}
	}
	switch v.(type) {
	case []any:
		if !d.wrapped(ps) {
			return nil, false // more than one root
		}
	case map[string]any:
	default:
		return nil, false // a text is XML already, or the content of an element without a name
	}
	list, ok := d.elements(ss, v, inferred, true)
	if !ok || len(list) != 1 {
		return nil, false
	}
	return list[0], true
}

func (d dialect) wrapped(ps []part) bool {
	return anyPart(ps, func(p part) bool {
		return p.get("xml").get("wrapped").truth() || d.node && p.get("xml").get("nodeType").text() == "element"
	})
}

// xmlNames are the names the schemas allow: those said nearest, else the inferred one.
func (d dialect) xmlNames(ps []part, inferred string) []string {
	var out []string
	for _, p := range ps {
		if n := p.get("xml").get("name").text(); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 && inferred != "" {
		out = []string{inferred}
		if d.node { // 3.2 infers the name of a component where a schema is only a $ref
			for _, p := range ps {
				if p.component != "" {
					out = append(out, p.component)
				}
			}
		}
	}
	for i, n := range out {
		if _, local, ok := strings.Cut(n, ":"); ok {
			out[i] = local
		}
	}
	return out
}

func (d dialect) elements(ss []at, v any, inferred string, root bool) ([]*node, bool) {
	ps, err := d.every(ss)
	if err != nil {
		return nil, false
	}
	self := &node{names: d.xmlNames(ps, inferred), attrs: map[string]string{}}
	for _, p := range ps {
		if s := p.get("xml").get("namespace").text(); s != "" {
			self.space = s
			break
		}
	}
	switch x := v.(type) {
	case []any:
		var items []at
		for _, p := range ps {
			if it := p.get("items"); it.object() != nil {
				items = append(items, it)
			}
			if p.get("prefixItems").is() {
				return nil, false
			}
		}
		wrapped := d.wrapped(ps)
		name := inferred
		if wrapped && len(self.names) > 0 {
			name = self.names[0]
		}
		if root {
			name = componentOf(d, items, name)
		}
		var list []*node
		for _, e := range x {
			more, ok := d.elements(items, e, name, false)
			if !ok {
				return nil, false
			}
			for _, m := range more {
				m.list = inferred + "[]"
				if slices.Equal(m.names, []string{name}) && !wrapped {
					m.names = append(m.names, beside(ps)...)
				}
			}
			list = append(list, more...)
		}
		if !wrapped {
			return list, true
		}
		self.kids = list
		return []*node{self}, true
	case map[string]any:
		declared := properties(d.chosen(ps, x))
		for _, k := range keys(x) {
			schema := declared[k]
			if schema == nil {
				schema = extra(ps)
			}
			if !d.member(self, k, schema, x[k]) {
				return nil, false
			}
		}
		return []*node{self}, true
	case nil:
		return nil, false
	}
	self.text, _ = scalar(v)
	return []*node{self}, true
}

// chosen adds the branches that the value satisfies: the data says which they are.
func (d dialect) chosen(ps []part, v any) []part {
	out := slices.Clone(ps)
	for _, p := range ps {
		for _, b := range append(p.get("oneOf").each(), p.get("anyOf").each()...) {
			if more, err := d.parts(b); err == nil && d.valid(v, []at{b}, 0) == "" {
				out = append(out, d.chosen(more, v)...)
			}
		}
	}
	return out
}

// beside are the names that stand in an allOf beside a list, not in its own schema: the text does not say whether they
// are the wrapper's alone, so they are accepted for the elements.
func beside(ps []part) []string {
	var out []string
	for _, p := range ps {
		if n := p.get("xml").get("name").text(); n != "" && p.get("type").text() != "array" && !p.get("items").is() {
			out = append(out, n)
		}
	}
	return out
}

func componentOf(d dialect, items []at, otherwise string) string {
	ps, err := d.every(items)
	if err == nil {
		for _, p := range ps {
			if p.component != "" {
				return p.component
			}
		}
	}
	return otherwise
}

// member puts a property into its element: as an attribute, as text, or as elements.
func (d dialect) member(self *node, name string, schema []at, v any) bool {
	ps, err := d.every(schema)
	if err != nil {
		return false
	}
	kind := ""
	for _, p := range ps {
		x := p.get("xml")
		if x.get("attribute").truth() {
			kind = "attribute"
		}
		if t := x.get("nodeType").text(); d.node && t != "" && kind == "" {
			kind = t
		}
		if x.get("x-text").truth() {
			self.any = true // text of an element with attributes: an extension some documents use
		}
	}
	text, isText := scalar(v)
	switch kind {
	case "attribute":
		if !isText {
			return false
		}
		if names := d.xmlNames(ps, name); len(names) > 0 {
			self.attrs[names[0]] = text
		}
		return true
	case "text", "cdata":
		self.text += text
		return isText
	case "none":
		return false
	}
	list, ok := d.elements(schema, v, name, false)
	self.kids = append(self.kids, list...)
	return ok
}

// parseXML reads a document as a tree.
func parseXML(b []byte) (*node, error) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	var root *node
	var stack []*node
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch x := t.(type) {
		case xml.StartElement:
			n := &node{names: []string{x.Name.Local}, space: x.Name.Space, attrs: map[string]string{}}
			for _, a := range x.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					n.attrs[a.Name.Local] = a.Value
				}
			}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				up.kids = append(up.kids, n)
			} else if root != nil {
				return nil, errors.New("two roots")
			} else {
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(x)
			}
		}
	}
	if root == nil {
		return nil, errors.New("no element")
	}
	return root, nil
}

// differs says where what came is not what is expected. The order of elements counts only among those of one name.
func (n *node) differs(got *node) string {
	at := "/" + got.names[0]
	if n.names != nil && !slices.Contains(n.names, got.names[0]) {
		return fmt.Sprintf("element %s, want %s", got.names[0], strings.Join(n.names, " or "))
	}
	if n.space != "" && n.space != got.space {
		return fmt.Sprintf("%s: namespace %q, want %q", at, got.space, n.space)
	}
	if n.any {
		return ""
	}
	for k, v := range n.attrs {
		if got.attrs[k] != v {
			return fmt.Sprintf("%s: attribute %s %q, want %q", at, k, got.attrs[k], v)
		}
	}
	if len(got.attrs) != len(n.attrs) {
		return fmt.Sprintf("%s: %d attributes, want %d", at, len(got.attrs), len(n.attrs))
	}
	if len(n.kids) != len(got.kids) {
		return fmt.Sprintf("%s: %d elements, want %d", at, len(got.kids), len(n.kids))
	}
	if len(n.kids) == 0 && n.text != got.text && strings.TrimSpace(n.text) != strings.TrimSpace(got.text) {
		return fmt.Sprintf("%s: text %q, want %q", at, got.text, n.text)
	}
	if why := n.kidsDiffer(got); why != "" {
		return at + why
	}
	return ""
}

// kidsDiffer matches the elements below. Lists may share a name, so each element is looked for among all of its name; the
// order of one list must be kept.
func (n *node) kidsDiffer(got *node) string {
	taken := make([]bool, len(got.kids))
	last, before := -1, ""
	for _, k := range n.kids {
		found, why := -1, "/"+strings.Join(k.names, " or ")+": not there"
		for i, g := range got.kids {
			if taken[i] || k.names != nil && !slices.Contains(k.names, g.names[0]) {
				continue
			}
			w := k.differs(g)
			if w == "" {
				found = i
				break
			}
			why = w
		}
		if found < 0 {
			return why
		}
		if k.list != "" && k.list == before && found < last {
			return "/" + got.kids[found].names[0] + ": out of order"
		}
		taken[found] = true
		last, before = found, k.list
	}
	return ""
}
