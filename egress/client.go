package egress

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse"
)

// Options of a Client. What is zero has its default.
type Options struct {
	MaxIdle         int            // connections kept for later; default 100; less than 0 keeps none
	DialTimeout     time.Duration  // to connect; default and most 10 s
	HeaderTimeout   time.Duration  // from sending the request to the end of the answer's head; default 60 s; less than 0 leaves it to the context
	MaxHeaderBytes  int            // of the answer's head; default 32 KiB
	MaxDecodedBytes int64          // of a body sent as gzip, once decoded; default 10 MiB
	RootCAs         *x509.CertPool // authorities to trust; default those of the system
}

func (o Options) withDefaults() Options {
	if o.MaxIdle == 0 {
		o.MaxIdle = 100
	}
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = 60 * time.Second
	}
	if o.DialTimeout <= 0 || o.DialTimeout > dialTimeout {
		o.DialTimeout = dialTimeout
	}
	if o.MaxHeaderBytes <= 0 {
		o.MaxHeaderBytes = 32 << 10
	}
	if o.MaxDecodedBytes <= 0 {
		o.MaxDecodedBytes = 10 << 20
	}
	return o
}

// Client sends requests to one origin. It is safe for concurrent use. Redirects are not followed and cookies are not kept.
//
// A request goes out on a kept connection if there is one. If that turns out to be dead, the request is sent once more on a fresh
// connection, provided that it cannot have arrived whole, or that it may be sent twice and no byte of an answer has come.
type Client struct {
	guard *Guard
	opt   Options
	host  string // as in the header Host
	addr  string // to dial
	path  string // escaped path and query of base
	pool  pool
	base  *url.URL
	tls   *http.Transport // for https, else nil
}

// NewClient returns a client of the origin of base, an http or https URL. Public addresses are reached over https only, unless
// egress.allow lists them.
func NewClient(base *url.URL, g *Guard, o Options) (*Client, error) {
	host, port, err := origin(base)
	path := base.EscapedPath()
	if path == "" {
		path = "/"
	}
	if base.RawQuery != "" {
		path += "?" + base.RawQuery
	}
	if err == nil {
		err = checkPath(path)
	}
	if err != nil {
		return nil, &gatehouse.Error{
			Code: CodeURL, Msg: "URL " + base.Redacted() + ": " + err.Error(),
			Hint: "write it as https://host/path, or http://host:port/path for a private or loopback server",
		}
	}
	o = o.withDefaults()
	c := &Client{guard: g, opt: o, path: path, addr: pair(host, port), base: base}
	c.host = host
	if strings.Contains(host, ":") {
		c.host = "[" + host + "]"
	}
	if base.Scheme == "http" && port != 80 || base.Scheme == "https" && port != 443 {
		c.host += ":" + strconv.Itoa(int(port))
	}
	c.pool.max = max(o.MaxIdle, 0)
	if base.Scheme == "https" {
		c.tls = newTransport(g.DialContext, o)
	}
	return c, nil
}

// Response is the answer to one request. Its body must be read to its end or closed.
type Response struct {
	Status        int
	Header        Header
	Body          io.ReadCloser // never nil; not safe for concurrent reads, but Close ends a waiting Read
	ContentLength int64         // -1 when unknown

	fields [12]Field
	body   body
}

const maxInterim = 5 // answers 1xx before the answer

// Do sends r and returns as soon as the head of the answer is there. ctx covers the body too: when it ends, a waiting read fails and
// the connection is closed. The error is the context's, wrapped, when ctx has ended, else a *gatehouse.Error with a code of this package.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if err := ended(ctx, "send a request to", c.host); err != nil {
		return nil, err
	}
	agent, err := r.check()
	if err != nil {
		return nil, fault(CodeRequest, c.host, "the request was not sent: "+err.Error(), nil)
	}
	if c.pool.closed.Load() {
		return nil, fault(CodeClosed, c.host, "the client is closed", nil)
	}
	if c.tls != nil {
		return c.doTLS(ctx, r, agent)
	}
	now := time.Now()
	if cn := c.pool.get(now); cn != nil {
		res, again, err := c.exchange(ctx, cn, r, agent, now)
		if err == nil || !again || ctx.Err() != nil {
			return res, err
		}
		now = time.Now()
	}
	cn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	res, _, err := c.exchange(ctx, cn, r, agent, now)
	return res, err
}

