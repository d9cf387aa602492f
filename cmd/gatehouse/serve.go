package main

import (
	"cmp"
	stdctx "context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/transport"
	"gatehouse/transport/streamable"
)

// poll is how often the configuration's files are looked at. A change is taken once it has lasted that long, so that no
// file is read while it is being written.
const poll = 250 * time.Millisecond

// runServe serves everything the file publishes.
func runServe(c *context, args []string) int {
	var instead config.Instead
	f := c.flags("serve", "[--config FILE] [--listen ADDR] [--data DIR]")
	path := f.String("config", "gatehouse.yaml", "configuration `FILE`")
	f.StringVar(&instead.Listen, "listen", "", "`ADDR` to listen on, instead of the file's")
	f.StringVar(&instead.Data, "data", "", "data `DIR`, instead of the file's")
	if code := f.parse(args, 0, 0); code >= 0 {
		return code
	}
	cfg, seen, err := config.Read(*path, instead)
	if err != nil {
		return c.fail(err)
	}
	s := &serving{context: c, instead: instead, seen: seen}
	if err := s.run(cfg); err != nil {
		return c.fail(err)
	}
	return ok
}

// serving is one run of serve.
type serving struct {
	*context
	*house
	instead config.Instead
	own     string // URL of the listener, for what publicURL does not say
	http    *streamable.Handler
	cert    atomic.Pointer[tls.Certificate]

	seen    config.Seen // the files as they were read
	pending config.Seen // how they look since they have changed; nil when they have not
}

// run serves until a signal or a failure of the listener.
func (s *serving) run(cfg *config.Config) error {
	log := s.logger(slog.LevelInfo)
	for _, w := range cfg.Warn {
		s.warn(w)
	}
	var err error
	if s.house, err = openHouse(cfg, log); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	srv, err := s.open()
	if err != nil {
		return errors.Join(err, s.Close(ctx))
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	s.Warm(ctx)
	s.expiring(ctx)
	err = s.watch(ctx, served)
	stop() // a second signal ends at once
	dctx, cancel := stdctx.WithTimeout(stdctx.Background(), s.cfg.Limits.DrainTimeout)
	defer cancel()
	s.Drain()
	return errors.Join(err, srv.Drain(dctx), s.Close(dctx))
}

// watch reloads when it is told to or a file has changed, until ctx is done or the listener has failed.
func (s *serving) watch(ctx stdctx.Context, served <-chan error) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	look := time.NewTicker(poll)
	defer look.Stop()
	daily := time.NewTicker(day)
	defer daily.Stop()
	for {
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
			return nil
		case <-hup:
			s.reload(ctx)
		case <-daily.C:
			s.expiring(ctx)
		case <-look.C:
			if s.changed() {
				s.reload(ctx)
			}
		}
	}
}

// changed reports whether the files look other than when they were read, and the same as when they were last looked at.
func (s *serving) changed() bool {
	now := s.seen.Now()
	if now.Equal(s.seen) {
		s.pending = nil
		return false
	}
	settled := s.pending != nil && now.Equal(s.pending)
	s.pending = now
	return settled
}

// reload swaps the configuration. A bad one changes nothing and says so.
func (s *serving) reload(ctx stdctx.Context) {
	cfg, seen, err := config.Read(s.cfg.File, s.instead)
	s.seen, s.pending = seen, nil
	if err == nil {
		err = s.swap(cfg)
	}
	if err != nil {
		for _, e := range split(err) {
			attrs := []slog.Attr{slog.Any("error", e)}
			if ge, known := errors.AsType[*gatehouse.Error](e); known {
				attrs = append(attrs, slog.String("code", ge.Code), slog.String("hint", ge.Hint))
			}
			s.log.LogAttrs(ctx, slog.LevelError, "configuration not reloaded; the one before stays", attrs...)
		}
		return
	}
	for _, w := range cfg.Warn {
		s.log.LogAttrs(ctx, slog.LevelWarn, "configuration", slog.Any("warning", w))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "configuration reloaded", slog.Int("servers", len(cfg.Servers)))
	s.Warm(ctx)
}

// swap puts cfg in force, or leaves everything as it is.
func (s *serving) swap(cfg *config.Config) error {
	cert, err := certificate(cfg)
	if err != nil {
		return err
	}
	if err := s.Reload(cfg); err != nil {
		return err
	}
	if err := s.http.Reload(cmp.Or(cfg.PublicURL, s.own), cfg.Origins, cfg.Limits); err != nil {
		return errors.Join(err, s.Reload(s.cfg))
	}
	old := s.cfg
	if cfg.Listen != old.Listen || cfg.TLS.Min != old.TLS.Min || (cert == nil) != (s.cert.Load() == nil) || cfg.Data != old.Data || cfg.Audit != old.Audit ||
		cfg.SealingKey != old.SealingKey || cfg.Limits.HeaderTimeout != old.Limits.HeaderTimeout || cfg.Limits.IdleTimeout != old.Limits.IdleTimeout {
		s.log.Warn("listen, data, sealingKey, audit, tls.min, whether there is TLS, limits.headerTimeout and limits.idleTimeout take effect at the next start")
	}
	if cert != nil && s.cert.Load() != nil {
		s.cert.Store(cert)
	}
	s.cfg = cfg
	return nil
}

// certificate reads the certificate that the configuration names, nil when it names none.
func certificate(cfg *config.Config) (*tls.Certificate, error) {
	if cfg.TLS.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	if err != nil {
		return nil, &gatehouse.Error{Code: "serve.tls", Pos: gatehouse.Pos{File: cfg.TLS.Cert}, Msg: "certificate and key cannot be used: " + cause(err), Hint: "tls.cert and tls.key must be PEM files that belong together"}
	}
	return &cert, nil
}

// open opens the listener and says what is served.
func (s *serving) open() (*streamable.Server, error) {
	cfg := s.cfg
	cert, err := certificate(cfg)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, &gatehouse.Error{Code: "serve.listen", Msg: "cannot listen on " + cfg.Listen + ": " + listenCause(err), Hint: "another program may have the port; choose one with listen: or --listen"}
	}
	s.own = "http://" + ln.Addr().String() // the port may have been 0
	var tlsConfig *tls.Config
	if cert != nil {
		s.own = "https://" + ln.Addr().String()
		s.cert.Store(cert)
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Load(), nil }}
		if cfg.TLS.Min == "1.3" {
			tlsConfig.MinVersion = tls.VersionTLS13
		}
	}
	base := cmp.Or(cfg.PublicURL, s.own)
	sessions, err := transport.NewSessions(s.sealing, cfg.Limits, time.Now)
	if err == nil {
		s.metrics.Sources(func(each func(server, source, state string)) {
			s.Sources(func(server, label string, st backend.Status) { each(server, label, st.State) })
		})
		s.http, err = streamable.New(streamable.Config{
			Gateway: s.Gateway, Sessions: sessions, Limits: cfg.Limits, PublicURL: base, Origins: cfg.Origins, Bind: ln.Addr(), Log: s.log, Now: time.Now,
			Refused: s.metrics.Refused, Extra: map[string]http.Handler{"/metrics": s.metrics.Handler()},
		})
	}
	if err == nil {
		err = s.greet(base)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return streamable.NewServer(s.http, ln, tlsConfig), nil
}

// listenCause is the system's word, without the address that the message says already.
func listenCause(err error) string {
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		return se.Err.Error()
	}
	return err.Error()
}
