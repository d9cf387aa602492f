package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"gatehouse/backend/rest/openapi"
	"gatehouse/config"
	"gatehouse/egress"
	"gatehouse/wire"
)

// credential is one entry of the source's auth.
type credential struct {
	name string
	*config.Credential
	src *source
	tokens
}

// sign is how a credential is put on a request.
type sign struct {
	in    string // header, query or cookie
	name  string
	value string      // "" when it is a token that must be had
	cred  *credential // of a token
	scope string      // of a token
}

// sign says how the credential satisfies a scheme.
func (c *credential) sign(s openapi.Scheme, scopes []string) (sign, error) {
	bearer := sign{in: "header", name: "Authorization"}
	switch {
	case s.Type == "apiKey":
		if c.Key.IsZero() {
			return sign{}, fmt.Errorf("the scheme is an API key: write key")
		}
		if s.In != "header" && s.In != "query" && s.In != "cookie" || s.Name == "" {
			return sign{}, fmt.Errorf("the document does not say where the key goes: write in and name")
		}
		return sign{in: s.In, name: s.Name, value: c.Key.Reveal()}, nil
	case s.Type == "http" && s.Scheme == "basic":
		if c.User == "" {
			return sign{}, fmt.Errorf("the scheme is basic authentication: write user and password")
		}
		bearer.value = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password.Reveal()))
		return bearer, nil
	case s.Type == "http" && s.Scheme != "bearer":
		if c.Token.IsZero() {
			return sign{}, fmt.Errorf("the scheme is HTTP authentication %q: write token, what follows the scheme's name", s.Scheme)
		}
		bearer.value = s.Scheme + " " + c.Token.Reveal()
		return bearer, nil
	case s.Type == "http" || s.Type == "oauth2" || s.Type == "openIdConnect":
		if !c.Token.IsZero() {
			bearer.value = "Bearer " + c.Token.Reveal()
			return bearer, nil
		}
		if c.ClientID == "" {
			return sign{}, fmt.Errorf("the scheme wants a bearer token: write token, or clientID and clientSecret")
		}
		if _, err := c.endpoint(s); err != nil {
			return sign{}, err
		}
		if c.Scopes != nil {
			scopes = c.Scopes
		}
		bearer.cred, bearer.scope = c, strings.Join(scopes, " ")
		return bearer, nil
	}
	return sign{}, fmt.Errorf("schemes of type %q cannot be satisfied", s.Type)
}

// endpoint is where tokens are had. What a document says is believed when an administrator has the document in a file, or
// when it names the API's own server: a client secret goes nowhere else.
func (c *credential) endpoint(s openapi.Scheme) (*url.URL, error) {
	place := c.TokenURL
	if place == "" {
		place = s.TokenURL
	}
	if place == "" {
		return nil, fmt.Errorf("the document names no token URL: write tokenURL")
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, fmt.Errorf("the token URL %q is no URL", place)
	}
	api, _ := url.Parse(c.src.cfg.URL)
	if u.Host == "" && c.src.cfg.URL != "" {
		u = api.ResolveReference(u)
	}
	if c.TokenURL == "" && c.src.cfg.Remote() && (api == nil || origin(api) != origin(u)) {
		return nil, fmt.Errorf("the document comes from a URL and names the token URL %s on another server: confirm it with tokenURL", u.Redacted())
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the token URL %q is no http or https URL: write tokenURL", u.Redacted())
	}
	return u, nil
}

// sign chooses how a plan's calls are signed: the first alternative that the configured credentials satisfy. wants names
// the schemes of the first alternative when there is none.
func (d *document) sign(p *planned) (signs []sign, wants string) {
	var schemes []string
	for i, alternative := range p.Security {
		signs = nil
		ok := true
		for _, need := range alternative {
			c := d.src.creds[need.Scheme]
			if i == 0 {
				schemes = append(schemes, need.Scheme)
			}
			if c == nil || !c.reaches(d, p.base) {
				ok = false
				continue
			}
			s, err := c.sign(d.schemes[need.Scheme], need.Scopes)
			if err != nil {
				ok = false
				continue
			}
			signs = append(signs, s)
		}
		if ok {
			schemes = nil
			break
		}
		signs = nil
	}
	for _, name := range slices.Sorted(maps.Keys(d.src.creds)) { // those that go with every call
		if c := d.src.creds[name]; c.In != "" && c.reaches(d, p.base) {
			signs = append(signs, sign{in: c.In, name: c.Name, value: c.Key.Reveal()})
		}
	}
	return signs, strings.Join(schemes, " and ")
}

