package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/identity"
	"gatehouse/policy"
)

// fake is a source that offers what cat holds and answers with do.
type fake struct {
	mu     sync.Mutex
	cat    *backend.Catalog
	do     func(c *gatehouse.Call) (*gatehouse.Result, error)
	emit   func(backend.Event)
	subs   map[string]int
	closed bool
}

func (f *fake) Catalog(context.Context, gatehouse.Capabilities) *backend.Catalog {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cat
}

func (f *fake) Call(_ context.Context, c *gatehouse.Call) (*gatehouse.Result, error) { return f.do(c) }

func (f *fake) Subscribe(_ context.Context, uri string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[uri]++
	return nil
}

func (f *fake) Unsubscribe(uri string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs[uri]--
}
func (f *fake) RootsChanged(context.Context, *gatehouse.Principal) {}
func (f *fake) Status() backend.Status                             { return backend.Status{State: "ready"} }
func (f *fake) Close(context.Context) error                        { f.closed = true; return nil }

// memory is a log that keeps what it is given, or fails.
type memory struct {
	mu    sync.Mutex
	lines []string
	fail  bool
}

func (m *memory) add(s string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail {
		return &gatehouse.Error{Code: "audit.unavailable", Msg: "disk full"}
	}
	m.lines = append(m.lines, s)
	return nil
}

func (m *memory) Begin(_ context.Context, c *gatehouse.Call, _ audit.Decision) (audit.Entry, error) {
	return entry{m}, m.add("intent " + c.Name)
}

func (m *memory) Note(r *audit.Record) error {
	return m.add(strings.TrimSpace("note " + r.Method + " " + r.Answer + " " + r.Code))
}
func (m *memory) Close() error { return nil }

type entry struct{ m *memory }

func (e entry) End(_ context.Context, o audit.Outcome) error { return e.m.add("outcome " + o.Kind) }

type noPeer struct{}

func (noPeer) Notify(context.Context, string, []byte) error { return nil }
func (noPeer) CanAsk() bool                                 { return false }
func (noPeer) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("cannot be asked")
}

// asked answers every question with text.
type asked struct {
	noPeer
	text string
	got  []string
}

func (asked) CanAsk() bool { return true }
func (a *asked) Ask(_ context.Context, method string, params []byte) ([]byte, error) {
	a.got = append(a.got, method+" "+string(params))
	return []byte(a.text), nil
}

func tool(name string) gatehouse.Tool {
	return gatehouse.Tool{Name: name, Def: []byte(`{"name":"` + name + `","inputSchema":{"type":"object"}}`), Risk: gatehouse.Write}
}

type house struct {
	*Gateway
	log *memory
	now time.Time
}

