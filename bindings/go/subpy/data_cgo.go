package subpy

// How the C functions for objects, buffers, queues, pools and memory are called with cgo. data_purego.go has the same without.

/*
#include "bridge.h"
*/
import "C"

import "unsafe"

// The mirrors have the layout of the C structs.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(bufferRequest{})-unsafe.Sizeof(C.subpy_buffer{})]
	_ = [1]struct{}{}[unsafe.Offsetof(bufferRequest{}.strides)-unsafe.Offsetof(C.subpy_buffer{}.strides)]
	_ = [1]struct{}{}[unsafe.Offsetof(bufferRequest{}.flags)-unsafe.Offsetof(C.subpy_buffer{}.flags)]
	_ = [1]struct{}{}[unsafe.Offsetof(bufferRequest{}.userdata)-unsafe.Offsetof(C.subpy_buffer{}.userdata)]
	_ = [1]struct{}{}[unsafe.Sizeof(queueOptions{})-unsafe.Sizeof(C.subpy_queue_options{})]
	_ = [1]struct{}{}[unsafe.Sizeof(queueInfo{})-unsafe.Sizeof(C.subpy_queue_info{})]
	_ = [1]struct{}{}[unsafe.Offsetof(queueInfo{}.closed)-unsafe.Offsetof(C.subpy_queue_info{}.closed)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolRequest{}.interp)-unsafe.Offsetof(C.subpy_pool_options{}.interp)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolRequest{}.finalize)-unsafe.Offsetof(C.subpy_pool_options{}.finalize)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolRequest{}.flags)-unsafe.Offsetof(C.subpy_pool_options{}.flags)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolRequest{}.isolation)-unsafe.Offsetof(C.subpy_pool_options{}.isolation)]
	_ = [1]struct{}{}[unsafe.Sizeof(poolRequest{})-unsafe.Sizeof(C.subpy_pool_options{})]
	_ = [1]struct{}{}[unsafe.Offsetof(poolStats{}.replaced)-unsafe.Offsetof(C.subpy_pool_stats{}.replaced)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolStats{}.run)-unsafe.Offsetof(C.subpy_pool_stats{}.run_p50_us)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolStats{}.left)-unsafe.Offsetof(C.subpy_pool_stats{}.left)]
	_ = [1]struct{}{}[unsafe.Offsetof(poolStats{}.reason)-unsafe.Offsetof(C.subpy_pool_stats{}.reason)]
	_ = [1]struct{}{}[unsafe.Sizeof(poolStats{})-unsafe.Sizeof(C.subpy_pool_stats{})]
	_ = [1]struct{}{}[unsafe.Offsetof(memoryInfo{}.refused)-unsafe.Offsetof(C.subpy_memory_info{}.refused)]
	_ = [1]struct{}{}[unsafe.Offsetof(lockInfo{}.landlock)-unsafe.Offsetof(C.subpy_lock_info{}.landlock)]
	_ = [1]struct{}{}[unsafe.Offsetof(lockInfo{}.seccomp)-unsafe.Offsetof(C.subpy_lock_info{}.seccomp)]
	_ = [1]struct{}{}[unsafe.Sizeof(lockInfo{})-unsafe.Sizeof(C.subpy_lock_info{})]
)

