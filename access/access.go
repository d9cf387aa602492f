// Package access decides whether a principal may do something. One function decides for lists and for calls, so that what
// cannot be called is not seen; whoever is unsure answers no.
package access

import (
	"context"

	"gatehouse"
)

// Request is one question: may Principal do Method on Tool of Server?
type Request struct {
	Principal *gatehouse.Principal
	Server    string
	Method    string          // "tools/call" both when a tool is listed and when it is called; likewise prompts/get, resources/read
	Name      string          // exposed name or URI; "" for a method about the whole server
	Tool      *gatehouse.Tool // nil when Name is ""
	Arguments []byte          // nil when listing
}

// Decision answers a Request.
type Decision struct {
	Allow  bool
	Reason string // for the record and the admin; a caller sees only that it was refused
	Rule   string // id of the rule that decided
}

// Decider is the access stage.
type Decider interface {
	// Decide answers at once, without input or output. An error is a refusal.
	Decide(ctx context.Context, r *Request) (Decision, error)
	// Class names the set of principals that get the same answers for lists of this server, for caches of lists.
	Class(p *gatehouse.Principal, server string) string
}

// AllowAll lets every identified principal do everything. It is the stage until rules are configured; serve says so at start.
type AllowAll struct{}

// Decide allows.
func (AllowAll) Decide(_ context.Context, r *Request) (Decision, error) {
	if r.Principal == nil {
		return Decision{Reason: "no principal"}, nil
	}
	return Decision{Allow: true, Rule: "allow-all"}, nil
}

// Class is the same for all.
func (AllowAll) Class(*gatehouse.Principal, string) string { return "all" }
