package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/route"
	"gatehouse/wire"
)

// Supported are the revisions of the protocol that clients may speak, newest first.
var Supported = []string{gatehouse.Revision20260728, gatehouse.Revision20251125, gatehouse.Revision20250618, gatehouse.Revision20250326}

// Call takes c through every stage. A call that cannot be recorded is not made.
func (g *Gateway) Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, g.now.Load().cfg.Limits.CallTimeout)
	defer cancel()

	job, err := g.route(ctx, c)
	if err != nil {
		return nil, g.refused(ctx, c, audit.Decision{Answer: "none"}, err)
	}
	d, err := g.decide(ctx, c)
	if err != nil {
		return nil, g.refused(ctx, c, d, err)
	}
	in, err := g.c.Policy.Inbound(ctx, c)
	if err != nil {
		return nil, g.refused(ctx, c, d, err)
	}
	if in != c { // what a policy changed is judged again: the value decided on is the value sent
		c = in
		if job, err = g.route(ctx, c); err != nil {
			return nil, g.refused(ctx, c, d, err)
		}
		if d, err = g.decide(ctx, c); err != nil {
			return nil, g.refused(ctx, c, d, err)
		}
	}
	rec, err := g.begin(ctx, c, d, job)
	if err != nil {
		return nil, err
	}
	res, err := g.do(ctx, c, job)
	if err == nil {
		res, err = g.c.Policy.Outbound(ctx, c, res)
	}
	if err := errors.Join(err, g.end(ctx, c, d, rec, res, err)); err != nil {
		return nil, err
	}
	return res, nil
}

// do has the work done. A panic in it ends this call alone, and is recorded as its outcome.
func (g *Gateway) do(ctx context.Context, c *gatehouse.Call, j job) (res *gatehouse.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.c.Log.LogAttrs(ctx, slog.LevelError, "panic in a call", slog.String("call", c.ID), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			res, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return j.do(ctx, c)
}

// job is where the route stage sends a call.
type job struct {
	effect bool // a backend is asked: the intent must be durable first
	do     func(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error)
}

// route finds what does the work, and sets c.Target.
func (g *Gateway) route(ctx context.Context, c *gatehouse.Call) (job, error) {
	p := g.now.Load()
	srv := p.table.Servers[c.Server]
	if srv == nil {
		return job{}, unknownServer(c.Server)
	}
	switch c.Method {
	case "initialize", "server/discover":
		return job{do: func(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
			v := srv.View(ctx, c.Client.Capabilities)
			return &gatehouse.Result{Raw: v.Describe(c.Client.Revision, Supported), Final: true}, nil
		}}, nil
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		return job{do: func(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) { return g.list(ctx, srv, c) }}, nil
	}
	view := srv.View(ctx, c.Client.Capabilities)
	wrapped, problem := unwrap(view, c)
	entry, err := target(view, c)
	if err != nil {
		return job{}, err
	}
	if entry.Source == nil {
		return g.search(view, c, entry, problem), nil
	}
	c.Target = gatehouse.Target{Source: entry.Source.Label, Name: entry.Own}
	if c.Method == "tools/call" {
		c.Target.Tool = &entry.Tool
		if c.Headers != nil && !wrapped {
			if err := wire.CheckParams(c.Headers, entry.Headers, c.Arguments); err != nil {
				return job{}, &gatehouse.RPCError{Code: gatehouse.CodeHeaderMismatch, Message: err.Error()}
			}
		}
	}
	return job{effect: true, do: func(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
		return g.ask(ctx, c, entry, p.cfg.Limits)
	}}, nil
}

// unwrap turns a call of call_tool into the call inside it, before anything is decided: access, policies and the record see
// the tool that is meant. What cannot be unwrapped stays a call of call_tool, with what is wrong with it.
func unwrap(v *route.View, c *gatehouse.Call) (wrapped bool, problem string) {
	if v.Search == nil || c.Method != "tools/call" || c.Name != route.CallTool {
		return false, ""
	}
	name, args, problem := v.Search.Unwrap(c.Arguments)
	if problem == "" {
		c.Name, c.Arguments = name, args
	}
	return problem == "", problem
}

// search answers the tools that stand for others: no backend is asked.
func (g *Gateway) search(v *route.View, c *gatehouse.Call, e *route.Entry, problem string) job {
	c.Target = gatehouse.Target{Name: e.Own, Tool: &e.Tool}
	return job{do: func(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
		see := g.sees(ctx, c, "tools/call")
		switch c.Name {
		case route.SearchTools:
			return v.Search.Find(c.Arguments, see), nil
		case route.DescribeTool:
			return v.Search.Describe(c.Arguments, see), nil
		}
		return v.Search.Problem(problem), nil
	}}
}

// target finds the entry a call is about.
func target(v *route.View, c *gatehouse.Call) (*route.Entry, error) {
	switch c.Method {
	case "tools/call":
		return v.Tool(c.Name)
	case "prompts/get":
		return v.Prompt(c.Name)
	case "resources/read", "resources/subscribe":
		return v.Resource(c.Name)
	case "completion/complete":
		o, _ := wire.ParseObject(c.Params)
		ref, _ := wire.ParseObject(o.Get("ref"))
		var e *route.Entry
		var err error
		if uri, ok := wire.Text(ref.Get("uri")); ok {
			e, err = v.Resource(uri)
		} else {
			name, _ := wire.Text(ref.Get("name"))
			e, err = v.Prompt(name)
		}
		if err == nil {
			c.Params = route.OwnRef(c.Params, e)
		}
		return e, err
	}
	return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "Method not found: " + c.Method}
}

