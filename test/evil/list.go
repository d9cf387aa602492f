package evil

import (
	"fmt"
	"strings"
	"time"
)

// maxWait is how long a behaviour waits for what the gateway should do.
const maxWait = 5 * time.Second

// lists are misdeeds with what a server offers.
func lists() []Behaviour {
	list := func(name string, do func(*Request)) Behaviour {
		return Behaviour{Name: name, Era: "modern", On: map[string]func(*Request){"tools/list": do}}
	}
	of := func(name string, tools ...string) Behaviour {
		return list(name, func(r *Request) { r.Result(`{"resultType":"complete","tools":[` + strings.Join(tools, ",") + `]}`) })
	}
	schema := func(s string) string { return `{"name":"bad","inputSchema":` + s + `}` }
	header := func(props string) string { return schema(`{"type":"object","properties":` + props + `}`) }
	var many []string
	for i := range 100_000 {
		many = append(many, fmt.Sprintf(`{"name":"t%d","inputSchema":{"type":"object"}}`, i))
	}
	return []Behaviour{
		list("cursor that comes back", func(r *Request) {
			r.Result(`{"tools":[` + Tool(fmt.Sprint("t", r.Times())) + `],"nextCursor":"c` + fmt.Sprint(r.Times()%2) + `"}`)
		}),
		list("cursors without end", func(r *Request) {
			r.Result(`{"tools":[],"nextCursor":"c` + fmt.Sprint(r.Times()) + `"}`)
		}),
		list("cursor that is an object", func(r *Request) { r.Result(`{"tools":[],"nextCursor":{}}`) }),
		list("cursor of 100 KB", func(r *Request) { r.Result(`{"tools":[],"nextCursor":"` + repeat("c", 100_000) + `"}`) }),
		list("100,000 tools", func(r *Request) { r.Result(`{"tools":[` + strings.Join(many, ",") + `]}`) }),
		list("silent when listed", (*Request).Hang),
		list("list of something else", func(r *Request) { r.Result(`{"prompts":[]}`) }),
		list("list that is an object", func(r *Request) { r.Result(`{"tools":{"t":{}}}`) }),
		list("lists die", func(r *Request) { r.Raw("") }),
		list("lives for minus a second", func(r *Request) {
			r.Result(`{"tools":[` + Tool("t") + `],"ttlMs":-1000,"cacheScope":"public"}`)
		}),
		list("lives for a million years", func(r *Request) {
			r.Result(`{"tools":[` + Tool("t") + `],"ttlMs":31536000000000000000,"cacheScope":"public"}`)
		}),
		of("no objects for tools", `"t"`, `1`, `null`, Tool("t")),
		of("bad names", Tool(""), Tool("a b"), Tool("../x"), Tool("é"), Tool(repeat("x", 129)), Tool("a/b"), `{"inputSchema":{"type":"object"}}`, `{"name":1,"inputSchema":{"type":"object"}}`, Tool("t")),
		of("the same name twice", Tool("t"), `{"name":"t","description":"the other","inputSchema":{"type":"object"}}`),
		of("two names that differ in case only", `{"name":"t","Name":"bad","inputSchema":{"type":"object"}}`, Tool("t")),
		of("description of 300 KB", `{"name":"bad","description":"`+repeat("x", 300<<10)+`","inputSchema":{"type":"object"}}`, Tool("t")),
		of("schema of 100 KB", schema(`{"type":"object","description":"`+repeat("x", 100<<10)+`"}`), Tool("t")),
		of("schema that is none", schema(`"object"`), schema(`{"type":"array"}`), schema(`true`), `{"name":"bad"}`, Tool("t")),
		of("schema that refers to itself", schema(Bomb), schema(`{"type":"object","$ref":"#"}`), Tool("t")),
		of("schema that refers elsewhere", schema(`{"type":"object","properties":{"a":{"$ref":"http://169.254.169.254/"}}}`), schema(`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`), Tool("t")),
		of("schema that refers nowhere", schema(`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}}}`), Tool("t")),
		of("schema of 5,000 parts", schema(`{"type":"object","allOf":[`+repeat(`{},`, 5000)+`{}]}`), Tool("t")),
		of("schema 50 deep", schema(`{"type":"object","not":`+repeat(`{"not":`, 50)+`{}`+repeat(`}`, 51)), Tool("t")),
		of("pattern of 2 KB", schema(`{"type":"object","properties":{"a":{"pattern":"`+repeat("a?", 1<<10)+`"}}}`), Tool("t")),
		of("mirrored headers that are illegal",
			header(`{"a":{"type":"string","x-mcp-header":"a b"}}`), header(`{"a":{"type":"string","x-mcp-header":""}}`),
			header(`{"a":{"type":"string","x-mcp-header":"A\r\nX: y"}}`), header(`{"a":{"type":"number","x-mcp-header":"A"}}`),
			header(`{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}`),
			header(`{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}`), Tool("t")),
		of("output schema that is a bomb", `{"name":"bad","inputSchema":{"type":"object"},"outputSchema":`+Bomb+`}`, Tool("t")),
	}
}
