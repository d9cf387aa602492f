package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string) (*Config, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err == nil {
		return c, ""
	}
	return nil, strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(os.PathSeparator), "")
}

func TestGood(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "tok${env:HOME}")
	c, bad := load(t, "limits: {requestBytes: 8MiB, callTimeout: 30s}\nservers:\n  s:\n    auth: {anonymous: true}\n    sources:\n      - mcp: https://x.example/mcp\n        headers: {Authorization: 'Bearer ${env:GATEHOUSE_TEST_TOKEN}'}\n      - {prefix: b_, command: [npx, -y, pkg]}\n")
	if bad != "" {
		t.Fatal(bad)
	}
	s := c.Servers["s"]
	if c.Limits.RequestBytes != 8<<20 || c.Limits.CallTimeout != 30*time.Second || c.Limits.Depth != 64 || !c.Auth.Keys || !s.Auth.Keys || !s.Auth.Anonymous ||
		s.Sources[0].Headers["Authorization"].Reveal() != "Bearer tok${env:HOME}" || s.Sources[0].Timeout != 30*time.Second || s.Sources[1].Dir != filepath.Dir(c.File) || len(c.Warn) != 1 {
		t.Errorf("config = %+v, server %+v", c, s)
	}
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parse("g.yaml", Instead{}, []byte(text), Seen{})
		_ = told(t, err) // each has a code, a place and a way out
	})
}
