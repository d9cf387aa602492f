package openapi

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/wire"
)

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
		if el, ok := wire.Elements(m.Value); ok && len(el) > 0 && len(m.Value) <= c.budget {
			add("enum", m.Value)
		}
	case "const":
		if modern && len(m.Value) <= c.budget {
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
	if len(p) > 1000 || strings.HasPrefix(p, "/^") { // written with JavaScript's slashes, it finds nothing
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
