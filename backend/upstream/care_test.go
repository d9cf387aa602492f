package upstream

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/internal/limit"
	"gatehouse/test/evil"
)

// offers is a good modern server with a prompt and a resource too.
func offers() evil.Behaviour {
	b := evil.Good("modern")
	b.On = map[string]func(*evil.Request){
		"server/discover": func(r *evil.Request) {
			r.Result(`{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{},"resources":{},"completions":{}}}`)
		},
		"prompts/list":             func(r *evil.Request) { r.Result(`{"prompts":[{"name":"p"}]}`) },
		"resources/list":           func(r *evil.Request) { r.Result(`{"resources":[{"uri":"x:","name":"x"}]}`) },
		"resources/templates/list": func(r *evil.Request) { r.Result(`{"resourceTemplates":[]}`) },
	}
	return b
}

// TestOnlySafeRequestsAreRetried: a connection that breaks before the answer is tried again for what may be made twice, and
// never for a tool.
func TestOnlySafeRequestsAreRetried(t *testing.T) {
	b := offers()
	for _, m := range []string{"tools/call", "prompts/get", "resources/read", "completion/complete"} {
		b.On[m] = func(r *evil.Request) {
			if r.Times() == 1 {
				r.Raw("")
				return
			}
			r.Result(`{"ok":true}`)
		}
	}
	srv := serve(t, b)
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	for _, c := range []struct {
		method, name, params, want string
		times                      int
	}{
		{"tools/call", "t", "", "source.unavailable: source 1 of server s broke off the exchange", 1},
		{"prompts/get", "p", "", `{"ok":true}`, 2},
		{"resources/read", "x:", `{"uri":"x:"}`, `{"ok":true}`, 2},
		{"completion/complete", "", `{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":""}}`, `{"ok":true}`, 2},
	} {
		x := call("a", c.name, "")
		x.Method = c.method
		if c.params != "" {
			x.Params = []byte(c.params)
		}
		if got := h.do(x); got != c.want {
			t.Errorf("%s = %s, want %s", c.method, got, c.want)
		}
		if n := len(srv.Seen(c.method)); n != c.times {
			t.Errorf("%s came in %d times, want %d", c.method, n, c.times)
		}
	}
}

// TestCallsOfABrokenSourceAreKeptAway: after some failures in a row the source is left alone, and says so.
func TestCallsOfABrokenSourceAreKeptAway(t *testing.T) {
	srv := serve(t, on("modern", func(r *evil.Request) { r.Raw("") }))
	good := serve(t, evil.Good("modern"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Prefix: "evil_"}, config.Source{MCP: good.URL, Prefix: "good_"})
	for range limit.BreakAfter {
		if got, want := h.do(call("a", "evil_t", "")), "source.unavailable: source evil_ of server s broke off the exchange"; got != want {
			t.Errorf("call = %s, want %s", got, want)
		}
	}
	for range 3 {
		if got, want := h.do(call("a", "evil_t", "")), "source.unavailable: source evil_ of server s has failed several times in a row"; got != want {
			t.Errorf("call = %s, want %s", got, want)
		}
	}
	if n := len(srv.Seen("tools/call")); n != limit.BreakAfter {
		t.Errorf("%d calls came in, want %d", n, limit.BreakAfter)
	}
	if got := h.do(call("a", "good_t", `{"whose":"a"}`)); got != asGood {
		t.Errorf("the neighbour's call = %s", got)
	}
}

