package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/backend/rest/openapi"
	"gatehouse/egress"
	"gatehouse/internal/jsonschema"
	"gatehouse/internal/limit"
	"gatehouse/wire"
)

// Call takes one call to the API and back.
func (s *source) Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch c.Method {
	case "tools/call":
		return s.call(ctx, c)
	case "resources/read":
		return s.held.read(principalOf(c), c.Target.Name, s.cfg.ShowBytes)
	}
	return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "Method not found: " + c.Method}
}

func principalOf(c *gatehouse.Call) string {
	if c.Principal == nil {
		return ""
	}
	return c.Principal.ID
}

func (s *source) call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	d := s.now.Load()
	if d == nil {
		return nil, s.unread()
	}
	t := d.tools[c.Target.Name]
	if t == nil {
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Unknown tool: " + c.Target.Name}
	}
	p, err := t.planned()
	if err != nil {
		return nil, err
	}
	r, err := s.request(p, c)
	if err != nil {
		return failed(err.Error()), nil
	}
	if err := s.acquire(ctx, t.timeout()); err != nil {
		return nil, err
	}
	defer s.slots.Give()
	if ok, wait := s.brk.Allow(); !ok {
		return nil, s.fault(codeUnavailable, "has failed several times in a row", "try again in "+wait.Round(time.Second).String(), nil)
	}
	tctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	if c.ProgressToken != nil {
		defer s.progress(tctx, c)()
	}
	a, err := s.send(tctx, p, r)
	s.judge(ctx, err)
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok && ge.Code == egress.CodeRequest {
		return failed("The request that the arguments make cannot be sent: " + ge.Msg), nil
	}
	if err != nil {
		return nil, s.explain(ctx, t.timeout(), err)
	}
	return s.result(t, p, r, a, principalOf(c)), nil
}

// judge lets the breaker know how a call went.
func (s *source) judge(ctx context.Context, err error) {
	ge, ok := errors.AsType[*gatehouse.Error](err)
	switch {
	case err == nil:
		s.brk.Good()
	case errors.Is(ctx.Err(), context.Canceled), ok && (ge.Code == egress.CodeRequest || strings.HasPrefix(ge.Code, "source.")):
		s.brk.Neutral()
	default:
		s.brk.Bad()
	}
}

// acquire takes a slot for one call, waiting in a bounded queue.
func (s *source) acquire(ctx context.Context, wait time.Duration) error {
	s.mu.Lock()
	closed := s.drain
	s.mu.Unlock()
	err := limit.ErrStop
	if !closed {
		err = s.slots.Take(ctx, wait, s.life.Done())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, limit.ErrFull):
		return s.fault(codeBusy, fmt.Sprintf("has %d calls running and %d waiting", s.slots.Size(), s.slots.Queue()), "try again later, or raise concurrency of this source", nil)
	case errors.Is(err, limit.ErrLate):
		return s.fault(codeBusy, "had no room for the call in time", "try again later, or raise concurrency of this source", nil)
	case errors.Is(err, limit.ErrStop):
		return s.fault(codeUnavailable, "is closed", "the configuration has changed; try again", nil)
	}
	return err
}

// request judges the arguments and makes the request. The error is a message for the model.
func (s *source) request(p *planned, c *gatehouse.Call) (*openapi.Request, error) {
	args := c.Arguments
	if wire.IsNull(args) {
		args = []byte("{}")
	}
	fails, err := p.check.Validate(args)
	if err != nil {
		if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
			return nil, errors.New(ge.Msg + "; " + ge.Hint)
		}
		return nil, err
	}
	if len(fails) > 0 {
		return nil, errors.New("The arguments do not fit; nothing was sent. Correct them and call again:\n" + jsonschema.Text(fails))
	}
	for _, f := range p.fixed {
		args = with(args, f.path, f.value)
	}
	for _, path := range p.binary {
		if args, err = s.attach(args, path, principalOf(c)); err != nil {
			return nil, err
		}
	}
	r, err := p.Request(args)
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
		return nil, errors.New(ge.Msg + "; nothing was sent: " + ge.Hint)
	}
	return r, err
}

// attach replaces {"uri": …} of an argument that stands for bytes by the bytes it names: those of a data: URI, or of a result
// that is kept for this principal.
func (s *source) attach(args []byte, path []string, principal string) ([]byte, error) {
	v := args
	for _, name := range path {
		o, _ := wire.ParseObject(v)
		v = o.Get(name)
	}
	one := func(v []byte) ([]byte, error) {
		o, ok := wire.ParseObject(v)
		uri, isText := wire.Text(o.Get("uri"))
		if !ok || !isText || o.Has("data") {
			return v, nil
		}
		if strings.HasPrefix(uri, "data:") {
			return o.Delete("uri").Set("data", wire.String(uri)).Bytes(), nil
		}
		k := s.held.find(principal, uri)
		if k == nil {
			return nil, fmt.Errorf("argument %s: %s is no resource of this server that is still kept; give the bytes as data in base64", strings.Join(path, "."), uri)
		}
		if !o.Has("mimeType") {
			o = o.Set("mimeType", wire.String(k.mime))
		}
		return o.Delete("uri").Set("data", wire.String(base64.StdEncoding.EncodeToString(k.body))).Bytes(), nil
	}
	if el, ok := wire.Elements(v); ok {
		out := []byte{'['}
		for i, e := range el {
			if i > 0 {
				out = append(out, ',')
			}
			b, err := one(e)
			if err != nil {
				return nil, err
			}
			out = append(out, b...)
		}
		return with(args, path, append(out, ']')), nil
	}
	if !wire.IsObject(v) {
		return args, nil
	}
	b, err := one(v)
	if err != nil {
		return nil, err
	}
	return with(args, path, b), nil
}

// progress tells the caller every so often that its call still runs. The function it returns ends that, and waits for it.
func (s *source) progress(ctx context.Context, c *gatehouse.Call) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := s.env.Now()
		t := time.NewTicker(s.b.note)
		defer t.Stop()
		for n := 1; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			params := wire.Object{
				{Name: "progressToken", Value: c.ProgressToken},
				{Name: "progress", Value: strconv.AppendInt(nil, int64(n), 10)},
				{Name: "message", Value: wire.String("waiting for the API for " + s.env.Now().Sub(began).Round(time.Second).String())},
			}
			_ = c.Peer.Notify(ctx, "notifications/progress", params.Bytes()) // who is gone needs no progress
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
