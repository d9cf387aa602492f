package transport

import (
	"fmt"
	"slices"
	"time"

	"gatehouse"
	"gatehouse/gateway"
	"gatehouse/wire"
)

// Origin is what a transport knows of a request besides its message.
type Origin struct {
	Server    string
	Principal *gatehouse.Principal
	Peer      gatehouse.Peer
	Received  time.Time
	Client    gatehouse.Client // of a legacy session; the modern era brings its own
	LogLevel  string           // of a legacy session
}

// Methods that a client may request, by era; every other is -32601.
var (
	modernMethods = []string{
		"tools/call", "tools/list", "server/discover", "resources/read", "prompts/get", "prompts/list", "resources/list",
		"resources/templates/list", "completion/complete", "subscriptions/listen",
	}
	legacyMethods = []string{
		"tools/call", "tools/list", "initialize", "ping", "resources/read", "prompts/get", "prompts/list", "resources/list",
		"resources/templates/list", "completion/complete", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
	}
	logLevels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)

// maxState bounds the sealed state that a caller sends back.
const maxState = 16 << 10

func invalid(format string, a ...any) *gatehouse.RPCError {
	return &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Invalid params: " + fmt.Sprintf(format, a...)}
}

// Parts is a message's params split into members, so that all who look at them need not do it again.
type Parts struct{ Params, Meta wire.Object }

// Split splits verified params and their _meta into room that its caller has. What is no object has no members.
func Split(params []byte, room, metaRoom []wire.Member) (p Parts) {
	p.Params, _ = wire.AppendMembers(room, params)
	p.Meta, _ = wire.AppendMembers(metaRoom, p.Params.Get("_meta"))
	return p
}

// Decode makes a Call of a request. The error is a *gatehouse.RPCError.
func Decode(m wire.Message, modern bool, from Origin) (*gatehouse.Call, error) {
	var room, metaRoom [12]wire.Member
	return DecodeParts(m, Split(m.Params, room[:0], metaRoom[:0]), modern, from)
}

// DecodeParts is Decode for a message whose params have been split.
func DecodeParts(m wire.Message, p Parts, modern bool, from Origin) (*gatehouse.Call, error) {
	params, meta := p.Params, p.Meta
	c := &gatehouse.Call{
		ID: gateway.NewID(), Server: from.Server, Method: m.Method, Principal: from.Principal, Peer: from.Peer,
		Received: from.Received, Client: from.Client, LogLevel: from.LogLevel,
	}
	if err := wire.KnownMembers(params, "name", "uri", "arguments", "cursor", "_meta", "inputResponses", "requestState", "ref", "argument", "level", "notifications"); err != nil {
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidRequest, Message: err.Error()}
	}
	raw := params.Get("_meta")
	if raw != nil && !wire.IsObject(raw) {
		return nil, invalid(`"_meta" must be an object`)
	}
	methods := legacyMethods
	if modern {
		methods = modernMethods
		if err := decodeClient(c, meta); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(methods, m.Method) {
		msg := "Method not found: " + m.Method
		if modern && m.Method == "initialize" {
			msg += fmt.Sprintf("; this endpoint speaks %v, and the legacy ones only without %s", gateway.Supported, MetaRevision)
		}
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: msg}
	}
	c.ProgressToken = meta.Get("progressToken")
	if t := c.ProgressToken; t != nil && wire.CheckID(t) != nil {
		return nil, invalid(`"progressToken" must be a string or an integer`)
	}
	c.Meta = rest(meta)
	return c, decodeParams(c, params, m.Params, modern)
}

