package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/wire"
)

// body is one case of T-SMUGGLE: what is sent, the exact answer, and what the recorder gets.
type body struct {
	name, text   string
	revision     string // of the legacy session it is sent on; "" for a modern request
	header       string // Mcp-Name; "" means greet
	status       int
	rpc, code    string // of the error
	id           string // of the answer; "" for none
	tool, args   string // what the recorder gets; tool "" for nothing
	unjudged     bool   // nobody foretold the answer: the readers alone decide
	notification bool
}

const (
	parse   = "-32700"
	request = "-32600"
	params  = "-32602"
)

func good(name, text, args string) body {
	return body{name: name, text: text, status: 200, id: "1", tool: "greet", args: args}
}

func refuse(name, text, rpc, code string) body {
	return body{name: name, text: text, status: 400, rpc: rpc, code: code}
}

// call is the message that most cases are made from.
func call(name, arguments string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + name + `,"arguments":` + arguments + `,` + meta + `}}`
}

// spellings writes a member's name in every way that means the same.
func spellings(name string) []string {
	first, last, all, upper := fmt.Sprintf(`\u%04x`, name[0])+name[1:], name[:len(name)-1]+fmt.Sprintf(`\u%04x`, name[len(name)-1]), "", ""
	for i := range len(name) {
		all += fmt.Sprintf(`\u%04x`, name[i])
		upper += fmt.Sprintf(`\u%04X`, name[i])
	}
	return []string{name, first, last, all, upper}
}

