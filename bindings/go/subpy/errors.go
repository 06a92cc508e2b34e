package subpy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Status says what kind of error an error is. Every error of this package that came from the library has one:
//
//	if errors.Is(err, subpy.ErrBusy) {
type Status int32

// The statuses of subpy.h, which has more to say about each.
const (
	success Status = 0

	ErrInvalidArgument   Status = -1  // an argument makes no sense; nothing was done
	ErrNotFound          Status = -2  // no such interpreter or thread: closed, joined, freed or never there
	ErrBusy              Status = -3  // the interpreter is running or closing; nothing changed
	ErrExecutionFailed   Status = -4  // an uncaught Python exception, see [ExecutionFailedError]
	ErrNotShareable      Status = -5  // the code ran, but its result is no plain data
	ErrInterpreter       Status = -6  // the interpreter cannot be driven, closed or created
	ErrSyntax            Status = -7  // the source does not compile, see [SyntaxError]; nothing ran
	ErrPythonNotFound    Status = -8  // no CPython that fits
	ErrPythonUnsupported Status = -9  // the CPython that was asked for, or is in the process, does not fit
	ErrTimeout           Status = -10 // a run took longer than it may, see [TimeoutError]
	ErrInterrupted       Status = -11 // a run was cancelled or interrupted, see [InterruptedError]
	ErrNoMemory          Status = -12 // out of memory
	ErrForked            Status = -13 // this process was forked from one in which Python runs
	ErrWrongState        Status = -14 // not now: something has to come before, or is going on
	ErrPanic             Status = -15 // a bug in subpy
	ErrCrashed           Status = -16 // the process of the interpreter has ended, see [CrashError]
)

var statusTexts = map[Status]string{
	ErrInvalidArgument:   "invalid argument",
	ErrNotFound:          "no such interpreter or thread",
	ErrBusy:              "interpreter busy",
	ErrExecutionFailed:   "uncaught Python exception",
	ErrNotShareable:      "result cannot be shared",
	ErrInterpreter:       "interpreter error",
	ErrSyntax:            "Python source does not compile",
	ErrPythonNotFound:    "no CPython found that fits",
	ErrPythonUnsupported: "CPython not supported",
	ErrTimeout:           "time limit reached",
	ErrInterrupted:       "interrupted",
	ErrNoMemory:          "out of memory",
	ErrForked:            "process was forked",
	ErrWrongState:        "wrong state",
	ErrPanic:             "bug in subpy",
	ErrCrashed:           "process of the interpreter has ended",
}

// Error makes each status an error.
func (s Status) Error() string {
	if text, ok := statusTexts[s]; ok {
		return "subpy: " + text
	}
	return fmt.Sprintf("subpy: error %d", int32(s))
}

// String returns the name that C gives the status, "SUBPY_ERROR_NOT_FOUND".
func (s Status) String() string {
	if load() != nil {
		return fmt.Sprintf("Status(%d)", int32(s))
	}
	return statusName(s)
}

// Error is an error of the library that is no Python exception. It wraps its [Status].
type Error struct {
	Status  Status
	Message string // one line

	about uint64
	row   int
	isRow bool
}

func (e *Error) Error() string {
	return "subpy: " + e.Message
}

// Unwrap returns the status.
func (e *Error) Unwrap() error {
	return e.Status
}

// Interpreter returns the interpreter that the error is about, which may be closed; nil when there is none.
func (e *Error) Interpreter() *Interpreter {
	return about(e.about)
}

// Row returns which row of [Function.CallMany] it is whose result cannot be shared, from 0, and whether the error is one of a
// row.
func (e *Error) Row() (row int, ok bool) {
	return e.row, e.isRow
}

func about(handle uint64) *Interpreter {
	if handle == 0 {
		return nil
	}
	return known(handle)
}

