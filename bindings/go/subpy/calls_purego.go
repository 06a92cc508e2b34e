//go:build !cgo

package subpy

// How the C functions are called without cgo: the library is opened when the program runs. calls_cgo.go has the same
// functions with cgo.
//
// Everything that a C function reads or writes lies in C memory. A Go pointer would have to stay where it is meanwhile.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/subpy/subpy/bindings/go/internal/carried"
)

// neededVersion is the SUBPY_VERSION of the subpy.h that this was made for: 0.1.0.
const neededVersion = 1000

// lib has the addresses of the C functions once load has succeeded.
var lib struct {
	calloc, free,
	init, shutdown, versionString, pythonVersion, pythonLibrary, statusName,
	create, close, prepareMain, isRunning, id, whence, listAll, getCurrent, getMain, find,
	call, run, runInThread, valueFree,
	functionNew, functionCall, functionCallMany, functionFree, enter, leave, threadJoin, threadWait, threadFree,
	closeWith, shutdownWith, interrupt, cancelNew, cancelFire, cancelFree, setOutput,
	defineWith, contextReturn, contextRaise, contextNote, contextTag, contextCancelled, errorTag,
	errorStatus, errorMessage, errorTypeName, errorTypeQualname, errorTypeModule, errorExceptionMessage, errorFormatted,
	errorDisplay, errorFrameCount, errorFrame, errorSyntax, errorExitStatus, errorCrash, errorInterp, errorRow, errorFree uintptr
}

// load opens the library, once. It is never closed: it cannot be.
var load = sync.OnceValue(func() error {
	// Why something was not found is told to the thread that looked for it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, path, err := open()
	if err != nil {
		return err
	}
	// The version comes first: a library of another one may lack what is looked up next.
	version, err := purego.Dlsym(handle, "subpy_version")
	if err != nil {
		return fmt.Errorf("subpy: %s is no libsubpy: %w", path, err)
	}
	found := func() string { return fileOf(handle, version, path) }
	if err := checkVersion(uint32(invoke(version)), found); err != nil {
		return err
	}
	names := map[string]*uintptr{
		"calloc": &lib.calloc, "free": &lib.free, // the library is linked to libc

		"subpy_init": &lib.init, "subpy_shutdown": &lib.shutdown, "subpy_version_string": &lib.versionString,
		"subpy_python_version": &lib.pythonVersion, "subpy_python_library": &lib.pythonLibrary,
		"subpy_status_name": &lib.statusName,

		"subpy_create": &lib.create, "subpy_close": &lib.close, "subpy_prepare_main": &lib.prepareMain,
		"subpy_is_running": &lib.isRunning, "subpy_id": &lib.id, "subpy_whence": &lib.whence,
		"subpy_list_all": &lib.listAll, "subpy_get_current": &lib.getCurrent, "subpy_get_main": &lib.getMain,
		"subpy_find": &lib.find,

		"subpy_call": &lib.call, "subpy_run": &lib.run, "subpy_run_in_thread": &lib.runInThread,
		"subpy_value_free": &lib.valueFree, "subpy_function_new": &lib.functionNew,
		"subpy_function_call": &lib.functionCall, "subpy_function_call_many": &lib.functionCallMany,
		"subpy_function_free": &lib.functionFree,
		"subpy_enter":         &lib.enter, "subpy_leave": &lib.leave, "subpy_thread_join": &lib.threadJoin,
		"subpy_thread_wait": &lib.threadWait, "subpy_thread_free": &lib.threadFree,

		"subpy_close_with": &lib.closeWith, "subpy_shutdown_with": &lib.shutdownWith, "subpy_interrupt": &lib.interrupt,
		"subpy_cancel_new": &lib.cancelNew, "subpy_cancel_fire": &lib.cancelFire, "subpy_cancel_free": &lib.cancelFree,
		"subpy_set_output": &lib.setOutput,

		"subpy_define_with": &lib.defineWith, "subpy_context_return": &lib.contextReturn,
		"subpy_context_raise": &lib.contextRaise, "subpy_context_note": &lib.contextNote,
		"subpy_context_tag": &lib.contextTag, "subpy_context_cancelled": &lib.contextCancelled,

		"subpy_error_status": &lib.errorStatus, "subpy_error_message": &lib.errorMessage,
		"subpy_error_type_name": &lib.errorTypeName, "subpy_error_type_qualname": &lib.errorTypeQualname,
		"subpy_error_type_module": &lib.errorTypeModule, "subpy_error_exception_message": &lib.errorExceptionMessage,
		"subpy_error_formatted": &lib.errorFormatted, "subpy_error_display": &lib.errorDisplay,
		"subpy_error_frame_count": &lib.errorFrameCount, "subpy_error_frame": &lib.errorFrame,
		"subpy_error_syntax": &lib.errorSyntax, "subpy_error_exit_status": &lib.errorExitStatus,
		"subpy_error_crash":  &lib.errorCrash,
		"subpy_error_interp": &lib.errorInterp, "subpy_error_row": &lib.errorRow, "subpy_error_free": &lib.errorFree,
		"subpy_error_tag": &lib.errorTag,
	}
	addDataFunctions(names)
	for name, address := range names {
		if *address, err = purego.Dlsym(handle, name); err != nil {
			return fmt.Errorf("subpy: %s is incomplete: %w", found(), err)
		}
	}
	return nil
})

