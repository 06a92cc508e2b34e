package subpy

import (
	"syscall"
	"time"
	"unsafe"
)

// WithProcess makes the interpreter the main one of a process of its own. Extension modules that refuse other interpreters load in
// it, and what would end or block a process ends or blocks that one: its end is a [*CrashError]. It does not go together with
// [WithSharedGIL] and [WithNoExtensionCheck]. The options below need it.
func WithProcess() Option {
	return withFlag(interpProcess)
}

// WithGrace sets how long code may go on after the exception that is to end its run, that of a time limit or a context: then its
// process is killed. Without it, and when it is 0, that is 100 ms.
func WithGrace(grace time.Duration) Option {
	return func(o *options) { o.grace = grace }
}

// WithCPULimit limits the time of processors that the interpreter's process may use in all.
func WithCPULimit(limit time.Duration) Option {
	return func(o *options) { o.cpuLimit = limit }
}

// WithLocked locks the interpreter's process down: no network, no other programs, no other processes, no files but those that
// Python itself needs and those in the folders of [WithReadableFolders] and [WithWritableFolders]. It does not go together with [WithFork] and
// [WithExec].
func WithLocked() Option {
	return withFlag(interpLocked)
}

// WithLockBestEffort makes do with an older Linux, which has less than [WithLocked] takes: the process is locked with what there
// is, which [Interpreter.LockInfo] says. Without it that is an error. It needs [WithLocked].
func WithLockBestEffort() Option {
	return withFlag(interpLockBestEffort)
}

// WithReadableFolders lets a process that is locked down read folders, with all that is below. Their paths must be absolute.
func WithReadableFolders(folders ...string) Option {
	return func(o *options) { o.readable = append(o.readable, folders...) }
}

// WithWritableFolders lets a process that is locked down read and write folders, with all that is below. Their paths must be absolute.
func WithWritableFolders(folders ...string) Option {
	return func(o *options) { o.writable = append(o.writable, folders...) }
}

// LockInfo says what holds the process of an interpreter that is locked down.
type LockInfo struct {
	Landlock int  // the version of Landlock that keeps it from files, 0 when none does; 6 is all that is asked for
	Seccomp  bool // its system calls are filtered
}

// lockInfo mirrors subpy_lock_info.
type lockInfo struct {
	size              uintptr
	landlock, seccomp int32
}

// LockInfo returns what holds the interpreter. It is [ErrWrongState] when that is not [WithLocked].
func (in *Interpreter) LockInfo() (LockInfo, error) {
	var info LockInfo
	_, err := ask(in, func(f *frame, interp uint64) {
		address := place(f, lockInfo{size: unsafe.Sizeof(lockInfo{})})
		if address == 0 {
			f.status, f.error = ErrNoMemory, 0
			return
		}
		f.lockInfo(interp, address)
		read := at[lockInfo](address)
		info = LockInfo{Landlock: int(read.landlock), Seccomp: read.seccomp != 0}
	})
	return info, err
}

// CrashError is the error of a run in an interpreter whose process has ended, see [WithProcess]; the interpreter has ended with it.
// It wraps [ErrCrashed].
type CrashError struct {
	Message   string         // one line
	Signal    syscall.Signal // what has killed the process, 0 when nothing has
	ExitCode  int            // what it ended with by itself, -1 when it was killed, or when nobody knows
	Traceback string         // where its threads were, as faulthandler has it; Message when it has nothing

	about uint64
}

func (e *CrashError) Error() string {
	return "subpy: " + e.Message
}

// Unwrap returns ErrCrashed.
func (e *CrashError) Unwrap() error {
	return ErrCrashed
}

// Interpreter returns the interpreter that has ended.
func (e *CrashError) Interpreter() *Interpreter {
	return about(e.about)
}

func newCrash(fields *errorFields) *CrashError {
	return &CrashError{
		Message:   fields.message.String(),
		Signal:    syscall.Signal(fields.signal),
		ExitCode:  int(fields.exitCode),
		Traceback: fields.display.String(),
		about:     fields.interp,
	}
}
