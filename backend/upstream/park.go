package upstream

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// parks holds the runs of legacy upstreams that wait for the answers of a person.
type parks struct {
	src *source

	mu sync.Mutex // guards what follows
	m  map[string]*park
}

// park is one waiting run.
type park struct {
	id        string
	principal string
	method    string
	name      string
	ss        *session
	r         *run
	open      []question
	seq       int
	until     time.Time
}

// askedTogether is how long a question waits for others, so that what an upstream asks at once is one round for the
// caller. A person takes longer than that to read the first.
const askedTogether = 20 * time.Millisecond

// await waits until r is answered, asks something or the caller leaves. p is nil when r has not been parked before.
func (ss *session) await(ctx context.Context, c *gatehouse.Call, r *run, p *park) (*gatehouse.Result, error) {
	select {
	case <-r.fin:
		r.drain(ctx)
		return ss.outcome(c, r)
	default:
	}
	select {
	case <-r.fin:
		r.drain(ctx)
		return ss.outcome(c, r)
	case <-ctx.Done():
		r.fail(ctx.Err())
		return nil, ctx.Err()
	case q := <-r.asks:
		if p == nil {
			p = &park{id: rand.Text(), principal: principalOf(c), method: c.Method, name: c.Target.Name, ss: ss, r: r}
		}
		p.add(q)
		together := time.NewTimer(askedTogether)
		defer together.Stop()
		for more := true; more && len(p.open) < max(ss.src.env.Limits.InputsPerRound, 1); {
			select {
			case q := <-r.asks:
				p.add(q)
			case <-together.C:
				more = false
			case <-r.fin:
				more = false
			}
		}
		if r.done() && c.Client.Era == gatehouse.Modern { // the call waits for no answer: the next one may bring it
			for _, q := range p.open {
				ss.hold(q)
			}
			return ss.outcome(c, r)
		}
		return ss.src.parks.put(c, p)
	}
}

func (p *park) add(q question) {
	p.seq++
	q.key = "q" + strconv.Itoa(p.seq)
	p.open = append(p.open, q)
}

// put parks p and makes the questions of it.
func (ps *parks) put(c *gatehouse.Call, p *park) (*gatehouse.Result, error) {
	ps.mu.Lock()
	if len(ps.m) >= max(ps.src.env.Limits.ParkedCalls, 1) {
		ps.mu.Unlock()
		p.drop("too many calls wait for a person")
		return nil, ps.src.fault(codeBusy, "has too many calls that wait for a person", "try again later, or raise limits.parkedCalls", nil)
	}
	p.until = time.Now().Add(ps.src.env.Limits.InputTimeout)
	p.r.park(true)
	ps.m[p.id] = p
	ps.mu.Unlock()
	in := &gatehouse.Input{State: append([]byte{stateParked}, p.id...)}
	for _, q := range p.open {
		params := q.params
		if o, ok := wire.ParseObject(params); ok && c.Client.Era == gatehouse.Modern {
			params = o.Delete("elicitationId", "_meta").Bytes()
		}
		in.Requests = append(in.Requests, gatehouse.InputRequest{Key: q.key, Method: q.method, Params: params})
	}
	return &gatehouse.Result{Input: in}, nil
}

// take removes the park of this caller and call, nil when there is none.
func (ps *parks) take(c *gatehouse.Call) *park {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.m[string(c.State[1:])]
	if p == nil || p.principal != principalOf(c) || p.method != c.Method || p.name != c.Target.Name {
		return nil
	}
	delete(ps.m, p.id)
	return p
}

// drop ends a parked run: the upstream gets error answers and a cancellation.
func (p *park) drop(why string) {
	for _, q := range p.open {
		p.ss.refuse(q.id, gatehouse.CodeInternal, why)
	}
	p.open = nil
	p.r.fail(errTimeout)
}

func (ps *parks) expire() {
	now := time.Now()
	ps.mu.Lock()
	var old []*park
	for id, p := range ps.m {
		if now.After(p.until) || p.r.done() && p.r.err != nil {
			old = append(old, p)
			delete(ps.m, id)
		}
	}
	ps.mu.Unlock()
	for _, p := range old {
		p.drop("nobody answered in time")
	}
}

func (ps *parks) closeAll() {
	ps.mu.Lock()
	all := ps.m
	ps.m = map[string]*park{}
	ps.mu.Unlock()
	for _, p := range all {
		p.drop("the gateway ends")
	}
}

// resume gives a parked run the caller's answers and waits for what comes of it.
func (s *source) resume(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
	p := s.parks.take(c)
	if p == nil {
		return nil, s.fault(codeParkedLost, "no longer runs the call that these answers belong to", "call again", nil)
	}
	if ctx.Err() != nil {
		p.drop("the caller does not answer")
		return nil, ctx.Err()
	}
	if err := s.acquire(ctx); err != nil {
		p.drop("the caller is gone")
		return nil, err
	}
	defer s.release()
	answers, _ := wire.ParseObject(c.InputResponses)
	open := p.open
	p.open = nil
	for _, q := range open {
		if p.r.done() {
			break // it did not wait for the answer
		}
		var msg []byte
		if e := c.InputErrors[q.key]; e != nil {
			msg = wire.AppendError(nil, q.id, wire.RPC{Code: e.Code, Message: e.Message, Data: e.Data})
		} else if a := answers.Get(q.key); wire.IsObject(a) {
			msg = wire.AppendResult(nil, q.id, a)
		} else {
			p.open = append(p.open, q)
			continue
		}
		sctx, cancel := context.WithTimeout(ctx, s.b.open)
		err := p.ss.car.send(sctx, p.ss, msg)
		cancel()
		if err != nil && !p.r.done() {
			p.drop("the answer could not be delivered")
			return nil, s.explain(ctx, err)
		}
	}
	if len(p.open) > 0 {
		return s.parks.put(c, p)
	}
	p.r.setCaller(c)
	p.r.park(false)
	res, err := p.ss.await(ctx, c, p.r, p)
	s.judge(ctx, err)
	return res, s.explain(ctx, err)
}