const libraryVariable = "SUBPY_LIBRARY"

// open opens the library that the environment variable names, and no other; without it the first one that can be opened: the one
// inside the program, or one beside it, or where the dynamic loader looks.
func open() (handle uintptr, path string, err error) {
	names := []string{"libsubpy.so.0", "libsubpy.so"}
	paths := names
	if program, err := os.Executable(); err == nil {
		folder := filepath.Dir(program)
		paths = []string{filepath.Join(folder, names[0]), filepath.Join(folder, names[1]), names[0], names[1]}
	}
	named := os.Getenv(libraryVariable)
	if named != "" {
		paths = []string{named}
	}
	var tried strings.Builder
	inside := ""
	if named == "" && carried.Open != nil {
		if inside, err = carried.Open(); err == nil {
			paths = append([]string{inside}, paths...)
		} else {
			fmt.Fprintf(&tried, "  inside the program: %v\n", err)
		}
	}
	for _, path := range paths {
		if handle, err = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL); err == nil {
			return handle, path, nil
		}
		reason := strings.TrimPrefix(err.Error(), path+": ")
		switch {
		case named != "":
			path = libraryVariable + "=" + path
		case path == inside:
			path = "inside the program (" + path + ")"
		case !strings.Contains(path, "/"):
			path += " (in LD_LIBRARY_PATH and the system's folders)"
		}
		fmt.Fprintf(&tried, "  %s: %s\n", path, reason)
	}
	return 0, "", errors.New("subpy: the library libsubpy.so.0 cannot be opened. Tried:\n" + tried.String() +
		"Install it (docs/go.md of subpy says how), or set " + libraryVariable + " to the path of the file.")
}

// fileOf is the file that a function of the library is in, or what it was opened as.
func fileOf(handle, function uintptr, path string) string {
	info := new(struct{ file, base, name, address uintptr }) // a Dl_info
	dladdr, err := purego.Dlsym(handle, "dladdr")
	if err != nil {
		return path
	}
	if found, _, _ := purego.SyscallN(dladdr, function, uintptr(unsafe.Pointer(info))); int32(found) == 0 || info.file == 0 {
		return path
	}
	return cText(info.file)
}

// invoke calls a C function on the system stack of the goroutine's thread.
func invoke(function uintptr, args ...uintptr) uintptr {
	result, _, _ := purego.SyscallN(function, args...)
	return result
}

// allocate returns zeroed C memory, 0 when there is none.
func allocate(size uintptr) uintptr {
	return invoke(lib.calloc, 1, size)
}

func free(address uintptr) {
	invoke(lib.free, address)
}

func (f *frame) freeResult() {
	invoke(lib.valueFree, uintptr(unsafe.Pointer(&f.result)))
}

// do calls a C function that returns a status and takes an error last.
func (f *frame) do(function uintptr, args ...uintptr) {
	var all [8]uintptr
	n := copy(all[:], args)
	all[n] = uintptr(unsafe.Pointer(&f.error))
	f.status = Status(int32(invoke(function, all[:n+1]...)))
}

func (f *frame) output() uintptr {
	return uintptr(unsafe.Pointer(&f.out))
}

// Runs.

// hasBlock tells whether a value owns memory, when it is a result.
func (v *value) hasBlock() bool {
	return v.kind >= kindStr || v.kind == kindBigInt
}

// into is where a result goes. The one that is there has been read by now.
func (f *frame) into() uintptr {
	if f.result.hasBlock() {
		f.freeResult()
	}
	if f.ignore {
		return 0
	}
	return uintptr(unsafe.Pointer(&f.result))
}

// done says how large the result is. Of a container it is not asked, which is a call of its own: it is freed at once.
func (f *frame) done() {
	switch {
	case f.result.kind >= kindTuple:
		f.block = idleSize + 1
	case f.result.hasBlock():
		f.block = f.result.len
	default:
		f.block = 0
	}
}

// copied is text in C memory, never NULL. When there is no memory for it, the status says so.
func (f *frame) copied(text string) (address uintptr, ok bool) {
	if text == "" {
		return f.address(), true
	}
	address, err := f.copyText(text)
	if err != nil {
		f.status, f.error = ErrNoMemory, 0
	}
	return address, err == nil
}

