package subpy

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// An Interpreter is an isolated CPython interpreter. Its methods may be called by any goroutine at any time. Those of a
// nil or zero Interpreter, and of one that was closed, return [ErrNotFound].
//
// There is one *Interpreter for each interpreter, whichever function returns it. When a program drops one that [Create]
// made, without closing it, the interpreter is closed some time after the garbage collector has noticed.
type Interpreter struct {
	_       noCopy
	handle  uint64
	spare   *spare // nil in a zero Interpreter
	kept    atomic.Pointer[kept]
	cleanup runtime.Cleanup
}

// noCopy makes go vet complain when an Interpreter or a Thread is copied.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// Busy says what happens to a run that finds its interpreter running. A thread that is inside already may always run
// more in it.
type Busy int32

const (
	// BusyRefuse makes it an ErrBusy, as in Python. It is the default.
	BusyRefuse Busy = 0
	// BusyWait lets it wait for the others; in slices of a fifth of a millisecond. Each run that waits takes an OS thread.
	BusyWait Busy = 1
	// BusyShare runs it as well: the runs take turns with the interpreter's GIL, as Python's threads do.
	BusyShare Busy = 2
)

// String returns "refuse", "wait" or "share".
func (b Busy) String() string {
	switch b {
	case BusyRefuse:
		return "refuse"
	case BusyWait:
		return "wait"
	case BusyShare:
		return "share"
	default:
		return fmt.Sprintf("Busy(%d)", int32(b))
	}
}

// The constants of subpy.h.
const (
	gilShared = 1

	interpAllowFork          = 1
	interpAllowExec          = 2
	interpNoThreads          = 4
	interpAllowDaemonThreads = 8
	interpNoExtensionCheck   = 16
	interpUnbuffered         = 32
	interpNoStdin            = 64
	interpTaggedValues       = 128
	interpCountMemory        = 256
	interpProcess            = 512
	interpLocked             = 1024
	interpLockBestEffort     = 2048
)

// An Option changes what [Create] creates.
type Option func(*options)

type options struct {
	gil, busy int32
	flags     uint64
	path      []string
	timeLimit time.Duration
	memory    uint64
	grace     time.Duration
	cpuLimit  time.Duration
	readable  []string
	writable  []string
	venv      string
	output    *outputs
}

// WithBusy sets what happens to a run while the interpreter is running.
func WithBusy(busy Busy) Option {
	return func(o *options) { o.busy = int32(busy) }
}

// WithPath puts folders in front of sys.path.
func WithPath(folders ...string) Option {
	return func(o *options) { o.path = append(o.path, folders...) }
}

// WithVenv gives the interpreter the packages of a virtual environment, by its folder, in place of those of the process. It
// must have been made for the same minor version of Python.
func WithVenv(folder string) Option {
	return func(o *options) { o.venv = folder }
}

// WithTimeLimit sets how long each run in the interpreter may take, by whichever function. One that takes longer is interrupted
// by a KeyboardInterrupt and is a [*TimeoutError]. See [Interpreter.ExecContext] for what that means, and
// [ContextWithTimeLimit] for a run that may take longer.
func WithTimeLimit(limit time.Duration) Option {
	return func(o *options) { o.timeLimit = limit }
}

// WithSharedGIL gives the interpreter the main interpreter's GIL in place of its own. More extension modules load, but
// it does not run while the main interpreter and its like do.
func WithSharedGIL() Option {
	return func(o *options) { o.gil = gilShared }
}

// WithNoExtensionCheck loads extension modules that do not declare support for sub-interpreters, too. Many of them work
// in the first interpreter that imports them, and fail or misbehave in the next. It needs [WithSharedGIL].
func WithNoExtensionCheck() Option {
	return withFlag(interpNoExtensionCheck)
}

// WithFork lets Python code call os.fork. The child crashes in CPython as long as it lacks a fix for its issue 139759.
func WithFork() Option {
	return withFlag(interpAllowFork)
}

// WithExec lets Python code call os.execv and the like, which replace the whole process.
func WithExec() Option {
	return withFlag(interpAllowExec)
}

// WithNoThreads forbids Python code to start threads.
func WithNoThreads() Option {
	return withFlag(interpNoThreads)
}

// WithDaemonThreads lets Python code start daemon threads. What it starts then is a daemon unless threading.Thread is
// told daemon=False, and closing the interpreter does not wait for it.
func WithDaemonThreads() Option {
	return withFlag(interpAllowDaemonThreads)
}

func withFlag(flag uint64) Option {
	return func(o *options) { o.flags |= flag }
}

// Create creates an interpreter, and starts the runtime when it is not running. It takes about ten milliseconds.
func Create(opts ...Option) (*Interpreter, error) {
	o := optionsOf(opts)
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	options, err := f.interpOptions(o)
	if err != nil {
		return nil, err
	}
	f.create(options)
	if f.status != success {
		return nil, f.outcome()
	}
	in := owned(f.out)
	if o.output != nil {
		if err := in.SetOutput(o.output.stdout, o.output.stderr); err != nil {
			return nil, errors.Join(err, in.Close())
		}
	}
	return in, nil
}

