package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/config"
)

// names is what the fake resolver knows.
var names = map[string]string{
	"public.example":    "93.184.215.14",
	"public6.example":   "2606:4700::1111",
	"both.example":      "93.184.215.14 2606:4700::1111",
	"private.example":   "10.1.2.3",
	"loop.example":      "127.0.0.1",
	"loop6.example":     "::1",
	"mixed.example":     "93.184.215.14 10.1.2.3",
	"mixed6.example":    "2606:4700::1111 fd00::1",
	"mapped.example":    "::ffff:10.1.2.3",
	"mappedpub.example": "::ffff:93.184.215.14",
	"nat64.example":     "64:ff9b::a01:203",
	"teredo.example":    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
	"sixtofour.example": "2002:a01:203::1",
	"link.example":      "169.254.1.1",
	"imds.example":      "169.254.169.254",
	"agent.example":     "168.63.129.16",
	"multicast.example": "224.0.0.1",
	"zero.example":      "0.0.0.0",
	"zone.example":      "fe80::1%eth0",
	"many.example":      strings.TrimSpace(strings.Repeat("93.184.215.14 ", 65)),
}

// fake returns a guard that resolves from names and records what it would have connected to.
func fake(t testing.TB, allow []config.EgressAllow, implicit ...string) (*Guard, *[]string) {
	t.Helper()
	g, err := NewGuard(allow, implicit...)
	if err != nil {
		t.Fatal(err)
	}
	var dialled []string
	g.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
		var as []netip.Addr
		for f := range strings.FieldsSeq(names[host]) {
			as = append(as, netip.MustParseAddr(f))
		}
		if as == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return as, nil
	}
	g.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		dialled = append(dialled, addr)
		a, b := net.Pipe()
		_ = b.Close()
		return a, nil
	}
	return g, &dialled
}

