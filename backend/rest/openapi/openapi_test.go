package openapi

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"gatehouse/wire"
)

// TestCases runs testdata/*.txtar. Each holds a document ("openapi.yaml" or .json, and other files it refers to), then
// for calls: "NAME args" with the arguments, and "NAME want" with the request, or with "error: " and a message; and
// "NAME input" or "NAME output" with a schema.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(f)
			if err != nil {
				t.Fatal(err)
			}
			runCase(t, f, a)
		})
	}
}

func runCase(t *testing.T, file string, a *txtar.Archive) {
	parts := map[string]string{}
	for _, p := range a.Files {
		parts[p.Name] = string(p.Data)
	}
	place, doc := "openapi.yaml", parts["openapi.yaml"]
	if doc == "" {
		place, doc = "openapi.json", parts["openapi.json"]
	}
	d, err := Parse("docs/"+place, []byte(doc), Options{Read: func(p string) ([]byte, error) {
		if s, ok := parts[strings.TrimPrefix(p, "docs/")]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}})
	if err != nil {
		if want := strings.TrimSpace(parts["error"]); want == "" || err.Error() != want {
			t.Fatalf("Parse: %v, want %q", err, want)
		}
		return
	}
	update := os.Getenv("UPDATE_GOLDEN") == "1"
	for i, p := range a.Files {
		name, what, ok := strings.Cut(p.Name, " ")
		if !ok || what == "args" {
			continue
		}
		op, _, _ := strings.Cut(name, "#") // several calls of one operation are told apart behind a #
		got := answer(t, d, op, what, parts[name+" args"])
		if update {
			a.Files[i].Data = []byte(got + "\n")
		} else if want := strings.TrimRight(string(p.Data), "\n"); got != want {
			t.Errorf("%s =\n%s\nwant\n%s", p.Name, got, want)
		}
	}
	if update {
		if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

var boundary = regexp.MustCompile(`gatehouse-[A-Z2-7]{26}`)

func answer(t *testing.T, d *Doc, name, what, args string) string {
	if name == "skipped" {
		var out []string
		for _, s := range d.Skipped {
			out = append(out, s.Method+" "+s.Path+": "+s.Reason)
		}
		return strings.Join(out, "\n")
	}
	if name == "names" {
		var out []string
		for _, x := range d.Operations {
			out = append(out, x.Name)
		}
		return strings.Join(out, "\n")
	}
	for _, x := range d.Operations {
		if x.Name != name {
			continue
		}
		p, err := d.Plan(x)
		if err != nil {
			return "error: " + err.Error()
		}
		switch what {
		case "input":
			return string(p.Input)
		case "output":
			return string(p.Output)
		case "base":
			return p.Base
		case "warnings":
			return strings.Join(p.Warnings, "\n")
		}
		if args = strings.TrimSpace(args); wire.Verify([]byte(args), wire.RequestLimits) != nil {
			t.Fatalf("%s: the arguments are no JSON", name)
		}
		r, err := p.Request([]byte(args))
		if err != nil {
			return "error: " + err.Error()
		}
		var b strings.Builder
		b.WriteString(r.Method + " " + r.Path + "\n")
		for _, h := range r.Header {
			if h.Name != "Accept" {
				b.WriteString(h.Name + ": " + h.Value + "\n")
			}
		}
		if r.Body != nil {
			b.WriteString("\n" + string(r.Body))
		}
		return strings.TrimRight(strings.ReplaceAll(boundary.ReplaceAllString(b.String(), "BOUNDARY"), "\r\n", "\n"), "\n")
	}
	t.Fatalf("no operation %s", name)
	return ""
}

// TestPathStays holds the promise that no value leaves its segment.
func TestPathStays(t *testing.T) {
	doc := `{"openapi":"3.0.0","paths":{"/a/{id}/b":{"get":{"operationId":"x","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}]}}}}`
	d, err := Parse("x.json", []byte(doc), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan(d.Operations[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"..", ".", "a/b", "%2e%2e", "%2F", "?x=1", "#f", ";p", "a b", `\`, "ü", "a&b", "..%2f", "%252e", "//", "@host", ":8080", "\r\n", "\x00", "\x7f", ""} {
		r, err := p.Request(wire.Object{{Name: "id", Value: wire.String(v)}}.Bytes())
		if err != nil {
			continue
		}
		if ok, _ := path.Match("/a/*/b", r.Path); !ok || strings.ContainsAny(r.Path, "?#;\\ &@") || path.Clean(r.Path) != r.Path {
			t.Errorf("id %q makes %s", v, r.Path)
		}
	}
	for _, v := range []string{"..", ".", "", "\n", "\x7f"} {
		if _, err := p.Request(wire.Object{{Name: "id", Value: wire.String(v)}}.Bytes()); err == nil {
			t.Errorf("id %q is accepted", v)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range files {
		if a, err := txtar.ParseFile(name); err == nil {
			for _, p := range a.Files {
				if strings.HasPrefix(p.Name, "openapi.") {
					f.Add(p.Data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		late := time.AfterFunc(20*time.Second, func() { panic("it takes too long") })
		defer late.Stop()
		d, err := Parse("x.yaml", b, Options{})
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, x := range d.Operations {
			if !argName.MatchString(x.Name) || seen[x.Name] {
				t.Errorf("name %q", x.Name)
			}
			seen[x.Name] = true
			p, err := d.Plan(x)
			if err != nil {
				continue
			}
			if err := wire.Verify(p.Input, lenient); err != nil {
				t.Errorf("%s: input schema: %v", x.Name, err)
			}
			if p.Output != nil {
				if err := wire.Verify(p.Output, lenient); err != nil {
					t.Errorf("%s: output schema: %v", x.Name, err)
				}
			}
			_, _ = p.Request([]byte(`{}`))
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	doc := `{"openapi":"3.0.0","paths":{"/orders/{id}":{"post":{"operationId":"x","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"expand","in":"query","schema":{"type":"array","items":{"type":"string"}}}],
	"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","properties":{"note":{"type":"string"},"count":{"type":"integer"}}}}}}}}}}`
	d, err := Parse("x.json", []byte(doc), Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := d.Plan(d.Operations[0])
	if err != nil {
		b.Fatal(err)
	}
	args := []byte(`{"id":"a b","expand":["lines","customer"],"note":"hello","count":3}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Request(args); err != nil {
			b.Fatal(err)
		}
	}
}
