// Package limit bounds what calls ask of something else: how many at once, and none for a while once it has failed several
// times in a row.
package limit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// queueFactor is how many calls wait for each one that may run.
const queueFactor = 4

// Why a call got no slot. The context's own error is one more.
var (
	ErrFull = errors.New("as many calls wait as may")
	ErrLate = errors.New("no slot was free in time")
	ErrStop = errors.New("nothing runs any more")
)

// Slots lets a number of calls run at once. Others wait in a bounded queue.
type Slots struct {
	held   chan struct{}
	queued atomic.Int64
}

// NewSlots returns n slots.
func NewSlots(n int) *Slots { return &Slots{held: make(chan struct{}, n)} }

// Size is how many calls may run.
func (s *Slots) Size() int { return cap(s.held) }

// Queue is how many calls may wait.
func (s *Slots) Queue() int { return queueFactor * cap(s.held) }

// Waiting is how many calls wait now.
func (s *Slots) Waiting() int { return int(s.queued.Load()) }

// Take waits for a slot, at most as long as wait, ctx and stop. Each slot taken is given back by Give.
func (s *Slots) Take(ctx context.Context, wait time.Duration, stop <-chan struct{}) error {
	select {
	case s.held <- struct{}{}:
		return nil
	default:
	}
	if s.queued.Add(1) > int64(s.Queue()) {
		s.queued.Add(-1)
		return ErrFull
	}
	defer s.queued.Add(-1)
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case s.held <- struct{}{}:
		return nil
	case <-t.C:
		return ErrLate
	case <-stop:
		return ErrStop
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return ErrLate
		}
		return ctx.Err()
	}
}

// Give gives a slot back.
func (s *Slots) Give() { <-s.held }

// Drain takes all slots for good: it returns once the calls that run have ended, or ctx has.
func (s *Slots) Drain(ctx context.Context) {
	for range cap(s.held) { // each slot taken is one call that has ended
		select {
		case s.held <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}
