package evil

// sessions are misdeeds before there is a session, and in its life.
func sessions() []Behaviour {
	discover := func(name string, do func(*Request)) Behaviour {
		return Behaviour{Name: name, Era: "legacy", On: map[string]func(*Request){"server/discover": do}}
	}
	initialize := func(name string, do func(*Request)) Behaviour {
		return Behaviour{Name: name, Era: "legacy", On: map[string]func(*Request){"initialize": do}}
	}
	id := func(header string) func(*Request) {
		return func(r *Request) { r.Status(200, asJSON+header, r.Response(initialized)) }
	}
	nothing := func(r *Request) { r.Status(404, "", "") }
	sse := func(name, first string) Behaviour {
		return Behaviour{Name: name, Era: "sse", On: map[string]func(*Request){"GET": func(r *Request) {
			r.Stream()
			r.Write(first)
			r.Hang()
		}}}
	}
	return []Behaviour{
		discover("silent when discovered", (*Request).Hang),
		discover("discovered as nonsense", func(r *Request) { r.Result(`{"supportedVersions":{"2026-07-28":true}}`) }),
		discover("discovered as HTML", func(r *Request) { r.Status(200, "Content-Type: text/html\r\n", "<p>") }),
		discover("discovered as another version", func(r *Request) { r.Result(`{"supportedVersions":["2099-01-01"],"capabilities":{}}`) }),
		discover("speaks only of the future", func(r *Request) {
			r.Status(400, asJSON, `{"jsonrpc":"2.0","id":`+r.ID+`,"error":{"code":-32022,"message":"x","data":{"supported":["2099-01-01"]}}}`)
		}),
		discover("broken when discovered", func(r *Request) { r.Status(500, "", "") }),
		initialize("silent when initialised", (*Request).Hang),
		initialize("refuses to be initialised", func(r *Request) {
			r.JSON(`{"jsonrpc":"2.0","id":` + r.ID + `,"error":{"code":-32602,"message":"` + repeat("no ", 1000) + `"}}`)
		}),
		initialize("chooses a version of its own", func(r *Request) {
			r.Result(`{"protocolVersion":"1999-01-01` + repeat("9", 1000) + `","capabilities":{},"serverInfo":{"name":"x","version":"1"}}`)
		}),
		initialize("initialised as nonsense", func(r *Request) { r.Result(`{}`) }),
		initialize("session id of 1 MB", id("Mcp-Session-Id: "+repeat("x", 1<<20)+"\r\n")),
		initialize("session id of 2 KB", id("Mcp-Session-Id: "+repeat("x", 2<<10)+"\r\n")),
		initialize("session id with CR", id("Mcp-Session-Id: a\rX-Injected: yes\r\n")),
		initialize("session id with LF", id("Mcp-Session-Id: a\nX-Injected: yes\r\n")),
		initialize("session id with spaces", id("Mcp-Session-Id: a b\tc\r\n")),
		initialize("session id that is not ASCII", id("Mcp-Session-Id: a\xffb\r\n")),
		{Name: "never takes notifications", Era: "legacy", On: map[string]func(*Request){"notifications/initialized": (*Request).Hang}},
		{Name: "forgets the session once", Era: "legacy", On: map[string]func(*Request){"tools/call": func(r *Request) {
			if r.Times() == 1 {
				r.Status(404, "", "")
				return
			}
			goodLegacy(r)
		}}},
		{Name: "forgets the session once, as a bad request", Era: "legacy", On: map[string]func(*Request){"tools/call": func(r *Request) {
			if r.Times() == 1 {
				r.Status(400, asJSON, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`)
				return
			}
			goodLegacy(r)
		}}},
		{Name: "calls a call a bad request", Era: "legacy", On: map[string]func(*Request){"tools/call": func(r *Request) {
			r.Status(400, asJSON, `{"jsonrpc":"2.0","id":`+r.ID+`,"error":{"code":-32602,"message":"no such session of yoga"}}`)
		}}},
		{Name: "forgets every session", Era: "legacy", On: map[string]func(*Request){"tools/call": nothing}},
		{Name: "speaks no protocol at all", Era: "legacy", On: map[string]func(*Request){"server/discover": nothing, "initialize": nothing, "GET": nothing}},
		sse("names an endpoint of another host", "event: endpoint\ndata: http://169.254.169.254/latest\n\n"),
		sse("names an endpoint with a password", "event: endpoint\ndata: //user:pw@127.0.0.1/x\n\n"),
		sse("names no endpoint", "data: {}\n\n"),
		sse("silent stream", ""),
		{Name: "accepts a stream and says nothing", Era: "sse", On: map[string]func(*Request){"GET": (*Request).Hang}},
	}
}
