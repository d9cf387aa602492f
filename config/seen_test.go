package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSeen: a reader of a faulty file knows what to wait for.
func TestSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "g.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := func(s Seen) string {
		var out []string
		for _, f := range s.Files() {
			out = append(out, filepath.Base(f))
		}
		return strings.Join(out, " ")
	}
	_, seen, err := Read(path, Instead{})
	if err == nil || names(seen) != "g.yaml" || !seen.Equal(seen.Now()) {
		t.Errorf("Read of nothing sees %q, %v", names(seen), err)
	}
	write("g.yaml", "tls: {cert: c.pem, key: k.pem}\nservers: {s: {sources: [{mcp: 'http://127.0.0.1:1/', headers: {A: '${file:token}'}}]}}\n")
	if seen.Equal(seen.Now()) {
		t.Error("a file that has come is not seen")
	}
	_, seen, err = Read(path, Instead{})
	if err == nil || names(seen) != "c.pem g.yaml k.pem token" {
		t.Errorf("Read sees %q, %v", names(seen), err)
	}
	for _, name := range []string{"c.pem", "k.pem", "token"} {
		before := seen.Now()
		write(name, "x")
		if before.Equal(seen.Now()) {
			t.Errorf("%s has come and is not seen", name)
		}
	}
	c, seen, err := Read(path, Instead{Listen: "127.0.0.1:9"})
	if err != nil || c.Listen != "127.0.0.1:9" || !slices.Contains(seen.Files(), path) {
		t.Fatalf("Read = %v, sees %q", err, names(seen))
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil || seen.Equal(seen.Now()) {
		t.Errorf("a file written again is not seen, %v", err)
	}
}
