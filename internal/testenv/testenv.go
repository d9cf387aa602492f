// Package testenv finds the real components that some tests drive: it uses one that is there, and skips with the reason
// when it is not. GATEHOUSE_TEST_REQUIRE=1 turns a skip into a failure.
package testenv

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Root is the repository's folder.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Missing skips the test, or fails it where the component is required.
func Missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_TEST_REQUIRE") == "1" {
		t.Fatalf("%s is required and not there: %s", what, how)
	}
	t.Skipf("%s is not there: %s", what, how)
}

// Node returns the folder of the Node modules in test/node and the environment to run them with.
func Node(t testing.TB) (modules string, env []string) {
	t.Helper()
	modules = filepath.Join(Root(), "test", "node", "node_modules")
	bin := filepath.Join(modules, "node", "bin")
	if _, err := os.Stat(filepath.Join(bin, "node")); err != nil {
		Missing(t, "Node 24 with the packages of test/node", "run npm ci in test/node")
	}
	env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+t.TempDir(), "MCP_INSPECTOR_SECRET_STORE=memory")
	return modules, env
}

// Package returns the folder of one Node package.
func Package(t testing.TB, name string) (dir string, env []string) {
	t.Helper()
	modules, env := Node(t)
	dir = filepath.Join(modules, name)
	if _, err := os.Stat(dir); err != nil {
		Missing(t, "the Node package "+name, "run npm ci in test/node")
	}
	return dir, env
}

// Python returns the interpreter of the environment in test/python, which must have the module.
func Python(t testing.TB, module string) string {
	t.Helper()
	python := filepath.Join(Root(), "test", "python", ".venv", "bin", "python")
	if err := exec.Command(python, "-c", "import "+module).Run(); err != nil {
		Missing(t, "Python with "+module, "run python3 -m venv .venv && .venv/bin/pip install -r requirements.txt in test/python")
	}
	return python
}

var builds struct {
	sync.Mutex
	dir  string
	done map[string]string
}

// Build compiles a main package once for the test run and returns the program.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	builds.Lock()
	defer builds.Unlock()
	if p := builds.done[pkg]; p != "" {
		return p
	}
	if builds.dir == "" {
		dir, err := os.MkdirTemp("", "gatehouse-test-")
		if err != nil {
			t.Fatal(err)
		}
		builds.dir, builds.done = dir, map[string]string{}
	}
	out := filepath.Join(builds.dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir = Root()
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, b)
	}
	builds.done[pkg] = out
	return out
}

// Clean removes what Build made; call it from TestMain.
func Clean() {
	builds.Lock()
	defer builds.Unlock()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
	}
}

// Addr returns a loopback address that was free a moment ago.
func Addr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start runs a program until the test ends, and waits until something listens on addr ("" waits for nothing).
func Start(t testing.TB, addr string, env []string, name string, args ...string) *Process {
	t.Helper()
	return StartIn(t, "", addr, env, name, args...)
}

// StartIn is Start in another folder than the test's.
func StartIn(t testing.TB, dir, addr string, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{cmd: exec.Command(name, args...)}
	p.cmd.Dir = dir
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	group(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = p.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		end(p.cmd, ended)
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), p.Output())
		}
	})
	if addr == "" {
		return p
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_ = c.Close()
			return p
		}
		select {
		case <-ended:
			t.Fatalf("%s ended before it listened:\n%s", name, p.Output())
		case <-ctx.Done():
			t.Fatalf("%s does not listen on %s:\n%s", name, addr, p.Output())
		case <-tick.C:
		}
	}
}

// Process is a program that runs beside a test.
type Process struct {
	cmd *exec.Cmd
	out buffer
}

// Output is what the program has printed.
func (p *Process) Output() string { return p.out.String() }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.b.Len() > 1<<20 {
		return len(p), nil
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Gateway serves the servers: section (YAML, indented) to anonymous callers on loopback and returns its URL.
func Gateway(t testing.TB, servers string) string {
	t.Helper()
	addr := Addr(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "gatehouse.yaml")
	text := fmt.Sprintf("listen: %s\ndata: data\nauth: {keys: false, anonymous: true}\nservers:\n%s", addr, servers)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	Start(t, addr, os.Environ(), Build(t, "./cmd/gatehouse"), "serve", "--config", file)
	return "http://" + addr
}
