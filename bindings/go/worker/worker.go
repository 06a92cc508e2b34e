// Package worker serves Python functions as durable work queues on NATS JetStream. docs/worker.md describes it.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/subpy/subpy/bindings/go/worker/wire"
	"go.opentelemetry.io/otel/trace"
)

// A Worker serves the functions of some Python modules.
type Worker struct {
	o      Options
	queue  wire.Queue
	nc     *nats.Conn
	js     jetstream.JetStream
	log    *slog.Logger
	tracer trace.Tracer
	clock  *clock
	begun  time.Time // the server's time
	counts counts

	interpreters trouble // no job can be run

	streams
	restoring     sync.Mutex
	follow        jetstream.ConsumeContext // of cancellations
	followed      time.Time                // when the stream that it follows was created
	cancelsFailed atomic.Bool
	recording     trouble // results cannot be recorded

	ackWait   time.Duration
	maxResult int

	slots  chan struct{} // one for each job that is held
	tokens chan struct{} // one for each job that runs

	reloading sync.Mutex
	lock      sync.Mutex
	code      *code
	ended     bool            // the code is not replaced any more
	held      map[uint64]*job // by sequence
	byKey     map[string][]*job
	cancels   map[string]time.Time
	pending   uint64 // jobs of the queue that no worker holds
	state     string
	seen      time.Time // when the server last answered

	ending   chan struct{}  // closed when Run is to end
	begin    chan *job      // those that are held are handled by as many goroutines as there are slots
	running  sync.WaitGroup // jobs
	jobs     context.Context
	stopJobs context.CancelCauseFunc
	life     context.Context // ends when nothing is published any more
	stop     context.CancelFunc
}

// Why jobs are stopped.
var (
	errCancelled = errors.New("the job was cancelled")
	errDeadline  = errors.New("the deadline of the job has passed")
	errDraining  = errors.New("the worker ends")
)

// New connects a worker to the streams of its queue, which it creates when they are not there, and imports the Python code.
// The connection stays the caller's.
func New(ctx context.Context, nc *nats.Conn, options Options) (*Worker, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	w := &Worker{o: options, queue: wire.Queue(options.Queue), nc: nc, js: js, tracer: tracer(options.TracerProvider),
		log: options.Logger.With("worker", options.Name, "queue", options.Queue), clock: newClock(options.wall), state: wire.StateServing,
		slots: make(chan struct{}, options.Parallel+options.Prefetch), tokens: make(chan struct{}, options.Parallel),
		begin: make(chan *job, options.Parallel+options.Prefetch), ending: make(chan struct{}),
		held: map[uint64]*job{}, byKey: map[string][]*job{}, cancels: map[string]time.Time{}}
	w.jobs, w.stopJobs = context.WithCancelCause(context.Background())
	w.life, w.stop = context.WithCancel(context.Background())
	if w.streams, err = w.openStreams(ctx); err != nil {
		return nil, err
	}
	w.ackWait = w.consumer.CachedInfo().Config.AckWait
	if err := w.chooseMaxResult(); err != nil {
		return nil, err
	}
	if err := w.untilAnswered(ctx, w.ask); err != nil {
		return nil, err
	}
	w.begun = w.clock.now()
	w.code, err = options.load(w.maxResult)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// chooseMaxResult leaves room beside the value for the rest of a result.
func (w *Worker) chooseMaxResult() error {
	most := int(w.nc.MaxPayload())
	room := most - min(128<<10, most/2)
	if w.o.MaxResult > room {
		return fmt.Errorf("a result of %d bytes does not fit into a message of this server, which takes %d: allow %d at most, or raise max_payload there",
			w.o.MaxResult, most, room)
	}
	w.maxResult = w.o.MaxResult
	defaultTo(&w.maxResult, room)
	return nil
}

// Functions are what the worker serves now.
func (w *Worker) Functions() []wire.Function {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.code.functions
}

// Name is the worker's name.
func (w *Worker) Name() string { return w.o.Name }

// Run takes jobs until the context is done. Then it takes no more, waits until those that it has are done, as long as
// [Options.DrainTimeout], gives back the rest, and returns nil. It is to be called once.
func (w *Worker) Run(ctx context.Context) error {
	defer w.stop()
	defer w.stopJobs(errDraining)
	context.AfterFunc(ctx, func() { close(w.ending) })
	err := w.startCancels(ctx)
	if err == nil {
		w.serve(ctx)
		w.stopCancels()
	} else if ctx.Err() != nil {
		err = nil // it ends before it has begun
	}
	w.lock.Lock()
	last := w.code
	w.ended = true
	w.lock.Unlock()
	last.retire()
	<-last.idle
	w.log.Info("ended")
	return err
}

// serve takes jobs until the context is done, and then drains.
func (w *Worker) serve(ctx context.Context) {
	var helpers sync.WaitGroup
	helpers.Go(w.keepAlive)
	helpers.Go(w.report)
	helpers.Go(w.askOften)
	w.log.Info("serving", "functions", len(w.Functions()), "parallel", w.o.Parallel, "isolation", w.o.Isolation.String(), "ack-wait", w.ackWait)

	for range cap(w.slots) {
		helpers.Go(func() {
			for j := range w.begin {
				j.handle()
				w.running.Done()
			}
		})
	}
	w.pull(ctx)
	close(w.begin)
	w.drain()

	w.stop()
	helpers.Wait()
	w.publishStatus(true)
	if err := w.nc.FlushTimeout(5 * time.Second); err != nil {
		w.log.Warn("the last messages may not have been sent", "error", err)
	}
}

func (w *Worker) drain() {
	w.lock.Lock()
	w.state = wire.StateDraining
	held := len(w.held)
	w.lock.Unlock()
	w.log.Info("draining", "held", held, "timeout", w.o.DrainTimeout)
	done := make(chan struct{})
	go func() {
		w.running.Wait()
		close(done)
	}()
	late := time.NewTimer(w.o.DrainTimeout)
	defer late.Stop()
	select {
	case <-done:
		return
	case <-late.C:
		w.log.Warn("jobs that are not done in time are given back")
		w.stopJobs(errDraining)
	}
	<-done
}

// Reload imports the Python code anew. Jobs that begin from then on have the new code; when it cannot be imported the old one
// stays.
func (w *Worker) Reload() error {
	w.reloading.Lock()
	defer w.reloading.Unlock()
	options := w.o
	var fresh *code
	err := options.findModules()
	if err == nil {
		fresh, err = options.load(w.maxResult)
	}
	if err != nil {
		w.log.Error("the code was not reloaded, the old one stays", "error", err)
		return err
	}
	w.lock.Lock()
	old, ended := w.code, w.ended
	if !ended {
		w.code = fresh
	}
	w.lock.Unlock()
	if ended {
		fresh.close()
		return errors.New("the code was not reloaded: the worker has ended")
	}
	old.retire()
	w.log.Info("reloaded", "functions", len(fresh.functions))
	return nil
}

// drains tells whether the worker fetches no more jobs.
func (w *Worker) drains() bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.state == wire.StateDraining
}

// endsSoon tells whether the worker is told to end. Who ends all its processes at once may reach those of interpreters first.
func (w *Worker) endsSoon() bool {
	select {
	case <-w.ending:
		return true
	case <-time.After(200 * time.Millisecond):
		return false
	}
}

// currentCode is the code for a job that begins; the job leaves it.
func (w *Worker) currentCode() *code {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.code.use()
	return w.code
}
