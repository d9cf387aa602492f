// Command gatehouse lets AI agents use an organisation's systems over the Model Context Protocol, under its rules.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"gatehouse"
	"gatehouse/internal/spelling"
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
	json     bool // --json: results and faults are for machines
}

func commands() []command {
	return []command{
		{"serve", "[--config FILE] [--listen ADDR] [--data DIR]", "serve everything the file publishes", runServe},
		{"stdio", "--server NAME [--config FILE]", "serve one published server on standard input and output", runStdio},
		{"call", "URL|SERVER [TOOL] [--arg k=v]…", "list or call tools of any MCP server", runCall},
		{"import", "openapi FILE|URL [--report] [--out FILE]", "say what becomes of an API, and write a configuration", runImport},
		{"config", "check FILE | schema", "say all that starting would say", runConfig},
		{"keys", "create NAME | list | rotate NAME | revoke ID", "make and end access keys", runKeys},
		{"version", "", "print the version", runVersion},
	}
}

func main() {
	os.Exit(run(&context{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:]))
}

func run(c *context, args []string) int {
	if len(args) == 0 {
		printUsage(c.err)
		return usage
	}
	var known []string
	for _, cmd := range commands() {
		known = append(known, cmd.name)
	}
	name, rest := args[0], args[1:]
	if name == "help" && len(rest) > 0 { // gatehouse help keys
		name, rest = rest[0], []string{"--help"}
	}
	switch name {
	case "help", "-h", "-help", "--help":
		printUsage(c.out)
		return ok
	case "--version", "-version":
		name = "version"
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd.run(c, rest)
		}
	}
	return c.misuse("gatehouse", "unknown command "+quote(name), orHelp(name, known, "gatehouse help"))
}

func quote(s string) string { return fmt.Sprintf("%.100q", s) }

// orHelp is the way out of a name that is not known.
func orHelp(word string, known []string, help string) string {
	if near := spelling.Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "run " + help
}

func printUsage(w io.Writer) {
	fmt.Fprintln(w, "Usage: gatehouse COMMAND\n\nCommands:")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  %-52s %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.doc)
	}
	fmt.Fprintln(w, "\ngatehouse COMMAND --help tells a command's flags.\nExit status: 0 is success, 1 a failed operation, 2 wrong usage.")
}

func runVersion(c *context, args []string) int {
	f := c.flags("version", "")
	if code := f.parse(args, 0, 0); code >= 0 {
		return code
	}
	rev := ""
	if info, found := debug.ReadBuildInfo(); found {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				rev = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	if c.json {
		return c.print(struct {
			Version  string `json:"version"`
			Revision string `json:"revision,omitempty"`
		}{gatehouse.Version, rev})
	}
	if rev != "" {
		rev = " (" + rev + ")"
	}
	fmt.Fprintf(c.out, "gatehouse %s%s\n", gatehouse.Version, rev)
	return ok
}
