// Package conformance runs the official MCP conformance suite through the gateway.
package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

const fixture = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"

var total = regexp.MustCompile(`(?m)^Total: .*$`)

// TestSuite runs every pair of upstream era and requirements. A pair without a baseline file must pass every required
// scenario; a baseline lists what the upstream itself cannot serve, and a line in it that passes is a failure too.
func TestSuite(t *testing.T) {
	_, env := testenv.Package(t, "@modelcontextprotocol/conformance")
	modules, _ := testenv.Node(t)
	server := testenv.Build(t, fixture)
	legacy, modern := testenv.Addr(t), testenv.Addr(t)
	testenv.Start(t, legacy, os.Environ(), server, "-http", legacy, "-stateless=false")
	testenv.Start(t, modern, os.Environ(), server, "-http", modern, "-stateless=true")
	url := testenv.Gateway(t, fmt.Sprintf("  legacy: {sources: [{mcp: %q}]}\n  modern: {sources: [{mcp: %q}]}\n", "http://"+legacy+"/mcp", "http://"+modern+"/mcp"))
	for _, upstream := range []string{"legacy", "modern"} {
		for _, requirements := range []string{"2025-11-25", "2026-07-28"} {
			t.Run(upstream+"/"+requirements, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				args := []string{"server", "--url", url + "/" + upstream + "/mcp", "--requirements", requirements, "-o", t.TempDir()}
				baseline, err := filepath.Abs(filepath.Join("baseline", upstream+"-"+requirements+".yml"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(baseline); err == nil {
					args = append(args, "--expected-failures", baseline)
				}
				cmd := exec.CommandContext(ctx, filepath.Join(modules, ".bin", "conformance"), args...)
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				_, summary, _ := strings.Cut(string(out), "=== SUMMARY ===")
				if err != nil {
					t.Errorf("conformance %s: %v\n%s", strings.Join(args, " "), err, summary)
				}
				t.Logf("%s over %s: %s", requirements, upstream, total.FindString(summary))
			})
		}
	}
}
