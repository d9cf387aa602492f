package egress

import (
	"errors"
	"strings"
	"time"
)

// Field is one header field.
type Field struct{ Name, Value string }

// Header is the fields of an answer in the order they came.
type Header []Field

// Get returns the value of the first field called name, whatever its case, or "".
func (h Header) Get(name string) string {
	for i := range h {
		if len(h[i].Name) == len(name) && strings.EqualFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Values returns the values of all fields called name, whatever its case.
func (h Header) Values(name string) []string {
	var vs []string
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			vs = append(vs, h[i].Value)
		}
	}
	return vs
}

const maxFields = 100

var errFields = errors.New("more than 100 header fields")

// parseHead reads the head of an answer, whose lines all end in CRLF and whose last line is empty (RFC 9112 sections 4 and 5).
// What other readers could take differently is refused: folded lines, space before the colon, control characters.
func parseHead(head string, into []Field) (status int, http11 bool, fields []Field, err error) {
	line, rest, _ := strings.Cut(head, "\r\n")
	if len(line) < 12 || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' {
		return 0, false, nil, errors.New("the status line is not one of HTTP/1.1")
	}
	for _, b := range []byte(line[9:12]) {
		if b < '0' || b > '9' {
			return 0, false, nil, errors.New("the status is not three digits")
		}
		status = status*10 + int(b-'0')
	}
	if status < 100 || status > 599 {
		return 0, false, nil, errors.New("the status is not from 100 to 599")
	}
	if len(line) > 12 && (line[12] != ' ' || !isText(line[13:])) {
		return 0, false, nil, errors.New("the reason after the status is malformed")
	}
	fields, err = parseFields(rest, into)
	return status, line[7] == '1', fields, err
}

// parseFields reads field lines up to the empty line.
func parseFields(lines string, into []Field) ([]Field, error) {
	for {
		line, rest, ok := strings.Cut(lines, "\r\n")
		if !ok {
			return nil, errors.New("a header line does not end")
		}
		if line == "" {
			if rest != "" {
				return nil, errors.New("the header goes on after its end")
			}
			return into, nil
		}
		lines = rest
		if len(into) == maxFields {
			return nil, errFields
		}
		if line[0] == ' ' || line[0] == '\t' {
			return nil, errors.New("a header line is folded")
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return nil, errors.New("a header name is malformed")
		}
		value = strings.Trim(value, " \t")
		if !isText(value) {
			return nil, errors.New("a header value contains a control character")
		}
		into = append(into, Field{name, value})
	}
}

// isText: field content of RFC 9110 section 5.5, or a reason phrase.
func isText(s string) bool {
	for i := range len(s) {
		if b := s[i]; b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// tokens marks the bytes of a token, RFC 9110 section 5.6.2.
var tokens = func() (t [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[b] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := range len(s) {
		if !tokens[s[i]] {
			return false
		}
	}
	return s != ""
}

// frame says how the body of an answer ends and what becomes of the connection.
type frame struct {
	kind   bodyKind
	length int64         // of bodySized
	keep   bool          // the connection may be used again
	idle   time.Duration // how long the server keeps it, when it says
}

type bodyKind uint8

const (
	bodySized bodyKind = iota
	bodyChunked
	bodyToEnd // of the connection
)

// newFrame applies RFC 9112 section 6.3, and refuses every answer whose length could be read in two ways.
func newFrame(method string, status int, http11 bool, fields []Field) (frame, error) {
	f := frame{kind: bodyToEnd, keep: http11, length: -1}
	sized, chunked := false, false
	for i := range fields {
		name, value := fields[i].Name, fields[i].Value
		switch len(name) {
		case len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
		default:
			continue
		}
		switch {
		case strings.EqualFold(name, "Content-Length"):
			n, ok := parseLength(value)
			if sized || !ok {
				return f, errors.New("Content-Length is repeated or not a number")
			}
			sized, f.length, f.kind = true, n, bodySized
		case strings.EqualFold(name, "Transfer-Encoding"):
			if chunked || !http11 || !strings.EqualFold(value, "chunked") {
				return f, errors.New("Transfer-Encoding is not chunked alone")
			}
			chunked, f.kind = true, bodyChunked
		case strings.EqualFold(name, "Connection"):
			for opt := range strings.SplitSeq(value, ",") {
				if strings.EqualFold(strings.Trim(opt, " \t"), "close") {
					f.keep = false
				}
			}
		case len(name) == len("Keep-Alive") && strings.EqualFold(name, "Keep-Alive"): // as long as Connection
			f.idle = keepAlive(value)
		}
	}
	if sized && chunked {
		return f, errors.New("there are both Content-Length and Transfer-Encoding")
	}
	if method == "HEAD" || status == 204 || status == 304 {
		// Whatever follows such a head belongs to no answer; a server that announces a body there may send one.
		f.keep = f.keep && (method == "HEAD" || status == 304 || !chunked && f.length <= 0)
		f.kind, f.length = bodySized, 0
	}
	if f.kind == bodyToEnd {
		f.keep = false
	}
	return f, nil
}

func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// keepAlive reads timeout=SECONDS. A second is taken off, so that a request does not cross the server's close.
func keepAlive(value string) time.Duration {
	for opt := range strings.SplitSeq(value, ",") {
		k, v, _ := strings.Cut(strings.Trim(opt, " \t"), "=")
		if n, ok := parseLength(v); ok && strings.EqualFold(k, "timeout") {
			return max(time.Duration(min(n, 3600))*time.Second-time.Second, time.Millisecond)
		}
	}
	return 0
}
