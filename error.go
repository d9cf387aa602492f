package gatehouse

import (
	"fmt"
	"strings"
)

// Pos is a place in a file that a person wrote. Line and Col count from 1; zero means unknown.
type Pos struct {
	File      string
	Line, Col int
}

func (p Pos) String() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Error is a fault that a person can mend. It prints as "place: message"; Hint is printed by the edge on a line of its own.
type Error struct {
	Code string // stable and documented in docs/reference/errors.md, e.g. "audit.unavailable"; never reused
	Pos  Pos    // where, when a person wrote the file
	Msg  string // what is wrong, shown to the caller
	Hint string // what to do about it
	Err  error  // the cause: logged, never shown to a client
}

func (e *Error) Error() string {
	var b strings.Builder
	if p := e.Pos.String(); p != "" {
		b.WriteString(p)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// JSON-RPC and MCP error codes (JSON-RPC 2.0 section 5.1; MCP 2026-07-28, schema.ts).
const (
	CodeParse             = -32700
	CodeInvalidRequest    = -32600
	CodeMethodNotFound    = -32601
	CodeInvalidParams     = -32602
	CodeInternal          = -32603
	CodeHeaderMismatch    = -32020
	CodeMissingCapability = -32021
	CodeUnsupportedRev    = -32022
	CodeResourceNotFound  = -32002 // legacy only
	CodeURLElicitation    = -32042 // legacy only
)

// RPCError is a JSON-RPC error as the caller sees it: one that Gatehouse answers with, or one that a backend answered with.
type RPCError struct {
	Code    int64
	Message string
	Data    []byte // verified JSON, nil when absent
	Passed  bool   // a backend's answer passed on: it says nothing of the caller's request to us
	Err     error  // the cause: logged, never shown
}

func (e *RPCError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%d %s", e.Code, e.Message)
}

func (e *RPCError) Unwrap() error { return e.Err }
