package openapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse/wire"
)

// yamlToJSON writes a YAML document as JSON that passes the strict reader: numbers as they stand where JSON has the form,
// keys as text, dates as text, a repeated key once (the last one counts, as for most readers).
func yamlToJSON(b []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	// Aliases are written out, so the values are bounded by what a document of this length could say plainly.
	w := &yamlWriter{out: make([]byte, 0, len(b)), left: 10_000 + 4*len(b), most: min(maxDocument, 16<<20+8*len(b))}
	w.value(doc.Content[0], 0)
	if w.err != nil {
		return nil, w.err
	}
	if err := wire.Verify(w.out, lenient); err != nil {
		return nil, err
	}
	return w.out, nil
}

type yamlWriter struct {
	out  []byte
	left int // values that may still come
	most int // bytes that may be written
	err  error
}

func (w *yamlWriter) value(n *yaml.Node, depth int) {
	if w.left--; w.err == nil && (w.left < 0 || depth > 500 || len(w.out) > w.most) {
		w.err = fmt.Errorf("line %d: it has too many or too deep values", n.Line)
	}
	if w.err != nil {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		w.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, e := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(e, depth+1)
		}
		w.out = append(w.out, ']')
	case yaml.MappingNode:
		w.object(n, depth)
	default:
		w.scalar(n)
	}
}

func (w *yamlWriter) object(n *yaml.Node, depth int) {
	var keys []string
	values := map[string]*yaml.Node{}
	var add func(n *yaml.Node, merged bool, depth int)
	add = func(n *yaml.Node, merged bool, depth int) {
		for n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind != yaml.MappingNode || depth > 100 {
			return
		}
		for i := 0; i+1 < len(n.Content) && w.left > 0; i += 2 {
			w.left--
			k, v := n.Content[i], n.Content[i+1]
			if k.Tag == "!!merge" {
				for v.Kind == yaml.AliasNode {
					v = v.Alias
				}
				if v.Kind == yaml.SequenceNode {
					w.left -= len(v.Content)
					for _, e := range v.Content {
						add(e, true, depth+1)
					}
				} else {
					add(v, true, depth+1)
				}
				continue
			}
			for k.Kind == yaml.AliasNode {
				k = k.Alias
			}
			if _, have := values[k.Value]; !have {
				keys = append(keys, k.Value)
			} else if merged {
				continue
			}
			values[k.Value] = v
		}
	}
	add(n, false, 0)
	w.out = append(w.out, '{')
	for i, k := range keys {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = wire.AppendString(w.out, k)
		w.out = append(w.out, ':')
		w.value(values[k], depth+1)
	}
	w.out = append(w.out, '}')
}

func (w *yamlWriter) scalar(n *yaml.Node) {
	switch n.ShortTag() {
	case "!!null":
		w.out = append(w.out, "null"...)
		return
	case "!!bool":
		var v bool
		if n.Decode(&v) == nil {
			w.out = strconv.AppendBool(w.out, v)
			return
		}
	case "!!int":
		if wire.Verify([]byte(n.Value), lenient) == nil {
			w.out = append(w.out, n.Value...)
			return
		}
		var v int64
		if n.Decode(&v) == nil {
			w.out = strconv.AppendInt(w.out, v, 10)
			return
		}
	case "!!float":
		if wire.Verify([]byte(n.Value), lenient) == nil {
			w.out = append(w.out, n.Value...)
			return
		}
		var v float64
		if n.Decode(&v) == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			w.out = strconv.AppendFloat(w.out, v, 'g', -1, 64)
			return
		}
	}
	w.out = wire.AppendString(w.out, strings.ReplaceAll(n.Value, "\x00", ""))
}
