package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// TestSchema: an editor that knows the schema is content with the good files and the example, and marks what it can of the
// bad ones.
func TestSchema(t *testing.T) {
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema(), &s); err != nil {
		t.Fatal(err)
	}
	schema, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	validate := func(name string) error {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return schema.Validate(v)
	}
	good, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("../examples/*/gatehouse.yaml")
	if err != nil || len(good) == 0 || len(examples) == 0 {
		t.Fatalf("%d good files and %d examples, %v", len(good), len(examples), err)
	}
	for _, name := range append(good, examples...) {
		if err := validate(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range strings.Fields("list scalar unknown types types_servers secrets") {
		if err := validate("testdata/" + name + ".bad.yaml"); err == nil {
			t.Errorf("%s.bad.yaml passes the schema", name)
		}
	}
}
