package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/test/evil"
	"gatehouse/wire"
)

// questions, and how a caller answers them.
var questions = map[string]struct{ params, answer string }{
	"elicitation/create":     {`{"message":"ok?","requestedSchema":{"type":"object","properties":{"n":{"type":"integer","maximum":9007199254740993}}}}`, `{"action":"accept","content":{"n":9007199254740993}}`},
	"sampling/createMessage": {`{"messages":[{"role":"user","content":{"type":"text","text":"hi"}}],"maxTokens":10}`, `{"role":"assistant","model":"m","content":{"type":"text","text":"ho"},"vendor":1.10}`},
	"roots/list":             {`{}`, `{"roots":[{"uri":"file:///x"}]}`},
}

// asks is a server whose tool asks the questions, one after the other, and tells the last answer as its result.
func asks(era string, methods ...string) evil.Behaviour {
	if era == "modern" {
		return on(era, func(r *evil.Request) {
			n := len(strings.Split(strings.Trim(text(r.Params["requestState"]), "."), ".")) - 1 // the state counts the rounds
			if r.Params["requestState"] == nil {
				n = 0
			} else {
				n++
			}
			if n == len(methods) {
				r.Result(`{"resultType":"complete","content":[],"answer":` + string(r.Params["inputResponses"]) + `}`)
				return
			}
			r.Result(`{"resultType":"input_required","inputRequests":{"k":{"method":"` + methods[n] + `","params":` + questions[methods[n]].params + `}},"requestState":"` + strings.Repeat("x.", n) + `x"}`)
		})
	}
	return on(era, func(r *evil.Request) {
		r.Stream()
		answer := ""
		before := len(r.Server.Seen("answer"))
		for i, m := range methods {
			r.Event(`{"jsonrpc":"2.0","id":"q-1","method":"` + m + `","params":` + questions[m].params + `}`)
			got := r.Server.Await("answer", before+i+1, waitMost)
			if len(got) <= before+i {
				return
			}
			var a struct{ Result, Error json.RawMessage }
			_ = json.Unmarshal([]byte(got[before+i].Body), &a)
			if answer = string(a.Result); a.Error != nil {
				answer = string(a.Error)
			}
		}
		r.Event(r.Response(`{"content":[],"answer":{"k":` + answer + `}}`))
	})
}

func text(b []byte) string {
	s, _ := wire.Text(b)
	return s
}

// answerAll answers every question as the table says.
func answerAll(method string, _ []byte) ([]byte, error) { return []byte(questions[method].answer), nil }

// answered makes the retry of a modern call with the answers to what res asks; nil when it asks nothing.
func answered(c *gatehouse.Call, res string) *gatehouse.Call {
	o, _ := wire.ParseObject([]byte(res))
	if text(o.Get("resultType")) != "input_required" {
		return nil
	}
	again := *c
	again.RequestState = text(o.Get("requestState"))
	var answers wire.Object
	reqs, _ := wire.ParseObject(o.Get("inputRequests"))
	for _, m := range reqs {
		q, _ := wire.ParseObject(m.Value)
		answers = append(answers, wire.Member{Name: m.Name, Value: []byte(questions[text(q.Get("method"))].answer)})
	}
	again.InputResponses = answers.Bytes()
	return &again
}

// TestQuestionsAreBridged: each question, in all four combinations of eras, reaches the caller as it was asked and comes back as
// it was answered.
func TestQuestionsAreBridged(t *testing.T) {
	for _, upstream := range []string{"legacy", "modern"} {
		for method, q := range questions {
			want := `"answer":{"k":` + q.answer + `}`
			srv := serve(t, asks(upstream, method, method))
			h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})

			c := legacy(call("a", "t", `{"x":1}`), everything, answerAll)
			if got := h.do(c); !strings.Contains(got, want) {
				t.Errorf("legacy caller, %s upstream: %s, want %s", upstream, got, want)
			}
			if got := c.Peer.(*peer).asked; len(got) != 2 || got[0] != method+" "+q.params {
				t.Errorf("legacy caller, %s upstream: asked %q, want twice %s %s", upstream, got, method, q.params)
			}

			c = call("a", "t", `{"x":1}`)
			c.Client.Capabilities = everything
			rounds, got := 0, h.do(c)
			for next := answered(c, got); next != nil; next = answered(c, got) {
				if rounds++; !strings.Contains(got, `{"method":"`+method+`","params":`+q.params+`}`) {
					t.Errorf("modern caller, %s upstream: asked %s, want %s %s", upstream, got, method, q.params)
				}
				got = h.do(next)
			}
			if rounds != 2 || !strings.Contains(got, want) {
				t.Errorf("modern caller, %s upstream: %s after %d rounds, want %s after 2", upstream, got, rounds, want)
			}
			h.close()
		}
	}
}

