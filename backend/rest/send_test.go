package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse"
)

const twoMethods = `openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /a:
    get: {operationId: get, responses: {'200': {description: ok}}}
    post:
      operationId: post
      requestBody: {content: {application/json: {schema: {type: object, properties: {n: {type: integer}}}}}}
      responses: {'200': {description: ok}}
    delete: {operationId: delete, responses: {'200': {description: ok}}}
`

func TestRedirects(t *testing.T) {
	var away atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { away.Add(1) }))
	defer other.Close()
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret")
	for _, c := range []struct {
		tool     string
		status   int
		location string
		want     string // requests after the first; "" when it is not followed
	}{
		{"get", 301, "/b?x=1", "GET /b?x=1"},
		{"get", 302, "b", "GET /b"},
		{"get", 303, "API/b", "GET /b"},
		{"get", 307, "/b#f", "GET /b"},
		{"get", 308, "", ""},
		{"post", 301, "/b", "GET /b"},
		{"post", 302, "/b", "GET /b"},
		{"post", 303, "/b", "GET /b"},
		{"post", 307, "/b", "POST /b\nContent-Type: application/json\n\n{\"n\":1}"},
		{"post", 308, "/b", "POST /b\nContent-Type: application/json\n\n{\"n\":1}"},
		{"get", 302, other.URL + "/b", ""},
		{"get", 302, "//" + strings.TrimPrefix(other.URL, "http://") + "/b", ""},
		{"get", 302, "https://HOST/b", ""},
		{"get", 302, "http://user@HOST/b", ""},
		{"get", 302, "file:///etc/passwd", ""},
		{"get", 302, `\\` + strings.TrimPrefix(other.URL, "http://"), ""},
		{"get", 302, "javascript:1", ""},
		{"get", 304, "/b", ""},
	} {
		t.Run(fmt.Sprint(c.tool, c.status, c.location), func(t *testing.T) {
			var a *api
			a = newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/a" {
					return
				}
				if c.location != "" {
					w.Header().Set("Location", strings.NewReplacer("API", a.URL, "HOST", r.Host).Replace(c.location))
				}
				w.WriteHeader(c.status)
			})
			e := openSource(t, twoMethods, "url: "+a.URL+"\nauth: {x: {key: '${env:GATEHOUSE_TEST_SECRET}', in: header, name: X-Key}}")
			args := "{}"
			if c.tool == "post" {
				args = `{"n":1}`
			}
			got := texts(e.run(c.tool, args))
			reqs := a.requests()
			for i := range reqs {
				if !strings.Contains(reqs[i], "X-Key: s3cret\n") {
					t.Errorf("a request on the way without the credential:\n%s", reqs[i])
				}
				reqs[i] = strings.TrimSpace(strings.Replace(reqs[i], "X-Key: s3cret\n", "", 1))
			}
			if next := strings.Join(reqs[1:], "\n"); next != c.want {
				t.Errorf("followed by %q, want %q", next, c.want)
			}
			if c.want == "" && !strings.HasPrefix(got, "isError") {
				t.Errorf("result is %s", got)
			}
		})
	}
	if n := away.Load(); n != 0 {
		t.Errorf("%d requests went to another server", n)
	}
}

func TestRedirectsEnd(t *testing.T) {
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/a", http.StatusFound) })
	e := openSource(t, twoMethods, "url: "+a.URL)
	if got := texts(e.run("get", "{}")); !strings.Contains(got, "too many redirects") {
		t.Error(got)
	}
	if n := len(a.requests()); n != maxRedirects+1 {
		t.Errorf("%d requests, want %d", n, maxRedirects+1)
	}
}

func TestOnlySafeRequestsAreSentAgain(t *testing.T) {
	for _, c := range []struct {
		tool   string
		status int
		after  string
		want   int
	}{
		{"get", 503, "", maxTries},
		{"get", 502, "", maxTries},
		{"get", 503, "60", 1},
		{"get", 503, "0", maxTries},
		{"get", 429, "", 1},
		{"get", 429, "0", maxTries},
		{"get", 500, "", 1},
		{"post", 503, "", 1},
		{"delete", 503, "", 1},
	} {
		a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.status)
		})
		e := openSource(t, twoMethods, "url: "+a.URL)
		e.run(c.tool, "{}")
		if n := len(a.requests()); n != c.want {
			t.Errorf("%s answered with %d, Retry-After %q: %d requests, want %d", c.tool, c.status, c.after, n, c.want)
		}
	}
}

