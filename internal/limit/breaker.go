package limit

import (
	"math/rand/v2"
	"sync"
	"time"
)

// BreakAfter is how many failures in a row open a breaker.
const BreakAfter = 5

// Bounds of how long it is open.
const (
	breakMin = 5 * time.Second
	breakMax = 60 * time.Second
)

// Breaker keeps calls away from what does not answer: after some failures in a row it is open for a while, then lets one
// call through to see. It is safe for concurrent use once Now is set.
type Breaker struct {
	Now func() time.Time

	mu      sync.Mutex // guards what follows
	fails   int
	wait    time.Duration
	until   time.Time
	probing bool
}

// Allow reports whether a call may go, and after which time another try makes sense.
func (b *Breaker) Allow() (bool, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails < BreakAfter {
		return true, 0
	}
	if left := b.until.Sub(b.Now()); left > 0 {
		return false, left
	}
	if b.probing {
		return false, time.Second
	}
	b.probing = true
	return true, 0
}

// Good records an answer, whatever it said.
func (b *Breaker) Good() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails, b.wait, b.probing = 0, 0, false
}

// Neutral ends a try that says nothing about the upstream, such as one whose caller left.
func (b *Breaker) Neutral() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// Bad records a failure of the transport and returns how many there were in a row.
func (b *Breaker) Bad() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails++
	b.probing = false
	if b.fails >= BreakAfter {
		b.wait = min(max(2*b.wait, breakMin), breakMax)
		b.until = b.Now().Add(b.wait)
	}
	return b.fails
}

// Backoff is the pause before try n (from 1) of something that fails: half a second doubling to 30 s, with jitter.
func Backoff(n int) time.Duration {
	d := 500 * time.Millisecond << min(max(n-1, 0), 6)
	d = min(d, 30*time.Second)
	return d/2 + rand.N(d/2+1)
}
