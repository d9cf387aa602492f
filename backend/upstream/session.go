package upstream

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/egress"
	"gatehouse/wire"
)

// Bounds of one session.
const (
	maxHeld   = 16     // questions that wait for a call they could belong to
	maxOut    = 64     // messages that wait to be sent without anybody waiting for them
	maxSend   = 4      // of them under way at once
	maxNotes  = 10_000 // notifications of one call that are passed on
	maxAsks   = 16     // questions of one call that wait to be parked
	maxLevels = 8
)

// carrier moves messages of one session.
type carrier interface {
	// exchange sends the request msg of r and hands what comes to the session until r has ended.
	exchange(ctx context.Context, ss *session, r *run, msg []byte) error
	// send sends a notification or a response.
	send(ctx context.Context, ss *session, msg []byte) error
	// listen reads what comes outside of any call until that stream ends. errNoStream means there is none.
	listen(ctx context.Context, ss *session) error
	// close says farewell and ends the connection.
	close(ss *session)
}

// session is one conversation with the upstream: a legacy session, a child, or for a modern HTTP upstream all calls.
type session struct {
	src       *source
	key       string
	principal string
	caps      gatehouse.Capabilities // declared upstream
	modern    bool
	rev       string
	car       carrier
	offers    wire.Object // the server's capabilities
	instruct  string

	listening sync.Once
	open      chan struct{} // closed once the session's own stream is open, or known not to open
	opening   sync.Once
	ctx       context.Context // ends with the session
	end       context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	sid   string     // Mcp-Session-Id
	runs  []*run     // in flight, oldest first
	held  []question
	out   [][]byte        // to be sent
	sends int             // goroutines that send
	level string          // asked for by logging/setLevel
	uris  map[string]bool // subscribed

	closing bool
}

func (s *source) newSession(key, principal string, caps gatehouse.Capabilities, car carrier) *session {
	ss := &session{src: s, key: key, principal: principal, caps: caps, car: car, uris: map[string]bool{}, open: make(chan struct{})}
	ss.ctx, ss.end = context.WithCancelCause(s.life)
	return ss
}

// opened says that the session's own stream is open, or will not open.
func (ss *session) opened() { ss.opening.Do(func() { close(ss.open) }) }

func (ss *session) alive() bool { return ss.ctx.Err() == nil }

// die ends the session and all of its runs with err.
func (ss *session) die(err error) {
	ss.end(err)
	ss.mu.Lock()
	runs := slices.Clone(ss.runs)
	ss.mu.Unlock()
	for _, r := range runs {
		r.fail(err)
	}
}

func (ss *session) add(r *run) {
	ss.mu.Lock()
	ss.runs = append(ss.runs, r)
	var held []question
	if r.call != nil {
		held, ss.held = ss.held, nil
	}
	ss.mu.Unlock()
	for _, q := range held {
		ss.ask(r, q)
	}
}

func (ss *session) remove(r *run) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if i := slices.Index(ss.runs, r); i >= 0 {
		ss.runs = slices.Delete(ss.runs, i, i+1)
	}
}

// perform takes r through its whole exchange and leaves the outcome in it.
func (ss *session) perform(r *run, params []byte) {
	ss.add(r)
	var room [20]byte
	id := strconv.AppendInt(room[:0], r.id, 10)
	err := ss.car.exchange(r.ctx, ss, r, wire.AppendRequest(nil, id, r.method, params))
	if err == nil {
		err = errBroken
	}
	ours := r.ctx.Err() != nil // we ended it, not the upstream
	if !r.done() {
		if cause := context.Cause(r.ctx); cause != nil {
			err = cause
		}
		r.fail(err)
	}
	r.mu.Lock()
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	ss.remove(r)
	r.hush()
	if r.err != nil && ss.alive() && ours {
		ss.cancelled(r)
	}
	r.cancel(nil)
}

// cancelled tells a legacy or stdio upstream that nobody waits for r any more.
func (ss *session) cancelled(r *run) {
	if _, over := ss.car.(*httpCarrier); over && ss.modern {
		return // closing the stream was the cancellation
	}
	if r.method == "initialize" || r.method == "server/discover" {
		return
	}
	params := append(strconv.AppendInt([]byte(`{"requestId":`), r.id, 10), '}')
	ss.later(wire.AppendNotification(nil, "notifications/cancelled", params))
}

// later sends a message without anybody waiting for it. What an upstream that asks without end makes us say is bounded:
// the rest is left unsaid.
func (ss *session) later(msg []byte) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.out) >= maxOut {
		return
	}
	ss.out = append(ss.out, msg)
	if ss.sends < maxSend && ss.src.goes(ss.sendOut) {
		ss.sends++
	}
}

// sendOut sends what waits until nothing does or the session has ended.
func (ss *session) sendOut() {
	for {
		ss.mu.Lock()
		if len(ss.out) == 0 || !ss.alive() {
			ss.sends--
			ss.mu.Unlock()
			return
		}
		msg := ss.out[0]
		ss.out = ss.out[1:]
		ss.mu.Unlock()
		ctx, cancel := context.WithTimeout(ss.ctx, ss.src.b.control)
		_ = ss.car.send(ctx, ss, msg)
		cancel()
	}
}

// request makes a request of our own and waits for its result.
func (ss *session) request(ctx context.Context, method string, params []byte, limit time.Duration, head ...egress.Field) ([]byte, error) {
	r := ss.newRun(ctx, method, limit)
	r.head = head
	ss.perform(r, params)
	return r.result()
}

// handle takes one message of the upstream. from is the run on whose own stream it came, nil when it came on the
// session's. An error ends that stream.
func (ss *session) handle(m wire.Message, from *run) error {
	switch m.Kind {
	case wire.Response, wire.Failure:
		id, err := strconv.ParseInt(string(m.ID), 10, 64)
		if from != nil {
			if err != nil && m.Kind == wire.Failure && (m.ID == nil || string(m.ID) == "null") {
				id, err = from.id, nil
			}
			if err != nil || id != from.id || !from.finish(m) {
				return ss.src.protocol("answered a request that was not made", nil)
			}
			return nil
		}
		for _, r := range ss.flying() {
			if err == nil && r.id == id {
				r.finish(m)
				return nil
			}
		}
		return nil // an answer that came too late
	case wire.Notification:
		ss.note(m, from)
		return nil
	}
	if ss.modern {
		return ss.src.protocol("sent a request, which servers of this revision must not", nil)
	}
	if m.Method == "ping" {
		ss.later(wire.AppendResult(nil, m.ID, []byte("{}")))
		return nil
	}
	if !ss.mayAsk(m.Method, m.Params) {
		ss.refuse(m.ID, gatehouse.CodeMethodNotFound, "the client cannot be asked for "+m.Method)
		return nil
	}
	if err := guardQuestion(m.Method, m.Params); err != nil {
		ss.refuse(m.ID, gatehouse.CodeInvalidParams, err.Error())
		return nil
	}
	q := question{id: bytes.Clone(m.ID), method: m.Method, params: bytes.Clone(m.Params), at: time.Now()}
	if from == nil {
		var whose bool
		if from, whose = ss.oldest(); !whose {
			ss.refuse(m.ID, gatehouse.CodeInternal, "calls of several callers are running, and nothing says whose question this is")
			return nil
		}
	}
	if from == nil {
		ss.hold(q)
		return nil
	}
	ss.ask(from, q)
	return nil
}

func (ss *session) flying() []*run {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return slices.Clone(ss.runs)
}
