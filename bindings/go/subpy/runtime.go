package subpy

import (
	"fmt"
	"unsafe"
)

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

	// Preload names modules that are imported once for all interpreters that get processes of their own ([WithProcess]), not
	// those that start threads when they are imported.
	Preload []string

	// Worker is the path of the program that these processes begin with. When it is empty, it is the one inside the library.
	Worker string
}

// Init starts the runtime, or makes sure that it runs with these options. It has to be called only to choose a CPython:
// the runtime starts by itself when an interpreter is needed.
func Init(options RuntimeOptions) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	var start runtimeOptions
	start.size = unsafe.Sizeof(start)
	if options.Python != "" {
		if start.python, err = f.cString("Python", options.Python); err != nil {
			return err
		}
	}
	if options.Worker != "" {
		if start.worker, err = f.cString("Worker", options.Worker); err != nil {
			return err
		}
	}
	if start.preload, err = f.cStrings("Preload", options.Preload); err != nil {
		return err
	}
	for flag, on := range map[uint64]bool{
		runtimeUseEnvironment: options.UseEnvironment,
		runtimeNoSite:         options.NoSite,
		runtimeKeepSIGPIPE:    options.KeepSIGPIPE,
	} {
		if on {
			start.flags |= flag
		}
	}
	address := place(f, start)
	if address == 0 {
		return ErrNoMemory
	}
	f.init(address)
	return f.outcome()
}

// The constants of subpy.h.
const (
	runtimeUseEnvironment = 1
	runtimeNoSite         = 2
	runtimeKeepSIGPIPE    = 4
)

// Shutdown closes every interpreter and finalizes CPython. It is [ErrBusy], and changes nothing, while something runs.
// Afterwards the runtime can be started again. Only an application should call it, and need not: a program may just end.
func Shutdown() error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	closing.Lock()
	defer closing.Unlock()
	f.shutdown()
	return f.outcome()
}

// Version returns the version of the subpy library, "0.1.0". It is empty when there is none that fits this package: every
// function that returns an error says why.
func Version() string {
	if load() != nil {
		return ""
	}
	return cText(versionString())
}

// PythonVersion returns the version of the CPython in use, "3.14.6". It is empty before the runtime was first started.
func PythonVersion() string {
	if load() != nil {
		return ""
	}
	return cText(pythonVersion())
}

// PythonLibrary returns the path of the libpython in use. It is empty before the runtime was first started, and in a
// host program that has CPython inside itself.
func PythonLibrary() string {
	if load() != nil {
		return ""
	}
	return cText(pythonLibrary())
}

// checkVersion compares the library with the version of subpy.h that this package was made for. Up to version 1 each minor
// version may change what is there.
func checkVersion(found uint32, path func() string) error {
	if found/1000 == neededVersion/1000 {
		return nil
	}
	return fmt.Errorf("subpy: this package needs libsubpy %d.%d.x, found %d.%d.%d at %s",
		neededVersion/1_000_000, neededVersion/1000%1000, found/1_000_000, found/1000%1000, found%1000, path())
}