// Close closes the idle connections; those in use close when their answers have been read. Later requests fail.
func (c *Client) Close() {
	c.pool.close()
	if c.tls != nil {
		c.tls.CloseIdleConnections()
	}
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	dctx, cancel := context.WithTimeoutCause(ctx, c.opt.DialTimeout, errDialTimeout)
	defer cancel()
	nc, err := c.guard.connect(dctx, "tcp", c.addr, true)
	if err != nil {
		return nil, err
	}
	return newConn(nc), nil
}

// exchange sends r on cn and reads the head of the answer. It owns cn. again says that a fresh connection may help.
func (c *Client) exchange(ctx context.Context, cn *conn, r *Request, agent bool, now time.Time) (res *Response, again bool, err error) {
	var stop func() bool
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, cn.abort)
	}
	fail := func(code, msg string, cause error) error {
		if stop != nil {
			stop()
		}
		cn.close()
		if err := ended(ctx, "wait for the answer of", c.host); err != nil {
			return err
		}
		if isTimeout(cause) {
			code, msg = CodeTimeout, "no answer in time"
		}
		return fault(code, c.host, msg, cause)
	}
	if c.opt.HeaderTimeout > 0 {
		if err := cn.nc.SetDeadline(now.Add(c.opt.HeaderTimeout)); err != nil {
			return nil, true, fail(CodeBroken, "the connection is broken", err)
		}
	}
	cn.out = c.appendHead(cn.out[:0], r, agent)
	size := len(cn.out) + len(r.Body)
	if n, err := cn.write(r.Body); err != nil {
		return nil, n < size && !isTimeout(err), fail(CodeBroken, "the connection broke while the request was sent", err)
	}
	var http11 bool
	res = &Response{}
	for interim := 0; ; interim++ {
		head, err := cn.lines(false, c.opt.MaxHeaderBytes)
		if err != nil {
			silent := interim == 0 && cn.r == cn.w && !isTimeout(err)
			return nil, silent && r.again(), fail(c.headCode(err), headMsg(err), err)
		}
		res.Status, http11, res.Header, err = parseHead(string(head), res.fields[:0])
		if err != nil {
			return nil, false, fail(c.headCode(err), "the head of the answer is malformed", err)
		}
		if res.Status >= 200 {
			break
		}
		if res.Status == 101 || interim == maxInterim {
			return nil, false, fail(CodeHead, "the answer switches protocols or never comes to its end", nil)
		}
	}
	f, err := newFrame(r.method(), res.Status, http11, res.Header)
	if err != nil {
		return nil, false, fail(CodeFraming, "the length of the answer is ambiguous", err)
	}
	if c.opt.HeaderTimeout > 0 {
		if err := cn.nc.SetDeadline(time.Time{}); err != nil {
			return nil, false, fail(CodeBroken, "the connection is broken", err)
		}
	}
	b := &res.body
	b.client, b.conn, b.ctx, b.stop, b.frame = c, cn, ctx, stop, f
	b.left = max(f.length, 0)
	if f.kind == bodyChunked {
		f.length, b.left = -1, 0
	}
	res.Body, res.ContentLength = b, f.length
	if f.kind == bodySized && f.length == 0 {
		b.state.Store(bodyDone)
		b.release()
		return res, false, nil
	}
	if err := c.decode(res); err != nil {
		b.discard()
		return nil, false, err
	}
	return res, false, nil
}

func (c *Client) headCode(err error) string {
	switch {
	case errors.Is(err, errLong), errors.Is(err, errFields):
		return CodeHeadSize
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), isSyscall(err):
		return CodeBroken
	}
	return CodeHead
}

func headMsg(err error) string {
	switch {
	case errors.Is(err, errLong):
		return "the head of the answer is too long"
	case errors.Is(err, errBareLF):
		return "the head of the answer is malformed"
	}
	return "the connection broke before the answer"
}

func isSyscall(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
