package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/test/evil"
)

// on is a good server but for what do does on a call.
func on(era string, do func(*evil.Request)) evil.Behaviour {
	b := evil.Good(era)
	b.On = map[string]func(*evil.Request){"tools/call": do}
	return b
}

// TestResultsSurvive: what SDKs lose on the way (protocol reference 11.1) comes out byte for byte, in either era.
func TestResultsSurvive(t *testing.T) {
	for _, result := range []string{
		`{"content":[],"structuredContent":{"n":12345678901234567890,"f":1.10,"e":1E+2,"z":-0.0}}`,
		`{"content":[{"type":"text","text":"x","vendor":{"a":[null]},"annotations":{"priority":0.50,"unknown":true}}],"unknown":9007199254740993}`,
		`{"content":[{"type":"video","data":"AAA","mimeType":"video/x"}]}`,
		`{"content":[{"type":"image","data":"AAA","mimeType":"image/png"}]}`,
		`{"content":[],"structuredContent":null,"isError":false}`,
		`{"content":[],"structuredContent":[1,"two",{"three":3}]}`,
		`{ "content" : [ ] , "_meta" : { "vendor/key" : "\u00e9\/\ud83d\ude00", "progressToken":"mine" } }`,
		`{"b":1,"a":2,"content":[{"type":"resource","resource":{"uri":"x:","text":"\n\u2028"}}]}`,
		`{"content":[{"type":"text","text":"<script>&amp;</script>"}],"isError":true}`,
	} {
		for _, era := range []string{"modern", "legacy"} {
			srv := serve(t, on(era, func(r *evil.Request) { r.Result(result) }))
			h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
			if got := h.do(call("a", "t", "")); got != result {
				t.Errorf("%s: %s\nbecame %s", era, result, got)
			}
			h.close()
		}
	}
}

// TestDefinitionsSurvive: so do definitions, but for what a gateway must take away.
func TestDefinitionsSurvive(t *testing.T) {
	for def, want := range map[string]string{
		`{"name":"t","inputSchema":{"type":"object","properties":{"n":{"maximum":9007199254740993,"x-vendor":[1.10]}}}}`:                          "",
		`{"name":"t","annotations":{"readOnlyHint":true,"vendor":1},"inputSchema":{"type":"object"},"outputSchema":{"type":"array"},"vendor":{}}`: "",
		`{"name":"t","_meta":{"a/b":1e400},"icons":[{"src":"x:"}],"inputSchema":{"type":"object"}}`:                                               "",
		`{"name":"t","execution":{"taskSupport":"required"},"inputSchema":{"type":"object"}}`:                                                     `{"name":"t","inputSchema":{"type":"object"}}`,
	} {
		if want == "" {
			want = def
		}
		b := evil.Good("modern")
		b.On = map[string]func(*evil.Request){"tools/list": func(r *evil.Request) { r.Result(`{"tools":[` + def + `]}`) }}
		srv := serve(t, b)
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		list := call("a", "", "")
		list.Method = "tools/list"
		if got := h.do(list); !strings.Contains(got, `"tools":[`+want+`]`) {
			t.Errorf("%s\nis listed as %s", def, got)
		}
		h.close()
	}
}

