package worker_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

func TestDrainFinishesWhatIsHeld(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	w := r.start(func(o *worker.Options) { o.Parallel, o.Prefetch = 1, 1 })
	said, err := r.nc.SubscribeSync(r.queue.Worker(w.Name()))
	if err != nil || r.nc.Flush() != nil {
		t.Fatal(err)
	}
	keys := []string{r.submit(call("jobs.gate", "a")), r.submit(call("jobs.gate", "b")), r.submit(call("jobs.gate", "c"))}
	r.until("two are held", func() bool { s := w.Status(); return s.Running == 1 && s.Held == 1 })
	w.end()
	r.until("it drains", func() bool { return w.Status().State == wire.StateDraining })
	r.open()
	w.stopNow(t)
	for _, key := range keys[:2] {
		if result := r.result(key); result.Error != nil {
			t.Errorf("%+v", result)
		}
	}
	r.until("what has ended is acknowledged", func() bool { return r.left() == 1 })
	if runs := r.count("runs"); runs != 2 {
		t.Errorf("%d runs", runs)
	}
	for last := (wire.Worker{}); !last.Leaving; {
		msg, err := said.NextMsgWithContext(r.ctx)
		if err != nil || json.Unmarshal(msg.Data, &last) != nil {
			t.Fatal(err)
		}
	}
	r.start()
	if result := r.result(keys[2]); result.Error != nil || result.Deliveries != 1 {
		t.Errorf("%+v", result)
	}
}

func TestDrainGivesBackWhatTakesTooLong(t *testing.T) {
	r := newRoom(t, "jobs.py", gated)
	w := r.start(func(o *worker.Options) { o.Parallel, o.Prefetch, o.DrainTimeout = 1, 1, 50*time.Millisecond })
	keys := []string{r.submit(call("jobs.gate", "a")), r.submit(call("jobs.gate", "b"))}
	r.until("two are held", func() bool { s := w.Status(); return s.Running == 1 && s.Held == 1 })
	w.stopNow(t)
	if left, runs := r.left(), r.count("runs"); left != 2 || runs != 1 {
		t.Errorf("%d left, %d runs", left, runs)
	}
	r.open()
	r.start()
	for _, key := range keys {
		if result := r.result(key); result.Error != nil || result.Deliveries != 2 {
			t.Errorf("%+v", result)
		}
	}
}

// systemd sends SIGTERM to all processes of a service, those of interpreters too.
func TestAJobWhoseProcessIsEndedWithTheWorkerIsGivenBack(t *testing.T) {
	r := newRoom(t, "jobs.py", gated+`
from subpy_worker import current_job
def ended():
    gate("ended")
    if current_job().deliveries == 1:
        os.kill(os.getpid(), 15)
        time.sleep(100)
    return 1
`)
	w := r.start()
	key := r.submit(call("jobs.ended"))
	r.running(1)
	w.end()
	r.open()
	w.stopNow(t)
	r.start()
	if result := r.result(key); result.Error != nil || result.Deliveries != 2 {
		t.Errorf("%+v", result)
	}
}

func TestReload(t *testing.T) {
	r := newRoom(t, "jobs.py", gated+"def version(): return 1\n")
	w := r.start()
	old := r.submit(call("jobs.gate", "old"))
	r.running(1)
	if got := r.value(call("jobs.version")); got != "1" {
		t.Errorf("version %s", got)
	}

	r.write("jobs.py", "import nothing_of_this_name\n")
	if err := w.Reload(); err == nil || !strings.Contains(err.Error(), "ModuleNotFoundError: No module named 'nothing_of_this_name'") {
		t.Errorf("reloading: %v", err)
	}
	if got := r.value(call("jobs.version")); got != "1" {
		t.Errorf("version %s", got)
	}
	if !strings.Contains(w.log.String(), "not reloaded") {
		t.Error("the log does not say that the code was not reloaded")
	}

	r.write("jobs.py", gated+"def version(): return 2\n")
	r.write("more.py", "def fresh(): return 3\n")
	if err := w.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := r.value(call("jobs.version")); got != "2" {
		t.Errorf("version %s", got)
	}
	if got := r.value(call("more.fresh")); got != "3" {
		t.Errorf("fresh %s", got)
	}
	r.open()
	if result := r.result(old); result.Error != nil || result.Deliveries != 1 {
		t.Errorf("%+v", result)
	}
	if runs := r.count("runs"); runs != 1 {
		t.Errorf("there were %d runs", runs)
	}
}

