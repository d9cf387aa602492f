// Package audit keeps the record: an intent before a call has any effect and an outcome after it. A call that cannot be
// recorded is not made.
package audit

import (
	"context"
	"time"

	"gatehouse"
)

// Log takes records. It is safe for concurrent use.
type Log interface {
	// Begin records the intent of c and returns when it is durable. An error means: do not make the call.
	Begin(ctx context.Context, c *gatehouse.Call, d Decision) (Entry, error)
	// Note records something that has no effect to wait for: a list, a refusal, a failed sign-in, an administrator's
	// act. It returns once the record is queued; it fails when the log has stopped.
	Note(r *Record) error
	Close() error
}

// Entry is a begun call.
type Entry interface {
	// End records the outcome.
	End(ctx context.Context, o Outcome) error
}

// Decision is what the access stage said, for the record.
type Decision struct {
	Answer string `json:"decision"` // allow, deny
	Rule   string `json:"rule,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Outcome is how a call ended.
type Outcome struct {
	Kind     string // complete, input_required, error, cancelled
	IsError  bool   // the tool said it failed
	RPCError int64  // JSON-RPC code, 0 when none
	Code     string // gatehouse.Error code, "" when none
	BytesOut int
	Duration time.Duration
}

// Record is one line of the log. Field names are stable (docs/reference/record.md).
type Record struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"` // intent, outcome, note, auth, admin
	Call      string    `json:"call,omitempty"`
	Principal string    `json:"principal,omitempty"`
	PrincKind string    `json:"principal_kind,omitempty"`
	Token     string    `json:"token,omitempty"`  // public id of the credential
	Source    string    `json:"source,omitempty"` // caller's address
	Client    string    `json:"client,omitempty"` // claimed name and version
	Era       string    `json:"era,omitempty"`
	Revision  string    `json:"revision,omitempty"`
	Session   string    `json:"session,omitempty"`
	Server    string    `json:"server,omitempty"`
	Upstream  string    `json:"upstream,omitempty"` // label of the source
	Method    string    `json:"method,omitempty"`
	Name      string    `json:"name,omitempty"`
	Risk      string    `json:"risk,omitempty"`
	ArgDigest string    `json:"arg_digest,omitempty"` // SHA-256 over the canonical arguments, hex
	Decision
	Outcome  string `json:"outcome,omitempty"`
	IsError  bool   `json:"is_error,omitempty"`
	RPCError int64  `json:"rpc_error,omitempty"`
	Code     string `json:"code,omitempty"`
	BytesOut int    `json:"bytes_out,omitempty"`
	DurUs    int64  `json:"dur_us,omitempty"`
	Detail   string `json:"detail,omitempty"`
}
