package upstream

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"gatehouse"
	"gatehouse/egress"
	"gatehouse/wire"
)

// The first byte of Input.State says what the rest is.
const (
	stateParked = 'p' // id of a parked run
	stateModern = 'm' // requestState of a modern upstream
	stateNone   = 'n' // a modern upstream gave none
	stateURL    = 'u' // a legacy upstream wants the call made again
)

// Call takes one call to the upstream and back.
func (s *source) Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	if len(c.State) > 0 && c.State[0] == stateParked {
		return s.resume(ctx, c)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, e := range c.InputErrors {
		return nil, e // a modern upstream takes answers only
	}
	if err := s.quarantined(); err != nil {
		return nil, err
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	if ok, wait := s.brk.Allow(); !ok {
		return nil, s.fault(codeUnavailable, "has failed several times in a row", "try again in "+wait.Round(time.Second).String(), nil)
	}
	res, err := s.once(ctx, c)
	again := errors.Is(err, errGone) // nothing was done: the session was unknown
	if err != nil && !again && retriable(c.Method) && transient(err) && ctx.Err() == nil {
		again = true
	}
	if again {
		res, err = s.once(ctx, c)
	}
	s.judge(ctx, err)
	return res, s.explain(ctx, err)
}

// transient reports whether err came of the transport, not of the upstream's answer or time.
func transient(err error) bool {
	var re *gatehouse.RPCError
	var we *wire.Error
	var se *statusError
	switch {
	case errors.As(err, &re), errors.As(err, &we), errors.Is(err, errTimeout):
		return false
	case errors.As(err, &se):
		return se.status >= 500
	case errors.Is(err, errDied):
		return true
	}
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok {
		return len(ge.Code) > 7 && ge.Code[:7] == "egress."
	}
	return true
}

// judge lets the breaker know how a call went.
func (s *source) judge(ctx context.Context, err error) {
	if err == nil {
		s.brk.Good()
		return
	}
	var re *gatehouse.RPCError
	switch {
	case errors.As(err, &re):
		s.brk.Good()
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		s.brk.Neutral()
	case ctx.Err() != nil:
		s.brk.Bad() // the whole time of the call was not enough
	case transient(err):
		if s.brk.Bad() >= 2 {
			s.doubt()
		}
	case errors.Is(err, errTimeout):
		s.brk.Bad()
	default:
		s.brk.Neutral()
	}
}

// once makes one attempt.
func (s *source) once(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	ss, done, err := s.sessionFor(ctx, c)
	if err != nil {
		return nil, err
	}
	defer done()
	res, err := ss.take(ctx, c)
	if errors.Is(err, errGone) {
		s.pool.forget(ss)
	}
	if se, ok := errors.AsType[*statusError](err); ok && se.unfit() {
		s.pool.forget(ss)
		s.doubt()
	}
	return res, err
}

func principalOf(c *gatehouse.Call) string {
	if c.Principal == nil {
		return ""
	}
	return c.Principal.ID
}

// take makes the call on ss.
func (ss *session) take(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	ss.ready(ctx, c)
	askable := !ss.modern && ss.canAsk()
	parent := ctx
	if askable {
		parent = ss.ctx
	}
	r := ss.newRun(parent, c.Method, ss.src.cfg.Timeout)
	if c.ProgressToken != nil || c.Method == "tools/call" {
		r.token = strconv.FormatInt(r.id, 10)
	}
	params := ss.params(c, r.token)
	r.setCaller(c)
	if ss.modern && ss.src.http != nil {
		if err := r.mirror(c); err != nil {
			r.fail(err)
			return nil, err
		}
	}
	if !askable {
		ss.perform(r, params)
		if r.err != nil {
			return nil, r.err
		}
		r.drain(ctx)
		if ss.modern && r.msg.Kind == wire.Failure && r.msg.Error.Code == gatehouse.CodeHeaderMismatch && c.Method == "tools/call" && c.Target.Tool != nil {
			if res, ok, err := ss.remirror(ctx, c, params); ok {
				return res, err
			}
		}
		return ss.outcome(c, r)
	}
	if !ss.src.goes(func() { ss.perform(r, params) }) {
		r.fail(errClosed)
		return nil, errClosed
	}
	return ss.await(ctx, c, r, nil)
}

// streamWait is how long the first call of a legacy session waits for the stream that questions may come on. Some servers
// send the head of it only with the first message.
const streamWait = 500 * time.Millisecond

// ready prepares a legacy session for the call: its stream for questions, its log level.
func (ss *session) ready(ctx context.Context, c *gatehouse.Call) {
	if ss.modern {
		return
	}
	if ss.canAsk() {
		ss.listening.Do(func() { ss.src.goes(func() { _ = ss.src.hear(ss) }) })
		if _, over := ss.car.(*httpCarrier); over { // what is asked on a stream that is not open yet is lost
			wait := time.NewTimer(streamWait)
			defer wait.Stop()
			select {
			case <-ss.open:
			case <-wait.C:
			case <-ctx.Done():
			}
		}
	}
	if c.LogLevel == "" || !ss.offers.Has("logging") {
		return
	}
	ss.mu.Lock()
	lower := ss.level == "" || slices.Index(levels[:], c.LogLevel) < slices.Index(levels[:], ss.level)
	if lower {
		ss.level = c.LogLevel
	}
	ss.mu.Unlock()
	if lower {
		_, _ = ss.request(ctx, "logging/setLevel", wire.Object{{Name: "level", Value: wire.String(c.LogLevel)}}.Bytes(), ss.src.b.control)
	}
}

func (ss *session) canAsk() bool { return canBeAsked(ss.caps) }

func canBeAsked(c gatehouse.Capabilities) bool {
	return c.Elicitation || c.ElicitationURL || c.Sampling || c.SamplingTools || c.Roots
}

// params writes the params of c for the upstream.
func (ss *session) params(c *gatehouse.Call, token string) []byte {
	var room [8]wire.Member
	o := wire.Object(room[:0])
	switch c.Method {
	case "tools/call", "prompts/get":
		o = append(o, wire.Member{Name: "name", Value: wire.String(c.Target.Name)})
		if c.Arguments != nil {
			o = append(o, wire.Member{Name: "arguments", Value: c.Arguments})
		}
	case "resources/read":
		o, _ = wire.ParseObject(c.Params)
		o = o.Set("uri", wire.String(c.Target.Name))
	case "completion/complete":
		o, _ = wire.ParseObject(c.Params)
		ref, _ := wire.ParseObject(o.Get("ref"))
		if typ, _ := wire.Text(ref.Get("type")); c.Target.Name != "" {
			if typ == "ref/prompt" {
				ref = ref.Set("name", wire.String(c.Target.Name))
			} else {
				ref = ref.Set("uri", wire.String(c.Target.Name))
			}
			o = o.Set("ref", ref.Bytes())
		}
	default:
		o, _ = wire.ParseObject(c.Params)
	}
	if ss.modern {
		// Answers without state are the caller's own claim, like its arguments: the upstream judges them.
		if c.InputResponses != nil {
			o = append(o, wire.Member{Name: "inputResponses", Value: c.InputResponses})
		}
		if len(c.State) > 0 && c.State[0] == stateModern {
			o = append(o, wire.Member{Name: "requestState", Value: wire.String(string(c.State[1:]))})
		}
	}
	if m := ss.meta(c, c.Client.Capabilities, token); m != nil {
		o = o.Set("_meta", m)
	}
	return o.Bytes()
}

// mirror sets the headers that repeat the body.
func (r *run) mirror(c *gatehouse.Call) error {
	if t := c.Target.Tool; t != nil {
		r.head = make([]egress.Field, 0, 1+len(t.Headers))
	}
	switch c.Method {
	case "tools/call", "prompts/get", "resources/read":
		r.head = append(r.head, egress.Field{Name: "Mcp-Name", Value: wire.EncodeHeader(c.Target.Name)})
	}
	if c.Target.Tool == nil {
		return nil
	}
	for _, p := range c.Target.Tool.Headers {
		v, present, err := wire.ParamHeader(c.Arguments, p)
		if err != nil {
			return &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: err.Error()}
		}
		if present {
			r.head = append(r.head, egress.Field{Name: p.Header, Value: v})
		}
	}
	return nil
}

