package jsonschema

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse"
)

// nest writes open n times, then inner, then shut n times.
func nest(n int, open, inner, shut string) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
}

// list writes n things, made by f, with commas.
func list(n int, f func(i int) string) string {
	s := make([]string, n)
	for i := range s {
		s[i] = f(i)
	}
	return strings.Join(s, ",")
}

// bomb is a schema whose n definitions each apply the next one twice with the keyword: 2^n steps.
func bomb(n int, keyword string) string {
	return `{"$ref":"#/$defs/d0","$defs":{` + list(n, func(i int) string {
		next := `{"$ref":"#/$defs/d` + strconv.Itoa(i+1) + `"}`
		return `"d` + strconv.Itoa(i) + `":{"` + keyword + `":[` + next + `,` + next + `]}`
	}) + `,"d` + strconv.Itoa(n) + `":{"type":"integer"}}}`
}

// No schema of this table is compiled; the error says why, and where.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, schema, code, at string }{
		{"a reference to itself", `{"$ref":"#"}`, "jsonschema.cycle", "#"},
		{"mutual references", `{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`, "jsonschema.cycle", "#/$defs/a"},
		{"an unused cycle", `{"$defs":{"a":{"anyOf":[true,{"$ref":"#/$defs/a"}]}}}`, "jsonschema.cycle", "#/$defs/a"},
		{"allOf itself", `{"allOf":[{"$ref":"#"}]}`, "jsonschema.cycle", "#"},
		{"not itself", `{"not":{"$ref":"#"}}`, "jsonschema.cycle", "#"},
		{"if itself", `{"if":true,"then":{"$ref":"#"}}`, "jsonschema.cycle", "#"},
		{"dependent on itself", `{"dependentSchemas":{"a":{"$ref":"#"}}}`, "jsonschema.cycle", "#"},
		{"an anchor to itself", `{"$anchor":"a","oneOf":[{"$ref":"#a"}]}`, "jsonschema.cycle", "#"},
		{"a dynamic reference to itself", `{"$dynamicAnchor":"a","$dynamicRef":"#a"}`, "jsonschema.cycle", "#"},
		{"one web address", `{"properties":{"a":{"$ref":"https://example.org/s.json"}}}`, "jsonschema.ref", "#/properties/a/$ref"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "jsonschema.ref", "#/$ref"},
		{"a file beside", `{"$ref":"other.json#/a"}`, "jsonschema.ref", "#/$ref"},
		{"the metaschema", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "jsonschema.ref", "#/$ref"},
		{"a pointer to nothing", `{"$ref":"#/$defs/none"}`, "jsonschema.ref", "#/$ref"},
		{"a pointer past the end", `{"$ref":"#/allOf/2","allOf":[true,true]}`, "jsonschema.ref", "#/$ref"},
		{"a pointer of signs", `{"$ref":"#/allOf/-1","allOf":[true,true]}`, "jsonschema.ref", "#/$ref"},
		{"a pointer to no schema", `{"$ref":"#/title","title":"x"}`, "jsonschema.keyword", "#/title"},
		{"an anchor that is not there", `{"$ref":"#x"}`, "jsonschema.ref", "#/$ref"},
		{"a reference that is no text", `{"$ref":7}`, "jsonschema.keyword", "#/$ref"},
		{"nested schemas", nest(33, `{"items":`, `{}`, `}`), "jsonschema.depth", "#" + strings.Repeat("/items", 33)},
		{"nested arrays", nest(200, `[`, ``, `]`), "jsonschema.syntax", "#"},
		{"nested constants", `{"const":` + nest(200, `[`, ``, `]`) + `}`, "jsonschema.syntax", "#"},
		{"2,001 subschemas", `{"properties":{` + list(2000, func(i int) string { return `"p` + strconv.Itoa(i) + `":{}` }) + `}}`, "jsonschema.subschemas", "#/properties/p1999"},
		{"a huge enumeration", `{"enum":[` + list(20000, strconv.Itoa) + `]}`, "jsonschema.too_large", "#"},
		{"a long number", `{"minimum":1` + strings.Repeat("0", 64) + `}`, "jsonschema.syntax", "#"},
		{"a huge exponent", `{"multipleOf":1e-9999999999}`, "jsonschema.syntax", "#"},
		{"no schema", `[]`, "jsonschema.keyword", "#"},
		{"no JSON", `{"type":`, "jsonschema.syntax", "#"},
		{"nothing", ``, "jsonschema.syntax", "#"},
		{"an unknown type", `{"properties":{"a":{"type":"str"}}}`, "jsonschema.keyword", "#/properties/a/type"},
		{"no type", `{"type":[]}`, "jsonschema.keyword", "#/type"},
		{"half a type", `{"type":["string",1]}`, "jsonschema.keyword", "#/type/1"},
		{"a bound in quotes", `{"minimum":"0"}`, "jsonschema.keyword", "#/minimum"},
		{"a negative count", `{"maxItems":-1}`, "jsonschema.keyword", "#/maxItems"},
		{"half a count", `{"maxLength":1.5}`, "jsonschema.keyword", "#/maxLength"},
		{"steps of zero", `{"multipleOf":0}`, "jsonschema.keyword", "#/multipleOf"},
		{"required of draft-03", `{"properties":{"a/b":{"required":true}}}`, "jsonschema.keyword", "#/properties/a~1b/required"},
		{"required without names", `{"required":[1]}`, "jsonschema.keyword", "#/required/0"},
		{"properties as a list", `{"properties":[]}`, "jsonschema.keyword", "#/properties"},
		{"no alternatives", `{"anyOf":[]}`, "jsonschema.keyword", "#/anyOf"},
		{"enum that is none", `{"enum":"a"}`, "jsonschema.keyword", "#/enum"},
		{"unique as text", `{"uniqueItems":"true"}`, "jsonschema.keyword", "#/uniqueItems"},
	} {
		_, err := Compile([]byte(c.schema), Limits{})
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != c.code || e.Pos.File != c.at || e.Hint == "" {
			t.Errorf("%s: %v, want %s at %s with a hint", c.name, err, c.code, c.at)
		}
	}
}

