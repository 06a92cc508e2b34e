package worker_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker"
)

// beWorker is a worker in a process of its own, which a test may kill.
func beWorker() (code int, child bool) {
	url := os.Getenv("WORKER_TEST_NATS")
	if url == "" {
		return 0, false
	}
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err == nil {
		o := worker.DefaultOptions()
		o.Queue, o.Code, o.Parallel, o.AckWait = os.Getenv("WORKER_TEST_QUEUE"), os.Getenv("WORKER_TEST_CODE"), 1, time.Second
		o.MaxDeliver, o.Logger = 2, slog.New(slog.NewTextHandler(os.Stderr, nil))
		if os.Getenv("WORKER_TEST_OWN_GIL") != "" {
			o.Isolation = subpy.IsolationOwnGIL
		}
		var w *worker.Worker
		if w, err = worker.New(context.Background(), nc, o); err == nil {
			fmt.Println("ready")
			err = w.Run(context.Background())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1, true
}

// startChild starts such a worker, and returns when it is ready.
func (r *room) startChild(t *testing.T, environment ...string) *exec.Cmd {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "WORKER_TEST_NATS="+r.url, "WORKER_TEST_QUEUE="+string(r.queue), "WORKER_TEST_CODE="+r.folder)
	child.Env = append(child.Env, environment...)
	log := new(logText)
	child.Stderr = log
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
		if t.Failed() {
			t.Logf("the child's log:\n%s", log)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q (%v)\n%s", line, err, log)
	}
	return child
}
