package subpy

// How the C functions are called with cgo. calls_purego.go has the same functions without.

/*
#cgo pkg-config: subpy
#cgo CFLAGS: -D_GNU_SOURCE
#include "bridge.h"
*/
import "C"

import (
	"sync"
	"unsafe"
)

// neededVersion is the version of the library that this was compiled for.
const neededVersion = C.SUBPY_VERSION

// load makes sure that the library is the one that this was compiled for. A program may find another when it runs.
var load = sync.OnceValue(func() error {
	return checkVersion(uint32(C.subpy_version()), func() string { return C.GoString(C.subpy_go_path()) })
})

// The mirrors have the layout of the C structs. A difference does not compile. Structs that begin with their size may have
// grown at their end.
var (
	_ = [1]struct{}{}[valueSize-unsafe.Sizeof(C.subpy_value{})]
	_ = [1]struct{}{}[unsafe.Offsetof(value{}.data)-unsafe.Offsetof(C.subpy_value{}.u)]
	_ = [1]struct{}{}[pairSize-unsafe.Sizeof(C.subpy_pair{})]
	_ = [1]struct{}{}[frameSize-unsafe.Sizeof(C.subpy_go_frame{})]
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.result)-unsafe.Offsetof(C.subpy_go_frame{}.result)]
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.more)-unsafe.Offsetof(C.subpy_go_frame{}.more)]
	_ = [1]struct{}{}[unsafe.Offsetof(frame{}.shared)-unsafe.Offsetof(C.subpy_go_frame{}.shared)]
	_ = [1]struct{}{}[unsafe.Sizeof(errorFields{})-unsafe.Sizeof(C.subpy_go_error{})]
	_ = [1]struct{}{}[unsafe.Offsetof(errorFields{}.row)-unsafe.Offsetof(C.subpy_go_error{}.row)]
	_ = [1]struct{}{}[unsafe.Offsetof(errorFields{}.status)-unsafe.Offsetof(C.subpy_go_error{}.status)]
	_ = [1]struct{}{}[unsafe.Offsetof(errorFields{}.exitCode)-unsafe.Offsetof(C.subpy_go_error{}.exit_code)]
	_ = [1]struct{}{}[unsafe.Offsetof(errorFields{}.isRow)-unsafe.Offsetof(C.subpy_go_error{}.is_row)]
	_ = [1]struct{}{}[unsafe.Offsetof(runtimeOptions{}.flags)-unsafe.Offsetof(C.subpy_runtime_options{}.flags)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.pathLen)-unsafe.Offsetof(C.subpy_interp_options{}.path_len)]
	_ = [1]struct{}{}[unsafe.Offsetof(runRequest{}.text)-unsafe.Offsetof(C.subpy_run_request{}.text)]
	_ = [1]struct{}{}[unsafe.Offsetof(runRequest{}.textLen)-unsafe.Offsetof(C.subpy_run_request{}.text_len)]
	_ = [1]struct{}{}[unsafe.Offsetof(runRequest{}.filename)-unsafe.Offsetof(C.subpy_run_request{}.filename)]
	_ = [1]struct{}{}[unsafe.Offsetof(runRequest{}.timeout)-unsafe.Offsetof(C.subpy_run_request{}.timeout_ms)]
	_ = [1]struct{}{}[unsafe.Offsetof(runRequest{}.outputData)-unsafe.Offsetof(C.subpy_run_request{}.output_data)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.timeout)-unsafe.Offsetof(C.subpy_interp_options{}.timeout_ms)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.memory)-unsafe.Offsetof(C.subpy_interp_options{}.memory_limit)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.cpuLimit)-unsafe.Offsetof(C.subpy_interp_options{}.cpu_limit_ms)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.writable)-unsafe.Offsetof(C.subpy_interp_options{}.writable)]
	_ = [1]struct{}{}[unsafe.Offsetof(interpOptions{}.venv)-unsafe.Offsetof(C.subpy_interp_options{}.venv)]
	_ = [1]struct{}{}[unsafe.Sizeof(interpOptions{})-unsafe.Sizeof(C.subpy_interp_options{})]
	_ = [1]struct{}{}[unsafe.Offsetof(runtimeOptions{}.preload)-unsafe.Offsetof(C.subpy_runtime_options{}.preload)]
	_ = [1]struct{}{}[unsafe.Offsetof(defineRequest{}.doc)-unsafe.Offsetof(C.subpy_define_options{}.doc)]
	_ = [1]struct{}{}[unsafe.Offsetof(closeRequest{}.flags)-unsafe.Offsetof(C.subpy_close_options{}.flags)]
	_ = [1]struct{}{}[unsafe.Sizeof(tracebackFrame{})-unsafe.Sizeof(C.subpy_frame{})]
	_ = [1]struct{}{}[unsafe.Offsetof(tracebackFrame{}.endColumn)-unsafe.Offsetof(C.subpy_frame{}.end_column)]
)

