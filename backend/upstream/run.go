package upstream

import (
	"context"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/egress"
	"gatehouse/wire"
)

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

func (r *run) result() ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.msg.Kind == wire.Failure {
		return nil, &gatehouse.RPCError{Code: r.msg.Error.Code, Message: r.msg.Error.Message, Data: r.msg.Error.Data, Passed: true}
	}
	return r.msg.Result, nil
}
