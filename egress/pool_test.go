package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

func TestReuse(t *testing.T) {
	var conns atomic.Int32
	c := client(t, serve(t, func(n int, nc net.Conn, br *bufio.Reader) { conns.Store(int32(n)); echo(n, nc, br) }), Options{MaxIdle: 2})
	big := strings.Repeat("x", 300<<10)
	for i := range 20 {
		want := fmt.Sprint(i)
		if i == 7 {
			want = big // longer than all buffers
		}
		if _, got, err := send(c, &Request{Method: "POST", Body: []byte(want)}); err != nil || got != want {
			t.Fatalf("answer %d is %.20q, %v", i, got, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	// Closed before its end, a short answer that is here saves the connection; a long one does not.
	res, err := c.Do(t.Context(), &Request{Method: "POST", Body: []byte(big)})
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if _, err := res.Body.Read(make([]byte, 1)); err == nil || len(c.pool.idle) != 0 {
		t.Errorf("read after close: %v; %d kept", err, len(c.pool.idle))
	}
	// No more than MaxIdle are kept.
	var open []*Response
	for range 4 {
		res, err := c.Do(t.Context(), &Request{Method: "POST", Body: []byte("abc")})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, res)
	}
	for _, res := range open {
		_, _ = io.ReadAll(res.Body)
	}
	if n := len(c.pool.idle); n != 2 {
		t.Errorf("%d kept, want 2", n)
	}
	c.Close()
	if _, _, err := send(c, &Request{}); code(err) != CodeClosed || len(c.pool.idle) != 0 {
		t.Errorf("after Close: %v", err)
	}
}

// TestNotKept: answers after which a connection must not be used again.
func TestNotKept(t *testing.T) {
	for name, answer := range map[string]string{
		"Connection: close":         sized("Connection: close\r\n", "hi"),
		"close in a list":           sized("Connection: keep-alive, Close\r\n", "hi"),
		"HTTP/1.0":                  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		"bytes behind the answer":   sized("", "hi") + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
		"bytes behind the chunks":   chunked("2\r\nhi\r\n0\r\n\r\nX"),
		"body behind 204":           "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
		"second answer without any": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	} {
		c := client(t, serve(t, func(_ int, nc net.Conn, br *bufio.Reader) {
			for {
				if _, _, err := take(br); err != nil {
					return
				}
				_, _ = io.WriteString(nc, answer)
			}
		}), Options{})
		if _, _, err := send(c, &Request{}); err != nil || len(c.pool.idle) != 0 {
			t.Errorf("%s: %v, %d kept", name, err, len(c.pool.idle))
		}
	}
}

// TestUnasked: what a server says while the connection is idle never becomes an answer, nor does its close an error.
func TestUnasked(t *testing.T) {
	said := make(chan struct{})
	for _, tt := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", ""} {
		c := client(t, serve(t, func(n int, nc net.Conn, br *bufio.Reader) {
			if n > 1 {
				echo(n, nc, br)
				return
			}
			_, body, _ := take(br)
			_, _ = io.WriteString(nc, sized("", body))
			<-said
			_, _ = io.WriteString(nc, tt)
			_ = nc.Close()
			said <- struct{}{}
		}), Options{})
		for i := range 2 {
			if _, got, err := send(c, &Request{Method: "POST", Body: []byte("good")}); err != nil || got != "good" {
				t.Errorf("%q: answer %d is %q, %v", tt, i, got, err)
			}
			if i == 0 {
				said <- struct{}{}
				<-said
			}
		}
	}
}

// TestRetry: the server takes the second request of the first connection and hangs up.
func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		name  string
		r     Request
		say   string
		conns int32
		code  string
	}{
		{"GET", Request{}, "", 2, ""},
		{"idempotent POST", Request{Method: "POST", Body: []byte("x"), Idempotent: true}, "", 2, ""},
		{"POST", Request{Method: "POST", Body: []byte("x")}, "", 1, CodeBroken},
		{"GET, part of an answer", Request{}, "HTTP/1.1 20", 1, CodeBroken},
		{"GET, interim answer", Request{}, "HTTP/1.1 100 Continue\r\n\r\n", 1, CodeBroken},
	} {
		var conns atomic.Int32
		c := client(t, serve(t, func(n int, nc net.Conn, br *bufio.Reader) {
			conns.Store(int32(n))
			if n > 1 {
				echo(n, nc, br)
				return
			}
			_, _, _ = take(br)
			_, _ = io.WriteString(nc, sized("", "1"))
			_, _, _ = take(br)
			_, _ = io.WriteString(nc, tt.say)
		}), Options{})
		if _, _, err := send(c, &Request{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := send(c, &tt.r); code(err) != tt.code || conns.Load() != tt.conns {
			t.Errorf("%s: %v after %d connections, want %q after %d", tt.name, err, conns.Load(), tt.code, tt.conns)
		}
	}
}

func TestCancel(t *testing.T) {
	gone := make(chan error, 1)
	c := client(t, serve(t, func(_ int, nc net.Conn, br *bufio.Reader) {
		req, _, err := take(br)
		if err != nil {
			return
		}
		if req.URL.Path == "/body" {
			_, _ = io.WriteString(nc, chunked("2\r\nhi\r\n"))
		}
		_, err = br.ReadByte()
		gone <- err
	}), Options{})

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	if _, err := c.Do(ctx, &Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for the head: %v", err)
	}
	if err := <-gone; err == nil {
		t.Error("the server was not told")
	}
	if _, err := c.Do(ctx, &Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	res, err := c.Do(ctx, &Request{Path: "/body"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); string(b) != "hi" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading the body: %q, %v", b, err)
	}
	if err := <-gone; err == nil {
		t.Error("the server was not told")
	}

	// Close ends a Read that waits.
	res, err = c.Do(t.Context(), &Request{Path: "/body"})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(5*time.Millisecond, func() { _ = res.Body.Close() })
	if b, err := io.ReadAll(res.Body); string(b) != "hi" || err == nil {
		t.Errorf("closed while reading: %q, %v", b, err)
	}
	<-gone
	if len(c.pool.idle) != 0 {
		t.Errorf("%d kept", len(c.pool.idle))
	}
}

func TestHeaderTimeout(t *testing.T) {
	c := client(t, serve(t, func(_ int, _ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) }), Options{HeaderTimeout: 10 * time.Millisecond})
	for _, r := range []*Request{{}, {Method: "POST", Idempotent: true}} {
		if _, _, err := send(c, r); code(err) != CodeTimeout {
			t.Errorf("Do = %v, want %s", err, CodeTimeout)
		}
	}
}

func TestIdleExpiry(t *testing.T) {
	c := client(t, serve(t, func(n int, nc net.Conn, br *bufio.Reader) {
		for {
			if _, _, err := take(br); err != nil {
				return
			}
			_, _ = io.WriteString(nc, sized("Keep-Alive: timeout=5\r\n", "hi"))
		}
	}), Options{})
	if _, _, err := send(c, &Request{}); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(c.pool.idle[0].expiry); left > 4*time.Second || left < 3*time.Second {
		t.Errorf("kept for %v, want 4 s", left)
	}
	if cn := c.pool.get(time.Now().Add(5 * time.Second)); cn != nil {
		t.Error("an expired connection was handed out")
	}
	if _, _, err := send(c, &Request{}); err != nil {
		t.Fatal(err)
	}
	c.pool.idle[0].expiry = time.Now().Add(-time.Second)
	c.pool.expire()
	if len(c.pool.idle) != 0 || c.pool.timer != nil {
		t.Errorf("%d kept after their time", len(c.pool.idle))
	}
}

// TestMany runs requests of all fates at once; with -race it also checks the hand-over of connections.
func TestMany(t *testing.T) {
	before := runtime.NumGoroutine()
	addr := serve(t, echo)
	c := client(t, addr, Options{MaxIdle: 8})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 60 {
				want := fmt.Sprintf("%d/%d/%s", i, j, strings.Repeat("y", j*50))
				ctx, cancel := context.WithCancel(context.Background())
				if j%9 == 8 {
					time.AfterFunc(time.Duration(j)*time.Microsecond, cancel)
				}
				res, err := c.Do(ctx, &Request{Method: "POST", Body: []byte(want)})
				if err == nil && j%7 == 6 {
					_ = res.Body.Close()
				} else if err == nil {
					var b []byte
					if b, err = io.ReadAll(res.Body); err == nil && string(b) != want {
						t.Errorf("answer %.20q to %.20q", b, want)
					}
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", want[:4], err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	idle := len(c.pool.idle)
	if idle == 0 || idle > 8 {
		t.Errorf("%d kept, want 1 to 8", idle)
	}
	// Each kept connection has a goroutine of the test's server, none of the client.
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before+1+idle && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before+1+idle {
		t.Errorf("%d goroutines, %d before, for %d kept connections", n, before, idle)
	}
}

// TestCancelledLate: when the cancellation has begun as the answer ends, the connection is about to close and must not be kept.
func TestCancelledLate(t *testing.T) {
	for _, kept := range []bool{true, false} {
		g, _ := fake(t, []config.EgressAllow{{Name: "public.example"}})
		u, _ := url.Parse("http://public.example/")
		c, err := NewClient(u, g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, z := net.Pipe()
		b := &body{client: c, conn: newConn(a), ctx: t.Context(), frame: frame{keep: true}, stop: func() bool { return kept }}
		b.conn.buf[0], b.conn.w, b.left = 'x', 1, 1
		if got, err := io.ReadAll(b); string(got) != "x" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if n := len(c.pool.idle); (n == 1) != kept {
			t.Errorf("%d kept, want it %v", n, kept)
		}
		c.Close()
		_ = z.Close()
	}
}