func TestReloadWhileTheWorkerEnds(t *testing.T) {
	r := newRoom(t, "jobs.py", "def one(): return 1\n")
	w := r.start(func(o *worker.Options) { o.Isolation, o.Parallel = subpy.IsolationOwnGIL, 1 })
	reloading := make(chan error)
	go func() {
		for {
			if err := w.Reload(); err != nil {
				reloading <- err
				return
			}
		}
	}()
	w.stopNow(t)
	if err := <-reloading; !strings.Contains(err.Error(), "has ended") {
		t.Error(err)
	}
	if err := w.Reload(); err == nil {
		t.Error("a worker that has ended is reloaded")
	}
}

// An interpreter that replaces another one imports what is in the folder then. Jobs do not pay for code that is broken.
func TestBrokenCodeCostsNoJob(t *testing.T) {
	const good = "import os\ndef abort(): os.abort()\ndef add(a): return a + 1\n"
	r := newRoom(t, "jobs.py", good)
	w := r.start(func(o *worker.Options) { o.Parallel, o.RetryDelay = 1, 10*time.Millisecond })
	r.write("jobs.py", "import nothing_of_this_name\n")
	if err := w.Reload(); err == nil {
		t.Fatal("it was reloaded")
	}
	if result := r.result(r.submit(call("jobs.abort"))); result.Error == nil || result.Error.Kind != wire.KindCrashed {
		t.Fatalf("%+v", result)
	}
	key := r.submit(call("jobs.add", 1))
	r.until("a job was given back", func() bool { return strings.Contains(w.log.String(), "could not be run, and is given back") })
	ready := httptest.NewRecorder()
	w.Handler().ServeHTTP(ready, httptest.NewRequest("GET", "/readyz", nil))
	if ready.Code != http.StatusServiceUnavailable || !strings.Contains(ready.Body.String(), "nothing_of_this_name") {
		t.Errorf("/readyz: %d, %s", ready.Code, ready.Body)
	}
	r.write("jobs.py", good)
	if result := r.result(key); result.Error != nil || string(result.Value.(json.RawMessage)) != "2" {
		t.Errorf("%+v", result)
	}
}

func TestErrorsOfTheBegin(t *testing.T) {
	r := newRoom(t, "jobs.py", "import jobs2\n", "jobs2.py", "def f(:\n")
	empty := t.TempDir()
	for _, c := range []struct {
		change func(*worker.Options)
		want   string
	}{
		{func(o *worker.Options) { o.Code = "" }, "no folder with code is given"},
		{func(o *worker.Options) { o.Code = r.path("nowhere") }, "nowhere: no such file"},
		{func(o *worker.Options) { o.Code = r.path("jobs.py") }, "is a file; name the folder"},
		{func(o *worker.Options) { o.Code = empty }, "put a file such as jobs.py there"},
		{func(o *worker.Options) { o.Serve = []string{"jobs.py!"} }, "no name of a module"},
		{func(o *worker.Options) { o.Serve = []string{"absent"} }, "No module named 'absent'"},
		{func(o *worker.Options) { o.Serve = []string{"jobs"} }, "jobs2.py\", line 1"},
		{func(o *worker.Options) { o.Serve = []string{"keyword"} }, "no function is defined in keyword"},
		{func(o *worker.Options) { o.Queue = "a b" }, "queue"},
		{func(o *worker.Options) { o.MaxResult = 10 << 20 }, "max_payload"},
		{func(o *worker.Options) { o.Queue, o.Replicas = o.Queue+"-3", 3 }, "as many servers"},
	} {
		o := worker.DefaultOptions()
		o.Code, o.Queue, o.Logger = r.folder, string(r.queue), quiet
		c.change(&o)
		if _, err := worker.New(r.ctx, r.nc, o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q is not in: %v", c.want, err)
		} else if strings.Contains(err.Error(), "subpy_worker>") {
			t.Errorf("the traceback is not the code's own: %v", err)
		}
	}
}
