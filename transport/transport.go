// Package transport turns bytes into calls and results into bytes: what the HTTP endpoint and standard input share. It
// decides the era of every request, reads it once, and writes answers in the form of the caller's revision.
package transport

import (
	"context"

	"gatehouse"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/wire"
)

// Gateway is what a transport needs of the pipeline.
type Gateway interface {
	HasServer(name string) (legacySSE, ok bool)
	Admit(ctx context.Context, cred *identity.Credentials) (*gatehouse.Principal, error)
	Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error)
	Listen(ctx context.Context, c *gatehouse.Call, want gateway.Want) (*gateway.Stream, gateway.Want, error)
	RootsChanged(ctx context.Context, server string, p *gatehouse.Principal)
}

// Members of _meta (MCP 2026-07-28, "_meta").
const (
	MetaRevision     = "io.modelcontextprotocol/protocolVersion"
	MetaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	MetaClientInfo   = "io.modelcontextprotocol/clientInfo"
	MetaLogLevel     = "io.modelcontextprotocol/logLevel"
	MetaServerInfo   = "io.modelcontextprotocol/serverInfo"
	MetaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// Modern decides the era of a request by its version header, "" where there is none, or by the metadata in its body. A
// request that is modern in one of the two only is modern, and fails there.
func Modern(header string, params []byte) bool {
	if header >= gatehouse.Revision20260728 {
		return true
	}
	var buf, mbuf [12]wire.Member
	o, _ := wire.AppendMembers(buf[:0], params)
	meta := o.Get("_meta")
	if meta == nil {
		return false
	}
	mo, _ := wire.AppendMembers(mbuf[:0], meta)
	return mo.Has(MetaRevision)
}

// LegacyRevision answers initialize: the revision asked for when it is spoken here, else the newest legacy one.
func LegacyRevision(asked string) string {
	switch asked {
	case gatehouse.Revision20241105, gatehouse.Revision20250326, gatehouse.Revision20250618, gatehouse.Revision20251125:
		return asked
	}
	return gatehouse.Revision20251125
}
