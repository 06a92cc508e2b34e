package worker

import (
	"context"

	"github.com/subpy/subpy/bindings/go/worker/wire"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var traceContext propagation.TraceContext

func tracer(provider trace.TracerProvider) trace.Tracer {
	return provider.Tracer("github.com/subpy/subpy/bindings/go/worker")
}

// startSpan begins the span of a job's try, in the trace that its headers tell, and returns what Python is to see of it.
func (w *Worker) startSpan(j *job) (span trace.Span, traceparent, tracestate string) {
	ctx := traceContext.Extract(context.Background(), propagation.MapCarrier{
		wire.HeaderTraceparent: j.msg.Headers().Get(wire.HeaderTraceparent), wire.HeaderTracestate: j.msg.Headers().Get(wire.HeaderTracestate)})
	ctx, span = w.tracer.Start(ctx, j.request.Function, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", w.queue.Jobs()),
		attribute.String("messaging.message.id", j.key),
		attribute.Int("messaging.nats.deliveries", j.deliveries)))
	seen := propagation.MapCarrier{}
	traceContext.Inject(ctx, seen)
	return span, seen[wire.HeaderTraceparent], seen[wire.HeaderTracestate]
}

func endSpan(span trace.Span, err *wire.Error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Kind+": "+oneLine(err.Message))
		span.SetAttributes(attribute.String("error.type", err.Kind))
	}
	span.End()
}