// The constants have the values of those of subpy.h.
var (
	_ = [1]struct{}{}[kindDict-C.SUBPY_KIND_DICT]
	_ = [1]struct{}{}[kindError-C.SUBPY_KIND_ERROR]
	_ = [1]struct{}{}[runExec-C.SUBPY_RUN_EXEC]
	_ = [1]struct{}{}[runEval-C.SUBPY_RUN_EVAL]
	_ = [1]struct{}{}[runCall-C.SUBPY_RUN_CALL]
	_ = [1]struct{}{}[runFunction-C.SUBPY_RUN_FUNCTION]
	_ = [1]struct{}{}[keepIndent-C.SUBPY_KEEP_INDENT]
	_ = [1]struct{}{}[returnErrors-C.SUBPY_RETURN_ERRORS]
	_ = [1]struct{}{}[BusyRefuse-C.SUBPY_BUSY_REFUSE]
	_ = [1]struct{}{}[BusyWait-C.SUBPY_BUSY_WAIT]
	_ = [1]struct{}{}[BusyShare-C.SUBPY_BUSY_SHARE]
	_ = [1]struct{}{}[gilShared-C.SUBPY_GIL_SHARED]
	_ = [1]struct{}{}[interpAllowFork-C.SUBPY_INTERP_ALLOW_FORK]
	_ = [1]struct{}{}[interpAllowExec-C.SUBPY_INTERP_ALLOW_EXEC]
	_ = [1]struct{}{}[interpNoThreads-C.SUBPY_INTERP_NO_THREADS]
	_ = [1]struct{}{}[interpAllowDaemonThreads-C.SUBPY_INTERP_ALLOW_DAEMON_THREADS]
	_ = [1]struct{}{}[interpNoExtensionCheck-C.SUBPY_INTERP_NO_EXTENSION_CHECK]
	_ = [1]struct{}{}[interpUnbuffered-C.SUBPY_INTERP_UNBUFFERED]
	_ = [1]struct{}{}[interpNoStdin-C.SUBPY_INTERP_NO_STDIN]
	_ = [1]struct{}{}[interpProcess-C.SUBPY_INTERP_PROCESS]
	_ = [1]struct{}{}[interpLocked-C.SUBPY_INTERP_LOCKED]
	_ = [1]struct{}{}[interpLockBestEffort-C.SUBPY_INTERP_LOCK_BEST_EFFORT]
	_ = [1]struct{}{}[defineKeepGIL-C.SUBPY_DEFINE_KEEP_GIL]
	_ = [1]struct{}{}[closeDrain-C.SUBPY_CLOSE_DRAIN]
	_ = [1]struct{}{}[closeInterrupt-C.SUBPY_CLOSE_INTERRUPT]
	_ = [1]struct{}{}[runtimeUseEnvironment-C.SUBPY_RUNTIME_USE_ENVIRONMENT]
	_ = [1]struct{}{}[runtimeNoSite-C.SUBPY_RUNTIME_NO_SITE]
	_ = [1]struct{}{}[runtimeKeepSIGPIPE-C.SUBPY_RUNTIME_KEEP_SIGPIPE]
)

// allocate returns zeroed C memory. Unlike cgo's C.malloc, which ends the process then, it is 0 when there is none.
func allocate(size uintptr) uintptr {
	return uintptr(C.calloc(1, C.size_t(size)))
}

func free(address uintptr) {
	C.free(*(*unsafe.Pointer)(unsafe.Pointer(&address)))
}

func (f *frame) freeResult() {
	C.subpy_value_free((*C.subpy_value)(unsafe.Pointer(&f.result)))
}

// Runs, on the way that each call takes: one crossing for all that there is to do.

func (f *frame) call(interp uint64, callable string) {
	C.subpy_go_call(C.uintptr_t(f.address()), C.subpy_interp(interp), text(callable), C.size_t(len(callable)))
}

