// Package subpy runs many isolated CPython interpreters in one process: Python's concurrent.interpreters, through
// libsubpy.so and without cgo. Any goroutine may use any interpreter at any time. A call keeps its thread until it
// returns.
package subpy

import (
	"runtime"
	"unsafe"
)

// Interpreter is a reference to an interpreter. It is closed with Close, or with all others by [Shutdown]; not by the
// garbage collector.
type Interpreter struct{ handle uint64 }

// Busy is what happens to a run while another one goes on in the same interpreter.
type Busy int32

const (
	BusyError Busy = iota // it is ErrBusy
	BusyWait              // it waits for its turn
	BusyShare             // it runs as well; they take turns with the GIL
)

// A subpy_interp_options.
type interpOptions struct {
	size      uintptr
	gil, busy int32
	flags     uint64
	path      uintptr
	pathLen   uintptr
}

// A subpy_run_request.
type runRequest struct {
	size     uintptr
	interp   uint64
	what     int32
	flags    uint32
	text     uintptr
	textLen  uintptr
	function uint64
	args     uintptr
	nargs    uintptr
	kwargs   uintptr
	filename uintptr
}

const (
	runExec = 1
	runEval = 2
	runCall = 3
)

// Create makes an interpreter, and starts CPython when it does not run.
func Create(busy Busy) (*Interpreter, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	options := interpOptions{busy: int32(busy)}
	options.size = unsafe.Sizeof(options)
	return c.found(func(handle *uint64, failure *uintptr) Status {
		return callStatus(c.create, uintptr(unsafe.Pointer(&options)), uintptr(unsafe.Pointer(handle)), uintptr(unsafe.Pointer(failure)))
	})
}

// Main returns the main interpreter.
func Main() (*Interpreter, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	return c.found(func(handle *uint64, failure *uintptr) Status {
		return callStatus(c.getMain, uintptr(unsafe.Pointer(handle)), uintptr(unsafe.Pointer(failure)))
	})
}

// Find returns the interpreter with an id.
func Find(id int64) (*Interpreter, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	return c.found(func(handle *uint64, failure *uintptr) Status {
		return callStatus(c.find, uintptr(id), uintptr(unsafe.Pointer(handle)), uintptr(unsafe.Pointer(failure)))
	})
}

func (c *symbols) found(look func(handle *uint64, failure *uintptr) Status) (*Interpreter, error) {
	var handle uint64
	var failure uintptr
	if status := look(&handle, &failure); status != 0 {
		return nil, c.takeError(status, failure)
	}
	return &Interpreter{handle}, nil
}

// Shutdown closes all interpreters and finalizes CPython. It fails with ErrBusy while anything runs.
func Shutdown() error {
	c, err := library()
	if err != nil {
		return err
	}
	var failure uintptr
	if status := callStatus(c.shutdown, uintptr(unsafe.Pointer(&failure))); status != 0 {
		return c.takeError(status, failure)
	}
	return nil
}

// PythonVersion returns the version of the CPython in use; "" before the first start.
func PythonVersion() (string, error) {
	c, err := library()
	if err != nil {
		return "", err
	}
	return cString(call(c.pythonVersion)), nil
}

// Exec runs statements in the interpreter's __main__.
func (i *Interpreter) Exec(code string) error {
	_, err := i.run(runExec, code, nil, nil)
	return err
}

// Eval returns the value of an expression.
func (i *Interpreter) Eval(expression string) (any, error) {
	return i.run(runEval, expression, nil, nil)
}

// Call calls "name" in __main__, or "package.module:attribute".
func (i *Interpreter) Call(callable string, args ...any) (any, error) {
	return i.run(runCall, callable, args, nil)
}

// CallKw is Call with keyword arguments: a Dict or a map[string]any.
func (i *Interpreter) CallKw(callable string, kwargs any, args ...any) (any, error) {
	return i.run(runCall, callable, args, kwargs)
}

func (i *Interpreter) run(what int32, text string, args []any, kwargs any) (any, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	request, kept, err := i.request(what, text, args, kwargs)
	if err != nil {
		return nil, err
	}
	var result value
	var failure uintptr
	status := callStatus(c.run, uintptr(unsafe.Pointer(request)), uintptr(unsafe.Pointer(&result)), uintptr(unsafe.Pointer(&failure)))
	runtime.KeepAlive(kept)
	return c.outcome(status, &result, failure)
}

