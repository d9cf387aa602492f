package config

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse"
)

// Credential is one entry of a source's auth: an API key, user and password, a token, or an OAuth 2 client. It is sent to
// the API's own origin, and to no other that is not listed.
type Credential struct {
	// API key, for a scheme of type apiKey.
	Key gatehouse.Secret `yaml:"key"`
	// User name, for HTTP basic authentication.
	User string `yaml:"user"`
	// Password, for HTTP basic authentication.
	Password gatehouse.Secret `yaml:"password"`
	// Bearer token.
	Token gatehouse.Secret `yaml:"token"`
	// Client id, for OAuth 2 client credentials.
	ClientID string `yaml:"clientID"`
	// Client secret, for OAuth 2 client credentials.
	ClientSecret gatehouse.Secret `yaml:"clientSecret"`
	// Where tokens are had. Default: what the document says, when it is a file.
	TokenURL string `yaml:"tokenURL"`
	// Scopes to ask for. Default: those that the operation names.
	Scopes []string `yaml:"scopes"`
	// Where an API key goes that the document says nothing of: header, query or cookie. It then goes with every call.
	In string `yaml:"in" enum:"header,query,cookie"`
	// Name of that header, query parameter or cookie.
	Name string `yaml:"name"`
	// Other origins it may be sent to, such as https://uploads.example.org, when operations have servers of their own.
	Origins []string `yaml:"origins"`
}

// ToolRule is what is different about one tool of a REST API.
type ToolRule struct {
	// Name of the tool, instead of the one made from the operation.
	Name string `yaml:"name"`
	// Description, instead of the document's.
	Description string `yaml:"description"`
	// Arguments with these values in every call; callers neither see nor set them.
	Fixed map[string]Value `yaml:"fixed"`
	// Arguments that callers neither see nor set, and that are not sent.
	Hidden []string `yaml:"hidden"`
	// What it does: read, write, delete, secret, egress or exec. Default from the method.
	Risk string `yaml:"risk" enum:"read,write,delete,secret,egress,exec"`
	// Longest time one call may take. Default that of the source.
	Timeout time.Duration `yaml:"timeout"`
	// Members of a JSON answer to keep, such as items.id; lists are passed through. Default all.
	Select []string `yaml:"select"`
	// Publish it. Default true.
	Expose *bool `yaml:"expose"`
}

// Value is any value of the file, as JSON.
type Value []byte

// kinds names what the source says it is.
func (s *Source) kinds() []string {
	var out []string
	for _, k := range []struct {
		name string
		set  bool
	}{{"mcp", s.MCP != ""}, {"command", len(s.Command) > 0}, {"openapi", s.OpenAPI != ""}} {
		if k.set {
			out = append(out, k.name)
		}
	}
	return out
}

// Kind is the key that says what the source is: mcp, command or openapi.
func (s *Source) Kind() string {
	if k := s.kinds(); len(k) > 0 {
		return k[0]
	}
	return ""
}

// Remote reports whether the OpenAPI document is a URL.
func (s *Source) Remote() bool {
	return strings.HasPrefix(s.OpenAPI, "http://") || strings.HasPrefix(s.OpenAPI, "https://")
}

// Keys that only one kind of source has.
var (
	openapiKeys = []string{"url", "include", "exclude", "auth", "variables", "tools", "expose", "schemas", "remoteRefs", "showBytes"}
	mcpKeys     = []string{"era", "sessions", "env", "dir", "grace"}
)

// foreign faults keys that another kind of source has.
func (d *decoder) foreign(src *Source, n *yaml.Node, keys []string, kind string) {
	if len(src.kinds()) != 1 || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; slices.Contains(keys, k.Value) {
			d.fault(k, "config.source", fmt.Sprintf("%s is for a source of kind %s; this one is %s", k.Value, kind, src.Kind()), "remove it")
		}
	}
}

const defaultShow = 128 << 10

