// Command server is a small MCP server over standard input and output: notes in memory, with a resource each, a
// conversion of units, and tools that ask and that take their time. It speaks revision 2025-11-25.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/wire"
)

func main() {
	s := &server{out: os.Stdout, answers: map[string]chan wire.Message{}, subscribed: map[string]bool{}}
	if err := s.serve(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(1)
	}
}

type server struct {
	write sync.Mutex
	out   io.Writer

	mu         sync.Mutex
	notes      []string
	asked      int
	answers    map[string]chan wire.Message
	subscribed map[string]bool
}

// serve reads one message a line until the input ends.
func (s *server) serve(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	var calls sync.WaitGroup
	for lines.Scan() {
		m, err := wire.Parse(slices.Clone(lines.Bytes()), wire.RequestLimits)
		if err != nil {
			s.send(wire.AppendError(nil, m.ID, wire.RPC{Code: -32700, Message: err.Error()}))
			continue
		}
		switch m.Kind {
		case wire.Request:
			calls.Go(func() { s.handle(m) }) // a tool may ask something meanwhile
		case wire.Response, wire.Failure:
			s.mu.Lock()
			ch := s.answers[string(m.ID)]
			delete(s.answers, string(m.ID))
			s.mu.Unlock()
			if ch != nil {
				ch <- m
			}
		}
	}
	return lines.Err()
}

func (s *server) send(b []byte) {
	s.write.Lock()
	defer s.write.Unlock()
	_, _ = s.out.Write(append(b, '\n'))
}