func (f *frame) callFunction(function uint64) {
	C.subpy_go_call_function(C.uintptr_t(f.address()), C.subpy_function(function))
}

func (f *frame) callMany(function uint64, count int, flags uint32) {
	C.subpy_go_call_many(C.uintptr_t(f.address()), C.subpy_function(function), C.size_t(count), C.uint32_t(flags))
}

func (f *frame) run(request uintptr, source string) {
	C.subpy_go_run(C.uintptr_t(f.address()), C.uintptr_t(request), text(source), C.size_t(len(source)))
}

func (f *frame) start(request uintptr, callable string) {
	C.subpy_go_start(C.uintptr_t(f.address()), C.uintptr_t(request), text(callable), C.size_t(len(callable)))
}

func (f *frame) join(thread uint64) {
	C.subpy_go_join(C.uintptr_t(f.address()), C.subpy_thread(thread))
}

// text is text for a C function that does not keep it, and is told its length.
func text(text string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text)))
}

// Everything else. What a function gives goes to out, and its error to error.

func (f *frame) failure() **C.subpy_error {
	return (**C.subpy_error)(unsafe.Pointer(&f.error))
}

// output is where a T goes.
func output[T any](f *frame) *T {
	return (*T)(unsafe.Pointer(&f.out))
}

func (f *frame) init(options uintptr) {
	f.status = Status(C.subpy_init(at[C.subpy_runtime_options](options), f.failure()))
}

func (f *frame) shutdown() {
	f.status = Status(C.subpy_shutdown(f.failure()))
}

func (f *frame) create(options uintptr) {
	f.status = Status(C.subpy_create(at[C.subpy_interp_options](options), output[C.subpy_interp](f), f.failure()))
}

func (f *frame) close(interp uint64) {
	f.status = Status(C.subpy_close(C.subpy_interp(interp), f.failure()))
}

// closeNow is close without an error.
func closeNow(interp uint64) Status {
	return Status(C.subpy_close(C.subpy_interp(interp), nil))
}

func (f *frame) closeWith(interp uint64, options uintptr) {
	f.status = Status(C.subpy_close_with(C.subpy_interp(interp), at[C.subpy_close_options](options), f.failure()))
}

func (f *frame) shutdownWith(options uintptr) {
	f.status = Status(C.subpy_shutdown_with(at[C.subpy_close_options](options), f.failure()))
}

func (f *frame) interrupt(interp uint64) {
	f.status = Status(C.subpy_interrupt(C.subpy_interp(interp), f.failure()))
}

func (f *frame) newCancel() {
	f.status = Status(C.subpy_cancel_new(output[C.subpy_cancel](f), f.failure()))
}

func fireCancel(cancel uint64) {
	C.subpy_cancel_fire(C.subpy_cancel(cancel))
}

func freeCancel(cancel uint64) {
	C.subpy_cancel_free(C.subpy_cancel(cancel))
}

func (f *frame) define(interp uint64, name string, options, handle uintptr) {
	f.status = Status(C.subpy_go_define(C.subpy_interp(interp), text(name), C.size_t(len(name)), C.uintptr_t(options),
		C.uintptr_t(handle), f.failure()))
}

func (f *frame) setOutput(interp uint64, handle uintptr) {
	f.status = Status(C.subpy_go_set_output(C.subpy_interp(interp), C.uintptr_t(handle), f.failure()))
}

// outputCallback is the C function for the output of a run.
func outputCallback() uintptr {
	return uintptr(C.subpy_go_output())
}

//export subpyGoCalled
func subpyGoCalled(handle, context, args C.uintptr_t, nargs C.size_t, kwargs, result C.uintptr_t) C.bool {
	return C.bool(called(uintptr(handle), uintptr(context), unsafe.Slice(at[value](uintptr(args)), uintptr(nargs)),
		at[value](uintptr(kwargs)), at[value](uintptr(result))))
}

//export subpyGoPrinted
func subpyGoPrinted(handle C.uintptr_t, stream C.int32_t, text C.uintptr_t, length C.size_t) {
	printed(uintptr(handle), int32(stream), span{uintptr(text), uintptr(length)})
}

//export subpyGoFinalized
func subpyGoFinalized(handle C.uintptr_t) {
	finalized(uintptr(handle))
}

// What a host function does with its call.

func contextOf(address uintptr) *C.subpy_context {
	return *(**C.subpy_context)(unsafe.Pointer(&address))
}

