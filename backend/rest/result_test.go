package rest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// plainDoc has the operation get, whose answer is described by schema when there is one.
func plainDoc(schema string) string {
	content := ""
	if schema != "" {
		content = ", content: {application/json: {schema: " + schema + "}}"
	}
	return `openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /a:
    get:
      operationId: get
      parameters: [{name: page, in: query, schema: {type: string}}, {name: pageToken, in: query, schema: {type: string}}]
      responses: {'200': {description: ok` + content + `}}
    post: {operationId: post, responses: {'200': {description: ok}}}
    head: {operationId: head, responses: {'200': {description: ok}}}
`
}

const listSchema = "{type: object, properties: {items: {type: array, items: {type: object, properties: {id: {type: integer}, name: {type: string}}}}, next_page_token: {type: string}}}"

func TestResults(t *testing.T) {
	var status int
	var header map[string]string
	var body string
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header()[k] = []string{v}
		}
		w.WriteHeader(status)
		if r.Method != "HEAD" {
			_, _ = io.WriteString(w, body)
		}
	})
	loose := openSource(t, plainDoc(""), "url: "+a.URL+"\nshowBytes: 1KiB")
	strict := openSource(t, plainDoc(listSchema), "url: "+a.URL+"\nshowBytes: 1KiB")
	list := openSource(t, plainDoc("{type: array, items: {type: integer}}"), "url: "+a.URL)
	chosen := openSource(t, plainDoc(listSchema), "url: "+a.URL+"\ntools: {get: {select: [items.id, total]}}")
	json := map[string]string{"Content-Type": "application/json"}
	long := `{"items":[` + strings.Repeat(`{"id":1,"name":"xxxxxxxxxx"},`, 100) + `{"id":2}]}`
	for _, c := range []struct {
		name   string
		src    *env
		tool   string
		status int
		header map[string]string
		body   string
		want   string
	}{
		{"json", loose, "get", 200, json, `{"a":1.10,"b":12345678901234567890}`, `{"a":1.10,"b":12345678901234567890}`},
		{"json promised", strict, "get", 200, json, `{"items":[{"id":1}]}`, "{\"items\":[{\"id\":1}]}\nstructured {\"items\":[{\"id\":1}]}"},
		{"json that breaks its promise", strict, "get", 200, json, `{"items":[{"id":"x"}]}`, "{\"items\":[{\"id\":\"x\"}]}\nstructured {\"items\":[{\"id\":null}]}"},
		{"json of another shape", strict, "get", 200, json, `[1]`, "[1]\nstructured {}"},
		{"list promised", list, "get", 200, json, `[1,2]`, "[1,2]\nstructured [1,2]"},
		{"list promised, nothing came", list, "get", 204, nil, "", "HTTP 204 No Content\nstructured []"},
		{"json as text/plain", strict, "get", 200, map[string]string{"Content-Type": "text/plain"}, `{"items":[]}`, "{\"items\":[]}\nstructured {\"items\":[]}"},
		{"json+", loose, "get", 200, map[string]string{"Content-Type": "application/hal+json; charset=utf-8"}, `{}`, `{}`},
		{"json with a member twice", strict, "get", 200, json, `{"items":[],"items":[]}`, "{\"items\":[],\"items\":[]}\nstructured {}"},
		{"no json", strict, "get", 200, json, `<html>`, "<html>\nstructured {}"},
		{"no type", loose, "get", 200, map[string]string{"Content-Type": ""}, "plain", "plain"},
		{"text", loose, "get", 200, map[string]string{"Content-Type": "text/csv"}, "a,b\n1,2\n", "a,b\n1,2\n"},
		{"latin-1", loose, "get", 200, map[string]string{"Content-Type": "text/plain; charset=ISO-8859-1"}, "caf\xe9", "café"},
		{"text that is none", loose, "get", 200, map[string]string{"Content-Type": "text/plain"}, "\xff\xfe\x00", `{"type":"resource","resource":{"uri":"URI","mimeType":"text/plain","blob":"//4A"}}` + "\nHTTP 200 OK: 3 bytes of text/plain"},
		{"nul", loose, "get", 200, map[string]string{"Content-Type": "text/plain"}, "a\x00b", "a\uFFFDb"},
		{"image", loose, "get", 200, map[string]string{"Content-Type": "image/png"}, "PNG", `{"type":"image","data":"UE5H","mimeType":"image/png"}`},
		{"svg", loose, "get", 200, map[string]string{"Content-Type": "image/svg+xml"}, "<svg/>", "<svg/>"},
		{"audio", loose, "get", 200, map[string]string{"Content-Type": "audio/mpeg"}, "MP3", `{"type":"audio","data":"TVAz","mimeType":"audio/mpeg"}`},
		{"bytes", loose, "get", 200, map[string]string{"Content-Type": "application/zip"}, "PK", `{"type":"resource","resource":{"uri":"URI","mimeType":"application/zip","blob":"UEs="}}` + "\nHTTP 200 OK: 2 bytes of application/zip"},
		{"many bytes", loose, "get", 200, map[string]string{"Content-Type": "application/zip"}, strings.Repeat("x", maxBlob+1), fmt.Sprintf(`{"type":"resource_link","uri":"URI","name":"the answer","mimeType":"application/zip","size":%d}`, maxBlob+1) + fmt.Sprintf("\nHTTP 200 OK: %d bytes of application/zip; read them from the resource that is linked here.", maxBlob+1)},
		{"empty 200", loose, "get", 200, json, "", "HTTP 200 OK, without a body."},
		{"empty 202", loose, "post", 202, nil, "", "HTTP 202 Accepted, without a body."},
		{"204", loose, "post", 204, nil, "", "HTTP 204 No Content"},
		{"head", loose, "head", 200, map[string]string{"Content-Length": "17"}, "", "HTTP 200 OK"},
		{"created", loose, "post", 201, map[string]string{"Content-Type": "application/json", "Location": "/a/7"}, `{"id":7}`, "{\"id\":7}\nHTTP 201 Created\nLocation: /a/7"},
		{"created, empty", loose, "post", 201, map[string]string{"Location": "/a/7"}, "", "HTTP 201 Created, without a body.\nLocation: /a/7"},
		{"400", strict, "get", 400, json, `{"error":"bad"}`, "isError\nHTTP 400 Bad Request from GET /a\n\n{\"error\":\"bad\"}"},
		{"404 empty", loose, "get", 404, nil, "", "isError\nHTTP 404 Not Found from GET /a\nThe answer has no body."},
		{"403", loose, "get", 403, nil, "no", "isError\nHTTP 403 Forbidden from GET /a\n\nno"},
		{"429", loose, "post", 429, map[string]string{"Retry-After": "30"}, "", "isError\nHTTP 429 Too Many Requests from POST /a\nTry again after 30 (Retry-After).\nThe answer has no body."},
		{"500 image", loose, "post", 500, map[string]string{"Content-Type": "image/png"}, "PNG", "isError\nHTTP 500 Internal Server Error from POST /a\nThe answer is 3 bytes of image/png."},
		{"500 long", loose, "post", 500, map[string]string{"Content-Type": "text/plain"}, strings.Repeat("x", maxFailure+5), "isError\nHTTP 500 Internal Server Error from POST /a\n\n" + strings.Repeat("x", maxFailure) + "\n[truncated: 5 more bytes]"},
		{"304", loose, "get", 304, nil, "", "isError\nHTTP 304 Not Modified from GET /a\nThe answer has no body."},
		{"elsewhere", loose, "get", 302, map[string]string{"Location": "http://evil.example/x"}, "", "isError\nHTTP 302 Found from GET /a\nIt redirects to http://evil.example/x, which is not followed: it is another server, or too many redirects.\nThe answer has no body."},
		{
			"too long", strict, "get", 200, json, long, long[:1024] + "\n" +
				fmt.Sprintf(`{"type":"resource_link","uri":"URI?offset=1024","name":"the rest of the answer","mimeType":"application/json","size":%d}`, len(long)-1024) +
				fmt.Sprintf("\n[truncated: %d more bytes] Ask for less, if the operation has arguments for that, or read the resource that is linked here.\nstructured {}", len(long)-1024),
		},
		{"selected", chosen, "get", 200, json, `{"items":[{"id":1,"name":"n"}],"total":2,"more":{}}`, "{\"items\":[{\"id\":1}],\"total\":2}\nstructured {\"items\":[{\"id\":1}],\"total\":2}"},
		{"next by token", loose, "get", 200, json, `{"next_page_token":"t 1"}`, "{\"next_page_token\":\"t 1\"}\nThere is more: call again with pageToken=\"t 1\"."},
		{"no next", loose, "get", 200, json, `{"next_page_token":null,"nextLink":""}`, `{"next_page_token":null,"nextLink":""}`},
		{"next by link", loose, "get", 200, map[string]string{"Content-Type": "application/json", "Link": `</a?page=1>; rel="prev", </a?page=3>; rel="next"`}, `[]`, "[]\nThere is more: call again with page=\"3\"."},
		{"next by url", loose, "get", 200, json, `{"@odata.nextLink":"/a?page=2&pageToken=x"}`, "{\"@odata.nextLink\":\"/a?page=2&pageToken=x\"}\nThere is more: call again with page=\"2\" and pageToken=\"x\"."},
		{"next elsewhere", loose, "get", 200, json, `{"next":"http://x.example/b?c=1"}`, "{\"next\":\"http://x.example/b?c=1\"}\nThere is more, at http://x.example/b?c=1 (call again with the arguments that lead there)."},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, header, body = c.status, c.header, c.body
			raw := c.src.run(c.tool, "{}")
			got := texts(raw)
			if i := strings.Index(got, "result://1/"); i >= 0 {
				got = got[:i] + "URI" + got[i+len("result://1/")+26:]
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			o, _ := wire.ParseObject([]byte(raw))
			if isError := string(o.Get("isError")) == "true"; isError != strings.HasPrefix(c.want, "isError") {
				t.Errorf("isError is %v", isError)
			}
		})
	}
}