func (f *frame) call(interp uint64, callable string) {
	if name, ok := f.copied(callable); ok {
		f.do(lib.call, uintptr(interp), name, uintptr(len(callable)), f.args, f.nargs, f.keywords(), f.into())
		f.done()
	}
}

func (f *frame) callFunction(function uint64) {
	f.do(lib.functionCall, uintptr(function), f.args, f.nargs, f.keywords(), f.into())
	f.done()
}

func (f *frame) callMany(function uint64, count int, flags uint32) {
	f.do(lib.functionCallMany, uintptr(function), f.args, uintptr(count), f.nargs, uintptr(flags), f.into())
	f.done()
}

func (f *frame) run(request uintptr, source string) {
	if f.setText(request, source) {
		f.do(lib.run, request, f.into())
		f.done()
	}
}

func (f *frame) start(request uintptr, callable string) {
	if f.setText(request, callable) {
		f.do(lib.runInThread, request, f.output())
	}
}

// setText gives a request its text. A function has none.
func (f *frame) setText(request uintptr, text string) (ok bool) {
	r := at[runRequest](request)
	if r.what == runFunction {
		return true
	}
	r.text, ok = f.copied(text)
	r.textLen = uintptr(len(text))
	return ok
}

func (f *frame) join(thread uint64) {
	f.do(lib.threadJoin, uintptr(thread), f.into())
	f.done()
}

// Everything else.

func (f *frame) init(options uintptr)   { f.do(lib.init, options) }
func (f *frame) shutdown()              { f.do(lib.shutdown) }
func (f *frame) create(options uintptr) { f.do(lib.create, options, f.output()) }
func (f *frame) close(interp uint64)    { f.do(lib.close, uintptr(interp)) }

func (f *frame) closeWith(interp uint64, options uintptr) {
	f.do(lib.closeWith, uintptr(interp), options)
}
func (f *frame) shutdownWith(options uintptr) { f.do(lib.shutdownWith, options) }
func (f *frame) interrupt(interp uint64)      { f.do(lib.interrupt, uintptr(interp)) }

func (f *frame) newCancel()    { f.do(lib.cancelNew, f.output()) }
func fireCancel(cancel uint64) { invoke(lib.cancelFire, uintptr(cancel)) }
func freeCancel(cancel uint64) { invoke(lib.cancelFree, uintptr(cancel)) }

// The C functions that call Go: one of a kind for all, because purego never frees one.
var (
	calledCallback = sync.OnceValue(func() uintptr {
		return purego.NewCallback(func(handle, context, args, nargs, kwargs uintptr) {
			f := idleFrame() // what C reads lies in C memory
			if f == nil {
				contextRaise(context, "MemoryError", "")
				return
			}
			if called(handle, context, unsafe.Slice(at[value](args), nargs), at[value](kwargs), &f.kwargs) {
				contextReturn(context, &f.kwargs)
			}
			f.release(nil)
		})
	})
	outputCallback = sync.OnceValue(func() uintptr {
		return purego.NewCallback(func(handle, interp, stream, text, length uintptr) {
			printed(handle, int32(stream), span{text, length})
		})
	})
	finalizeCallback = sync.OnceValue(func() uintptr { return purego.NewCallback(finalized) })
	prepareCallback  = sync.OnceValue(func() uintptr {
		return purego.NewCallback(func(handle, interp uintptr) { prepared(handle, uint64(interp)) })
	})
	mapCallback = sync.OnceValue(func() uintptr {
		return purego.NewCallback(func(handle, index, result, failure uintptr) uintptr {
			if mapped(handle, at[value](result), failure) {
				return 1
			}
			return 0
		})
	})
)

func (f *frame) define(interp uint64, name string, options, handle uintptr) {
	address, ok := f.copied(name)
	if !ok {
		finalized(handle)
		return
	}
	f.do(lib.defineWith, uintptr(interp), address, uintptr(len(name)), options, calledCallback(), handle, finalizeCallback())
}

func (f *frame) setOutput(interp uint64, handle uintptr) {
	if handle == 0 {
		f.do(lib.setOutput, uintptr(interp), 0, 0, 0)
	} else {
		f.do(lib.setOutput, uintptr(interp), outputCallback(), handle, finalizeCallback())
	}
}

// What a host function does with its call.

func contextReturn(call uintptr, result *value) Status {
	return Status(int32(invoke(lib.contextReturn, call, uintptr(unsafe.Pointer(result)))))
}

func contextRaise(call uintptr, kind, message string) (status Status) {
	withText(kind, func(kind, length uintptr) {
		withText(message, func(message, messageLength uintptr) {
			status = Status(int32(invoke(lib.contextRaise, call, kind, length, message, messageLength)))
		})
	})
	return status
}

