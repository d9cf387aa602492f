package gateway

import (
	"context"
	"io"
	"slices"
	"sync"

	"gatehouse"
	"gatehouse/audit"
	"gatehouse/backend"
	"gatehouse/route"
	"gatehouse/wire"
)

// Want is what a listener wants to hear.
type Want struct {
	Tools, Prompts, Resources bool     // list_changed
	Messages                  bool     // other notifications for this principal: the GET stream of a legacy session
	URIs                      []string // resources/updated
}

const (
	maxMessages      = 256 // messages a slow listener may have waiting; the oldest are dropped
	maxSubscriptions = 256 // resources of one stream
)

// Stream is one listener's events. Events of one kind are merged while the listener is slow, so what waits is bounded.
type Stream struct {
	g         *Gateway
	server    string
	principal string
	want      Want

	signal chan struct{} // capacity 1
	mu     sync.Mutex
	done   bool
	lists  [3]bool // tools, prompts, resources
	uris   []string
	msgs   []message
	subs   map[string]subscription // by published URI
}

type subscription struct {
	source *route.Source
	own    string
}

type message struct {
	method string
	params []byte
}

// Listen opens a stream. c is the call that asks for it and passes route, access and the record like any other, once
// for each resource. granted is the part of want that is honoured.
func (g *Gateway) Listen(ctx context.Context, c *gatehouse.Call, want Want) (s *Stream, granted Want, err error) {
	srv := g.now.Load().table.Servers[c.Server]
	if srv == nil {
		return nil, Want{}, unknownServer(c.Server)
	}
	d, err := g.decide(ctx, c)
	if err != nil {
		return nil, Want{}, g.refused(ctx, c, d, err)
	}
	if c.Client.Era == gatehouse.Modern { // a legacy session was told what may change when it began
		tools, prompts, resources := srv.View(ctx, c.Client.Capabilities).Offers()
		want.Tools, want.Prompts, want.Resources = want.Tools && tools, want.Prompts && prompts, want.Resources && resources
	}
	s = &Stream{g: g, server: c.Server, principal: c.Principal.ID, want: want, signal: make(chan struct{}, 1), subs: map[string]subscription{}}
	granted = want
	granted.URIs = nil
	g.hub.add(s)
	for _, uri := range want.URIs {
		one := *c
		one.Name = uri
		if s.Subscribe(ctx, &one) == nil {
			granted.URIs = append(granted.URIs, uri)
		}
	}
	if err := g.note(c, d, audit.Outcome{Kind: "complete"}); err != nil {
		s.Close()
		return nil, Want{}, err
	}
	return s, granted, nil
}

// Subscribe adds a resource: c.Name is its published URI. The caller must be allowed to read it.
func (s *Stream) Subscribe(ctx context.Context, c *gatehouse.Call) error {
	g := s.g
	srv := g.now.Load().table.Servers[c.Server]
	if srv == nil {
		return unknownServer(c.Server)
	}
	e, err := srv.View(ctx, c.Client.Capabilities).Resource(c.Name)
	if err != nil {
		return g.refused(ctx, c, audit.Decision{Answer: "none"}, err)
	}
	read := *c
	read.Method = "resources/read"
	d, err := g.decide(ctx, &read)
	if err != nil {
		return g.refused(ctx, c, d, err)
	}
	s.mu.Lock()
	_, have := s.subs[c.Name]
	full := len(s.subs) >= maxSubscriptions
	s.mu.Unlock()
	if have {
		return nil
	}
	if full {
		return &gatehouse.RPCError{Code: gatehouse.CodeInvalidParams, Message: "too many resource subscriptions on one stream; unsubscribe from some"}
	}
	if err := e.Source.Subscribe(ctx, e.Own); err != nil {
		return g.refused(ctx, c, d, err)
	}
	s.mu.Lock()
	_, have = s.subs[c.Name]
	late := s.done || have
	if !late {
		s.subs[c.Name] = subscription{e.Source, e.Own}
	}
	s.mu.Unlock()
	if late {
		e.Source.Unsubscribe(e.Own)
		return nil
	}
	return g.note(c, d, audit.Outcome{Kind: "complete"})
}

// Unsubscribe removes a resource.
func (s *Stream) Unsubscribe(uri string) {
	s.mu.Lock()
	sub, ok := s.subs[uri]
	delete(s.subs, uri)
	s.mu.Unlock()
	if ok {
		sub.source.Unsubscribe(sub.own)
	}
}

