// Package config reads the one configuration file: every fault in one run, each with its place and a way out. What it
// returns is immutable.
package config

import (
	"time"

	"gatehouse"
)

// Config is the whole file. Comments of fields are the operator's documentation: docs/reference/config.md and the JSON Schema
// are generated from them.
type Config struct {
	// Address to listen on. Anything but loopback requires a way to sign in. Default 127.0.0.1:8080.
	Listen string `yaml:"listen"`
	// URL under which clients reach this server, as resource metadata and printed settings say it. Default from listen.
	PublicURL string `yaml:"publicURL"`
	// Folder for keys, the record and the database, relative to the configuration file. Default ./gatehouse-data.
	Data string `yaml:"data"`
	// Key that seals session ids, cursors and request state, 32 bytes in base64; the same on all nodes. Default: made once and kept in data.
	SealingKey gatehouse.Secret `yaml:"sealingKey"`
	// Certificate and key to serve HTTPS with.
	TLS TLS `yaml:"tls"`
	// Who may sign in, for every server.
	Auth Auth `yaml:"auth"`
	// Origins besides publicURL's own that browsers may call from, such as http://localhost:6274.
	Origins []string `yaml:"origins"`
	// Which network addresses sources may reach.
	Egress Egress `yaml:"egress"`
	// The record of every call.
	Audit Audit `yaml:"audit"`
	// Bounds on what callers and upstream servers may send.
	Limits Limits `yaml:"limits"`
	// Published servers by name. The name is part of the URL: letters, digits, dot, dash and underscore, at most 64.
	Servers map[string]*Server `yaml:"servers"`

	File string  `yaml:"-"` // the file it came from
	Warn []error `yaml:"-"` // *gatehouse.Error: things that work but deserve a look
}

// TLS is the section tls.
type TLS struct {
	// PEM file with the certificate chain.
	Cert string `yaml:"cert"`
	// PEM file with the private key.
	Key string `yaml:"key"`
	// Least version of TLS: 1.2 or 1.3. Default 1.2.
	Min string `yaml:"min" enum:"1.2,1.3"`
}

// Auth is the section auth.
type Auth struct {
	// Accept access keys. Default true.
	Keys bool `yaml:"keys"`
	// Accept callers without a credential, on loopback only. Default false.
	Anonymous bool `yaml:"anonymous"`
	// Accept callers without a credential from the network as well. Default false.
	AllowAnonymousOnNetwork bool `yaml:"allowAnonymousOnNetwork"`
}

// Egress is the section egress.
type Egress struct {
	// Private addresses that host names of sources may lead to. Loopback and private IP literals written in a source's own URL need no entry.
	Allow []EgressAllow `yaml:"allow"`
}

// EgressAllow is one entry of egress.allow.
type EgressAllow struct {
	// Host name, exact.
	Name string `yaml:"name"`
	// Address range, such as 10.1.0.0/16.
	CIDR string `yaml:"cidr"`
	// TCP port. Default any.
	Port int `yaml:"port"`
}

// Audit is the section audit.
type Audit struct {
	// Folder of the record. Default audit in data.
	Dir string `yaml:"dir"`
	// Bytes after which a new file is begun. Default 256 MiB.
	SegmentBytes int64 `yaml:"segmentBytes"`
}

// Limits is the section limits. Defaults are DefaultLimits.
type Limits struct {
	// Bytes of a request body. Default 4 MiB.
	RequestBytes int `yaml:"requestBytes"`
	// Bytes of one answer of an upstream server. Default 10 MiB.
	ResultBytes int `yaml:"resultBytes"`
	// Nesting of JSON. Default 64.
	Depth int `yaml:"depth"`
	// Connections of one address before it has signed in. Default 100.
	ConnectionsPerAddress int `yaml:"connectionsPerAddress"`
	// Time to read request headers. Default 5s.
	HeaderTimeout time.Duration `yaml:"headerTimeout"`
	// Time an idle connection is kept. Default 2m.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// Longest time one call may take. Default 5m.
	CallTimeout time.Duration `yaml:"callTimeout"`
	// Time calls in flight get to end when the server stops. Default 25s.
	DrainTimeout time.Duration `yaml:"drainTimeout"`
	// Longest life of a legacy session. Default 24h.
	SessionLifetime time.Duration `yaml:"sessionLifetime"`
	// Time after which an unused legacy session ends. Default 4h.
	SessionIdle time.Duration `yaml:"sessionIdle"`
	// Live legacy sessions of one principal. Default 20000.
	SessionsPerPrincipal int `yaml:"sessionsPerPrincipal"`
	// Open event streams (GET and subscriptions/listen) of one principal. Default 1000.
	StreamsPerPrincipal int `yaml:"streamsPerPrincipal"`
	// Times a call may come back for more input. Default 5.
	InputRounds int `yaml:"inputRounds"`
	// Questions in one such round. Default 10.
	InputsPerRound int `yaml:"inputsPerRound"`
	// Time a call waits for the answers of a person. Default 5m.
	InputTimeout time.Duration `yaml:"inputTimeout"`
	// Calls that wait for a person at once. Default 1000.
	ParkedCalls int `yaml:"parkedCalls"`
	// Tools of one source; a source with more is quarantined. Default 1000.
	Tools int `yaml:"tools"`
	// Pages of one upstream list. Default 50.
	ListPages int `yaml:"listPages"`
	// Entries on a page of our own lists. Default 500.
	PageSize int `yaml:"pageSize"`
	// Bytes of a tool's description. Default 8 KiB.
	Description int `yaml:"description"`
	// Bytes of a tool's schema. Default 64 KiB.
	Schema int `yaml:"schema"`
}

