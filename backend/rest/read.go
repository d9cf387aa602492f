package rest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/backend/rest/openapi"
	"gatehouse/egress"
)

// reader reads the document and what it refers to.
type reader struct {
	src     *source
	guard   *egress.Guard // of documents, which is not that of calls
	origins []string      // that may be read from
	roots   []string      // folders that may be read from
	next    time.Time     // of a URL
	seen    string        // states of the files, as they were read
	files   []string
	sum     [sha256.Size]byte // of everything read
}

func (s *source) reader() (*reader, error) {
	r := &reader{src: s}
	urls := slices.Clone(s.cfg.RemoteRefs)
	if s.cfg.Remote() {
		urls = append(urls, s.cfg.OpenAPI)
	} else {
		// A document may be spread over files, below its own folder or the configuration's.
		for _, f := range []string{s.cfg.OpenAPI, s.cfg.Pos.File} {
			if f == "" {
				continue
			}
			if dir, err := filepath.Abs(filepath.Dir(f)); err == nil {
				if real, err := filepath.EvalSymlinks(dir); err == nil {
					r.roots = append(r.roots, real)
				}
			}
		}
	}
	for _, o := range urls {
		u, err := url.Parse(o)
		if err != nil {
			return nil, s.fault("config.url", fmt.Sprintf("has %q, which is no URL", o), "write it like https://host/path", err)
		}
		r.origins = append(r.origins, origin(u))
	}
	var err error
	r.guard, err = guard(s.env.Egress, urls...)
	return r, err
}

// due reports whether the document should be read now: a URL every so often, a file when it looks different.
func (r *reader) due(now time.Time) bool {
	if r.src.cfg.Remote() {
		return !now.Before(r.next)
	}
	return r.seen == "" || r.seen != look(append([]string{r.src.cfg.OpenAPI}, r.files...))
}

// look is what can be seen of files from outside.
func look(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", f, st.ModTime().UnixNano(), st.Size())
		} else {
			fmt.Fprintf(&b, "%s -\n", f)
		}
	}
	return b.String()
}

// read reads the document; nil without an error when nothing has changed.
func (s *source) read(r *reader) (*document, error) {
	place := s.cfg.OpenAPI
	if !s.cfg.Remote() {
		r.seen = look(append([]string{place}, r.files...))
	} else {
		r.next = s.env.Now().Add(s.b.renew)
	}
	b, err := r.get(place)
	if err != nil {
		return nil, s.fault(codeUnavailable, "cannot read its document", hintOf(err, "see whether "+place+" is there and can be read"), err)
	}
	h := sha256.New()
	h.Write(b)
	opt := openapi.Options{
		Variables: s.cfg.Variables,
		Read: func(place string) ([]byte, error) {
			b, err := r.get(place)
			h.Write(b)
			return b, err
		},
	}
	if s.cfg.Schemas == "inline" {
		opt.Inline = inlineDepth
	}
	doc, err := openapi.Parse(place, b, opt)
	if err != nil {
		return nil, err
	}
	d := s.build(doc)
	if !s.cfg.Remote() {
		r.files = slices.DeleteFunc(doc.Files(), func(f string) bool { return f == place || strings.Contains(f, "://") })
		r.seen = look(append([]string{place}, r.files...))
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if s.now.Load() != nil && sum == r.sum {
		return nil, nil
	}
	r.sum = sum
	return d, nil
}

// inlineDepth is how deep references are written out when schemas is inline.
const inlineDepth = 5

func hintOf(err error, other string) string {
	if ge, ok := errors.AsType[*gatehouse.Error](err); ok && ge.Hint != "" {
		return ge.Hint
	}
	return other
}

// get reads one file or URL, if it may.
func (r *reader) get(place string) ([]byte, error) {
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		return r.fetch(place)
	}
	if strings.Contains(place, "://") {
		return nil, fmt.Errorf("only files, http and https can be read")
	}
	if r.src.cfg.Remote() {
		return nil, fmt.Errorf("a document that is a URL may not refer to files")
	}
	real, err := filepath.Abs(place)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return nil, errors.New(short(err))
	}
	inside := slices.ContainsFunc(r.roots, func(root string) bool {
		rel, err := filepath.Rel(root, real)
		return err == nil && filepath.IsLocal(rel)
	})
	if !inside && place != r.src.cfg.OpenAPI {
		return nil, fmt.Errorf("the file is outside of the folders of document and configuration")
	}
	st, err := os.Stat(real)
	switch {
	case err != nil:
		return nil, errors.New(short(err))
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("is no regular file")
	case st.Size() > maxDocument:
		return nil, fmt.Errorf("has %d bytes; at most %d are read", st.Size(), maxDocument)
	}
	b, err := os.ReadFile(real)
	if err != nil {
		return nil, errors.New(short(err))
	}
	return b, nil
}

// short is the system's word without the path.
func short(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// fetch reads a URL through egress.
func (r *reader) fetch(place string) ([]byte, error) {
	u, err := url.Parse(place)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("is no URL")
	}
	if !slices.Contains(r.origins, origin(u)) {
		return nil, fmt.Errorf("%s is not allowed: add its origin to remoteRefs", u.Redacted())
	}
	c, err := egress.NewClient(u, r.guard, egress.Options{MaxIdle: -1, MaxDecodedBytes: maxDocument})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(r.src.life, fetchTimeout)
	defer cancel()
	path := u.EscapedPath()
	for range maxRedirects + 1 {
		if path == "" {
			path = "/"
		}
		if u.RawQuery != "" {
			path += "?" + u.RawQuery
		}
		res, err := c.Do(ctx, &egress.Request{Path: path, Header: []egress.Field{{Name: "Accept", Value: "application/json, application/yaml;q=0.9, */*;q=0.5"}}})
		if err != nil {
			return nil, err
		}
		if redirect(res.Status) {
			_ = res.Body.Close() // the redirect is what counts
			next, ok := target(u, res.Header.Get("Location"))
			if !ok {
				return nil, fmt.Errorf("the URL redirects to another server, which is not followed")
			}
			u, path = next, next.EscapedPath()
			continue
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
		_ = res.Body.Close() // what was read is what counts
		switch {
		case err != nil:
			return nil, err
		case res.Status != 200:
			return nil, fmt.Errorf("the server answered with HTTP status %d", res.Status)
		case len(b) > maxDocument:
			return nil, fmt.Errorf("has more than %d bytes", maxDocument)
		}
		return b, nil
	}
	return nil, fmt.Errorf("the URL redirects more than %d times", maxRedirects)
}
