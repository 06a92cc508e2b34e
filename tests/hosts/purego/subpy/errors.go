package subpy

import "unsafe"

// Status is the outcome of a C function: 0 or one of SUBPY_ERROR_* in include/subpy.h.
type Status int32

const (
	statusExecutionFailed Status = -4
	statusSyntax          Status = -7
)

// What errors.Is finds in an [Error]. Any other status is in its field.
var (
	ErrInvalidArgument = &Error{Status: -1, Message: "invalid argument"}
	ErrNotFound        = &Error{Status: -2, Message: "no such interpreter"}
	ErrBusy            = &Error{Status: -3, Message: "interpreter already running"}
	ErrExecutionFailed = &Error{Status: statusExecutionFailed, Message: "uncaught exception"}
	ErrNotShareable    = &Error{Status: -5, Message: "not shareable"}
	ErrSyntax          = &Error{Status: statusSyntax, Message: "the source does not compile"}
)

// Error is what went wrong in the library or in Python, copied: it needs neither any more.
type Error struct {
	Status  Status
	Code    string // "SUBPY_ERROR_BUSY"
	Message string // one line

	// Of a Python exception (ErrExecutionFailed, ErrSyntax): ExecutionFailed.excinfo of concurrent.interpreters.
	TypeName, TypeQualname, TypeModule string
	ExceptionMessage                   string
	Formatted                          string
	Display                            string // the traceback

	Frames     []Frame // of the traceback, the outermost first
	ExitStatus *int    // what SystemExit asked for
	Line       int     // where the source does not compile, from 1; 0 when unknown
	Column     int
	Text       string
}

// Frame is one line of a traceback.
type Frame struct {
	File     string
	Line     int
	Function string
}

func (e *Error) Error() string { return e.Message }

// Is says whether target is an Error of the same status.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Status == e.Status
}

// Copies the error of a call that failed, and frees it.
func (c *symbols) takeError(status Status, raw uintptr) error {
	defer call(c.errorFree, raw)
	text := func(accessor uintptr) string {
		var size uintptr
		address := call(accessor, raw, uintptr(unsafe.Pointer(&size)))
		return textOf(address, size)
	}
	e := &Error{Status: status, Code: cString(call(c.statusName, uintptr(status))), Message: text(c.errorMessage)}
	if status != statusExecutionFailed && status != statusSyntax {
		return e
	}
	e.TypeName, e.TypeQualname, e.TypeModule = text(c.errorTypeName), text(c.errorTypeQualname), text(c.errorTypeModule)
	e.ExceptionMessage, e.Formatted, e.Display = text(c.errorExceptionMessage), text(c.errorFormatted), text(c.errorDisplay)
	for i := range call(c.errorFrameCount, raw) {
		var frame struct { // subpy_frame
			size, file, fileLen, function, functionLen, source, sourceLen uintptr
			line, endLine, column, endColumn                              int32
		}
		frame.size = unsafe.Sizeof(frame)
		call(c.errorFrame, raw, i, uintptr(unsafe.Pointer(&frame)))
		e.Frames = append(e.Frames, Frame{textOf(frame.file, frame.fileLen), int(frame.line), textOf(frame.function, frame.functionLen)})
	}
	var exit, line, column int32
	var source uintptr
	if call(c.errorExitStatus, raw, uintptr(unsafe.Pointer(&exit)))&0xff != 0 {
		status := int(exit)
		e.ExitStatus = &status
	}
	if call(c.errorSyntax, raw, uintptr(unsafe.Pointer(&line)), uintptr(unsafe.Pointer(&column)), uintptr(unsafe.Pointer(&source)))&0xff != 0 {
		e.Line, e.Column, e.Text = int(line), int(column), cString(source)
	}
	return e
}
