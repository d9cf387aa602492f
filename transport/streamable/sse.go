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

// The HTTP+SSE transport of 2024-11-05, behind the switch legacySSE: GET /{server}/sse opens the stream and names the
// URL to POST to; every answer comes on the stream.

// maxSSECalls bounds the calls in flight of one connection.
const maxSSECalls = 32

type sseConns struct {
	mu sync.Mutex
	m  map[string]*sseConn
}

// sseConn is one open stream and the session that lives as long as it.
type sseConn struct {
	live      *live
	out       *events
	principal string
	server    string
	slots     chan struct{}

	mu          sync.Mutex
	begun       bool // by an initialize; there is one, since what it says of the client holds for all calls
	initialized bool
}

func (h *Handler) serveSSE(x *request) {
	if !h.streams.add(x.principal.ID, h.limits().StreamsPerPrincipal) {
		h.fail(x.w, &fault{http.StatusTooManyRequests, "http.streams", "too many open streams", "close one first"})
		return
	}
	defer h.streams.remove(x.principal.ID)
	s := &transport.Session{Principal: x.principal.ID, Server: x.server, Issued: x.received, Client: gatehouse.Client{Era: gatehouse.Legacy, Revision: gatehouse.Revision20241105}}
	rand.Read(s.Random[:])
	id := rand.Text()
	c := &sseConn{live: &live{h: h, s: s}, out: newEvents(x), principal: x.principal.ID, server: x.server, slots: make(chan struct{}, maxSSECalls)}
	h.sse.mu.Lock()
	h.sse.m[id] = c
	h.sse.mu.Unlock()
	defer func() {
		h.sse.mu.Lock()
		delete(h.sse.m, id)
		h.sse.mu.Unlock()
		c.live.mu.Lock()
		c.live.shut()
		c.live.mu.Unlock()
		c.out.close()
	}()
	if c.out.send("", "endpoint", []byte("/"+x.server+"/messages?sessionId="+id)) != nil {
		return
	}
	call := &gatehouse.Call{ID: "sse", Server: x.server, Method: "stream/open", Principal: x.principal, Client: s.Client, Received: x.received, Peer: &peer{x: x}}
	stream, err := c.live.open(x.r.Context(), call)
	if err != nil {
		return
	}
	h.pump(x, stream, c.out, func(method string, params []byte) []byte { return wire.AppendNotification(nil, method, params) }, func() {})
}

func (h *Handler) serveMessages(x *request) {
	h.sse.mu.Lock()
	c := h.sse.m[x.r.URL.Query().Get("sessionId")]
	h.sse.mu.Unlock()
	if c == nil || c.principal != x.principal.ID || c.server != x.server {
		h.fail(x.w, &fault{http.StatusNotFound, "session.unknown", "no such session, or its stream is closed", "open /{server}/sse again"})
		return
	}
	b, f := x.body()
	if f != nil {
		h.fail(x.w, f)
		return
	}
	m, err := wire.Parse(b, x.limits())
	if err != nil {
		x.rpcError(m.ID, err, "", gatehouse.Modern)
		return
	}
	if m.Kind != wire.Request {
		x.accept(c.live, m)
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	select {
	case c.slots <- struct{}{}:
	default:
		h.fail(x.w, &fault{http.StatusTooManyRequests, "http.calls", "too many calls in flight on this session", "wait for answers first"})
		return
	}
	h.calls.Add(1)
	// The answer goes to the stream, so the request ends before the call does.
	detached := &request{h: h, w: x.w, r: x.r.WithContext(context.WithoutCancel(x.r.Context())), server: x.server, principal: x.principal, received: x.received}
	go func() {
		defer h.calls.Done()
		defer func() { <-c.slots }()
		c.answer(detached, m)
	}()
	x.w.WriteHeader(http.StatusAccepted)
}

func (c *sseConn) answer(x *request, m wire.Message) {
	p := &ssePeer{c: c, timeout: x.h.limits().InputTimeout}
	c.mu.Lock()
	ready := c.initialized
	c.mu.Unlock()
	var call *gatehouse.Call
	var res *gatehouse.Result
	var err error
	switch {
	case transport.Modern("", m.Params):
		err = &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: the modern era is spoken at /" + x.server + "/mcp"}
	case m.Method == "initialize":
		call, res, err = c.initialize(x, m, p)
	case !ready:
		err = &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: send initialize first"}
	default:
		call, res, err = x.run(c.live, m, transport.Split(m.Params, nil, nil), p)
	}
	var msg []byte
	if err != nil {
		id := ""
		if call != nil {
			id = call.ID
		}
		e, _ := transport.RPC(err, id, gatehouse.Legacy)
		msg = wire.AppendError(nil, m.ID, e)
	} else {
		msg = wire.AppendResult(nil, m.ID, transport.Render(call.Client.Revision, call.Method, res))
	}
	_ = c.out.send("", "message", msg)
}

// initialize says what the client is, once.
func (c *sseConn) initialize(x *request, m wire.Message, p gatehouse.Peer) (*gatehouse.Call, *gatehouse.Result, error) {
	c.mu.Lock()
	again := c.begun
	c.begun = true
	c.mu.Unlock()
	if again {
		return nil, nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: this session has begun; open another stream"}
	}
	call, err := transport.Decode(m, false, transport.Origin{Server: x.server, Principal: x.principal, Peer: p, Received: x.received, Client: gatehouse.Client{Era: gatehouse.Legacy}})
	if err == nil {
		err = transport.DecodeInitialize(call)
	}
	var res *gatehouse.Result
	if err == nil {
		res, err = x.h.c.Gateway.Call(x.r.Context(), call)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun = err == nil; err != nil {
		return call, nil, err
	}
	c.live.s.Client, c.initialized = call.Client, true
	return call, res, nil
}

// ssePeer is the way back over the connection's stream.
type ssePeer struct {
	c       *sseConn
	timeout time.Duration
}

func (p *ssePeer) Notify(_ context.Context, method string, params []byte) error {
	_ = p.c.out.send("", "message", wire.AppendNotification(nil, method, params))
	return nil
}

func (p *ssePeer) CanAsk() bool { return true }

func (p *ssePeer) Ask(ctx context.Context, method string, params []byte) ([]byte, error) {
	return p.c.live.ask(ctx, p.timeout, func(id string) {
		_ = p.c.out.send("", "message", wire.AppendRequest(nil, wire.String(id), method, params))
	})
}
