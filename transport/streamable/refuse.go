package streamable

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse"
	"gatehouse/transport"
	"gatehouse/wire"
)

// fault is a refusal before there is a JSON-RPC message to answer. Codes are stable (docs/reference/errors.md).
type fault struct {
	status    int
	code      string
	msg, hint string
}

func itoa(n int) string { return strconv.Itoa(n) }

// fail is the one writer of plain HTTP faults.
func (h *Handler) fail(w http.ResponseWriter, f *fault) {
	if h.c.Refused != nil {
		h.c.Refused(f.code)
	}
	o := wire.Object{{Name: "code", Value: wire.String(f.code)}, {Name: "message", Value: wire.String(f.msg)}}
	if f.hint != "" {
		o = append(o, wire.Member{Name: "hint", Value: wire.String(f.hint)})
	}
	body := wire.Object{{Name: "error", Value: o.Bytes()}}.Bytes()
	hd := w.Header()
	hd["Content-Type"], hd["Cache-Control"], hd["X-Content-Type-Options"] = jsonType, noStore, noSniff
	if f.status == http.StatusRequestEntityTooLarge { // nobody reads the rest
		hd["Connection"] = connClose
	}
	hd.Set("Content-Length", itoa(len(body)))
	send(w, f.status, body)
}

// unauthorized answers a failed sign-in.
func (h *Handler) unauthorized(w http.ResponseWriter, err error) {
	var ge *gatehouse.Error
	if !errors.As(err, &ge) {
		ge = &gatehouse.Error{Code: "auth.unavailable", Msg: "the credential could not be checked"}
	}
	_, status := transport.RPC(ge, "", gatehouse.Legacy)
	if status == http.StatusUnauthorized {
		challenge := `Bearer realm="gatehouse"`
		if ge.Code != "auth.required" {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	h.fail(w, &fault{status, ge.Code, ge.Msg, ge.Hint})
}

func (a *reach) refuseHost(r *http.Request) *fault {
	host := strings.ToLower(r.Host)
	if a.hosts[host] {
		return nil
	}
	if !a.loopback { // rebinding needs a name: an address with our port is what a person typed
		if ap, err := netip.ParseAddrPort(host); err == nil && strings.HasSuffix(host, ":"+a.port) && ap.Addr().Zone() == "" {
			return nil
		}
	}
	return &fault{http.StatusForbidden, "origin.host", "the Host header names another server", "use the URL printed at start, or set publicURL to the one clients use"}
}

func (a *reach) refuseOrigin(r *http.Request) *fault {
	o := r.Header["Origin"]
	switch len(o) {
	case 0:
		if s := r.Header.Get("Sec-Fetch-Site"); s != "cross-site" && s != "same-site" {
			return nil
		}
	case 1:
		if n := normalOrigin(o[0]); n != "" && a.origins[n] {
			return nil
		}
	}
	return &fault{http.StatusForbidden, "origin.refused", "pages of this origin may not call here", "add it to origins: in the configuration if it is trusted"}
}

// cors lets pages of listed origins read answers; the origin has passed refuseOrigin.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) {
	o := r.Header.Get("Origin")
	if o == "" {
		return
	}
	hd := w.Header()
	hd.Set("Access-Control-Allow-Origin", o)
	hd.Add("Vary", "Origin")
	hd.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate")
	if r.Method == http.MethodOptions {
		hd.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		hd.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		hd.Set("Access-Control-Max-Age", "600")
	}
}

func modernHeader(r *http.Request) bool {
	return r.Header.Get("Mcp-Protocol-Version") >= gatehouse.Revision20260728
}

func refuseMethod(w http.ResponseWriter, r *http.Request, e endpoint) *fault {
	allow := "GET, POST, DELETE, OPTIONS"
	ok := false
	switch r.Method {
	case http.MethodPost:
		ok = e != sseStream
	case http.MethodGet:
		ok = e == sseStream || e == mcp
	case http.MethodDelete:
		ok = e == mcp
	case http.MethodOptions:
		ok = r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
	}
	switch {
	case e == mcp && modernHeader(r):
		allow = "POST"
		ok = ok && (r.Method == http.MethodPost || r.Method == http.MethodOptions)
	case e == sseStream:
		allow = "GET"
	case e == sseMessages:
		allow = "POST"
	}
	if ok {
		return nil
	}
	w.Header().Set("Allow", allow)
	return &fault{http.StatusMethodNotAllowed, "http.method", "method " + wireSafe(r.Method) + " is not served here", "use " + allow}
}

func wireSafe(s string) string {
	if len(s) > 16 {
		s = s[:16]
	}
	return s
}

// maxHeaders bounds the fields of a request; their bytes are bounded by the server.
const maxHeaders = 100

// single are the headers that must not be sent twice, besides all of Mcp-*: two readers could pick different ones.
var single = []string{
	"Authorization", "X-Functions-Key", "Api-Key", "Ocp-Apim-Subscription-Key", "Last-Event-Id", "Content-Type", "Content-Encoding",
}

func refuseHeaders(r *http.Request) *fault {
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
	}
	if fields > maxHeaders {
		return &fault{http.StatusRequestHeaderFieldsTooLarge, "http.headers", "more than 100 header fields", ""}
	}
	for name, values := range r.Header {
		mcp := strings.HasPrefix(name, "Mcp-")
		if len(values) > 1 && (mcp || slices.Contains(single, name)) {
			return &fault{http.StatusBadRequest, "http.header_twice", "header " + name + " is sent twice", "send it once"}
		}
		if !mcp {
			continue
		}
		for _, v := range values {
			for i := 0; i < len(v); i++ {
				if v[i] < 0x20 && v[i] != '\t' || v[i] >= 0x7f {
					return &fault{http.StatusBadRequest, "http.header_value", "header " + name + " holds characters that are not visible ASCII", "send it as =?base64?…?="}
				}
			}
		}
	}
	if r.ProtoMajor == 2 {
		if te := r.Header.Get("Te"); te != "" && te != "trailers" {
			return &fault{http.StatusBadRequest, "http.te", "TE may only say trailers", ""}
		}
	}
	if r.Method != http.MethodPost && r.ContentLength != 0 {
		return &fault{http.StatusBadRequest, "http.body", "a body has no meaning with " + wireSafe(r.Method), "send none"}
	}
	accept := r.Header["Accept"]
	switch r.Method {
	case http.MethodPost:
		if f := refuseContent(r); f != nil {
			return f
		}
		if len(accept) > 0 && !accepts(accept, "application/json") && !accepts(accept, "text/event-stream") {
			return &fault{http.StatusNotAcceptable, "http.accept", "Accept excludes application/json and text/event-stream", "send Accept: application/json, text/event-stream"}
		}
	case http.MethodGet:
		if !accepts(accept, "text/event-stream") {
			return &fault{http.StatusNotAcceptable, "http.accept", "a GET opens a stream of events", "send Accept: text/event-stream"}
		}
	}
	return nil
}

