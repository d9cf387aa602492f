package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/config"
	"gatehouse/transport/streamable"
)

// pipes is a listener of connections in memory, so that a test runs in a bubble of its own time.
type pipes struct {
	addr *net.TCPAddr
	next chan net.Conn
	once sync.Once
	done chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.next:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
func (p *pipes) Addr() net.Addr { return p.addr }

type piped struct {
	net.Conn
	remote *net.TCPAddr
}

func (c piped) RemoteAddr() net.Addr { return c.remote }

// bubble runs a test against a server whose time is the bubble's.
func bubble(t *testing.T, change func(*config.Limits), test func(t *testing.T, r *rig, srv *streamable.Server, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
		ln := &pipes{addr: addr, next: make(chan net.Conn), done: make(chan struct{})}
		r := newRigAt(t, addr, 0, change)
		srv := streamable.NewServer(r.h, ln, nil)
		served := make(chan error, 1)
		go func() { served <- srv.Serve() }()
		var open []net.Conn
		test(t, r, srv, func() net.Conn {
			here, there := net.Pipe()
			ln.next <- piped{there, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000 + len(open)}}
			open = append(open, here)
			return here
		})
		for _, c := range open {
			_ = c.Close()
		}
		select {
		case <-r.release:
		default:
			close(r.release)
		}
		r.g.Drain()
		if err := srv.Drain(t.Context()); err != nil {
			t.Errorf("Drain: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// lasted reads until the server closes, and returns what came and when it ended.
func lasted(c net.Conn) (string, time.Duration) {
	began := time.Now()
	b, _ := io.ReadAll(c)
	return string(b), time.Since(began)
}

// drip writes one byte a second until it cannot.
func drip(c net.Conn, text string) {
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// TestSlowSenders: who sends slowly is let go when the limits say, and what he sent so far does nothing.
func TestSlowSenders(t *testing.T) {
	body := call(`"greet"`, `{"a":"`+strings.Repeat("x", 200<<10)+`"}`)
	for name, c := range map[string]struct {
		send  func(r *rig, c net.Conn)
		after time.Duration
		want  string
		calls int
	}{
		"nothing":                     {func(*rig, net.Conn) {}, 5 * time.Second, "", 0},
		"a byte of the head a second": {func(r *rig, c net.Conn) { drip(c, r.head(marks("tools/call", "greet"))) }, 5 * time.Second, "400", 0},
		"no end of the head":          {func(r *rig, c net.Conn) { _, _ = io.WriteString(c, r.head("X-A: b\r\n")) }, 5 * time.Second, "", 0},
		"a byte of the body a second": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), "Content-Length: 400\r\n\r\n"))
			drip(c, strings.Repeat("x", 400))
		}, 5 * time.Second, "408", 0},
		"no body": {func(r *rig, c net.Conn) { _, _ = io.WriteString(c, r.head("Content-Length: 4000000\r\n\r\n")) }, 5 * time.Second, "408", 0},
		"a chunk, then nothing": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head("Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n"))
		}, 5 * time.Second, "408", 0},
		"64 KiB every four seconds": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n\r\n", len(body))))
			for rest := body; rest != ""; {
				time.Sleep(4 * time.Second)
				n := min(len(rest), 64<<10)
				_, _ = io.WriteString(c, rest[:n])
				rest = rest[n:]
			}
		}, 16 * time.Second, "200", 1},
		"the same in chunks": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), "Transfer-Encoding: chunked\r\n\r\n"))
			for rest := body; rest != ""; {
				time.Sleep(4 * time.Second)
				n := min(len(rest), 64<<10)
				_, _ = fmt.Fprintf(c, "%x\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}, 16 * time.Second, "200", 1},
		"a refusal without its body": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, strings.Replace(r.head("Content-Length: 200000\r\n\r\n"), r.addr, "evil.example", 1))
		}, 5 * time.Second, "403", 0},
		"a refusal in drops": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, strings.Replace(r.head("Transfer-Encoding: chunked\r\n\r\n"), "Bearer alice", "x", 1))
			drip(c, "30d40\r\n"+strings.Repeat("x", 200))
		}, 5 * time.Second, "HTTP", 0},
		"a GET without its body": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, strings.Replace(r.head("Content-Length: 200000\r\n\r\n"), "POST", "GET", 1))
		}, 5 * time.Second, "400", 0},
		"64 KiB, then nothing": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))))
			time.Sleep(4 * time.Second)
			_, _ = io.WriteString(c, body[:64<<10])
		}, 9 * time.Second, "408", 0},
		"one request, then nothing": {func(r *rig, c net.Conn) {
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), length(call(`"greet"`, `{}`))))
		}, 120 * time.Second, "200", 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
				conn := dial()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					c.send(r, conn)
				}()
				answer, after := lasted(conn)
				_ = conn.Close()
				<-sent
				if after < c.after || after > c.after+2*time.Second || !strings.Contains(answer, c.want) || (c.want == "") != (answer == "") || len(r.take()) != c.calls {
					t.Errorf("closed after %v, %.200q; want %v, %q and %d calls", after, answer, c.after, c.want, c.calls)
				}
			})
		})
	}
}

