package wire

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse"
)

const (
	sentinelOpen  = "=?base64?"
	sentinelClose = "?="
)

// EncodeHeader writes a value as Mcp-Name and Mcp-Param-* carry it (MCP 2026-07-28, transports, "value encoding"): as it
// is when that is plain visible ASCII, else base64 of its UTF-8 between =?base64? and ?=.
func EncodeHeader(s string) string {
	if plainHeader(s) && !looksSealed(s) {
		return s
	}
	return sentinelOpen + base64.StdEncoding.EncodeToString([]byte(s)) + sentinelClose
}

func plainHeader(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c > 0x7e || c < 0x20 && c != '\t' {
			return false
		}
	}
	return s == strings.Trim(s, " \t")
}

func looksSealed(s string) bool {
	return strings.HasPrefix(s, sentinelOpen) && strings.HasSuffix(s, sentinelClose)
}

// DecodeHeader undoes EncodeHeader. The error is an *Error wire.header.
func DecodeHeader(s string) (string, error) {
	if !plainHeader(s) {
		return "", bad("wire.header", "a header value holds characters that must be sent as =?base64?…?=")
	}
	if !looksSealed(s) {
		return s, nil
	}
	if len(s) < len(sentinelOpen)+len(sentinelClose) {
		return "", bad("wire.header", "a header value holds half a base64 marker")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s[len(sentinelOpen) : len(s)-len(sentinelClose)])
	if err != nil || !utf8.Valid(b) {
		return "", bad("wire.header", "a header value is not base64 of valid UTF-8")
	}
	return string(b), nil
}

// HeaderParams reads the x-mcp-header annotations of a verified input schema. The error is an *Error wire.header when one
// is not valid: a tool with it must not be used over HTTP.
func HeaderParams(schema []byte) ([]gatehouse.HeaderParam, error) {
	if !strings.Contains(string(schema), `"x-mcp-header"`) {
		return nil, nil
	}
	var out []gatehouse.HeaderParam
	seen := map[string]bool{}
	if err := headerParams(schema, nil, &out, seen); err != nil {
		return nil, err
	}
	// An annotation anywhere else than below properties alone is not reachable and makes the schema invalid.
	if n := countAnnotations(schema); n != len(out) {
		return nil, bad("wire.header", "an x-mcp-header annotation stands where no fixed argument is")
	}
	return out, nil
}

