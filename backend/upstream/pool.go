package upstream

import (
	"context"
	"strings"
	"sync"
	"time"

	"gatehouse"
)

// pool keeps the sessions of one source by key. It holds at most max; the longest unused one goes first.
type pool struct {
	src *source
	max int

	mu sync.Mutex // guards what follows
	m  map[string]*entry
}

// entry is a session that is open or being opened.
type entry struct {
	ready  chan struct{} // closed once ss or err is set
	ss     *session
	err    error
	users  int
	used   time.Time
	parted bool // no longer in the pool
}

// get returns the session under key, opening it when there is none. done must be called when it is not needed any more, and once only.
func (p *pool) get(ctx context.Context, key, principal string, caps gatehouse.Capabilities) (ss *session, done func(), err error) {
	p.mu.Lock()
	e := p.m[key]
	if e != nil && e.ss != nil && !e.ss.alive() {
		p.drop(key, e)
		e = nil
	}
	if e == nil {
		if len(p.m) >= p.max && !p.evict() {
			p.mu.Unlock()
			return nil, nil, p.src.fault(codeBusy, "has as many sessions as it may", "try again later", nil)
		}
		e = &entry{ready: make(chan struct{}), used: time.Now()}
		p.m[key] = e
		if !p.src.goes(func() { p.fill(e, key, principal, caps) }) {
			delete(p.m, key)
			p.mu.Unlock()
			return nil, nil, p.src.fault(codeUnavailable, "is closed", "the configuration has changed; try again", nil)
		}
	}
	e.users++
	p.mu.Unlock()
	done = func() {
		p.mu.Lock()
		e.users--
		e.used = time.Now()
		p.mu.Unlock()
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		done()
		return nil, nil, ctx.Err()
	}
	if e.err != nil {
		done()
		return nil, nil, e.err
	}
	return e.ss, done, nil
}

func (p *pool) fill(e *entry, key, principal string, caps gatehouse.Capabilities) {
	ctx, cancel := context.WithTimeoutCause(p.src.life, p.src.b.open, errTimeout)
	defer cancel()
	ss, err := p.src.dial(ctx, key, principal, caps)
	p.mu.Lock()
	e.ss, e.err = ss, err
	if err != nil && p.m[key] == e {
		delete(p.m, key)
	}
	gone := err == nil && (e.parted || p.m[key] != e)
	if k := p.src.key(principal, caps); err == nil && !gone && p.m[k] == nil && !strings.HasPrefix(key, legacyKey) {
		delete(p.m, key) // dialling has shown the era, and with it who shares the session
		p.m[k], ss.key = e, k
	}
	close(e.ready)
	p.mu.Unlock()
	if gone {
		ss.close()
	}
}

// drop takes e out; p.mu is held.
func (p *pool) drop(key string, e *entry) {
	delete(p.m, key)
	e.parted = true
	if e.ss != nil {
		if !p.src.goes(e.ss.close) {
			e.ss.die(errClosed)
		}
	}
}

// evict makes room by ending the longest unused session; p.mu is held.
func (p *pool) evict() bool {
	var key string
	var old *entry
	for k, e := range p.m {
		if !e.busy() && (old == nil || e.used.Before(old.used)) {
			key, old = k, e
		}
	}
	if old != nil {
		p.drop(key, old)
	}
	return old != nil
}

// busy reports whether a call uses the session, or waits on it for a person; p.mu is held.
func (e *entry) busy() bool { return e.users > 0 || e.ss != nil && len(e.ss.flying()) > 0 }

// forget takes a session out that turned out to be gone.
func (p *pool) forget(ss *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.m[ss.key]; e != nil && e.ss == ss {
		p.drop(ss.key, e)
	}
}

// reap ends sessions that are idle or dead.
func (p *pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.src.again.sweep(now)
	for k, e := range p.m {
		if e.ss == nil {
			continue
		}
		e.ss.expireHeld(now)
		if !e.ss.alive() || !e.busy() && now.Sub(e.used) > p.src.b.idle {
			p.drop(k, e)
		}
	}
}

func (p *pool) of(principal string) []*session {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*session
	for _, e := range p.m {
		if e.ss != nil && e.ss.principal == principal {
			out = append(out, e.ss)
		}
	}
	return out
}

func (p *pool) closeAll() {
	p.mu.Lock()
	var all []*session
	for k, e := range p.m {
		if e.ss != nil {
			all = append(all, e.ss)
		}
		e.parted = true
		delete(p.m, k)
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, ss := range all {
		wg.Go(ss.close)
	}
	wg.Wait()
}

// close says farewell and ends the session. It may be called more than once.
func (ss *session) close() {
	ss.mu.Lock()
	already := ss.closing
	ss.closing = true
	ss.mu.Unlock()
	if already {
		return
	}
	ss.car.close(ss)
	ss.die(errClosed)
}
