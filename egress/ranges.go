package egress

import "net/netip"

// A class says what it takes to reach an address.
type class int

const (
	public      class = iota // open
	private                  // an entry with its name or its range
	special                  // an entry with its range
	hostService              // an entry with exactly this address
	never                    // nothing opens it
)

type span struct {
	prefix netip.Prefix
	class  class
	what   string
}

// spans is read from the top; the first that contains the address decides (IANA special-purpose registries, RFC 6890 and later).
var spans = []span{
	// Services of the machine we run on. 168.63.129.16 lies in public space.
	one("169.254.169.254", "the cloud's instance metadata service"),
	one("169.254.170.2", "the cloud's container credential service"),
	one("169.254.170.23", "the cloud's container credential service"),
	one("168.63.129.16", "the Azure host agent"),
	one("100.100.100.200", "the cloud's instance metadata service"),
	one("192.0.0.192", "the cloud's instance metadata service"),
	one("fd00:ec2::254", "the cloud's instance metadata service"),
	one("fd00:ec2::23", "the cloud's container credential service"),
	one("fd20:ce::254", "the cloud's instance metadata service"),

	in("0.0.0.0/8", never, "the unspecified network"),
	in("10.0.0.0/8", private, "a private network"),
	in("100.64.0.0/10", private, "a carrier's shared network"),
	in("127.0.0.0/8", private, "loopback"),
	in("169.254.0.0/16", special, "a link-local address"),
	in("172.16.0.0/12", private, "a private network"),
	in("192.0.0.0/24", special, "protocol assignments"),
	in("192.0.2.0/24", special, "documentation"),
	in("192.31.196.0/24", special, "AS112"),
	in("192.52.193.0/24", special, "AMT"),
	in("192.88.99.0/24", special, "6to4 relays"),
	in("192.168.0.0/16", private, "a private network"),
	in("192.175.48.0/24", special, "AS112"),
	in("198.18.0.0/15", special, "benchmarking"),
	in("198.51.100.0/24", special, "documentation"),
	in("203.0.113.0/24", special, "documentation"),
	in("224.0.0.0/4", never, "multicast"),
	in("240.0.0.0/4", never, "reserved or broadcast"),
	in("0.0.0.0/0", public, ""),

	in("::1/128", private, "loopback"),
	in("::/96", never, "an IPv4-compatible address"),
	in("::ffff:0:0/96", never, "an IPv4-mapped address"),
	in("64:ff9b::/96", never, "an address translated to IPv4 (NAT64)"),
	in("64:ff9b:1::/48", never, "an address translated to IPv4 (NAT64)"),
	in("2001::/32", never, "a tunnel to IPv4 (Teredo)"),
	in("2002::/16", never, "a tunnel to IPv4 (6to4)"),
	in("ff00::/8", never, "multicast"),
	in("fc00::/7", private, "a private network"),
	in("fe80::/10", special, "a link-local address"),
	in("fec0::/10", special, "a site-local address"),
	in("2001::/23", special, "protocol assignments"),
	in("2001:db8::/32", special, "documentation"),
	in("2620:4f:8000::/48", special, "AS112"),
	in("3fff::/20", special, "documentation"),
	in("2000::/3", public, ""),
	in("::/0", special, "outside global unicast space"),
}

func one(addr, what string) span {
	a := netip.MustParseAddr(addr)
	return span{netip.PrefixFrom(a, a.BitLen()), hostService, what}
}

func in(prefix string, c class, what string) span {
	return span{netip.MustParsePrefix(prefix), c, what}
}

// classify says what it takes to reach a. IPv4 inside IPv6 is never unwrapped here.
func classify(a netip.Addr) (class, string) {
	if !a.IsValid() || a.Zone() != "" {
		return never, "an address with a zone"
	}
	for i := range spans {
		if spans[i].prefix.Contains(a) {
			return spans[i].class, spans[i].what
		}
	}
	return never, "an unknown address"
}
