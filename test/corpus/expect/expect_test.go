package expect

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	blue  = any("blue")
	array = any([]any{"blue", "black", "brown"})
	rgb   = any(map[string]any{"R": json.Number("100"), "G": json.Number("200"), "B": json.Number("150")})
)

// The tables of "Style Examples" in OpenAPI 3.0.4 to 3.2.0, with the members of the object in the order of their names.
func TestStyleTable(t *testing.T) {
	for _, c := range []struct {
		in, style             string
		explode               bool
		primitive, list, dict string // "" where the text says n/a
	}{
		{"path", "matrix", false, ";color=blue", ";color=blue,black,brown", ";color=B,150,G,200,R,100"},
		{"path", "matrix", true, ";color=blue", ";color=blue;color=black;color=brown", ";B=150;G=200;R=100"},
		{"path", "label", false, ".blue", ".blue,black,brown", ".B,150,G,200,R,100"},
		{"path", "label", true, ".blue", ".blue.black.brown", ".B=150.G=200.R=100"},
		{"path", "simple", false, "blue", "blue,black,brown", "B,150,G,200,R,100"},
		{"path", "simple", true, "blue", "blue,black,brown", "B=150,G=200,R=100"},
		{"header", "simple", false, "blue", "blue,black,brown", "B,150,G,200,R,100"},
		{"header", "simple", true, "blue", "blue,black,brown", "B=150,G=200,R=100"},
		{"query", "form", false, "color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"},
		{"query", "form", true, "color=blue", "color=blue&color=black&color=brown", "B=150&G=200&R=100"},
		{"query", "spaceDelimited", false, "", "color=blue black brown", "color=B 150 G 200 R 100"},
		{"query", "spaceDelimited", true, "", "", ""},
		{"query", "pipeDelimited", false, "", "color=blue|black|brown", "color=B|150|G|200|R|100"},
		{"query", "pipeDelimited", true, "", "", ""},
		{"query", "deepObject", false, "", "", "color[B]=150&color[G]=200&color[R]=100"},
		{"query", "deepObject", true, "", "", "color[B]=150&color[G]=200&color[R]=100"},
		{"cookie", "cookie", false, "color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"},
		{"cookie", "cookie", true, "color=blue", "color=blue&color=black&color=brown", "B=150&G=200&R=100"},
		{"cookie", "form", true, "color=blue", "", ""},
	} {
		q := &Param{In: c.in, Name: "color", Style: c.style, Explode: c.explode}
		for _, x := range []struct {
			v    any
			want string
		}{{blue, c.primitive}, {array, c.list}, {rgb, c.dict}} {
			var got string
			var defined bool
			var pairs []pair
			switch c.in {
			case "path":
				got, _, defined = q.segment(x.v)
			case "header":
				got, defined = q.header(x.v)
			case "query":
				pairs, defined = q.query(x.v, false)
			case "cookie":
				pairs, defined = q.cookie(x.v)
			}
			if pairs != nil {
				var texts []string
				for _, p := range pairs {
					texts = append(texts, p.String())
				}
				got = strings.Join(texts, "&")
			}
			if got != x.want || defined != (x.want != "") {
				t.Errorf("%s %s explode=%t of %v = %q, %t, want %q", c.in, c.style, c.explode, x.v, got, defined, x.want)
			}
		}
	}
}

