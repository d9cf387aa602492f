// Package telemetry counts what operators watch, for Prometheus. Labels have few values: server, method, outcome and code,
// never a user or an argument.
package telemetry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is the counters of one process. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	state    *prometheus.GaugeVec

	resolved sync.Map // callKey to resolvedCall: as many as the labels have values
}

type callKey struct{ server, method, outcome string }

type resolvedCall struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// States of a source, as backend.Status names them.
var states = [...]string{"connecting", "ready", "broken", "quarantined", "closed"}

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
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gatehouse_source_state", Help: "1 for the state a source is in, 0 for the others.",
		}, []string{"server", "source", "state"}),
	}
	m.registry.MustRegister(m.calls, m.duration, m.refused, m.state)
	return m
}

// Call counts a call that has ended. server and method must come from our own tables, so that their values stay few.
func (m *Metrics) Call(server, method, outcome string, d time.Duration) {
	k := callKey{server, method, outcome}
	v, ok := m.resolved.Load(k)
	if !ok {
		v, _ = m.resolved.LoadOrStore(k, resolvedCall{m.calls.WithLabelValues(server, method, outcome), m.duration.WithLabelValues(server, method)})
	}
	c := v.(resolvedCall)
	c.count.Inc()
	c.duration.Observe(d.Seconds())
}

// Refused counts a request that was refused before it became a call.
func (m *Metrics) Refused(code string) { m.refused.WithLabelValues(code).Inc() }

// SourceState says how a source is: one of the states of backend.Status.
func (m *Metrics) SourceState(server, source, state string) {
	for _, s := range states {
		v := 0.0
		if s == state {
			v = 1
		}
		m.state.WithLabelValues(server, source, s).Set(v)
	}
}

// Handler serves the counters in Prometheus's text format to clients on the same machine, and to nobody else.
func (m *Metrics) Handler() http.Handler {
	return loopbackOnly(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
}
