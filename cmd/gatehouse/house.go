package main

import (
	stdctx "context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	"gatehouse/internal/telemetry"
	"gatehouse/policy"
	"gatehouse/store"
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
	metrics *telemetry.Metrics
}

func makeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &gatehouse.Error{Code: "serve.data", Pos: gatehouse.Pos{File: dir}, Msg: "the data folder cannot be made: " + cause(err), Hint: "set data: in the configuration to a folder that can be written"}
	}
	return nil
}

// cause is the system's word without the path.
func cause(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// openHouse opens the data folder and the gateway. Close it.
func openHouse(cfg *config.Config, log *slog.Logger) (*house, error) {
	h := &house{cfg: cfg, log: log, metrics: telemetry.New()}
	if err := makeData(cfg.Data); err != nil {
		return nil, err
	}
	unusable := func(what string, err error) error {
		if _, known := errors.AsType[*gatehouse.Error](err); known {
			return err
		}
		return &gatehouse.Error{Code: "serve.data", Pos: gatehouse.Pos{File: cfg.Data}, Msg: what + ": " + err.Error(), Hint: "the data folder must belong to the user that gatehouse runs as, with room on its disk"}
	}
	var err error
	if cfg.SealingKey.IsZero() {
		h.sealing, err = seal.LoadKey(filepath.Join(cfg.Data, "keys", "sealing"))
	} else {
		h.sealing, err = base64.StdEncoding.DecodeString(cfg.SealingKey.Reveal())
	}
	if err != nil {
		return nil, unusable("the sealing key cannot be read", err)
	}
	pepper, err := key.LoadPepper(cfg.Data)
	if err != nil {
		return nil, unusable("the pepper of the access keys cannot be read", err)
	}
	if h.store, err = builtin.OpenStore(cfg.Data); err != nil {
		return nil, unusable("the store cannot be opened", err)
	}
	h.keys = key.New(h.store, pepper, time.Now)
	if h.record, err = audit.Open(cfg.Audit.Dir, audit.Options{SegmentBytes: cfg.Audit.SegmentBytes}); err != nil {
		return nil, errors.Join(unusable("the record cannot be opened", err), h.store.Close())
	}
	h.Gateway, err = gateway.New(gateway.Config{
		Kinds: builtin.Backends, Access: access.AllowAll{}, Policy: policy.None{}, Audit: h.record, Sealing: h.sealing, Log: log, Now: time.Now,
		Metrics: h.metrics,
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

// openServer opens the house for one published server; nil and the exit code when that fails.
func (c *context) openServer(path, server string, log *slog.Logger) (*house, int) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, c.fail(err)
	}
	if cfg.Servers[server] == nil {
		return nil, c.fail(unknownServer(cfg, server, slices.Sorted(maps.Keys(cfg.Servers))))
	}
	for name := range cfg.Servers {
		if name != server {
			delete(cfg.Servers, name)
		}
	}
	h, err := openHouse(cfg, log)
	if err != nil {
		return nil, c.fail(err)
	}
	return h, ok
}

func unknownServer(cfg *config.Config, name string, known []string) error {
	return &gatehouse.Error{
		Code: "serve.server", Pos: gatehouse.Pos{File: cfg.File}, Msg: "no server " + quote(name) + " is published",
		Hint: orHelp(name, known, fmt.Sprintf("gatehouse config check %s; it publishes %v", cfg.File, known)),
	}
}

// logger writes to standard error, for people or for machines.
func (c *context) logger(least slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: least}
	if c.json {
		return slog.New(slog.NewJSONHandler(c.err, o))
	}
	return slog.New(slog.NewTextHandler(c.err, o))
}
