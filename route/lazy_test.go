package route

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/backend"
)

// lazy is a catalogue of n tools whose definitions have size bytes and are made when wanted; made counts them.
func lazy(n, size int, made *int) *backend.Catalog {
	c := &backend.Catalog{Version: 1, Tools: make([]gatehouse.Tool, n)}
	for i := range c.Tools {
		name := fmt.Sprintf("tool%05d", i)
		c.Tools[i] = gatehouse.Tool{Name: name, Define: func() []byte {
			*made++
			def := `{"name":"` + name + `","description":""}`
			return []byte(def[:len(def)-2] + strings.Repeat("x", max(size-len(def), 0)) + `"}`)
		}}
	}
	return c
}

func TestDefinitionsAreMadeForAPageAndKept(t *testing.T) {
	made := 0
	s := server(t, 20, map[string]*backend.Catalog{"p_": lazy(10_000, 100, &made)}, "p_")
	v := s.View(t.Context(), gatehouse.Capabilities{})
	if _, err := v.Tool("p_tool09999"); err != nil || made != 0 {
		t.Fatalf("finding a tool: error %v, %d definitions made", err, made)
	}
	for range 2 {
		raw, err := v.List("tools/list", gatehouse.Revision20251125, "all", nil, all)
		if err != nil {
			t.Fatal(err)
		}
		if names := between(string(raw), `"name":"`, `"`); len(names) != 20 || names[19] != "p_tool00019" {
			t.Errorf("names on the first page: %v", names)
		}
		if made != 20 {
			t.Errorf("%d definitions made for a page of 20", made)
		}
	}
}

func TestPageEndsByItsBytes(t *testing.T) {
	made := 0
	s := server(t, 500, map[string]*backend.Catalog{"1": lazy(100, pageBytes/10, &made)}, "")
	v := s.View(t.Context(), gatehouse.Capabilities{})
	seen := map[string]bool{}
	var cursor *string
	for range 20 {
		raw, err := v.List("tools/list", gatehouse.Revision20251125, "all", cursor, all)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > pageBytes+1000 {
			t.Errorf("a page of %d bytes", len(raw))
		}
		for _, n := range between(string(raw), `"name":"`, `"`) {
			seen[n] = true
		}
		next := between(string(raw), `"nextCursor":"`, `"`)
		if len(next) == 0 {
			cursor = nil
			break
		}
		cursor = &next[0]
	}
	if len(seen) != 100 || cursor != nil {
		t.Errorf("%d of 100 tools on the pages", len(seen))
	}
}

func TestPagesKeptAreBoundedByBytes(t *testing.T) {
	var p pages
	for i := range 100 {
		p.put(pageKey{from: i}, make([]byte, 1<<20))
		if held := len(p.m) << 20; p.bytes != held || held > maxPageBytes {
			t.Fatalf("%d pages: %d bytes counted, %d held", i+1, p.bytes, held)
		}
	}
	if p.get(pageKey{from: 99}) == nil {
		t.Error("the latest page is not kept")
	}
}

func TestToolWithoutDefinitionIsLeftOut(t *testing.T) {
	c := tools("a", "b", "c")
	c.Tools[1].Def, c.Tools[1].Define = nil, func() []byte { return nil }
	v := server(t, 10, map[string]*backend.Catalog{"1": c}, "").View(t.Context(), gatehouse.Capabilities{})
	raw, err := v.List("tools/list", gatehouse.Revision20251125, "all", nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(between(string(raw), `"name":"`, `"`), " "); got != "a c" {
		t.Errorf("listed %q, want a c", got)
	}
}

func TestClassesOfOneCatalogueShareAView(t *testing.T) {
	s := server(t, 10, map[string]*backend.Catalog{"1": tools("a")}, "")
	if s.View(t.Context(), gatehouse.Capabilities{}) != s.View(t.Context(), gatehouse.Capabilities{Roots: true}) {
		t.Error("two views of one catalogue")
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			made := 0
			s := server(b, 500, map[string]*backend.Catalog{"p_": lazy(n, 100, &made)}, "p_")
			b.ReportAllocs()
			for b.Loop() {
				v := s.View(b.Context(), gatehouse.Capabilities{})
				if _, err := v.Tool("p_tool00009"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkListPage(b *testing.B) {
	made := 0
	s := server(b, 500, map[string]*backend.Catalog{"1": lazy(10_000, 1000, &made)}, "")
	b.ReportAllocs()
	for b.Loop() {
		v := s.View(b.Context(), gatehouse.Capabilities{})
		if _, err := v.List("tools/list", gatehouse.Revision20251125, "all", nil, all); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkViewOf22000(b *testing.B) {
	made := 0
	s := server(b, 500, map[string]*backend.Catalog{"p_": lazy(22_361, 100, &made)}, "p_")
	cats := s.View(b.Context(), gatehouse.Capabilities{}).cats
	b.ReportAllocs()
	for b.Loop() {
		newView(s, cats)
	}
}
