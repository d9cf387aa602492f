package upstream

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/test/evil"
	"gatehouse/wire"
)

// changing is a server of either era whose tools and resource change when they are told to, and that says so.
type changing struct {
	mu      sync.Mutex
	version int
	streams map[*evil.Request]string // open ones
}

func (c *changing) behaviour(era string) evil.Behaviour {
	b := evil.Good(era)
	c.streams = map[*evil.Request]string{}
	const caps = `{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true}}`
	hold := func(r *evil.Request) {
		r.Stream()
		c.mu.Lock()
		c.streams[r] = r.ID
		c.mu.Unlock()
		r.Hang()
		c.mu.Lock()
		delete(c.streams, r)
		c.mu.Unlock()
	}
	b.On = map[string]func(*evil.Request){
		"server/discover": func(r *evil.Request) {
			if era == "modern" {
				r.Result(`{"supportedVersions":["2026-07-28"],"capabilities":` + caps + `}`)
				return
			}
			evil.Answer(era, r)
		},
		"initialize": func(r *evil.Request) {
			r.Status(200, "Content-Type: application/json\r\nMcp-Session-Id: s\r\n", r.Response(`{"protocolVersion":"2025-11-25","capabilities":`+caps+`,"serverInfo":{"name":"x","version":"1"}}`))
		},
		"GET":                  hold,
		"subscriptions/listen": hold,
		"tools/list": func(r *evil.Request) {
			c.mu.Lock()
			defer c.mu.Unlock()
			r.Result(`{"tools":[` + evil.Tool("t"+strings.Repeat("x", c.version)) + `]}`)
		},
		"resources/list":           func(r *evil.Request) { r.Result(`{"resources":[{"uri":"x:1","name":"1"},{"uri":"x:2","name":"2"}]}`) },
		"resources/templates/list": func(r *evil.Request) { r.Result(`{"resourceTemplates":[]}`) },
	}
	return b
}

// say sends a notification on every open stream.
func (c *changing) say(method, params string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.streams {
		r.Event(string(wire.AppendNotification(nil, method, []byte(params))))
	}
}

func (c *changing) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// hears reports whether a stream that is open was asked for the resource.
func (c *changing) hears(uri string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.streams {
		if strings.Contains(string(r.Params["notifications"]), uri) {
			return true
		}
	}
	return false
}

// listen opens a stream of the gateway, and sends what comes on it.
func listen(t *testing.T, h *house, want gateway.Want) (*gateway.Stream, <-chan string) {
	t.Helper()
	c := call("a", "", "")
	c.Method = "subscriptions/listen"
	s, granted, err := h.Listen(t.Context(), c, want)
	if err != nil || !slices.Equal(granted.URIs, want.URIs) {
		t.Fatalf("Listen = %+v, %v", granted, err)
	}
	got := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			m, p, err := s.Next(ctx)
			if err != nil {
				return
			}
			got <- strings.TrimPrefix(m, "notifications/") + string(p)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		s.Close()
	})
	return s, got
}

// TestChangesAreHeard: what an upstream says of its lists reaches a listener, and the list is a new one then.
func TestChangesAreHeard(t *testing.T) {
	for _, era := range []string{"modern", "legacy"} {
		var c changing
		srv := serve(t, c.behaviour(era))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		list := call("a", "", "")
		list.Method = "tools/list"
		h.do(list)
		_, got := listen(t, h, gateway.Want{Tools: true})
		eventually(t, "the upstream is listened to", func() bool { return c.open() == 1 })
		c.mu.Lock()
		c.version++
		c.mu.Unlock()
		c.say("notifications/tools/list_changed", "{}")
		if m := <-got; m != "tools/list_changed" {
			t.Errorf("%s: heard %s", era, m)
		}
		eventually(t, era+": the list is new", func() bool { return strings.Contains(h.do(list), `"tx"`) })
		h.close()
	}
}

