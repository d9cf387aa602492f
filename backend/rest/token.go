package rest

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/egress"
	"gatehouse/wire"
)

// Bounds of tokens.
const (
	tokenTimeout = 30 * time.Second
	tokenBytes   = 64 << 10 // of the answer that holds one
	tokenEarly   = time.Minute
	tokenLife    = 5 * time.Minute // of one that does not say
	maxScopes    = 64              // sets of scopes that tokens are kept for
)

// tokens are the tokens of one OAuth 2 client, by scopes (RFC 6749 section 4.4).
type tokens struct {
	mu   sync.Mutex // guards what follows
	m    map[string]*token
	body bool // the server wants id and secret in the body (RFC 6749 section 2.3.1)
}

// token is one token, and the right to fetch it.
type token struct {
	turn  chan struct{} // held while it is fetched
	mu    sync.Mutex    // guards what follows
	value string
	ends  time.Time
	life  time.Duration
}

func (t *token) now(now time.Time) (value string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !now.Before(t.ends) {
		return "", false
	}
	return t.value, now.Before(t.ends.Add(-min(tokenEarly, t.life/5)))
}

// token returns a token for scope: the one that is kept, or a new one shortly before it ends.
func (c *credential) token(ctx context.Context, scope string) (string, error) {
	c.mu.Lock()
	t := c.m[scope]
	if t == nil {
		if c.m == nil || len(c.m) >= maxScopes {
			c.m = map[string]*token{}
		}
		t = &token{turn: make(chan struct{}, 1)}
		c.m[scope] = t
	}
	c.mu.Unlock()
	value, fresh := t.now(c.src.env.Now())
	if fresh {
		return value, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	default:
		if value != "" { // somebody fetches the next one; this one is good for a while
			return value, nil
		}
		select {
		case t.turn <- struct{}{}:
			defer func() { <-t.turn }()
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if value, fresh := t.now(c.src.env.Now()); fresh {
		return value, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	next, life, err := c.fetch(ctx, scope)
	if err != nil {
		if value != "" {
			return value, nil
		}
		return "", err
	}
	t.mu.Lock()
	t.value, t.life, t.ends = next, life, c.src.env.Now().Add(life)
	t.mu.Unlock()
	return next, nil
}

// forget lets go of a token that the API refused.
func (c *credential) forget(scope string) {
	c.mu.Lock()
	t := c.m[scope]
	c.mu.Unlock()
	if t != nil {
		t.mu.Lock()
		t.ends = time.Time{}
		t.mu.Unlock()
	}
}

// fetch asks the token endpoint.
func (c *credential) fetch(ctx context.Context, scope string) (value string, life time.Duration, err error) {
	d := c.src.now.Load()
	u, err := c.endpoint(d.schemes[c.name])
	if err != nil {
		return "", 0, c.refused(err.Error(), err)
	}
	g, err := guard(c.src.env.Egress, c.TokenURL, c.src.cfg.URL)
	if err != nil {
		return "", 0, err
	}
	base := *u
	base.Fragment = ""
	client, err := egress.NewClient(&base, g, egress.Options{MaxIdle: -1})
	if err != nil {
		return "", 0, err
	}
	defer client.Close()
	c.mu.Lock()
	inBody := c.body
	c.mu.Unlock()
	status, answer, err := c.ask(ctx, client, scope, inBody)
	if err == nil && !inBody && (status == 400 || status == 401) {
		if s, a, err2 := c.ask(ctx, client, scope, true); err2 == nil && s == 200 {
			status, answer = s, a
			c.mu.Lock()
			c.body = true
			c.mu.Unlock()
		}
	}
	if err != nil {
		return "", 0, c.refused("the token endpoint cannot be reached", err)
	}
	if wire.Verify(answer, wire.RequestLimits) != nil {
		answer = nil
	}
	o, _ := wire.ParseObject(answer)
	if status != 200 {
		why, _ := wire.Text(o.Get("error"))
		return "", 0, c.refused(fmt.Sprintf("the token endpoint answered with HTTP status %d %s", status, word(why)), nil)
	}
	value, _ = wire.Text(o.Get("access_token"))
	kind, _ := wire.Text(o.Get("token_type"))
	if value == "" || len(value) > 16<<10 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || kind != "" && !strings.EqualFold(kind, "bearer") {
		return "", 0, c.refused("the token endpoint gave no bearer token", nil)
	}
	life = tokenLife
	if n, err := strconv.ParseFloat(strings.Trim(string(o.Get("expires_in")), `"`), 64); err == nil && n > 0 {
		life = time.Duration(min(n, 1e6) * float64(time.Second))
	}
	return value, life, nil
}

// ask sends one request for a token.
func (c *credential) ask(ctx context.Context, client *egress.Client, scope string, inBody bool) (int, []byte, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if scope != "" {
		form.Set("scope", scope)
	}
	r := &egress.Request{Method: "POST", Header: []egress.Field{
		{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, {Name: "Accept", Value: "application/json"},
	}}
	if inBody {
		form.Set("client_id", c.ClientID)
		form.Set("client_secret", c.ClientSecret.Reveal())
	} else {
		pair := url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(c.ClientSecret.Reveal())
		r.Header = append(r.Header, egress.Field{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))})
	}
	r.Body = []byte(form.Encode())
	res, err := client.Do(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, tokenBytes))
	return res.Status, b, err
}

func (c *credential) refused(why string, cause error) error {
	return c.src.fault(codeUnauthorized, fmt.Sprintf("got no token for auth.%s: %s", c.name, why), "see whether client id, secret and token URL are right", cause)
}

// word keeps what may be shown of an error code (RFC 6749 section 5.2).
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s[:min(len(s), 64)])
}
