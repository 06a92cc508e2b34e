package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker"
	"github.com/subpy/subpy/bindings/go/worker/client"
	"github.com/subpy/subpy/bindings/go/worker/embedded"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

// add is what docs/worker.md shows.
func add(ctx context.Context, nc *nats.Conn) error {
	jobs, err := client.New(nc, "default")
	if err != nil {
		return err
	}
	key, err := jobs.Submit(ctx, "jobs.add", 40)
	if err != nil {
		return err
	}
	var sum int
	if err := jobs.Value(ctx, key, &sum); err != nil {
		return err
	}
	if sum != 42 {
		return fmt.Errorf("the sum is %d", sum)
	}
	return nil
}

func TestAClient(t *testing.T) {
	folder := t.TempDir()
	server, err := embedded.Start(embedded.Options{Store: filepath.Join(folder, "store"), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	nc, err := nats.Connect(server.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()

	jobs, err := client.New(nc, "")
	if err != nil {
		t.Fatal(err)
	}
	if key, err := jobs.Submit(ctx, "jobs.add", 1); err == nil || !strings.Contains(err.Error(), "start a worker") || wire.CheckKey(key) != nil {
		t.Errorf("submitting to nobody: %q, %v", key, err)
	}
	code := "def add(a, b=2): return a + b\ndef fail(): raise ValueError('no')\n"
	if err := os.WriteFile(filepath.Join(folder, "jobs.py"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	o := worker.DefaultOptions()
	o.Code, o.Parallel, o.Logger = folder, 1, slog.New(slog.DiscardHandler)
	w, err := worker.New(ctx, nc, o)
	if err != nil {
		t.Fatal(err)
	}
	running, end := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- w.Run(running) }()
	if err := add(context.Background(), nc); err != nil {
		t.Error(err)
	}

	key, err := jobs.SubmitCall(ctx, client.Call{Request: wire.Request{Function: "jobs.fail", Key: "mine"}})
	if key != "mine" || err != nil {
		t.Errorf("the key is %s (%v)", key, err)
	}
	var failed *wire.Error
	if err := jobs.Value(ctx, key, nil); !errors.As(err, &failed) || failed.Kind != wire.KindException {
		t.Errorf("the error is %v", err)
	}
	if key, err = jobs.SubmitCall(ctx, client.Call{Request: wire.Request{Function: "jobs.add", Args: []any{1}, Key: "mine"}}); err != nil {
		t.Error(err)
	}
	if result, err := jobs.Result(ctx, key); err != nil || result.Error == nil {
		t.Errorf("the second job of a key has a result of its own: %+v (%v)", result, err)
	}
	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	if _, err := jobs.Result(short, "nobody"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for nothing: %v", err)
	}
	if _, err := jobs.Submit(ctx, "jobs.add", make(chan int)); err == nil {
		t.Error("a channel was submitted")
	}
	if err := jobs.Cancel(ctx, "a b"); err == nil {
		t.Error("no key was cancelled")
	}
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Who waits, with a context that has no end, notices nothing of a server that restarts.
func TestTheServerRestarts(t *testing.T) {
	o := embedded.Options{Store: t.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
	server, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Stop() }()
	o.Listen = server.Addr().String()
	nc, err := nats.Connect(server.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	queue := wire.Queue("restarted")
	config := jetstream.StreamConfig{Name: queue.ResultsStream(), Subjects: []string{queue.Result("*")}, AllowDirect: true}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	jobs, err := client.New(nc, string(queue))
	if err != nil {
		t.Fatal(err)
	}
	type answer struct {
		result *wire.Result
		err    error
	}
	got := make(chan answer, 1)
	go func() {
		result, err := jobs.Result(context.Background(), "k")
		got <- answer{result, err}
	}()
	for nc.NumSubscriptions() < 2 { // that of the wait, and that of answers
		time.Sleep(time.Millisecond)
	}
	server.Stop()
	if server, err = embedded.Start(o); err != nil {
		t.Fatal(err)
	}
	body, err := (&wire.Result{Key: "k", Queue: string(queue), Function: "jobs.add", Status: wire.StatusOK, Value: 42}).Encode(wire.JSON)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for published := false; !published; {
		once, done := context.WithTimeout(ctx, 5*time.Second)
		_, err := js.Publish(once, queue.Result("k"), body)
		done()
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		published = err == nil
	}
	select {
	case a := <-got:
		if a.err != nil || a.result.Status != wire.StatusOK {
			t.Errorf("%+v (%v)", a.result, a.err)
		}
	case <-ctx.Done():
		t.Error("the result did not come")
	}
}
