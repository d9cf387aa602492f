package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/backend/upstream"
	"gatehouse/config"
	"gatehouse/wire"
)

// server is an MCP server of both eras, or one of them, that notes in which era its tools are called.
type server struct {
	versions string   // of server/discover; "" does not know it
	refusals []string // answers of the first calls of server/discover, data of -32022 each
	session  string   // Mcp-Session-Id that initialize gives
	answer   func(w http.ResponseWriter, id, progressToken json.RawMessage)
	stream   func(w http.ResponseWriter) // what GET gives; nil gives none

	mu     sync.Mutex // guards what follows
	calls  []string
	probes int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
		}
	}
	if r.Method == http.MethodGet && s.stream != nil {
		s.stream(w)
		return
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&m) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	reply := func(result string) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	}
	switch m.Method {
	case "server/discover":
		s.mu.Lock()
		s.probes++
		n := s.probes - 1
		s.mu.Unlock()
		if n < len(s.refusals) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32022,"message":"no","data":%s}}`, m.ID, s.refusals[n])
			return
		}
		if s.versions == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		reply(`{"resultType":"complete","ttlMs":0,"cacheScope":"private","supportedVersions":` + s.versions + `,"capabilities":{"tools":{}}}`)
	case "initialize":
		if s.session != "" {
			w.Header().Set("Mcp-Session-Id", s.session)
		}
		reply(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`)
	case "tools/call":
		s.mu.Lock()
		s.calls = append(s.calls, r.Header.Get("MCP-Protocol-Version")+" "+r.Header.Get("Mcp-Session-Id"))
		s.mu.Unlock()
		if s.answer != nil {
			s.answer(w, m.ID, m.Params.Meta.ProgressToken)
			return
		}
		reply(`{"resultType":"complete","content":[]}`)
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

func openSource(t *testing.T, h http.Handler) backend.Source {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	src, err := upstream.HTTP.Open(config.Source{MCP: s.URL + "/mcp"}, backend.Env{
		Server: "s", Label: "1", Log: slog.New(slog.DiscardHandler), Limits: config.DefaultLimits, Emit: func(backend.Event) {}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close(context.Background()) })
	return src
}

// listener hears what a call tells its caller.
type listener chan string

func (l listener) Notify(_ context.Context, method string, params []byte) error {
	l <- method + " " + string(params)
	return nil
}
func (listener) CanAsk() bool { return true }
func (listener) Ask(context.Context, string, []byte) ([]byte, error) {
	return []byte(`{"action":"decline"}`), nil
}

func toolCall(era gatehouse.Era, caps gatehouse.Capabilities) *gatehouse.Call {
	return &gatehouse.Call{
		ID: "1", Method: "tools/call", Name: "t", Target: gatehouse.Target{Name: "t"}, Principal: &gatehouse.Principal{ID: "p"}, Peer: make(listener, 9),
		Client: gatehouse.Client{Era: era, Capabilities: caps},
	}
}

// A server of both eras that keeps sessions can ask a legacy caller only in one of them.
func TestEraOfCalls(t *testing.T) {
	const both, modern = `["2026-07-28","2025-11-25"]`, `["2026-07-28"]`
	for _, tc := range []struct {
		name, versions, session string
		era                     gatehouse.Era
		asks                    bool
		want                    string
	}{
		{"a legacy caller that can be asked", both, "abc", gatehouse.Legacy, true, "2025-11-25 abc"},
		{"a legacy caller that cannot be asked", both, "abc", gatehouse.Legacy, false, "2026-07-28 "},
		{"a modern caller", both, "abc", gatehouse.Modern, true, "2026-07-28 "},
		{"a server without sessions", both, "", gatehouse.Legacy, true, "2026-07-28 "},
		{"a modern server", modern, "abc", gatehouse.Legacy, true, "2026-07-28 "},
		{"a legacy server", "", "abc", gatehouse.Modern, true, "2025-11-25 abc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &server{versions: tc.versions, session: tc.session}
			src := openSource(t, s)
			for range 2 { // what the first call finds out holds for the second
				if _, err := src.Call(t.Context(), toolCall(tc.era, gatehouse.Capabilities{Elicitation: tc.asks})); err != nil {
					t.Fatal(err)
				}
			}
			if want := []string{tc.want, tc.want}; !slices.Equal(s.calls, want) {
				t.Errorf("calls came as %q, want %q", s.calls, want)
			}
		})
	}
}

