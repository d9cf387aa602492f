// Package route holds the published servers: which sources stand behind each, under which names their tools, prompts and
// resources are published, and where a call goes. A Table is immutable; a reload makes another.
package route

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/internal/seal"
)

// Table is the published servers of one configuration.
type Table struct {
	Servers map[string]*Server
}

// Server is one published server.
type Server struct {
	Name         string
	Title        string
	Instructions string
	LegacySSE    bool
	Sources      []*Source

	pageSize int
	cursors  *seal.Box

	mu    sync.Mutex
	views map[string]*View // by class of capabilities, at most 64
}

// Source is one source of a server, with the names it is published under.
type Source struct {
	backend.Source
	Label     string // prefix, or position from 1
	Prefix    string
	Config    config.Source
	uriPrefix string // "" publishes URIs as they are
}

// Open makes the table of cfg. Sources of old with the same settings are carried over; open makes the others and must
// not wait for an upstream.
func Open(cfg *config.Config, old *Table, cursors *seal.Box, open func(srv *config.Server, src config.Source, label string) (backend.Source, error)) (*Table, error) {
	t := &Table{Servers: make(map[string]*Server, len(cfg.Servers))}
	for name, sc := range cfg.Servers {
		s := &Server{
			Name: name, Title: sc.Title, Instructions: sc.Instructions, LegacySSE: sc.LegacySSE,
			pageSize: cfg.Limits.PageSize, cursors: cursors, views: map[string]*View{},
		}
		for i, src := range sc.Sources {
			label := src.Prefix
			if label == "" {
				label = strconv.Itoa(i + 1)
			}
			rs := &Source{Label: label, Prefix: src.Prefix, Config: src}
			if src.Prefix != "" && len(sc.Sources) > 1 {
				rs.uriPrefix = uriPrefix(src.Prefix)
			}
			if o := old.find(name, label, src); o != nil {
				rs.Source = o
			} else {
				b, err := open(sc, src, label)
				if err != nil {
					return nil, fmt.Errorf("open source %s of server %s: %w", label, name, err)
				}
				rs.Source = b
			}
			s.Sources = append(s.Sources, rs)
		}
		t.Servers[name] = s
	}
	return t, nil
}

// find returns the open source of the same place and settings.
func (t *Table) find(server, label string, src config.Source) backend.Source {
	if t == nil || t.Servers[server] == nil {
		return nil
	}
	for _, s := range t.Servers[server].Sources {
		a, b := s.Config, src
		a.Pos, b.Pos = gatehouse.Pos{}, gatehouse.Pos{}
		if s.Label == label && reflect.DeepEqual(a, b) {
			return s.Source
		}
	}
	return nil
}

// Has reports whether the open source is part of the table.
func (t *Table) Has(b backend.Source) bool {
	if t == nil {
		return false
	}
	for _, s := range t.Servers {
		for _, src := range s.Sources {
			if src.Source == b {
				return true
			}
		}
	}
	return false
}

// Source returns the source with the label, or nil.
func (s *Server) Source(label string) *Source {
	for _, src := range s.Sources {
		if src.Label == label {
			return src
		}
	}
	return nil
}

// uriPrefix makes what is put before the scheme of a source's URIs out of its prefix: "gh_" publishes file:///x as
// gh+file:///x, which is a valid URI and can be undone.
func uriPrefix(prefix string) string {
	p := strings.ToLower(strings.Trim(strings.ReplaceAll(prefix, "_", "-"), "-."))
	if p == "" || p[0] < 'a' || p[0] > 'z' {
		p = "s" + p
	}
	return p + "+"
}

// ui:// names the resources of MCP Apps, which hosts recognise by their scheme: the prefix goes behind it.
const uiScheme = "ui://"

func (s *Source) publishURI(uri string) string {
	if s.uriPrefix == "" || uri == "" {
		return uri
	}
	if rest, ok := strings.CutPrefix(uri, uiScheme); ok {
		return uiScheme + s.uriPrefix + rest
	}
	return s.uriPrefix + uri
}

// PublishURI turns the source's own URI into the published one.
func (s *Source) PublishURI(uri string) string { return s.publishURI(uri) }

// ownURI undoes publishURI; false when the URI is not of this source's form.
func (s *Source) ownURI(uri string) (string, bool) {
	if s.uriPrefix == "" {
		return uri, true
	}
	if rest, ok := strings.CutPrefix(uri, uiScheme+s.uriPrefix); ok {
		return uiScheme + rest, true
	}
	return strings.CutPrefix(uri, s.uriPrefix)
}

// patience is how long the callers of a server wait for a source that has not answered yet and has neighbours.
const patience = 3 * time.Second

// ended is a context that waits for nothing.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// View returns what the server offers clients of this class of capabilities now.
func (s *Server) View(ctx context.Context, caps gatehouse.Capabilities) *View {
	class := caps.Class()
	s.mu.Lock()
	v := s.views[class]
	s.mu.Unlock()
	var one [1]*backend.Catalog
	cats := one[:]
	if len(s.Sources) == 1 {
		one[0] = s.Sources[0].Catalog(ctx, caps)
	} else {
		cats = s.catalogs(ctx, caps)
	}
	if v != nil && v.sameAs(cats) {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.views { // most sources offer all classes the same
		if o.isOf(cats) {
			s.views[class] = o
			return o
		}
	}
	v = newView(s, slices.Clone(cats))
	s.views[class] = v
	return v
}

// catalogs asks all sources. What they know already is taken as it is: a source tells when it knows something else. Only for
// one that is still connecting do the callers of its neighbours wait a while.
func (s *Server) catalogs(ctx context.Context, caps gatehouse.Capabilities) []*backend.Catalog {
	cats := make([]*backend.Catalog, len(s.Sources))
	var wg sync.WaitGroup
	for i, src := range s.Sources {
		cats[i] = src.Catalog(ended, caps)
		if cats[i].Err == nil || src.Status().Err != nil {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			cats[i] = src.Catalog(ctx, caps)
		})
	}
	wg.Wait()
	return cats
}
