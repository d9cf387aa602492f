package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxName is the longest tool name that all clients take.
const maxName = 64

// names gives every operation its tool name. A name comes of the operation alone, so it stays when others are added; only
// the later of two operations with the same name carries a hash of its method and path.
func names(ops []*Operation) {
	taken := make(map[string]bool, len(ops))
	exact := func(x *Operation) bool { return x.ID != "" && x.ID == toolName(x) }
	for _, first := range []bool{true, false} { // an id that needs no change goes before one that becomes the same
		for _, x := range ops {
			if exact(x) != first {
				continue
			}
			x.Name = toolName(x)
			for n := 1; taken[x.Name]; n++ {
				x.Name = shorten(toolName(x), x.Method+" "+x.Path+strings.Repeat("'", n-1), true)
			}
			taken[x.Name] = true
		}
	}
}

// toolName is the operation's id with the characters that names may have, or its method and path.
func toolName(x *Operation) string {
	s := x.ID
	if s == "" {
		s = strings.ToLower(x.Method) + " " + x.Path
	}
	name := letters(s, "_-")
	if name == "" {
		name = letters(strings.ToLower(x.Method)+" "+x.Path, "_-")
	}
	return shorten(name, x.ID+" "+x.Method+" "+x.Path, false)
}

// letters keeps ASCII letters, digits and the characters of more; a run of others becomes one underscore, none at the ends.
func letters(s, more string) string {
	out := make([]byte, 0, len(s))
	gap := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(more, c) >= 0 {
			if gap && len(out) > 0 {
				out = append(out, '_')
			}
			out, gap = append(out, c), false
			continue
		}
		gap = true
	}
	return string(out)
}

// shorten cuts name to maxName, with a hash of whole at its end when it is cut or when force says so.
func shorten(name, whole string, force bool) string {
	if len(name) <= maxName && !force {
		return name
	}
	h := sha256.Sum256([]byte(whole))
	return strings.TrimRight(name[:min(len(name), maxName-9)], "_-") + "_" + hex.EncodeToString(h[:4])
}
