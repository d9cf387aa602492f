// Package conformance runs the official MCP conformance suite through the gateway.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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

const fixture = "github.com/modelcontextprotocol/go-sdk/conformance/everything-server"

// TestServer runs the suite of both revisions against the gateway in front of every upstream. A pair without a baseline
// must pass every required scenario. A baseline may only list what the upstream fails by itself, and a line in it that
// passes is a failure too.
func TestServer(t *testing.T) {
	_, env := testenv.Package(t, "@modelcontextprotocol/conformance")
	everything, _ := testenv.Package(t, "@modelcontextprotocol/server-everything")
	script := filepath.Join(everything, "dist", "index.js")
	modules, _ := testenv.Node(t)
	node := filepath.Join(modules, "node", "bin", "node")
	server := testenv.Build(t, fixture)
	legacy, modern, npm := testenv.Addr(t), testenv.Addr(t), testenv.Addr(t)
	testenv.Start(t, legacy, env, server, "-http", legacy, "-stateless=false")
	testenv.Start(t, modern, env, server, "-http", modern, "-stateless=true")
	testenv.Start(t, npm, append(slices.Clone(env), "PORT="+npm[strings.LastIndex(npm, ":")+1:]), node, script, "streamableHttp")

	upstreams := []struct {
		name     string
		source   string // of the configuration
		alone    string // where the same server answers without the gateway
		baseline string // first part of the baselines' names
	}{
		{"legacy", mcp("http://" + legacy), "http://" + legacy, "legacy"},
		{"modern", mcp("http://" + modern), "http://" + modern, "modern"},
		{"dual", mcp(dual(t, legacy, modern)), "", "dual"},
		{"stdio", fmt.Sprintf("{command: [%q]}", server), "", "stdio"},
		{"everything", mcp("http://" + npm), "http://" + npm, "everything"},
		{"everything-stdio", fmt.Sprintf("{command: [%q, %q, stdio]}", node, script), "http://" + npm, "everything"},
	}
	var servers strings.Builder
	for _, u := range upstreams {
		fmt.Fprintf(&servers, "  %s: {sources: [%s]}\n", u.name, u.source)
	}
	gateway := testenv.Gateway(t, servers.String())

	alone := map[string]map[string]bool{} // address and revision: scenario: passes
	for _, u := range upstreams {
		for _, revision := range []string{"2025-11-25", "2026-07-28"} {
			t.Run(u.name+"/"+revision, func(t *testing.T) {
				args := []string{"server", "--url", gateway + "/" + u.name + "/mcp", "--requirements", revision}
				baseline, err := filepath.Abs(filepath.Join("baseline", u.baseline+"-"+revision+".yml"))
				if err != nil {
					t.Fatal(err)
				}
				lines := readBaseline(t, baseline)
				if len(lines) > 0 {
					args = append(args, "--expected-failures", baseline)
				}
				out, err := suite(t, env, args...)
				if err != nil {
					t.Errorf("conformance %s: %v\n%s", strings.Join(args, " "), err, out)
				}
				t.Logf("%s over %s: %s; %d scenarios in the baseline", revision, u.name, total.FindString(out), len(lines))
				if u.alone == "" || len(lines) == 0 {
					return
				}
				key := u.alone + " " + revision
				if alone[key] == nil {
					out, _ := suite(t, env, "server", "--url", u.alone+"/mcp", "--requirements", revision, "--expected-failures", baseline)
					alone[key] = scenarios(out)
					t.Logf("%s at %s alone: %s", revision, u.name, total.FindString(out))
				}
				for _, l := range lines {
					scenario, _, _ := strings.Cut(l, ":")
					if passes, ran := alone[key][scenario]; !ran || passes && !slices.Contains(hollow, scenario) {
						t.Errorf("baseline %s lists %s, which the upstream does not fail by itself (ran: %v)", filepath.Base(baseline), l, ran)
					}
				}
			})
		}
	}
}

// TestClient runs the suite against a client made of backend/upstream.
func TestClient(t *testing.T) {
	_, env := testenv.Package(t, "@modelcontextprotocol/conformance")
	client := testenv.Build(t, "./test/conformance/client")
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			baseline, err := filepath.Abs(filepath.Join("baseline", "client-"+revision+".yml"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := suite(t, env, "client", "--command", client, "--requirements", revision, "--expected-failures", baseline)
			if err != nil {
				t.Errorf("conformance client, %s: %v\n%s", revision, err, out)
			}
			t.Logf("%s: %s; %d scenarios in the baseline", revision, total.FindString(out), len(readBaseline(t, baseline)))
		})
	}
}

func mcp(origin string) string { return fmt.Sprintf("{mcp: %q}", origin+"/mcp") }

// dual serves both eras on one URL, as a server of the Go SDK does with its two handlers: each request goes to the one
// of its era.
func dual(t *testing.T, legacy, modern string) string {
	proxy := func(addr string) http.Handler {
		return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: addr}) }}
	}
	old, current := proxy(legacy), proxy(modern)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // whole, since an answer may begin while the proxy still reads
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if r.Header.Get("MCP-Protocol-Version") >= "2026-07-28" || bytes.Contains(body, []byte(`"io.modelcontextprotocol/protocolVersion"`)) {
			current.ServeHTTP(w, r)
			return
		}
		old.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// readBaseline returns the entries of a baseline, nil when there is none.
func readBaseline(t *testing.T, file string) (entries []string) {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		if e, isEntry := strings.CutPrefix(strings.TrimSpace(l), "- "); isEntry {
			entries = append(entries, e)
		}
	}
	return entries
}

// hollow are scenarios that a server passes without having the tool they call, when it answers any name with a text and
// isError. The gateway refuses a name that is not listed.
var hollow = []string{"tools-call-simple-text", "tools-call-error"}

var (
	total = regexp.MustCompile(`(?m)^Total: .*$`)
	line  = regexp.MustCompile(`(?m)^([✓✗]) ([^:\s]+): \d+ passed, (\d+) failed`)
)

// suite runs the suite and returns its summary.
func suite(t *testing.T, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	modules, _ := testenv.Node(t)
	results := t.TempDir()
	cmd := exec.CommandContext(ctx, filepath.Join(modules, ".bin", "conformance"), append(args, "-o", results)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	_, summary, found := strings.Cut(string(out), "SUMMARY ===")
	if !found {
		t.Fatalf("the suite did not come to an end: %v\n%s", err, out)
	}
	return summary + reasons(t, results), err
}

// reasons tells why checks did not succeed.
func reasons(t *testing.T, dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		var checks []struct{ ID, Status, ErrorMessage string }
		if err == nil {
			err = json.Unmarshal(b, &checks)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			if c.Status == "FAILURE" || c.Status == "WARNING" {
				fmt.Fprintf(&out, "%s: %s: %s\n", filepath.Base(filepath.Dir(f)), c.ID, c.ErrorMessage)
			}
		}
	}
	return out.String()
}

// scenarios tells which scenarios of a summary pass. A warning fails, as it does where there is a baseline.
func scenarios(summary string) map[string]bool {
	out := map[string]bool{}
	for _, m := range line.FindAllStringSubmatch(summary, -1) {
		out[m[2]] = m[1] == "✓" && !strings.Contains(summary, "~ "+m[2])
	}
	return out
}