// TestAskedForEver: a call that comes back for more and more is ended by a limit.
func TestAskedForEver(t *testing.T) {
	srv := serve(t, named(t, "asks for ever"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	c := call("a", "t", "")
	c.Client.Capabilities = everything
	rounds, got := 0, h.do(c)
	for next := answered(c, got); next != nil; next = answered(next, got) {
		rounds++
		got = h.do(next)
	}
	if rounds != limits().InputRounds || !strings.Contains(got, "more than 5 times") {
		t.Errorf("modern caller: %s after %d rounds, want an end after %d", got, rounds, limits().InputRounds)
	}
	if got := h.do(legacy(call("a", "t", ""), everything, answerAll)); !strings.Contains(got, "more than 100 times") {
		t.Errorf("legacy caller: %s", got)
	}
}

func named(t *testing.T, name string) evil.Behaviour {
	t.Helper()
	b, ok := evil.Named(name)
	if !ok {
		t.Fatalf("no behaviour %q", name)
	}
	return b
}

// TestQuestionFlood: of 3,000 questions at once, a round of them reaches the caller, and the rest is refused.
func TestQuestionFlood(t *testing.T) {
	srv := serve(t, named(t, "asks without end"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	c := call("a", "t", "")
	c.Client.Capabilities = everything
	o, _ := wire.ParseObject([]byte(h.do(c)))
	if reqs, _ := wire.ParseObject(o.Get("inputRequests")); len(reqs) != limits().InputsPerRound {
		t.Errorf("asked %d questions at once, want %d", len(reqs), limits().InputsPerRound)
	}
	for _, x := range srv.Await("answer", 1, waitMost) {
		if !strings.Contains(x.Body, "too many questions at once") {
			t.Errorf("answered %s", x.Body)
		}
	}
}

// TestParkBounds: what a parked call waits for comes, or it is let go: then the upstream is told, and the caller too.
func TestParkBounds(t *testing.T) {
	const lost = "source.parked_lost: source 1 of server s no longer runs the call that these answers belong to"
	open := func(t *testing.T, lim config.Limits) (*evil.Server, *house, *gatehouse.Call) {
		srv := serve(t, asks("legacy", "elicitation/create"))
		c := call("a", "t", "")
		c.Client.Capabilities = everything
		return srv, newHouse(t, calm, lim, config.Source{MCP: srv.URL}), c
	}
	park := func(t *testing.T, h *house, c *gatehouse.Call) *gatehouse.Call {
		t.Helper()
		got := h.do(c)
		next := answered(c, got)
		if next == nil {
			t.Fatalf("call = %s, want a question", got)
		}
		return next
	}
	refusal := func(t *testing.T, srv *evil.Server, why string) {
		t.Helper()
		got := srv.Await("answer", 1, waitMost)
		if len(got) != 1 || !strings.Contains(got[0].Body, why) {
			t.Errorf("the upstream was answered %v, want %s", got, why)
		}
	}
	t.Run("expiry", func(t *testing.T) {
		lim := limits()
		lim.InputTimeout = 1500 * time.Millisecond // the seal counts in seconds
		srv, h, c := open(t, lim)
		next := park(t, h, c)
		refusal(t, srv, "nobody answered in time")
		if got := h.do(next); got != lost && !strings.HasPrefix(got, "-32602 requestState has expired") {
			t.Errorf("late answer = %s", got)
		}
		eventually(t, "the call ends", func() bool { return len(srv.Seen("notifications/cancelled")) == 1 })
	})
	t.Run("full", func(t *testing.T) {
		lim := limits()
		lim.ParkedCalls = 1
		_, h, c := open(t, lim)
		next := park(t, h, c)
		if got, want := h.do(c), "source.busy: source 1 of server s has too many calls that wait for a person"; got != want {
			t.Errorf("second call = %s, want %s", got, want)
		}
		if got := h.do(next); !strings.Contains(got, `"answer"`) {
			t.Errorf("first call = %s", got)
		}
	})
	t.Run("twice", func(t *testing.T) {
		_, h, c := open(t, limits())
		next := park(t, h, c)
		if got := h.do(next); !strings.Contains(got, `"answer"`) {
			t.Errorf("answer = %s", got)
		}
		if got := h.do(next); got != lost {
			t.Errorf("the same answer again = %s, want %s", got, lost)
		}
	})
	t.Run("another node", func(t *testing.T) {
		srv, h, c := open(t, limits())
		next := park(t, h, c)
		other := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		if got := other.do(next); got != lost {
			t.Errorf("answer at another node = %s, want %s", got, lost)
		}
		if n := len(srv.Seen("tools/call")); n != 1 {
			t.Errorf("the tool ran %d times", n)
		}
	})
	t.Run("another caller", func(t *testing.T) {
		_, h, c := open(t, limits())
		next := *park(t, h, c)
		next.Principal = &gatehouse.Principal{Kind: gatehouse.Key, ID: "key:b"}
		if got := h.do(&next); !strings.HasPrefix(got, "-32602 requestState was not issued for this call and this caller") {
			t.Errorf("answer of another caller = %s", got)
		}
	})
	t.Run("no answer yet", func(t *testing.T) {
		_, h, c := open(t, limits())
		next := park(t, h, c)
		none := *next
		none.InputResponses = []byte(`{"other":{}}`)
		got := h.do(&none)
		again := answered(c, got)
		if again == nil {
			t.Fatalf("without the answer = %s, want the question again", got)
		}
		if got := h.do(again); !strings.Contains(got, `"answer"`) {
			t.Errorf("then with it = %s", got)
		}
	})
	t.Run("reload", func(t *testing.T) {
		srv, h, c := open(t, limits())
		park(t, h, c)
		if err := h.Reload(&config.Config{Limits: limits(), Servers: map[string]*config.Server{}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the sessions end", func() bool { return len(srv.Seen("DELETE")) >= 2 })
	})
}

// TestCallerCannotAnswer: an error that a legacy caller answers with reaches a legacy upstream; a caller that leaves lets the
// upstream go at once.
func TestCallerCannotAnswer(t *testing.T) {
	fails := func(string, []byte) ([]byte, error) {
		return nil, &gatehouse.RPCError{Code: -1, Message: "user rejected", Data: []byte(`{"x":1.10}`)}
	}
	for method, want := range map[string]string{
		"sampling/createMessage": `{"content":[],"answer":{"k":{"code":-1,"message":"user rejected","data":{"x":1.10}}}}`,
		"roots/list":             `{"content":[],"answer":{"k":{"code":-1,"message":"user rejected","data":{"x":1.10}}}}`,
		"elicitation/create":     `{"content":[],"answer":{"k":{"action":"cancel"}}}`,
	} {
		srv := serve(t, asks("legacy", method))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		if got := h.do(legacy(call("a", "t", ""), everything, fails)); got != want {
			t.Errorf("%s of a legacy upstream: %s, want %s", method, got, want)
		}
		h.close()
	}
	srv := serve(t, asks("modern", "sampling/createMessage"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	if got, want := h.do(legacy(call("a", "t", ""), everything, fails)), "-1 user rejected"; got != want {
		t.Errorf("sampling of a modern upstream: %s, want %s", got, want)
	}
	for name, c := range map[string]*gatehouse.Call{
		"gone":        legacy(call("a", "t", ""), everything, func(string, []byte) ([]byte, error) { return nil, context.Canceled }),
		"broken":      legacy(call("a", "t", ""), everything, func(string, []byte) ([]byte, error) { return nil, errors.New("broken") }),
		"cannot read": legacy(call("a", "t", ""), everything, nil),
	} {
		srv := serve(t, asks("legacy", "sampling/createMessage"))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		h.do(c)
		if got := srv.Await("answer", 1, waitMost); len(got) != 1 || !strings.Contains(got[0].Body, "the caller does not answer") {
			t.Errorf("%s: the upstream was answered %v", name, got)
		}
		if n := len(h.source("1").parks.m); n != 0 {
			t.Errorf("%s: %d calls are parked", name, n)
		}
		h.close()
	}
}

// TestSharedSessionsKeepCallersApart: a question or message that does not say whose it is reaches nobody while calls of several
// callers are running in one session.
func TestSharedSessionsKeepCallersApart(t *testing.T) {
	src := childSource("speaks when two are there")
	src.Sessions = "shared"
	h := newHouse(t, calm, limits(), src)
	got := make(chan string)
	callers := []*gatehouse.Call{legacy(call("a", "t", `{"whose":"a"}`), everything, answerAll), legacy(call("b", "t", `{"whose":"b"}`), everything, answerAll)}
	for _, c := range callers {
		go func() { got <- h.do(c) }()
	}
	for range callers {
		if s := <-got; !strings.Contains(s, "several callers") {
			t.Errorf("call = %s, want the refusal of the question", s)
		}
	}
	for _, c := range callers {
		p := c.Peer.(*peer)
		if len(p.asked)+len(p.told()) > 0 {
			t.Errorf("%s was asked %q and told %q", c.Principal.ID, p.asked, p.told())
		}
	}
}
