package route

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse"
	"gatehouse/backend"
)

// connecting is a source that has not answered yet, or has failed to.
type connecting struct {
	fixed
	failed bool
	after  time.Duration // until it answers
	began  time.Time
}

func (c *connecting) Status() backend.Status {
	if c.failed {
		return backend.Status{Err: errors.New("broken")}
	}
	return backend.Status{}
}

func (c *connecting) Catalog(ctx context.Context, _ gatehouse.Capabilities) *backend.Catalog {
	select {
	case <-time.After(c.after - time.Since(c.began)):
		return c.cat
	case <-ctx.Done():
		return &backend.Catalog{Version: 1, Err: errors.New("has not answered yet")}
	}
}

// TestNeighboursDoNotWait: callers of a server wait a while for a source that is connecting, and not at all for one that has
// failed.
func TestNeighboursDoNotWait(t *testing.T) {
	for _, c := range []struct {
		failed      bool
		after, wait time.Duration
		tools       int
	}{
		{false, time.Second, time.Second, 2},
		{false, time.Hour, patience, 1},
		{true, time.Second, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, 10, map[string]*backend.Catalog{"a_": tools("x"), "b_": tools("y")}, "a_", "b_")
			s.Sources[1].Source = &connecting{fixed: fixed{cat: tools("y")}, failed: c.failed, after: c.after, began: time.Now()}
			began := time.Now()
			v := s.View(t.Context(), gatehouse.Capabilities{})
			if took := time.Since(began); took != c.wait || len(v.Tools) != c.tools {
				t.Errorf("%+v: %d tools after %v", c, len(v.Tools), took)
			}
			if _, err := v.Tool("a_x"); err != nil {
				t.Error(err)
			}
		})
	}
}
