package hostile

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/wire"
)

// altered returns sealed text with every bit flipped once, cut at every place, and written in other ways.
func altered(t *testing.T, sealed string) map[string]string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{
		"longer": sealed + "A", "padded": sealed + "=", "doubled": sealed + sealed, "line break": sealed[:8] + "\n" + sealed[8:], "blank": sealed + " ", "dot": sealed + ".",
		"a zero byte more": base64.RawURLEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)),
		"no seal":          base64.RawURLEncoding.EncodeToString(raw[12:]),
		"upper case":       strings.ToUpper(sealed), "made up": strings.Repeat("A", len(sealed)),
	}
	if s := base64.RawStdEncoding.EncodeToString(raw); s != sealed {
		out["other alphabet"] = s
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			out[fmt.Sprintf("bit %d of byte %d", bit, i)] = base64.RawURLEncoding.EncodeToString(raw)
			raw[i] ^= 1 << bit
		}
	}
	for n := 1; n < len(sealed); n++ {
		out[fmt.Sprintf("first %d characters", n)] = sealed[:n]
	}
	return out
}

// expect posts and compares the answer, and that nothing reached the recorder.
func (r *rig) expect(t *testing.T, name string, status int, want string, post func() (int, []byte, http.Header)) {
	t.Helper()
	got, answer, _ := post()
	rpc, code := fault(answer)
	if got != status || rpc != want && code != want || len(r.take()) > 0 {
		t.Errorf("%s: %d %s, want %d %s and no call", name, got, answer, status, want)
	}
}

const ping = `{"jsonrpc":"2.0","id":2,"method":"ping"}`

func as(who string, set func(http.Header)) func(http.Header) {
	return func(h http.Header) {
		set(h)
		h.Set("Authorization", "Bearer "+who)
	}
}

// TestIsolationOfSessions is T-ISOLATION for Mcp-Session-Id: possession proves nothing, and all that is not the caller's
// own live session at this server is answered alike.
func TestIsolationOfSessions(t *testing.T) {
	r := newRig(t, func(l *config.Limits) { l.PageSize = 2 })
	id := r.session(t, "s", gatehouse.Revision20251125, "alice")
	use := func(server, id, who string) func() (int, []byte, http.Header) {
		return func() (int, []byte, http.Header) { return r.post("/"+server+"/mcp", ping, as(who, within(id))) }
	}
	if status, answer, _ := use("s", id, "alice")(); status != 200 {
		t.Fatalf("her own session: %d %s", status, answer)
	}
	r.expect(t, "another caller", 404, "session.unknown", use("s", id, "bob"))
	r.expect(t, "another server", 404, "session.unknown", use("other", id, "alice"))
	r.expect(t, "nobody", 401, "auth.required", func() (int, []byte, http.Header) {
		return r.post("/s/mcp", ping, func(h http.Header) { within(id)(h); h.Del("Authorization") })
	})
	r.expect(t, "no id", 400, "session.missing", use("s", "", "alice"))
	r.expect(t, "a megabyte", 404, "session.unknown", use("s", strings.Repeat("A", 1<<20), "alice"))
	for name, text := range altered(t, id) {
		if name == "line break" { // no header can carry it
			continue
		}
		r.expect(t, name, 404, "session.unknown", use("s", text, "alice"))
	}
	r.expect(t, "a cursor", 404, "session.unknown", use("s", r.cursor(t, "tools/list"), "alice"))
	r.expect(t, "a request state", 404, "session.unknown", use("s", r.state(t), "alice"))
	foreign := newRigAt(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, 7, nil).session(t, "s", gatehouse.Revision20251125, "alice")
	r.expect(t, "another key", 404, "session.unknown", use("s", foreign, "alice"))

	for _, method := range []string{"GET", "DELETE"} {
		r.expect(t, method+" by another", 404, "session.unknown", func() (int, []byte, http.Header) {
			return r.do(method, "/s/mcp", "", func(h http.Header) { as("bob", within(id))(h); h.Set("Accept", "text/event-stream") })
		})
	}
	if status, answer, _ := use("s", id, "alice")(); status != 200 {
		t.Fatalf("after another's DELETE: %d %s", status, answer)
	}
	if status, answer, _ := r.do("DELETE", "/s/mcp", "", within(id)); status != 204 {
		t.Fatalf("DELETE: %d %s", status, answer)
	}
	r.expect(t, "after DELETE", 404, "session.unknown", use("s", id, "alice"))
	r.expect(t, "a batch after DELETE", 404, "session.unknown", func() (int, []byte, http.Header) {
		return r.post("/s/mcp", "["+ping+"]", within(id))
	})
	for _, method := range []string{"GET", "DELETE"} {
		r.expect(t, method+" after DELETE", 404, "session.unknown", func() (int, []byte, http.Header) {
			return r.do(method, "/s/mcp", "", func(h http.Header) { within(id)(h); h.Set("Accept", "text/event-stream") })
		})
	}

	idle := r.session(t, "s", gatehouse.Revision20251125, "alice")
	r.later(r.limits.SessionIdle + time.Second)
	r.expect(t, "idle", 404, "session.unknown", use("s", idle, "alice"))
	busy := r.session(t, "s", gatehouse.Revision20251125, "alice")
	for range int(r.limits.SessionLifetime/r.limits.SessionIdle) * 2 {
		if status, answer, _ := use("s", busy, "alice")(); status != 200 {
			t.Fatalf("a busy session: %d %s", status, answer)
		}
		r.later(r.limits.SessionIdle / 2)
	}
	r.expect(t, "expired", 404, "session.unknown", use("s", busy, "alice"))
	r.expect(t, "expired, after the sweep", 404, "session.unknown", func() (int, []byte, http.Header) {
		r.session(t, "s", gatehouse.Revision20251125, "alice")
		return use("s", busy, "alice")()
	})
}

