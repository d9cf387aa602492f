// Command client is the conformance suite's client under test: it drives backend/upstream the way the gateway does.
// The suite names the scenario in MCP_CONFORMANCE_SCENARIO and gives the server's URL as the argument.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/backend/upstream"
	"gatehouse/config"
	"gatehouse/wire"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: client URL")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Getenv("MCP_CONFORMANCE_SCENARIO")); err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

var capabilities = gatehouse.Capabilities{Elicitation: true}

// client is one source and what it offers.
type client struct {
	source  backend.Source
	catalog *backend.Catalog
}

func run(url, scenario string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	src, err := upstream.HTTP.Open(config.Source{MCP: url, Sessions: "shared"}, backend.Env{
		Server: "conformance", Label: "1", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Limits: config.DefaultLimits,
		Emit: func(backend.Event) {}, Now: time.Now,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close(ctx)) }()
	c := &client{source: src, catalog: src.Catalog(ctx, capabilities)}
	if c.catalog.Err != nil {
		return c.catalog.Err
	}
	switch scenario {
	case "tools_call":
		return c.call(ctx, "tools/call", "add_numbers", `{"a":5,"b":3}`)
	case "elicitation-sep1034-client-defaults":
		return c.call(ctx, "tools/call", "test_client_elicitation_defaults", `{}`)
	case "sse-retry":
		return c.call(ctx, "tools/call", "test_reconnection", `{}`)
	case "json-schema-2020-12-preservation":
		return c.echoSchema(ctx)
	case "sep-2322-client-request-state":
		for _, t := range c.catalog.Tools {
			c.try(ctx, "tools/call", t.Name, `{}`) // some answers are to be refused
		}
	case "http-standard-headers":
		for _, list := range []struct {
			method string
			of     []gatehouse.Tool
		}{{"tools/call", c.catalog.Tools}, {"resources/read", c.catalog.Resources}, {"prompts/get", c.catalog.Prompts}} {
			if len(list.of) > 0 {
				c.try(ctx, list.method, list.of[0].Name, `{}`)
			}
		}
	case "http-invalid-tool-headers":
		for _, t := range c.catalog.Tools {
			c.try(ctx, "tools/call", t.Name, `{"region":"us-west1"}`)
		}
	case "http-custom-headers":
		o, isObject := wire.ParseObject([]byte(os.Getenv("MCP_CONFORMANCE_CONTEXT")))
		calls, isList := wire.Elements(o.Get("toolCalls"))
		if !isObject || !isList {
			return errors.New("MCP_CONFORMANCE_CONTEXT has no toolCalls")
		}
		for _, b := range calls {
			call, _ := wire.ParseObject(b)
			name, _ := wire.Text(call.Get("name"))
			c.try(ctx, "tools/call", name, string(call.Get("arguments")))
		}
	}
	return nil
}

// try makes a call that may fail, and says so.
func (c *client) try(ctx context.Context, method, name, arguments string) {
	if err := c.call(ctx, method, name, arguments); err != nil {
		fmt.Fprintf(os.Stderr, "client: %s %s: %v\n", method, name, err)
	}
}

// call makes one call, and answers whatever the server asks meanwhile.
func (c *client) call(ctx context.Context, method, name, arguments string) error {
	call := &gatehouse.Call{
		ID: "1", Server: "conformance", Method: method, Name: name, Arguments: []byte(arguments), Principal: &gatehouse.Principal{ID: "p"}, Peer: quiet{},
		Target: gatehouse.Target{Name: name}, Client: gatehouse.Client{Era: gatehouse.Modern, Revision: gatehouse.Revision20260728, Name: "conformance", Version: "1", Capabilities: capabilities},
	}
	if method == "resources/read" {
		call.Arguments = nil
	}
	for i, t := range c.catalog.Tools {
		if method == "tools/call" && t.Name == name {
			call.Target.Tool = &c.catalog.Tools[i]
		}
	}
	for range 10 {
		res, err := c.source.Call(ctx, call)
		if err != nil || res.Input == nil {
			return err
		}
		answers := wire.Object{}
		for _, q := range res.Input.Requests {
			answers = append(answers, wire.Member{Name: q.Key, Value: accept(q.Params)})
		}
		again := *call
		again.InputResponses, again.State = answers.Bytes(), res.Input.State
		call = &again
	}
	return errors.New("the server asked ten times")
}

// accept fills a form in: with the defaults that it has, and yes to the rest.
func accept(params []byte) []byte {
	o, _ := wire.ParseObject(params)
	schema, _ := wire.ParseObject(o.Get("requestedSchema"))
	fields, _ := wire.ParseObject(schema.Get("properties"))
	content := wire.Object{}
	for _, f := range fields {
		field, _ := wire.ParseObject(f.Value)
		if value := field.Get("default"); value != nil {
			content = append(content, wire.Member{Name: f.Name, Value: value})
		} else if kind, _ := wire.Text(field.Get("type")); kind == "boolean" {
			content = append(content, wire.Member{Name: f.Name, Value: []byte("true")})
		}
	}
	return wire.Object{{Name: "action", Value: []byte(`"accept"`)}, {Name: "content", Value: content.Bytes()}}.Bytes()
}

// echoSchema gives the schema of a tool back as it came.
func (c *client) echoSchema(ctx context.Context) error {
	for _, t := range c.catalog.Tools {
		if t.Name == "json_schema_2020_12_tool" {
			o, _ := wire.ParseObject(t.Def)
			return c.call(ctx, "tools/call", "json_schema_echo", `{"schema":`+string(o.Get("inputSchema"))+`}`)
		}
	}
	return errors.New("the server has no tool json_schema_2020_12_tool")
}

// quiet is a caller that hears nothing.
type quiet struct{}

func (quiet) Notify(context.Context, string, []byte) error { return nil }
func (quiet) CanAsk() bool                                 { return false }
func (quiet) Ask(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("nobody is there")
}
