package upstream

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Bounds of the circuit breaker.
const (
	breakAfter = 5 // failures in a row
	breakMin   = 5 * time.Second
	breakMax   = 60 * time.Second
)

// breaker keeps calls away from an upstream that does not answer: after some failures in a row it is open for a while,
// then lets one call through to see.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex // guards what follows
	fails   int
	wait    time.Duration
	until   time.Time
	probing bool
}

// allow reports whether a call may go, and after which time another try makes sense.
func (b *breaker) allow() (bool, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails < breakAfter {
		return true, 0
	}
	if left := b.until.Sub(b.now()); left > 0 {
		return false, left
	}
	if b.probing {
		return false, time.Second
	}
	b.probing = true
	return true, 0
}

// good records an answer, whatever it said.
func (b *breaker) good() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.wait, b.probing = 0, 0, false
}

// neutral ends a try that says nothing about the upstream, such as one whose caller left.
func (b *breaker) neutral() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// bad records a failure of the transport and returns how many there were in a row.
func (b *breaker) bad() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.probing = false
	if b.fails >= breakAfter {
		b.wait = min(max(2*b.wait, breakMin), breakMax)
		b.until = b.now().Add(b.wait)
	}
	return b.fails
}

// backoff is the pause before try n (from 1) of something that fails: half a second doubling to 30 s, with jitter.
func backoff(n int) time.Duration {
	d := 500 * time.Millisecond << min(max(n-1, 0), 6)
	d = min(d, 30*time.Second)
	return d/2 + rand.N(d/2+1)
}