func TestLongAnswerIsReadToItsEnd(t *testing.T) {
	long := strings.Repeat("0123456789é", 1000)
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, long)
	})
	e := openSource(t, plainDoc(""), "url: "+a.URL+"\nshowBytes: 1KiB")
	res, err := e.Call(t.Context(), callOf("get", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	o, _ := wire.ParseObject(res.Raw)
	blocks, _ := wire.Elements(o.Get("content"))
	first, _ := wire.ParseObject(blocks[0])
	got, _ := wire.Text(first.Get("text"))
	rest, _ := wire.ParseObject(blocks[1])
	uri, _ := wire.Text(rest.Get("uri"))
	read := func(principal, uri string) (*gatehouse.Result, error) {
		return e.Call(context.Background(), &gatehouse.Call{
			Method: "resources/read", Name: uri, Peer: silent{}, Target: gatehouse.Target{Name: uri}, Principal: &gatehouse.Principal{ID: principal},
		})
	}
	for _, wrong := range []struct{ principal, uri string }{
		{"key:other", uri},
		{"key:test", "result://1/NOTHING"},
		{"key:test", strings.Replace(uri, "offset=", "offset=-", 1)},
		{"key:test", uri + "0000000"},
		{"key:test", strings.Replace(uri, "offset", "from", 1)},
		{"key:test", "file:///etc/passwd"},
	} {
		if res, err := read(wrong.principal, wrong.uri); err == nil {
			t.Errorf("%s reads %s: %s", wrong.principal, wrong.uri, res.Raw)
		}
	}
	for range 100 {
		res, err := read("key:test", uri)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := wire.ParseObject(res.Raw)
		parts, _ := wire.Elements(o.Get("contents"))
		part, _ := wire.ParseObject(parts[0])
		text, _ := wire.Text(part.Get("text"))
		if len(text) > 1024 {
			t.Errorf("%d bytes in one part", len(text))
		}
		got += text
		if len(parts) == 1 {
			break
		}
		more, _ := wire.ParseObject(parts[1])
		uri, _ = wire.Text(more.Get("uri"))
	}
	if got != long {
		t.Errorf("%d bytes were read, want %d", len(got), len(long))
	}
}

func TestAnswerPastTheLimitIsCutOff(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Query().Get("page") != "" {
			w.Header().Set("Content-Length", "12000000")
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 12_000_000)) // the reader leaves early
	})
	e := openSource(t, plainDoc(""), "url: "+a.URL)
	if got := texts(e.run("get", "{}")); !strings.Contains(got, "[truncated: at least ") {
		t.Errorf("%.100s … %s", got, got[len(got)-200:])
	}
	if got := texts(e.run("get", `{"page":"1"}`)); !strings.Contains(got, fmt.Sprintf("[truncated: %d more bytes]", 12_000_000-128<<10)) {
		t.Errorf("%.100s … %s", got, got[len(got)-200:])
	}
}

