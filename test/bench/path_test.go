package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/builtin"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/identity/key"
	"gatehouse/internal/telemetry"
	"gatehouse/policy"
	"gatehouse/transport"
	"gatehouse/transport/streamable"
)

// path is a gateway in this process, with the real stages: access keys, a record on disk, an upstream over TCP.
type path struct {
	handler http.Handler
	key     string
}

// plainUpstream answers as the trivial upstream does but without allocating, so that what is counted is the gateway's.
func plainUpstream(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go plainAnswers(c)
		}
	}()
	return ln.Addr().String()
}

func plainAnswers(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	var out []byte
	for {
		length := 0
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				break
			}
			if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				length, _ = strconv.Atoi(string(v[:len(v)-2]))
			}
		}
		body, err := br.Peek(length)
		if err != nil {
			return
		}
		result, status := "", "200 OK"
		switch {
		case bytes.Contains(body, []byte(`"tools/call"`)):
			result = `{"content":[{"type":"text","text":"hello"}],"resultType":"complete"}`
		case bytes.Contains(body, []byte(`"tools/list"`)):
			result = `{"tools":[{"name":"echo","inputSchema":{"type":"object"}}],"resultType":"complete","ttlMs":60000,"cacheScope":"public"}`
		case bytes.Contains(body, []byte(`"server/discover"`)):
			result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public"}`
		case bytes.Contains(body, []byte(`"initialize"`)):
			result = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"trivial","version":"1"}}`
		default:
			status = "202 Accepted"
		}
		out = append(append(append(out[:0], "HTTP/1.1 "...), status...), "\r\nContent-Type: application/json\r\nContent-Length: "...)
		if result == "" {
			out = append(out, "0\r\n\r\n"...)
		} else {
			id := body[bytes.Index(body, []byte(`"id":`))+5:]
			id = id[:bytes.IndexByte(id, ',')]
			out = strconv.AppendInt(out, int64(len(`{"jsonrpc":"2.0","id":,"result":}`)+len(id)+len(result)), 10)
			out = append(append(append(out, "\r\n\r\n"...), `{"jsonrpc":"2.0","id":`...), id...)
			out = append(append(append(out, `,"result":`...), result...), '}')
		}
		_, _ = br.Discard(length)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func open(t testing.TB) *path {
	t.Helper()
	dir, upstream := t.TempDir(), plainUpstream(t)
	file := filepath.Join(dir, "gatehouse.yaml")
	text := "listen: 127.0.0.1:8080\nservers:\n  legacy: {sources: [{mcp: 'http://" + upstream + "/mcp', era: legacy}]}\n  modern: {sources: [{mcp: 'http://" + upstream + "/mcp', era: modern}]}\n"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(file)
	must(err)
	must(os.MkdirAll(cfg.Data, 0o700))
	st, err := builtin.OpenStore(cfg.Data)
	must(err)
	record, err := audit.Open(filepath.Join(dir, "audit"), audit.Options{})
	must(err)
	pepper := make([]byte, 32)
	keys := key.New(st, pepper, time.Now)
	secret, k, err := key.Generate(pepper, time.Now(), "bench", nil, time.Hour)
	must(err)
	must(st.CreateKey(t.Context(), k))
	g, err := gateway.New(gateway.Config{
		Kinds: builtin.Backends, Access: access.AllowAll{}, Policy: policy.None{}, Audit: record, Sealing: make([]byte, 32),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Identity: func(config.Auth) identity.Authenticator { return identity.Chain{keys} },
		Metrics: telemetry.New(),
	})
	must(err)
	must(g.Reload(cfg))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = g.Close(ctx)
		keys.Close()
		_ = record.Close()
		_ = st.Close()
	})
	sessions, err := transport.NewSessions(make([]byte, 32), cfg.Limits, time.Now)
	must(err)
	h, err := streamable.New(streamable.Config{
		Gateway: g, Sessions: sessions, Limits: cfg.Limits, PublicURL: "http://127.0.0.1:8080", Bind: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	must(err)
	return &path{h, secret.Reveal()}
}

// caller makes the same request again and again with as little as it can of its own.
type caller struct {
	p      *path
	t      testing.TB
	r      *http.Request
	body   string
	reader strings.Reader
	header http.Header
	status int
	answer []byte
}

func (c *caller) Header() http.Header    { return c.header }
func (c *caller) WriteHeader(status int) { c.status = status }
func (c *caller) Write(b []byte) (int, error) {
	c.answer = append(c.answer[:0], b...)
	return len(b), nil
}

func (c *caller) SetReadDeadline(time.Time) error {
	return nil
}

func (c *caller) call() {
	clear(c.header)
	c.reader.Reset(c.body)
	c.status = http.StatusOK
	c.p.handler.ServeHTTP(c, c.r)
	if c.status != http.StatusOK {
		c.t.Fatalf("status %d: %s", c.status, c.answer)
	}
}

func (p *path) caller(t testing.TB, era, method string) *caller {
	t.Helper()
	c := &caller{p: p, t: t, header: http.Header{}}
	ctx, cancel := context.WithCancel(context.Background()) // as net/http has one
	t.Cleanup(cancel)
	send := func(head map[string]string, body string) {
		r := httptest.NewRequestWithContext(ctx, "POST", "/"+era+"/mcp", nil)
		r.Host = "127.0.0.1:8080"
		c.body = body
		r.RemoteAddr, r.ContentLength, r.Body = "127.0.0.1:5", int64(len(body)), io.NopCloser(&c.reader)
		for n, v := range head {
			r.Header.Set(n, v)
		}
		c.r = r
		c.call()
	}
	head := map[string]string{"Authorization": "Bearer " + p.key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
	params := `"name":"echo","arguments":{"message":"hello"}`
	if method == "tools/list" {
		params = ""
	}
	if era == "legacy" {
		send(head, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"`+gatehouse.Revision20251125+`","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
		head["Mcp-Session-Id"], head["Mcp-Protocol-Version"] = c.header.Get("Mcp-Session-Id"), gatehouse.Revision20251125
	} else {
		head["Mcp-Protocol-Version"], head["Mcp-Method"] = gatehouse.Revision20260728, method
		meta := `"_meta":{"io.modelcontextprotocol/protocolVersion":"` + gatehouse.Revision20260728 + `","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
		if method == "tools/call" {
			head["Mcp-Name"] = "echo"
			meta = "," + meta
		}
		params += meta
	}
	send(head, `{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":{`+params+`}}`)
	want := `"text":"hello"`
	if method == "tools/list" {
		want = `"name":"echo"`
	}
	if !bytes.Contains(c.answer, []byte(want)) {
		t.Fatalf("%s %s answers %s", era, method, c.answer)
	}
	return c
}

