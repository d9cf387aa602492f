package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gatehouse"
	"gatehouse/backend"
	"gatehouse/backend/rest"
	"gatehouse/config"
)

// manyTools is the number of tools from which a list would fill a model's context.
const manyTools = 150

// runImport reads the description of an API, says what becomes of it and writes a configuration.
func runImport(c *context, args []string) int {
	f := c.flags("import", "openapi FILE|URL [--report] [--out FILE]")
	report := f.Bool("report", false, "say what becomes of every operation")
	out := f.String("out", "", "write a configuration to `FILE`, which must not exist")
	at := f.String("url", "", "`URL` of the API, instead of the document's first server")
	if code := f.parse(args, 2, 2); code >= 0 {
		return code
	}
	if f.rest[0] != "openapi" {
		return c.misuse("gatehouse import", "unknown kind "+quote(f.rest[0]), "write gatehouse import openapi FILE")
	}
	src := config.Source{OpenAPI: f.rest[1], URL: *at, Schemas: "defs"}
	if !src.Remote() {
		abs, err := filepath.Abs(src.OpenAPI)
		if err != nil {
			return c.fail(err)
		}
		src.OpenAPI = abs
	}
	r, err := rest.Inspect(src, backend.Env{
		Server: "import", Label: "1", Log: slog.New(slog.DiscardHandler), Limits: config.DefaultLimits, Now: time.Now, Emit: func(backend.Event) {},
	})
	if err != nil {
		return c.fail(err)
	}
	if *out != "" {
		if err := writeImport(*out, src, r); err != nil {
			return c.fail(err)
		}
	}
	if c.json {
		return c.print(r)
	}
	tools := 0
	for _, o := range r.Operations {
		if o.Tool != "" {
			tools++
		}
	}
	if *report {
		for _, o := range r.Operations {
			reportLine(c.out, o)
		}
	}
	fmt.Fprintf(c.out, "%s %s (OpenAPI %s): %d of %d operations become tools\n", flat(r.Title), flat(r.Version), r.OpenAPI, tools, len(r.Operations))
	for _, w := range r.Warnings {
		fmt.Fprintf(c.out, "note: %s\n", flat(w))
	}
	switch {
	case *out != "":
		fmt.Fprintf(c.out, "%s is written; look at it, then run gatehouse serve --config %s\n", *out, *out)
	case !*report:
		fmt.Fprintln(c.out, "say --report to see each operation, --out FILE to write a configuration")
	}
	return ok
}

func reportLine(w io.Writer, o rest.Outcome) {
	if o.Tool == "" {
		fmt.Fprintf(w, "%-40s %-7s %s\n    left out: %s\n", "-", flat(o.Method), flat(o.Path), flat(o.Reason))
		return
	}
	fmt.Fprintf(w, "%-40s %-7s %s\n    %s; schema of %d bytes\n", o.Tool, flat(o.Method), flat(o.Path), o.Risk, o.InputBytes)
	for _, x := range o.Warnings {
		fmt.Fprintf(w, "    note: %s\n", flat(x))
	}
}

// flat is text of a document for one line of a terminal.
func flat(s string) string { return clean(strings.Join(strings.Fields(s), " ")) }

var notName = regexp.MustCompile(`[^a-z0-9]+`)

// writeImport writes a configuration that publishes the API.
func writeImport(file string, src config.Source, r *rest.Report) error {
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(r.Title), "-"), "-")
	name = strings.Trim(name[:min(len(name), 40)], "-")
	tools := 0
	for _, o := range r.Operations {
		if o.Tool != "" {
			tools++
		}
	}
	place := src.OpenAPI
	if !src.Remote() {
		if dir, err := filepath.Abs(filepath.Dir(file)); err == nil {
			if rel, err := filepath.Rel(dir, place); err == nil {
				place = filepath.ToSlash(rel)
			}
		}
		if filepath.IsLocal(place) {
			place = "./" + place
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by gatehouse import openapi.\nservers:\n  %s:\n    title: %s\n    sources:\n      - openapi: %q\n", cmp.Or(name, "api"), quoted(r.Title), place)
	switch {
	case src.URL != "":
		fmt.Fprintf(&b, "        url: %q\n", src.URL)
	case r.Server != "" && !strings.ContainsAny(r.Server, "{}"):
		fmt.Fprintf(&b, "        url: %s\n", quoted(r.Server))
	default:
		b.WriteString("        # The document does not say where the API is.\n        url: https://api.example.org\n")
	}
	if tools > manyTools {
		fmt.Fprintf(&b, "        expose: search # %d tools are too many for a list\n", tools)
	}
	if len(r.Schemes) > 0 {
		b.WriteString("        # The document's security schemes. Uncomment what you have a credential for.\n        # auth:\n")
		for _, s := range r.Schemes {
			if s.Auth == "" {
				fmt.Fprintf(&b, "        #   %s of type %s cannot be satisfied\n", quoted(s.Name), quoted(s.Type))
			} else {
				fmt.Fprintf(&b, "        #   %s: %s\n", quoted(s.Name), s.Auth)
			}
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &gatehouse.Error{Code: "cli.file", Pos: gatehouse.Pos{File: file}, Msg: "cannot be written: " + osReason(err), Hint: "name a file that does not exist with --out"}
	}
	_, err = f.WriteString(b.String())
	return errors.Join(err, f.Close())
}

// quoted is text of a document for the configuration: data, in which nothing refers to the environment.
func quoted(s string) string { return strconv.Quote(strings.ReplaceAll(s, "${", "$ {")) }

// osReason is the system's word without the path.
func osReason(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