// Server is one published server.
type Server struct {
	// Title for people.
	Title string `yaml:"title"`
	// What the server is for, told to clients.
	Instructions string `yaml:"instructions"`
	// Who may sign in, instead of the top-level auth section.
	Auth *Auth `yaml:"auth"`
	// Also serve the HTTP+SSE transport of 2024-11-05 at /{server}/sse. Default false.
	LegacySSE bool `yaml:"legacySSE"`
	// Where its tools come from.
	Sources []Source `yaml:"sources"`

	Name string        `yaml:"-"`
	Pos  gatehouse.Pos `yaml:"-"`
}

// Source is one entry of sources. Exactly one of MCP, Command and OpenAPI is set.
type Source struct {
	// URL of an upstream MCP server over HTTP.
	MCP string `yaml:"mcp"`
	// Command line of an upstream MCP server over standard input and output: program and arguments, no shell.
	Command []string `yaml:"command"`
	// OpenAPI document of a REST API, in JSON or YAML: a file, which is read again when it changes, or a URL.
	OpenAPI string `yaml:"openapi"`
	// Put before the names of its tools and prompts.
	Prefix string `yaml:"prefix"`
	// Protocol era the upstream speaks: auto, legacy, modern or sse (2024-11-05 HTTP+SSE). Default auto.
	Era string `yaml:"era" enum:"auto,legacy,modern,sse"`
	// Headers to send to an HTTP upstream or a REST API.
	Headers map[string]gatehouse.Secret `yaml:"headers"`
	// Environment variables to give a command, besides PATH, HOME, LANG, TMPDIR, TZ and USER.
	Env map[string]gatehouse.Secret `yaml:"env"`
	// Working folder of a command. Default: the configuration file's.
	Dir string `yaml:"dir"`
	// Whose calls share an upstream session or process: principal (each caller has its own) or shared. Default principal.
	Sessions string `yaml:"sessions" enum:"principal,shared"`
	// Longest time one call may take at this source. Default limits.callTimeout.
	Timeout time.Duration `yaml:"timeout"`
	// Calls at once; more wait. Default 128.
	Concurrency int `yaml:"concurrency"`
	// Time that tools of a broken source stay listed. Default 10m.
	Grace time.Duration `yaml:"grace"`

	// Address of a REST API, such as https://api.example.org/v1. Default: the first server of its document.
	URL string `yaml:"url"`
	// Operations of a REST API to publish: an operation id or tool name, tag:NAME, a METHOD, a /path, or METHOD /path; * stands for any characters. Default all.
	Include []string `yaml:"include"`
	// Operations to leave out, written as in include. It wins over include.
	Exclude []string `yaml:"exclude"`
	// Credentials of a REST API, by the name of the security scheme in its document.
	Auth map[string]*Credential `yaml:"auth"`
	// Values of the variables in the document's server URLs.
	Variables map[string]string `yaml:"variables"`
	// What is different about single tools of a REST API, by operation id, tool name, or METHOD /path.
	Tools map[string]*ToolRule `yaml:"tools"`
	// How the tools of a REST API are offered: each in the list (tools), or through search_tools, describe_tool and call_tool (search). Default tools.
	Expose string `yaml:"expose" enum:"tools,search"`
	// Whether schemas keep shared parts under $defs, or have them written out for clients that cannot follow references: defs or inline. Default defs.
	Schemas string `yaml:"schemas" enum:"defs,inline"`
	// Origins that a document may refer to for parts of itself, such as https://schemas.example.org. Its own is always allowed. Default none.
	RemoteRefs []string `yaml:"remoteRefs"`
	// Bytes of an answer that a result shows; what is more can be read as a resource. Default 128KiB.
	ShowBytes int `yaml:"showBytes"`

	Pos gatehouse.Pos `yaml:"-"`
}

// DefaultLimits are the defaults of Limits.
var DefaultLimits = Limits{
	RequestBytes: 4 << 20, ResultBytes: 10 << 20, Depth: 64, ConnectionsPerAddress: 100,
	HeaderTimeout: 5 * time.Second, IdleTimeout: 120 * time.Second, CallTimeout: 5 * time.Minute, DrainTimeout: 25 * time.Second,
	SessionLifetime: 24 * time.Hour, SessionIdle: 4 * time.Hour, SessionsPerPrincipal: 20000, StreamsPerPrincipal: 1000,
	InputRounds: 5, InputsPerRound: 10, InputTimeout: 5 * time.Minute, ParkedCalls: 1000,
	Tools: 1000, ListPages: 50, PageSize: 500, Description: 8 << 10, Schema: 64 << 10,
}
