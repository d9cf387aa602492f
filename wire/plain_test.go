package wire

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// TestPlain: what is plain must be read so, or nothing is won.
func TestPlain(t *testing.T) {
	for doc, want := range map[string][2]bool{ // plain, canonical
		`{}`: {true, true}, `[]`: {true, true}, ` { } `: {true, false}, `"a"`: {true, true}, `-0.5e+7`: {true, true}, `null`: {true, true},
		`{"a":1,"b":[true,false,null,{"a":"\\"}]}`: {true, false}, `{"a":{"a":"x"},"b":{"a":"x"}}`: {true, true}, `{"b":1,"a":2}`: {true, false},
		`{"a":"Zürich"}`: {true, true}, `{"ü":1}`: {false, false}, `{"ab":1,"abc":1}`: {true, true}, `{"abc":1,"ab":1}`: {true, false},
		`{"a":1,"a":2}`: {false, false}, `{"a":1,"\u0061":2}`: {false, false}, `"\u0041"`: {false, false}, "\"\xff\"": {false, false}, `01`: {false, false}, `1.`: {false, false},
		`{"a":1}x`: {false, false}, `{"a"}`: {false, false}, `[1,]`: {false, false}, `{"a":1,}`: {false, false}, ``: {false, false}, `"`: {false, false}, `tru`: {false, false},
		"\ufeff{}": {false, false}, "\"\n\"": {false, false}, `{"a":tru`: {false, false}, `-`: {false, false}, `1e`: {false, false},
		strings.Repeat("[", 33) + strings.Repeat("]", 33): {false, false},
	} {
		if got := [2]bool{isPlain([]byte(doc), RequestLimits), isCanonical([]byte(doc))}; got != want {
			t.Errorf("%s: plain and canonical %v, want %v", doc, got, want)
		}
	}
}

// FuzzPlain holds the fast reader to the full one: what it accepts, the full one accepts.
func FuzzPlain(f *testing.F) {
	for _, doc := range []string{
		`{"a":1,"b":[true,false,null,{"a":"\\"}]}`, `{"b":1,"a":2}`, ` [ 1 , -0.5E+7 ] `, `{"a":"Zürich","é":"\u00e9"}`, `{"a":{"a":{"a":1}},"b":12345678}`, `{"":"","a":""}`, "\"\x7f\u2028\"",
	} {
		f.Add([]byte(doc), 64, 10, 8)
	}
	f.Fuzz(func(t *testing.T, b []byte, depth, members, number int) {
		l := Limits{Depth: depth & 7, Members: members & 15, Number: number & 15}
		if isPlain(b, l) {
			if err := verify(b, l); err != nil {
				t.Errorf("%q within %+v is plain, and not accepted: %v", b, l, err)
			}
		}
		if isCanonical(b) {
			v := jsontext.Value(append([]byte(nil), b...))
			err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
			if err != nil || string(v) != string(b) {
				t.Errorf("%q is taken for canonical; its form is %q, %v", b, v, err)
			}
		}
	})
}
