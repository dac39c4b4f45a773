package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collecting "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes what an OpenTelemetry collector takes over HTTP.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	spans    map[string]*otlp.Span // under mu; by name
	resource map[string]string     // under mu
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{spans: map[string]*otlp.Span{}, resource: map[string]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil && req.Header.Get("Content-Encoding") == "gzip" {
			var z *gzip.Reader
			if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(z)
			}
		}
		var sent collecting.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || req.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", req.URL, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, of := range sent.ResourceSpans {
			for _, a := range of.Resource.Attributes {
				r.resource[a.Key] = a.Value.GetStringValue()
			}
			for _, scope := range of.ScopeSpans {
				for _, s := range scope.Spans {
					r.spans[s.Name] = s
				}
			}
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func tell(s *otlp.Span) string {
	var b strings.Builder
	for _, a := range s.Attributes {
		b.WriteString(a.Key + "=")
		if n := a.Value.GetIntValue(); n != 0 {
			b.WriteString(time.Duration(n).String())
		}
		b.WriteString(a.Value.GetStringValue() + " ")
	}
	return b.String()
}

func logger(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

func TestSpansReachACollector(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	tracer, err := Start(t.Context(), "v1.2.3", logger(io.Discard))
	if err != nil || tracer == nil {
		t.Fatal(tracer, err)
	}

	req := httptest.NewRequest("GET", "/api/v1/events?q=secret", nil)
	const parent, trace1 = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736"
	req.Header.Set("traceparent", "00-"+trace1+"-"+parent+"-01")
	ctx, end := tracer.Request(req)
	_, endPage := tracer.Span(ctx, "collect page", time.Now().Add(-3*time.Second), slog.Int("vstream.events", 7))
	endPage(errors.New("no room"), slog.Bool("late", true))
	end(slog.String("http.route", "/api/v1/events"), slog.Int("http.response.status_code", 503), slog.String("vstream.form", "sse"))
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resource["service.name"] != "vstream" || r.resource["service.version"] != "v1.2.3" || r.resource["deployment.environment"] != "test" {
		t.Errorf("the resource is %v", r.resource)
	}
	request, page := r.spans["GET /api/v1/events"], r.spans["collect page"]
	if request == nil || page == nil {
		t.Fatalf("there came %v", r.spans)
	}
	if id, from := trace.TraceID(request.TraceId).String(), trace.SpanID(request.ParentSpanId).String(); id != trace1 || from != parent {
		t.Errorf("the request is in %s under %s", id, from)
	}
	if request.Kind != otlp.Span_SPAN_KIND_SERVER || request.Status.Code != otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("the request is %v, %v", request.Kind, request.Status)
	}
	if text := tell(request); !strings.Contains(text, "vstream.form=sse") || strings.Contains(text, "secret") {
		t.Errorf("the request has %s", text)
	}
	if !bytes.Equal(page.ParentSpanId, request.SpanId) || page.Status.Message != "no room" {
		t.Errorf("the page is under %x, %v", page.ParentSpanId, page.Status)
	}
	if took := time.Duration(page.EndTimeUnixNano - page.StartTimeUnixNano); took < 3*time.Second {
		t.Errorf("the page took %v", took)
	}
}

func TestThereAreNoTracesUnlessTheyAreAskedFor(t *testing.T) {
	for _, env := range []map[string]string{
		{},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
	} {
		if wanted(func(name string) string { return env[name] }) {
			t.Errorf("with %v there are", env)
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	if tracer, err := Start(t.Context(), "v1", logger(io.Discard)); tracer != nil || err != nil {
		t.Errorf("Start without an endpoint returns %v, %v", tracer, err)
	}
}

func TestASlipInTheVariablesIsToldWithoutTheirValues(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_HEADERS":         "Authorization: Bearer hunter2",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":  "authorization=hunter2%zz",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://user:hunter2%@127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(name, value)
			// A file, for OpenTelemetry's handler of errors is one for all of a process: a tracer
			// of another test, which is stopped but has spans to drop, may write here too.
			said, err := os.Create(filepath.Join(t.TempDir(), "said"))
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			tracer, err := Start(t.Context(), "v1", logger(said))
			if err != nil {
				t.Fatal(err)
			}
			defer tracer.Stop(t.Context())
			text, err := os.ReadFile(said.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(text, []byte("a variable OTEL_… is not understood")) || bytes.Contains(text, []byte("hunter2")) {
				t.Errorf("it says %q", text)
			}
		})
	}
}

func TestACollectorThatTakesNothingHoldsUpNobody(t *testing.T) {
	hold := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(hold)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent.URL)
	tracer, err := Start(t.Context(), "v1", logger(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 { // ten times what is kept
			_, end := tracer.Span(context.Background(), "append events", time.Now())
			end(nil)
		}
		_ = tracer.Stop(context.Background())
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second): // an export may take 10 s, and there would be many
		t.Error("spans wait for a collector")
	}
}
