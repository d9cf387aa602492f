package upstream

import (
	"errors"
	"strings"

	"gatehouse/wire"
)

// Bounds of a schema that an upstream sends.
const (
	maxSubschemas = 2000
	maxSchemaDeep = 32
	maxPattern    = 1 << 10
)

// schemaGuard walks a schema before anything else looks at it.
type schemaGuard struct {
	root  []byte
	count int
}

// guardSchema refuses a schema that is too large or deep, or that refers to anything outside of itself.
func guardSchema(b []byte) error {
	if s := string(b); s == "true" || s == "false" {
		return nil
	}
	if !wire.IsObject(b) {
		return errors.New("it is no schema")
	}
	return (&schemaGuard{root: b}).walk(b, 0, false)
}

// walk visits v; data says that the members of v are names, not keywords.
func (g *schemaGuard) walk(v []byte, depth int, names bool) error {
	if depth > 2*maxSchemaDeep {
		return errors.New("it is nested too deep")
	}
	if el, ok := wire.Elements(v); ok {
		for _, e := range el {
			if err := g.walk(e, depth+1, false); err != nil {
				return err
			}
		}
		return nil
	}
	o, ok := wire.ParseObject(v)
	if !ok {
		return nil
	}
	if g.count++; g.count > maxSubschemas {
		return errors.New("it has too many parts")
	}
	for _, m := range o {
		if !names {
			switch m.Name {
			case "const", "enum", "default", "examples":
				continue
			case "$ref", "$dynamicRef":
				if err := g.ref(m.Value); err != nil {
					return err
				}
				continue
			case "pattern":
				if len(m.Value) > maxPattern {
					return errors.New("a pattern is too long")
				}
				continue
			}
		}
		inner := !names && (m.Name == "properties" || m.Name == "patternProperties" || m.Name == "$defs" || m.Name == "definitions" || m.Name == "dependentSchemas")
		if err := g.walk(m.Value, depth+1, inner); err != nil {
			return err
		}
	}
	return nil
}

// ref accepts a reference to a place in the same document that does not lead back to itself without descending.
func (g *schemaGuard) ref(v []byte) error {
	seen := map[string]bool{}
	for {
		s, ok := wire.Text(v)
		if !ok || !strings.HasPrefix(s, "#") {
			return errors.New("it refers to something outside of itself, which is never fetched")
		}
		if seen[s] {
			return errors.New("a reference leads back to itself")
		}
		seen[s] = true
		at, ok := g.find(s[1:])
		if !ok {
			return errors.New("a reference leads nowhere")
		}
		if at == nil {
			return nil
		}
		o, _ := wire.ParseObject(at)
		if v = o.Get("$ref"); v == nil {
			return g.turns(at, map[string]bool{s: true}, 0)
		}
	}
}

// turns refuses a schema that applies one of the references in seen to the same instance again.
func (g *schemaGuard) turns(v []byte, seen map[string]bool, depth int) error {
	if g.count++; depth > maxSchemaDeep || g.count > maxSubschemas {
		return errors.New("its references are too deep")
	}
	o, ok := wire.ParseObject(v)
	if !ok {
		return nil
	}
	if r := o.Get("$ref"); r != nil {
		s, _ := wire.Text(r)
		if seen[s] {
			return errors.New("a reference leads back to itself")
		}
		if at, ok := g.find(strings.TrimPrefix(s, "#")); ok && at != nil {
			next := map[string]bool{s: true}
			for k := range seen {
				next[k] = true
			}
			if err := g.turns(at, next, depth+1); err != nil {
				return err
			}
		}
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		el, _ := wire.Elements(o.Get(k))
		for _, e := range el {
			if err := g.turns(e, seen, depth+1); err != nil {
				return err
			}
		}
	}
	for _, k := range []string{"not", "if", "then", "else"} {
		if e := o.Get(k); e != nil {
			if err := g.turns(e, seen, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// find resolves a JSON pointer. An anchor is accepted as nil: whoever validates resolves it within the document.
func (g *schemaGuard) find(p string) ([]byte, bool) {
	if p == "" {
		return g.root, true
	}
	if p[0] != '/' {
		return nil, true
	}
	v := g.root
	for _, part := range strings.Split(p[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		o, ok := wire.ParseObject(v)
		if ok {
			v = o.Get(part)
		} else if el, ok := wire.Elements(v); ok {
			i := 0
			for _, c := range part {
				if c < '0' || c > '9' || i > len(el) {
					return nil, false
				}
				i = i*10 + int(c-'0')
			}
			if i >= len(el) || part == "" {
				return nil, false
			}
			v = el[i]
		}
		if v == nil {
			return nil, false
		}
	}
	return v, true
}
