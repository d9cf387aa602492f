package streamable

import (
	"net/http"
	"slices"
	"testing"
)

// origins are the kinds of Origin that T-ORIGIN names, for a server whose own origin is scheme://host:port.
func origins(scheme, host, port string) map[string][]string {
	other := map[string]string{"http": "https", "https": "http"}[scheme]
	return map[string][]string{
		"absent":        nil,
		"own":           {scheme + "://" + host + ":" + port},
		"listed":        {"http://app.example:1234"},
		"other port":    {scheme + "://" + host + ":81"},
		"other scheme":  {other + "://" + host + ":" + port},
		"upper case":    {"HTTP" + scheme[4:] + "://" + upper(host) + ":" + port},
		"trailing dot":  {scheme + "://" + host + ".:" + port},
		"subdomain":     {scheme + "://x." + host + ":" + port},
		"suffix trick":  {scheme + "://" + host + ":" + port + ".evil.example"},
		"prefix trick":  {scheme + "://evil.example?" + host + ":" + port},
		"user trick":    {scheme + "://" + host + ":" + port + "@evil.example"},
		"path":          {scheme + "://" + host + ":" + port + "/"},
		"IP literal":    {scheme + "://192.0.2.1:" + port},
		"private IP":    {scheme + "://10.0.0.7:" + port},
		"extension":     {"chrome-extension://abcdefgh"},
		"file":          {"file://"},
		"null":          {"null"},
		"empty":         {""},
		"two":           {scheme + "://" + host + ":" + port, scheme + "://" + host + ":" + port},
		"two, one evil": {scheme + "://" + host + ":" + port, "http://evil.example"},
		"joined":        {scheme + "://" + host + ":" + port + ", http://evil.example"},
	}
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 32
		}
	}
	return string(b)
}

// TestOrigin is T-ORIGIN, the full product: hosts, origins, Sec-Fetch-Site, binds, methods and content types. Only what is
// listed here passes, and every cell has its exact status.
func TestOrigin(t *testing.T) {
	n := 0
	for _, b := range []struct {
		name, bind, publicURL string
		scheme, host, port    string // own origin
		hosts                 []string
	}{
		{"loopback", "127.0.0.1:8080", "http://127.0.0.1:8080", "http", "localhost", "8080", []string{"127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080"}},
		{"address", "10.0.0.5:8080", "http://10.0.0.5:8080", "http", "10.0.0.5", "8080", []string{"10.0.0.5:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7:8080"}},
		{"name", "0.0.0.0:8080", "https://mcp.example", "https", "mcp.example", "443", []string{"mcp.example", "MCP.example:443", "10.0.0.5:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7:8080"}},
	} {
		h, g := handlerAt(t, b.bind, b.publicURL)
		hosts := slices.Concat(b.hosts, []string{"", "127.0.0.1:9", "evil.example:8080", "localhost.:8080", "mcp.example:8080"})
		whole := len(hosts) // of these; the others meet a good request only
		for _, x := range []string{
			"localhost", "localhost:8080", "evil.example", "localhost:8080.evil.example", "127.0.0.1.:8080", "127.1:8080", "2130706433:8080", "0x7f000001:8080", "[fe80::1%25eth0]:8080", "[::ffff:127.0.0.1]:8081",
			"10.0.0.7:8080", "mcp.example", "mcp.example.", "x.mcp.example", "mcp.example:80", "127.0.0.1:8080 evil.example", "127.0.0.1:8080@evil.example", "127.0.0.1:8080,evil.example", "127.0.0.1:8080/", "127.0.0.1:08080",
		} {
			if !slices.Contains(hosts, x) {
				hosts = append(hosts, x)
			}
		}
		for i, host := range hosts {
			hostOK := slices.Contains(b.hosts, host)
			for kind, origin := range origins(b.scheme, b.host, b.port) {
				own := kind == "own" || kind == "listed" || kind == "upper case"
				for _, site := range []string{"", "none", "same-origin", "same-site", "cross-site"} {
					originOK := own || kind == "absent" && site != "cross-site" && site != "same-site"
					for _, method := range []string{"POST", "GET", "DELETE", "OPTIONS", "PUT"} {
						for _, content := range []string{"application/json", "application/json; charset=utf-8", "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
							if i >= whole && (kind != "own" || site != "" || method != "POST") {
								continue
							}
							want := 405
							switch {
							case !hostOK, !originOK:
								want = 403
							case method == "POST" && len(content) > 15 && content[:16] == "application/json":
								want = 200
							case method == "POST":
								want = 415
							case method == "OPTIONS" && own:
								want = 204
							}
							g.calls = 0
							res := do(h, method, "/s/mcp", greet, func(r *http.Request) {
								modern(r)
								r.Host = host
								r.Header.Del("Content-Type")
								if content != "" {
									r.Header.Set("Content-Type", content)
								}
								if origin != nil {
									r.Header["Origin"] = origin
								}
								if site != "" {
									r.Header.Set("Sec-Fetch-Site", site)
								}
								if method == "OPTIONS" {
									r.Header.Set("Access-Control-Request-Method", "POST")
								}
							})
							allow := res.Header.Get("Access-Control-Allow-Origin")
							readable := own && hostOK
							n++
							if res.StatusCode != want || (g.calls == 1) != (want == 200) || (allow != "") != readable || allow == "*" {
								t.Fatalf("%s: host %q, origin %s, site %q, %s %q: %d, %d calls, readable by %q; want %d", b.name, host, kind, site, method, content, res.StatusCode, g.calls, allow, want)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d cells", n)
	if n < 8*12*5*3*5*5 {
		t.Errorf("%d cells, want the full product", n)
	}
}
