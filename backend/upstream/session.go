package upstream

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/backend"
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

// run is one request under way upstream.
type run struct {
	id      int64
	method  string
	token   string         // our progress token, as JSON; "" when none
	head    []egress.Field // besides the session's own
	cancel  context.CancelCauseFunc
	ctx     context.Context
	asks    chan question // nil where nothing may be asked
	fin     chan struct{} // closed once msg or err is set
	once    sync.Once
	msg     wire.Message
	err     error
	limit   time.Duration // between signs of life
	longest time.Duration // in all
	notes   atomic.Int32  // notifications passed on

	mu     sync.Mutex // guards what follows
	call   *gatehouse.Call
	at     float64 // progress so far
	told   telling
	parked bool
	began  time.Time
	timer  *time.Timer
}

// question is something the upstream asks the caller.
type question struct {
	id     []byte
	method string
	params []byte
	at     time.Time
	key    string
}

func (s *source) newSession(key, principal string, caps gatehouse.Capabilities, car carrier) *session {
	ss := &session{src: s, key: key, principal: principal, caps: caps, car: car, uris: map[string]bool{}}
	ss.ctx, ss.end = context.WithCancelCause(s.life)
	return ss
}

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

func (ss *session) newRun(parent context.Context, method string, limit time.Duration) *run {
	r := &run{id: ss.src.ids.Add(1), method: method, fin: make(chan struct{}), limit: limit}
	if ss.canAsk() {
		r.asks = make(chan question, maxAsks)
	}
	r.longest = max(ss.src.env.Limits.CallTimeout, limit)
	r.began, r.at = time.Now(), math.Inf(-1)
	r.ctx, r.cancel = context.WithCancelCause(parent)
	// A caller's own time that ends no later needs no second timer: the source's answer to either is the same.
	end, ok := parent.Deadline()
	if limit > 0 && !(ok && end.Sub(r.began) <= min(limit, r.longest)) {
		r.timer = time.AfterFunc(min(limit, r.longest), func() { r.fail(errTimeout) })
	}
	return r
}

func (r *run) finish(m wire.Message) bool {
	first := false
	r.once.Do(func() {
		first, r.msg = true, m
		close(r.fin)
	})
	return first
}

func (r *run) fail(err error) {
	r.once.Do(func() {
		r.err = err
		close(r.fin)
	})
	r.cancel(err)
}

func (r *run) done() bool {
	select {
	case <-r.fin:
		return true
	default:
		return false
	}
}

// touch extends the time of r after a sign of life.
func (r *run) touch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer == nil || r.parked {
		return
	}
	if left := r.longest - time.Since(r.began); left > 0 && r.timer.Stop() {
		r.timer.Reset(min(r.limit, left))
	}
}

// advance takes a report of progress, which is a sign of life. It is false for one that does not rise (MCP, progress):
// such a report is neither.
func (r *run) advance(progress []byte) bool {
	v, err := strconv.ParseFloat(string(progress), 64)
	r.mu.Lock()
	rises := err == nil && v > r.at
	if rises {
		r.at = v
	}
	r.mu.Unlock()
	if rises {
		r.touch()
	}
	return rises
}

func (r *run) park(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parked = on
	if r.timer == nil {
		return
	}
	if on {
		r.timer.Stop()
		return
	}
	r.began = time.Now()
	r.timer.Reset(min(r.limit, r.longest))
}

// caller is the call that r is made for and that could be asked something, nil while it is parked.
func (r *run) caller() *gatehouse.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parked {
		return nil
	}
	return r.call
}

// listener is the call that hears of r: a legacy caller still waits while it is asked something.
func (r *run) listener() *gatehouse.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parked && r.call != nil && r.call.Client.Era == gatehouse.Modern {
		return nil
	}
	return r.call
}

