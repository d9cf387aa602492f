// Package identity finds out who is calling. Credentials come in, a Principal goes out; the credential itself goes no
// further. Whoever is unsure answers no.
package identity

import (
	"context"
	"errors"
	"net/netip"

	"gatehouse"
)

// Credentials is what a request offers as proof.
type Credentials struct {
	Bearer       gatehouse.Secret // Authorization: Bearer
	Key          gatehouse.Secret // x-functions-key, api-key or Ocp-Apim-Subscription-Key; the first present
	Conflict     bool             // two different credentials were sent: refused
	Source       netip.Addr
	Server       string // published server the request is for
	LoopbackBind bool   // the listener is bound to loopback
}

// ErrNone says that the credentials hold nothing for this authenticator; the next one is asked.
var ErrNone = errors.New("no credential of this kind")

// Authenticator is one way to sign in.
type Authenticator interface {
	// Authenticate returns the principal, ErrNone, or a *gatehouse.Error (auth.*) that ends the chain.
	Authenticate(ctx context.Context, c *Credentials) (*gatehouse.Principal, error)
}

// Chain asks its members in order; the first answer that is not ErrNone counts. When all say ErrNone the caller has no
// usable credential: *gatehouse.Error auth.required.
type Chain []Authenticator

// Authenticate implements Authenticator.
func (ch Chain) Authenticate(ctx context.Context, c *Credentials) (*gatehouse.Principal, error) {
	if c.Conflict {
		return nil, &gatehouse.Error{Code: "auth.conflict", Msg: "the request carries two different credentials", Hint: "send one access key, in one header"}
	}
	for _, a := range ch {
		p, err := a.Authenticate(ctx, c)
		if errors.Is(err, ErrNone) {
			continue
		}
		return p, err
	}
	return nil, &gatehouse.Error{Code: "auth.required", Msg: "no credential was sent", Hint: "send an access key as Authorization: Bearer; gatehouse keys create makes one"}
}

// Anonymous lets callers in without a credential, from loopback to a loopback listener alone unless Network is set.
type Anonymous struct {
	Network bool // auth.allowAnonymousOnNetwork
}

// Authenticate implements Authenticator. A request that does carry a credential is not anonymous: ErrNone.
func (a Anonymous) Authenticate(_ context.Context, c *Credentials) (*gatehouse.Principal, error) {
	if !c.Bearer.IsZero() || !c.Key.IsZero() {
		return nil, ErrNone
	}
	if !a.Network && (!c.LoopbackBind || !c.Source.Unmap().IsLoopback()) {
		return nil, ErrNone
	}
	return &gatehouse.Principal{Kind: gatehouse.Anonymous, ID: "anonymous", Name: "anonymous", Source: c.Source}, nil
}
