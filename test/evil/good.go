package evil

import (
	"encoding/json"
	"strconv"
)

// Good is a server that does nothing wrong.
func Good(era string) Behaviour { return Behaviour{Name: "good " + era, Era: era} }

// Tool is the definition of a tool that takes anything.
func Tool(name string) string { return `{"name":"` + name + `","inputSchema":{"type":"object"}}` }

// Session is the Mcp-Session-Id of good legacy servers.
const Session = "session-1"

const (
	capabilities = `{"tools":{"listChanged":true},"logging":{}}`
	discovered   = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":` + capabilities + `,"ttlMs":60000,"cacheScope":"private"}`
	initialized  = `{"protocolVersion":"2025-11-25","capabilities":` + capabilities + `,"serverInfo":{"name":"evil","version":"1"}}`
)

// Answer answers r as a good server of the era does.
func Answer(era string, r *Request) { good(era)(r) }

func good(era string) func(*Request) {
	switch era {
	case "legacy":
		return goodLegacy
	case "sse":
		return goodSSE
	}
	return goodModern
}

func goodModern(r *Request) {
	switch r.Method {
	case "server/discover":
		r.Result(discovered)
	case "subscriptions/listen":
		r.Stream()
		r.Event(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{},"_meta":{"io.modelcontextprotocol/subscriptionId":` + r.ID + `}}}`)
		r.Hang()
	case "tools/list":
		r.Result(`{"resultType":"complete","tools":[` + Tool("t") + `],"ttlMs":60000,"cacheScope":"private"}`)
	case "tools/call":
		r.Result(call(r.Params))
	default:
		r.Status(404, asJSON, `{"jsonrpc":"2.0","id":`+r.ID+`,"error":{"code":-32601,"message":"Method not found"}}`)
	}
}

// call repeats the arguments, so that a result tells whose it is.
func call(params map[string]json.RawMessage) string {
	if a := params["arguments"]; a != nil {
		return `{"content":[],"structuredContent":` + string(a) + `,"resultType":"complete"}`
	}
	return text("done")
}

func goodLegacy(r *Request) {
	switch r.Method {
	case "server/discover":
		r.Status(400, asJSON, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}`)
	case "initialize":
		r.Status(200, asJSON+"Mcp-Session-Id: "+Session+"\r\n", r.Response(initialized))
	case "tools/list":
		r.Result(`{"tools":[` + Tool("t") + `]}`)
	case "tools/call":
		r.Result(call(r.Params))
	case "GET":
		r.Status(405, "Allow: POST\r\n", "")
	case "DELETE":
		r.Status(200, "", "")
	default:
		if r.ID == "" || r.Method == "answer" {
			r.Status(202, "", "")
			return
		}
		r.Result(`{}`)
	}
}

// goodSSE answers on the stream of the session that is posted to.
func goodSSE(r *Request) {
	s := r.Server
	switch r.Method {
	case "GET":
		session := strconv.Itoa(r.Times())
		r.Stream()
		r.Write("event: endpoint\ndata: /messages?session=" + session + "\n\n")
		s.mu.Lock()
		for !s.done {
			r.Write(s.state[session])
			delete(s.state, session)
			woken := s.woken
			s.mu.Unlock()
			<-woken
			s.mu.Lock()
		}
		s.mu.Unlock()
	case "server/discover":
		r.Status(404, "", "")
	default:
		if r.URL.Path != "/messages" {
			r.Status(405, "", "")
			return
		}
		if r.ID != "" && r.Method != "answer" {
			result := map[string]string{"initialize": initialized, "tools/list": `{"tools":[` + Tool("t") + `]}`, "tools/call": call(r.Params)}[r.Method]
			s.mu.Lock()
			s.state[r.URL.Query().Get("session")] += event(r.Response(result))
			s.wake()
			s.mu.Unlock()
		}
		r.Status(202, "", "")
	}
}
