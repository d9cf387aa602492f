package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"
)

// json writes a node as JSON. References to the environment and to files are replaced in its text.
func (d *decoder) json(n *yaml.Node) ([]byte, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		return d.jsonScalar(n)
	case yaml.SequenceNode:
		out := []byte{'['}
		for i, e := range n.Content {
			if i > 0 {
				out = append(out, ',')
			}
			b, ok := d.json(e)
			if !ok {
				return nil, false
			}
			out = append(out, b...)
		}
		return append(out, ']'), true
	case yaml.MappingNode:
		out := []byte{'{'}
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			if seen[k.Value] > 0 {
				d.fault(k, "config.duplicate_key", fmt.Sprintf("name %q is here and at line %d", k.Value, seen[k.Value]), "keep one of the two")
				return nil, false
			}
			seen[k.Value] = k.Line
			b, ok := d.json(n.Content[i+1])
			if !ok {
				return nil, false
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			name, _ := json.Marshal(k.Value) // text can always be written
			out = append(append(append(out, name...), ':'), b...)
		}
		return append(out, '}'), true
	}
	return nil, false // an alias: said by shape
}

func (d *decoder) jsonScalar(n *yaml.Node) ([]byte, bool) {
	switch n.Tag {
	case "!!null":
		return []byte("null"), true
	case "!!bool", "!!int", "!!float":
		var v any
		err := n.Decode(&v)
		if f, isFloat := v.(float64); err == nil && isFloat && (math.IsInf(f, 0) || math.IsNaN(f)) {
			err = fmt.Errorf("no number")
		}
		if err == nil && json.Valid([]byte(n.Value)) {
			return []byte(n.Value), true // as it was written: 1.10 and large numbers stay what they are
		}
		b, merr := json.Marshal(v)
		if err != nil || merr != nil {
			d.fault(n, "config.value", fmt.Sprintf("%q cannot be written as JSON", n.Value), "put it in quotes if it is text")
			return nil, false
		}
		return b, true
	}
	s, _, ok := d.expand(n, n.Value)
	if !ok {
		return nil, false
	}
	b, err := json.Marshal(strings.ToValidUTF8(s, "�"))
	return b, err == nil
}