func code(err error) string {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		if e.Hint == "" {
			return e.Code + " without a hint"
		}
		return e.Code
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestSSRF: none of these may be connected to by a guard without entries.
func TestSSRF(t *testing.T) {
	hosts := strings.Fields(`
		0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255
		127.0.0.0 127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.255 169.254.0.0 169.254.0.1 169.254.169.254 169.254.169.253 169.254.170.2
		169.254.170.23 169.254.255.255 172.16.0.0 172.16.0.1 172.31.255.255 192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.192
		192.0.0.255 192.0.2.0 192.0.2.1 192.0.2.255 192.31.196.1 192.52.193.1 192.88.99.1 192.88.99.255 192.168.0.0 192.168.0.1
		192.168.255.255 192.175.48.1 192.175.48.255 198.18.0.0 198.18.0.1 198.19.255.255 198.51.100.1 198.51.100.255 203.0.113.1
		203.0.113.255 224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.254 255.255.255.255 168.63.129.16
		[::] [::1] [::2] [::ffff] [::127.0.0.1] [::7f00:1] [::a00:1] [::169.254.169.254] [::ffff:127.0.0.1] [::ffff:7f00:1]
		[::ffff:10.0.0.1] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::ffff:168.63.129.16] [::ffff:8.8.8.8] [::ffff:0.0.0.0]
		[0:0:0:0:0:ffff:7f00:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::ffff:0:127.0.0.1] [::ffff:0:0:1] [64:ff9b::127.0.0.1]
		[64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b::8.8.8.8] [64:ff9b:1::1] [64:ff9b:1::a00:1] [64:ff9b:1:ffff::1] [100::1]
		[100:0:0:1::1] [2001::1] [2001:0:4136:e378:8000:63bf:3fff:fdd2] [2001:1::1] [2001:2::1] [2001:3::1] [2001:10::1] [2001:20::1]
		[2001:1ff:ffff::1] [2001:db8::1] [2001:db8:ffff::1] [2002::1] [2002:7f00:1::] [2002:a00:1::1] [2002:a9fe:a9fe::1]
		[2002:c0a8:101::1] [2620:4f:8000::1] [3fff::1] [3fff:fff::1] [4000::1] [5f00::1] [fc00::1] [fd00::1] [fd00:ec2::254]
		[fd00:ec2::23] [fd20:ce::254] [fdff:ffff::1] [fe80::1] [fe80::a9fe:a9fe] [febf::1] [fec0::1] [fecf::1] [feff::1]
		[ff00::1] [ff01::1] [ff02::1] [ff05::2] [ff0e::1] [ffff::1] [fe80::1%eth0] [fe80::1%25eth0] [::1%lo] [::ffff:127.0.0.1%1]
		[2606:4700::1111%1] [1::1] [0100::] [8000::1] [e000::1]
		127.1 127.0.1 127 2130706433 017700000001 0x7f000001 0x7f.0.0.1 0x7f.1 0x7F.0x0.0x0.0x1 0177.0.0.1 0177.1 0177.0.0.01
		127.0.0.01 127.000.000.001 00127.0.0.1 10.1 10.0.1 012.0.0.1 0xa000001 167772161 0xa9fea9fe 2852039166 0251.0376.0251.0376
		0xa9.0xfe.0xa9.0xfe 169.254.43518 169.16689662 0 0x0 00 0.0 4294967295 4294967296 256.256.256.256 127.0.0.256 127.0.0.1.1 1.1.1
		0xA83F8110 2822734096 0250.077.0201.020 127.0x0.0.1 0x a.0x 1.0x7f public.example.0 public.example.127 127.0.0.1.
		public.example. localhost. localhost.. .public.example public..example . .. -a.example a-.example
		localhost LOCALHOST LocalHost localhost.localdomain private.example PRIVATE.example loop.example loop6.example mixed.example
		mixed6.example mapped.example nat64.example teredo.example sixtofour.example link.example imds.example agent.example
		multicast.example zero.example zone.example many.example
		user@public.example user:pw@public.example public.example@127.0.0.1 127.0.0.1@public.example public.example\@127.0.0.1
		public.example\127.0.0.1 public.example/127.0.0.1 public.example?x public.example#127.0.0.1 public.example%00 public.example%2e
		public.example%0d%0a 127.0.0.1%00.public.example ①②⑦.0.0.1 127。0。0。1 127.0.0.1 ⑯⑧.⑥③.①②⑨.⑯ ⓛocalhost
		public.exämple pub*lic.example public,example [public.example] [127.0.0.1] [10.0.0.1] [] [::1 ::1] [[::1]] [::1].public.example
		::1 ::ffff:127.0.0.1 http://127.0.0.1 //127.0.0.1 public.example:80 a_b!.example ` + strings.Repeat("a", 64) + `.example ` +
		strings.Repeat("a.", 127) + `example`)
	hosts = append(hosts, "", " ", " 127.0.0.1", "127.0.0.1 ", "public.example\r\n", "public.example\x00", "public.example\t", "pub lic.example", "127.0.0.1\n")
	if len(hosts) < 150 {
		t.Fatalf("only %d hosts", len(hosts))
	}
	g, dialled := fake(t, nil)
	for _, h := range hosts {
		for _, network := range []string{"tcp", "tcp4", "tcp6"} {
			nc, err := g.DialContext(t.Context(), network, h+":443")
			got := code(err)
			if nc != nil || got != CodeBlocked && !(got == CodeDial && h == "localhost.localdomain") {
				t.Errorf("DialContext(%q, %q) = %v, %v, want %s", network, h, nc != nil, got, CodeBlocked)
			}
		}
		// The same through a URL: refused as a URL, or refused when dialled.
		for _, scheme := range []string{"http", "https"} {
			u, err := url.Parse(scheme + "://" + h + "/")
			if err != nil {
				continue
			}
			c, err := NewClient(u, g, Options{})
			if err == nil {
				_, err = c.Do(t.Context(), &Request{})
			}
			if got := code(err); got != CodeBlocked && got != CodeURL && !(got == CodeDial && h == "localhost.localdomain") {
				if u.Hostname() != "public.example" && u.Hostname() != "public" { // then the rest was a path
					t.Errorf("Do(%s) = %s", u, got)
				}
			}
		}
	}
	for _, a := range *dialled {
		if !strings.HasPrefix(a, "93.184.215.14:") { // of URLs whose path held the trick
			t.Errorf("connected to %s", a)
		}
	}
	for _, addr := range []string{
		"public.example", "public.example:", "public.example:0", "public.example:65536", "public.example:https",
		"public.example:-1", "public.example:+443", "public.example:0x1bb", "public.example: 443", ":443", "",
	} {
		if nc, err := g.DialContext(t.Context(), "tcp", addr); nc != nil || code(err) != CodeBlocked {
			t.Errorf("DialContext(%q) = %v, want %s", addr, code(err), CodeBlocked)
		}
	}
	for _, network := range []string{"udp", "unix", "ip", "tcp ", ""} {
		if nc, err := g.DialContext(t.Context(), network, "public.example:443"); nc != nil || code(err) != CodeBlocked {
			t.Errorf("DialContext(%q) = %v, want %s", network, code(err), CodeBlocked)
		}
	}
}

// TestOpen is the other side of TestSSRF.
func TestOpen(t *testing.T) {
	for _, tt := range []struct{ host, want string }{
		{"public.example", "93.184.215.14:443"},
		{"PUBLIC.example", "93.184.215.14:443"},
		{"public6.example", "[2606:4700::1111]:443"},
		{"both.example", "93.184.215.14:443"},
		{"mappedpub.example", "93.184.215.14:443"},
		{"8.8.8.8", "8.8.8.8:443"},
		{"[2606:4700::1111]", "[2606:4700::1111]:443"},
		{"9.255.255.255", "9.255.255.255:443"},
		{"11.0.0.0", "11.0.0.0:443"},
		{"100.63.255.255", "100.63.255.255:443"},
		{"100.128.0.0", "100.128.0.0:443"},
		{"172.15.255.255", "172.15.255.255:443"},
		{"172.32.0.0", "172.32.0.0:443"},
		{"168.63.129.15", "168.63.129.15:443"},
		{"168.63.129.17", "168.63.129.17:443"},
		{"223.255.255.255", "223.255.255.255:443"},
		{"[2001:200::1]", "[2001:200::1]:443"},
		{"[2003::1]", "[2003::1]:443"},
	} {
		g, dialled := fake(t, nil)
		if _, err := g.DialContext(t.Context(), "tcp", tt.host+":443"); err != nil {
			t.Errorf("DialContext(%s) = %v", tt.host, err)
		} else if !slices.Equal(*dialled, []string{tt.want}) {
			t.Errorf("DialContext(%s) connected to %v, want %s", tt.host, *dialled, tt.want)
		}
	}
}

func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		allow    config.EgressAllow
		implicit string
		addr     string
		want     string
	}{
		{config.EgressAllow{Name: "private.example"}, "", "private.example:80", ""},
		{config.EgressAllow{Name: "Private.Example", Port: 80}, "", "private.example:80", ""},
		{config.EgressAllow{Name: "private.example", Port: 80}, "", "private.example:81", CodeBlocked},
		{config.EgressAllow{Name: "private.example"}, "", "loop.example:80", CodeBlocked},
		{config.EgressAllow{Name: "private.example"}, "", "10.1.2.3:80", CodeBlocked},
		{config.EgressAllow{Name: "private.example", CIDR: "10.1.0.0/16"}, "", "private.example:80", ""},
		{config.EgressAllow{Name: "private.example", CIDR: "10.2.0.0/16"}, "", "private.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "private.example:80", ""},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "mixed.example:80", ""},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "mapped.example:80", ""},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "10.9.9.9:80", ""},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "[::ffff:10.9.9.9]:80", CodeBlocked},
		{config.EgressAllow{CIDR: "10.0.0.0/8"}, "", "[64:ff9b::a01:203]:80", CodeBlocked},
		{config.EgressAllow{CIDR: "::/0"}, "", "nat64.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "::/0"}, "", "sixtofour.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "::/0"}, "", "[::1]:80", ""},
		{config.EgressAllow{CIDR: "0.0.0.0/0"}, "", "agent.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "0.0.0.0/0"}, "", "imds.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "0.0.0.0/0"}, "", "multicast.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "0.0.0.0/0"}, "", "zero.example:80", CodeBlocked},
		{config.EgressAllow{CIDR: "169.254.0.0/16"}, "", "link.example:80", ""},
		{config.EgressAllow{CIDR: "169.254.0.0/16"}, "", "169.254.169.254:80", CodeBlocked},
		{config.EgressAllow{CIDR: "169.254.169.254", Port: 80}, "", "169.254.169.254:80", ""},
		{config.EgressAllow{Name: "imds.example"}, "", "imds.example:80", CodeBlocked},
		{config.EgressAllow{Name: "link.example"}, "", "link.example:80", CodeBlocked},
		{config.EgressAllow{Name: "127.0.0.1", Port: 80}, "", "127.0.0.1:80", ""},
		{config.EgressAllow{Name: "localhost"}, "", "localhost:80", ""},
		{config.EgressAllow{CIDR: "127.0.0.0/8"}, "", "localhost:80", CodeBlocked}, // ::1 is not listed
		{config.EgressAllow{}, "127.0.0.1:3001", "127.0.0.1:3001", ""},
		{config.EgressAllow{}, "127.0.0.1:3001", "127.0.0.1:3002", CodeBlocked},
		{config.EgressAllow{}, "127.0.0.1:3001", "127.0.0.2:3001", CodeBlocked},
		{config.EgressAllow{}, "127.0.0.1:3001", "localhost:3001", CodeBlocked},
		{config.EgressAllow{}, "127.0.0.1:3001", "loop.example:3001", CodeBlocked},
		{config.EgressAllow{}, "127.0.0.1:3001", "[::ffff:127.0.0.1]:3001", CodeBlocked},
		{config.EgressAllow{}, "10.1.2.3:80", "private.example:80", CodeBlocked},
		{config.EgressAllow{}, "10.1.2.3:80", "10.1.2.3:80", ""},
		{config.EgressAllow{}, "localhost:3001", "localhost:3001", ""},
		{config.EgressAllow{}, "localhost:3001", "LOCALHOST:3001", ""},
		{config.EgressAllow{}, "localhost:3001", "localhost:80", CodeBlocked},
		{config.EgressAllow{}, "localhost:3001", "loop.example:3001", CodeBlocked},
		{config.EgressAllow{}, "[::1]:3001", "[0:0:0:0:0:0:0:1]:3001", ""},
		{config.EgressAllow{}, "169.254.169.254:80", "169.254.169.254:80", CodeBlocked},
		{config.EgressAllow{}, "168.63.129.16:80", "168.63.129.16:80", CodeBlocked},
		{config.EgressAllow{}, "0.0.0.0:80", "0.0.0.0:80", CodeBlocked},
	} {
		var allow []config.EgressAllow
		var implicit []string
		if tt.allow != (config.EgressAllow{}) {
			allow = append(allow, tt.allow)
		}
		if tt.implicit != "" {
			implicit = append(implicit, tt.implicit)
		}
		g, dialled := fake(t, allow, implicit...)
		_, err := g.DialContext(t.Context(), "tcp", tt.addr)
		if got := code(err); got != tt.want || (len(*dialled) > 0) != (tt.want == "") {
			t.Errorf("%+v %s: DialContext(%s) = %q, connected to %v, want %q", tt.allow, tt.implicit, tt.addr, got, *dialled, tt.want)
		}
	}
}

