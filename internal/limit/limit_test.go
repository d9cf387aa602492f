package limit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1)
		ctx := t.Context()
		if err := s.Take(ctx, time.Second, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Take(ctx, time.Second, nil); !errors.Is(err, ErrLate) {
			t.Errorf("a second call: %v, want ErrLate", err)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Take(gone, time.Second, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that is gone: %v", err)
		}
		late, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if err := s.Take(late, time.Second, nil); !errors.Is(err, ErrLate) {
			t.Errorf("a call whose time is over: %v, want ErrLate", err)
		}
		stop := make(chan struct{})
		answers := make(chan error, 10)
		for range s.Queue() {
			go func() { answers <- s.Take(ctx, time.Hour, stop) }()
		}
		synctest.Wait()
		if err := s.Take(ctx, time.Hour, stop); !errors.Is(err, ErrFull) {
			t.Errorf("a call past the queue: %v, want ErrFull", err)
		}
		s.Give()
		if err := <-answers; err != nil {
			t.Errorf("the first that waits: %v", err)
		}
		close(stop)
		for range s.Queue() - 1 {
			if err := <-answers; !errors.Is(err, ErrStop) {
				t.Errorf("one that waits at the end: %v, want ErrStop", err)
			}
		}
		drained := make(chan struct{})
		go func() { s.Drain(ctx); close(drained) }()
		synctest.Wait()
		select {
		case <-drained:
			t.Error("drained while a call runs")
		default:
		}
		s.Give()
		<-drained
	})
}

// TestBreaker: open after five failures, for a time that doubles up to a minute; then one call goes to see.
func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := Breaker{Now: func() time.Time { return now }}
	allowed := func() bool { ok, _ := b.Allow(); return ok }
	for range BreakAfter - 1 {
		b.Bad()
	}
	if !allowed() {
		t.Error("closed after four failures")
	}
	b.Good()
	for range BreakAfter {
		if !allowed() {
			t.Error("open after less than five failures in a row")
		}
		b.Bad()
	}
	for _, wait := range []time.Duration{5, 10, 20, 40, 60, 60} {
		now = now.Add(wait*time.Second - 1)
		if allowed() {
			t.Errorf("a call goes before %d s", wait)
		}
		now = now.Add(1)
		if !allowed() {
			t.Errorf("no call goes after %d s", wait)
		}
		if allowed() {
			t.Error("a second call goes while one sees")
		}
		b.Bad()
	}
	now = now.Add(time.Minute)
	allowed()
	b.Neutral() // its caller left
	if !allowed() {
		t.Error("no other call goes to see")
	}
	b.Good()
	if !allowed() || !allowed() {
		t.Error("open after a good answer")
	}
}

// TestBackoff: pauses grow to half a minute and are never the same for all.
func TestBackoff(t *testing.T) {
	for n, most := range map[int]time.Duration{0: 500, 1: 500, 2: 1000, 3: 2000, 6: 16000, 7: 30000, 100: 30000} {
		for range 100 {
			if d := Backoff(n); d < most*time.Millisecond/2 || d > most*time.Millisecond+1 {
				t.Errorf("Backoff(%d) = %v, want %d to %d ms", n, d, most/2, most)
			}
		}
	}
}
