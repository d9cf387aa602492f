package upstream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/internal/limit"
	"gatehouse/wire"
)

// subscriptions counts who wants to hear of which resource, and keeps one stream open to hear it on.
type subscriptions struct {
	wake  chan struct{} // the set has changed
	start sync.Once

	mu    sync.Mutex // guards what follows
	count map[string]int
}

func (sub *subscriptions) has(uri string) bool {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return sub.count[uri] > 0
}

func (sub *subscriptions) uris() []string {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return slices.Sorted(maps.Keys(sub.count))
}

const maxSubscriptions = 10_000

// Subscribe asks for Updated events of uri.
func (s *source) Subscribe(ctx context.Context, uri string) error {
	s.subs.mu.Lock()
	if len(s.subs.count) >= maxSubscriptions && s.subs.count[uri] == 0 {
		s.subs.mu.Unlock()
		return s.fault(codeBusy, "has as many subscriptions as it may", "end some subscriptions", nil)
	}
	s.subs.count[uri]++
	first := s.subs.count[uri] == 1
	s.subs.mu.Unlock()
	if !first {
		return nil
	}
	ss, done, err := s.session(ctx, "", gatehouse.Capabilities{})
	if err == nil {
		defer done()
		if !ss.modern {
			err = ss.subscribe(ctx, uri)
		}
	}
	if err != nil {
		s.Unsubscribe(uri)
		return s.explain(ctx, err)
	}
	s.startHearing()
	s.signal()
	return nil
}

// Unsubscribe undoes one Subscribe.
func (s *source) Unsubscribe(uri string) {
	s.subs.mu.Lock()
	last := s.subs.count[uri] == 1
	if s.subs.count[uri]--; s.subs.count[uri] <= 0 {
		delete(s.subs.count, uri)
	}
	s.subs.mu.Unlock()
	if last {
		s.signal()
	}
}

func (s *source) signal() {
	select {
	case s.subs.wake <- struct{}{}:
	default:
	}
}

func (ss *session) subscribe(ctx context.Context, uri string) error {
	ss.mu.Lock()
	already := ss.uris[uri]
	ss.uris[uri] = true
	ss.mu.Unlock()
	if already {
		return nil
	}
	_, err := ss.request(ctx, "resources/subscribe", wire.Object{{Name: "uri", Value: wire.String(uri)}}.Bytes(), ss.src.b.list)
	if err != nil {
		ss.mu.Lock()
		delete(ss.uris, uri)
		ss.mu.Unlock()
	}
	return err
}

// align makes the subscriptions of a legacy session what is wanted.
func (ss *session) align(ctx context.Context) {
	want := ss.src.subs.uris()
	ss.mu.Lock()
	var gone []string
	for u := range ss.uris {
		if !slices.Contains(want, u) {
			gone = append(gone, u)
			delete(ss.uris, u)
		}
	}
	ss.mu.Unlock()
	for _, u := range want {
		_ = ss.subscribe(ctx, u)
	}
	for _, u := range gone {
		_, _ = ss.request(ctx, "resources/unsubscribe", wire.Object{{Name: "uri", Value: wire.String(u)}}.Bytes(), ss.src.b.list)
	}
}

// startHearing keeps a stream open for what happens outside of calls, until the source is closed.
func (s *source) startHearing() {
	s.subs.start.Do(func() { s.goes(s.keepHearing) })
}

// keepHearing listens on the neutral session, over and over.
func (s *source) keepHearing() {
	fails := 0
	for s.life.Err() == nil {
		began := time.Now()
		err := s.hearOnce(s.life)
		if err == nil || time.Since(began) > time.Minute {
			fails = 0
		}
		if err != nil {
			fails++
		}
		if !sleep(s.life, limit.Backoff(max(fails, 1))) {
			return
		}
		if fails > 0 && err != nil {
			s.stale() // something may have changed while nobody listened
		}
	}
}

// hearOnce listens until the stream ends or the subscriptions of a modern upstream change.
func (s *source) hearOnce(ctx context.Context) error {
	ss, done, err := s.session(ctx, "", gatehouse.Capabilities{})
	if err != nil {
		return err
	}
	defer done()
	if ss.modern {
		for again := true; again && err == nil; {
			again, err = s.hearModern(ctx, ss)
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	if !s.goes(func() { ended <- s.hear(ss) }) {
		cancel()
		return errClosed
	}
	defer cancel()
	ss.align(ctx)
	for {
		select {
		case <-s.subs.wake:
			ss.align(ctx)
		case err := <-ended:
			if errors.Is(err, errNoStream) {
				// Nothing can be heard; subscriptions and lists are then only as fresh as their renewal.
				select {
				case <-ss.ctx.Done():
				case <-ctx.Done():
				}
				return nil
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hear reads the session's own stream until the session ends, taking it up again when it breaks.
func (s *source) hear(ss *session) error {
	for n := 1; ; n++ {
		began := time.Now()
		err := ss.car.listen(ss.ctx, ss)
		switch {
		case errors.Is(err, errNoStream), ss.ctx.Err() != nil:
			return err
		case errors.Is(err, errGone):
			s.pool.forget(ss)
			return err
		case n > 5 && time.Since(began) < time.Second:
			return err
		case time.Since(began) > time.Minute:
			n = 1
		}
		if !sleep(ss.ctx, limit.Backoff(n)) {
			return ss.ctx.Err()
		}
	}
}

// hearModern holds one subscriptions/listen open. again says that another should be opened at once, for other resources.
func (s *source) hearModern(ctx context.Context, ss *session) (again bool, err error) {
	uris := s.subs.uris()
	want := []byte(`{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true`)
	if len(uris) > 0 {
		want = append(want, `,"resourceSubscriptions":[`...)
		for i, u := range uris {
			if i > 0 {
				want = append(want, ',')
			}
			want = wire.AppendString(want, u)
		}
		want = append(want, ']')
	}
	want = append(want, '}')
	params := wire.Object{{Name: "notifications", Value: want}, {Name: "_meta", Value: ss.meta(nil, gatehouse.Capabilities{}, "")}}.Bytes()
	r := ss.newRun(ctx, "subscriptions/listen", 0)
	if !s.goes(func() { ss.perform(r, params) }) {
		return false, errClosed
	}
	defer r.fail(errClosed)
	for {
		select {
		case <-r.fin:
			if r.err == nil && r.msg.Kind == wire.Failure && r.msg.Error.Code == gatehouse.CodeMethodNotFound {
				select { // it cannot tell; try again when something else is wanted
				case <-s.subs.wake:
				case <-ctx.Done():
				case <-ss.ctx.Done():
				}
				return false, nil
			}
			_, err := r.result()
			return false, err
		case <-ctx.Done():
			return false, ctx.Err()
		case <-s.subs.wake:
			if !slices.Equal(uris, s.subs.uris()) {
				return true, nil
			}
		}
	}
}
