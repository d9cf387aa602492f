package upstream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/internal/limit"
	"gatehouse/wire"
)

// Bounds of catalogues in time.
const (
	refreshEvery = 5 * time.Minute
	ttlMin       = time.Second
	ttlMax       = time.Hour
	fetchTimeout = 2 * time.Minute
)

// maxLeftOut is how many entries that are left out of one list are named in the log.
const maxLeftOut = 20

// catalogs keeps what the source offers, by class of client. A class is one of at most 64.
type catalogs struct {
	mu sync.Mutex // guards what follows
	m  map[string]*cached
}

type cached struct {
	caps    gatehouse.Capabilities
	good    *backend.Catalog // last that was fetched whole
	broken  time.Time        // since when fetches fail
	missed  bool             // somebody was told that there is nothing
	err     error            // of the last fetch
	flight  chan struct{}    // closed when the fetch under way ends; nil when there is none
	stale   bool             // the upstream said that it changed
	expires time.Time
	fetched time.Time
	next    time.Time // no fetch before, after a failure
	fails   int
}

// Catalog returns what the source offers such a client.
func (s *source) Catalog(ctx context.Context, caps gatehouse.Capabilities) *backend.Catalog {
	caps = gatehouse.Capabilities{
		Elicitation: caps.Elicitation, ElicitationURL: caps.ElicitationURL, Sampling: caps.Sampling,
		SamplingTools: caps.SamplingTools, Roots: caps.Roots, UI: caps.UI,
	}
	class := caps.Class()
	s.cat.mu.Lock()
	e := s.cat.m[class]
	if e == nil {
		e = &cached{caps: caps}
		s.cat.m[class] = e
	}
	flight := s.fly(e)
	wait := flight != nil && (e.good == nil && e.err == nil || e.stale || e.good == nil)
	s.cat.mu.Unlock()
	if wait {
		select {
		case <-flight:
		case <-ctx.Done():
		}
	}
	s.cat.mu.Lock()
	defer s.cat.mu.Unlock()
	return s.offer(e)
}

// offer is what e says now; s.cat.mu is held.
func (s *source) offer(e *cached) *backend.Catalog {
	if e.good != nil && e.err == nil {
		return e.good
	}
	err := e.err
	if err == nil {
		err = s.fault(codeUnavailable, "has not answered yet", "see whether it runs; then try again", nil)
	}
	if e.good != nil && s.env.Now().Sub(e.broken) < s.cfg.Grace {
		c := *e.good
		c.Err = err
		return &c
	}
	e.missed = true
	return &backend.Catalog{Version: 1, Err: err, Era: s.known().era()}
}

// fly starts a fetch when one is due and returns the one under way, nil when none is; s.cat.mu is held.
func (s *source) fly(e *cached) chan struct{} {
	now := s.env.Now()
	if e.flight != nil {
		return e.flight
	}
	due := e.good == nil || e.stale || e.err != nil || now.After(e.expires)
	if !due || now.Before(e.next) {
		return nil
	}
	done := make(chan struct{})
	e.flight = done
	if !s.goes(func() { s.refresh(e, done) }) {
		e.flight = nil
		return nil
	}
	return done
}

// stale marks every catalogue as changed and fetches them anew.
func (s *source) stale() {
	s.cat.mu.Lock()
	defer s.cat.mu.Unlock()
	for _, e := range s.cat.m {
		e.stale = true
		s.fly(e)
	}
}

// renew fetches what has run out, so that callers find it ready.
func (s *source) renew() {
	s.cat.mu.Lock()
	defer s.cat.mu.Unlock()
	for _, e := range s.cat.m {
		s.fly(e)
	}
}

// refresh fetches the catalogue of e.
func (s *source) refresh(e *cached, done chan struct{}) {
	ctx, cancel := context.WithTimeoutCause(s.life, fetchTimeout, errTimeout)
	defer cancel()
	s.cat.mu.Lock()
	pause := s.b.settle - s.env.Now().Sub(e.fetched)
	s.cat.mu.Unlock()
	if pause > 0 {
		sleep(ctx, min(pause, s.b.settle))
	}
	s.cat.mu.Lock()
	e.stale = false
	s.cat.mu.Unlock()
	cat, ttl, err := s.fetch(ctx, e.caps)
	if err != nil {
		err = s.explain(s.life, err)
	}
	s.cat.mu.Lock()
	now := s.env.Now()
	old := e.good
	if e.missed && err == nil {
		old, e.missed = &backend.Catalog{}, false
	}
	if err != nil && e.err == nil {
		e.broken = now
	}
	e.fetched, e.err = now, err
	if err == nil {
		e.good, e.expires, e.fails, e.next = cat, now.Add(ttl), 0, time.Time{}
	} else {
		e.fails++
		e.next = now.Add(limit.Backoff(e.fails))
	}
	first := e.fails == 1
	e.flight = nil
	if e.stale {
		s.fly(e)
	}
	close(done)
	s.cat.mu.Unlock()
	if s.life.Err() != nil {
		return
	}
	if err != nil {
		state := "broken"
		if ge, ok := errors.AsType[*gatehouse.Error](err); ok && ge.Code == codeQuarantined {
			state = stateQuarantined
		}
		s.setState(state, err)
		if first {
			s.log.LogAttrs(ctx, slog.LevelWarn, "source is not usable", slog.Any("error", err))
		}
		return
	}
	s.setState("ready", nil)
	s.startHearing()
	if old != nil && old.Version != cat.Version {
		s.tell(old, cat)
	}
}

