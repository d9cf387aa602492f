// Package spelling guesses what a person meant who wrote a name that does not exist.
package spelling

import "strings"

// maxWord bounds the words that are compared.
const maxWord = 64

// Nearest returns the known word that is at most two typing errors away, one for short words, or "".
func Nearest(word string, known []string) string {
	best, name := 3, ""
	if len(word) <= 3 {
		best = 2
	}
	for _, k := range known {
		if n := distance(strings.ToLower(word), strings.ToLower(k)); n < best {
			best, name = n, k
		}
	}
	return name
}

// distance counts insertions, deletions, replacements and swaps of neighbours.
func distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	var rows [3][maxWord + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j-1]+cost, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
