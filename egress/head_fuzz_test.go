package egress

import (
	"strings"
	"testing"
)

// FuzzHead: whatever is accepted has one reading, so writing it out and reading it again gives the same.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: \r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=3\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 O\rK\r\n\r\n", "HTTP/1.1 204 \r\nContent-Length: 1\r\n\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, head string) {
		status, http11, fields, err := parseHead(head, nil)
		if err != nil {
			return
		}
		if status < 100 || status > 599 || len(fields) > maxFields {
			t.Fatalf("status %d with %d fields", status, len(fields))
		}
		var b strings.Builder
		b.WriteString(head[:strings.Index(head, "\r\n")+2])
		for _, fd := range fields {
			if !isToken(fd.Name) || strings.ContainsAny(fd.Value, "\r\n\x00") || strings.Trim(fd.Value, " \t") != fd.Value {
				t.Fatalf("field %q: %q", fd.Name, fd.Value)
			}
			b.WriteString(fd.Name + ":" + fd.Value + "\r\n")
		}
		b.WriteString("\r\n")
		status2, _, fields2, err := parseHead(b.String(), nil)
		if err != nil || status2 != status || len(fields2) != len(fields) {
			t.Fatalf("%q reads %d, %d fields, %v", b.String(), status2, len(fields2), err)
		}
		for i := range fields {
			if fields[i] != fields2[i] {
				t.Fatalf("field %d: %q became %q", i, fields[i], fields2[i])
			}
		}
		fr, err := newFrame("POST", status, http11, fields)
		if err != nil {
			return
		}
		h := Header(fields)
		if len(h.Values("Content-Length")) > 0 && len(h.Values("Transfer-Encoding")) > 0 || len(h.Values("Content-Length")) > 1 {
			t.Fatalf("%q has two lengths", head)
		}
		if fr.kind == bodySized && fr.length < 0 || fr.kind == bodyToEnd && fr.keep {
			t.Fatalf("frame %+v", fr)
		}
	})
}
