package subpy

/*
#include "bridge.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// Status says what kind of error an error is. Every error of this package that came from the library has one:
//
//	if errors.Is(err, subpy.ErrBusy) {
type Status int32

// The statuses of subpy.h, which has more to say about each.
const (
	ErrInvalidArgument   Status = -1  // an argument makes no sense; nothing was done
	ErrNotFound          Status = -2  // no such interpreter or thread: closed, joined, freed or never there
	ErrBusy              Status = -3  // the interpreter is running or closing; nothing changed
	ErrExecutionFailed   Status = -4  // an uncaught Python exception, see [ExecutionFailed]
	ErrNotShareable      Status = -5  // the code ran, but its result is no plain data
	ErrInterpreter       Status = -6  // the interpreter cannot be driven, closed or created
	ErrSyntax            Status = -7  // the source does not compile, see [SyntaxError]; nothing ran
	ErrPythonNotFound    Status = -8  // no CPython that fits
	ErrPythonUnsupported Status = -9  // the CPython that was asked for, or is in the process, does not fit
	ErrNoMemory          Status = -12 // out of memory
	ErrForked            Status = -13 // this process was forked from one in which Python runs
	ErrWrongState        Status = -14 // not now: something has to come before, or is going on
	ErrPanic             Status = -15 // a bug in subpy
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
	ErrNoMemory:          "out of memory",
	ErrForked:            "process was forked",
	ErrWrongState:        "wrong state",
	ErrPanic:             "bug in subpy",
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
	return C.GoString(C.subpy_status_name(C.subpy_status(s)))
}

// Error is an error of the library that is no Python exception. It wraps its [Status].
type Error struct {
	Status  Status
	Message string // one line

	about C.subpy_interp
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

func about(handle C.subpy_interp) *Interpreter {
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

	text  string
	about C.subpy_interp
}

// Frame is a line of a traceback. Those of an [Exception] begin with the outermost.
type Frame struct {
	File     string // "" when unknown
	Line     int    // from 1, 0 when unknown
	Function string // "<module>" at the top level
	Source   string // the source line, "" when unknown

	// The expression that was being evaluated begins at Column of Line and ends before EndColumn of EndLine. Columns are in
	// characters from 1. What is unknown is 0.
	EndLine, Column, EndColumn int
}

// Interpreter returns the interpreter in which the exception was raised, which may be closed.
func (e *Exception) Interpreter() *Interpreter {
	return about(e.about)
}

// Error returns the exception in one line, as the end of a traceback has it.
func (e *Exception) Error() string {
	if e.text != "" {
		return e.text
	}
	line, _, _ := strings.Cut(e.Formatted, "\n")
	return line
}

// ExecutionFailed is the error of code that ended with an uncaught exception. It wraps [ErrExecutionFailed].
type ExecutionFailed struct {
	Exception

	isExit     bool
	exitStatus int
}

// Unwrap returns ErrExecutionFailed.
func (e *ExecutionFailed) Unwrap() error {
	return ErrExecutionFailed
}

// ExitStatus returns the status that SystemExit asked for, and whether the exception is one: sys.exit() does not end the
// process. The status is 0 for None, and 1 for anything that is no int.
func (e *ExecutionFailed) ExitStatus() (status int, ok bool) {
	return e.exitStatus, e.isExit
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

// newError copies an error of the library and frees it. The result is nil when the status is that of success.
func newError(status C.subpy_status, from *C.subpy_error) error {
	if status == C.SUBPY_OK {
		return nil
	}
	if from == nil {
		return Status(status)
	}
	defer C.subpy_error_free(from)
	var fields C.subpy_go_error
	C.subpy_go_read_error(from, &fields)
	switch Status(status) {
	case ErrExecutionFailed:
		return &ExecutionFailed{
			Exception:  newException(from, &fields),
			isExit:     bool(fields.is_exit),
			exitStatus: int(fields.exit_status),
		}
	case ErrSyntax:
		return &SyntaxError{
			Exception: newException(from, &fields),
			Line:      int(fields.line),
			Column:    int(fields.column),
			Text:      C.GoString(fields.source_line),
		}
	}
	return &Error{Status: Status(status), Message: goText(fields.message), about: fields.interp}
}

func newException(from *C.subpy_error, fields *C.subpy_go_error) Exception {
	return Exception{
		Type:      goText(fields._type),
		Qualname:  goText(fields.qualname),
		Module:    goText(fields.module),
		Message:   goText(fields.exception),
		Formatted: goText(fields.formatted),
		Display:   goText(fields.display),
		Frames:    newFrames(from, int(fields.frames)),
		text:      goText(fields.message),
		about:     fields.interp,
	}
}

func newFrames(from *C.subpy_error, count int) []Frame {
	if count == 0 {
		return nil
	}
	entries := make([]C.subpy_frame, count)
	C.subpy_go_read_frames(from, unsafe.SliceData(entries), C.size_t(count))
	frames := make([]Frame, count)
	for i, entry := range entries {
		frames[i] = Frame{
			File:      goText(C.subpy_go_text{entry.file, entry.file_len}),
			Line:      int(entry.line),
			Function:  goText(C.subpy_go_text{entry.function, entry.function_len}),
			Source:    goText(C.subpy_go_text{entry.source, entry.source_len}),
			EndLine:   int(entry.end_line),
			Column:    int(entry.column),
			EndColumn: int(entry.end_column),
		}
	}
	return frames
}

func goText(text C.subpy_go_text) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(text.text)), text.len))
}
