package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/wire"
)

// View is a server as one class of clients sees it: the catalogues of its sources, merged under published names. It is
// immutable but for its cache of rendered pages.
type View struct {
	Completions, Logging, Subscribe, UI  bool
	Tools, Prompts, Resources, Templates []Entry
	Instructions                         string
	Broken                               []Broken // sources that are not usable now, in the file's order
	Hidden                               []error  // entries left out because another source has the name
	Search                               *Search  // of the tools of sources with expose: search; nil when there are none

	srv     *Server
	cats    []*backend.Catalog
	tools   map[string]*Entry
	prompts map[string]*Entry
	uris    map[string]*Entry

	pages pages
}

// Entry is a published tool, prompt, resource or template, and where it comes from.
type Entry struct {
	gatehouse.Tool // under its published name; the definition is the source's own, see Published
	Source         *Source
	Own            string // the source's own name or URI
}

// Broken is a source that is not usable now.
type Broken struct {
	Label string
	Err   error
}

func (v *View) sameAs(cats []*backend.Catalog) bool {
	for i, c := range cats {
		if v.cats[i] != c && (v.cats[i].Version != c.Version || (v.cats[i].Err == nil) != (c.Err == nil)) {
			return false
		}
	}
	return true
}

// isOf reports whether the view was made of these very catalogues.
func (v *View) isOf(cats []*backend.Catalog) bool { return slices.Equal(v.cats, cats) }

func newView(s *Server, cats []*backend.Catalog) *View {
	var tools, prompts, resources, templates int
	for _, c := range cats {
		tools, prompts = tools+len(c.Tools), prompts+len(c.Prompts)
		resources, templates = resources+len(c.Resources), templates+len(c.Templates)
	}
	// The indexes point into the lists, which therefore have their full size from the start.
	v := &View{
		srv: s, cats: cats, Instructions: s.Instructions,
		Tools: make([]Entry, 0, tools+len(searchDefs)), Prompts: make([]Entry, 0, prompts),
		Resources: make([]Entry, 0, resources), Templates: make([]Entry, 0, templates),
		tools: make(map[string]*Entry, tools), prompts: make(map[string]*Entry, prompts),
		uris: make(map[string]*Entry, resources+templates),
	}
	found := make([]Entry, 0, v.searched())
	if cap(found) > 0 {
		for _, t := range searchDefs {
			v.Tools = append(v.Tools, Entry{Tool: t, Own: t.Name})
			v.tools[t.Name] = &v.Tools[len(v.Tools)-1]
		}
	}
	for i, c := range cats {
		src := s.Sources[i]
		v.Completions = v.Completions || c.Completions
		v.Logging = v.Logging || c.Logging
		v.Subscribe = v.Subscribe || c.Subscribe
		v.UI = v.UI || c.UI
		if c.Err != nil {
			v.Broken = append(v.Broken, Broken{src.Label, c.Err})
		}
		if s.Instructions == "" && c.Instructions != "" {
			if v.Instructions != "" {
				v.Instructions += "\n\n"
			}
			v.Instructions += c.Instructions
		}
		if src.Config.Expose == "search" {
			found = v.add(found, v.tools, src, c.Tools, "tool", src.publishName)
		} else {
			v.Tools = v.add(v.Tools, v.tools, src, c.Tools, "tool", src.publishName)
		}
		v.Prompts = v.add(v.Prompts, v.prompts, src, c.Prompts, "prompt", src.publishName)
		v.Resources = v.add(v.Resources, v.uris, src, c.Resources, "resource", src.publishURI)
		v.Templates = v.add(v.Templates, v.uris, src, c.Templates, "resource template", src.publishURI)
	}
	if cap(found) > 0 {
		v.Search = newSearch(v, found)
	}
	return v
}

// searched is how many tools are found rather than listed.
func (v *View) searched() int {
	n := 0
	for i, c := range v.cats {
		if v.srv.Sources[i].Config.Expose == "search" {
			n += len(c.Tools)
		}
	}
	return n
}

// add publishes the entries of one source. The first source in the file keeps a name that two have.
func (v *View) add(list []Entry, index map[string]*Entry, src *Source, in []gatehouse.Tool, what string, publish func(string) string) []Entry {
	for _, t := range in {
		own := t.Name
		t.Name = publish(own)
		if o := index[t.Name]; o != nil {
			if o.Source != src {
				other := "by Gatehouse itself"
				if o.Source != nil {
					other = "by the one at " + o.Source.Config.Pos.String()
				}
				v.Hidden = append(v.Hidden, &gatehouse.Error{
					Code: "route.collision", Pos: src.Config.Pos,
					Msg:  fmt.Sprintf("server %s: %s %q is offered by this source and %s, which keeps the name", v.srv.Name, what, t.Name, other),
					Hint: `give one of the two sources a prefix, such as prefix: "b_"`,
				})
			}
			continue
		}
		list = append(list, Entry{Tool: t, Source: src, Own: own})
		index[t.Name] = &list[len(list)-1]
	}
	return list
}

func (s *Source) publishName(own string) string { return s.Prefix + own }

