package subpy

import (
	"bytes"
	"context"
	"iter"
	"runtime"
	"time"
	"unsafe"
)

// A Pool has some interpreters that do what any number of goroutines want done. Each task runs in one of them, whichever is free.
// An interpreter in which a task was interrupted is replaced by a new one.
//
// Its methods may be called by any goroutine at any time. Those of a nil or zero Pool, and of one that was closed, return
// [ErrNotFound]. A Pool that the program drops is closed when its tasks have ended.
//
// Of the goroutines that wait for tasks only one takes an OS thread, so there may be many more of them than [PoolOptions.Backlog].
// Tasks must not wait for others of their pool, in Go functions that they call: all workers may come to do so.
type Pool struct {
	_       noCopy
	handle  uint64
	slots   chan struct{} // a place for each task that the library has; nil when it refuses those beyond
	joiner  chan struct{} // a place for the goroutine that waits in the library; the others wait in Go
	cleanup runtime.Cleanup
}

// PoolOptions say what [NewPool] creates. The zero value is the default.
type PoolOptions struct {
	// Workers is how many interpreters run at the same time. 0: as many as Go uses cores.
	Workers int

	// Backlog is how many tasks may wait in the library. Those beyond wait in Go or, with Refuse, are [ErrBusy]. 0: 16 for each worker.
	Backlog int
	Refuse  bool

	// Spares is how many interpreters are ready to take a worker's place. 0: one. Negative: none.
	Spares int

	// Interpreter has the options of each interpreter.
	Interpreter []Option

	// Setup is executed in each new interpreter, to define what tasks use.
	Setup string

	// Prepare is called for each new interpreter before Setup is executed, on whatever thread: to define functions, say.
	Prepare func(interp *Interpreter)

	// RunsPerWorker is after how many tasks a worker's interpreter is replaced. 0: never.
	RunsPerWorker int

	// Isolation is where the interpreters live.
	Isolation Isolation
}

// Isolation is where the interpreters of a pool live.
type Isolation int32

const (
	// IsolationOwnGIL: in this process, as [PoolOptions.Interpreter] says.
	IsolationOwnGIL Isolation = iota
	// IsolationProcess: each in a process of its own, as with [WithProcess]. What crashes or hangs there costs its own task alone.
	IsolationProcess
	// IsolationAuto: in this process until an extension module refuses that, then each in a process of its own. A task that ended
	// with that ImportError begins anew: what it did before, it does twice.
	IsolationAuto
)

// String returns "own GIL", "process" or "auto".
func (i Isolation) String() string {
	switch i {
	case IsolationOwnGIL:
		return "own GIL"
	case IsolationProcess:
		return "process"
	case IsolationAuto:
		return "auto"
	}
	return "invalid"
}

// The constants of subpy.h.
const (
	poolRefuse   = 1
	poolNoSpares = 2
)

// A poolPreparation is what there is to do for each new interpreter of a pool.
type poolPreparation struct {
	prepare func(*Interpreter)
	output  *outputs
}

// prepared is called for a new interpreter of a pool.
func prepared(handle uintptr, interp uint64) {
	object, ok := handles.all.Load(handle)
	if !ok {
		return
	}
	p, in := object.(*poolPreparation), known(interp)
	if p.output != nil {
		in.SetOutput(p.output.stdout, p.output.stderr)
	}
	if p.prepare != nil {
		guarded("the Prepare function of a pool", func() { p.prepare(in) })
	}
}

