package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/route"
	"gatehouse/wire"
)

// maxInline bounds how often a legacy caller is asked during one call; a sampling loop asks often.
const maxInline = 100

const inputRequired = `{"resultType":"input_required"`

// ask lets the backend work, and gets it the answers it wants of the caller: in line from a caller that can be asked, by
// an input_required result from a modern one.
func (g *Gateway) ask(ctx context.Context, c *gatehouse.Call, e *route.Entry, l config.Limits) (*gatehouse.Result, error) {
	rounds, err := g.openState(c, l)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		res, err := e.Source.Call(ctx, c)
		if err != nil {
			return nil, err
		}
		if res.Input == nil {
			res.Raw = e.Source.Publish(c.Method, res.Raw)
			return res, nil
		}
		if err := checkInput(c, res.Input, l); err != nil {
			again := *c
			again.State = res.Input.State
			letGo(ctx, e.Source, &again)
			return nil, err
		}
		if c.Client.Era == gatehouse.Modern {
			return g.inputResult(c, res.Input, rounds, l)
		}
		if n >= maxInline {
			return nil, &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: fmt.Sprintf("the call asked for input more than %d times", maxInline)}
		}
		again := *c
		again.State = res.Input.State
		if again.InputResponses, again.InputErrors, err = inline(ctx, c, res.Input); err != nil {
			letGo(ctx, e.Source, &again)
			return nil, err
		}
		c = &again
	}
}

// letGo tells the source that nobody will answer: a call whose context has ended gives up what its state stands for.
func letGo(ctx context.Context, src *route.Source, c *gatehouse.Call) {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	_, _ = src.Call(ctx, c)
}

// checkInput refuses questions that the client did not say it can be asked.
func checkInput(c *gatehouse.Call, in *gatehouse.Input, l config.Limits) error {
	if len(in.Requests) > l.InputsPerRound {
		return &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: fmt.Sprintf("the server asked %d questions at once; at most %d are passed on", len(in.Requests), l.InputsPerRound)}
	}
	caps := c.Client.Capabilities
	for _, r := range in.Requests {
		var ok bool
		var need string
		switch r.Method {
		case "elicitation/create":
			o, _ := wire.ParseObject(r.Params)
			if mode, _ := wire.Text(o.Get("mode")); mode == "url" {
				ok, need = caps.ElicitationURL, `{"elicitation":{"url":{}}}`
			} else {
				ok, need = caps.Elicitation, `{"elicitation":{"form":{}}}`
			}
		case "sampling/createMessage":
			o, _ := wire.ParseObject(r.Params)
			if o.Has("tools") {
				ok, need = caps.SamplingTools, `{"sampling":{"tools":{}}}`
			} else {
				ok, need = caps.Sampling, `{"sampling":{}}`
			}
		case "roots/list":
			ok, need = caps.Roots, `{"roots":{}}`
		default:
			return &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: "the server asked for " + strconv.Quote(r.Method) + ", which no client can be asked"}
		}
		if !ok {
			return &gatehouse.RPCError{
				Code: gatehouse.CodeMissingCapability, Message: "this call needs the client capability " + need,
				Data: []byte(`{"requiredCapabilities":` + need + `}`),
			}
		}
	}
	return nil
}

// inline asks a legacy caller one question after the other. An error that the caller answers with is an answer too.
func inline(ctx context.Context, c *gatehouse.Call, in *gatehouse.Input) (answers []byte, failed map[string]*gatehouse.RPCError, err error) {
	out := make(wire.Object, 0, len(in.Requests))
	for _, r := range in.Requests {
		if !c.Peer.CanAsk() {
			return nil, nil, &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: "this call needs an answer of the user, and this client reads no stream it could be asked on"}
		}
		params := r.Params
		if r.Method == "elicitation/create" {
			params = mintElicitationID(params)
		}
		answer, err := c.Peer.Ask(ctx, r.Method, params)
		var re *gatehouse.RPCError
		switch {
		case errors.As(err, &re) && r.Method == "elicitation/create":
			answer = []byte(`{"action":"cancel"}`) // the client could not show it: the user saw nothing
		case re != nil:
			if failed == nil {
				failed = map[string]*gatehouse.RPCError{}
			}
			failed[r.Key] = re
			continue
		case err != nil:
			return nil, nil, err
		}
		out = append(out, wire.Member{Name: r.Key, Value: answer})
	}
	return out.Bytes(), failed, nil
}

