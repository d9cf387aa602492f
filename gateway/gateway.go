// Package gateway takes a call through the stages: identity, route, access, policy, record, backend, policy, record. It is
// the only package that knows their order, and every call passes it, whatever brings it and whatever does the work.
package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/identity"
	"gatehouse/internal/seal"
	"gatehouse/policy"
	"gatehouse/route"
)

// Config is what a gateway is made of. All fields are required but Metrics.
type Config struct {
	Kinds    []backend.Kind // how sources are opened
	Identity func(auth config.Auth) identity.Authenticator
	Access   access.Decider
	Policy   policy.Stage
	Audit    audit.Log
	Sealing  []byte // master key, 32 bytes
	Log      *slog.Logger
	Metrics  Metrics
	Now      func() time.Time
}

// Metrics counts; nil counts nothing.
type Metrics interface {
	Call(server, method, outcome string, d time.Duration)
}

// Gateway serves one configuration at a time; Reload swaps it. It is safe for concurrent use.
type Gateway struct {
	c       Config
	state   *seal.Box
	cursors *seal.Box
	now     atomic.Pointer[published]
	hub     hub
}

// published is what a configuration publishes. Immutable.
type published struct {
	table *route.Table
	auth  map[string]identity.Authenticator // by server
	cfg   *config.Config
}

// New makes a gateway that publishes nothing until Reload.
func New(c Config) (*Gateway, error) {
	g := &Gateway{c: c}
	var err error
	if g.state, err = seal.New(c.Sealing, "state"); err != nil {
		return nil, err
	}
	if g.cursors, err = seal.New(c.Sealing, "cursor"); err != nil {
		return nil, err
	}
	g.now.Store(&published{table: &route.Table{}, cfg: &config.Config{Limits: config.DefaultLimits}})
	return g, nil
}

// Reload publishes cfg. Sources with unchanged settings go on; calls in flight end on what they began with. On an error
// nothing has changed.
func (g *Gateway) Reload(cfg *config.Config) error {
	old := g.now.Load()
	var opened []backend.Source
	table, err := route.Open(cfg, old.table, g.cursors, func(srv *config.Server, src config.Source, label string) (backend.Source, error) {
		b, err := g.open(cfg, srv, src, label)
		if err == nil {
			opened = append(opened, b)
		}
		return b, err
	})
	if err != nil {
		for _, b := range opened {
			go g.closeSource(b, time.Second)
		}
		return err
	}
	p := &published{table: table, auth: map[string]identity.Authenticator{}, cfg: cfg}
	for name, s := range cfg.Servers {
		auth := cfg.Auth
		if s.Auth != nil {
			auth = *s.Auth
		}
		p.auth[name] = g.c.Identity(auth)
	}
	g.now.Store(p)
	for name, s := range old.table.Servers {
		if table.Servers[name] == nil {
			g.hub.end(name)
		} else {
			g.hub.changed(name)
		}
		for _, src := range s.Sources {
			if !table.Has(src.Source) {
				go g.closeSource(src.Source, old.cfg.Limits.DrainTimeout)
			}
		}
	}
	return nil
}

func (g *Gateway) open(cfg *config.Config, srv *config.Server, src config.Source, label string) (backend.Source, error) {
	key := src.Kind()
	for _, k := range g.c.Kinds {
		if k.Key == key {
			server := srv.Name
			return k.Open(src, backend.Env{
				Server: server, Label: label, Log: g.c.Log.With(slog.String("server", server), slog.String("source", label)),
				Limits: cfg.Limits, Egress: cfg.Egress, Now: g.c.Now,
				Emit: func(e backend.Event) { g.emit(server, label, e) },
			})
		}
	}
	return nil, &gatehouse.Error{Code: "route.kind", Pos: src.Pos, Msg: fmt.Sprintf("this build has no source of kind %q", key)}
}

func (g *Gateway) closeSource(b backend.Source, wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		g.c.Log.LogAttrs(ctx, slog.LevelWarn, "close source", slog.Any("error", err))
	}
}

// Drain ends all streams with their graceful result, so that clients reconnect elsewhere.
func (g *Gateway) Drain() { g.hub.endAll() }

// Close closes all sources; calls must have ended. It waits until ctx is done.
func (g *Gateway) Close(ctx context.Context) error {
	g.hub.endAll()
	var errs []error
	for _, s := range g.now.Load().table.Servers {
		for _, src := range s.Sources {
			errs = append(errs, src.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// Sources tells each source of each published server: its label within the server, and how it is.
func (g *Gateway) Sources(each func(server, label string, st backend.Status)) {
	for name, s := range g.now.Load().table.Servers {
		for _, src := range s.Sources {
			each(name, src.Label, src.Status())
		}
	}
}

// Warm asks every source for its catalogue in the background, so that the first call does not wait. It returns at once.
func (g *Gateway) Warm(ctx context.Context) {
	for _, s := range g.now.Load().table.Servers {
		go func() {
			v := s.View(ctx, gatehouse.Capabilities{})
			for _, err := range v.Hidden {
				g.c.Log.LogAttrs(ctx, slog.LevelError, "name published once", slog.String("server", s.Name), slog.Any("error", err))
			}
			if v.Search != nil {
				v.Search.Warm()
			}
		}()
	}
}

// HasServer reports whether the server is published, and whether it serves the HTTP+SSE transport of 2024-11-05.
func (g *Gateway) HasServer(name string) (legacySSE, ok bool) {
	s := g.now.Load().table.Servers[name]
	if s == nil {
		return false, false
	}
	return s.LegacySSE, true
}

// Admit runs the identity stage: who sends this request? The error is a *gatehouse.Error: auth.required, auth.invalid,
// auth.forbidden and so on, or route.unknown_server.
func (g *Gateway) Admit(ctx context.Context, cred *identity.Credentials) (*gatehouse.Principal, error) {
	a := g.now.Load().auth[cred.Server]
	if a == nil {
		return nil, unknownServer(cred.Server)
	}
	p, err := a.Authenticate(ctx, cred)
	if err == nil && p != nil {
		return p, nil
	}
	var ge *gatehouse.Error
	if !errors.As(err, &ge) {
		ge = &gatehouse.Error{Code: "auth.unavailable", Msg: "the credential could not be checked", Hint: "try again", Err: err}
	}
	// A refused sign-in is worth a record; a probe without any credential is not.
	if ge.Code != "auth.required" {
		if nerr := g.c.Audit.Note(&audit.Record{Time: g.c.Now(), Kind: "auth", Server: cred.Server, Source: cred.Source.String(), Code: ge.Code}); nerr != nil {
			g.c.Log.LogAttrs(ctx, slog.LevelError, "record refused sign-in", slog.Any("error", nerr))
		}
	}
	return nil, ge
}

func unknownServer(name string) *gatehouse.Error {
	return &gatehouse.Error{Code: "route.unknown_server", Msg: fmt.Sprintf("no server %q is published here", name), Hint: "look at servers: in the configuration file"}
}

// NewID returns an id for a call: "c_" and 16 random bytes in base64.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	var out [24]byte
	out[0], out[1] = 'c', '_'
	base64.RawURLEncoding.Encode(out[2:], b[:])
	return string(out[:])
}
