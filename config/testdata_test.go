package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/internal/golden"
)

func setenv(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "hunter2${env:HOME}")
	t.Setenv("GATEHOUSE_TEST_SEALING", base64.StdEncoding.EncodeToString(make([]byte, 32)))
}

// told writes every fault as the command line does, without the folder.
func told(t *testing.T, err error) string {
	t.Helper()
	var list []error
	switch e := err.(type) {
	case nil:
		return ""
	case interface{ Unwrap() []error }:
		list = e.Unwrap()
	default:
		list = []error{e}
	}
	var b strings.Builder
	for _, e := range list {
		ge, ok := errors.AsType[*gatehouse.Error](e)
		if !ok || ge.Code == "" || ge.Pos.Line < 1 || ge.Pos.Col < 1 || ge.Hint == "" {
			t.Errorf("a fault without code, place or way out: %+v", e)
			continue
		}
		fmt.Fprintf(&b, "%v [%s]\nhint: %s\n", ge, ge.Code, ge.Hint)
	}
	out := filepath.ToSlash(b.String())
	if strings.Contains(out, "hunter2") {
		t.Errorf("a message shows a value of the environment:\n%s", out)
	}
	return strings.ReplaceAll(out, "testdata/", "")
}

// TestFiles: every bad file has its messages, each good one its warnings, in the file beside it.
func TestFiles(t *testing.T) {
	setenv(t)
	for _, kind := range []string{"good", "bad"} {
		files, err := filepath.Glob("testdata/*." + kind + ".yaml")
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s files: %v", kind, err)
		}
		for _, name := range files {
			t.Run(filepath.Base(name), func(t *testing.T) {
				c, err := Load(name)
				if (err == nil) != (kind == "good") {
					t.Fatalf("Load = %v", err)
				}
				if err == nil {
					err = errors.Join(c.Warn...)
				}
				golden.File(t, strings.TrimSuffix(name, ".yaml")+".want", []byte(told(t, err)))
			})
		}
	}
}

// TestBounds: what is too large or too deep ends soon, with a place.
func TestBounds(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"brackets", strings.Repeat("[", maxFile-1), "nested too deeply"},
		{"braces", strings.Repeat("{a: ", maxFile/4), "nested too deeply"},
		{"lists", strings.Repeat("- ", maxFile/2), "nested too deeply"},
		{"deep", "data: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n", "1:107: not valid YAML: nested too deeply"},
		{"many", "origins: [" + strings.Repeat("a,", maxNodes+1) + "]\n", "more than 50000 values"},
		{"unknown keys", strings.Repeat("x: 1\n", maxNodes), "more than 50000 values"},
		{"one long key", strings.Repeat("k", 1000) + ": 1\n", `unknown key "kkkk`},
		{"one long value", "listen: " + strings.Repeat("k", maxFile/2) + "\n", `listen: "kkkk`},
	} {
		start := time.Now()
		_, err := parse("g.yaml", Instead{}, []byte(c.text), Seen{})
		got := told(t, err)
		if !strings.Contains(got, c.want) || len(got) > 4096 {
			t.Errorf("%s: %d bytes of %.300s, want %s", c.name, len(got), got, c.want)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s takes %v", c.name, d)
		}
	}
}