// Next waits for the next event. It returns io.EOF when the gateway ends the stream, or the ctx's error.
func (s *Stream) Next(ctx context.Context) (method string, params []byte, err error) {
	for {
		if ctx.Err() != nil { // whoever is gone takes nothing from whoever else waits
			s.wake()
			return "", nil, ctx.Err()
		}
		s.mu.Lock()
		m, ok := s.take()
		done := s.done
		s.mu.Unlock()
		if ok {
			return m.method, m.params, nil
		}
		if done {
			s.wake() // whoever else waits
			return "", nil, io.EOF
		}
		select {
		case <-s.signal:
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
	}
}

var listChanged = [3]string{"notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/list_changed"}

// take removes what waits longest by kind. s.mu is held.
func (s *Stream) take() (message, bool) {
	for i, changed := range s.lists {
		if changed {
			s.lists[i] = false
			return message{listChanged[i], nil}, true
		}
	}
	if len(s.uris) > 0 {
		uri := s.uris[0]
		s.uris = s.uris[1:]
		return message{"notifications/resources/updated", wire.Object{{Name: "uri", Value: wire.String(uri)}}.Bytes()}, true
	}
	if len(s.msgs) > 0 {
		m := s.msgs[0]
		s.msgs = s.msgs[1:]
		return m, true
	}
	return message{}, false
}

// Close ends the stream and its subscriptions.
func (s *Stream) Close() {
	s.g.hub.remove(s)
	s.end()
	s.mu.Lock()
	subs := s.subs
	s.subs = nil
	s.mu.Unlock()
	for _, sub := range subs {
		sub.source.Unsubscribe(sub.own)
	}
}

func (s *Stream) end() {
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	s.wake()
}

func (s *Stream) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// offer puts an event in front of the listener if it wants it.
func (s *Stream) offer(e backend.Event, publish func(string) string) {
	s.mu.Lock()
	switch {
	case s.done:
	case e.Kind == backend.ToolsChanged:
		s.lists[0] = s.want.Tools
	case e.Kind == backend.PromptsChanged:
		s.lists[1] = s.want.Prompts
	case e.Kind == backend.ResourcesChanged:
		s.lists[2] = s.want.Resources
	case e.Kind == backend.Updated:
		uri := publish(e.URI)
		if _, ok := s.subs[uri]; ok && !slices.Contains(s.uris, uri) {
			s.uris = append(s.uris, uri)
		}
	case e.Kind == backend.Message && s.want.Messages && e.Principal == s.principal:
		if len(s.msgs) >= maxMessages {
			s.msgs = s.msgs[1:]
		}
		s.msgs = append(s.msgs, message{e.Method, e.Params})
	}
	s.mu.Unlock()
	s.wake()
}

// emit passes an event of a source on to the server's listeners.
func (g *Gateway) emit(server, label string, e backend.Event) {
	publish := func(uri string) string { return uri }
	if srv := g.now.Load().table.Servers[server]; srv != nil {
		if src := srv.Source(label); src != nil {
			publish = src.PublishURI
		}
	}
	for _, s := range g.hub.of(server) {
		s.offer(e, publish)
	}
}

// RootsChanged tells a server's sources that the caller's client has other roots now.
func (g *Gateway) RootsChanged(ctx context.Context, server string, p *gatehouse.Principal) {
	if srv := g.now.Load().table.Servers[server]; srv != nil {
		for _, src := range srv.Sources {
			src.RootsChanged(ctx, p)
		}
	}
}

// hub knows the open streams.
type hub struct {
	mu      sync.RWMutex
	streams map[string]map[*Stream]bool // by server
}

func (h *hub) add(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == nil {
		h.streams = map[string]map[*Stream]bool{}
	}
	if h.streams[s.server] == nil {
		h.streams[s.server] = map[*Stream]bool{}
	}
	h.streams[s.server][s] = true
}

func (h *hub) remove(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams[s.server], s)
}

func (h *hub) of(server string) []*Stream {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]*Stream, 0, len(h.streams[server]))
	for s := range h.streams[server] {
		out = append(out, s)
	}
	return out
}

func (h *hub) end(server string) {
	for _, s := range h.of(server) {
		s.end()
	}
}

func (h *hub) endAll() {
	h.mu.RLock()
	var names []string
	for n := range h.streams {
		names = append(names, n)
	}
	h.mu.RUnlock()
	for _, n := range names {
		h.end(n)
	}
}

// changed tells a server's listeners that its lists may be others after a reload.
func (h *hub) changed(server string) {
	for _, s := range h.of(server) {
		for _, k := range []backend.EventKind{backend.ToolsChanged, backend.PromptsChanged, backend.ResourcesChanged} {
			s.offer(backend.Event{Kind: k}, func(u string) string { return u })
		}
	}
}
