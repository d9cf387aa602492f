package evil

import "strings"

// messages are JSON that is none or has two readings, and JSON-RPC that does not fit.
func messages() []Behaviour {
	body := func(name, b string) Behaviour {
		return onCall(name, func(r *Request) { r.JSON(strings.ReplaceAll(b, "ID", r.ID)) })
	}
	result := func(name, res string) Behaviour {
		return onCall(name, func(r *Request) { r.Result(res) })
	}
	const head = `{"jsonrpc":"2.0","id":ID,`
	return []Behaviour{
		body("id of another call", `{"jsonrpc":"2.0","id":999999,"result":{}}`),
		body("id as text", `{"jsonrpc":"2.0","id":"ID","result":{}}`),
		body("id null", `{"jsonrpc":"2.0","id":null,"result":{}}`),
		body("id with a fraction", `{"jsonrpc":"2.0","id":ID.0,"result":{}}`),
		body("no id", `{"jsonrpc":"2.0","result":{}}`),
		body("error without an id", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}`),
		body("a request for an answer", head+`"method":"roots/list"}`),
		body("a notification for an answer", `{"jsonrpc":"2.0","method":"notifications/message","params":{}}`),
		body("a batch", `[{"jsonrpc":"2.0","id":ID,"result":{}}]`),
		body("member twice in the envelope", head+`"result":{},"result":{"content":[]}}`),
		body("member twice by escape", head+`"result":{"isError":true,"is\u0045rror":false}}`),
		body("member twice but for case", head+`"result":{},"Result":{"content":[]}}`),
		body("result and error", head+`"result":{},"error":{"code":1,"message":"x"}}`),
		body("neither result nor error", `{"jsonrpc":"2.0","id":ID}`),
		body("error without a code", head+`"error":{"message":"x"}}`),
		body("error with a code of 1e99", head+`"error":{"code":1e99,"message":"x"}}`),
		body("another JSON-RPC", `{"jsonrpc":"1.0","id":ID,"result":{}}`),
		body("bad UTF-8", head+"\"result\":{\"a\":\"\xff\xfe\"}}"),
		body("lone surrogate", head+`"result":{"a":"\ud800"}}`),
		body("NUL", head+`"result":{"a":"\u0000"}}`),
		body("raw NUL", head+"\"result\":{\"a\":\"\x00\"}}"),
		body("byte order mark", "\ufeff"+head+`"result":{}}`),
		body("something behind it", head+`"result":{}}{"jsonrpc":"2.0"}`),
		body("half of it", head+`"result":{"content":[`),
		body("nothing", ""),
		body("depth of 70", head+`"result":{"a":`+repeat("[", 68)+repeat("]", 68)+`}}`),
		body("depth of 100,000", head+`"result":{"a":`+repeat("[", 100_000)+repeat("]", 100_000)+`}}`),
		body("a million elements", head+`"result":{"a":[`+repeat("1,", 1_000_001)+`1]}}`),
		body("a number of 1,000 digits", head+`"result":{"a":1`+repeat("0", 1000)+`}}`),
		body("comment", head+`/* x */"result":{}}`),
		body("NaN", head+`"result":{"a":NaN}}`),
		result("an array for a result", `[]`),
		result("null for a result", `null`),
		result("a kind of result nobody knows", `{"resultType":"eval","script":"x"}`),
		result("a task nobody asked for", `{"resultType":"task","taskId":"1"}`),
		result("a kind of result that is a number", `{"resultType":1}`),
		body("error that the protocol reserves", head+`"error":{"code":-32042,"message":"open this","data":{"elicitations":"none"}}}`),
		body("error of its own", head+`"error":{"code":-31999,"message":"no \u003cscript\u003e","data":{"n":12345678901234567890}}}`),
	}
}
