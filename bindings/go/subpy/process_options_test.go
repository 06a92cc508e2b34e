package subpy

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessOptions(t *testing.T) {
	const needed = " needs SUBPY_INTERP_PROCESS: it is about a process"
	for want, options := range map[string][]Option{
		"SUBPY_INTERP_LOCKED" + needed:                            {WithLocked()},
		"SUBPY_INTERP_LOCK_BEST_EFFORT" + needed:                  {WithLockBestEffort()},
		"LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED":              {WithProcess(), WithLockBestEffort()},
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

func TestVenv(t *testing.T) {
	maker := create(t, `
import os, shutil, sys, tempfile
folder = tempfile.mkdtemp()
os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])
open(folder + '/pyvenv.cfg', 'w').close()
`)
	folder := must(maker.Eval("folder")).(string)
	interp := create(t, "", WithVenv(folder))
	if prefix := must(interp.Eval("__import__('sys').prefix")); prefix != folder {
		t.Errorf("%v, not %s", prefix, folder)
	}
	check(maker.Exec("shutil.rmtree(folder)"))
	_, err := Create(WithVenv(folder))
	wantStatus(t, "one that is gone", err, ErrInvalidArgument)
	wantMessage(t, "one that is gone", err, "is no folder; make one with: python3.")
	_, err = Create(WithVenv("a\x00b"))
	wantMessage(t, "a NUL", err, "venv: has a NUL character")
}

func TestLockInfo(t *testing.T) {
	for _, options := range [][]Option{{WithLocked()}, {WithLocked(), WithLockBestEffort()}} {
		interp := create(t, "", append(options, WithProcess())...)
		if info, err := interp.LockInfo(); err != nil || info.Landlock < 6 || !info.Seccomp {
			t.Errorf("%+v, %v", info, err)
		}
		var failed *ExecutionFailedError
		if err := interp.Exec("open('/etc/passwd')"); !errors.As(err, &failed) || failed.Type != "PermissionError" {
			t.Error(err)
		}
		check(interp.Close())
		info, err := interp.LockInfo()
		wantStatus(t, "one that is closed", err, ErrNotFound)
		if info != (LockInfo{}) {
			t.Errorf("%+v", info)
		}
	}
	_, err := create(t, "", WithProcess()).LockInfo()
	wantStatus(t, "one that is not locked", err, ErrWrongState)
	_, err = (*Interpreter)(nil).LockInfo()
	wantStatus(t, "nil", err, ErrNotFound)
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

// What ends or blocks the process of an interpreter is an error of the run, and children of the host's own are left alone.
func TestCrash(t *testing.T) {
	endedBy := func(code string) error {
		t.Helper()
		interp := create(t, "", WithProcess(), WithGrace(50*time.Millisecond))
		err := interp.ExecContext(ContextWithTimeLimit(context.Background(), 50*time.Millisecond), code)
		wantStatus(t, "a run after it", interp.Exec("1"), ErrNotFound)
		return err
	}
	var crash *CrashError
	if err := endedBy("import os\ndef fail():\n    os.abort()\nfail()"); !errors.As(err, &crash) {
		t.Fatal("it is no crash:", err)
	}
	wantStatus(t, "a crash", crash, ErrCrashed)
	wantMessage(t, "a crash", crash, "the interpreter's process was killed by signal 6 (SIGABRT)")
	if crash.Signal != syscall.SIGABRT || crash.ExitCode != -1 || crash.Interpreter() == nil ||
		!strings.HasPrefix(crash.Traceback, "Fatal Python error: Aborted\n") ||
		!strings.Contains(crash.Traceback, "\n  File \"<script>\", line 3 in fail\n") {
		t.Errorf("%#v", crash)
	}
	if err := endedBy("import os; os._exit(3)"); !errors.As(err, &crash) {
		t.Fatal("it is no crash:", err)
	}
	if crash.Signal != 0 || crash.ExitCode != 3 || crash.Traceback != "the interpreter's process has ended with exit code 3" {
		t.Errorf("%#v", crash)
	}
	late := endedBy("import ctypes\nctypes.CDLL(None).sleep(1000)")
	wantStatus(t, "a C function that does not end", late, ErrTimeout)
	wantMessage(t, "it", late, "timed out after 50 ms, and the code did not end within 50 ms more: its process was killed")

	var exit *exec.ExitError
	if err := exec.Command("sh", "-c", "exit 7").Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Error("a child of the host's own:", err)
	}
}
