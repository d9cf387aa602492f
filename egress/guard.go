package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"gatehouse"
	"gatehouse/config"
)

// Bounds of one dial.
const (
	dialTimeout  = 10 * time.Second
	maxAddresses = 64 // answers of the resolver that are checked; more are refused
	maxAttempts  = 6  // addresses that are tried
)

// Guard decides which addresses may be dialled, and dials them. It is safe for concurrent use.
type Guard struct {
	rules    []rule
	implicit map[string]bool // literal or localhost, with port, as in the URL of a source

	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
}

// rule is an entry of egress.allow; what is zero matches everything.
type rule struct {
	name   string
	prefix netip.Prefix
	port   uint16
}

// NewGuard returns the guard that opens public addresses, the entries of allow, and the implicit pairs: host:port with an IP literal
// or localhost, as written in the configuration's own source URLs (see Literal). An implicit pair opens exactly that literal and
// port; localhost stands for 127.0.0.1 and ::1. All faults are reported together.
func NewGuard(allow []config.EgressAllow, implicit ...string) (*Guard, error) {
	g := &Guard{implicit: map[string]bool{}}
	g.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	g.dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	var errs []error
	for i, e := range allow {
		r, err := newRule(e)
		if err != nil {
			errs = append(errs, &gatehouse.Error{
				Code: CodeAllow, Msg: fmt.Sprintf("egress.allow[%d]: %v", i, err),
				Hint: "an entry has a name, a cidr or both, and may have a port, as in {name: orders.internal, cidr: 10.1.0.0/16, port: 8080}",
			})
			continue
		}
		g.rules = append(g.rules, r)
	}
	for _, hp := range implicit {
		host, port, err := splitAddr(hp)
		var name string
		if err == nil {
			var a netip.Addr
			if a, name, err = parseHost(host); err == nil && a.IsValid() {
				name = a.String()
			} else if err == nil && name != "localhost" {
				err = errors.New("only an IP literal or localhost is open without an entry")
			}
		}
		if err != nil {
			errs = append(errs, &gatehouse.Error{
				Code: CodeAllow, Msg: fmt.Sprintf("address %q: %v", hp, err),
				Hint: "write the host of the source as an IP literal or localhost, or add an entry to egress.allow",
			})
			continue
		}
		g.implicit[pair(name, port)] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

func newRule(e config.EgressAllow) (rule, error) {
	var r rule
	if e.Port < 0 || e.Port > 65535 {
		return r, fmt.Errorf("port %d is not a number from 1 to 65535", e.Port)
	}
	r.port = uint16(e.Port)
	if e.CIDR != "" {
		p, err := netip.ParsePrefix(e.CIDR)
		if err != nil {
			a, aerr := netip.ParseAddr(e.CIDR)
			if aerr != nil || a.Zone() != "" {
				return r, fmt.Errorf("cidr %q is not an address range", e.CIDR)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p != p.Masked() {
			return r, fmt.Errorf("cidr %q has bits beyond its length; did you mean %s?", e.CIDR, p.Masked())
		}
		r.prefix = p
	}
	if e.Name != "" {
		a, name, err := parseHost(e.Name)
		switch {
		case err != nil:
			return r, fmt.Errorf("name %q: %w", e.Name, err)
		case name != "":
			r.name = name
		case r.prefix.IsValid():
			return r, fmt.Errorf("name %q is an address, and there is a cidr as well", e.Name)
		default:
			r.prefix = netip.PrefixFrom(a, a.BitLen())
		}
	}
	switch {
	case r.name == "" && !r.prefix.IsValid():
		return r, errors.New("neither name nor cidr is given")
	case r.prefix.IsValid():
		for _, s := range spans {
			if s.class == never && s.prefix.Overlaps(r.prefix) && s.prefix.Bits() <= r.prefix.Bits() && r.prefix.Addr() != netip.IPv6Loopback() {
				return r, fmt.Errorf("%s is %s, which nothing opens", r.prefix, s.what)
			}
		}
		if r.prefix.Addr().Is4In6() {
			return r, fmt.Errorf("%s is written as an IPv4-mapped address", r.prefix)
		}
	}
	return r, nil
}

// opens reports whether the rule opens an address of class c for a host name ("" for a literal).
func (r rule) opens(name string, a netip.Addr, port uint16, c class) bool {
	if r.port != 0 && r.port != port || r.name != "" && r.name != name || r.prefix.IsValid() && !r.prefix.Contains(a) {
		return false
	}
	switch c {
	case public, private:
		return true
	case special:
		return r.prefix.IsValid()
	case hostService:
		return r.prefix.IsValid() && r.prefix.IsSingleIP()
	}
	return false
}

// DialContext connects to addr, host:port over TCP. The host is resolved once, every address it has is checked, and one of those
// addresses is connected to; if a single one must not be reached, none is. Errors are *gatehouse.Error with CodeBlocked or CodeDial,
// or wrap the error of ctx.
func (g *Guard) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.connect(ctx, network, addr, false)
}

// connect is DialContext; with plain, public addresses need an entry too, because what is sent there can be read on the way.
func (g *Guard) connect(ctx context.Context, network, addr string, plain bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, errDialTimeout)
	defer cancel()
	addrs, port, err := g.resolve(ctx, network, addr, plain)
	if err != nil {
		return nil, err
	}
	addrs = addrs[:min(len(addrs), maxAttempts)]
	var errs []error
	for i, a := range addrs {
		nc, err := g.try(ctx, network, netip.AddrPortFrom(a, port), len(addrs)-i)
		if err == nil {
			return nc, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, dialFault(ctx, addr, "no connection", errors.Join(errs...))
}

var errDialTimeout = errors.New("connecting takes too long")

// try gives one address its share of the time that is left.
func (g *Guard) try(ctx context.Context, network string, ap netip.AddrPort, left int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		share := max(time.Until(deadline)/time.Duration(left), time.Second)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, share, errDialTimeout)
		defer cancel()
	}
	return g.dial(ctx, network, ap.String())
}

// resolve returns the checked addresses of addr.
func (g *Guard) resolve(ctx context.Context, network, addr string, plain bool) ([]netip.Addr, uint16, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return nil, 0, blocked(addr, err.Error(), "write it as host:port", nil)
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, 0, blocked(addr, fmt.Sprintf("network %q is not accepted", network), "use tcp", nil)
	}
	lit, name, err := parseHost(host)
	if err != nil {
		return nil, 0, blocked(addr, err.Error(), "write a plain host name, or an address in its usual form", nil)
	}
	addrs := []netip.Addr{lit}
	implicit := g.implicit[pair(name, port)]
	switch {
	case name == "":
		implicit = g.implicit[pair(lit.String(), port)]
	case name == "localhost": // never asked of a resolver (RFC 6761 section 6.3)
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	default:
		if addrs, err = g.lookup(ctx, name); err != nil || len(addrs) == 0 {
			return nil, 0, dialFault(ctx, addr, "the host name has no address", err)
		}
		if len(addrs) > maxAddresses {
			return nil, 0, blocked(addr, fmt.Sprintf("the host name has more than %d addresses", maxAddresses), "see what its DNS zone holds", nil)
		}
	}
	fit := addrs[:0:0]
	for _, a := range addrs {
		if name != "" {
			a = a.Unmap() // a resolver may hand out A records in 16 bytes
		}
		if err := g.check(addr, name, a, port, implicit, plain); err != nil {
			return nil, 0, err
		}
		if network == "tcp" || network == "tcp4" && a.Is4() || network == "tcp6" && a.Is6() {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return nil, 0, dialFault(ctx, addr, "the host name has no address for "+network, nil)
	}
	return fit, port, nil
}

func (g *Guard) check(addr, name string, a netip.Addr, port uint16, implicit, plain bool) error {
	c, what := classify(a)
	if c == public && !plain || implicit && (c == public || c == private) {
		return nil
	}
	for _, r := range g.rules {
		if r.opens(name, a, port, c) {
			return nil
		}
	}
	cause := fmt.Errorf("%s is %s", a, what)
	if c == never {
		return blocked(addr, "it leads to an address that nothing opens", "use a host with a public or private unicast address", cause)
	}
	entry := fmt.Sprintf("{cidr: %s, port: %d}", netip.PrefixFrom(a, a.BitLen()), port)
	if name != "" && c != special && c != hostService {
		entry = fmt.Sprintf("{name: %s, port: %d}", name, port)
	} else if name != "" {
		entry = "its address range as cidr"
	}
	if c == public {
		return blocked(addr, "plain http to a public address", "use https, or add to egress.allow: "+entry, nil)
	}
	return blocked(addr, "it leads to an address that is not open", "if this is meant, add to egress.allow: "+entry, cause)
}

func blocked(addr, why, hint string, cause error) error {
	return &gatehouse.Error{Code: CodeBlocked, Msg: fmt.Sprintf("connection to %q refused: %s", addr, why), Hint: hint, Err: cause}
}

// dialFault tells the caller's own end from a fault of the network.
func dialFault(ctx context.Context, addr, why string, cause error) error {
	if err := ctx.Err(); err != nil && !errors.Is(context.Cause(ctx), errDialTimeout) {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	return &gatehouse.Error{
		Code: CodeDial, Msg: fmt.Sprintf("connect to %s: %s", addr, why), Err: cause,
		Hint: "see whether the host name is right and the server runs and listens on this port",
	}
}

func pair(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
