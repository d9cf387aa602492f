// Package clients drives the gateway with the MCP clients that people use, each in its exact version, with an access key.
package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.Clean()
	os.Exit(code)
}

// house is a gateway with access keys in front of real servers of both eras.
type house struct {
	url, key string
	file     string // its configuration
	program  string
	modules  string // Node packages
	env      []string
}

var keyOf = regexp.MustCompile(`"Authorization": "Bearer ([^"]+)"`)

// open starts the gateway with the quickstart's server, server-everything over HTTP and over standard input and output, and
// the Go SDK's server of either era behind it. The key is the one that the first start prints.
func open(t *testing.T) *house {
	t.Helper()
	for _, p := range []string{"inspector", "sdk", "client"} {
		testenv.Package(t, "@modelcontextprotocol/"+p)
	}
	testenv.Package(t, "mcp-remote")
	everything, env := testenv.Package(t, "@modelcontextprotocol/server-everything")
	script := filepath.Join(everything, "dist", "index.js")
	h := &house{env: env, program: testenv.Build(t, "./cmd/gatehouse")}
	h.modules, _ = testenv.Node(t)
	node := filepath.Join(h.modules, "node", "bin", "node")
	notes := testenv.Build(t, "./examples/quickstart/server")
	fixture := testenv.Build(t, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	npm, legacy, modern, addr := testenv.Addr(t), testenv.Addr(t), testenv.Addr(t), testenv.Addr(t)
	testenv.Start(t, npm, append(slices.Clone(env), "PORT="+npm[strings.LastIndex(npm, ":")+1:]), node, script, "streamableHttp")
	testenv.Start(t, legacy, env, fixture, "-http", legacy, "-stateless=false")
	testenv.Start(t, modern, env, fixture, "-http", modern, "-stateless=true")
	h.file = filepath.Join(t.TempDir(), "gatehouse.yaml")
	text := fmt.Sprintf(`listen: %s
data: data
servers:
  notes: {legacySSE: true, sources: [{command: [%q], sessions: shared}]}
  everything: {sources: [{mcp: "http://%s/mcp"}]}
  everything-stdio: {sources: [{command: [%q, %q, stdio]}]}
  legacy: {sources: [{mcp: "http://%s/mcp"}]}
  modern: {sources: [{mcp: "http://%s/mcp"}]}
`, addr, notes, npm, node, script, legacy, modern)
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testenv.Start(t, addr, env, h.program, "serve", "--config", h.file)
	h.url, h.key = "http://"+addr, printedKey(t, p)
	return h
}

// printedKey waits for the key that a first start prints once it listens.
func printedKey(t *testing.T, p *testenv.Process) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if m := keyOf.FindStringSubmatch(p.Output()); m != nil {
			return m[1]
		}
	}
	t.Fatalf("the first start printed no key:\n%s", p.Output())
	return ""
}

// run runs a program to its end and returns what it wrote and its exit code.
func (h *house) run(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = h.env
	cmd.WaitDelay = 5 * time.Second
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// script runs a script of test/node and returns the object it prints.
func (h *house) script(t *testing.T, name string, args ...string) map[string]any {
	t.Helper()
	file := filepath.Join(testenv.Root(), "test", "node", name)
	stdout, stderr, code := h.run(t, filepath.Join(h.modules, "node", "bin", "node"), append([]string{file}, args...)...)
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", name, code, stdout, stderr)
	}
	return object(t, stdout)
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("not one JSON object: %v\n%s", err, text)
	}
	return o
}

// expect compares members of got, as JSON, with want.
func expect(t *testing.T, got map[string]any, want map[string]string) {
	t.Helper()
	for name, w := range want {
		b, err := json.Marshal(got[name])
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != w {
			t.Errorf("%s = %s\nwant %s", name, b, w)
		}
	}
}

func TestClients(t *testing.T) {
	h := open(t)
	t.Run("Inspector", h.inspector)
	t.Run("TypeScript SDK 1", h.sdk)
	t.Run("TypeScript client 2", h.client)
	t.Run("mcp-remote", h.remote)
	t.Run("Go SDK", h.goSDK)
	t.Run("gatehouse call", h.call)
}
