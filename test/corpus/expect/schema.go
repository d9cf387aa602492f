package expect

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
)

// part is one schema object that applies to a value, with the name it was referred to by ("" when it stands in place).
type part struct {
	at
	component string
	deep      int // how many $ref and allOf lie between the schema that was asked about and this one
}

// dialect is what differs between the schemas of the versions.
type dialect struct {
	siblings bool // keywords beside $ref count (3.1)
	nullable bool // nullable: true and boolean exclusiveMinimum (3.0)
	modern   bool // contentEncoding instead of format byte and binary (3.1)
	node     bool // xml.nodeType (3.2)
	// merged reads a schema as its author meant it where JSON Schema allows nothing at all: additionalProperties over what
	// all of an allOf declare, oneOf as anyOf, enum over a type that none of its values has, no pattern in JavaScript's slashes.
	merged   bool
	patterns map[string]compiled
	fuel     *int // schemas that may still be looked at for one sample; hostile documents have more than time
}

// enough is how many schemas are looked at for one sample before it is given up.
const enough = 300_000

// parts are the schema and everything that can be reached from it by $ref and allOf: all of it applies to any instance.
// The nearest stand first.
func (d dialect) parts(s at) ([]part, error) {
	var out []part
	seen := map[string]bool{}
	var walk func(s at, component string, depth int) error
	walk = func(s at, component string, depth int) error {
		if depth > 40 || len(out) > 400 {
			return errors.New("a schema that contains itself")
		}
		m := s.object()
		if m == nil {
			if b, ok := s.v.(bool); ok && !b {
				out = append(out, part{s, component, depth})
			}
			return nil
		}
		if ref, ok := m["$ref"].(string); ok {
			if d.siblings && len(m) > 1 {
				rest := make(map[string]any, len(m))
				for k, v := range m {
					if k != "$ref" {
						rest[k] = v
					}
				}
				if err := walk(at{s.f, rest}, component, depth); err != nil {
					return err
				}
			}
			if seen[s.f.place+" "+ref] {
				return nil // an allOf that reaches itself adds nothing
			}
			seen[s.f.place+" "+ref] = true
			next, err := s.f.refer(ref)
			if err != nil {
				return err
			}
			name := ref[strings.LastIndexAny(ref, "/#")+1:]
			if !strings.Contains(ref, "/schemas/") && !strings.Contains(ref, "/definitions/") {
				name = ""
			}
			return walk(next, name, depth+1)
		}
		out = append(out, part{s, component, depth})
		for _, sub := range s.get("allOf").each() {
			if err := walk(sub, "", depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if *d.fuel--; *d.fuel < 0 {
		return nil, errors.New("the schema takes too long")
	}
	if err := walk(s, "", 0); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b part) int { return a.deep - b.deep })
	return out, nil
}

// kinds are the JSON types the parts leave; nil when none of them says.
func (d dialect) kinds(ps []part) []string {
	var out []string
	said := false
	for _, p := range ps {
		var now []string
		switch t := p.get("type").v.(type) {
		case string:
			now = []string{t}
		case []any:
			for _, x := range t {
				if s, ok := x.(string); ok {
					now = append(now, s)
				}
			}
		}
		if len(now) == 0 {
			continue
		}
		if d.nullable && p.get("nullable").truth() {
			now = append(now, "null")
		}
		if !said {
			out, said = now, true
			continue
		}
		out = slices.DeleteFunc(slices.Clone(out), func(k string) bool {
			return !slices.Contains(now, k) && !(k == "integer" && slices.Contains(now, "number"))
		})
	}
	return out
}

// kindOf is the JSON type of a value.
func kindOf(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		if r, ok := rat(x); ok && r.IsInt() {
			return "integer"
		}
		return "number"
	case string, Bytes:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// Bytes are the content of a file or binary body; in JSON they are base64.
type Bytes string

func rat(n json.Number) (*big.Rat, bool) {
	if i := strings.IndexAny(string(n), "eE"); i >= 0 && len(n)-i > 5 {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}

// Equal compares JSON values; numbers by value.
func Equal(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		if !ok {
			return false
		}
		p, ok1 := rat(x)
		q, ok2 := rat(y)
		if !ok1 || !ok2 {
			return x == y
		}
		return p.Cmp(q) == 0
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, Equal)
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			if w, ok := y[k]; !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

func keys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// properties are the declared properties of the parts, each with every schema that is given for it.
func properties(ps []part) map[string][]at {
	out := map[string][]at{}
	for _, p := range ps {
		for k, v := range p.get("properties").object() {
			out[k] = append(out[k], at{p.f, v})
		}
	}
	return out
}

func required(ps []part) map[string]bool {
	out := map[string]bool{}
	for _, p := range ps {
		for _, r := range p.get("required").each() {
			out[r.text()] = true
		}
	}
	return out
}

// every is parts over several schemas.
func (d dialect) every(ss []at) ([]part, error) {
	var out []part
	for _, s := range ss {
		ps, err := d.parts(s)
		if err != nil {
			return nil, err
		}
		out = append(out, ps...)
	}
	slices.SortStableFunc(out, func(a, b part) int { return a.deep - b.deep })
	return out, nil
}
