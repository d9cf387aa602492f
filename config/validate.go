package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse"
)

var (
	serverName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	prefixName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	reserved   = []string{"healthz", "metrics", ".well-known", "admin", "portal", ".", ".."}
)

// maxConcurrency bounds the calls of one source at once.
const maxConcurrency = 10_000

// child returns the value node of a key below n, or n.
func child(n *yaml.Node, keys ...string) *yaml.Node {
	for _, k := range keys {
		found := false
		if n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == k {
					n, found = n.Content[i+1], true
					break
				}
			}
		}
		if !found {
			return n
		}
	}
	return n
}

// validate checks what no single value shows, fills in defaults and makes paths absolute to the file's folder.
func (d *decoder) validate(c *Config, root *yaml.Node) {
	at := func(keys ...string) *yaml.Node { return child(root, keys...) }
	host, _, err := net.SplitHostPort(c.Listen)
	if _, perr := net.ResolveTCPAddr("tcp", c.Listen); err != nil || perr != nil || host != "" && host != "localhost" && net.ParseIP(host) == nil {
		d.fault(at("listen"), "config.listen", fmt.Sprintf("listen: %q is no address to listen on", c.Listen), "write it like 127.0.0.1:8080 or 0.0.0.0:8443")
	} else if !c.LoopbackBind() && !signIn(c) {
		d.fault(at("listen"), "config.open", "listen: "+c.Listen+" is reachable from the network and nobody has to sign in", "set auth.keys: true, or listen on 127.0.0.1")
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			d.fault(at("publicURL"), "config.public_url", fmt.Sprintf("publicURL: %q is no scheme and host", c.PublicURL), "write it like https://mcp.example.org")
		} else {
			c.PublicURL = u.Scheme + "://" + strings.ToLower(u.Host)
			if u.Scheme == "http" && !c.LoopbackBind() {
				c.warn(d, at("publicURL"), "config.plain", "publicURL: keys travel unencrypted over http", "serve https: set tls, or put a proxy in front")
			}
		}
	}
	d.auth(c.Auth, at("auth"), c)
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		d.fault(at("tls"), "config.tls", "tls: cert and key belong together", "set both, as PEM files")
	}
	for key, f := range map[string]*string{"cert": &c.TLS.Cert, "key": &c.TLS.Key} {
		if *f = d.path(*f); *f != "" {
			d.seen.look(*f)
			if _, err := os.Stat(*f); err != nil {
				d.fault(at("tls", key), "config.file", fmt.Sprintf("tls.%s: file cannot be read: %s", key, reason(err)), "check the path; it is relative to the configuration file")
			}
		}
	}
	if !c.SealingKey.IsZero() {
		if b, err := base64.StdEncoding.DecodeString(c.SealingKey.Reveal()); err != nil || len(b) != 32 {
			d.fault(at("sealingKey"), "config.sealing_key", "sealingKey: not 32 bytes in base64", "make one with: head -c 32 /dev/urandom | base64")
		}
	}
	for i, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" {
			d.fault(item(at("origins"), i), "config.origin", fmt.Sprintf("origins: %q is no origin", o), "write it like http://localhost:6274, without a path")
		}
	}
	for i, a := range c.Egress.Allow {
		n := item(at("egress", "allow"), i)
		if a.Name == "" && a.CIDR == "" {
			d.fault(n, "config.egress", "egress.allow: an entry needs a name or a cidr", "write - {name: api.internal, cidr: 10.1.0.0/16, port: 443}")
		}
		if _, err := netip.ParsePrefix(a.CIDR); a.CIDR != "" && err != nil {
			d.fault(n, "config.egress", fmt.Sprintf("egress.allow: %q is no address range", a.CIDR), "write it like 10.1.0.0/16")
		}
		if a.Port < 0 || a.Port > 65535 {
			d.fault(n, "config.egress", fmt.Sprintf("egress.allow: %d is no port", a.Port), "use 1 to 65535, or leave it out for any")
		}
	}
	d.limits(c, at("limits"))
	c.Data = d.path(c.Data)
	if c.Audit.Dir == "" {
		c.Audit.Dir = c.Data + string(os.PathSeparator) + "audit"
	} else {
		c.Audit.Dir = d.path(c.Audit.Dir)
	}
	if c.Audit.SegmentBytes < 1<<20 {
		d.fault(at("audit", "segmentBytes"), "config.number", "audit.segmentBytes: less than 1MiB", "write 256MiB, or leave it out")
	}
	if len(c.Servers) == 0 {
		d.fault(at("servers"), "config.servers", "no server is published", "add servers: with a name and its sources")
	}
	for name, s := range c.Servers {
		d.server(c, name, s, at("servers", name))
	}
}

