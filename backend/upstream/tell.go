package upstream

import (
	"context"

	"gatehouse"
)

// maxTold bounds the notifications that wait for a slow caller; what comes when it is full is dropped.
const maxTold = 256

// telling passes on what came on a stream that a call shares with others: a caller that reads slowly keeps nobody else's
// messages waiting.
type telling struct {
	box   chan note
	empty chan struct{} // closed once all of box is passed on
	shut  bool
}

type note struct {
	to     *gatehouse.Call
	method string
	params []byte
}

// tell passes a notification on. own says whether it came on r's own stream, where waiting for its caller is right.
func (r *run) tell(src *source, n note, own bool) {
	if r.notes.Add(1) > maxNotes {
		return
	}
	if own {
		_ = n.to.Peer.Notify(r.ctx, n.method, n.params)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.told
	if t.shut {
		return
	}
	if t.box == nil {
		box, empty := make(chan note, maxTold), make(chan struct{})
		if !src.goes(func() {
			defer close(empty)
			for n := range box {
				_ = n.to.Peer.Notify(r.ctx, n.method, n.params)
			}
		}) {
			return
		}
		t.box, t.empty = box, empty
	}
	select {
	case t.box <- n:
	default:
	}
}

// hush ends the telling: nothing is told any more once the call has ended.
func (r *run) hush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told.box != nil && !r.told.shut {
		close(r.told.box)
	}
	r.told.shut = true
}

// drain waits until the caller has been told everything, so that the answer comes after it.
func (r *run) drain(ctx context.Context) {
	r.hush()
	r.mu.Lock()
	empty := r.told.empty
	r.mu.Unlock()
	if empty == nil {
		return
	}
	select {
	case <-empty:
	case <-ctx.Done():
	}
}
