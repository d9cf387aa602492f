package streamable

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/wire"
)

// FuzzHead: whatever stands in a request's head, the answer is one of a few, and a call is only made when the head says
// what the body says, from where it may.
func FuzzHead(f *testing.F) {
	f.Add("/s/mcp", "127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin", "application/json", "application/json", "2026-07-28", "tools/call", "greet")
	f.Add("/s/mcp", "localhost:8080", "-", "", "application/json; charset=\"utf-8\"", "*/*;q=0", "2026-07-28", "tools/call", "=?base64?Z3JlZXQ=?=")
	f.Add("/s%2fmcp", "[::1]:8080", "null", "cross-site", "text/plain", "", "2025-11-25", "", "")
	f.Add("//", "evil.example", "http://evil.example", "none", "application/json;", "text/event-stream", "9999", "initialize", "\xff")
	f.Fuzz(func(t *testing.T, path, host, origin, site, content, accept, version, method, name string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n\t?#%") || strings.ContainsFunc(path, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
			return // the request line is net/http's
		}
		h, g := handler(t)
		res := do(h, "POST", path, greet, func(r *http.Request) {
			r.Host = host
			r.Header = http.Header{}
			for k, v := range map[string]string{"Origin": origin, "Sec-Fetch-Site": site, "Content-Type": content, "Accept": accept, "Mcp-Protocol-Version": version, "Mcp-Method": method, "Mcp-Name": name} {
				if v != "-" {
					r.Header[k] = []string{v}
				}
			}
		})
		if !slices.Contains([]int{200, 400, 403, 404, 406, 415}, res.StatusCode) {
			t.Fatalf("status %d", res.StatusCode)
		}
		if (g.calls == 1) != (res.StatusCode == 200) {
			t.Fatalf("%d calls, status %d", g.calls, res.StatusCode)
		}
		if g.calls == 0 {
			return
		}
		said, err := wire.DecodeHeader(name)
		if err != nil || said != "greet" || method != "tools/call" || version != "2026-07-28" || path != "/s/mcp" || !strings.HasPrefix(strings.TrimSpace(strings.ToLower(content)), "application/json") ||
			!slices.Contains([]string{"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}, strings.ToLower(host)) {
			t.Fatalf("called by %q %q %q %q %q", path, host, content, method, name)
		}
		if origin != "-" && !slices.Contains([]string{"http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://app.example:1234"}, strings.ToLower(origin)) {
			t.Fatalf("called by a page of %q", origin)
		}
	})
}
