package wire

import (
	"errors"
	"strings"
	"testing"
)

// Each body has two readings for somebody, or none: it must be refused with exactly this code.
func TestRefused(t *testing.T) {
	for body, code := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","name":"secret"}}`:                       "wire.duplicate_member",
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet"},"params":{"name":"secret"}}`:            "wire.duplicate_member",
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","\u006eame":"secret"}}`:                  "wire.duplicate_member",
		`{"jsonrpc":"2.0","id":1,"method":"x"}{"jsonrpc":"2.0","id":2,"method":"y"}`:                                     "wire.trailing_data",
		"\ufeff" + `{"jsonrpc":"2.0","id":1,"method":"x"}`:                                                               "wire.syntax",
		`{"jsonrpc":"2.0","id":1.5,"method":"x"}`:                                                                        "wire.id",
		`{"jsonrpc":"2.0","id":1e3,"method":"x"}`:                                                                        "wire.id",
		`{"jsonrpc":"2.0","id":-0,"method":"x"}`:                                                                         "wire.id",
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}`:                                                           "wire.id",
		`{"jsonrpc":"2.0","id":{},"method":"x"}`:                                                                         "wire.id",
		`{"jsonrpc":"2.0","id":null,"method":"x"}`:                                                                       "wire.id",
		`{"jsonrpc":"2.0","id":true,"method":"x"}`:                                                                       "wire.id",
		`{"jsonrpc":"2.0","id":"","method":"x"}`:                                                                         "wire.id",
		`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 257) + `","method":"x"}`:                                         "wire.id",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"na\u0000me":1}}`:                                                "wire.encoding",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\ud800"}}`:                                                  "wire.encoding",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{\"a\":\"\xff\"}}":                                    "wire.encoding",
		`{"jsonrpc":"2.0","id":1,"method":"x","result":{}}`:                                                              "wire.envelope",
		`{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}`:                                           "wire.envelope",
		`{"jsonrpc":"1.0","id":1,"method":"x"}`:                                                                          "wire.envelope",
		`{"id":1,"method":"x"}`:                                                                                          "wire.envelope",
		`{"jsonrpc":"2.0","id":1,"Method":"x","method":"y"}`:                                                             "wire.envelope",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":[]}`:                                                              "wire.envelope",
		`{"jsonrpc":"2.0","id":1,"method":7}`:                                                                            "wire.envelope",
		`[{"jsonrpc":"2.0","id":1,"method":"x"}]`:                                                                        "wire.envelope",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}}`: "wire.depth",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":` + strings.Repeat("1", 65) + `}}`:                           "wire.number",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[` + strings.Repeat("1,", 30_000) + `1]}}`:                   "wire.members",
		`{"a":"` + strings.Repeat("x", 4<<20) + `"}`:                                                                     "wire.too_large",
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}`:                                                       "wire.syntax",
		`{"jsonrpc":"2.0","id":1,"method":"x"/**/}`:                                                                      "wire.syntax",
		``:  "wire.syntax",
		`{`: "wire.syntax",
	} {
		_, err := Parse([]byte(body), RequestLimits)
		var e *Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("%.90s: %v, want %s", body, err, code)
		}
	}
}

