package evil

import (
	"fmt"
	"time"
)

func onStream(name string, do func(*Request)) Behaviour {
	return onCall(name, func(r *Request) {
		r.Stream()
		do(r)
	})
}

const logMessage = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"emergency","data":"evil"}}`

// streams are server-sent events that do not end, are too large, or are not about the call.
func streams() []Behaviour {
	on := func(era, name string, do func(*Request)) Behaviour {
		b := onStream(name, do)
		b.Era = era
		return b
	}
	return []Behaviour{
		onStream("stream without an answer", func(*Request) {}),
		onStream("stream that stays silent", (*Request).Hang),
		onStream("flood of comments", func(r *Request) { r.Flood(func(int) string { return ":\n" }) }),
		onStream("endless line", func(r *Request) {
			r.Write("data: ")
			r.Flood(func(int) string { return repeat("x", 1024) })
		}),
		onStream("endless event", func(r *Request) { r.Flood(func(int) string { return "data: " + repeat("x", 1000) + "\n" }) }),
		onStream("endless field name", func(r *Request) { r.Flood(func(int) string { return repeat("x", 1024) }) }),
		onStream("flood of log messages", func(r *Request) { r.Flood(func(int) string { return event(logMessage) }) }),
		onStream("flood of empty lines", func(r *Request) { r.Flood(func(int) string { return "\n" }) }),
		onStream("flood of fields nobody knows", func(r *Request) { r.Flood(func(int) string { return "x: y\n" }) }),
		onStream("flood of empty events", func(r *Request) { r.Flood(func(int) string { return "data:\n\n" }) }),
		onStream("flood of lists that change", func(r *Request) {
			r.Flood(func(int) string { return event(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`) })
		}),
		onStream("flood of progress", func(r *Request) {
			r.Flood(func(i int) string {
				return event(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":%d}}`, r.Token(), i))
			})
		}),
		onStream("drips log messages", func(r *Request) {
			for r.Event(logMessage) && !r.gone(20*time.Millisecond) {
			}
		}),
		onStream("progress of somebody else", func(r *Request) {
			for _, token := range []string{"1", "2", "3", "4", "5", "6", "7", "8", `"b"`, `"a"`, "null", "{}", "1e0"} {
				if token != r.Token() {
					r.Event(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + token + `,"progress":1,"message":"evil"}}`)
				}
			}
			r.Event(r.Response(text("done")))
		}),
		onStream("progress that does not rise", func(r *Request) {
			for _, p := range []string{"1", "1", "0", "-5", `"7"`, "1e999", "2", "null", "1.5", "3"} {
				r.Event(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + r.Token() + `,"progress":` + p + `}}`)
			}
			r.Event(r.Response(text("done")))
		}),
		onStream("bad UTF-8 in an event", func(r *Request) { r.Event("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}") }),
		onStream("no JSON in an event", func(r *Request) { r.Event("[DONE]") }),
		onStream("answer to another call on the stream", func(r *Request) { r.Event(`{"jsonrpc":"2.0","id":999999,"result":{}}`) }),
		onStream("request on a modern stream", func(r *Request) {
			r.Event(`{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}`)
			r.Hang()
		}),
		onStream("answers twice on the stream", func(r *Request) {
			r.Event(r.Response(text("first")))
			r.Event(r.Response(text("second")))
		}),
		onStream("does not end the stream", func(r *Request) {
			r.Event(r.Response(text("done")))
			r.Hang()
		}),
		onStream("events of another name", func(r *Request) {
			r.Write("event: endpoint\ndata: /elsewhere\n\n")
			r.Write("id: a\x00b\nretry: 99999999999999999999\nevent: ping\ndata: {{{\n\n")
			r.Event(r.Response(text("done")))
		}),
		on("legacy", "stream that is taken up for ever", func(r *Request) {
			r.Write("id: 1\nretry: 0\n" + event(logMessage))
		}).with("GET", func(r *Request) {
			r.Stream()
			r.Write("id: 1\nretry: 0\n" + event(logMessage))
		}),
		on("legacy", "asks to wait for a year", func(r *Request) {
			r.Write("id: 1\nretry: 99999999\ndata:\n\n")
		}),
		on("legacy", "flood on the stream outside of calls", func(r *Request) { r.Event(r.Response(text("done"))) }).with("GET", func(r *Request) {
			r.Stream()
			r.Flood(func(int) string {
				return event(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}`) + event(logMessage) + event(`{"jsonrpc":"2.0","id":1,"result":{}}`)
			})
		}),
	}
}

// with adds what a behaviour does on another method.
func (b Behaviour) with(method string, do func(*Request)) Behaviour {
	on := map[string]func(*Request){method: do}
	for k, v := range b.On {
		on[k] = v
	}
	b.On = on
	return b
}
