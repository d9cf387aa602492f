package streamable

import (
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/wire"
)

// keepAlive is how long a stream may be silent before a comment is sent, and how long an answer may take before it
// becomes a stream.
const keepAlive = 15 * time.Second

// writeTimeout ends a connection whose reader takes nothing.
const writeTimeout = 30 * time.Second

// events writes server-sent events to one response. It is safe for concurrent use.
type events struct {
	mu sync.Mutex
	w  http.ResponseWriter
	rc *http.ResponseController

	closed bool
}

// newEvents sends the head of a stream.
func newEvents(x *request) *events {
	hd := x.w.Header()
	hd["Content-Type"] = []string{"text/event-stream"}
	hd["Cache-Control"] = []string{"no-cache"}
	hd.Set("X-Accel-Buffering", "no")
	hd["X-Content-Type-Options"] = noSniff
	x.w.WriteHeader(http.StatusOK)
	e := &events{w: x.w, rc: http.NewResponseController(x.w)}
	_ = e.rc.Flush()
	return e
}

func (e *events) write(b []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return net.ErrClosed
	}
	_ = e.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.rc.Flush()
}

// close ends the writing before the request's handler returns: a response must not be written to after that.
func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
}

func (e *events) send(id, name string, data []byte) error {
	return e.write(wire.AppendEvent(make([]byte, 0, len(data)+64), id, name, data))
}

func (e *events) comment() error { return e.write([]byte(":\r\n\r\n")) }

// Bounds of what is kept of a legacy stream for a client that comes back for it.
const (
	replayEvents = 256
	replayBytes  = 1 << 20
	replayTime   = time.Minute // after the stream's end
)

// replay is the events of one legacy stream, kept for resumption. A client that lost its connection comes back with the
// last id it saw.
type replay struct {
	id string

	mu     sync.Mutex
	events [][]byte // as sent
	first  int      // sequence number of events[0]
	bytes  int
	done   bool
	more   chan struct{} // closed and replaced on every change
}

func newReplay(id string) *replay { return &replay{id: id, more: make(chan struct{})} }

// add keeps an event and returns it as it is to be sent.
func (s *replay) add(data []byte, last bool) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	ev := wire.AppendEvent(make([]byte, 0, len(data)+48), s.id+"-"+itoa(s.first+len(s.events)), "", data)
	s.events = append(s.events, ev)
	s.bytes += len(ev)
	for len(s.events) > 1 && (len(s.events) > replayEvents || s.bytes > replayBytes) {
		s.bytes -= len(s.events[0])
		s.events = s.events[1:]
		s.first++
	}
	s.done = s.done || last
	close(s.more)
	s.more = make(chan struct{})
	return ev
}

// after returns the events behind sequence number n, whether the stream has ended, and what to wait for.
func (s *replay) after(n int) (ev [][]byte, next int, done bool, more chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := max(n+1-s.first, 0)
	if from < len(s.events) {
		ev = s.events[from:]
	}
	return ev, s.first + len(s.events) - 1, s.done, s.more
}
