// Package metrics serves numbers about the process to Prometheus: requests, queues, the database,
// log rows and jobs.
//
// No label names a person, a site or an application. An installation may have hundreds of sites,
// and each value of a label would be another time series.
package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics holds the metrics of one process.
type Metrics struct {
	registry       *prometheus.Registry
	requests       *prometheus.CounterVec   // counts the requests
	requestSeconds *prometheus.HistogramVec // how long the requests took
}

// Sample is one value of a metric.
type Sample struct {
	Name   string   // the name of the metric's Family
	Labels []string // the values of the labels, in the order of Family.Labels
	Value  float64
}

// Family describes a metric whose values are read when Prometheus asks for them.
type Family struct {
	Name, Help string   // the name, and the explanation that Prometheus shows
	Counter    bool     // whether the metric is a counter, whose value only grows
	Labels     []string // the names of the labels
}

// New returns the metrics of a process that runs this version of Rollcall. Each time Prometheus
// asks for them, the metrics call gather, which returns the current values of all families.
func New(version string, families []Family, gather func() []Sample) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "method", "status"}),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_http_request_seconds", Help: "How long requests took.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_build_info", Help: "1, with the version as label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	asked := &familyCollector{families: map[string]describedFamily{}, gather: gather}
	for _, f := range families {
		kind := prometheus.GaugeValue
		if f.Counter {
			kind = prometheus.CounterValue
		}
		asked.families[f.Name] = describedFamily{prometheus.NewDesc(f.Name, f.Help, f.Labels, nil), kind}
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, build, asked,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// CountRequest counts a request and records how long it took.
func (m *Metrics) CountRequest(route, method string, status int, took time.Duration) {
	class, method := RouteClass(route), knownMethod(method)
	m.requests.WithLabelValues(class, method, strconv.Itoa(status)).Inc()
	m.requestSeconds.WithLabelValues(class, method).Observe(took.Seconds())
}

// Handler answers GET /metrics and nothing else.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return mux
}

// scimRoute is the beginning of the routes of a site's SCIM endpoint.
const scimRoute = "/c/{site}/auth/scim/v2/"

// RouteClass returns the value of the label "route" for a route. All resource types that sites
// define themselves share the value "scim other".
func RouteClass(route string) string {
	if _, path, found := strings.Cut(route, " "); found {
		route = path // the route had the form "GET /healthz"
	}
	if rest, found := strings.CutPrefix(route, scimRoute); found {
		name, _, _ := strings.Cut(rest, "/")
		switch name {
		case "Users", "Groups", "Bulk", "Schemas", "ResourceTypes", "ServiceProviderConfig":
			return "scim " + name
		}
		return "scim other"
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(route, "/"), "/")
	switch first {
	case "healthz", "readyz":
		return first
	case "assets":
		return "assets"
	case "c":
		return "site pages"
	case "d":
		return "directory pages"
	}
	return "other"
}

// knownMethod returns the value of the label "method": one of the six usual methods, or "other".
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// describedFamily is a Family in the form that Prometheus's library uses.
type describedFamily struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// familyCollector gives the values of the families to Prometheus's library.
type familyCollector struct {
	families map[string]describedFamily
	gather   func() []Sample
}

// Describe implements prometheus.Collector.
func (a *familyCollector) Describe(out chan<- *prometheus.Desc) {
	for _, f := range a.families {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (a *familyCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range a.gather() {
		f := a.families[s.Name]
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, s.Value, s.Labels...)
	}
}