// tell emits what differs.
func (s *source) tell(old, cat *backend.Catalog) {
	if !same(old.Tools, cat.Tools) {
		s.env.Emit(backend.Event{Kind: backend.ToolsChanged})
	}
	if !same(old.Prompts, cat.Prompts) {
		s.env.Emit(backend.Event{Kind: backend.PromptsChanged})
	}
	if !same(old.Resources, cat.Resources) || !same(old.Templates, cat.Templates) {
		s.env.Emit(backend.Event{Kind: backend.ResourcesChanged})
	}
}

func same(a, b []gatehouse.Tool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || string(a[i].Def) != string(b[i].Def) {
			return false
		}
	}
	return true
}

// fetch lists all that the upstream offers.
func (s *source) fetch(ctx context.Context, caps gatehouse.Capabilities) (cat *backend.Catalog, ttl time.Duration, err error) {
	if ok, wait := s.brk.Allow(); !ok {
		return nil, 0, s.fault(codeUnavailable, "has failed several times in a row", "wait "+wait.Round(time.Second).String()+"; see whether it runs", nil)
	}
	for try := range 2 {
		cat, ttl, err = s.fetchOnce(ctx, caps)
		if err == nil || try == 1 || ctx.Err() != nil || !errors.Is(err, errGone) && !transient(err) {
			break
		}
	}
	s.judge(ctx, err)
	return cat, ttl, err
}

func (s *source) fetchOnce(ctx context.Context, caps gatehouse.Capabilities) (*backend.Catalog, time.Duration, error) {
	ss, done, err := s.session(ctx, "", caps)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	l := &lister{ss: ss, caps: caps, ttl: refreshEvery}
	cat := &backend.Catalog{Completions: l.has("completions", ""), Logging: l.has("logging", ""), Subscribe: l.has("resources", "subscribe"), Instructions: clipTo(ss.instruct, s.env.Limits.Schema), Era: gatehouse.Legacy}
	ext, _ := wire.ParseObject(ss.offers.Get("extensions"))
	cat.UI = ext.Has("io.modelcontextprotocol/ui")
	if ss.modern {
		cat.Era = gatehouse.Modern
	}
	for _, part := range []struct {
		offer, method, member, name string
		to                          *[]gatehouse.Tool
	}{
		{"tools", "tools/list", "tools", "name", &cat.Tools},
		{"prompts", "prompts/list", "prompts", "name", &cat.Prompts},
		{"resources", "resources/list", "resources", "uri", &cat.Resources},
		{"resources", "resources/templates/list", "resourceTemplates", "uriTemplate", &cat.Templates},
	} {
		if ss.offers != nil && !ss.offers.Has(part.offer) {
			continue
		}
		*part.to, err = l.list(ctx, part.method, part.member, part.name)
		if re, ok := errors.AsType[*gatehouse.RPCError](err); ok && re.Code == gatehouse.CodeMethodNotFound {
			err = nil
		}
		if err != nil {
			if errors.Is(err, errGone) {
				s.pool.forget(ss)
			}
			return nil, 0, fmt.Errorf("%s: %w", part.method, err)
		}
	}
	cat.Version = version(cat)
	return cat, l.ttl, nil
}

func version(c *backend.Catalog) uint64 {
	h := fnv.New64a()
	for _, list := range [][]gatehouse.Tool{c.Tools, c.Prompts, c.Resources, c.Templates} {
		_, _ = fmt.Fprintf(h, "%d\x00", len(list))
		for _, t := range list {
			_, _ = fmt.Fprintf(h, "%d\x00%s%d\x00%s", len(t.Name), t.Name, len(t.Def), t.Def)
		}
	}
	_, _ = fmt.Fprintf(h, "%t%t%t%t%d%s", c.Completions, c.Logging, c.Subscribe, c.UI, c.Era, c.Instructions)
	return max(h.Sum64(), 2)
}

// lister reads lists of one session within the limits.
type lister struct {
	ss   *session
	caps gatehouse.Capabilities
	ttl  time.Duration
}

func (l *lister) has(name, sub string) bool {
	o, ok := wire.ParseObject(l.ss.offers.Get(name))
	if sub == "" {
		return ok
	}
	return string(o.Get(sub)) == "true"
}