// mintElicitationID gives a URL elicitation the id that revision 2025-11-25 wants and later ones do not have.
func mintElicitationID(params []byte) []byte {
	o, ok := wire.ParseObject(params)
	if mode, _ := wire.Text(o.Get("mode")); !ok || mode != "url" || o.Has("elicitationId") {
		return params
	}
	return o.Set("elicitationId", wire.String(rand.Text())).Bytes()
}

// inputResult is the input_required result of a modern caller, with the backend's state sealed.
func (g *Gateway) inputResult(c *gatehouse.Call, in *gatehouse.Input, rounds int, l config.Limits) (*gatehouse.Result, error) {
	if rounds >= l.InputRounds {
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeInternal, Message: fmt.Sprintf("the call came back for input more than %d times", l.InputRounds)}
	}
	reqs := make(wire.Object, 0, len(in.Requests))
	for _, r := range in.Requests {
		o := wire.Object{{Name: "method", Value: wire.String(r.Method)}}
		if r.Params != nil {
			o = append(o, wire.Member{Name: "params", Value: r.Params})
		}
		reqs = append(reqs, wire.Member{Name: r.Key, Value: o.Bytes()})
	}
	out := []byte(inputRequired)
	if len(reqs) > 0 {
		out = append(out, `,"inputRequests":`...)
		out = reqs.Append(out)
	}
	out = append(out, `,"requestState":`...)
	out = wire.AppendString(out, g.sealState(c, in.State, rounds+1, l.InputTimeout))
	out = append(out, `,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"gatehouse","version":"`+gatehouse.Version+`"}}}`...)
	return &gatehouse.Result{Raw: out, Final: true}, nil
}

// The sealed state: expiry (8 bytes, Unix seconds), rounds so far (1), whether the backend gave state (1), its state.
// Principal, server, method, name and arguments are bound to the seal, so it fits the same call of the same caller only.
const stateHead = 10

// maxState bounds a backend's state, so that the sealed text stays under the 16 KiB a caller may send back.
const maxState = 11 << 10

func (g *Gateway) sealState(c *gatehouse.Call, inner []byte, rounds int, ttl time.Duration) string {
	b := make([]byte, stateHead, stateHead+len(inner))
	binary.BigEndian.PutUint64(b, uint64(g.c.Now().Add(ttl).Unix()))
	b[8] = byte(rounds)
	if inner != nil {
		b[9] = 1
	}
	return g.state.Seal(append(b, inner...), bindState(c))
}

// openState checks what the caller sent back and sets c.State.
func (g *Gateway) openState(c *gatehouse.Call, l config.Limits) (rounds int, err error) {
	if c.RequestState == "" {
		return 0, nil
	}
	if len(c.RequestState) > base64.RawURLEncoding.EncodedLen(maxState+64) {
		return 0, invalidState("is too long")
	}
	b, err := g.state.Open(c.RequestState, bindState(c))
	if err != nil || len(b) < stateHead {
		return 0, invalidState("was not issued for this call and this caller, or was altered")
	}
	if g.c.Now().Unix() > int64(binary.BigEndian.Uint64(b)) {
		return 0, invalidState(fmt.Sprintf("has expired: answers are awaited for %s", l.InputTimeout))
	}
	if b[9] == 1 {
		c.State = b[stateHead:]
	}
	return int(b[8]), nil
}

func invalidState(why string) error {
	return &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "requestState " + why + "; make the call again without it"}
}

// bindState digests what the state belongs to. A client may write the same arguments in another order when it comes back.
func bindState(c *gatehouse.Call) []byte {
	args, err := wire.Canonical(c.Arguments)
	if err != nil {
		args = c.Arguments // none
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.Principal.ID), []byte(c.Server), []byte(c.Method), []byte(c.Name), args} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return h.Sum(nil)
}
