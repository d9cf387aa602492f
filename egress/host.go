package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// parseHost reads a host as it stands in an address: an IP literal without brackets, or a name. Exactly one of the results is set.
// Forms that other readers would take for something else are refused: octal, hexadecimal and short numbers, zones, trailing dots.
func parseHost(host string) (netip.Addr, string, error) {
	if host == "" {
		return netip.Addr{}, "", errors.New("the host is empty")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return netip.Addr{}, "", errors.New("an address with a zone is not accepted")
		}
		return a, "", nil
	}
	name, err := parseName(host)
	return netip.Addr{}, name, err
}

func parseName(host string) (string, error) {
	if len(host) > 253 {
		return "", errors.New("the host name is longer than 253 bytes")
	}
	if host[len(host)-1] == '.' {
		return "", errors.New("the host name ends in a dot")
	}
	name := strings.ToLower(host)
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return "", errors.New("a part of the host name is empty or longer than 63 bytes")
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return "", errors.New("a part of the host name begins or ends with a dash")
		}
		for i := range len(label) {
			switch b := label[i]; {
			case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '-', b == '_':
			case b >= 0x80:
				return "", errors.New("the host name is not ASCII; write its xn-- form")
			default:
				return "", fmt.Errorf("the host name contains %q", b)
			}
		}
		last = label
	}
	// A last part that is a number makes the whole an IPv4 address in the eyes of inet_aton and browsers.
	if isNumber(last) {
		return "", errors.New("the host is a number in a form that is not accepted; write an IPv4 address as four decimal numbers")
	}
	return name, nil
}

// isNumber reports whether a label of lower-case letters is a decimal, octal or hexadecimal number.
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// splitAddr reads host:port; the port is a decimal number.
func splitAddr(addr string) (host string, port uint16, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	if addr[0] == '[' && !strings.Contains(host, ":") {
		return "", 0, errors.New("only an IPv6 address stands in brackets")
	}
	port, err = parsePort(p)
	return host, port, err
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] < '0' || s[0] > '9' {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// Literal returns the host:port of u, with the scheme's port filled in, when its host is written as an IP literal or localhost:
// what NewGuard takes as implicit when u is the URL of a source.
func Literal(u *url.URL) (hostport string, ok bool) {
	host, port, err := origin(u)
	if err != nil {
		return "", false
	}
	if _, name, _ := parseHost(host); name != "" && name != "localhost" {
		return "", false
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), true
}

// origin returns host and port of an http or https URL.
func origin(u *url.URL) (host string, port uint16, err error) {
	switch u.Scheme {
	case "http":
		port = 80
	case "https":
		port = 443
	default:
		return "", 0, fmt.Errorf("the scheme is %q, not http or https", u.Scheme)
	}
	if u.User != nil {
		return "", 0, errors.New("the URL contains user information")
	}
	if strings.HasPrefix(u.Host, "[") && !strings.Contains(u.Hostname(), ":") {
		return "", 0, errors.New("only an IPv6 address stands in brackets")
	}
	if u.Opaque != "" {
		return "", 0, errors.New("the URL has no host")
	}
	if u.Fragment != "" {
		return "", 0, errors.New("the URL has a fragment")
	}
	a, name, err := parseHost(u.Hostname())
	if err != nil {
		return "", 0, err
	}
	if p := u.Port(); p != "" {
		if port, err = parsePort(p); err != nil {
			return "", 0, err
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return "", 0, errors.New("the port is empty")
	}
	if name == "" {
		return a.String(), port, nil
	}
	return name, port, nil
}
