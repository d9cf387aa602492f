package rest

import (
	"maps"
	"slices"
	"strings"

	"gatehouse/backend"
	"gatehouse/backend/rest/openapi"
	"gatehouse/config"
)

// Report is what becomes of a document.
type Report struct {
	Document   string    `json:"document"`
	Title      string    `json:"title"`
	Version    string    `json:"version"`
	OpenAPI    string    `json:"openapi"`
	Server     string    `json:"server,omitempty"` // the document's own, "" when it has none that is absolute
	Schemes    []Scheme  `json:"schemes,omitempty"`
	Warnings   []string  `json:"warnings,omitempty"`
	Operations []Outcome `json:"operations"`
}

// Scheme is a security scheme, and how its credential is written in the configuration.
type Scheme struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Auth string `json:"auth,omitempty"` // "" when it cannot be satisfied
}

// Outcome is what becomes of one operation: a tool, or the reason why it is left out.
type Outcome struct {
	Operation   string   `json:"operation,omitempty"` // its id
	Method      string   `json:"method"`
	Path        string   `json:"path"`
	Tool        string   `json:"tool,omitempty"`
	Risk        string   `json:"risk,omitempty"`
	InputBytes  int      `json:"inputBytes,omitempty"` // of the schema of its arguments
	OutputBytes int      `json:"outputBytes,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// Inspect reads a document as a source would, and tells what becomes of each of its operations.
func Inspect(src config.Source, env backend.Env) (*Report, error) {
	s, r, err := defaults.source(src, env)
	if err != nil {
		return nil, err
	}
	defer s.end()
	d, err := s.read(r)
	if err != nil {
		return nil, err
	}
	doc := d.doc
	out := &Report{Document: src.OpenAPI, Title: doc.Title, Version: doc.Version, OpenAPI: doc.Revision, Warnings: doc.Warnings, Operations: []Outcome{}}
	if home := d.home(); home != nil {
		out.Server = home.String()
	} else if s.cfg.URL == "" {
		s.cfg.URL = "http://api.invalid" // where it is does not matter here
	}
	for _, name := range slices.Sorted(maps.Keys(d.schemes)) {
		out.Schemes = append(out.Schemes, schemeOf(name, d.schemes[name]))
	}
	tools := make(map[*openapi.Operation]*tool, len(d.tools))
	for _, t := range d.tools {
		tools[t.op] = t
	}
	for _, op := range doc.Operations {
		o := Outcome{Operation: op.ID, Method: op.Method, Path: op.Path}
		if t := tools[op]; t == nil {
			o.Reason = "it is not chosen"
		} else if p, err := t.make(); err != nil {
			o.Reason = strings.TrimPrefix(msgOf(err), op.Method+" "+op.Path+": ")
		} else {
			o.Tool, o.Risk, o.InputBytes, o.OutputBytes, o.Warnings = t.name, string(t.risk), len(p.input), len(p.Output), p.Warnings
		}
		out.Operations = append(out.Operations, o)
	}
	for _, x := range doc.Skipped {
		out.Operations = append(out.Operations, Outcome{Operation: x.ID, Method: x.Method, Path: x.Path, Reason: x.Reason})
	}
	return out, nil
}

// schemeOf says how the credential of a scheme is written.
func schemeOf(name string, s openapi.Scheme) Scheme {
	out := Scheme{Name: name, Type: s.Type}
	switch {
	case s.Type == "apiKey":
		out.Auth = "{key: '${env:KEY}'}"
	case s.Type == "http" && s.Scheme == "basic":
		out.Auth = "{user: NAME, password: '${env:PASSWORD}'}"
	case s.Type == "oauth2" && s.Flow == "clientCredentials":
		out.Auth = "{clientID: ID, clientSecret: '${env:SECRET}'}"
		if s.TokenURL == "" {
			out.Auth = "{clientID: ID, clientSecret: '${env:SECRET}', tokenURL: URL}"
		}
	case s.Type == "http", s.Type == "oauth2", s.Type == "openIdConnect":
		out.Auth = "{token: '${env:TOKEN}'}"
	}
	return out
}