// remirror makes the call once more with the headers of a fresh list, after the upstream said that they do not fit.
func (ss *session) remirror(ctx context.Context, c *gatehouse.Call, _ []byte) (*gatehouse.Result, bool, error) {
	ss.src.stale()
	cat := ss.src.Catalog(ctx, c.Client.Capabilities)
	i := slices.IndexFunc(cat.Tools, func(t gatehouse.Tool) bool { return t.Name == c.Target.Name })
	if i < 0 || cat.Err != nil {
		return nil, false, nil
	}
	again := *c
	again.Target.Tool = &cat.Tools[i]
	r := ss.newRun(ctx, c.Method, ss.src.cfg.Timeout)
	r.token = strconv.FormatInt(r.id, 10)
	r.setCaller(&again)
	if err := r.mirror(&again); err != nil {
		r.fail(err)
		return nil, true, err
	}
	ss.perform(r, ss.params(&again, r.token))
	if r.err != nil {
		return nil, true, r.err
	}
	res, err := ss.outcome(&again, r)
	return res, true, err
}

// outcome makes the Result of an answered run.
func (ss *session) outcome(c *gatehouse.Call, r *run) (*gatehouse.Result, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.msg.Kind == wire.Failure {
		e := r.msg.Error
		if !ss.modern && e.Code == gatehouse.CodeURLElicitation && c.Client.Era == gatehouse.Modern {
			if in := urlInput(e.Data); in != nil {
				return &gatehouse.Result{Input: in}, nil
			}
		}
		code := e.Code
		if code == gatehouse.CodeURLElicitation && c.Client.Era == gatehouse.Modern {
			code = gatehouse.CodeInternal // which has no form there
		}
		if !ss.modern && code == gatehouse.CodeResourceNotFound && c.Client.Era == gatehouse.Modern {
			code = gatehouse.CodeInvalidParams
		}
		return nil, &gatehouse.RPCError{Code: code, Message: e.Message, Data: e.Data, Passed: true}
	}
	raw := r.msg.Result
	var buf [8]wire.Member
	o, ok := wire.AppendMembers(buf[:0], raw)
	if !ok {
		return nil, ss.src.protocol("answered with a result that is no object", nil)
	}
	if ss.modern {
		switch typ, isText := wire.Text(o.Get("resultType")); {
		case !o.Has("resultType"), typ == "complete":
		case isText && typ == "input_required":
			in, err := ss.input(o)
			return &gatehouse.Result{Input: in}, err
		default:
			return nil, ss.src.protocol("answered with a kind of result that was not agreed on: "+clip(typ), nil)
		}
	}
	return &gatehouse.Result{Raw: raw, IsError: c.Method == "tools/call" && string(o.Get("isError")) == "true"}, nil
}

