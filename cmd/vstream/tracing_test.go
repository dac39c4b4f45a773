package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func TestServeTellsACollectorOfTracesWhatItDoesIfItIsToldWhere(t *testing.T) {
	var mu sync.Mutex
	var sent bytes.Buffer // under mu
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&sent, r.Body)
	}))
	t.Cleanup(collector.Close)
	s := newSite(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
	fetch(t, api(s.vstream.process)+"/events?q=secret")
	for _, span := range []string{"log in", "collect page", "append events", "GET /api/v1/events"} {
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			mu.Lock()
			told := bytes.Contains(sent.Bytes(), []byte(span))
			mu.Unlock()
			if told {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("there is no span %q", span)
			}
		}
	}
	s.vstream.stop()
	mu.Lock()
	defer mu.Unlock()
	if bytes.Contains(sent.Bytes(), []byte("secret")) {
		t.Error("a span tells what somebody looks for")
	}
}
