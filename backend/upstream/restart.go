package upstream

import (
	"context"
	"sync"
	"time"

	"gatehouse/internal/limit"
)

// longLived is the life of a process after which its end counts as the first.
const longLived = time.Minute

// restarts keeps processes that end over and over from being started as often, by key of their sessions: whose call ends
// a process waits, the others do not.
type restarts struct {
	mu sync.Mutex // guards what follows
	m  map[string]*restart
}

type restart struct {
	ends int // in a row
	last time.Time
	next time.Time // not started before
}

// ended records that the process of key, which began then, has ended.
func (rs *restarts) ended(key string, began time.Time) {
	now := time.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.m == nil {
		rs.m = map[string]*restart{}
	}
	r := rs.m[key]
	if r == nil {
		r = &restart{}
		rs.m[key] = r
	}
	if now.Sub(began) > longLived {
		r.ends = 0
	}
	r.last = now
	if r.ends++; r.ends > 1 { // once is an accident
		r.next = now.Add(limit.Backoff(r.ends - 1))
	}
}

// wait waits until the process of key may be started, if that is soon.
func (rs *restarts) wait(ctx context.Context, s *source, key string) error {
	rs.mu.Lock()
	var left time.Duration
	if r := rs.m[key]; r != nil {
		left = time.Until(r.next)
	}
	rs.mu.Unlock()
	if left > s.b.restart {
		return s.fault(codeUnavailable, "ended its process several times in a row", "see its messages in the log of Gatehouse; it is started again in "+left.Round(time.Second).String(), errDied)
	}
	if left > 0 && !sleep(ctx, left) {
		return context.Cause(ctx)
	}
	return nil
}

// sweep forgets what is long past.
func (rs *restarts) sweep(now time.Time) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for k, r := range rs.m {
		if now.Sub(r.last) > longLived {
			delete(rs.m, k)
		}
	}
}
