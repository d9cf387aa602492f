package transport

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/wire"
)

func TestRender(t *testing.T) {
	for _, c := range []struct{ revision, method, in, want string }{
		{"2026-07-28", "tools/call", `{"content":[],"x":12345678901234567890}`, `{"content":[],"x":12345678901234567890,"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gatehouse","version":"` + gatehouse.Version + `"}}}`},
		{"2026-07-28", "tools/call", `{ }`, `{ "resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gatehouse","version":"` + gatehouse.Version + `"}}}`},
		{"2025-11-25", "tools/call", `{"content":[],"n":1.10}`, `{"content":[],"n":1.10}`},
		{"2025-11-25", "tools/call", `{"resultType":"complete","content":[],"ttlMs":1,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{}}}`, `{"content":[]}`},
		{"2025-11-25", "tools/call", `{"content":[],"structuredContent":[1]}`, `{"content":[]}`},
		{"2025-03-26", "tools/call", `{"content":[{"type":"resource_link","uri":"a:b","name":"N"}],"structuredContent":{}}`, `{"content":[{"type":"text","text":"N a:b"}]}`},
		{"2025-03-26", "tools/call", `{"content":[{"type":"audio","mimeType":"x"}]}`, `{"content":[{"type":"audio","mimeType":"x"}]}`},
		{"2024-11-05", "tools/call", `{"content":[{"type":"audio","mimeType":"x"}]}`, `{"content":[{"type":"text","text":"[audio x, which this protocol revision cannot carry]"}]}`},
		{"2025-03-26", "prompts/get", `{"messages":[{"role":"user","content":{"type":"resource_link","uri":"a:b","name":"N"}}]}`, `{"messages":[{"role":"user","content":{"type":"text","text":"N a:b"}}]}`},
	} {
		if got := string(Render(c.revision, c.method, &gatehouse.Result{Raw: []byte(c.in)})); got != c.want {
			t.Errorf("%s %s %s\n got %s\nwant %s", c.revision, c.method, c.in, got, c.want)
		}
	}
	got := string(Render("2026-07-28", "resources/read", &gatehouse.Result{Raw: []byte(`{"contents":[],"cacheScope":"public","ttlMs":5}`)}))
	if !strings.HasPrefix(got, `{"contents":[],"cacheScope":"private","ttlMs":5,"resultType":"complete"`) {
		t.Errorf("a shared cache could keep this: %s", got)
	}
}

func decode(t *testing.T, body string) (*gatehouse.Call, error) {
	t.Helper()
	m, err := wire.Parse([]byte(body), wire.RequestLimits)
	if err != nil {
		t.Fatal(err)
	}
	return Decode(m, Modern("", m.Params), Origin{Server: "s"})
}

