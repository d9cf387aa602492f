package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// house is everything that is measured, and where it lies.
type house struct {
	o        options
	dir      string // temporary
	self     string // this program, to run the other parts
	program  string // the gateway
	upstream *process
	proxy    *process
	running  []*process
	temps    []string
}

func newHouse(ctx context.Context, o options) (h *house, err error) {
	h = &house{o: o, program: o.build}
	if h.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if h.dir, err = h.temp(o.data); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if h.program == "" {
		h.program = filepath.Join(h.dir, "gatehouse")
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", h.program, "gatehouse/cmd/gatehouse")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the gateway: %w\n%s", err, out)
		}
	}
	if h.upstream, err = h.run(ctx, h.self, "upstream", "-listen"); err != nil {
		return nil, err
	}
	h.proxy, err = h.run(ctx, h.self, "proxy", "-to", "http://"+h.upstream.addr, "-listen")
	return h, err
}

func (h *house) temp(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "gatehouse-bench-")
	if err == nil {
		h.temps = append(h.temps, dir)
	}
	return dir, err
}

// run starts a program whose last argument is the address to listen on.
func (h *house) run(ctx context.Context, name string, args ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, _, err := start(ctx, addr, name, append(args, addr)...)
	if err == nil {
		h.running = append(h.running, p)
	}
	return p, err
}

func (h *house) close() {
	for _, p := range h.running {
		p.stop()
	}
	for _, dir := range h.temps {
		_ = os.RemoveAll(dir) // what is left lies in the temporary folder
	}
}

// setup is a gateway to be started: its configuration, data and key.
type setup struct{ file, addr, key string }

// prepare writes the configuration of a gateway whose record lies below parent, and makes a key. Its servers are the
// upstream, spoken to in either era.
func (h *house) prepare(ctx context.Context, parent string) (*setup, error) {
	dir, err := h.temp(parent)
	if err != nil {
		return nil, err
	}
	g := &setup{file: filepath.Join(dir, "gatehouse.yaml")}
	if g.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listen: %s\ndata: data\nservers:\n  legacy: {sources: [{mcp: \"http://%s/legacy/mcp\", era: legacy}]}\n  modern: {sources: [{mcp: \"http://%s/modern/mcp\", era: modern}]}\n"+
		"  rest: {sources: [{openapi: echo.yaml, url: \"http://%s\"}]}\n", g.addr, h.upstream.addr, h.upstream.addr, h.upstream.addr)
	if err := os.WriteFile(filepath.Join(dir, "echo.yaml"), []byte(restDocument), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	key, err := exec.CommandContext(ctx, h.program, "keys", "create", "bench", "--config", g.file).Output()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", withOutput(err))
	}
	g.key = strings.TrimSpace(string(key))
	return g, nil
}

func withOutput(err error) error {
	if x, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w\n%s", err, x.Stderr)
	}
	return err
}

// serve starts the gateway.
func (h *house) serve(ctx context.Context, g *setup) (*process, time.Duration, error) {
	p, took, err := start(ctx, g.addr, h.program, "serve", "--config", g.file)
	if err == nil {
		h.running = append(h.running, p)
	}
	return p, took, err
}

// fire runs the load generator as a process of its own.
func (h *house) fire(ctx context.Context, s shot) (*report, error) {
	cmd := exec.CommandContext(ctx, h.self, s.args()...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	before, err := h.others(s.PIDs)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	after, err := h.others(s.PIDs)
	if err != nil {
		return nil, err
	}
	r := &report{}
	others := after - before - cmd.ProcessState.UserTime() - cmd.ProcessState.SystemTime()
	r.Others = max(0, float64(others)/float64(time.Since(began))/float64(runtime.NumCPU()))
	return r, json.Unmarshal(out, r)
}

// others is the time all processors have been busy with anything but these processes.
func (h *house) others(pids []int) (time.Duration, error) {
	busy, err := busy()
	if err != nil {
		return 0, err
	}
	ours, err := cpuOf(pids)
	for _, d := range ours {
		busy -= d
	}
	return busy, err
}