func TestBadAllow(t *testing.T) {
	for _, e := range []config.EgressAllow{
		{},
		{Port: 80},
		{CIDR: "10.1.2.3/8"},
		{CIDR: "10.0.0.0/33"},
		{CIDR: "ten"},
		{CIDR: "fe80::1%eth0"},
		{CIDR: "::ffff:10.0.0.0/104"},
		{CIDR: "::ffff:10.0.0.1"},
		{CIDR: "224.0.0.1"},
		{CIDR: "224.0.0.0/8"},
		{CIDR: "64:ff9b::/96"},
		{CIDR: "2002::/16"},
		{CIDR: "0.0.0.0/32"},
		{Name: "a b"},
		{Name: "a."},
		{Name: "127.1"},
		{Name: "*.example"},
		{Name: "x", Port: 65536},
		{Name: "x", Port: -1},
		{Name: "10.0.0.1", CIDR: "10.0.0.0/8"},
		{Name: "0.0.0.0"},
		{Name: "http://x"},
		{Name: "x:80"},
	} {
		if _, err := NewGuard([]config.EgressAllow{e}); code(err) != CodeAllow {
			t.Errorf("NewGuard(%+v) = %v, want %s", e, code(err), CodeAllow)
		}
	}
	for _, s := range []string{"", "127.0.0.1", "example.com:80", "localhost:0", "127.1:80", "[::1%lo]:80", "localhost:x"} {
		if _, err := NewGuard(nil, s); code(err) != CodeAllow {
			t.Errorf("NewGuard(nil, %q) = %v, want %s", s, code(err), CodeAllow)
		}
	}
	_, err := NewGuard([]config.EgressAllow{{}, {Name: "ok"}, {CIDR: "x"}}, "y")
	for _, want := range []string{"egress.allow[0]", "egress.allow[2]", `"y"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewGuard reports %v, want %s too", err, want)
		}
	}
}

// TestRebinding: a name is resolved once, and what was checked is what is connected to.
func TestRebinding(t *testing.T) {
	g, dialled := fake(t, nil)
	asked := 0
	g.lookup = func(context.Context, string) ([]netip.Addr, error) {
		asked++
		if asked == 1 {
			return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	if _, err := g.DialContext(t.Context(), "tcp", "rebind.example:443"); err != nil {
		t.Fatal(err)
	}
	if asked != 1 || !slices.Equal(*dialled, []string{"93.184.215.14:443"}) {
		t.Errorf("asked %d times and connected to %v", asked, *dialled)
	}
	if _, err := g.DialContext(t.Context(), "tcp", "rebind.example:443"); code(err) != CodeBlocked || len(*dialled) != 1 {
		t.Errorf("second answer: %v, connected to %v", err, *dialled)
	}
}

func TestDialFaults(t *testing.T) {
	g, _ := fake(t, nil)
	if _, err := g.DialContext(t.Context(), "tcp", "unknown.example:443"); code(err) != CodeDial {
		t.Errorf("unknown name: %v, want %s", err, CodeDial)
	}
	if _, err := g.DialContext(t.Context(), "tcp6", "public.example:443"); code(err) != CodeDial {
		t.Errorf("no address of the network: %v, want %s", err, CodeDial)
	}
	var tried []string
	g.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		tried = append(tried, addr)
		return nil, fmt.Errorf("refused")
	}
	if _, err := g.DialContext(t.Context(), "tcp", "both.example:443"); code(err) != CodeDial || len(tried) != 2 {
		t.Errorf("nobody listens: %v after %v, want %s after both", err, tried, CodeDial)
	}
	ctx, cancel := context.WithCancel(t.Context())
	g.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if _, err := g.DialContext(ctx, "tcp", "public.example:443"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v, want %v", err, context.Canceled)
	}
}

// TestPlainHTTP: without TLS only what is listed is reached, public or not.
func TestPlainHTTP(t *testing.T) {
	for _, tt := range []struct {
		allow []config.EgressAllow
		url   string
		want  string
	}{
		{nil, "http://public.example/", CodeBlocked},
		{nil, "http://8.8.8.8/", CodeBlocked},
		{[]config.EgressAllow{{Name: "public.example"}}, "http://public.example/", CodeBroken}, // reached; the fake says nothing
	} {
		g, _ := fake(t, tt.allow)
		u, _ := url.Parse(tt.url)
		c, err := NewClient(u, g, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), &Request{}); code(err) != tt.want {
			t.Errorf("Do(%s) with %v = %v, want %s", tt.url, tt.allow, err, tt.want)
		}
	}
}

func TestLiteral(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:3001/mcp": "127.0.0.1:3001", "http://localhost/": "localhost:80", "https://[::1]/x": "[::1]:443",
		"https://example.com/": "", "ftp://127.0.0.1/": "", "http://u@127.0.0.1/": "", "http://127.1/": "",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Literal(u); got != want || ok != (want != "") {
			t.Errorf("Literal(%s) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