// TestUpdatesAreHeard: subscriptions reach the upstream in the way of its era, only what was subscribed to comes back, and the
// last one to leave unsubscribes.
func TestUpdatesAreHeard(t *testing.T) {
	for _, era := range []string{"modern", "legacy"} {
		var c changing
		srv := serve(t, c.behaviour(era))
		h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
		s, got := listen(t, h, gateway.Want{URIs: []string{"x:1"}})
		subscribed := func(uri string) bool {
			if era == "legacy" {
				return slices.ContainsFunc(srv.Seen("resources/subscribe"), func(x evil.Seen) bool { return strings.Contains(x.Body, uri) })
			}
			return c.hears(uri)
		}
		eventually(t, era+": x:1 is subscribed to", func() bool { return subscribed("x:1") && c.open() == 1 })
		c.say("notifications/resources/updated", `{"uri":"x:2"}`)
		c.say("notifications/resources/updated", `{"uri":"x:1","vendor":1}`)
		if m := <-got; m != `resources/updated{"uri":"x:1"}` {
			t.Errorf("%s: heard %s", era, m)
		}
		more := call("a", "x:2", "")
		more.Method = "resources/subscribe"
		if err := s.Subscribe(t.Context(), more); err != nil {
			t.Fatal(err)
		}
		eventually(t, era+": x:2 is subscribed to", func() bool { return subscribed("x:2") })
		eventually(t, era+": one stream is open", func() bool { return c.open() == 1 })
		c.say("notifications/resources/updated", `{"uri":"x:2"}`)
		if m := <-got; m != `resources/updated{"uri":"x:2"}` {
			t.Errorf("%s: heard %s", era, m)
		}
		s.Unsubscribe("x:1")
		s.Unsubscribe("x:2")
		eventually(t, era+": nothing is subscribed to", func() bool {
			if era == "legacy" {
				return len(srv.Seen("resources/unsubscribe")) == 2
			}
			return !subscribed("x:")
		})
		h.close()
	}
}

// TestManySubscriptions: each change opens another listen; none of them is left behind.
func TestManySubscriptions(t *testing.T) {
	var c changing
	srv := serve(t, c.behaviour("modern"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	s, _ := listen(t, h, gateway.Want{URIs: []string{"x:1"}})
	x := call("a", "x:2", "")
	x.Method = "resources/subscribe"
	for range 200 {
		if err := s.Subscribe(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		s.Unsubscribe("x:2")
	}
	eventually(t, "one stream is open", func() bool { return c.open() == 1 })
}

// TestSourceThatComesLate: a server that was told of as missing is announced once it is there.
func TestSourceThatComesLate(t *testing.T) {
	var c changing
	b := c.behaviour("modern")
	var mu sync.Mutex
	ready := false
	discover := b.On["server/discover"]
	b.On["server/discover"] = func(r *evil.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !ready {
			r.Raw("")
			return
		}
		discover(r)
	}
	srv := serve(t, b)
	good := serve(t, evil.Good("modern"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Prefix: "evil_"}, config.Source{MCP: good.URL, Prefix: "good_"})
	_, got := listen(t, h, gateway.Want{Tools: true})
	list := call("a", "", "")
	list.Method = "tools/list"
	if s := h.do(list); !strings.Contains(s, `"good_t"`) || !strings.Contains(s, `"source":"evil_"`) {
		t.Errorf("list = %s", s)
	}
	mu.Lock()
	ready = true
	mu.Unlock()
	if m := <-got; m != "tools/list_changed" {
		t.Errorf("heard %s", m)
	}
	if s := h.do(list); !strings.Contains(s, `"evil_t"`) {
		t.Errorf("list = %s", s)
	}
}

// TestMessagesOutsideOfCalls reach the stream of the principal whose session they came on, and no other.
func TestMessagesOutsideOfCalls(t *testing.T) {
	src := childSource("speaks after its answer")
	h := newHouse(t, calm, limits(), src)
	_, a := listen(t, h, gateway.Want{Messages: true})
	if got := h.do(call("b", "t", "")); got != done {
		t.Fatalf("call = %s", got)
	}
	if got := h.do(call("a", "t", "")); got != done {
		t.Fatalf("call = %s", got)
	}
	if m := <-a; m != `message{"level":"emergency","data":"evil"}` {
		t.Errorf("heard %s", m)
	}
	select {
	case m := <-a:
		t.Errorf("heard %s too", m)
	default:
	}
}
