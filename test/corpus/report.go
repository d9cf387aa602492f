package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Totals are the figures of one group of documents.
type Totals struct {
	Group      string  `json:"group"`
	Documents  int     `json:"documents"`
	Whole      int     `json:"whole"` // documents in which every operation is right
	Operations int     `json:"operations"`
	Right      int     `json:"right"`
	Skipped    int     `json:"skipped"`
	Unsampled  int     `json:"unsampled"`
	Undefined  int     `json:"undefined"`
	Samples    int     `json:"samples"`
	Crashes    int     `json:"crashes"`
	Mean       float64 `json:"mean"` // of the documents' shares of right operations
	sum        float64
	counted    int
}

func (t *Totals) add(r *DocResult) {
	t.Documents++
	t.Operations += r.Operations
	t.Right += r.OK
	t.Undefined += r.Undefined
	t.Samples += r.Samples
	if r.Crashed {
		t.Crashes++
	}
	if r.OK == r.Operations && r.Fault == "" {
		t.Whole++
	}
	if r.Operations > 0 {
		t.sum += float64(r.OK) / float64(r.Operations)
		t.counted++
		t.Mean = t.sum / float64(t.counted)
	}
	for _, o := range r.Outcomes {
		switch {
		case len(o.Faults) > 0:
		case o.Skipped != "":
			t.Skipped++
		default:
			t.Unsampled++
		}
	}
}

// Share is the part of the operations that are right, in percent.
func (t *Totals) Share() float64 {
	if t.Operations == 0 {
		return 100
	}
	return 100 * float64(t.Right) / float64(t.Operations)
}

// Class is one way to fail, or one reason to leave out, with some of its operations.
type Class struct {
	Name     string    `json:"name"`
	Count    int       `json:"operations"`
	Docs     int       `json:"documents"`
	Examples []Example `json:"examples"`
	last     string
}

// Example is one operation.
type Example struct {
	Document  string `json:"document"`
	Operation string `json:"operation"`
	Msg       string `json:"msg"`
	Args      string `json:"args,omitempty"`
}

// Report is the result of a run.
type Report struct {
	Groups  []*Totals     `json:"groups"`
	Classes []*Class      `json:"classes"`
	Faults  []string      `json:"documents"` // documents that are none, or could not be read
	Slowest []string      `json:"slowest"`
	Memory  []memory      `json:"memory,omitempty"`
	Elapsed time.Duration `json:"elapsed"`
}

// groups are the collections with figures of their own: the first step of a document's name.
func groups() []string {
	return []string{"azure.com", "microsoft.com", "amazonaws.com", "googleapis.com", "github.com", "octokit", "hand-made"}
}

func group(name string) string {
	if g, _, ok := strings.Cut(name, "/"); ok && slices.Contains(groups(), g) {
		return g
	}
	return "others"
}

func report(results []*DocResult, examples int) *Report {
	all := &Totals{Group: "all"}
	parts := map[string]*Totals{}
	classes := map[string]*Class{}
	rep := &Report{}
	for _, r := range results {
		all.add(r)
		name := group(r.Name)
		if parts[name] == nil {
			parts[name] = &Totals{Group: name}
		}
		parts[name].add(r)
		if r.Fault != "" {
			rep.Faults = append(rep.Faults, r.Name+": "+r.Fault)
		}
		for _, o := range r.Outcomes {
			for _, f := range o.classes() {
				c := classes[f.Class]
				if c == nil {
					c = &Class{Name: f.Class}
					classes[f.Class] = c
				}
				c.Count++
				if c.last != r.Name {
					c.Docs++
				}
				if len(c.Examples) < examples && (c.last != r.Name || examples > 10) {
					c.Examples = append(c.Examples, Example{r.Name, o.Operation, f.Msg, f.Args})
				}
				c.last = r.Name
			}
		}
	}
	rep.Groups = []*Totals{all}
	for _, g := range append(groups(), "others") {
		if parts[g] != nil {
			rep.Groups = append(rep.Groups, parts[g])
		}
	}
	for _, c := range classes {
		rep.Classes = append(rep.Classes, c)
	}
	slices.SortFunc(rep.Classes, func(a, b *Class) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	slow := slices.Clone(results)
	slices.SortStableFunc(slow, func(a, b *DocResult) int { return cmp.Compare(b.Spent, a.Spent) })
	for _, r := range slow[:min(5, len(slow))] {
		rep.Slowest = append(rep.Slowest, fmt.Sprintf("%s: %.1f s, %d operations, %d samples", r.Name, r.Spent.Seconds(), r.Operations, r.Samples))
	}
	return rep
}

// classes are the ways an operation failed, each once, with the first example.
func (o *Outcome) classes() []Fault {
	var out []Fault
	for _, f := range o.Faults {
		if !slices.ContainsFunc(out, func(x Fault) bool { return x.Class == f.Class }) {
			out = append(out, f)
		}
	}
	if len(out) == 0 && o.Skipped != "" {
		out = append(out, Fault{Class: "left out", Msg: o.Skipped})
	}
	if len(out) == 0 && o.Unsampled != "" {
		out = append(out, Fault{Class: "no sample", Msg: o.Unsampled})
	}
	return out
}

func (r *Report) text(w io.Writer) {
	fmt.Fprintf(w, "%-16s %9s %9s %10s %10s %8s %8s %9s %9s %9s %7s %7s\n", "group", "documents", "whole", "operations", "right", "share", "mean", "left out", "no sample", "undefined", "samples", "crashes")
	for _, t := range r.Groups {
		fmt.Fprintf(w, "%-16s %9d %9d %10d %10d %7.2f%% %7.2f%% %9d %9d %9d %7d %7d\n", t.Group, t.Documents, t.Whole, t.Operations, t.Right, t.Share(), 100*t.Mean, t.Skipped, t.Unsampled, t.Undefined, t.Samples, t.Crashes)
	}
	for _, c := range r.Classes {
		fmt.Fprintf(w, "\n%s: %d operations in %d documents\n", c.Name, c.Count, c.Docs)
		for _, e := range c.Examples {
			fmt.Fprintf(w, "  %s  %s\n    %s\n", e.Document, e.Operation, e.Msg)
			if e.Args != "" {
				fmt.Fprintf(w, "    arguments %s\n", e.Args)
			}
		}
	}
	if len(r.Faults) > 0 {
		fmt.Fprintf(w, "\ndocuments\n")
		for _, f := range r.Faults {
			fmt.Fprintf(w, "  %s\n", f)
		}
	}
	fmt.Fprintf(w, "\nslowest, the mapping's own time\n")
	for _, s := range r.Slowest {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, m := range r.Memory {
		fmt.Fprintf(w, "  %s\n", m)
	}
	fmt.Fprintf(w, "\n%.0f s in all\n", r.Elapsed.Seconds())
}

func (r *Report) json(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}
