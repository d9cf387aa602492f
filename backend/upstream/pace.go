package upstream

import (
	"context"
	"time"
)

// The rate at which one stream of an upstream is read: far more than an honest one sends, little enough that reading it
// leaves the machine to others.
const (
	paceEvery = 2000 // messages
	paceTime  = 100 * time.Millisecond
)

// pace slows the reading of a stream down that floods. Nothing is lost: the upstream waits.
type pace struct {
	n     int
	began time.Time
}

// wait counts a message and waits when there were too many. It is false when ctx has ended.
func (p *pace) wait(ctx context.Context) bool {
	if p.n++; p.n < paceEvery {
		return true
	}
	now := time.Now()
	left := paceTime - now.Sub(p.began)
	p.n, p.began = 0, now
	if left <= 0 {
		return true
	}
	p.began = now.Add(left)
	return sleep(ctx, left)
}
