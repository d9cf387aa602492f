package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/egress"
	"gatehouse/wire"
)

var (
	errBroken   = errors.New("the exchange ended without an answer")
	errNoStream = errors.New("the server offers no stream of its own")
)

// Bounds of streams.
const (
	streamBytes   = 32 << 20              // of the answer to one call
	maxResumes    = 8                     // times a stream is taken up again without anything having come
	resumePause   = 20 * time.Millisecond // more before each time that a stream is taken up again, up to a second
	afterAnswer   = 20 * time.Millisecond
	bodyAtOnce    = 256 << 10 // room made for a body before any of it has come
	drainMost     = 64 << 10
	maxRetryPause = 30 * time.Second
)

// endpoint is the URL of an upstream and how to reach it.
type endpoint struct {
	url    *url.URL
	client *egress.Client
	header []egress.Field // of the configuration
}

func (b bounds) openHTTP(src config.Source, env backend.Env) (backend.Source, error) {
	u, err := url.Parse(src.MCP)
	if err != nil || u.Host == "" {
		return nil, &gatehouse.Error{Code: "config.value", Pos: src.Pos, Msg: fmt.Sprintf("mcp: %q is no URL", src.MCP), Hint: "write it as https://host/path", Err: err}
	}
	var implicit []string
	if hp, ok := literal(u); ok {
		implicit = append(implicit, hp)
	}
	g, err := egress.NewGuard(env.Egress.Allow, implicit...)
	if err != nil {
		return nil, err
	}
	c, err := egress.NewClient(u, g, egress.Options{MaxIdle: 256, HeaderTimeout: -1})
	if err != nil {
		return nil, err
	}
	e := &endpoint{url: u, client: c}
	names := make([]string, 0, len(src.Headers))
	for n := range src.Headers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		e.header = append(e.header, egress.Field{Name: n, Value: src.Headers[n].Reveal()})
	}
	s := b.source(src, env)
	s.http = e
	return s, nil
}

