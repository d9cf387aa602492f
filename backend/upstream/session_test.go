package upstream

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/test/evil"
	"gatehouse/wire"
)

// TestURLElicitation: the error by which a server of 2025-11-25 wants a page opened becomes a question for a modern caller, whose
// retry is the call made again; a legacy caller gets the error as it is.
func TestURLElicitation(t *testing.T) {
	const failure = `{"code":-32042,"message":"open it","data":{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://example.org/x","message":"sign in"}]}}`
	srv := serve(t, on("legacy", func(r *evil.Request) {
		if r.Times()%2 == 1 {
			r.JSON(`{"jsonrpc":"2.0","id":` + r.ID + `,"error":` + failure + `}`)
			return
		}
		evil.Answer("legacy", r)
	}))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	c := call("a", "t", `{"whose":"a"}`)
	c.Client.Capabilities = everything
	got := h.do(c)
	o, _ := wire.ParseObject([]byte(got))
	if want := `{"url1":{"method":"elicitation/create","params":{"mode":"url","url":"https://example.org/x","message":"sign in"}}}`; string(o.Get("inputRequests")) != want {
		t.Errorf("modern caller: %s, want the question %s", got, want)
	}
	if next := answered(c, got); next == nil || h.do(next) != asGood {
		t.Errorf("modern caller: no result after the answer")
	}
	if got := h.do(legacy(call("a", "t", ""), everything, answerAll)); got != "-32042 open it" {
		t.Errorf("legacy caller: %s", got)
	}
	h.do(call("a", "t", ""))
	if got, want := h.do(call("a", "t", "")), `-32021 this call needs the client capability {"elicitation":{"url":{}}}`; got != want {
		t.Errorf("modern caller without URL mode: %s, want %s", got, want)
	}
}

// TestHeadersAreMirrored: the arguments that a tool marks go into headers too, and when the upstream says that they do not fit, its
// list is read again and the call made once more.
func TestHeadersAreMirrored(t *testing.T) {
	tool := func(header string) string {
		return `{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"` + header + `"}}}}`
	}
	b := evil.Good("modern")
	header := "Region"
	b.On = map[string]func(*evil.Request){
		"tools/list": func(r *evil.Request) {
			r.Result(`{"tools":[` + tool(map[bool]string{true: "Region", false: "Area"}[r.Times() == 1]) + `]}`)
		},
		"tools/call": func(r *evil.Request) {
			if r.Header.Get("Mcp-Param-"+header) == "" {
				r.Status(400, "Content-Type: application/json\r\n", `{"jsonrpc":"2.0","id":`+r.ID+`,"error":{"code":-32020,"message":"header mismatch"}}`)
				return
			}
			evil.Answer("modern", r)
		},
	}
	srv := serve(t, b)
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	const args, want = `{"region":"Z\u00fcrich "}`, `{"content":[],"structuredContent":{"region":"Z\u00fcrich "},"resultType":"complete"}`
	if got := h.do(call("a", "t", args)); got != want {
		t.Fatalf("call = %s", got)
	}
	if got, want := srv.Seen("tools/call")[0].Header.Get("Mcp-Param-Region"), "=?base64?WsO8cmljaCA=?="; got != want {
		t.Errorf("Mcp-Param-Region = %q, want %q", got, want)
	}
	header = "Area"
	if got := h.do(call("a", "t", args)); got != want {
		t.Errorf("call after the change = %s", got)
	}
	if n := len(srv.Seen("tools/call")); n != 3 {
		t.Errorf("%d calls came in, want one, and one made twice", n)
	}
	header = "Nothing"
	if got := h.do(call("a", "t", args)); got != "-32020 header mismatch" {
		t.Errorf("call that never fits = %s", got)
	}
}

