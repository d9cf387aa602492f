package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/backend"
	"gatehouse/config"
)

// judge denies names that end in secret, and writes down what it was asked.
type judge struct {
	access.AllowAll
	asked *[]string
}

func (j judge) Decide(_ context.Context, r *access.Request) (access.Decision, error) {
	if r.Arguments != nil {
		*j.asked = append(*j.asked, r.Name+" "+string(r.Tool.Risk)+" "+string(r.Arguments))
	}
	return access.Decision{Allow: !strings.HasSuffix(r.Name, "secret")}, nil
}

// searched is a house whose source b_ is searched, and the calls its source gets.
func searched(t *testing.T, d access.Decider) (*house, *[]string) {
	t.Helper()
	var got []string
	do := func(c *gatehouse.Call) (*gatehouse.Result, error) {
		got = append(got, c.Target.Name+" "+string(c.Arguments))
		return echo(c)
	}
	cat := &backend.Catalog{Version: 1}
	for _, name := range []string{"listOrders", "getOrder", "deleteOrder", "listCustomers", "orders_secret", "exportReport"} {
		x := tool(name)
		if strings.HasPrefix(name, "delete") {
			x.Risk = gatehouse.Delete
		}
		cat.Tools = append(cat.Tools, x)
	}
	h := newHouse(t, d, map[string]*fake{
		"a_": {do: do, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("plain")}}}, "b_": {do: do, cat: cat},
	})
	cfg := *h.Gateway.now.Load().cfg
	src := slices.Clone(cfg.Servers["s"].Sources)
	src[1].Expose = "search"
	s := *cfg.Servers["s"]
	s.Sources = src
	cfg.Servers = map[string]*config.Server{"s": &s}
	if err := h.Reload(&cfg); err != nil {
		t.Fatal(err)
	}
	return h, &got
}

func (h *house) tool(name, args string) *gatehouse.Call {
	c := h.call("tools/call", name)
	c.Arguments = []byte(args)
	return c
}

func TestSearch(t *testing.T) {
	var asked []string
	h, got := searched(t, judge{asked: &asked})
	res, err := h.Call(t.Context(), h.call("tools/list", ""))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"search_tools": true, "describe_tool": true, "call_tool": true, "a_plain": true, "listOrders": false} {
		if has := strings.Contains(string(res.Raw), `"name":"`+name); has != want {
			t.Errorf("%s listed: %v", name, has)
		}
	}
	for _, c := range []struct{ tool, args, want string }{
		{"search_tools", `{"query":"list the orders"}`, `"structuredContent":{"tools":[{"name":"b_listOrders"},{"name":"b_listCustomers"},{"name":"b_getOrder"},{"name":"b_deleteOrder"}],"more":0}`},
		{"search_tools", `{"query":"orders","limit":1}`, `"more":2}`},
		{"search_tools", `{"query":"expo"}`, `{"tools":[{"name":"b_exportReport"}],"more":0}`},
		{"search_tools", `{"query":"secret"}`, `{"tools":[],"more":0}`},
		{"search_tools", `{}`, `search_tools needs a query`},
		{"describe_tool", `{"name":"b_getOrder"}`, `{\"name\":\"b_getOrder\",\"inputSchema\":{\"type\":\"object\"}}`},
		{"describe_tool", `{"name":"b_orders_secret"}`, `There is no tool \"b_orders_secret\" here`},
		{"describe_tool", `{"name":"search_tools"}`, `There is no tool \"search_tools\" here`},
		{"call_tool", `{"name":"nothing"}`, `There is no tool \"nothing\" here; find its name with search_tools.`},
		{"call_tool", `{"name":"call_tool","arguments":{"name":"b_getOrder"}}`, `There is no tool \"call_tool\" here`},
		{"call_tool", `{"name":"b_getOrder","arguments":[]}`, `must be an object`},
		{"call_tool", `5`, `call_tool needs the name of a tool`},
	} {
		res, err := h.Call(t.Context(), h.tool(c.tool, c.args))
		if err != nil || !strings.Contains(string(res.Raw), c.want) {
			t.Errorf("%s %s: %v, %+v\nwant %s", c.tool, c.args, err, res, c.want)
		}
	}
	if len(*got) > 0 {
		t.Errorf("a backend was asked: %q", *got)
	}
}

func TestCallToolIsTheInnerCall(t *testing.T) {
	var asked []string
	h, got := searched(t, judge{asked: &asked})
	h.log.lines, asked = nil, nil
	c := h.tool("call_tool", `{"name":"b_deleteOrder","arguments":{"id":7}}`)
	c.Headers = map[string][]string{}
	if _, err := h.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if want := []string{`b_deleteOrder delete {"id":7}`}; !slices.Equal(asked, want) {
		t.Errorf("access was asked %q, want %q", asked, want)
	}
	if want := []string{`deleteOrder {"id":7}`}; !slices.Equal(*got, want) {
		t.Errorf("the backend got %q, want %q", *got, want)
	}
	if record := strings.Join(h.log.lines, ","); record != "intent b_deleteOrder,outcome complete" {
		t.Errorf("record = %q", record)
	}
	_, err := h.Call(t.Context(), h.tool("call_tool", `{"name":"b_orders_secret"}`))
	if ge, ok := errors.AsType[*gatehouse.Error](err); !ok || ge.Code != "access.denied" || len(*got) != 1 {
		t.Errorf("a tool the caller may not use: %v", err)
	}
	for _, name := range []string{"b_getOrder", "a_plain"} {
		if _, err := h.Call(t.Context(), h.tool("call_tool", fmt.Sprintf(`{"name":%q}`, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := "getOrder {}"; (*got)[1] != want {
		t.Errorf("without arguments the backend got %q, want %q", (*got)[1], want)
	}
}
