// Command server is a small MCP server over standard input and output: notes in memory, with a resource each, a
// conversion of units, and tools that ask and that take their time. It speaks revision 2026-07-28. With an address as its
// argument it also serves the quickstart's REST API there, so that one command starts both.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/examples/orders"
	"gatehouse/wire"
)

func main() {
	if len(os.Args) > 1 {
		go func() {
			if err := orders.Serve(os.Args[1]); err != nil {
				fmt.Fprintln(os.Stderr, "orders:", err)
			}
		}()
	}
	s := &server{out: os.Stdout, running: map[string]context.CancelFunc{}, listening: map[string]bool{}}
	if err := s.serve(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

type server struct {
	write sync.Mutex
	out   io.Writer

	mu        sync.Mutex // guards what follows
	notes     []string
	running   map[string]context.CancelFunc // by id of the request
	listening map[string]bool               // ids of subscriptions/listen
}

// serve reads one message a line until the input ends.
func (s *server) serve(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		m, err := wire.Parse(slices.Clone(lines.Bytes()), wire.RequestLimits)
		if err != nil {
			s.send(wire.AppendError(nil, m.ID, wire.RPC{Code: -32700, Message: err.Error()}))
			continue
		}
		switch {
		case m.Kind == wire.Request:
			ctx, cancel := context.WithCancel(context.Background())
			s.mu.Lock()
			s.running[string(m.ID)] = cancel
			s.mu.Unlock()
			go s.handle(ctx, m) // beside the others: some take their time
		case m.Method == "notifications/cancelled":
			params, _ := wire.ParseObject(m.Params)
			s.end(string(params.Get("requestId")))
		}
	}
	return lines.Err()
}

func (s *server) send(b []byte) {
	s.write.Lock()
	defer s.write.Unlock()
	_, _ = s.out.Write(append(b, '\n'))
}

func (s *server) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.running[id]; cancel != nil {
		cancel()
	}
	delete(s.running, id)
	delete(s.listening, id)
}

// list and complete begin a result.
const (
	list     = `{"resultType":"complete","ttlMs":0,"cacheScope":"private",`
	complete = `{"resultType":"complete",`
)

func (s *server) handle(ctx context.Context, m wire.Message) {
	params, _ := wire.ParseObject(m.Params)
	text := func(name string) string { t, _ := wire.Text(params.Get(name)); return t }
	fail := func(code int64, msg string) { s.send(wire.AppendError(nil, m.ID, wire.RPC{Code: code, Message: msg})) }
	if m.Method != "subscriptions/listen" {
		defer s.end(string(m.ID))
	}
	var result string
	switch m.Method {
	case "server/discover":
		result = list + `"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{},"resources":{"listChanged":true}},` +
			`"instructions":"Keep notes with note_add, and find them with note_search.","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"notes","version":"1.0.0"}}}`
	case "subscriptions/listen":
		s.mu.Lock()
		s.listening[string(m.ID)] = true
		s.mu.Unlock()
		s.send(wire.AppendNotification(nil, "notifications/subscriptions/acknowledged", []byte(`{"notifications":{"resourcesListChanged":true},`+subscription(string(m.ID))+`}`)))
		return // answered by what happens
	case "tools/list":
		result = list + `"tools":[` + strings.Join(tools, ",") + `]}`
	case "tools/call":
		result = s.call(ctx, params)
	case "prompts/list":
		result = list + `"prompts":[{"name":"summarise","title":"Summarise the notes","description":"A prompt with all notes in it"}]}`
	case "prompts/get":
		result = complete + `"messages":[{"role":"user","content":` + content("Summarise these notes:\n"+strings.Join(s.all(), "\n")) + `}]}`
	case "resources/list":
		var all []string
		for i, n := range s.all() {
			all = append(all, fmt.Sprintf(`{"uri":"note:///%d","name":"note %d","description":%s,"mimeType":"text/plain"}`, i+1, i+1, wire.String(n)))
		}
		result = list + `"resources":[` + strings.Join(all, ",") + `]}`
	case "resources/templates/list":
		result = list + `"resourceTemplates":[{"uriTemplate":"note:///{number}","name":"note","description":"One note by its number"}]}`
	case "resources/read":
		n, err := strconv.Atoi(strings.TrimPrefix(text("uri"), "note:///"))
		notes := s.all()
		if err != nil || n < 1 || n > len(notes) {
			fail(-32602, "no note at "+text("uri"))
			return
		}
		result = list + `"contents":[{"uri":` + string(wire.String(text("uri"))) + `,"mimeType":"text/plain","text":` + string(wire.String(notes[n-1])) + `}]}`
	default:
		fail(-32601, "Method not found: "+m.Method)
		return
	}
	if ctx.Err() == nil {
		s.send(wire.AppendResult(nil, m.ID, []byte(result)))
	}
}

func subscription(id string) string {
	return `"_meta":{"io.modelcontextprotocol/subscriptionId":` + id + `}`
}

// changed tells all who listen that there are other notes now.
func (s *server) changed() {
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.listening))
	s.mu.Unlock()
	for _, id := range ids {
		s.send(wire.AppendNotification(nil, "notifications/resources/list_changed", []byte(`{`+subscription(id)+`}`)))
	}
}