// TestConcurrencyLimit: so many run, four times as many wait, and the rest is told.
func TestConcurrencyLimit(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	running, peak := 0, 0
	srv := serve(t, on("modern", func(r *evil.Request) {
		mu.Lock()
		running++
		peak = max(peak, running)
		mu.Unlock()
		<-release
		mu.Lock()
		running--
		mu.Unlock()
		evil.Answer("modern", r)
	}))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Concurrency: 2})
	const calls = 2 + 2*4
	got := make(chan string, calls)
	for range calls {
		go func() { got <- h.do(call("a", "t", `{"whose":"a"}`)) }()
	}
	eventually(t, "all run or wait", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return running == 2 && h.source("1").slots.Waiting() == calls-2
	})
	if got, want := h.do(call("b", "t", "")), "source.busy: source 1 of server s has 2 calls running and 8 waiting"; got != want {
		t.Errorf("one more = %s, want %s", got, want)
	}
	close(release)
	for range calls {
		if s := <-got; s != asGood {
			t.Errorf("call = %s", s)
		}
	}
	if peak != 2 {
		t.Errorf("%d ran at once, want 2", peak)
	}
}

// TestGrace: the tools of a source that breaks stay listed, as unavailable, for the grace time and no longer, whatever its
// neighbours do; when it is back, so are they.
func TestGrace(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	var mu sync.Mutex
	broken := false
	b := evil.Good("modern")
	b.On = map[string]func(*evil.Request){}
	for _, m := range []string{"server/discover", "tools/list", "tools/call", "subscriptions/listen"} {
		b.On[m] = func(r *evil.Request) {
			mu.Lock()
			is := broken
			mu.Unlock()
			switch {
			case is:
				r.Raw("")
			case m == "tools/list":
				r.Result(`{"tools":[` + evil.Tool("t") + `],"ttlMs":1}`)
			default:
				evil.Answer("modern", r)
			}
		}
	}
	set := func(to bool) { mu.Lock(); broken = to; mu.Unlock() }
	srv, good := serve(t, b), serve(t, evil.Good("modern"))
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Prefix: "evil_", Grace: 600 * time.Millisecond}, config.Source{MCP: good.URL, Prefix: "good_"})
	list := func() string {
		c := call("a", "", "")
		c.Method = "tools/list"
		return h.do(c)
	}
	if got := list(); !strings.Contains(got, `"evil_t"`) || strings.Contains(got, "unavailable") {
		t.Fatalf("list = %s", got)
	}
	set(true)
	h.source("evil_").stale()
	const said = `"dev.gatehouse/unavailable":[{"source":"evil_","reason":"source evil_ of server s broke off the exchange"}]`
	eventually(t, "the list says that it is unavailable", func() bool { return strings.Contains(list(), said) })
	if got := list(); !strings.Contains(got, `"evil_t"`) || !strings.Contains(got, `"good_t"`) {
		t.Errorf("list in the grace time = %s", got)
	}
	if got, want := h.do(call("a", "evil_t", "")), "source.unavailable: source evil_ of server s broke off the exchange"; got != want {
		t.Errorf("call in the grace time = %s, want %s", got, want)
	}
	eventually(t, "the grace time ends", func() bool { return !strings.Contains(list(), `"evil_t"`) })
	if got, want := h.do(call("a", "evil_t", "")), "source.unavailable: source evil_ of server s "; !strings.HasPrefix(got, want) {
		t.Errorf("call after the grace time = %s, want %s…", got, want)
	}
	if got := h.do(call("a", "good_t", `{"whose":"a"}`)); got != asGood {
		t.Errorf("the neighbour's call = %s", got)
	}
	set(false)
	h.source("evil_").brk.Good() // its time is tested apart
	eventually(t, "it is back", func() bool { return h.do(call("a", "evil_t", `{"whose":"a"}`)) == asGood })
}

