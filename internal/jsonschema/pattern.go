package jsonschema

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// What all patterns of a schema may weigh, in steps of the machine that matches them. RE2 runs in linear time, but the
// factor is the pattern's size once a{1000} is written out.
const (
	maxWeight  = 5_000
	maxWeights = 50_000
)

// pattern is a regular expression and what it costs to match a byte with it.
type pattern struct {
	source string
	*regexp.Regexp
	weight int
}

// compilePattern returns why a pattern cannot be checked, or ""; room is what it may weigh. What RE2 lacks is look-ahead
// and back references.
func compilePattern(s string, room int) (*pattern, string) {
	source := s
	s = ecma(s)
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	w := weight(tree)
	if w > maxWeight {
		return nil, "its repetitions make it too large"
	}
	if w > room {
		return nil, "the patterns of the schema are too large together"
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	return &pattern{source, re, w}, ""
}

func weight(t *syntax.Regexp) int {
	w := 1 + len(t.Rune)/16
	for _, s := range t.Sub {
		w += weight(s)
	}
	if t.Op == syntax.OpRepeat {
		w *= max(t.Min, t.Max, 1)
	}
	return min(w, 1<<30)
}

// ecma writes the escapes of ECMA-262 that RE2 has not in RE2's way: \uXXXX, \cX, and \s with all of its spaces.
func ecma(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	class := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '[':
			class = true
		case s[i] == ']':
			class = false
		}
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case c == 'u' && hex(s, i+1, 4):
			r, _ := strconv.ParseUint(s[i+1:i+5], 16, 32)
			if i += 4; r&0xfc00 == 0xd800 && strings.HasPrefix(s[i+1:], `\u`) && hex(s, i+3, 4) {
				low, _ := strconv.ParseUint(s[i+3:i+7], 16, 32)
				r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
				i += 6
			}
			b.WriteString(`\x{` + strconv.FormatUint(r, 16) + `}`)
		case c == 'c' && i+1 < len(s):
			i++
			b.WriteString(`\x{` + strconv.FormatUint(uint64(s[i]&31), 16) + `}`)
		case c == 's' && class:
			b.WriteString(spaces)
		case c == 's':
			b.WriteString("[" + spaces + "]")
		case c == 'S' && !class:
			b.WriteString("[^" + spaces + "]")
		default:
			b.WriteString(s[i-1 : i+1])
		}
	}
	return b.String()
}

const spaces = `\t\n\v\f\r\p{Zs}\x{2028}\x{2029}\x{feff}`

func hex(s string, i, n int) bool {
	if i+n > len(s) {
		return false
	}
	_, err := strconv.ParseUint(s[i:i+n], 16, 32)
	return err == nil
}