// reaches reports whether the credential may be sent to a server: the API's own, or one that is listed.
func (c *credential) reaches(d *document, base *url.URL) bool {
	return d.isHome(base) || slices.ContainsFunc(c.Origins, func(o string) bool {
		u, err := url.Parse(o)
		return err == nil && origin(u) == origin(base)
	})
}

// isHome reports whether base is the API's own server. A document that comes from a URL is not asked which that is.
func (d *document) isHome(base *url.URL) bool {
	var home *url.URL
	switch cfg := d.src.cfg; {
	case cfg.URL != "":
		home, _ = url.Parse(cfg.URL)
	case cfg.Remote():
		home, _ = url.Parse(cfg.OpenAPI)
	default:
		home = d.home()
	}
	return home != nil && origin(home) == origin(base)
}

// apply signs a request. What the arguments say under the name of a credential gives way to it. It returns what must not
// come back to the caller.
func (p *planned) apply(ctx context.Context, r *egress.Request) (secrets []string, err error) {
	for _, s := range p.signs {
		value := s.value
		if s.cred != nil {
			token, err := s.cred.token(ctx, s.scope)
			if err != nil {
				return nil, err
			}
			value = "Bearer " + token
		}
		secrets = append(secrets, value)
		switch s.in {
		case "header":
			r.Header = set(r.Header, s.name, value)
		case "cookie":
			pair := s.name + "=" + url.QueryEscape(value)
			if i := slices.IndexFunc(r.Header, func(f egress.Field) bool { return strings.EqualFold(f.Name, "Cookie") }); i >= 0 {
				kept := slices.DeleteFunc(strings.Split(r.Header[i].Value, "; "), func(c string) bool { return strings.HasPrefix(c, s.name+"=") })
				r.Header[i].Value = strings.Join(append(kept, pair), "; ")
			} else {
				r.Header = append(r.Header, egress.Field{Name: "Cookie", Value: pair})
			}
		case "query":
			path, query, _ := strings.Cut(r.Path, "?")
			kept := slices.DeleteFunc(strings.Split(query, "&"), func(q string) bool {
				name, _, _ := strings.Cut(q, "=")
				name, err := url.QueryUnescape(name)
				return q == "" || err == nil && name == s.name
			})
			r.Path = path + "?" + strings.Join(append(kept, escape(s.name)+"="+escape(value)), "&")
		}
	}
	return secrets, nil
}

// minSecret is the length from which a credential is looked for in answers: a shorter one is found by chance.
const minSecret = 8

// scrub takes out of an answer what the API repeats of the credentials it was sent.
func (a *answer) scrub(secrets []string) {
	for _, s := range secrets {
		if _, rest, ok := strings.Cut(s, " "); ok { // behind the scheme's name
			s = rest
		}
		if len(s) < minSecret {
			continue
		}
		quoted := string(wire.String(s))
		quoted = quoted[1 : len(quoted)-1]
		forms := []string{s, url.QueryEscape(s), escape(s), url.PathEscape(s), quoted, strings.ReplaceAll(quoted, "/", `\/`)}
		slices.Sort(forms)
		for _, f := range slices.Compact(forms) {
			if bytes.Contains(a.body, []byte(f)) {
				a.body = bytes.ReplaceAll(a.body, []byte(f), []byte(redacted))
			}
			for i := range a.header {
				a.header[i].Value = strings.ReplaceAll(a.header[i].Value, f, redacted)
			}
		}
	}
}

const redacted = "[redacted]"

// escape encodes a name or value of a query; a blank is %20, which every server reads.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// set puts a field in place of those with its name.
func set(h []egress.Field, name, value string) []egress.Field {
	h = slices.DeleteFunc(h, func(f egress.Field) bool { return strings.EqualFold(f.Name, name) })
	return append(h, egress.Field{Name: name, Value: value})
}

// renew lets go of the tokens that a request carried; false when it carried none.
func (p *planned) renew() bool {
	had := false
	for _, s := range p.signs {
		if s.cred != nil {
			s.cred.forget(s.scope)
			had = true
		}
	}
	return had
}
