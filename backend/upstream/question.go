package upstream

import (
	"fmt"
	"slices"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// question is something the upstream asks the caller.
type question struct {
	id     []byte
	method string
	params []byte
	at     time.Time
	key    string
}

// oldest is the oldest call in flight that is not parked, nil when there is none. It is false when the calls in flight are
// not all of one principal: what the upstream says outside of a call could then reach the wrong one.
func (ss *session) oldest() (old *run, ok bool) {
	var whose string
	for _, r := range ss.flying() {
		c := r.caller()
		if c == nil || r.done() {
			continue
		}
		if old == nil {
			old, whose = r, principalOf(c)
		} else if principalOf(c) != whose {
			return nil, false
		}
	}
	return old, true
}

// hold keeps q for the next call; it is refused when there is none in time, or when that could be anybody's.
func (ss *session) hold(q question) {
	ss.mu.Lock()
	full := len(ss.held) >= maxHeld || ss.src.cfg.Sessions == "shared"
	if !full {
		ss.held = append(ss.held, q)
	}
	ss.mu.Unlock()
	if full {
		ss.refuse(q.id, gatehouse.CodeInternal, "no call is running that this could belong to")
	}
}

// expireHeld refuses what was held too long.
func (ss *session) expireHeld(now time.Time) {
	ss.mu.Lock()
	var old []question
	ss.held = slices.DeleteFunc(ss.held, func(q question) bool {
		if now.Sub(q.at) < ss.src.b.hold {
			return false
		}
		old = append(old, q)
		return true
	})
	ss.mu.Unlock()
	for _, q := range old {
		ss.refuse(q.id, gatehouse.CodeInternal, "no call is running that this could belong to")
	}
}

func (ss *session) ask(r *run, q question) {
	r.mu.Lock()
	mine := r.call != nil
	r.mu.Unlock()
	if mine {
		select {
		case r.asks <- q:
			return
		default:
		}
	}
	ss.refuse(q.id, gatehouse.CodeInternal, "too many questions at once")
}

func (ss *session) refuse(id []byte, code int64, msg string) {
	ss.later(wire.AppendError(nil, id, wire.RPC{Code: code, Message: msg}))
}

// mayAsk reports whether the session declared that the caller can be asked this.
func (ss *session) mayAsk(method string, params []byte) bool {
	o, _ := wire.ParseObject(params)
	switch method {
	case "elicitation/create":
		if mode, _ := wire.Text(o.Get("mode")); mode == "url" {
			return ss.caps.ElicitationURL
		}
		return ss.caps.Elicitation
	case "sampling/createMessage":
		if o.Has("tools") {
			return ss.caps.SamplingTools
		}
		return ss.caps.Sampling
	case "roots/list":
		return ss.caps.Roots
	}
	return false
}

// guardQuestion judges what an upstream wants to ask before anybody reads it.
func guardQuestion(method string, params []byte) error {
	if method != "elicitation/create" {
		return nil
	}
	o, _ := wire.ParseObject(params)
	sch := o.Get("requestedSchema")
	if sch == nil {
		return nil
	}
	if err := wire.GuardSchema(sch, wire.DefaultSchemaLimits); err != nil {
		return fmt.Errorf("the schema of the question: %w", err)
	}
	return nil
}
