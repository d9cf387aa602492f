// Package backend is the contract of what does the work behind a published server: an upstream MCP server, later a REST
// API, Azure, a function. A Source gets calls that have passed every stage before it, and promises to send no request
// that a Call did not ask for, save those that keep its catalogue and its connection.
package backend

import (
	"context"
	"log/slog"
	"time"

	"gatehouse"
	"gatehouse/config"
)

// Source is one entry of a server's sources: list. It is safe for concurrent use.
type Source interface {
	// Catalog returns what the source offers a client that can be asked what caps says. It answers from memory when it
	// can; the first call, or one after an invalidation, waits for the upstream, at most as long as ctx. When the
	// source is broken it returns the last good catalogue with Err set (during the grace time), or an empty one with Err.
	// Never nil.
	Catalog(ctx context.Context, caps gatehouse.Capabilities) *Catalog
	// Call takes tools/call, prompts/get, resources/read and completion/complete. c.Target.Name is the source's own
	// name. Errors: *gatehouse.RPCError is answered as it stands; *gatehouse.Error (source.unavailable, source.timeout,
	// source.protocol, source.parked_lost …) names the source; the ctx's error when the caller is gone. A Call with State
	// whose ctx has ended already asks the source to let go of what the State stands for.
	Call(ctx context.Context, c *gatehouse.Call) (*gatehouse.Result, error)
	// Subscribe asks for Updated events of a resource, by the source's own URI; calls are counted, each needs one
	// Unsubscribe.
	Subscribe(ctx context.Context, uri string) error
	Unsubscribe(uri string)
	// RootsChanged tells the source that this principal's client has other roots now.
	RootsChanged(ctx context.Context, p *gatehouse.Principal)
	// Status is for people: config check, the log, later the portal.
	Status() Status
	// Close ends all connections and children. It waits for calls in flight until ctx is done.
	Close(ctx context.Context) error
}

// Catalog is what a source offers. It is immutable; two catalogues with the same Version are equal.
type Catalog struct {
	Version      uint64           // changes with every change of content, never 0
	Tools        []gatehouse.Tool // Name and definition as the source has them, unprefixed; order of the source
	Prompts      []gatehouse.Tool
	Resources    []gatehouse.Tool // Name is the URI
	Templates    []gatehouse.Tool // Name is the URI template
	Completions  bool
	Logging      bool
	Subscribe    bool
	Instructions string
	UI           bool // declares the extension io.modelcontextprotocol/ui
	Era          gatehouse.Era
	Err          error // why the source is not usable now; nil when it is
}

// Status tells how a source is.
type Status struct {
	State string // "connecting", "ready", "broken", "quarantined", "closed"
	Era   gatehouse.Era
	Since time.Time
	Err   error
}

// EventKind is what happened at a source outside of any call.
type EventKind uint8

// The kinds of event.
const (
	ToolsChanged EventKind = 1 + iota
	PromptsChanged
	ResourcesChanged // resources or templates
	Updated          // one resource; URI is set
	Message          // any other notification for one principal's legacy stream; Method and Params are set
)

// Event happened at a source outside of any call.
type Event struct {
	Kind      EventKind
	URI       string // the source's own
	Principal string // of a Message: whose upstream session it came on; "" for nobody in particular
	Method    string
	Params    []byte
}

// Env is what a source needs of the house.
type Env struct {
	Server string // published server, for logs
	Label  string // the source's label, unique within the server: prefix or position
	Log    *slog.Logger
	Limits config.Limits
	Egress config.Egress
	Emit   func(Event) // never blocks, never nil
	Now    func() time.Time
}

// Kind opens sources of one kind: one row of the table in builtin.
type Kind struct {
	Key  string                                           // the key in the configuration: "mcp", "command", "openapi"
	Open func(src config.Source, env Env) (Source, error) // does not wait for the upstream
}
