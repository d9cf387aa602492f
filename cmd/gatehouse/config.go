package main

import (
	"fmt"
	"maps"
	"slices"

	"gatehouse/config"
)

// runConfig checks a configuration file, or prints the schema of all of them.
func runConfig(c *context, args []string) int {
	f := c.flags("config", "check FILE | schema")
	if code := f.parse(args, 1, 2); code >= 0 {
		return code
	}
	switch {
	case f.rest[0] == "schema" && len(f.rest) == 1:
		if _, err := c.out.Write(config.Schema()); err != nil {
			return c.fail(err)
		}
		return ok
	case f.rest[0] == "check" && len(f.rest) == 2:
		return c.checkConfig(f.rest[1])
	case f.rest[0] == "check":
		return c.misuse("gatehouse config", "check needs a file", "write gatehouse config check FILE")
	case f.rest[0] == "schema":
		return c.misuse("gatehouse config", "unexpected argument "+quote(f.rest[1]), "write gatehouse config schema")
	}
	return c.misuse("gatehouse config", "unknown command "+quote(f.rest[0]), orHelp(f.rest[0], []string{"check", "schema"}, "gatehouse config --help"))
}

func (c *context) checkConfig(file string) int {
	cfg, err := config.Load(file)
	if err != nil {
		return c.fail(err)
	}
	for _, w := range cfg.Warn {
		c.warn(w)
	}
	servers := slices.Sorted(maps.Keys(cfg.Servers))
	if c.json {
		return c.print(struct {
			File     string   `json:"file"`
			Servers  []string `json:"servers"`
			Warnings int      `json:"warnings"`
		}{file, servers, len(cfg.Warn)})
	}
	noun := "servers"
	if len(servers) == 1 {
		noun = "server"
	}
	fmt.Fprintf(c.out, "%s is good: %d %s\n", file, len(servers), noun)
	return ok
}
