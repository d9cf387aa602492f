// Package gatehouse holds the nouns that cross the stages of a call: Call, Result, Tool, Principal, Error.
// It promises to stay small and to use the standard library only, so that every stage can speak of the same value.
package gatehouse

// Revisions of the Model Context Protocol that Gatehouse speaks, as they are written on the wire. Dates compare as strings.
const (
	Revision20241105 = "2024-11-05" // message dialect; its HTTP+SSE transport stands behind a switch
	Revision20250326 = "2025-03-26"
	Revision20250618 = "2025-06-18"
	Revision20251125 = "2025-11-25" // newest of the legacy era
	Revision20260728 = "2026-07-28" // first of the modern era
)

// Version is the version of this build, as clients and upstream servers are told it.
const Version = "0.1.0"

// Era tells how a peer speaks: with an initialize handshake and sessions (legacy), or with metadata on every request (modern).
type Era uint8

// The eras. The zero value is unknown.
const (
	Legacy Era = 1 + iota
	Modern
)

func (e Era) String() string {
	switch e {
	case Legacy:
		return "legacy"
	case Modern:
		return "modern"
	}
	return "unknown"
}

// Secret is text that must never be shown: an access key, a token, a header that carries one.
// It prints as [secret] wherever it is formatted, logged or marshalled; Reveal is the one way to its value.
type Secret struct{ value string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{s} }

// Reveal returns the text itself, for the place that must send or compare it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == "" }

const masked = "[secret]"

func (s Secret) String() string { return masked }

// GoString keeps %#v from showing the text.
func (s Secret) GoString() string { return masked }

// MarshalJSON prints "[secret]".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// MarshalText prints [secret]; slog, YAML and flag use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