// Published is the entry's definition under its published name, nil when it has none. member is that of the list:
// "tools", "prompts", "resources" or "resourceTemplates".
func (e *Entry) Published(member string) []byte {
	def := e.Definition()
	if e.Source == nil || e.Source.Prefix == "" || def == nil {
		return def
	}
	if e.Name != e.Own {
		name := map[string]string{"resources": "uri", "resourceTemplates": "uriTemplate"}[member]
		def = rename(def, cmp.Or(name, "name"), e.Name)
	}
	if member == "tools" && e.Source.uriPrefix != "" {
		def = e.Source.mapUI(def)
	}
	return def
}

func rename(def []byte, member, name string) []byte {
	o, ok := wire.ParseObject(def)
	if !ok {
		return def
	}
	return o.Set(member, wire.String(name)).Bytes()
}

// mapUI rewrites _meta.ui.resourceUri, the resource with a tool's user interface (MCP Apps).
func (s *Source) mapUI(def []byte) []byte {
	o, _ := wire.ParseObject(def)
	meta, _ := wire.ParseObject(o.Get("_meta"))
	ui, _ := wire.ParseObject(meta.Get("ui"))
	if uri, ok := wire.Text(ui.Get("resourceUri")); ok {
		ui = ui.Set("resourceUri", wire.String(s.publishURI(uri)))
		return o.Set("_meta", meta.Set("ui", ui.Bytes()).Bytes()).Bytes()
	}
	return def
}

// Tool finds where a tool call goes. The error of a name that is not there is the same for a tool that does not exist
// and one the caller may not see.
func (v *View) Tool(name string) (*Entry, error) {
	return v.find(v.tools, name, "tool", func(s *Source) bool { return strings.HasPrefix(name, s.Prefix) })
}

// Prompt finds where prompts/get goes.
func (v *View) Prompt(name string) (*Entry, error) {
	return v.find(v.prompts, name, "prompt", func(s *Source) bool { return strings.HasPrefix(name, s.Prefix) })
}

func (v *View) find(index map[string]*Entry, name, what string, may func(*Source) bool) (*Entry, error) {
	if e := index[name]; e != nil {
		return e, nil
	}
	if err := v.maybeBroken(may); err != nil {
		return nil, err
	}
	return nil, &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "Unknown " + what + ": " + name}
}

// maybeBroken tells a name nobody has from one whose source cannot be asked just now.
func (v *View) maybeBroken(may func(*Source) bool) error {
	for i, c := range v.cats {
		if c.Err != nil && len(c.Tools)+len(c.Prompts)+len(c.Resources)+len(c.Templates) == 0 && may(v.srv.Sources[i]) {
			return c.Err
		}
	}
	return nil
}

// Resource finds where resources/read and subscriptions go: a listed URI, a template that fits, or the one source whose
// form the URI has.
func (v *View) Resource(uri string) (*Entry, error) {
	if e := v.uris[uri]; e != nil {
		return e, nil
	}
	for i := range v.Templates {
		if matchTemplate(v.Templates[i].Name, uri) {
			if own, ok := v.Templates[i].Source.ownURI(uri); ok {
				return &Entry{Tool: gatehouse.Tool{Name: uri}, Source: v.Templates[i].Source, Own: own}, nil
			}
		}
	}
	var plain *Source
	for i, s := range v.srv.Sources {
		c := v.cats[i]
		if s.uriPrefix != "" {
			if own, ok := s.ownURI(uri); ok {
				return &Entry{Tool: gatehouse.Tool{Name: uri}, Source: s, Own: own}, nil
			}
			continue
		}
		if plain == nil && (len(c.Resources)+len(c.Templates) > 0 || len(v.srv.Sources) == 1) {
			plain = s // results may link to resources that are not listed
		}
	}
	if plain != nil {
		return &Entry{Tool: gatehouse.Tool{Name: uri}, Source: plain, Own: uri}, nil
	}
	if err := v.maybeBroken(func(*Source) bool { return true }); err != nil {
		return nil, err
	}
	return nil, &gatehouse.RPCError{
		Code: gatehouse.CodeInvalidParams, Message: "Resource not found: " + uri,
		Data: wire.Object{{Name: "uri", Value: wire.String(uri)}}.Bytes(),
	}
}

// matchTemplate reports whether uri can come of the URI template (RFC 6570): its literal parts stand in order, and
// each expression covers at least one character.
func matchTemplate(tmpl, uri string) bool {
	for {
		open := strings.IndexByte(tmpl, '{')
		if open < 0 {
			return uri == tmpl
		}
		if !strings.HasPrefix(uri, tmpl[:open]) {
			return false
		}
		uri = uri[open:]
		end := strings.IndexByte(tmpl[open:], '}')
		if end < 0 {
			return false
		}
		tmpl = tmpl[open+end+1:]
		next := tmpl
		if i := strings.IndexByte(tmpl, '{'); i >= 0 {
			next = tmpl[:i]
		}
		if next == "" && tmpl == "" {
			return uri != ""
		}
		i := -1
		if tmpl == next { // the last literal must end the URI
			if !strings.HasSuffix(uri, next) || len(uri) <= len(next) {
				return false
			}
			i = len(uri) - len(next)
		} else if len(uri) > 1 {
			if i = strings.Index(uri[1:], next); i >= 0 {
				i++
			}
		}
		if i < 1 {
			return false
		}
		uri = uri[i:]
	}
}
