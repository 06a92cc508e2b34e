package worker_test

import (
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// gated has functions that tell the test that they run, and wait until the test lets them go on.
const gated = `
import os, time

folder = os.path.dirname(__file__)

def note(what):
    with open(os.path.join(folder, "runs"), "a") as runs:
        print(what, file=runs)

def gate(name):
    note(name)
    while not os.path.exists(os.path.join(folder, "open")): time.sleep(0.005)
    return name

def count(n):
    note(n)
    time.sleep(0.06)
    return n

def abort(): os.abort()
`

func (r *room) open() { r.write("open", "") }

func (r *room) running(n int) {
	r.t.Helper()
	r.until("so many jobs have begun", func() bool { return r.count("runs") >= n })
}

func TestAWorkerThatIsKilledLosesNothing(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	child := r.startChild(t)
	key := r.submit(call("jobs.gate", "a"))
	r.running(1)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	r.open()
	r.startChild(t)
	result := r.result(key)
	if result.Error != nil || result.Deliveries != 2 || r.count("runs") != 2 {
		t.Errorf("after %d runs: %+v", r.count("runs"), result)
	}
}

// With own GILs a crash of a job is one of the worker.
func TestAJobThatItsWorkersDieOfIsPoison(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	var key string
	for try := range 2 {
		child := r.startChild(t, "WORKER_TEST_OWN_GIL=1")
		if try == 0 {
			key = r.submit(call("jobs.abort"))
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the worker has not died")
		}
	}
	r.startChild(t, "WORKER_TEST_OWN_GIL=1")
	if result := r.result(key); result.Error == nil || result.Error.Kind != wire.KindPoison || result.Deliveries != 3 {
		t.Errorf("%+v", result)
	}
	if _, ok := r.dead(key); !ok {
		t.Error("there is no dead letter")
	}
}

func TestTheServerRestartsWhileJobsRun(t *testing.T) {
	store := t.TempDir()
	server, err := embedded.Start(embedded.Options{Store: store, Listen: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Stop() }()
	address := server.Addr().(*net.TCPAddr)
	r := roomOn(t, server.ClientURL(), "jobs.py", gated)
	w := r.start()
	keys := []string{r.submit(call("jobs.gate", "a")), r.submit(call("jobs.gate", "b")), r.submit(call("jobs.gate", "c"))}
	r.running(2)
	server.Stop()
	r.open() // two end now, and their results have nowhere to go
	r.until("the worker has noticed", func() bool { return r.nc.IsReconnecting() })
	if server, err = embedded.Start(embedded.Options{Store: store, Listen: "127.0.0.1:" + strconv.Itoa(address.Port), Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	r.until("the client is connected again", r.nc.IsConnected)
	for _, key := range keys {
		if result := r.result(key); result.Error != nil {
			t.Errorf("%+v", result)
		}
	}
	r.until("all is acknowledged", func() bool { return r.left() == 0 })
	if runs := r.count("runs"); runs != len(keys) {
		t.Errorf("there were %d runs", runs)
	}
	w.stopNow(t)
}

func TestALongJobRunsOnce(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	r.start(func(o *worker.Options) { o.AckWait = 2 * time.Second })
	other := r.start(func(o *worker.Options) { o.AckWait = 2 * time.Second })
	keys := []string{r.submit(call("jobs.gate", "a")), r.submit(call("jobs.gate", "b"))}
	r.running(2)
	before := other.Status().Time
	r.until("the wait for acknowledgements has passed three times", func() bool { return other.Status().Time.Sub(before) > 6*time.Second })
	r.open()
	for _, key := range keys {
		if result := r.result(key); result.Error != nil || result.Deliveries != 1 {
			t.Errorf("%+v", result)
		}
	}
	if runs := r.count("runs"); runs != 2 {
		t.Errorf("there were %d runs", runs)
	}
}

// What was fetched and waits for its turn longer than the server waits for acknowledgements is not delivered again.
func TestFetchedJobsRunOnce(t *testing.T) {
	const jobs = 300
	r := newRoom(t, "jobs.py", gated)
	workers := []*runner{}
	for range 2 {
		workers = append(workers, r.start(func(o *worker.Options) { o.AckWait, o.Prefetch = 3*time.Second, 256 }))
	}
	keys := make([]string, jobs)
	for i := range keys {
		keys[i] = r.submit(call("jobs.count", i))
	}
	for _, key := range keys {
		if result := r.result(key); result.Error != nil || result.Deliveries != 1 {
			t.Errorf("%+v", result)
		}
	}
	for _, w := range workers {
		if status := w.Status(); status.Duplicates != 0 {
			t.Errorf("%d duplicates", status.Duplicates)
		}
	}
	if runs := r.count("runs"); runs != jobs {
		t.Errorf("there were %d runs", runs)
	}
}

func TestCancel(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	w := r.start(func(o *worker.Options) { o.Parallel, o.Prefetch = 1, 4 })
	running, waiting := r.submit(call("jobs.gate", "a")), ""
	r.running(1)
	waiting = r.submit(call("jobs.gate", "b"))
	r.until("the second one is fetched", func() bool { return w.Status().Held == 1 })
	for _, key := range []string{waiting, running} {
		if err := r.client.Cancel(r.ctx, key); err != nil {
			t.Fatal(err)
		}
		if result := r.result(key); result.Error == nil || result.Error.Kind != wire.KindCancelled || result.Started.IsZero() != (key == waiting) {
			t.Errorf("%+v", result)
		}
	}
	// A job of the same key that is submitted afterwards is another one, once the result is gone.
	stream, err := r.js.Stream(r.ctx, r.queue.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(r.ctx, r.queue.Result(waiting))
	if err == nil {
		err = stream.DeleteMsg(r.ctx, msg.Sequence)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.open()
	r.publish(nil, []byte(`{"function": "jobs.gate", "args": ["c"], "key": "`+waiting+`"}`))
	if result := r.result(waiting); result.Error != nil {
		t.Errorf("%+v", result)
	}
}

func TestStreamsAreLost(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	r.start(func(o *worker.Options) { o.Parallel = 1 })
	for _, key := range []string{"a", "b", "c"} { // the new stream has fewer
		if err := r.client.Cancel(r.ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	first := r.submit(call("jobs.gate", "a"))
	r.running(1)
	for _, stream := range []string{r.queue.ResultsStream(), r.queue.CancelsStream()} {
		if err := r.js.DeleteStream(r.ctx, stream); err != nil {
			t.Fatal(err)
		}
	}
	r.open()
	r.until("the results are there again", func() bool { _, err := r.js.Stream(r.ctx, r.queue.ResultsStream()); return err == nil })
	if result := r.result(first); result.Error != nil {
		t.Errorf("%+v", result)
	}
	if err := os.Remove(r.path("open")); err != nil {
		t.Fatal(err)
	}
	second := r.submit(call("jobs.gate", "b"))
	r.running(2)
	if err := r.client.Cancel(r.ctx, second); err != nil {
		t.Fatal(err)
	}
	if result := r.result(second); result.Error == nil || result.Error.Kind != wire.KindCancelled {
		t.Errorf("%+v", result)
	}
}

func TestRetries(t *testing.T) {
	r := newRoom(t, "jobs.py", gated+`
from subpy_worker import current_job
def third():
    note("third")
    if current_job().deliveries < 3: raise ValueError(current_job().deliveries)
    return "done"
def never():
    note("never")
    raise ValueError("no")
`)
	w := r.start(func(o *worker.Options) { o.RetryDelay = 10 * time.Millisecond })
	tries := func(c client.Call, n int) client.Call { return with(c, func(c *client.Call) { c.Tries = n }) }
	third := r.submit(tries(call("jobs.third"), 5))
	if result := r.result(third); result.Error != nil || result.Deliveries != 3 {
		t.Errorf("%+v", result)
	}
	if _, dead := r.dead(third); dead || r.count("runs") != 3 {
		t.Errorf("%d runs", r.count("runs"))
	}
	key := r.submit(tries(call("jobs.never"), 4))
	if result := r.result(key); result.Error == nil || result.Error.Kind != wire.KindException || result.Deliveries != 4 {
		t.Errorf("%+v", result)
	}
	if _, dead := r.dead(key); !dead || r.count("runs") != 7 {
		t.Errorf("%d runs", r.count("runs"))
	}
	if status := w.Status(); status.Retried != 5 || status.Dead != 1 || status.Failed != 1 || status.Done != 1 {
		t.Errorf("%+v", status)
	}
}

// A dead letter that is published again, with its key, has a result again.
func TestADeadLetterIsRetried(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	w := r.start()
	key := r.publish(nil, []byte(`{"function": "jobs.late"}`))
	if result := r.result(key); result.Error == nil || result.Error.Kind != wire.KindUnknownFunction {
		t.Fatalf("%+v", result)
	}
	r.write("jobs.py", gated+"def late(): return 1\n")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	dead, ok := r.dead(key)
	if !ok {
		t.Fatal("there is no dead letter")
	}
	results, err := r.js.Stream(r.ctx, r.queue.ResultsStream())
	if err == nil {
		var first, _ = results.GetLastMsgForSubject(r.ctx, r.queue.Result(key))
		err = results.DeleteMsg(r.ctx, first.Sequence)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.publish(dead.Header, dead.Data)
	if result := r.result(key); result.Error != nil {
		t.Errorf("%+v", result)
	}
}
