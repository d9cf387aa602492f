// Package upstream speaks to MCP servers of both eras, over HTTP and over standard input and output of a command. It
// promises that nothing an upstream server does harms more than its own calls: every answer is parsed strictly and
// within bounds, every wait ends, and whatever the server asks of a caller leaves as a Result's Input.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/egress"
	"gatehouse/internal/limit"
	"gatehouse/wire"
)

// HTTP opens sources with a URL: MCP over streamable HTTP of both eras, and HTTP+SSE of 2024-11-05.
var HTTP = backend.Kind{Key: "mcp", Open: defaults.openHTTP}

// Command opens sources with a command line: MCP over standard input and output.
var Command = backend.Kind{Key: "command", Open: defaults.openCommand}

// Bounds that have no setting.
const (
	defaultConcurrency = 128
	defaultGrace       = 10 * time.Minute
	maxState           = 8 << 10 // bytes of an upstream's requestState
)

// bounds are the times and numbers of a source that have no setting either, but that tests make smaller.
type bounds struct {
	sessions  int           // of one source over HTTP
	processes int           // of one source
	idle      time.Duration // after which an unused session or process ends
	open      time.Duration // to open a session
	control   time.Duration // for a cancellation, an answer, a farewell
	probe     time.Duration // for server/discover on standard input and output
	list      time.Duration // for one page of a list
	write     time.Duration // of a message to a process
	stage     time.Duration // each of: input closed, SIGTERM, SIGKILL
	restart   time.Duration // most that a call waits for a process that ended too often to be started again
	tick      time.Duration // of the janitor
	settle    time.Duration // between two fetches that list_changed causes
	hold      time.Duration // of a question that belongs to no call
}

var defaults = bounds{
	sessions: 256, processes: 16, idle: 10 * time.Minute, open: 30 * time.Second, control: 2 * time.Second,
	probe: 5 * time.Second, list: 30 * time.Second, write: 10 * time.Second, stage: 2 * time.Second,
	restart: 2 * time.Second, tick: time.Second, settle: 200 * time.Millisecond, hold: 30 * time.Second,
}

// source is one upstream server.
type source struct {
	b      bounds
	cfg    config.Source
	env    backend.Env
	limits wire.Limits
	http   *endpoint // nil for a command
	log    *slog.Logger

	life context.Context // ends with Close; parent of what outlives one call
	end  context.CancelFunc
	wg   sync.WaitGroup // everything started
	ids  atomic.Int64

	slots *limit.Slots // held by calls that run
	brk   limit.Breaker
	pool  pool
	again restarts
	parks parks
	cat   catalogs
	subs  subscriptions

	mu      sync.Mutex // guards what follows
	verdict verdict
	both    bool // a modern upstream that also speaks a legacy revision, as far as is known
	since   time.Time
	state   string
	err     error
	drain   bool // no new calls
	closed  bool // nothing new at all
}

func (b bounds) source(src config.Source, env backend.Env) *source {
	if src.Concurrency <= 0 {
		src.Concurrency = defaultConcurrency
	}
	if src.Grace <= 0 {
		src.Grace = defaultGrace
	}
	if src.Timeout <= 0 {
		src.Timeout = env.Limits.CallTimeout
	}
	s := &source{b: b, cfg: src, env: env, slots: limit.NewSlots(src.Concurrency), state: "connecting", since: env.Now()}
	s.limits = wire.ResultLimits
	if env.Limits.ResultBytes > 0 {
		s.limits.Bytes = env.Limits.ResultBytes
	}
	if env.Limits.Depth > 0 {
		s.limits.Depth = env.Limits.Depth
	}
	s.log = env.Log // says server and source already
	s.life, s.end = context.WithCancel(context.Background())
	s.brk.Now, s.pool.src, s.parks.src = env.Now, s, s
	s.pool.max, s.pool.m = b.sessions, map[string]*entry{}
	if len(src.Command) > 0 {
		s.pool.max = b.processes
	}
	s.parks.m = map[string]*park{}
	s.cat.m = map[string]*cached{}
	s.subs.count, s.subs.wake = map[string]int{}, make(chan struct{}, 1)
	switch src.Era {
	case "legacy":
		s.verdict = isLegacy
	case "modern":
		s.verdict = isModern
	case "sse":
		s.verdict = isSSE
	}
	s.goes(s.janitor)
	return s
}

// goes starts f, which must end when life does. It does nothing once the source is closed.
func (s *source) goes(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
	return true
}

// janitor ends what has been idle or has waited too long, and renews catalogues.
func (s *source) janitor() {
	t := time.NewTicker(s.b.tick)
	defer t.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case <-t.C:
			s.parks.expire()
			s.pool.reap()
			s.renew()
		}
	}
}

// Status tells how the source is.
func (s *source) Status() backend.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := backend.Status{State: s.state, Era: s.verdict.era(), Since: s.since, Err: s.err}
	return st
}

func (s *source) setState(state string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain {
		return
	}
	if s.state != state {
		s.state, s.since = state, s.env.Now()
	}
	s.err = err
}

// Close ends all sessions, children and parked calls, once the calls in flight have ended or ctx has.
func (s *source) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.drain
	s.drain, s.state, s.since = true, "closed", s.env.Now()
	s.mu.Unlock()
	if first {
		s.slots.Drain(ctx)
		s.parks.closeAll()
		s.pool.closeAll()
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	<-done // bounded: children are killed after 4 s, requests end with life
	if s.http != nil {
		s.http.client.Close()
	}
	return nil
}