func (r *run) setCaller(c *gatehouse.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call = c
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

func (r *run) result() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.msg.Kind == wire.Failure {
		return nil, &gatehouse.RPCError{Code: r.msg.Error.Code, Message: r.msg.Error.Message, Data: r.msg.Error.Data}
	}
	return r.msg.Result, nil
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

// oldest is the oldest call in flight that is not parked, nil when there is none. It is false when the calls in flight are
// not all of one principal: what the upstream says outside of a call could then reach the wrong one.
func (ss *session) oldest() (old *run, ok bool) {
	var whose string
	for _, r := range ss.flying() {
		c := r.caller()
		if c == nil || r.done() {
			continue
		}
		if old == nil {
			old, whose = r, principalOf(c)
		} else if principalOf(c) != whose {
			return nil, false
		}
	}
	return old, true
}

// hold keeps q for the next call; it is refused when there is none in time, or when that could be anybody's.
func (ss *session) hold(q question) {
	ss.mu.Lock()
	full := len(ss.held) >= maxHeld || ss.src.cfg.Sessions == "shared"
	if !full {
		ss.held = append(ss.held, q)
	}
	ss.mu.Unlock()
	if full {
		ss.refuse(q.id, gatehouse.CodeInternal, "no call is running that this could belong to")
	}
}

// expireHeld refuses what was held too long.
func (ss *session) expireHeld(now time.Time) {
	ss.mu.Lock()
	var old []question
	ss.held = slices.DeleteFunc(ss.held, func(q question) bool {
		if now.Sub(q.at) < ss.src.b.hold {
			return false
		}
		old = append(old, q)
		return true
	})
	ss.mu.Unlock()
	for _, q := range old {
		ss.refuse(q.id, gatehouse.CodeInternal, "no call is running that this could belong to")
	}
}

func (ss *session) ask(r *run, q question) {
	r.mu.Lock()
	mine := r.call != nil
	r.mu.Unlock()
	if mine {
		select {
		case r.asks <- q:
			return
		default:
		}
	}
	ss.refuse(q.id, gatehouse.CodeInternal, "too many questions at once")
}

func (ss *session) refuse(id []byte, code int64, msg string) {
	ss.later(wire.AppendError(nil, id, wire.RPC{Code: code, Message: msg}))
}

// mayAsk reports whether the session declared that the caller can be asked this.
func (ss *session) mayAsk(method string, params []byte) bool {
	o, _ := wire.ParseObject(params)
	switch method {
	case "elicitation/create":
		if mode, _ := wire.Text(o.Get("mode")); mode == "url" {
			return ss.caps.ElicitationURL
		}
		return ss.caps.Elicitation
	case "sampling/createMessage":
		if o.Has("tools") {
			return ss.caps.SamplingTools
		}
		return ss.caps.Sampling
	case "roots/list":
		return ss.caps.Roots
	}
	return false
}

// note takes a notification.
func (ss *session) note(m wire.Message, from *run) {
	o, _ := wire.ParseObject(m.Params)
	switch m.Method {
	case "notifications/progress":
		token := string(o.Get("progressToken"))
		r := from
		if r == nil {
			for _, x := range ss.flying() {
				if x.token != "" && x.token == token {
					r = x
				}
			}
		}
		if r == nil || r.token == "" || r.token != token {
			return
		}
		if !r.advance(o.Get("progress")) {
			return
		}
		if c := r.listener(); c != nil && c.ProgressToken != nil {
			r.tell(ss.src, note{c, m.Method, o.Set("progressToken", c.ProgressToken).Bytes()}, from != nil)
		}
	case "notifications/message":
		r, whose := from, true
		if r == nil {
			r, whose = ss.oldest()
		}
		if !whose {
			return
		}
		if r == nil {
			ss.src.env.Emit(backend.Event{Kind: backend.Message, Principal: ss.principal, Method: m.Method, Params: bytes.Clone(m.Params)})
			return
		}
		if c := r.listener(); c != nil && wantsLevel(c, o) {
			r.tell(ss.src, note{c, m.Method, m.Params}, from != nil)
		}
	case "notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed":
		ss.src.stale()
		// Said at once, as the upstream said it: what it changed may be back before it is looked at.
		ss.src.env.Emit(backend.Event{Kind: listEvents[m.Method]})
	case "notifications/resources/updated":
		if uri, ok := wire.Text(o.Get("uri")); ok && ss.src.subs.has(uri) {
			ss.src.env.Emit(backend.Event{Kind: backend.Updated, URI: uri})
		}
	case "notifications/elicitation/complete":
		ss.src.env.Emit(backend.Event{Kind: backend.Message, Principal: ss.principal, Method: m.Method, Params: bytes.Clone(m.Params)})
	}
}

// guardQuestion judges what an upstream wants to ask before anybody reads it.
func guardQuestion(method string, params []byte) error {
	if method != "elicitation/create" {
		return nil
	}
	o, _ := wire.ParseObject(params)
	sch := o.Get("requestedSchema")
	if sch == nil {
		return nil
	}
	if err := wire.GuardSchema(sch, wire.DefaultSchemaLimits); err != nil {
		return fmt.Errorf("the schema of the question: %w", err)
	}
	return nil
}

var listEvents = map[string]backend.EventKind{
	"notifications/tools/list_changed":     backend.ToolsChanged,
	"notifications/prompts/list_changed":   backend.PromptsChanged,
	"notifications/resources/list_changed": backend.ResourcesChanged,
}

var levels = [maxLevels]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// wantsLevel reports whether the caller wants a log message. A modern caller that named no level wants none.
func wantsLevel(c *gatehouse.Call, o wire.Object) bool {
	if c.LogLevel == "" {
		return c.Client.Era == gatehouse.Legacy
	}
	level, _ := wire.Text(o.Get("level"))
	i := slices.Index(levels[:], level)
	return i >= 0 && i >= slices.Index(levels[:], c.LogLevel)
}
