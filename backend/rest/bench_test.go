package rest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse"
)

// BenchmarkCall measures a call of an operation with arguments and a JSON answer that is checked, from 1 and from 64 callers.
// The server stands in the same process.
func BenchmarkCall(b *testing.B) {
	const answer = `{"items":[{"id":1,"name":"one"},{"id":2,"name":"two"}],"next_page_token":"x"}`
	a := newAPI(b, nil)
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	e := openSource(b, plainDoc(listSchema), "url: "+a.URL+"\ntools: {get: {select: [items.id, next_page_token]}}")
	for _, n := range []int{1, 64} {
		b.Run(map[int]string{1: "1", 64: "64"}[n], func(b *testing.B) {
			b.ReportAllocs()
			work := make(chan struct{}, n)
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					for range work {
						if got := e.run("get", `{"page":"2"}`); strings.Contains(got, "isError") {
							b.Error(got)
						}
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
		})
	}
}

// BenchmarkPrepare measures what a call costs beside its exchange: judging arguments, making the request, making the result.
func BenchmarkPrepare(b *testing.B) {
	e := openSource(b, plainDoc(listSchema), "url: http://127.0.0.1:1")
	t := e.inForce().tools["get"]
	p, err := t.planned()
	if err != nil {
		b.Fatal(err)
	}
	c := callOf("get", `{"page":"2"}`)
	body := []byte(`{"items":[{"id":1,"name":"one"},{"id":2,"name":"two"}],"next_page_token":"x"}`)
	b.ReportAllocs()
	for b.Loop() {
		r, err := e.request(p, c)
		if err != nil {
			b.Fatal(err)
		}
		e.result(t, p, r, &answer{status: 200, method: "GET", body: body}, "key:test")
	}
}

// BenchmarkCatalog measures what the gateway asks of a source with 10,000 tools for every call.
func BenchmarkCatalog(b *testing.B) {
	e := openSource(b, ops("a"), "url: http://127.0.0.1:1")
	b.ReportAllocs()
	for b.Loop() {
		e.Catalog(b.Context(), gatehouse.Capabilities{})
	}
}
