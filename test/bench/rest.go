package main

import (
	"context"
	"fmt"
)

// measureREST reads what a call of a REST operation costs, from 1 to 64 callers at once, with the record on the disk and in
// memory: what a sync costs is shared by those who come at once, and so it hides whether the rest is flat.
func (h *house) measureREST(ctx context.Context) error {
	type place struct {
		record string
		g      *setup
		pid    int
	}
	var places []place
	for _, x := range []struct{ record, parent string }{{"disk", h.o.data}, {"memory", memoryDir}} {
		g, err := h.prepare(ctx, x.parent)
		if err != nil {
			return err
		}
		p, _, err := h.serve(ctx, g)
		if err != nil {
			return err
		}
		places = append(places, place{x.record, g, p.cmd.Process.Pid})
	}
	at := []int{1, 4, 16, 64}
	eras := []string{"legacy", "modern"}
	key := func(workers int, era, record string) string { return fmt.Sprint(workers, era, record) }
	got := map[string][]sample{}
	for range h.o.rounds {
		for _, workers := range at {
			for _, era := range eras {
				for _, x := range places {
					s, err := h.sample(ctx, target{"gateway", era, x.g.addr, "/rest/mcp", x.g.key, x.pid}, "tools/call", workers)
					if err != nil {
						return err
					}
					k := key(workers, era, x.record)
					got[k] = append(got[k], s)
				}
			}
		}
	}
	fmt.Printf("\n### A REST operation as a tool\n\n| at once | era | record in | calls/s | CPU µs a call | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|\n")
	for _, workers := range at {
		for _, era := range eras {
			for _, x := range places {
				s := got[key(workers, era, x.record)]
				fmt.Printf("| %d | %s | %s | %s | %s | %s | %s |\n", workers, era, x.record,
					median(s, "%.0f", func(x sample) float64 { return x.rate }), median(s, "%.0f", func(x sample) float64 { return x.cpu }),
					median(s, "%.2f", func(x sample) float64 { return x.p50 }), median(s, "%.1f", func(x sample) float64 { return x.p99 }))
			}
		}
	}
	return nil
}
