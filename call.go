package gatehouse

import (
	"context"
	"net/http"
	"time"
)

// Call is one request of a client, parsed once. Every stage judges this value and nothing else; the backend gets a fresh
// envelope written from it. Members of type []byte hold JSON that passed the strict parse, with one reading only; they must
// not be changed in place.
type Call struct {
	ID     string // unique; named in errors, logs and the record
	Server string // the published server
	Method string // MCP method, e.g. "tools/call"
	Name   string // params.name of tools/call and prompts/get, params.uri of resources methods; as the caller wrote it

	Arguments     []byte      // params.arguments of tools/call and prompts/get; nil when absent
	Params        []byte      // params of every other method, without _meta; nil when absent
	Meta          []byte      // params._meta without the members of Gatehouse and of the era; nil when nothing is left
	ProgressToken []byte      // as the caller wrote it; nil when it wants no progress
	LogLevel      string      // least level of log messages wanted; "" is none (modern) or the server's default (legacy)
	Cursor        *string     // of a list; nil when absent, and "" is a cursor
	Headers       http.Header // the Mcp-Param-* headers of a modern HTTP request, canonical names, empty when it has none; nil where there are no headers

	InputResponses []byte               // answers to an earlier Input, an object by request key; nil when absent
	InputErrors    map[string]*RPCError // questions that a legacy caller answered with an error, by request key
	RequestState   string               // sealed state as the client sent it back; "" when absent
	State          []byte               // what RequestState holds for the backend; set by the gateway once the seal is checked

	Client    Client
	Principal *Principal
	Target    Target // set by the route stage
	Peer      Peer   // never nil
	Received  time.Time
}

// Client is what is known of the calling program. All of it is the client's own claim: never an input to a decision.
type Client struct {
	Era          Era
	Revision     string // protocol revision of this request
	Name         string
	Version      string
	Capabilities Capabilities
	Session      string // short public id of the legacy session; "" in the modern era and on stdio
}

// Capabilities says what a client can be asked, and Raw carries the object it declared.
type Capabilities struct {
	Elicitation    bool // form mode
	ElicitationURL bool
	Sampling       bool
	SamplingTools  bool
	Roots          bool
	UI             bool   // extension io.modelcontextprotocol/ui
	Raw            []byte // clientCapabilities as declared; nil when empty
}

// Class names the set of things the client can be asked, for keys of caches and pools. It has at most 64 values.
func (c Capabilities) Class() string {
	b := make([]byte, 0, 6)
	for _, f := range []struct {
		on bool
		r  byte
	}{{c.Elicitation, 'e'}, {c.ElicitationURL, 'l'}, {c.Sampling, 's'}, {c.SamplingTools, 't'}, {c.Roots, 'r'}, {c.UI, 'u'}} {
		if f.on {
			b = append(b, f.r)
		}
	}
	return string(b)
}

// Target is where the route stage sends a call.
type Target struct {
	Source string // the source's label within the server, for the record
	Name   string // the backend's own name or URI
	Tool   *Tool  // of tools/call; nil otherwise
}

// Peer is the way back to the caller while its call runs.
type Peer interface {
	// Notify sends a notification that belongs to this call. A caller that is gone is not an error.
	Notify(ctx context.Context, method string, params []byte) error
	// CanAsk reports whether Ask works: true for a legacy caller that reads a stream, or stdio.
	CanAsk() bool
	// Ask sends a request to the caller and waits for its result. An error answer is an *RPCError.
	Ask(ctx context.Context, method string, params []byte) ([]byte, error)
}
