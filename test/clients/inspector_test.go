package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inspect runs the Inspector's command line on a server in the configuration it makes.
func (h *house) inspect(t *testing.T, server, era, key string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mcp.json")
	text := fmt.Sprintf(`{"mcpServers":{"s":{"type":"streamable-http","url":"%s/%s/mcp","protocolEra":%q,"headers":{"Authorization":"Bearer %s"}}}}`, h.url, server, era, key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(h.modules, ".bin", "mcp-inspector")
	return h.run(t, program, append([]string{"--cli", "--stored-auth-only", "--config", file, "--server", "s", "--format", "json"}, args...)...)
}

var revision = map[string]string{"legacy": "2025-11-25", "modern": "2026-07-28"}

func (h *house) inspector(t *testing.T) {
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			must := func(want string, args ...string) {
				t.Helper()
				stdout, stderr, code := h.inspect(t, "everything", era, h.key, args...)
				if code != 0 || !strings.Contains(stdout, want) {
					t.Errorf("inspector %s: exit %d, want %s in\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
				}
			}
			must(revision[era], "--method", "initialize")
			must(`"get-structured-content"`, "--method", "tools/list")
			must(`"humidity":82`, "--method", "tools/call", "--tool-name", "get-structured-content", "--tool-arg", "location=Chicago")
			must(`Resource 3: This is a plaintext resource`, "--method", "resources/read", "--uri", "demo://resource/dynamic/text/3")
			must(`What's weather in Oslo`, "--method", "prompts/get", "--prompt-name", "args-prompt", "--prompt-args", "city=Oslo")

			stdout, stderr, code := h.inspect(t, "notes", era, h.key, "--method", "tools/call", "--tool-name", "convert_units", "--tool-arg", "value=5", "--tool-arg", "from=km", "--tool-arg", "to=F")
			if code != 5 || !strings.Contains(stdout, "give value as a number") {
				t.Errorf("a tool that fails: exit %d, want 5 and its text in\n%s%s", code, stdout, stderr)
			}
			_, stderr, code = h.inspect(t, "everything", era, "gh_wrong", "--method", "tools/list")
			if code != 3 {
				t.Errorf("a wrong key: exit %d, want 3\n%s", code, stderr)
			}
		})
	}
	t.Run("as the README has it", func(t *testing.T) {
		stdout, stderr, code := h.run(t, filepath.Join(h.modules, ".bin", "mcp-inspector"),
			"--cli", h.url+"/notes/mcp", "--transport", "http", "--header", "Authorization: Bearer "+h.key, "--method", "tools/list")
		if code != 0 || !strings.Contains(stdout, `"note_add"`) {
			t.Errorf("exit %d, want the tools in\n%s%s", code, stdout, stderr)
		}
	})
}
