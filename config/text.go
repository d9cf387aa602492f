package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"gatehouse"
)

// maxDepth bounds nesting; the file's own structure needs seven levels.
const maxDepth = 100

// document reads the bytes as one YAML document and returns its value, or nil when there is a fault.
func (d *decoder) document(b []byte) *yaml.Node {
	if !d.text(b) {
		return nil
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(b))
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && doc.Content[0].Tag == "!!null" {
		d.fault(nil, "config.empty", "the file is empty", "start from examples/quickstart/gatehouse.yaml")
		return nil
	}
	if err != nil {
		d.syntax(b, err)
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		d.fault(&second, "config.documents", "the file holds several YAML documents", "keep one; remove the line ---")
	case !errors.Is(err, io.EOF):
		d.syntax(b, err)
	}
	if !d.shape(doc.Content[0], 0) {
		return nil
	}
	return doc.Content[0]
}

// text refuses bytes that are no text, which the YAML reader would tell without a place.
func (d *decoder) text(b []byte) bool {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		d.fault(nil, "config.encoding", "the file is UTF-16", "save it as UTF-8")
		return false
	}
	line, start := 1, 0
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		bad := func(msg, hint string) bool {
			d.fault(&yaml.Node{Line: line, Column: 1 + utf8.RuneCount(b[start:i])}, "config.encoding", msg, hint)
			return false
		}
		switch {
		case r == utf8.RuneError && n == 1:
			return bad(fmt.Sprintf("the byte 0x%02x is no UTF-8", b[i]), "save the file as UTF-8")
		case r == '\n':
			line, start = line+1, i+1
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return bad(fmt.Sprintf("the control character U+%04X is not accepted", r), "remove it")
		}
		i += n
	}
	return true
}

// syntax says what the YAML reader could not read. It stops at the first such place: what follows has no structure.
func (d *decoder) syntax(b []byte, err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	at := &yaml.Node{Line: 1, Column: 1}
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if line, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(line); err == nil {
				at.Line, msg = n, text
			}
		}
	}
	hint := "look at the indentation and quotes of this line and the one before"
	lines := bytes.Split(b, []byte("\n"))
	for _, n := range []int{at.Line, at.Line + 1, at.Line - 1} {
		if n < 1 || n > len(lines) {
			continue
		}
		if indent := lines[n-1][:len(lines[n-1])-len(bytes.TrimLeft(lines[n-1], " \t"))]; bytes.IndexByte(indent, '\t') >= 0 {
			at.Line, at.Column = n, bytes.IndexByte(indent, '\t')+1
			msg, hint = "a tab stands in the indentation", "indent with blanks"
			break
		}
	}
	if strings.HasPrefix(msg, "exceeded max depth") {
		msg, hint = "nested too deeply", "close what is open"
	}
	d.fault(at, "config.yaml", "not valid YAML: "+msg, hint)
}

// shape refuses what the file has no use for, wherever it stands, and reports whether the rest can be read.
func (d *decoder) shape(n *yaml.Node, depth int) bool {
	if d.nodes++; d.nodes > maxNodes {
		d.fault(n, "config.size", fmt.Sprintf("the file has more than %d values", maxNodes), "split what it publishes over several gateways")
		return false
	}
	if depth > maxDepth {
		d.fault(n, "config.yaml", "not valid YAML: nested too deeply", "close what is open")
		return false
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fault(n, "config.alias", "anchors and aliases are not supported", "write the value out")
		n.Anchor = ""
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fault(n, "config.tag", fmt.Sprintf("tags such as %s are not supported", n.Tag), "remove it")
	}
	for i, e := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && e.Kind != yaml.ScalarNode {
			d.fault(e, "config.key", "a key must be text", "look for a missing colon or quote")
			continue
		}
		if !d.shape(e, depth+1) {
			return false
		}
	}
	return true
}

func (d *decoder) pos(n *yaml.Node) gatehouse.Pos {
	if n == nil {
		return gatehouse.Pos{File: d.file, Line: 1, Col: 1}
	}
	return gatehouse.Pos{File: d.file, Line: max(n.Line, 1), Col: max(n.Column, 1)}
}