func item(n *yaml.Node, i int) *yaml.Node {
	if n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	return n
}

func (c *Config) warn(d *decoder, n *yaml.Node, code, msg, hint string) {
	c.Warn = append(c.Warn, &gatehouse.Error{Code: code, Pos: d.pos(n), Msg: msg, Hint: hint})
}

// signIn reports whether every server has a way to sign in, or is open on purpose.
func signIn(c *Config) bool {
	ok := func(a Auth) bool { return a.Keys || a.Anonymous && a.AllowAnonymousOnNetwork }
	for _, s := range c.Servers {
		if s.Auth != nil && !ok(*s.Auth) {
			return false
		}
	}
	return ok(c.Auth)
}

func (d *decoder) auth(a Auth, n *yaml.Node, c *Config) {
	if a.Anonymous && !a.AllowAnonymousOnNetwork && !c.LoopbackBind() {
		d.fault(child(n, "anonymous"), "config.anonymous", "auth.anonymous: callers without a credential are for loopback only", "listen on 127.0.0.1, or set allowAnonymousOnNetwork: true if anybody may call")
	}
	if !a.Keys && !a.Anonymous {
		d.fault(n, "config.auth", "auth: nobody could sign in", "set keys: true, or anonymous: true on loopback")
	}
}

func (d *decoder) limits(c *Config, n *yaml.Node) {
	v := reflect.ValueOf(c.Limits)
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			name := v.Type().Field(i).Tag.Get("yaml")
			d.fault(child(n, name), "config.limit", "limits."+name+": must be more than 0", "there is no way to switch a limit off; leave it out for its default")
		}
	}
	if c.Limits.Depth > 1000 {
		d.fault(child(n, "depth"), "config.limit", "limits.depth: at most 1000", "leave it out for its default")
	}
	if c.Limits.InputRounds > 250 {
		d.fault(child(n, "inputRounds"), "config.limit", "limits.inputRounds: at most 250", "leave it out for its default")
	}
}

func (d *decoder) server(c *Config, name string, s *Server, n *yaml.Node) {
	key := &yaml.Node{Line: s.Pos.Line, Column: s.Pos.Col}
	if !serverName.MatchString(name) || slices.Contains(reserved, name) {
		d.fault(key, "config.server_name", fmt.Sprintf("%q cannot be the name of a server", name), "use letters, digits, dot, dash and underscore, at most 64; healthz, metrics, admin, portal and .well-known are taken")
	}
	if s.Auth != nil {
		d.auth(*s.Auth, child(n, "auth"), c)
	}
	list := child(n, "sources")
	if len(s.Sources) == 0 && (list == n && n.Kind == yaml.MappingNode || list.Kind == yaml.SequenceNode || list.Tag == "!!null") {
		d.fault(key, "config.sources", fmt.Sprintf("server %s has no sources", name), "add sources: with - mcp: URL, - command: [program, argument] or - openapi: FILE")
	}
	prefixes := map[string]gatehouse.Pos{}
	for i := range s.Sources {
		src := &s.Sources[i]
		at := item(list, i)
		if at.Kind != yaml.MappingNode && at.Tag != "!!null" || scalar(child(at, "command")) {
			continue // said already
		}
		if src.Prefix != "" {
			if !prefixName.MatchString(src.Prefix) {
				d.fault(child(at, "prefix"), "config.prefix", fmt.Sprintf("prefix: %q has characters that tool names may not have", src.Prefix), "use letters, digits, dash and underscore, at most 32")
			} else if p, dup := prefixes[src.Prefix]; dup {
				d.fault(child(at, "prefix"), "config.prefix", fmt.Sprintf("prefix: %q is the prefix of the source at %s too", src.Prefix, p), "give each source its own")
			}
			prefixes[src.Prefix] = src.Pos
		}
		d.source(c, src, at)
	}
}

