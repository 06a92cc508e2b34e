package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// tooLong is when a test gives up; no test expects anything to take as long.
const tooLong = 180 * time.Second

// A room is a queue on a server of its own or of all tests, with the workers that serve it.
type room struct {
	t      *testing.T
	nc     *nats.Conn
	js     jetstream.JetStream
	queue  wire.Queue
	client *client.Client
	ctx    context.Context
	folder string
	url    string
}

var shared struct {
	sync.Once
	server *embedded.Server
	err    error
	queues atomic.Int64
}

func TestMain(m *testing.M) {
	if code, child := beWorker(); child {
		os.Exit(code)
	}
	folder, err := os.MkdirTemp("", "subpy-worker")
	if err != nil {
		panic(err)
	}
	shared.server, shared.err = embedded.Start(embedded.Options{Store: folder, Listen: "127.0.0.1:0", Logger: quiet})
	status := m.Run()
	if shared.server != nil {
		shared.server.Stop()
	}
	os.RemoveAll(folder)
	os.Exit(status)
}

var quiet = slog.New(slog.DiscardHandler)

// newRoom has a queue on the server that all tests share, and a folder with modules: "name.py" and their text, in turn.
func newRoom(t *testing.T, modules ...string) *room {
	t.Helper()
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return roomOn(t, shared.server.ClientURL(), modules...)
}

func roomOn(t *testing.T, url string, modules ...string) *room {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), tooLong)
	t.Cleanup(cancel)
	r := &room{t: t, nc: nc, js: js, queue: wire.Queue(fmt.Sprintf("q%d", shared.queues.Add(1))), ctx: ctx, folder: t.TempDir(), url: url}
	if r.client, err = client.New(nc, string(r.queue)); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(modules); i += 2 {
		r.write(modules[i], modules[i+1])
	}
	return r
}

func (r *room) write(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, file), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// path is a file that Python code and the test both use.
func (r *room) path(name string) string {
	return filepath.Join(r.folder, name)
}

// A runner is a worker that runs.
type runner struct {
	*worker.Worker
	end  context.CancelFunc
	done chan error
	log  *logText
}

type logText struct {
	lock sync.Mutex
	text strings.Builder
}

func (l *logText) Write(text []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(text)
}

func (l *logText) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

// start starts a worker with the options of the command, changed by some functions.
func (r *room) start(change ...func(*worker.Options)) *runner {
	r.t.Helper()
	nc, err := nats.Connect(r.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	log := new(logText)
	o := worker.DefaultOptions()
	o.Code, o.Queue, o.Parallel, o.Logger = r.folder, string(r.queue), 2, slog.New(slog.NewTextHandler(log, nil))
	for _, f := range change {
		f(&o)
	}
	w, err := worker.New(r.ctx, nc, o)
	if err != nil {
		nc.Close()
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &runner{Worker: w, end: cancel, done: make(chan error, 1), log: log}
	go func() { run.done <- w.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		select {
		case err := <-run.done:
			if err != nil {
				r.t.Errorf("the worker ended with: %v", err)
			}
		case <-time.After(tooLong):
			buffer := make([]byte, 1<<20)
			r.t.Errorf("the worker does not end\n%s", buffer[:runtime.Stack(buffer, true)])
		}
		nc.Close()
		if r.t.Failed() {
			r.t.Logf("the worker's log:\n%s", log)
		}
	})
	return run
}

// stopNow ends the worker and waits until it has.
func (r *runner) stopNow(t *testing.T) {
	t.Helper()
	r.end()
	select {
	case err := <-r.done:
		r.done <- err
	case <-time.After(tooLong):
		t.Fatal("the worker does not end")
	}
}

func (r *room) submit(call client.Call) string {
	r.t.Helper()
	key, err := r.client.SubmitCall(r.ctx, call)
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

func call(function string, args ...any) client.Call {
	c := client.Call{Request: wire.Request{Function: function}}
	if len(args) > 0 {
		c.Args = args
	}
	return c
}

// traceparent is that of a client's span; traced is a call with it.
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func traced(c client.Call) client.Call {
	c.Header = map[string][]string{wire.HeaderTraceparent: {traceparent}}
	return c
}

func (r *room) result(key string) *wire.Result {
	r.t.Helper()
	result, err := r.client.Result(r.ctx, key)
	if err != nil {
		r.t.Fatalf("the result of %s: %v", key, err)
	}
	return result
}

// value is the result of a call, in JSON.
func (r *room) value(c client.Call) string {
	r.t.Helper()
	result := r.result(r.submit(c))
	if result.Error != nil {
		r.t.Fatalf("%s: %v\n%s", c.Function, result.Error, result.Error.Traceback)
	}
	return string(result.Value.(json.RawMessage))
}

// publish publishes a request as any NATS client does, and returns the key that it has.
func (r *room) publish(header nats.Header, body []byte) (key string) {
	r.t.Helper()
	ack, err := r.js.PublishMsg(r.ctx, &nats.Msg{Subject: r.queue.Jobs(), Header: header, Data: body})
	if err != nil {
		r.t.Fatal(err)
	}
	key, _ = wire.KeyOf("", header, ack.Sequence)
	return key
}

// until waits until something is so.
func (r *room) until(what string, so func() bool) {
	r.t.Helper()
	for !so() {
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("it never came that %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// count is how many lines a file has that the Python code has written, one a run.
func (r *room) count(file string) int {
	text, err := os.ReadFile(r.path(file))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// left is how many requests the stream has, those among them that workers hold.
func (r *room) left() int {
	r.t.Helper()
	stream, err := r.js.Stream(r.ctx, r.queue.JobsStream())
	if err != nil {
		r.t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

func (r *room) dead(key string) (*jetstream.RawStreamMsg, bool) {
	r.t.Helper()
	stream, err := r.js.Stream(r.ctx, r.queue.DeadStream())
	if err != nil {
		r.t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(r.ctx, r.queue.Dead(key))
	return msg, err == nil
}
