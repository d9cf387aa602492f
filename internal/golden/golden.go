// Package golden compares what tests make with files that people have read. UPDATE_GOLDEN=1 rewrites the files; read the
// difference before you commit it.
package golden

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// Update reports whether the files are to be rewritten.
func Update() bool { return os.Getenv("UPDATE_GOLDEN") == "1" }

// File compares got with the file, or writes the file.
func File(t testing.TB, name string, got []byte) {
	t.Helper()
	if Update() {
		write(t, name, got)
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v\nhint: UPDATE_GOLDEN=1 go test makes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s\nhint: if it should be so, run the test with UPDATE_GOLDEN=1 and read the difference", name, diff)
	}
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, b) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Case is one txtar file: a comment that says what it shows, and sections.
type Case struct {
	*txtar.Archive
	file string
}

// Cases runs f for every file that the pattern names; there must be one.
func Cases(t *testing.T, pattern string, f func(t *testing.T, c *Case)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases %s: %v", pattern, err)
	}
	for _, name := range files {
		base := filepath.Base(name)
		t.Run(base[:len(base)-len(filepath.Ext(base))], func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(bytes.TrimSpace(a.Comment)) == 0 {
				t.Errorf("%s does not say what it shows", name)
			}
			f(t, &Case{a, name})
		})
	}
}

// Section returns a section's text, "" when there is none.
func (c *Case) Section(name string) string {
	for _, f := range c.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// Want compares got with a section, or writes the section. Sections end in a new line.
func (c *Case) Want(t testing.TB, name, got string) {
	t.Helper()
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	if !Update() {
		if diff := cmp.Diff(c.Section(name), got); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", c.file, name, diff)
		}
		return
	}
	for i := range c.Files {
		if c.Files[i].Name == name {
			c.Files[i].Data = []byte(got)
			write(t, c.file, txtar.Format(c.Archive))
			return
		}
	}
	c.Files = append(c.Files, txtar.File{Name: name, Data: []byte(got)})
	write(t, c.file, txtar.Format(c.Archive))
}
