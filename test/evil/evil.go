// Package evil simulates MCP servers that are hostile, broken or merely odd: a table of named behaviours, each served over
// HTTP on a connection of its own making, or spoken by a child on standard input and output. It promises to do exactly
// what a behaviour's name says, and to let go of everything on Close.
package evil

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Behaviour is one way in which a server misbehaves over HTTP. What On does not name is answered as a good server of the
// era does.
type Behaviour struct {
	Name string
	Era  string                    // modern, legacy, or sse (2024-11-05)
	On   map[string]func(*Request) // by JSON-RPC method; "GET", "DELETE", and "answer" for a POSTed response
}

// Behaviours are all of them but those of children.
func Behaviours() []Behaviour {
	var all []Behaviour
	for _, list := range [][]Behaviour{bytesOnTheWire(), messages(), streams(), sessions(), questions(), lists()} {
		all = append(all, list...)
	}
	return all
}

// Named returns the behaviour with the name; false when there is none.
func Named(name string) (Behaviour, bool) {
	for _, b := range Behaviours() {
		if b.Name == name {
			return b, true
		}
	}
	return Behaviour{}, false
}

// Server is a running server. It listens on a loopback address.
type Server struct {
	URL string

	b  Behaviour
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	seen  []Seen
	count map[string]int
	state map[string]string
	woken chan struct{} // closed and replaced when something was seen
	done  bool
}

// Seen is one request or message that came in.
type Seen struct {
	Method string // JSON-RPC method, HTTP method without a body, or "answer"
	Header http.Header
	Body   string
}

// Serve starts a server with the behaviour.
func Serve(b Behaviour) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "http://" + ln.Addr().String() + "/mcp", b: b, ln: ln, conns: map[net.Conn]bool{},
		count: map[string]int{}, state: map[string]string{}, woken: make(chan struct{}),
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Close ends all connections and waits until nothing of the server runs any more.
func (s *Server) Close() {
	_ = s.ln.Close()
	s.mu.Lock()
	s.done = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.wake()
	s.mu.Unlock()
	s.wg.Wait()
}

// Seen returns what has come in so far under the method; "" stands for everything.
func (s *Server) Seen(method string) []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Seen
	for _, x := range s.seen {
		if method == "" || x.Method == method {
			out = append(out, x)
		}
	}
	return out
}

// Await waits until n messages of the method have come in, or the time is over.
func (s *Server) Await(method string, n int, most time.Duration) []Seen {
	t := time.NewTimer(most)
	defer t.Stop()
	for {
		s.mu.Lock()
		woken := s.woken
		s.mu.Unlock()
		if got := s.Seen(method); len(got) >= n {
			return got
		}
		select {
		case <-woken:
		case <-t.C:
			return s.Seen(method)
		}
	}
}

func (s *Server) wake() { // s.mu is held
	close(s.woken)
	s.woken = make(chan struct{})
}

func (s *Server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.done {
			_ = c.Close()
		} else {
			s.conns[c] = true
			s.wg.Go(func() { s.serve(c) })
		}
		s.mu.Unlock()
	}
}

// maxSeen bounds what is remembered of a gateway that talks much.
const maxSeen = 100_000

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	br := bufio.NewReader(c)
	for {
		hr, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(hr.Body)
		if err != nil {
			return
		}
		r := &Request{Request: hr, Server: s, conn: c, br: br}
		r.read(body)
		s.mu.Lock()
		if s.count[r.Method]++; len(s.seen) < maxSeen {
			s.seen = append(s.seen, Seen{r.Method, hr.Header, string(body)})
		}
		s.wake()
		s.mu.Unlock()
		do := s.b.On[r.Method]
		if do == nil {
			do = good(s.b.Era)
		}
		do(r)
		if r.ends {
			return
		}
	}
}

