package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
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
	"gatehouse/test/evil"
	"gatehouse/transport"
	"gatehouse/wire"
)

func TestMain(m *testing.M) {
	evil.RunChild()
	os.Exit(m.Run())
}

// small are bounds that a test can wait for; calm ones give a busy machine time.
var (
	small = bounds{
		sessions: 8, processes: 3, idle: time.Minute, open: 700 * time.Millisecond, control: 200 * time.Millisecond,
		probe: 200 * time.Millisecond, list: 300 * time.Millisecond, write: 100 * time.Millisecond, stage: 100 * time.Millisecond,
		restart: 20 * time.Millisecond, tick: 10 * time.Millisecond, settle: 5 * time.Millisecond, hold: 50 * time.Millisecond,
	}
	calm = bounds{
		sessions: 64, processes: 3, idle: time.Minute, open: 10 * time.Second, control: 2 * time.Second,
		probe: 10 * time.Second, list: 10 * time.Second, write: 5 * time.Second, stage: 100 * time.Millisecond,
		restart: 20 * time.Millisecond, tick: 10 * time.Millisecond, settle: 5 * time.Millisecond, hold: 5 * time.Second,
	}
)

const waitMost = 10 * time.Second

// limits are the defaults, small enough for a test to exceed them.
func limits() config.Limits {
	l := config.DefaultLimits
	l.ResultBytes, l.Tools, l.ListPages, l.InputTimeout = 5<<20, 100, 5, waitMost
	return l
}

// house is a gateway that publishes one server "s", with sources of the test's making.
type house struct {
	*gateway.Gateway
	t   *testing.T
	log *lines

	mu     sync.Mutex
	opened map[string]*source // by label
}

// lines is a log that keeps its text.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// record is an audit log that forgets.
type record struct{}

func (record) Begin(context.Context, *gatehouse.Call, audit.Decision) (audit.Entry, error) {
	return record{}, nil
}
func (record) End(context.Context, audit.Outcome) error { return nil }
func (record) Note(*audit.Record) error                 { return nil }
func (record) Close() error                             { return nil }

// newHouse opens the sources, those with the prefix evil_ or none with the bounds, others with calm ones.
func newHouse(t *testing.T, b bounds, lim config.Limits, sources ...config.Source) *house {
	t.Helper()
	h := &house{t: t, log: &lines{}, opened: map[string]*source{}}
	opens := func(open func(bounds, config.Source, backend.Env) (backend.Source, error)) func(config.Source, backend.Env) (backend.Source, error) {
		return func(src config.Source, env backend.Env) (backend.Source, error) {
			b := b
			if src.Prefix != "" && src.Prefix != "evil_" {
				b = calm
			}
			s, err := open(b, src, env)
			if err == nil {
				h.mu.Lock()
				h.opened[env.Label] = s.(*source)
				h.mu.Unlock()
			}
			return s, err
		}
	}
	g, err := gateway.New(gateway.Config{
		Kinds:    []backend.Kind{{Key: "mcp", Open: opens(bounds.openHTTP)}, {Key: "command", Open: opens(bounds.openCommand)}},
		Identity: func(config.Auth) identity.Authenticator { return identity.Chain{identity.Anonymous{}} },
		Access:   access.AllowAll{}, Policy: policy.None{}, Audit: record{}, Sealing: make([]byte, 32),
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Gateway = g
	cfg := &config.Config{Limits: lim, Servers: map[string]*config.Server{"s": {Name: "s", Sources: sources}}}
	if err := g.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func (h *house) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := h.Close(ctx); err != nil {
		h.t.Error(err)
	}
}

// source returns the opened source with the label.
func (h *house) source(label string) *source {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened[label]
}

// serve starts an HTTP server that misbehaves.
func serve(t *testing.T, b evil.Behaviour) *evil.Server {
	t.Helper()
	s, err := evil.Serve(b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// child is the source of a child that misbehaves.
func childSource(name string) config.Source {
	return config.Source{Command: []string{os.Args[0]}, Env: map[string]gatehouse.Secret{evil.ChildEnv: gatehouse.NewSecret(name)}}
}

// peer is a caller that keeps what it is told and answers what it is asked.
type peer struct {
	answer func(method string, params []byte) ([]byte, error) // nil: cannot be asked

	mu    sync.Mutex
	notes []string
	asked []string
}

func (p *peer) Notify(_ context.Context, method string, params []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, strings.TrimPrefix(method, "notifications/")+" "+string(params))
	return nil
}

func (p *peer) CanAsk() bool { return p.answer != nil }

func (p *peer) Ask(_ context.Context, method string, params []byte) ([]byte, error) {
	p.mu.Lock()
	p.asked = append(p.asked, method+" "+string(params))
	p.mu.Unlock()
	return p.answer(method, params)
}

func (p *peer) told() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.notes...)
}

// everything a client can be asked.
var everything = gatehouse.Capabilities{Elicitation: true, ElicitationURL: true, Sampling: true, SamplingTools: true, Roots: true}

// call is a call of a tool by somebody, of a modern client that can be asked nothing.
func call(who, name, args string) *gatehouse.Call {
	c := &gatehouse.Call{
		ID: gateway.NewID(), Server: "s", Method: "tools/call", Name: name, Peer: &peer{}, Received: time.Now(),
		Principal: &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:" + who},
		Client:    gatehouse.Client{Era: gatehouse.Modern, Revision: gatehouse.Revision20260728},
	}
	if args != "" {
		c.Arguments = []byte(args)
	}
	return c
}

// legacy makes a call that of a legacy client that answers what it is asked with answer.
func legacy(c *gatehouse.Call, caps gatehouse.Capabilities, answer func(method string, params []byte) ([]byte, error)) *gatehouse.Call {
	c.Client.Era, c.Client.Revision, c.Client.Capabilities, c.Peer = gatehouse.Legacy, gatehouse.Revision20251125, caps, &peer{answer: answer}
	return c
}

// outcome makes one line of what a caller sees of its call.
func outcome(res *gatehouse.Result, err error) string {
	if err == nil {
		return string(res.Raw)
	}
	e, _ := transport.RPC(err, "", gatehouse.Legacy)
	msg, _, _ := strings.Cut(e.Message, " (hint: ")
	o, _ := wire.ParseObject(e.Data)
	if code, ok := wire.Text(o.Get("code")); ok && e.Code == gatehouse.CodeInternal {
		return code + ": " + msg
	}
	return fmt.Sprintf("%d %s", e.Code, msg)
}

// do makes a call within a deadline.
func (h *house) do(c *gatehouse.Call) string {
	ctx, cancel := context.WithTimeout(context.Background(), waitMost)
	defer cancel()
	return outcome(h.Call(ctx, c))
}

// eventually waits until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	end := time.Now().Add(waitMost)
	for !f() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, waitMost)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
