package stdio

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/policy"
)

// source does what the name of the tool says.
type source struct {
	entered chan string
	ended   chan error
	release chan struct{}
	emit    func(backend.Event)
	mu      sync.Mutex
	roots   int
	last    gatehouse.Peer // of "tell"
}

func (s *source) Catalog(context.Context, gatehouse.Capabilities) *backend.Catalog {
	var tools []gatehouse.Tool
	for _, n := range []string{"greet", "wait", "ask", "tell", "pretty"} {
		tools = append(tools, gatehouse.Tool{Name: n, Def: []byte(`{"name":"` + n + `","inputSchema":{"type":"object"}}`), Risk: gatehouse.Read})
	}
	return &backend.Catalog{Version: 1, Subscribe: true, Logging: true, Tools: tools, Resources: []gatehouse.Tool{{Name: "file:///a", Def: []byte(`{"uri":"file:///a"}`)}}}
}

func (s *source) Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	switch c.Target.Name {
	case "wait":
		s.entered <- c.Name
		select {
		case <-s.release:
		case <-ctx.Done():
			s.ended <- ctx.Err()
			return nil, ctx.Err()
		}
	case "ask":
		if c.InputResponses == nil {
			return &gatehouse.Result{Input: &gatehouse.Input{Requests: []gatehouse.InputRequest{{Key: "q", Method: "elicitation/create", Params: []byte(`{"message":"sure?"}`)}}}}, nil
		}
		return &gatehouse.Result{Raw: []byte(`{"answer":` + string(c.InputResponses) + `}`)}, nil
	case "tell":
		_ = c.Peer.Notify(ctx, "notifications/progress", []byte(`{"progressToken":`+string(c.ProgressToken)+`,"progress":1}`))
		_ = c.Peer.Notify(ctx, "notifications/message", []byte(`{"level":"`+c.LogLevel+`"}`))
		s.mu.Lock()
		s.last = c.Peer
		s.mu.Unlock()
	case "pretty":
		return &gatehouse.Result{Raw: []byte("{\n  \"content\": [\r\n  ],\n  \"text\": \"a\\nb\"\n}")}, nil
	}
	return &gatehouse.Result{Raw: []byte(`{"content":[]}`)}, nil
}

func (s *source) Subscribe(context.Context, string) error { return nil }
func (s *source) Unsubscribe(string)                      {}
func (s *source) RootsChanged(context.Context, *gatehouse.Principal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roots++
}
func (s *source) Status() backend.Status      { return backend.Status{State: "ready"} }
func (s *source) Close(context.Context) error { return nil }

type noted struct{}

func (noted) Begin(context.Context, *gatehouse.Call, audit.Decision) (audit.Entry, error) {
	return noted{}, nil
}

func (noted) Note(*audit.Record) error { return nil }

func (noted) Close() error { return nil }

func (noted) End(context.Context, audit.Outcome) error { return nil }

// talk is a client of a server that runs.
type talk struct {
	*source
	g    *gateway.Gateway
	in   *io.PipeWriter
	out  *bufio.Scanner
	done chan error // what Serve returned
	stop context.CancelFunc
}

func begin(t *testing.T, change func(*config.Limits)) *talk {
	t.Helper()
	r, w := io.Pipe()
	k := start(t, change, r)
	k.in = w
	return k
}

