// Package hostile sends what attackers send to the real endpoint, gateway included, and looks at what a recorder in the
// place of the upstream server gets: exactly the value that was judged, or nothing.
package hostile

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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
	"gatehouse/transport"
	"gatehouse/transport/streamable"
	"gatehouse/wire"
)

// recorder is a source that keeps the calls it gets. What a tool does is told by its name.
type recorder struct {
	mu      sync.Mutex
	got     []gatehouse.Call
	entered chan struct{} // one for every call of "wait"
	ended   chan error    // and how its context ended
	release chan struct{} // closed: "wait" goes on
	emit    func(backend.Event)
}

func (r *recorder) take() []gatehouse.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func define(name, schema string) gatehouse.Tool {
	t := gatehouse.Tool{Name: name, Risk: gatehouse.Read, Def: []byte(`{"name":"` + name + `","inputSchema":` + schema + `}`)}
	var err error
	if t.Headers, err = wire.HeaderParams([]byte(schema)); err != nil {
		panic(err)
	}
	return t
}

var offered = &backend.Catalog{
	Version: 1, Completions: true, Logging: true, Subscribe: true,
	Tools: []gatehouse.Tool{
		define("greet", `{"type":"object"}`), define("secret", `{"type":"object"}`), define("ask", `{"type":"object"}`),
		define("wait", `{"type":"object"}`), define("tell", `{"type":"object"}`), define("big", `{"type":"object"}`),
		define("deploy", `{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"dry":{"type":"boolean","x-mcp-header":"Dry"},"n":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}}}}`),
	},
	Prompts:   []gatehouse.Tool{{Name: "hello", Def: []byte(`{"name":"hello"}`)}, {Name: "ask", Def: []byte(`{"name":"ask"}`)}, {Name: "bye", Def: []byte(`{"name":"bye"}`)}},
	Resources: []gatehouse.Tool{{Name: "file:///a", Def: []byte(`{"uri":"file:///a","name":"a"}`)}, {Name: "file:///ü", Def: []byte(`{"uri":"file:///ü","name":"u"}`)}},
}

func (r *recorder) Catalog(context.Context, gatehouse.Capabilities) *backend.Catalog { return offered }

func (r *recorder) Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	r.mu.Lock()
	one := *c
	one.Arguments, one.Meta = bytes.Clone(c.Arguments), bytes.Clone(c.Meta)
	r.got = append(r.got, one)
	r.mu.Unlock()
	if c.Method != "tools/call" {
		return &gatehouse.Result{Raw: []byte(`{"contents":[],"messages":[]}`)}, nil
	}
	switch c.Target.Name {
	case "ask":
		if c.InputResponses == nil {
			return &gatehouse.Result{Input: &gatehouse.Input{State: []byte("inner"), Requests: []gatehouse.InputRequest{{Key: "q", Method: "elicitation/create", Params: []byte(`{"message":"sure?"}`)}}}}, nil
		}
		return &gatehouse.Result{Raw: []byte(`{"content":[],"state":"` + string(c.State) + `"}`)}, nil
	case "wait":
		if c.ProgressToken != nil { // makes a stream of the answer
			if err := c.Peer.Notify(ctx, "notifications/progress", []byte(`{"progressToken":`+string(c.ProgressToken)+`,"progress":0}`)); err != nil {
				return nil, err
			}
		}
		r.entered <- struct{}{}
		select {
		case <-ctx.Done():
			r.ended <- ctx.Err()
			return nil, ctx.Err()
		case <-r.release:
			return &gatehouse.Result{Raw: []byte(`{"content":[],"waited":true}`)}, nil
		}
	case "tell":
		for _, p := range []string{"1", "2"} {
			if err := c.Peer.Notify(ctx, "notifications/progress", []byte(`{"progressToken":`+string(c.ProgressToken)+`,"progress":`+p+`}`)); err != nil {
				return nil, err
			}
		}
	case "big":
		return &gatehouse.Result{Raw: []byte(`{"content":[{"type":"text","text":"` + strings.Repeat("x", 8<<20) + `"}]}`)}, nil
	}
	return &gatehouse.Result{Raw: []byte(`{"content":[]}`)}, nil
}

func (r *recorder) Subscribe(context.Context, string) error            { return nil }
func (r *recorder) Unsubscribe(string)                                 {}
func (r *recorder) RootsChanged(context.Context, *gatehouse.Principal) {}
func (r *recorder) Status() backend.Status                             { return backend.Status{State: "ready"} }
func (r *recorder) Close(context.Context) error                        { return nil }

// noted is a record that is always durable and keeps nothing.
type noted struct{}

func (noted) Begin(context.Context, *gatehouse.Call, audit.Decision) (audit.Entry, error) {
	return noted{}, nil
}

func (noted) Note(*audit.Record) error { return nil }

func (noted) Close() error { return nil }