func headerParams(schema []byte, path []string, out *[]gatehouse.HeaderParam, seen map[string]bool) error {
	o, _ := ParseObject(schema)
	props, _ := ParseObject(o.Get("properties"))
	for _, p := range props {
		prop, ok := ParseObject(p.Value)
		if !ok {
			continue
		}
		at := append(append([]string(nil), path...), p.Name)
		if ann := prop.Get("x-mcp-header"); ann != nil {
			name, _ := Text(ann)
			typ, _ := Text(prop.Get("type"))
			switch {
			case !isToken(name):
				return bad("wire.header", "x-mcp-header of %q is no header name", strings.Join(at, "."))
			case seen[strings.ToLower(name)]:
				return bad("wire.header", "x-mcp-header %q is used twice", name)
			case typ != "string" && typ != "integer" && typ != "boolean":
				return bad("wire.header", "x-mcp-header of %q: its type must be string, integer or boolean", strings.Join(at, "."))
			}
			seen[strings.ToLower(name)] = true
			*out = append(*out, gatehouse.HeaderParam{Header: http.CanonicalHeaderKey("Mcp-Param-" + name), Path: at, Type: typ})
		}
		if len(at) < 32 {
			if err := headerParams(p.Value, at, out, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// countAnnotations counts the objects that have the member, wherever they stand in a schema position.
func countAnnotations(v []byte) int {
	n := 0
	if o, ok := ParseObject(v); ok {
		for _, m := range o {
			switch m.Name {
			case "x-mcp-header":
				n++
			case "const", "enum", "default", "examples": // data, not schema
			default:
				n += countAnnotations(m.Value)
			}
		}
	} else if el, ok := Elements(v); ok {
		for _, e := range el {
			n += countAnnotations(e)
		}
	}
	return n
}

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// ParamHeader returns the encoded header value of an argument; present is false when it is absent or null.
func ParamHeader(args []byte, p gatehouse.HeaderParam) (value string, present bool, err error) {
	v := args
	for _, name := range p.Path {
		o, ok := ParseObject(v)
		if !ok {
			return "", false, nil
		}
		v = o.Get(name)
		if IsNull(v) {
			return "", false, nil
		}
	}
	switch p.Type {
	case "string":
		s, ok := Text(v)
		if !ok {
			return "", false, bad("wire.header", "argument %q must be a string", strings.Join(p.Path, "."))
		}
		return EncodeHeader(s), true, nil
	case "boolean":
		if s := string(v); s == "true" || s == "false" {
			return s, true, nil
		}
		return "", false, bad("wire.header", "argument %q must be a boolean", strings.Join(p.Path, "."))
	}
	n, ok := safeInteger(string(v))
	if !ok {
		return "", false, bad("wire.header", "argument %q must be an integer within ±(2^53-1)", strings.Join(p.Path, "."))
	}
	return strconv.FormatInt(n, 10), true, nil
}

// safeInteger reads a JSON number that has an integer value, however it is written ("42.0" is 42). It counts digits: a
// library that computes the value of 1e-999999 takes its time.
func safeInteger(s string) (int64, bool) {
	if !isNumber(s) || len(s) > 64 {
		return 0, false
	}
	number, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return 0, true
	}
	exp := 0
	if exponent != "" {
		var err error
		if exp, err = strconv.Atoi(exponent); err != nil || exp > 100 || exp < -100 {
			return 0, false
		}
	}
	exp -= len(fraction)
	for exp < 0 && strings.HasSuffix(digits, "0") {
		digits, exp = digits[:len(digits)-1], exp+1
	}
	if exp < 0 || len(digits)+exp > 16 {
		return 0, false
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", exp), 10, 64)
	if strings.HasPrefix(s, "-") {
		n = -n
	}
	return n, err == nil && n <= maxSafe && n >= -maxSafe
}

// isNumber reports whether s is written as a number of JSON (RFC 8259, section 6).
func isNumber(s string) bool {
	digits := func() bool {
		n := len(s)
		s = strings.TrimLeft(s, "0123456789")
		return len(s) < n
	}
	s = strings.TrimPrefix(s, "-")
	zero := strings.HasPrefix(s, "0")
	n := len(s)
	if !digits() || zero && n-len(s) > 1 {
		return false
	}
	if strings.HasPrefix(s, ".") {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// CheckParams compares the Mcp-Param-* headers of a request with its arguments. The error is an *Error wire.header.
func CheckParams(h http.Header, params []gatehouse.HeaderParam, args []byte) error {
	for _, p := range params {
		got := h.Values(p.Header)
		want, present, err := ParamHeader(args, p)
		switch {
		case err != nil:
			return err
		case len(got) > 1:
			return bad("wire.header", "header %s is sent twice", p.Header)
		case !present && len(got) > 0:
			return bad("wire.header", "header %s is sent without argument %q", p.Header, strings.Join(p.Path, "."))
		case present && len(got) == 0:
			return bad("wire.header", "header %s is missing: it repeats argument %q", p.Header, strings.Join(p.Path, "."))
		case !present:
			continue
		}
		if p.Type == "integer" {
			a, okA := safeInteger(got[0])
			b, okB := safeInteger(want)
			if !okA || !okB || a != b {
				return mismatch(p)
			}
			continue
		}
		a, err := DecodeHeader(got[0])
		if err != nil {
			return err
		}
		if b, _ := DecodeHeader(want); a != b {
			return mismatch(p)
		}
	}
	return nil
}

func mismatch(p gatehouse.HeaderParam) error {
	return bad("wire.header", "header %s differs from argument %s", p.Header, fmt.Sprintf("%q", strings.Join(p.Path, ".")))
}
