package subpy

import (
	"context"
	"errors"
	"iter"
	"os"
	"reflect"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A Queue carries values between Go and interpreters, and between interpreters. In Python it is a Queue of the module
// subpy_queues, with the methods of concurrent.interpreters.Queue. It becomes one as an argument, and by [Interpreter.PrepareMain].
//
// Its methods may be called by any goroutine at any time. Those of a nil or zero Queue, and of one that was freed, return
// [ErrNotFound]. A queue is there as long as somebody has it, in Go or in Python. A Queue that the program drops is freed.
type Queue struct {
	_      noCopy
	handle uint64
	turn   chan struct{} // whoever can send waits for items

	file struct {
		sync.Mutex
		*os.File
	}
}

var queueType = reflect.TypeFor[*Queue]()

// What queues are besides closed. They are [ErrTimeout] and [ErrWrongState] as well.
var (
	ErrQueueEmpty  error = &queueError{ErrTimeout, "the queue is empty"}
	ErrQueueFull   error = &queueError{ErrTimeout, "the queue is full"}
	ErrQueueClosed error = &queueError{ErrWrongState, "the queue is closed"}
)

type queueError struct {
	status Status
	text   string
}

func (e *queueError) Error() string { return "subpy: " + e.text }
func (e *queueError) Unwrap() error { return e.status }

// NewQueue creates a queue that holds so many values at most; 0 is for no bound.
func NewQueue(capacity int) (*Queue, error) {
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	options := queueOptions{capacity: uintptr(max(capacity, 0))}
	options.size = unsafe.Sizeof(options)
	address := place(f, options)
	if address == 0 {
		return nil, ErrNoMemory
	}
	if f.newQueue(address); f.status != success {
		return nil, f.outcome()
	}
	return ownQueue(f.out), nil
}

func ownQueue(handle uint64) *Queue {
	q := &Queue{handle: handle, turn: make(chan struct{}, 1)}
	runtime.AddCleanup(q, freeQueue, handle)
	return q
}

// queue makes a Queue of a part of a result.
func (r *reading) queue(from *value) (*Queue, *ConversionError) {
	r.handles = true
	f, err := newFrame(nil)
	if err != nil {
		return nil, conversionError("%v", err)
	}
	defer f.release(nil)
	if f.keepQueue(from.data); f.status != success {
		return nil, conversionError("%v", f.outcome())
	}
	return ownQueue(f.out), nil
}

// Put puts a copy of a value into the queue, and waits while that is full. It is [ErrQueueClosed] when that is closed, also while
// it waits.
func (q *Queue) Put(v any) error {
	return q.PutContext(context.Background(), v)
}

// TryPut is [Queue.Put] that does not wait: it is [ErrQueueFull] instead.
func (q *Queue) TryPut(v any) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	if err := f.encode(&f.kwargs, v, 0); err != nil {
		return err.of("value", true)
	}
	return q.put(f, v, 0, 0)
}

// PutContext is [Queue.Put] that ends when the context is done. While it waits it takes an OS thread.
func (q *Queue) PutContext(ctx context.Context, v any) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	if err := f.encode(&f.kwargs, v, 0); err != nil {
		return err.of("value", true)
	}
	if f.shared == 0 { // buffers can be passed once only
		if err := q.put(f, v, 0, 0); err != ErrQueueFull {
			return err
		}
	}
	var request runRequest
	c, err := f.control(ctx, &request, false)
	if err != nil {
		return err
	}
	defer c.end()
	if err := q.put(f, v, -1, c.cancel); err != nil {
		return c.explain(err)
	}
	return nil
}

func (q *Queue) put(f *frame, v any, timeout int64, cancel uint64) error {
	f.putQueue(q.number(), timeout, cancel)
	f.passed(f.status)
	runtime.KeepAlive(v)
	runtime.KeepAlive(q)
	return f.queueOutcome(ErrQueueFull)
}

// Get takes the value that was put first, and waits while there is none. It is [ErrQueueClosed] when the queue is closed and
// empty. A goroutine that waits takes no OS thread.
func (q *Queue) Get() (any, error) {
	return GetAs[any](q)
}

// GetAs is [Queue.Get] with a value of type T. One that does not go into a T is lost.
func GetAs[T any](q *Queue) (T, error) {
	return GetAsContext[T](context.Background(), q)
}

// TryGet is [Queue.Get] that does not wait: it is [ErrQueueEmpty] instead.
func (q *Queue) TryGet() (any, error) {
	return TryGetAs[any](q)
}

// TryGetAs is [Queue.TryGet] with a value of type T. One that does not go into a T is lost.
func TryGetAs[T any](q *Queue) (result T, err error) {
	f, err := newFrame(nil)
	if err != nil {
		return result, err
	}
	defer f.release(nil)
	f.ignore = false
	f.getQueue(q.number())
	runtime.KeepAlive(q)
	if f.status != success {
		return result, f.queueOutcome(ErrQueueEmpty)
	}
	return result, take(f, &result)
}

// GetContext is [Queue.Get] that ends when the context is done.
func (q *Queue) GetContext(ctx context.Context) (any, error) {
	return GetAsContext[any](ctx, q)
}

