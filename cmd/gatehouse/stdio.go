package main

import (
	stdctx "context"
	"errors"
	"log/slog"
	"os/signal"
	"os/user"
	"syscall"
	"time"

	"gatehouse"
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
	path := f.String("config", "gatehouse.yaml", "configuration `FILE`")
	server := f.String("server", "", "`NAME` of the published server")
	if code := f.parse(args, 0, 0); code >= 0 {
		return code
	}
	if *server == "" {
		return c.misuse("gatehouse stdio", "flag --server is missing", "write gatehouse stdio --server NAME")
	}
	h, code := c.openServer(*path, *server, c.logger(slog.LevelInfo))
	if h == nil {
		return code
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := stdio.Serve(ctx, stdio.Config{
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
