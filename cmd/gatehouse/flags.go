package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// flags is the flags of one command. Flags may stand before and after the arguments.
type flags struct {
	*flag.FlagSet
	c    *context
	args string
	rest []string // the arguments, once parsed
}

// names is a flag that may be given several times.
type names []string

func (n *names) String() string     { return strings.Join(*n, " ") }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

// flags makes the flag set of a command; args says what the command takes, for its usage. Every command has --json.
func (c *context) flags(name, args string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), c: c, args: args}
	f.SetOutput(io.Discard) // we say it ourselves
	f.BoolVar(&c.json, "json", false, "print results and faults as JSON")
	return f
}

// parse reads the command line and wants least to most arguments. It returns -1, or the exit code when that ends it.
func (f *flags) parse(args []string, least, most int) int {
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			f.usage(f.c.out)
			return ok
		}
		if err != nil {
			return f.wrong(err)
		}
		if args = f.Args(); len(args) == 0 {
			break
		}
		f.rest, args = append(f.rest, args[0]), args[1:]
	}
	help := "gatehouse " + f.Name() + " --help"
	if n := len(f.rest); n > most {
		return f.c.misuse("gatehouse "+f.Name(), "unexpected argument "+quote(f.rest[most]), "run "+help)
	} else if n < least {
		return f.c.misuse("gatehouse "+f.Name(), "something is missing", fmt.Sprintf("write gatehouse %s %s", f.Name(), f.args))
	}
	return -1
}

// wrong says what is wrong with a flag.
func (f *flags) wrong(err error) int {
	msg, hint := err.Error(), "run gatehouse "+f.Name()+" --help"
	if name, found := strings.CutPrefix(msg, "flag provided but not defined: -"); found {
		var known []string
		f.VisitAll(func(x *flag.Flag) { known = append(known, "--"+x.Name) })
		name = strings.TrimPrefix(name, "-")
		msg, hint = "unknown flag --"+name, orHelp("--"+name, known, "gatehouse "+f.Name()+" --help")
	} else if name, found := strings.CutPrefix(msg, "flag needs an argument: -"); found {
		msg, hint = "flag --"+name+" needs a value", "write --"+name+" VALUE"
	} else if before, _, found := strings.Cut(msg, ": parse error"); found {
		msg = strings.Replace(before, "for flag -", "for flag --", 1)
	}
	return f.c.misuse("gatehouse "+f.Name(), msg, hint)
}

func (f *flags) usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: gatehouse %s\n\n", strings.TrimSpace(f.Name()+" "+f.args))
	f.VisitAll(func(x *flag.Flag) {
		kind, doc := flag.UnquoteUsage(x)
		if x.DefValue != "" && x.DefValue != "false" && x.DefValue != "0" {
			doc += " (default " + x.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-20s %s\n", strings.TrimSpace("--"+x.Name+" "+kind), doc)
	})
}