func TestBrokenConnection(t *testing.T) {
	var n atomic.Int32
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "there")
	})
	a.Config.ErrorLog = nil
	e := openSource(t, twoMethods, "url: "+a.URL)
	if got := texts(e.run("get", "{}")); got != "there" {
		t.Errorf("get: %s", got)
	}
	n.Store(0)
	if got := e.run("post", "{}"); !strings.Contains(got, "source 1 of server s cannot be reached") {
		t.Errorf("post: %s", got)
	}
}

func TestTimeoutAndProgress(t *testing.T) {
	release := make(chan struct{})
	a := newAPI(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	e := openSource(t, twoMethods, "url: "+a.URL+"\ntools: {get: {timeout: 50ms}}")
	c := callOf("get", "{}")
	notes := make(chan string, 100)
	c.Peer, c.ProgressToken = silent{notes}, []byte(`"t"`)
	_, err := e.Call(t.Context(), c)
	if ge, ok := errors.AsType[*gatehouse.Error](err); !ok || ge.Code != codeTimeout || ge.Msg != "source 1 of server s did not answer within 50ms" {
		t.Errorf("error %v", err)
	}
	if n := <-notes; n != `notifications/progress {"progressToken":"t","progress":1,"message":"waiting for the API for 0s"}` {
		t.Errorf("progress %s", n)
	}
	c = callOf("post", "{}")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := e.Call(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that left: %v", err)
	}
}

func TestBreakerOpens(t *testing.T) {
	e := openSource(t, twoMethods, "url: http://127.0.0.1:1")
	var last string
	for range 10 {
		last = e.run("post", "{}")
	}
	if !strings.Contains(last, "source 1 of server s has failed several times in a row") {
		t.Error(last)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var running, most atomic.Int32
	a := newAPI(t, func(http.ResponseWriter, *http.Request) {
		n := running.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(time.Millisecond) // what others would use to run beside
		running.Add(-1)
	})
	e := openSource(t, twoMethods, "url: "+a.URL+"\nconcurrency: 2")
	results := make(chan string, 10)
	for range cap(results) {
		go func() { results <- e.run("get", "{}") }()
	}
	for range cap(results) {
		if r := <-results; strings.HasPrefix(r, "error") && !strings.Contains(r, "2 calls running and 8 waiting") {
			t.Error(r)
		}
	}
	if n := most.Load(); n > 2 {
		t.Errorf("%d calls at once, want 2", n)
	}
}

// TestHostileArguments: whatever stands in an argument stays in its place (T-OPENAPI).
func TestHostileArguments(t *testing.T) {
	const doc = `openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /v1/{p}/x/{q}:
    post:
      operationId: call
      parameters:
        - {name: p, in: path, required: true, schema: {type: string}}
        - {name: q, in: path, required: true, style: STYLE, schema: {type: array, items: {type: string}}}
        - {name: s, in: query, schema: {type: string}}
        - {name: o, in: query, style: deepObject, schema: {type: object, additionalProperties: {type: string}}}
        - {name: r, in: query, allowReserved: true, schema: {type: string}}
        - {name: X-H, in: header, schema: {type: string}}
        - {name: c, in: cookie, schema: {type: string}}
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {f: {type: string}}}}}}
      responses: {'200': {description: ok}}
`
	values := []string{
		"/", "..", ".", "../..", "a/../b", "%2f", "%252e", "%2e%2e", "?", "?a=b", "#", "#x", ";", ";v=1", "\r\n", "\r\nX-Evil: 1\r\n\r\n", "\n", "\t", "\x7f", "\u0000",
		"\\", "\\..\\", "&", "&s=2", "=", "+", " ", "@evil", "//evil/", "http://evil/", "{p}", "{q}", "é", "☃", "\u2028", "\u202e", "'", "\"", "<x>", "a,b", "[a]", "*", "~", "%", "%zz", "%00", "|", "^", "`",
		strings.Repeat("a", 10_000),
	}
	for _, style := range []string{"simple", "label", "matrix"} {
		var got *http.Request
		var form url.Values
		a := newAPI(t, func(_ http.ResponseWriter, r *http.Request) {
			got = r
			_ = r.ParseForm() // what cannot be read is seen below
			form = r.PostForm
		})
		e := openSource(t, strings.ReplaceAll(doc, "STYLE", style), "url: "+a.URL)
		prefix := map[string]string{"simple": "", "label": ".", "matrix": ";q="}[style]
		for _, v := range values {
			quoted := jsonText(v)
			for field, args := range map[string]string{
				"p": `{"p":` + quoted + `,"q":["q"]}`,
				"q": `{"p":"p","q":[` + quoted + `]}`,
				"s": `{"p":"p","q":["q"],"s":` + quoted + `}`,
				"o": `{"p":"p","q":["q"],"o":{` + quoted + `:` + quoted + `}}`,
				"r": `{"p":"p","q":["q"],"r":` + quoted + `}`,
				"h": `{"p":"p","q":["q"],"X-H":` + quoted + `}`,
				"c": `{"p":"p","q":["q"],"c":` + quoted + `}`,
				"f": `{"p":"p","q":["q"],"f":` + quoted + `}`,
			} {
				got, form = nil, nil
				res := e.run("call", args)
				if got == nil { // nothing was sent: then the caller was told
					if !strings.Contains(res, `"isError":true`) && !strings.Contains(res, "egress") && !strings.HasPrefix(res, "error: ") {
						t.Errorf("%s %s=%.40q: nothing was sent, and nothing said: %s", style, field, v, res)
					}
					continue
				}
				if n := len(a.requests()); n != 1 {
					t.Errorf("%s %s=%.40q: %d requests", style, field, v, n)
				}
				segments := strings.Split(strings.TrimPrefix(got.URL.EscapedPath(), "/"), "/")
				if len(segments) != 4 || segments[0] != "v1" || segments[2] != "x" {
					t.Errorf("%s %s=%.40q leads to %s", style, field, v, got.RequestURI)
					continue
				}
				p, _ := url.PathUnescape(segments[1])
				q, _ := url.PathUnescape(segments[3])
				query := got.URL.Query()
				want := map[string]string{"p": "p", "q": "q"}
				if field == "p" || field == "q" {
					want[field] = v
				}
				if p != want["p"] || strings.TrimPrefix(q, prefix) != want["q"] {
					t.Errorf("%s %s=%.40q: path values %q and %q", style, field, v, p, q)
				}
				names := []string{}
				for n := range query {
					names = append(names, n)
				}
				switch field {
				case "s":
					if !slices.Equal(names, []string{"s"}) || query.Get("s") != v {
						t.Errorf("%s s=%.40q: query %q", style, v, got.URL.RawQuery)
					}
				case "o":
					if !slices.Equal(names, []string{"o[" + v + "]"}) || query.Get("o["+v+"]") != v {
						t.Errorf("%s o=%.40q: query %q", style, v, got.URL.RawQuery)
					}
				case "r":
					if raw := got.URL.RawQuery; !strings.HasPrefix(raw, "r=") || strings.Contains(raw, "&") { // reserved characters are wanted here
						t.Errorf("%s r=%.40q: query %q", style, v, got.URL.RawQuery)
					}
				default:
					if len(names) != 0 {
						t.Errorf("%s %s=%.40q: query %q", style, field, v, got.URL.RawQuery)
					}
				}
				if field == "f" && form.Get("f") != v || len(form) > 1 {
					t.Errorf("f=%.40q: form %v", v, form)
				}
				if field == "h" && got.Header.Get("X-H") != strings.Trim(v, " \t") || got.Header.Get("X-Evil") != "" {
					t.Errorf("X-H=%.40q: header %q", v, got.Header)
				}
				if cookies := got.Cookies(); field == "c" && len(cookies) > 1 || field != "c" && len(cookies) > 0 {
					t.Errorf("c=%.40q: cookies %v", v, cookies)
				}
			}
		}
	}
}

// jsonText is s as a JSON string.
func jsonText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < 0x20 || r == '"' || r == '\\' || r == 0x7f {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
