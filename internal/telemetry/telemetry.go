// Package telemetry counts what operators watch, for Prometheus. Labels have few values: server, method, outcome and code,
// never a user or an argument.
package telemetry

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse"
)

// Metrics is the counters of one process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec

	mu       sync.Mutex                                // guards adding to resolved
	resolved atomic.Pointer[map[callKey]*resolvedCall] // never changed, only replaced: looking up allocates nothing
}

type callKey struct{ server, method, outcome string }

type resolvedCall struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// other stands for values that are not ours to list: a caller may send any method.
const other = "other"

// methods are those that have a label of their own.
var methods = []string{
	"initialize", "server/discover", "ping", "tools/list", "tools/call", "prompts/list", "prompts/get", "resources/list",
	"resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete",
	"logging/setLevel", "subscriptions/listen",
}

// maxCalls bounds the combinations of server, method and outcome that are counted apart.
const maxCalls = 20_000

// New returns counters in a registry of their own.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_gateway_calls_total", Help: "Calls that have ended.",
		}, []string{"server", "method", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_gateway_call_duration_seconds", Help: "Time from receiving a call to its outcome.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 30, 300},
		}, []string{"server", "method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_transport_refused_total", Help: "Requests refused before they became calls.",
		}, []string{"code"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_build_info", Help: "1, with the version of this build.", ConstLabels: prometheus.Labels{"version": gatehouse.Version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.calls, m.duration, m.refused, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.resolved.Store(&map[callKey]*resolvedCall{})
	return m
}

// Call counts a call that has ended. A method that is none of the protocol's is counted as "other".
func (m *Metrics) Call(server, method, outcome string, d time.Duration) {
	c := (*m.resolved.Load())[callKey{server, method, outcome}]
	if c == nil {
		c = m.resolve(server, method, outcome)
	}
	c.count.Inc()
	c.duration.Observe(d.Seconds())
}

// resolve finds the counters of a combination that is new, and keeps them.
func (m *Metrics) resolve(server, method, outcome string) *resolvedCall {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.resolved.Load()
	full := len(known) >= maxCalls
	if full {
		server = other
	}
	if !slices.Contains(methods, method) {
		method = other
	}
	k := callKey{server, method, outcome}
	if c := known[k]; c != nil {
		return c
	}
	c := &resolvedCall{m.calls.WithLabelValues(server, method, outcome), m.duration.WithLabelValues(server, method)}
	if full {
		return c
	}
	next := maps.Clone(known)
	next[k] = c
	m.resolved.Store(&next)
	return c
}

// Refused counts a request that was refused before it became a call.
func (m *Metrics) Refused(code string) { m.refused.WithLabelValues(code).Inc() }

// Sources has f asked, at every scrape, for the state that each source is in.
func (m *Metrics) Sources(f func(each func(server, source, state string))) {
	m.registry.MustRegister(&sources{f, prometheus.NewDesc("gatehouse_source_state",
		"1 for the state a source is in: connecting, ready, broken, quarantined or closed.", []string{"server", "source", "state"}, nil)})
}

type sources struct {
	list func(each func(server, source, state string))
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (s *sources) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }

// Collect implements prometheus.Collector.
func (s *sources) Collect(ch chan<- prometheus.Metric) {
	s.list(func(server, source, state string) {
		for _, known := range [...]string{"connecting", "ready", "broken", "quarantined", "closed"} {
			v := 0.0
			if known == state {
				v = 1
			}
			ch <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, v, server, source, known)
		}
	})
}

// Handler serves the counters in Prometheus's text format to clients on the same machine, and to nobody else.
func (m *Metrics) Handler() http.Handler {
	return loopbackOnly(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
}