// The value of a result, which is freed, or the error.
func (c *symbols) outcome(status Status, result *value, failure uintptr) (any, error) {
	if status != 0 {
		return nil, c.takeError(status, failure)
	}
	defer func() { call(c.valueFree, uintptr(unsafe.Pointer(result))) }()
	return read(result)
}

func (i *Interpreter) request(what int32, text string, args []any, kwargs any) (*runRequest, *encoder, error) {
	e := new(encoder)
	request := &runRequest{interp: i.handle, what: what, text: e.text(text), textLen: uintptr(len(text)), nargs: uintptr(len(args))}
	request.size = unsafe.Sizeof(*request)
	var err error
	if request.args, err = e.values(args, 0); err != nil {
		return nil, nil, invalid("args", err)
	}
	if kwargs != nil {
		slot := make([]value, 1)
		if err := e.put(&slot[0], kwargs, 0); err != nil {
			return nil, nil, invalid("kwargs", err)
		}
		request.kwargs = e.items(slot)
	}
	return request, e, nil
}

func invalid(name string, err error) error {
	return &Error{Status: ErrInvalidArgument.Status, Code: "SUBPY_ERROR_INVALID_ARGUMENT", Message: name + err.Error()}
}

// Thread is a call on a thread of the library's own.
type Thread struct{ handle uint64 }

// CallInThread starts a call on a thread of its own.
func (i *Interpreter) CallInThread(callable string, args ...any) (*Thread, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	request, kept, err := i.request(runCall, callable, args, nil)
	if err != nil {
		return nil, err
	}
	var handle uint64
	var failure uintptr
	status := callStatus(c.runInThread, uintptr(unsafe.Pointer(request)), uintptr(unsafe.Pointer(&handle)), uintptr(unsafe.Pointer(&failure)))
	runtime.KeepAlive(kept)
	if status != 0 {
		return nil, c.takeError(status, failure)
	}
	return &Thread{handle}, nil
}

// Join waits for the thread, and returns what its call returned. Once: afterwards it is ErrNotFound.
func (t *Thread) Join() (any, error) {
	c, err := library()
	if err != nil {
		return nil, err
	}
	var result value
	var failure uintptr
	status := callStatus(c.join, uintptr(t.handle), uintptr(unsafe.Pointer(&result)), uintptr(unsafe.Pointer(&failure)))
	return c.outcome(status, &result, failure)
}

// PrepareMain binds names in the interpreter's __main__: a Dict or a map[string]any.
func (i *Interpreter) PrepareMain(names any) error {
	c, err := library()
	if err != nil {
		return err
	}
	e := new(encoder)
	var slot value
	if err := e.put(&slot, names, 0); err != nil {
		return invalid("names", err)
	}
	var failure uintptr
	status := callStatus(c.prepareMain, uintptr(i.handle), uintptr(unsafe.Pointer(&slot)), uintptr(unsafe.Pointer(&failure)))
	runtime.KeepAlive(e)
	if status != 0 {
		return c.takeError(status, failure)
	}
	return nil
}

// IsRunning says whether something is being run in the interpreter by this library.
func (i *Interpreter) IsRunning() (bool, error) {
	c, err := library()
	if err != nil {
		return false, err
	}
	var running bool
	var failure uintptr
	if status := callStatus(c.isRunning, uintptr(i.handle), uintptr(unsafe.Pointer(&running)), uintptr(unsafe.Pointer(&failure))); status != 0 {
		return false, c.takeError(status, failure)
	}
	return running, nil
}

// ID returns the id that CPython gave the interpreter.
func (i *Interpreter) ID() (int64, error) {
	c, err := library()
	if err != nil {
		return 0, err
	}
	var id int64
	var failure uintptr
	if status := callStatus(c.id, uintptr(i.handle), uintptr(unsafe.Pointer(&id)), uintptr(unsafe.Pointer(&failure))); status != 0 {
		return 0, c.takeError(status, failure)
	}
	return id, nil
}

// Close ends the interpreter. It waits for the threads that Python code started in it.
func (i *Interpreter) Close() error {
	c, err := library()
	if err != nil {
		return err
	}
	var failure uintptr
	if status := callStatus(c.close, uintptr(i.handle), uintptr(unsafe.Pointer(&failure))); status != 0 {
		return c.takeError(status, failure)
	}
	return nil
}
