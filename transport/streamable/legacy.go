package streamable

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse"
	"gatehouse/transport"
	"gatehouse/wire"
)

const sessionHeader = "Mcp-Session-Id"

// legacyVersion refuses a version header that no legacy revision has. Absent is fine: the session knows.
func (x *request) legacyVersion(version string) bool {
	switch version {
	case "", gatehouse.Revision20241105, gatehouse.Revision20250326, gatehouse.Revision20250618, gatehouse.Revision20251125:
		return true
	}
	x.h.fail(x.w, &fault{http.StatusBadRequest, "http.revision", "MCP-Protocol-Version names a revision that is not spoken here", "send the one that initialize negotiated"})
	return false
}

// session opens the session of the request, or answers 400 or 404.
func (x *request) session() *transport.Session {
	id := x.r.Header.Get(sessionHeader)
	if id == "" {
		x.h.fail(x.w, &fault{http.StatusBadRequest, "session.missing", "Mcp-Session-Id is missing", "send initialize first, or speak 2026-07-28, which has no sessions"})
		return nil
	}
	s, err := x.h.c.Sessions.Open(id, x.principal, x.server)
	if err != nil {
		x.h.fail(x.w, &fault{http.StatusNotFound, "session.unknown", "no such session, or it has ended", "send initialize again"})
		return nil
	}
	return s
}

// postLegacy takes one message of the legacy era.
func (x *request) postLegacy(m wire.Message, parts transport.Parts, version string) {
	if !x.legacyVersion(version) {
		return
	}
	if m.Kind == wire.Request && m.Method == "initialize" {
		x.initialize(m)
		return
	}
	s := x.session()
	if s == nil {
		return
	}
	l := x.h.hold(s)
	defer x.h.release(l)
	if m.Kind != wire.Request {
		x.accept(l, m)
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	p := &peer{x: x, id: m.ID, era: gatehouse.Legacy, live: l, sse: accepts(x.r.Header["Accept"], "text/event-stream")}
	defer p.end()
	if c, res, err := x.run(l, m, parts, p); c != nil {
		p.finish(c, res, err)
	} else {
		x.rpcError(m.ID, err, "", gatehouse.Legacy)
	}
}

// run takes one request of a session. c is nil when the request never became a call.
func (x *request) run(l *live, m wire.Message, parts transport.Parts, p gatehouse.Peer) (c *gatehouse.Call, res *gatehouse.Result, err error) {
	l.mu.Lock()
	level := l.level
	l.mu.Unlock()
	c, err = transport.DecodeParts(m, parts, false, transport.Origin{Server: x.server, Principal: x.principal, Peer: p, Received: x.received, Client: l.s.Client, LogLevel: level})
	if err != nil {
		return nil, nil, err
	}
	// A disconnect does not cancel a legacy call: only the notification, the session's end and the drain do.
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.r.Context()))
	defer cancel()
	if !l.begin(m.ID, cancel) {
		return nil, nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: a request with this id is in flight on this session"}
	}
	defer l.done(m.ID)
	if p, ok := p.(*peer); ok {
		p.start(c)
	}
	empty := &gatehouse.Result{Raw: []byte("{}"), Final: true}
	switch c.Method {
	case "initialize":
		return c, nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: initialize is a message of its own"}
	case "ping":
		return c, empty, nil
	case "logging/setLevel":
		l.mu.Lock()
		l.level = c.LogLevel
		l.mu.Unlock()
		return c, empty, nil
	case "resources/subscribe":
		s, err := l.open(ctx, c)
		if err == nil {
			err = s.Subscribe(ctx, c)
		}
		if err == nil {
			l.mu.Lock()
			if l.subs == nil {
				l.subs = map[string]bool{}
			}
			l.subs[c.Name] = true
			l.mu.Unlock()
		}
		return c, empty, err
	case "resources/unsubscribe":
		l.mu.Lock()
		s := l.stream
		delete(l.subs, c.Name)
		l.mu.Unlock()
		if s != nil {
			s.Unsubscribe(c.Name)
		}
		return c, empty, nil
	}
	res, err = x.h.c.Gateway.Call(ctx, c)
	return c, res, err
}

// accept takes a notification or a response.
func (x *request) accept(l *live, m wire.Message) {
	switch {
	case m.Kind == wire.Response || m.Kind == wire.Failure:
		l.answer(m)
	case m.Method == "notifications/cancelled":
		o, _ := wire.ParseObject(m.Params)
		if id := o.Get("requestId"); id != nil {
			l.cancel(id)
		}
	case m.Method == "notifications/roots/list_changed":
		x.h.c.Gateway.RootsChanged(context.WithoutCancel(x.r.Context()), x.server, x.principal)
	}
}

