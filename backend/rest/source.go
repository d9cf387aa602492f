// Package rest makes tools of the operations that an OpenAPI document describes. It promises that a call sends exactly the
// request which the document prescribes for its arguments, to the API it is configured for and nowhere else; that the
// caller's own credential never travels along; and that an answer of any size or kind becomes a bounded result.
package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/egress"
	"gatehouse/internal/limit"
)

// OpenAPI opens sources that are REST APIs.
var OpenAPI = backend.Kind{Key: "openapi", Open: defaults.open}

// Bounds that have no setting.
const (
	maxOrigins   = 64 // that operations of one document may lead to
	idlePerHost  = 256
	maxDocument  = 64 << 20 // bytes of a document, and of each that it refers to
	fetchTimeout = time.Minute
)

// bounds are the times of a source that have no setting either, but that tests make smaller.
type bounds struct {
	look  time.Duration // between two looks at the document's file
	renew time.Duration // between two fetches of a document that is a URL
	note  time.Duration // between two progress notes
	retry time.Duration // before a safe request is sent again
}

var defaults = bounds{look: time.Second, renew: 5 * time.Minute, note: 5 * time.Second, retry: 100 * time.Millisecond}

// source is one REST API.
type source struct {
	b     bounds
	cfg   config.Source
	env   backend.Env
	log   *slog.Logger
	picks picks
	guard *egress.Guard // of calls
	creds map[string]*credential
	extra []egress.Field // headers of the configuration, in order
	slots *limit.Slots
	brk   limit.Breaker
	held  held

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	now   atomic.Pointer[document]
	first chan struct{} // closed once the document was read, or could not be

	mu      sync.Mutex // guards what follows
	clients map[string]*egress.Client
	version uint64
	state   string
	since   time.Time
	err     error
	drain   bool
}

// open starts reading the document and does not wait for it.
func (b bounds) open(src config.Source, env backend.Env) (backend.Source, error) {
	s, read, err := b.source(src, env)
	if err != nil {
		return nil, err
	}
	s.wg.Go(func() { s.watch(read) })
	return s, nil
}

// source makes a source that has not read its document.
func (b bounds) source(src config.Source, env backend.Env) (*source, *reader, error) {
	if src.Timeout <= 0 {
		src.Timeout = env.Limits.CallTimeout
	}
	if src.Concurrency <= 0 {
		src.Concurrency = 128
	}
	if src.ShowBytes <= 0 {
		src.ShowBytes = 128 << 10
	}
	s := &source{
		b: b, cfg: src, env: env, log: env.Log, slots: limit.NewSlots(src.Concurrency), state: "connecting", since: env.Now(),
		first: make(chan struct{}), clients: map[string]*egress.Client{}, creds: map[string]*credential{},
	}
	s.brk.Now, s.held.now = env.Now, env.Now
	s.life, s.end = context.WithCancel(context.Background())
	var err error
	if s.picks, err = newPicks(src); err != nil {
		return nil, nil, s.fault("config.pick", "cannot tell which operations are meant", "correct include, exclude or tools of this source", err)
	}
	own := []string{src.URL}
	if src.URL == "" && src.Remote() {
		own = []string{src.OpenAPI}
	}
	for _, a := range src.Auth {
		own = append(own, a.Origins...)
	}
	if s.guard, err = guard(env.Egress, own...); err != nil {
		return nil, nil, err
	}
	for name, a := range src.Auth {
		s.creds[name] = &credential{name: name, Credential: a, src: s}
	}
	for _, name := range slices.Sorted(maps.Keys(src.Headers)) {
		s.extra = append(s.extra, egress.Field{Name: name, Value: src.Headers[name].Reveal()})
	}
	read, err := s.reader()
	return s, read, err
}

// guard is what opens public addresses, the entries of egress.allow, and the literals in URLs of the configuration.
func guard(e config.Egress, urls ...string) (*egress.Guard, error) {
	var implicit []string
	for _, s := range urls {
		if u, err := url.Parse(s); err == nil && s != "" {
			if hp, ok := egress.Literal(u); ok {
				implicit = append(implicit, hp)
			}
		}
	}
	return egress.NewGuard(e.Allow, implicit...)
}

// watch keeps the document as it is at its place, and the store of results in its bounds.
func (s *source) watch(r *reader) {
	fails := 0
	var next time.Time
	t := time.NewTicker(s.b.look)
	defer t.Stop()
	for {
		if now := s.env.Now(); !now.Before(next) && (fails > 0 || r.due(now)) {
			if err := s.load(r); err != nil {
				fails++
				next = now.Add(limit.Backoff(fails))
			} else {
				fails, next = 0, time.Time{}
			}
		}
		s.held.expire()
		select {
		case <-s.life.Done():
			return
		case <-t.C:
		}
	}
}

// load reads the document and puts it in force. A bad one changes nothing and says so.
func (s *source) load(r *reader) error {
	d, err := s.read(r)
	old := s.now.Load()
	defer func() {
		select {
		case <-s.first:
		default:
			close(s.first)
		}
	}()
	if s.life.Err() != nil {
		return nil
	}
	switch {
	case err != nil:
		s.setState(old, err)
		return err
	case d == nil: // it says what it said before
		s.setState(old, nil)
		return nil
	}
	s.mu.Lock()
	s.version++
	d.cat.Version = s.version
	s.mu.Unlock()
	s.now.Store(d)
	s.setState(d, nil)
	s.announce(old, d)
	s.env.Emit(backend.Event{Kind: backend.ToolsChanged}) // the first time too: somebody may have been told that there is nothing
	return nil
}

