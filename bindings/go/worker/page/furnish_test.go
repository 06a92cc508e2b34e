package page

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

type streams = jetstream.JetStream

// furnish fills a page with what a day at work looks like: three queues, several workers, ten minutes of history.
func furnish(t *testing.T, p *Page, nc *nats.Conn, js jetstream.JetStream) {
	t.Helper()
	startFake(t, nc, js, "default", "worker-a1")
	for _, one := range []struct {
		queue wire.Queue
		name  string
		load  int
	}{{"default", "worker-a2", 46}, {"thumbnails", "worker-b1", 130}, {"thumbnails", "worker-b2", 118}, {"reports", "worker-c1", 3}} {
		startBusy(t, nc, js, one.queue, one.name, one.load)
	}
	startFake(t, nc, js, "reports", "worker-c2").stop() // it will be lost
	bury(t, js, "thumbnails", "img-20418", "poison", "delivered 5 times without a result", `{"function":"images.thumbnail","args":["s3://photos/20418.tiff",{"width":640,"height":480}],"kwargs":{"quality":85,"format":"webp"},"key":"img-20418","tries":2}`)
	bury(t, js, "reports", "seq-77", "invalid", "args: is a JSON text, and has to be a array", `{"function":"reports.monthly","args":"2026-10"}`)
	bury(t, js, "reports", "march", "unknown-function", "the worker serves no function \"report.monthly\"", `{"function":"report.monthly","args":["2026-03"],"key":"march"}`)
	begin := time.Now()
	for i, one := range []struct{ key, function, kind, message string }{
		{"img-20417", "images.thumbnail", "timeout", "the try took longer than 30 s"},
		{"rep-2026-09", "reports.monthly", "exception", "no rows for this month"},
		{"img-19003", "images.thumbnail", "crashed", "the process of the interpreter ended: signal 9"},
	} {
		q := wire.Queue("thumbnails")
		if i == 1 {
			q = "reports"
		}
		e := exception("LookupError", one.message)
		e.Kind = one.kind
		record(t, js, q, wire.Result{Key: one.key, Queue: string(q), Function: one.function, Status: wire.StatusError, Error: e, Worker: "worker-b1", Deliveries: 1 + i,
			Submitted: begin.Add(-time.Hour), Started: begin.Add(-40 * time.Minute), Finished: begin.Add(-time.Duration(i*17+3) * time.Minute), Seconds: 30})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range 37 {
		if _, err := js.Publish(ctx, wire.Queue("thumbnails").Jobs(), []byte(`{"function":"images.thumbnail"}`)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the queues", func() bool {
		p.model.mu.Lock()
		defer p.model.mu.Unlock()
		return len(p.model.queues) == 3
	})
	p.model.forgetFailures() // those of before were read while they were put there
	p.model.mu.Lock()
	defer p.model.mu.Unlock()
	for _, h := range []*history{p.model.total, p.model.queues["default"].history} {
		past(h)
	}
}

// past makes up the seconds before.
func past(h *history) {
	random := rand.New(rand.NewPCG(1, 2))
	h.points = h.points[:0]
	for i := range seconds {
		wave := math.Sin(float64(i)/90) + math.Sin(float64(i)/23)/3
		ran, waited := 0.031+0.004*wave, 0.0045+0.001*math.Max(0, wave)
		one := point{done: math.Round(280 + 60*wave + 30*random.Float64()), waiting: math.Max(0, math.Round(90+70*wave+20*random.Float64())),
			inProgress: math.Round(14 + 2*random.Float64())}
		if i > 380 && i < 440 {
			one.failed = math.Round(12 * random.Float64())
		}
		for _, factor := range []float64{1, 2.6, 4.6} {
			noise := 1 + 0.06*random.Float64()
			one.ran, one.waited = append(one.ran, ran*factor*noise), append(one.waited, waited*factor*noise)
		}
		h.points = append(h.points, one)
	}
}

// startBusy has a worker report jobs that it does not run.
func startBusy(t *testing.T, nc *nats.Conn, js jetstream.JetStream, q wire.Queue, name string, load int) {
	t.Helper()
	makeStreams(t, js, q)
	f := &fake{t: t, nc: nc, js: js, queue: q, every: time.Second}
	f.status = wire.Worker{Worker: name, Queue: string(q), Host: "build-2", PID: 91822, Version: "0.1.0", Started: time.Now().Add(-3 * time.Hour), State: wire.StateServing,
		Parallel: 8, Running: min(load/20+1, 8), Held: load / 20, Done: uint64(load) * 9000, Failed: 12, Functions: served,
		Ran:    wire.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)},
		Waited: wire.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}}
	if q != "default" {
		f.status.Functions = []wire.Function{{Name: "images.thumbnail", Signature: "(url, size, *, quality=85, format='webp')", Doc: "Scale an image down."}, {Name: "reports.monthly", Signature: "(month: str) -> dict"}}
	}
	if name == "worker-b2" {
		f.status.State = wire.StateDraining
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.end = cancel
	f.done.Go(func() { f.say(ctx) })
	f.done.Go(func() {
		random := rand.New(rand.NewPCG(3, uint64(load)))
		for tick := time.NewTicker(time.Second); ; {
			for range load {
				f.count(random.Float64() > 0.01, 0.008+0.03*random.ExpFloat64(), 0.002+0.004*random.ExpFloat64())
			}
			for i := range min(load, 3) {
				e := wire.Event{Event: wire.EventFinished, Key: "job-" + time.Now().Format("150405") + string(rune('a'+i)), Function: f.status.Functions[0].Name, Worker: name,
					Time: time.Now(), Deliveries: 1, Status: wire.StatusOK, Seconds: 0.008 + 0.03*random.ExpFloat64(), Waited: 0.003}
				f.publish(q.Events(e.Key), e)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(f.stop)
}
