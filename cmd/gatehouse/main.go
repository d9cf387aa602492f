// Command gatehouse lets AI agents use an organisation's systems over the Model Context Protocol, under its rules.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"gatehouse"
)

// Exit codes.
const (
	ok     = 0
	failed = 1 // the operation failed
	usage  = 2 // wrong usage
)

// command is one subcommand. Its flags are on the flag set it makes.
type command struct {
	name, args, doc string
	run             func(c *context, args []string) int
}

// context is what a command reads and writes.
type context struct {
	in       io.Reader
	out, err io.Writer
}

func commands() []command {
	return []command{
		{"serve", "[--config FILE] [--listen ADDR]", "serve everything the file publishes", runServe},
		{"stdio", "--server NAME [--config FILE]", "serve one published server on standard input and output", runStdio},
		{"call", "URL|SERVER [TOOL] [--arg k=v]…", "list or call tools of any MCP server", runCall},
		{"config", "check FILE", "say all that starting would say", runConfig},
		{"keys", "create NAME | list | rotate NAME | revoke ID", "make and end access keys", runKeys},
		{"version", "", "print the version", runVersion},
	}
}

func main() {
	os.Exit(run(&context{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:]))
}

func run(c *context, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		printUsage(c.out)
		if len(args) == 0 {
			return usage
		}
		return ok
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			return cmd.run(c, args[1:])
		}
	}
	fmt.Fprintf(c.err, "gatehouse: unknown command %q\nhint: run gatehouse help\n", args[0])
	return usage
}

func printUsage(w io.Writer) {
	fmt.Fprintln(w, "Usage: gatehouse COMMAND\n\nCommands:")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-52s %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.doc)
	}
}

// flags is a flag set that prints the command's own usage.
func (c *context) flags(name, args string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(c.err)
	f.Usage = func() {
		fmt.Fprintf(c.err, "Usage: gatehouse %s %s\n", name, args)
		f.PrintDefaults()
	}
	return f
}

// parse takes flags before and after the arguments, and returns the arguments.
func parse(f *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		args = f.Args()
		if len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// fail prints every fault of err with its place and its hint.
func (c *context) fail(err error) int {
	for _, e := range split(err) {
		fmt.Fprintf(c.err, "%v\n", e)
		var ge *gatehouse.Error
		if errors.As(e, &ge) && ge.Hint != "" {
			fmt.Fprintf(c.err, "hint: %s\n", ge.Hint)
		}
	}
	return failed
}

func split(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, split(e)...)
		}
		return out
	}
	return []error{err}
}

func runVersion(c *context, _ []string) int {
	rev := ""
	if info, found := debug.ReadBuildInfo(); found {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				rev = " (" + s.Value[:min(12, len(s.Value))] + ")"
			}
		}
	}
	fmt.Fprintf(c.out, "gatehouse %s%s\n", gatehouse.Version, rev)
	return ok
}