// input reads an input_required result of a modern upstream.
func (ss *session) input(o wire.Object) (*gatehouse.Input, error) {
	in := &gatehouse.Input{State: []byte{stateNone}}
	if b := o.Get("requestState"); b != nil {
		st, ok := wire.Text(b)
		if !ok || len(st)+1 > maxState {
			return nil, ss.src.protocol("sent a requestState that is no string or over "+strconv.Itoa(maxState)+" bytes", nil)
		}
		in.State = append([]byte{stateModern}, st...)
	}
	reqs, ok := wire.ParseObject(o.Get("inputRequests"))
	if o.Has("inputRequests") && !ok || !o.Has("inputRequests") && !o.Has("requestState") {
		return nil, ss.src.protocol("wants input without saying which", nil)
	}
	if len(reqs) > max(ss.src.env.Limits.InputsPerRound, 1) {
		return nil, ss.src.protocol("asks too many questions at once", nil)
	}
	for _, m := range reqs {
		q, ok := wire.ParseObject(m.Value)
		method, _ := wire.Text(q.Get("method"))
		if !ok || method == "" || len(m.Name) > 256 || q.Has("params") && !wire.IsObject(q.Get("params")) {
			return nil, ss.src.protocol("asks a question that is not acceptable", nil)
		}
		if err := guardQuestion(method, q.Get("params")); err != nil {
			return nil, ss.src.protocol("asks a question that is not acceptable: "+err.Error(), nil)
		}
		in.Requests = append(in.Requests, gatehouse.InputRequest{Key: m.Name, Method: method, Params: bytes.Clone(q.Get("params"))})
	}
	return in, nil
}

// urlInput turns the data of a legacy -32042 into questions, nil when it holds none.
func urlInput(data []byte) *gatehouse.Input {
	o, _ := wire.ParseObject(data)
	list, _ := wire.Elements(o.Get("elicitations"))
	in := &gatehouse.Input{State: []byte{stateURL}}
	for i, e := range list {
		q, ok := wire.ParseObject(e)
		if !ok || i >= maxAsks {
			return nil
		}
		q = q.Delete("elicitationId").Set("mode", wire.String("url"))
		in.Requests = append(in.Requests, gatehouse.InputRequest{Key: "url" + strconv.Itoa(i+1), Method: "elicitation/create", Params: q.Bytes()})
	}
	if len(in.Requests) == 0 {
		return nil
	}
	return in
}