// NewPool creates a pool, and the interpreters of its workers.
func NewPool(options PoolOptions) (*Pool, error) {
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	o := optionsOf(options.Interpreter)
	request := poolRequest{
		workers:       uintptr(positive(options.Workers, runtime.GOMAXPROCS(0))),
		spares:        uintptr(max(options.Spares, 0)),
		runsPerWorker: uint64(max(options.RunsPerWorker, 0)),
		isolation:     options.Isolation,
	}
	request.size = unsafe.Sizeof(request)
	request.backlog = uintptr(positive(options.Backlog, 16*int(request.workers)))
	if options.Refuse {
		request.flags |= poolRefuse
	}
	if options.Spares < 0 {
		request.flags |= poolNoSpares
	}
	if request.interp, err = f.interpOptions(o); err != nil {
		return nil, err
	}
	setup, failed := f.copyText(options.Setup)
	if failed != nil {
		return nil, failed.of("Setup", true)
	}
	request.setup, request.setupLen = setup, uintptr(len(options.Setup))
	if options.Prepare != nil || o.output != nil {
		request.prepare, request.finalize = prepareCallback(), finalizeCallback()
		request.userdata = handles.add(&poolPreparation{options.Prepare, o.output})
	}
	address := place(f, request)
	if address == 0 {
		handles.all.Delete(request.userdata)
		return nil, ErrNoMemory
	}
	if f.newPool(address); f.status != success {
		return nil, f.outcome()
	}
	p := &Pool{handle: f.out, joiner: make(chan struct{}, 1)}
	if !options.Refuse {
		p.slots = make(chan struct{}, request.workers+request.backlog)
	}
	p.cleanup = runtime.AddCleanup(p, closeDroppedPool, p.handle)
	return p, nil
}

func positive(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// closeDroppedPool closes a pool that the program dropped, when it has nothing to do any more.
func closeDroppedPool(handle uint64) {
	closeWhenIdle(func() Status { return closePoolNow(handle) })
}

// ContextWithSubmitter returns a context for tasks of one of several submitters, which take turns: one that has many tasks waiting
// does not keep others from their turn. Without it the submitter is 0.
func ContextWithSubmitter(ctx context.Context, submitter uint64) context.Context {
	s := settingsOf(ctx)
	s.submitter = submitter
	return context.WithValue(ctx, settingsKey{}, s)
}

// Call calls something by its name, as [Interpreter.Call] does, in one of the pool's interpreters, and returns what it returns. The
// task ends with the context, as [Interpreter.ExecContext] does, also while it waits for its turn.
func (p *Pool) Call(ctx context.Context, callable string, args ...any) (any, error) {
	return CallPoolAs[any](ctx, p, callable, args...)
}

// CallPoolAs is [Pool.Call] with a result of type T.
func CallPoolAs[T any](ctx context.Context, p *Pool, callable string, args ...any) (T, error) {
	return runInPool[T](ctx, p, runRequest{what: runCall}, callable, nil, args)
}

// Exec runs statements, as [Interpreter.Exec] does, in one of the pool's interpreters.
func (p *Pool) Exec(ctx context.Context, code string, options ...RunOption) error {
	_, err := runInPool[Ignored](ctx, p, runRequest{what: runExec}, code, options, nil)
	return err
}

// Eval returns the value of an expression in one of the pool's interpreters.
func (p *Pool) Eval(ctx context.Context, expression string, options ...RunOption) (any, error) {
	return EvalPoolAs[any](ctx, p, expression, options...)
}

// EvalPoolAs is [Pool.Eval] with a result of type T.
func EvalPoolAs[T any](ctx context.Context, p *Pool, expression string, options ...RunOption) (T, error) {
	return runInPool[T](ctx, p, runRequest{what: runEval}, expression, options, nil)
}

// Submit is [Pool.Call] that does not wait for the call: the [Thread] tells when it has ended, and has its result. It waits for a
// place among the tasks. To cancel the task cancel its context.
func (p *Pool) Submit(ctx context.Context, callable string, args ...any) (*Thread, error) {
	t, leave, err := p.submit(ctx, runRequest{what: runCall}, callable, nil, args)
	if err == nil {
		t.ends.notify(leave)
	}
	return t, err
}

func runInPool[T any](ctx context.Context, p *Pool, request runRequest, text string, options []RunOption, args []any) (result T, err error) {
	request.flags |= resultsOf[T]()
	t, leave, err := p.submit(ctx, request, text, options, args)
	if err != nil {
		return result, err
	}
	select {
	case p.joiner <- struct{}{}: // that takes a thread, and a third of the time when there is nobody else
		defer func() {
			<-p.joiner
			leave()
		}()
	default:
		t.ends.notify(leave)
		<-t.ends.notice.done
	}
	return JoinAs[T](t)
}

// submit submits a task. What is returned with it is to be called when it has ended.
func (p *Pool) submit(ctx context.Context, request runRequest, text string, opts []RunOption, args []any) (*Thread, func(), error) {
	if p.number() == 0 {
		return nil, nil, ErrNotFound
	}
	o := runOptions{flags: request.flags}
	for _, option := range opts {
		if option != nil {
			option(&o)
		}
	}
	request.flags = o.flags
	leave := func() {}
	if p.slots != nil {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, nil, (&control{ctx: ctx}).explain(&InterruptedError{Exception: Exception{text: "cancelled before it began"}})
		}
		leave = func() { <-p.slots }
	}
	t, err := launch(ctx, nil, request, o.filename, args, func(f *frame, request uintptr) {
		f.submit(p.handle, settingsOf(ctx).submitter, request, text)
	})
	if err != nil {
		leave()
		return nil, nil, err
	}
	t.pool = p
	return t, leave, nil
}

