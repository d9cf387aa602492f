package main

import (
	stdctx "context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/identity/key"
	"gatehouse/store"
)

// greeting is what serve says at start, for machines.
type greeting struct {
	URL     string            `json:"url"`
	Servers map[string]string `json:"servers"` // URL by name
	Key     string            `json:"key,omitempty"`
}

// greet prints where the servers are and, at the first start, a key and what to do with it.
func (s *serving) greet(base string) error {
	g := greeting{base, map[string]string{}, ""}
	for name := range s.cfg.Servers {
		g.Servers[name] = base + "/" + name + "/mcp"
	}
	var expires time.Time
	first, err := s.firstStart()
	if err != nil {
		return err
	}
	if first {
		secret, k, err := newKey(stdctx.Background(), s.house.store, s.cfg.Data, "first", opens{}, key.MaxLifetime, s.house.record.Note)
		if err != nil {
			return err
		}
		g.Key, expires = secret.Reveal(), k.Expires
	}
	if s.json {
		return writeJSON(s.out, g)
	}
	names := slices.Sorted(maps.Keys(g.Servers))
	for _, name := range names {
		fmt.Fprintf(s.out, "%-16s %s\n", name, g.Servers[name])
	}
	fmt.Fprintln(s.out, "access: every caller who signs in may call every tool; there are no rules yet")
	if first {
		url, file := g.Servers[names[0]], s.cfg.File
		var entries []string
		for _, name := range names {
			entries = append(entries, fmt.Sprintf(mcpServer, name, g.Servers[name], g.Key))
		}
		fmt.Fprintf(s.out, firstStart, expires.Format(time.DateOnly), g.Key, strings.Join(entries, ",\n"))
		fmt.Fprintf(s.out, nextThings, g.Key, self(), url, self(), file, file)
	}
	return nil
}

const firstStart = `
First start: here is an access key, good until %s. It is shown this once.

  %s

mcp.json for VS Code (.vscode/mcp.json):

{
  "servers": {
%s
  }
}
`

// mcpServer is one server of mcp.json.
const mcpServer = `    %q: {
      "type": "http",
      "url": %q,
      "headers": { "Authorization": "Bearer %s" }
    }`

const nextThings = `
Three things to try next, in another terminal:

1. List the tools, then call one:
     export GATEHOUSE_KEY=%s
     %s call %s
2. Make a key for somebody else:
     %s keys create NAME --config %s
3. Edit %s: a change takes effect at once.
`

// self is how this program was started, as far as it can be typed again.
func self() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/gatehouse"
	}
	return "gatehouse"
}

// firstStart reports whether keys are wanted and none was ever made.
func (s *serving) firstStart() (bool, error) {
	if !usesKeys(s.cfg) {
		return false, nil
	}
	keys, err := s.house.store.Keys(stdctx.Background())
	return len(keys) == 0, err
}

// usesKeys reports whether an access key opens anything.
func usesKeys(c *config.Config) bool {
	for _, s := range c.Servers {
		if s.Auth == nil && c.Auth.Keys || s.Auth != nil && s.Auth.Keys {
			return true
		}
	}
	return false
}

// expiring warns of keys that end soon and have no successor yet.
func (s *serving) expiring(ctx stdctx.Context) {
	keys, err := s.house.store.Keys(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "list keys", slog.Any("error", err))
		}
		return
	}
	now := time.Now()
	for _, k := range keys {
		if stateOf(k, now) == "expiring" && !slices.ContainsFunc(active(keys, k.Name, now), func(o store.Key) bool { return stateOf(o, now) == "active" }) {
			s.log.LogAttrs(ctx, slog.LevelWarn, "access key expires soon", slog.String("key", k.ID), slog.String("name", k.Name),
				slog.Time("expires", k.Expires), slog.String("hint", "gatehouse keys rotate "+k.Name))
		}
	}
}