// Exception describes a Python exception, with the fields of ExecutionFailed.excinfo in Python's
// concurrent.interpreters. It is a copy: the interpreter may be closed meanwhile.
type Exception struct {
	Type      string // the name of its class, "JSONDecodeError"
	Qualname  string // the qualified name of its class, "Outer.Error" for a nested one
	Module    string // the module of its class, "json.decoder"
	Message   string // str(exception), "" when it says nothing
	Formatted string // "json.decoder.JSONDecodeError: Expecting value"; builtins without their module
	Display   string // the traceback that Python would print, without the final newline
	Frames    []Frame

	text   string
	about  uint64
	row    int
	isRow  bool
	causes []error // Go errors
	byGo   bool    // a Go function saw that the run is to end before the library had stopped it
}

// Frame is an entry of a traceback. Those of an [Exception] begin with the outermost.
type Frame struct {
	File     string // "" when unknown
	Function string // "<module>" at the top level
	Source   string // the line as it stands in the file, "" when the source is not known
	Line     int    // from 1, 0 when unknown

	// The expression that was being evaluated: where it begins in Line, in characters from 1, and the line and the column
	// behind its last character. 0 when unknown.
	Column, EndLine, EndColumn int
}

// String returns the frame as a traceback has it, without the source: `File "words.py", line 3, in count`.
func (f Frame) String() string {
	return fmt.Sprintf("File \"%s\", line %d, in %s", f.File, f.Line, f.Function)
}

// Interpreter returns the interpreter in which the exception was raised, which may be closed.
func (e *Exception) Interpreter() *Interpreter {
	return about(e.about)
}

// Row returns which row of [Function.CallMany] raised the exception, from 0, and whether a row did.
func (e *Exception) Row() (row int, ok bool) {
	return e.row, e.isRow
}

// Error returns the exception in one line, as the end of a traceback has it.
func (e *Exception) Error() string {
	if e.text != "" {
		return e.text
	}
	line, _, _ := strings.Cut(e.Formatted, "\n")
	return line
}

// ExecutionFailedError is the error of code that ended with an uncaught exception. It wraps [ErrExecutionFailed].
type ExecutionFailedError struct {
	Exception

	isExit     bool
	exitStatus int
}

// Unwrap returns ErrExecutionFailed and, when the exception is one that a Go function caused, see [Interpreter.Define], its
// error.
func (e *ExecutionFailedError) Unwrap() []error {
	return e.wrap(ErrExecutionFailed)
}

// ExitStatus returns the status that SystemExit asked for, and whether the exception is one: sys.exit() does not end the
// process. The status is 0 for None, and 1 for anything that is no int.
func (e *ExecutionFailedError) ExitStatus() (status int, ok bool) {
	return e.exitStatus, e.isExit
}

// TimeoutError is the error of a run that took longer than it may: see [WithTimeLimit] and [Interpreter.ExecContext]. Its
// Exception is the one that ended the code, usually a KeyboardInterrupt; it has no Type when the run had not begun. It wraps
// [ErrTimeout] and context.DeadlineExceeded.
type TimeoutError struct {
	Exception
}

// Unwrap returns ErrTimeout, context.DeadlineExceeded, and what Go errors there are.
func (e *TimeoutError) Unwrap() []error {
	return append(e.wrap(ErrTimeout), context.DeadlineExceeded)
}

// Timeout returns true, for those who look for errors of the package net.
func (e *TimeoutError) Timeout() bool {
	return true
}

// InterruptedError is the error of a run that was cancelled by its context or by [Interpreter.Interrupt]. Its Exception is the
// one that ended the code, usually a KeyboardInterrupt; it has no Type when the run had not begun. It wraps [ErrInterrupted] and,
// when a context was cancelled, context.Canceled and the cause that context.Cause returns.
type InterruptedError struct {
	Exception
}

// Unwrap returns ErrInterrupted and the errors of the context.
func (e *InterruptedError) Unwrap() []error {
	return e.wrap(ErrInterrupted)
}

// wrap returns a status and the causes.
func (e *Exception) wrap(status Status) []error {
	return append([]error{status}, e.causes...)
}

// because returns the exception with more causes.
func (e Exception) because(causes ...error) Exception {
	e.causes = append(slices.Clip(e.causes), causes...)
	return e
}

