package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/config"
	"gatehouse/wire"
)

// Bounds of a child.
const (
	maxLogLine   = 8 << 10
	logLines     = 50 // a second
	writeTimeout = 10 * time.Second
	stageTimeout = 2 * time.Second // each of: input closed, SIGTERM, SIGKILL
)

var passed = []string{"PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER"}

func openCommand(src config.Source, env backend.Env) (backend.Source, error) {
	if len(src.Command) == 0 || src.Command[0] == "" {
		return nil, &gatehouse.Error{Code: "config.value", Pos: src.Pos, Msg: "command: no program is named", Hint: `write command: ["program", "argument"]`}
	}
	return open(src, env), nil
}

// child carries one process: a message a line.
type child struct {
	src  *source
	cmd  *exec.Cmd
	in   *os.File
	gone chan struct{} // closed once the process has ended and its output is read

	mu sync.Mutex // one writer at a time
}

// dialCommand starts a child and finds out its era.
func (s *source) dialCommand(ctx context.Context, key, principal string, caps gatehouse.Capabilities) (*session, error) {
	v := s.known()
	for again := false; ; again = true {
		ss := s.newSession(key, principal, caps, nil)
		if err := s.spawn(ss); err != nil {
			ss.die(err)
			return nil, err
		}
		if v == isUnknown || v == isModern {
			modern, err := ss.discover(ctx, v == isModern)
			if modern && err == nil {
				s.learn(isModern)
				return ss, nil
			}
			if !ss.alive() && v == isUnknown && !again && ctx.Err() == nil { // some end when the first message is not initialize
				ss.close()
				v = isLegacy
				continue
			}
			if err != nil {
				ss.close()
				return nil, err
			}
		}
		if err := ss.initialize(ctx); err != nil {
			ss.close()
			return nil, err
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
	c := &child{src: s, cmd: cmd, in: inW, gone: make(chan struct{})}
	ss.car = c
	read := func() {
		err := c.read(ss, outR)
		_ = outR.Close()
		ss.die(err)
	}
	logs := func() {
		s.logLines(ss.ctx, errR)
		_ = errR.Close()
	}
	wait := func() {
		_ = cmd.Wait()
		killGroup(cmd) // whatever it left behind
		close(c.gone)
		ss.die(s.fault(codeUnavailable, "ended its process", "see its messages in the log of Gatehouse", errors.New(cmd.ProcessState.String())))
		_ = inW.Close()
		t := time.AfterFunc(stageTimeout, func() { closeAll(outR, errR) }) // a grandchild may hold them
		defer t.Stop()
		<-ss.ctx.Done()
	}
	watch := func() {
		<-ss.ctx.Done()
		c.end()
	}
	for _, f := range []func(){read, logs, wait, watch} {
		if !s.goes(f) {
			killGroup(cmd)
		}
	}
	return nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// read hands the child's messages to the session until the child ends or sends something that is no message.
func (c *child) read(ss *session, out io.Reader) error {
	br := bufio.NewReaderSize(out, 64<<10)
	for {
		line, err := readLine(br, c.src.limits.Bytes)
		if err != nil {
			if err == io.EOF || errors.Is(err, os.ErrClosed) {
				return c.src.fault(codeUnavailable, "ended its process", "see its messages in the log of Gatehouse", err)
			}
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		m, err := wire.Parse(line, c.src.limits)
		if err != nil {
			return err
		}
		if err := ss.handle(m, nil); err != nil {
			return err
		}
	}
}

// readLine returns a line of its own memory, at most most bytes long.
func readLine(br *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) > most+1 {
			return nil, &wire.Error{Code: "wire.too_large", Offset: -1, Msg: fmt.Sprintf("a line over %d bytes", most), Parse: true}
		}
		line = append(line, part...)
		switch err {
		case nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case bufio.ErrBufferFull:
			continue
		}
		return nil, err
	}
}

// logLines writes what a child says on standard error to the log, within bounds.
func (s *source) logLines(ctx context.Context, r io.Reader) {
	br := bufio.NewReaderSize(r, maxLogLine)
	var window time.Time
	n, left := 0, 0
	for {
		line, err := br.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		text := string(bytes.TrimRight(line, "\r\n"))
		for err == bufio.ErrBufferFull {
			_, err = br.ReadSlice('\n')
		}
		if now := time.Now(); now.Sub(window) >= time.Second {
			if left > 0 {
				s.log.LogAttrs(ctx, slog.LevelInfo, "upstream messages left out", slog.Int("lines", left))
			}
			window, n, left = now, 0, 0
		}
		if text != "" {
			if n++; n <= logLines {
				s.log.LogAttrs(ctx, slog.LevelInfo, "upstream message", slog.String("line", text), slog.Bool("cut", long))
			} else {
				left++
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *child) exchange(ctx context.Context, ss *session, r *run, msg []byte) error {
	if err := c.send(ctx, ss, msg); err != nil {
		return err
	}
	return waitFor(ctx, ss, r)
}

func (c *child) send(_ context.Context, ss *session, msg []byte) error {
	if !ss.alive() {
		return context.Cause(ss.ctx)
	}
	line := append(bytes.Clone(msg), '\n')
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.in.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.in.Write(line); err != nil {
		ss.end(err) // half a line may have gone out
		return fmt.Errorf("write to process: %w", err)
	}
	return nil
}

func (c *child) listen(ctx context.Context, ss *session) error {
	select {
	case <-ctx.Done():
	case <-ss.ctx.Done():
	}
	return errors.Join(errBroken, context.Cause(ss.ctx))
}

func (c *child) close(*session) { c.end() }

// end lets the child go: its input is closed, then it is asked, then it is killed, with all of its group.
func (c *child) end() {
	_ = c.in.Close()
	for _, step := range []func(*exec.Cmd){nil, termGroup, killGroup} {
		if step != nil {
			step(c.cmd)
		}
		t := time.NewTimer(stageTimeout)
		select {
		case <-c.gone:
			t.Stop()
			return
		case <-t.C:
		}
	}
}
