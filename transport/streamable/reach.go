package streamable

import (
	"net/netip"
	"net/url"
	"strings"

	"gatehouse"
	"gatehouse/config"
)

// reach is under which names clients may reach the endpoint, and the bounds they meet: what a reload swaps. Immutable.
type reach struct {
	limits   config.Limits
	hosts    map[string]bool
	origins  map[string]bool
	loopback bool // the listener is bound to loopback
	port     string
}

// Reload swaps names and bounds; requests in flight end on what they began with. On an error nothing has changed. The
// time for headers and that of an idle connection belong to the listener and stay.
func (h *Handler) Reload(publicURL string, origins []string, l config.Limits) error {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" {
		return &gatehouse.Error{Code: "http.public_url", Msg: "publicURL " + publicURL + " is no URL", Hint: "write it like https://mcp.example.org"}
	}
	a := &reach{limits: l, hosts: map[string]bool{}, origins: map[string]bool{}}
	a.addHost(u.Scheme, u.Host)
	if ap, err := netip.ParseAddrPort(h.c.Bind.String()); err == nil {
		a.port = portText(ap.Port())
		if ap.Addr().Unmap().IsLoopback() {
			a.loopback = true
			for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
				a.addHost(u.Scheme, host+":"+a.port)
			}
		}
	}
	for _, o := range origins {
		a.origins[normalOrigin(o)] = true
	}
	h.c.Sessions.SetLimits(l)
	h.now.Store(a)
	return nil
}

func (h *Handler) limits() *config.Limits { return &h.now.Load().limits }

func portText(p uint16) string {
	return netip.AddrPortFrom(netip.IPv4Unspecified(), p).String()[len("0.0.0.0:"):]
}

func (a *reach) addHost(scheme, host string) {
	host = strings.ToLower(host)
	a.hosts[host] = true
	if def := map[string]string{"http": ":80", "https": ":443"}[scheme]; !strings.Contains(strings.TrimPrefix(host, "["), ":") || strings.HasSuffix(host, "]") {
		a.hosts[host+def] = true
	}
	a.origins[normalOrigin(scheme+"://"+host)] = true
}

// normalOrigin fills in the default port, so that https://a and https://a:443 are one; "" when it is no origin.
func normalOrigin(o string) string {
	u, err := url.Parse(o)
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(u.Hostname(), ".") || strings.HasSuffix(o, "#") || strings.HasSuffix(o, "?") {
		return ""
	}
	port := u.Port()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return ""
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "" && u.Scheme == "https":
		port = "443"
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