// exceptionOf returns the Python exception in an error, nil when there is none.
func exceptionOf(err error) *Exception {
	var failed *ExecutionFailedError
	var syntax *SyntaxError
	var timeout *TimeoutError
	var interrupted *InterruptedError
	switch {
	case errors.As(err, &failed):
		return &failed.Exception
	case errors.As(err, &syntax):
		return &syntax.Exception
	case errors.As(err, &timeout):
		return &timeout.Exception
	case errors.As(err, &interrupted):
		return &interrupted.Exception
	}
	return nil
}

// SyntaxError is the error of source that does not compile. It wraps [ErrSyntax].
type SyntaxError struct {
	Exception
	Line   int    // from 1, 0 when unknown
	Column int    // in characters from 1, 0 when unknown
	Text   string // the line itself, "" when unknown
}

// Unwrap returns ErrSyntax.
func (e *SyntaxError) Unwrap() error {
	return ErrSyntax
}

// outcome is the error of a run, nil when it succeeded. It copies the error of the library and frees it.
func (f *frame) outcome() error {
	if f.status == success {
		return nil
	}
	if f.error == 0 {
		return f.status
	}
	defer freeError(f.error)
	fields := at[errorFields](place(f, errorFields{}))
	if fields == nil {
		return f.status
	}
	return newError(f.error, fields)
}

// newError copies an error of the library. fields are in C memory, and are written over.
func newError(from uintptr, fields *errorFields) error {
	*fields = errorFields{}
	readError(from, fields)
	switch status := Status(fields.status); status {
	case ErrExecutionFailed:
		exception := newException(from, fields)
		if exception.byGo {
			return &TimeoutError{exception} // unless a context was cancelled
		}
		return &ExecutionFailedError{
			Exception:  exception,
			isExit:     fields.isExit,
			exitStatus: int(fields.exitStatus),
		}
	case ErrSyntax:
		return &SyntaxError{
			Exception: newException(from, fields),
			Line:      int(fields.line),
			Column:    int(fields.column),
			Text:      cText(fields.sourceLine),
		}
	case ErrTimeout:
		return &TimeoutError{newException(from, fields)}
	case ErrInterrupted:
		return &InterruptedError{newException(from, fields)}
	case ErrCrashed:
		return newCrash(fields)
	default:
		return &Error{
			Status:  status,
			Message: fields.message.String(),
			about:   fields.interp,
			row:     int(fields.row),
			isRow:   fields.isRow,
		}
	}
}

func newException(from uintptr, fields *errorFields) Exception {
	e := Exception{
		Type:      fields.typeName.String(),
		Qualname:  fields.qualname.String(),
		Module:    fields.module.String(),
		Message:   fields.exception.String(),
		Formatted: fields.formatted.String(),
		Display:   fields.display.String(),
		Frames:    newFrames(from, fields.frames),
		text:      fields.message.String(),
		about:     fields.interp,
		row:       int(fields.row),
		isRow:     fields.isRow,
	}
	switch cause := findKept(fields.interp, fields.tag).(type) {
	case nil:
	case *stoppedError:
		e.byGo = true
	default:
		e.causes = []error{cause}
	}
	return e
}

// Frames of a traceback are read in C memory that is freed at once: there may be many.
func newFrames(from, count uintptr) []Frame {
	if count == 0 {
		return nil
	}
	memory := allocate(count * unsafe.Sizeof(tracebackFrame{}))
	if memory == 0 {
		return nil
	}
	defer free(memory)
	entries := unsafe.Slice(at[tracebackFrame](memory), count)
	for i := range entries {
		entries[i].size = unsafe.Sizeof(entries[i])
	}
	readFrames(from, memory, count)
	frames := make([]Frame, count)
	for i, entry := range entries {
		frames[i] = Frame{
			File:      entry.file.String(),
			Function:  entry.function.String(),
			Source:    entry.source.String(),
			Line:      int(entry.line),
			Column:    int(entry.column),
			EndLine:   int(entry.endLine),
			EndColumn: int(entry.endColumn),
		}
	}
	return frames
}
