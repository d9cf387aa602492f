package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gatehouse"
	"gatehouse/access"
	"gatehouse/backend"
	"gatehouse/config"
)

// seeds are texts like one that is sealed.
func seeds(f *testing.F, sealed string) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		f.Fatal(err)
	}
	raw[0] ^= 1
	for _, s := range []string{sealed, sealed[1:], sealed[:len(sealed)-1], sealed + "=", sealed + "\n", "", "A", "\x00", strings.Repeat("A", 20<<10), base64.RawURLEncoding.EncodeToString(raw)} {
		f.Add(s)
	}
}

// canonical reports whether text is the one way to write what it stands for.
func canonical(s string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil && base64.RawURLEncoding.EncodeToString(raw) == s
}

// FuzzCursor: only a cursor that was given out opens a page; every other is answered alike, by a code of the protocol.
func FuzzCursor(f *testing.F) {
	src := &fake{do: echo, cat: &backend.Catalog{Version: 1}}
	for i := range 5 {
		src.cat.Tools = append(src.cat.Tools, tool(fmt.Sprint("t", i)))
	}
	h := newHouse(f, access.AllowAll{}, map[string]*fake{"": src})
	cfg := *h.Gateway.now.Load().cfg
	cfg.Limits = config.DefaultLimits
	cfg.Limits.PageSize = 2
	if err := h.Reload(&cfg); err != nil {
		f.Fatal(err)
	}
	first, err := h.Call(context.Background(), h.call("tools/list", ""))
	if err != nil {
		f.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(first.Raw), `"nextCursor":"`)
	cursor, _, _ := strings.Cut(rest, `"`)
	seeds(f, cursor)
	f.Fuzz(func(t *testing.T, s string) {
		c := h.call("tools/list", "")
		c.Cursor = &s
		res, err := h.Call(t.Context(), c)
		if err == nil { // the one that was given out: each process of a fuzzing run seals its own
			if !canonical(s) || !strings.Contains(string(res.Raw), `"t2"`) || strings.Contains(string(res.Raw), `"t1"`) {
				t.Fatalf("cursor %q: %s", s, res.Raw)
			}
			return
		}
		if e, ok := errors.AsType[*gatehouse.RPCError](err); !ok || s == cursor || e.Code != gatehouse.CodeInvalidParams || !strings.HasPrefix(e.Message, "Invalid cursor") {
			t.Fatalf("cursor %q: %v, %v", s, res, err)
		}
	})
}

// FuzzRequestState: only a state that was given out reaches the backend; every other is answered by a code of the protocol.
func FuzzRequestState(f *testing.F) {
	src := &fake{do: asks, cat: &backend.Catalog{Version: 1, Tools: []gatehouse.Tool{tool("t")}}}
	h := newHouse(f, access.AllowAll{}, map[string]*fake{"": src})
	first, err := h.Call(context.Background(), h.call("tools/call", "t"))
	if err != nil {
		f.Fatal(err)
	}
	state := requestState(f, first.Raw)
	seeds(f, state)
	var reached bool
	src.do = func(c *gatehouse.Call) (*gatehouse.Result, error) {
		reached = true
		return asks(c)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" { // no state: a first call
			return
		}
		reached = false
		c := h.call("tools/call", "t")
		c.InputResponses, c.RequestState = []byte(`{"q":{"action":"accept"}}`), s
		res, err := h.Call(t.Context(), c)
		if err == nil {
			if !canonical(s) || !reached || !strings.Contains(string(res.Raw), `"state":"park1"`) {
				t.Fatalf("state %q: %s", s, res.Raw)
			}
			return
		}
		if e, ok := errors.AsType[*gatehouse.RPCError](err); !ok || s == state || e.Code != gatehouse.CodeInvalidParams || !strings.HasPrefix(e.Message, "requestState ") || reached {
			t.Fatalf("state %q: %v, %v, backend asked %v", s, res, err, reached)
		}
	})
}
