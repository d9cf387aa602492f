package main

import (
	"bufio"
	stdctx "context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/backend/upstream"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/wire"
)

// caller is an MCP client: of any server by its URL, or of a published server through the pipeline.
type caller struct {
	list  func(ctx stdctx.Context, caps gatehouse.Capabilities) ([]gatehouse.Tool, error)
	call  func(ctx stdctx.Context, c *gatehouse.Call) (*gatehouse.Result, error)
	close func(ctx stdctx.Context) error
}

// runCall lists the tools of a server, or calls one.
func runCall(c *context, args []string) int {
	f := c.flags("call", "URL|SERVER [TOOL] [--arg k=v]… [--key KEY] [--era auto|legacy|modern] [--config FILE] [--json]")
	path := f.String("config", "gatehouse.yaml", "configuration file, for SERVER")
	key := f.String("key", os.Getenv("GATEHOUSE_KEY"), "access key, for URL (default: $GATEHOUSE_KEY)")
	era := f.String("era", "auto", "protocol era to speak, for URL")
	asJSON := f.Bool("json", false, "print the result as JSON")
	var pairs names
	f.Var(&pairs, "arg", "argument of the tool, name=value; several times for several")
	rest, err := parse(f, args)
	if err != nil || len(rest) < 1 || len(rest) > 2 {
		if err == nil {
			f.Usage()
		}
		return usage
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var cl *caller
	server := rest[0]
	if strings.Contains(server, "://") {
		cl, err = dialURL(server, *key, *era)
	} else {
		h, code := c.openServer(*path, server)
		if h == nil {
			return code
		}
		cl = inProcess(h, server)
	}
	if err != nil {
		return c.fail(err)
	}
	defer func() {
		cctx, cancel := stdctx.WithTimeout(stdctx.Background(), 2*time.Second)
		defer cancel()
		_ = cl.close(cctx)
	}()
	caps := gatehouse.Capabilities{Elicitation: true}
	tools, err := cl.list(ctx, caps)
	if err != nil {
		return c.fail(err)
	}
	if len(rest) == 1 {
		return c.printTools(tools, *asJSON)
	}
	return c.callTool(ctx, cl, tools, server, rest[1], pairs, caps, *asJSON)
}

// dialURL is a client of any MCP server.
func dialURL(url, key, era string) (*caller, error) {
	src := config.Source{MCP: url, Era: era, Sessions: "shared", Timeout: 5 * time.Minute, Concurrency: 4, Grace: time.Minute}
	if key != "" {
		src.Headers = map[string]gatehouse.Secret{"Authorization": gatehouse.NewSecret("Bearer " + key)}
	}
	s, err := upstream.HTTP.Open(src, backend.Env{Server: url, Label: "1", Log: slog.New(slog.DiscardHandler), Limits: config.DefaultLimits, Emit: func(backend.Event) {}, Now: time.Now})
	if err != nil {
		return nil, err
	}
	return &caller{
		list: func(ctx stdctx.Context, caps gatehouse.Capabilities) ([]gatehouse.Tool, error) {
			cat := s.Catalog(ctx, caps)
			return cat.Tools, cat.Err
		},
		call: func(ctx stdctx.Context, c *gatehouse.Call) (*gatehouse.Result, error) {
			c.Target.Name = c.Name
			return s.Call(ctx, c)
		},
		close: s.Close,
	}, nil
}

// inProcess calls a published server through every stage of the pipeline.
func inProcess(h *house, server string) *caller {
	return &caller{
		list: func(ctx stdctx.Context, caps gatehouse.Capabilities) ([]gatehouse.Tool, error) {
			var out []gatehouse.Tool
			var cursor *string
			for {
				res, err := h.Call(ctx, &gatehouse.Call{
					ID: gateway.NewID(), Server: server, Method: "tools/list", Cursor: cursor, Principal: localPrincipal(), Peer: &terminal{}, Received: time.Now(),
					Client: gatehouse.Client{Era: gatehouse.Legacy, Revision: gatehouse.Revision20251125, Name: "gatehouse call", Version: gatehouse.Version, Capabilities: caps},
				})
				if err != nil {
					return nil, err
				}
				o, _ := wire.ParseObject(res.Raw)
				items, _ := wire.Elements(o.Get("tools"))
				for _, it := range items {
					t, _ := wire.ParseObject(it)
					name, _ := wire.Text(t.Get("name"))
					out = append(out, gatehouse.Tool{Name: name, Def: it})
				}
				next, more := wire.Text(o.Get("nextCursor"))
				if !more {
					return out, nil
				}
				cursor = &next
			}
		},
		call:  func(ctx stdctx.Context, c *gatehouse.Call) (*gatehouse.Result, error) { return h.Call(ctx, c) },
		close: h.Close,
	}
}

func (c *context) printTools(tools []gatehouse.Tool, asJSON bool) int {
	if asJSON {
		out := []byte{'['}
		for i, t := range tools {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, t.Def...)
		}
		fmt.Fprintf(c.out, "%s]\n", out)
		return ok
	}
	for _, t := range tools {
		o, _ := wire.ParseObject(t.Def)
		doc, _ := wire.Text(o.Get("description"))
		doc, _, _ = strings.Cut(doc, "\n")
		fmt.Fprintf(c.out, "%-32s %s\n", t.Name, doc)
	}
	return ok
}