// The constants have the values of those of subpy.h.
var (
	_ = [1]struct{}{}[kindObject-C.SUBPY_KIND_OBJECT]
	_ = [1]struct{}{}[kindBuffer-C.SUBPY_KIND_BUFFER]
	_ = [1]struct{}{}[kindQueue-C.SUBPY_KIND_QUEUE]
	_ = [1]struct{}{}[TagSet-C.SUBPY_TAG_SET]
	_ = [1]struct{}{}[TagFrozenSet-C.SUBPY_TAG_FROZENSET]
	_ = [1]struct{}{}[TagComplex-C.SUBPY_TAG_COMPLEX]
	_ = [1]struct{}{}[TagDate-C.SUBPY_TAG_DATE]
	_ = [1]struct{}{}[TagTime-C.SUBPY_TAG_TIME]
	_ = [1]struct{}{}[TagDateTime-C.SUBPY_TAG_DATETIME]
	_ = [1]struct{}{}[TagTimeDelta-C.SUBPY_TAG_TIMEDELTA]
	_ = [1]struct{}{}[TagDecimal-C.SUBPY_TAG_DECIMAL]
	_ = [1]struct{}{}[TagUUID-C.SUBPY_TAG_UUID]
	_ = [1]struct{}{}[TagEnum-C.SUBPY_TAG_ENUM]
	_ = [1]struct{}{}[TagDataclass-C.SUBPY_TAG_DATACLASS]
	_ = [1]struct{}{}[ResultObject-C.SUBPY_RESULT_OBJECT]
	_ = [1]struct{}{}[ResultObjects-C.SUBPY_RESULT_OBJECTS]
	_ = [1]struct{}{}[ResultBuffers-C.SUBPY_RESULT_BUFFER]
	_ = [1]struct{}{}[ResultArrays-C.SUBPY_RESULT_ARRAY]
	_ = [1]struct{}{}[runAsync-C.SUBPY_RUN_ASYNC]
	_ = [1]struct{}{}[interpTaggedValues-C.SUBPY_INTERP_TAGGED_VALUES]
	_ = [1]struct{}{}[interpCountMemory-C.SUBPY_INTERP_COUNT_MEMORY]
	_ = [1]struct{}{}[bufferWritable-C.SUBPY_BUFFER_WRITABLE]
	_ = [1]struct{}{}[bufferLent-C.SUBPY_BUFFER_LENT]
	_ = [1]struct{}{}[poolRefuse-C.SUBPY_POOL_REFUSE]
	_ = [1]struct{}{}[poolNoSpares-C.SUBPY_POOL_NO_SPARES]
	_ = [1]struct{}{}[IsolationOwnGIL-C.SUBPY_ISOLATION_OWN_GIL]
	_ = [1]struct{}{}[IsolationProcess-C.SUBPY_ISOLATION_PROCESS]
	_ = [1]struct{}{}[IsolationAuto-C.SUBPY_ISOLATION_AUTO]
)

func freeValue(address uintptr) {
	C.subpy_value_free(at[C.subpy_value](address))
}

// finalizeCallback is the C function that says that a handle is needed no more.
func finalizeCallback() uintptr {
	return uintptr(C.subpy_go_finalizer())
}

func (f *frame) notify(thread uint64, handle uintptr) {
	f.status = Status(C.subpy_go_notify(C.subpy_thread(thread), C.uintptr_t(handle), f.failure()))
}

func (f *frame) newBuffer(len uintptr, flags uint32, buffer uintptr) {
	f.status = Status(C.subpy_buffer_new(C.size_t(len), C.uint32_t(flags), at[C.subpy_buffer](buffer), f.failure()))
}

func freeBuffer(address uintptr) {
	C.subpy_buffer_free(at[C.subpy_buffer](address))
}

func (f *frame) memory(interp uint64, info uintptr) {
	f.status = Status(C.subpy_memory(C.subpy_interp(interp), at[C.subpy_memory_info](info), f.failure()))
}

func (f *frame) lockInfo(interp uint64, info uintptr) {
	f.status = Status(C.subpy_lock_get_info(C.subpy_interp(interp), at[C.subpy_lock_info](info), f.failure()))
}

// Objects.

func (f *frame) keepObject(object uint64) {
	f.status = Status(C.subpy_object_keep(C.subpy_object(object), output[C.subpy_object](f), f.failure()))
}

func (f *frame) objectInterp(object uint64) {
	f.status = Status(C.subpy_object_interp(C.subpy_object(object), output[C.subpy_interp](f), f.failure()))
}

func (f *frame) attr(object uint64, name string, flags uint32) {
	C.subpy_go_attr(C.uintptr_t(f.address()), C.subpy_object(object), text(name), C.size_t(len(name)), C.uint32_t(flags))
}

func (f *frame) item(object uint64, flags uint32) {
	C.subpy_go_item(C.uintptr_t(f.address()), C.subpy_object(object), C.uint32_t(flags))
}

func (f *frame) callObject(object uint64, method string, flags uint32) {
	C.subpy_go_call_object(C.uintptr_t(f.address()), C.subpy_object(object), text(method), C.size_t(len(method)), C.uint32_t(flags))
}

func (f *frame) iter(object uint64) {
	f.status = Status(C.subpy_object_iter(C.subpy_object(object), output[C.subpy_object](f), f.failure()))
}