// duplicates repeats every member at every level, before and behind, spelled in every way, with the same and another value.
func duplicates() (out []body) {
	_, inner, _ := strings.Cut(meta, "{")
	inner = strings.TrimSuffix(inner, "}")
	levels := []struct {
		where, open, close string
		members            [][2]string // name, value
	}{
		{"envelope", `{`, `}`, [][2]string{{"jsonrpc", `"2.0"`}, {"id", `1`}, {"method", `"tools/call"`}, {"params", `{"name":"greet","arguments":{},` + meta + `}`}}},
		{"params", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{`, `}}`, [][2]string{{"name", `"greet"`}, {"arguments", `{"a":1}`}, {"_meta", "{" + inner + "}"}}},
		{"arguments", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet",` + meta + `,"arguments":{`, `}}}`, [][2]string{{"a", `1`}, {"path", `"/tmp"`}, {"é", `{}`}}},
		{"deep", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet",` + meta + `,"arguments":{"x":[[{"y":{`, `}}]]}}}`, [][2]string{{"deep", `1`}, {"b", `null`}}},
		{"_meta", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","_meta":{`, `}}}`, [][2]string{{"io.modelcontextprotocol/protocolVersion", `"2026-07-28"`}, {"io.modelcontextprotocol/clientCapabilities", `{}`}, {"progressToken", `1`}}},
		{"capabilities", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{`, `}}}}`, [][2]string{{"sampling", `{}`}, {"elicitation", `{}`}}},
	}
	for _, l := range levels {
		var plain []string
		for _, m := range l.members {
			plain = append(plain, `"`+m[0]+`":`+m[1])
		}
		for _, m := range l.members {
			for _, s := range spellings(m[0]) {
				if strings.Contains(m[0], "é") {
					s = map[bool]string{true: m[0], false: `\u00e9`}[s == m[0]]
				}
				for _, v := range []string{m[1], `"secret"`, `null`, `{"name":"secret"}`} {
					twin := `"` + s + `":` + v
					out = append(out,
						refuse(l.where+" "+twin+" behind", l.open+strings.Join(plain, ",")+","+twin+l.close, parse, "wire.duplicate_member"),
						refuse(l.where+" "+twin+" before", l.open+twin+","+strings.Join(plain, ",")+l.close, parse, "wire.duplicate_member"))
				}
			}
		}
	}
	return out
}

// folded writes known members in another case, which a case-folding reader takes for the member itself.
func folded() (out []body) {
	variants := func(s string) []string {
		v := []string{strings.ToUpper(s), strings.ToUpper(s[:1]) + s[1:]}
		for i := 1; i < len(s); i++ {
			if up := strings.ToUpper(s[i : i+1]); up != s[i:i+1] {
				v = append(v, s[:i]+up+s[i+1:])
			}
		}
		v = append(v, strings.Replace(s, "s", "ſ", 1), strings.Replace(s, "k", "K", 1)) // U+017F and U+212A fold to s and k
		var out []string
		for _, x := range v {
			if x != s {
				out = append(out, x)
			}
		}
		return out
	}
	base := strings.TrimSuffix(call(`"greet"`, `{}`), "}")
	for _, name := range []string{"jsonrpc", "id", "method", "params", "result", "error"} {
		for _, v := range variants(name) {
			twin := `"` + v + `":"secret"`
			out = append(out, refuse("envelope behind "+v, base+","+twin+"}", request, "wire.envelope"), refuse("envelope before "+v, "{"+twin+","+base[1:]+"}", request, "wire.envelope"))
		}
	}
	for _, name := range []string{"name", "uri", "arguments", "cursor", "_meta", "inputResponses", "requestState", "ref", "argument", "level", "notifications"} {
		for _, v := range variants(name) {
			twin := `"` + v + `":"secret"`
			b := refuse("params behind "+v, base[:len(base)-1]+","+twin+"}}", request, "")
			b.id = "1"
			out = append(out, b)
			b.name, b.text = "params before "+v, strings.Replace(base, `"params":{`, `"params":{`+twin+`,`, 1)+"}"
			out = append(out, b)
		}
	}
	for _, args := range []string{`{"Name":"x","name":"y"}`, `{"NAME":1,"Name":2,"name":3}`, `{"ſ":1,"s":2,"S":3}`} { // data: nobody folds it on our behalf
		b := good("arguments in two cases", call(`"greet"`, args), args)
		out = append(out, b)
	}
	return out
}

// text is what is no JSON, no UTF-8 or no text.
func text() (out []body) {
	ok := call(`"greet"`, `{"a":1}`)
	for _, w := range []string{"", " ", "\n", "\r\n\t  "} {
		out = append(out, good("space around", w+ok+w, `{"a":1}`))
	}
	for _, c := range []struct{ name, before, after, code string }{
		{"byte order mark", "\ufeff", "", "wire.syntax"},
		{"UTF-16 mark", "\xff\xfe", "", "wire.syntax"},
		{"UTF-16 mark, big", "\xfe\xff", "", "wire.syntax"},
		{"form feed", "\f", "", "wire.syntax"},
		{"vertical tab", "\v", "", "wire.syntax"},
		{"no-break space", "\u00a0", "", "wire.syntax"},
		{"XSSI guard", ")]}',\n", "", "wire.syntax"},
		{"comment before", "/**/", "", "wire.syntax"},
		{"record separator", "\x1e", "", "wire.syntax"},
		{"number before", "0x", "", "wire.trailing_data"},
		{"NUL before", "\x00", "", "wire.syntax"},
		{"NUL behind", "", "\x00", "wire.trailing_data"},
		{"second object", "", ok, "wire.trailing_data"},
		{"second object on a line", "", "\n" + ok + "\n", "wire.trailing_data"},
		{"null behind", "", " null", "wire.trailing_data"},
		{"bracket behind", "", "]", "wire.trailing_data"},
		{"brace behind", "", "}", "wire.trailing_data"},
		{"comma behind", "", ",", "wire.trailing_data"},
		{"text behind", "", "x", "wire.trailing_data"},
		{"comment behind", "", "// x", "wire.trailing_data"},
		{"mark behind", "", "\ufeff", "wire.trailing_data"},
		{"form feed behind", "", "\f", "wire.trailing_data"},
	} {
		out = append(out, refuse(c.name, c.before+ok+c.after, parse, c.code))
	}
	for _, whole := range []string{"", " ", "{", "[", `"`, "{]", "[}", "nul", "tru", "-", "{\"a\"", `{"a":`, `{"a":1,`, "'a'", "{a:1}", "{,}", "[,]", "(1)", "NaN", "undefined", "\x00", "\xff", "<xml/>", "a=b"} {
		out = append(out, refuse("whole body "+whole, whole, parse, "wire.syntax"))
	}
	for _, whole := range []string{"null", "true", "false", "1", `"x"`, `[]`, `[1]`, `[null]`, `[[]]`} {
		out = append(out, refuse("whole body "+whole, whole, request, "wire.envelope"))
	}
	for cut := range len(ok) - 1 { // every prefix
		out = append(out, refuse(fmt.Sprintf("first %d bytes", cut), ok[:cut], parse, "wire.syntax"))
	}
	for _, v := range []string{"NaN", "Infinity", "-Infinity", "01", "-01", "+1", ".5", "1.", "1e", "1e+", "0x1", "1_000", "'a'", "undefined", "True", "TRUE", "None", "{a:1}", "[1,]", "{\"a\":1,}", "{,}", "\"\\x41\"", "\"\\'\"", "\"\\u12\"", "\"\\U00000041\"", "\"a\nb\"", "\"a\tb\"", "/**/1", "1//x\n", "\"a\"\"b\"", "1 2"} {
		out = append(out, refuse("value "+v, call(`"greet"`, `{"a":`+v+`}`), parse, "wire.syntax"))
	}
	for c := range 0x20 {
		out = append(out, refuse(fmt.Sprintf("raw control %02x in a value", c), call(`"greet"`, `{"a":"`+string(rune(c))+`"}`), parse, "wire.syntax"),
			refuse(fmt.Sprintf("raw control %02x in the tool's name", c), call(`"gre`+string(rune(c))+`et"`, `{}`), parse, "wire.syntax"))
	}
	bad := []string{"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82", "\xf0\x9f\x98", "\xe9", "gr\xe9et"}
	for c := 0x80; c <= 0xff; c++ {
		bad = append(bad, string([]byte{byte(c)}))
	}
	for _, s := range bad {
		out = append(out, refuse(fmt.Sprintf("bytes % x in a value", s), call(`"greet"`, `{"a":"`+s+`"}`), parse, "wire.encoding"),
			refuse(fmt.Sprintf("bytes % x in a name", s), call(`"greet"`, `{"`+s+`":1}`), parse, "wire.encoding"))
	}
	for _, s := range []string{`\ud800`, `\udbff`, `\udc00`, `\udfff`, `\uD800`, `\uDFFF`, `\ud800x`, `x\ud800`, `\ud800\u0041`, `\udc00\ud800`, `\ud800\ud800`, `\ud83d`, `\ud83d\ude00\ud83d`, `\u0000`, `a\u0000`, `\u0000b`, `a\u0000b\u0000`} {
		for where, b := range map[string]string{
			"the tool's name": call(`"`+s+`"`, `{}`), "a value": call(`"greet"`, `{"a":"`+s+`"}`), "a member's name": call(`"greet"`, `{"`+s+`":1}`), "deep": call(`"greet"`, `{"a":[{"`+s+`":1}]}`),
			"a member of params": strings.Replace(call(`"greet"`, `{}`), `"name":`, `"na`+s+`me":1,"name":`, 1), "a member of the message": `{"` + s + `":1,` + call(`"greet"`, `{}`)[1:],
			"the id": strings.Replace(call(`"greet"`, `{}`), `"id":1`, `"id":"`+s+`"`, 1), "the method": strings.Replace(call(`"greet"`, `{}`), "tools/call", s, 1),
		} {
			out = append(out, refuse(s+" in "+where, b, parse, "wire.encoding"))
		}
	}
	for _, v := range []string{`"\ud83d\ude00"`, `"\u00e9"`, `"é"`, `"\/"`, `"\u002f"`, `"\b\f\n\r\t"`, `"\u007f"`, "\"\x7f\"", `"\u2028"`, "\"\u2028\"", `"\ufeff"`, `"\uffff"`, `"\\u0000"`, `"\\ud800"`, `9007199254740993`, `-9007199254740993`, `1e400`, `-0`, `-0.0`, `1.10`, `1E+2`, `0.1e-7`, `123456789012345678901234567890`, `""`, `[]`, `{}`, `{ "b" : [ 1 , 2 ] , "a" : null }`} {
		out = append(out, good("kept as written "+v, call(`"greet"`, `{"a":`+v+`}`), `{"a":`+v+`}`))
	}
	return out
}

func ids() (out []body) {
	base := call(`"greet"`, `{"a":1}`)
	with := func(id string) string { return strings.Replace(base, `"id":1`, `"id":`+id, 1) }
	for _, id := range []string{"0", "7", "-1", "9007199254740991", "-9007199254740991", `"a"`, `"0"`, `"é"`, `"\u0061"`, `"a b"`, `" "`, `"null"`, `"\n"`, `"\""`, `"` + strings.Repeat("x", 256) + `"`} {
		b := good("id "+id, with(id), `{"a":1}`)
		b.id = id
		out = append(out, b)
	}
	for _, id := range []string{"1.5", "1.0", "1e3", "1E0", "-0", "0.0", "9007199254740992", "9007199254740993", "-9007199254740992", "18446744073709551616", "1e400", "null", "true", "false", "{}", "[]", "[1]", `{"id":1}`, `""`, `"` + strings.Repeat("x", 257) + `"`, `"` + strings.Repeat("é", 129) + `"`} {
		out = append(out, refuse("id "+id, with(id), request, "wire.id"))
	}
	for _, id := range []string{"01", "+1", "-", "0x1", "1,2", "'1'"} {
		out = append(out, refuse("id "+id, with(id), parse, "wire.syntax"))
	}
	return out
}

func bounds() (out []body) {
	for n := 55; n <= 70; n++ { // params and arguments are three levels deep themselves
		for _, c := range [][3]string{{"[", "", "]"}, {`{"a":`, "1", "}"}} {
			args := `{"a":` + strings.Repeat(c[0], n) + c[1] + strings.Repeat(c[2], n) + `}`
			if n+3 <= 64 {
				out = append(out, good(fmt.Sprintf("%d deep", n+3), call(`"greet"`, args), args))
			} else {
				out = append(out, refuse(fmt.Sprintf("%d deep", n+3), call(`"greet"`, args), parse, "wire.depth"))
			}
		}
	}
	for _, n := range []int{1000, 100_000, 1_000_000} {
		out = append(out, refuse("open brackets", strings.Repeat("[", n), parse, "wire.depth"), refuse("open braces", strings.Repeat(`{"":`, n), parse, "wire.depth"))
	}
	const inner = 4 + 3 + 2 + 1 // members of the message, params, _meta and the capabilities
	for d := -3; d <= 3; d++ {
		n := 10_000 - inner + d
		list := `{"a":[` + strings.TrimSuffix(strings.Repeat("0,", n-1), ",") + `]}` // "a" is the first
		object := make([]string, n)
		for i := range object {
			object[i] = fmt.Sprintf(`"%d":0`, i)
		}
		for kind, args := range map[string]string{"elements": list, "members": `{` + strings.Join(object, ",") + `}`} {
			b := good(fmt.Sprintf("%d %s", 10_000+d, kind), call(`"greet"`, args), args)
			if d > 0 {
				b = refuse(b.name, b.text, parse, "wire.members")
			}
			out = append(out, b)
		}
	}
	for n := 60; n <= 70; n++ {
		for _, v := range []string{strings.Repeat("1", n), "0." + strings.Repeat("1", n-2), "1e" + strings.Repeat("0", n-3) + "1", "-" + strings.Repeat("9", n-1)} {
			args := `{"a":` + v + `}`
			b := good("number", call(`"greet"`, args), args)
			if n > 64 {
				b = refuse("number", b.text, parse, "wire.number")
			}
			out = append(out, b)
		}
	}
	return out
}

// kinds mixes the members that make a message a request, a notification, a response or nothing.
func kinds() (out []body) {
	versions := []string{`"2.0"`, `"1.0"`, `2.0`, `"2"`, `"2.0 "`, `null`, ``, `["2.0"]`, `"\u0032.0"`}
	for mask := range 32 {
		for _, version := range versions {
			var m []string
			add := func(name, value string) { m = append(m, `"`+name+`":`+value) }
			if version != "" {
				add("jsonrpc", version)
			}
			has := func(bit int) bool { return mask>>bit&1 == 1 }
			if has(0) {
				add("id", "1")
			}
			if has(1) {
				add("method", `"tools/call"`)
			}
			if has(2) {
				add("params", `{"name":"greet","arguments":{},`+meta+`}`)
			}
			if has(3) {
				add("result", `{}`)
			}
			if has(4) {
				add("error", `{"code":1,"message":"x"}`)
			}
			b := refuse(strings.Join(m, ","), `{`+strings.Join(m, ",")+`}`, request, "wire.envelope")
			if has(0) {
				b.id = "1"
			}
			if version == `"2.0"` {
				switch {
				case has(1) && !has(3) && !has(4) && has(0) && has(2):
					b = good(b.name, b.text, `{}`)
				case has(1) && !has(3) && !has(4) && has(0): // no params: no name, and nothing that makes it modern but the header
					b.rpc, b.code = params, ""
				case has(1) && !has(3) && !has(4):
					b = body{name: b.name, text: b.text, status: 202, notification: true}
				case !has(1) && has(0) && has(3) != has(4): // a response, which the modern era does not have
					b.id = ""
				}
			}
			out = append(out, b)
		}
	}
	for _, v := range []string{`7`, `null`, `{}`, `[]`, `""`, `true`, `"` + strings.Repeat("m", 257) + `"`} {
		b := refuse("method "+v, strings.Replace(call(`"greet"`, `{}`), `"tools/call"`, v, 1), request, "wire.envelope")
		b.id = "1"
		out = append(out, b)
	}
	for _, v := range []string{`[]`, `null`, `"x"`, `7`, `true`, `[{"name":"greet"}]`} {
		b := refuse("params "+v, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+v+`}`, request, "wire.envelope")
		b.id = "1"
		out = append(out, b)
	}
	for _, v := range []string{`[]`, `null`, `"x"`, `7`, `true`} {
		b := refuse("arguments "+v, call(`"greet"`, v), params, "")
		b.id = "1"
		out = append(out, b)
		b.name, b.text = "name "+v, call(v, `{}`)
		if v == `"x"` {
			b.rpc = "-32020" // a name, but not the header's
		}
		out = append(out, b)
	}
	one := call(`"greet"`, `{}`)
	for name, batch := range map[string]string{"one": "[" + one + "]", "two": "[" + one + "," + one + "]", "nested": "[[" + one + "]]", "empty": "[]", "with null": "[" + one + ",null]"} {
		out = append(out, refuse("batch of "+name, batch, request, "wire.envelope"))
	}
	return out
}

// mutants are messages changed at random: nobody foretells the answer, the readers judge it.
func mutants(n int) (out []body) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{`"name":"secret",`, `"Name":"secret",`, `"n\u0061me":"secret",`, `,"params":{"name":"secret"}`, `"arguments":{"a":2},`, "\x00", "\ufeff", `\u0000`, "{", "}", "[", "]", ",", ":", `"`, "\xff", " ", `\`, "null", `"id":2,`, `"method":"tools/list",`, "1", "e", "."}
	for range n {
		b := []byte(call(`"greet"`, `{"a":1,"b":["x",{"name":"y"}]}`))
		for range 1 + r.IntN(3) {
			at := r.IntN(len(b))
			switch r.IntN(4) {
			case 0:
				b[at] = byte(r.IntN(256))
			case 1:
				b = append(b[:at:at], b[at+1:]...)
			default:
				p := pieces[r.IntN(len(pieces))]
				b = append(b[:at:at], append([]byte(p), b[at:]...)...)
			}
		}
		out = append(out, body{name: "mutant", text: string(b), unjudged: true})
	}
	return out
}

// TestSmuggle is T-SMUGGLE: whatever the body, the answer is the one foretold, and the recorder gets the value that was
// judged or nothing. Three readers of other habits see that same value, or the body does not pass.
func TestSmuggle(t *testing.T) {
	r := newRig(t, nil)
	old := r.session(t, "s", gatehouse.Revision20251125, "alice")
	var all []body
	for _, group := range [][]body{duplicates(), folded(), text(), ids(), bounds(), kinds()} {
		all = append(all, group...)
		for _, b := range group { // the same on a session of the legacy era, without the marks of the modern one
			if b.revision = gatehouse.Revision20251125; !strings.HasPrefix(b.name, `_meta "io`) && !strings.HasPrefix(b.name, `_meta "\u0069`) {
				all = append(all, b)
			}
		}
	}
	all = append(all, mutants(3000)...)
	for _, b := range all {
		r.smuggle(t, b, old)
		if b.revision == "" && b.status == 400 && b.code != "" { // the header names what the attacker wants
			b.header = "secret"
			r.smuggle(t, b, old)
		}
	}
	t.Logf("%d bodies", len(all))
	if len(all) < 2000 {
		t.Errorf("%d bodies, want 2000", len(all))
	}
}

func (r *rig) smuggle(t *testing.T, b body, session string) {
	t.Helper()
	sent := b.text
	set := modern("tools/call", "greet")
	if b.header != "" {
		set = modern("tools/call", b.header)
	}
	if b.revision != "" {
		set = within(session)
		sent = strings.ReplaceAll(sent, "io.modelcontextprotocol/protocolVersion", "example.org/protocolVersion")
		b.legacy()
	}
	status, answer, _ := r.post("/s/mcp", sent, set)
	got := r.take()
	show := fmt.Sprintf("%s (%s %s)\nsent   %.300q\nanswer %d %.300s\nrecorder got %d calls", b.name, b.revision, b.header, sent, status, answer, len(got))
	rpc, code := fault(answer)
	o, _ := wire.ParseObject(answer)
	id := string(o.Get("id"))
	if b.unjudged {
		switch {
		case len(got) == 0 && (status == 400 || status == 404 || status == 202):
			return
		case len(got) == 1 && status == 200:
			b.tool, b.args = got[0].Name, string(got[0].Arguments)
		default:
			t.Fatal(show)
		}
	} else if status != b.status || rpc != b.rpc || code != b.code || id != b.id || (len(got) == 1) != (b.tool != "") || len(got) > 1 {
		t.Errorf("%s\nwant %d %s %s id %s, tool %q", show, b.status, b.rpc, b.code, b.id, b.tool)
		return
	}
	if b.tool == "" {
		return
	}
	if got[0].Name != b.tool || got[0].Target.Name != b.tool || string(got[0].Arguments) != b.args {
		t.Fatalf("%s\nrecorder got %s %s, want %s %s", show, got[0].Name, got[0].Arguments, b.tool, b.args)
	}
	for name, read := range readers {
		tool, args, err := read([]byte(sent))
		if err != nil || tool != b.tool || !same(args, got[0].Arguments) {
			t.Fatalf("%s\na reader of the kind %s sees %q %s (%v), and the recorder got %q %s", show, name, tool, args, err, b.tool, b.args)
		}
	}
}

// legacy turns the answer foretold for a modern request into that for the same on a session.
func (b *body) legacy() {
	switch {
	case b.rpc == params || b.rpc == request && b.code == "": // JSON-RPC errors are 200 in the legacy era
		b.status = http.StatusOK
	case b.rpc == "-32020":
		b.status, b.rpc = http.StatusOK, params // no such tool
	case b.rpc == request && b.id == "" && strings.HasPrefix(b.text, "{") && strings.Contains(b.name, `"jsonrpc":"2.0","id":1`) && b.code == "wire.envelope":
		*b = body{name: b.name, text: b.text, revision: b.revision, status: http.StatusAccepted, notification: true} // a response to nothing we asked
	}
}

// readers are three habits of others: the first of two members wins, the last, and names are equal but for case.
var readers = map[string]func([]byte) (tool string, args json.RawMessage, err error){
	"first wins": func(b []byte) (string, json.RawMessage, error) { return walkWith(b, true) },
	"last wins":  func(b []byte) (string, json.RawMessage, error) { return walkWith(b, false) },
	"case folding": func(b []byte) (string, json.RawMessage, error) {
		var m struct {
			Params struct {
				Name      string
				Arguments json.RawMessage
			}
		}
		err := json.NewDecoder(bytes.NewReader(b)).Decode(&m)
		return m.Params.Name, m.Params.Arguments, err
	},
}

func walkWith(b []byte, first bool) (tool string, args json.RawMessage, err error) {
	params, err := memberOf(b, "params", first)
	if err != nil {
		return "", nil, err
	}
	name, err := memberOf(params, "name", first)
	if err != nil {
		return "", nil, err
	}
	if err := json.Unmarshal(name, &tool); err != nil {
		return "", nil, err
	}
	args, err = memberOf(params, "arguments", first)
	return tool, args, err
}

// memberOf reads a member of an object as a lenient reader does.
func memberOf(b []byte, name string, first bool) (found json.RawMessage, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if key == name && (found == nil || !first) {
			found = v
		}
	}
	return found, nil
}

// same reports whether two readings of the arguments are one; absent is absent.
func same(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