// What Appendix C and the examples of the Parameter Object show of escaping.
func TestEscape(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{escape("x+y"), "x%2By"},
		{escape("x/y"), "x%2Fy"},
		{escape("x^y"), "x%5Ey"},
		{reserved("x/y"), "x/y"},
		{escape("diṅnāga"), "di%E1%B9%85n%C4%81ga"},
		{escape("Hello, world!"), "Hello%2C%20world%21"},
		{normal("%7euser/%e1%B9%85 "), "~user/%E1%B9%85%20"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func fuel() *int {
	n := 1_000_000
	return &n
}

const sampleDoc = `openapi: 3.1.0
info: {title: t, version: "1"}
servers: [{url: "https://{region}.example.org/v1", variables: {region: {default: eu}}}]
components:
  schemas:
    Node: {type: object, required: [name], properties: {name: {type: string}, id: {type: integer, readOnly: true}, next: {$ref: '#/components/schemas/Node'}}}
paths:
  /items/{id}/sub:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    post:
      parameters:
      - {name: tags, in: query, schema: {type: array, items: {type: string}}}
      - {name: list, in: query, explode: false, schema: {type: array, items: {type: string}}}
      - {name: X-Trace, in: header, schema: {type: string}}
      - {name: Accept, in: header, schema: {type: string}}
      - {name: crumb, in: cookie, schema: {type: string}}
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Node'}}}}
      responses: {}
`

func read(t *testing.T, doc string) *Document {
	t.Helper()
	d, err := Read("doc.yaml", []byte(doc), &Files{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// render makes the request from what is expected, in the plainest way there is.
func render(w *want) Got {
	var path, query, cookies []string
	for _, s := range w.segments {
		path = append(path, s.encoded)
	}
	for _, p := range w.query {
		value := escape(p.value)
		if p.list != nil {
			var list []string
			for _, x := range p.list {
				list = append(list, escape(x))
			}
			value = strings.Join(list, p.delim)
		}
		query = append(query, escape(p.name)+"="+value)
	}
	g := Got{Method: w.method, Path: strings.Join(path, "/")}
	if query != nil {
		g.Path += "?" + strings.Join(query, "&")
	}
	for _, p := range w.headers {
		g.Header = append(g.Header, [2]string{p.name, p.value})
	}
	for _, p := range w.cookies {
		cookies = append(cookies, p.name+"="+escape(p.value))
	}
	if cookies != nil {
		g.Header = append(g.Header, [2]string{"Cookie", strings.Join(cookies, "; ")})
	}
	if w.body != nil && w.body.json != nil {
		g.Header = append(g.Header, [2]string{"Content-Type", w.body.media})
		g.Body = compact(*w.body.json)
	}
	return g
}

// A request as prescribed passes, and each way to spoil it is found.
func TestCompare(t *testing.T) {
	op := read(t, sampleDoc).Operations[0]
	samples, problems := op.Samples()
	if len(samples) != variants || problems != nil {
		t.Fatalf("%d samples, %v", len(samples), problems)
	}
	for _, s := range samples {
		if faults := s.Compare(render(&s.want)); faults != nil {
			t.Errorf("variant %d: %v", s.Variant, faults)
		}
	}
	full := samples[Filled]
	replace := func(from, to string) func(*Got) {
		return func(g *Got) { g.Path = strings.Replace(g.Path, from, to, 1) }
	}
	for _, c := range []struct {
		name, class string
		spoil       func(*Got)
	}{
		{"method", "method", func(g *Got) { g.Method = "PUT" }},
		{"a value over two segments", "path", replace("/sub", "/x/sub")},
		{"a segment escaped twice", "path", replace("%", "%25")},
		{"a parameter left out", "query", func(g *Got) { g.Path = g.Path[:strings.LastIndex(g.Path, "&")] }},
		{"a parameter too many", "query", func(g *Got) { g.Path += "&debug=1" }},
		{"a delimiter that is escaped", "query", replace(",", "%2C")},
		{"a fragment", "path", func(g *Got) { g.Path += "#x" }},
		{"a header too many", "header", func(g *Got) { g.Header = append(g.Header, [2]string{"X-More", "1"}) }},
		{"a header left out", "header", func(g *Got) {
			g.Header = slices.DeleteFunc(g.Header, func(h [2]string) bool { return h[0] == "X-Trace" })
		}},
		{"a cookie left out", "cookie", func(g *Got) {
			g.Header = slices.DeleteFunc(g.Header, func(h [2]string) bool { return h[0] == "Cookie" })
		}},
		{"content type", "content type", func(g *Got) {
			for i := range g.Header {
				if g.Header[i][0] == "Content-Type" {
					g.Header[i][1] = "text/plain"
				}
			}
		}},
		{"a value changed", "body", func(g *Got) { g.Body = bytes.Replace(g.Body, []byte(`"name"`), []byte(`"Name"`), 1) }},
		{"no body", "body", func(g *Got) { g.Body = nil }},
	} {
		g := render(&full.want)
		c.spoil(&g)
		faults := full.Compare(g)
		if !slices.ContainsFunc(faults, func(f Fault) bool { return f.Class == c.class }) {
			t.Errorf("%s: faults %v, want one of %s in %s", c.name, faults, c.class, g.Path)
		}
	}
}

// Samples hold to their schemas, leave out what is read-only, and are the same every time.
func TestSamples(t *testing.T) {
	op := read(t, sampleDoc).Operations[0]
	first, _ := op.Samples()
	second, _ := op.Samples()
	for i := range first {
		if !sameSample(first[i], second[i]) {
			t.Errorf("sample %d differs from run to run", i)
		}
		m := first[i].Body.(map[string]any)
		if _, has := m["id"]; has {
			t.Errorf("sample %d sends a read-only property: %v", i, m)
		}
		if why := op.doc.d.valid(first[i].Body, op.Body.Schemas, 0); why != "" {
			t.Errorf("sample %d: %s", i, why)
		}
	}
	if op.Base != "https://eu.example.org/v1" {
		t.Errorf("base %s", op.Base)
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{`{"type":"string","enum":["a","b"]}`, `["a","b"]`},
		{`{"type":"string","pattern":"^[A-Z]{2}-\\d{3}$"}`, ""},
		{`{"type":"string","pattern":"^arn:.*","minLength":20}`, ""},
		{`{"type":"integer","minimum":10,"maximum":12}`, ""},
		{`{"type":"number","exclusiveMinimum":0,"maximum":1,"multipleOf":0.25}`, ""},
		{`{"oneOf":[{"type":"object","required":["a"],"properties":{"a":{"const":1}}},{"type":"object","required":["b"],"properties":{"b":{"const":2}}}]}`, ""},
		{`{"type":"array","minItems":2,"uniqueItems":true,"items":{"type":"boolean"}}`, ""},
		{`{"allOf":[{"type":"object","properties":{"a":{"type":"string","maxLength":3}},"required":["a"]},{"properties":{"a":{"minLength":3}}}]}`, ""},
	} {
		v, err := decode([]byte(c.schema))
		if err != nil {
			t.Fatal(err)
		}
		f := &file{set: &Files{}, root: v}
		d := dialect{siblings: true, modern: true, patterns: map[string]compiled{}, fuel: fuel()}
		for variant := range variants {
			g := &gen{d: d, variant: variant, n: variant, left: 50}
			x, ok := g.value([]at{{f, v}}, 0)
			if !ok {
				t.Errorf("%s: no value", c.schema)
				continue
			}
			if why := d.valid(x, []at{{f, v}}, 0); why != "" {
				t.Errorf("%s: %s for %s", c.schema, why, compact(x))
			}
		}
	}
	d := dialect{siblings: true, patterns: map[string]compiled{}, fuel: fuel()}
	for _, c := range []struct{ schema, value string }{
		{`{"type":"string"}`, `1`},
		{`{"enum":[1]}`, `2`},
		{`{"required":["a"]}`, `{}`},
		{`{"additionalProperties":false,"properties":{"a":{}}}`, `{"b":1}`},
		{`{"oneOf":[{"type":"string"},{"minLength":1}]}`, `"x"`},
		{`{"not":{"type":"string"}}`, `"x"`},
		{`{"items":{"type":"string"}}`, `[1]`},
		{`{"minimum":2}`, `1`},
	} {
		s, _ := decode([]byte(c.schema))
		v, err := decodeJSON([]byte(c.value))
		if err != nil {
			t.Fatal(err)
		}
		if why := d.valid(v, []at{{&file{set: &Files{}, root: s}, s}}, 0); why == "" {
			t.Errorf("%s accepts %s", c.schema, c.value)
		}
	}
}

// The examples of the XML Object, 3.0.4 and 3.1.
func TestXML(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`{"properties":{"animals":{"type":"string"}}}`, `{"animals":"x"}`, `<r><animals>x</animals></r>`},
		{`{"properties":{"animals":{"type":"array","items":{"type":"string"}}}}`, `{"animals":["x","y"]}`, `<r><animals>x</animals><animals>y</animals></r>`},
		{`{"properties":{"animals":{"type":"array","items":{"type":"string","xml":{"name":"animal"}}}}}`, `{"animals":["x"]}`, `<r><animal>x</animal></r>`},
		{`{"properties":{"animals":{"type":"array","xml":{"name":"aliens"},"items":{"type":"string","xml":{"name":"animal"}}}}}`, `{"animals":["x"]}`, `<r><animal>x</animal></r>`},
		{`{"properties":{"animals":{"type":"array","xml":{"wrapped":true},"items":{"type":"string"}}}}`, `{"animals":["x"]}`, `<r><animals><animals>x</animals></animals></r>`},
		{`{"properties":{"animals":{"type":"array","xml":{"name":"aliens","wrapped":true},"items":{"type":"string"}}}}`, `{"animals":["x"]}`, `<r><aliens><aliens>x</aliens></aliens></r>`},
		{
			`{"properties":{"id":{"type":"integer","xml":{"attribute":true}},"name":{"type":"string","xml":{"namespace":"https://example.com/schema/sample","prefix":"sample"}}}}`,
			`{"id":123,"name":"example"}`, `<r id="123"><sample:name xmlns:sample="https://example.com/schema/sample">example</sample:name></r>`,
		},
		{`{"properties":{"tags":{"type":"array","items":{"allOf":[{"type":"string"},{"xml":{"name":"item"}}]}}}}`, `{"tags":["x"]}`, `<r><item>x</item></r>`},
	} {
		s, _ := decode([]byte(c.schema))
		v, _ := decodeJSON([]byte(c.value))
		s.(map[string]any)["xml"] = map[string]any{"name": "r"}
		want, ok := (dialect{fuel: fuel()}).document([]at{{&file{set: &Files{}, root: s}, s}}, v)
		got, err := parseXML([]byte(c.want))
		if !ok || err != nil {
			t.Fatal(c.schema, ok, err)
		}
		if why := want.differs(got); why != "" {
			t.Errorf("%s: %s", c.schema, why)
		}
		other, _ := parseXML([]byte(strings.Replace(c.want, "x</", "z</", 1)))
		if strings.Contains(c.want, "x</") && want.differs(other) == "" {
			t.Errorf("%s: another text is taken for the same", c.schema)
		}
	}
}

const multipartDoc = `openapi: 3.0.4
info: {title: t, version: "1"}
paths:
  /up:
    post:
      requestBody:
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file, meta, n]
              properties:
                file: {type: string, format: binary}
                meta: {type: object, required: [a], properties: {a: {type: string}}}
                n: {type: integer}
            encoding: {file: {contentType: "image/png, image/*"}}
      responses: {}
`

// The order of a list counts, that of different elements does not.
func TestXMLOrder(t *testing.T) {
	s, _ := decode([]byte(`{"xml":{"name":"r"},"properties":{"a":{"type":"array","items":{"type":"string"}},"b":{"type":"string"}}}`))
	v, _ := decodeJSON([]byte(`{"a":["1","2"],"b":"x"}`))
	want, ok := (dialect{fuel: fuel()}).document([]at{{&file{set: &Files{}, root: s}, s}}, v)
	if !ok {
		t.Fatal("no document")
	}
	for _, c := range []struct {
		doc  string
		same bool
	}{
		{"<r><a>1</a><a>2</a><b>x</b></r>", true},
		{"<r><b>x</b><a>1</a><a>2</a></r>", true},
		{"<r><a>2</a><a>1</a><b>x</b></r>", false},
		{"<r><a>1</a><b>x</b></r>", false},
	} {
		got, err := parseXML([]byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		if why := want.differs(got); (why == "") != c.same {
			t.Errorf("%s: %q", c.doc, why)
		}
	}
}

func TestMultipart(t *testing.T) {
	samples, _ := read(t, multipartDoc).Operations[0].Samples()
	full := samples[len(samples)-1]
	m := full.Body.(map[string]any)
	build := func(fileType, metaType, name string) Got {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		part := func(disposition, media, data string) {
			p, _ := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {media}})
			_, _ = p.Write([]byte(data))
		}
		part(`form-data; name="`+name+`"; filename="f"`, fileType, string(m["file"].(Bytes)))
		part(`form-data; name="meta"`, metaType, string(compact(m["meta"])))
		part(`form-data; name="n"`, "text/plain", string(m["n"].(json.Number)))
		_ = w.Close()
		return Got{Method: "POST", Path: "/up", Header: [][2]string{{"Content-Type", w.FormDataContentType()}}, Body: b.Bytes()}
	}
	if faults := full.Compare(build("image/png", "application/json", "file")); faults != nil {
		t.Errorf("as prescribed: %v", faults)
	}
	for _, g := range []Got{build("text/plain", "application/json", "file"), build("image/png", "text/plain", "file"), build("image/png", "application/json", "File")} {
		if full.Compare(g) == nil {
			t.Errorf("%s is taken for right", g.Body)
		}
	}
}

func TestReferences(t *testing.T) {
	parts := map[string]string{"/docs/parts/p.yaml": "Id: {name: id, in: path, required: true, schema: {$ref: 'deep/s.json#/definitions/a~1b'}}", "/docs/parts/deep/s.json": `{"definitions":{"a/b":{"type":"integer"}}}`}
	f := &Files{Read: func(p string) ([]byte, error) { return []byte(parts[p]), nil }}
	d, err := Read("/docs/main.yaml", []byte("swagger: '2.0'\npaths: {'/x/{id}': {get: {parameters: [{$ref: 'parts/p.yaml#/Id'}]}}}"), f)
	if err != nil {
		t.Fatal(err)
	}
	op := d.Operations[0]
	got, err := d.d.parts(op.Params[0].Schemas[0].get("schema"))
	if op.Fault != "" || err != nil || len(got) != 1 || got[0].get("type").text() != "integer" {
		t.Errorf("%q %v %v", op.Fault, err, got)
	}
}

func TestTemplates(t *testing.T) {
	got := [][]string{templates("/a/{b}/{c}.{d}"), templates("/{a}#x={b}"), templates("/x?y={z}"), templates("/{")}
	if diff := cmp.Diff([][]string{{"b", "c", "d"}, {"a"}, {"z"}, nil}, got); diff != "" {
		t.Error(diff)
	}
}
