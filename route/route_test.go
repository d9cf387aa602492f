package route

import (
	"context"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/internal/seal"
)

type fixed struct {
	backend.Source
	cat *backend.Catalog
}

func (f *fixed) Status() backend.Status { return backend.Status{Err: f.cat.Err} }

func (f *fixed) Catalog(context.Context, gatehouse.Capabilities) *backend.Catalog { return f.cat }

func server(t testing.TB, pageSize int, cats map[string]*backend.Catalog, prefixes ...string) *Server {
	t.Helper()
	box, err := seal.New(make([]byte, 32), "cursor")
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Limits: config.Limits{PageSize: pageSize}, Servers: map[string]*config.Server{"s": {Name: "s"}}}
	for i, p := range prefixes {
		cfg.Servers["s"].Sources = append(cfg.Servers["s"].Sources, config.Source{Prefix: p, Pos: gatehouse.Pos{File: "g.yaml", Line: i + 1, Col: 1}})
	}
	tab, err := Open(cfg, nil, box, func(_ *config.Server, src config.Source, label string) (backend.Source, error) {
		return &fixed{cat: cats[label]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tab.Servers["s"]
}

func tools(names ...string) *backend.Catalog {
	c := &backend.Catalog{Version: 1}
	for _, n := range names {
		c.Tools = append(c.Tools, gatehouse.Tool{Name: n, Def: []byte(`{"name":"` + n + `","icons":[],"title":"T","outputSchema":{"type":"array"}}`)})
	}
	return c
}

func all(*Entry) bool { return true }

func TestPages(t *testing.T) {
	s := server(t, 2, map[string]*backend.Catalog{"1": tools("a", "b", "c", "d", "e")}, "")
	v := s.View(t.Context(), gatehouse.Capabilities{})
	var cursor *string
	var got []string
	for range 10 {
		raw, err := v.List("tools/list", gatehouse.Revision20260728, "all", cursor, all)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join(between(string(raw), `"name":"`, `"`), ""))
		next := between(string(raw), `"nextCursor":"`, `"`)
		if len(next) == 0 {
			break
		}
		cursor = &next[0]
	}
	if want := "abgatehouse cdgatehouse egatehouse"; strings.Join(got, " ") != want {
		t.Errorf("pages = %q, want %q", got, want)
	}
	if _, err := v.List("prompts/list", gatehouse.Revision20260728, "all", cursor, all); err == nil {
		t.Error("a cursor of another list is accepted")
	}
	if _, err := v.List("tools/list", gatehouse.Revision20260728, "other", cursor, all); err == nil {
		t.Error("a cursor of another class of principals is accepted")
	}
	empty := ""
	if _, err := v.List("tools/list", gatehouse.Revision20260728, "all", &empty, all); err == nil {
		t.Error("an empty cursor that was never issued is accepted")
	}
}

func between(s, open, end string) (out []string) {
	for {
		_, rest, ok := strings.Cut(s, open)
		if !ok {
			return out
		}
		var x string
		x, s, _ = strings.Cut(rest, end)
		out = append(out, x)
	}
}

func TestDefinitionByRevision(t *testing.T) {
	def := []byte(`{"name":"a","title":"T","icons":[],"annotations":{},"outputSchema":{"type":"array"},"x":1.10}`)
	for revision, want := range map[string]string{
		gatehouse.Revision20260728: string(def),
		gatehouse.Revision20251125: `{"name":"a","title":"T","icons":[],"annotations":{},"x":1.10}`,
		gatehouse.Revision20250618: `{"name":"a","title":"T","annotations":{},"x":1.10}`,
		gatehouse.Revision20250326: `{"name":"a","annotations":{},"x":1.10}`,
		gatehouse.Revision20241105: `{"name":"a","x":1.10}`,
	} {
		if got := string(definition(revision, "tools", def)); got != want {
			t.Errorf("%s: %s, want %s", revision, got, want)
		}
	}
}

func TestCollisionKeepsTheFirst(t *testing.T) {
	s := server(t, 10, map[string]*backend.Catalog{"1": tools("a"), "2": tools("a", "b")}, "", "")
	v := s.View(t.Context(), gatehouse.Capabilities{})
	if len(v.Tools) != 2 || v.Tools[0].Source.Label != "1" {
		t.Errorf("tools = %+v", v.Tools)
	}
	if len(v.Hidden) != 1 || !strings.Contains(v.Hidden[0].Error(), "g.yaml:2:1: server s: tool \"a\" is offered by this source and by the one at g.yaml:1:1") {
		t.Errorf("hidden = %v", v.Hidden)
	}
}

func TestMatchTemplate(t *testing.T) {
	for _, c := range []struct {
		tmpl, uri string
		want      bool
	}{
		{"test://template/{id}/data", "test://template/123/data", true},
		{"test://template/{id}/data", "test://template//data", false},
		{"test://template/{id}/data", "test://template/123/other", false},
		{"file:///{+path}", "file:///a/b", true},
		{"file:///{+path}", "file:///", false},
		{"x://{a}-{b}", "x://1-2", true},
		{"x://{a}-{b}", "x://12", false},
		{"x://{a}{?q}", "x://1?q=2", true},
		{"x://fixed", "x://fixed", true},
		{"x://{broken", "x://y", false},
	} {
		if got := matchTemplate(c.tmpl, c.uri); got != c.want {
			t.Errorf("matchTemplate(%q, %q) = %v, want %v", c.tmpl, c.uri, got, c.want)
		}
	}
}

func TestURIPrefixIsReversible(t *testing.T) {
	s := &Source{uriPrefix: uriPrefix("Git_Hub_")}
	for uri, want := range map[string]string{"file:///x": "git-hub+file:///x", "ui://app/1": "ui://git-hub+app/1"} {
		pub := s.PublishURI(uri)
		own, ok := s.ownURI(pub)
		if pub != want || !ok || own != uri {
			t.Errorf("%s published as %s (want %s), back as %s", uri, pub, want, own)
		}
	}
}
