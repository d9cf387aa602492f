package main

import (
	"context"
	"fmt"
)

// measureREST reads what a call of a REST operation costs, from 1 to 64 callers at once.
func (h *house) measureREST(ctx context.Context) error {
	g, err := h.prepare(ctx, h.o.data)
	if err != nil {
		return err
	}
	p, _, err := h.serve(ctx, g)
	if err != nil {
		return err
	}
	at := []int{1, 4, 16, 64}
	eras := []string{"legacy", "modern"}
	got := map[string][]sample{}
	for range h.o.rounds {
		for _, workers := range at {
			for _, era := range eras {
				s, err := h.sample(ctx, target{"gateway", era, g.addr, "/rest/mcp", g.key, p.cmd.Process.Pid}, "tools/call", workers)
				if err != nil {
					return err
				}
				got[fmt.Sprint(era, workers)] = append(got[fmt.Sprint(era, workers)], s)
			}
		}
	}
	fmt.Printf("\n### A REST operation as a tool\n\n| at once | era | calls/s | CPU µs a call | p50 ms | p99 ms |\n|---|---|---|---|---|---|\n")
	for _, workers := range at {
		for _, era := range eras {
			s := got[fmt.Sprint(era, workers)]
			fmt.Printf("| %d | %s | %s | %s | %s | %s |\n", workers, era,
				median(s, "%.0f", func(x sample) float64 { return x.rate }), median(s, "%.0f", func(x sample) float64 { return x.cpu }),
				median(s, "%.2f", func(x sample) float64 { return x.p50 }), median(s, "%.1f", func(x sample) float64 { return x.p99 }))
		}
	}
	return nil
}