func start(t *testing.T, change func(*config.Limits), in io.Reader) *talk {
	t.Helper()
	k := &talk{source: &source{entered: make(chan string, 256), ended: make(chan error, 256), release: make(chan struct{})}, done: make(chan error, 1)}
	limits := config.DefaultLimits
	if change != nil {
		change(&limits)
	}
	var err error
	k.g, err = gateway.New(gateway.Config{
		Kinds: []backend.Kind{{Key: "mcp", Open: func(_ config.Source, e backend.Env) (backend.Source, error) {
			k.emit = e.Emit
			return k.source, nil
		}}},
		Identity: func(config.Auth) identity.Authenticator { return identity.Chain{} }, Access: access.AllowAll{}, Policy: policy.None{},
		Audit: noted{}, Sealing: make([]byte, 32), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err == nil {
		err = k.g.Reload(&config.Config{Limits: limits, Servers: map[string]*config.Server{"s": {Name: "s", Sources: []config.Source{{MCP: "http://x.invalid/"}}}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	k.out = bufio.NewScanner(out)
	k.out.Buffer(nil, 8<<20)
	ctx, stop := context.WithCancel(t.Context())
	k.stop = stop
	go func() {
		k.done <- Serve(ctx, Config{
			Gateway: k.g, Server: "s", Principal: &gatehouse.Principal{Kind: gatehouse.Local, ID: "local:me"}, Limits: limits,
			In: in, Out: w, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		_ = w.Close()
	}()
	t.Cleanup(func() {
		stop()
		_ = out.Close() // a writer that is stuck goes on
	})
	return k
}

func (k *talk) say(t *testing.T, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(k.in, l+"\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// hear returns the next line, or fails after a while.
func (k *talk) hear(t *testing.T) string {
	t.Helper()
	line := make(chan string, 1)
	go func() {
		if k.out.Scan() {
			line <- k.out.Text()
		} else {
			close(line)
		}
	}()
	select {
	case s := <-line:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("silence")
		return ""
	}
}

func (k *talk) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := k.hear(t); !strings.Contains(got, w) {
			t.Errorf("heard %s\nwant %s", got, w)
		}
	}
}

// finished waits for the end within the time that a parent gives.
func (k *talk) finished(t *testing.T, within time.Duration) error {
	t.Helper()
	began := time.Now()
	select {
	case err := <-k.done:
		return err
	case <-time.After(within):
		t.Fatalf("still there after %v", time.Since(began))
		return nil
	}
}

const (
	modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},"progressToken":"p","io.modelcontextprotocol/logLevel":"info"}`
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`
)

func modernCall(id, tool string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `",` + modernMeta + `}}`
}

func legacyCall(id, tool string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","_meta":{"progressToken":"p"}}}`
}

func cancelled(id string) string {
	return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + id + `}}`
}

func TestBothErasPerMessage(t *testing.T) {
	k := begin(t, nil)
	for _, c := range []struct{ say, want string }{
		{`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `"id":1,"error":{"code":-32600,"message":"Invalid request: send initialize first`},
		{`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}`, `"id":1,"error":{"code":-32600`},
		{`{"jsonrpc":"2.0","id":"p","method":"ping"}`, `{"jsonrpc":"2.0","id":"p","result":{}}`},
		{`{"jsonrpc":"2.0","id":2,"method":"server/discover"}`, `"id":2,"error":{"code":-32602`},
		{`{"jsonrpc":"2.0","id":3,"method":"server/discover","params":{` + modernMeta + `}}`, `"supportedVersions":["2026-07-28"`},
		{modernCall("4", "greet"), `"id":4,"result":{"content":[],"resultType":"complete"`},
		{initialize, `"id":0,"result":{"protocolVersion":"2025-11-25"`},
		{legacyCall("5", "greet"), `{"jsonrpc":"2.0","id":5,"result":{"content":[]}}`},
		{modernCall("6", "greet"), `"id":6,"result":{"content":[],"resultType":"complete"`},
		{`{"jsonrpc":"2.0","id":7,"method":"initialize","params":{` + modernMeta + `}}`, `"id":7,"error":{"code":-32601`},
		{`{"jsonrpc":"2.0","id":8,"method":"ping","params":{` + modernMeta + `}}`, `"id":8,"error":{"code":-32601`},
		{`{"jsonrpc":"2.0","id":9,"method":"logging/setLevel","params":{"level":"error"}}`, `"id":9,"result":{}`},
		{`{"jsonrpc":"2.0","id":10,"method":"resources/subscribe","params":{"uri":"file:///a"}}`, `"id":10,"result":{}`},
		{`{"jsonrpc":"2.0","id":11,"method":"resources/unsubscribe","params":{"uri":"file:///a"}}`, `"id":11,"result":{}`},
		{`{"jsonrpc":"2.0","id":12,"method":"nope"}`, `"id":12,"error":{"code":-32601`},
		{"\r", ""}, // an empty line is nothing
		{`[{"jsonrpc":"2.0","id":13,"method":"ping"}]`, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32600`},
		{`{"a":1,"a":2}`, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{"\ufeff" + `{"jsonrpc":"2.0","id":14,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32700`},
		{`{"jsonrpc":"2.0","id":15,"method":"ping"} {"jsonrpc":"2.0","id":16,"method":"ping"}`, `"wire.trailing_data"`},
		{`{"jsonrpc":"2.0","id":17,"method":"ping"}` + "\r", `"id":17,"result":{}`},
		{`{"jsonrpc":"2.0","id":"never asked","result":{}}`, ""},
		{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, ""},
		{modernCall("18", "pretty"), `{"jsonrpc":"2.0","id":18,"result":{   "content": [    ],   "text": "a\nb" `}, // one line
	} {
		k.say(t, c.say)
		if c.want != "" {
			k.expect(t, c.want)
		}
	}
	k.say(t, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, `{"jsonrpc":"2.0","id":99,"method":"ping"}`)
	k.expect(t, `"id":99`)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.roots != 1 {
		t.Errorf("the source heard of changed roots %d times, want once", k.roots)
	}
}

func TestProgressAndLog(t *testing.T) {
	k := begin(t, nil)
	k.say(t, modernCall("1", "tell"))
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`, `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info"}}`, `"id":1,"result"`)
	k.mu.Lock()
	_ = k.last.Notify(t.Context(), "notifications/progress", []byte(`{"late":true}`))
	k.mu.Unlock()
	k.say(t, `{"jsonrpc":"2.0","id":2,"method":"server/discover","params":{`+modernMeta+`}}`)
	k.expect(t, `"id":2`) // and no progress of a call that has ended
}

func TestCancellation(t *testing.T) {
	k := begin(t, nil)
	k.say(t, initialize)
	k.expect(t, `"id":0`)
	for _, c := range []struct{ call, id string }{{modernCall("1", "wait"), "1"}, {legacyCall(`"x"`, "wait"), `"x"`}} {
		k.say(t, c.call)
		<-k.entered
		k.say(t, strings.Replace(c.call, "wait", "greet", 1)) // the id is taken
		k.expect(t, `"id":`+c.id+`,"error":{"code":-32600,"message":"Invalid request: a request with this id is in flight"`)
		k.say(t, cancelled(`"other"`), cancelled(`null`), cancelled(`{}`), `{"jsonrpc":"2.0","method":"notifications/cancelled"}`)
		k.say(t, cancelled(c.id))
		if err := <-k.ended; err != context.Canceled {
			t.Errorf("call ended by %v", err)
		}
		k.say(t, `{"jsonrpc":"2.0","id":9,"method":"ping"}`)
		k.expect(t, `"id":9,"result"`) // and no answer to what was cancelled
	}
}

func TestElicitation(t *testing.T) {
	k := begin(t, func(l *config.Limits) { l.InputTimeout = 50 * time.Millisecond })
	k.say(t, initialize, legacyCall("1", "ask"))
	k.expect(t, `"id":0`, `{"jsonrpc":"2.0","id":"gatehouse-1","method":"elicitation/create","params":{"message":"sure?"}}`)
	k.say(t, `{"jsonrpc":"2.0","id":"gatehouse-2","result":{"action":"accept"}}`, `{"jsonrpc":"2.0","id":"gatehouse-1","result":{"action":"decline"}}`)
	k.expect(t, `{"jsonrpc":"2.0","id":1,"result":{"answer":{"q":{"action":"decline"}}}}`)
	k.say(t, legacyCall("2", "ask"))
	k.expect(t, `"gatehouse-2"`)
	k.say(t, `{"jsonrpc":"2.0","id":"gatehouse-2","error":{"code":-1,"message":"cannot"}}`)
	k.expect(t, `{"jsonrpc":"2.0","id":2,"result":{"answer":{"q":{"action":"cancel"}}}}`)
	k.say(t, legacyCall("3", "ask"))
	k.expect(t, `"gatehouse-3"`, `"id":3,"error":{"code":-32603`) // nobody answers
	k.say(t, `{"jsonrpc":"2.0","id":"gatehouse-3","result":{"action":"accept"}}`, modernCall("4", "ask"))
	k.expect(t, `"id":4,"result":{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create"`)
}

// TestManyCalls fills all places; the input is still read, since the answers they wait for come on it.
func TestManyCalls(t *testing.T) {
	k := begin(t, nil)
	for i := range maxCalls {
		k.say(t, modernCall(fmt.Sprint(i), "wait"))
		<-k.entered
	}
	k.say(t, modernCall("1000", "greet"))
	k.expect(t, `"id":1000,"error":{"code":-32603,"message":"more than 64 calls in flight`)
	k.say(t, cancelled("5"))
	<-k.ended
	for {
		k.say(t, modernCall("1001", "greet"))
		if got := k.hear(t); strings.Contains(got, `"id":1001,"result"`) {
			break
		}
	}
	close(k.release)
	seen := map[string]bool{}
	for range maxCalls - 1 {
		id, _, _ := strings.Cut(strings.TrimPrefix(k.hear(t), `{"jsonrpc":"2.0","id":`), ",")
		seen[id] = true
	}
	if len(seen) != maxCalls-1 || seen["5"] {
		t.Errorf("answers to %d calls", len(seen))
	}
}

func TestListen(t *testing.T) {
	k := begin(t, nil)
	listen := `{"jsonrpc":"2.0","id":"L","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///a","gone:x"]},` + modernMeta + `}}`
	k.say(t, listen)
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a","gone:x"]},"_meta":{"io.modelcontextprotocol/subscriptionId":"L"}}}`)
	k.emit(backend.Event{Kind: backend.PromptsChanged}) // which was not granted
	k.emit(backend.Event{Kind: backend.ToolsChanged})
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"L"}}}`)
	k.emit(backend.Event{Kind: backend.Updated, URI: "file:///a"})
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a","_meta":{"io.modelcontextprotocol/subscriptionId":"L"}}}`)
	k.say(t, cancelled(`"L"`), `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{`+modernMeta+`}}`)
	k.expect(t, `"id":1`)
	listen = strings.Replace(listen, `"L"`, `"M"`, 1)
	for _, bad := range []string{`{"resourceSubscriptions":"x"}`, `{"resourceSubscriptions":[7]}`, `[]`} {
		k.say(t, strings.Replace(listen, `{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///a","gone:x"]}`, bad, 1))
		k.expect(t, `"id":"M","error":{"code":-32602`)
	}
	k.say(t, listen)
	k.expect(t, "acknowledged")
	k.g.Drain()
	k.expect(t, `"method":"notifications/cancelled","params":{"requestId":"M"}`, `{"jsonrpc":"2.0","id":"M","result":{"resultType":"complete"`)
}

func TestLegacyEvents(t *testing.T) {
	k := begin(t, nil)
	k.say(t, initialize)
	k.expect(t, `"id":0`)
	k.emit(backend.Event{Kind: backend.ToolsChanged})
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`)
	k.emit(backend.Event{Kind: backend.Updated, URI: "file:///a"}) // not subscribed
	k.say(t, `{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}`)
	k.expect(t, `"id":1,"result":{}`)
	k.emit(backend.Event{Kind: backend.Updated, URI: "file:///a"})
	k.expect(t, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a"}}`)
}

// TestEnd: a parent closes the input and waits; it does not wait long.
func TestEnd(t *testing.T) {
	const soon = 100 * time.Millisecond
	t.Run("idle", func(t *testing.T) {
		k := begin(t, nil)
		_ = k.in.Close()
		if err := k.finished(t, soon); err != nil {
			t.Error(err)
		}
	})
	t.Run("calls in flight", func(t *testing.T) {
		k := begin(t, nil)
		k.say(t, initialize)
		k.expect(t, `"id":0`)
		for i := range 10 {
			k.say(t, modernCall(fmt.Sprint(2*i+1), "wait"), legacyCall(fmt.Sprint(2*i+2), "wait"))
		}
		for range 20 {
			<-k.entered
		}
		_ = k.in.Close()
		if err := k.finished(t, soon); err != nil {
			t.Error(err)
		}
		for range 20 {
			if err := <-k.ended; err != context.Canceled {
				t.Errorf("call ended by %v", err)
			}
		}
	})
	t.Run("answers that are ready", func(t *testing.T) {
		k := start(t, nil, strings.NewReader(initialize+"\n"+legacyCall("1", "greet")+"\n"+legacyCall("2", "greet")))
		got := []string{k.hear(t), k.hear(t)}
		if !strings.Contains(got[0], `"id":0`) || !strings.Contains(got[1], `"id":1`) {
			t.Errorf("heard %q", got)
		}
		if err := k.finished(t, time.Second); err != nil { // and no answer to half a line
			t.Error(err)
		}
	})
	t.Run("a client that reads nothing", func(t *testing.T) {
		k := begin(t, nil)
		for range 3 {
			k.say(t, "rubbish")
		}
		_ = k.in.Close()
		if err := k.finished(t, soon); err != nil {
			t.Error(err)
		}
	})
	t.Run("signal", func(t *testing.T) {
		k := begin(t, nil)
		k.say(t, modernCall("1", "wait"))
		<-k.entered
		k.stop()
		if err := k.finished(t, soon); err != nil {
			t.Error(err)
		}
	})
	t.Run("line over the limit", func(t *testing.T) {
		k := begin(t, func(l *config.Limits) { l.RequestBytes = 1 << 10 })
		ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		k.say(t, ping+strings.Repeat(" ", 1<<10-len(ping)))
		k.expect(t, `"id":1`)
		go func() { _, _ = io.WriteString(k.in, strings.Repeat("x", 1<<20)) }()
		e, ok := k.finished(t, time.Second).(*gatehouse.Error)
		if !ok || e.Code != "stdio.line" || e.Hint == "" {
			t.Errorf("Serve = %v, want stdio.line", e)
		}
		_ = k.in.Close()
	})
}

// FuzzLines: whatever comes in, every line that goes out is one message, and the end of input is the end.
func FuzzLines(f *testing.F) {
	for _, s := range []string{initialize, initialize + "\n" + legacyCall("1", "greet"), modernCall("1", "pretty"), "\n\r\n\x00\n", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, cancelled("0"), `[]`, `{"jsonrpc":"2.0","id":1,"result":{}}`} {
		f.Add([]byte(s + "\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if slices.Contains([]bool{strings.Contains(string(b), "wait"), strings.Contains(string(b), "ask"), strings.Contains(string(b), "listen")}, true) {
			return // they take their time
		}
		t.Helper()
		k := start(t, nil, strings.NewReader(string(b)))
		over := make(chan struct{})
		go func() {
			defer close(over)
			for k.out.Scan() {
				if line := k.out.Text(); !strings.HasPrefix(line, `{"jsonrpc":"2.0",`) || !strings.HasSuffix(line, "}") {
					t.Errorf("sent %q", line)
				}
			}
		}()
		if err := k.finished(t, 5*time.Second); err != nil {
			t.Error(err)
		}
		<-over
	})
}