// TestArgumentsSurvive: the upstream gets the caller's arguments and metadata as they were written, under an id and a token of
// ours, and nothing that is the caller's secret.
func TestArgumentsSurvive(t *testing.T) {
	const args = `{ "n" : 12345678901234567890, "s":"\u0041", "x":1.10 }`
	for _, era := range []string{"modern", "legacy"} {
		srv := serve(t, evil.Good(era))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Headers: map[string]gatehouse.Secret{"X-Key": gatehouse.NewSecret("k")}})
		c := call("a", "t", args)
		c.Meta, c.ProgressToken = []byte(`{"vendor/x":1.10,"traceparent":"00-1-2-01","baggage":"secret=1"}`), []byte(`"mine"`)
		c.Client.Name = "vscode"
		if got, want := h.do(c), `{"content":[],"structuredContent":`+args+`,"resultType":"complete"}`; got != want {
			t.Errorf("%s: result = %s, want %s", era, got, want)
		}
		got := srv.Seen("tools/call")[0]
		for _, want := range []string{`"arguments":` + args, `"vendor/x":1.10`, `"traceparent":"00-1-2-01"`} {
			if !strings.Contains(got.Body, want) {
				t.Errorf("%s: %s is not in %s", era, want, got.Body)
			}
		}
		for _, never := range []string{"baggage", "mine", "key:a"} {
			if strings.Contains(got.Body, never) || strings.Contains(fmt.Sprint(got.Header), never) {
				t.Errorf("%s: %s is in %s %v", era, never, got.Body, got.Header)
			}
		}
		if got.Header.Get("X-Key") != "k" {
			t.Errorf("%s: header X-Key = %q", era, got.Header.Get("X-Key"))
		}
		if name := got.Header.Get("Mcp-Name"); (name == "t") != (era == "modern") {
			t.Errorf("%s: Mcp-Name = %q", era, name)
		}
		if id := got.Header.Get("Mcp-Session-Id"); (id == evil.Session) != (era == "legacy") {
			t.Errorf("%s: Mcp-Session-Id = %q", era, id)
		}
		h.close()
	}
}

// TestIdsAndTokensAreOurs: callers that use the same ids and tokens do not meet, even in one session, and each hears of its
// own progress under its own token.
func TestIdsAndTokensAreOurs(t *testing.T) {
	const callers = 8
	for _, src := range []struct {
		era string
		cfg config.Source
	}{{"modern", config.Source{}}, {"legacy", config.Source{}}, {"legacy", config.Source{Sessions: "shared"}}} {
		srv := serve(t, on(src.era, func(r *evil.Request) {
			r.Server.Await("tools/call", callers, waitMost) // all are under way at once
			var args struct{ Whose string }
			_ = json.Unmarshal(r.Params["arguments"], &args)
			r.Stream()
			r.Event(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + r.Token() + `,"progress":1,"message":"` + args.Whose + `"}}`)
			r.Event(r.Response(`{"content":[],"whose":"` + args.Whose + `"}`))
		}))
		src.cfg.MCP = srv.URL
		h := newHouse(t, calm, limits(), src.cfg)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				who := fmt.Sprintf("caller-%d", i)
				c := call(who, "t", `{"whose":"`+who+`"}`)
				c.ProgressToken = []byte("7")
				if got, want := h.do(c), `{"content":[],"whose":"`+who+`"}`; got != want {
					t.Errorf("%s: %s got %s", src.era, who, got)
				}
				want := []string{`progress {"progressToken":7,"progress":1,"message":"` + who + `"}`}
				if got := c.Peer.(*peer).told(); !slices.Equal(got, want) {
					t.Errorf("%s: %s was told %q, want %q", src.era, who, got, want)
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, x := range srv.Seen("tools/call") {
			var m struct {
				ID     json.Number
				Params struct {
					Meta struct{ ProgressToken json.Number } `json:"_meta"`
				}
			}
			if err := json.Unmarshal([]byte(x.Body), &m); err != nil || seen[m.ID.String()] || m.Params.Meta.ProgressToken != m.ID {
				t.Errorf("%s: %s: id used twice, or token not ours: %v", src.era, x.Body, err)
			}
			seen[m.ID.String()] = true
		}
		h.close()
	}
}

// TestCancellationPasses: a caller that leaves ends the call upstream, in the way of the era.
func TestCancellationPasses(t *testing.T) {
	for _, era := range []string{"modern", "legacy"} {
		gone := make(chan struct{})
		srv := serve(t, on(era, func(r *evil.Request) {
			r.Hang()
			close(gone)
		}))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			srv.Await("tools/call", 1, waitMost)
			cancel()
		}()
		if _, err := h.Call(ctx, call("a", "t", "")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: call = %v, want %v", era, err, context.Canceled)
		}
		<-gone
		if era == "legacy" {
			var m struct{ ID json.Number }
			_ = json.Unmarshal([]byte(srv.Seen("tools/call")[0].Body), &m)
			got := srv.Await("notifications/cancelled", 1, waitMost)
			if len(got) != 1 || !strings.Contains(got[0].Body, `"params":{"requestId":`+m.ID.String()+`}`) {
				t.Errorf("cancellation = %v, want one of request %s", got, m.ID)
			}
		} else if got := srv.Seen("notifications/cancelled"); len(got) > 0 {
			t.Errorf("modern: %v, want none: closing the stream says it", got)
		}
		h.close()
	}
	h := newHouse(t, calm, limits(), childSource("waits to be cancelled"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := call("a", "t", "")
	c.LogLevel = "debug"
	go func() {
		for len(c.Peer.(*peer).told()) == 0 && ctx.Err() == nil {
			sleep(ctx, 1)
		}
		cancel()
	}()
	if _, err := h.Call(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("child: call = %v, want %v", err, context.Canceled)
	}
	eventually(t, "the child hears of the cancellation", func() bool { return strings.Contains(h.log.String(), "was cancelled") })
}

// TestTimeoutIsTold: a call that takes too long is cancelled upstream too.
func TestTimeoutIsTold(t *testing.T) {
	srv := serve(t, on("legacy", (*evil.Request).Hang))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Timeout: 50_000_000})
	if got, want := h.do(call("a", "t", "")), "source.timeout: source 1 of server s did not answer in time"; got != want {
		t.Errorf("call = %s, want %s", got, want)
	}
	if got := srv.Await("notifications/cancelled", 1, waitMost); len(got) != 1 {
		t.Errorf("cancellations = %v, want one", got)
	}
}

