// Package egress is the one way out of Gatehouse: every outgoing connection is dialled here.
//
// A Guard resolves a host name once, checks every address against the ranges that must not be reached, and connects to an address
// it has checked. A Client sends requests to one origin through pooled connections, reads the answer strictly and within bounds,
// never follows a redirect and never looks at the environment for a proxy.
package egress

import (
	"context"
	"errors"
	"fmt"
	"os"

	"gatehouse"
)

// Codes of the *gatehouse.Error values of this package. A caller whose context has ended gets the context's error instead.
const (
	CodeAllow     = "egress.allow"              // an entry of egress.allow is wrong
	CodeURL       = "egress.url"                // the URL of an origin is not acceptable
	CodeBlocked   = "egress.blocked"            // the address must not be reached
	CodeDial      = "egress.dial"               // no name, no address or no connection
	CodeTLS       = "egress.tls"                // the TLS handshake failed
	CodeRequest   = "egress.request"            // the request was refused before a byte was sent
	CodeClosed    = "egress.closed"             // the client was closed
	CodeTimeout   = "egress.timeout"            // no complete answer head in time
	CodeBroken    = "egress.broken"             // the connection failed before there was an answer
	CodeHead      = "egress.response_head"      // malformed status line or header field
	CodeHeadSize  = "egress.response_head_size" // too many header fields or bytes
	CodeFraming   = "egress.response_framing"   // ambiguous or malformed length of the body
	CodeTruncated = "egress.response_truncated" // the body ended early
	CodeEncoding  = "egress.response_encoding"  // a compression that is not accepted, damaged or a bomb
)

const hintUpstream = "the server at the other end does not keep to HTTP; look at its log, or ask whoever runs it"

// fault makes the error of an exchange with host.
func fault(code, host, msg string, cause error) error {
	e := &gatehouse.Error{Code: code, Msg: fmt.Sprintf("%s: %s", host, msg), Err: cause, Hint: hintUpstream}
	switch code {
	case CodeTimeout, CodeBroken, CodeTruncated:
		e.Hint = "see whether the server at the other end runs and answers; then try again"
	case CodeRequest:
		e.Hint = "correct the request; nothing has been sent"
	case CodeEncoding:
		e.Hint = "let the server at the other end send plain bodies, or gzip within the limits"
	case CodeTLS:
		e.Hint = "see whether its certificate is valid for this name and issued by an authority this machine trusts"
	case CodeClosed:
		e.Hint = "the configuration has changed; try again"
	}
	return e
}

// ended returns the error of a context that has ended, else nil.
func ended(ctx context.Context, doing, host string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", doing, host, err)
	}
	return nil
}

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}