// TestSlowReaders: who takes nothing for 30 seconds is let go; who takes little by little gets everything.
func TestSlowReaders(t *testing.T) {
	big := call(`"big"`, `{}`)
	t.Run("nothing of a large answer", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
			c := dial()
			_, _ = io.WriteString(c, r.head(marks("tools/call", "big"), length(big)))
			time.Sleep(29 * time.Second)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Errorf("after 29 s: %v", err)
			}
			time.Sleep(61 * time.Second)
			if b, err := io.ReadAll(c); err != nil || len(b) > 1<<20 {
				t.Errorf("after another minute: %d bytes, %v; want the end", len(b), err)
			}
		})
	})
	t.Run("nothing of a small one", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
			c := dial()
			_, _ = io.WriteString(c, r.head(marks("tools/call", "greet"), length(call(`"greet"`, `{}`))))
			time.Sleep(31 * time.Second)
			if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
				t.Errorf("after 31 s: %q, %v; want the end", b, err)
			}
		})
	})
	t.Run("nothing of a refusal", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
			c := dial()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
			time.Sleep(31 * time.Second)
			if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
				t.Errorf("after 31 s: %q, %v; want the end", b, err)
			}
		})
	})
	t.Run("little by little", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
			c := dial()
			_, _ = io.WriteString(c, r.head(marks("tools/call", "big"), "Connection: close\r\n", length(big)))
			total := 0
			for b := make([]byte, 64<<10); ; time.Sleep(20 * time.Second) {
				n, err := io.ReadFull(c, b)
				if total += n; err != nil {
					break
				}
			}
			if total < 8<<20 {
				t.Errorf("%d bytes, want the whole answer", total)
			}
		})
	})
	t.Run("nothing of a stream", func(t *testing.T) {
		bubble(t, func(l *config.Limits) { l.StreamsPerPrincipal = 1 }, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
			listen := `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + meta + `}}`
			open := func() *bufio.Reader {
				c := dial()
				_, _ = io.WriteString(c, strings.Replace(r.head(marks("subscriptions/listen", ""), length(listen)), "Accept: application/json", "Accept: text/event-stream, application/json", 1))
				return bufio.NewReader(c)
			}
			first := open()
			if res, err := http.ReadResponse(first, nil); err != nil || res.StatusCode != 200 {
				t.Fatalf("listen: %v, %v", res, err)
			}
			second := open() // it is one too many
			if res, err := http.ReadResponse(second, nil); err != nil || res.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("second listen: %v, %v", res, err)
			}
			time.Sleep(time.Minute) // nobody reads the first: its comments find no taker
			third := open()
			if res, err := http.ReadResponse(third, nil); err != nil || res.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("listen after the first was let go: %v, %v", res, err)
			}
		})
	})
}

// TestKeepAlive: silence on a stream is broken by comments, and a call that takes long becomes a stream.
func TestKeepAlive(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
		both := func(s string) string {
			return strings.Replace(s, "Accept: application/json", "Accept: text/event-stream, application/json", 1)
		}
		c := dial()
		_, _ = io.WriteString(c, both(r.head(marks("tools/call", "wait"), "Connection: close\r\n", length(call(`"wait"`, `{}`)))))
		<-r.entered
		go func() {
			time.Sleep(40 * time.Second)
			close(r.release)
		}()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		parts := strings.Split(string(b), "\n\n")
		if n := strings.Count(string(b), ":\r\n\r\n"); n != 2 || res.Header.Get("Content-Type") != "text/event-stream" || !strings.Contains(parts[0], `"waited":true`) {
			t.Errorf("after 40 s: %v %q; want two comments and the result", res.Header, b)
		}
	})
}

// TestConnections: an address has so many connections until somebody signs in on one.
func TestConnections(t *testing.T) {
	bubble(t, func(l *config.Limits) { l.ConnectionsPerAddress = 3 }, func(t *testing.T, r *rig, _ *streamable.Server, dial func() net.Conn) {
		var open []net.Conn
		for range 3 {
			open = append(open, dial())
		}
		refused := dial()
		if b, after := lasted(refused); b != "" || after != 0 {
			t.Errorf("fourth connection: %q after %v, want the end at once", b, after)
		}
		ok := func(c net.Conn, request, want string) {
			t.Helper()
			go func() { _, _ = io.WriteString(c, request) }()
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(res.Body); !strings.HasPrefix(res.Status, want) {
				t.Fatalf("%s %s, want %s", res.Status, b, want)
			}
		}
		health := "GET /healthz HTTP/1.1\r\nHost: " + r.addr + "\r\n\r\n"
		ok(open[0], health, "200")
		if b, _ := lasted(dial()); b != "" { // nobody signed in
			t.Error("a connection that only asked for its health made room")
		}
		ok(open[0], r.head(marks("tools/call", "greet"), length(call(`"greet"`, `{}`))), "200")
		ok(dial(), health, "200") // her place is free
		if b, _ := lasted(dial()); b != "" {
			t.Error("one place was made, and two taken")
		}
		_ = open[1].Close()
		synctest.Wait()
		ok(dial(), health, "200")
	})
}