// slowPeer reads nothing until it is let.
type slowPeer struct {
	peer
	waiting chan struct{} // gets a token once something waits for it; capacity 1
	let     chan struct{}
}

func (p *slowPeer) Notify(ctx context.Context, method string, params []byte) error {
	select {
	case p.waiting <- struct{}{}:
	default:
	}
	<-p.let
	return p.peer.Notify(ctx, method, params)
}

// TestSlowCallerKeepsNobodyWaiting: in a session that callers share, one that does not read keeps only its own call.
func TestSlowCallerKeepsNobodyWaiting(t *testing.T) {
	src := childSource("reports progress")
	src.Sessions = "shared"
	h := newHouse(t, calm, limits(), src)
	slow := &slowPeer{waiting: make(chan struct{}, 1), let: make(chan struct{})}
	a, b := call("a", "t", `{"whose":"a"}`), call("b", "t", `{"whose":"a"}`)
	a.Peer, a.ProgressToken, b.ProgressToken = slow, []byte("1"), []byte("1")
	got := make(chan string, 1)
	go func() { got <- h.do(a) }()
	select {
	case <-slow.waiting:
	case <-time.After(10 * time.Second):
		t.Fatal("the slow caller is told nothing")
	}
	if s := h.do(b); s != asGood {
		t.Errorf("call of another = %s", s)
	}
	if n := len(b.Peer.(*peer).told()); n < maxTold {
		t.Errorf("the other was told %d times before its answer, want %d or more", n, maxTold)
	}
	select {
	case s := <-got:
		t.Errorf("call = %s before its caller was told what came before", s)
	default:
	}
	close(slow.let)
	if s := <-got; s != asGood {
		t.Errorf("call = %s", s)
	}
	if n := len(slow.told()); n < maxTold || n > maxTold+1 {
		t.Errorf("the slow caller was told %d times, want %d, and one that was under way", n, maxTold)
	}
}

// TestLateAnswerIsNobodys: what a child answers after its call has ended reaches no other call.
func TestLateAnswerIsNobodys(t *testing.T) {
	h := newHouse(t, calm, limits(), func() config.Source {
		src := childSource("answers one late")
		src.Timeout, src.Sessions = 300_000_000, "shared"
		return src
	}())
	if got, want := h.do(call("a", "t", `{"whose":"a"}`)), "source.timeout: source 1 of server s did not answer in time"; got != want {
		t.Errorf("first call = %s, want %s", got, want)
	}
	if got, want := h.do(call("b", "t", `{"whose":"b"}`)), `{"content":[],"structuredContent":{"whose":"b"},"resultType":"complete"}`; got != want {
		t.Errorf("second call = %s, want %s", got, want)
	}
}