func contextNote(call uintptr, note string) {
	withText(note, func(note, length uintptr) { invoke(lib.contextNote, call, note, length) })
}

func contextTag(call uintptr, tag uint64) { invoke(lib.contextTag, call, uintptr(tag)) }

func isCancelled(call uintptr) bool { return invoke(lib.contextCancelled, call)&0xff != 0 }

// withText calls a function with a copy of text in C memory, an empty one when there is no memory.
func withText(text string, use func(address, length uintptr)) {
	memory := allocate(uintptr(len(text)) + 1)
	if memory == 0 {
		text = ""
	}
	copy(unsafe.Slice(at[byte](memory), len(text)), text)
	use(memory, uintptr(len(text)))
	free(memory)
}

// closeNow is close without an error.
func closeNow(interp uint64) Status {
	return Status(int32(invoke(lib.close, uintptr(interp), 0)))
}

func (f *frame) prepareMain(interp uint64) {
	f.do(lib.prepareMain, uintptr(interp), uintptr(unsafe.Pointer(&f.kwargs)))
}

func (f *frame) isRunning(interp uint64) { f.do(lib.isRunning, uintptr(interp), f.output()) }
func (f *frame) id(interp uint64)        { f.do(lib.id, uintptr(interp), f.output()) }
func (f *frame) whence(interp uint64)    { f.do(lib.whence, uintptr(interp), f.output()) }

func (f *frame) listAll(interps, capacity uintptr) { f.do(lib.listAll, interps, capacity, f.output()) }

func (f *frame) getMain()      { f.do(lib.getMain, f.output()) }
func (f *frame) getCurrent()   { f.do(lib.getCurrent, f.output()) }
func (f *frame) find(id int64) { f.do(lib.find, uintptr(id), f.output()) }

func (f *frame) newFunction(interp uint64, callable string) {
	if name, ok := f.copied(callable); ok {
		f.do(lib.functionNew, uintptr(interp), name, uintptr(len(callable)), f.output())
	}
}

func freeFunction(function uint64) { invoke(lib.functionFree, uintptr(function)) }

func (f *frame) enter(interp uint64) { f.do(lib.enter, uintptr(interp)) }
func (f *frame) leave(interp uint64) { f.do(lib.leave, uintptr(interp)) }

func (f *frame) wait(thread uint64, milliseconds int64) {
	f.do(lib.threadWait, uintptr(thread), uintptr(milliseconds), f.output())
}

func freeThread(thread uint64) { invoke(lib.threadFree, uintptr(thread)) }

// readError fills in fields that are in C memory, and zero.
func readError(from uintptr, fields *errorFields) {
	read := func(accessor uintptr, to *span) {
		to.address = invoke(accessor, from, uintptr(unsafe.Pointer(&to.len)))
	}
	read(lib.errorMessage, &fields.message)
	read(lib.errorTypeName, &fields.typeName)
	read(lib.errorTypeQualname, &fields.qualname)
	read(lib.errorTypeModule, &fields.module)
	read(lib.errorExceptionMessage, &fields.exception)
	read(lib.errorFormatted, &fields.formatted)
	read(lib.errorDisplay, &fields.display)
	fields.frames = invoke(lib.errorFrameCount, from)
	fields.interp = uint64(invoke(lib.errorInterp, from))
	invoke(lib.errorSyntax, from, uintptr(unsafe.Pointer(&fields.line)), uintptr(unsafe.Pointer(&fields.column)),
		uintptr(unsafe.Pointer(&fields.sourceLine)))
	invoke(lib.errorCrash, from, uintptr(unsafe.Pointer(&fields.signal)), uintptr(unsafe.Pointer(&fields.exitCode)))
	fields.tag = uint64(invoke(lib.errorTag, from))
	fields.status = int32(invoke(lib.errorStatus, from))
	// A C bool is one byte of the register.
	fields.isRow = invoke(lib.errorRow, from, uintptr(unsafe.Pointer(&fields.row)))&0xff != 0
	fields.isExit = invoke(lib.errorExitStatus, from, uintptr(unsafe.Pointer(&fields.exitStatus)))&0xff != 0
}

// readFrames fills in the frames at an address, which have their sizes.
func readFrames(from, frames, count uintptr) {
	for i := range count {
		invoke(lib.errorFrame, from, i, frames+i*unsafe.Sizeof(tracebackFrame{}))
	}
}

func freeError(failure uintptr) { invoke(lib.errorFree, failure) }

func statusName(status Status) string { return cText(invoke(lib.statusName, uintptr(status))) }

// Texts that end with a NUL, by their addresses.

func versionString() uintptr { return invoke(lib.versionString) }
func pythonVersion() uintptr { return invoke(lib.pythonVersion) }
func pythonLibrary() uintptr { return invoke(lib.pythonLibrary) }
