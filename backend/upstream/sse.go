package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"

	"gatehouse/egress"
	"gatehouse/wire"
)

// sseCarrier carries HTTP+SSE of revision 2024-11-05: messages go out by POST and come in on one stream.
type sseCarrier struct {
	h    *httpCarrier
	body io.Closer
	path string // to post to
}

// connectSSE opens the stream and waits for the place to post to, which must be of the same origin.
func (s *source) connectSSE(ctx context.Context, ss *session) error {
	c := &sseCarrier{h: &httpCarrier{s}}
	ss.car = c
	hctx, cancel := context.WithCancel(ss.ctx)
	stop := context.AfterFunc(ctx, cancel) // until the place to post to is known
	res, err := s.http.client.Do(hctx, &egress.Request{Method: "GET", Header: c.h.headers(ss, "GET", nil)})
	fail := func(err error) error {
		stop()
		cancel()
		if res != nil {
			_ = res.Body.Close()
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	}
	if err != nil {
		return fail(err)
	}
	c.body = res.Body
	if res.Status != 200 || contentType(res) != "text/event-stream" {
		return fail(s.protocol("speaks neither streamable HTTP nor HTTP+SSE", &statusError{status: res.Status}))
	}
	er := wire.NewEventReader(res.Body, wire.EventLimits{Event: s.limits.Bytes, Comments: wire.DefaultEventLimits.Comments})
	ev, err := er.Next()
	if err != nil {
		return fail(err)
	}
	u, err := s.http.url.Parse(string(ev.Data))
	if ev.Name != "endpoint" || err != nil || !sameOrigin(u, s.http.url) {
		return fail(s.protocol("names no endpoint of its own origin to post to", err))
	}
	c.path = u.RequestURI()
	if !stop() {
		return fail(ctx.Err())
	}
	if !s.goes(func() {
		defer cancel()
		_, err := c.h.read(hctx, ss, nil, er)
		_ = res.Body.Close()
		if err == nil || err == io.EOF {
			err = errBroken
		}
		ss.die(err)
	}) {
		return fail(errClosed)
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host && a.User == nil
}

func (c *sseCarrier) exchange(ctx context.Context, ss *session, r *run, msg []byte) error {
	if err := c.send(ctx, ss, msg); err != nil {
		return err
	}
	return waitFor(ctx, ss, r)
}

// waitFor waits until r has ended, by its answer or otherwise.
func waitFor(ctx context.Context, ss *session, r *run) error {
	select {
	case <-r.fin:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ss.ctx.Done():
		return context.Cause(ss.ctx)
	}
}

func (c *sseCarrier) send(ctx context.Context, ss *session, msg []byte) error {
	res, err := c.h.src.http.client.Do(ctx, &egress.Request{Method: "POST", Path: c.path, Header: c.h.headers(ss, "POST", nil), Body: bytes.Clone(msg)})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	discard(res)
	switch {
	case res.Status == 404:
		return errGone
	case res.Status == 401 || res.Status == 403:
		return c.h.status(ss, nil, res)
	case res.Status >= 300:
		return &statusError{status: res.Status}
	}
	return nil
}

func (c *sseCarrier) listen(ctx context.Context, ss *session) error {
	select {
	case <-ctx.Done():
	case <-ss.ctx.Done():
	}
	return errors.Join(errBroken, context.Cause(ss.ctx))
}

func (c *sseCarrier) close(*session) {
	if c.body != nil {
		_ = c.body.Close()
	}
}
