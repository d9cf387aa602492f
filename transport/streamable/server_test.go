package streamable

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// A connection that has brought its share of requests is closed with the answer to the last of them.
func TestConnectionWearsOut(t *testing.T) {
	h, _ := handler(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(h, ln, nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		w := bufio.NewWriter(c)
		for range maxRequests {
			fmt.Fprintf(w, "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n")
		}
		_ = w.Flush() // what cannot be written is seen by the reader
	}()
	r := bufio.NewReader(c)
	for n := 1; n <= maxRequests; n++ {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", n, err)
		}
		if _, err := r.Discard(int(res.ContentLength)); err != nil || res.StatusCode != 200 {
			t.Fatalf("answer %d: status %d, %v", n, res.StatusCode, err)
		}
		if res.Close != (n == maxRequests) {
			t.Fatalf("answer %d closes: %v", n, res.Close)
		}
	}
	_ = c.Close()
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
