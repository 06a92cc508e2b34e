package subpy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// RaisedError is the error with which a host function says what Python is to raise, see [Raise].
type RaisedError struct {
	Type    string // "ValueError", or "module:Type"
	Message string
	Err     error // the reason, nil when there is none; it is not shown to Python
}

// Raise returns an error that a function that was given to [Interpreter.Define] returns to have Python raise an exception of
// a type: a builtin one, "ValueError", or one that can be imported, "decimal:InvalidOperation".
func Raise(exception, message string) error {
	return &RaisedError{Type: exception, Message: message}
}

func (e *RaisedError) Error() string {
	return e.Type + ": " + e.Message
}

// Unwrap returns the reason.
func (e *RaisedError) Unwrap() error {
	return e.Err
}

// PanicError is the error of a host function that panicked, when Python did not catch the exception that it became.
type PanicError struct {
	Value any    // what it panicked with
	Stack string // of the goroutine, the function that panicked first
}

func (e *PanicError) Error() string {
	return fmt.Sprint("panic: ", e.Value)
}

// Unwrap returns the Value when that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A stoppedError is the error of a context with which a host function ends because the run that calls it is to end.
type stoppedError struct {
	error
}

func isDone(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// pythonTypes are the exceptions that Python has for well-known errors.
var pythonTypes = []struct {
	err  error
	name string
}{
	{ErrTimeout, "TimeoutError"},
	{context.DeadlineExceeded, "TimeoutError"},
	{os.ErrDeadlineExceeded, "TimeoutError"},
	{fs.ErrNotExist, "FileNotFoundError"},
	{fs.ErrExist, "FileExistsError"},
	{fs.ErrPermission, "PermissionError"},
	{io.EOF, "EOFError"},
	{io.ErrUnexpectedEOF, "EOFError"},
	{ErrNoMemory, "MemoryError"},
	{errors.ErrUnsupported, "NotImplementedError"},
}

// pythonError is the exception that an error of a host function becomes: the name of its type, and its message.
func pythonError(err error) (name, message string) {
	var raised *RaisedError
	var panicked *PanicError
	var failed *ExecutionFailedError
	var conversion *ConversionError
	var number *strconv.NumError
	switch {
	case errors.As(err, &panicked):
		return "RuntimeError", err.Error()
	case errors.As(err, &raised):
		if err == raised {
			return raised.Type, raised.Message
		}
		return raised.Type, err.Error()
	case errors.As(err, &failed) && failed.Module == "builtins" && !failed.isExit:
		if err == failed {
			return failed.Type, failed.Message
		}
		return failed.Type, err.Error()
	case errors.As(err, &conversion):
		return "TypeError", err.Error()
	case errors.As(err, &number):
		return "ValueError", err.Error()
	}
	for _, known := range pythonTypes {
		if errors.Is(err, known.err) {
			return known.name, err.Error()
		}
	}
	return "RuntimeError", err.Error()
}

// noteOf is what Python shows below the exception: where the Go code panicked, or the traceback of the run that it made.
func noteOf(err error) string {
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return "Go stack:\n" + panicked.Stack
	}
	if exception := exceptionOf(err); exception != nil && exception.Display != "" {
		return "in a run that Go made:\n" + exception.Display
	}
	return ""
}

// An exception is what a host function has raised in Python.
type exception struct {
	name, message, note string
}

// describe says what an error becomes. Its own methods may panic.
func describe(err error) (e exception) {
	defer func() {
		if reason := recover(); reason != nil {
			e = exception{"RuntimeError", fmt.Sprintf("%T, whose methods panic: %v", err, reason), ""}
		}
	}()
	e.name, e.message = pythonError(err)
	e.note = noteOf(err)
	return e
}

// kept has the errors that host functions of an interpreter returned, for the runs that the exceptions may end. They are
// dropped when the last run in the interpreter has returned.
type kept struct {
	interp    uint64
	functions int // that are defined; the registry has to be locked for it

	sync.Mutex
	runs   int
	errors []keptError
}

type keptError struct {
	tag uint64
	err error
}

// mostKept is for an interpreter in which something always runs.
const mostKept = 64

var lastTag atomic.Uint64

func (k *kept) begin() {
	k.Lock()
	k.runs++
	k.Unlock()
}

func (k *kept) end() {
	k.Lock()
	if k.runs--; k.runs == 0 {
		k.errors = nil
	}
	k.Unlock()
}

// add keeps an error, and returns its tag.
func (k *kept) add(err error) uint64 {
	k.Lock()
	defer k.Unlock()
	if len(k.errors) == mostKept {
		k.errors = slices.Delete(k.errors, 0, 1)
	}
	tag := lastTag.Add(1)
	k.errors = append(k.errors, keptError{tag, err})
	return tag
}

// find returns the error with a tag, nil when it is no longer kept.
func (k *kept) find(tag uint64) error {
	if k == nil || tag == 0 {
		return nil
	}
	k.Lock()
	defer k.Unlock()
	for _, kept := range k.errors {
		if kept.tag == tag {
			return kept.err
		}
	}
	return nil
}
