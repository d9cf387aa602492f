package main

import (
	"cmp"
	stdctx "context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/audit"
	"gatehouse/builtin"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/identity"
	"gatehouse/identity/key"
	"gatehouse/internal/seal"
	"gatehouse/policy"
	"gatehouse/store"
	"gatehouse/transport"
	"gatehouse/transport/streamable"
)

// house is everything that one configuration needs while it runs.
type house struct {
	*gateway.Gateway
	cfg     *config.Config
	log     *slog.Logger
	store   store.Store
	keys    *key.Authenticator
	record  audit.Log
	sealing []byte
	http    *streamable.Handler // nil until it listens
	own     string              // the listener's URL
}

// openHouse opens the data folder and the gateway. Close it.
func openHouse(cfg *config.Config, log *slog.Logger) (*house, error) {
	h := &house{cfg: cfg, log: log}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, &gatehouse.Error{Code: "serve.data", Msg: "the data folder cannot be made: " + err.Error(), Hint: "set data: in the configuration to a folder that can be written"}
	}
	var err error
	if cfg.SealingKey.IsZero() {
		h.sealing, err = seal.LoadKey(filepath.Join(cfg.Data, "keys", "sealing"))
	} else {
		h.sealing, err = base64.StdEncoding.DecodeString(cfg.SealingKey.Reveal())
	}
	if err != nil {
		return nil, err
	}
	pepper, err := key.LoadPepper(cfg.Data)
	if err != nil {
		return nil, err
	}
	if h.store, err = builtin.OpenStore(cfg.Data); err != nil {
		return nil, err
	}
	h.keys = key.New(h.store, pepper, time.Now)
	if h.record, err = audit.Open(cfg.Audit.Dir, audit.Options{SegmentBytes: cfg.Audit.SegmentBytes}); err != nil {
		return nil, errors.Join(err, h.store.Close())
	}
	h.Gateway, err = gateway.New(gateway.Config{
		Kinds: builtin.Backends, Access: access.AllowAll{}, Policy: policy.None{}, Audit: h.record, Sealing: h.sealing, Log: log, Now: time.Now,
		Identity: func(a config.Auth) identity.Authenticator {
			var ch identity.Chain
			if a.Keys {
				ch = append(ch, h.keys)
			}
			if a.Anonymous {
				ch = append(ch, identity.Anonymous{Network: a.AllowAnonymousOnNetwork})
			}
			return ch
		},
	})
	if err == nil {
		err = h.Reload(cfg)
	}
	if err != nil {
		return nil, errors.Join(err, h.record.Close(), h.store.Close())
	}
	return h, nil
}

// Close ends the sources, then the record, then the store.
func (h *house) Close(ctx stdctx.Context) error {
	err := h.Gateway.Close(ctx)
	h.keys.Close()
	return errors.Join(err, h.record.Close(), h.store.Close())
}

// runServe serves everything the file publishes.
func runServe(c *context, args []string) int {
	f := c.flags("serve", "[--config FILE] [--listen ADDR]")
	path := f.String("config", "gatehouse.yaml", "configuration file")
	listen := f.String("listen", "", "address to listen on, instead of the file's")
	rest, err := parse(f, args)
	if err != nil {
		return usage
	}
	if len(rest) > 0 {
		f.Usage()
		return usage
	}
	cfg, err := loadWith(*path, *listen)
	if err != nil {
		return c.fail(err)
	}
	log := slog.New(slog.NewTextHandler(c.err, nil))
	if err := c.serve(cfg, *listen, log); err != nil {
		return c.fail(err)
	}
	return ok
}

func loadWith(path, listen string) (*config.Config, error) {
	if listen != "" {
		return config.LoadListen(path, listen)
	}
	return config.Load(path)
}

