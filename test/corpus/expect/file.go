// Package expect says, from an OpenAPI document alone, which HTTP requests its operations prescribe. It makes sample values
// for an operation and the request that OpenAPI 2.0, 3.0, 3.1 and 3.2, RFC 6570 and RFC 3986 demand for them, and compares
// a request with it. It shares no code with backend/rest/openapi: what the two agree on, two readings of the text agree on.
package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Files reads the documents that references name, each once.
type Files struct {
	Read func(place string) ([]byte, error) // nil: no other documents
	have map[string]any
}

// file is one parsed document and where it came from.
type file struct {
	set   *Files
	place string
	root  any
}

// at is a value in a document. The document is needed to resolve references below it.
type at struct {
	f *file
	v any
}

func (a at) object() map[string]any { m, _ := a.v.(map[string]any); return m }
func (a at) list() []any            { l, _ := a.v.([]any); return l }
func (a at) text() string           { s, _ := a.v.(string); return s }
func (a at) truth() bool            { b, _ := a.v.(bool); return b }
func (a at) is() bool               { return a.v != nil }

// get returns a member; the zero value when there is none.
func (a at) get(name string) at { return at{a.f, a.object()[name]} }

func (a at) each() []at {
	out := make([]at, 0, len(a.list()))
	for _, v := range a.list() {
		out = append(out, at{a.f, v})
	}
	return out
}

// decode reads JSON, or YAML with the values JSON has. Numbers keep their digits.
func decode(b []byte) (any, error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if t := bytes.TrimLeft(b, " \t\r\n"); len(t) > 0 && (t[0] == '{' || t[0] == '[') {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err == nil {
			return v, nil
		} else if !utf8.Valid(b) {
			return nil, err
		}
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return nil, err
	}
	budget := 2_000_000
	return fromYAML(&n, &budget)
}

func fromYAML(n *yaml.Node, budget *int) (any, error) {
	if *budget--; *budget < 0 {
		return nil, errors.New("the YAML grows without end")
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return fromYAML(n.Content[0], budget)
	case yaml.AliasNode:
		return fromYAML(n.Alias, budget)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			v, err := fromYAML(c, budget)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		return mapping(n, budget)
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
		var x float64
		if err := n.Decode(&x); err != nil {
			return nil, err
		}
		return json.Number(strconv.FormatFloat(x, 'g', -1, 64)), nil
	}
	return n.Value, nil
}

func mapping(n *yaml.Node, budget *int) (any, error) {
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		v, err := fromYAML(n.Content[i+1], budget)
		if err != nil {
			return nil, err
		}
		if n.Content[i].ShortTag() == "!!merge" {
			m, _ := v.(map[string]any)
			for k, x := range m {
				if _, have := out[k]; !have {
					out[k] = x
				}
			}
			continue
		}
		out[n.Content[i].Value] = v
	}
	return out, nil
}

func (s *Files) open(place string) (*file, error) {
	if v, ok := s.have[place]; ok {
		return &file{s, place, v}, nil
	}
	if s.Read == nil {
		return nil, fmt.Errorf("another document: %s", place)
	}
	b, err := s.Read(place)
	if err != nil {
		return nil, err
	}
	v, err := decode(b)
	if err != nil {
		return nil, err
	}
	s.have[place] = v
	return &file{s, place, v}, nil
}

// refer finds what a $ref names.
func (f *file) refer(ref string) (at, error) {
	doc, fragment, _ := strings.Cut(ref, "#")
	if doc != "" {
		place := doc
		if base, err := url.Parse(f.place); err == nil && base.Scheme != "" {
			u, err := base.Parse(doc)
			if err != nil {
				return at{}, err
			}
			place = u.String()
		} else if u, err := url.Parse(doc); err == nil && u.Scheme == "" {
			place = path.Join(path.Dir(f.place), u.Path)
		}
		other, err := f.set.open(place)
		if err != nil {
			return at{}, err
		}
		f = other
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return at{}, fmt.Errorf("reference %s: %w", ref, err)
	}
	v := f.root
	if fragment != "" && fragment[0] != '/' {
		if v = anchor(f.root, fragment, 0); v == nil {
			return at{}, fmt.Errorf("reference %s: no such anchor", ref)
		}
		return at{f, v}, nil
	}
	for i, t := range strings.Split(fragment, "/") {
		if i == 0 {
			continue
		}
		t = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
		switch x := v.(type) {
		case map[string]any:
			next, ok := x[t]
			if !ok {
				return at{}, fmt.Errorf("reference %s: no %s", ref, t)
			}
			v = next
		case []any:
			n, err := strconv.Atoi(t)
			if err != nil || n < 0 || n >= len(x) {
				return at{}, fmt.Errorf("reference %s: no %s", ref, t)
			}
			v = x[n]
		default:
			return at{}, fmt.Errorf("reference %s: no %s", ref, t)
		}
	}
	return at{f, v}, nil
}

func anchor(v any, name string, depth int) any {
	if depth > 64 {
		return nil
	}
	switch x := v.(type) {
	case map[string]any:
		if x["$anchor"] == name || x["$dynamicAnchor"] == name {
			return x
		}
		for _, k := range keys(x) {
			if hit := anchor(x[k], name, depth+1); hit != nil {
				return hit
			}
		}
	case []any:
		for _, e := range x {
			if hit := anchor(e, name, depth+1); hit != nil {
				return hit
			}
		}
	}
	return nil
}

// follow resolves a Reference Object; schemas are followed by conjuncts, since in 3.1 a $ref has siblings there.
func (a at) follow() (at, error) {
	for range 32 {
		ref, ok := a.object()["$ref"].(string)
		if !ok {
			return a, nil
		}
		next, err := a.f.refer(ref)
		if err != nil {
			return at{}, err
		}
		a = next
	}
	return at{}, errors.New("references without end")
}
