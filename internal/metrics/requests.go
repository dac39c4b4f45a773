package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests counts answers, and how long they took.
type Requests struct{ took *prometheus.HistogramVec }

const (
	requestsName = "vstream_http_request_duration_seconds"
	requestsHelp = "How long answers took. Of watches until they began, of others until all was written, without waiting for events. " +
		"route is the pattern of the path, or other where there is none or the guard refused; " +
		"status is 2xx to 5xx, or gone where the client went before there was an answer."
)

var requestsLabels = []string{"route", "method", "status"}

// NewRequests returns an empty one.
func NewRequests() *Requests {
	return &Requests{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    requestsName,
		Help:    requestsHelp,
		Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
	}, requestsLabels)}
}

// Answered counts an answer: by the pattern of its path, of which there are few, its method
// and status. It may be called from any goroutine.
func (r *Requests) Answered(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "other"
	}
	switch method {
	case "GET", "HEAD", "OPTIONS", "POST":
	default: // anybody may send anything
		method = "other"
	}
	class := "gone"
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	r.took.WithLabelValues(route, method, class).Observe(took.Seconds())
}
