package subpy

/*
#include "bridge.h"
*/
import "C"

// RuntimeOptions say which CPython [Init] starts, and how. The zero value is the default.
type RuntimeOptions struct {
	// Python is the path of an executable, of the folder of a virtual environment, or of a libpython. When it is
	// empty, the environment variable SUBPY_PYTHON is taken for it, and when that is empty, too, CPython is searched.
	Python string

	// UseEnvironment honours PYTHONPATH and the other PYTHON* variables.
	UseEnvironment bool

	// NoSite leaves the site module out: there is no site-packages, and interpreters are created a third faster.
	NoSite bool

	// KeepSIGPIPE leaves SIGPIPE as it is, when it is at its default. In a Go program it is not.
	KeepSIGPIPE bool
}

// Init starts the runtime, or makes sure that it runs with these options. It has to be called only to choose a CPython:
// the runtime starts by itself when an interpreter is needed.
func Init(options RuntimeOptions) error {
	f := newFrame(nil)
	if f == nil {
		return ErrNoMemory
	}
	defer f.release(nil)
	start := C.subpy_runtime_options{size: C.sizeof_subpy_runtime_options}
	if options.Python != "" {
		python, err := f.cString("Python", options.Python)
		if err != nil {
			return err
		}
		start.python = (*C.char)(python)
	}
	for flag, on := range map[C.uint64_t]bool{
		C.SUBPY_RUNTIME_USE_ENVIRONMENT: options.UseEnvironment,
		C.SUBPY_RUNTIME_NO_SITE:         options.NoSite,
		C.SUBPY_RUNTIME_KEEP_SIGPIPE:    options.KeepSIGPIPE,
	} {
		if on {
			start.flags |= flag
		}
	}
	var failure *C.subpy_error
	status := C.subpy_init(&start, &failure)
	return newError(status, failure)
}

// Shutdown closes every interpreter and finalizes CPython. It is [ErrBusy], and changes nothing, while something runs.
// Afterwards the runtime can be started again. Only an application should call it, and need not: a program may just end.
func Shutdown() error {
	closing.Lock()
	defer closing.Unlock()
	var failure *C.subpy_error
	status := C.subpy_shutdown(&failure)
	return newError(status, failure)
}

// Version returns the version of the subpy library, "0.1.0".
func Version() string {
	return C.GoString(C.subpy_version_string())
}

// PythonVersion returns the version of the CPython in use, "3.14.6". It is empty before the runtime was first started.
func PythonVersion() string {
	return C.GoString(C.subpy_python_version())
}

// PythonLibrary returns the path of the libpython in use. It is empty before the runtime was first started, and in a
// host program that has CPython inside itself.
func PythonLibrary() string {
	return C.GoString(C.subpy_python_library())
}
