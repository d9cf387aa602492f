package clients

import (
	"strings"
	"testing"
)

// call drives the gateway's own client: through the URL with the key in either era, and in process.
func (h *house) call(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
	}{
		{"by URL", []string{h.url + "/everything/mcp", "--key", h.key}},
		{"by URL, legacy", []string{h.url + "/everything/mcp", "--key", h.key, "--era", "legacy"}},
		{"by URL, modern", []string{h.url + "/everything/mcp", "--key", h.key, "--era", "modern"}},
		{"in process", []string{"everything", "--config", h.file}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := func(args ...string) (string, string, int) {
				return h.run(t, h.program, append(append([]string{"call"}, tc.args...), args...)...)
			}
			stdout, stderr, code := run()
			if code != 0 || !strings.Contains(stdout, "\nget-sum ") {
				t.Errorf("list: exit %d, want get-sum in\n%s%s", code, stdout, stderr)
			}
			stdout, stderr, code = run("get-sum", "--arg", "a=2", "--arg", "b=40")
			if want := "The sum of 2 and 40 is 42.\n"; code != 0 || stdout != want {
				t.Errorf("get-sum = %q, exit %d, want %q\n%s", stdout, code, want, stderr)
			}
			stdout, stderr, code = run("get-structured-content", "--arg", "location=Chicago", "--json")
			if want := `"structuredContent":{"temperature":36,"conditions":"Light rain / drizzle","humidity":82}`; code != 0 || !strings.Contains(stdout, want) {
				t.Errorf("get-structured-content = %s, exit %d, want %s in it\n%s", stdout, code, want, stderr)
			}
			stdout, stderr, code = run("trigger-long-running-operation", "--arg", "duration=0.4", "--arg", "steps=2")
			if code != 0 || !strings.Contains(stderr, "progress 1 of 2") || !strings.Contains(stderr, "progress 2 of 2") {
				t.Errorf("progress: exit %d, want two steps in\n%s%s", code, stdout, stderr)
			}
			stdout, stderr, code = run("trigger-elicitation-request")
			if code != 0 || !strings.Contains(stderr, "the server asks: Please provide inputs") || !strings.Contains(stdout, "User declined") {
				t.Errorf("elicitation without a terminal: exit %d, want a refusal in\n%s%s", code, stdout, stderr)
			}
			if _, stderr, code = run("nothing"); code != 1 || !strings.Contains(stderr, `has no tool "nothing"`) {
				t.Errorf("an unknown tool: exit %d, want 1 and its name in\n%s", code, stderr)
			}
		})
	}
	_, stderr, code := h.run(t, h.program, "call", h.url+"/everything/mcp", "--key", "gh_wrong")
	if code != 1 || !strings.Contains(stderr, "hint:") {
		t.Errorf("a wrong key: exit %d, want 1 and a hint in\n%s", code, stderr)
	}
}