func optionsOf(opts []Option) *options {
	o := new(options)
	for _, option := range opts {
		if option != nil {
			option(o)
		}
	}
	return o
}

// interpOptions copies options into C memory.
func (f *frame) interpOptions(o *options) (address uintptr, err error) {
	path, err := f.cStrings("path", o.path)
	if err != nil {
		return 0, err
	}
	readable, err := f.cStrings("readable", o.readable)
	if err != nil {
		return 0, err
	}
	writable, err := f.cStrings("writable", o.writable)
	if err != nil {
		return 0, err
	}
	var venv uintptr
	if o.venv != "" {
		if venv, err = f.cString("venv", o.venv); err != nil {
			return 0, err
		}
	}
	create := interpOptions{
		gil:      o.gil,
		busy:     o.busy,
		flags:    o.flags,
		path:     path,
		pathLen:  uintptr(len(o.path)),
		timeout:  milliseconds(max(o.timeLimit, 0)),
		memory:   o.memory,
		grace:    uint64(milliseconds(max(o.grace, 0))),
		cpuLimit: uint64(milliseconds(max(o.cpuLimit, 0))),
		readable: readable,
		writable: writable,
		venv:     venv,
	}
	create.size = unsafe.Sizeof(create)
	if address = place(f, create); address == 0 {
		return 0, ErrNoMemory
	}
	return address, nil
}

// Main returns the main interpreter, and starts the runtime when it is not running. Packages that refuse other
// interpreters work there. It cannot be closed, and long runs in it delay the creation of others.
func Main() (*Interpreter, error) {
	return found((*frame).getMain)
}

// Current returns the interpreter whose Python code called the Go code that calls Current, see [Interpreter.Define]. It is
// [ErrNotFound] when none did.
func Current() (*Interpreter, error) {
	return found((*frame).getCurrent)
}

// Find returns the interpreter with an id, see [Interpreter.ID]. It starts the runtime when it is not running.
func Find(id int64) (*Interpreter, error) {
	return found(func(f *frame) { f.find(id) })
}

func found(look func(f *frame)) (*Interpreter, error) {
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	if look(f); f.status != success {
		return nil, f.outcome()
	}
	return known(f.out), nil
}

// ListAll returns all interpreters by ascending id: main, those of this program, and those that Python code created,
// which can be asked about but not run in. It starts the runtime when it is not running.
func ListAll() ([]*Interpreter, error) {
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	for capacity := uint64(16); ; {
		memory := f.alloc(uintptr(capacity) * unsafe.Sizeof(uint64(0)))
		if memory == nil {
			return nil, ErrNoMemory
		}
		if f.listAll(uintptr(memory), uintptr(capacity)); f.status != success {
			return nil, f.outcome()
		}
		if f.out > capacity { // and it may grow once more
			capacity = 2 * f.out
			continue
		}
		all := make([]*Interpreter, f.out)
		for i, handle := range unsafe.Slice((*uint64)(memory), f.out) {
			all[i] = known(handle)
		}
		return all, nil
	}
}

// Close finalizes the interpreter. It waits for the threads that Python code started in it, without end if one never
// ends, and runs its atexit handlers. It is [ErrBusy], and changes nothing, while something runs in the interpreter.
func (in *Interpreter) Close() error {
	_, err := ask(in, (*frame).close)
	if err == nil {
		in.disown()
	}
	return err
}

// Interrupt raises a KeyboardInterrupt in whatever the interpreter runs at the moment: the runs end with an [*InterruptedError].
// What runs next is not interrupted. To cancel one run give it a context, see [Interpreter.ExecContext].
func (in *Interpreter) Interrupt() error {
	_, err := ask(in, (*frame).interrupt)
	return err
}

// IsRunning tells whether something is being run in the interpreter. Threads that Python code left behind do not count.
func (in *Interpreter) IsRunning() (bool, error) {
	running, err := ask(in, (*frame).isRunning)
	return *(*bool)(unsafe.Pointer(&running)), err
}

// ID returns the id that CPython gave the interpreter: 0 for main, then ascending.
func (in *Interpreter) ID() (int64, error) {
	id, err := ask(in, (*frame).id)
	return int64(id), err
}

// Whence returns where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" ([Create]),
// "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown"; "process" for one that has a
// process of its own ([WithProcess]).
func (in *Interpreter) Whence() (string, error) {
	whence, err := ask(in, (*frame).whence)
	return cText(*(*uintptr)(unsafe.Pointer(&whence))), err
}

// String returns "interpreter 3", with its id.
func (in *Interpreter) String() string {
	id, err := in.ID()
	if err != nil {
		return "closed interpreter"
	}
	return fmt.Sprintf("interpreter %d", id)
}

// ask calls a C function that is about an interpreter, and returns what it gives. The bytes of that begin where a uint64
// begins, whatever their number.
func ask(in *Interpreter, about func(f *frame, interp uint64)) (uint64, error) {
	f, err := newFrame(nil)
	if err != nil {
		return 0, err
	}
	defer f.release(in)
	f.out = 0
	about(f, in.number())
	return f.out, f.outcome()
}

// number is the interpreter's handle. 0, which is that of no interpreter, stands for nil.
func (in *Interpreter) number() uint64 {
	if in == nil {
		return 0
	}
	return in.handle
}
