package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"gatehouse"
	"gatehouse/wire"
)

// runUpstream serves an MCP server of both eras that does as little as it can: it echoes.
func runUpstream(args []string) error {
	f := flag.NewFlagSet("upstream", flag.ContinueOnError)
	listen := f.String("listen", "", "address")
	n := f.Int("tools", tools, "tools in the list")
	if err := f.Parse(args); err != nil {
		return err
	}
	u := &upstream{list: []byte(`{"tools":[`)}
	for i := range *n {
		if i > 0 {
			u.list = append(u.list, ',')
		}
		name := "echo"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		u.list = fmt.Appendf(u.list, `{"name":%q,"description":"Returns the message it is given, as it is.","inputSchema":{"type":"object","properties":{"message":{"type":"string","description":"what to say"}},"required":["message"]}}`, name)
	}
	u.list = append(u.list, `],"resultType":"complete","ttlMs":60000,"cacheScope":"public"}`...)
	srv := &http.Server{Addr: *listen, Handler: u, ReadHeaderTimeout: 5 * time.Second}
	return srv.ListenAndServe()
}

// restDocument describes the same echo as a REST API, with checked arguments and a described answer.
const restDocument = `openapi: 3.0.3
info: {title: echo, version: "1"}
paths:
  /echo:
    get:
      operationId: echo
      parameters: [{name: message, in: query, required: true, schema: {type: string, maxLength: 100}}]
      responses:
        '200': {description: ok, content: {application/json: {schema: {type: object, properties: {message: {type: string}, length: {type: integer}}}}}}
`

type upstream struct{ list []byte }

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet:
		if message := r.URL.Query().Get("message"); message != "" { // the REST API, see restDocument
			answer(w, http.StatusOK, fmt.Appendf(nil, `{"message":%q,"length":%d}`, message, len(message)))
			return
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if r.ContentLength < 0 || r.ContentLength > 1<<20 {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	b := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, b); err != nil {
		return
	}
	m, err := wire.Parse(b, wire.RequestLimits)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if m.Kind != wire.Request {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	hd := w.Header()
	var result []byte
	switch m.Method {
	case "initialize":
		hd.Set("Mcp-Session-Id", "one")
		result = []byte(`{"protocolVersion":"` + gatehouse.Revision20251125 + `","capabilities":{"tools":{}},"serverInfo":{"name":"trivial","version":"1"}}`)
	case "server/discover":
		result = []byte(`{"resultType":"complete","supportedVersions":["` + gatehouse.Revision20260728 + `","` + gatehouse.Revision20251125 + `"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"trivial","version":"1"}}}`)
	case "tools/list":
		result = u.list
	case "tools/call":
		var pb, ab [8]wire.Member
		params, _ := wire.AppendMembers(pb[:0], m.Params)
		arguments, _ := wire.AppendMembers(ab[:0], params.Get("arguments"))
		result = make([]byte, 0, 256)
		result = append(result, `{"content":[{"type":"text","text":`...)
		result = append(result, arguments.Get("message")...)
		result = append(result, `}],"resultType":"complete"}`...)
	default:
		b := wire.AppendError(nil, m.ID, wire.RPC{Code: gatehouse.CodeMethodNotFound, Message: "Method not found"})
		answer(w, http.StatusNotFound, b)
		return
	}
	answer(w, http.StatusOK, wire.AppendResult(make([]byte, 0, len(result)+64), m.ID, result))
}

var jsonType = []string{"application/json"}

func answer(w http.ResponseWriter, status int, b []byte) {
	w.Header()["Content-Type"] = jsonType
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client checks what it got
}

// runProxy serves the standard library's reverse proxy, with a pool that is large enough.
func runProxy(args []string) error {
	f := flag.NewFlagSet("proxy", flag.ContinueOnError)
	listen := f.String("listen", "", "address")
	to := f.String("to", "", "URL of the upstream")
	if err := f.Parse(args); err != nil {
		return err
	}
	target, err := url.Parse(*to)
	if err != nil {
		return err
	}
	p := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512, IdleConnTimeout: time.Minute, DisableCompression: true},
	}
	srv := &http.Server{Addr: *listen, Handler: p, ReadHeaderTimeout: 5 * time.Second}
	return srv.ListenAndServe()
}