func refuseContent(r *http.Request) *fault {
	if r.Header.Get("Content-Encoding") != "" {
		return &fault{http.StatusUnsupportedMediaType, "http.content_encoding", "compressed requests are not accepted", "send the body as it is"}
	}
	ct := strings.ToLower(r.Header.Get("Content-Type"))
	if ct == "application/json" {
		return nil
	}
	kind, param, _ := strings.Cut(ct, ";")
	if strings.TrimSpace(kind) == "application/json" {
		switch strings.ReplaceAll(strings.TrimSpace(param), `"`, "") {
		case "", "charset=utf-8":
			return nil
		}
	}
	return &fault{http.StatusUnsupportedMediaType, "http.content_type", "the body must be application/json", "send Content-Type: application/json"}
}

// accepts reports whether the Accept lines take the media type; no line takes all but event streams on GET.
func accepts(accept []string, want string) bool {
	major, _, _ := strings.Cut(want, "/")
	for _, line := range accept {
		for part := range strings.SplitSeq(line, ",") {
			kind, params, _ := strings.Cut(part, ";")
			switch kind = strings.ToLower(strings.TrimSpace(kind)); {
			case kind == want, kind == "*/*", kind == major+"/*":
				if q := strings.ReplaceAll(params, " ", ""); q != "q=0" && q != "q=0.0" {
					return true
				}
			}
		}
	}
	return false
}
