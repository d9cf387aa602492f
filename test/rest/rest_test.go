// Package rest calls REST APIs that nobody here wrote, through the gateway, with a client that nobody here wrote: httpbin,
// which describes itself, and json-server, which we describe.
package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv"
)

const db = `{"posts":[
	{"id":1,"title":"one","author":"Ada","views":10},{"id":2,"title":"two","author":"Grace","views":20},
	{"id":3,"title":"three","author":"Ada","views":30},{"id":4,"title":"four & more","author":"Ada","views":5}]}`

// rig is the two servers, the gateway before them and the Inspector.
type rig struct {
	url, inspector string
	env            []string
}

func open(t *testing.T) *rig {
	t.Helper()
	python := testenv.Python(t, "httpbin")
	server, env := testenv.Package(t, "json-server")
	testenv.Package(t, "@modelcontextprotocol/inspector")
	modules, _ := testenv.Node(t)
	node := filepath.Join(modules, "node", "bin", "node")
	bin, js, addr := testenv.Addr(t), testenv.Addr(t), testenv.Addr(t)
	port := func(a string) string { return a[strings.LastIndex(a, ":")+1:] }
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	testenv.Start(t, bin, env, python, "-m", "flask", "--app", "httpbin", "run", "--port", port(bin))
	testenv.Start(t, js, env, node, filepath.Join(server, "lib", "cli", "bin.js"), "--quiet", "--host", "127.0.0.1", "--port", port(js), write("db.json", db))
	document := filepath.Join(testenv.Root(), "test", "rest", "testdata", "json-server.openapi.yaml")
	config := write("gatehouse.yaml", fmt.Sprintf(`listen: %s
data: data
auth: {keys: false, anonymous: true}
servers:
  httpbin:
    sources:
      - openapi: http://%s/spec.json
        url: http://%s
        tools: {post_anything: {name: echo}}
  posts: {sources: [{openapi: %q, url: 'http://%s'}]}
  found: {sources: [{openapi: %q, url: 'http://%s', expose: search}]}
`, addr, bin, bin, document, js, document, js))
	testenv.Start(t, addr, env, testenv.Build(t, "./cmd/gatehouse"), "serve", "--config", config)
	return &rig{url: "http://" + addr, inspector: filepath.Join(modules, ".bin", "mcp-inspector"), env: env}
}

// result is what the Inspector prints of a call.
type result struct {
	Content []struct {
		Type, Text, Data, MIMEType string
		Resource                   struct{ URI, Blob string }
	}
	StructuredContent json.RawMessage
	IsError           bool
	Tools             []struct{ Name string }
}

// inspect runs the Inspector's command line.
func (r *rig) inspect(t *testing.T, server string, args ...string) (out result) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.inspector, append([]string{"--cli", r.url + "/" + server + "/mcp", "--transport", "http", "--format", "json"}, args...)...)
	cmd.Env = r.env
	var errs strings.Builder
	cmd.Stderr = &errs
	b, err := cmd.Output()
	var wrapped struct{ Result *result }
	if json.Unmarshal(b, &wrapped) == nil && wrapped.Result != nil {
		return *wrapped.Result
	}
	if jerr := json.Unmarshal(b, &out); jerr != nil {
		t.Fatalf("inspector %s: %v, %v\n%s%s", strings.Join(args, " "), err, jerr, b, errs.String())
	}
	return out
}

func (r *rig) call(t *testing.T, server, tool string, args ...string) result {
	t.Helper()
	list := []string{"--method", "tools/call", "--tool-name", tool}
	for _, a := range args {
		list = append(list, "--tool-arg", a)
	}
	return r.inspect(t, server, list...)
}

func (r result) text() string {
	var b strings.Builder
	for _, c := range r.Content {
		b.WriteString(c.Text + "\n")
	}
	return b.String()
}

