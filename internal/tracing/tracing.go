// Package tracing tells an OpenTelemetry collector what the program does: a span for each
// request, and for each login, page and append of what is collected.
//
// It does nothing, and costs nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT says where to. Spans
// are sent by OTLP over HTTP, in the background and in batches; what cannot be sent is dropped,
// and nobody waits for it. The variables that OpenTelemetry specifies for SDKs and for this
// exporter hold, as far as its Go libraries know them.
package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// stopTimeout is how long a stop may take to send what is left.
const stopTimeout = time.Second

// complainEvery is how often at most the logger is told that spans cannot be sent.
const complainEvery = time.Minute

// A Tracer makes spans. Its methods may be called from any goroutine.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	parent   propagation.TraceContext
}

// wanted reports whether the environment asks for traces.
func wanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Start returns a Tracer, or nil where the environment does not ask for one. It connects to
// nothing yet.
func Start(ctx context.Context, version string, logger *slog.Logger) (*Tracer, error) {
	if !wanted(os.Getenv) {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := os.Getenv(name); protocol != "" && protocol != "http/protobuf" {
			logger.Warn("traces are sent as http/protobuf, whatever is asked for; give the port of the collector for OTLP over HTTP, which mostly is 4318", "variable", name, "value", protocol)
			break
		}
	}
	otel.SetLogger(logr.New(complaints{logger}))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "vstream"), attribute.String("service.version", version)),
		resource.WithFromEnv()) // the last wins
	if err != nil {
		logger.Warn("OTEL_RESOURCE_ATTRIBUTES cannot be read in full", "error", err)
	}
	var complained atomic.Int64
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		now := time.Now().UnixNano()
		if last := complained.Load(); now-last > int64(complainEvery) && complained.CompareAndSwap(last, now) {
			logger.Warn("traces cannot be sent; events are not concerned", "error", err)
		}
	}))
	// Without blocking, which is the default of a batch: what does not fit in is dropped.
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracer{provider: provider, tracer: provider.Tracer("vstream", trace.WithInstrumentationVersion(version))}, nil
}

// complaints is what OpenTelemetry's libraries say of variables that they do not understand. The
// values are left out: those of OTEL_EXPORTER_OTLP_HEADERS are secrets.
type complaints struct{ logger *slog.Logger }

// Init implements [logr.LogSink].
func (complaints) Init(logr.RuntimeInfo) {}

// Enabled implements [logr.LogSink]: nothing but errors is of interest.
func (complaints) Enabled(int) bool { return false }

// Info implements [logr.LogSink].
func (complaints) Info(int, string, ...any) {}

// Error implements [logr.LogSink].
func (c complaints) Error(err error, doing string, _ ...any) {
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err // it may hold a password
	}
	c.logger.Warn("a variable OTEL_… is not understood; traces go without it", "doing", doing, "error", err)
}

// WithValues implements [logr.LogSink].
func (c complaints) WithValues(...any) logr.LogSink { return c }

// WithName implements [logr.LogSink].
func (c complaints) WithName(string) logr.LogSink { return c }

// Stop sends what is left, for a second at most. No span is sent after it.
func (t *Tracer) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Span begins a span of what began then, within that of ctx. The function it returns ends it,
// with the error that it ended with, and what is known then.
func (t *Tracer) Span(ctx context.Context, name string, began time.Time, attributes ...slog.Attr) (context.Context, func(error, ...slog.Attr)) {
	ctx, span := t.tracer.Start(ctx, name, trace.WithTimestamp(began), trace.WithAttributes(of(attributes)...))
	return ctx, func(err error, attributes ...slog.Attr) {
		span.SetAttributes(of(attributes)...)
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Request begins the span of a request, within that of the client if its traceparent names
// one. The function it returns ends it. It is named for its route, which is known by then.
func (t *Tracer) Request(r *http.Request) (context.Context, func(...slog.Attr)) {
	method := r.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost:
	default: // anybody may send anything
		method = "HTTP"
	}
	ctx := t.parent.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", method)))
	return ctx, func(attributes ...slog.Attr) {
		for _, a := range attributes {
			switch {
			case a.Key == "http.route" && a.Value.String() != "":
				span.SetName(method + " " + a.Value.String())
			case a.Key == "http.response.status_code" && a.Value.Kind() == slog.KindInt64 && a.Value.Int64() >= 500:
				span.SetStatus(codes.Error, "")
			}
		}
		span.SetAttributes(of(attributes)...)
		span.End()
	}
}

// of returns the same attributes as OpenTelemetry writes them.
func of(attributes []slog.Attr) []attribute.KeyValue {
	all := make([]attribute.KeyValue, 0, len(attributes))
	for _, a := range attributes {
		switch a.Value.Kind() {
		case slog.KindInt64:
			all = append(all, attribute.Int64(a.Key, a.Value.Int64()))
		case slog.KindBool:
			all = append(all, attribute.Bool(a.Key, a.Value.Bool()))
		default:
			all = append(all, attribute.String(a.Key, a.Value.String()))
		}
	}
	return all
}
