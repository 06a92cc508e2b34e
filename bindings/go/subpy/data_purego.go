//go:build !cgo

package subpy

// How the C functions for objects, buffers, queues, pools and memory are called without cgo. data_cgo.go has the same with it.

import "unsafe"

// data has the addresses of those functions.
var data struct {
	threadNotify, memory, lockGetInfo, bufferNew, bufferFree,
	objectKeep, objectInterp, objectAttr, objectItem, objectCall, objectIter, objectNext, objectValue, objectText, objectFree,
	queueNew, queueKeep, queuePut, queuePutWith, queueGet, queueLen, queueGetInfo, queueFD, queueClose, queueFree,
	poolNew, poolSubmitAs, poolMap, poolGetStats, poolClose uintptr
}

// addDataFunctions adds their names to those that are looked up.
func addDataFunctions(names map[string]*uintptr) {
	for name, address := range map[string]*uintptr{
		"subpy_thread_notify": &data.threadNotify, "subpy_memory": &data.memory, "subpy_lock_get_info": &data.lockGetInfo,
		"subpy_buffer_new": &data.bufferNew, "subpy_buffer_free": &data.bufferFree,

		"subpy_object_keep": &data.objectKeep, "subpy_object_interp": &data.objectInterp, "subpy_object_attr": &data.objectAttr,
		"subpy_object_item": &data.objectItem, "subpy_object_call": &data.objectCall, "subpy_object_iter": &data.objectIter,
		"subpy_object_next": &data.objectNext, "subpy_object_value": &data.objectValue, "subpy_object_text": &data.objectText,
		"subpy_object_free": &data.objectFree,

		"subpy_queue_new": &data.queueNew, "subpy_queue_keep": &data.queueKeep, "subpy_queue_put": &data.queuePut,
		"subpy_queue_put_with": &data.queuePutWith, "subpy_queue_get": &data.queueGet, "subpy_queue_len": &data.queueLen,
		"subpy_queue_get_info": &data.queueGetInfo,
		"subpy_queue_fd":       &data.queueFD, "subpy_queue_close": &data.queueClose, "subpy_queue_free": &data.queueFree,

		"subpy_pool_new": &data.poolNew, "subpy_pool_submit_as": &data.poolSubmitAs, "subpy_pool_map": &data.poolMap,
		"subpy_pool_get_stats": &data.poolGetStats, "subpy_pool_close": &data.poolClose,
	} {
		names[name] = address
	}
}

func freeValue(address uintptr) { invoke(lib.valueFree, address) }

func (f *frame) notify(thread uint64, handle uintptr) {
	f.do(data.threadNotify, uintptr(thread), finalizeCallback(), handle)
}

func (f *frame) newBuffer(len uintptr, flags uint32, buffer uintptr) {
	f.do(data.bufferNew, len, uintptr(flags), buffer)
}

func freeBuffer(address uintptr) { invoke(data.bufferFree, address) }

func (f *frame) memory(interp uint64, info uintptr)   { f.do(data.memory, uintptr(interp), info) }
func (f *frame) lockInfo(interp uint64, info uintptr) { f.do(data.lockGetInfo, uintptr(interp), info) }

// Objects.

func (f *frame) keepObject(object uint64)   { f.do(data.objectKeep, uintptr(object), f.output()) }
func (f *frame) objectInterp(object uint64) { f.do(data.objectInterp, uintptr(object), f.output()) }

func (f *frame) attr(object uint64, name string, flags uint32) {
	if address, ok := f.copied(name); ok {
		f.do(data.objectAttr, uintptr(object), address, uintptr(len(name)), uintptr(flags), f.into())
		f.done()
	}
}

func (f *frame) item(object uint64, flags uint32) {
	f.do(data.objectItem, uintptr(object), f.args, uintptr(flags), f.into())
	f.done()
}

func (f *frame) callObject(object uint64, method string, flags uint32) {
	name, ok := uintptr(0), true
	if method != "" {
		name, ok = f.copied(method)
	}
	if ok {
		f.status = Status(int32(invoke(data.objectCall, uintptr(object), name, uintptr(len(method)), f.args, f.nargs, f.keywords(),
			uintptr(flags), f.into(), uintptr(unsafe.Pointer(&f.error)))))
		f.done()
	}
}

func (f *frame) iter(object uint64) { f.do(data.objectIter, uintptr(object), f.output()) }

func (f *frame) next(iterator uint64, flags uint32) {
	f.do(data.objectNext, uintptr(iterator), uintptr(flags), f.output(), f.into())
	f.done()
}

func (f *frame) objectValue(object uint64, flags uint32) {
	f.do(data.objectValue, uintptr(object), uintptr(flags), f.into())
	f.done()
}

func (f *frame) objectText(object uint64) {
	f.do(data.objectText, uintptr(object), f.into())
	f.done()
}

func freeObject(object uint64) { invoke(data.objectFree, uintptr(object)) }

// Queues.

func (f *frame) newQueue(options uintptr) { f.do(data.queueNew, options, f.output()) }
func (f *frame) keepQueue(queue uint64)   { f.do(data.queueKeep, uintptr(queue), f.output()) }

// putQueue puts what is in kwargs.
func (f *frame) putQueue(queue uint64, timeout int64, cancel uint64) {
	item := uintptr(unsafe.Pointer(&f.kwargs))
	if cancel == 0 {
		f.do(data.queuePut, uintptr(queue), item, uintptr(timeout))
	} else {
		f.do(data.queuePutWith, uintptr(queue), item, uintptr(timeout), uintptr(cancel))
	}
}

// getQueue does not wait.
func (f *frame) getQueue(queue uint64) {
	f.do(data.queueGet, uintptr(queue), 0, f.into())
	f.done()
}

func (f *frame) queueLen(queue uint64) { f.do(data.queueLen, uintptr(queue), f.output()) }
func (f *frame) queueInfo(queue uint64, info uintptr) {
	f.do(data.queueGetInfo, uintptr(queue), info)
}
func (f *frame) queueFD(queue uint64)    { f.do(data.queueFD, uintptr(queue), f.output()) }
func (f *frame) closeQueue(queue uint64) { f.do(data.queueClose, uintptr(queue)) }

func freeQueue(queue uint64) { invoke(data.queueFree, uintptr(queue)) }

// Pools.

func (f *frame) newPool(options uintptr) { f.do(data.poolNew, options, f.output()) }

func (f *frame) submit(pool, submitter uint64, request uintptr, source string) {
	if f.setText(request, source) {
		f.do(data.poolSubmitAs, uintptr(pool), uintptr(submitter), request, f.output())
	}
}

func (f *frame) mapPool(pool uint64, request uintptr, callable string, count, chunk int, handle uintptr) {
	if f.setText(request, callable) {
		f.status = Status(int32(invoke(data.poolMap, uintptr(pool), request, f.args, uintptr(count), f.nargs, uintptr(chunk),
			mapCallback(), handle, uintptr(unsafe.Pointer(&f.error)))))
	}
}

func (f *frame) poolStats(pool uint64, stats uintptr)   { f.do(data.poolGetStats, uintptr(pool), stats) }
func (f *frame) closePool(pool uint64, options uintptr) { f.do(data.poolClose, uintptr(pool), options) }

// closePoolNow is closePool without options and an error.
func closePoolNow(pool uint64) Status {
	return Status(int32(invoke(data.poolClose, uintptr(pool), 0, 0)))
}