func TestRealServers(t *testing.T) {
	r := open(t)
	want := func(t *testing.T, got result, failed bool, text ...string) {
		t.Helper()
		for _, s := range text {
			if got.IsError != failed || !strings.Contains(got.text(), s) {
				t.Errorf("got %+v, want isError %v and %s", got, failed, s)
			}
		}
	}
	t.Run("httpbin", func(t *testing.T) {
		names := map[string]bool{}
		for _, tool := range r.inspect(t, "httpbin", "--method", "tools/list").Tools {
			names[tool.Name] = true
		}
		if len(names) < 70 || !names["echo"] || !names["get_status_codes"] {
			t.Errorf("%d tools: %v", len(names), names)
		}
		want(t, r.call(t, "httpbin", "get_base64_value", "value=R2F0ZWhvdXNl"), false, "Gatehouse")
		want(t, r.call(t, "httpbin", "get_anything_anything", "anything=a/b?c=d#e ü"), false, `/anything/a/b%3Fc=d%23e%20`, `"args":{}`)
		want(t, r.call(t, "httpbin", "get_status_codes", "codes=418"), true, "HTTP 418 I'm a teapot from GET /status/418")
		want(t, r.call(t, "httpbin", "get_redirect_n", "n=2"), false, "/get")
		want(t, r.call(t, "httpbin", "get_redirect-to", "url=http://example.org/", "status_code=302"), true, "which is not followed")
		want(t, r.call(t, "httpbin", "get_gzip"), false, `"gzipped":true`)
		want(t, r.call(t, "httpbin", "get_encoding_utf8"), false, "∮ E⋅da = Q")
		want(t, r.call(t, "httpbin", "get_xml"), false, "<slideshow")
		if got := r.call(t, "httpbin", "get_image_png"); len(got.Content) == 0 || got.Content[0].Type != "image" || got.Content[0].MIMEType != "image/png" {
			t.Errorf("picture: %+v", got)
		}
		if got := r.call(t, "httpbin", "get_stream-bytes_n", "n=16"); len(got.Content) == 0 || got.Content[0].Type != "resource" || len(got.Content[0].Resource.Blob) != 24 {
			t.Errorf("bytes: %+v", got)
		}
		want(t, r.call(t, "httpbin", "get_bytes_n", "n=many"), true, "n: expected an integer")
	})
	t.Run("json-server", func(t *testing.T) {
		want(t, r.call(t, "posts", "listPosts", "author=Ada", "_sort=views", "_order=desc", "_limit=1", "_page=1"), false, `"three"`, `There is more: call again with _page="2".`)
		want(t, r.call(t, "posts", "listPosts", "id=[2,4]"), false, `"two"`, `"four & more"`)
		want(t, r.call(t, "posts", "createPost", "title=five", `tags=["a","b"]`), false, `"id": 5`, "HTTP 201 Created", "/posts/5")
		want(t, r.call(t, "posts", "changePost", "id=5", "views=7"), false, `"five"`, `"views": 7`)
		want(t, r.call(t, "posts", "getPost", "id=5"), false, `"b"`)
		want(t, r.call(t, "posts", "replacePost", "id=5", "title=other"), false, `"other"`)
		want(t, r.call(t, "posts", "deletePost", "id=5"), false, "{}")
		want(t, r.call(t, "posts", "getPost", "id=5"), true, "HTTP 404 Not Found from GET /posts/5")
		want(t, r.call(t, "posts", "createPost", "views=1"), true, "title: missing: expected a string")
	})
	t.Run("search", func(t *testing.T) {
		want(t, r.call(t, "found", "search_tools", "query=change a post"), false, "changePost")
		want(t, r.call(t, "found", "describe_tool", "name=changePost"), false, `"inputSchema"`)
		want(t, r.call(t, "found", "call_tool", "name=getPost", `arguments={"id":1}`), false, `"one"`)
	})
	if res, err := http.Get(r.url + "/healthz"); err == nil {
		_ = res.Body.Close() // it is alive after all of this
	} else {
		t.Error(err)
	}
}
