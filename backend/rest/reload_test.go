package rest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/backend"
)

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func (e *env) names() string {
	var out []string
	for _, t := range e.Catalog(context.Background(), gatehouse.Capabilities{}).Tools {
		out = append(out, t.Name)
	}
	return strings.Join(out, " ")
}

func ops(names ...string) string {
	var b strings.Builder
	b.WriteString("openapi: 3.0.3\ninfo: {title: t, version: \"1\"}\npaths:\n")
	for _, n := range names {
		fmt.Fprintf(&b, "  /%s: {get: {operationId: %s, responses: {'200': {description: ok}}}}\n", n, n)
	}
	return b.String()
}

// replace swaps a file in one step, with a time of its own.
func replace(t *testing.T, file, text string) {
	t.Helper()
	write(t, file+".new", text)
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestDocumentIsReadAgain(t *testing.T) {
	e := openSource(t, ops("a", "b"), "url: http://127.0.0.1:1")
	if e.names() != "a b" {
		t.Fatalf("tools %s", e.names())
	}
	before := e.Catalog(t.Context(), gatehouse.Capabilities{}).Version
	replace(t, e.file, strings.Replace(ops("b", "c"), "operationId: b", "operationId: b, summary: New", 1))
	until(t, "the new tools", func() bool { return e.names() == "b c" })
	if v := e.Catalog(t.Context(), gatehouse.Capabilities{}).Version; v == before {
		t.Error("the version of the catalogue has not changed")
	}
	until(t, "the event", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.events) == 2 && e.events[1].Kind == backend.ToolsChanged // one for the first reading
	})
	if !strings.Contains(e.logged(), `msg="document has changed" tools=2 left_out=0 added=c removed=a changed=b`) {
		t.Errorf("log: %s", e.logged())
	}

	replace(t, e.file, "openapi: 3.0.3\npaths: [")
	until(t, "the complaint", func() bool { return strings.Contains(e.logged(), "document cannot be used\" one_before_stays=true") })
	if e.names() != "b c" || e.Status().State != "ready" || e.Status().Err != nil {
		t.Errorf("after a bad document: tools %s, status %+v", e.names(), e.Status())
	}
	if err := os.Remove(e.file); err != nil {
		t.Fatal(err)
	}
	until(t, "the complaint about a missing file", func() bool { return strings.Contains(e.logged(), "cannot read its document") })
	replace(t, e.file, ops("d"))
	until(t, "the tools of the mended document", func() bool { return e.names() == "d" })
	if n := strings.Count(e.logged(), "document cannot be used"); n > 3 {
		t.Errorf("said %d times:\n%s", n, e.logged())
	}
}

func TestFilesOfADocumentAreWatched(t *testing.T) {
	dir := t.TempDir()
	e := &env{file: filepath.Join(dir, "specs", "api.yaml"), log: &strings.Builder{}}
	if err := os.MkdirAll(filepath.Join(dir, "specs"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, e.file, "openapi: 3.0.3\ninfo: {title: t, version: \"1\"}\npaths:\n  /a: {$ref: '../common.yaml#/a'}\n  /b: {$ref: '../../secret.yaml#/a'}\n")
	write(t, filepath.Join(dir, "common.yaml"), "a: {get: {operationId: one, responses: {'200': {description: ok}}}}\n")
	e.open(t, load(t, dir, "      - openapi: specs/api.yaml\n        url: http://127.0.0.1:1\n"))
	if e.names() != "one" {
		t.Fatalf("tools %q, log %s", e.names(), e.logged())
	}
	replace(t, filepath.Join(dir, "common.yaml"), "a: {get: {operationId: two, responses: {'200': {description: ok}}}}\n")
	until(t, "the tool of the changed file", func() bool { return e.names() == "two" })
}

func TestFilesOutsideAreNotRead(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "x.yaml")
	write(t, outside, "a: {get: {operationId: x, responses: {'200': {description: ok}}}}\n")
	a := newAPI(t, nil)
	for _, ref := range []string{outside, "file://" + outside, a.URL + "/x.yaml", "link.yaml"} {
		e := &env{file: filepath.Join(t.TempDir(), "api.yaml"), log: &strings.Builder{}}
		if err := os.Symlink(outside, filepath.Join(filepath.Dir(e.file), "link.yaml")); err != nil {
			t.Fatal(err)
		}
		write(t, e.file, "openapi: 3.0.3\ninfo: {title: t, version: \"1\"}\npaths:\n  /x: {$ref: '"+ref+"#/a'}\n  /a: {get: {operationId: a, responses: {'200': {description: ok}}}}\n")
		e.open(t, load(t, filepath.Dir(e.file), "      - openapi: api.yaml\n        url: http://127.0.0.1:1\n"))
		if e.names() != "a" || len(e.inForce().doc.Skipped) != 1 {
			t.Errorf("%s: tools %s", ref, e.names())
		}
	}
	if n := len(a.requests()); n > 0 {
		t.Errorf("%d references were fetched", n)
	}
}