func newHouse(t testing.TB, decider access.Decider, sources map[string]*fake) *house {
	t.Helper()
	h := &house{log: &memory{}, now: time.Unix(1_800_000_000, 0)}
	cfg := &config.Config{Limits: config.DefaultLimits, Servers: map[string]*config.Server{"s": {Name: "s"}}}
	for _, k := range []string{"", "a_", "b_"} {
		if sources[k] != nil {
			sources[k].subs = map[string]int{}
			cfg.Servers["s"].Sources = append(cfg.Servers["s"].Sources, config.Source{MCP: "http://x/" + k, Prefix: k})
		}
	}
	g, err := New(Config{
		Kinds: []backend.Kind{{Key: "mcp", Open: func(s config.Source, e backend.Env) (backend.Source, error) {
			sources[s.Prefix].emit = e.Emit
			return sources[s.Prefix], nil
		}}},
		Identity: func(config.Auth) identity.Authenticator { return identity.Chain{identity.Anonymous{}} },
		Access:   decider, Policy: policy.None{}, Audit: h.log, Sealing: make([]byte, 32),
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	h.Gateway = g
	return h
}

func (h *house) call(method, name string) *gatehouse.Call {
	return &gatehouse.Call{
		ID: NewID(), Server: "s", Method: method, Name: name, Peer: noPeer{}, Received: h.now,
		Principal: &gatehouse.Principal{Kind: gatehouse.Anonymous, ID: "anonymous"},
		Client:    gatehouse.Client{Era: gatehouse.Modern, Revision: gatehouse.Revision20260728, Capabilities: gatehouse.Capabilities{Elicitation: true}},
	}
}

func echo(c *gatehouse.Call) (*gatehouse.Result, error) {
	return &gatehouse.Result{Raw: []byte(`{"content":[{"type":"resource_link","uri":"file:///x"}],"n":12345678901234567890}`)}, nil
}

func TestCallIsRecordedBeforeItIsMade(t *testing.T) {
	var h *house
	src := &fake{cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	src.do = func(c *gatehouse.Call) (*gatehouse.Result, error) {
		if got := strings.Join(h.log.lines, ","); got != "intent t" {
			t.Errorf("record when the backend is asked = %q, want the intent", got)
		}
		return echo(c)
	}
	h = newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	if _, err := h.Call(t.Context(), h.call("tools/call", "t")); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(h.log.lines, ","), "intent t,outcome complete"; got != want {
		t.Errorf("record = %q, want %q", got, want)
	}
	h.log.fail = true
	src.do = func(*gatehouse.Call) (*gatehouse.Result, error) {
		t.Error("an unrecorded call was made")
		return nil, nil
	}
	_, err := h.Call(t.Context(), h.call("tools/call", "t"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "audit.unavailable" {
		t.Errorf("Call without a record = %v, want audit.unavailable", err)
	}
}

func TestPanicEndsOneCall(t *testing.T) {
	src := &fake{cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	src.do = func(*gatehouse.Call) (*gatehouse.Result, error) { panic("a bug") }
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	res, err := h.Call(t.Context(), h.call("tools/call", "t"))
	if got := strings.Join(h.log.lines, ","); err == nil || res != nil || got != "intent t,outcome error" {
		t.Errorf("Call = %v, %v; record %q", res, err, got)
	}
}

// only lets callers use names that begin with ok.
type only struct{ access.AllowAll }

func (only) Decide(_ context.Context, r *access.Request) (access.Decision, error) {
	return access.Decision{Allow: r.Name == "" || strings.HasPrefix(r.Name, "ok")}, nil
}

func TestListAndCallAgree(t *testing.T) {
	src := &fake{do: echo, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("ok1"), tool("no1"), tool("ok2"), tool("no2")}}}
	h := newHouse(t, only{}, map[string]*fake{"": src})
	res, err := h.Call(t.Context(), h.call("tools/list", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range src.cat.Tools {
		_, err := h.Call(t.Context(), h.call("tools/call", x.Name))
		listed := strings.Contains(string(res.Raw), x.Name)
		if listed != (err == nil) {
			t.Errorf("%s: listed %v, call says %v", x.Name, listed, err)
		}
	}
}

func TestPrefixes(t *testing.T) {
	a := &fake{do: echo, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}, Resources: []gatehouse.Tool{{Name: "file:///x", Def: []byte(`{"uri":"file:///x","name":"x"}`)}}}}
	var asked string
	b := &fake{cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	b.do = func(c *gatehouse.Call) (*gatehouse.Result, error) {
		asked = c.Target.Name
		return echo(c)
	}
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"a_": a, "b_": b})
	res, err := h.Call(t.Context(), h.call("tools/call", "b_t"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"content":[{"type":"resource_link","uri":"b+file:///x"}],"n":12345678901234567890}`; string(res.Raw) != want || asked != "t" {
		t.Errorf("b_t answered %s (asked as %q), want %s as t", res.Raw, asked, want)
	}
	if _, err := h.Call(t.Context(), h.call("tools/call", "t")); err == nil {
		t.Error("the unprefixed name is callable")
	}
	if _, err := h.Call(t.Context(), h.call("resources/read", "a+file:///x")); err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	b.cat = &backend.Catalog{Version: 2, Err: &gatehouse.Error{Code: "source.unavailable", Msg: "source b_: connection refused"}}
	b.mu.Unlock()
	if _, err := h.Call(t.Context(), h.call("tools/call", "a_t")); err != nil {
		t.Errorf("neighbour of a broken source: %v", err)
	}
	_, err = h.Call(t.Context(), h.call("tools/call", "b_t"))
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != "source.unavailable" {
		t.Errorf("tool of a broken source = %v, want source.unavailable", err)
	}
	res, _ = h.Call(t.Context(), h.call("tools/list", ""))
	if !strings.Contains(string(res.Raw), `"dev.gatehouse/unavailable":[{"source":"b_","reason":"source b_: connection refused"}]`) {
		t.Errorf("list says nothing of the broken source: %s", res.Raw)
	}
}

// asks wants one form answer and then returns it.
func asks(c *gatehouse.Call) (*gatehouse.Result, error) {
	if c.InputResponses == nil {
		return &gatehouse.Result{Input: &gatehouse.Input{State: []byte("park1"), Requests: []gatehouse.InputRequest{
			{Key: "q", Method: "elicitation/create", Params: []byte(`{"message":"ok?"}`)},
		}}}, nil
	}
	return &gatehouse.Result{Raw: []byte(`{"state":"` + string(c.State) + `","got":` + string(c.InputResponses) + `}`)}, nil
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func requestState(t testing.TB, raw []byte) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(raw), `"requestState":"`)
	if !ok {
		t.Fatalf("no requestState in %s", raw)
	}
	return rest[:strings.IndexByte(rest, '"')]
}

func TestInputModern(t *testing.T) {
	src := &fake{do: asks, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t"), tool("u")}}}
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	first, err := h.Call(t.Context(), h.call("tools/call", "t"))
	if err != nil {
		t.Fatal(err)
	}
	state := requestState(t, first.Raw)
	retry := func(change func(*gatehouse.Call)) (*gatehouse.Result, error) {
		c := h.call("tools/call", "t")
		c.InputResponses, c.RequestState = []byte(`{"q":{"action":"accept"}}`), state
		change(c)
		return h.Call(t.Context(), c)
	}
	res, err := retry(func(*gatehouse.Call) {})
	if err != nil || string(res.Raw) != `{"state":"park1","got":{"q":{"action":"accept"}}}` {
		t.Errorf("retry = %v, %v", res, err)
	}
	for name, change := range map[string]func(*gatehouse.Call){
		"altered":         func(c *gatehouse.Call) { c.RequestState = flip(state) },
		"other tool":      func(c *gatehouse.Call) { c.Name = "u" },
		"other arguments": func(c *gatehouse.Call) { c.Arguments = []byte(`{"x":1}`) },
		"other caller":    func(c *gatehouse.Call) { c.Principal = &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:other"} },
		"too long":        func(c *gatehouse.Call) { c.RequestState = strings.Repeat("A", 20<<10) },
		"expired":         func(*gatehouse.Call) { h.now = h.now.Add(time.Hour) },
	} {
		_, err := retry(change)
		if e, ok := errors.AsType[*gatehouse.RPCError](err); !ok || e.Code != gatehouse.CodeInvalidParams {
			t.Errorf("%s: %v, want -32602", name, err)
		}
	}
}

func TestInputLegacy(t *testing.T) {
	src := &fake{do: asks, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	c := h.call("tools/call", "t")
	c.Client.Era, c.Client.Revision = gatehouse.Legacy, gatehouse.Revision20251125
	peer := &asked{text: `{"action":"decline"}`}
	c.Peer = peer
	res, err := h.Call(t.Context(), c)
	if err != nil || string(res.Raw) != `{"state":"park1","got":{"q":{"action":"decline"}}}` {
		t.Errorf("Call = %v, %v", res, err)
	}
	if len(peer.got) != 1 || peer.got[0] != `elicitation/create {"message":"ok?"}` {
		t.Errorf("the client was asked %q", peer.got)
	}
	c = h.call("tools/call", "t")
	c.Client.Capabilities = gatehouse.Capabilities{}
	_, err = h.Call(t.Context(), c)
	if e, ok := errors.AsType[*gatehouse.RPCError](err); !ok || e.Code != gatehouse.CodeMissingCapability {
		t.Errorf("a client without elicitation: %v, want -32021", err)
	}
}

func TestListen(t *testing.T) {
	src := &fake{do: echo, cat: &backend.Catalog{Version: 1, Subscribe: true, Resources: []gatehouse.Tool{{Name: "file:///x", Def: []byte(`{"uri":"file:///x"}`)}}}}
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	s, granted, err := h.Listen(t.Context(), h.call("subscriptions/listen", ""), Want{Resources: true, Prompts: true, URIs: []string{"file:///x"}})
	if err != nil || !granted.Resources || granted.Prompts || granted.Tools || len(granted.URIs) != 1 || src.subs["file:///x"] != 1 { // it has no prompts
		t.Fatalf("Listen = %+v, %v; subscribed %v", granted, err, src.subs)
	}
	for range 1000 { // a slow listener costs one entry a kind
		src.emit(backend.Event{Kind: backend.ResourcesChanged})
		src.emit(backend.Event{Kind: backend.Updated, URI: "file:///x"})
		src.emit(backend.Event{Kind: backend.Updated, URI: "file:///other"})
		src.emit(backend.Event{Kind: backend.PromptsChanged})
	}
	var got []string
	for range 2 {
		m, p, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m+string(p))
	}
	if want := `notifications/resources/list_changed,notifications/resources/updated{"uri":"file:///x"}`; strings.Join(got, ",") != want {
		t.Errorf("events = %q, want %s", got, want)
	}
	h.Drain()
	if _, _, err := s.Next(t.Context()); err == nil {
		t.Error("Next after Drain: no end")
	}
	s.Close()
	if src.subs["file:///x"] != 0 {
		t.Errorf("subscriptions left: %v", src.subs)
	}
}

func TestReloadKeepsUnchangedSources(t *testing.T) {
	src := &fake{do: echo, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	h := newHouse(t, access.AllowAll{}, map[string]*fake{"": src})
	cfg := *h.Gateway.now.Load().cfg
	if err := h.Reload(&cfg); err != nil || src.closed {
		t.Errorf("reload of the same settings: %v, closed %v", err, src.closed)
	}
	if _, err := h.Call(t.Context(), h.call("tools/call", "t")); err != nil {
		t.Error(err)
	}
}