func (f *frame) next(iterator uint64, flags uint32) {
	C.subpy_go_next(C.uintptr_t(f.address()), C.subpy_object(iterator), C.uint32_t(flags))
}

func (f *frame) objectValue(object uint64, flags uint32) {
	C.subpy_go_object_value(C.uintptr_t(f.address()), C.subpy_object(object), C.uint32_t(flags))
}

func (f *frame) objectText(object uint64) {
	C.subpy_go_object_text(C.uintptr_t(f.address()), C.subpy_object(object))
}

func freeObject(object uint64) {
	C.subpy_object_free(C.subpy_object(object))
}

// Queues.

func (f *frame) newQueue(options uintptr) {
	f.status = Status(C.subpy_queue_new(at[C.subpy_queue_options](options), output[C.subpy_queue](f), f.failure()))
}

func (f *frame) keepQueue(queue uint64) {
	f.status = Status(C.subpy_queue_keep(C.subpy_queue(queue), output[C.subpy_queue](f), f.failure()))
}

// putQueue puts what is in kwargs.
func (f *frame) putQueue(queue uint64, timeout int64, cancel uint64) {
	C.subpy_go_put(C.uintptr_t(f.address()), C.subpy_queue(queue), C.int64_t(timeout), C.subpy_cancel(cancel))
}

// getQueue does not wait.
func (f *frame) getQueue(queue uint64) {
	C.subpy_go_get(C.uintptr_t(f.address()), C.subpy_queue(queue))
}

func (f *frame) queueLen(queue uint64) {
	f.status = Status(C.subpy_queue_len(C.subpy_queue(queue), output[C.size_t](f), f.failure()))
}

func (f *frame) queueInfo(queue uint64, info uintptr) {
	f.status = Status(C.subpy_queue_get_info(C.subpy_queue(queue), at[C.subpy_queue_info](info), f.failure()))
}

func (f *frame) queueFD(queue uint64) {
	f.status = Status(C.subpy_queue_fd(C.subpy_queue(queue), output[C.int](f), f.failure()))
}

func (f *frame) closeQueue(queue uint64) {
	f.status = Status(C.subpy_queue_close(C.subpy_queue(queue), f.failure()))
}

func freeQueue(queue uint64) {
	C.subpy_queue_free(C.subpy_queue(queue))
}

// Pools.

func prepareCallback() uintptr {
	return uintptr(C.subpy_go_preparer())
}

func (f *frame) newPool(options uintptr) {
	f.status = Status(C.subpy_pool_new(at[C.subpy_pool_options](options), output[C.subpy_pool](f), f.failure()))
}

func (f *frame) submit(pool, submitter uint64, request uintptr, source string) {
	C.subpy_go_submit(C.uintptr_t(f.address()), C.subpy_pool(pool), C.uint64_t(submitter), C.uintptr_t(request), text(source),
		C.size_t(len(source)))
}

func (f *frame) mapPool(pool uint64, request uintptr, callable string, count, chunk int, handle uintptr) {
	C.subpy_go_map(C.uintptr_t(f.address()), C.subpy_pool(pool), C.uintptr_t(request), text(callable), C.size_t(len(callable)),
		C.size_t(count), C.size_t(chunk), C.uintptr_t(handle))
}

func (f *frame) poolStats(pool uint64, stats uintptr) {
	f.status = Status(C.subpy_pool_get_stats(C.subpy_pool(pool), at[C.subpy_pool_stats](stats), f.failure()))
}

func (f *frame) closePool(pool uint64, options uintptr) {
	f.status = Status(C.subpy_pool_close(C.subpy_pool(pool), at[C.subpy_close_options](options), f.failure()))
}

// closePoolNow is closePool without options and an error.
func closePoolNow(pool uint64) Status {
	return Status(C.subpy_pool_close(C.subpy_pool(pool), nil, nil))
}

//export subpyGoMapped
func subpyGoMapped(handle, result, failure C.uintptr_t) C.bool {
	return C.bool(mapped(uintptr(handle), at[value](uintptr(result)), uintptr(failure)))
}

//export subpyGoPrepared
func subpyGoPrepared(handle C.uintptr_t, interp C.subpy_interp) {
	prepared(uintptr(handle), uint64(interp))
}
