package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// target is one way to the upstream.
type target struct {
	name string
	era  string
	addr string
	path string
	key  string
	pid  int // the process in between; 0 for none
}

// targets starts what stands in between and names the ways, direct first.
func (h *house) targets(ctx context.Context) ([]target, error) {
	var out []target
	for _, era := range []string{"legacy", "modern"} {
		out = append(out, target{"direct", era, h.upstream.addr, "/" + era + "/mcp", "", 0})
	}
	out = append(out, target{"ReverseProxy", "legacy", h.proxy.addr, "/legacy/mcp", "", h.proxy.cmd.Process.Pid})
	where := []struct{ name, parent string }{{"gateway", h.o.data}, {"gateway, record in memory", memoryDir}}
	for _, w := range where {
		if _, err := os.Stat(w.parent); err != nil {
			continue
		}
		g, err := h.prepare(ctx, w.parent)
		if err != nil {
			return nil, err
		}
		p, _, err := h.serve(ctx, g)
		if err != nil {
			return nil, err
		}
		for _, era := range []string{"legacy", "modern"} {
			out = append(out, target{w.name, era, g.addr, "/" + era + "/mcp", g.key, p.cmd.Process.Pid})
		}
	}
	return out, nil
}

// sample is what one measurement of a target came to.
type sample struct {
	rate, ratio         float64 // calls a second; against direct in the same round
	cpu, upstream, load float64 // µs a call
	p50, p99, added     float64 // ms
	others              float64 // share of the processors that went to other programs
}

func (h *house) measureCalls(ctx context.Context) error {
	ts, err := h.targets(ctx)
	if err != nil {
		return err
	}
	at := []int{1, 16, 64}
	got := map[string][]sample{}
	id := func(t target, workers int) string { return fmt.Sprint(t.name, t.era, workers) }
	for range h.o.rounds {
		for _, workers := range at {
			direct := map[string]sample{}
			for _, t := range ts {
				s, err := h.sample(ctx, t, "tools/call", workers)
				if err != nil {
					return err
				}
				if t.name == "direct" {
					direct[t.era] = s
				}
				s.ratio, s.added = s.rate/direct[t.era].rate, s.p50-direct[t.era].p50
				got[id(t, workers)] = append(got[id(t, workers)], s)
			}
		}
	}
	for _, workers := range at {
		fmt.Printf("\n### tools/call, %d at once\n\n| | era | calls/s | × direct | CPU µs a call | p50 ms | added p50 ms | p99 ms |\n|---|---|---|---|---|---|---|---|\n", workers)
		for _, t := range ts {
			s := got[id(t, workers)]
			fmt.Printf("| %s | %s | %s | %s | %s | %s | %s | %s |\n", t.name, t.era,
				median(s, "%.0f", func(x sample) float64 { return x.rate }), median(s, "%.2f", func(x sample) float64 { return x.ratio }),
				median(s, "%.0f", func(x sample) float64 { return x.cpu }), median(s, "%.2f", func(x sample) float64 { return x.p50 }),
				median(s, "%.3f", func(x sample) float64 { return x.added }), median(s, "%.1f", func(x sample) float64 { return x.p99 }))
		}
		s := got[id(ts[0], workers)]
		fmt.Printf("\nDirect costs %s µs in the upstream and %s µs in the load generator a call.\n",
			median(s, "%.0f", func(x sample) float64 { return x.upstream }), median(s, "%.0f", func(x sample) float64 { return x.load }))
	}
	var all []sample
	for _, s := range got {
		all = append(all, s...)
	}
	fmt.Printf("\nOther programs took %s %% of the processors meanwhile: with more than a few, times are upper bounds.\n",
		median(all, "%.0f", func(x sample) float64 { return x.others }))
	return h.afterLoad(ts)
}

// afterLoad says what the gateways hold after the calls.
func (h *house) afterLoad(ts []target) error {
	seen := map[int]bool{0: true}
	fmt.Println()
	for _, t := range ts {
		if seen[t.pid] {
			continue
		}
		seen[t.pid] = true
		m, err := memoryOf(t.pid)
		if err != nil {
			return err
		}
		fmt.Printf("Memory of %s after the calls: %.1f MB (%.1f MB anonymous), %d threads.\n", t.name, mb(m.rss), mb(m.anon), m.threads)
	}
	return nil
}

func (h *house) sample(ctx context.Context, t target, method string, workers int) (sample, error) {
	s := shot{Addr: t.addr, Path: t.path, Key: t.key, Era: t.era, Method: method, Workers: workers, Warm: h.o.window / 5, Window: h.o.window, PIDs: []int{h.upstream.cmd.Process.Pid}}
	if t.pid != 0 {
		s.PIDs = append(s.PIDs, t.pid)
	}
	r, err := h.fire(ctx, s)
	if err != nil {
		return sample{}, err
	}
	a := func(d time.Duration) float64 { return float64(d) / float64(r.Calls) / 1e3 }
	out := sample{
		rate: float64(r.Calls) / r.Wall.Seconds(), upstream: a(r.CPU[0]), load: a(r.Own),
		p50: float64(r.P50) / 1e6, p99: float64(r.P99) / 1e6, others: 100 * r.Others,
	}
	if t.pid != 0 {
		out.cpu = a(r.CPU[1])
	}
	return out, nil
}

