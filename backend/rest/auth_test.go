package rest

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const oauthDoc = `openapi: 3.0.3
info: {title: t, version: "1"}
security: [{oauth: [read]}]
paths:
  /a:
    get: {operationId: get, responses: {'200': {description: ok}}}
    post: {operationId: post, security: [{oauth: [write, read]}], responses: {'200': {description: ok}}}
components:
  securitySchemes:
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: 'TOKENS/token', scopes: {read: r, write: w}}}}
`

// tokenServer gives tokens numbered from 1 and says what it was asked.
func tokenServer(t *testing.T, answer func(n int32, r *http.Request) (int, string)) (srv *httptest.Server, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if err := r.ParseForm(); err != nil || r.PostForm.Get("grant_type") != "client_credentials" || r.Method != "POST" {
			t.Errorf("token request: %v, %v", err, r.PostForm)
		}
		status, body := answer(n, r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv, asked
}

func oauthSource(t *testing.T, tokens, apiURL, more string) *env {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3 cret")
	return openSource(t, strings.ReplaceAll(oauthDoc, "TOKENS", tokens), "url: "+apiURL+"\nauth: {oauth: {clientID: me, clientSecret: '${env:GATEHOUSE_TEST_SECRET}'"+more+"}}\n")
}

func TestClientCredentials(t *testing.T) {
	srv, asked := tokenServer(t, func(n int32, r *http.Request) (int, string) {
		if id, secret, ok := r.BasicAuth(); !ok || id != "me" || secret != "s3+cret" {
			t.Errorf("client %q %q", id, secret)
		}
		return 200, fmt.Sprintf(`{"access_token":"t%d-%s","token_type":"Bearer","expires_in":3600}`, n, strings.ReplaceAll(r.PostForm.Get("scope"), " ", "+"))
	})
	valid := ""
	a := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if valid != "" && r.Header.Get("Authorization") != valid {
			w.WriteHeader(401)
		}
	})
	e := oauthSource(t, srv.URL, a.URL, ", tokenURL: '"+srv.URL+"/token'")
	step := func(tool, want string, n int32) {
		t.Helper()
		e.run(tool, "{}")
		if got := strings.Join(a.requests(), ""); got != want {
			t.Errorf("requests:\n%swant:\n%s", got, want)
		}
		if got := asked.Load(); got != n {
			t.Errorf("%d tokens asked for, want %d", got, n)
		}
	}
	step("get", "GET /a\nAuthorization: Bearer t1-read\n", 1)
	step("get", "GET /a\nAuthorization: Bearer t1-read\n", 1)
	step("post", "POST /a\nAuthorization: Bearer t2-write+read\n", 2)
	valid = "Bearer t3-read" // a refused token is renewed once
	step("get", "GET /a\nAuthorization: Bearer t1-read\nGET /a\nAuthorization: Bearer t3-read\n", 3)
	valid = "Bearer never"
	step("get", "GET /a\nAuthorization: Bearer t3-read\nGET /a\nAuthorization: Bearer t4-read\n", 4)
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	srv, asked := tokenServer(t, func(n int32, _ *http.Request) (int, string) {
		if n == 2 {
			return 503, ""
		}
		return 200, fmt.Sprintf(`{"access_token":"t%d","expires_in":"100"}`, n)
	})
	a := newAPI(t, nil)
	e := oauthSource(t, srv.URL, a.URL, ", scopes: [], tokenURL: '"+srv.URL+"/token'")
	later := func(d time.Duration) {
		c := e.creds["oauth"]
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range c.m { // as if the time had passed
			k.mu.Lock()
			k.ends = k.ends.Add(-d)
			k.mu.Unlock()
		}
	}
	for _, c := range []struct {
		after time.Duration
		token string
		asked int32
	}{{0, "t1", 1}, {70 * time.Second, "t1", 1}, {15 * time.Second, "t1", 2}, {0, "t3", 3}} {
		later(c.after)
		e.run("get", "{}")
		if got := strings.Join(a.requests(), ""); got != "GET /a\nAuthorization: Bearer "+c.token+"\n" || asked.Load() != c.asked {
			t.Errorf("after %v: %sand %d asked for, want %s and %d", c.after, got, asked.Load(), c.token, c.asked)
		}
	}
}

