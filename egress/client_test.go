package egress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/config"
)

// serve runs f for each connection of a loopback listener, with the number of the connection from 1, and returns its address.
func serve(t testing.TB, f func(n int, nc net.Conn, br *bufio.Reader)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 1; ; n++ {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, nc)
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				f(n, nc, bufio.NewReader(nc))
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, nc := range open {
			_ = nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// take reads one request and returns its body.
func take(br *bufio.Reader) (*http.Request, string, error) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(req.Body)
	return req, string(b), err
}

func client(t testing.TB, addr string, o Options) *Client {
	t.Helper()
	g, err := NewGuard(nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(&url.URL{Scheme: "http", Host: addr, Path: "/mcp"}, g, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// send does r and reads the whole answer.
func send(c *Client, r *Request) (int, string, error) {
	res, err := c.Do(context.Background(), r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.Status, string(b), err
}

func zip(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func sized(header, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", header, len(body), body)
}

func chunked(body string) string {
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
}

// TestHostile: what a server sends, and what becomes of it. After each answer the server closes its side.
func TestHostile(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct {
		name, answer string
		status       int
		body         string
		code         string
	}{
		{"plain", sized("", "hi"), 200, "hi", ""},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", ""},
		{"empty reason", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, "", ""},
		{"redirect is not followed", "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", 302, "", ""},
		{"to the end of the connection", ok + "\r\nhi", 200, "hi", ""},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhi", 200, "hi", ""},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", ""},
		{"chunked", chunked("2\r\nhi\r\n3;x=y\r\n yo\r\n0\r\n\r\n"), 200, "hi yo", ""},
		{"chunked with trailer", chunked("2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"), 200, "hi", ""},
		{"chunked in capitals", ok + "TRANSFER-ENCODING: CHUNKED\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "0123456789", ""},
		{"interim answers", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + sized("", "hi"), 200, "hi", ""},
		{"gzip", sized("Content-Encoding: gzip\r\n", zip("hi")), 200, "hi", ""},
		{"gzip in chunks", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(zip("hi")), zip("hi")), 200, "hi", ""},
		{"identity", sized("Content-Encoding: identity\r\n", "hi"), 200, "hi", ""},
		{"obs-text in a value", sized("X: \xff\xfe\r\n", "hi"), 200, "hi", ""},

		{"silence", "", 0, "", CodeBroken},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", 0, "", CodeBroken},
		{"interim only", "HTTP/1.1 100 Continue\r\n\r\n", 0, "", CodeBroken},
		{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "", CodeHead},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 0, "", CodeHead},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", 0, "", CodeHead},
		{"lower case", "http/1.1 200 OK\r\n\r\n", 0, "", CodeHead},
		{"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", 0, "", CodeHead},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", 0, "", CodeHead},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, "", CodeHead},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", 0, "", CodeHead},
		{"status 000", "HTTP/1.1 000 OK\r\n\r\n", 0, "", CodeHead},
		{"status 600", "HTTP/1.1 600 OK\r\n\r\n", 0, "", CodeHead},
		{"status with sign", "HTTP/1.1 +20 OK\r\n\r\n", 0, "", CodeHead},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", 0, "", CodeHead},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0, "", CodeHead},
		{"bare LF in the middle", ok + "A: b\nContent-Length: 0\r\n\r\n", 0, "", CodeHead},
		{"bare CR in a value", ok + "A: b\rContent-Length: 9\r\nContent-Length: 0\r\n\r\n", 0, "", CodeHead},
		{"NUL in a value", ok + "A: b\x00\r\n\r\n", 0, "", CodeHead},
		{"DEL in a value", ok + "A: b\x7f\r\n\r\n", 0, "", CodeHead},
		{"folded line", ok + "A: b\r\n c\r\n\r\n", 0, "", CodeHead},
		{"folded by a tab", ok + "A: b\r\n\tc\r\n\r\n", 0, "", CodeHead},
		{"first line folded", ok + " A: b\r\n\r\n", 0, "", CodeHead},
		{"space before the colon", ok + "Content-Length : 0\r\n\r\n", 0, "", CodeHead},
		{"no colon", ok + "Content-Length\r\n\r\n", 0, "", CodeHead},
		{"no name", ok + ": x\r\n\r\n", 0, "", CodeHead},
		{"name with a slash", ok + "A/B: x\r\n\r\n", 0, "", CodeHead},
		{"name with obs-text", ok + "\xc4: x\r\n\r\n", 0, "", CodeHead},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 0, "", CodeHead},
		{"interim without end", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6) + sized("", "hi"), 0, "", CodeHead},
		{"101 fields", ok + strings.Repeat("A: b\r\n", 101) + "\r\n", 0, "", CodeHeadSize},
		{"33 KiB of head", ok + "A: " + strings.Repeat("b", 33<<10) + "\r\n\r\n", 0, "", CodeHeadSize},
		{"status line without end", strings.Repeat("H", 40<<10), 0, "", CodeHeadSize},

		{"length and chunks", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"chunks and length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"two lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", 0, "", CodeFraming},
		{"the same length twice", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", 0, "", CodeFraming},
		{"list of lengths", ok + "Content-Length: 2, 2\r\n\r\nhi", 0, "", CodeFraming},
		{"negative length", ok + "Content-Length: -2\r\n\r\nhi", 0, "", CodeFraming},
		{"length with plus", ok + "Content-Length: +2\r\n\r\nhi", 0, "", CodeFraming},
		{"length in hex", ok + "Content-Length: 0x2\r\n\r\nhi", 0, "", CodeFraming},
		{"empty length", ok + "Content-Length:\r\n\r\nhi", 0, "", CodeFraming},
		{"length out of range", ok + "Content-Length: 99999999999999999999\r\n\r\nhi", 0, "", CodeFraming},
		{"chunked twice", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"two transfer encodings", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"gzip, chunked", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"identity transfer", ok + "Transfer-Encoding: identity\r\n\r\nhi", 0, "", CodeFraming},
		{"almost chunked", ok + "Transfer-Encoding: xchunked\r\n\r\nhi", 0, "", CodeFraming},
		{"empty transfer encoding", ok + "Transfer-Encoding:\r\n\r\nhi", 0, "", CodeFraming},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "", CodeFraming},
		{"chunk size not hex", chunked("zz\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size empty", chunked("\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size negative", chunked("-2\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size 0x", chunked("0x2\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size with space", chunked("2 \r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size out of range", chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk size ends in LF", chunked("2\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"two digits and LF", chunked("12\nh\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"chunk longer than said", chunked("2\r\nhi!\r\n0\r\n\r\n"), 200, "hi", CodeFraming},
		{"chunk ends in LF", chunked("2\r\nhi\n0\r\n\r\n"), 200, "hi", CodeFraming},
		{"long chunk extension", chunked("2;" + strings.Repeat("x", 300) + "\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"many chunk extensions", chunked(strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\na\r\n", 30) + "0\r\n\r\n"), 200, strings.Repeat("a", 20), CodeFraming},
		{"CR in a chunk extension", chunked("2;a\rb\r\nhi\r\n0\r\n\r\n"), 200, "", CodeFraming},
		{"long trailer", chunked("0\r\nA: " + strings.Repeat("b", 5<<10) + "\r\n\r\n"), 200, "", CodeFraming},
		{"malformed trailer", chunked("0\r\nA b\r\n\r\n"), 200, "", CodeFraming},

		{"short body", ok + "Content-Length: 5\r\n\r\nhi", 200, "hi", CodeTruncated},
		{"no body", ok + "Content-Length: 5\r\n\r\n", 200, "", CodeTruncated},
		{"short chunk", chunked("5\r\nhi"), 200, "hi", CodeTruncated},
		{"no last chunk", chunked("2\r\nhi\r\n"), 200, "hi", CodeTruncated},
		{"no end after the last chunk", chunked("2\r\nhi\r\n0\r\n"), 200, "hi", CodeTruncated},

		{"brotli", sized("Content-Encoding: br\r\n", "hi"), 0, "", CodeEncoding},
		{"deflate", sized("Content-Encoding: deflate\r\n", "hi"), 0, "", CodeEncoding},
		{"gzip twice", sized("Content-Encoding: gzip, gzip\r\n", zip(zip("hi"))), 0, "", CodeEncoding},
		{"gzip on two lines", sized("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", zip(zip("hi"))), 0, "", CodeEncoding},
		{"not gzip at all", sized("Content-Encoding: gzip\r\n", "hi, this is plain"), 200, "", CodeEncoding},
		{"gzip cut short", ok + "Content-Encoding: gzip\r\nContent-Length: 400\r\n\r\n" + zip("hi")[:12], 200, "*", CodeTruncated},
		{"gzip cut in itself", sized("Content-Encoding: gzip\r\n", zip("hi")[:12]), 200, "*", CodeEncoding},
		{"gzip bomb", sized("Content-Encoding: gzip\r\n", zip(strings.Repeat("\x00", 4<<20))), 200, "*", CodeEncoding},
		{"gzip longer than accepted", sized("Content-Encoding: gzip\r\n", zip(strings.Repeat("abcdefghij", 9000))), 200, "*", CodeEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := serve(t, func(_ int, nc net.Conn, br *bufio.Reader) {
				if _, _, err := take(br); err == nil {
					_, _ = io.WriteString(nc, tt.answer)
					_ = nc.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, br) // no reset while the client reads
				}
			})
			o := Options{}
			if tt.name == "gzip longer than accepted" {
				o.MaxDecodedBytes = 80000
			}
			c := client(t, addr, o)
			status, body, err := send(c, &Request{Method: "POST", Body: []byte("{}")})
			if got := code(err); status != tt.status || body != tt.body && tt.body != "*" || got != tt.code {
				t.Errorf("got %d %.40q %v, want %d %.40q %q", status, body, err, tt.status, tt.body, tt.code)
			}
			if err != nil && tt.code != CodeEncoding && len(c.pool.idle) != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

// TestRequest: what is refused before a connection is made, and what is sent.
func TestRequest(t *testing.T) {
	g, dialled := fake(t, []config.EgressAllow{{Name: "public.example"}})
	u, _ := url.Parse("http://public.example/mcp?x=1")
	c, err := NewClient(u, g, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(n, v string) *Request { return &Request{Header: []Field{{n, v}}} }
	for _, r := range []*Request{
		f("A", "b\r\nHost: evil"), f("A", "b\n"), f("A", "b\r"), f("A", "b\x00"), f("A", "\x7f"), f("A\r\nB", "c"), f("A:", "c"), f("", "c"),
		f("A B", "c"), f("Ä", "c"), f("Host", "evil"), f("host", "evil"), f("Content-Length", "0"), f("transfer-encoding", "chunked"),
		f("Connection", "close"), f("Upgrade", "h2c"), f("TE", "trailers"), f("Trailer", "x"), f("Expect", "100-continue"),
		f("Keep-Alive", "x"), f("Proxy-Authorization", "x"), f("Proxy-Connection", "x"), f("A", strings.Repeat("b", 33<<10)),
		{Header: make([]Field, 101)},
		{Method: "GET /"},
		{Method: "G\r\nT"},
		{Method: "CONNECT"},
		{Method: "TRACE"},
		{Path: "x"},
		{Path: "http://evil/"},
		{Path: "@evil"},
		{Path: "/a b"},
		{Path: "/a\r\nHost: evil"},
		{Path: "/a#b"},
		{Path: "/a\\b"},
		{Path: "/%"},
		{Path: "/%2"},
		{Path: "/%zz"},
		{Path: "/ä"},
		{Path: "/\x00"},
		{Path: "?x"},
	} {
		if _, err := c.Do(t.Context(), r); code(err) != CodeRequest {
			t.Errorf("Do(%.60q) = %v, want %s", fmt.Sprint(*r), err, CodeRequest)
		}
	}
	if len(*dialled) > 0 {
		t.Errorf("connected to %v", *dialled)
	}
	for _, bad := range []string{
		"http://u:p@public.example/", "ftp://public.example/", "http://public.example/#x", "http:public.example",
		"http://public.example:0/", "http://public.example:/", "http://", "http://public.example./", "http://127.1/", "http://[fe80::1%25eth0]/",
	} {
		u, err := url.Parse(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewClient(u, g, Options{}); code(err) != CodeURL {
			t.Errorf("NewClient(%s) = %v, want %s", bad, err, CodeURL)
		}
		if _, err := NewClient(u, g, Options{}); err != nil && strings.Contains(err.Error(), ":p@") {
			t.Errorf("%v shows the password", err)
		}
	}
	for _, tt := range []struct {
		r    Request
		want string
	}{
		{Request{}, "GET /mcp?x=1 HTTP/1.1\r\nHost: public.example\r\nUser-Agent: gatehouse\r\n\r\n"},
		{
			Request{Method: "POST", Path: "/a%2Fb?q=%20", Header: []Field{{"user-agent", "me"}, {"A", "b"}}, Body: []byte("hi")},
			"POST /a%2Fb?q=%20 HTTP/1.1\r\nHost: public.example\r\nuser-agent: me\r\nA: b\r\nContent-Length: 2\r\n\r\n",
		},
		{Request{Method: "POST", Path: "/"}, "POST / HTTP/1.1\r\nHost: public.example\r\nUser-Agent: gatehouse\r\nContent-Length: 0\r\n\r\n"},
	} {
		agent, err := tt.r.check()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(c.appendHead(nil, &tt.r, agent)); got != tt.want {
			t.Errorf("head is %q, want %q", got, tt.want)
		}
	}
}

// echo answers every request with its body, until the client is done.
func echo(_ int, nc net.Conn, br *bufio.Reader) {
	for {
		_, body, err := take(br)
		if err != nil {
			return
		}
		if _, err := io.WriteString(nc, sized("", body)); err != nil {
			return
		}
	}
}

func TestHTTPS(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if ae := r.Header.Get("Accept-Encoding"); ae != "" {
			t.Errorf("Accept-Encoding %q was sent", ae)
		}
		w.Header().Set("X-Proto", r.Proto)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("A"), b)
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/mcp", 307) })
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, zip("hi"))
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, zip(strings.Repeat("\x00", 4<<20)))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "hi")
	})
	mux.HandleFunc("/fields", func(w http.ResponseWriter, r *http.Request) {
		for i := range 101 {
			w.Header().Set(fmt.Sprint("X-", i), "y")
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("y", 64<<10)) })
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, h2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(mux)
		srv.EnableHTTP2 = h2
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		u, _ := url.Parse(srv.URL + "/mcp")
		g, err := NewGuard(nil, u.Host)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewClient(u, g, Options{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if !c.tls.DisableCompression || c.tls.Proxy != nil || c.tls.TLSClientConfig.MinVersion < 0x0303 {
			t.Error("the transport decodes, uses a proxy or speaks old TLS")
		}
		res, err := c.Do(t.Context(), &Request{Method: "POST", Path: "/mcp?a=%2F", Header: []Field{{"A", "b"}}, Body: []byte("body")})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if proto := res.Header.Get("x-proto"); err != nil || string(b) != "POST /mcp?a=%2F b body" || (proto == "HTTP/2.0") != h2 {
			t.Errorf("got %s %q, %v", proto, b, err)
		}
		for _, tt := range []struct {
			path   string
			status int
			body   string
			code   string
		}{
			{"/redirect", 307, "", ""},
			{"/gzip", 200, "hi", ""},
			{"/bomb", 200, "*", CodeEncoding},
			{"/cut", 200, "hi", CodeTruncated},
			{"/fields", 0, "", CodeHeadSize},
			{"/big", 0, "", CodeHeadSize},
		} {
			if h2 && tt.path == "/big" {
				tt.code = CodeHead // cut off in the decoder of HTTP/2
			}
			status, body, err := send(c, &Request{Method: "POST", Path: tt.path})
			if status != tt.status || body != tt.body && tt.body != "*" || code(err) != tt.code {
				t.Errorf("%s (HTTP/2 %v): got %d %.20q %v, want %d %q %q", tt.path, h2, status, body, err, tt.status, tt.body, tt.code)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := c.Do(ctx, &Request{Path: "/hang"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
		cancel()
		c2, _ := NewClient(u, g, Options{})
		if _, _, err := send(c2, &Request{}); code(err) != CodeTLS {
			t.Errorf("unknown authority: %v, want %s", err, CodeTLS)
		}
		g3, _ := NewGuard(nil)
		c3, _ := NewClient(u, g3, Options{})
		if _, _, err := send(c3, &Request{}); code(err) != CodeBlocked {
			t.Errorf("not listed: %v, want %s", err, CodeBlocked)
		}
	}
}

// TestDialTimeout: our own limit is a fault of the network, the caller's is the caller's.
func TestDialTimeout(t *testing.T) {
	g, _ := fake(t, []config.EgressAllow{{Name: "public.example"}})
	g.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	u, _ := url.Parse("http://public.example/")
	c, err := NewClient(u, g, Options{DialTimeout: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(t.Context(), &Request{}); code(err) != CodeDial {
		t.Errorf("Do = %v, want %s", err, CodeDial)
	}
	if c, err = NewClient(u, g, Options{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, &Request{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do = %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestHead: answers to HEAD have no body, whatever their head says, and leave the connection usable.
func TestHead(t *testing.T) {
	c := client(t, serve(t, func(_ int, nc net.Conn, br *bufio.Reader) {
		for {
			if _, _, err := take(br); err != nil {
				return
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Encoding: br\r\n\r\n")
		}
	}), Options{})
	for range 3 {
		status, body, err := send(c, &Request{Method: "HEAD"})
		if status != 200 || body != "" || err != nil || len(c.pool.idle) != 1 {
			t.Errorf("got %d %q %v, %d kept", status, body, err, len(c.pool.idle))
		}
	}
}
