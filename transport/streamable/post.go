package streamable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/transport"
	"gatehouse/wire"
)

// block is how much of a body must come, or be taken, in the time that the limits give for it.
const block = 64 << 10

// body reads the request's body within its limits: bytes, and 5 seconds for every 64 KiB.
func (x *request) body() ([]byte, *fault) {
	limit := x.h.limits().RequestBytes
	n := x.r.ContentLength
	if n > int64(limit) {
		return nil, tooLarge(limit)
	}
	rc := http.NewResponseController(x.w)
	more := func() { _ = rc.SetReadDeadline(time.Now().Add(x.h.limits().HeaderTimeout)) } // ServeHTTP did so for the first block
	var b []byte
	var err error
	if n >= 0 {
		b = make([]byte, n)
		for at := 0; at < len(b) && err == nil; at += block {
			if at > 0 {
				more()
			}
			_, err = io.ReadFull(x.r.Body, b[at:min(at+block, len(b))])
		}
	} else {
		var buf bytes.Buffer
		for err == nil && buf.Len() <= limit {
			_, err = io.CopyN(&buf, x.r.Body, block)
			more()
		}
		if b = buf.Bytes(); len(b) > limit {
			return nil, tooLarge(limit)
		}
		if err == io.EOF {
			err = nil
		}
	}
	if err != nil {
		return nil, &fault{http.StatusRequestTimeout, "http.body", "the body ended early or came too slowly", ""}
	}
	_ = rc.SetReadDeadline(time.Time{})
	for name := range x.r.Trailer {
		if strings.HasPrefix(name, "Mcp-") {
			return nil, &fault{http.StatusBadRequest, "http.trailer", "header " + name + " came as a trailer", "send it as a header"}
		}
	}
	return b, nil
}

func tooLarge(limit int) *fault {
	return &fault{http.StatusRequestEntityTooLarge, "http.too_large", "the body is over the limit of " + itoa(limit) + " bytes", "limits.requestBytes in the configuration sets it"}
}

func (x *request) limits() wire.Limits {
	l := wire.RequestLimits
	l.Bytes, l.Depth = x.h.limits().RequestBytes, x.h.limits().Depth
	return l
}

// post takes one message, or under revision 2025-03-26 a batch.
func (x *request) post() {
	b, f := x.body()
	if f != nil {
		x.h.fail(x.w, f)
		return
	}
	version := x.r.Header.Get("Mcp-Protocol-Version")
	modern := version >= gatehouse.Revision20260728
	if !modern && len(b) > 0 && firstByte(b) == '[' {
		x.batch(b, version)
		return
	}
	m, err := wire.Parse(b, x.limits())
	if err != nil {
		x.rpcError(m.ID, err, "", gatehouse.Modern)
		return
	}
	var room, metaRoom [12]wire.Member
	parts := transport.Split(m.Params, room[:0], metaRoom[:0])
	if modern || parts.Meta.Has(transport.MetaRevision) {
		x.postModern(m, parts, version)
		return
	}
	x.postLegacy(m, parts, version)
}

func firstByte(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c
		}
	}
	return 0
}

// postModern takes a request or notification of the modern era: stateless, one message, judged with its headers.
func (x *request) postModern(m wire.Message, parts transport.Parts, version string) {
	switch m.Kind {
	case wire.Notification: // none is defined for HTTP: a client cancels by closing the stream
		x.w.WriteHeader(http.StatusAccepted)
		return
	case wire.Response, wire.Failure:
		x.rpcError(nil, &wire.Error{Code: "wire.envelope", Offset: -1, Msg: "a response is not accepted here: answers travel in inputResponses"}, "", gatehouse.Modern)
		return
	}
	if err := checkHeaders(x.r.Header, m.Method, parts, version); err != nil {
		x.rpcError(m.ID, err, "", gatehouse.Modern)
		return
	}
	p := &peer{x: x, id: m.ID, era: gatehouse.Modern, sse: accepts(x.r.Header["Accept"], "text/event-stream")}
	c, err := transport.DecodeParts(m, parts, true, transport.Origin{Server: x.server, Principal: x.principal, Peer: p, Received: x.received})
	if err != nil {
		x.rpcError(m.ID, err, "", gatehouse.Modern)
		return
	}
	c.Headers = paramHeaders(x.r.Header)
	if c.Method == "subscriptions/listen" {
		x.listen(c, m.ID)
		return
	}
	defer p.end()
	p.start(c)
	res, err := x.h.c.Gateway.Call(x.r.Context(), c) // a disconnect is a cancellation
	p.finish(c, res, err)
}