func list(method, cursor string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"cursor":` + string(wire.String(cursor)) + `,` + meta + `}}`
}

func (r *rig) cursor(t *testing.T, method string) string {
	t.Helper()
	_, answer, _ := r.post("/s/mcp", strings.Replace(list(method, ""), `"cursor":"",`, "", 1), modern(method, ""))
	return member(t, answer, "nextCursor")
}

// member returns a text member of a result.
func member(t *testing.T, answer []byte, name string) string {
	t.Helper()
	o, _ := wire.ParseObject(answer)
	res, _ := wire.ParseObject(o.Get("result"))
	s, ok := wire.Text(res.Get(name))
	if !ok {
		t.Fatalf("no %s in %s", name, answer)
	}
	return s
}

// TestIsolationOfCursors is T-ISOLATION for cursors: they fit one list of one server, and say nothing of what the caller
// may see.
func TestIsolationOfCursors(t *testing.T) {
	r := newRig(t, func(l *config.Limits) { l.PageSize = 2 })
	cursor := r.cursor(t, "tools/list")
	use := func(server, method, cursor, who string) func() (int, []byte, http.Header) {
		return func() (int, []byte, http.Header) {
			return r.post("/"+server+"/mcp", list(method, cursor), as(who, modern(method, "")))
		}
	}
	_, hers, _ := use("s", "tools/list", cursor, "alice")()
	_, his, _ := use("s", "tools/list", r.cursor(t, "tools/list"), "bob")()
	if status, answer, _ := use("s", "tools/list", cursor, "bob")(); status != 200 || strings.Contains(string(answer), `"greet"`) || len(hers) != len(his) {
		t.Errorf("another caller's cursor: %d %s; want what his own would show him", status, answer)
	}
	r.expect(t, "another list", 400, params, use("s", "prompts/list", cursor, "alice"))
	r.expect(t, "another server", 400, params, use("other", "tools/list", cursor, "alice"))
	r.expect(t, "empty", 400, params, use("s", "tools/list", "", "alice"))
	r.expect(t, "a number", 400, params, func() (int, []byte, http.Header) {
		return r.post("/s/mcp", strings.Replace(list("tools/list", "x"), `"x"`, `2`, 1), modern("tools/list", ""))
	})
	for name, text := range altered(t, cursor) {
		r.expect(t, name, 400, params, use("s", "tools/list", text, "alice"))
	}
	r.expect(t, "a request state", 400, params, use("s", "tools/list", r.state(t), "alice"))
	r.expect(t, "a session id", 400, params, use("s", "tools/list", r.session(t, "s", gatehouse.Revision20250618, "alice"), "alice"))
	other := newRigAt(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, 7, func(l *config.Limits) { l.PageSize = 2 })
	r.expect(t, "another key", 400, params, use("s", "tools/list", other.cursor(t, "tools/list"), "alice"))
	old := r.session(t, "s", gatehouse.Revision20250618, "alice")
	r.expect(t, "altered, legacy", 200, params, func() (int, []byte, http.Header) {
		return r.post("/s/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"AAAA"}}`, within(old))
	})
}

