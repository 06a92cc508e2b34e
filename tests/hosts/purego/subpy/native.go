package subpy

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The C functions, by their addresses.
type symbols struct {
	create, close, prepareMain, isRunning, id, whence, listAll, getCurrent, getMain, find,
	run, runInThread, join, threadFree, valueFree, shutdown, pythonVersion,
	statusName, errorMessage, errorTypeName, errorTypeQualname, errorTypeModule, errorExceptionMessage,
	errorFormatted, errorDisplay, errorFrameCount, errorFrame, errorSyntax, errorExitStatus, errorFree uintptr
}

// The library is that of the environment variable SUBPY_LIBRARY, or libsubpy.so where the dynamic loader finds it. It
// is opened once, and never closed: it cannot be.
var library = sync.OnceValues(func() (*symbols, error) {
	path := os.Getenv("SUBPY_LIBRARY")
	if path == "" {
		path = "libsubpy.so"
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("subpy: %w", err)
	}
	c := new(symbols)
	for name, address := range map[string]*uintptr{
		"create": &c.create, "close": &c.close, "prepare_main": &c.prepareMain, "is_running": &c.isRunning,
		"id": &c.id, "whence": &c.whence, "list_all": &c.listAll, "get_current": &c.getCurrent,
		"get_main": &c.getMain, "find": &c.find, "run": &c.run, "run_in_thread": &c.runInThread,
		"thread_join": &c.join, "thread_free": &c.threadFree, "value_free": &c.valueFree, "shutdown": &c.shutdown,
		"python_version": &c.pythonVersion, "status_name": &c.statusName, "error_message": &c.errorMessage,
		"error_type_name": &c.errorTypeName, "error_type_qualname": &c.errorTypeQualname,
		"error_type_module": &c.errorTypeModule, "error_exception_message": &c.errorExceptionMessage,
		"error_formatted": &c.errorFormatted, "error_display": &c.errorDisplay,
		"error_frame_count": &c.errorFrameCount, "error_frame": &c.errorFrame, "error_syntax": &c.errorSyntax,
		"error_exit_status": &c.errorExitStatus, "error_free": &c.errorFree,
	} {
		if *address, err = purego.Dlsym(handle, "subpy_"+name); err != nil {
			return nil, fmt.Errorf("subpy: %w", err)
		}
	}
	return c, nil
})

// Calls a C function, on the system stack of the goroutine's thread. Arguments that are written as
// uintptr(unsafe.Pointer(p)) in the call stay where they are until it returns.
//
//go:uintptrescapes
func call(function uintptr, args ...uintptr) uintptr {
	result, _, _ := purego.SyscallN(function, args...)
	return result
}

// Calls a C function that returns a status.
//
//go:uintptrescapes
func callStatus(function uintptr, args ...uintptr) Status {
	result, _, _ := purego.SyscallN(function, args...)
	return Status(int32(result))
}

// What lies at an address of C memory.
func at[T any](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address))
}

// The text at an address, which has a length.
func textOf(address, size uintptr) string {
	if size == 0 {
		return ""
	}
	return string(unsafe.Slice(at[byte](address), size))
}

// The text at an address, which ends with a NUL. "" for NULL.
func cString(address uintptr) string {
	if address == 0 {
		return ""
	}
	size := uintptr(0)
	for *at[byte](address + size) != 0 {
		size++
	}
	return textOf(address, size)
}
