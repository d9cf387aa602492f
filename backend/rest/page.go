package rest

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/backend/rest/openapi"
	"gatehouse/wire"
)

// next is a hint that there is more: for the model, and for programs.
type next struct {
	text string
	meta []byte
}

// nextFields are the members of an answer that lead to its next page, by their names in common use.
var nextFields = [][]string{
	{"next_cursor"},
	{"nextCursor"},
	{"next_page_token"},
	{"nextPageToken"},
	{"next_token"},
	{"nextToken"},
	{"NextToken"},
	{"NextMarker"},
	{"nextLink"},
	{"@odata.nextLink"},
	{"odata.nextLink"},
	{"continuationToken"},
	{"continuation_token"},
	{"next_page"},
	{"nextPage"},
	{"next_page_url"},
	{"next_url"},
	{"next"},
	{"links", "next"},
	{"_links", "next", "href"},
	{"paging", "next"},
	{"paging", "cursors", "after"},
	{"pagination", "next_cursor"},
	{"pagination", "next_url"},
	{"pagination", "next"},
	{"meta", "next_cursor"},
	{"meta", "next"},
	{"response_metadata", "next_cursor"},
	{"page_info", "end_cursor"},
	{"pageInfo", "endCursor"},
}

// cursorArgs are the names of arguments that take a cursor, whatever the answer calls it.
var cursorArgs = []string{
	"cursor", "pagetoken", "nexttoken", "continuationtoken", "marker", "after", "startingafter", "pagecursor", "nextcursor", "token", "skiptoken", "offset", "page",
}

// next looks for more in the header Link and in the members of the answer.
func (p *planned) next(r *openapi.Request, a *answer) *next {
	if n := p.link(r, a); n != nil {
		return n
	}
	root, ok := wire.ParseObject(a.body)
	if !ok {
		return nil
	}
	if more := root.Get("has_more"); string(more) == "false" {
		return nil
	}
	for _, path := range nextFields {
		o := root
		for _, name := range path[:len(path)-1] {
			o, _ = wire.ParseObject(o.Get(name))
		}
		last := path[len(path)-1]
		raw := o.Get(last)
		value, isText := wire.Text(raw)
		if !isText {
			if value = string(raw); value == "" || strings.Trim(value, "0123456789") != "" {
				continue
			}
		}
		if value == "" || len(value) > 4096 {
			continue
		}
		if isText && (strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://") || strings.HasPrefix(value, "/")) {
			return p.nextURL(r, value)
		}
		if arg := p.cursor(last); arg != nil {
			return p.nextArgs([]string{value}, []openapi.Arg{*arg})
		}
		if len(path) == 1 && (last == "next" || last == "next_page" || last == "nextPage") {
			continue // it may be anything
		}
		return &next{
			text: "There may be more: the answer has " + strings.Join(path, ".") + ".",
			meta: wire.Object{{Name: "field", Value: wire.String(strings.Join(path, "."))}, {Name: "value", Value: wire.String(value)}}.Bytes(),
		}
	}
	return nil
}

// plain is a name without case and marks.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// cursor finds the argument that takes what a member holds: one of its name, of its name without "next", or of a usual one.
func (p *planned) cursor(member string) *openapi.Arg {
	name := plain(member)
	for _, want := range append([]string{name, strings.TrimPrefix(name, "next"), strings.TrimPrefix(name, "end")}, cursorArgs...) {
		for i, a := range p.Args {
			if a.In == "query" && want != "" && plain(a.Name) == want {
				return &p.Args[i]
			}
		}
	}
	return nil
}

func (p *planned) nextArgs(values []string, args []openapi.Arg) *next {
	text := "There is more: call again with"
	o := wire.Object{}
	for i, a := range args {
		if i > 0 {
			text += " and"
		}
		name := strings.Join(a.Path, ".")
		text += " " + name + "=" + string(wire.String(values[i]))
		o = append(o, wire.Member{Name: name, Value: wire.String(values[i])})
	}
	return &next{text: text + ".", meta: wire.Object{{Name: "arguments", Value: o.Bytes()}}.Bytes()}
}

// link looks at the header Link (RFC 8288).
func (p *planned) link(r *openapi.Request, a *answer) *next {
	for _, v := range a.header.Values("Link") {
		for len(v) > 0 {
			open := strings.IndexByte(v, '<')
			end := strings.IndexByte(v, '>')
			if open < 0 || end < open {
				break
			}
			uri := v[open+1 : end]
			params := v[end+1:]
			if i := strings.Index(params, ",<"); i >= 0 {
				params, v = params[:i], params[i+1:]
			} else if i := strings.Index(params, ", <"); i >= 0 {
				params, v = params[:i], params[i+1:]
			} else {
				v = ""
			}
			for _, param := range strings.Split(params, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
				if strings.EqualFold(name, "rel") && slices.Contains(strings.Fields(strings.ToLower(strings.Trim(value, `"`))), "next") {
					return p.nextURL(r, uri)
				}
			}
		}
	}
	return nil
}

// nextURL says which arguments lead to a URL that the answer gives for the next page.
func (p *planned) nextURL(r *openapi.Request, uri string) *next {
	u, err := url.Parse(uri)
	if err != nil || len(uri) > 4096 {
		return nil
	}
	at, err := url.Parse(p.prefix + r.Path)
	if err != nil {
		return nil
	}
	to := at.ResolveReference(u)
	now, then := at.Query(), to.Query()
	if to.Path == at.Path {
		var args []openapi.Arg
		var values []string
		known := true
		for name, vals := range then {
			if slices.Equal(now[name], vals) {
				continue
			}
			i := slices.IndexFunc(p.Args, func(a openapi.Arg) bool { return a.In == "query" && a.Name == name })
			if i < 0 || len(vals) != 1 {
				known = false
				continue
			}
			args, values = append(args, p.Args[i]), append(values, vals[0])
		}
		if known && len(args) > 0 {
			order := make([]int, len(args))
			for i := range order {
				order[i] = i
			}
			slices.SortFunc(order, func(i, j int) int { return slices.Compare(args[i].Path, args[j].Path) })
			a, v := make([]openapi.Arg, len(args)), make([]string, len(args))
			for i, j := range order {
				a[i], v[i] = args[j], values[j]
			}
			return p.nextArgs(v, a)
		}
	}
	return &next{
		text: "There is more, at " + clip(uri, 1000) + " (call again with the arguments that lead there).",
		meta: wire.Object{{Name: "url", Value: wire.String(uri)}}.Bytes(),
	}
}