// Request is one request that came in, and the way to answer it: well or otherwise.
type Request struct {
	*http.Request
	Server *Server
	Method string // as in Seen
	ID     string // of the JSON-RPC request, as it was written
	Params map[string]json.RawMessage

	conn net.Conn
	br   *bufio.Reader
	ends bool // the connection, with this answer
}

func (r *Request) read(body []byte) {
	if len(body) == 0 {
		r.Method = r.Request.Method
		return
	}
	var m struct {
		ID     json.RawMessage
		Method string
		Params map[string]json.RawMessage
	}
	_ = json.Unmarshal(body, &m)
	r.Method, r.ID, r.Params = m.Method, string(m.ID), m.Params
	if r.Method == "" {
		r.Method = "answer"
	}
}

// Times is how often the method of r has come in, this time with it.
func (r *Request) Times() int {
	r.Server.mu.Lock()
	defer r.Server.mu.Unlock()
	return r.Server.count[r.Method]
}

// Token is the progress token of the request, as it was written.
func (r *Request) Token() string {
	var meta map[string]json.RawMessage
	_ = json.Unmarshal(r.Params["_meta"], &meta)
	return string(meta["progressToken"])
}

// Write sends bytes as they are. It is false once the other side is gone.
func (r *Request) Write(b string) bool {
	_, err := io.WriteString(r.conn, b)
	return err == nil
}

// Raw sends bytes as they are and ends the connection.
func (r *Request) Raw(b string) {
	r.Write(b)
	r.ends = true
}

// Status answers with an HTTP status, header lines and a body.
func (r *Request) Status(code int, header, body string) {
	r.Write("HTTP/1.1 " + strconv.Itoa(code) + " X\r\n" + header + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

const asJSON = "Content-Type: application/json\r\n"

// JSON answers with a JSON body.
func (r *Request) JSON(body string) { r.Status(200, asJSON, body) }

// Result answers the request well.
func (r *Request) Result(result string) {
	r.JSON(r.Response(result))
}

// Response is the JSON-RPC response to the request.
func (r *Request) Response(result string) string {
	return `{"jsonrpc":"2.0","id":` + r.ID + `,"result":` + result + `}`
}

// Stream begins an answer of server-sent events, which ends with the connection.
func (r *Request) Stream() {
	r.Raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
}

// Event sends one event.
func (r *Request) Event(data string) bool { return r.Write("data: " + data + "\n\n") }

// Hang does nothing until the other side goes or the server ends.
func (r *Request) Hang() {
	_, _ = io.Copy(io.Discard, r.br)
	r.ends = true
}

// Drip sends a byte now and then until the other side goes.
func (r *Request) Drip(b string) {
	r.ends = true
	for i := 0; r.Write(b[i%len(b) : i%len(b)+1]); i++ {
		if r.gone(10 * time.Millisecond) {
			return
		}
	}
}

// gone waits a moment and reports whether the other side is gone.
func (r *Request) gone(d time.Duration) bool {
	_ = r.conn.SetReadDeadline(time.Now().Add(d))
	_, err := r.br.ReadByte()
	_ = r.conn.SetReadDeadline(time.Time{})
	ne, ok := err.(net.Error)
	return err != nil && !(ok && ne.Timeout())
}

// maxFlood bounds what a flood sends to a victim that does not stop reading.
const maxFlood = 256 << 20

// Flood sends what next returns until the other side goes.
func (r *Request) Flood(next func(i int) string) {
	r.ends = true
	var b bytes.Buffer
	for i, sent := 0, 0; sent < maxFlood; sent += b.Len() {
		b.Reset()
		for b.Len() < 32<<10 {
			b.WriteString(next(i))
			i++
		}
		if _, err := r.conn.Write(b.Bytes()); err != nil {
			return
		}
	}
}

// text is a good result with a text.
func text(s string) string {
	return fmt.Sprintf(`{"content":[{"type":"text","text":%q}],"resultType":"complete"}`, s)
}

func event(data string) string { return "data: " + data + "\n\n" }

func repeat(s string, n int) string { return strings.Repeat(s, n) }
