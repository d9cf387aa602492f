package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// hostilePlan plans the first operation of a document.
func hostilePlan(t *testing.T, doc string) *Plan {
	t.Helper()
	d, err := Parse("a.yaml", []byte(doc), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan(d.Operations[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func onePath(path, op string) string {
	return "openapi: 3.2.0\ninfo: {title: t, version: '1'}\npaths:\n  " + path + ":\n    post: " + op + "\n"
}

// TestArgumentsStayInTheirPlace gives arguments that want to be read as something else: another path, another parameter,
// another header of a part.
func TestArgumentsStayInTheirPlace(t *testing.T) {
	const (
		id       = `{parameters: [{name: id, in: path, required: true, schema: {}}]}`
		reserved = `{parameters: [{name: id, in: path, required: true, allowReserved: true, schema: {}}]}`
		matrix   = `{parameters: [{name: id, in: path, required: true, schema: {}}, {name: m, in: path, style: matrix, required: true, schema: {}}]}`
		content  = `{parameters: [{name: id, in: path, required: true, content: {text/plain: {schema: {}}}}]}`
		query    = `{parameters: [{name: tenant, in: query, schema: {type: string}}, {name: f, in: query, schema: {type: object}}]}`
		deep     = `{parameters: [{name: 'f[a]', in: query, schema: {type: string}}, {name: f, in: query, style: deepObject, explode: true, schema: {type: object}}]}`
		whole    = `{parameters: [{name: q, in: querystring, content: {application/x-www-form-urlencoded: {schema: {type: object}}}}]}`
		cookies  = `{parameters: [{name: sid, in: cookie, schema: {type: string}}, {name: f, in: cookie, explode: true, schema: {type: object}}]}`
		form     = `{requestBody: {required: true, content: {application/x-www-form-urlencoded: {encoding: {f: {style: form, explode: true}}, schema: {type: object, additionalProperties: false, properties: {role: {type: string}, f: {type: object}}}}}}}`
		upload   = `{requestBody: {required: true, content: {multipart/form-data: {schema: {type: object, additionalProperties: false, properties: {f: {type: string, format: binary}}}}}}}`
		bytes    = `{requestBody: {required: true, content: {application/octet-stream: {schema: {type: string, format: binary}}}}}`
	)
	for _, c := range []struct{ name, path, op, args, want string }{
		{"a name with a slash", "/a/{id}", id, `{"id":"docs/x.y"}`, "/a/docs%2Fx.y"},
		{"dots", "/a/{id}", id, `{"id":"..."}`, "/a/..."},
		{"encoded slash before a parent", "/a/{id}", id, `{"id":"../admin"}`, ""},
		{"encoded slash after a name", "/a/{id}", id, `{"id":"x/../../admin"}`, ""},
		{"backslash", "/a/{id}", id, `{"id":"..\\admin"}`, ""},
		{"encoded parent", "/a/{id}", id, `{"id":"%2e%2e"}`, ""},
		{"encoded twice", "/a/{id}", id, `{"id":"%252e%252e%252fadmin"}`, ""},
		{"path parameters of a server", "/a/{id}", reserved, `{"id":"..;x=1"}`, ""},
		{"parent before a matrix", "/a/{id}{m}/b", matrix, `{"id":"..","m":"1"}`, ""},
		{"list with nothing", "/a/{id}", id, `{"id":[""]}`, ""},
		{"content with nothing", "/a/{id}", content, `{"id":""}`, ""},

		{"free member", "/a", query, `{"tenant":"mine","f":{"b":1}}`, "/a?tenant=mine&b=1"},
		{"another parameter", "/a", query, `{"tenant":"mine","f":{"tenant":"yours"}}`, ""},
		{"another parameter alone", "/a", query, `{"f":{"tenant":"yours"}}`, ""},
		{"query of the path", "/a?action=list", query, `{"f":{"action":"drop"}}`, ""},
		{"member of an object", "/a", deep, `{"f":{"a":"yours"}}`, ""},
		{"whole query", "/a?action=list", whole, `{"querystring":{"action":"drop"}}`, ""},
		{"another cookie", "/a", cookies, `{"sid":"1","f":{"sid":"2"}}`, ""},
		{"another field", "/a", form, `{"role":"user","f":{"role":"admin"}}`, ""},

		{"type of a data URI", "/a", upload, `{"f":"data:image/png\r\nContent-Disposition: form-data; name=\"role\";base64,eA=="}`, ""},
		{"type of a data URI, whole body", "/a", bytes, `{"body":"data:a/b\r\nX-Role: admin;base64,eA=="}`, ""},
		{"type that is none", "/a", upload, `{"f":"data:;base64,eA=="}`, "/a"},
	} {
		r, err := hostilePlan(t, onePath(c.path, c.op)).Request([]byte(c.args))
		switch {
		case err != nil && c.want != "":
			t.Errorf("%s: %v", c.name, err)
		case err == nil && r.Path != c.want:
			t.Errorf("%s: sends %s %v %q, want %q", c.name, r.Path, r.Header, r.Body, c.want)
		}
	}
}

// TestDocumentsThatAreBombs reads small documents that want to be large or slow.
func TestDocumentsThatAreBombs(t *testing.T) {
	big := strings.Repeat("x", 200<<10)
	refs := func(name string, n int) string {
		return strings.TrimSuffix(strings.Repeat("{$ref: '#/components/schemas/"+name+"'},", n), ",")
	}
	var closed strings.Builder
	for i := range 40 {
		fmt.Fprintf(&closed, "    S%d: {additionalProperties: false, allOf: [%s]}\n", i, refs(fmt.Sprint("S", i+1), 2))
	}
	var roots []string
	for i := range 300 {
		fmt.Fprintf(&closed, "    R%d: {allOf: [%s]}\n", i, refs("S0", 2))
		roots = append(roots, fmt.Sprintf("p%d: {$ref: '#/components/schemas/R%d'}", i, i))
	}
	closed.WriteString("    S40: {type: object}\n")
	body := func(media, schema, schemas string) string {
		return onePath("/a", "{requestBody: {content: {"+media+": {schema: "+schema+"}}}}") + "components:\n  schemas:\n" + schemas
	}
	for _, c := range []struct{ name, doc, args string }{
		{
			"members of XML", body("application/xml", "{$ref: '#/components/schemas/S'}", "    S: {allOf: ["+refs("S", 20)+"], anyOf: ["+refs("S", 20)+"], oneOf: ["+refs("S", 20)+"]}\n"),
			`{"body":{"a":{"b":1}}}`,
		},
		{
			"members of allOf", body("application/json", "{allOf: ["+strings.TrimSuffix(strings.Repeat(refs("A", 1)+","+refs("B", 1)+",", 240), ",")+"]}",
				"    A: {properties: {p: {description: "+big+"}}}\n    B: {properties: {p: {title: "+big+"}}}\n"),
			`{}`,
		},
		{"written out", body("application/json", "{type: object, properties: {"+strings.Join(roots, ", ")+"}}", closed.String()), `{}`},
	} {
		began := time.Now()
		if _, err := hostilePlan(t, c.doc).Request([]byte(c.args)); err != nil {
			t.Logf("%s: %v", c.name, err)
		}
		if d := time.Since(began); d > 60*time.Second { // without bounds it takes hours; the machine may be slow
			t.Errorf("%s: takes %v", c.name, d)
		}
	}
}

func TestAliasesDoNotFillMemory(t *testing.T) {
	doc := "openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths: {}\nx-a: &a " + strings.Repeat("x", 100<<10) + "\nx-b: [" + strings.TrimSuffix(strings.Repeat("*a,", 2000), ",") + "]\n"
	if _, err := Parse("a.yaml", []byte(doc), Options{}); err == nil {
		t.Error("aliases of 200 MB are written out")
	}
}