func TestDecode(t *testing.T) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{"tools":{}}},"traceparent":"00-1","baggage":"x","progressToken":7}`
	c, err := decode(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"n":9007199254740993},`+meta+`}}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "t" || string(c.Arguments) != `{"n":9007199254740993}` || string(c.Meta) != `{"traceparent":"00-1"}` || string(c.ProgressToken) != "7" || c.Client.Capabilities.Class() != "est" {
		t.Errorf("call = %+v", c)
	}
	for body, code := range map[string]int64{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` + meta + `}}`:                                                     gatehouse.CodeMethodNotFound,
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + meta + `}}`:                                                           gatehouse.CodeMethodNotFound,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + `}}`:                                                     gatehouse.CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"x","name":"t",` + meta + `}}`:                               gatehouse.CodeInvalidRequest,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":[],` + meta + `}}`:                           gatehouse.CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","inputResponses":{"a":1},` + meta + `}}`:                 gatehouse.CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","requestState":7,` + meta + `}}`:                         gatehouse.CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01"}}}`: gatehouse.CodeUnsupportedRev,
		`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`: gatehouse.CodeInvalidParams,
		`{"jsonrpc":"2.0","id":1,"method":"nope"}`:                                                                                   gatehouse.CodeMethodNotFound,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`:                                                                        gatehouse.CodeMethodNotFound,
		`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}`:                                             gatehouse.CodeInvalidParams,
	} {
		_, err := decode(t, body)
		if e, ok := errors.AsType[*gatehouse.RPCError](err); !ok || e.Code != code {
			t.Errorf("%s: %v, want %d", body, err, code)
		}
	}
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestSessions(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := config.DefaultLimits
	l.SessionsPerPrincipal = 3
	s, err := NewSessions(make([]byte, 32), l, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := &gatehouse.Principal{ID: "key:alice"}, &gatehouse.Principal{ID: "key:bob"}
	client := gatehouse.Client{Era: gatehouse.Legacy, Revision: "2025-06-18", Name: "c", Version: "1", Capabilities: gatehouse.Capabilities{Sampling: true, Roots: true}}
	x, err := s.New(alice, "srv", client)
	if err != nil {
		t.Fatal(err)
	}
	y, err := s.Open(x.ID, alice, "srv")
	if err != nil || y.Client.Revision != "2025-06-18" || y.Client.Name != "c" || y.Client.Capabilities.Class() != "sr" || y.Client.Session != x.Client.Session {
		t.Errorf("Open = %+v, %v", y, err)
	}
	for name, open := range map[string]func() (*Session, error){
		"other principal": func() (*Session, error) { return s.Open(x.ID, bob, "srv") },
		"other server":    func() (*Session, error) { return s.Open(x.ID, alice, "other") },
		"altered":         func() (*Session, error) { return s.Open(flip(x.ID), alice, "srv") },
		"empty":           func() (*Session, error) { return s.Open("", alice, "srv") },
		"huge":            func() (*Session, error) { return s.Open(strings.Repeat("A", 1<<20), alice, "srv") },
	} {
		if _, err := open(); !errors.Is(err, ErrSession) {
			t.Errorf("%s: %v, want ErrSession", name, err)
		}
	}
	other, _ := NewSessions(make([]byte, 32), l, func() time.Time { return now }) // another node, same key
	if _, err := other.Open(x.ID, alice, "srv"); err != nil {
		t.Errorf("another node: %v", err)
	}
	s.End(x)
	if _, err := s.Open(x.ID, alice, "srv"); !errors.Is(err, ErrSession) {
		t.Errorf("ended: %v", err)
	}
	for range 3 {
		if x, err = s.New(alice, "srv", client); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.New(alice, "srv", client); !errors.Is(err, ErrTooManySessions) {
		t.Errorf("fourth session: %v", err)
	}
	now = now.Add(l.SessionIdle + time.Minute)
	if _, err := s.Open(x.ID, alice, "srv"); !errors.Is(err, ErrSession) {
		t.Errorf("idle: %v", err)
	}
	if _, err := s.New(alice, "srv", client); err != nil || s.Len() != 1 {
		t.Errorf("after the idle ones ended: %v, %d live", err, s.Len())
	}
	l.SessionsPerPrincipal = 1
	s.SetLimits(l)
	if _, err := s.New(alice, "srv", client); !errors.Is(err, ErrTooManySessions) {
		t.Errorf("second session after the limit became 1: %v", err)
	}
}

// FuzzOpenSession: only an id that was given out opens, and nothing else is ever said than that there is no such session.
func FuzzOpenSession(f *testing.F) {
	s, _ := NewSessions(make([]byte, 32), config.DefaultLimits, time.Now)
	p := &gatehouse.Principal{ID: "p"}
	x, err := s.New(p, "s", gatehouse.Client{Revision: gatehouse.Revision20250618, Name: strings.Repeat("n", 300), Version: "1"})
	if err != nil {
		f.Fatal(err)
	}
	for _, id := range []string{x.ID, "", "A", flip(x.ID), x.ID[1:], x.ID + "=", x.ID + "\n", strings.Repeat("A", 3000), "\x00", "é"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		y, err := s.Open(id, p, "s")
		if err == nil { // the one that was given out: each process of a fuzzing run seals its own
			if y.ID != id || y.Client.Revision != gatehouse.Revision20250618 || len(y.Client.Name) != 255 {
				t.Fatalf("Open = %+v", y)
			}
		} else if id == x.ID || !errors.Is(err, ErrSession) {
			t.Fatalf("Open(%q) = %+v, %v; want ErrSession", id, y, err)
		}
	})
}

func TestRPC(t *testing.T) {
	for _, c := range []struct {
		err    error
		era    gatehouse.Era
		code   int64
		status int
	}{
		{&gatehouse.RPCError{Code: -32602}, gatehouse.Modern, -32602, 400},
		{&gatehouse.RPCError{Code: -32602}, gatehouse.Legacy, -32602, 200},
		{&gatehouse.RPCError{Code: -32002}, gatehouse.Modern, -32602, 400},
		{&gatehouse.RPCError{Code: -32002}, gatehouse.Legacy, -32002, 200},
		{&gatehouse.RPCError{Code: -32601}, gatehouse.Modern, -32601, 404},
		{&gatehouse.RPCError{Code: 7}, gatehouse.Modern, 7, 200},
		{&gatehouse.RPCError{Code: -32601, Passed: true}, gatehouse.Modern, -32601, 200},
		{&gatehouse.RPCError{Code: -32602, Passed: true}, gatehouse.Modern, -32602, 200},
		{&gatehouse.RPCError{Code: -32002, Passed: true}, gatehouse.Modern, -32602, 200},
		{&gatehouse.RPCError{Code: -32021, Passed: true}, gatehouse.Modern, -32021, 400},
		{&gatehouse.Error{Code: "audit.unavailable"}, gatehouse.Legacy, -32603, 503},
		{&gatehouse.Error{Code: "source.timeout"}, gatehouse.Modern, -32603, 200},
		{&gatehouse.Error{Code: "access.denied"}, gatehouse.Modern, -32603, 403},
		{&wire.Error{Code: "wire.depth", Parse: true}, gatehouse.Modern, -32700, 400},
		{&gatehouse.Error{Code: "source.protocol", Err: &gatehouse.RPCError{Code: -32601, Message: "secret"}}, gatehouse.Modern, -32603, 200},
		{&gatehouse.Error{Code: "source.protocol", Err: &wire.Error{Code: "wire.depth", Parse: true, Msg: "secret"}}, gatehouse.Modern, -32603, 200},
		{errors.Join(fmt.Errorf("x: %w", &gatehouse.RPCError{Code: 7}), errors.New("y")), gatehouse.Modern, 7, 200},
		{errors.New("secret detail"), gatehouse.Modern, -32603, 200},
	} {
		e, status := RPC(c.err, "c_1", c.era)
		if e.Code != c.code || status != c.status || strings.Contains(e.Message, "secret") {
			t.Errorf("RPC(%v, %v) = %d %q, %d; want %d, %d", c.err, c.era, e.Code, e.Message, status, c.code, c.status)
		}
	}
}

func BenchmarkOpenSession(b *testing.B) {
	s, _ := NewSessions(make([]byte, 32), config.DefaultLimits, time.Now)
	p := &gatehouse.Principal{ID: "p"}
	x, _ := s.New(p, "s", gatehouse.Client{Revision: "2025-11-25", Name: "client", Version: "1"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Open(x.ID, p, "s"); err != nil {
			b.Fatal(err)
		}
	}
}
