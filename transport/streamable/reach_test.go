package streamable

import (
	"net/http"
	"testing"

	"gatehouse/config"
)

// A reload swaps names, origins and bounds at once, or nothing.
func TestReload(t *testing.T) {
	h, _ := handler(t)
	status := func(host, origin string) int {
		return do(h, "POST", "/s/mcp", greet, func(r *http.Request) {
			modern(r)
			r.Host = host
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
		}).StatusCode
	}
	want := func(when, host, origin string, code int) {
		t.Helper()
		if got := status(host, origin); got != code {
			t.Errorf("%s: host %s origin %q: %d, want %d", when, host, origin, got, code)
		}
	}
	want("start", "mcp.example", "", 403)
	want("start", "127.0.0.1:8080", "http://app.example:1234", 200)
	l := config.DefaultLimits
	l.RequestBytes = 64
	if err := h.Reload("not a URL", nil, l); err == nil {
		t.Error("Reload of a bad publicURL: no error")
	}
	want("bad reload", "127.0.0.1:8080", "http://app.example:1234", 200)
	if err := h.Reload("https://mcp.example", []string{"https://page.example"}, l); err != nil {
		t.Fatal(err)
	}
	want("new bound", "127.0.0.1:8080", "", 413)
	l.RequestBytes = 1 << 10
	if err := h.Reload("https://mcp.example", []string{"https://page.example"}, l); err != nil {
		t.Fatal(err)
	}
	want("reload", "mcp.example", "", 200)
	want("reload", "mcp.example:443", "https://page.example:443", 200)
	want("reload", "mcp.example", "http://app.example:1234", 403)
	want("reload", "127.0.0.1:8080", "", 200) // the listener is still on loopback
}
