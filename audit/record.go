package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// Begin implements Log.
func (l *log) Begin(ctx context.Context, c *gatehouse.Call, d Decision) (Entry, error) {
	r := &Record{
		Time: l.o.Now(), Kind: "intent", Call: c.ID, Server: c.Server, Upstream: c.Target.Source, Method: c.Method, Name: c.Name,
		Era: c.Client.Era.String(), Revision: c.Client.Revision, Session: c.Client.Session, Client: c.Client.Name, Decision: d,
	}
	if c.Client.Version != "" {
		r.Client += " " + c.Client.Version
	}
	if p := c.Principal; p != nil {
		r.Principal, r.PrincKind, r.Token = p.ID, string(p.Kind), p.Token
		if p.Source.IsValid() {
			r.Source = p.Source.String()
		}
	}
	if t := c.Target.Tool; t != nil {
		r.Risk = string(t.Risk)
	}
	if c.Arguments != nil {
		digest, err := ArgDigest(c.Arguments)
		if err != nil {
			return nil, unavailable(err)
		}
		r.ArgDigest = digest
	}
	return &entry{l: l, call: c.ID, server: c.Server, method: c.Method, name: c.Name, principal: r.Principal}, l.write(ctx, r)
}

// digests is memory for the canonical form of arguments.
var digests = sync.Pool{New: func() any { return new([]byte) }}

// ArgDigest is SHA-256, in hex, over the canonical form of {"typ":"gatehouse/arguments/v1","arguments":…}.
func ArgDigest(args []byte) (string, error) {
	room := digests.Get().(*[]byte)
	defer digests.Put(room)
	b := append(append(append((*room)[:0], `{"arguments":`...), args...), `,"typ":"gatehouse/arguments/v1"}`...)
	b, err := wire.Canonicalize(b)
	if err != nil {
		return "", err
	}
	if *room = b[:0]; cap(b) > keepBytes {
		*room = nil
	}
	sum := sha256.Sum256(b)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:]), nil
}

type entry struct {
	l                                     *log
	call, server, method, name, principal string
}

// End implements Entry: it returns once the outcome is durable.
func (e *entry) End(ctx context.Context, o Outcome) error {
	return e.l.write(ctx, &Record{
		Time: e.l.o.Now(), Kind: "outcome", Call: e.call, Server: e.server, Method: e.method, Name: e.name, Principal: e.principal,
		Outcome: o.Kind, IsError: o.IsError, RPCError: o.RPCError, Code: o.Code, BytesOut: o.BytesOut, DurUs: int64(o.Duration / time.Microsecond),
	})
}

// appendRecord writes one line. Every field of Record is here, in its order; TestRecordHasAllFields holds it to that.
func appendRecord(b []byte, seq uint64, r *Record) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","kind":`...)
	b = wire.AppendString(b, r.Kind)
	text := func(name, v string) {
		if v != "" {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = wire.AppendString(b, v)
		}
	}
	number := func(name string, v int64) {
		if v != 0 {
			b = append(append(append(b, `,"`...), name...), `":`...)
			b = strconv.AppendInt(b, v, 10)
		}
	}
	text("call", r.Call)
	text("principal", r.Principal)
	text("principal_kind", r.PrincKind)
	text("token", r.Token)
	text("source", r.Source)
	text("client", r.Client)
	text("era", r.Era)
	text("revision", r.Revision)
	text("session", r.Session)
	text("server", r.Server)
	text("upstream", r.Upstream)
	text("method", r.Method)
	text("name", r.Name)
	text("risk", r.Risk)
	text("arg_digest", r.ArgDigest)
	text("decision", r.Answer)
	text("rule", r.Rule)
	text("reason", r.Reason)
	text("outcome", r.Outcome)
	if r.IsError {
		b = append(b, `,"is_error":true`...)
	}
	number("rpc_error", r.RPCError)
	text("code", r.Code)
	number("bytes_out", int64(r.BytesOut))
	number("dur_us", r.DurUs)
	text("detail", r.Detail)
	return append(b, "}\n"...)
}