// Map calls something by its name with one row of arguments after the other, on all workers, and iterates over the results in the
// order of the rows, as they come. A row that fails has an error, and the others go on. To stop, stop the loop: the rest is
// cancelled, and has ended when the loop has. It is over with the context, too.
func (p *Pool) Map(ctx context.Context, callable string, rows [][]any) iter.Seq2[any, error] {
	return MapPoolAs[any](ctx, p, callable, rows, 1)
}

// MapPoolAs is [Pool.Map] with results of type T, rows of any type, and so many rows a task: more are better when calls are short.
//
//	for size, err := range subpy.MapPoolAs[int](ctx, pool, "measure", rows, 10) {
func MapPoolAs[T, A any](ctx context.Context, p *Pool, callable string, rows [][]A, chunk int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		m := &mapping{stop: make(chan struct{}), results: resultsOf[T]()}
		outcomes := make(chan Outcome[T], 64)
		m.take = func(result *value, failure uintptr) bool {
			select {
			case outcomes <- mapOutcome[T](result, failure):
				return true
			case <-m.stop:
				return false
			}
		}
		go func() {
			defer close(outcomes)
			if err := mapRows(ctx, p, m, callable, rows, chunk); err != nil {
				select {
				case outcomes <- Outcome[T]{Err: err}:
				case <-m.stop:
				}
			}
		}()
		defer func() {
			close(m.stop)
			for range outcomes { // until the library has returned
			}
		}()
		for outcome := range outcomes {
			if !yield(outcome.Value, outcome.Err) {
				return
			}
		}
	}
}

// A mapping is a map that is going on. The library calls Go on the goroutine that called it, not on that of the loop, so that the
// loop may do what it likes.
type mapping struct {
	stop    chan struct{}
	results uint32
	take    func(result *value, failure uintptr) bool
}

// mapped is called with the outcome of a row. false stops the map.
func mapped(handle uintptr, result *value, failure uintptr) bool {
	object, ok := handles.all.Load(handle)
	return ok && object.(*mapping).take(result, failure)
}

func mapOutcome[T any](result *value, failure uintptr) (outcome Outcome[T]) {
	if failure != 0 {
		memory := allocate(unsafe.Sizeof(errorFields{}))
		if memory == 0 {
			outcome.Err = ErrNoMemory
			return outcome
		}
		defer free(memory)
		outcome.Err = newError(failure, at[errorFields](memory))
		return outcome
	}
	r := reading{root: result}
	err := decodeTo(&r, result, &outcome.Value)
	if err != nil {
		outcome.Err = err.of("result", false)
	} else if r.owner != nil {
		r.owner.adopt(result) // or the library frees it
	}
	return outcome
}