// measureLists reads the cost of a list that the gateway holds ready.
func (h *house) measureLists(ctx context.Context) error {
	ts, err := h.targets(ctx)
	if err != nil {
		return err
	}
	ts = slices.DeleteFunc(ts, func(t target) bool { return t.name != "direct" && t.name != "gateway" })
	got := make([][]sample, len(ts))
	for range h.o.rounds {
		for i, t := range ts {
			s, err := h.sample(ctx, t, "tools/list", 16)
			if err != nil {
				return err
			}
			got[i] = append(got[i], s)
		}
	}
	fmt.Printf("\n### tools/list of %d tools, 16 at once\n\n| | era | lists/s | CPU µs a list | p50 ms | p99 ms |\n|---|---|---|---|---|---|\n", tools)
	for i, t := range ts {
		fmt.Printf("| %s | %s | %s | %s | %s | %s |\n", t.name, t.era,
			median(got[i], "%.0f", func(x sample) float64 { return x.rate }), median(got[i], "%.0f", func(x sample) float64 { return x.cpu }),
			median(got[i], "%.2f", func(x sample) float64 { return x.p50 }), median(got[i], "%.1f", func(x sample) float64 { return x.p99 }))
	}
	return nil
}

// measureStart starts the gateway again and again on data that is there already, and looks at it idle.
func (h *house) measureStart(ctx context.Context) error {
	g, err := h.prepare(ctx, h.o.data)
	if err != nil {
		return err
	}
	type one struct{ ms, cpu, rss, anon float64 }
	var all []one
	for range 2 * h.o.rounds {
		p, took, err := start(ctx, g.addr, h.program, "serve", "--config", g.file)
		if err != nil {
			return err
		}
		select {
		case <-time.After(2 * time.Second): // idle, its sources known
		case <-ctx.Done():
			p.stop()
			return ctx.Err()
		}
		m, err := memoryOf(p.cmd.Process.Pid)
		st := p.stop()
		if err != nil {
			return err
		}
		all = append(all, one{float64(took) / 1e6, float64(st.UserTime()+st.SystemTime()) / 1e6, mb(m.rss), mb(m.anon)})
	}
	info, err := os.Stat(h.program)
	if err != nil {
		return err
	}
	fmt.Printf("\n### Start and rest\n\n| | median (least to most of %d) |\n|---|---|\n", len(all))
	fmt.Printf("| start to listening, ms | %s |\n", median(all, "%.0f", func(x one) float64 { return x.ms }))
	fmt.Printf("| CPU of start, 2 s idle and stop, ms | %s |\n", median(all, "%.0f", func(x one) float64 { return x.cpu }))
	fmt.Printf("| resident memory idle, MB | %s |\n| of it anonymous, MB | %s |\n", median(all, "%.1f", func(x one) float64 { return x.rss }), median(all, "%.1f", func(x one) float64 { return x.anon }))
	fmt.Printf("| program, MB | %.1f |\n", float64(info.Size())/1e6)
	return nil
}

// measureSessions opens legacy sessions and leaves them.
func (h *house) measureSessions(ctx context.Context) error {
	g, err := h.prepare(ctx, h.o.data)
	if err != nil {
		return err
	}
	p, _, err := h.serve(ctx, g)
	if err != nil {
		return err
	}
	fmt.Printf("\n### %d idle legacy sessions\n\n| | resident MB | anonymous MB | threads |\n|---|---|---|---|\n", sessions)
	pid := p.cmd.Process.Pid
	var before, after memory
	for _, step := range []struct {
		name  string
		count int
		into  *memory
	}{{"after 100 sessions, at rest", 100, &before}, {fmt.Sprintf("%d more, at rest", sessions), sessions, &after}} {
		s := shot{Addr: g.addr, Path: "/legacy/mcp", Key: g.key, Era: "legacy", Method: "initialize", Workers: 16, Count: step.count, PIDs: []int{pid}}
		if _, err := h.fire(ctx, s); err != nil {
			return err
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		if *step.into, err = memoryOf(pid); err != nil {
			return err
		}
		fmt.Printf("| %s | %.1f | %.1f | %d |\n", step.name, mb(step.into.rss), mb(step.into.anon), step.into.threads)
	}
	fmt.Printf("\nThat is %.2f KB of resident memory a session, garbage included.\n", float64(after.rss-before.rss)*1.024/sessions)
	return nil
}

func mb(kb int) float64 { return float64(kb) * 1024 / 1e6 }

// median writes the median, and the least and most in brackets.
func median[T any](all []T, format string, of func(T) float64) string {
	v := make([]float64, len(all))
	for i := range all {
		v[i] = of(all[i])
	}
	slices.SortFunc(v, cmp.Compare)
	return fmt.Sprintf(format+" ("+format+"–"+format+")", v[len(v)/2], v[0], v[len(v)-1])
}

// describe says on what was measured.
func (h *house) describe(w io.Writer) {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(w, "%s, %d × %s, Linux %s, %s. %d rounds of %s; median (least–most).\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), model,
		strings.TrimSpace(string(kernel)), runtime.Version(), h.o.rounds, h.o.window)
}