// openapi checks the source of a REST API.
func (d *decoder) openapi(c *Config, src *Source, n *yaml.Node) {
	d.foreign(src, n, mcpKeys, "mcp or command")
	if src.Remote() {
		d.http(child(n, "openapi"), "openapi", src.OpenAPI, "https://api.example.org/openapi.json")
		if len(src.Auth) > 0 && src.URL == "" {
			d.fault(child(n, "auth"), "config.source", "auth: the document comes from a URL and could send the credential anywhere", "say with url: where the API is")
		}
	} else {
		src.OpenAPI = d.path(src.OpenAPI)
		if st, err := os.Stat(src.OpenAPI); err != nil {
			d.fault(child(n, "openapi"), "config.file", "openapi: file cannot be read: "+reason(err), "check the path; it is relative to the configuration file")
		} else if !st.Mode().IsRegular() {
			d.fault(child(n, "openapi"), "config.file", "openapi: is no regular file", "name the document itself")
		}
	}
	if src.URL != "" {
		d.http(child(n, "url"), "url", src.URL, "https://api.example.org/v1")
	}
	for _, key := range []string{"include", "exclude"} {
		for i, s := range map[string][]string{"include": src.Include, "exclude": src.Exclude}[key] {
			if _, err := ParsePick(s); err != nil {
				d.fault(item(child(n, key), i), "config.pick", fmt.Sprintf("%s: %q %v", key, s, err), "write an operation id, tag:NAME, GET, /orders/* or GET /orders/*")
			}
		}
	}
	for i, s := range src.RemoteRefs {
		d.origin(item(child(n, "remoteRefs"), i), "remoteRefs", s)
	}
	for _, name := range slices.Sorted(maps.Keys(src.Auth)) {
		d.credential(name, src.Auth[name], child(n, "auth", name))
	}
	for _, name := range slices.Sorted(maps.Keys(src.Tools)) {
		if src.Tools[name] == nil {
			src.Tools[name] = &ToolRule{}
		}
		d.tool(name, src.Tools[name], child(n, "tools", name))
	}
	if src.Expose == "" {
		src.Expose = "tools"
	}
	if src.Schemas == "" {
		src.Schemas = "defs"
	}
	if src.ShowBytes == 0 {
		src.ShowBytes = min(defaultShow, c.Limits.ResultBytes)
	}
	if src.ShowBytes < 1<<10 || src.ShowBytes > c.Limits.ResultBytes {
		d.fault(child(n, "showBytes"), "config.limit", fmt.Sprintf("showBytes: must be between 1KiB and limits.resultBytes, %d", c.Limits.ResultBytes), "leave it out for its default")
	}
	d.remote(c, src, n)
}

func (d *decoder) http(n *yaml.Node, key, s, example string) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || key != "openapi" && u.RawQuery != "" {
		d.fault(n, "config.url", fmt.Sprintf("%s: %q is no http or https URL", key, n.Value), "write it like "+example+"; credentials go into auth:")
	}
}

func (d *decoder) origin(n *yaml.Node, key, s string) {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		d.fault(n, "config.origin", fmt.Sprintf("%s: %q is no origin", key, s), "write it like https://schemas.example.org, without a path")
	}
}

