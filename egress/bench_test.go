//go:build unix

package egress

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"
)

// plainEcho answers with the body of the request at the least cost, so that a benchmark measures the client.
func plainEcho(_ int, nc net.Conn, br *bufio.Reader) {
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
				n, _ := parseLength(string(v[:len(v)-2]))
				length = int(n)
			}
		}
		body, err := br.Peek(length)
		if err != nil {
			return
		}
		out = append(out[:0], "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "...)
		out = strconv.AppendInt(out, int64(length), 10)
		out = append(out, "\r\n\r\n"...)
		out = append(out, body...)
		_, _ = br.Discard(length)
		if _, err := nc.Write(out); err != nil {
			return
		}
	}
}

const question = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hey"}}}`

func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

func BenchmarkRoundTrip(b *testing.B) {
	body := []byte(question)
	header := []Field{{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}, {"Mcp-Session-Id", "s1"}}
	for _, name := range []string{"egress", "net-http"} {
		b.Run(name, func(b *testing.B) {
			addr := serve(b, plainEcho)
			c := client(b, addr, Options{})
			tr := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
			defer tr.CloseIdleConnections()
			do := func(buf []byte) int {
				res, err := c.Do(b.Context(), &Request{Method: "POST", Header: header, Body: body})
				if err != nil {
					b.Fatal(err)
				}
				n, _ := io.ReadFull(res.Body, buf)
				_ = res.Body.Close()
				return n
			}
			if name == "net-http" {
				do = func(buf []byte) int {
					req, err := http.NewRequestWithContext(b.Context(), "POST", "http://"+addr+"/mcp", bytes.NewReader(body))
					if err != nil {
						b.Fatal(err)
					}
					for _, f := range header {
						req.Header.Set(f.Name, f.Value)
					}
					res, err := tr.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					n, _ := io.ReadFull(res.Body, buf)
					_ = res.Body.Close()
					return n
				}
			}
			buf := make([]byte, len(body))
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				if n := do(buf); n != len(body) {
					b.Fatalf("%d bytes, want %d", n, len(body))
				}
			}
			b.ReportMetric((cpu()-start)/float64(b.N), "cpu-µs/op")
		})
	}
}

// TestAllocs holds the figure of the benchmark; the server's allocations count too.
func TestAllocs(t *testing.T) {
	c := client(t, serve(t, plainEcho), Options{})
	body, buf := []byte(question), make([]byte, len(question))
	header := []Field{{"Content-Type", "application/json"}}
	if n := testing.AllocsPerRun(200, func() {
		res, err := c.Do(t.Context(), &Request{Method: "POST", Header: header, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(res.Body, buf)
		_ = res.Body.Close()
	}); n > 8 {
		t.Errorf("%v allocations for a round trip, want 8 at most", n)
	}
}
