package jsonschema

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/golden"
	"gatehouse/wire"
)

// Every case has a schema and values, a line each; it wants the warnings, and of each value what is wrong with it.
func TestCases(t *testing.T) {
	golden.Cases(t, "testdata/*.txtar", func(t *testing.T, c *golden.Case) {
		s, err := Compile([]byte(c.Section("schema.json")), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, w := range s.Warnings {
			fmt.Fprintln(&got, "warning:", w)
		}
		for line := range strings.Lines(c.Section("values")) {
			in := []byte(strings.TrimSpace(line))
			if err := wire.Verify(in, wire.RequestLimits); err != nil {
				t.Fatalf("%s: %v", in, err)
			}
			fails, err := s.Validate(in)
			if err != nil {
				t.Fatalf("Validate(%s): %v", in, err)
			}
			fmt.Fprintf(&got, "%s\n", in)
			if len(fails) == 0 {
				fmt.Fprintln(&got, "    fits")
			}
			for _, f := range fails {
				fmt.Fprintf(&got, "    %s [%s]\n", f, f.Rule)
			}
		}
		c.Want(t, "want", got.String())
	})
}
