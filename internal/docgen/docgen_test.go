package docgen

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/audit"
	"gatehouse/config"
	"gatehouse/internal/golden"
	"gatehouse/internal/testenv"
)

func page(name string) string {
	return filepath.Join(testenv.Root(), "docs", "reference", name)
}

func structs(t *testing.T) []Struct {
	t.Helper()
	s, err := Structs(os.DirFS(filepath.Join(testenv.Root(), "config")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConfigPage(t *testing.T) {
	text, err := Page(structs(t), "Config")
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, page("config.md"), text)
}

func TestConfigSchema(t *testing.T) {
	schema, err := Schema(structs(t), "Config")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(schema) {
		t.Fatalf("not JSON: %s", schema)
	}
	golden.File(t, page("config.schema.json"), schema)
	golden.File(t, filepath.Join(testenv.Root(), "config", "config.schema.json"), schema) // what the binary prints
}

// TestDefaults: the comments say the defaults that the values have.
func TestDefaults(t *testing.T) {
	docs := index(structs(t))
	checked := 0
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key := f.Tag.Get("yaml")
			if key == "" || key == "-" || v.Field(i).IsZero() {
				continue
			}
			if v.Field(i).Kind() == reflect.Struct {
				walk(v.Field(i))
				continue
			}
			for _, d := range docs[v.Type().Name()].Fields {
				if d.Key != key {
					continue
				}
				checked++
				if want := plain(v.Field(i).Interface()); strings.TrimPrefix(d.Default, "./") != want {
					t.Errorf("%s.%s: the comment says %q, the default is %s", v.Type().Name(), key, d.Default, want)
				}
			}
		}
	}
	walk(reflect.ValueOf(*config.Default()))
	if checked < 20 {
		t.Errorf("%d defaults found, want at least 20", checked)
	}
}

// plain writes a value as the comments do.
func plain(v any) string {
	var n int64
	switch x := v.(type) {
	case time.Duration:
		s := x.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	case int:
		n = int64(x)
	case int64:
		n = x
	default:
		return fmt.Sprint(v)
	}
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 4<<10 && n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10)
}

func TestCodesPage(t *testing.T) {
	tree := os.DirFS(testenv.Root())
	codes, err := Codes(tree)
	if err != nil {
		t.Fatal(err)
	}
	text, err := CodesPage(codes)
	if err != nil {
		t.Fatal(err)
	}
	// The words may lag behind the source until the page is made again, for no two people should have to merge them; the
	// codes may not. With everything required, as in CI, the words may not either.
	if golden.Update() || os.Getenv("GATEHOUSE_TEST_REQUIRE") == "1" {
		golden.File(t, page("errors.md"), text)
	}
	have, err := os.ReadFile(page("errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| `([^`]+)`")
	listed, found := map[string]bool{}, map[string]bool{}
	for _, m := range line.FindAllSubmatch(have, -1) {
		listed[string(m[1])] = true
	}
	for _, c := range codes {
		if found[c.Code] = true; !listed[c.Code] {
			t.Errorf("%s: code %s has no line in docs/reference/errors.md\nhint: UPDATE_GOLDEN=1 go test ./internal/docgen", c.Where[0], c.Code)
		}
	}
	for code := range listed {
		if !found[code] {
			t.Errorf("docs/reference/errors.md: code %s is no longer in the source\nhint: UPDATE_GOLDEN=1 go test ./internal/docgen", code)
		}
	}
	for code := range said {
		if !strings.Contains(string(text), "`"+code+"`") {
			t.Errorf("code %s has words and is not in the source", code)
		}
	}
}

// TestNamed: pages that people write name all that there is to name.
func TestNamed(t *testing.T) {
	read := func(parts ...string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(append([]string{testenv.Root()}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	page := read("docs", "reference", "record.md")
	for i, typ := 0, reflect.TypeFor[audit.Record](); i < typ.NumField(); i++ {
		for f := range fieldsOf(typ.Field(i)) {
			if !strings.Contains(page, "`"+f+"`") {
				t.Errorf("docs/reference/record.md does not name the member %s", f)
			}
		}
	}
	page = read("docs", "reference", "limits.md")
	for i, typ := 0, reflect.TypeFor[config.Limits](); i < typ.NumField(); i++ {
		if key := typ.Field(i).Tag.Get("yaml"); !strings.Contains(page, "`"+key+"`") {
			t.Errorf("docs/reference/limits.md does not name limits.%s", key)
		}
	}
	decisions, err := filepath.Glob(filepath.Join(testenv.Root(), "docs", "adr", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	page = ""
	for _, d := range decisions {
		page += read("docs", "adr", filepath.Base(d))
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\t?([a-z0-9.]+\.[a-z]+/\S+) v\S+$`).FindAllStringSubmatch(read("go.mod"), -1) {
		if !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("docs/adr says nothing about the requirement %s\nhint: reason, licence, size and maintainer, as a line of docs/adr/README.md or a page of its own", m[1])
		}
	}
}

// fieldsOf names the JSON members of a field; an embedded struct has several.
func fieldsOf(f reflect.StructField) map[string]bool {
	out := map[string]bool{}
	if f.Anonymous {
		for i := range f.Type.NumField() {
			maps.Copy(out, fieldsOf(f.Type.Field(i)))
		}
		return out
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name != "" && name != "-" {
		out[name] = true
	}
	return out
}

// TestLinks: a link from one document to another leads somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	checked := 0
	err := filepath.WalkDir(testenv.Root(), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := e.Name(); e.IsDir() && (base[0] == '.' || base == "node_modules" || base == "testdata" || base == "gatehouse-data") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllSubmatch(b, -1) {
			checked++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), string(m[1]))); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, m[1])
			}
		}
		return nil
	})
	if err != nil || checked < 20 {
		t.Errorf("%d links checked, %v", checked, err)
	}
}

// TestCases holds the readers to small sources.
func TestCases(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		tree := fstest.MapFS{}
		for _, f := range c.Files {
			tree[f.Name] = &fstest.MapFile{Data: f.Data}
		}
		var got strings.Builder
		say := func(b []byte, err error) {
			if err != nil {
				fmt.Fprintf(&got, "error: %v\n", err)
				return
			}
			_, body, _ := strings.Cut(string(b), "This page is made from the source.\n")
			got.WriteString(body)
		}
		if _, ok := tree["config.go"]; ok {
			s, err := Structs(tree)
			if err != nil {
				say(nil, err)
			} else {
				say(Page(s, "Config"))
				schema, err := Schema(s, "Config")
				if err != nil {
					t.Fatal(err)
				}
				got.Write(schema)
			}
		} else {
			codes, err := Codes(tree)
			if err != nil {
				t.Fatal(err)
			}
			say(CodesPage(codes))
		}
		c.Want(t, "want", got.String())
	})
}
