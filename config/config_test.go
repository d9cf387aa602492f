package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
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

const one = "servers: {s: {sources: [{mcp: 'http://127.0.0.1:1/mcp'}]}}\n"

func TestBad(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_TOKEN", "t")
	for text, want := range map[string]string{
		"":                  "g.yaml:1:1: the file is empty",
		"servers: [":        "g.yaml:1:1: not valid YAML",
		"a: 1\n" + one:      `g.yaml:1:1: unknown key "a"`,
		"lisen: x\n" + one:  `g.yaml:1:1: unknown key "lisen"`,
		"listen: x\n" + one: `g.yaml:1:9: listen: "x" is no address to listen on`,
		one + "listen: :0\nlisten: 127.0.0.1:1\n":                         `g.yaml:3:1: key "listen" is here and at line 2`,
		"listen: 0.0.0.0:1\nauth: {keys: false, anonymous: true}\n" + one: "g.yaml:1:9: listen: 0.0.0.0:1 is reachable from the network and nobody has to sign in",
		"auth: {keys: maybe}\n" + one:                                     `g.yaml:1:14: auth.keys: "maybe" is neither true nor false`,
		"auth: {keys: false}\n" + one:                                     "g.yaml:1:7: auth: nobody could sign in",
		"limits: {callTimeout: soon}\n" + one:                             `g.yaml:1:23: limits.callTimeout: "soon" is no duration`,
		"limits: {requestBytes: 4MB}\n" + one:                             `g.yaml:1:24: limits.requestBytes: "4MB" is no whole number`,
		"limits: {depth: 0}\n" + one:                                      "g.yaml:1:17: limits.depth: must be more than 0",
		"publicURL: example.org\n" + one:                                  `g.yaml:1:12: publicURL: "example.org" is no scheme and host`,
		"tls: {cert: /nowhere/x}\n" + one:                                 "g.yaml:1:6: tls: cert and key belong together",
		"data: ${env:GATEHOUSE_TEST_NOT_SET}\n" + one:                     "g.yaml:1:7: environment variable GATEHOUSE_TEST_NOT_SET is not set",
		"data: ${what:x}\n" + one:                                         `g.yaml:1:7: "${what:x" is no reference`,
		"sealingKey: abc\n" + one:                                         "g.yaml:1:13: sealingKey: a secret must not stand in the file",
		"sealingKey: ${env:GATEHOUSE_TEST_TOKEN}\n" + one:                 "g.yaml:1:13: sealingKey: not 32 bytes in base64",
		"servers: {}\n":                                                   "g.yaml:1:10: no server is published",
		"servers: {a b: {sources: [{mcp: 'http://x/'}]}}\n":               `g.yaml:1:11: "a b" cannot be the name of a server`,
		"servers: {s: {}}\n":                                              "g.yaml:1:11: server s has no sources",
		"servers: {s: {sources: [{}]}}\n":                                 "g.yaml:1:25: a source needs mcp or command",
		"servers: {s: {sources: [{mcp: 'http://x/', command: [y]}]}}\n":   "g.yaml:1:25: a source has either mcp or command, not both",
		"servers: {s: {sources: [{mcp: 'ftp://x/'}]}}\n":                  `g.yaml:1:31: mcp: "ftp://x/" is no http or https URL`,
		"servers: {s: {sources: [{mcp: 'http://x/', era: old}]}}\n":       `g.yaml:1:49: era: "old" is none of auto, legacy, modern, sse`,
		"servers: {s: {sources: [{mcp: 'http://x/', prefix: a}, {mcp: 'http://y/', prefix: a}]}}\n": `g.yaml:1:83: prefix: "a" is the prefix of the source at g.yaml:1:25 too`,
		"servers: {s: {sources: [{mcp: 'http://x/', headers: {A: b}}]}}\n":                          "a secret must not stand in the file",
		"x: &a 1\ny: *a\n" + one: `g.yaml:1:1: unknown key "x"`,
		"data: &a d\n" + one:     "g.yaml:1:7: anchors and aliases are not supported",
		one + "---\n" + one:      "the file holds several YAML documents",
	} {
		_, got := load(t, text)
		if !strings.Contains(got, want) {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestEveryFaultInOneRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(path, []byte("lisen: x\nlimits: {depth: x}\nservers: {s: {sources: [{}]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path)
	n := 0
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		if ge, ok := errors.AsType[*gatehouse.Error](e); ok && ge.Pos.Line > 0 && ge.Hint != "" {
			n++
		}
	}
	if n != 3 || !strings.Contains(err.(interface{ Unwrap() []error }).Unwrap()[0].(*gatehouse.Error).Hint, `"listen"`) {
		t.Errorf("%d faults with place and hint, want 3: %v", n, err)
	}
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
	f.Add(one)
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parse("g.yaml", "", []byte(text))
		if err == nil {
			return
		}
		list := []error{err}
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			list = j.Unwrap()
		}
		for _, e := range list {
			if ge, ok := errors.AsType[*gatehouse.Error](e); !ok || ge.Pos.Line < 1 || ge.Code == "" {
				t.Errorf("a fault without place or code: %v", e)
			}
		}
	})
}
