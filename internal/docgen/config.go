// Package docgen makes the reference pages out of the source, so that they cannot say something else: the configuration
// file from its structs, the error codes from where they are used.
package docgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/wire"
)

// Struct is one section of the configuration file.
type Struct struct {
	Name, Doc string
	Fields    []Field
}

// Field is one key of a section.
type Field struct {
	Key, Doc string
	Type     string   // as in Go: "string", "[]Source", "map[string]*Server"
	Choices  []string // the values it may have, when they are few
	Default  string   // as the comment says it, "" when there is none
}

// Structs reads the structs of a package's folder that have keys, in the order of the files, and checks their comments.
func Structs(folder fs.FS) ([]Struct, error) {
	files, err := fs.Glob(folder, "*.go")
	if err != nil {
		return nil, err
	}
	var out []Struct
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				t := spec.(*ast.TypeSpec)
				st, ok := t.Type.(*ast.StructType)
				if !ok {
					continue
				}
				s, err := readStruct(t.Name.Name, gen.Doc.Text(), st)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				if len(s.Fields) > 0 {
					out = append(out, s)
				}
			}
		}
	}
	return out, nil
}

var (
	defaultDoc = regexp.MustCompile(`Default:? (.+?)\.(?:\s|$)`)
	oneLine    = strings.NewReplacer("\n", " ", "|", `\|`)
)

func readStruct(name, doc string, st *ast.StructType) (Struct, error) {
	s := Struct{Name: name, Doc: strings.TrimSpace(doc)}
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		key := tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		text := strings.TrimSpace(f.Doc.Text())
		if text == "" || !strings.HasSuffix(text, ".") {
			return s, fmt.Errorf("field %s.%s has no comment that ends in a full stop; it is the operator's documentation", name, key)
		}
		field := Field{Key: key, Doc: oneLine.Replace(text), Type: typeName(f.Type)}
		if enum := tag.Get("enum"); enum != "" {
			field.Choices = strings.Split(enum, ",")
		}
		if m := defaultDoc.FindStringSubmatch(text); m != nil {
			field.Default = m[1]
		}
		s.Fields = append(s.Fields, field)
	}
	return s, nil
}

func typeName(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		return typeName(t.X) + "." + t.Sel.Name
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.ArrayType:
		return "[]" + typeName(t.Elt)
	case *ast.MapType:
		return "map[" + typeName(t.Key) + "]" + typeName(t.Value)
	}
	return "?"
}

// Page writes the reference page of the structs, from root down.
func Page(structs []Struct, root string) ([]byte, error) {
	w := &pageWriter{structs: index(structs)}
	fmt.Fprintf(&w.b, `# Configuration

One YAML file, named with `+"`--config`"+`. Unknown keys are errors; `+"`gatehouse config check FILE`"+` names every fault of a
file with its place and a way out. Any value may hold `+"`${env:NAME}` or `${file:/path}`"+`; secrets stand in the file only so.
Numbers may be written as `+"`64KiB` or `4MiB`, durations as `500ms`, `30s` or `5m`"+`. Paths are relative to the file. Editors complete keys
with [config.schema.json](config.schema.json), which `+"`gatehouse config schema`"+` prints too.

A change of the file takes effect within a second, without dropping a call; a file with a fault changes nothing and is
reported in the log. %s, %s, %s and %s take effect at the next start.

This page is made from the source.
`, "`listen`", "`tls`", "`data`", "`publicURL`")
	if err := w.section(root, ""); err != nil {
		return nil, err
	}
	return []byte(w.b.String()), nil
}

type pageWriter struct {
	b       strings.Builder
	structs map[string]Struct
	done    []string
}

func index(structs []Struct) map[string]Struct {
	m := map[string]Struct{}
	for _, s := range structs {
		m[s.Name] = s
	}
	return m
}

func (w *pageWriter) section(name, at string) error {
	s, ok := w.structs[name]
	if !ok {
		return fmt.Errorf("no struct %s describes %s", name, at)
	}
	title := at
	if title == "" {
		title = "The file"
	}
	fmt.Fprintf(&w.b, "\n## %s\n\n| key | value | |\n|---|---|---|\n", title)
	type below struct{ name, at string }
	var next []below
	for _, f := range s.Fields {
		here := f.Key
		if at != "" {
			here = at + "." + f.Key
		}
		value, inner := describe(f)
		if inner != "" {
			here += map[byte]string{'[': "[]", 'm': ".NAME"}[f.Type[0]]
			if title := w.title(inner); title != "" { // described already, where it stood first
				here = title
			} else {
				w.done = append(w.done, inner+" "+here)
				next = append(next, below{inner, here})
			}
			value += ": [" + here + "](#" + anchor(here) + ")"
		}
		fmt.Fprintf(&w.b, "| `%s` | %s | %s |\n", f.Key, value, f.Doc)
	}
	for _, n := range next {
		if err := w.section(n.name, n.at); err != nil {
			return err
		}
	}
	return nil
}

