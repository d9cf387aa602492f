// Command bench measures what the gateway costs: it starts a trivial MCP server, a reverse proxy as a reference and the
// gateway as processes of their own on loopback, sends them the same calls in interleaved rounds, and prints the medians.
// It takes a bounded number of rounds of a bounded time, and touches nothing but 127.0.0.1 and a temporary folder.
//
//	go run ./test/bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	run := map[string]func([]string) error{"load": runLoad, "upstream": runUpstream, "proxy": runProxy}
	var err error
	if len(os.Args) > 1 && run[os.Args[1]] != nil {
		err = run[os.Args[1]](os.Args[2:])
	} else {
		err = runAll()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options bound a run.
type options struct {
	rounds int
	window time.Duration
	data   string // parent of the gateway's data folder: where the record is synced
	only   string // parts to run, comma separated
	build  string // a gateway to measure instead of building one
}

const (
	maxRounds = 20
	maxWindow = 10 * time.Second
	tools     = 100 // of the upstream's list
	sessions  = 10_000
	memoryDir = "/dev/shm" // a file system in memory, to tell the disk's share from ours
)

func runAll() error {
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; each measures every target once, at most 20")
	flag.DurationVar(&o.window, "window", 1500*time.Millisecond, "time of one measurement, at most 10s")
	flag.StringVar(&o.data, "data", os.TempDir(), "folder on the disk the record is to be synced to")
	flag.StringVar(&o.only, "only", "calls,rest,lists,start,sessions", "parts to run")
	flag.StringVar(&o.build, "gatehouse", "", "gateway program to measure (default: build ./cmd/gatehouse, stripped)")
	flag.Parse()
	if o.rounds < 1 || o.rounds > maxRounds || o.window < 100*time.Millisecond || o.window > maxWindow || flag.NArg() > 0 {
		flag.Usage()
		return fmt.Errorf("rounds must be 1 to %d and window 100ms to %s", maxRounds, maxWindow)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	h, err := newHouse(ctx, o)
	if err != nil {
		return err
	}
	defer h.close()
	parts := []struct {
		name string
		run  func(context.Context) error
	}{{"start", h.measureStart}, {"calls", h.measureCalls}, {"rest", h.measureREST}, {"lists", h.measureLists}, {"sessions", h.measureSessions}}
	h.describe(os.Stdout)
	for _, p := range parts {
		if !strings.Contains(","+o.only+",", ","+p.name+",") {
			continue
		}
		if err := p.run(ctx); err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
	}
	return nil
}