func (c *context) callTool(ctx stdctx.Context, cl *caller, tools []gatehouse.Tool, server, name string, pairs names, caps gatehouse.Capabilities, asJSON bool) int {
	var tool *gatehouse.Tool
	for i := range tools {
		if tools[i].Name == name {
			tool = &tools[i]
		}
	}
	if tool == nil {
		return c.fail(&gatehouse.Error{Code: "call.tool", Msg: fmt.Sprintf("%s has no tool %q", server, name), Hint: "list them: gatehouse call " + server})
	}
	arguments, err := typed(tool.Def, pairs)
	if err != nil {
		return c.fail(err)
	}
	t := &terminal{in: bufio.NewReader(c.in), out: c.err, person: isTerminal(c.in)}
	call := &gatehouse.Call{
		ID: gateway.NewID(), Server: server, Method: "tools/call", Name: name, Arguments: arguments, Principal: localPrincipal(), Peer: t, Received: time.Now(),
		ProgressToken: []byte("1"), Target: gatehouse.Target{Tool: tool},
		Client: gatehouse.Client{Era: gatehouse.Legacy, Revision: gatehouse.Revision20251125, Name: "gatehouse call", Version: gatehouse.Version, Capabilities: caps},
	}
	for range 100 {
		res, err := cl.call(ctx, call)
		if err != nil {
			return c.fail(err)
		}
		if res.Input == nil {
			return c.printResult(res, asJSON)
		}
		answers := wire.Object{}
		for _, q := range res.Input.Requests {
			a, err := t.Ask(ctx, q.Method, q.Params)
			if err != nil {
				return c.fail(err)
			}
			answers = append(answers, wire.Member{Name: q.Key, Value: a})
		}
		again := *call
		again.InputResponses, again.State = answers.Bytes(), res.Input.State
		call = &again
	}
	return c.fail(errors.New("the server asked more than 100 times"))
}

// typed makes the arguments object: values take the type that the tool's schema gives them.
func typed(def []byte, pairs names) ([]byte, error) {
	o, _ := wire.ParseObject(def)
	schema, _ := wire.ParseObject(o.Get("inputSchema"))
	props, _ := wire.ParseObject(schema.Get("properties"))
	out := wire.Object{}
	for _, p := range pairs {
		name, value, found := strings.Cut(p, "=")
		if !found {
			return nil, &gatehouse.Error{Code: "call.arg", Msg: fmt.Sprintf("--arg %q has no value", p), Hint: "write --arg name=value"}
		}
		prop, _ := wire.ParseObject(props.Get(name))
		raw := wire.String(value)
		switch kind, _ := wire.Text(prop.Get("type")); kind {
		case "integer", "number", "boolean", "object", "array":
			if err := wire.Verify([]byte(value), wire.RequestLimits); err != nil {
				return nil, &gatehouse.Error{Code: "call.arg", Msg: fmt.Sprintf("--arg %s: %q is no %s", name, value, kind), Hint: "the tool's schema wants JSON of that type"}
			}
			raw = []byte(value)
		}
		out = out.Set(name, raw)
	}
	return out.Bytes(), nil
}

