package config

import (
	"maps"
	"os"
	"slices"
	"time"
)

// Seen is how the configuration's files looked when they were read: those that were not there too, for they may come. It is
// compared from outside, by time and size, which works on every file system and through the links that Kubernetes swaps.
type Seen map[string]string

// look notes a file before it is read, so that no change after that is missed.
func (s Seen) look(path string) { s[path] = state(path) }

// Now is how the same files look now.
func (s Seen) Now() Seen {
	now := Seen{}
	for path := range s {
		now.look(path)
	}
	return now
}

// Equal reports whether the files look the same.
func (s Seen) Equal(t Seen) bool { return maps.Equal(s, t) }

// Files names the files, sorted.
func (s Seen) Files() []string { return slices.Sorted(maps.Keys(s)) }

// state is what can be seen of a file from outside, "" when it is not there.
func state(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	b := st.ModTime().AppendFormat(nil, time.RFC3339Nano)
	n := st.Size()
	return string(append(b, ' ', byte(n), byte(n>>8), byte(n>>16), byte(n>>24)))
}
