package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/subpy/subpy/bindings/go/worker"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func TestTraces(t *testing.T) {
	var options worker.Options
	end, err := startTraces(t.Context(), &options, slog.Default())
	if end(); err != nil || options.TracerProvider != nil {
		t.Errorf("nothing asked for traces: %v, %v", options.TracerProvider, err)
	}

	got := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" && err == nil {
			var plain *gzip.Reader
			if plain, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
				body, err = io.ReadAll(plain)
			}
		}
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		got <- &request
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	if end, err = startTraces(t.Context(), &options, slog.Default()); err != nil {
		t.Fatal(err)
	}
	_, span := options.TracerProvider.Tracer("of the test").Start(t.Context(), "jobs.add")
	span.End()
	end()
	spans := (<-got).GetResourceSpans()
	if len(spans) != 1 || spans[0].ScopeSpans[0].Spans[0].Name != "jobs.add" {
		t.Fatalf("%v", spans)
	}
	about := map[string]string{}
	for _, attribute := range spans[0].Resource.Attributes {
		about[attribute.Key] = attribute.Value.GetStringValue()
	}
	if about["service.name"] != "subpy-worker-nats" || about["deployment.environment.name"] != "test" || about["host.name"] == "" {
		t.Errorf("%v", about)
	}
}

// A collector that is not there costs the worker nothing, and its log says so.
func TestTracesThatNobodyTakes(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL)
	var log bytes.Buffer
	var options worker.Options
	end, err := startTraces(t.Context(), &options, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := options.TracerProvider.Tracer("of the test").Start(t.Context(), "jobs.add")
	span.End()
	end()
	if !strings.Contains(log.String(), "404") {
		t.Errorf("the log is %q", log.String())
	}
}