// RootsChanged tells the principal's legacy sessions.
func (s *source) RootsChanged(ctx context.Context, p *gatehouse.Principal) {
	if s.cfg.Sessions == "shared" {
		return
	}
	for _, ss := range s.pool.of(p.ID) {
		if ss.caps.Roots && !ss.modern {
			_ = ss.car.send(ctx, ss, wire.AppendNotification(nil, "notifications/roots/list_changed", nil))
		}
	}
}

// quarantined is why no call may go to the source, nil when one may.
func (s *source) quarantined() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateQuarantined {
		return s.err
	}
	return nil
}

// acquire takes a slot for one call, waiting in a bounded queue.
func (s *source) acquire(ctx context.Context) error {
	s.mu.Lock()
	closed := s.drain
	s.mu.Unlock()
	if closed {
		return s.fault(codeUnavailable, "is closed", "the configuration has changed; try again", nil)
	}
	switch err := s.slots.Take(ctx, s.cfg.Timeout, s.life.Done()); {
	case err == nil:
		return nil
	case errors.Is(err, limit.ErrFull):
		return s.fault(codeBusy, fmt.Sprintf("has %d calls running and %d waiting", s.slots.Size(), s.slots.Queue()), "try again later, or raise concurrency of this source", nil)
	case errors.Is(err, limit.ErrLate):
		return s.fault(codeBusy, "had no room for the call in time", "try again later, or raise concurrency of this source", nil)
	case errors.Is(err, limit.ErrStop):
		return s.fault(codeUnavailable, "is closed", "the configuration has changed; try again", nil)
	default:
		return err
	}
}

func (s *source) release() { s.slots.Give() }

const stateQuarantined = "quarantined"

// Codes of the errors of this package.
const (
	codeUnavailable  = "source.unavailable"
	codeTimeout      = "source.timeout"
	codeProtocol     = "source.protocol"
	codeQuarantined  = "source.quarantined"
	codeUnauthorized = "source.unauthorized"
	codeBusy         = "source.busy"
	codeParkedLost   = "source.parked_lost"
)

func (s *source) fault(code, msg, hint string, cause error) *gatehouse.Error {
	label := s.env.Label
	if label == "" {
		label = "1"
	}
	var re *gatehouse.RPCError
	var we *wire.Error
	if errors.As(cause, &re) || errors.As(cause, &we) {
		cause = errors.New(cause.Error()) // for the log: nobody may take it for the answer to the caller
	}
	return &gatehouse.Error{Code: code, Pos: s.cfg.Pos, Msg: fmt.Sprintf("source %s of server %s %s", label, s.env.Server, msg), Hint: hint, Err: cause}
}

const hintProtocol = "the server at the other end does not keep to the protocol; look at its log, or ask whoever runs it"

func (s *source) protocol(msg string, cause error) *gatehouse.Error {
	return s.fault(codeProtocol, msg, hintProtocol, cause)
}

// Causes of ends of calls.
var (
	errTimeout = errors.New("no answer in time")
	errGone    = errors.New("the upstream session is gone")
	errClosed  = errors.New("the session was closed")
)

// unacceptable says in the words of this package what egress refuses; its own name the host, which callers need not know.
var unacceptable = map[string]string{
	egress.CodeHead:     "its head is malformed",
	egress.CodeHeadSize: "its head is too long",
	egress.CodeFraming:  "the length or the chunks of its body are malformed",
	egress.CodeEncoding: "its compression is damaged, too strong or of another kind than gzip",
}

// explain makes the error a caller sees of whatever went wrong in an exchange.
func (s *source) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var re *gatehouse.RPCError
	var ge *gatehouse.Error
	var we *wire.Error
	switch {
	case ctx.Err() != nil && context.Cause(ctx) == ctx.Err() && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ctx.Err()
	case errors.As(err, &re):
		return err
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return s.fault(codeTimeout, "did not answer in time", "try again, or raise timeout of this source", err)
	case errors.As(err, &we):
		return s.protocol("sent a message that is not acceptable: "+we.Error(), err)
	case errors.As(err, &ge):
		switch ge.Code {
		case egress.CodeTimeout:
			return s.fault(codeTimeout, "did not answer in time", "see whether it runs; then try again", err)
		case egress.CodeBroken, egress.CodeTruncated:
			return s.fault(codeUnavailable, "broke off the exchange", ge.Hint, err)
		}
		if what := unacceptable[ge.Code]; what != "" {
			return s.protocol("sent an answer that is not acceptable: "+what, err)
		}
		if len(ge.Code) > 7 && ge.Code[:7] == "source." {
			return err
		}
		return s.fault(codeUnavailable, "cannot be reached", ge.Hint, err)
	}
	var se *statusError
	if errors.As(err, &se) {
		if se.status == http.StatusTooManyRequests {
			return s.fault(codeBusy, "wants fewer calls (HTTP status 429)", "try again later, or lower concurrency of this source", err)
		}
		return s.fault(codeUnavailable, fmt.Sprintf("answered with HTTP status %d", se.status), "look at its log; then try again", err)
	}
	return s.fault(codeUnavailable, "broke off the exchange", "see whether it runs; then try again", err)
}
