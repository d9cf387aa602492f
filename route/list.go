package route

import (
	"encoding/binary"
	"strconv"

	"gatehouse"
	"gatehouse/wire"
)

// Lists by method: the member of the result and the entries.
func (v *View) list(method string) (member string, entries []Entry, ok bool) {
	switch method {
	case "tools/list":
		return "tools", v.Tools, true
	case "prompts/list":
		return "prompts", v.Prompts, true
	case "resources/list":
		return "resources", v.Resources, true
	case "resources/templates/list":
		return "resourceTemplates", v.Templates, true
	}
	return "", nil, false
}

// List returns one page of a list in the form of the revision. class names the set of principals that see the same
// entries; see tells whether they see one. Pages are rendered once per class and then served as bytes.
func (v *View) List(method, revision, class string, cursor *string, see func(*Entry) bool) ([]byte, error) {
	member, entries, ok := v.list(method)
	if !ok {
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "Method not found: " + method}
	}
	bind := []byte(v.srv.Name + "\x00" + method + "\x00" + class)
	from := 0
	if cursor != nil {
		plain, err := v.srv.cursors.Open(*cursor, bind)
		if err != nil || len(plain) != 4 {
			return nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Invalid cursor: it was not issued for this list; list again without one"}
		}
		from = int(binary.BigEndian.Uint32(plain))
	}
	key := pageKey{method, revision, class, from}
	page := v.pages.get(key)
	if page == nil {
		page = v.render(member, revision, entries, from, bind, see)
		v.pages.put(key, page)
	}
	return page, nil
}

func (v *View) render(member, revision string, entries []Entry, from int, bind []byte, see func(*Entry) bool) []byte {
	out := append([]byte(`{"`), member...)
	out = append(out, `":[`...)
	n, i := 0, from // from counts entries before filtering, so a cursor says nothing of what is hidden
	for ; i < len(entries) && n < v.srv.pageSize; i++ {
		if !see(&entries[i]) {
			continue
		}
		def := definition(revision, member, entries[i].Published(member))
		if def == nil {
			continue
		}
		if n > 0 && len(out)+len(def) > pageBytes {
			break
		}
		if n++; n > 1 {
			out = append(out, ',')
		}
		out = append(out, def...)
	}
	out = append(out, ']')
	for ; i < len(entries) && !see(&entries[i]); i++ { // no empty last page
	}
	if i < len(entries) {
		out = append(out, `,"nextCursor":`...)
		out = wire.AppendString(out, v.srv.cursors.Seal(binary.BigEndian.AppendUint32(nil, uint32(i)), bind))
	}
	meta := wire.Object{}
	if revision >= gatehouse.Revision20260728 {
		out = append(out, `,"resultType":"complete","ttlMs":0,"cacheScope":"private"`...)
		meta = append(meta, wire.Member{Name: "io.modelcontextprotocol/serverInfo", Value: v.srv.Info(revision)})
	}
	if len(v.Broken) > 0 {
		list := []byte{'['}
		for i, b := range v.Broken {
			if i > 0 {
				list = append(list, ',')
			}
			list = append(list, wire.Object{{Name: "source", Value: wire.String(b.Label)}, {Name: "reason", Value: wire.String(reason(b.Err))}}.Bytes()...)
		}
		meta = append(meta, wire.Member{Name: "dev.gatehouse/unavailable", Value: append(list, ']')})
	}
	if len(meta) > 0 {
		out = append(append(out, `,"_meta":`...), meta.Bytes()...)
	}
	return append(out, '}')
}

// reason is what a caller may know of a broken source: never the cause.
func reason(err error) string {
	if e, ok := err.(*gatehouse.Error); ok {
		return e.Msg
	}
	return "not available"
}

