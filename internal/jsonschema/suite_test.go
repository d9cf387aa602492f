package jsonschema

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deviations are the groups of the official suite that we do not follow, on purpose.
var deviations = []struct{ file, group, why string }{
	{"refRemote.json", "", "other documents are never fetched"},
	{"optional/cross-draft.json", "", "other documents are never fetched"},
	{"defs.json", "validate definition against metaschema", "the metaschema is another document"},
	{"definitions.json", "validate definition against metaschema", "the metaschema is another document"},
	{"ref.json", "remote ref, containing refs itself", "the metaschema is another document"},
	{"dynamicRef.json", "", "$dynamicRef is a $ref: there is no dynamic scope"},
	{"unevaluatedItems.json", "unevaluatedItems with $dynamicRef", "there is no dynamic scope"},
	{"unevaluatedProperties.json", "unevaluatedProperties with $dynamicRef", "there is no dynamic scope"},
	{"vocabulary.json", "schema that uses custom metaschema with with no validation vocabulary", "vocabularies are not followed"},
	{"optional/format-assertion.json", "", "a format is a note, whatever the metaschema says"},
	{"draft7/optional/content.json", "", "what is encoded in a string is not looked into"},
}

// The official suite is no part of this repository. With JSON_SCHEMA_TEST_SUITE=DIR, a copy of it, everything but the
// deviations must pass.
func TestOfficialSuite(t *testing.T) {
	dir := os.Getenv("JSON_SCHEMA_TEST_SUITE")
	if dir == "" {
		t.Skip("JSON_SCHEMA_TEST_SUITE does not name a copy of the official suite")
	}
	for _, draft := range []string{"draft2020-12", "draft7"} {
		files, _ := filepath.Glob(filepath.Join(dir, "tests", draft, "*.json"))
		more, _ := filepath.Glob(filepath.Join(dir, "tests", draft, "optional", "*.json"))
		passed, deviating := 0, 0
		for _, file := range append(files, more...) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var groups []suiteGroup
			if err := json.Unmarshal(b, &groups); err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				good, bad := g.run(draft == "draft7")
				passed += good
				if len(bad) > 0 && !deviates(file, g.Description) {
					t.Errorf("%s: %s: %s", file, g.Description, strings.Join(bad, "; "))
				}
				deviating += len(bad)
			}
		}
		if t.Logf("%s: %d pass, %d deviate", draft, passed, deviating); passed == 0 {
			t.Errorf("no tests of %s in %s", draft, dir)
		}
	}
}

type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

func (g suiteGroup) run(draft7 bool) (passed int, bad []string) {
	schema := string(g.Schema)
	if draft7 && strings.HasPrefix(schema, "{") && !strings.Contains(schema, `"$schema"`) {
		schema = `{"$schema":"http://json-schema.org/draft-07/schema#"` + strings.TrimSuffix(","+strings.TrimSpace(schema[1:]), ",}")
		if !strings.HasSuffix(schema, "}") {
			schema += "}"
		}
	}
	s, err := Compile([]byte(schema), Limits{})
	for _, c := range g.Tests {
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		fails, err := s.Validate(c.Data)
		if err != nil || (len(fails) == 0) != c.Valid {
			bad = append(bad, c.Description+": "+Text(fails))
			continue
		}
		passed++
	}
	return passed, bad
}

func deviates(file, group string) bool {
	for _, d := range deviations {
		if strings.HasSuffix(filepath.ToSlash(file), "/"+d.file) && (d.group == "" || d.group == group) {
			return true
		}
	}
	return false
}