func TestSecretInTheBody(t *testing.T) {
	srv, asked := tokenServer(t, func(_ int32, r *http.Request) (int, string) {
		if _, _, basic := r.BasicAuth(); basic {
			return 401, `{"error":"invalid_client"}`
		}
		if r.PostForm.Get("client_id") != "me" || r.PostForm.Get("client_secret") != "s3 cret" {
			t.Errorf("form %v", r.PostForm)
		}
		return 200, `{"access_token":"t"}`
	})
	a := newAPI(t, nil)
	e := oauthSource(t, srv.URL, a.URL, ", tokenURL: '"+srv.URL+"/token'")
	e.run("get", "{}")
	e.run("post", "{}")
	if got := strings.Join(a.requests(), ""); got != "GET /a\nAuthorization: Bearer t\nPOST /a\nAuthorization: Bearer t\n" || asked.Load() != 3 {
		t.Errorf("%s and %d asked for", got, asked.Load())
	}
}

func TestBadTokenEndpoints(t *testing.T) {
	for body, want := range map[string]string{
		`200 {"access_token":"a b"}`:                  "gave no bearer token",
		`200 {"access_token":"a","token_type":"mac"}`: "gave no bearer token",
		`200 nothing`:                      "gave no bearer token",
		`200 {"access_token":"a\r\nX: y"}`: "gave no bearer token",
		`400 {"error":"invalid_scope","error_description":"leak"}`: "answered with HTTP status 400 invalid_scope",
		`500 {"error":"<b>x</b>"}`:                                 "answered with HTTP status 500 bxb",
		`302 {}`:                                                   "answered with HTTP status 302",
	} {
		srv, _ := tokenServer(t, func(int32, *http.Request) (int, string) {
			var status int
			text := body
			if _, err := fmt.Sscan(body, &status); err == nil {
				text = body[4:]
			}
			return status, text
		})
		a := newAPI(t, nil)
		e := oauthSource(t, srv.URL, a.URL, ", tokenURL: '"+srv.URL+"/token'")
		got := e.run("get", "{}")
		if !strings.Contains(got, "source 1 of server s got no token for auth.oauth: the token endpoint "+want) || strings.Contains(got, "leak") || strings.Contains(got, "s3 cret") {
			t.Errorf("%s: %s", body, got)
		}
		if len(a.requests()) > 0 {
			t.Errorf("%s: the API was called without a token", body)
		}
	}
}

// TestCredentialsStayAtHome: a credential goes to the API's own origin and to those listed, whatever a document says.
func TestCredentialsStayAtHome(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret")
	home, other := newAPI(t, nil), newAPI(t, nil)
	doc := strings.NewReplacer("HOME", home.URL, "OTHER", other.URL).Replace(`openapi: 3.0.3
info: {title: t, version: "1"}
servers: [{url: HOME}]
security: [{key: []}]
paths:
  /home: {get: {operationId: home, responses: {'200': {description: ok}}}}
  /other: {get: {operationId: other, servers: [{url: OTHER}], responses: {'200': {description: ok}}}}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}
`)
	const key = "auth: {key: {key: '${env:GATEHOUSE_TEST_SECRET}'"
	allow := func(e *env) { // what egress.allow would do: the address is open, the credential is not
		g, err := guard(e.env.Egress, home.URL, other.URL)
		if err != nil {
			t.Fatal(err)
		}
		e.guard = g
	}
	for _, c := range []struct {
		settings   string
		home, away bool // the credential is sent
	}{
		{"url: " + home.URL + "\n" + key + "}}", true, false},
		{key + "}}", true, false},
		{"url: " + home.URL + "\n" + key + ", origins: ['" + other.URL + "']}}", true, true},
	} {
		e := openSource(t, doc, c.settings)
		allow(e)
		e.run("home", "{}")
		e.run("other", "{}")
		if got := strings.Contains(strings.Join(home.requests(), ""), "X-Key: s3cret"); got != c.home {
			t.Errorf("%s: at home %v", c.settings, got)
		}
		if got := strings.Contains(strings.Join(other.requests(), ""), "X-Key: s3cret"); got != c.away {
			t.Errorf("%s: away %v", c.settings, got)
		}
	}
}

func TestTokenURLOfARemoteDocumentIsNotBelieved(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret")
	srv, asked := tokenServer(t, func(int32, *http.Request) (int, string) { return 200, `{"access_token":"t"}` })
	a := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.ReplaceAll(oauthDoc, "TOKENS", srv.URL))
	})
	e := &env{log: &strings.Builder{}}
	e.open(t, load(t, t.TempDir(), "      - {openapi: "+a.URL+"/openapi.yaml, url: "+a.URL+", auth: {oauth: {clientID: me, clientSecret: '${env:GATEHOUSE_TEST_SECRET}'}}}\n"))
	a.requests()
	e.run("get", "{}")
	if asked.Load() != 0 || strings.Contains(strings.Join(a.requests(), ""), base64.StdEncoding.EncodeToString([]byte("me:"))) {
		t.Error("the secret went where a remote document says")
	}
	if !strings.Contains(e.logged(), "confirm it with tokenURL") {
		t.Errorf("log: %s", e.logged())
	}
}
