package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func nest(open string, n int, inner, end string) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

func members(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestGuardSchemaAccepts(t *testing.T) {
	for name, s := range map[string]string{
		"true":                     `true`,
		"spaces":                   " {\"type\":\"object\"} ",
		"tree":                     `{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}}}`,
		"mutual, descending":       `{"$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"properties":{"a":{"$ref":"#/$defs/a"}}}},"$ref":"#/$defs/a"}`,
		"allOf, descending":        `{"$defs":{"n":{"allOf":[{"properties":{"next":{"$ref":"#/$defs/n"}}}]}},"$ref":"#/$defs/n"}`,
		"one definition twice":     `{"$defs":{"a":{"type":"string"}},"allOf":[{"$ref":"#/$defs/a"},{"$ref":"#/$defs/a"}]}`,
		"recursive, draft 2019":    `{"items":{"$recursiveRef":"#"}}`,
		"anchor":                   `{"$defs":{"x":{"$anchor":"here","type":"string"}},"properties":{"a":{"$ref":"#here"}}}`,
		"anchor of draft 7":        `{"definitions":{"x":{"$id":"#here"}},"properties":{"a":{"$ref":"#here"}}}`,
		"dynamic anchor":           `{"$dynamicAnchor":"node","properties":{"c":{"$dynamicRef":"#node"}}}`,
		"own id":                   `{"$id":"https://x.example/s","$defs":{"a":{}},"properties":{"p":{"$ref":"https://x.example/s#/$defs/a"}}}`,
		"escaped pointer":          `{"$defs":{"a/b~c d":{}},"$ref":"#/$defs/a~1b~0c%20d"}`,
		"into an array":            `{"allOf":[{"type":"object"},{"properties":{"a":{"$ref":"#/allOf/0"}}}]}`,
		"into an unknown keyword":  `{"components":{"schemas":{"A":{"type":"string"}}},"properties":{"a":{"$ref":"#/components/schemas/A"}}}`,
		"property named $ref":      `{"properties":{"$ref":{"type":"string"},"pattern":{"type":"string"},"$id":{"type":"string"}}}`,
		"data that looks like one": `{"const":{"$ref":"http://evil/"},"enum":[{"$ref":"file:///x"}],"default":{"$ref":"#/nowhere"},"examples":[{"$id":"x"}]}`,
		"depth":                    nest(`{"items":`, 31, `{}`, `}`),
		"schemas":                  `{"properties":{` + members(1999, `"p%d":{}`) + `}}`,
		"pattern":                  `{"pattern":"` + strings.Repeat("a", 1024) + `"}`,
		"old dependencies":         `{"dependencies":{"a":["b"],"c":{"required":["d"]}}}`,
	} {
		if err := Verify([]byte(s), ResultLimits); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := GuardSchema([]byte(s), DefaultSchemaLimits); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuardSchemaRefuses(t *testing.T) {
	for name, c := range map[string]struct{ schema, want string }{
		"no schema":               {`7`, `#: a schema is an object, true or false`},
		"array":                   {`[]`, `#: a schema is an object, true or false`},
		"size":                    {`{"description":"` + strings.Repeat("x", 64<<10) + `"}`, `#: it has 65554 bytes, more than 65536`},
		"depth":                   {nest(`{"items":`, 32, `{}`, `}`), `#` + strings.Repeat("/items", 32) + `: schemas are nested deeper than 32`},
		"depth in unknown":        {nest(`{"x":`, 32, `{}`, `}`), `#` + strings.Repeat("/x", 32) + `: schemas are nested deeper than 32`},
		"schemas":                 {`{"properties":{` + members(2000, `"p%d":{}`) + `}}`, `#/properties/p1999: more than 2000 schemas`},
		"pattern":                 {`{"pattern":"` + strings.Repeat("a", 1025) + `"}`, `#/pattern: a pattern of more than 1024 bytes`},
		"pattern of names":        {`{"patternProperties":{"` + strings.Repeat("a", 1025) + `":{}}}`, `#/patternProperties: a pattern of more than 1024 bytes`},
		"http":                    {`{"$ref":"http://evil.example/s"}`, `#/$ref: it refers to "http://evil.example/s", which is outside of the schema and is never fetched`},
		"file":                    {`{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`, `#/properties/a/$ref: it refers to "file:///etc/passwd", which is outside of the schema and is never fetched`},
		"relative":                {`{"$ref":"other.json"}`, `#/$ref: it refers to "other.json", which is outside of the schema and is never fetched`},
		"dynamic, outside":        {`{"$dynamicRef":"http://evil.example/#n"}`, `#/$dynamicRef: it refers to "http://evil.example/#n", which is outside of the schema and is never fetched`},
		"id that is a prefix":     {`{"$id":"https://a","$ref":"https://ab#"}`, `#/$ref: it refers to "https://ab#", which is outside of the schema and is never fetched`},
		"id within":               {`{"properties":{"a":{"$id":"https://a/","$ref":"#"}}}`, `#/properties/a/$id: an $id within a schema would change what references mean`},
		"no string":               {`{"$ref":7}`, `#/$ref: a reference is a string`},
		"nowhere":                 {`{"$ref":"#/$defs/a"}`, `#/$ref: the reference "#/$defs/a" leads to no schema`},
		"no anchor":               {`{"$ref":"#a"}`, `#/$ref: the reference "#a" leads nowhere`},
		"two anchors":             {`{"$defs":{"a":{"$anchor":"n"},"b":{"$anchor":"n"}}}`, `#/$defs/b/$anchor: the anchor "n" stands twice`},
		"bad escape":              {`{"$ref":"#/%zz"}`, `#/$ref: the reference "#/%zz" cannot be read`},
		"array index":             {`{"allOf":[{}],"$ref":"#/allOf/1"}`, `#/$ref: the reference "#/allOf/1" leads to no schema`},
		"array index, odd":        {`{"allOf":[{}],"properties":{"a":{"$ref":"#/allOf/00"}}}`, `#/properties/a/$ref: the reference "#/allOf/00" leads to no schema`},
		"to data":                 {`{"title":"x","$ref":"#/title"}`, `#/$ref: the reference "#/title" leads to no schema`},
		"data that is referred":   {`{"const":{"$ref":"http://evil.example/"},"$ref":"#/const"}`, `#/const/$ref: it refers to "http://evil.example/", which is outside of the schema and is never fetched`},
		"pattern in data":         {`{"default":{"pattern":"` + strings.Repeat("a", 1025) + `"},"$ref":"#/default"}`, `#/default/pattern: a pattern of more than 1024 bytes`},
		"itself":                  {`{"$ref":"#"}`, `#: it applies to the same value again, without end`},
		"itself, empty":           {`{"$ref":""}`, `#: it applies to the same value again, without end`},
		"itself by anchor":        {`{"$anchor":"a","$ref":"#a"}`, `#: it applies to the same value again, without end`},
		"itself by id":            {`{"$id":"https://a/","$ref":"https://a/"}`, `#: it applies to the same value again, without end`},
		"itself, recursive":       {`{"$recursiveRef":"#"}`, `#: it applies to the same value again, without end`},
		"itself, dynamic":         {`{"$dynamicAnchor":"a","$dynamicRef":"#a"}`, `#: it applies to the same value again, without end`},
		"mutual":                  {`{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"properties":{"x":{"$ref":"#/$defs/a"}}}`, `#/$defs/a: it applies to the same value again, without end`},
		"allOf":                   {`{"allOf":[{"$ref":"#"}]}`, `#: it applies to the same value again, without end`},
		"anyOf, not, if":          {`{"anyOf":[{"not":{"if":{"$ref":"#"}}}]}`, `#: it applies to the same value again, without end`},
		"dependentSchemas":        {`{"dependentSchemas":{"a":{"$ref":"#"}}}`, `#: it applies to the same value again, without end`},
		"through data":            {`{"const":{"$ref":"#"},"$ref":"#/const"}`, `#: it applies to the same value again, without end`},
		"unused":                  {`{"$defs":{"a":{"oneOf":[true,{"$ref":"#/$defs/a"}]}}}`, `#/$defs/a: it applies to the same value again, without end`},
		"beside one that does":    {`{"$defs":{"a":{"properties":{"x":{"$ref":"#/$defs/a"}},"then":{"$ref":"#/$defs/a"}}}}`, `#/$defs/a: it applies to the same value again, without end`},
		"long chain to itself":    {`{"$defs":{` + chain(900) + `}}`, `#/$defs/d0: it applies to the same value again, without end`},
		"names that need escapes": {`{"properties":{"a/b~":{"$ref":7}}}`, `#/properties/a~1b~0/$ref: a reference is a string`},
	} {
		if err := Verify([]byte(c.schema), ResultLimits); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err := GuardSchema([]byte(c.schema), DefaultSchemaLimits)
		var e *Error
		if !errors.As(err, &e) || e.Code != "wire.schema" || e.Msg != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.want)
		}
	}
}

// chain is n definitions, each a reference to the next and the last to the first.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"d` + strconv.Itoa(i) + `":{"$ref":"#/$defs/d` + strconv.Itoa((i+1)%n) + `"}`)
	}
	return b.String()
}

func FuzzGuardSchema(f *testing.F) {
	for _, s := range []string{
		`true`, `{"$ref":"#"}`, `{"properties":{"a":{"$ref":"#"}}}`, `{"$defs":{"a":{"$anchor":"x"}},"$ref":"#x"}`, `{"allOf":[{"$ref":"#/allOf/0"}]}`,
		`{"const":{"$ref":"#/const"},"$ref":"#/const"}`, `{"$id":"a","$ref":"a#/%7e01"}`, `{"items":[{"dependencies":{"a":[],"b":{"$recursiveRef":"#"}}}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if Verify(b, RequestLimits) != nil {
			return
		}
		err := GuardSchema(b, DefaultSchemaLimits)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Code != "wire.schema" || !strings.HasPrefix(e.Msg, "#")) {
			t.Fatalf("error without code or place: %v", err)
		}
	})
}
