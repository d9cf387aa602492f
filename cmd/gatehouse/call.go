package main

import (
	"bufio"
	"cmp"
	stdctx "context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"slices"
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
	f := c.flags("call", "URL|SERVER [TOOL] [--arg k=v]…")
	path := f.String("config", "gatehouse.yaml", "configuration `FILE`, for SERVER")
	key := f.String("key", "", "access `KEY`, for URL (default $GATEHOUSE_KEY)")
	era := f.String("era", "auto", "protocol `ERA` to speak, for URL: auto, legacy, modern or sse")
	var pairs, roots names
	f.Var(&pairs, "arg", "argument `k=v` of the tool; several times for several")
	f.Var(&roots, "root", "`DIR` to name when the server asks for roots; several times for several")
	if code := f.parse(args, 1, 2); code >= 0 {
		return code
	}
	if eras := []string{"auto", "legacy", "modern", "sse"}; !slices.Contains(eras, *era) {
		return c.misuse("gatehouse call", fmt.Sprintf("--era %s is none of auto, legacy, modern, sse", quote(*era)), orHelp(*era, eras, "gatehouse call --help"))
	}
	t := &terminal{in: bufio.NewReader(c.in), out: c.err, person: isTerminal(c.in)}
	for _, dir := range roots {
		if err := t.addRoot(dir); err != nil {
			return c.fail(err)
		}
	}
	ctx, stop := signal.NotifyContext(stdctx.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var cl *caller
	var err error
	server := f.rest[0]
	if strings.Contains(server, "://") {
		cl, err = dialURL(server, cmp.Or(*key, os.Getenv("GATEHOUSE_KEY")), *era)
	} else {
		h, code := c.openServer(*path, server, slog.New(slog.DiscardHandler))
		if h == nil {
			return code
		}
		cl = inProcess(h, server)
	}
	if err != nil {
		return c.fail(plain(err, server))
	}
	defer func() {
		cctx, cancel := stdctx.WithTimeout(stdctx.Background(), 2*time.Second)
		defer cancel()
		_ = cl.close(cctx)
	}()
	caps := gatehouse.Capabilities{Elicitation: true, ElicitationURL: true, Sampling: t.person, Roots: len(roots) > 0}
	tools, err := cl.list(ctx, caps)
	if err != nil {
		return c.fail(plain(err, server))
	}
	if len(f.rest) == 1 {
		if len(pairs) > 0 {
			return c.misuse("gatehouse call", "--arg without a tool", "write gatehouse call "+server+" TOOL --arg name=value")
		}
		return c.printTools(tools)
	}
	return c.callTool(ctx, cl, tools, server, f.rest[1], pairs, caps, t)
}

// plain says of an error of a server that was named by URL what a person at a terminal can do about it.
func plain(err error, server string) error {
	ge, known := errors.AsType[*gatehouse.Error](err)
	if !known || !strings.Contains(server, "://") {
		return err
	}
	out := *ge
	out.Pos = gatehouse.Pos{}
	out.Msg = strings.Replace(out.Msg, "source 1 of server ", "", 1)
	if out.Code == "source.unauthorized" {
		out.Hint = "give an access key with --key or $GATEHOUSE_KEY; gatehouse keys create makes one"
	}
	return &out
}

// dialURL is a client of any MCP server.
func dialURL(server, key, era string) (*caller, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, &gatehouse.Error{Code: "call.url", Msg: quote(server) + " is no http or https URL", Hint: "write it like http://127.0.0.1:8080/notes/mcp; a key goes into --key"}
	}
	src := config.Source{MCP: server, Era: era, Sessions: "shared", Timeout: 5 * time.Minute, Concurrency: 4, Grace: time.Minute}
	if key != "" {
		src.Headers = map[string]gatehouse.Secret{"Authorization": gatehouse.NewSecret("Bearer " + key)}
	}
	limits := config.DefaultLimits
	limits.Tools, limits.ListPages = 100_000, 1000 // a person asks, and a large API has many operations
	s, err := upstream.HTTP.Open(src, backend.Env{Server: server, Label: "1", Log: slog.New(slog.DiscardHandler), Limits: limits, Emit: func(backend.Event) {}, Now: time.Now})
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
					return out, h.silent(len(out))
				}
				cursor = &next
			}
		},
		call:  func(ctx stdctx.Context, c *gatehouse.Call) (*gatehouse.Result, error) { return h.Call(ctx, c) },
		close: h.Close,
	}
}

// silent is why a server offers nothing: the error of a source of it.
func (h *house) silent(tools int) (err error) {
	if tools == 0 {
		h.Sources(func(_, _ string, st backend.Status) { err = cmp.Or(err, st.Err) })
	}
	return err
}

func (c *context) printTools(tools []gatehouse.Tool) int {
	if c.json {
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
		fmt.Fprintf(c.out, "%-32s %s\n", clean(t.Name), clean(doc))
	}
	return ok
}

// maxRounds bounds how often a server may ask in one call.
const maxRounds = 100

func (c *context) callTool(ctx stdctx.Context, cl *caller, tools []gatehouse.Tool, server, name string, pairs names, caps gatehouse.Capabilities, t *terminal) int {
	i := slices.IndexFunc(tools, func(t gatehouse.Tool) bool { return t.Name == name })
	if i < 0 {
		var known []string
		for _, t := range tools {
			known = append(known, t.Name)
		}
		return c.fail(&gatehouse.Error{Code: "call.tool", Msg: server + " has no tool " + quote(name), Hint: orHelp(name, known, "gatehouse call "+server+" to list them")})
	}
	arguments, err := typed(&tools[i], pairs)
	if err != nil {
		return c.fail(err)
	}
	call := &gatehouse.Call{
		ID: gateway.NewID(), Server: server, Method: "tools/call", Name: name, Arguments: arguments, Principal: localPrincipal(), Peer: t, Received: time.Now(),
		ProgressToken: []byte("1"), Target: gatehouse.Target{Tool: &tools[i]},
		Client: gatehouse.Client{Era: gatehouse.Legacy, Revision: gatehouse.Revision20251125, Name: "gatehouse call", Version: gatehouse.Version, Capabilities: caps},
	}
	for range maxRounds {
		res, err := cl.call(ctx, call)
		if err != nil {
			return c.fail(plain(err, server))
		}
		if res.Input == nil {
			return c.printResult(res)
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
	return c.fail(&gatehouse.Error{Code: "call.rounds", Msg: fmt.Sprintf("%s asked more than %d times", server, maxRounds), Hint: "the tool does not come to an end; ask whoever runs the server"})
}

func (c *context) printResult(res *gatehouse.Result) int {
	o, _ := wire.ParseObject(res.Raw)
	bad := string(o.Get("isError")) == "true"
	switch {
	case c.json:
		fmt.Fprintf(c.out, "%s\n", res.Raw)
	default:
		show := func(s string) string { return s }
		if isTerminal(c.out) { // what a server sends must not steer the terminal
			show = clean
		}
		blocks, _ := wire.Elements(o.Get("content"))
		for _, b := range blocks {
			block, _ := wire.ParseObject(b)
			if text, isText := wire.Text(block.Get("text")); isText {
				fmt.Fprintln(c.out, show(text))
			} else {
				fmt.Fprintln(c.out, show(string(b)))
			}
		}
	}
	if bad {
		return failed
	}
	return ok
}