// BenchmarkPath takes one call through every stage but the HTTP server's own.
func BenchmarkPath(b *testing.B) {
	p := open(b)
	for _, era := range []string{"legacy", "modern"} {
		for _, method := range []string{"tools/call", "tools/list"} {
			b.Run(era+"/"+method, func(b *testing.B) {
				c := p.caller(b, era, method)
				b.ReportAllocs()
				for b.Loop() {
					c.call()
				}
			})
		}
	}
}

// TestAllocations holds what a call allocates between the HTTP server and the connection to the upstream. A change that
// needs more says why, here.
func TestAllocations(t *testing.T) {
	p := open(t)
	for name, most := range map[string]float64{"legacy tools/call": 80, "modern tools/call": 64, "legacy tools/list": 48, "modern tools/list": 32} {
		era, method, _ := strings.Cut(name, " ")
		c := p.caller(t, era, method)
		if n := testing.AllocsPerRun(50, c.call); n > most {
			t.Errorf("%s: %v allocations, want %v at most", name, n, most)
		}
	}
}

// TestIdleSessions: what is kept of a legacy session that only exists is small, and nothing runs for it.
func TestIdleSessions(t *testing.T) {
	p := open(t)
	c := p.caller(t, "legacy", "tools/call")
	c.body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + gatehouse.Revision20251125 + `","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`
	c.r.ContentLength = int64(len(c.body))
	c.r.Header.Del("Mcp-Session-Id")
	begin := func(n int) (heap int64, goroutines int) {
		for range n {
			if c.call(); c.header.Get("Mcp-Session-Id") == "" {
				t.Fatal("no session was begun")
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc), runtime.NumGoroutine()
	}
	const n = 10_000
	heap, goroutines := begin(100)
	heapThen, goroutinesThen := begin(n)
	if each := (heapThen - heap) / n; each > 5000 {
		t.Errorf("%d bytes a session, want 5000 at most", each)
	}
	if goroutinesThen > goroutines+10 {
		t.Errorf("%d goroutines after %d sessions, %d before", goroutinesThen, n, goroutines)
	}
}
