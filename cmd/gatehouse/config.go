package main

import (
	"fmt"

	"gatehouse/config"
)

// runConfig checks a configuration file.
func runConfig(c *context, args []string) int {
	f := c.flags("config", "check FILE")
	rest, err := parse(f, args)
	if err != nil {
		return usage
	}
	if len(rest) != 2 || rest[0] != "check" {
		f.Usage()
		return usage
	}
	cfg, err := config.Load(rest[1])
	if err != nil {
		return c.fail(err)
	}
	for _, w := range cfg.Warn {
		fmt.Fprint(c.err, "warning: ")
		c.fail(w)
	}
	fmt.Fprintf(c.out, "%s is good: %d servers\n", rest[1], len(cfg.Servers))
	return ok
}