func (noted) End(context.Context, audit.Outcome) error { return nil }

// named signs in whoever says a name.
type named struct{}

func (named) Authenticate(_ context.Context, c *identity.Credentials) (*gatehouse.Principal, error) {
	name := c.Bearer.Reveal()
	if name == "" {
		return nil, identity.ErrNone
	}
	return &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:" + name, Source: c.Source}, nil
}

// rig is the whole house but for the upstream server, which is the recorder.
type rig struct {
	*recorder
	g        *gateway.Gateway
	h        *streamable.Handler
	sessions *transport.Sessions
	limits   config.Limits
	mu       sync.Mutex
	at       time.Time
	refused  sync.Map // code → true
	addr     string   // of the listener
	path     string   // of what open asks for; "" is /s/mcp
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) later(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func newRig(t testing.TB, change func(*config.Limits)) *rig {
	t.Helper()
	return newRigAt(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, 0, change)
}

// newRigAt makes a rig whose sealing key is 32 bytes of key.
func newRigAt(t testing.TB, bind *net.TCPAddr, key byte, change func(*config.Limits)) *rig {
	t.Helper()
	r := &rig{
		recorder: &recorder{entered: make(chan struct{}, 1024), ended: make(chan error, 1024), release: make(chan struct{})},
		addr:     bind.String(), limits: config.DefaultLimits, at: time.Unix(1_800_000_000, 0),
	}
	if change != nil {
		change(&r.limits)
	}
	sealing := bytes.Repeat([]byte{key}, 32)
	var err error
	r.g, err = gateway.New(gateway.Config{
		Kinds: []backend.Kind{{Key: "mcp", Open: func(_ config.Source, e backend.Env) (backend.Source, error) {
			if e.Server == "s" {
				r.emit = e.Emit
			}
			return r.recorder, nil
		}}},
		Identity: func(config.Auth) identity.Authenticator { return identity.Chain{named{}} },
		Access:   access.AllowAll{}, Policy: policy.None{}, Audit: noted{}, Sealing: sealing, Log: slog.New(slog.DiscardHandler), Now: r.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config.Config{Limits: r.limits, Servers: map[string]*config.Server{}}
	for _, name := range []string{"s", "other"} {
		cfg.Servers[name] = &config.Server{Name: name, LegacySSE: name == "other", Sources: []config.Source{{MCP: "http://upstream.invalid/"}}}
	}
	if err := r.g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if r.sessions, err = transport.NewSessions(sealing, r.limits, r.now); err != nil {
		t.Fatal(err)
	}
	r.h, err = streamable.New(streamable.Config{
		Gateway: r.g, Sessions: r.sessions, Limits: r.limits, PublicURL: "http://" + bind.String(), Bind: bind,
		Log: slog.New(slog.DiscardHandler), Now: r.now, Refused: func(code string) { r.refused.Store(code, true) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// post sends one body and returns the answer.
func (r *rig) post(path, body string, set func(http.Header)) (status int, answer []byte, header http.Header) {
	return r.do(http.MethodPost, path, body, set)
}

func (r *rig) do(method, path, body string, set func(http.Header)) (status int, answer []byte, header http.Header) {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Host, req.RemoteAddr = r.addr, "127.0.0.1:5"
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer alice")
	if set != nil {
		set(req.Header)
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	return w.Code, w.Body.Bytes(), w.Header()
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}`

// modern sets the headers of a call of the tool.
func modern(method, name string) func(http.Header) {
	return func(h http.Header) {
		h.Set("Mcp-Protocol-Version", "2026-07-28")
		h.Set("Mcp-Method", method)
		if name != "" {
			h.Set("Mcp-Name", name)
		}
	}
}

// session begins a legacy session and returns its id.
func (r *rig) session(t testing.TB, server, revision, who string) string {
	t.Helper()
	status, answer, h := r.post("/"+server+"/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"`+revision+`","capabilities":{"elicitation":{}}}}`, func(h http.Header) {
		h.Set("Authorization", "Bearer "+who)
	})
	if id := h.Get("Mcp-Session-Id"); status == 200 && id != "" {
		return id
	}
	t.Fatalf("initialize: %d %s", status, answer)
	return ""
}

func within(id string) func(http.Header) {
	return func(h http.Header) { h.Set("Mcp-Session-Id", id) }
}

// fault is what an answer says of an error: its JSON-RPC code and our own, "" where there is none.
func fault(answer []byte) (rpc, code string) {
	o, _ := wire.ParseObject(answer)
	e, _ := wire.ParseObject(o.Get("error"))
	if c, ok := wire.Text(e.Get("code")); ok {
		return "", c // an HTTP fault
	}
	data, _ := wire.ParseObject(e.Get("data"))
	code, _ = wire.Text(data.Get("code"))
	return string(e.Get("code")), code
}
