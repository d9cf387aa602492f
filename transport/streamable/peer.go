package streamable

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/transport"
	"gatehouse/wire"
)

// peer is the way back to the caller of one request. The answer is JSON until a notification, a question or a long
// silence makes a stream of it.
type peer struct {
	x    *request
	id   []byte
	era  gatehouse.Era
	sse  bool  // the client takes a stream
	live *live // of a legacy session

	mu     sync.Mutex
	out    *events
	replay *replay // legacy
	timer  *time.Timer
	ended  bool
	call   *gatehouse.Call
}

// start begins to watch for silence.
func (p *peer) start(c *gatehouse.Call) {
	p.call = c
	if p.sse {
		p.timer = time.AfterFunc(keepAlive, p.tick)
	}
}

func (p *peer) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.stream()
	_ = p.out.comment()
	p.timer.Reset(keepAlive)
}

// stream turns the answer into a stream. p.mu is held.
func (p *peer) stream() {
	if p.out != nil {
		return
	}
	p.out = newEvents(p.x)
	if p.live == nil {
		return
	}
	p.replay = newReplay(rand.Text()[:10])
	p.live.keep(p.replay)
	if p.call.Client.Revision >= gatehouse.Revision20251125 { // an id to come back with, before anything else
		ev := p.replay.add(nil, false)
		_ = p.out.write(append([]byte("retry: 1000\n"), ev...))
	}
}

// send writes one message on the stream. p.mu is held.
func (p *peer) send(msg []byte, last bool) {
	p.stream()
	if p.replay != nil {
		_ = p.out.write(p.replay.add(msg, last))
		if last {
			p.live.forget(p.replay)
		}
		return
	}
	_ = p.out.send("", "", msg)
}

// Notify implements gatehouse.Peer. A caller that is gone is not an error.
func (p *peer) Notify(_ context.Context, method string, params []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || !p.sse {
		return nil
	}
	p.send(wire.AppendNotification(nil, method, params), false)
	return nil
}

// CanAsk implements gatehouse.Peer: a legacy caller with a session that reads a stream.
func (p *peer) CanAsk() bool { return p.live != nil && p.sse && p.id != nil }

// Ask implements gatehouse.Peer: the question goes out on this call's stream, the answer comes in a POST of its own.
func (p *peer) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	return p.live.ask(ctx, p.x.h.limits().InputTimeout, func(id string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			p.send(wire.AppendRequest(nil, wire.String(id), method, params), false)
		}
	})
}

// end keeps the peer from writing once the request's handler returns, whatever made it return.
func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// finish writes the answer.
func (p *peer) finish(c *gatehouse.Call, res *gatehouse.Result, err error) {
	var e wire.RPC
	status := http.StatusOK
	msg := p.x.h.room()
	defer p.x.h.reuse(msg)
	if err != nil {
		e, status = transport.RPC(err, c.ID, p.era)
		*msg = wire.AppendError(*msg, p.id, e)
	} else {
		*msg = transport.AppendResponse(*msg, p.id, c.Client.Revision, c.Method, res)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
	if err != nil && p.x.r.Context().Err() != nil && p.era == gatehouse.Modern {
		return // the caller is gone
	}
	if p.out != nil || p.sse && !accepts(p.x.r.Header["Accept"], "application/json") {
		p.send(*msg, true)
		return
	}
	p.x.json(status, *msg)
}

// maxRoom bounds the memory that is kept from one answer for another.
const maxRoom = 64 << 10

// room is memory for one answer, empty. Nothing keeps an answer once it is written, so reuse takes it back.
func (h *Handler) room() *[]byte {
	if b, ok := h.rooms.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func (h *Handler) reuse(b *[]byte) {
	if cap(*b) <= maxRoom {
		*b = (*b)[:0]
		h.rooms.Put(b)
	}
}
