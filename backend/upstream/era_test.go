package upstream

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/test/evil"
)

// contact is what has come in at a server, in order, up to its first list.
func contact(srv *evil.Server) string {
	var out []string
	for _, x := range srv.Seen("") {
		switch x.Method {
		case "tools/list":
			return strings.Join(out, " ")
		case "notifications/initialized", "DELETE":
		default:
			out = append(out, x.Method)
		}
	}
	return strings.Join(out, " ")
}

// TestEra holds the choice of the era to the table (MCP 2026-07-28, versioning): what the upstream answers to
// server/discover, and what we then speak.
func TestEra(t *testing.T) {
	status := func(code int, body string) func(*evil.Request) {
		return func(r *evil.Request) {
			r.Status(code, "Content-Type: application/json\r\n", strings.ReplaceAll(body, "ID", r.ID))
		}
	}
	rpc := func(code, rpc int) func(*evil.Request) {
		return status(code, fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":"x"}}`, rpc))
	}
	result := func(s string) func(*evil.Request) { return func(r *evil.Request) { r.Result(s) } }
	const asked, handshake = "server/discover", "server/discover initialize"
	for _, c := range []struct {
		name, pinned, era string // of the server besides its answer
		discover          func(*evil.Request)
		want, contact     string
		is                gatehouse.Era
	}{
		{"a result", "", "modern", nil, asGood, asked, gatehouse.Modern},
		{"a result of several versions", "", "modern", result(`{"supportedVersions":["2027-01-01","2026-07-28"],"capabilities":{"tools":{}}}`), asGood, asked, gatehouse.Modern},
		{"header mismatch", "", "modern", rpc(400, -32020), asGood, asked, gatehouse.Modern},
		{"missing capability", "", "modern", rpc(400, -32021), asGood, asked, gatehouse.Modern},
		{"unsupported version", "", "legacy", rpc(400, -32022), "source.protocol: source 1 of server s speaks no revision that Gatehouse speaks", asked, 0},
		{"method not found as 404", "", "modern", rpc(404, -32601), asGood, asked, gatehouse.Modern},
		{"method not found as 200", "", "legacy", rpc(200, -32601), asGood, handshake, gatehouse.Legacy},
		{"method not found as 400", "", "legacy", rpc(400, -32601), asGood, handshake, gatehouse.Legacy},
		{"not initialised", "", "legacy", rpc(400, -32000), asGood, handshake, gatehouse.Legacy},
		{"code of a pre-release", "", "legacy", rpc(400, -32001), asGood, handshake, gatehouse.Legacy},
		{"empty 400", "", "legacy", status(400, ""), asGood, handshake, gatehouse.Legacy},
		{"404 with text", "", "legacy", status(404, "not found"), asGood, handshake, gatehouse.Legacy},
		{"405", "", "legacy", status(405, ""), asGood, handshake, gatehouse.Legacy},
		{"406", "", "legacy", status(406, ""), asGood, handshake, gatehouse.Legacy},
		{"200 without JSON", "", "legacy", status(200, "OK"), asGood, handshake, gatehouse.Legacy},
		{"a result without our version", "", "legacy", result(`{"supportedVersions":["2099-01-01"]}`), asGood, handshake, gatehouse.Legacy},
		{"HTTP+SSE", "", "sse", nil, asGood, handshake + " GET initialize", gatehouse.Legacy},
		{"500", "", "legacy", status(500, ""), "source.unavailable: source 1 of server s answered with HTTP status 500", asked + " " + asked, 0},
		{"401", "", "legacy", status(401, ""), "source.unauthorized: source 1 of server s refuses the credentials of Gatehouse (HTTP status 401)", asked, 0},
		{"pinned legacy", "legacy", "legacy", nil, asGood, "initialize", gatehouse.Legacy},
		{"pinned modern", "modern", "modern", nil, asGood, asked, gatehouse.Modern},
		{"pinned modern, but legacy", "modern", "legacy", nil, "source.protocol: source 1 of server s does not speak revision 2026-07-28", asked, gatehouse.Modern},
		{"pinned legacy, but modern", "legacy", "modern", nil, "source.unavailable: source 1 of server s answered with HTTP status 404", "initialize", gatehouse.Legacy},
		{"pinned sse", "sse", "sse", nil, asGood, "GET initialize", gatehouse.Legacy},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := evil.Good(c.era)
			if c.discover != nil {
				b.On = map[string]func(*evil.Request){"server/discover": c.discover}
			}
			srv := serve(t, b)
			h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL, Era: c.pinned})
			if got := h.do(call("a", "t", `{"whose":"a"}`)); got != c.want {
				t.Errorf("call = %s\nwant %s", got, c.want)
			}
			if got := h.source("1").Status().Era; got != c.is {
				t.Errorf("era = %v, want %v", got, c.is)
			}
			h.close()
			if got := contact(srv); got != c.contact {
				t.Errorf("asked %s, want %s", got, c.contact)
			}
		})
	}
}

