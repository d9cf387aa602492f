package openapi

import (
	"fmt"
	"strings"

	"gatehouse/wire"
)

// param is one parameter as it goes on the wire.
type param struct {
	name, in    string // in: path, query, header, cookie, querystring
	style       string // matrix, label, simple, form, spaceDelimited, pipeDelimited, tabDelimited, deepObject, cookie
	explode     bool
	reserved    bool   // reserved characters of the value stay as they are
	media       string // of a parameter described by its content; "" for one described by a style
	required    bool
	deprecated  bool
	description []byte
	schema      node // zero when there is none
}

// params reads the parameters of an operation: its own, and those of its path that it does not override. Those of
// Swagger 2.0 that describe the body are returned apart.
func (d *Doc) params(x *Operation) (list []param, body []wire.Object, files []node, warn []string, err error) {
	type key struct{ in, name string }
	at := map[key]int{}
	read := func(n node) error {
		o, _ := wire.ParseObject(n.raw)
		el, _ := wire.Elements(o.Get("parameters"))
		if len(el) > maxParams {
			return fmt.Errorf("it has more than %d parameters", maxParams)
		}
		for _, e := range el {
			pn, err := d.deref(node{n.f, e})
			if err != nil {
				return fmt.Errorf("a parameter cannot be read: %w", err)
			}
			po, ok := wire.ParseObject(pn.raw)
			name, in := text(po, "name"), text(po, "in")
			if !ok || name == "" && in != "body" || in == "" {
				warn = append(warn, "a parameter without name or place is left out")
				continue
			}
			if d.Revision == "2.0" && (in == "body" || in == "formData") {
				k := key{in, name}
				if in == "body" {
					k.name = ""
				}
				if i, have := at[k]; have {
					body[i], files[i] = po, pn
					continue
				}
				at[k] = len(body)
				body, files = append(body, po), append(files, pn)
				continue
			}
			p, why := d.param(pn, po, name, in)
			if why != "" {
				warn = append(warn, fmt.Sprintf("parameter %s: %s", name, why))
				continue
			}
			k := key{in, name}
			if in == "header" {
				k.name = strings.ToLower(name)
			}
			if i, have := at[k]; have {
				list[i] = p
				continue
			}
			at[k] = len(list)
			list = append(list, p)
		}
		return nil
	}
	if err = read(x.item); err == nil {
		err = read(x.op)
	}
	return list, body, files, warn, err
}

// param reads one parameter; why says why it is left out.
func (d *Doc) param(n node, o wire.Object, name, in string) (p param, why string) {
	p = param{name: name, in: in, required: string(o.Get("required")) == "true", deprecated: string(o.Get("deprecated")) == "true", description: o.Get("description")}
	switch in {
	case "path":
		p.required = true
	case "header":
		if d.Revision != "2.0" {
			switch strings.ToLower(name) {
			case "accept", "content-type", "authorization":
				return p, "headers of this name are not described as parameters, and left out (OpenAPI, \"Parameter Object\")"
			}
		}
		if !isToken(name) {
			return p, "is no header name"
		}
		switch strings.ToLower(name) {
		case "host", "content-length", "connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive", "cookie", "proxy-authorization", "proxy-connection":
			return p, "this header is not the caller's to set"
		}
	case "query", "cookie", "querystring":
	default:
		return p, fmt.Sprintf("%q is no place for a parameter", in)
	}
	if d.Revision == "2.0" {
		p.swagger(n, o)
		return p, ""
	}
	if c, ok := wire.ParseObject(o.Get("content")); ok && len(c) > 0 {
		p.media = c[0].Name
		m, err := d.deref(node{n.f, c[0].Value})
		if err != nil {
			return p, err.Error()
		}
		mo, _ := wire.ParseObject(m.raw)
		p.schema = node{m.f, mo.Get("schema")}
		return p, ""
	}
	if in == "querystring" {
		return p, "a querystring needs content"
	}
	if s := o.Get("schema"); s != nil {
		p.schema = node{n.f, s}
	}
	p.style = text(o, "style")
	if !styles[in+" "+p.style] {
		p.style = map[string]string{"path": "simple", "header": "simple", "query": "form", "cookie": "form"}[in]
	}
	p.explode = p.style == "form" || p.style == "cookie"
	if e := o.Get("explode"); e != nil {
		p.explode = string(e) == "true"
	}
	p.reserved = string(o.Get("allowReserved")) == "true" && (in == "query" || d.Revision >= "3.2" && in == "path")
	return p, ""
}

// styles are the styles each place has (OpenAPI 3.2, "Style Values").
var styles = map[string]bool{
	"path simple": true, "path label": true, "path matrix": true, "header simple": true, "cookie form": true, "cookie cookie": true,
	"query form": true, "query spaceDelimited": true, "query pipeDelimited": true, "query deepObject": true,
}

// swagger reads the members that Swagger 2.0 has in place of style and schema.
func (p *param) swagger(n node, o wire.Object) {
	p.schema = n // type, items, enum and so on stand in the parameter itself
	p.style, p.explode = collection(text(o, "collectionFormat"), p.in)
}

// collection is the style that a collectionFormat means.
func collection(format, in string) (style string, explode bool) {
	style = "simple"
	if in == "query" || in == "formData" {
		style = "form"
	}
	switch format {
	case "ssv":
		style = "spaceDelimited"
	case "tsv":
		style = "tabDelimited"
	case "pipes":
		style = "pipeDelimited"
	case "multi":
		explode = true
	}
	return style, explode
}