// setState notes how reading the document went. What is logged is said once.
func (s *source) setState(d *document, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := "ready"
	if err != nil && d == nil {
		state = "broken"
	}
	if err != nil && (s.err == nil || s.err.Error() != err.Error()) {
		s.log.LogAttrs(s.life, slog.LevelError, "document cannot be used", slog.Bool("one_before_stays", d != nil), slog.Any("error", err))
	}
	if err == nil && s.err != nil && d != nil {
		s.log.LogAttrs(s.life, slog.LevelInfo, "document can be used again")
	}
	s.err = err
	if s.state != state && !s.drain {
		s.state, s.since = state, s.env.Now()
	}
}

// Catalog is the tools of the document. It waits for the first reading of it.
func (s *source) Catalog(ctx context.Context, _ gatehouse.Capabilities) *backend.Catalog {
	if d := s.now.Load(); d != nil {
		return d.cat
	}
	select {
	case <-s.first:
	case <-ctx.Done():
	}
	if d := s.now.Load(); d != nil {
		return d.cat
	}
	return &backend.Catalog{Version: 1, Era: gatehouse.Modern, Err: s.unread()}
}

// unread is why there is no document.
func (s *source) unread() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	return s.fault(codeUnavailable, "has not read its document yet", "try again", nil)
}

// Subscribe has nothing to tell: results do not change.
func (s *source) Subscribe(context.Context, string) error {
	return &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "resources of this server do not change"}
}

// Unsubscribe does nothing.
func (s *source) Unsubscribe(string) {}

// RootsChanged does nothing: an API knows of no roots.
func (s *source) RootsChanged(context.Context, *gatehouse.Principal) {}

// Status tells how the source is.
func (s *source) Status() backend.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := backend.Status{State: s.state, Era: gatehouse.Modern, Since: s.since}
	if s.now.Load() == nil {
		st.Err = s.err // a document that is not as new as its file still serves
	}
	return st
}

// Close ends the source once its calls have ended, or ctx has.
func (s *source) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.drain
	s.drain, s.state, s.since = true, "closed", s.env.Now()
	s.mu.Unlock()
	if first {
		s.slots.Drain(ctx)
	}
	s.end()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.Close()
	}
	return nil
}

// client returns the client of an origin.
func (s *source) client(base *url.URL) (*egress.Client, error) {
	key := origin(base)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[key]; c != nil {
		return c, nil
	}
	if len(s.clients) >= maxOrigins {
		return nil, fmt.Errorf("the document leads to more than %d servers", maxOrigins)
	}
	c, err := egress.NewClient(&url.URL{Scheme: base.Scheme, Host: base.Host}, s.guard, egress.Options{
		MaxIdle: idlePerHost, HeaderTimeout: -1, MaxDecodedBytes: int64(s.env.Limits.ResultBytes) + 1,
	})
	if err == nil {
		s.clients[key] = c
	}
	return c, err
}

// origin is scheme, host and port of a URL, in one spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Codes of the errors of this package.
const (
	codeUnavailable  = "source.unavailable"
	codeTimeout      = "source.timeout"
	codeProtocol     = "source.protocol"
	codeUnauthorized = "source.unauthorized"
	codeBusy         = "source.busy"
	codeOperation    = "source.operation" // an operation of the document cannot be called
)

func (s *source) fault(code, msg, hint string, cause error) *gatehouse.Error {
	label := s.env.Label
	if label == "" {
		label = "1"
	}
	return &gatehouse.Error{Code: code, Pos: s.cfg.Pos, Msg: fmt.Sprintf("source %s of server %s %s", label, s.env.Server, msg), Hint: hint, Err: cause}
}

// explain makes the error a caller sees of whatever went wrong in an exchange with the API.
func (s *source) explain(ctx context.Context, limit time.Duration, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return s.fault(codeTimeout, "did not answer within "+limit.String(), "try again, or raise timeout of this source or tool", err)
	}
	ge, ok := errors.AsType[*gatehouse.Error](err)
	switch {
	case !ok:
		return s.fault(codeUnavailable, "broke off the exchange", "see whether the API runs; then try again", err)
	case strings.HasPrefix(ge.Code, "source."):
		return ge
	case ge.Code == egress.CodeTimeout:
		return s.fault(codeTimeout, "did not answer in time", "see whether the API runs; then try again", err)
	case ge.Code == egress.CodeBlocked && s.cfg.URL == "":
		return s.fault(codeUnavailable, "leads to an address that is not open", "say with url: where the API is; or "+ge.Hint, err)
	case ge.Code == egress.CodeBlocked, ge.Code == egress.CodeURL:
		return s.fault(codeUnavailable, "leads to an address that is not open", ge.Hint, err)
	case slices.Contains([]string{egress.CodeHead, egress.CodeHeadSize, egress.CodeFraming, egress.CodeEncoding}, ge.Code):
		return s.fault(codeProtocol, "sent an answer that is not acceptable", ge.Hint, err)
	}
	return s.fault(codeUnavailable, "cannot be reached", ge.Hint, err)
}