// What is just within the bounds compiles, and a cycle that goes into the value does.
func TestWithin(t *testing.T) {
	for name, schema := range map[string]string{
		"nested":                nest(32, `{"items":`, `{}`, `}`),
		"2,000 subschemas":      `{"properties":{` + list(1999, func(i int) string { return `"p` + strconv.Itoa(i) + `":{}` }) + `}}`,
		"a large enumeration":   `{"enum":[` + list(11000, strconv.Itoa) + `]}`,
		"through properties":    `{"properties":{"a":{"$ref":"#"}}}`,
		"through items":         `{"items":{"$ref":"#"}}`,
		"through prefixItems":   `{"prefixItems":[{"$ref":"#"}]}`,
		"through contains":      `{"contains":{"$ref":"#"}}`,
		"through names":         `{"propertyNames":{"$ref":"#"}}`,
		"through the rest":      `{"additionalProperties":{"$ref":"#"},"unevaluatedItems":{"$ref":"#"},"unevaluatedProperties":{"$ref":"#"}}`,
		"through mutual steps":  `{"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/a"}]}}}`,
		"unknown keywords":      `{"x-type":"str","x":{"$ref":"nowhere"},"examples":[{"$ref":"nowhere"}],"default":{"type":"nothing"}}`,
		"a $ref that is a name": `{"properties":{"$ref":{"type":"string"}}}`,
		"a bomb":                bomb(60, "allOf"),
	} {
		if _, err := Compile([]byte(schema), Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Patterns that are too large are left out and told, before they cost anything.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		name, schema, warning string
		warnings              int
	}{
		{"one", `{"pattern":"^(a{30}){30}$"}`, "", 0},
		{"one too large", `{"pattern":"` + strings.Repeat(`a{900}`, 6) + `"}`, "its repetitions make it too large", 1},
		{"one too long", `{"pattern":"` + strings.Repeat("a", 1025) + `"}`, "it is longer than 1024 bytes", 1},
		{"many", `{"allOf":[` + list(100, func(i int) string { return `{"pattern":"a{` + strconv.Itoa(100+i) + `}"}` }) + `]}`, "", 0},
		{"the same often", `{"allOf":[` + list(1000, func(int) string { return `{"pattern":"^(a{30}){30}$"}` }) + `]}`, "", 0},
		{"too many", `{"allOf":[` + list(500, func(i int) string { return `{"pattern":"a{` + strconv.Itoa(100+i) + `}"}` }) + `]}`, "the patterns of the schema are too large together", maxWarnings},
	} {
		s, err := Compile([]byte(c.schema), Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(s.Warnings) != c.warnings || c.warnings > 0 && !strings.HasSuffix(s.Warnings[0], c.warning) {
			t.Errorf("%s: warnings %q, want %d that end in %q", c.name, s.Warnings, c.warnings, c.warning)
		}
	}
}

// A check that runs out of fuel at its very end has no answer either.
func TestFuelAtTheEnd(t *testing.T) {
	long := strings.Repeat("a", 1<<20)
	for schema, in := range map[string]string{
		`{"uniqueItems":true}`:                               `["` + long + `","b"]`,
		`{"not":{"minLength":2000000}}`:                      `"` + long + `"`,
		`{"contains":{"minLength":2000000},"minContains":0}`: `["` + long + `"]`,
		`{"propertyNames":{"not":{"minLength":2000000}}}`:    `{"` + long + `":1}`,
		`{"if":{"minLength":2000000}}`:                       `"` + long + `"`,
		`{"oneOf":[{"minLength":2000000},true]}`:             `"` + long + `"`,
		`{"additionalProperties":{}}`:                        `{"` + long + `":1}`,
		`{"dependentRequired":{"a":["b"]}}`:                  `{"b":"` + long + `"}`,
	} {
		s, err := Compile([]byte(schema), Limits{Fuel: 1000})
		if err != nil {
			t.Fatal(err)
		}
		fails, err := s.Validate([]byte(in))
		if e, _ := errors.AsType[*gatehouse.Error](err); codeOf(e) != "jsonschema.fuel" {
			t.Errorf("Validate with %s: %v, %v, want jsonschema.fuel", schema, fails, err)
		}
		out, _, err := s.Conform([]byte(in))
		if e, _ := errors.AsType[*gatehouse.Error](err); codeOf(e) != "jsonschema.fuel" {
			t.Errorf("Conform with %s: %.40s, %v, want jsonschema.fuel", schema, out, err)
		}
	}
}

// Whatever a schema and a value do together, the check ends soon: with an answer or out of fuel.
func TestFuel(t *testing.T) {
	text := `"` + strings.Repeat("a", 1<<20) + `"`
	numbers := `[` + list(9000, strconv.Itoa) + `]`
	for _, c := range []struct{ name, schema, value, code string }{
		{"allOf", bomb(60, "allOf"), `1`, "jsonschema.fuel"},
		{"anyOf", bomb(60, "anyOf"), `"x"`, "jsonschema.fuel"},
		{"oneOf", bomb(60, "oneOf"), `1`, "jsonschema.fuel"},
		{"anyOf that fits", bomb(60, "anyOf"), `1`, ""},
		{"unevaluated", `{"unevaluatedProperties":false,"anyOf":[` + list(500, func(int) string { return `{"properties":{"a":true}}` }) + `]}`, `{` + list(5000, func(i int) string { return `"p` + strconv.Itoa(i) + `":1` }) + `}`, "jsonschema.fuel"},
		{"a value that multiplies", `{"allOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}]}`, nest(60, `[`, ``, `]`), "jsonschema.fuel"},
		{"long chain", `{"$ref":"#/$defs/d0","$defs":{` + list(900, func(i int) string { return fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"}]}`, i, i+1) }) + `,"d900":{"items":{"$ref":"#"}}}}`, nest(64, `[`, ``, `]`), "jsonschema.fuel"},
		{"lengths of a long string", `{"allOf":[` + list(900, func(int) string { return `{"minLength":1000000,"maxLength":1100000}` }) + `]}`, text, "jsonschema.fuel"},
		{"a pattern on a long string", `{"pattern":"(a?){50}b"}`, text[:25<<10] + `"`, ""},
		{"a base64 pattern on a long string", `{"pattern":"^[A-Za-z0-9+/]*={0,2}$"}`, text[:600<<10] + `"`, ""},
		{"patterns on a long string", `{"allOf":[` + list(100, func(i int) string { return `{"pattern":"^(a?){` + strconv.Itoa(100+i) + `}b"}` }) + `]}`, text, "jsonschema.fuel"},
		{"an enumeration for each item", `{"items":{"enum":[` + list(5000, strconv.Itoa) + `]}}`, numbers, "jsonschema.fuel"},
		{"texts of an enumeration", `{"items":{"enum":[` + list(5000, func(i int) string { return `"` + strconv.Itoa(i) + `"` }) + `]}}`, `[` + list(5000, func(i int) string { return `"` + strconv.Itoa(i) + `"` }) + `]`, ""},
		{"unique items", `{"uniqueItems":true}`, numbers, ""},
		{"a constant with many members", `{"items":{"const":{` + list(2000, func(i int) string { return `"p` + strconv.Itoa(i) + `":1` }) + `}}}`, `[{` + list(2000, func(i int) string { return `"p` + strconv.Itoa(1999-i) + `":1` }) + `}]`, "jsonschema.fuel"},
		{"a value of many parts", `{}`, `[` + list(100_000, strconv.Itoa) + `]`, "jsonschema.fuel"},
		{"a value too deep", `{}`, nest(200, `[`, ``, `]`), "jsonschema.instance"},
		{"a number too long", `{}`, strings.Repeat("1", 65), "jsonschema.instance"},
		{"an exponent too long", `{}`, `1e99999999999`, "jsonschema.instance"},
		{"no JSON", `{}`, `{"a"`, "jsonschema.instance"},
		{"two values", `{}`, `1 2`, "jsonschema.instance"},
	} {
		s, err := Compile([]byte(c.schema), Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		began := time.Now()
		_, err = s.Validate([]byte(c.value))
		e, _ := errors.AsType[*gatehouse.Error](err)
		if code := codeOf(e); code != c.code {
			t.Errorf("%s: %v, want code %q", c.name, err, c.code)
		}
		if d := time.Since(began); d > 5*time.Second { // generous: a busy machine; unbounded ones take years
			t.Errorf("%s takes %v", c.name, d)
		}
		t.Logf("%s: %v", c.name, time.Since(began))
	}
}

func codeOf(e *gatehouse.Error) string {
	if e == nil {
		return ""
	}
	return e.Code
}
