package route

import "gatehouse/wire"

// Publish rewrites the source's own URIs in a result to the published ones. Results of a source without a URI prefix
// pass untouched.
func (s *Source) Publish(method string, raw []byte) []byte {
	if s.uriPrefix == "" || raw == nil {
		return raw
	}
	o, ok := wire.ParseObject(raw)
	if !ok {
		return raw
	}
	switch method {
	case "tools/call":
		if c := o.Get("content"); c != nil {
			o = o.Set("content", s.each(c, s.block))
		}
	case "resources/read":
		if c := o.Get("contents"); c != nil {
			o = o.Set("contents", s.each(c, s.uri))
		}
	case "prompts/get":
		if m := o.Get("messages"); m != nil {
			o = o.Set("messages", s.each(m, func(m []byte) []byte {
				msg, ok := wire.ParseObject(m)
				if !ok || msg.Get("content") == nil {
					return m
				}
				return msg.Set("content", s.block(msg.Get("content"))).Bytes()
			}))
		}
	default:
		return raw
	}
	return o.Bytes()
}

func (s *Source) each(array []byte, f func([]byte) []byte) []byte {
	el, ok := wire.Elements(array)
	if !ok {
		return array
	}
	out := []byte{'['}
	for i, e := range el {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, f(e)...)
	}
	return append(out, ']')
}

// block maps the URI of a content block: a resource_link's own, an embedded resource's inner one.
func (s *Source) block(b []byte) []byte {
	o, ok := wire.ParseObject(b)
	if !ok {
		return b
	}
	switch t, _ := wire.Text(o.Get("type")); t {
	case "resource_link":
		return s.uri(b)
	case "resource":
		if r := o.Get("resource"); r != nil {
			return o.Set("resource", s.uri(r)).Bytes()
		}
	}
	return b
}

func (s *Source) uri(b []byte) []byte {
	o, ok := wire.ParseObject(b)
	if !ok {
		return b
	}
	if uri, ok := wire.Text(o.Get("uri")); ok {
		return o.Set("uri", wire.String(s.publishURI(uri))).Bytes()
	}
	return b
}

// OwnRef rewrites the ref of completion/complete to the source's own name or URI.
func OwnRef(params []byte, e *Entry) []byte {
	o, _ := wire.ParseObject(params)
	ref, ok := wire.ParseObject(o.Get("ref"))
	if !ok {
		return params
	}
	member := "name"
	if ref.Has("uri") {
		member = "uri"
	}
	return o.Set("ref", ref.Set(member, wire.String(e.Own)).Bytes()).Bytes()
}
