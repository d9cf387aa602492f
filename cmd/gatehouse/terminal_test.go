package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/golden"
)

// TestTerminal: what a server asks, what a person types, what the person sees and what is answered.
func TestTerminal(t *testing.T) {
	golden.Cases(t, "testdata/terminal/*.txtar", func(t *testing.T, c *golden.Case) {
		var shown strings.Builder
		term := &terminal{in: bufio.NewReader(strings.NewReader(c.Section("typed"))), out: &shown, person: true}
		answer, err := term.Ask(t.Context(), strings.TrimSpace(c.Section("method")), []byte(strings.TrimSpace(c.Section("params"))))
		said := string(answer)
		if err != nil {
			said = "error: " + err.Error()
		}
		c.Want(t, "shown", shown.String())
		c.Want(t, "answer", said+"\n")
	})
}

func TestRoots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my notes")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	term := &terminal{}
	if err := term.addRoot(dir); err != nil {
		t.Fatal(err)
	}
	got, err := term.Ask(t.Context(), "roots/list", nil)
	want := `{"roots":[{"uri":"file://` + strings.ReplaceAll(filepath.ToSlash(dir), " ", "%20") + `","name":"my notes"}]}`
	if err != nil || string(got) != want {
		t.Errorf("roots/list = %s, %v, want %s", got, err, want)
	}
}

// TestNobody: /dev/null, a pipe and a file are no persons.
func TestNobody(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for name, x := range map[string]any{"/dev/null": null, "a pipe": r, "a buffer": strings.NewReader("")} {
		if isTerminal(x) {
			t.Errorf("%s is taken for a person", name)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\nc":                   "a\tb\nc",
		"\x1b[2J\x1b]0;title\x07":   "·[2J·]0;title·",
		"\u009b31m":                 "·31m",
		"abc\u202egnp.exe":          "abc·gnp.exe",
		"größer – ✓":                "größer – ✓",
		"\r overwritten \x7f\u2066": "· overwritten ··",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}
