package openapi

import (
	"slices"
	"strings"

	"gatehouse/wire"
)

// response reads what the operation answers: media types to accept, and the schema of a JSON answer.
func (p *Plan) response() {
	d := p.doc
	o, _ := wire.ParseObject(p.Op.op.raw)
	responses, _ := wire.ParseObject(o.Get("responses"))
	good := wire.Object{}
	for _, m := range responses {
		if len(m.Name) == 3 && m.Name[0] == '2' {
			good = append(good, m)
		}
	}
	slices.SortStableFunc(good, func(a, b wire.Member) int { return strings.Compare(strings.ToUpper(a.Name), strings.ToUpper(b.Name)) })
	if def := responses.Get("default"); def != nil && len(good) == 0 {
		good = append(good, wire.Member{Name: "default", Value: def})
	}
	var media []string
	for _, m := range good {
		n, err := d.deref(node{p.Op.op.f, m.Value})
		if err != nil {
			continue
		}
		ro, _ := wire.ParseObject(n.raw)
		if d.Revision == "2.0" {
			media = d.produces(o)
			if schema := ro.Get("schema"); schema != nil && p.Output == nil && (len(media) == 0 || slices.ContainsFunc(media, jsonMedia)) {
				p.Output = d.outputSchema(node{n.f, schema})
			}
			continue
		}
		content, _ := wire.ParseObject(ro.Get("content"))
		for _, c := range content {
			media = append(media, c.Name)
			if !jsonMedia(c.Name) || p.Output != nil {
				continue
			}
			mn, err := d.deref(node{n.f, c.Value})
			if err != nil {
				continue
			}
			mo, _ := wire.ParseObject(mn.raw)
			if schema := mo.Get("schema"); schema != nil {
				p.Output = d.outputSchema(node{mn.f, schema})
			}
		}
	}
	p.Accept = accept(media)
}

func (d *Doc) produces(op wire.Object) []string {
	list, ok := wire.Elements(op.Get("produces"))
	if !ok {
		list, _ = wire.Elements(d.top.Get("produces"))
	}
	var out []string
	for _, e := range list {
		if s, ok := wire.Text(e); ok {
			out = append(out, s)
		}
	}
	return out
}

func jsonMedia(s string) bool {
	base, _, _ := strings.Cut(strings.ToLower(s), ";")
	base = strings.TrimSpace(base)
	return base == "application/json" || base == "text/json" || strings.HasSuffix(base, "+json")
}

// accept is the header for media types: JSON first, others after it, and anything at all last.
func accept(media []string) string {
	var list []string
	for _, json := range []bool{true, false} {
		for _, m := range media {
			if major, sub, ok := strings.Cut(m, "/"); jsonMedia(m) == json && ok && major != "" && sub != "" && printable(m) && !strings.Contains(m, ",") && !slices.Contains(list, m) && len(list) < 6 {
				list = append(list, m)
			}
		}
	}
	switch {
	case len(list) == 0 || list[0] == "*/*":
		return "application/json, */*;q=0.8"
	case slices.Contains(list, "*/*"):
		return strings.Join(list, ", ")
	}
	return strings.Join(list, ", ") + ", */*;q=0.1"
}

// outputSchema converts the schema of an answer; nil when it says nothing.
func (d *Doc) outputSchema(n node) []byte {
	for level := range levels {
		c := d.converter(true, level)
		root, err := d.deref(n)
		if err != nil {
			return nil
		}
		o, ok := wire.ParseObject(c.schema(root, at{}))
		if !ok || len(o) == 0 {
			return nil
		}
		if s := o.Get("type"); string(s) == `["object","null"]` || s == nil && o.Has("properties") {
			o = o.Set("type", []byte(`"object"`))
		}
		out := c.finish(o)
		if len(out) <= c.budget || level == len(levels)-1 {
			if string(out) == "{}" {
				return nil
			}
			return out
		}
	}
	return nil
}