func (c *context) printResult(res *gatehouse.Result, asJSON bool) int {
	o, _ := wire.ParseObject(res.Raw)
	if asJSON {
		fmt.Fprintf(c.out, "%s\n", res.Raw)
	} else {
		blocks, _ := wire.Elements(o.Get("content"))
		for _, b := range blocks {
			block, _ := wire.ParseObject(b)
			if text, isText := wire.Text(block.Get("text")); isText {
				fmt.Fprintln(c.out, text)
			} else {
				fmt.Fprintf(c.out, "%s\n", b)
			}
		}
	}
	if string(o.Get("isError")) == "true" {
		return failed
	}
	return ok
}

// terminal is the person in front of the command.
type terminal struct {
	in     *bufio.Reader
	out    io.Writer
	person bool
}

func isTerminal(r io.Reader) bool {
	f, isFile := r.(*os.File)
	if !isFile {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Notify implements gatehouse.Peer.
func (t *terminal) Notify(_ stdctx.Context, method string, params []byte) error {
	if t.out == nil {
		return nil
	}
	o, _ := wire.ParseObject(params)
	switch method {
	case "notifications/progress":
		text, _ := wire.Text(o.Get("message"))
		line := "progress " + string(o.Get("progress"))
		if total := o.Get("total"); total != nil {
			line += " of " + string(total)
		}
		fmt.Fprintln(t.out, strings.TrimSpace(line+" "+text))
	case "notifications/message":
		fmt.Fprintf(t.out, "server: %s\n", o.Get("data"))
	}
	return nil
}

// CanAsk implements gatehouse.Peer.
func (t *terminal) CanAsk() bool { return true }

// Ask implements gatehouse.Peer: the fields of a form, one line each. Without a person the answer is no.
func (t *terminal) Ask(_ stdctx.Context, method string, params []byte) ([]byte, error) {
	if method != "elicitation/create" {
		return nil, &gatehouse.RPCError{Code: gatehouse.CodeMethodNotFound, Message: "gatehouse call cannot answer " + method}
	}
	o, _ := wire.ParseObject(params)
	text, _ := wire.Text(o.Get("message"))
	if !t.person {
		fmt.Fprintf(t.out, "the server asks: %s\nanswered no: standard input is no terminal\n", text)
		return []byte(`{"action":"decline"}`), nil
	}
	fmt.Fprintf(t.out, "the server asks: %s\n", text)
	schema, _ := wire.ParseObject(o.Get("requestedSchema"))
	props, _ := wire.ParseObject(schema.Get("properties"))
	content := wire.Object{}
	for _, p := range props {
		prop, _ := wire.ParseObject(p.Value)
		kind, _ := wire.Text(prop.Get("type"))
		fmt.Fprintf(t.out, "  %s (%s; empty to refuse): ", p.Name, kind)
		line, err := t.in.ReadString('\n')
		if line = strings.TrimSpace(line); err != nil || line == "" {
			return []byte(`{"action":"decline"}`), nil
		}
		value := wire.String(line)
		if _, err := strconv.ParseFloat(line, 64); err == nil && (kind == "integer" || kind == "number") || kind == "boolean" && (line == "true" || line == "false") {
			value = []byte(line)
		}
		content = append(content, wire.Member{Name: p.Name, Value: value})
	}
	return wire.Object{{Name: "action", Value: []byte(`"accept"`)}, {Name: "content", Value: content.Bytes()}}.Bytes(), nil
}