// TestLogLevels: a legacy upstream is told the least level that the session's callers want, and each hears what it wants.
func TestLogLevels(t *testing.T) {
	srv := serve(t, on("legacy", func(r *evil.Request) {
		r.Stream()
		for _, level := range levels {
			r.Event(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"` + level + `","data":1}}`)
		}
		r.Event(r.Response(`{"content":[]}`))
	}))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	for _, c := range []struct {
		level string
		told  int
	}{{"error", 4}, {"debug", 8}, {"emergency", 1}, {"", 0}, {"nonsense", 0}} {
		x := call("a", "t", "")
		x.LogLevel = c.level
		if got := h.do(x); got != `{"content":[]}` {
			t.Errorf("call = %s", got)
		}
		if got := len(x.Peer.(*peer).told()); got != c.told && c.level != "nonsense" {
			t.Errorf("level %q: told %d messages, want %d", c.level, got, c.told)
		}
	}
	x := legacy(call("a", "t", ""), gatehouse.Capabilities{}, nil)
	h.do(x)
	if got := len(x.Peer.(*peer).told()); got != len(levels) {
		t.Errorf("a legacy caller that set no level: told %d messages, want all", got)
	}
	var said []string
	for _, s := range srv.Seen("logging/setLevel") {
		o, _ := wire.ParseObject([]byte(s.Body))
		said = append(said, string(o.Get("params")))
	}
	if want := []string{`{"level":"error"}`, `{"level":"debug"}`}; !slices.Equal(said[:min(2, len(said))], want) {
		t.Errorf("the upstream was told %q, want %q", said, want)
	}
}

// TestStreamsAreTakenUpAgain: a legacy server may let go of the stream of a call and be asked for the rest.
func TestStreamsAreTakenUpAgain(t *testing.T) {
	var answer string
	b := on("legacy", func(r *evil.Request) {
		answer = r.Response(`{"content":[],"late":true}`)
		r.Stream()
		r.Write("id: s1-1\nretry: 10\ndata:\n\n")
	})
	b.On["GET"] = func(r *evil.Request) {
		switch r.Header.Get("Last-Event-Id") {
		case "":
			r.Status(405, "", "")
		case "s1-1":
			r.Stream()
			r.Write("id: s1-2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"error\",\"data\":1}}\n\n")
		case "s1-2":
			r.Stream()
			r.Write("id: s1-3\ndata: " + answer + "\n\n")
		}
	}
	srv := serve(t, b)
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	c := legacy(call("a", "t", ""), gatehouse.Capabilities{}, nil)
	if got := h.do(c); got != `{"content":[],"late":true}` {
		t.Errorf("call = %s", got)
	}
	if got := c.Peer.(*peer).told(); len(got) != 1 {
		t.Errorf("told %q, want one message", got)
	}
	if n := len(srv.Seen("tools/call")); n != 1 {
		t.Errorf("the call was made %d times", n)
	}
}

// TestRootsChanged: the caller's own legacy sessions hear of it, others do not.
func TestRootsChanged(t *testing.T) {
	srv := serve(t, evil.Good("legacy"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	for _, who := range []string{"a", "b"} {
		h.do(legacy(call(who, "t", ""), everything, answerAll))
	}
	h.RootsChanged(t.Context(), "s", &gatehouse.Principal{ID: "key:a"})
	if n := len(srv.Await("notifications/roots/list_changed", 1, waitMost)); n != 1 {
		t.Errorf("it came in %d times, want once", n)
	}
}

// TestSessionsAreBounded: the longest unused session makes room; when all are in use, the caller is told.
func TestSessionsAreBounded(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, on("legacy", func(r *evil.Request) {
		if r.Params["arguments"] != nil {
			<-release
		}
		evil.Answer("legacy", r)
	}))
	b := calm
	b.sessions = 3 // one is for lists
	h := newHouse(t, b, limits(), config.Source{MCP: srv.URL})
	for i := range 6 {
		if got := h.do(call(fmt.Sprint(i), "t", "")); got != done {
			t.Errorf("call of %d = %s", i, got)
		}
	}
	eventually(t, "three make room", func() bool { return len(srv.Seen("DELETE")) >= 3 })
	got := make(chan string)
	for i := range 3 {
		go func() { got <- h.do(call(fmt.Sprint("busy-", i), "t", `{"whose":"a"}`)) }()
	}
	refused := <-got
	if want := "source.busy: source 1 of server s has as many sessions as it may"; refused != want {
		t.Errorf("one of three = %s, want %s", refused, want)
	}
	close(release)
	for range 2 {
		if s := <-got; s != asGood {
			t.Errorf("call = %s", s)
		}
	}
}

// TestIdleSessionsEnd: an unused session is ended with a farewell; one with a call that waits for a person is not unused.
func TestIdleSessionsEnd(t *testing.T) {
	srv := serve(t, asks("legacy", "elicitation/create"))
	b := calm
	b.idle = 50 * time.Millisecond
	h := newHouse(t, b, limits(), config.Source{MCP: srv.URL})
	c := call("a", "t", "")
	c.Client.Capabilities = everything
	next := answered(c, h.do(c))
	if next == nil {
		t.Fatal("no question")
	}
	if got := h.do(legacy(call("b", "t", ""), everything, answerAll)); !strings.Contains(got, "answer") {
		t.Errorf("call of another = %s", got)
	}
	eventually(t, "the other's session ends", func() bool { return len(h.source("1").pool.of("key:b")) == 0 })
	if got := h.do(next); !strings.Contains(got, "answer") {
		t.Errorf("call that waited for a person = %s", got)
	}
}

// TestWhoseSession: each caller has its own, unless the source says that all share one.
func TestWhoseSession(t *testing.T) {
	for sessions, want := range map[string]int{"": 3, "principal": 3, "shared": 1} {
		srv := serve(t, evil.Good("legacy"))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Sessions: sessions})
		for _, who := range []string{"a", "b", "a"} {
			h.do(call(who, "t", ""))
		}
		if n := len(srv.Seen("initialize")); n != want {
			t.Errorf("sessions %q: %d were opened, want %d", sessions, n, want)
		}
		h.close()
	}
}

// TestCloseWaits: calls in flight end on what they began with; later ones are told.
func TestCloseWaits(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, on("modern", func(r *evil.Request) {
		<-release
		evil.Answer("modern", r)
	}))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	got, closed := make(chan string), make(chan error)
	go func() { got <- h.do(call("a", "t", `{"whose":"a"}`)) }()
	srv.Await("tools/call", 1, waitMost)
	go func() { closed <- h.source("1").Close(context.Background()) }()
	eventually(t, "it closes", func() bool { return h.source("1").Status().State == "closed" })
	if got, want := h.do(call("b", "t", "")), "source.unavailable: source 1 of server s is closed"; got != want {
		t.Errorf("later call = %s, want %s", got, want)
	}
	close(release)
	if s := <-got; s != asGood {
		t.Errorf("call in flight = %s", s)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
