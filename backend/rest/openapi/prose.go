package openapi

import (
	"fmt"
	"regexp"
	"strings"

	"gatehouse/wire"
)

// short is a description cut to n bytes at the end of a sentence or word, as JSON; nil when nothing is left.
func short(v []byte, n int) []byte {
	s, ok := wire.Text(v)
	if !ok || n == 0 {
		return nil
	}
	if s = prose(s, n); s == "" {
		return nil
	}
	return wire.String(s)
}

var tags = regexp.MustCompile(`</?[a-zA-Z][^<>]{0,200}>`)

// prose is text of a document for a model: without mark-up tags, in one paragraph, cut to n bytes at a sentence or word.
func prose(s string, n int) string {
	if strings.Contains(s, "</") || strings.Contains(s, "<br") {
		s = tags.ReplaceAllString(s, " ")
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	cut := clip(s, n)
	if i := strings.LastIndex(cut, ". "); i > n/2 {
		return cut[:i+1]
	}
	if i := strings.LastIndexByte(cut, ' '); i > 0 {
		cut = cut[:i]
	}
	return strings.TrimRight(cut, " ,;:") + "…"
}

// Summarise is the description of an operation for a tool: summary and description, at most n bytes.
func (x *Operation) Summarise(n int) string {
	s, t := prose(x.Summary, n), prose(x.Description, n)
	switch {
	case s == "":
		s = t
	case t != "" && !strings.HasPrefix(t, strings.TrimRight(s, ".…")):
		if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "…") {
			s += "."
		}
		s = prose(s+" "+t, n)
	case t != "":
		s = t
	}
	if s == "" {
		s = fmt.Sprintf("%s %s", x.Method, x.Path)
	}
	if x.Deprecated {
		s = "Deprecated. " + s
	}
	return s
}