// TestRestarts: the process that ends over and over waits longer and longer, by whose calls end it; a minute of peace and it is
// forgotten.
func TestRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rs restarts
		s := &source{b: defaults}
		waits := func(key string) time.Duration {
			began := time.Now()
			if err := rs.wait(t.Context(), s, key); err != nil {
				return -1
			}
			return time.Since(began)
		}
		rs.ended("a", time.Now())
		if d := waits("a"); d != 0 {
			t.Errorf("after one end it waits %v", d)
		}
		rs.ended("a", time.Now())
		if d := waits("a"); d < 250*time.Millisecond || d > 500*time.Millisecond {
			t.Errorf("after two ends it waits %v", d)
		}
		for range 4 {
			rs.ended("a", time.Now())
		}
		if d := waits("a"); d != -1 {
			t.Errorf("after six ends it waits %v, want a refusal", d)
		}
		if d := waits("b"); d != 0 {
			t.Errorf("another caller's waits %v", d)
		}
		began := time.Now()
		time.Sleep(2 * longLived)
		rs.ended("a", began)
		if d := waits("a"); d != 0 {
			t.Errorf("after a long life it waits %v", d)
		}
		time.Sleep(2 * longLived)
		if rs.sweep(time.Now()); len(rs.m) != 0 {
			t.Errorf("%d are remembered", len(rs.m))
		}
	})
}

// TestRestartedChild: a child that ends is started again for the next call, and callers do not share theirs.
func TestRestartedChild(t *testing.T) {
	b := calm
	b.restart = 5 * time.Second
	h := newHouse(t, b, limits(), childSource("dies after each answer"))
	for range 3 {
		if got := h.do(call("a", "t", `{"whose":"a"}`)); got != asGood {
			t.Errorf("call = %s", got)
		}
		eventually(t, "it has ended", func() bool {
			return !slices.ContainsFunc(h.source("1").pool.of("key:a"), (*session).alive)
		})
	}
	if got := h.do(call("b", "t", `{"whose":"a"}`)); got != asGood {
		t.Errorf("call of another = %s", got)
	}
	if n := strings.Count(h.log.String(), "process started"); n < 5 { // one of the list, four of the calls
		t.Errorf("%d processes were started, want 5 or more\n%s", n, h.log)
	}
}

// TestChildEnvironment: a child gets the listed variables and those of its source, and no others.
func TestChildEnvironment(t *testing.T) {
	t.Setenv("AZURE_CLIENT_SECRET", "secret")
	t.Setenv("LD_PRELOAD_X", "secret")
	src := childSource("tells its environment")
	src.Env["ITS_OWN"] = gatehouse.NewSecret("value")
	src.Env["TZ"] = gatehouse.NewSecret("Europe/Berlin")
	h := newHouse(t, calm, limits(), src)
	var res struct{ StructuredContent struct{ Env []string } }
	if err := json.Unmarshal([]byte(h.do(call("a", "t", ""))), &res); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range res.StructuredContent.Env {
		name, value, _ := strings.Cut(v, "=")
		names = append(names, name)
		if !slices.Contains(passed, name) && name != "ITS_OWN" && name != evil.ChildEnv || value == "secret" {
			t.Errorf("the child has %s", v)
		}
	}
	if !slices.Contains(res.StructuredContent.Env, "ITS_OWN=value") || !slices.Contains(res.StructuredContent.Env, "TZ=Europe/Berlin") || !slices.Contains(names, "PATH") {
		t.Errorf("the child has %q", names)
	}
}

// TestGroupIsKilled: what a child has started ends with it, when it is let go and when it dies.
func TestGroupIsKilled(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc to see processes of others")
	}
	for _, dies := range []bool{false, true} {
		h := newHouse(t, calm, limits(), childSource(map[bool]string{false: "starts a helper", true: "starts a helper and dies"}[dies]))
		var res struct{ StructuredContent struct{ Helper int } }
		if err := json.Unmarshal([]byte(h.do(call("a", "t", ""))), &res); err != nil || res.StructuredContent.Helper == 0 {
			t.Fatalf("no helper: %v", err)
		}
		stat := fmt.Sprintf("/proc/%d/stat", res.StructuredContent.Helper)
		if !dies {
			if _, err := os.Stat(stat); err != nil {
				t.Errorf("the helper is gone before its time: %v", err)
			}
			h.close()
		}
		eventually(t, "the helper ends", func() bool {
			b, err := os.ReadFile(stat)
			return err != nil || strings.Contains(string(b), ") Z ")
		})
		h.close()
	}
}
