package telemetry

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse"
	"gatehouse/internal/golden"
	"gatehouse/internal/testenv"
)

func TestHandler(t *testing.T) {
	m := New()
	m.Call("notes", "tools/call", "complete", 2*time.Millisecond)
	m.Call("notes", "tools/call", "complete", 2*time.Millisecond)
	m.Refused("auth.required")
	for _, method := range []string{"no/such", "nor/this"} {
		m.Call("notes", method, "refused", time.Millisecond)
	}
	m.Sources(func(each func(server, source, state string)) { each("notes", "1", "ready") })
	for _, c := range []struct {
		from, via string
		status    int
	}{
		{"127.0.0.1:1", "", 200},
		{"[::1]:1", "", 200},
		{"[::ffff:127.0.0.1]:1", "", 200},
		{"10.0.0.1:1", "", 404},
		{"", "", 404},
		{"127.0.0.1:1", "10.0.0.1", 404},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		if r.RemoteAddr = c.from; c.via != "" {
			r.Header.Set("X-Forwarded-For", c.via)
		}
		w := httptest.NewRecorder()
		m.Handler().ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("GET /metrics from %q via %q = %d, want %d", c.from, c.via, w.Code, c.status)
		}
		if w.Code != 200 {
			continue
		}
		for _, line := range []string{
			`gatehouse_gateway_calls_total{method="tools/call",outcome="complete",server="notes"} 2`,
			`gatehouse_gateway_call_duration_seconds_count{method="tools/call",server="notes"} 2`,
			`gatehouse_gateway_calls_total{method="other",outcome="refused",server="notes"} 2`,
			`gatehouse_transport_refused_total{code="auth.required"} 1`,
			`gatehouse_build_info{version="` + gatehouse.Version + `"} 1`,
			`gatehouse_source_state{server="notes",source="1",state="ready"} 1`,
			`gatehouse_source_state{server="notes",source="1",state="broken"} 0`,
		} {
			if !strings.Contains(w.Body.String(), line+"\n") {
				t.Errorf("metrics lack %s", line)
			}
		}
	}
}

// TestPage: the reference page lists the metrics of our own as they describe themselves.
func TestPage(t *testing.T) {
	m := New()
	m.Call("notes", "tools/call", "complete", time.Millisecond)
	m.Refused("auth.required")
	m.Sources(func(each func(server, source, state string)) { each("notes", "1", "ready") })
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Metrics

` + "`GET /metrics`" + ` in Prometheus's text format, for clients on the same machine; all others get 404, also through a proxy that says for whom it
asks. Besides those below there are ` + "`go_*`" + ` and ` + "`process_*`" + ` of the runtime. Labels have few values: never a user, a tool's argument or an
address. A method that is none of the protocol's counts as ` + "`other`" + `.

` + "`outcome`" + ` is complete, input_required, error, cancelled or refused, as in [the record](record.md); ` + "`code`" + ` is one of [the error codes](errors.md);
` + "`source`" + ` is the source's prefix, or its position from 1.

This page is made from the source.

| metric | type | labels | |
|---|---|---|---|
`)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "gatehouse_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	golden.File(t, filepath.Join(testenv.Root(), "docs", "reference", "metrics.md"), []byte(b.String()))
}

// TestNoAllocation: counting is on the path of every call.
func TestNoAllocation(t *testing.T) {
	m := New()
	m.Call("notes", "tools/call", "complete", time.Millisecond)
	if n := testing.AllocsPerRun(100, func() { m.Call("notes", "tools/call", "complete", time.Millisecond) }); n != 0 {
		t.Errorf("Call allocates %v times, want 0", n)
	}
}

func BenchmarkCall(b *testing.B) {
	m := New()
	b.ReportAllocs()
	for b.Loop() {
		m.Call("notes", "tools/call", "complete", time.Millisecond)
	}
}