func scalar(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag != "!!null" }

func (d *decoder) source(c *Config, src *Source, n *yaml.Node) {
	def := defaultSource(c.Limits)
	switch kinds := src.kinds(); {
	case len(kinds) == 0:
		d.fault(n, "config.source", "a source needs mcp, command or openapi", "write - mcp: http://127.0.0.1:3001/mcp, - command: [program, argument] or - openapi: ./api.yaml")
	case len(kinds) > 1:
		d.fault(n, "config.source", "a source is of one kind: it has "+strings.Join(kinds, " and "), "make a source of each")
	case kinds[0] == "openapi":
		d.openapi(c, src, n)
		return
	case kinds[0] == "mcp":
		u, err := url.Parse(src.MCP)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			d.fault(child(n, "mcp"), "config.url", fmt.Sprintf("mcp: %q is no http or https URL", child(n, "mcp").Value), "write it like http://127.0.0.1:3001/mcp; credentials go into headers:")
		}
		if len(src.Env) > 0 || src.Dir != "" {
			d.fault(n, "config.source", "env and dir are for a command", "remove them, or use command")
		}
	default:
		if src.Command[0] == "" {
			d.fault(child(n, "command"), "config.command", "command: the program is empty", "write command: [program, argument]")
		}
		if len(src.Headers) > 0 {
			d.fault(child(n, "headers"), "config.source", "headers are for an HTTP upstream", "give a command its secrets with env:")
		}
		if src.Era == "sse" {
			d.fault(child(n, "era"), "config.era", "era: sse is for an HTTP upstream", "leave it out")
		}
		if unpinned(src.Command) {
			c.warn(d, child(n, "command"), "config.unpinned", fmt.Sprintf("command: %s fetches whatever version is newest at every start", src.Command[0]), "pin it, as in npx -y package@1.2.3")
		}
		if src.Dir = d.path(src.Dir); src.Dir == "" {
			src.Dir = d.dir
		}
	}
	d.foreign(src, n, openapiKeys, "openapi")
	if src.Era == "" {
		src.Era = def.Era
	}
	if src.Sessions == "" {
		src.Sessions = def.Sessions
	}
	d.remote(c, src, n)
	if src.Grace == 0 {
		src.Grace = def.Grace
	}
}

// remote checks what every source has that is reached somewhere else.
func (d *decoder) remote(c *Config, src *Source, n *yaml.Node) {
	def := defaultSource(c.Limits)
	for name := range src.Headers {
		if !headerName.MatchString(name) || slices.Contains([]string{"host", "content-length", "connection", "transfer-encoding", "mcp-session-id"}, strings.ToLower(name)) || strings.HasPrefix(strings.ToLower(name), "mcp-") {
			d.fault(child(n, "headers"), "config.header", fmt.Sprintf("headers: %q is no header that can be set", name), "the transport sets Host, Connection, Content-Length, Transfer-Encoding and Mcp-*")
		}
	}
	if src.Timeout == 0 {
		src.Timeout = def.Timeout
	}
	if src.Concurrency == 0 {
		src.Concurrency = def.Concurrency
	}
	if src.Concurrency > maxConcurrency {
		d.fault(child(n, "concurrency"), "config.limit", fmt.Sprintf("concurrency: at most %d", maxConcurrency), "leave it out for its default")
	}
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$")

// unpinned reports whether a command is a package runner without a version.
func unpinned(cmd []string) bool {
	base := cmd[0][strings.LastIndexByte(cmd[0], '/')+1:]
	if !slices.Contains([]string{"npx", "uvx", "pnpx", "bunx"}, base) {
		return false
	}
	for _, a := range cmd[1:] {
		if strings.HasPrefix(a, "-") {
			continue
		}
		name := strings.TrimPrefix(a, "@")
		return !strings.Contains(name, "@") && !strings.Contains(name, "==")
	}
	return false
}

// LoopbackBind reports whether only this machine can reach the listener.
func (c *Config) LoopbackBind() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