// GetAsContext is [Queue.GetContext] with a value of type T.
func GetAsContext[T any](ctx context.Context, q *Queue) (result T, err error) {
	if ctx.Err() != nil {
		return result, (&control{ctx: ctx}).explain(&InterruptedError{Exception: Exception{text: "cancelled before it began"}})
	}
	if result, err = TryGetAs[T](q); err != ErrQueueEmpty {
		return result, err
	}
	failed := q.await(ctx, func() bool {
		result, err = TryGetAs[T](q)
		return err != ErrQueueEmpty
	})
	if err == ErrQueueEmpty {
		err = failed
	}
	return result, err
}

// await calls a function whenever there may be something to get, until it returns true. It waits in Go's network poller. One
// goroutine does at a time, the others wait for it.
func (q *Queue) await(ctx context.Context, done func() bool) error {
	cancelled := func() error {
		return (&control{ctx: ctx}).explain(&InterruptedError{Exception: Exception{text: "cancelled while it waited for the queue"}})
	}
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return cancelled()
	}
	file, err := q.open()
	if err != nil {
		return err
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { file.SetReadDeadline(time.Unix(1, 0)) })()
	for ctx.Err() == nil {
		err := conn.Read(func(uintptr) bool { return done() })
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			if err != nil {
				return ErrNotFound // it was freed meanwhile
			}
			return nil
		}
		if ctx.Err() == nil { // that of somebody who waited before
			file.SetReadDeadline(time.Time{})
		}
	}
	return cancelled()
}

// open opens a file that is readable while there is something to get.
func (q *Queue) open() (*os.File, error) {
	q.file.Lock()
	defer q.file.Unlock()
	if q.file.File != nil {
		return q.file.File, nil
	}
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	f.out = 0
	if f.queueFD(q.number()); f.status != success {
		return nil, f.outcome()
	}
	fd, _, failed := syscall.Syscall(syscall.SYS_FCNTL, uintptr(*(*int32)(unsafe.Pointer(&f.out))), syscall.F_DUPFD_CLOEXEC, 0)
	if failed != 0 {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	q.file.File = os.NewFile(fd, "queue")
	return q.file.File, nil
}

// Iter gets values until the queue is closed and empty. An error is the last of them.
//
//	for v, err := range queue.Iter(ctx) {
func (q *Queue) Iter(ctx context.Context) iter.Seq2[any, error] {
	return IterQueueAs[any](ctx, q)
}

// IterQueueAs is [Queue.Iter] with values of type T.
func IterQueueAs[T any](ctx context.Context, q *Queue) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := GetAsContext[T](ctx, q)
			if err == ErrQueueClosed || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Len returns how many values are in the queue.
func (q *Queue) Len() (int, error) {
	f, err := newFrame(nil)
	if err != nil {
		return 0, err
	}
	defer f.release(nil)
	f.out = 0
	f.queueLen(q.number())
	runtime.KeepAlive(q)
	return int(f.out), f.outcome()
}

// QueueInfo is what [Queue.Info] says.
type QueueInfo struct {
	ID       uint64 // the same for each Queue that is the same queue; in Python its id
	Capacity int    // how many values have room, 0: no bound; in Python its maxsize
	Len      int    // how many values are in it
	Closed   bool
}

// queueInfo mirrors subpy_queue_info.
type queueInfo struct {
	size          uintptr
	id            uint64
	capacity, len uintptr
	closed        uint64
}

// Info returns which queue it is, and how large.
func (q *Queue) Info() (QueueInfo, error) {
	f, err := newFrame(nil)
	if err != nil {
		return QueueInfo{}, err
	}
	defer f.release(nil)
	address := place(f, queueInfo{size: unsafe.Sizeof(queueInfo{})})
	if address == 0 {
		return QueueInfo{}, ErrNoMemory
	}
	f.queueInfo(q.number(), address)
	runtime.KeepAlive(q)
	read := at[queueInfo](address)
	return QueueInfo{ID: read.id, Capacity: int(read.capacity), Len: int(read.len), Closed: read.closed != 0}, f.outcome()
}

// Close closes the queue for everybody: nothing more can be put, and what is in it can still be taken. Whoever waits for more,
// or for room, gets [ErrQueueClosed], in Python QueueClosed.
func (q *Queue) Close() error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	f.closeQueue(q.number())
	runtime.KeepAlive(q)
	return f.outcome()
}

// Free lets go of the queue, which others may still have. It closes nothing.
func (q *Queue) Free() {
	if q.number() == 0 {
		return
	}
	freeQueue(q.handle)
	q.file.Lock()
	defer q.file.Unlock()
	if q.file.File != nil {
		q.file.Close()
	}
	runtime.KeepAlive(q)
}

// number is the queue's handle. 0, which is that of no queue, stands for nil.
func (q *Queue) number() uint64 {
	if q == nil {
		return 0
	}
	return q.handle
}

// queueOutcome is the error of a queue that something was to be put into or got from.
func (f *frame) queueOutcome(atOnce error) error {
	switch f.status {
	case ErrTimeout:
		freeError(f.error)
		return atOnce
	case ErrWrongState:
		freeError(f.error)
		return ErrQueueClosed
	}
	return f.outcome()
}
