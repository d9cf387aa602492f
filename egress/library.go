package egress

import (
	"context"
	"net"
	"net/http"

	"gatehouse"
)

// HTTPClient returns a net/http client for libraries that ask for one. It reaches what the guard opens, public addresses over https
// only; it follows no redirect, looks for no proxy and decodes no compression. The caller bounds what it reads of a body.
func (g *Guard) HTTPClient(o Options) *http.Client {
	o = o.withDefaults()
	return &http.Client{
		Transport: &bridge{
			tls: newTransport(g.DialContext, o),
			plain: newTransport(func(ctx context.Context, network, addr string) (net.Conn, error) {
				return g.connect(ctx, network, addr, true)
			}, o),
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bridge tells the schemes apart, because they may not reach the same addresses.
type bridge struct{ tls, plain *http.Transport }

func (b *bridge) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, _, err := origin(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // the fault is what counts
		}
		return nil, &gatehouse.Error{
			Code: CodeURL, Msg: "URL " + r.URL.Redacted() + ": " + err.Error(),
			Hint: "write it as https://host/path, or http://host:port/path for a private or loopback server",
		}
	}
	if r.URL.Scheme == "https" {
		return b.tls.RoundTrip(r)
	}
	return b.plain.RoundTrip(r)
}

// CloseIdleConnections serves http.Client.CloseIdleConnections.
func (b *bridge) CloseIdleConnections() {
	b.tls.CloseIdleConnections()
	b.plain.CloseIdleConnections()
}
