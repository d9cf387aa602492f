package upstream

import (
	"context"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/test/evil"
)

// hostile is a row of a table: the exact answer to a call of the tool t of a server that behaves like that.
type hostile struct {
	want  string                 // without the name of the source and places in bytes
	short bool                   // the call takes as long as the bounds let it, so they are small
	caps  gatehouse.Capabilities // of the caller
	calls int                    // of the tool that reach the server at most; 0 is 1
	told  string                 // what the caller is told meanwhile; "…" for whatever it is
	check func(t *testing.T, srv *evil.Server)
}

var places = regexp.MustCompile(`source evil_ of server s | \(at byte \d+\)`)

// TestHostileHTTP: whatever a server does, its call gets the answer of the table, a neighbour of the same published server
// works all the while, nobody hears what is not theirs, and nothing is left behind.
func TestHostileHTTP(t *testing.T) {
	good := serve(t, evil.Good("modern"))
	behaviours := evil.Behaviours()
	if len(behaviours) != len(overHTTP) {
		t.Errorf("%d behaviours, %d rows", len(behaviours), len(overHTTP))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	settled := func() {
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
	}
	run := func(b evil.Behaviour) {
		row, ok := overHTTP[b.Name]
		if !ok {
			t.Errorf("no row for %q", b.Name)
		}
		t.Run(b.Name, func(t *testing.T) {
			srv, err := evil.Serve(b)
			if err != nil {
				t.Fatal(err)
			}
			defer srv.Close()
			drive(t, row, config.Source{MCP: srv.URL}, good.URL)
			most("tools/call", max(row.calls, 1))(t, srv)
			if row.check != nil {
				row.check(t, srv)
			}
		})
	}
	var waits sync.WaitGroup
	for _, b := range behaviours {
		if overHTTP[b.Name].short {
			waits.Go(func() { run(b) })
		}
	}
	waits.Wait()
	settled()
	for _, b := range behaviours {
		if !overHTTP[b.Name].short {
			run(b)
			settled()
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("memory has grown by %d bytes", grown)
	}
}

// drive calls the tool of one hostile source as "a", and its neighbour as "b".
func drive(t *testing.T, row hostile, src config.Source, good string) {
	src.Prefix = "evil_"
	b := calm
	if row.short {
		b, src.Timeout = small, 300*time.Millisecond
	}
	lim := limits()
	if row.short {
		lim.CallTimeout = 2 * time.Second
	}
	h := newHouse(t, b, lim, src, config.Source{MCP: good, Prefix: "good_"})
	defer h.close()
	ctx, cancel := context.WithTimeout(t.Context(), waitMost)
	defer cancel()
	neighbour := make(chan string, 1)
	others := call("b", "good_t", `{"whose":"b"}`)
	others.ProgressToken, others.LogLevel = []byte(`"b"`), "debug"
	go func() {
		for range 3 {
			if got := outcome(h.Call(ctx, others)); got != `{"content":[],"structuredContent":{"whose":"b"},"resultType":"complete"}` {
				neighbour <- got
				return
			}
		}
		neighbour <- ""
	}()
	c := call("a", "evil_t", `{"whose":"a"}`)
	c.ProgressToken, c.LogLevel, c.Client.Capabilities = []byte(`"a"`), "debug", row.caps
	got := places.ReplaceAllString(outcome(h.Call(ctx, c)), "")
	if got != row.want && row.want != "…" {
		t.Errorf("the call = %.400s\nwant %.400s", got, row.want)
	}
	if got := <-neighbour; got != "" {
		t.Errorf("the neighbour's call = %s", got)
	}
	if told := others.Peer.(*peer).told(); len(told) > 0 {
		t.Errorf("the neighbour's caller was told %q", told[0])
	}
	told := c.Peer.(*peer).told()
	if len(told) > maxNotes {
		t.Errorf("the caller was told %d things", len(told))
	}
	if s := strings.Join(told, "\n"); row.told != "…" && s != row.told {
		t.Errorf("the caller was told %.400q\nwant %.400q", s, row.told)
	}
	list := call("a", "", "")
	list.Method = "tools/list"
	if got := h.do(list); strings.Contains(got, "bad") || !strings.Contains(got, `"good_t"`) {
		t.Errorf("the list = %.400s, want good_t and nothing that is bad", got)
	}
}

// TestHostileChild is TestHostileHTTP for children on standard input and output; no process is left behind either.
func TestHostileChild(t *testing.T) {
	good := serve(t, evil.Good("modern"))
	names := evil.Children()
	if len(names) != len(overPipes) {
		t.Errorf("%d children, %d rows", len(names), len(overPipes))
	}
	goroutines := runtime.NumGoroutine()
	run := func(name string) {
		row, ok := overPipes[name]
		if !ok {
			t.Errorf("no row for child %q", name)
		}
		t.Run(name, func(t *testing.T) { drive(t, row, childSource(name), good.URL) })
	}
	var waits sync.WaitGroup
	for _, name := range names {
		if overPipes[name].short {
			waits.Go(func() { run(name) })
		}
	}
	waits.Wait()
	for _, name := range names {
		if !overPipes[name].short {
			run(name)
		}
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
	if left := descendants(t); len(left) > 0 {
		t.Errorf("processes are left: %q", left)
	}
}
