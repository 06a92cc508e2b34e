package subpy

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

func TestProcessOptions(t *testing.T) {
	const needed = " needs SUBPY_INTERP_PROCESS: it is about a process"
	for want, options := range map[string][]Option{
		"SUBPY_INTERP_LOCKED" + needed:                            {WithLocked()},
		"subpy_interp_options.grace_ms" + needed:                  {WithGrace(time.Microsecond)},
		"subpy_interp_options.cpu_limit_ms" + needed:              {WithCPULimit(time.Second)},
		"subpy_interp_options.readable" + needed:                  {WithReadableFolders("/usr")},
		"subpy_interp_options.writable" + needed:                  {WithWritableFolders("/tmp")},
		"SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN":                {WithProcess(), WithSharedGIL()},
		"SUBPY_INTERP_NO_EXTENSION_CHECK is not for SUBPY_INTERP": {WithProcess(), WithNoExtensionCheck()},
		"readable folders need SUBPY_INTERP_LOCKED":               {WithProcess(), WithReadableFolders("/usr")},
		"writable folders need SUBPY_INTERP_LOCKED":               {WithProcess(), WithWritableFolders("/tmp")},
		"are not for SUBPY_INTERP_LOCKED":                         {WithProcess(), WithLocked(), WithFork()},
		`readable[1] is "here", must be an absolute path`:         {WithProcess(), WithLocked(), WithReadableFolders("/usr", "here")},
		`writable[0] is "there", must be an absolute path`:        {WithProcess(), WithLocked(), WithWritableFolders("there")},
		"readable: has a NUL character":                           {WithReadableFolders("a\x00b")},
		"writable: has a NUL character":                           {WithWritableFolders("a\x00b")},
	} {
		_, err := Create(options...)
		wantStatus(t, want, err, ErrInvalidArgument)
		wantMessage(t, want, err, want)
		_, err = NewPool(PoolOptions{Workers: 1, Interpreter: options})
		wantStatus(t, want, err, ErrInvalidArgument)
		wantMessage(t, want, err, want)
	}
	// What is at its default needs nothing.
	create(t, "", WithGrace(0), WithCPULimit(-1), WithReadableFolders(), WithWritableFolders())
}

func TestCrashError(t *testing.T) {
	crash := &CrashError{Message: "it was killed", Signal: syscall.SIGSEGV, ExitCode: -1}
	wantStatus(t, "a crash", crash, ErrCrashed)
	if crash.Error() != "subpy: it was killed" || crash.Interpreter() != nil {
		t.Error(crash, crash.Interpreter())
	}
	if err := create(t, "").Exec("1 / 0"); errors.Is(err, ErrCrashed) || errors.As(err, &crash) {
		t.Error("an exception is none:", err)
	}
}