// initialize begins a session.
func (x *request) initialize(m wire.Message) {
	p := &peer{x: x, id: m.ID, era: gatehouse.Legacy, sse: accepts(x.r.Header["Accept"], "text/event-stream")}
	c, err := transport.Decode(m, false, transport.Origin{Server: x.server, Principal: x.principal, Peer: p, Received: x.received, Client: gatehouse.Client{Era: gatehouse.Legacy}})
	if err == nil {
		err = transport.DecodeInitialize(c)
	}
	if err != nil {
		x.rpcError(m.ID, err, "", gatehouse.Legacy)
		return
	}
	res, err := x.h.c.Gateway.Call(x.r.Context(), c)
	if err == nil {
		var s *transport.Session
		if s, err = x.h.c.Sessions.New(x.principal, x.server, c.Client); err == nil {
			x.w.Header()[sessionHeader] = []string{s.ID}
		} else if errors.Is(err, transport.ErrTooManySessions) {
			err = &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: "too many sessions are open; end some with DELETE, or speak 2026-07-28, which has none"}
		}
	}
	p.finish(c, res, err)
}

// batch takes an array of messages, which only revision 2025-03-26 has.
func (x *request) batch(b []byte, version string) {
	msgs, errs, _, err := wire.ParseBatch(b, x.limits())
	if err != nil {
		x.rpcError(nil, err, "", gatehouse.Modern)
		return
	}
	notHere := &wire.Error{Code: "wire.envelope", Offset: -1, Msg: "batches exist in revision 2025-03-26 alone; send one message"}
	if version != "" && version != gatehouse.Revision20250326 || x.r.Header.Get(sessionHeader) == "" {
		x.rpcError(nil, notHere, "", gatehouse.Modern)
		return
	}
	s := x.session()
	if s == nil {
		return
	}
	if s.Client.Revision != gatehouse.Revision20250326 {
		x.rpcError(nil, notHere, "", gatehouse.Modern)
		return
	}
	l := x.h.hold(s)
	defer x.h.release(l)
	out := []byte{'['}
	for i, m := range msgs {
		var answer []byte
		switch {
		case errs[i] != nil:
			e, _ := transport.RPC(errs[i], "", gatehouse.Legacy)
			answer = wire.AppendError(nil, m.ID, e)
		case m.Kind != wire.Request:
			x.accept(l, m)
			continue
		case transport.Modern("", m.Params):
			e, _ := transport.RPC(notHere, "", gatehouse.Legacy)
			answer = wire.AppendError(nil, m.ID, e)
		default:
			c, res, err := x.run(l, m, transport.Split(m.Params, nil, nil), &peer{x: x, era: gatehouse.Legacy, live: l}) // no id: a batch is answered at once and asks nothing
			if err != nil {
				id := ""
				if c != nil {
					id = c.ID
				}
				e, _ := transport.RPC(err, id, gatehouse.Legacy)
				answer = wire.AppendError(nil, m.ID, e)
			} else {
				answer = wire.AppendResult(nil, m.ID, transport.Render(c.Client.Revision, c.Method, res))
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, answer...)
	}
	if len(out) == 1 {
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	x.json(http.StatusOK, append(out, ']'))
}

// get opens the session's stream, or resumes the stream of a call.
func (x *request) get() {
	if !x.legacyVersion(x.r.Header.Get("Mcp-Protocol-Version")) {
		return
	}
	s := x.session()
	if s == nil {
		return
	}
	if !x.h.streams.add(x.principal.ID, x.h.limits().StreamsPerPrincipal) {
		x.h.fail(x.w, &fault{http.StatusTooManyRequests, "http.streams", "too many open streams", "close one first"})
		return
	}
	defer x.h.streams.remove(x.principal.ID)
	l := x.h.hold(s)
	defer x.h.release(l)
	if last := x.r.Header.Get("Last-Event-Id"); last != "" {
		if r, n := l.find(last); r != nil {
			x.resume(r, n)
			return
		}
	}
	c := &gatehouse.Call{ID: "get", Server: x.server, Method: "stream/open", Principal: x.principal, Client: s.Client, Received: x.received, Peer: &peer{x: x}}
	stream, err := l.open(context.WithoutCancel(x.r.Context()), c)
	if err != nil {
		x.rpcError(nil, err, c.ID, gatehouse.Legacy)
		return
	}
	l.mu.Lock()
	l.attached++
	l.mu.Unlock()
	defer l.detach()
	out := newEvents(x)
	x.h.pump(x, stream, out, func(method string, params []byte) []byte {
		return wire.AppendNotification(nil, method, params)
	}, func() {})
}

// resume sends what a client missed of a stream, and the rest as it comes.
func (x *request) resume(r *replay, n int) {
	out := newEvents(x)
	timer := time.NewTicker(keepAlive)
	defer timer.Stop()
	for {
		ev, next, done, more := r.after(n)
		for _, e := range ev {
			if out.write(e) != nil {
				return
			}
		}
		if n = max(n, next); done {
			return
		}
		select {
		case <-more:
		case <-timer.C:
			if out.comment() != nil {
				return
			}
		case <-x.r.Context().Done():
			return
		case <-x.h.drain:
			return
		}
	}
}

// delete ends the session.
func (x *request) delete() {
	if s := x.session(); s != nil {
		x.h.c.Sessions.End(s)
		x.h.end(s)
		x.w.WriteHeader(http.StatusNoContent)
	}
}
