// Package policy transforms a call on its way in and its result on the way out.
package policy

import (
	"context"

	"gatehouse"
)

// Stage is the policies of one server. A Call must not be changed in place: Inbound returns the call to go on with.
type Stage interface {
	Inbound(ctx context.Context, c *gatehouse.Call) (*gatehouse.Call, error)
	Outbound(ctx context.Context, c *gatehouse.Call, r *gatehouse.Result) (*gatehouse.Result, error)
}

// None is the stage of a server without policies.
type None struct{}

// Inbound returns c.
func (None) Inbound(_ context.Context, c *gatehouse.Call) (*gatehouse.Call, error) { return c, nil }

// Outbound returns r.
func (None) Outbound(_ context.Context, _ *gatehouse.Call, r *gatehouse.Result) (*gatehouse.Result, error) {
	return r, nil
}
