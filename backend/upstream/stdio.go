package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
)

var passed = []string{"PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER"}

func (b bounds) openCommand(src config.Source, env backend.Env) (backend.Source, error) {
	if len(src.Command) == 0 || src.Command[0] == "" {
		return nil, &gatehouse.Error{Code: "config.value", Pos: src.Pos, Msg: "command: no program is named", Hint: `write command: ["program", "argument"]`}
	}
	return b.source(src, env), nil
}

// dialCommand starts a child and finds out its era.
func (s *source) dialCommand(ctx context.Context, key, principal string, caps gatehouse.Capabilities) (*session, error) {
	if err := s.again.wait(ctx, s, key); err != nil {
		return nil, err
	}
	v := s.known()
	for again := false; ; again = true {
		ss := s.newSession(key, principal, caps, nil)
		if err := s.spawn(ss); err != nil {
			s.again.ended(key, time.Now())
			ss.die(err)
			return nil, err
		}
		fail := func(err error) (*session, error) {
			ss.car.(*child).failed(ss)
			ss.die(err) // which ends the process
			return nil, err
		}
		if v == isUnknown || v == isModern {
			modern, err := ss.discover(ctx, v == isModern)
			if modern && err == nil {
				s.learn(isModern)
				return ss, nil
			}
			if !ss.alive() && v == isUnknown && !again && ctx.Err() == nil { // some end when the first message is not initialize
				_, _ = fail(errDied)
				v = isLegacy
				continue
			}
			if err != nil {
				return fail(err)
			}
		}
		if err := ss.initialize(ctx); err != nil {
			return fail(err)
		}
		s.learn(isLegacy)
		return ss, nil
	}
}

// spawn starts the command in a process group of its own, without a shell.
func (s *source) spawn(ss *session) error {
	argv := s.cfg.Command
	fault := func(err error) error {
		return s.fault(codeUnavailable, fmt.Sprintf("cannot start %q", argv[0]), "see whether the program exists and may be run", err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.cfg.Dir
	for _, n := range passed {
		if v, ok := os.LookupEnv(n); ok {
			cmd.Env = append(cmd.Env, n+"="+v)
		}
	}
	names := make([]string, 0, len(s.cfg.Env))
	for n := range s.cfg.Env {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		cmd.Env = append(cmd.Env, n+"="+s.cfg.Env[n].Reveal())
	}
	ownGroup(cmd)
	inR, inW, err := os.Pipe()
	if err != nil {
		return fault(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		closeAll(inR, inW)
		return fault(err)
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		closeAll(inR, inW, outR, outW)
		return fault(err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inR, outW, errW
	err = cmd.Start()
	closeAll(inR, outW, errW)
	if err != nil {
		closeAll(inW, outR, errR)
		return fault(err)
	}
	s.log.LogAttrs(ss.ctx, slog.LevelInfo, "process started", slog.String("program", argv[0]), slog.Int("pid", cmd.Process.Pid))
	c := &child{src: s, cmd: cmd, in: inW, began: time.Now(), turn: make(chan struct{}, 1), gone: make(chan struct{})}
	ss.car = c
	if !s.goes(func() { c.live(ss, outR, errR) }) {
		killGroup(cmd)
		_ = cmd.Wait()
		closeAll(inW, outR, errR)
		close(c.gone)
		return errClosed
	}
	return nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