func mapRows[A any](ctx context.Context, p *Pool, m *mapping, callable string, rows [][]A, chunk int) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	if err := encodeRows(f, rows); err != nil {
		return err
	}
	request := runRequest{what: runCall, flags: m.results}
	request.size = unsafe.Sizeof(request)
	c, err := f.control(ctx, &request, false)
	if err != nil {
		return err
	}
	defer c.end()
	address := place(f, request)
	if address == 0 {
		return ErrNoMemory
	}
	handle := handles.add(m)
	f.mapPool(p.number(), address, callable, len(rows), max(chunk, 0), handle)
	f.passed(f.status)
	handles.all.Delete(handle)
	runtime.KeepAlive(rows)
	runtime.KeepAlive(p)
	if err := f.outcome(); err != nil {
		return c.explain(err)
	}
	return nil
}

// PoolStats say what a pool does and has done.
type PoolStats struct {
	Workers, Spares uint64 // interpreters
	Queued, Running uint64 // tasks at the moment
	Submitted, Done uint64
	Failed          uint64 // tasks that ended with an error, of those that are done
	Cancelled       uint64 // of those that failed
	Replaced        uint64 // interpreters
	Left            uint64 // of those, the ones that cannot be closed yet, because threads of Python are left in them

	Wait, Run Percentiles // how long tasks have waited, and run

	Crashed   uint64    // interpreters whose process has crashed, or was killed because a run did not end in time
	Isolation Isolation // where the interpreters live now
	Reason    string    // why they have moved there, with [IsolationAuto]
}

// Percentiles say how long half of all took, nine of ten, and 99 of 100.
type Percentiles struct {
	P50, P90, P99 time.Duration
}

// poolStats mirrors subpy_pool_stats.
type poolStats struct {
	size uintptr

	workers, spares, queued, running, submitted, done, failed, cancelled, replaced uint64

	wait, run [3]uint64 // microseconds
	left      uint64

	crashed   uint64
	isolation Isolation
	_         uint32
	reason    [200]byte // ends with a NUL
}

// Stats returns what the pool does and has done.
func (p *Pool) Stats() (PoolStats, error) {
	f, err := newFrame(nil)
	if err != nil {
		return PoolStats{}, err
	}
	defer f.release(nil)
	address := place(f, poolStats{size: unsafe.Sizeof(poolStats{})})
	if address == 0 {
		return PoolStats{}, ErrNoMemory
	}
	f.poolStats(p.number(), address)
	runtime.KeepAlive(p)
	s := at[poolStats](address)
	return PoolStats{
		Workers: s.workers, Spares: s.spares, Queued: s.queued, Running: s.running, Submitted: s.submitted, Done: s.done,
		Failed: s.failed, Cancelled: s.cancelled, Replaced: s.replaced, Left: s.left, Wait: percentiles(s.wait), Run: percentiles(s.run),
		Crashed: s.crashed, Isolation: s.isolation, Reason: untilNul(s.reason[:]),
	}, f.outcome()
}

func untilNul(text []byte) string {
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return string(text)
}

func percentiles(microseconds [3]uint64) Percentiles {
	return Percentiles{
		time.Duration(microseconds[0]) * time.Microsecond,
		time.Duration(microseconds[1]) * time.Microsecond,
		time.Duration(microseconds[2]) * time.Microsecond,
	}
}

// Close closes the pool and its interpreters. It is [ErrBusy], and changes nothing, while there are tasks.
func (p *Pool) Close() error {
	return p.close(nil)
}

// CloseWith closes the pool as [Interpreter.CloseWith] closes an interpreter: Drain waits for the tasks, and Interrupt ends them.
func (p *Pool) CloseWith(options CloseOptions) error {
	return p.close(&options)
}

func (p *Pool) close(options *CloseOptions) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	var address uintptr
	if options != nil {
		if address = f.closeOptions(*options); address == 0 {
			return ErrNoMemory
		}
	}
	f.closePool(p.number(), address)
	if err := f.outcome(); err != nil {
		return err
	}
	p.cleanup.Stop()
	return nil
}

// number is the pool's handle. 0, which is that of no pool, stands for nil.
func (p *Pool) number() uint64 {
	if p == nil {
		return 0
	}
	return p.handle
}
