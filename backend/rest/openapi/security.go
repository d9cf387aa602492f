package openapi

import (
	"net/url"
	"strings"

	"gatehouse/wire"
)

// Scheme is a security scheme of the document.
type Scheme struct {
	Type     string // apiKey, http, oauth2, openIdConnect or mutualTLS
	In, Name string // of an apiKey: header, query or cookie, and its name
	Scheme   string // of http: basic, bearer, …
	Flow     string // of oauth2: clientCredentials when the scheme has it, else the first it has
	TokenURL string // of oauth2; may be relative
	Scopes   []string
}

// Security returns the document's security schemes by name.
func (d *Doc) Security() map[string]Scheme {
	raw := d.top.Get("securityDefinitions")
	if d.Revision != "2.0" {
		components, _ := wire.ParseObject(d.top.Get("components"))
		raw = components.Get("securitySchemes")
	}
	list, _ := wire.ParseObject(raw)
	out := make(map[string]Scheme, len(list))
	for _, m := range list {
		n, err := d.deref(node{d.root, m.Value})
		o, ok := wire.ParseObject(n.raw)
		if err != nil || !ok {
			continue
		}
		s := Scheme{Type: text(o, "type"), In: text(o, "in"), Name: text(o, "name"), Scheme: strings.ToLower(text(o, "scheme"))}
		switch s.Type {
		case "basic": // Swagger 2.0
			s.Type, s.Scheme = "http", "basic"
		case "oauth2":
			s.oauth(o)
		}
		out[m.Name] = s
	}
	return out
}

func (s *Scheme) oauth(o wire.Object) {
	flow := func(name string, f wire.Object) {
		s.Flow, s.TokenURL = name, text(f, "tokenUrl")
		s.Scopes = nil
		scopes, _ := wire.ParseObject(f.Get("scopes"))
		for _, m := range scopes {
			s.Scopes = append(s.Scopes, m.Name)
		}
	}
	if o.Has("flow") { // Swagger 2.0
		name := text(o, "flow")
		if name == "application" {
			name = "clientCredentials"
		}
		flow(name, o)
		return
	}
	flows, _ := wire.ParseObject(o.Get("flows"))
	for i, m := range flows {
		if f, ok := wire.ParseObject(m.Value); ok && (i == 0 || m.Name == "clientCredentials") {
			flow(m.Name, f)
		}
	}
}

// security reads what a call must carry: the operation's own requirement, else the document's.
func (p *Plan) security() {
	o, _ := wire.ParseObject(p.Op.op.raw)
	raw := o.Get("security")
	if raw == nil {
		raw = p.doc.top.Get("security")
	}
	alternatives, _ := wire.Elements(raw)
	for _, a := range alternatives {
		schemes, _ := wire.ParseObject(a)
		needs := []Need{}
		for _, s := range schemes {
			n := Need{Scheme: s.Name}
			scopes, _ := wire.Elements(s.Value)
			for _, e := range scopes {
				if t, ok := wire.Text(e); ok {
					n.Scopes = append(n.Scopes, t)
				}
			}
			needs = append(needs, n)
		}
		p.Security = append(p.Security, needs)
	}
}

// server finds the server in force: the operation's, the path's or the document's first.
func (p *Plan) server() {
	d := p.doc
	if d.Revision == "2.0" {
		p.Base = swaggerBase(d.top, p.Op)
		return
	}
	item, _ := wire.ParseObject(p.Op.item.raw)
	op, _ := wire.ParseObject(p.Op.op.raw)
	for i, o := range []wire.Object{op, item, d.top} {
		servers, _ := wire.Elements(o.Get("servers"))
		for _, s := range servers {
			so, _ := wire.ParseObject(s)
			if u := text(so, "url"); u != "" {
				p.Base, p.OwnBase = d.fill(u, so), i < 2
				return
			}
		}
	}
}

// fill puts values in place of the variables of a server's URL.
func (d *Doc) fill(u string, server wire.Object) string {
	vars, _ := wire.ParseObject(server.Get("variables"))
	return braces.ReplaceAllStringFunc(u, func(m string) string {
		name := m[1 : len(m)-1]
		if v, ok := d.opt.Variables[name]; ok {
			return v
		}
		vo, _ := wire.ParseObject(vars.Get(name))
		if v, ok := wire.Text(vo.Get("default")); ok {
			return v
		}
		if raw := vo.Get("default"); raw != nil {
			return string(raw)
		}
		if el, _ := wire.Elements(vo.Get("enum")); len(el) > 0 {
			v, _ := wire.Text(el[0])
			return v
		}
		return m
	})
}

func swaggerBase(root wire.Object, x *Operation) string {
	op, _ := wire.ParseObject(x.op.raw)
	base := text(root, "basePath")
	host := text(root, "host")
	if host == "" {
		return base
	}
	scheme := ""
	for _, o := range []wire.Object{op, root} {
		list, _ := wire.Elements(o.Get("schemes"))
		for _, e := range list {
			if s, _ := wire.Text(e); (s == "https" || s == "http") && scheme != "https" {
				scheme = s
			}
		}
		if scheme != "" {
			break
		}
	}
	if scheme == "" {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: host, Path: base}
	return u.String()
}
