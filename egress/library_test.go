package egress

import (
	"bufio"
	"io"
	"net"
	"testing"
)

func TestHTTPClient(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	addr := serve(t, func(_ int, nc net.Conn, br *bufio.Reader) {
		if _, _, err := take(br); err == nil {
			_, _ = io.WriteString(nc, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
		}
	})
	g, err := NewGuard(nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	hc := g.HTTPClient(Options{})
	defer hc.CloseIdleConnections()
	res, err := hc.Get("http://" + addr + "/")
	if err != nil || res.StatusCode != 307 {
		t.Fatalf("Get = %v, %v, want the redirect itself", res, err)
	}
	_ = res.Body.Close()
	for url, want := range map[string]string{
		"http://8.8.8.8/": CodeBlocked, "http://127.0.0.1:9/": CodeBlocked, "https://169.254.169.254/": CodeBlocked, "http://127.1/": CodeURL,
		"ftp://127.0.0.1/": CodeURL, "https://u:p@127.0.0.1/": CodeURL, "https://[::ffff:127.0.0.1]/": CodeBlocked,
	} {
		if res, err := hc.Get(url); code(err) != want {
			t.Errorf("Get(%s) = %v, %v, want %s", url, res, err, want)
		}
	}
}
