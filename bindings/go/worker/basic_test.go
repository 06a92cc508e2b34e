package worker_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/wire"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const basic = `
import datetime, functools
from subpy_worker import current_job

def add(a, b=2):
    """Adds.

    Numbers, mostly."""
    print("adding", a, "and", b)
    return a + b

def same(*args, **kwargs): return [args, kwargs]
def job(): return [str(x) if isinstance(x, datetime.datetime) else x for x in current_job()]
async def later(x): return x
@functools.lru_cache
def cached(x): return x
`

func TestAFunctionRuns(t *testing.T) {
	for _, isolation := range []subpy.Isolation{subpy.IsolationProcess, subpy.IsolationOwnGIL} {
		t.Run(isolation.String(), func(t *testing.T) {
			r := newRoom(t, "jobs.py", basic)
			w := r.start(func(o *worker.Options) { o.Isolation = isolation })
			result := r.result(r.submit(call("jobs.add", 1)))
			if value, _ := result.Value.(json.RawMessage); result.Error != nil || string(value) != "3" || result.Stdout != "adding 1 and 2\n" {
				t.Errorf("%+v", result)
			}
			if result.Worker != w.Name() || result.Function != "jobs.add" || result.Started.Before(result.Submitted.Add(-time.Second)) ||
				result.Finished.Before(result.Started) || result.Seconds <= 0 {
				t.Errorf("%+v", result)
			}
			for c, want := range map[*client.Call]string{
				{Request: wire.Request{Function: "jobs.same", Args: []any{1, 2.5, "é", nil, true}, Kwargs: map[string]any{"a": []int{1}}}}: `[[1,2.5,"\u00e9",null,true],{"a":[1]}]`,
				{Request: wire.Request{Function: "jobs.same"}}:                                                            `[[],{}]`,
				{Request: wire.Request{Function: "jobs.later", Args: []any{7}}}:                                           `7`,
				{Request: wire.Request{Function: "jobs.cached", Args: []any{8}}}:                                          `8`,
				{Request: wire.Request{Function: "jobs.same", Args: json.RawMessage(`[123456789012345678901234567890]`)}}: `[[123456789012345678901234567890],{}]`,
			} {
				if got := r.value(*c); got != want {
					t.Errorf("%s: %s, not %s", c.Function, got, want)
				}
			}
			r.until("the requests are acknowledged", func() bool { return r.left() == 0 })
		})
	}
}

func TestMessagePack(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	r.start()
	args := []any{int64(-1), 2.5, "é", nil, true, []byte{0, 255}, []any{map[any]any{int64(1): "x"}}, map[string]any{"k": []any{}}}
	c := packed(call("jobs.same", args...))
	c.Kwargs = map[string]any{"a": int64(1) << 40}
	result := r.result(r.submit(c))
	if want := []any{args, c.Kwargs}; result.Error != nil || !reflect.DeepEqual(result.Value, want) {
		t.Errorf("%#v, not %#v (%v)", result.Value, want, result.Error)
	}
}

func TestTheJobIsSeenByTheCode(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	r.start()
	deadline := time.Date(2126, 1, 2, 3, 4, 5, 0, time.UTC)
	got := r.value(client.Call{Request: wire.Request{Function: "jobs.job", Key: "k1", Deadline: deadline},
		Header: map[string][]string{wire.HeaderTraceparent: {traceparent}, wire.HeaderTracestate: {"a=b"}}})
	if want := `["k1","` + string(r.queue) + `","jobs.job","2126-01-02 03:04:05+00:00",1,"` + traceparent + `","a=b"]`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

func TestASpanOfEachJob(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	r := newRoom(t, "jobs.py", basic+"def fail(): raise ValueError\n")
	r.start(func(o *worker.Options) { o.TracerProvider = provider })
	got := r.value(traced(call("jobs.job")))
	all := spans.GetSpans()
	if len(all) != 1 {
		t.Fatalf("there are %d spans", len(all))
	}
	own := all[0].SpanContext
	seen := "00-0af7651916cd43dd8448eb211c80319c-" + own.SpanID().String() + "-01"
	if all[0].Name != "jobs.job" || all[0].Parent.SpanID().String() != "b7ad6b7169203331" || !strings.Contains(got, seen) {
		t.Errorf("%+v, and Python saw %s", all[0], got)
	}
	r.result(r.submit(traced(call("jobs.fail"))))
	if all := spans.GetSpans(); len(all) != 2 || all[1].Status.Description != "exception: " {
		t.Errorf("%+v", all)
	}
}

func TestExampleOfCodeThatAsksAboutItsJob(t *testing.T) {
	code, err := os.ReadFile("examples/report.py")
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, "report.py", string(code))
	r.start()
	if got := r.value(call("report.report")); got != `"report.report, delivery 1"` {
		t.Error(got)
	}
}

func TestTheResultIsPublishedToAReplySubjectAsWell(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	r.start()
	inbox := nats.NewInbox()
	replies, err := r.nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	// The second request finds the result of the first one, as after the death of a worker.
	for range 2 {
		key := r.publish(nats.Header{wire.HeaderReply: {inbox}}, []byte(`{"function": "jobs.add", "args": [1], "key": "one"}`))
		msg, err := replies.NextMsgWithContext(r.ctx)
		if err != nil {
			t.Fatal(err)
		}
		result, err := wire.DecodeResult(wire.JSON, msg.Data)
		if err != nil || !reflect.DeepEqual(result, r.result("one")) {
			t.Errorf("%s: %+v (%v)", key, result, err)
		}
	}
}

func TestEvents(t *testing.T) {
	r := newRoom(t, "jobs.py", basic+"def fail(): raise ValueError('no')\n")
	w := r.start(func(o *worker.Options) { o.RetryDelay = time.Millisecond })
	events, err := r.nc.SubscribeSync(r.queue.Events("*"))
	if err != nil || r.nc.Flush() != nil {
		t.Fatal(err)
	}
	key := r.submit(with(call("jobs.fail"), func(c *client.Call) { c.Tries = 2 }))
	for _, want := range []string{"started 1 ", "retrying 1 exception no", "started 2 ", "finished 2 exception no"} {
		msg, err := events.NextMsgWithContext(r.ctx)
		var e wire.Event
		if err != nil || json.Unmarshal(msg.Data, &e) != nil {
			t.Fatal(err)
		}
		got := strings.Join([]string{e.Event, string(rune('0' + e.Deliveries)), strings.TrimSpace(e.Kind + " " + e.Message)}, " ")
		if got != want || e.Key != key || e.Function != "jobs.fail" || e.Worker != w.Name() || wire.LastToken(msg.Subject) != key {
			t.Errorf("%q, not %q: %+v", got, want, e)
		}
	}
}

func TestFunctions(t *testing.T) {
	r := newRoom(t, "jobs.py", basic, "other.py", "from jobs import add\ndef mine(a: int) -> int: return a\n", "_hidden.py", "1/0")
	w := r.start()
	names := []string{}
	for _, f := range w.Functions() {
		names = append(names, f.Name+f.Signature)
	}
	want := []string{"jobs.add(a, b=2)", "jobs.cached(x)", "jobs.job()", "jobs.later(x)", "jobs.same(*args, **kwargs)", "other.mine(a: int) -> int"}
	if !reflect.DeepEqual(names, want) || w.Functions()[0].Doc != "Adds.\n\nNumbers, mostly." {
		t.Errorf("%q", w.Functions())
	}
}

func TestHTTP(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	w := r.start()
	r.result(r.submit(call("jobs.add", 1)))
	r.result(r.submit(call("jobs.add", "x")))
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	get := func(path string) (int, string) {
		request, err := http.NewRequestWithContext(context.Background(), "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := get(path); status != 200 || body != "ok\n" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	labels := `queue="` + string(r.queue) + `",worker="` + w.Name() + `"`
	r.until("both are counted", func() bool { s := w.Status(); return s.Done+s.Failed == 2 })
	status, body := get("/metrics")
	for _, line := range []string{`subpy_worker_jobs_total{kind="",` + labels + `} 1`, `subpy_worker_jobs_total{kind="exception",` + labels + `} 1`,
		`subpy_worker_run_seconds_count{` + labels + `} 2`, `subpy_worker_parallel{` + labels + `} 2`, `subpy_worker_interpreters{` + labels + `} 2`} {
		if status != 200 || !strings.Contains(body, line+"\n") {
			t.Errorf("%q is not in\n%s", line, body)
		}
	}
	w.stopNow(t)
	if status, body := get("/readyz"); status != 503 || body != "the worker has ended\n" {
		t.Errorf("%d %s", status, body)
	}
}
