package gatehouse

// Result is what a backend answered: either Raw, or Input.
type Result struct {
	Raw     []byte // the result object, verified, as the backend wrote it
	IsError bool   // the tool itself says it failed (tools/call)
	Final   bool   // Raw is in its final form for the caller's revision: the transport writes it as it stands
	Input   *Input // the backend needs answers of the caller first; Raw is nil then
}

// Input is a backend's wish to ask the caller something before it goes on (MCP 2026-07-28, multi round-trip requests).
// The gateway asks a legacy caller in line and sends a modern one an input_required result; either way the backend gets
// the same Call again, with InputResponses and State.
type Input struct {
	Requests []InputRequest
	State    []byte // for the backend alone; the gateway seals it. At most 8 KiB; nil when it needs none
}

// InputRequest is one question: elicitation/create, sampling/createMessage or roots/list.
type InputRequest struct {
	Key    string
	Method string
	Params []byte // verified object; nil when absent
}

// Risk is the class of effect a tool has. It comes from our tables, an administrator or a reviewed registry entry, never
// from an upstream server's annotations.
type Risk string

// The risk classes. A tool nobody classed is Write.
const (
	Read   Risk = "read"
	Write  Risk = "write"
	Delete Risk = "delete"
	Reveal Risk = "secret"
	Egress Risk = "egress"
	Exec   Risk = "exec"
)

// Tool is one tool, prompt, resource or resource template that a server publishes. It is immutable.
type Tool struct {
	Name    string        // exposed name, or URI (template) for resources
	Def     []byte        // the definition object as listed, verified; nil when Define makes it
	Define  func() []byte // makes what Def would hold, when somebody wants it; nil when it cannot. Safe for concurrent use
	Text    func() string // words to find it by, when those of the definition cost too much to make; nil otherwise
	Risk    Risk          // tools only
	Headers []HeaderParam // arguments mirrored in Mcp-Param-* headers (x-mcp-header); tools only
}

// Definition returns the definition object under the backend's own name: verified, not to be changed, and nil when there
// is none.
func (t *Tool) Definition() []byte {
	if t.Def == nil && t.Define != nil {
		return t.Define()
	}
	return t.Def
}

// HeaderParam is an argument that a modern client repeats in a header (MCP 2026-07-28, section on custom headers).
type HeaderParam struct {
	Header string   // full canonical name, e.g. "Mcp-Param-Region"
	Path   []string // property names from the root of the arguments
	Type   string   // "string", "integer" or "boolean"
}