// definition adapts a definition to a revision: members that came later are left out (protocol revisions 2025-06-18 and
// 2025-11-25, "changelog").
func definition(revision, member string, def []byte) []byte {
	if revision >= gatehouse.Revision20260728 {
		return def
	}
	o, ok := wire.ParseObject(def)
	if !ok {
		return def
	}
	n := len(o)
	if member == "tools" {
		if out := o.Get("outputSchema"); out != nil {
			schema, _ := wire.ParseObject(out)
			if t, _ := wire.Text(schema.Get("type")); revision < gatehouse.Revision20250618 || t != "object" {
				o = o.Delete("outputSchema")
			}
		}
	}
	if revision < gatehouse.Revision20251125 {
		o = o.Delete("icons")
	}
	if revision < gatehouse.Revision20250618 {
		o = o.Delete("title", "_meta")
	}
	if revision < gatehouse.Revision20250326 {
		o = o.Delete("annotations")
	}
	if len(o) == n {
		return def
	}
	return o.Bytes()
}

// Info is the server's Implementation object.
func (s *Server) Info(revision string) []byte {
	o := wire.Object{{Name: "name", Value: wire.String("gatehouse")}}
	if s.Title != "" && revision >= gatehouse.Revision20250618 {
		o = append(o, wire.Member{Name: "title", Value: wire.String(s.Title)})
	}
	return append(o, wire.Member{Name: "version", Value: wire.String(gatehouse.Version)}).Bytes()
}

// Offers tells which kinds of entry the server has, or may have again once a broken source is back. Their lists are what
// a client can be told of changes of.
func (v *View) Offers() (tools, prompts, resources bool) {
	broken := len(v.Broken) > 0
	prompts, resources = len(v.Prompts) > 0 || broken, len(v.Resources)+len(v.Templates) > 0 || broken
	return len(v.Tools) > 0 || broken || !prompts && !resources, prompts, resources
}

// Describe is the result of initialize (legacy revisions) and of server/discover.
func (v *View) Describe(revision string, supported []string) []byte {
	modern := revision >= gatehouse.Revision20260728
	caps := wire.Object{}
	listChanged := []byte(`{"listChanged":true}`)
	tools, prompts, resources := v.Offers()
	if tools {
		caps = append(caps, wire.Member{Name: "tools", Value: listChanged})
	}
	if prompts {
		caps = append(caps, wire.Member{Name: "prompts", Value: listChanged})
	}
	if resources {
		r := listChanged
		if v.Subscribe {
			r = []byte(`{"subscribe":true,"listChanged":true}`)
		}
		caps = append(caps, wire.Member{Name: "resources", Value: r})
	}
	if v.Logging {
		caps = append(caps, wire.Member{Name: "logging", Value: []byte("{}")})
	}
	if v.Completions {
		caps = append(caps, wire.Member{Name: "completions", Value: []byte("{}")})
	}
	if v.UI {
		caps = append(caps, wire.Member{Name: "extensions", Value: []byte(`{"io.modelcontextprotocol/ui":{}}`)})
	}
	o := wire.Object{}
	if modern {
		list := []byte{'['}
		for i, r := range supported {
			if i > 0 {
				list = append(list, ',')
			}
			list = wire.AppendString(list, r)
		}
		o = append(o, wire.Member{Name: "resultType", Value: []byte(`"complete"`)}, wire.Member{Name: "supportedVersions", Value: append(list, ']')})
	} else {
		o = append(o, wire.Member{Name: "protocolVersion", Value: wire.String(revision)})
	}
	o = append(o, wire.Member{Name: "capabilities", Value: caps.Bytes()})
	if v.Instructions != "" {
		o = append(o, wire.Member{Name: "instructions", Value: wire.String(v.Instructions)})
	}
	if modern {
		o = append(o, wire.Member{Name: "ttlMs", Value: []byte(strconv.Itoa(0))}, wire.Member{Name: "cacheScope", Value: []byte(`"private"`)},
			wire.Member{Name: "_meta", Value: wire.Object{{Name: "io.modelcontextprotocol/serverInfo", Value: v.srv.Info(revision)}}.Bytes()})
	} else {
		o = append(o, wire.Member{Name: "serverInfo", Value: v.srv.Info(revision)})
	}
	return o.Bytes()
}
