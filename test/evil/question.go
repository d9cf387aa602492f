package evil

import (
	"fmt"
	"strings"
)

// Bomb is a schema that doubles with every level.
const Bomb = `{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"}]}}}`

// questions are misdeeds with what a server may ask a caller.
func questions() []Behaviour {
	legacy := func(name string, do func(*Request)) Behaviour {
		b := onStream(name, do)
		b.Era = "legacy"
		return b
	}
	modern := func(name, result string) Behaviour {
		return onCall(name, func(r *Request) { r.Result(result) })
	}
	ask := func(id, method, params string) string {
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
	}
	const sampling = `{"messages":[{"role":"user","content":{"type":"text","text":"evil"}}],"maxTokens":1000000}`
	required := func(requests string) string {
		return `{"resultType":"input_required","inputRequests":` + requests + `}`
	}
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf(`"q%d":{"method":"elicitation/create","params":{"message":"x"}}`, i))
	}
	return []Behaviour{
		legacy("asks for what nobody declared", func(r *Request) {
			for i := range 3000 {
				r.Event(ask(fmt.Sprint(i), "sampling/createMessage", sampling))
			}
			r.Event(r.Response(text("done")))
		}),
		legacy("asks for a method of its own", func(r *Request) {
			r.Event(ask("1", "secrets/list", `{}`))
			r.Event(r.Response(text("done")))
		}),
		legacy("pings without end", func(r *Request) {
			for i := range 3000 {
				r.Event(ask(fmt.Sprint(i), "ping", `{}`))
			}
			r.Event(r.Response(text("done")))
		}),
		legacy("asks without end", func(r *Request) {
			for i := range 3000 {
				r.Event(ask(fmt.Sprint(i), "elicitation/create", fmt.Sprintf(`{"message":"%d","requestedSchema":{"type":"object","properties":{}}}`, i)))
			}
			r.Hang()
		}),
		legacy("asks with a bomb of a schema", func(r *Request) {
			r.Event(ask(`"bomb"`, "elicitation/create", `{"message":"x","requestedSchema":`+Bomb+`}`))
			got := r.Server.Await("answer", 1, maxWait)
			if len(got) == 1 && strings.Contains(got[0].Body, `"code":-32602`) {
				r.Event(r.Response(text("refused")))
			}
		}),
		modern("asks too much at once", required(`{`+strings.Join(many, ",")+`}`)),
		modern("asks for nothing", `{"resultType":"input_required"}`),
		modern("asks with a list", required(`[]`)),
		modern("asks with no method", required(`{"q":{"params":{}}}`)),
		modern("asks with params that are no object", required(`{"q":{"method":"elicitation/create","params":[1]}}`)),
		modern("asks for a method that does not exist", required(`{"q":{"method":"secrets/list"}}`)),
		modern("asks for what the caller did not declare", required(`{"q":{"method":"sampling/createMessage","params":`+sampling+`}}`)),
		modern("asks with a bomb", required(`{"q":{"method":"elicitation/create","params":{"message":"x","requestedSchema":`+Bomb+`}}}`)),
		modern("state of 1 MB", `{"resultType":"input_required","requestState":"`+repeat("x", 800<<10)+`"}`),
		modern("state that is an object", `{"resultType":"input_required","requestState":{}}`),
		modern("asks for ever", required(`{"q":{"method":"elicitation/create","params":{"message":"again"}}}`)),
	}
}