// rest is what of _meta travels on: neither the era's own members nor baggage, which nobody vouches for.
func rest(meta wire.Object) []byte {
	var out wire.Object
	for _, m := range meta {
		switch m.Name {
		case "progressToken", MetaRevision, MetaCapabilities, MetaClientInfo, MetaLogLevel, "baggage":
		default:
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out.Bytes()
}

// decodeClient reads what a modern request says of its client.
func decodeClient(c *gatehouse.Call, meta wire.Object) error {
	c.Client = gatehouse.Client{Era: gatehouse.Modern}
	rev, ok := wire.Text(meta.Get(MetaRevision))
	if !ok {
		return &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Invalid params: _meta must carry " + MetaRevision}
	}
	if rev != gatehouse.Revision20260728 {
		return Unsupported(rev)
	}
	c.Client.Revision = rev
	caps := meta.Get(MetaCapabilities)
	if !wire.IsObject(caps) {
		return invalid("_meta must carry the object %s; it may be {}", MetaCapabilities)
	}
	c.Client.Capabilities = Capabilities(caps)
	if c.LogLevel = ""; meta.Has(MetaLogLevel) {
		level, _ := wire.Text(meta.Get(MetaLogLevel))
		if !ValidLogLevel(level) {
			return invalid("%s must be one of %v", MetaLogLevel, logLevels)
		}
		c.LogLevel = level
	}
	c.Client.Name, c.Client.Version = clientInfo(meta.Get(MetaClientInfo))
	return nil
}

// Unsupported is the answer to a revision that is not spoken here.
func Unsupported(asked string) *gatehouse.RPCError {
	list := []byte{'['}
	for i, r := range gateway.Supported {
		if i > 0 {
			list = append(list, ',')
		}
		list = wire.AppendString(list, r)
	}
	return &gatehouse.RPCError{
		Code: gatehouse.CodeUnsupportedRev, Message: "Unsupported protocol version: " + clip(asked, 64),
		Data: wire.Object{{Name: "supported", Value: append(list, ']')}, {Name: "requested", Value: wire.String(clip(asked, 64))}}.Bytes(),
	}
}

// ValidLogLevel reports whether level is one of the eight of RFC 5424.
func ValidLogLevel(level string) bool { return slices.Contains(logLevels, level) }

func clientInfo(raw []byte) (name, version string) {
	if raw == nil {
		return "", ""
	}
	var room [8]wire.Member
	o, _ := wire.AppendMembers(room[:0], raw)
	name, _ = wire.Text(o.Get("name"))
	version, _ = wire.Text(o.Get("version"))
	return clip(name, 128), clip(version, 64)
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// Capabilities reads a ClientCapabilities object, verified.
func Capabilities(raw []byte) gatehouse.Capabilities {
	o, _ := wire.ParseObject(raw)
	if len(o) == 0 {
		return gatehouse.Capabilities{}
	}
	c := gatehouse.Capabilities{Raw: raw, Roots: wire.IsObject(o.Get("roots"))}
	if e, ok := wire.ParseObject(o.Get("elicitation")); ok {
		c.ElicitationURL = e.Has("url")
		c.Elicitation = e.Has("form") || !c.ElicitationURL // {} means form mode
	}
	if s, ok := wire.ParseObject(o.Get("sampling")); ok {
		c.Sampling, c.SamplingTools = true, s.Has("tools")
	}
	ext, _ := wire.ParseObject(o.Get("extensions"))
	c.UI = wire.IsObject(ext.Get("io.modelcontextprotocol/ui"))
	return c
}

// decodeParams reads the members of params by method.
func decodeParams(c *gatehouse.Call, params wire.Object, raw []byte, modern bool) error {
	text := func(member string) (string, error) {
		s, ok := wire.Text(params.Get(member))
		if !ok || s == "" || len(s) > 8<<10 {
			return "", invalid("%q must be a string of 1 to 8192 bytes", member)
		}
		return s, nil
	}
	var err error
	switch c.Method {
	case "tools/call", "prompts/get":
		if c.Name, err = text("name"); err != nil {
			return err
		}
		if c.Arguments = params.Get("arguments"); c.Arguments != nil && !wire.IsObject(c.Arguments) {
			return invalid(`"arguments" must be an object`)
		}
	case "resources/read", "resources/subscribe", "resources/unsubscribe":
		if c.Name, err = text("uri"); err != nil {
			return err
		}
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list":
		if raw := params.Get("cursor"); raw != nil {
			s, ok := wire.Text(raw)
			if !ok {
				return invalid(`"cursor" must be a string`)
			}
			c.Cursor = &s
		}
	case "completion/complete":
		if !wire.IsObject(params.Get("ref")) || !wire.IsObject(params.Get("argument")) {
			return invalid(`"ref" and "argument" must be objects`)
		}
		c.Params = slices.Clone(params).Delete("_meta").Bytes()
	case "logging/setLevel":
		if c.LogLevel, _ = wire.Text(params.Get("level")); !ValidLogLevel(c.LogLevel) {
			return invalid(`"level" must be one of %v`, logLevels)
		}
	case "subscriptions/listen":
		if !wire.IsObject(params.Get("notifications")) {
			return invalid(`"notifications" must be an object`)
		}
		c.Params = params.Get("notifications")
	case "initialize":
		c.Params = raw
	}
	if !modern {
		return nil
	}
	switch c.Method {
	case "tools/call", "prompts/get", "resources/read":
		if c.InputResponses = params.Get("inputResponses"); c.InputResponses != nil {
			answers, ok := wire.ParseObject(c.InputResponses)
			if !ok {
				return invalid(`"inputResponses" must be an object`)
			}
			for _, a := range answers {
				if !wire.IsObject(a.Value) {
					return invalid("the answer %q in inputResponses must be an object", clip(a.Name, 64))
				}
			}
		}
		if raw := params.Get("requestState"); raw != nil {
			s, ok := wire.Text(raw)
			if !ok || s == "" || len(s) > maxState {
				return invalid(`"requestState" must be a string of 1 to %d bytes`, maxState)
			}
			c.RequestState = s
		}
	}
	return nil
}

// DecodeInitialize reads the params of initialize into what a legacy session knows of its client.
func DecodeInitialize(c *gatehouse.Call) error {
	o, ok := wire.ParseObject(c.Params)
	asked, isText := wire.Text(o.Get("protocolVersion"))
	if !ok || !isText {
		return invalid(`"protocolVersion" must be a string`)
	}
	if caps := o.Get("capabilities"); caps != nil && !wire.IsObject(caps) {
		return invalid(`"capabilities" must be an object`)
	}
	c.Client = gatehouse.Client{Era: gatehouse.Legacy, Revision: LegacyRevision(asked), Capabilities: Capabilities(o.Get("capabilities"))}
	c.Client.Name, c.Client.Version = clientInfo(o.Get("clientInfo"))
	return nil
}

// DecodeListen reads the params of subscriptions/listen.
func DecodeListen(c *gatehouse.Call) (gateway.Want, error) {
	o, _ := wire.ParseObject(c.Params)
	flag := func(name string) bool { return string(o.Get(name)) == "true" }
	w := gateway.Want{Tools: flag("toolsListChanged"), Prompts: flag("promptsListChanged"), Resources: flag("resourcesListChanged")}
	if raw := o.Get("resourceSubscriptions"); raw != nil {
		el, ok := wire.Elements(raw)
		if !ok || len(el) > 256 {
			return w, invalid(`"resourceSubscriptions" must be an array of at most 256 URIs`)
		}
		for _, e := range el {
			uri, ok := wire.Text(e)
			if !ok {
				return w, invalid(`"resourceSubscriptions" must be an array of strings`)
			}
			w.URIs = append(w.URIs, uri)
		}
	}
	return w, nil
}
