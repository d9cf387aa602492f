package hostile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/wire"
)

// flow is one answer that is read event by event.
type flow struct {
	res    *http.Response
	events *wire.EventReader
	drop   context.CancelFunc // closes the connection
}

// open sends a request over the network and returns the answer as soon as it begins.
func (r *rig) open(t *testing.T, method, body string, set func(http.Header)) *flow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.addr+cmp.Or(r.path, "/s/mcp"), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer alice")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Header.Set("Accept", "text/event-stream")
		req.Body = nil
	}
	if set != nil {
		set(req.Header)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &flow{res: res, events: wire.NewEventReader(res.Body, wire.DefaultEventLimits), drop: cancel}
}

// next returns the next event as id|data; "end" at the end.
func (f *flow) next(t *testing.T) string {
	t.Helper()
	ev, err := f.events.Next()
	if errors.Is(err, io.EOF) {
		return "end"
	}
	if err != nil {
		t.Fatal(err)
	}
	return ev.ID + "|" + string(ev.Data)
}

func (f *flow) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := f.next(t); !strings.Contains(got, w) {
			t.Errorf("event %s, want %s", got, w)
		}
	}
}

func (f *flow) body(t *testing.T) string {
	t.Helper()
	b, err := io.ReadAll(f.res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func old(id int, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","_meta":{"progressToken":"p"}}}`, id, tool)
}

func resume(session, last string) func(http.Header) {
	return func(h http.Header) {
		within(session)(h)
		h.Set("Last-Event-Id", last)
	}
}

// TestResumption: every event of a legacy stream has an id to come back with, within its session alone; the newest
// revision begins with one.
func TestResumption(t *testing.T) {
	r, _ := serve(t, nil)
	for _, revision := range []string{gatehouse.Revision20250326, gatehouse.Revision20250618, gatehouse.Revision20251125} {
		id := r.session(t, "s", revision, "alice")
		f := r.open(t, "POST", old(1, "tell"), within(id))
		var got []string
		for ev := f.next(t); ev != "end"; ev = f.next(t) {
			got = append(got, ev)
		}
		if primed := revision == gatehouse.Revision20251125; primed {
			if got[0] != f.first(got)+"|" || f.events.Retry != time.Second {
				t.Fatalf("%s: first event %q, retry %v; want an id without data, and a second", revision, got[0], f.events.Retry)
			}
		} else if f.events.Retry != 0 || len(got) != 3 {
			t.Fatalf("%s: %d events, retry %v; want neither priming nor retry", revision, len(got), f.events.Retry)
		}
		for i, ev := range got {
			last, _, _ := strings.Cut(ev, "|")
			again := r.open(t, "GET", "", resume(id, last))
			again.expect(t, append(got[i+1:len(got):len(got)], "end")...)
		}
		// Neither an id of another session nor one that never was replays anything: a stream of one's own opens.
		for _, last := range []string{f.first(got), "x", "-", "x-1", f.first(got) + "9999999999", "\t"} {
			own := r.open(t, "GET", "", resume(r.session(t, "s", revision, "alice"), last))
			r.emit(backend.Event{Kind: backend.ToolsChanged})
			own.expect(t, `|{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
			own.drop()
		}
	}
}

// first is the id of the first event.
func (*flow) first(got []string) string {
	id, _, _ := strings.Cut(got[0], "|")
	return id
}

// TestDisconnect: in the legacy era a lost connection loses nothing; in the modern one it cancels.
func TestDisconnect(t *testing.T) {
	r, _ := serve(t, nil)
	id := r.session(t, "s", gatehouse.Revision20251125, "alice")
	f := r.open(t, "POST", old(1, "wait"), within(id))
	f.expect(t, "|")
	last, _, _ := strings.Cut(f.next(t), "|")
	<-r.entered
	f.drop()
	again := r.open(t, "GET", "", resume(id, last)) // while it runs
	close(r.release)
	again.expect(t, `"id":1,"result":{"content":[],"waited":true}`, "end")
	select {
	case err := <-r.ended:
		t.Errorf("the call was ended: %v", err)
	default:
	}
	r.release = make(chan struct{})

	for _, accept := range []string{"application/json", "text/event-stream, application/json"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", "http://"+r.addr+"/s/mcp", strings.NewReader(call(`"wait"`, `{}`)))
		modern("tools/call", "wait")(req.Header)
		req.Header.Set("Authorization", "Bearer alice")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", accept)
		go func() {
			<-r.entered
			cancel()
		}()
		if res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: an answer: %s", accept, res.Status)
		}
		select {
		case err := <-r.ended:
			if err != context.Canceled {
				t.Errorf("%s: the call ended with %v", accept, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: the call goes on", accept)
		}
	}
}

// TestCancellation: a notification ends the call of its own session, and no other's.
func TestCancellation(t *testing.T) {
	r, _ := serve(t, nil)
	id, other := r.session(t, "s", gatehouse.Revision20250618, "alice"), r.session(t, "s", gatehouse.Revision20250618, "alice")
	bobs := r.session(t, "s", gatehouse.Revision20250618, "bob")
	f := r.open(t, "POST", old(7, "wait"), within(id))
	<-r.entered
	note := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`
	say := func(text, who, session string) {
		t.Helper()
		if status, answer, _ := r.post("/s/mcp", text, func(h http.Header) { as(who, within(session))(h) }); status != 202 || len(answer) > 0 {
			t.Errorf("notification: %d %s", status, answer)
		}
	}
	say(note, "alice", other)
	say(note, "bob", bobs)
	for _, text := range []string{`{"requestId":"7"}`, `{"requestId":8}`, `{"requestId":null}`, `{}`} {
		say(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":`+text+`}`, "alice", id)
	}
	if status, answer, _ := r.post("/s/mcp", old(7, "greet"), within(id)); status != 200 || !strings.Contains(string(answer), "in flight") {
		t.Errorf("the same id again: %d %s", status, answer)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("ended by a stranger: %v", err)
	default:
	}
	say(note, "alice", id)
	if err := <-r.ended; err != context.Canceled {
		t.Errorf("the call ended with %v", err)
	}
	f.expect(t, `"progress":0`, `"id":7,"error":{"code":-32603,"message":"The call was cancelled`, "end")
}

// TestStandaloneStream: events of a session come on its GET stream, each once, until DELETE.
func TestStandaloneStream(t *testing.T) {
	r, _ := serve(t, func(l *config.Limits) { l.StreamsPerPrincipal = 2 })
	id := r.session(t, "s", gatehouse.Revision20250618, "alice")
	a := r.open(t, "GET", "", within(id))
	if h := a.res.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-cache" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("head of a stream: %v", h)
	}
	r.emit(backend.Event{Kind: backend.PromptsChanged})
	a.expect(t, `{"jsonrpc":"2.0","method":"notifications/prompts/list_changed"}`)
	r.emit(backend.Event{Kind: backend.Updated, URI: "file:///a"}) // nobody subscribed
	if status, answer, _ := r.post("/s/mcp", `{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"file:///a"}}`, within(id)); status != 200 {
		t.Fatalf("subscribe: %d %s", status, answer)
	}
	r.emit(backend.Event{Kind: backend.Updated, URI: "file:///a"})
	a.expect(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a"}}`)
	r.emit(backend.Event{Kind: backend.Message, Principal: "key:bob", Method: "notifications/message", Params: []byte(`{"data":"bob's"}`)})
	r.emit(backend.Event{Kind: backend.Message, Principal: "key:alice", Method: "notifications/message", Params: []byte(`{"data":"hers"}`)})
	a.expect(t, `"hers"`)

	b := r.open(t, "GET", "", within(id))
	if full := r.open(t, "GET", "", within(id)); full.res.StatusCode != 429 || !strings.Contains(full.body(t), "http.streams") {
		t.Errorf("a third stream: %s", full.res.Status)
	}
	const n = 20
	heard := make(chan string, 2*n)
	for _, f := range []*flow{a, b} {
		go func() {
			for {
				ev, err := f.events.Next()
				if err != nil {
					heard <- "end"
					return
				}
				heard <- string(ev.Data)
			}
		}()
	}
	for i := range n {
		r.emit(backend.Event{Kind: backend.Message, Principal: "key:alice", Method: "notifications/message", Params: fmt.Appendf(nil, `{"data":%d}`, i)})
	}
	count := map[string]int{}
	for range n {
		count[<-heard]++
	}
	for text, times := range count {
		if times != 1 {
			t.Errorf("%s came %d times", text, times)
		}
	}
	if status, _, _ := r.do("DELETE", "/s/mcp", "", within(id)); status != 204 {
		t.Errorf("DELETE: %d", status)
	}
	for range 2 {
		if got := <-heard; got != "end" {
			t.Errorf("after DELETE: %s, want both streams to end", got)
		}
	}
}

// TestElicitation: a question rides on the stream of its call, and only its own session can answer.
func TestElicitation(t *testing.T) {
	r, _ := serve(t, nil)
	id, other := r.session(t, "s", gatehouse.Revision20250618, "alice"), r.session(t, "s", gatehouse.Revision20250618, "alice")
	f := r.open(t, "POST", old(1, "ask"), within(id))
	_, question, _ := strings.Cut(f.next(t), "|")
	m, err := wire.Parse([]byte(question), wire.ResultLimits)
	if err != nil || m.Method != "elicitation/create" {
		t.Fatalf("question %s: %v", question, err)
	}
	answer := func(text string, set func(http.Header)) {
		t.Helper()
		if status, body, _ := r.post("/s/mcp", text, set); status != 202 || len(body) > 0 {
			t.Errorf("answer: %d %s", status, body)
		}
	}
	accept := string(wire.AppendResult(nil, m.ID, []byte(`{"action":"accept"}`)))
	answer(accept, within(other))
	answer(strings.Replace(accept, "gatehouse-", "gatehouse-x", 1), within(id))
	answer(string(wire.AppendResult(nil, m.ID, []byte(`{"action":"decline"}`))), within(id))
	f.expect(t, `"id":1,"result":{"content":[],"state":"inner"}`, "end")
	got := r.take()
	if n := len(got); n != 2 || string(got[1].InputResponses) != `{"q":{"action":"decline"}}` {
		t.Errorf("the source got %d calls, the last with %s", n, got[len(got)-1].InputResponses)
	}
	answer(accept, within(id)) // too late for anything
	if status, body, _ := r.post("/s/mcp", old(2, "ask"), within(id)); status != 200 || !strings.Contains(string(body), `"id":2,"error":{"code":-32603`) {
		t.Errorf("a client that reads no streams: %d %s", status, body)
	}
}

// TestBatches: only revision 2025-03-26 has them, and each element is judged as a call of its own.
func TestBatches(t *testing.T) {
	r := newRig(t, nil)
	id := r.session(t, "s", gatehouse.Revision20250326, "alice")
	newer := r.session(t, "s", gatehouse.Revision20250618, "alice")
	two := `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet"}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"secret"}}]`
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(ping+",", n), ",") + "]" }
	version := func(session, v string) func(http.Header) {
		return func(h http.Header) { within(session)(h); h.Set("Mcp-Protocol-Version", v) }
	}
	for name, c := range map[string]struct {
		body   string
		set    func(http.Header)
		status int
		want   string
		calls  int
	}{
		"two":                  {two, within(id), 200, `[{"jsonrpc":"2.0","id":1,"result":{"content":[]}},{"jsonrpc":"2.0","id":2,"result":{"content":[]}}]`, 2},
		"two, with version":    {two, version(id, "2025-03-26"), 200, `"id":2,"result"`, 2},
		"newer version header": {two, version(id, "2025-06-18"), 400, "-32600", 0},
		"newer session":        {two, within(newer), 400, "-32600", 0},
		"modern":               {two, modern("tools/call", "greet"), 400, "-32600", 0},
		"no session":           {two, func(http.Header) {}, 400, "-32600", 0},
		"notifications alone":  {`[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":"x","result":{}}]`, within(id), 202, "", 0},
		"one is bad":           {`[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet"}},{"jsonrpc":"2.0","id":1.5,"method":"ping"},7,{"jsonrpc":"2.0","id":3,"method":"nope"}]`, within(id), 200, `,{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request: \"id\" must be a string or an integer within ±(2^53-1), written without fraction or exponent","data":{"code":"wire.id"}}},{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid request: a message is a JSON object","data":{"code":"wire.envelope"}}},{"jsonrpc":"2.0","id":3,"error":{"code":-32601`, 1},
		"a batch in it":        {"[" + two + "]", within(id), 200, `[{"jsonrpc":"2.0","error":{"code":-32600`, 0},
		"initialize in it":     {`[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{}}}]`, within(id), 200, `"id":1,"error":{"code":-32600`, 0},
		"modern in it":         {"[" + call(`"greet"`, `{}`) + "]", within(id), 200, `[{"jsonrpc":"2.0","id":1,"error":{"code":-32600`, 0},
		"100":                  {many(100), within(id), 200, `"id":2,"result":{}}]`, 0},
		"101":                  {many(101), within(id), 400, "-32600", 0},
		"none":                 {`[]`, within(id), 400, "-32600", 0},
		"duplicate member":     {`[{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}]`, within(id), 400, "-32700", 0},
	} {
		status, answer, _ := r.post("/s/mcp", c.body, c.set)
		if got := r.take(); status != c.status || !bytes.Contains(answer, []byte(c.want)) || len(got) != c.calls {
			t.Errorf("%s: %d %s, %d calls; want %d %s, %d calls", name, status, answer, len(got), c.status, c.want, c.calls)
		}
	}
}

// TestLegacyRest: what only a legacy session has, and what it has not.
func TestLegacyRest(t *testing.T) {
	r := newRig(t, func(l *config.Limits) { l.SessionsPerPrincipal = 2 })
	id, quiet := r.session(t, "s", gatehouse.Revision20250618, "alice"), r.session(t, "s", gatehouse.Revision20250618, "alice")
	if status, answer, h := r.post("/s/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}`, nil); status != 200 || h.Get("Mcp-Session-Id") != "" || !bytes.Contains(answer, []byte(`-32603,"message":"too many sessions`)) {
		t.Errorf("third session: %d %s", status, answer)
	}
	r.session(t, "s", gatehouse.Revision20250618, "bob") // another's count is another's
	for _, c := range []struct{ body, want string }{
		{ping, `{"jsonrpc":"2.0","id":2,"result":{}}`},
		{`{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"warning"}}`, `"id":3,"result":{}`},
		{`{"jsonrpc":"2.0","id":3,"method":"logging/setLevel","params":{"level":"loud"}}`, `"id":3,"error":{"code":-32602`},
		{`{"jsonrpc":"2.0","id":4,"method":"resources/unsubscribe","params":{"uri":"file:///a"}}`, `"id":4,"result":{}`},
		{`{"jsonrpc":"2.0","id":5,"method":"server/discover"}`, `"id":5,"error":{"code":-32601`},
		{`{"jsonrpc":"2.0","id":6,"method":"subscriptions/listen","params":{"notifications":{}}}`, `"id":6,"error":{"code":-32601`},
		{`{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":"2099-01-01","capabilities":[]}}`, `"id":7,"error":{"code":-32602`},
	} {
		if status, answer, _ := r.post("/s/mcp", c.body, within(id)); status != 200 || !bytes.Contains(answer, []byte(c.want)) {
			t.Errorf("%s: %d %s, want %s", c.body, status, answer, c.want)
		}
	}
	for session, level := range map[string]string{id: "warning", quiet: ""} {
		r.post("/s/mcp", old(8, "greet"), within(session))
		if got := r.take(); len(got) != 1 || got[0].LogLevel != level {
			t.Errorf("calls %+v, want one with level %q", got, level)
		}
	}
	for _, v := range []string{"2099", "2024-10-07", "1.0", "latest"} {
		want := "http.revision"
		if v >= gatehouse.Revision20260728 { // newer than all: that is modern, and fails there
			want = "-32020"
		}
		status, answer, _ := r.post("/s/mcp", ping, func(h http.Header) { within(id)(h); h.Set("Mcp-Protocol-Version", v) })
		if rpc, code := fault(answer); status != 400 || rpc != want && code != want {
			t.Errorf("version %s: %d %s, want 400 %s", v, status, answer, want)
		}
	}
	for asked, answered := range map[string]string{"2025-03-26": "2025-03-26", "2024-11-05": "2024-11-05", "2026-07-28": "2025-11-25", "2099-01-01": "2025-11-25", "": "2025-11-25"} {
		r.do("DELETE", "/s/mcp", "", within(id))
		_, answer, h := r.post("/s/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"`+asked+`","capabilities":{}}}`, nil)
		if id = h.Get("Mcp-Session-Id"); !bytes.Contains(answer, []byte(`"protocolVersion":"`+answered+`"`)) || id == "" {
			t.Errorf("initialize of %q: %s, want %s", asked, answer, answered)
		}
	}
}

// TestDrain: streams end in good order, calls in flight get their answer, and nobody else gets in.
func TestDrain(t *testing.T) {
	r, srv := serve(t, nil)
	id := r.session(t, "s", gatehouse.Revision20250618, "alice")
	get := r.open(t, "GET", "", within(id))
	listen := r.open(t, "POST", `{"jsonrpc":"2.0","id":"L","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}`+","+meta+`}}`, modern("subscriptions/listen", ""))
	listen.expect(t, "acknowledged")
	legacy := r.open(t, "POST", old(1, "wait"), within(id))
	legacy.expect(t, `"progress":0`)
	lost := r.open(t, "GET", "", resume(id, "x-0")) // another stream of the session
	<-r.entered
	drained := make(chan error, 1)
	go func() {
		r.g.Drain()
		drained <- srv.Drain(t.Context())
	}()
	get.expect(t, "end")
	lost.expect(t, "end")
	listen.expect(t, `"id":"L","result":{"resultType":"complete"`, "end")
	select {
	case err := <-drained:
		t.Fatalf("Drain = %v with a call in flight", err)
	default:
	}
	if res, err := http.Get("http://" + r.addr + "/healthz"); err == nil {
		_ = res.Body.Close()
		t.Errorf("a new connection after Drain: %s", res.Status)
	}
	close(r.release)
	legacy.expect(t, `"id":1,"result":{"content":[],"waited":true}`, "end")
	if err := <-drained; err != nil {
		t.Errorf("Drain = %v", err)
	}
}

// TestOldSSE: the transport of 2024-11-05 is served where it is switched on, and a connection belongs to who opened it.
func TestOldSSE(t *testing.T) {
	r, _ := serve(t, nil)
	for _, path := range []string{"/s/sse", "/s/messages", "/other/messages"} { // GET of the last is no stream either
		if status, answer, _ := r.do("GET", path, "", func(h http.Header) { h.Set("Accept", "text/event-stream") }); status != 404 && status != 405 {
			t.Errorf("GET %s: %d %s", path, status, answer)
		}
	}
	r.path = "/other/sse"
	f := r.open(t, "GET", "", nil)
	_, messages, _ := strings.Cut(f.next(t), "|")
	if !strings.HasPrefix(messages, "/other/messages?sessionId=") {
		t.Fatalf("endpoint %q", messages)
	}
	begin := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{"sampling":{}}}}`
	for name, c := range map[string]struct{ path, who string }{
		"another caller": {messages, "bob"}, "no session": {"/other/messages", "alice"}, "another session": {messages + "x", "alice"}, "lower case": {strings.ToLower(messages), "alice"},
	} {
		r.expect(t, name, 404, "session.unknown", func() (int, []byte, http.Header) { return r.post(c.path, begin, as(c.who, func(http.Header) {})) })
	}
	say := func(text string, status int, heard string) {
		t.Helper()
		if got, answer, _ := r.post(messages, text, nil); got != status {
			t.Errorf("%s: %d %s, want %d", text, got, answer, status)
		}
		if heard != "" {
			f.expect(t, heard)
		}
	}
	say(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greet"}}`, 202, `"id":2,"error":{"code":-32600`)
	say(`{"a":1,"a":2}`, 400, "")
	say(`[`+begin+`]`, 400, "")
	say(strings.Replace(begin, "{}", "7", 1), 202, `"id":1,"result":{"protocolVersion":"2024-11-05"`)
	say(begin, 202, `"id":1,"error":{"code":-32600,"message":"Invalid request: this session has begun`)
	say(call(`"greet"`, `{}`), 202, `"id":1,"error":{"code":-32600`)
	say(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, 202, "")
	if got := r.take(); len(got) > 0 {
		t.Errorf("%d calls recorded", len(got))
	}
	say(old(3, "tell"), 202, `"progress":1`)
	f.expect(t, `"progress":2`, `"id":3,"result"`)
	say(old(4, "wait"), 202, `"progress":0`)
	<-r.entered
	f.drop() // which ends the session, and its calls
	if err := <-r.ended; err != context.Canceled {
		t.Errorf("the call ended with %v", err)
	}
	for began := time.Now(); ; {
		if status, _, _ := r.post(messages, ping, nil); status == 404 {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("the session outlives its stream")
		}
	}
}
