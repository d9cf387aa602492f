package rest

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gatehouse"
	"gatehouse/wire"
)

// Bounds of results that are kept.
const (
	heldLife  = 15 * time.Minute
	heldOne   = 16 << 20 // bytes of one principal
	heldAll   = 64 << 20
	heldCount = 1000
)

// held keeps results that were too large to show, for the principal they belong to. What is oldest goes first.
type held struct {
	now    func() time.Time
	scheme string // of the URIs, with the source's label

	mu    sync.Mutex // guards what follows
	m     map[string]*kept
	order []*kept // by age
	bytes int
	per   map[string]int // bytes by principal
}

// kept is one result.
type kept struct {
	id, principal, mime string
	text                bool
	body                []byte
	at                  time.Time
}

// template is how the URIs of results look, so that a server with several sources finds the way here.
func (h *held) template(label string) gatehouse.Tool {
	if label == "" {
		label = "1"
	}
	h.mu.Lock()
	h.scheme = "result://" + label + "/"
	uri := h.scheme + "{id}{?offset}"
	h.mu.Unlock()
	return gatehouse.Tool{Name: uri, Def: wire.Object{
		{Name: "uriTemplate", Value: wire.String(uri)},
		{Name: "name", Value: []byte(`"result"`)},
		{Name: "description", Value: wire.String("What a result of a tool did not show, for " + heldLife.String() + ". The result names the resource.")},
	}.Bytes()}
}

// put keeps a result and returns its URI, "" when it is too large.
func (h *held) put(principal string, k kept) string {
	n := len(k.body)
	if n > heldOne {
		return ""
	}
	k.id, k.principal, k.at = rand.Text(), principal, h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m == nil {
		h.m, h.per = map[string]*kept{}, map[string]int{}
	}
	for i := 0; i < len(h.order) && h.per[principal]+n > heldOne; {
		if h.order[i].principal == principal {
			h.drop(i)
		} else {
			i++
		}
	}
	for len(h.order) > 0 && (h.bytes+n > heldAll || len(h.order) >= heldCount) {
		h.drop(0)
	}
	h.m[k.id] = &k
	h.order = append(h.order, &k)
	h.bytes += n
	h.per[principal] += n
	return h.scheme + k.id
}

// drop lets go of the i-th oldest; h.mu is held.
func (h *held) drop(i int) {
	k := h.order[i]
	h.order = append(h.order[:i], h.order[i+1:]...)
	delete(h.m, k.id)
	h.bytes -= len(k.body)
	if h.per[k.principal] -= len(k.body); h.per[k.principal] <= 0 {
		delete(h.per, k.principal)
	}
}

// expire lets go of what is too old.
func (h *held) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.order) > 0 && h.now().Sub(h.order[0].at) > heldLife {
		h.drop(0)
	}
}

// find returns a result of the principal by its URI, as this source or a published prefix writes it; nil when there is none.
func (h *held) find(principal, uri string) *kept {
	uri, _, _ = strings.Cut(uri, "?")
	h.mu.Lock()
	defer h.mu.Unlock()
	i := strings.Index(uri, h.scheme)
	if h.scheme == "" || i < 0 {
		return nil
	}
	k := h.m[uri[i+len(h.scheme):]]
	if k == nil || k.principal != principal {
		return nil
	}
	return k
}

// read answers resources/read: at most show bytes from the offset on, and how to go on.
func (h *held) read(principal, uri string, show int) (*gatehouse.Result, error) {
	k := h.find(principal, uri)
	from := 0
	ok := k != nil
	if _, query, has := strings.Cut(uri, "?"); has && ok {
		text, isOffset := strings.CutPrefix(query, "offset=")
		n, err := strconv.Atoi(text)
		from, ok = n, isOffset && err == nil && n >= 0 && n <= len(k.body)
	}
	if !ok {
		return nil, &gatehouse.RPCError{
			Code: gatehouse.CodeInvalidParams, Message: "Resource not found: " + uri + " (results are kept for " + heldLife.String() + ")",
			Data: wire.Object{{Name: "uri", Value: wire.String(uri)}}.Bytes(),
		}
	}
	part := k.body[from:]
	if len(part) > show {
		end := show
		for k.text && end > 0 && !utf8.RuneStart(part[end]) {
			end--
		}
		part = part[:end]
	}
	o := wire.Object{{Name: "uri", Value: wire.String(uri)}, {Name: "mimeType", Value: wire.String(k.mime)}}
	if k.text {
		o = append(o, wire.Member{Name: "text", Value: wire.String(strings.ToValidUTF8(strings.ReplaceAll(string(part), "\x00", "\uFFFD"), "\uFFFD"))})
	} else {
		o = append(o, wire.Member{Name: "blob", Value: wire.String(base64.StdEncoding.EncodeToString(part))})
	}
	out := append([]byte(`{"contents":[`), o.Bytes()...)
	if left := len(k.body) - from - len(part); left > 0 {
		next := fmt.Sprintf("%s%s?offset=%d", h.scheme, k.id, from+len(part))
		o := wire.Object{
			{Name: "uri", Value: wire.String(next)},
			{Name: "mimeType", Value: []byte(`"text/plain"`)},
			{Name: "text", Value: wire.String(fmt.Sprintf("[%d more bytes: read this resource]", left))},
		}
		out = append(append(out, ','), o.Bytes()...)
	}
	return &gatehouse.Result{Raw: append(out, `]}`...)}, nil
}
