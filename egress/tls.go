package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse"
)

// newTransport returns net/http as we use it: our dialer, no proxy, no compression, HTTP/2 where offered. o has its defaults.
func newTransport(dial func(ctx context.Context, network, addr string) (net.Conn, error), o Options) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    o.DialTimeout,
		DisableCompression:     true,
		DisableKeepAlives:      o.MaxIdle < 0,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		MaxIdleConns:           max(o.MaxIdle, 0),
		MaxIdleConnsPerHost:    max(o.MaxIdle, 0),
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  max(o.HeaderTimeout, 0),
		MaxResponseHeaderBytes: int64(o.MaxHeaderBytes),
		ReadBufferSize:         readSize,
		WriteBufferSize:        readSize,
	}
}

// doTLS sends a checked request over https.
func (c *Client) doTLS(ctx context.Context, r *Request, agent bool) (*Response, error) {
	target := r.Path
	if target == "" {
		target = c.path
	}
	path, query, _ := strings.Cut(target, "?")
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, fault(CodeRequest, c.host, "the request was not sent: the path contains a malformed escape", err)
	}
	req := (&http.Request{
		Method: r.method(),
		URL:    &url.URL{Scheme: "https", Host: c.addr, Path: plain, RawPath: path, RawQuery: query},
		Host:   c.host,
		Header: make(http.Header, len(r.Header)+1),
	}).WithContext(ctx)
	for _, f := range r.Header {
		req.Header.Add(f.Name, f.Value)
	}
	if agent {
		req.Header.Set("User-Agent", "gatehouse")
	}
	if len(r.Body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody() // cannot fail
		req.ContentLength = int64(len(r.Body))
	}
	if _, given := req.Header["Idempotency-Key"]; r.again() && !given {
		req.Header["Idempotency-Key"] = nil // tells net/http that it may send the request again, and is not sent
	}
	hres, err := c.tls.RoundTrip(req)
	if err != nil {
		return nil, c.tlsFault(ctx, err)
	}
	res := &Response{Status: hres.StatusCode, ContentLength: hres.ContentLength}
	res.Header = res.fields[:0]
	for _, name := range slices.Sorted(maps.Keys(hres.Header)) {
		for _, v := range hres.Header[name] {
			res.Header = append(res.Header, Field{name, v})
		}
	}
	res.Body = &tlsBody{client: c, ctx: ctx, body: hres.Body}
	switch {
	case len(res.Header) > maxFields:
		err = fault(CodeHeadSize, c.host, "the head of the answer is too long", errFields)
	case hres.StatusCode == http.StatusSwitchingProtocols:
		err = fault(CodeHead, c.host, "the answer switches protocols", nil)
	case hres.ContentLength != 0:
		err = c.decode(res)
	}
	if err != nil {
		_ = hres.Body.Close() // the fault is what counts
		return nil, err
	}
	return res, nil
}

func (c *Client) tlsFault(ctx context.Context, err error) error {
	if cerr := ended(ctx, "wait for the answer of", c.host); cerr != nil {
		return cerr
	}
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
		return ge
	}
	if isTLS(err) {
		return fault(CodeTLS, c.host, "no trusted TLS connection", err)
	}
	switch text := err.Error(); {
	case isTimeout(err):
		return fault(CodeTimeout, c.host, "no answer in time", err)
	case strings.Contains(text, "server response headers exceeded"), strings.Contains(text, "header list larger"):
		return fault(CodeHeadSize, c.host, "the head of the answer is too long", err)
	case strings.Contains(text, "malformed"), strings.Contains(text, "COMPRESSION_ERROR"):
		return fault(CodeHead, c.host, "the head of the answer is malformed", err)
	}
	return fault(CodeBroken, c.host, "the connection broke before the answer", err)
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok || strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "TLS handshake timeout")
}

// tlsBody gives the errors of net/http our codes.
type tlsBody struct {
	client *Client
	ctx    context.Context // of Do, whose call this is the rest of
	body   io.ReadCloser
}

func (b *tlsBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if cerr := ended(b.ctx, "read the answer of", b.client.host); cerr != nil {
		return n, cerr
	}
	return n, fault(CodeTruncated, b.client.host, "the body of the answer ended early", fmt.Errorf("read body: %w", err))
}

func (b *tlsBody) Close() error { return b.body.Close() }
