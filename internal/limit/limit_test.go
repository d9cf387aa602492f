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

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	b := Breaker{Now: func() time.Time { return now }}
	for i := range breakAfter {
		if ok, _ := b.Allow(); !ok {
			t.Fatalf("open after %d failures", i)
		}
		if n := b.Bad(); n != i+1 {
			t.Errorf("%d failures counted, want %d", n, i+1)
		}
	}
	if ok, wait := b.Allow(); ok || wait != breakMin {
		t.Errorf("after %d failures: %v, %v", breakAfter, ok, wait)
	}
	now = now.Add(breakMin)
	if ok, _ := b.Allow(); !ok {
		t.Error("no call is let through after the wait")
	}
	if ok, _ := b.Allow(); ok {
		t.Error("a second call is let through beside the first")
	}
	b.Bad()
	if ok, wait := b.Allow(); ok || wait != 2*breakMin {
		t.Errorf("after another failure: %v, %v", ok, wait)
	}
	now = now.Add(2 * breakMin)
	b.Allow()
	b.Neutral()
	if ok, _ := b.Allow(); !ok {
		t.Error("a call that said nothing keeps the next one away")
	}
	b.Good()
	if ok, _ := b.Allow(); !ok || b.Bad() != 1 {
		t.Error("a good answer does not start again")
	}
}