// A server that refuses the revision is taken at its word about what it supports.
func TestRefusedRevision(t *testing.T) {
	const both = `{"supported":["2026-07-28"],"requested":"2026-07-28"}`
	for _, tc := range []struct {
		name     string
		refusals []string
		want     string // how the call came; "" for an error
	}{
		{"once", []string{both}, "2026-07-28 "},
		{"twice", []string{both, both}, ""},
		{"for a legacy one", []string{`{"supported":["2025-11-25","2025-06-18"]}`}, "2025-11-25 abc"},
		{"for an unknown one", []string{`{"supported":["2031-01-01"]}`}, ""},
		{"without a list", []string{`{}`}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &server{versions: `["2026-07-28"]`, refusals: tc.refusals, session: "abc"}
			_, err := openSource(t, s).Call(t.Context(), toolCall(gatehouse.Modern, gatehouse.Capabilities{}))
			var want []string
			if tc.want != "" {
				want = []string{tc.want}
			}
			var ge *gatehouse.Error
			if !slices.Equal(s.calls, want) || (tc.want == "") != (errors.As(err, &ge) && ge.Code == "source.protocol") {
				t.Errorf("calls came as %q, error %v; want %q", s.calls, err, want)
			}
		})
	}
}

// What the first caller finds out, no other asks again.
func TestProbeOnce(t *testing.T) {
	s := &server{versions: `["2026-07-28"]`}
	src := openSource(t, s)
	for range 3 {
		if _, err := src.Call(t.Context(), toolCall(gatehouse.Legacy, gatehouse.Capabilities{Elicitation: true})); err != nil {
			t.Fatal(err)
		}
	}
	if s.probes != 1 {
		t.Errorf("server/discover came %d times, want once", s.probes)
	}
}

// A question that the call does not wait for must not keep a modern caller from the answer that is there.
func TestQuestionBesideAnswer(t *testing.T) {
	s := &server{session: "abc", answer: func(w http.ResponseWriter, id, _ json.RawMessage) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"content\":[],\"done\":true}}\n\n", id)
	}}
	src := openSource(t, s)
	res, err := src.Call(t.Context(), toolCall(gatehouse.Modern, gatehouse.Capabilities{Roots: true}))
	if err != nil {
		t.Fatal(err)
	}
	if res.Input != nil {
		t.Fatalf("Call asks %v, want the answer", res.Input.Requests)
	}
	if o, _ := wire.ParseObject(res.Raw); string(o.Get("done")) != "true" {
		t.Errorf("Call = %s, want the upstream's result", res.Raw)
	}
}

// A legacy caller waits while it is asked something, so it hears of progress meanwhile.
func TestProgressWhileAsked(t *testing.T) {
	asked := make(chan bool)
	s := &server{session: "abc", answer: func(w http.ResponseWriter, _, token json.RawMessage) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n\n")
		w.(http.Flusher).Flush()
		<-asked
		fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":%s,\"progress\":1}}\n\n", token)
		w.(http.Flusher).Flush()
		<-asked
	}}
	src := openSource(t, s)
	defer close(asked)
	c := toolCall(gatehouse.Legacy, gatehouse.Capabilities{Roots: true})
	c.ProgressToken = []byte(`"p"`)
	res, err := src.Call(t.Context(), c)
	if err != nil || res.Input == nil {
		t.Fatalf("Call = %v, %v, want a question", res, err)
	}
	asked <- true
	select {
	case got := <-c.Peer.(listener):
		if want := `notifications/progress {"progressToken":"p","progress":1}`; got != want {
			t.Errorf("the caller hears %s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Error("the caller hears nothing")
	}
}

// A server may ask on the session's own stream as soon as it is called, so that stream is open before the first call.
func TestStreamBeforeCall(t *testing.T) {
	var open atomic.Bool
	ended := make(chan bool)
	s := &server{session: "abc"}
	s.stream = func(w http.ResponseWriter) {
		<-time.After(50 * time.Millisecond) // the stream is slow to open
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		open.Store(true)
		w.(http.Flusher).Flush()
		<-ended
	}
	s.answer = func(w http.ResponseWriter, id, _ json.RawMessage) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[],"open":%t}}`, id, open.Load())
	}
	src := openSource(t, s)
	defer close(ended)
	res, err := src.Call(t.Context(), toolCall(gatehouse.Legacy, gatehouse.Capabilities{Elicitation: true}))
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := wire.ParseObject(res.Raw); string(o.Get("open")) != "true" {
		t.Errorf("Call = %s, want the stream open before it", res.Raw)
	}
}