// noParams is the Mcp-Param-* headers of a request that has none. Nobody writes to it.
var noParams = http.Header{}

func paramHeaders(h http.Header) http.Header {
	out := noParams
	for name, v := range h {
		if strings.HasPrefix(name, "Mcp-Param-") {
			if len(out) == 0 {
				out = http.Header{}
			}
			out[name] = v
		}
	}
	return out
}

// checkHeaders compares the mirrored headers with the body (MCP 2026-07-28, transports, "header validation").
func checkHeaders(h http.Header, method string, p transport.Parts, version string) error {
	mismatch := func(msg string) error {
		return &gatehouse.RPCError{Code: gatehouse.CodeHeaderMismatch, Message: "Header mismatch: " + msg}
	}
	if revision, ok := wire.Text(p.Meta.Get(transport.MetaRevision)); ok && revision != version {
		if version == "" {
			return mismatch("MCP-Protocol-Version is missing")
		}
		return mismatch("MCP-Protocol-Version differs from _meta")
	}
	switch got := h.Get("Mcp-Method"); {
	case got == "":
		return mismatch("Mcp-Method is missing")
	case got != method:
		return mismatch("Mcp-Method differs from the body's method")
	}
	var member string
	switch method {
	case "tools/call", "prompts/get":
		member = "name"
	case "resources/read":
		member = "uri"
	default:
		return nil
	}
	want, ok := wire.Text(p.Params.Get(member))
	if !ok {
		return nil // Decode says what is wrong with it
	}
	values := h["Mcp-Name"]
	if len(values) == 0 {
		return mismatch("Mcp-Name is missing")
	}
	got, err := wire.DecodeHeader(values[0])
	if err != nil {
		return mismatch("Mcp-Name: " + err.Error())
	}
	if got != want {
		return mismatch("Mcp-Name differs from params." + member)
	}
	return nil
}

// listen serves subscriptions/listen: the acknowledgement, then events until either side ends it.
func (x *request) listen(c *gatehouse.Call, id []byte) {
	want, err := transport.DecodeListen(c)
	if err == nil && !accepts(x.r.Header["Accept"], "text/event-stream") {
		x.h.fail(x.w, &fault{http.StatusNotAcceptable, "http.accept", "subscriptions/listen answers with a stream of events", "send Accept: application/json, text/event-stream"})
		return
	}
	if err == nil && !x.h.streams.add(x.principal.ID, x.h.limits().StreamsPerPrincipal) {
		err = &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: "too many open streams; close one first"}
	} else if err == nil {
		defer x.h.streams.remove(x.principal.ID)
	}
	if err != nil {
		x.rpcError(id, err, c.ID, gatehouse.Modern)
		return
	}
	s, granted, err := x.h.c.Gateway.Listen(x.r.Context(), c, want)
	if err != nil {
		x.rpcError(id, err, c.ID, gatehouse.Modern)
		return
	}
	defer s.Close()
	out := newEvents(x)
	_ = out.send("", "", transport.Acknowledged(id, granted)) // the pump sees that the caller is gone
	x.h.pump(x, s, out, func(method string, params []byte) []byte {
		return wire.AppendNotification(nil, method, transport.ListenParams(id, params))
	}, func() { _ = out.send("", "", transport.ListenResult(id)) })
}

// pump writes a stream's events until the client goes (ctx) or the gateway ends it.
func (h *Handler) pump(x *request, s nexter, out *events, event func(method string, params []byte) []byte, ended func()) {
	for {
		ctx, cancel := context.WithTimeout(x.r.Context(), keepAlive)
		method, params, err := s.Next(ctx)
		cancel()
		switch {
		case err == nil:
			err = out.send("", "", event(method, params))
		case errors.Is(err, io.EOF):
			ended()
			return
		case errors.Is(err, context.DeadlineExceeded) && x.r.Context().Err() == nil:
			err = out.comment()
		}
		if err != nil {
			return
		}
	}
}

type nexter interface {
	Next(ctx context.Context) (method string, params []byte, err error)
}
