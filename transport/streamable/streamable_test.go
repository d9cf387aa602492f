package streamable

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/transport"
)

// stand is a gateway that answers every call, and counts them.
type stand struct{ calls int }

func (*stand) HasServer(name string) (bool, bool) { return false, name == "s" }
func (*stand) Admit(_ context.Context, c *identity.Credentials) (*gatehouse.Principal, error) {
	return identity.Chain{identity.Anonymous{Network: true}}.Authenticate(context.Background(), c)
}

func (g *stand) Call(_ context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	g.calls++
	return &gatehouse.Result{Raw: []byte(`{"method":"` + c.Method + `"}`)}, nil
}

func (*stand) Listen(context.Context, *gatehouse.Call, gateway.Want) (*gateway.Stream, gateway.Want, error) {
	return nil, gateway.Want{}, &gatehouse.RPCError{Code: -32603}
}
func (*stand) RootsChanged(context.Context, string, *gatehouse.Principal) {}

func handler(t testing.TB) (*Handler, *stand) {
	t.Helper()
	return handlerAt(t, "127.0.0.1:8080", "http://127.0.0.1:8080")
}

func handlerAt(t testing.TB, bind, publicURL string) (*Handler, *stand) {
	t.Helper()
	s, err := transport.NewSessions(make([]byte, 32), config.DefaultLimits, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	g := &stand{}
	h, err := New(Config{
		Gateway: g, Sessions: s, Limits: config.DefaultLimits, PublicURL: publicURL, Origins: []string{"http://app.example:1234"},
		Bind: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(bind)), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h, g
}

func do(h *Handler, method, path, body string, set func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:5"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if set != nil {
		set(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// flip alters the first character of sealed text.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

const (
	meta  = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}`
	greet = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"greet",` + meta + `}}`
)

func modern(r *http.Request) {
	r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
	r.Header.Set("Mcp-Method", "tools/call")
	r.Header.Set("Mcp-Name", "greet")
}

func TestHeadersAgreeWithTheBody(t *testing.T) {
	for name, c := range map[string]struct {
		set    func(h http.Header)
		status int
		want   string
	}{
		"good":            {func(http.Header) {}, 200, `"method":"tools/call"`},
		"base64 name":     {func(h http.Header) { h.Set("Mcp-Name", "=?base64?Z3JlZXQ=?=") }, 200, `"resultType":"complete"`},
		"other name":      {func(h http.Header) { h.Set("Mcp-Name", "secret") }, 400, "-32020"},
		"no name":         {func(h http.Header) { h.Del("Mcp-Name") }, 400, "-32020"},
		"joined names":    {func(h http.Header) { h.Set("Mcp-Name", "greet, greet") }, 400, "-32020"},
		"two names":       {func(h http.Header) { h.Add("Mcp-Name", "greet") }, 400, "http.header_twice"},
		"upper case":      {func(h http.Header) { h.Set("Mcp-Name", "Greet") }, 400, "-32020"},
		"broken sentinel": {func(h http.Header) { h.Set("Mcp-Name", "=?base64?!?=") }, 400, "-32020"},
		"8 bit":           {func(h http.Header) { h["Mcp-Name"] = []string{"gr\xe9et"} }, 400, "http.header_value"},
		"other method":    {func(h http.Header) { h.Set("Mcp-Method", "tools/list") }, 400, "-32020"},
		"no method":       {func(h http.Header) { h.Del("Mcp-Method") }, 400, "-32020"},
		"no version":      {func(h http.Header) { h.Del("Mcp-Protocol-Version") }, 400, "-32020"},
		"other version":   {func(h http.Header) { h.Set("Mcp-Protocol-Version", "2027-01-01") }, 400, "-32020"},
	} {
		h, g := handler(t)
		res := do(h, "POST", "/s/mcp", greet, func(r *http.Request) { modern(r); c.set(r.Header) })
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != c.status || !strings.Contains(string(b), c.want) || (g.calls > 0) != (c.status == 200) {
			t.Errorf("%s: %d %s, %d calls; want %d %s", name, res.StatusCode, b, g.calls, c.status, c.want)
		}
	}
}

// The rest of what HTTP/2 forbids (RFC 9113, section 8.2.2) is refused by net/http.
func TestHTTP2(t *testing.T) {
	for te, status := range map[string]int{"": 200, "trailers": 200, "gzip": 400, "trailers, gzip": 400, "Trailers": 400} {
		h, g := handler(t)
		res := do(h, "POST", "/s/mcp", greet, func(r *http.Request) {
			modern(r)
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			if te != "" {
				r.Header.Set("Te", te)
			}
		})
		if res.StatusCode != status || (g.calls == 1) != (status == 200) {
			t.Errorf("te: %q: %d, %d calls; want %d", te, res.StatusCode, g.calls, status)
		}
	}
}

func TestLegacySession(t *testing.T) {
	h, _ := handler(t)
	res := do(h, "POST", "/s/mcp", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{}}}`, nil)
	id := res.Header.Get("Mcp-Session-Id")
	if res.StatusCode != 200 || id == "" {
		t.Fatalf("initialize: %d, session %q", res.StatusCode, id)
	}
	with := func(r *http.Request) { r.Header.Set("Mcp-Session-Id", id) }
	for _, c := range []struct {
		name, method, body string
		set                func(*http.Request)
		status             int
		want               string
	}{
		{"ping", "POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, with, 200, `"result":{}`},
		{"call", "POST", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x"}}`, with, 200, `"tools/call"`},
		{"notification", "POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, with, 202, ""},
		{"batch", "POST", `[{"jsonrpc":"2.0","id":4,"method":"ping"},{"jsonrpc":"2.0","id":5,"method":"nope"}]`, with, 200, `"id":5,"error":{"code":-32601`},
		{"no session", "POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, nil, 400, "session.missing"},
		{"foreign session", "POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, func(r *http.Request) { r.Header.Set("Mcp-Session-Id", flip(id)) }, 404, "session.unknown"},
		{"bad version", "POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, func(r *http.Request) { with(r); r.Header.Set("Mcp-Protocol-Version", "1999-01-01") }, 400, "http.revision"},
		{"not JSON", "POST", `{`, with, 400, "-32700"},
		{"too large", "POST", `{"a":"` + strings.Repeat("x", 5<<20) + `"}`, with, 413, "http.too_large"},
		{"end", "DELETE", "", with, 204, ""},
		{"after the end", "POST", `{"jsonrpc":"2.0","id":2,"method":"ping"}`, with, 404, "session.unknown"},
	} {
		res := do(h, c.method, "/s/mcp", c.body, c.set)
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.name, res.StatusCode, b, c.status, c.want)
		}
	}
}

func BenchmarkModernCall(b *testing.B) {
	h, _ := handler(b)
	b.ReportAllocs()
	for b.Loop() {
		if res := do(h, "POST", "/s/mcp", greet, modern); res.StatusCode != 200 {
			b.Fatal(res.StatusCode)
		}
	}
}