func (l *lister) list(ctx context.Context, method, member, name string) ([]gatehouse.Tool, error) {
	s, lim := l.ss.src, l.ss.src.env.Limits
	var out []gatehouse.Tool
	seen := map[string]bool{}
	cursors := map[string]bool{}
	var cursor *string
	left := 0
	defer func() {
		if left > maxLeftOut {
			s.log.LogAttrs(ctx, slog.LevelWarn, "more entries of an upstream list are left out", slog.String("method", method), slog.Int("entries", left-maxLeftOut))
		}
	}()
	quarantine := func(msg string) error {
		return s.fault(codeQuarantined, "is quarantined: "+method+" "+msg, "mend the server, or raise the limit in the section limits", nil)
	}
	for page := 1; ; page++ {
		if page > max(lim.ListPages, 1) {
			return nil, quarantine("has more than " + strconv.Itoa(lim.ListPages) + " pages")
		}
		var o wire.Object
		if cursor != nil {
			o = append(o, wire.Member{Name: "cursor", Value: wire.String(*cursor)})
		}
		if m := l.ss.meta(nil, l.caps, ""); m != nil {
			o = append(o, wire.Member{Name: "_meta", Value: m})
		}
		raw, err := l.ss.request(ctx, method, o.Bytes(), s.b.list)
		if err != nil {
			return nil, err
		}
		res, _ := wire.ParseObject(raw)
		items, ok := wire.Elements(res.Get(member))
		if !ok {
			return nil, s.protocol(fmt.Sprintf("answered %s without %q", method, member), nil)
		}
		l.lifetime(res)
		for _, it := range items {
			t, why := l.entry(it, name, method)
			if why == "" && seen[t.Name] {
				why = "its name is used twice"
			}
			if why != "" {
				if left++; left > maxLeftOut {
					continue
				}
				s.log.LogAttrs(ctx, slog.LevelWarn, "entry of an upstream list is left out", slog.String("method", method), slog.String("name", clip(t.Name)), slog.String("reason", why))
				continue
			}
			seen[t.Name] = true
			if out = append(out, t); len(out) > max(lim.Tools, 1) {
				return nil, quarantine("has more than " + strconv.Itoa(lim.Tools) + " entries")
			}
		}
		if wire.IsNull(res.Get("nextCursor")) {
			return out, nil
		}
		next, ok := wire.Text(res.Get("nextCursor"))
		if !ok || len(next) > 64<<10 || cursors[next] {
			return nil, quarantine("has a cursor that is malformed or comes back")
		}
		cursors[next], cursor = true, &next
	}
}

// lifetime shortens the life of the catalogue to what the upstream wants.
func (l *lister) lifetime(res wire.Object) {
	if !l.ss.modern {
		return
	}
	ms, err := strconv.ParseInt(string(res.Get("ttlMs")), 10, 64)
	if err != nil || ms <= 0 {
		return
	}
	d := max(time.Duration(min(ms, int64(ttlMax/time.Millisecond)))*time.Millisecond, ttlMin)
	l.ttl = min(l.ttl, d)
}

// entry judges one entry of a list; why says why it cannot be used.
func (l *lister) entry(def []byte, member, method string) (t gatehouse.Tool, why string) {
	lim := l.ss.src.env.Limits
	o, ok := wire.ParseObject(def)
	if !ok {
		return t, "it is no object"
	}
	if err := wire.KnownMembers(o, "name", "uri", "uriTemplate", "inputSchema", "outputSchema", "description", "annotations"); err != nil {
		return t, err.Error()
	}
	t.Name, ok = wire.Text(o.Get(member))
	if !ok || t.Name == "" || len(t.Name) > 4096 {
		return t, "its " + member + " is missing or too long"
	}
	if d, _ := wire.Text(o.Get("description")); len(d) > lim.Description {
		return t, "its description is over " + strconv.Itoa(lim.Description) + " bytes"
	}
	if method != "tools/list" {
		if len(def) > 2*lim.Schema {
			return t, "it is over " + strconv.Itoa(2*lim.Schema) + " bytes"
		}
		t.Def = append([]byte(nil), def...)
		return t, ""
	}
	if !toolName(t.Name) {
		return t, "its name is not 1 to 128 letters, digits, dots, dashes and underscores"
	}
	t.Risk = gatehouse.Write
	for _, sch := range []string{"inputSchema", "outputSchema"} {
		v := o.Get(sch)
		if v == nil && sch == "outputSchema" {
			continue
		}
		bounds := wire.DefaultSchemaLimits
		bounds.Bytes = lim.Schema
		if err := wire.GuardSchema(v, bounds); err != nil {
			return t, "its " + sch + ": " + err.Error()
		}
	}
	in, ok := wire.ParseObject(o.Get("inputSchema"))
	if typ, _ := wire.Text(in.Get("type")); !ok || typ != "object" {
		return t, "its inputSchema is not of type object"
	}
	{ // whatever the upstream speaks: modern callers mirror these arguments toward us
		h, err := wire.HeaderParams(o.Get("inputSchema"))
		if err != nil {
			return t, err.Error()
		}
		t.Headers = h
	}
	t.Def = o.Delete("execution").Bytes()
	if len(t.Def) > 3*lim.Schema {
		return t, "its definition is too large"
	}
	return t, ""
}

func toolName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func clipTo(s string, n int) string {
	if n > 0 && len(s) > n {
		return s[:n]
	}
	return s
}
