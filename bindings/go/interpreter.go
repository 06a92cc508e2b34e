package subpy

/*
#include "bridge.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// An Interpreter is an isolated CPython interpreter. Its methods may be called by any goroutine at any time. Those of a
// nil or zero Interpreter, and of one that was closed, return [ErrNotFound].
//
// There is one *Interpreter for each interpreter, whichever function returns it. When a program drops one that [Create]
// made, without closing it, the interpreter is closed some time after the garbage collector has noticed.
type Interpreter struct {
	_       noCopy
	handle  C.subpy_interp
	spare   *spare // nil in a zero Interpreter
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
	// BusyError makes it an ErrBusy, as in Python. It is the default.
	BusyError Busy = 0
	// BusyWait lets it wait for the others; first come, first served. Each run that waits takes an OS thread.
	BusyWait Busy = 1
	// BusyShare runs it as well: the runs take turns with the interpreter's GIL, as Python's threads do.
	BusyShare Busy = 2
)

// An Option changes what [Create] creates.
type Option func(*options)

type options struct {
	gil, busy int32
	flags     uint64
	path      []string
}

// WithBusy sets what happens to a run while the interpreter is running.
func WithBusy(busy Busy) Option {
	return func(o *options) { o.busy = int32(busy) }
}

// WithPath puts folders in front of sys.path.
func WithPath(folders ...string) Option {
	return func(o *options) { o.path = append(o.path, folders...) }
}

// WithSharedGIL gives the interpreter the main interpreter's GIL in place of its own. More extension modules load, but
// it does not run while the main interpreter and its like do.
func WithSharedGIL() Option {
	return func(o *options) { o.gil = C.SUBPY_GIL_SHARED }
}

// WithNoExtensionCheck loads extension modules that do not declare support for sub-interpreters, too. Many of them work
// in the first interpreter that imports them, and fail or misbehave in the next. It needs [WithSharedGIL].
func WithNoExtensionCheck() Option {
	return withFlag(C.SUBPY_INTERP_NO_EXTENSION_CHECK)
}

// WithFork lets Python code call os.fork. The child crashes in CPython as long as it lacks a fix for its issue 139759.
func WithFork() Option {
	return withFlag(C.SUBPY_INTERP_ALLOW_FORK)
}

// WithExec lets Python code call os.execv and the like, which replace the whole process.
func WithExec() Option {
	return withFlag(C.SUBPY_INTERP_ALLOW_EXEC)
}

// WithNoThreads forbids Python code to start threads.
func WithNoThreads() Option {
	return withFlag(C.SUBPY_INTERP_NO_THREADS)
}

// WithDaemonThreads lets Python code start daemon threads. What it starts then is a daemon unless threading.Thread is
// told daemon=False, and closing the interpreter does not wait for it.
func WithDaemonThreads() Option {
	return withFlag(C.SUBPY_INTERP_ALLOW_DAEMON_THREADS)
}

func withFlag(flag uint64) Option {
	return func(o *options) { o.flags |= flag }
}

// Create creates an interpreter, and starts the runtime when it is not running. It takes about ten milliseconds.
func Create(opts ...Option) (*Interpreter, error) {
	var o options
	for _, option := range opts {
		if option != nil {
			option(&o)
		}
	}
	f := newFrame(nil)
	if f == nil {
		return nil, ErrNoMemory
	}
	defer f.release(nil)
	path, err := f.cStrings("path", o.path)
	if err != nil {
		return nil, err
	}
	create := C.subpy_interp_options{
		size:     C.sizeof_subpy_interp_options,
		gil:      C.int32_t(o.gil),
		busy:     C.int32_t(o.busy),
		flags:    C.uint64_t(o.flags),
		path:     (**C.char)(path),
		path_len: C.size_t(len(o.path)),
	}
	var handle C.subpy_interp
	var failure *C.subpy_error
	if status := C.subpy_create(&create, &handle, &failure); status != C.SUBPY_OK {
		return nil, newError(status, failure)
	}
	return owned(handle), nil
}

// Main returns the main interpreter, and starts the runtime when it is not running. Packages that refuse other
// interpreters work there. It cannot be closed, and long runs in it delay the creation of others.
func Main() (*Interpreter, error) {
	var handle C.subpy_interp
	var failure *C.subpy_error
	if status := C.subpy_get_main(&handle, &failure); status != C.SUBPY_OK {
		return nil, newError(status, failure)
	}
	return known(handle), nil
}

// Current returns the interpreter whose Python code called the Go code that calls Current. It is [ErrNotFound] when none
// did, which is as good as always.
func Current() (*Interpreter, error) {
	var handle C.subpy_interp
	var failure *C.subpy_error
	if status := C.subpy_get_current(&handle, &failure); status != C.SUBPY_OK {
		return nil, newError(status, failure)
	}
	return known(handle), nil
}

// Find returns the interpreter with an id, see [Interpreter.ID]. It starts the runtime when it is not running.
func Find(id int64) (*Interpreter, error) {
	var handle C.subpy_interp
	var failure *C.subpy_error
	if status := C.subpy_find(C.int64_t(id), &handle, &failure); status != C.SUBPY_OK {
		return nil, newError(status, failure)
	}
	return known(handle), nil
}

// ListAll returns all interpreters by ascending id: main, those of this program, and those that Python code created,
// which can be asked about but not run in. It starts the runtime when it is not running.
func ListAll() ([]*Interpreter, error) {
	handles := make([]C.subpy_interp, 16)
	for {
		var count C.size_t
		var failure *C.subpy_error
		status := C.subpy_list_all(unsafe.SliceData(handles), C.size_t(len(handles)), &count, &failure)
		if status != C.SUBPY_OK {
			return nil, newError(status, failure)
		}
		if int(count) > len(handles) { // and it may grow once more
			handles = make([]C.subpy_interp, 2*count)
			continue
		}
		all := make([]*Interpreter, count)
		for i := range all {
			all[i] = known(handles[i])
		}
		return all, nil
	}
}

// Close finalizes the interpreter. It waits for the threads that Python code started in it, without end if one never
// ends, and runs its atexit handlers. It is [ErrBusy], and changes nothing, while something runs in the interpreter.
func (in *Interpreter) Close() error {
	var failure *C.subpy_error
	status := C.subpy_close(in.number(), &failure)
	if status == C.SUBPY_OK {
		in.disown()
	}
	runtime.KeepAlive(in)
	return newError(status, failure)
}

// IsRunning tells whether something is being run in the interpreter. Threads that Python code left behind do not count.
func (in *Interpreter) IsRunning() (bool, error) {
	var running C.bool
	var failure *C.subpy_error
	status := C.subpy_is_running(in.number(), &running, &failure)
	runtime.KeepAlive(in)
	return bool(running), newError(status, failure)
}

// ID returns the id that CPython gave the interpreter: 0 for main, then ascending.
func (in *Interpreter) ID() (int64, error) {
	var id C.int64_t
	var failure *C.subpy_error
	status := C.subpy_id(in.number(), &id, &failure)
	runtime.KeepAlive(in)
	return int64(id), newError(status, failure)
}

// Whence returns where the interpreter came from, in CPython's words: "runtime init" (main), "C-API" ([Create]),
// "_interpreters module" (Python code), "legacy C-API", "cross-interpreter C-API" or "unknown".
func (in *Interpreter) Whence() (string, error) {
	var whence *C.char
	var failure *C.subpy_error
	status := C.subpy_whence(in.number(), &whence, &failure)
	runtime.KeepAlive(in)
	return C.GoString(whence), newError(status, failure)
}

// number is the interpreter's handle. 0, which is that of no interpreter, stands for nil.
func (in *Interpreter) number() C.subpy_interp {
	if in == nil {
		return 0
	}
	return in.handle
}
