package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

const patience = 20 * time.Second

// startNATS runs a server of its own for a test.
func startNATS(t testing.TB) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server did not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func startPage(t testing.TB, nc *nats.Conn, js jetstream.JetStream, opts Options) (*Page, *httptest.Server) {
	t.Helper()
	p, err := New(nc, js, opts)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); s.Close() })
	return p, s
}

// A fake is a worker that speaks the wire format and has its functions in Go.
type fake struct {
	t     testing.TB
	nc    *nats.Conn
	js    jetstream.JetStream
	queue wire.Queue
	every time.Duration // between its messages

	mu     sync.Mutex
	status wire.Worker
	end    context.CancelFunc
	done   sync.WaitGroup
}

var bounds = []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}

var served = []wire.Function{
	{Name: "demo.add", Signature: "(a: int, b: int = 0) -> int", Doc: "Add two numbers.\n\nBoth may be of any size."},
	{Name: "demo.fail", Signature: "(message: str)", Doc: "Raise a ValueError with the message."},
	{Name: "demo.slow", Signature: "(seconds: float)", Doc: ""},
}

func makeStreams(t testing.TB, js jetstream.JetStream, q wire.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	configs := []jetstream.StreamConfig{
		{Name: q.JobsStream(), Subjects: []string{q.Jobs()}, Retention: jetstream.WorkQueuePolicy},
		{Name: q.ResultsStream(), Subjects: []string{q.Result("*")}, MaxMsgsPerSubject: 1},
		{Name: q.DeadStream(), Subjects: []string{q.Dead("*")}, MaxMsgsPerSubject: 1},
		{Name: q.CancelsStream(), Subjects: []string{q.Cancel("*")}, MaxMsgsPerSubject: 1, MaxAge: time.Hour},
	}
	for _, config := range configs {
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			t.Fatal(err)
		}
	}
	_, err := js.CreateOrUpdateConsumer(ctx, q.JobsStream(), jetstream.ConsumerConfig{Durable: wire.Consumer, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
}

func startFake(t testing.TB, nc *nats.Conn, js jetstream.JetStream, q wire.Queue, name string) *fake {
	t.Helper()
	makeStreams(t, js, q)
	f := &fake{t: t, nc: nc, js: js, queue: q, every: 200 * time.Millisecond}
	f.status = wire.Worker{Worker: name, Queue: string(q), Host: "build-1", PID: 4711, Version: "0.1.0", Started: time.Now(), State: wire.StateServing,
		Parallel: 4, Functions: served,
		Ran:    wire.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)},
		Waited: wire.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}}
	ctx, cancel := context.WithCancel(context.Background())
	f.end = cancel
	f.done.Go(func() { f.work(ctx) })
	f.done.Go(func() { f.say(ctx) })
	t.Cleanup(f.stop)
	return f
}

func (f *fake) stop() { f.end(); f.done.Wait() }

func (f *fake) say(ctx context.Context) {
	for tick := time.NewTicker(f.every); ; {
		f.mu.Lock()
		f.status.Time = time.Now()
		f.publish(f.queue.Worker(f.status.Worker), f.status)
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *fake) publish(subject string, document any) {
	body, err := json.Marshal(document)
	if err == nil {
		err = f.nc.Publish(subject, body)
	}
	if err != nil && err != nats.ErrConnectionClosed {
		f.t.Error(err)
	}
}

func (f *fake) work(ctx context.Context) {
	consumer, err := f.js.Consumer(ctx, f.queue.JobsStream(), wire.Consumer)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		f.t.Error(err)
		return
	}
	for ctx.Err() == nil {
		msg, err := consumer.Next(jetstream.FetchMaxWait(time.Second))
		if err == nil {
			f.job(ctx, msg)
		}
	}
}

