package houserules

import (
	"os"
	"path"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"gatehouse/internal/golden"
	"gatehouse/internal/testenv"
)

func TestHouse(t *testing.T) {
	faults, err := Check(os.DirFS(testenv.Root()), House())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
}

// TestCases holds the checks to small trees: each broken rule is found, and nothing else.
func TestCases(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		rules := Rules{
			Module:    "house",
			Libraries: map[string]string{"example.org/paint": "wall", "example.org/paint/red": "door"},
			Tests:     map[string]string{"example.org/probe": "..."},
			Spawns:    map[string]string{},
			Dials:     map[string]string{},
			State:     map[string]string{"door.bell": "rings"},
		}
		present := map[string]bool{}
		for _, f := range c.Files {
			present[path.Dir(f.Name)] = true
		}
		every := strings.Contains(string(c.Comment), "every row")
		for _, p := range []Package{{"door", ""}, {"wall", "door"}, {"wall/*", "wall"}, {"cmd/house", "wall wall/*"}, {"roof/red", "roof/blue"}, {"test/...", "..."}} {
			if present[p.Folder] || strings.ContainsAny(p.Folder, "*.") || every {
				rules.Packages = append(rules.Packages, p)
			}
		}
		tree, err := txtar.FS(&txtar.Archive{Files: c.Files})
		if err != nil {
			t.Fatal(err)
		}
		faults, err := Check(tree, rules)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, f := range faults {
			got.WriteString(f.String() + "\n")
		}
		c.Want(t, "want", got.String())
	})
}

// TestLongFile is apart from the cases: nobody wants to read 601 lines there.
func TestLongFile(t *testing.T) {
	for _, c := range []struct {
		lines int
		why   string
		want  int
	}{{600, "", 0}, {601, "", 1}, {601, "a table", 0}} {
		text := "// Package door opens.\npackage door\n" + strings.Repeat("\n", c.lines-2)
		tree, err := txtar.FS(&txtar.Archive{Files: []txtar.File{{Name: "door/door.go", Data: []byte(text)}}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Check(tree, Rules{Module: "house", Packages: []Package{{"door", ""}}, Long: map[string]string{"door/door.go": c.why}})
		if err != nil || len(got) != c.want {
			t.Errorf("Check of %d lines with reason %q = %v, %v, want %d faults", c.lines, c.why, got, err, c.want)
		}
	}
}