func contextReturn(call uintptr, result *value) Status {
	return Status(C.subpy_context_return(contextOf(call), (*C.subpy_value)(unsafe.Pointer(result))))
}

func contextRaise(call uintptr, kind, message string) Status {
	return Status(C.subpy_context_raise(contextOf(call), text(kind), C.size_t(len(kind)), text(message), C.size_t(len(message))))
}

func contextNote(call uintptr, note string) {
	C.subpy_context_note(contextOf(call), text(note), C.size_t(len(note)))
}

func contextTag(call uintptr, tag uint64) {
	C.subpy_context_tag(contextOf(call), C.uint64_t(tag))
}

func isCancelled(call uintptr) bool {
	return bool(C.subpy_context_cancelled(contextOf(call)))
}

func (f *frame) prepareMain(interp uint64) {
	names := (*C.subpy_value)(unsafe.Pointer(&f.kwargs))
	f.status = Status(C.subpy_prepare_main(C.subpy_interp(interp), names, f.failure()))
}

func (f *frame) isRunning(interp uint64) {
	f.status = Status(C.subpy_is_running(C.subpy_interp(interp), output[C.bool](f), f.failure()))
}

func (f *frame) id(interp uint64) {
	f.status = Status(C.subpy_id(C.subpy_interp(interp), output[C.int64_t](f), f.failure()))
}

func (f *frame) whence(interp uint64) {
	f.status = Status(C.subpy_whence(C.subpy_interp(interp), output[*C.char](f), f.failure()))
}

func (f *frame) listAll(interps, capacity uintptr) {
	f.status = Status(C.subpy_list_all(at[C.subpy_interp](interps), C.size_t(capacity), output[C.size_t](f), f.failure()))
}

func (f *frame) getMain() {
	f.status = Status(C.subpy_get_main(output[C.subpy_interp](f), f.failure()))
}

func (f *frame) getCurrent() {
	f.status = Status(C.subpy_get_current(output[C.subpy_interp](f), f.failure()))
}

func (f *frame) find(id int64) {
	f.status = Status(C.subpy_find(C.int64_t(id), output[C.subpy_interp](f), f.failure()))
}

func (f *frame) newFunction(interp uint64, callable string) {
	f.status = Status(C.subpy_function_new(C.subpy_interp(interp), text(callable), C.size_t(len(callable)),
		output[C.subpy_function](f), f.failure()))
}

func freeFunction(function uint64) {
	C.subpy_function_free(C.subpy_function(function))
}

func (f *frame) enter(interp uint64) {
	f.status = Status(C.subpy_enter(C.subpy_interp(interp), f.failure()))
}

func (f *frame) leave(interp uint64) {
	f.status = Status(C.subpy_leave(C.subpy_interp(interp), f.failure()))
}

func (f *frame) wait(thread uint64, milliseconds int64) {
	f.status = Status(C.subpy_thread_wait(C.subpy_thread(thread), C.int64_t(milliseconds), output[C.bool](f), f.failure()))
}

func freeThread(thread uint64) {
	C.subpy_thread_free(C.subpy_thread(thread))
}

// errorAt is the error at an address. It is no at[C.subpy_error] because the size of that is unknown.
func errorAt(address uintptr) *C.subpy_error {
	return *(**C.subpy_error)(unsafe.Pointer(&address))
}

// readError fills in fields that are in C memory, and zero.
func readError(from uintptr, fields *errorFields) {
	C.subpy_go_read_error(errorAt(from), (*C.subpy_go_error)(unsafe.Pointer(fields)))
}

// readFrames fills in the frames at an address, which have their sizes.
func readFrames(from, frames, count uintptr) {
	C.subpy_go_read_frames(errorAt(from), at[C.subpy_frame](frames), C.size_t(count))
}

func freeError(failure uintptr) {
	C.subpy_error_free(errorAt(failure))
}

func statusName(status Status) string {
	return C.GoString(C.subpy_status_name(C.subpy_status(status)))
}

// Texts that end with a NUL, by their addresses.

func versionString() uintptr {
	return uintptr(unsafe.Pointer(C.subpy_version_string()))
}

func pythonVersion() uintptr {
	return uintptr(unsafe.Pointer(C.subpy_python_version()))
}

func pythonLibrary() uintptr {
	return uintptr(unsafe.Pointer(C.subpy_python_library()))
}