func TestHeldIsBounded(t *testing.T) {
	e := openSource(t, plainDoc(""), "url: http://127.0.0.1:1")
	h := &e.held
	first := h.put("a", kept{body: make([]byte, heldOne/2)})
	other := h.put("b", kept{body: make([]byte, 10)})
	h.put("a", kept{body: make([]byte, heldOne/2)})
	if h.find("a", first) == nil {
		t.Error("what fits is gone")
	}
	h.put("a", kept{body: make([]byte, 10)})
	if h.find("a", first) != nil || h.find("b", other) == nil {
		t.Error("the oldest of the same principal does not go first")
	}
	if uri := h.put("a", kept{body: make([]byte, heldOne+1)}); uri != "" {
		t.Error("something over the bound is kept")
	}
	for i := range 2 * heldCount {
		h.put(fmt.Sprint(i), kept{body: make([]byte, 100<<10)})
	}
	sum := 0
	for _, k := range h.order {
		sum += len(k.body)
	}
	if len(h.order) > heldCount || len(h.m) != len(h.order) || sum != h.bytes || sum > heldAll || len(h.per) != len(h.order) {
		t.Errorf("%d results of %d principals, %d bytes, counted %d", len(h.order), len(h.per), sum, h.bytes)
	}
	old := &held{now: time.Now, scheme: "result://1/"}
	uri := old.put("a", kept{body: []byte("x")})
	old.order[0].at = time.Now().Add(-2 * heldLife)
	old.expire()
	if old.find("a", uri) != nil || old.bytes != 0 {
		t.Error("what is old stays")
	}
}

func TestProject(t *testing.T) {
	for _, c := range []struct{ in, paths, want string }{
		{`{"a":1,"b":{"c":2,"d":3}}`, "a", `{"a":1}`},
		{`{"a":1,"b":{"c":2,"d":3}}`, "b.c", `{"b":{"c":2}}`},
		{`{"a":1,"b":{"c":2,"d":3}}`, "b.c b", `{"b":{"c":2,"d":3}}`},
		{`[{"a":1,"b":2},{"a":3}]`, "a", `[{"a":1},{"a":3}]`},
		{`{"a":[{"b":1,"c":2}]}`, "a.b", `{"a":[{"b":1}]}`},
		{`{"x":{"id":1,"n":2},"y":{"id":3}}`, "*.id", `{"x":{"id":1},"y":{"id":3}}`},
		{`{"a":5}`, "a.b", `{"a":5}`},
		{`{"a":1}`, "z", `{}`},
		{`5`, "a", `5`},
	} {
		if got := string(project([]byte(c.in), strings.Fields(c.paths))); got != c.want {
			t.Errorf("%s of %s = %s, want %s", c.paths, c.in, got, c.want)
		}
	}
}
