package streamable

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/gateway"
	"gatehouse/transport"
	"gatehouse/wire"
)

// live is what is alive of a legacy session on this node: calls in flight, questions, streams, the log level. A session
// that only exists has none.
type live struct {
	h *Handler
	s *transport.Session

	mu        sync.Mutex
	refs      int // requests that use it now
	level     string
	calls     map[string]context.CancelFunc // by id as written
	questions map[string]chan wire.Message
	replays   map[string]*replay
	stream    *gateway.Stream
	attached  int // GET streams open on stream
	subs      map[string]bool
	used      time.Time
	ended     bool
}

type liveSessions struct {
	mu    sync.Mutex
	m     map[[12]byte]*live
	swept time.Time
}

// hold returns the live part of a session; release it.
func (h *Handler) hold(s *transport.Session) *live {
	now := h.c.Now()
	h.live.mu.Lock()
	defer h.live.mu.Unlock()
	l := h.live.m[s.Random]
	if l == nil {
		l = &live{h: h, s: s}
		h.live.m[s.Random] = l
	}
	l.mu.Lock()
	l.refs++
	l.used = now
	l.mu.Unlock()
	h.sweepLive(now)
	return l
}

// release forgets the live part when nothing needs it any more.
func (h *Handler) release(l *live) {
	h.live.mu.Lock()
	defer h.live.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refs--; l.refs == 0 && (l.ended || l.level == "" && len(l.replays) == 0 && len(l.subs) == 0 && l.stream == nil) {
		if h.live.m[l.s.Random] == l {
			delete(h.live.m, l.s.Random)
		}
	}
}

// sweepLive ends the live parts of sessions that have been idle too long. h.live.mu is held.
func (h *Handler) sweepLive(now time.Time) {
	if now.Sub(h.live.swept) < time.Minute {
		return
	}
	h.live.swept = now
	for k, l := range h.live.m {
		l.mu.Lock()
		if l.refs == 0 && now.Sub(l.used) > h.limits().SessionIdle {
			l.shut()
			delete(h.live.m, k)
		}
		l.mu.Unlock()
	}
}

// end closes everything of a session.
func (h *Handler) end(s *transport.Session) {
	h.live.mu.Lock()
	l := h.live.m[s.Random]
	delete(h.live.m, s.Random)
	h.live.mu.Unlock()
	if l != nil {
		l.mu.Lock()
		l.shut()
		l.mu.Unlock()
	}
}

// shut ends calls and streams. l.mu is held.
func (l *live) shut() {
	l.ended = true
	for _, cancel := range l.calls {
		cancel()
	}
	if l.stream != nil {
		s := l.stream
		l.stream = nil
		go s.Close() // takes locks of its own
	}
}

// begin registers a call in flight; false when its id is in use.
func (l *live) begin(id []byte, cancel context.CancelFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls == nil {
		l.calls = map[string]context.CancelFunc{}
	}
	if _, dup := l.calls[string(id)]; dup {
		return false
	}
	l.calls[string(id)] = cancel
	return true
}

func (l *live) done(id []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, string(id))
}

// cancel ends a call in flight; an id that is not in flight is nothing to worry about.
func (l *live) cancel(id []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cancel := l.calls[string(id)]; cancel != nil {
		cancel()
	}
}

// expect makes the id of a question, unguessable, and the channel of its answer.
func (l *live) expect() (string, chan wire.Message) {
	id, ch := "gatehouse-"+rand.Text()[:16], make(chan wire.Message, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.questions == nil {
		l.questions = map[string]chan wire.Message{}
	}
	l.questions[id] = ch
	return id, ch
}

func (l *live) unexpect(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.questions, id)
}

// ask sends a question under an id of ours and waits for the client's answer.
func (l *live) ask(ctx context.Context, timeout time.Duration, send func(id string)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	id, answer := l.expect()
	defer l.unexpect(id)
	send(id)
	select {
	case m := <-answer:
		if m.Kind == wire.Failure {
			return nil, &gatehouse.RPCError{Code: m.Error.Code, Message: m.Error.Message, Data: m.Error.Data}
		}
		return m.Result, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answer delivers a POSTed response; false when nothing was asked under its id.
func (l *live) answer(m wire.Message) bool {
	id, _ := wire.Text(m.ID)
	l.mu.Lock()
	ch := l.questions[id]
	delete(l.questions, id)
	l.mu.Unlock()
	if ch == nil {
		return false
	}
	ch <- m
	return true
}

// maxReplays bounds the streams of one session that can be resumed.
const maxReplays = 64

func (l *live) keep(r *replay) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.replays == nil {
		l.replays = map[string]*replay{}
	}
	if len(l.replays) < maxReplays {
		l.replays[r.id] = r
	}
}

// forget drops a stream that has ended, a while later: a client may still come back for its end.
func (l *live) forget(r *replay) {
	l.mu.Lock()
	l.refs++
	l.mu.Unlock()
	time.AfterFunc(replayTime, func() {
		l.mu.Lock()
		delete(l.replays, r.id)
		l.mu.Unlock()
		l.h.release(l)
	})
}

// find returns the stream an event id belongs to, and the event's number.
func (l *live) find(eventID string) (*replay, int) {
	id, seq, ok := strings.Cut(eventID, "-")
	if !ok || len(seq) > 9 {
		return nil, 0
	}
	n := 0
	for _, c := range []byte(seq) {
		if c < '0' || c > '9' {
			return nil, 0
		}
		n = n*10 + int(c-'0')
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replays[id], n
}

// open returns the session's stream of events, opened when there is none.
func (l *live) open(ctx context.Context, c *gatehouse.Call) (*gateway.Stream, error) {
	l.mu.Lock()
	s := l.stream
	l.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, _, err := l.h.c.Gateway.Listen(ctx, c, gateway.Want{Tools: true, Prompts: true, Resources: true, Messages: true})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil || l.ended {
		go s.Close()
		if l.ended {
			return nil, context.Canceled
		}
		return l.stream, nil
	}
	l.stream = s
	return s, nil
}

// detach ends one GET stream; the last one closes the session's stream unless a subscription needs it.
func (l *live) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attached--; l.attached == 0 && len(l.subs) == 0 && l.stream != nil {
		s := l.stream
		l.stream = nil
		go s.Close()
	}
}

// streamCount bounds the open streams of a principal.
type streamCount struct {
	mu sync.Mutex
	m  map[string]int
}

func (c *streamCount) add(principal string, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[principal] >= limit {
		return false
	}
	c.m[principal]++
	return true
}

func (c *streamCount) remove(principal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m[principal]--; c.m[principal] <= 0 {
		delete(c.m, principal)
	}
}
