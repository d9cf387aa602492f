package rest

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/backend/rest/openapi"
	"gatehouse/egress"
)

const (
	maxRedirects = 5
	maxTries     = 3 // of a safe request
	maxPause     = 2 * time.Second
)

// answer is what the API answered.
type answer struct {
	status    int
	method    string // of the request that was answered, which a redirect may have made another
	header    egress.Header
	body      []byte
	left      int64  // bytes that were not read; -1 when there are more, nobody knows how many
	elsewhere string // where a redirect leads that is not followed
}

// send makes the request, again when that is safe and may help.
func (s *source) send(ctx context.Context, p *planned, r *openapi.Request) (*answer, error) {
	for try := 1; ; try++ {
		a, err := s.follow(ctx, p, r)
		pause, again := s.again(r.Method, try, a, err)
		if !again || !sleep(ctx, pause) {
			return a, err
		}
	}
}

// again reports whether a request is sent once more, and after which pause.
func (s *source) again(method string, try int, a *answer, err error) (time.Duration, bool) {
	if try >= maxTries || method != "GET" && method != "HEAD" && method != "OPTIONS" {
		return 0, false
	}
	pause := s.b.retry << (try - 1)
	pause = pause/2 + rand.N(pause/2+1)
	if err != nil {
		ge, ok := errors.AsType[*gatehouse.Error](err)
		return pause, ok && slices.Contains([]string{egress.CodeBroken, egress.CodeTruncated, egress.CodeDial}, ge.Code)
	}
	switch a.status {
	case 502, 503, 504, 429:
	default:
		return 0, false
	}
	if after := a.header.Get("Retry-After"); after != "" {
		n, err := strconv.Atoi(after)
		if err != nil || time.Duration(n)*time.Second > maxPause {
			return 0, false // too long to wait for; the caller is told
		}
		pause = max(pause, time.Duration(n)*time.Second)
	} else if a.status == 429 {
		return 0, false
	}
	return pause, true
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// follow sends the request, follows redirects on the same server, and gets a new token once when the one it has is refused.
func (s *source) follow(ctx context.Context, p *planned, r *openapi.Request) (*answer, error) {
	out := egress.Request{Method: r.Method, Path: p.prefix + r.Path, Body: r.Body}
	base := make([]egress.Field, 0, len(r.Header)+len(p.extra)+len(p.signs))
	for _, f := range r.Header {
		base = append(base, egress.Field(f))
	}
	for _, f := range p.extra {
		base = set(base, f.Name, f.Value)
	}
	renewed := false
	for hops := 0; ; hops++ {
		req := out
		req.Header = base
		var secrets []string
		if len(p.signs) > 0 {
			req.Header = append(make([]egress.Field, 0, len(base)+len(p.signs)), base...)
			var err error
			if secrets, err = p.apply(ctx, &req); err != nil {
				return nil, err
			}
		}
		a, err := s.exchange(ctx, p.client, &req)
		if err != nil {
			return nil, err
		}
		if a.status == 401 && !renewed && p.renew() {
			renewed = true
			hops--
			continue
		}
		location := a.header.Get("Location")
		a.scrub(secrets)
		if !redirect(a.status) || location == "" {
			return a, nil
		}
		at := *p.base
		if u, err := url.Parse(out.Path); err == nil {
			at.Path, at.RawPath, at.RawQuery = u.Path, u.RawPath, u.RawQuery
		}
		next, ok := target(&at, location)
		if !ok || hops >= maxRedirects {
			a.elsewhere = a.header.Get("Location")
			return a, nil
		}
		out.Path = next.EscapedPath()
		if next.RawQuery != "" {
			out.Path += "?" + next.RawQuery
		}
		if a.status != 307 && a.status != 308 && out.Method != "GET" && out.Method != "HEAD" {
			// RFC 9110 section 15.4: 303 says so, and for 301 and 302 everybody does it.
			out.Method, out.Body = "GET", nil
			base = slices.DeleteFunc(slices.Clone(base), func(f egress.Field) bool { return strings.HasPrefix(strings.ToLower(f.Name), "content-") })
		}
	}
}

func redirect(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// target resolves where a redirect leads; false when that is another server or no URL.
func target(at *url.URL, location string) (*url.URL, bool) {
	u, err := url.Parse(location)
	if err != nil || strings.ContainsAny(location, "\\") {
		return nil, false
	}
	next := at.ResolveReference(u)
	if next.User != nil || next.Opaque != "" || origin(next) != origin(at) {
		return nil, false
	}
	next.Fragment = ""
	if next.Path == "" {
		next.Path = "/"
	}
	return next, true
}

// exchange sends one request and reads its answer within bounds.
func (s *source) exchange(ctx context.Context, c *egress.Client, r *egress.Request) (*answer, error) {
	res, err := c.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{status: res.Status, method: r.Method, header: res.Header}
	most := s.env.Limits.ResultBytes
	switch {
	case res.ContentLength >= 0 && res.ContentLength <= int64(most):
		a.body = make([]byte, res.ContentLength)
		_, err = io.ReadFull(res.Body, a.body)
		if err == nil {
			var end [1]byte // lets the connection be used again
			if n, _ := res.Body.Read(end[:]); n > 0 {
				a.left = -1
			}
		}
	default:
		a.body, err = io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
		if len(a.body) > most {
			a.body = a.body[:most]
			if a.left = -1; res.ContentLength > 0 {
				a.left = res.ContentLength - int64(most)
			}
		}
	}
	return a, err
}