func (s *server) handle(m wire.Message) {
	params, _ := wire.ParseObject(m.Params)
	text := func(name string) string { t, _ := wire.Text(params.Get(name)); return t }
	var result []byte
	switch m.Method {
	case "initialize":
		result = []byte(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{},"resources":{"subscribe":true,"listChanged":true}},` +
			`"serverInfo":{"name":"notes","version":"1.0.0"},"instructions":"Keep notes with note_add, and find them with note_search."}`)
	case "ping":
		result = []byte("{}")
	case "tools/list":
		result = []byte(`{"tools":[` + strings.Join(tools, ",") + `]}`)
	case "tools/call":
		args, _ := wire.ParseObject(params.Get("arguments"))
		meta, _ := wire.ParseObject(params.Get("_meta"))
		result = s.call(text("name"), args, meta.Get("progressToken"))
	case "prompts/list":
		result = []byte(`{"prompts":[{"name":"summarise","title":"Summarise the notes","description":"A prompt with all notes in it"}]}`)
	case "prompts/get":
		result = []byte(`{"messages":[{"role":"user","content":` + string(content("Summarise these notes:\n"+strings.Join(s.all(), "\n"))) + `}]}`)
	case "resources/list":
		var list []string
		for i, n := range s.all() {
			list = append(list, fmt.Sprintf(`{"uri":"note:///%d","name":"note %d","description":%s,"mimeType":"text/plain"}`, i+1, i+1, wire.String(n)))
		}
		result = []byte(`{"resources":[` + strings.Join(list, ",") + `]}`)
	case "resources/templates/list":
		result = []byte(`{"resourceTemplates":[{"uriTemplate":"note:///{number}","name":"note","description":"One note by its number"}]}`)
	case "resources/read":
		n, err := strconv.Atoi(strings.TrimPrefix(text("uri"), "note:///"))
		notes := s.all()
		if err != nil || n < 1 || n > len(notes) {
			s.send(wire.AppendError(nil, m.ID, wire.RPC{Code: -32002, Message: "no note at " + text("uri")}))
			return
		}
		result = wire.Object{{Name: "contents", Value: []byte(`[{"uri":` + string(wire.String(text("uri"))) + `,"mimeType":"text/plain","text":` + string(wire.String(notes[n-1])) + `}]`)}}.Bytes()
	case "resources/subscribe", "resources/unsubscribe":
		s.mu.Lock()
		s.subscribed[text("uri")] = m.Method == "resources/subscribe"
		s.mu.Unlock()
		result = []byte("{}")
	default:
		s.send(wire.AppendError(nil, m.ID, wire.RPC{Code: -32601, Message: "Method not found: " + m.Method}))
		return
	}
	s.send(wire.AppendResult(nil, m.ID, result))
}

var tools = []string{
	`{"name":"note_add","title":"Add a note","description":"Keeps a note","inputSchema":{"type":"object","properties":{"text":{"type":"string","description":"the note"}},"required":["text"]}}`,
	`{"name":"note_search","title":"Search the notes","description":"Lists the notes that hold a word; all without one","inputSchema":{"type":"object","properties":{"word":{"type":"string","description":"what to look for"}}},"annotations":{"readOnlyHint":true}}`,
	`{"name":"note_clear","title":"Remove all notes","description":"Removes all notes, after asking","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}}`,
	`{"name":"convert_units","title":"Convert units","description":"Converts a length or a temperature","inputSchema":{"type":"object","properties":{"value":{"type":"number"},"from":{"enum":["km","mi","C","F"]},"to":{"enum":["km","mi","C","F"]}},"required":["value","from","to"]},"outputSchema":{"type":"object","properties":{"value":{"type":"number"}},"required":["value"]}}`,
	`{"name":"count_slowly","title":"Count slowly","description":"Counts to a number, a step every 200 ms, and reports progress","inputSchema":{"type":"object","properties":{"to":{"type":"integer","minimum":1,"maximum":50}},"required":["to"]}}`,
}

func content(s string) []byte {
	return wire.Object{{Name: "type", Value: []byte(`"text"`)}, {Name: "text", Value: wire.String(s)}}.Bytes()
}

func say(s string) []byte { return []byte(`{"content":[` + string(content(s)) + `]}`) }
func refuse(s string) []byte {
	return []byte(`{"content":[` + string(content(s)) + `],"isError":true}`)
}

func (s *server) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

func (s *server) call(name string, args wire.Object, progress []byte) []byte {
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
		s.send(wire.AppendNotification(nil, "notifications/resources/list_changed", nil))
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
		return s.clear()
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
		return []byte(`{"content":[` + string(content(out+" "+text("to"))) + `],"structuredContent":{"value":` + out + `}}`)
	case "count_slowly":
		n, err := strconv.Atoi(string(args.Get("to")))
		if err != nil || n < 1 || n > 50 {
			return refuse(`argument "to" must be a whole number from 1 to 50`)
		}
		for i := range n {
			time.Sleep(200 * time.Millisecond)
			if progress != nil {
				s.send(wire.AppendNotification(nil, "notifications/progress", fmt.Appendf(nil, `{"progressToken":%s,"progress":%d,"total":%d}`, progress, i+1, n)))
			}
		}
		return say(fmt.Sprintf("counted to %d", n))
	}
	return refuse("there is no tool " + name)
}

// clear removes the notes if the user says so.
func (s *server) clear() []byte {
	ch := make(chan wire.Message, 1)
	s.mu.Lock()
	s.asked++
	id := wire.String("ask-" + strconv.Itoa(s.asked))
	s.answers[string(id)] = ch
	s.mu.Unlock()
	s.send(wire.AppendRequest(nil, id, "elicitation/create", []byte(`{"message":"Remove all notes?","requestedSchema":{"type":"object","properties":{"sure":{"type":"boolean","title":"Yes, remove them"}},"required":["sure"]}}`)))
	m := <-ch
	answer, _ := wire.ParseObject(m.Result)
	fields, _ := wire.ParseObject(answer.Get("content"))
	if action, _ := wire.Text(answer.Get("action")); action != "accept" || string(fields.Get("sure")) != "true" {
		return say("the notes stay")
	}
	s.mu.Lock()
	s.notes = nil
	s.mu.Unlock()
	s.send(wire.AppendNotification(nil, "notifications/resources/list_changed", nil))
	return say("all notes are removed")
}
