package jsonschema

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	other "github.com/santhosh-tekuri/jsonschema/v6"

	"gatehouse"
	"gatehouse/wire"
)

// Whatever the bytes are: an error has a code and a place, and what Conform returns fits.
func FuzzSchema(f *testing.F) {
	f.Add([]byte(orderSchema), []byte(order))
	f.Add([]byte(`{"items":{"type":"null"},"contains":{"const":1},"minContains":0}`), []byte(`[1,"\u0061",{"a":1e5}]`))
	f.Add([]byte(`{"$id":"u","$ref":"#x","$defs":{"x":{"$anchor":"x","not":{"pattern":"a\\d"}}}}`), []byte(`"a1"`))
	f.Add([]byte(`{"properties":{"a":{"propertyNames":false}},"unevaluatedProperties":false}`), []byte(` {"a":{"b":[null]},"c":2 } `))
	f.Add([]byte(bomb(20, "oneOf")), []byte(`1`))
	f.Fuzz(func(t *testing.T, schema, in []byte) {
		s, err := Compile(schema, Limits{Fuel: 20_000})
		if err != nil {
			if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code == "" || !strings.HasPrefix(e.Pos.File, "#") {
				t.Fatalf("error without code or place: %#v", err)
			}
			return
		}
		fails, err := s.Validate(in)
		if err != nil || wire.Verify(in, wire.RequestLimits) != nil {
			return
		}
		out, _, err := s.Conform(in)
		if err != nil {
			return
		}
		if len(fails) == 0 && !bytes.Equal(in, out) {
			t.Fatalf("%s fits, but conforms as %s", in, out)
		}
		if out == nil {
			return
		}
		if err := wire.Verify(out, wire.RequestLimits); err != nil {
			t.Fatalf("Conform(%s) = %s: %v", in, out, err)
		}
		if fails, err := s.Validate(out); len(fails) > 0 || err != nil {
			t.Fatalf("Conform(%s) = %s: %v %v", in, out, fails, err)
		}
	})
}