func (e *env) inForce() *document { return e.source.now.Load() }

func TestRemoteDocument(t *testing.T) {
	var doc atomic.Value
	doc.Store(ops("a"))
	other := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a: {get: {operationId: shared, responses: {'200': {description: ok}}}}\n")
	})
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/docs/openapi.yaml":
			http.Redirect(w, r, "/v2/openapi.yaml", http.StatusFound)
		case "/v2/openapi.yaml":
			_, _ = io.WriteString(w, doc.Load().(string))
		case "/v2/part.yaml", "/docs/part.yaml":
			_, _ = io.WriteString(w, "a: {get: {operationId: part, responses: {'200': {description: ok}}}}\n")
		}
	})
	e := &env{log: &strings.Builder{}}
	e.open(t, load(t, t.TempDir(), "      - {openapi: "+a.URL+"/docs/openapi.yaml, remoteRefs: ['"+other.URL+"']}\n"))
	if e.names() != "a" {
		t.Fatalf("tools %q, log %s", e.names(), e.logged())
	}
	a.requests()
	e.run("a", "{}")
	if got := strings.Join(a.requests(), ""); !strings.Contains(got, "GET /a\n") {
		t.Errorf("requests %s", got)
	}
	doc.Store("openapi: 3.0.3\ninfo: {title: t, version: \"1\"}\npaths:\n  /x: {$ref: 'part.yaml#/a'}\n  /y: {$ref: '" + other.URL + "/s.yaml#/a'}\n  /z: {$ref: 'http://127.0.0.1:1/s.yaml#/a'}\n")
	until(t, "the new tools", func() bool { return e.names() == "part shared" })
}

func TestRemoteDocumentThatComesLate(t *testing.T) {
	var there atomic.Bool
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		if !there.Load() {
			w.WriteHeader(404)
			return
		}
		_, _ = io.WriteString(w, ops("a"))
	})
	e := &env{log: &strings.Builder{}}
	e.open(t, load(t, t.TempDir(), "      - {openapi: "+a.URL+"/openapi.yaml}\n"))
	cat := e.Catalog(t.Context(), gatehouse.Capabilities{})
	if cat.Err == nil || len(cat.Tools) > 0 || e.Status().State != "broken" {
		t.Errorf("catalogue %+v, status %+v", cat, e.Status())
	}
	if got := e.run("a", "{}"); !strings.Contains(got, "the server answered with HTTP status 404") {
		t.Error(got)
	}
	there.Store(true)
	until(t, "the tools", func() bool { return e.names() == "a" })
	if e.Status().State != "ready" {
		t.Errorf("status %+v", e.Status())
	}
}

// TestManyTools: what 10,000 operations cost is a name each, until somebody looks.
func TestManyTools(t *testing.T) {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("op%05d", i)
	}
	a := newAPI(t, nil)
	e := openSource(t, ops(names...), "url: "+a.URL)
	cat := e.Catalog(t.Context(), gatehouse.Capabilities{})
	if len(cat.Tools) != 10_000 {
		t.Fatalf("%d tools", len(cat.Tools))
	}
	if got := e.run(names[9999], "{}"); !strings.Contains(got, "204") {
		t.Error(got)
	}
	d := e.inForce()
	d.plans.bytes += maxPlans - 1_000_000 // as if plans of that size were kept
	for _, tl := range d.tools {
		if _, err := tl.planned(); err != nil {
			t.Fatal(err)
		}
	}
	kept, bytes := 0, maxPlans-1_000_000
	for _, tl := range d.tools {
		if p := tl.cell.plan.Load(); p != nil {
			kept++
			bytes += p.weight()
		}
	}
	if len(d.plans.kept) != kept || kept > 300 || kept < 100 || bytes > maxPlans {
		t.Errorf("%d plans are kept, %d held by tools, %d bytes", len(d.plans.kept), kept, bytes)
	}
}