// literal is host:port of a URL that names an IP address or localhost.
func literal(u *url.URL) (string, bool) {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if host != "localhost" && !strings.Contains(host, ":") && strings.Trim(host, "0123456789.") != "" {
		return "", false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port, true
}

// statusError is an HTTP answer that is no acceptable answer to a call. It carries the JSON-RPC error when there is one.
type statusError struct {
	status int
	rpc    *wire.RPC
}

// unfit reports whether the status says that what was asked is not served there, or not in this way.
func (e *statusError) unfit() bool {
	switch e.status {
	case 400, 404, 405, 406, 410, 415:
		return true
	}
	return false
}

// forgot reports whether a legacy server says that it does not know the session, which many say with 400 rather than 404
// ("Bad Request: No valid session ID provided", "Bad Request: Server not initialized"). Nothing was done then.
func (e *statusError) forgot() bool {
	if e.status != http.StatusBadRequest || e.rpc == nil || e.rpc.Code != -32000 && e.rpc.Code != gatehouse.CodeInvalidRequest {
		return false
	}
	msg := strings.ToLower(e.rpc.Message)
	return strings.Contains(msg, "session") || strings.Contains(msg, "not initialized")
}

func (e *statusError) Error() string {
	if e.rpc != nil {
		return fmt.Sprintf("HTTP status %d with error %d %s", e.status, e.rpc.Code, e.rpc.Message)
	}
	return fmt.Sprintf("HTTP status %d", e.status)
}

// httpCarrier carries streamable HTTP: of a legacy session, or of all modern calls.
type httpCarrier struct {
	src *source
}

func (h *httpCarrier) headers(ss *session, method string, extra []egress.Field) []egress.Field {
	out := make([]egress.Field, 0, 9+len(h.src.http.header)+len(extra))
	out = append(out, h.src.http.header...)
	if method != "DELETE" {
		accept := "application/json, text/event-stream"
		if method == "GET" {
			accept = "text/event-stream"
		} else {
			out = append(out, egress.Field{Name: "Content-Type", Value: "application/json"})
		}
		out = append(out, egress.Field{Name: "Accept", Value: accept})
	}
	if ss.rev != "" {
		out = append(out, egress.Field{Name: "MCP-Protocol-Version", Value: ss.rev})
	}
	ss.mu.Lock()
	sid := ss.sid
	ss.mu.Unlock()
	if sid != "" {
		out = append(out, egress.Field{Name: "Mcp-Session-Id", Value: sid})
	}
	return append(out, extra...)
}

func (h *httpCarrier) exchange(ctx context.Context, ss *session, r *run, msg []byte) error {
	head := h.headers(ss, "POST", r.head)
	if ss.modern {
		head = append(head, egress.Field{Name: "Mcp-Method", Value: r.method})
	}
	res, err := h.src.http.client.Do(ctx, &egress.Request{Method: "POST", Header: head, Body: msg, Idempotent: retriable(r.method)})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if r.method == "initialize" {
		if sid := res.Header.Get("Mcp-Session-Id"); visible(sid) && len(sid) <= 1024 {
			ss.mu.Lock()
			ss.sid = sid
			ss.mu.Unlock()
		}
	}
	if err := h.status(ss, r, res); err != nil || r.done() {
		return err
	}
	switch ct := contentType(res); ct {
	case "application/json":
		b, err := h.body(res)
		if err != nil {
			return err
		}
		m, err := wire.Parse(b, h.src.limits)
		if err != nil {
			return err
		}
		if m.Kind != wire.Response && m.Kind != wire.Failure {
			return h.src.protocol("answered a call with a message that is no answer", nil)
		}
		return ss.handle(m, r)
	case "text/event-stream":
		return h.events(ctx, ss, r, res)
	default:
		return h.src.protocol(fmt.Sprintf("answered with content type %.100q", ct), nil)
	}
}

// status judges the status of an answer to a request. It finishes r when the body of a refusal answers it.
func (h *httpCarrier) status(ss *session, r *run, res *egress.Response) error {
	switch {
	case res.Status == 200:
		return nil
	case res.Status >= 300 && res.Status < 400:
		return h.src.protocol(fmt.Sprintf("answered with a redirect (HTTP status %d), which is not followed", res.Status), nil)
	case res.Status == http.StatusUnauthorized || res.Status == http.StatusForbidden:
		return h.src.fault(codeUnauthorized, fmt.Sprintf("refuses the credentials of Gatehouse (HTTP status %d)", res.Status), "set the credentials it wants under headers: of this source", nil)
	case res.Status < 300:
		return h.src.protocol(fmt.Sprintf("answered a call with HTTP status %d", res.Status), nil)
	}
	ss.mu.Lock()
	sid := ss.sid
	ss.mu.Unlock()
	se := &statusError{status: res.Status}
	if contentType(res) == "application/json" {
		if b, err := h.body(res); err == nil {
			if m, err := wire.Parse(b, h.src.limits); err == nil && m.Kind == wire.Failure {
				se.rpc = m.Error
				if sid != "" && !ss.modern && se.forgot() {
					return errGone
				}
				if r.method != "server/discover" && r.method != "initialize" && (ss.modern || sid == "" || res.Status != http.StatusNotFound) {
					return ss.handle(m, r)
				}
			}
		}
	}
	if sid != "" && !ss.modern && (res.Status == http.StatusNotFound || res.Status == http.StatusBadRequest && se.rpc == nil) {
		return errGone
	}
	return se
}

// events reads the answer to r from a stream, taking it up again when a legacy server lets go of it.
func (h *httpCarrier) events(ctx context.Context, ss *session, r *run, res *egress.Response) error {
	last, pause := "", time.Duration(0)
	for empty, times := 0, 0; ; empty, times = empty+1, times+1 {
		er := wire.NewEventReader(res.Body, wire.EventLimits{Event: h.src.limits.Bytes, Stream: max(streamBytes, h.src.limits.Bytes), Comments: wire.DefaultEventLimits.Comments})
		n, err := h.read(ctx, ss, r, er)
		if r.done() {
			discard(res)
			_ = res.Body.Close()
			return nil
		}
		_ = res.Body.Close()
		if er.LastID != "" {
			last = er.LastID
		}
		if er.Retry > 0 {
			pause = min(er.Retry, maxRetryPause)
		}
		if n > 0 {
			empty = 0
		}
		var we *wire.Error
		var ge *gatehouse.Error
		if errors.As(err, &we) || errors.As(err, &ge) && strings.HasPrefix(ge.Code, "source.") || ctx.Err() != nil {
			return err
		}
		if ss.modern || last == "" || !visible(last) || empty >= maxResumes {
			if err == io.EOF {
				err = errBroken
			}
			return err
		}
		if !sleep(ctx, max(pause, min(time.Duration(times)*resumePause, time.Second))) {
			return ctx.Err()
		}
		res, err = h.src.http.client.Do(ctx, &egress.Request{Method: "GET", Header: h.headers(ss, "GET", []egress.Field{{Name: "Last-Event-ID", Value: last}})})
		if err != nil {
			return err
		}
		if res.Status != 200 || contentType(res) != "text/event-stream" {
			_ = res.Body.Close()
			return errBroken
		}
	}
}

// read hands the events of one stream to the session until r is done or the stream ends, and counts the messages.
func (h *httpCarrier) read(ctx context.Context, ss *session, r *run, er *wire.EventReader) (n int, err error) {
	var p pace
	for {
		ev, err := er.Next()
		if err != nil {
			return n, err
		}
		if !p.wait(ctx) {
			return n, context.Cause(ctx)
		}
		if len(ev.Data) == 0 || ev.Name != "" && ev.Name != "message" {
			continue
		}
		n++
		m, err := wire.Parse(bytes.Clone(ev.Data), h.src.limits)
		if err != nil {
			return n, err
		}
		if err := ss.handle(m, r); err != nil {
			return n, err
		}
		if r != nil && r.done() {
			return n, nil
		}
	}
}

func (h *httpCarrier) body(res *egress.Response) ([]byte, error) {
	most := h.src.limits.Bytes
	tooLarge := func() error {
		return &wire.Error{Code: "wire.too_large", Offset: -1, Msg: "the answer is over " + strconv.Itoa(most) + " bytes", Parse: true}
	}
	if res.ContentLength > int64(most) {
		return nil, tooLarge()
	}
	if n := res.ContentLength; n >= 0 && n <= bodyAtOnce {
		b := make([]byte, n+1)
		_, err := io.ReadFull(res.Body, b[:n])
		if err == nil {
			_, _ = res.Body.Read(b[n:]) // the end, so that the connection is kept
		}
		return b[:n:n], err
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	if err == nil && len(b) > most {
		err = tooLarge()
	}
	return b, err
}

func (h *httpCarrier) send(ctx context.Context, ss *session, msg []byte) error {
	res, err := h.src.http.client.Do(ctx, &egress.Request{Method: "POST", Header: h.headers(ss, "POST", nil), Body: msg})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	discard(res)
	switch {
	case res.Status == http.StatusUnauthorized, res.Status == http.StatusForbidden:
		return h.status(ss, nil, res)
	case res.Status >= 300:
		return &statusError{status: res.Status}
	}
	return nil
}

// discard reads what is left of an answer that says nothing, so that its connection can be kept. It does not wait for it.
func discard(res *egress.Response) {
	if res.ContentLength == 0 {
		return
	}
	stop := time.AfterFunc(afterAnswer, func() { _ = res.Body.Close() })
	_, _ = io.CopyN(io.Discard, res.Body, drainMost)
	stop.Stop()
}

func (h *httpCarrier) listen(ctx context.Context, ss *session) error {
	res, err := h.src.http.client.Do(ctx, &egress.Request{Method: "GET", Header: h.headers(ss, "GET", nil)})
	ss.opened()
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.Status == http.StatusNotFound && ss.sid != "":
		return errGone
	case res.Status >= 300 && res.Status < 500:
		return errNoStream
	case res.Status != 200:
		return &statusError{status: res.Status}
	case contentType(res) != "text/event-stream":
		return errNoStream
	}
	_, err = h.read(ctx, ss, nil, wire.NewEventReader(res.Body, wire.EventLimits{Event: 1 << 20, Comments: wire.DefaultEventLimits.Comments}))
	if err == io.EOF {
		return nil
	}
	return err
}

func (h *httpCarrier) close(ss *session) {
	ss.mu.Lock()
	sid := ss.sid
	ss.mu.Unlock()
	if ss.modern || sid == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ss.ctx), ss.src.b.control)
	defer cancel()
	if res, err := h.src.http.client.Do(ctx, &egress.Request{Method: "DELETE", Header: h.headers(ss, "DELETE", nil)}); err == nil {
		_ = res.Body.Close()
	}
}

func contentType(res *egress.Response) string {
	ct := res.Header.Get("Content-Type")
	if ct == "application/json" || ct == "text/event-stream" { // as most write it
		return ct
	}
	ct, _, _ = mime.ParseMediaType(ct)
	return ct
}

func visible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// retriable reports whether a request may be made twice.
func retriable(method string) bool { return method != "tools/call" && method != "initialize" }

// sleep waits for d and reports whether ctx is still going on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
