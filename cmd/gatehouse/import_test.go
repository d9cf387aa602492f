package main

import (
	"strings"
	"testing"

	"gatehouse/backend/rest"
)

// TestReportIsPlainText: what a document says cannot steer the terminal.
func TestReportIsPlainText(t *testing.T) {
	const esc = "\x1b[2J\n"
	for _, tool := range []string{"", "get"} {
		var b strings.Builder
		reportLine(&b, rest.Outcome{Method: "G" + esc, Path: "/" + esc, Reason: esc, Tool: tool, Warnings: []string{esc}})
		if strings.Contains(b.String(), "\x1b") || strings.HasPrefix(strings.SplitN(b.String(), "\n", 2)[1], "[2J") {
			t.Errorf("%q", b.String())
		}
	}
}
