package egress

import (
	"sync"
	"sync/atomic"
	"time"
)

const idleTimeout = 60 * time.Second

// pool keeps idle connections, the latest on top. One timer closes those that have been idle too long; no goroutine watches them.
type pool struct {
	mu     sync.Mutex // guards the rest
	idle   []*conn
	max    int
	timer  *time.Timer // armed while idle is not empty
	closed atomic.Bool // set under mu, read without it
}

// get takes the connection used last, or nil. The caller sees whether it is alive.
func (p *pool) get(now time.Time) *conn {
	for {
		p.mu.Lock()
		n := len(p.idle) - 1
		if n < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		p.mu.Unlock()
		if now.Before(c.expiry) && c.alive() {
			return c
		}
		c.close()
	}
}

// put keeps c for at most keep, or closes it when there is no room.
func (p *pool) put(c *conn, keep time.Duration) {
	if keep == 0 || keep > idleTimeout {
		keep = idleTimeout
	}
	c.rest()
	c.expiry = time.Now().Add(keep)
	p.mu.Lock()
	if p.closed.Load() || len(p.idle) >= p.max {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(keep, p.expire)
	}
	p.mu.Unlock()
}

// expire closes what is too old and arms the timer for what is left.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.timer = nil
	kept, next := p.idle[:0], time.Duration(0)
	for _, c := range p.idle {
		left := c.expiry.Sub(now)
		if left <= 0 {
			c.close()
			continue
		}
		if kept = append(kept, c); next == 0 || left < next {
			next = left
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	if len(kept) > 0 && !p.closed.Load() {
		p.timer = time.AfterFunc(next, p.expire)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed.Store(true)
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
}