// credential checks one entry of auth.
func (d *decoder) credential(name string, a *Credential, n *yaml.Node) {
	at := "auth." + name
	if a == nil {
		d.fault(n, "config.credential", at+": is empty", "write key, user and password, token, or clientID and clientSecret")
		return
	}
	var forms []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"key", !a.Key.IsZero()}, {"user", a.User != ""}, {"token", !a.Token.IsZero()}, {"clientID", a.ClientID != ""}} {
		if f.set {
			forms = append(forms, f.name)
		}
	}
	switch {
	case len(forms) == 0 && slices.ContainsFunc(n.Content, func(k *yaml.Node) bool { return slices.Contains([]string{"key", "token"}, k.Value) }):
		return // what is wrong with it is said already
	case len(forms) == 0:
		d.fault(n, "config.credential", at+": holds no credential", "write key, user and password, token, or clientID and clientSecret, the secrets as ${env:NAME} or ${file:/path}")
		return
	case len(forms) > 1:
		d.fault(n, "config.credential", at+": has "+strings.Join(forms, " and "), "a scheme needs one of them")
		return
	}
	if forms[0] == "clientID" {
		if a.ClientSecret.IsZero() {
			d.fault(n, "config.credential", at+": clientID needs clientSecret", "write clientSecret: ${env:NAME}")
		}
		if a.TokenURL != "" {
			d.http(child(n, "tokenURL"), "tokenURL", a.TokenURL, "https://login.example.org/token")
		}
	} else if !a.ClientSecret.IsZero() || a.TokenURL != "" || len(a.Scopes) > 0 {
		d.fault(n, "config.credential", at+": clientSecret, tokenURL and scopes belong to clientID", "remove them, or use clientID")
	}
	if !a.Password.IsZero() && forms[0] != "user" {
		d.fault(n, "config.credential", at+": password belongs to user", "remove it, or use user")
	}
	switch {
	case (a.In == "") != (a.Name == ""):
		d.fault(n, "config.credential", at+": in and name belong together", "write both, as in {in: header, name: X-Api-Key}")
	case a.In != "" && forms[0] != "key":
		d.fault(n, "config.credential", at+": in and name belong to key", "remove them")
	case a.In != "" && a.In != "query" && !headerName.MatchString(a.Name):
		d.fault(child(n, "name"), "config.credential", fmt.Sprintf("%s: %q is no name of a %s", at, a.Name, a.In), "use letters, digits and dashes")
	}
	for i, o := range a.Origins {
		d.origin(item(child(n, "origins"), i), at+".origins", o)
	}
}

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// tool checks one entry of tools.
func (d *decoder) tool(name string, t *ToolRule, n *yaml.Node) {
	if p, err := ParsePick(name); err != nil || p.Tag != "" || p.ID == "" && (p.Method == "" || p.Path == "") || strings.Contains(name, "*") {
		d.fault(n, "config.pick", fmt.Sprintf("tools: %q names no single operation", name), "write its operation id, or method and path as in GET /orders/{id}")
	}
	if t.Name != "" && !toolName.MatchString(t.Name) {
		d.fault(child(n, "name"), "config.tool_name", fmt.Sprintf("name: %q is no name of a tool", t.Name), "use letters, digits, dash and underscore, at most 64")
	}
	for i, h := range t.Hidden {
		if _, both := t.Fixed[h]; both || h == "" {
			d.fault(item(child(n, "hidden"), i), "config.tool", fmt.Sprintf("hidden: %q is empty or fixed too", h), "fixed arguments are hidden anyway")
		}
	}
	for i, s := range t.Select {
		if s == "" || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
			d.fault(item(child(n, "select"), i), "config.tool", fmt.Sprintf("select: %q is no path into an answer", s), "write it like items.id")
		}
	}
}

// Pick names operations of a REST API. What is empty matches all; * stands for any characters.
type Pick struct{ ID, Tag, Method, Path string }

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"}

// ParsePick reads one entry of include or exclude.
func ParsePick(s string) (Pick, error) {
	method, path, two := strings.Cut(s, " ")
	switch {
	case s == "":
		return Pick{}, fmt.Errorf("is empty")
	case strings.HasPrefix(s, "tag:"):
		if s == "tag:" {
			return Pick{}, fmt.Errorf("names no tag")
		}
		return Pick{Tag: s[len("tag:"):]}, nil
	case strings.HasPrefix(s, "/"):
		return Pick{Path: s}, nil
	case slices.Contains(methods, s):
		return Pick{Method: s}, nil
	case two && slices.Contains(methods, method) && strings.HasPrefix(path, "/"):
		return Pick{Method: method, Path: path}, nil
	case two && strings.HasPrefix(path, "/"):
		return Pick{}, fmt.Errorf("begins with %q, which is no method", method)
	}
	return Pick{ID: s}, nil
}

// Match reports whether the operation is one of those. Its id and its tool's name are both taken for ID.
func (p Pick) Match(id, name, method, path string, tags []string) bool {
	return (p.ID == "" || glob(p.ID, id) || glob(p.ID, name)) && (p.Method == "" || p.Method == method) &&
		(p.Path == "" || glob(p.Path, path)) && (p.Tag == "" || slices.ContainsFunc(tags, func(t string) bool { return glob(p.Tag, t) }))
}

// glob matches s with a pattern in which * stands for any characters.
func glob(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	for ok {
		if head, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(s, head)
		}
		_, s, ok = strings.Cut(s, head)
	}
	return false
}
