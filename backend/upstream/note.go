package upstream

import (
	"bytes"
	"slices"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/wire"
)

// note takes a notification.
func (ss *session) note(m wire.Message, from *run) {
	o, _ := wire.ParseObject(m.Params)
	switch m.Method {
	case "notifications/progress":
		token := string(o.Get("progressToken"))
		r := from
		if r == nil {
			for _, x := range ss.flying() {
				if x.token != "" && x.token == token {
					r = x
				}
			}
		}
		if r == nil || r.token == "" || r.token != token {
			return
		}
		if !r.advance(o.Get("progress")) {
			return
		}
		if c := r.listener(); c != nil && c.ProgressToken != nil {
			r.tell(ss.src, note{c, m.Method, o.Set("progressToken", c.ProgressToken).Bytes()}, from != nil)
		}
	case "notifications/message":
		r, whose := from, true
		if r == nil {
			r, whose = ss.oldest()
		}
		if !whose {
			return
		}
		if r == nil {
			ss.src.env.Emit(backend.Event{Kind: backend.Message, Principal: ss.principal, Method: m.Method, Params: bytes.Clone(m.Params)})
			return
		}
		if c := r.listener(); c != nil && wantsLevel(c, o) {
			r.tell(ss.src, note{c, m.Method, m.Params}, from != nil)
		}
	case "notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed":
		ss.src.stale()
		// Said at once, as the upstream said it: what it changed may be back before it is looked at.
		ss.src.env.Emit(backend.Event{Kind: listEvents[m.Method]})
	case "notifications/resources/updated":
		if uri, ok := wire.Text(o.Get("uri")); ok && ss.src.subs.has(uri) {
			ss.src.env.Emit(backend.Event{Kind: backend.Updated, URI: uri})
		}
	case "notifications/elicitation/complete":
		ss.src.env.Emit(backend.Event{Kind: backend.Message, Principal: ss.principal, Method: m.Method, Params: bytes.Clone(m.Params)})
	}
}

var listEvents = map[string]backend.EventKind{
	"notifications/tools/list_changed":     backend.ToolsChanged,
	"notifications/prompts/list_changed":   backend.PromptsChanged,
	"notifications/resources/list_changed": backend.ResourcesChanged,
}

var levels = [maxLevels]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// wantsLevel reports whether the caller wants a log message. A modern caller that named no level wants none.
func wantsLevel(c *gatehouse.Call, o wire.Object) bool {
	if c.LogLevel == "" {
		return c.Client.Era == gatehouse.Legacy
	}
	level, _ := wire.Text(o.Get("level"))
	i := slices.Index(levels[:], level)
	return i >= 0 && i >= slices.Index(levels[:], c.LogLevel)
}
