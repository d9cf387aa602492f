package openapi

import (
	"bytes"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"

	"gatehouse/wire"
)

// file is one document of those that belong together. raw is verified JSON.
type file struct {
	place string
	raw   []byte

	mu    sync.RWMutex
	large map[string]map[string][]byte // members of large objects, by JSON pointer
	refs  map[string]target            // what references led to, by fragment
}

// target is where a reference leads.
type target struct {
	v                   []byte
	ptr                 string
	readOnly, writeOnly bool // of a schema
}

// maxRefs bounds the references of one file that are remembered.
const maxRefs = 100_000

// node is a JSON value and the file whose references it holds.
type node struct {
	f   *file
	raw []byte
}

// loc is the place a reference leads to: the identity of a shared schema.
type loc struct {
	f   *file
	ptr string
}

// lenient is how a document is read: by an administrator's choice, so larger and deeper than a message.
var lenient = wire.Limits{Bytes: maxDocument, Depth: 1000, Number: 1000}

func newFile(place string, b []byte) (*file, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(b) > maxDocument {
		return nil, fault(place, CodeSize, fmt.Sprintf("has %d bytes; at most %d are read", len(b), maxDocument), "split it, or describe fewer operations")
	}
	trimmed := bytes.TrimLeft(b, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' {
		var err error
		if b, err = yamlToJSON(b); err != nil {
			return nil, fault(place, CodeSyntax, "is neither JSON nor YAML: "+err.Error(), "look at the place that is named")
		}
	} else if err := wire.Verify(b, lenient); err != nil {
		// Some documents repeat a member or carry a tab in a string; YAML's reader is the more patient one.
		j, yerr := yamlToJSON(b)
		if yerr != nil {
			return nil, fault(place, CodeSyntax, "is not acceptable JSON: "+err.Error(), "look at the place that is named")
		}
		b = j
	}
	return &file{place: place, raw: bytes.TrimSpace(b), large: map[string]map[string][]byte{}, refs: map[string]target{}}, nil
}

// maxHops bounds references that lead to references.
const maxHops = 32

// deref follows the references of n to the value behind them.
func (d *Doc) deref(n node) (node, error) {
	m, _, err := d.follow(n)
	return m, err
}

// follow is deref that also tells where the last reference led; at.f is nil when there was none.
func (d *Doc) follow(n node) (_ node, at loc, err error) {
	for range maxHops {
		if !wire.IsObject(n.raw) {
			return n, at, nil
		}
		ref, ok := refOf(n.raw)
		if !ok {
			return n, at, nil
		}
		if n, at, err = d.resolve(n.f, ref); err != nil {
			return n, at, err
		}
	}
	return n, at, fmt.Errorf("a $ref leads back to itself or too far")
}

// refOf is the $ref of an object.
func refOf(raw []byte) (string, bool) {
	if !bytes.Contains(raw, []byte(`"$ref"`)) {
		return "", false
	}
	o, _ := wire.ParseObject(raw)
	return wire.Text(o.Get("$ref"))
}

// resolve finds what ref means in f.
func (d *Doc) resolve(f *file, ref string) (node, loc, error) {
	place, frag, _ := strings.Cut(ref, "#")
	if place != "" {
		g, err := d.open(f, place)
		if err != nil {
			return node{}, loc{}, err
		}
		f = g
	}
	t, ok := f.lookup(frag)
	if !ok {
		return node{}, loc{}, fmt.Errorf("$ref %q leads nowhere", clip(ref, 200))
	}
	return node{f, t.v}, loc{f, t.ptr}, nil
}

// lookup is find, remembered.
func (f *file) lookup(frag string) (target, bool) {
	f.mu.RLock()
	t, ok := f.refs[frag]
	f.mu.RUnlock()
	if ok {
		return t, true
	}
	if t.v, t.ptr, ok = f.find(frag); !ok {
		return t, false
	}
	o, _ := wire.ParseObject(t.v)
	t.readOnly, t.writeOnly = string(o.Get("readOnly")) == "true", string(o.Get("writeOnly")) == "true"
	f.mu.Lock()
	if len(f.refs) >= maxRefs {
		clear(f.refs)
	}
	f.refs[frag] = t
	f.mu.Unlock()
	return t, true
}