func ask(method, name, args, more string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{"name":"` + name + `","arguments":` + args + `,` + more + meta + `}}`
}

const asked = `{"a":1,"b":{"c":"x","d":1.0}}`

// state has the tool "ask" ask, and returns the requestState of its answer.
func (r *rig) state(t *testing.T) string {
	t.Helper()
	_, answer, _ := r.post("/s/mcp", ask("tools/call", "ask", asked, ""), modern("tools/call", "ask"))
	r.take()
	return member(t, answer, "requestState")
}

// TestIsolationOfRequestState is T-ISOLATION for requestState: it fits the same call of the same caller, for a while.
func TestIsolationOfRequestState(t *testing.T) {
	r := newRig(t, func(l *config.Limits) { l.PageSize = 2 })
	state := r.state(t)
	use := func(server, method, name, args, state, who string) func() (int, []byte, http.Header) {
		return func() (int, []byte, http.Header) {
			return r.post("/"+server+"/mcp", ask(method, name, args, `"inputResponses":{"q":{"action":"accept"}},"requestState":`+string(wire.String(state))+`,`), as(who, modern(method, name)))
		}
	}
	good := func(name, args string) {
		t.Helper()
		status, answer, _ := use("s", "tools/call", "ask", args, state, "alice")()
		if got := r.take(); status != 200 || member(t, answer, "state") != "inner" || len(got) != 1 || string(got[0].State) != "inner" {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	good("the same call", asked)
	good("again", asked) // whoever must be asked once only takes care of that
	good("in another order", `{ "b" : {"d":1.0,"c":"\u0078"}, "a":1 }`)
	r.expect(t, "another caller", 400, params, use("s", "tools/call", "ask", asked, state, "bob"))
	r.expect(t, "another server", 400, params, use("other", "tools/call", "ask", asked, state, "alice"))
	r.expect(t, "another method", 400, params, use("s", "prompts/get", "ask", asked, state, "alice"))
	r.expect(t, "another tool", 400, params, use("s", "tools/call", "greet", asked, state, "alice"))
	for _, args := range []string{`{}`, `{"a":2,"b":{"c":"x","d":1.0}}`, `{"a":1,"b":{"c":"x","d":1}}`, `{"a":1,"b":{"c":"x","d":1.0},"e":null}`, `{"a":"1","b":{"c":"x","d":1.0}}`} {
		r.expect(t, "arguments "+args, 400, params, use("s", "tools/call", "ask", args, state, "alice"))
	}
	for name, text := range altered(t, state) {
		r.expect(t, name, 400, params, use("s", "tools/call", "ask", asked, text, "alice"))
	}
	r.expect(t, "empty", 400, params, use("s", "tools/call", "ask", asked, "", "alice"))
	r.expect(t, "17 KiB", 400, params, use("s", "tools/call", "ask", asked, strings.Repeat("A", 17<<10), "alice"))
	r.expect(t, "a cursor", 400, params, use("s", "tools/call", "ask", asked, r.cursor(t, "tools/list"), "alice"))
	r.expect(t, "a session id", 400, params, use("s", "tools/call", "ask", asked, r.session(t, "s", gatehouse.Revision20250618, "alice"), "alice"))
	other := newRigAt(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, 7, nil)
	r.expect(t, "another key", 400, params, use("s", "tools/call", "ask", asked, other.state(t), "alice"))
	for _, v := range []string{`7`, `null`, `{}`, `true`} {
		r.expect(t, "state "+v, 400, params, func() (int, []byte, http.Header) {
			return r.post("/s/mcp", ask("tools/call", "ask", asked, `"requestState":`+v+`,`), modern("tools/call", "ask"))
		})
	}
	for _, v := range []string{`7`, `[]`, `{"q":1}`, `{"q":null}`} {
		r.expect(t, "answers "+v, 400, params, func() (int, []byte, http.Header) {
			return r.post("/s/mcp", ask("tools/call", "ask", asked, `"inputResponses":`+v+`,`), modern("tools/call", "ask"))
		})
	}
	// The legacy era has no such member: it is dropped, not trusted.
	old := r.session(t, "s", gatehouse.Revision20250618, "alice")
	r.post("/s/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","requestState":"x","inputResponses":{"q":{}}}}`, within(old))
	if got := r.take(); len(got) != 1 || got[0].RequestState != "" || got[0].InputResponses != nil {
		t.Errorf("a legacy call with requestState: %+v", got)
	}

	r.later(r.limits.InputTimeout + time.Second)
	r.expect(t, "expired", 400, params, use("s", "tools/call", "ask", asked, state, "alice"))

	// Who never answers is asked five times, then no more.
	next := r.state(t)
	for range r.limits.InputRounds - 1 {
		_, answer, _ := r.post("/s/mcp", ask("tools/call", "ask", asked, `"requestState":"`+next+`",`), modern("tools/call", "ask"))
		next = member(t, answer, "requestState")
	}
	status, answer, _ := r.post("/s/mcp", ask("tools/call", "ask", asked, `"requestState":"`+next+`",`), modern("tools/call", "ask"))
	if rpc, _ := fault(answer); status != 200 || rpc != "-32603" {
		t.Errorf("sixth round: %d %s, want -32603", status, answer)
	}
}
