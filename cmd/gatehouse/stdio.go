package main

import (
	stdctx "context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"gatehouse"
	"gatehouse/config"
	"gatehouse/transport/stdio"
)

// localPrincipal is whoever started the process.
func localPrincipal() *gatehouse.Principal {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return &gatehouse.Principal{Kind: gatehouse.Local, ID: "local:" + name, Name: name}
}

// runStdio serves one published server on standard input and output.
func runStdio(c *context, args []string) int {
	f := c.flags("stdio", "--server NAME [--config FILE]")
	path := f.String("config", "gatehouse.yaml", "configuration file")
	server := f.String("server", "", "published server")
	rest, err := parse(f, args)
	if err != nil || len(rest) > 0 || *server == "" {
		if err == nil {
			f.Usage()
		}
		return usage
	}
	h, code := c.openServer(*path, *server)
	if h == nil {
		return code
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err = stdio.Serve(ctx, stdio.Config{
		Gateway: h.Gateway, Server: *server, Principal: localPrincipal(), Limits: h.cfg.Limits,
		In: c.in, Out: c.out, Log: h.log, Now: time.Now,
	})
	// The parent waits for us: what the sources still do ends with us, and the record is closed.
	dctx, cancel := stdctx.WithTimeout(stdctx.Background(), 40*time.Millisecond)
	defer cancel()
	if err := errors.Join(err, quiet(h.Close(dctx))); err != nil {
		return c.fail(err)
	}
	return ok
}

// quiet drops the deadline's error: closing was cut short on purpose.
func quiet(err error) error {
	if errors.Is(err, stdctx.DeadlineExceeded) {
		return nil
	}
	return err
}

// openServer opens the house for one published server; nil and the exit code when that fails.
func (c *context) openServer(path, server string) (*house, int) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, c.fail(err)
	}
	if cfg.Servers[server] == nil {
		return nil, c.fail(&gatehouse.Error{Code: "serve.server", Pos: gatehouse.Pos{File: path}, Msg: fmt.Sprintf("no server %q is published", server), Hint: "look at servers: in the file"})
	}
	for name := range cfg.Servers {
		if name != server {
			delete(cfg.Servers, name)
		}
	}
	h, err := openHouse(cfg, slog.New(slog.NewTextHandler(c.err, nil)))
	if err != nil {
		return nil, c.fail(err)
	}
	return h, ok
}