func (f *fake) job(ctx context.Context, msg jetstream.Msg) {
	about, err := msg.Metadata()
	if err != nil {
		f.t.Error(err)
		return
	}
	h := msg.Headers()
	request, err := wire.DecodeRequest(wire.JSON, msg.Data())
	key, _ := wire.KeyOf(request.Key, h, about.Sequence.Stream)
	started := time.Now()
	event := wire.Event{Event: wire.EventStarted, Key: key, Function: request.Function, Worker: f.status.Worker, Time: started, Deliveries: 1}
	f.publish(f.queue.Events(key), event)
	r := wire.Result{Key: key, Queue: string(f.queue), Function: request.Function, Status: wire.StatusOK, Worker: f.status.Worker, Deliveries: 1,
		Submitted: about.Timestamp, Started: started}
	if err != nil {
		r.Error = &wire.Error{Kind: wire.KindInvalid, Message: err.Error()}
	} else {
		r.Value, r.Stdout, r.Stderr, r.Error = call(ctx, request)
	}
	if r.Error != nil {
		r.Status = wire.StatusError
	}
	r.Finished = time.Now()
	r.Seconds = r.Finished.Sub(started).Seconds()
	f.record(r)
	if err := msg.Ack(); err != nil {
		f.t.Error(err)
	}
	event.Event, event.Status, event.Time, event.Seconds = wire.EventFinished, r.Status, r.Finished, r.Seconds
	event.Waited = started.Sub(about.Timestamp).Seconds()
	if r.Error != nil {
		event.Kind, event.Message = r.Error.Kind, lineOf(r.Error)
	}
	f.count(r.Error == nil, event.Seconds, event.Waited)
	f.publish(f.queue.Events(key), event)
}

func (f *fake) count(ok bool, ran, waited float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ok {
		f.status.Done++
	} else {
		f.status.Failed++
	}
	observe(&f.status.Ran, ran)
	observe(&f.status.Waited, waited)
}

func observe(h *wire.Histogram, value float64) {
	for i, bound := range h.Bounds {
		if value <= bound {
			h.Counts[i]++
			return
		}
	}
	h.Counts[len(h.Bounds)]++
}

func call(ctx context.Context, request *wire.Request) (value any, stdout, stderr string, failed *wire.Error) {
	var args []json.RawMessage
	if raw, ok := request.Args.(json.RawMessage); ok {
		if err := json.Unmarshal(raw, &args); err != nil {
			return nil, "", "", &wire.Error{Kind: wire.KindInvalid, Message: err.Error()}
		}
	}
	switch request.Function {
	case "demo.add":
		var a, b int
		if len(args) != 2 || json.Unmarshal(args[0], &a) != nil || json.Unmarshal(args[1], &b) != nil {
			return nil, "", "", exception("TypeError", "add() needs two numbers")
		}
		return a + b, fmt.Sprintf("adding %d and %d\n", a, b), "", nil
	case "demo.echo":
		return request.Args, "", "", nil
	case "demo.slow":
		var seconds float64
		if len(args) == 1 && json.Unmarshal(args[0], &seconds) == nil {
			select {
			case <-time.After(time.Duration(seconds * float64(time.Second))):
			case <-ctx.Done():
			}
		}
		return "slept", "", "", nil
	}
	return nil, "before it failed\n", "a warning\n", exception("ValueError", "<img src=x onerror=alert(1)> is no number")
}

func exception(kind, message string) *wire.Error {
	return &wire.Error{Kind: wire.KindException, Type: kind, Message: message,
		Traceback: "Traceback (most recent call last):\n  File \"demo.py\", line 12, in fail\n    raise " + kind + "(message)\n" + kind + ": " + message + "\n"}
}

func (f *fake) record(r wire.Result) { record(f.t, f.js, f.queue, r) }

func record(t testing.TB, js jetstream.JetStream, q wire.Queue, r wire.Result) {
	t.Helper()
	body, err := r.Encode(wire.JSON)
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	msg := nats.NewMsg(q.Result(r.Key))
	msg.Data = body
	_, err = js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil && !strings.Contains(err.Error(), "wrong last sequence") {
		t.Error(err)
	}
}

// bury puts a dead letter there, and its result.
func bury(t testing.TB, js jetstream.JetStream, q wire.Queue, key, kind, message, body string) {
	t.Helper()
	msg := nats.NewMsg(q.Dead(key))
	msg.Data = []byte(body)
	msg.Header.Set(wire.HeaderKey, key)
	msg.Header.Set(wire.HeaderKind, kind)
	msg.Header.Set(wire.HeaderMessage, message)
	msg.Header.Set(wire.HeaderDeliveries, "3")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := js.PublishMsg(ctx, msg); err != nil {
		t.Fatal(err)
	}
	request, _ := wire.DecodeRequest(wire.JSON, msg.Data) // an invalid one has a result as well
	now := time.Now()
	record(t, js, q, wire.Result{Key: key, Queue: string(q), Function: request.Function, Status: wire.StatusError, Worker: "w1", Deliveries: 3, Submitted: now,
		Finished: now, Error: &wire.Error{Kind: kind, Message: message}})
}

// until waits for something to become true.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