// TestEraOfChildren: a child is asked first; one that ends or says nothing is started again, or initialised, as legacy.
func TestEraOfChildren(t *testing.T) {
	for name, is := range map[string]gatehouse.Era{
		"good": gatehouse.Legacy, "good modern": gatehouse.Modern, "ends unless initialised first": gatehouse.Legacy, "ignores what it does not know": gatehouse.Legacy,
	} {
		b := calm
		if name == "ignores what it does not know" {
			b.probe = small.probe
		}
		h := newHouse(t, b, limits(), childSource(name))
		if got := h.do(call("a", "t", `{"whose":"a"}`)); got != asGood {
			t.Errorf("%s: call = %s", name, got)
		}
		if got := h.source("1").Status().Era; got != is {
			t.Errorf("%s: era = %v, want %v", name, got, is)
		}
		h.close()
	}
}

// TestEraIsRemembered: one question is enough, until calls begin to fail; then it is asked again.
func TestEraIsRemembered(t *testing.T) {
	var old evil.Behaviour // what it becomes
	var was func(*evil.Request)
	changed := make(chan struct{})
	each := func(r *evil.Request) {
		select {
		case <-changed:
			was(r)
		default:
			evil.Answer("modern", r)
		}
	}
	was = func(r *evil.Request) { evil.Answer("legacy", r) }
	old = evil.Good("modern")
	old.On = map[string]func(*evil.Request){}
	for _, m := range []string{"server/discover", "initialize", "notifications/initialized", "tools/list", "GET", "DELETE"} {
		old.On[m] = each
	}
	old.On["tools/call"] = func(r *evil.Request) {
		if r.Header.Get("Mcp-Method") != "" { // a modern call
			select {
			case <-changed:
				r.Status(400, "", "")
				return
			default:
			}
		}
		evil.Answer("legacy", r)
	}
	srv := serve(t, old)
	h := newHouse(t, calm, limits(), config.Source{MCP: srv.URL})
	for range 3 {
		if got := h.do(call("a", "t", `{"whose":"a"}`)); got != asGood {
			t.Fatalf("call = %s", got)
		}
	}
	if n := len(srv.Seen("server/discover")); n != 2 && n != 1 { // of the list and of the first call may come together
		t.Errorf("discovered %d times, want once", n)
	}
	before := len(srv.Seen("server/discover"))
	close(changed)
	if got, want := h.do(call("a", "t", `{"whose":"a"}`)), "source.unavailable: source 1 of server s answered with HTTP status 400"; got != want {
		t.Errorf("first call after the change = %s, want %s", got, want)
	}
	if got := h.do(call("a", "t", `{"whose":"a"}`)); got != asGood {
		t.Errorf("second call after the change = %s", got)
	}
	if got := h.source("1").Status().Era; got != gatehouse.Legacy {
		t.Errorf("era = %v, want legacy", got)
	}
	if n := len(srv.Seen("server/discover")); n == before {
		t.Error("not discovered again")
	}
}
