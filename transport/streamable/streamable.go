// Package streamable is the HTTP endpoint: POST /{server}/mcp in both protocol eras, the streams and sessions of the
// legacy one, and the checks that come before a byte of a body is read.
package streamable

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/identity"
	"gatehouse/transport"
	"gatehouse/wire"
)

// Config is what the endpoint is made of.
type Config struct {
	Gateway   transport.Gateway
	Sessions  *transport.Sessions
	Limits    config.Limits // this and the next two until Reload
	PublicURL string        // scheme and host under which clients reach us
	Origins   []string      // further origins that browsers may call from
	Bind      net.Addr      // the address the listener is bound to
	Log       *slog.Logger
	Now       func() time.Time
	Refused   func(code string)       // counts refusals; may be nil
	Extra     map[string]http.Handler // exact paths served besides, behind the Host and Origin checks
}

// Handler serves HTTP. It is safe for concurrent use.
type Handler struct {
	c   Config
	now atomic.Pointer[reach]

	live    liveSessions
	sse     sseConns
	streams streamCount
	calls   sync.WaitGroup
	rooms   sync.Pool // of *[]byte
	drain   chan struct{}
	drained atomic.Bool
}

// New checks c and returns the handler.
func New(c Config) (*Handler, error) {
	h := &Handler{c: c, drain: make(chan struct{})}
	h.live.m, h.sse.m, h.streams.m = map[[12]byte]*live{}, map[string]*sseConn{}, map[string]int{}
	if err := h.Reload(c.PublicURL, c.Origins, c.Limits); err != nil {
		return nil, err
	}
	return h, nil
}

// endpoint is what a path names.
type endpoint uint8

const (
	none endpoint = iota
	mcp
	sseStream   // GET /{server}/sse
	sseMessages // POST /{server}/messages
)

func parsePath(path string) (server string, e endpoint) {
	server, rest, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || server == "" || path[0] != '/' {
		return "", none
	}
	switch rest {
	case "mcp":
		return server, mcp
	case "sse":
		return server, sseStream
	case "messages":
		return server, sseMessages
	}
	return "", none
}

// ServeHTTP judges the request line and the headers, then who is calling, and only then reads the body.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if worn(r.Context()) {
		w.Header()["Connection"] = connClose
	}
	if len(r.TransferEncoding) > 0 { // a length sent besides is dropped unseen, and another reader parts the connection there (RFC 9112, 6.1)
		w.Header()["Connection"] = connClose
	}
	if r.ContentLength != 0 { // of a request that is refused, net/http reads the body for us, and would wait for it
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.limits().HeaderTimeout))
	}
	a := h.now.Load()
	if f := a.refuseHost(r); f != nil {
		h.fail(w, f)
		return
	}
	if f := a.refuseOrigin(r); f != nil {
		h.fail(w, f)
		return
	}
	if r.URL.Host != "" { // the Host header was dropped for it, so nobody has judged that
		h.fail(w, &fault{http.StatusBadRequest, "http.target", "the request line names a whole URL, as for a proxy", "send the path alone"})
		return
	}
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
		return
	}
	if x := h.c.Extra[r.URL.Path]; x != nil {
		x.ServeHTTP(w, r)
		return
	}
	server, e := parsePath(r.URL.EscapedPath()) // names need no escapes: a path that has some is one that others read otherwise
	legacySSE, ok := false, false
	if e != none {
		legacySSE, ok = h.c.Gateway.HasServer(server)
	}
	if !ok || e != mcp && !legacySSE {
		h.fail(w, &fault{http.StatusNotFound, "route.not_found", "nothing is served at this path", "servers answer at /{server}/mcp"})
		return
	}
	h.cors(w, r)
	if f := refuseMethod(w, r, e); f != nil {
		h.fail(w, f)
		return
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if f := refuseHeaders(r); f != nil {
		h.fail(w, f)
		return
	}
	p, err := h.c.Gateway.Admit(r.Context(), credentials(r, server, a.loopback))
	if err != nil {
		h.unauthorized(w, err)
		return
	}
	admitted(r.Context())
	if h.drained.Load() {
		w.Header()["Connection"] = connClose
	}
	h.calls.Add(1)
	defer h.calls.Done()
	x := &request{h: h, w: w, r: r, server: server, principal: p, received: h.c.Now()}
	switch {
	case e == sseStream:
		h.serveSSE(x)
	case e == sseMessages:
		h.serveMessages(x)
	case r.Method == http.MethodPost:
		x.post()
	case r.Method == http.MethodGet:
		x.get()
	default:
		x.delete()
	}
}

// request is one HTTP request of an admitted caller.
type request struct {
	h         *Handler
	w         http.ResponseWriter
	r         *http.Request
	server    string
	principal *gatehouse.Principal
	received  time.Time
}

// credentials collects what the request offers as proof. Two different ones are refused later.
func credentials(r *http.Request, server string, loopback bool) *identity.Credentials {
	c := &identity.Credentials{Server: server, LoopbackBind: loopback}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Source = ap.Addr().Unmap()
	}
	var first string
	note := func(v string) {
		switch {
		case v == "":
		case first == "":
			first = v
		case first != v:
			c.Conflict = true
		}
	}
	if auth := r.Header["Authorization"]; len(auth) > 0 {
		scheme, token, _ := strings.Cut(auth[0], " ")
		if strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(token)
			c.Bearer = gatehouse.NewSecret(token)
			note(token)
		} else {
			c.Bearer = gatehouse.NewSecret(auth[0]) // another scheme is no credential here, and no absence of one either
			note(auth[0])
		}
	}
	for _, name := range []string{"X-Functions-Key", "Api-Key", "Ocp-Apim-Subscription-Key"} {
		if v := r.Header[name]; len(v) > 0 && v[0] != "" {
			if c.Key.IsZero() {
				c.Key = gatehouse.NewSecret(v[0])
			}
			note(v[0])
		}
	}
	return c
}

// rpcError writes a JSON-RPC error as the whole answer.
func (x *request) rpcError(id []byte, err error, callID string, era gatehouse.Era) {
	e, status := transport.RPC(err, callID, era)
	x.json(status, wire.AppendError(make([]byte, 0, 256), id, e))
}

// json writes one JSON answer.
func (x *request) json(status int, body []byte) {
	hd := x.w.Header()
	hd["Content-Type"] = jsonType
	hd["Cache-Control"] = noStore
	hd["X-Content-Type-Options"] = noSniff
	if len(body) >= 2000 { // net/http writes the length of shorter answers itself, and cheaper
		hd.Set("Content-Length", itoa(len(body)))
	}
	send(x.w, status, body)
}

// send writes a whole answer. A reader that takes nothing is let go.
func send(w http.ResponseWriter, status int, body []byte) {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	w.WriteHeader(status)
	for len(body) > block {
		if _, err := w.Write(body[:block]); err != nil {
			return
		}
		body = body[block:]
		_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	_, _ = w.Write(body)
}

var (
	jsonType  = []string{"application/json"}
	connClose = []string{"close"}
	noStore   = []string{"no-store"}
	noSniff   = []string{"nosniff"}
)