// open reads another document that f refers to.
func (d *Doc) open(f *file, ref string) (*file, error) {
	place, err := join(f.place, ref)
	if err != nil {
		return nil, fmt.Errorf("$ref %q: %w", clip(ref, 200), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if g := d.files[place]; g != nil {
		if g.raw == nil {
			return nil, fmt.Errorf("$ref %q cannot be read", clip(ref, 200))
		}
		return g, nil
	}
	if d.opt.Read == nil {
		return nil, fmt.Errorf("$ref %q leads out of the document, which is not allowed here", clip(ref, 200))
	}
	if len(d.files) >= maxFiles {
		return nil, fmt.Errorf("the document refers to more than %d files", maxFiles)
	}
	b, err := d.opt.Read(place)
	if err == nil {
		var g *file
		if g, err = newFile(place, b); err == nil {
			d.files[place] = g
			return g, nil
		}
	}
	d.files[place] = &file{place: place} // it is not tried again for every operation
	return nil, fmt.Errorf("$ref %q: %w", clip(ref, 200), err)
}

// join resolves ref against the place of the document it stands in (RFC 3986 section 5 for URLs).
func join(base, ref string) (string, error) {
	r, err := url.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("is no reference")
	}
	if r.Scheme != "" {
		return r.String(), nil
	}
	if b, err := url.Parse(base); err == nil && (b.Scheme == "http" || b.Scheme == "https") {
		return b.ResolveReference(r).String(), nil
	}
	p, err := url.PathUnescape(ref)
	if err != nil {
		p = ref
	}
	if path.IsAbs(p) {
		return path.Clean(p), nil
	}
	return path.Join(path.Dir(strings.ReplaceAll(base, `\`, "/")), p), nil
}

// cacheFrom is the size from which the members of an object are kept, so that a reference into it costs no scan.
const cacheFrom = 16 << 10

// find resolves a fragment: a JSON pointer (RFC 6901), percent-encoded or not, or an anchor. ptr is its one spelling.
func (f *file) find(frag string) (v []byte, ptr string, ok bool) {
	if frag == "" || frag == "/" {
		return f.raw, "", true
	}
	if frag[0] != '/' {
		return nil, "", false
	}
	v = f.raw
	for _, part := range strings.Split(frag[1:], "/") {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		w, ok := f.step(ptr, v, part)
		if !ok {
			if p, err := url.PathUnescape(part); err == nil && p != part {
				part = strings.ReplaceAll(strings.ReplaceAll(p, "~1", "/"), "~0", "~")
				w, ok = f.step(ptr, v, part)
			}
			if !ok {
				return nil, "", false
			}
		}
		v = w
		ptr += "/" + strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1")
	}
	return v, ptr, true
}

// step goes from the value v at ptr to its member or element.
func (f *file) step(ptr string, v []byte, part string) ([]byte, bool) {
	if el, ok := wire.Elements(v); ok {
		i, err := strconv.Atoi(part)
		if err != nil || i < 0 || i >= len(el) {
			return nil, false
		}
		return el[i], true
	}
	if len(v) < cacheFrom {
		o, _ := wire.ParseObject(v)
		w := o.Get(part)
		return w, w != nil
	}
	f.mu.RLock()
	m := f.large[ptr]
	f.mu.RUnlock()
	if m == nil {
		o, ok := wire.ParseObject(v)
		if !ok {
			return nil, false
		}
		m = make(map[string][]byte, len(o))
		for _, x := range o {
			m[x.Name] = x.Value
		}
		f.mu.Lock()
		if len(f.large) > 1000 {
			clear(f.large)
		}
		f.large[ptr] = m
		f.mu.Unlock()
	}
	w := m[part]
	return w, w != nil
}

// clip shortens s to at most n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
