package wire

import "github.com/go-json-experiment/json/jsontext"

// Canonical returns the canonical form of a JSON value for digests and signatures: member order and strings of RFC 8785,
// number literals as they were written, since 9007199254740993 and 9007199254740992 must not share a digest.
func Canonical(b []byte) ([]byte, error) { return Canonicalize(append([]byte(nil), b...)) }

// Canonicalize is Canonical in place: b is overwritten, and the result uses its memory.
func Canonicalize(b []byte) ([]byte, error) {
	if isCanonical(b) {
		return b, nil
	}
	v := jsontext.Value(b)
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return nil, syntaxError(err)
	}
	return v, nil
}
