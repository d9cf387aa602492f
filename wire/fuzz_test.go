package wire

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse"
)

// place checks that an error is one of ours, with a code, and with the byte it stands at when it is about the text.
func place(t *testing.T, err error, n int) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !strings.HasPrefix(e.Code, "wire.") || e.Msg == "" {
		t.Fatalf("error without a code: %v", err)
	}
	switch e.Code {
	case "wire.envelope", "wire.id", "wire.header": // about a member, which the message names
		return
	case "wire.too_large":
		if e.Offset == -1 {
			return
		}
	}
	if e.Offset < 0 || e.Offset > n {
		t.Fatalf("error without a place: %+v of %d bytes", e, n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":[1,"é"]}}`, `{"jsonrpc":"2.0","id":"a","error":{"code":-1,"message":"m","data":{}}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":""}}`, `{"jsonrpc":"2.0","id":9007199254740991,"result":[1e400]}`, `{"jsonrpc":"2.0","method":"\u0000"}`,
		" {\"jsonrpc\" : \"2.0\" , \"method\" : \"\\ud83d\\ude00\" , \"params\" : { \"a\" :\n1 } } ", `{"a":1,"\u0061":2}`, `[`, ``, "\ufeff{}", `{"jsonrpc":"2.0","id":"\"\\","method":"x"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b, RequestLimits)
		if err != nil {
			place(t, err, len(b))
			return
		}
		var again []byte
		switch m.Kind {
		case Request:
			again = AppendRequest(nil, m.ID, m.Method, m.Params)
		case Notification:
			again = AppendNotification(nil, m.Method, m.Params)
		case Response:
			again = AppendResult(nil, m.ID, m.Result)
		case Failure:
			again = AppendError(nil, m.ID, *m.Error)
		}
		for _, text := range [][]byte{again, AppendLine(nil, again)} {
			n, err := Parse(text, RequestLimits)
			if err != nil {
				if len(text) > RequestLimits.Bytes {
					continue
				}
				t.Fatalf("written again as %s: %v", text, err)
			}
			if n.Kind != m.Kind || string(n.ID) != string(m.ID) || n.Method != m.Method || !sameJSON(n.Params, m.Params) || !sameJSON(n.Result, m.Result) {
				t.Fatalf("%s reads as another message when written again: %s", b, text)
			}
			if m.Error != nil && (n.Error.Code != m.Error.Code || n.Error.Message != m.Error.Message || !sameJSON(n.Error.Data, m.Error.Data)) {
				t.Fatalf("%s has another error when written again: %s", b, text)
			}
		}
		if line := AppendLine(nil, again); bytes.Count(line, []byte("\n"))+bytes.Count(line, []byte("\r")) != 1 {
			t.Fatalf("more than one line: %q", line)
		}
	})
}

// sameJSON reports whether two values are one but for space between their tokens.
func sameJSON(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return bytes.Equal(AppendLine(nil, a), AppendLine(nil, b))
}

// FuzzObject: taking an object apart and putting it together again loses nothing.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[{"c":"}"}]}`, ` { "\u0061" : "\"" , "" : null } `, `[1,[2],"]"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := Verify(b, RequestLimits); err != nil {
			place(t, err, len(b))
			return
		}
		want, err := Canonical(b)
		if err != nil {
			t.Fatal(err)
		}
		again := b
		if o, ok := ParseObject(b); ok {
			again = o.Bytes()
		} else if el, ok := Elements(b); ok {
			again = append(append([]byte{'['}, bytes.Join(el, []byte{','})...), ']')
		}
		if got, err := Canonical(again); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s became %s, %v", b, again, err)
		}
	})
}

// FuzzHeader: a value survives the way through a header, and what is accepted has one meaning.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "greet", " x", "x\t", "ü", "=?base64?Z3JlZXQ=?=", "=?base64?Z3JlZXQ?=", "=?base64?=", "=?base64??=", "a\r\nb", "\x00", "\xff", "=?base64?/w==?="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sent := EncodeHeader(s)
		if !plainHeader(sent) {
			t.Fatalf("EncodeHeader(%q) = %q, which no header carries", s, sent)
		}
		if back, err := DecodeHeader(sent); utf8.ValidString(s) && (err != nil || back != s) || !utf8.ValidString(s) && err == nil {
			t.Fatalf("DecodeHeader(%q) = %q, %v; want %q", sent, back, err, s)
		}
		got, err := DecodeHeader(s)
		if err != nil {
			place(t, err, len(s))
			return
		}
		if again, err := DecodeHeader(EncodeHeader(got)); err != nil || again != got {
			t.Fatalf("%q means %q, then %q, %v", s, got, again, err)
		}
	})
}

// FuzzIntegerHeader: an integer in a header is the one in the body, by an arithmetic of its own.
func FuzzIntegerHeader(f *testing.F) {
	for _, s := range []string{"42", "42.0", "4.2e1", "-0", "1e400", "9007199254740993", "0x2A", "+1", "1_0", "", ".5", "1e-1", "1e-999999", "1e999999", "420e-1", "0.42E+2", "0e-999999"} {
		f.Add(s, int64(42))
	}
	params := []gatehouse.HeaderParam{{Header: "Mcp-Param-N", Path: []string{"n"}, Type: "integer"}}
	f.Fuzz(func(t *testing.T, s string, n int64) {
		arg := big.NewInt(n).String()
		err := CheckParams(map[string][]string{"Mcp-Param-N": {s}}, params, []byte(`{"n":`+arg+`}`))
		if err != nil {
			place(t, err, len(s))
			return
		}
		if number, _, _ := strings.Cut(strings.ToLower(s), "e"); n == 0 && strings.Trim(number, "-0.") == "" {
			return // nothing, times whatever
		}
		r, ok := new(big.Rat).SetString(s) // what passed has an exponent it can bear
		if !ok || r.Cmp(new(big.Rat).SetInt64(n)) != 0 || n > maxSafe || n < -maxSafe || Verify([]byte(s), RequestLimits) != nil {
			t.Fatalf("header %q is taken for %d", s, n)
		}
	})
}

// FuzzEvents: whatever an upstream sends, the reader ends, an error has its code, and an event reads the same again.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"data: a\n\n", "\ufeffid: 1\ndata: a\ndata: b\r\n\r\n", ": c\n\nretry: 5\nevent: x\ndata\n\n", "data: a\rdata: b\r\r\n", "id: \x00\ndata:\n\n", "data: \xff\n\n", "no newline", "\n\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewEventReader(bytes.NewReader(b), EventLimits{Event: 1 << 10, Stream: 1 << 16, Comments: 100})
		for range len(b) + 1 {
			ev, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				place(t, err, len(b))
				return
			}
			text := AppendEvent(nil, ev.ID, ev.Name, ev.Data)
			again, err := NewEventReader(bytes.NewReader(text), DefaultEventLimits).Next()
			if err != nil || again.ID != ev.ID || again.Name != ev.Name || !bytes.Equal(again.Data, ev.Data) {
				t.Fatalf("%+v written as %q reads as %+v, %v", ev, text, again, err)
			}
		}
		t.Fatal("more events than bytes")
	})
}
