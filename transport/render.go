package transport

import (
	"slices"

	"gatehouse"
	"gatehouse/wire"
)

var (
	serverInfo = wire.Object{{Name: "name", Value: wire.String("gatehouse")}, {Name: "version", Value: wire.String(gatehouse.Version)}}.Bytes()
	serverMeta = wire.Object{{Name: MetaServerInfo, Value: serverInfo}}.Bytes() // _meta of a result that has none
	complete   = []byte(`"complete"`)
)

// Render writes a result in the form of the caller's revision. Members it does not own stay as the backend wrote them,
// byte for byte.
func Render(revision, method string, r *gatehouse.Result) []byte {
	if r.Final {
		return r.Raw
	}
	var buf [12]wire.Member
	o, ok := wire.AppendMembers(buf[:0], r.Raw)
	if !ok {
		return r.Raw
	}
	if revision < gatehouse.Revision20260728 {
		return renderLegacy(revision, method, o, r.Raw)
	}
	var room [4]wire.Member
	raw, add := renderModern(method, o, r.Raw, room[:0])
	if len(add) == 0 {
		return raw
	}
	return splice(make([]byte, 0, len(raw)+192), raw, add)
}

// AppendResponse writes the whole response with the rendered result.
func AppendResponse(dst, id []byte, revision, method string, r *gatehouse.Result) []byte {
	var buf [12]wire.Member
	var room [4]wire.Member
	dst = slices.Grow(dst, len(r.Raw)+len(id)+256)
	if !r.Final && revision >= gatehouse.Revision20260728 {
		if o, ok := wire.AppendMembers(buf[:0], r.Raw); ok { // what most answers are, without a copy in between
			raw, add := renderModern(method, o, r.Raw, room[:0])
			return append(splice(wire.OpenResult(dst, id), raw, add), '}')
		}
	}
	return wire.AppendResult(dst, id, Render(revision, method, r))
}

// renderModern finds what every modern result has and this one lacks. It returns the result and, in add, what is to be put
// behind its members.
func renderModern(method string, o wire.Object, raw []byte, add wire.Object) ([]byte, wire.Object) {
	if !o.Has("resultType") {
		add = append(add, wire.Member{Name: "resultType", Value: complete})
	}
	if method == "resources/read" {
		if !o.Has("ttlMs") {
			add = append(add, wire.Member{Name: "ttlMs", Value: []byte("0")})
		}
		// An identity took part in the answer, so nobody else may be served it, whatever the upstream says.
		if string(o.Get("cacheScope")) != `"private"` {
			if o.Has("cacheScope") {
				o = o.Set("cacheScope", []byte(`"private"`))
				raw = o.Bytes()
			} else {
				add = append(add, wire.Member{Name: "cacheScope", Value: []byte(`"private"`)})
			}
		}
	}
	if meta := o.Get("_meta"); meta == nil {
		add = append(add, wire.Member{Name: "_meta", Value: serverMeta})
	} else if m, ok := wire.ParseObject(meta); ok {
		raw = o.Set("_meta", m.Set(MetaServerInfo, serverInfo).Bytes()).Bytes()
	}
	return raw, add
}

// splice writes the object raw with members put behind its own, whose bytes it leaves alone.
func splice(out, raw []byte, add wire.Object) []byte {
	if len(add) == 0 {
		return append(out, raw...)
	}
	end := len(raw) - 1
	for raw[end] != '}' {
		end--
	}
	empty := true
	for i := end - 1; i >= 0; i-- {
		if c := raw[i]; c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			empty = c == '{'
			break
		}
	}
	out = append(out, raw[:end]...)
	for _, m := range add {
		if !empty {
			out = append(out, ',')
		}
		empty = false
		out = append(append(wire.AppendString(out, m.Name), ':'), m.Value...)
	}
	return append(out, '}')
}

// renderLegacy removes what came after the caller's revision.
func renderLegacy(revision, method string, o wire.Object, raw []byte) []byte {
	n, changed := len(o), false
	o = o.Delete("resultType", "ttlMs", "cacheScope")
	if meta := o.Get("_meta"); meta != nil {
		if m, ok := wire.ParseObject(meta); ok && m.Has(MetaServerInfo) {
			if m = m.Delete(MetaServerInfo); len(m) == 0 {
				o = o.Delete("_meta")
			} else {
				o, changed = o.Set("_meta", m.Bytes()), true
			}
		}
	}
	if method == "tools/call" {
		if sc := o.Get("structuredContent"); sc != nil && (revision < gatehouse.Revision20250618 || !wire.IsObject(sc)) {
			o = o.Delete("structuredContent")
		}
	}
	if revision < gatehouse.Revision20250618 {
		member := map[string]string{"tools/call": "content", "prompts/get": "messages"}[method]
		if list := o.Get(member); member != "" && list != nil {
			if down := downgrade(revision, member, list); down != nil {
				o, changed = o.Set(member, down), true
			}
		}
	}
	if len(o) == n && !changed {
		return raw
	}
	return o.Bytes()
}

// downgrade turns content blocks that an older revision does not know into text; nil when there are none.
func downgrade(revision, member string, list []byte) []byte {
	el, ok := wire.Elements(list)
	if !ok {
		return nil
	}
	changed := false
	out := []byte{'['}
	for i, e := range el {
		if i > 0 {
			out = append(out, ',')
		}
		if member == "messages" {
			m, _ := wire.ParseObject(e)
			if d := block(revision, m.Get("content")); d != nil {
				e, changed = m.Set("content", d).Bytes(), true
			}
		} else if d := block(revision, e); d != nil {
			e, changed = d, true
		}
		out = append(out, e...)
	}
	if !changed {
		return nil
	}
	return append(out, ']')
}

func block(revision string, b []byte) []byte {
	o, ok := wire.ParseObject(b)
	if !ok {
		return nil
	}
	text := func(s string) []byte {
		return wire.Object{{Name: "type", Value: []byte(`"text"`)}, {Name: "text", Value: wire.String(s)}}.Bytes()
	}
	switch kind, _ := wire.Text(o.Get("type")); {
	case kind == "resource_link":
		uri, _ := wire.Text(o.Get("uri"))
		name, _ := wire.Text(o.Get("name"))
		return text(name + " " + uri)
	case kind == "audio" && revision < gatehouse.Revision20250326:
		mime, _ := wire.Text(o.Get("mimeType"))
		return text("[audio " + mime + ", which this protocol revision cannot carry]")
	}
	return nil
}
