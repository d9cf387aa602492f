package streamable

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/config"
)

// Server serves a Handler on one listener within the limits, and drains.
type Server struct {
	http *http.Server
	h    *Handler
	ln   net.Listener
}

// NewServer wraps the listener; tlsConfig is nil for plain HTTP. HTTP/2 is spoken over TLS only.
func NewServer(h *Handler, ln net.Listener, tlsConfig *tls.Config) *Server {
	l := h.c.Limits
	limited := &limitedListener{Listener: ln, limit: func() int { return h.limits().ConnectionsPerAddress }, count: map[string]int{}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(tlsConfig != nil)
	s := &Server{h: h, ln: limited, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: l.HeaderTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    32<<10 - 4096, // net/http adds 4096 bytes of its own
		TLSConfig:         tlsConfig,
		// OPTIONS * passes the same checks as everything else.
		DisableGeneralOptionsHandler: true,
		Protocols:                    protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog:                     slog.NewLogLogger(h.c.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, connKey{}, c)
		},
	}}
	return s
}

// Serve answers until Drain; it returns nil then.
func (s *Server) Serve() error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(s.ln, "", "")
	} else {
		err = s.http.Serve(s.ln)
	}
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

// Drain stops accepting, ends open streams in good order and waits for calls in flight until ctx is done; then it cuts.
// The gateway's streams are ended by the gateway (Drain of its own), before this.
func (s *Server) Drain(ctx context.Context) error {
	if s.h.drained.CompareAndSwap(false, true) {
		close(s.h.drain)
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	done := make(chan struct{})
	go func() { s.h.calls.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(config.DefaultLimits.HeaderTimeout):
	}
	return err
}

type connKey struct{}

// admitted says that somebody signed in on the request's connection: it no longer counts against its address.
func admitted(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*countedConn); ok && !c.released.Load() {
		c.release()
	}
}

// maxRequests is how many requests one connection may bring before it is closed in good order (over HTTP/2 by GOAWAY).
const maxRequests = 10_000

// worn counts a request of the connection, and reports whether it was the last one it may bring.
func worn(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*countedConn)
	return ok && c.requests.Add(1) >= maxRequests
}

// limitedListener bounds the connections of one address before anybody has signed in on them.
type limitedListener struct {
	net.Listener
	limit func() int
	mu    sync.Mutex
	count map[string]int
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		if err != nil {
			host = c.RemoteAddr().String()
		}
		l.mu.Lock()
		full := l.count[host] >= l.limit()
		if !full {
			l.count[host]++
		}
		l.mu.Unlock()
		if full {
			_ = c.Close()
			continue
		}
		return &countedConn{Conn: c, l: l, host: host}, nil
	}
}

type countedConn struct {
	net.Conn
	l        *limitedListener
	host     string
	released atomic.Bool
	requests atomic.Int64
}

func (c *countedConn) release() {
	if c.released.CompareAndSwap(false, true) {
		c.l.mu.Lock()
		if c.l.count[c.host]--; c.l.count[c.host] <= 0 {
			delete(c.l.count, c.host)
		}
		c.l.mu.Unlock()
	}
}

// CloseWrite lets net/http send its last answer to a peer that has more to say, before it resets the connection.
func (c *countedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