// decide asks the access stage. What may not be called is answered like something that does not exist when it may not be
// listed either, which is the same question here.
func (g *Gateway) decide(ctx context.Context, c *gatehouse.Call) (audit.Decision, error) {
	d, err := g.c.Access.Decide(ctx, &access.Request{
		Principal: c.Principal, Server: c.Server, Method: c.Method,
		Name: c.Name, Tool: c.Target.Tool, Arguments: c.Arguments,
	})
	if err != nil {
		return audit.Decision{Answer: "deny", Reason: "the access stage failed"},
			&gatehouse.Error{Code: "access.error", Msg: "the call was refused: access could not be decided", Err: err}
	}
	if !d.Allow {
		return audit.Decision{Answer: "deny", Rule: d.Rule, Reason: d.Reason},
			&gatehouse.Error{Code: "access.denied", Msg: "the call was refused", Hint: "ask whoever runs this gateway, naming the call's id"}
	}
	return audit.Decision{Answer: "allow", Rule: d.Rule, Reason: d.Reason}, nil
}

// list answers a list from the view: what the same function would refuse to call is not in it.
func (g *Gateway) list(ctx context.Context, srv *route.Server, c *gatehouse.Call) (*gatehouse.Result, error) {
	v := srv.View(ctx, c.Client.Capabilities)
	method := map[string]string{"tools/list": "tools/call", "prompts/list": "prompts/get"}[c.Method]
	if method == "" {
		method = "resources/read"
	}
	raw, err := v.List(c.Method, c.Client.Revision, g.c.Access.Class(c.Principal, c.Server), c.Cursor, g.sees(ctx, c, method))
	if err != nil {
		return nil, err
	}
	return &gatehouse.Result{Raw: raw, Final: true}, nil
}

// sees tells which entries the caller may see: those that method would not refuse.
func (g *Gateway) sees(ctx context.Context, c *gatehouse.Call, method string) func(*route.Entry) bool {
	return func(e *route.Entry) bool {
		r := &access.Request{Principal: c.Principal, Server: c.Server, Method: method, Name: e.Name}
		if method == "tools/call" {
			r.Tool = &e.Tool
		}
		d, err := g.c.Access.Decide(ctx, r)
		return err == nil && d.Allow
	}
}

// begin records the intent of a call with an effect; others are recorded when they have ended.
func (g *Gateway) begin(ctx context.Context, c *gatehouse.Call, d audit.Decision, j job) (audit.Entry, error) {
	if !j.effect {
		return nil, nil
	}
	rec, err := g.c.Audit.Begin(ctx, c, d)
	if err != nil {
		var ge *gatehouse.Error
		if errors.As(err, &ge) || ctx.Err() != nil {
			return nil, err
		}
		return nil, &gatehouse.Error{Code: "audit.unavailable", Msg: "the call was not made: it could not be recorded", Hint: "look at the record's folder and the log", Err: err}
	}
	return rec, nil
}

// end records the outcome.
func (g *Gateway) end(ctx context.Context, c *gatehouse.Call, d audit.Decision, rec audit.Entry, res *gatehouse.Result, err error) error {
	o := outcome(res, err)
	o.Duration = g.c.Now().Sub(c.Received)
	if g.c.Metrics != nil {
		g.c.Metrics.Call(c.Server, c.Method, o.Kind, o.Duration)
	}
	if rec != nil {
		return rec.End(context.WithoutCancel(ctx), o)
	}
	return g.note(c, d, o)
}

func outcome(res *gatehouse.Result, err error) audit.Outcome {
	o := audit.Outcome{Kind: "complete"}
	if err == nil {
		o.IsError, o.BytesOut = res.IsError, len(res.Raw)
		if res.Input != nil || strings.HasPrefix(string(res.Raw[:min(len(res.Raw), len(inputRequired))]), inputRequired) {
			o.Kind = "input_required"
		}
		return o
	}
	o.Kind = "error"
	var re *gatehouse.RPCError
	var ge *gatehouse.Error
	switch {
	case errors.As(err, &re):
		o.RPCError = re.Code
	case errors.As(err, &ge):
		o.Code = ge.Code
	case errors.Is(err, context.Canceled):
		o.Kind = "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		o.Code = "gateway.timeout"
	default:
		o.Code = "gateway.internal"
	}
	return o
}

// refused records a call that did not get as far as its intent, and returns err.
func (g *Gateway) refused(ctx context.Context, c *gatehouse.Call, d audit.Decision, err error) error {
	o := outcome(nil, err)
	o.Duration = g.c.Now().Sub(c.Received)
	if g.c.Metrics != nil {
		g.c.Metrics.Call(c.Server, c.Method, "refused", o.Duration)
	}
	if nerr := g.note(c, d, o); nerr != nil {
		g.c.Log.LogAttrs(ctx, slog.LevelError, "record refused call", slog.String("call", c.ID), slog.Any("error", nerr))
	}
	return err
}

func (g *Gateway) note(c *gatehouse.Call, d audit.Decision, o audit.Outcome) error {
	r := &audit.Record{
		Time: g.c.Now(), Kind: "note", Call: c.ID, Server: c.Server, Upstream: c.Target.Source, Method: c.Method, Name: c.Name,
		Era: c.Client.Era.String(), Revision: c.Client.Revision, Session: c.Client.Session, Client: strings.TrimSpace(c.Client.Name + " " + c.Client.Version),
		Decision: d, Outcome: o.Kind, IsError: o.IsError, RPCError: o.RPCError, Code: o.Code, BytesOut: o.BytesOut, DurUs: int64(o.Duration / time.Microsecond),
	}
	if p := c.Principal; p != nil {
		r.Principal, r.PrincKind, r.Token = p.ID, string(p.Kind), p.Token
		if p.Source.IsValid() {
			r.Source = p.Source.String()
		}
	}
	return g.c.Audit.Note(r)
}