var tools = []string{
	`{"name":"note_add","title":"Add a note","description":"Keeps a note","inputSchema":{"type":"object","properties":{"text":{"type":"string","description":"the note"}},"required":["text"]}}`,
	`{"name":"note_search","title":"Search the notes","description":"Lists the notes that hold a word; all without one","inputSchema":{"type":"object","properties":{"word":{"type":"string","description":"what to look for"}}},"annotations":{"readOnlyHint":true}}`,
	`{"name":"note_clear","title":"Remove all notes","description":"Removes all notes, after asking","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}}`,
	`{"name":"convert_units","title":"Convert units","description":"Converts a length or a temperature","inputSchema":{"type":"object","properties":{"value":{"type":"number"},"from":{"enum":["km","mi","C","F"]},"to":{"enum":["km","mi","C","F"]}},"required":["value","from","to"]},"outputSchema":{"type":"object","properties":{"value":{"type":"number"}},"required":["value"]}}`,
	`{"name":"count_slowly","title":"Count slowly","description":"Counts to a number, a step every 200 ms, and reports progress","inputSchema":{"type":"object","properties":{"to":{"type":"integer","minimum":1,"maximum":50}},"required":["to"]}}`,
}

func content(s string) string {
	return string(wire.Object{{Name: "type", Value: []byte(`"text"`)}, {Name: "text", Value: wire.String(s)}}.Bytes())
}

func say(s string) string    { return complete + `"content":[` + content(s) + `]}` }
func refuse(s string) string { return complete + `"content":[` + content(s) + `],"isError":true}` }

func (s *server) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

func (s *server) call(ctx context.Context, params wire.Object) string {
	name, _ := wire.Text(params.Get("name"))
	args, _ := wire.ParseObject(params.Get("arguments"))
	meta, _ := wire.ParseObject(params.Get("_meta"))
	text := func(name string) string { t, _ := wire.Text(args.Get(name)); return t }
	switch name {
	case "note_add":
		if text("text") == "" {
			return refuse(`argument "text" is missing: the note to keep`)
		}
		s.mu.Lock()
		s.notes = append(s.notes, text("text"))
		n := len(s.notes)
		s.mu.Unlock()
		s.changed()
		return say(fmt.Sprintf("kept as note %d", n))
	case "note_search":
		var found []string
		for i, n := range s.all() {
			if strings.Contains(strings.ToLower(n), strings.ToLower(text("word"))) {
				found = append(found, fmt.Sprintf("%d. %s", i+1, n))
			}
		}
		if found == nil {
			return say("no notes")
		}
		return say(strings.Join(found, "\n"))
	case "note_clear":
		caps, _ := wire.ParseObject(meta.Get("io.modelcontextprotocol/clientCapabilities"))
		answers, _ := wire.ParseObject(params.Get("inputResponses"))
		return s.clear(caps.Has("elicitation"), answers.Get("sure"))
	case "convert_units":
		v, err := strconv.ParseFloat(string(args.Get("value")), 64)
		f := map[string]func(float64) float64{
			"km mi": func(x float64) float64 { return x / 1.609344 }, "mi km": func(x float64) float64 { return x * 1.609344 },
			"C F": func(x float64) float64 { return x*9/5 + 32 }, "F C": func(x float64) float64 { return (x - 32) * 5 / 9 },
		}[text("from")+" "+text("to")]
		if err != nil || f == nil {
			return refuse("give value as a number, and from and to as km and mi, or C and F")
		}
		out := strconv.FormatFloat(f(v), 'f', -1, 64)
		return complete + `"content":[` + content(out+" "+text("to")) + `],"structuredContent":{"value":` + out + `}}`
	case "count_slowly":
		n, err := strconv.Atoi(string(args.Get("to")))
		if err != nil || n < 1 || n > 50 {
			return refuse(`argument "to" must be a whole number from 1 to 50`)
		}
		return s.count(ctx, n, meta.Get("progressToken"))
	}
	return refuse("there is no tool " + name)
}

// count takes a step every 200 ms, until it is cancelled.
func (s *server) count(ctx context.Context, n int, progress []byte) string {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ""
		}
		if progress != nil {
			s.send(wire.AppendNotification(nil, "notifications/progress", fmt.Appendf(nil, `{"progressToken":%s,"progress":%d,"total":%d}`, progress, i+1, n)))
		}
	}
	return say(fmt.Sprintf("counted to %d", n))
}

// clear removes the notes once the user has said so. The call without the answer is answered by the question.
func (s *server) clear(canAsk bool, answer []byte) string {
	switch {
	case answer == nil && !canAsk:
		return refuse("the notes stay: they are removed only after asking, and this client cannot ask")
	case answer == nil:
		return `{"resultType":"input_required","inputRequests":{"sure":{"method":"elicitation/create","params":{"message":"Remove all notes?",` +
			`"requestedSchema":{"type":"object","properties":{"sure":{"type":"boolean","title":"Yes, remove them"}},"required":["sure"]}}}}}`
	}
	o, _ := wire.ParseObject(answer)
	fields, _ := wire.ParseObject(o.Get("content"))
	if action, _ := wire.Text(o.Get("action")); action != "accept" || string(fields.Get("sure")) != "true" {
		return say("the notes stay")
	}
	s.mu.Lock()
	s.notes = nil
	s.mu.Unlock()
	s.changed()
	return say("all notes are removed")
}