func TestAccepted(t *testing.T) {
	m, err := Parse([]byte(` {"jsonrpc":"2.0","id":"a","method":"x","params":{"n":9007199254740993,"s":"\"\\u0000 stays text"}} `), RequestLimits)
	if err != nil || string(m.Params) != `{"n":9007199254740993,"s":"\"\\u0000 stays text"}` {
		t.Errorf("%s, %v", m.Params, err) // a backslash and the letters u0000, which is no U+0000
	}
	m, err = Parse([]byte(` {"jsonrpc":"2.0","id":"a","method":"x","params":{"n":9007199254740993}} `), RequestLimits)
	if err != nil || m.Kind != Request || string(m.Params) != `{"n":9007199254740993}` || string(m.ID) != `"a"` {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestHeaderValues(t *testing.T) {
	for plain, want := range map[string]string{
		"blob_list": "blob_list", " padded ": "=?base64?IHBhZGRlZCA=?=", "ü": "=?base64?w7w=?=",
		"=?base64?eA==?=": "=?base64?PT9iYXNlNjQ/ZUE9PT89?=", "a b": "a b", "a\nb": "=?base64?YQpi?=",
	} {
		got := EncodeHeader(plain)
		back, err := DecodeHeader(got)
		if got != want || err != nil || back != plain {
			t.Errorf("EncodeHeader(%q) = %q, back %q, %v; want %q", plain, got, back, err, want)
		}
	}
	for _, bad := range []string{"=?base64?!!?=", "=?base64?w7?=", "\u00fc", " x", "=?base64?/w==?="} {
		if _, err := DecodeHeader(bad); err == nil {
			t.Errorf("DecodeHeader(%q) is accepted", bad)
		}
	}
}

func TestCheckParams(t *testing.T) {
	params, err := HeaderParams([]byte(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"o":{"properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}`))
	if err != nil || len(params) != 2 {
		t.Fatalf("HeaderParams = %v, %v", params, err)
	}
	for _, c := range []struct {
		h    map[string][]string
		args string
		ok   bool
	}{
		{map[string][]string{"Mcp-Param-Region": {"eu"}, "Mcp-Param-N": {"42.0"}}, `{"region":"eu","o":{"n":42}}`, true},
		{nil, `{}`, true},
		{nil, `{"region":null}`, true},
		{nil, `{"region":"eu"}`, false},
		{map[string][]string{"Mcp-Param-Region": {"EU"}}, `{"region":"eu"}`, false},
		{map[string][]string{"Mcp-Param-Region": {"eu"}}, `{}`, false},
		{map[string][]string{"Mcp-Param-Region": {"eu", "eu"}}, `{"region":"eu"}`, false},
		{map[string][]string{"Mcp-Param-N": {"43"}}, `{"o":{"n":42}}`, false},
	} {
		if err := CheckParams(c.h, params, []byte(c.args)); (err == nil) != c.ok {
			t.Errorf("CheckParams(%v, %s) = %v", c.h, c.args, err)
		}
	}
	for _, schema := range []string{
		`{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}`,
		`{"properties":{"a":{"type":"string","x-mcp-header":""}}}`,
		`{"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}`,
		`{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}`,
		`{"properties":{"l":{"items":{"type":"string","x-mcp-header":"A"}}}}`,
	} {
		if _, err := HeaderParams([]byte(schema)); err == nil {
			t.Errorf("HeaderParams(%s) is accepted", schema)
		}
	}
}

func TestEvents(t *testing.T) {
	r := NewEventReader(strings.NewReader("\ufeff: hi\n\nid: 7\ndata: a\r\ndata: b\n\nevent: endpoint\ndata:x\n\nretry: 50\nid: 8\ndata:\n\ndata: lost"), DefaultEventLimits)
	var got []string
	for {
		ev, err := r.Next()
		if err != nil {
			break
		}
		got = append(got, ev.ID+"|"+ev.Name+"|"+string(ev.Data))
	}
	if want := "7||a\nb;|endpoint|x;8||"; strings.Join(got, ";") != want || r.LastID != "8" || r.Retry.Milliseconds() != 50 {
		t.Errorf("events = %q, last %q, retry %v", got, r.LastID, r.Retry)
	}
	r = NewEventReader(strings.NewReader("data: a\rdata: b\rid: 1\r\n\ndata: \r\rdata: c\r\n\r\n"), DefaultEventLimits)
	for i, want := range []string{"1|a\nb", "|", "|c"} { // a CR alone ends a line too
		if ev, err := r.Next(); err != nil || ev.ID+"|"+string(ev.Data) != want {
			t.Errorf("event %d = %q %q, %v; want %q", i, ev.ID, ev.Data, err, want)
		}
	}
	for name, in := range map[string]string{"giant line": "data: " + strings.Repeat("x", 2000) + "\n\n", "no newline": strings.Repeat("x", 5000), "comments": strings.Repeat(":\n", 20), "empty lines": strings.Repeat("\n", 2000), "unknown fields": strings.Repeat("x:\n", 2000), "retries": strings.Repeat("retry: 1\n", 2000), "utf-8": "data: \xff\n\n"} {
		_, err := NewEventReader(strings.NewReader(in), EventLimits{Event: 1000, Comments: 10}).Next()
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want an *Error", name, err)
		}
	}
	if got := string(AppendEvent(nil, "1", "", []byte("a\nb"))); got != "id: 1\ndata: a\ndata: b\n\n" {
		t.Errorf("AppendEvent = %q", got)
	}
}

func BenchmarkParse(b *testing.B) {
	body := []byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"blob_list","arguments":{"container":"logs","text":"` + strings.Repeat("x", 800) + `"},"_meta":{"progressToken":"p1"}}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body, RequestLimits); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMembersAreCountedOnce: the bound is on members and elements, in objects and arrays alike.
func TestMembersAreCountedOnce(t *testing.T) {
	for doc, n := range map[string]int{
		`{}`: 0, `[]`: 0, `[ ]`: 0, `[[],{}]`: 2, `{"a":1,"b":2,"c":3}`: 3, `[1,2,3]`: 3, `{"a":[1,2],"b":{"c":",:["}}`: 5, `[{"a":1},{"b":2}]`: 4,
	} {
		if err := Verify([]byte(doc), Limits{Members: n}); err != nil && n > 0 {
			t.Errorf("Verify(%s) within %d members: %v", doc, n, err)
		}
		if n < 2 {
			continue
		}
		var we *Error
		if err := Verify([]byte(doc), Limits{Members: n - 1}); !errors.As(err, &we) || we.Code != "wire.members" {
			t.Errorf("Verify(%s) within %d members = %v, want wire.members", doc, n-1, err)
		}
	}
}
