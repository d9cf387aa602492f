package egress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Request is one request to the origin of a Client.
type Request struct {
	Method     string  // GET when empty
	Path       string  // escaped path and query, beginning with "/"; those of the client's base when empty
	Header     []Field // not Host, Content-Length or any field of the connection itself: the client writes those
	Body       []byte
	Idempotent bool // it may be sent again when a kept connection turns out to be dead; GET, HEAD and OPTIONS may be anyway
}

const maxRequestHead = 32 << 10

func (r *Request) method() string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

// again reports whether the request may be sent twice.
func (r *Request) again() bool {
	switch r.method() {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	return r.Idempotent
}

// check refuses whatever could be read as more or other than this one request. agent says that no User-Agent is given.
func (r *Request) check() (agent bool, err error) {
	switch m := r.method(); {
	case !isToken(m) || len(m) > 32:
		return false, errors.New("the method is malformed")
	case m == "CONNECT" || m == "TRACE":
		return false, fmt.Errorf("the method %s is not accepted", m)
	}
	if r.Path != "" {
		if err := checkPath(r.Path); err != nil {
			return false, err
		}
	}
	if len(r.Header) > maxFields {
		return false, errFields
	}
	agent, size := true, len(r.Path)
	for i := range r.Header {
		f := &r.Header[i]
		if !isToken(f.Name) {
			return false, fmt.Errorf("the header name %q is malformed", f.Name)
		}
		if !isText(f.Value) {
			return false, fmt.Errorf("the value of header %s contains a control character", f.Name)
		}
		if isOurs(f.Name) {
			return false, fmt.Errorf("the header %s is not the caller's to set", f.Name)
		}
		if len(f.Name) == len("User-Agent") && strings.EqualFold(f.Name, "User-Agent") {
			agent = false
		}
		size += len(f.Name) + len(f.Value) + 4
	}
	if size > maxRequestHead {
		return false, fmt.Errorf("the head is longer than %d bytes", maxRequestHead)
	}
	return agent, nil
}

// checkPath accepts path and query in origin form (RFC 9112 section 3.2.1).
func checkPath(s string) error {
	if s[0] != '/' {
		return errors.New(`the path does not begin with "/"`)
	}
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b <= ' ' || b >= 0x7f:
			return errors.New("the path contains a byte that must be escaped")
		case b == '#' || b == '\\':
			return fmt.Errorf("the path contains %q, which must be escaped", b)
		case b == '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return errors.New("the path contains a malformed escape")
			}
		}
	}
	return nil
}

// isOurs reports whether a field frames the message or concerns the connection.
func isOurs(name string) bool {
	switch len(name) {
	case 2, 4, 6, 7, 10, 14, 16, 17, 18, 19:
	default:
		return false
	}
	for _, s := range [...]string{
		"TE", "Host", "Expect", "Upgrade", "Trailer", "Connection", "Keep-Alive", "Content-Length",
		"Proxy-Connection", "Transfer-Encoding", "Proxy-Authenticate", "Proxy-Authorization",
	} {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return true
		}
	}
	return false
}

// appendHead writes the head of a checked request.
func (c *Client) appendHead(b []byte, r *Request, agent bool) []byte {
	m := r.method()
	b = append(b, m...)
	b = append(b, ' ')
	if r.Path != "" {
		b = append(b, r.Path...)
	} else {
		b = append(b, c.path...)
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.host...)
	b = append(b, "\r\n"...)
	if agent {
		b = append(b, "User-Agent: gatehouse\r\n"...)
	}
	for i := range r.Header {
		b = append(b, r.Header[i].Name...)
		b = append(b, ": "...)
		b = append(b, r.Header[i].Value...)
		b = append(b, "\r\n"...)
	}
	if len(r.Body) > 0 || m != "GET" && m != "HEAD" && m != "OPTIONS" && m != "DELETE" {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}