// title is the heading that a struct has got already.
func (w *pageWriter) title(name string) string {
	for _, d := range w.done {
		if n, at, _ := strings.Cut(d, " "); n == name {
			return at
		}
	}
	return ""
}

// anchor is the link that GitHub makes of a heading.
func anchor(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, s)
}

// describe says what stands at a key, and the struct below it.
func describe(f Field) (value, inner string) {
	if len(f.Choices) > 0 {
		return "`" + strings.Join(f.Choices, "`, `") + "`", ""
	}
	t := f.Type
	switch t {
	case "string":
		return "text", ""
	case "bool":
		return "`true` or `false`", ""
	case "int", "int64":
		return "number", ""
	case "time.Duration":
		return "duration", ""
	case "gatehouse.Secret":
		return "secret", ""
	case "[]string":
		return "list of text", ""
	case "map[string]string":
		return "text by name", ""
	case "map[string]Value":
		return "values by name", ""
	case "map[string]gatehouse.Secret":
		return "secrets by name", ""
	}
	if in, ok := strings.CutPrefix(t, "[]"); ok {
		return "list", in
	}
	if in, ok := strings.CutPrefix(t, "map[string]"); ok {
		return "by name", in
	}
	return "keys", t
}

// Schema writes the JSON Schema (2020-12) of the structs, from root down.
func Schema(structs []Struct, root string) ([]byte, error) {
	s := &schemaWriter{structs: index(structs)}
	body, err := s.object(root)
	if err != nil {
		return nil, err
	}
	top := wire.Object{
		{Name: "$schema", Value: wire.String("https://json-schema.org/draft/2020-12/schema")},
		{Name: "title", Value: wire.String("Gatehouse configuration")},
	}
	return indent(append(top, body...).Bytes())
}

func indent(b []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

type schemaWriter struct{ structs map[string]Struct }

func (s *schemaWriter) object(name string) (wire.Object, error) {
	st, ok := s.structs[name]
	if !ok {
		return nil, fmt.Errorf("no struct %s", name)
	}
	var props wire.Object
	for _, f := range st.Fields {
		o := wire.Object{{Name: "description", Value: wire.String(strings.ReplaceAll(f.Doc, `\|`, "|"))}}
		value, err := s.value(f)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, f.Key, err)
		}
		props = append(props, wire.Member{Name: f.Key, Value: append(o, value...).Bytes()})
	}
	return wire.Object{
		{Name: "type", Value: []byte(`["object","null"]`)}, // an empty section keeps its defaults
		{Name: "properties", Value: props.Bytes()},
		{Name: "additionalProperties", Value: []byte("false")},
	}, nil
}

// reference is a value that comes from outside the file.
const reference = `\$\{(env|file):.+\}`

func (s *schemaWriter) value(f Field) (wire.Object, error) {
	word := func(kind string) wire.Object { return wire.Object{{Name: "type", Value: wire.String(kind)}} }
	pattern := func(p string) wire.Object {
		return append(word("string"), wire.Member{Name: "pattern", Value: wire.String(p)})
	}
	anyOf := func(list ...wire.Object) wire.Object {
		var b []string
		for _, o := range list {
			b = append(b, string(o.Bytes()))
		}
		return wire.Object{{Name: "anyOf", Value: []byte("[" + strings.Join(b, ",") + "]")}}
	}
	if len(f.Choices) > 0 {
		var b []string
		for _, c := range f.Choices {
			b = append(b, string(wire.String(c)))
			if _, err := strconv.ParseFloat(c, 64); err == nil { // YAML reads it as a number where it is not quoted
				b = append(b, c)
			}
		}
		return wire.Object{{Name: "enum", Value: []byte("[" + strings.Join(b, ",") + "]")}}, nil
	}
	switch f.Type {
	case "string":
		return word("string"), nil
	case "bool":
		return anyOf(word("boolean"), pattern("^"+reference+"$")), nil
	case "int", "int64":
		return anyOf(append(word("integer"), wire.Member{Name: "minimum", Value: []byte("0")}), pattern(`^([0-9]+ ?(KiB|MiB|GiB)|`+reference+`)$`)), nil
	case "time.Duration":
		return pattern(`^(([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|0|` + reference + `)$`), nil
	case "gatehouse.Secret":
		return pattern(reference), nil
	case "Value":
		return wire.Object{}, nil
	}
	if in, ok := strings.CutPrefix(f.Type, "[]"); ok {
		item, err := s.value(Field{Type: in})
		return append(word("array"), wire.Member{Name: "items", Value: item.Bytes()}), err
	}
	if in, ok := strings.CutPrefix(f.Type, "map[string]"); ok {
		item, err := s.value(Field{Type: in})
		return append(word("object"), wire.Member{Name: "additionalProperties", Value: item.Bytes()}), err
	}
	return s.object(f.Type)
}
