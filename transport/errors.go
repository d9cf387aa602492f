package transport

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"gatehouse"
	"gatehouse/wire"
)

// RPC is the one place where an error becomes a JSON-RPC error and an HTTP status. Causes are never shown; what is
// nobody's fault but ours says only the call's id.
func RPC(err error, callID string, era gatehouse.Era) (e wire.RPC, status int) {
	switch x := outermost(err).(type) {
	case *gatehouse.RPCError:
		e = wire.RPC{Code: x.Code, Message: x.Message, Data: x.Data}
		if era == gatehouse.Modern && e.Code == gatehouse.CodeResourceNotFound {
			e.Code = gatehouse.CodeInvalidParams
		}
		if x.Passed && (e.Code < gatehouse.CodeUnsupportedRev || e.Code > gatehouse.CodeHeaderMismatch) {
			return e, http.StatusOK // a 404 or 400 would say that this endpoint did not take the request
		}
		return e, rpcStatus(e.Code, era)
	case *wire.Error:
		e = wire.RPC{Code: gatehouse.CodeInvalidRequest, Message: "Invalid request: " + x.Error(), Data: code(x.Code, "")}
		if x.Parse {
			e.Code, e.Message = gatehouse.CodeParse, "Parse error: "+x.Error()
		}
		if x.Code == "wire.too_large" {
			return e, http.StatusRequestEntityTooLarge
		}
		return e, http.StatusBadRequest
	case *gatehouse.Error:
		return house(x, callID)
	}
	e = wire.RPC{Code: gatehouse.CodeInternal, Message: "Internal error; call " + callID, Data: code("gateway.internal", callID)}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e = wire.RPC{Code: gatehouse.CodeInternal, Message: "The call took too long and was ended; call " + callID, Data: code("gateway.timeout", callID)}
	case errors.Is(err, context.Canceled):
		e = wire.RPC{Code: gatehouse.CodeInternal, Message: "The call was cancelled; call " + callID, Data: code("gateway.cancelled", callID)}
	}
	return e, rpcStatus(e.Code, era)
}

// outermost returns the first error in err that says how it is to be answered; what it wraps is its cause. Nil when none does.
func outermost(err error) error {
	switch x := err.(type) {
	case *gatehouse.RPCError, *wire.Error, *gatehouse.Error:
		return x
	case interface{ Unwrap() error }:
		return outermost(x.Unwrap())
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			if found := outermost(e); found != nil {
				return found
			}
		}
	}
	return nil
}

// rpcStatus is the HTTP status of a code (MCP 2026-07-28, "error handling"; legacy answers are 200).
func rpcStatus(c int64, era gatehouse.Era) int {
	if era != gatehouse.Modern {
		return http.StatusOK
	}
	switch c {
	case gatehouse.CodeMethodNotFound:
		return http.StatusNotFound
	case gatehouse.CodeParse, gatehouse.CodeInvalidRequest, gatehouse.CodeInvalidParams, gatehouse.CodeHeaderMismatch,
		gatehouse.CodeMissingCapability, gatehouse.CodeUnsupportedRev:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// house writes an error of our own.
func house(ge *gatehouse.Error, callID string) (wire.RPC, int) {
	msg := ge.Msg
	if ge.Hint != "" {
		msg += " (hint: " + ge.Hint + ")"
	}
	e := wire.RPC{Code: gatehouse.CodeInternal, Message: msg, Data: code(ge.Code, callID)}
	switch stage, _, _ := strings.Cut(ge.Code, "."); {
	case ge.Code == "auth.required", ge.Code == "auth.invalid", ge.Code == "auth.expired", ge.Code == "auth.conflict":
		return e, http.StatusUnauthorized
	case ge.Code == "auth.unavailable", ge.Code == "audit.unavailable":
		return e, http.StatusServiceUnavailable
	case stage == "auth":
		return e, http.StatusForbidden
	case ge.Code == "access.denied":
		e.Message = "Refused: " + ge.Code + "; call " + callID
		return e, http.StatusForbidden
	case ge.Code == "route.unknown_server":
		return e, http.StatusNotFound
	}
	return e, http.StatusOK
}

func code(c, callID string) []byte {
	o := wire.Object{{Name: "code", Value: wire.String(c)}}
	if callID != "" {
		o = append(o, wire.Member{Name: "call", Value: wire.String(callID)})
	}
	return o.Bytes()
}
