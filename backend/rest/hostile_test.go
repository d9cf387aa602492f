package rest

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeadersStayAtHome: headers of the configuration may hold keys, so they go where credentials go.
func TestHeadersStayAtHome(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret")
	home, other := newAPI(t, nil), newAPI(t, nil)
	e := openSource(t, `openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /home: {get: {operationId: home, responses: {'200': {description: ok}}}}
  /other: {get: {operationId: other, servers: [{url: '`+other.URL+`'}], responses: {'200': {description: ok}}}}
`, "url: "+home.URL+"\nheaders: {X-Key: '${env:GATEHOUSE_TEST_SECRET}'}")
	g, err := guard(e.env.Egress, home.URL, other.URL)
	if err != nil {
		t.Fatal(err)
	}
	e.guard = g
	e.run("home", "{}")
	e.run("other", "{}")
	if got := strings.Join(home.requests(), ""); got != "GET /home\nX-Key: s3cret\n" {
		t.Errorf("at home: %s", got)
	}
	if got := strings.Join(other.requests(), ""); got != "GET /other\n" {
		t.Errorf("away: %s", got)
	}
}

// TestCredentialsDoNotComeBack: what an API repeats of a credential does not reach the caller (T-CANARY).
func TestCredentialsDoNotComeBack(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3/cret+canary")
	doc := plainDoc("{type: object}")
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://api.example.org"+r.URL.RequestURI())
			w.WriteHeader(302)
		}},
		{"location", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.RequestURI())
			w.WriteHeader(201)
		}},
		{"next page", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+r.URL.RequestURI()+"&page=2>; rel=next")
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"a":1}`))
		}},
		{"body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"url":"` + r.URL.RequestURI() + `","key":"` + r.URL.Query().Get("k") + `","escaped":"s3\/cret+canary"}`))
		}},
		{"failure", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no such key: "+r.URL.Query().Get("k"), 403)
		}},
	} {
		a := newAPI(t, c.answer)
		e := openSource(t, doc, "url: "+a.URL+"\nauth: {k: {key: '${env:GATEHOUSE_TEST_SECRET}', in: query, name: k}}")
		got := e.run("get", "{}")
		if sent := strings.Join(a.requests(), ""); !strings.Contains(sent, "k=s3%2Fcret%2Bcanary") {
			t.Fatalf("%s: sent %s", c.name, sent)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// TestCallersDoNotAddToCredentials: a parameter named like the key is not sent beside it.
func TestCallersDoNotAddToCredentials(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_SECRET", "s3cret-key")
	for place, want := range map[string]string{
		"query":  "GET /a?b=1&k=s3cret-key\n",
		"cookie": "GET /a?b=1\nCookie: k=s3cret-key\n",
	} {
		a := newAPI(t, nil)
		e := openSource(t, `openapi: 3.0.3
info: {title: t, version: "1"}
paths:
  /a: {get: {operationId: get, parameters: [{name: k, in: `+place+`, schema: {type: string}}, {name: b, in: query, schema: {type: string}}], responses: {'200': {description: ok}}}}
`, "url: "+a.URL+"\nauth: {key: {key: '${env:GATEHOUSE_TEST_SECRET}', in: "+place+", name: k}}")
		e.run("get", `{"k":"mine","b":"1"}`)
		if got := strings.Join(a.requests(), ""); got != want {
			t.Errorf("%s: %s", place, got)
		}
	}
}