func (c *context) serve(cfg *config.Config, listen string, log *slog.Logger) error {
	for _, w := range cfg.Warn {
		log.Warn(w.Error())
	}
	h, err := openHouse(cfg, log)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := h.listen(c)
	if err != nil {
		return errors.Join(err, h.Close(ctx))
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	h.Warm(ctx)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	changed := config.Watch(ctx, h.cfg, time.Second)
loop:
	for {
		select {
		case err = <-served:
			break loop
		case <-ctx.Done():
			stop() // a second signal ends at once
			break loop
		case <-hup:
			changed = h.reload(ctx, listen, changed)
		case <-changed:
			changed = h.reload(ctx, listen, changed)
		}
	}
	dctx, cancel := stdctx.WithTimeout(stdctx.Background(), h.cfg.Limits.DrainTimeout)
	defer cancel()
	h.Drain()
	derr := srv.Drain(dctx)
	return errors.Join(err, derr, h.Close(dctx))
}

// reload swaps the configuration. A bad one changes nothing and says so.
func (h *house) reload(ctx stdctx.Context, listen string, changed <-chan struct{}) <-chan struct{} {
	cfg, err := loadWith(h.cfg.File, listen)
	if err == nil {
		if cfg.Listen != h.cfg.Listen || cfg.TLS != h.cfg.TLS || cfg.Data != h.cfg.Data ||
			cfg.Limits.HeaderTimeout != h.cfg.Limits.HeaderTimeout || cfg.Limits.IdleTimeout != h.cfg.Limits.IdleTimeout {
			h.log.Warn("listen, tls, data, limits.headerTimeout and limits.idleTimeout take effect at the next start")
		}
		if err = h.Reload(cfg); err == nil {
			err = h.http.Reload(cmp.Or(cfg.PublicURL, h.own), cfg.Origins, cfg.Limits)
		}
	}
	if err != nil {
		for _, e := range split(err) {
			h.log.Error("configuration not reloaded; the one before stays", slog.Any("error", e))
		}
		return config.Watch(ctx, h.cfg, time.Second)
	}
	h.cfg = cfg
	h.log.Info("configuration reloaded", slog.Int("servers", len(cfg.Servers)))
	h.Warm(ctx)
	return config.Watch(ctx, cfg, time.Second)
}

// listen opens the listener and says what is served.
func (h *house) listen(c *context) (*streamable.Server, error) {
	cfg := h.cfg
	var tlsConfig *tls.Config
	if cfg.TLS.Cert != "" {
		cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return nil, &gatehouse.Error{Code: "serve.tls", Msg: "certificate and key cannot be used: " + err.Error(), Hint: "tls.cert and tls.key must be PEM files that belong together"}
		}
		tlsConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		if cfg.TLS.Min == "1.3" {
			tlsConfig.MinVersion = tls.VersionTLS13
		}
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, &gatehouse.Error{Code: "serve.listen", Msg: "cannot listen on " + cfg.Listen + ": " + err.Error(), Hint: "another program may have the port; choose one with listen: or --listen"}
	}
	h.own = "http://" + ln.Addr().String() // the port may have been 0
	if tlsConfig != nil {
		h.own = "https://" + ln.Addr().String()
	}
	base := cmp.Or(cfg.PublicURL, h.own)
	sessions, err := transport.NewSessions(h.sealing, cfg.Limits, time.Now)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	h.http, err = streamable.New(streamable.Config{
		Gateway: h.Gateway, Sessions: sessions, Limits: cfg.Limits, PublicURL: base,
		Origins: cfg.Origins, Bind: ln.Addr(), Log: h.log, Now: time.Now,
	})
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	if err := h.greet(c, base); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return streamable.NewServer(h.http, ln, tlsConfig), nil
}

// greet prints where the servers are and, at the first start, a key.
func (h *house) greet(c *context, base string) error {
	servers := slices.Sorted(maps.Keys(h.cfg.Servers))
	for _, name := range servers {
		fmt.Fprintf(c.out, "%-16s %s/%s/mcp\n", name, base, name)
	}
	fmt.Fprintln(c.out, "access: every caller who signs in may call every tool; there are no rules yet")
	if !h.cfg.Auth.Keys {
		return nil
	}
	ctx := stdctx.Background()
	keys, err := h.store.Keys(ctx)
	if err != nil || len(keys) > 0 {
		return err
	}
	secret, k, err := newKey(ctx, h.store, h.cfg.Data, "first", nil, key.MaxLifetime)
	if err != nil {
		return err
	}
	url := base + "/" + servers[0] + "/mcp"
	fmt.Fprintf(c.out, `
First start: here is an access key, good until %s. It is shown this once.

  %s

mcp.json for VS Code (.vscode/mcp.json):

{
  "servers": {
    %q: {
      "type": "http",
      "url": %q,
      "headers": { "Authorization": "Bearer %s" }
    }
  }
}

Next:
  npx -y @modelcontextprotocol/inspector --cli %s --transport http --header "Authorization: Bearer %s" --method tools/list
  gatehouse keys create NAME --config %s
  edit %s: a change takes effect at once
`, k.Expires.Format(time.DateOnly), secret.Reveal(), servers[0], url, secret.Reveal(), url, secret.Reveal(), h.cfg.File, h.cfg.File)
	return nil
}
