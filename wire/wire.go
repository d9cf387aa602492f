// Package wire reads and writes JSON-RPC messages so that each has one reading only: strict JSON, bounded, with the
// envelope always written fresh. Two readers of one message never see two different messages.
package wire

import (
	"fmt"
)

// Limits bounds one message. The zero value of a field means no bound of its own.
type Limits struct {
	Bytes   int // whole message
	Depth   int // nested arrays and objects
	Members int // object members and array elements in total
	Number  int // bytes of one number literal
}

// Bounds of what callers send and of what upstream servers answer (docs/reference/limits.md).
var (
	RequestLimits = Limits{Bytes: 4 << 20, Depth: 64, Members: 10_000, Number: 64}
	ResultLimits  = Limits{Bytes: 10 << 20, Depth: 64, Members: 1_000_000, Number: 64}
)

// Error is a fault of a message. Parse tells whether the bytes are no acceptable JSON (-32700) or no acceptable
// request (-32600).
type Error struct {
	Code   string // wire.duplicate_member, wire.trailing_data, wire.encoding, wire.syntax, wire.depth, wire.members, wire.number, wire.id, wire.envelope, wire.too_large, wire.header, wire.flood, wire.schema
	Offset int    // byte offset in the message, -1 when it concerns the whole
	Msg    string
	Parse  bool // -32700 rather than -32600
}

func (e *Error) Error() string {
	if e.Offset >= 0 {
		return fmt.Sprintf("%s (at byte %d)", e.Msg, e.Offset)
	}
	return e.Msg
}