// Another validator, which is a program of its own, has the same opinion on schemas and values made from the bytes.
func FuzzOpinion(f *testing.F) {
	for i := range 200 {
		seed := make([]byte, 120)
		x := uint32(i*2654435761 + 1)
		for k := range seed {
			x = x*1664525 + 1013904223
			seed[k] = byte(x >> 24)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed []byte) {
		m := &maker{seed: seed}
		schema := fmt.Sprintf(`{"$defs":{"x":%s,"y":%s},"$ref":"#/$defs/x"}`, m.schema(2), m.schema(2))
		s, err := Compile([]byte(schema), Limits{})
		if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code == "jsonschema.cycle" {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		c := other.NewCompiler()
		doc, err := other.UnmarshalJSON(strings.NewReader(schema))
		if err == nil {
			err = c.AddResource("urn:s", doc)
		}
		if err != nil {
			t.Fatal(err)
		}
		judge, err := c.Compile("urn:s")
		if err != nil {
			t.Fatalf("%s: the other refuses it: %v", schema, err)
		}
		for range 6 {
			in := m.value(2)
			fails, err := s.Validate([]byte(in))
			if err != nil {
				continue // out of fuel: no opinion
			}
			v, err := other.UnmarshalJSON(strings.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			if err := judge.Validate(v); (err == nil) != (len(fails) == 0) {
				t.Fatalf("schema %s\nvalue %s\nwe: %s\nother: %v", schema, in, Text(fails), err)
			}
		}
	})
}

// maker makes schemas and values from bytes, out of few names and numbers, so that they meet.
type maker struct {
	seed []byte
}

func (m *maker) next(n int) int {
	if len(m.seed) == 0 {
		return 0
	}
	c := m.seed[0]
	m.seed = m.seed[1:]
	return int(c) % n
}

func (m *maker) of(list ...string) string { return list[m.next(len(list))] }

func (m *maker) name() string { return m.of(`"a"`, `"b"`, `"c"`, `"\u0061b"`) }

func (m *maker) many(most int, f func() string) string {
	var out []string
	for range 1 + m.next(most) {
		out = append(out, f())
	}
	return strings.Join(out, ",")
}

// members writes an object with each name once.
func (m *maker) members(most int, f func() string) string {
	seen := map[string]bool{}
	var out []string
	for range m.next(most + 1) {
		if n := m.name(); !seen[n] {
			seen[n] = true
			out = append(out, n+":"+f())
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

func (m *maker) value(depth int) string {
	n := 8
	if depth == 0 {
		n = 6
	}
	switch m.next(n) {
	case 0:
		return m.of("0", "1", "1.0", "2", "3", "-1", "10e-1", "0.5", "9007199254740993", "9007199254740992", "1e2")
	case 1, 2:
		return m.of(`"a"`, `"ab"`, `"\u0061"`, `"é"`, `"😀"`, `"\ud83d\ude00b"`, `""`, `"1"`)
	case 3:
		return m.of("true", "false", "null")
	case 4, 6:
		return m.members(3, func() string { return m.value(max(depth-1, 0)) })
	case 5, 7:
		if m.next(4) == 0 {
			return "[]"
		}
		return "[" + m.many(3, func() string { return m.value(max(depth-1, 0)) }) + "]"
	}
	return "null"
}

func (m *maker) schema(depth int) string {
	if depth == 0 && m.next(3) == 0 {
		return m.of("true", "false", "{}", `{"$ref":"#/$defs/y"}`)
	}
	seen := map[string]bool{}
	var out []string
	for range 1 + m.next(4) {
		k, v := m.keyword(depth)
		if !seen[k] {
			seen[k] = true
			out = append(out, `"`+k+`":`+v)
		}
	}
	return "{" + strings.Join(out, ",") + "}"
}

func (m *maker) keyword(depth int) (string, string) {
	n := 36
	if depth == 0 {
		n = 18
	}
	sub := func() string { return m.schema(depth - 1) }
	count := func() string { return m.of("0", "1", "2", "2.0") }
	number := func() string { return m.of("0", "1", "1.5", "2", "-1", "9007199254740993", "1e1") }
	names := func() string {
		var list []string
		for range m.next(3) {
			list = appendNew(list, m.name())
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	switch m.next(n) {
	case 0:
		return "type", m.of(`"string"`, `"integer"`, `"number"`, `"object"`, `"array"`, `"null"`, `["integer","array"]`, `["object","string"]`, `"boolean"`)
	case 1:
		var list []string
		for range 3 {
			list = appendNew(list, m.value(1))
		}
		return "enum", "[" + strings.Join(list, ",") + "]"
	case 2:
		return "const", m.value(1)
	case 3:
		return "minimum", number()
	case 4:
		return "maximum", number()
	case 5:
		return m.of("exclusiveMinimum", "exclusiveMaximum"), number()
	case 6:
		return "multipleOf", m.of("0.5", "1", "2", "0.1", "1e-2", "3")
	case 7:
		return "minLength", count()
	case 8:
		return "maxLength", count()
	case 9:
		return "pattern", m.of(`"^a"`, `"b$"`, `"."`, `"^$"`)
	case 10:
		return m.of("minItems", "maxItems"), count()
	case 11:
		return "uniqueItems", m.of("true", "false")
	case 12:
		return m.of("minProperties", "maxProperties"), count()
	case 13:
		return "required", names()
	case 14:
		return "dependentRequired", m.members(2, names)
	case 15:
		return m.of("minContains", "maxContains"), count()
	case 16:
		return "$ref", `"#/$defs/y"`
	case 17:
		return "additionalProperties", m.of("true", "false")
	case 18, 19, 20:
		return "properties", m.members(3, sub)
	case 21:
		return "patternProperties", `{` + m.of(`"^a"`, `"b"`, `"c$"`) + `:` + sub() + `}`
	case 22:
		return "additionalProperties", sub()
	case 23:
		return "propertyNames", sub()
	case 24:
		return "items", sub()
	case 25:
		return "prefixItems", "[" + m.many(2, sub) + "]"
	case 26:
		return "contains", sub()
	case 27:
		return "allOf", "[" + m.many(2, sub) + "]"
	case 28:
		return "anyOf", "[" + m.many(3, sub) + "]"
	case 29:
		return "oneOf", "[" + m.many(3, sub) + "]"
	case 30:
		return "not", sub()
	case 31:
		return "if", sub()
	case 32:
		return m.of("then", "else"), sub()
	case 33:
		return "dependentSchemas", m.members(2, sub)
	case 34:
		return "unevaluatedProperties", sub()
	}
	return "unevaluatedItems", sub()
}
