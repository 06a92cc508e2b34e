package subpy

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A frame is a piece of C memory with all that one run needs, so that a run takes one crossing: the request, the
// arguments, the result and the error. It mirrors subpy_go_frame. Go pointers never enter it.
//
// A frame is used again. Its result stays where it is until the next run, which frees it on its way.
type frame struct {
	args   uintptr
	nargs  uintptr
	kwargs value // None when there are none
	result value
	error  uintptr
	out    uint64 // a handle, or whatever else a function gives
	block  uintptr
	status Status
	ignore bool
	// counted says that it is one of the runs for which the interpreter keeps errors.
	counted bool
	size    uintptr // of the memory that begins with the frame
	used    uintptr // of that
	more    uintptr // the newest chunk, for arguments that do not fit; 0 when they do
	shared  uintptr // the handle of the newest buffer among the arguments, until C has it; 0 when there is none
}

// A chunk is more C memory for one run. It begins with this.
type chunk struct {
	next, size, used uintptr
}

const (
	frameSize   = unsafe.Sizeof(frame{})
	chunkSize   = unsafe.Sizeof(chunk{})
	firstSize   = 4 << 10  // of a new frame
	idleSize    = 64 << 10 // that a frame of nobody keeps, and that a result may have until the next run
	largestSize = 1 << 20  // that the frame of an interpreter keeps
	largestArg  = 1 << 46  // more than memory can hold, and small enough to add up
	idleFrames  = 64       // frames of nobody
)

// A spare is the address of a frame that waits for the next run in its interpreter, 0 when there is none.
type spare struct {
	atomic.Uintptr
}

// idle are frames that belong to no interpreter.
var idle struct {
	sync.Mutex
	frames []*frame
}

// newFrame returns a frame for a run in an interpreter, or, for nil, in none that is known. Whoever has a frame has the
// library, too.
func newFrame(in *Interpreter) (f *frame, err error) {
	if f, err = takeFrame(in); err == nil && in != nil {
		if kept := in.kept.Load(); kept != nil {
			kept.begin()
			f.counted = true
		}
	}
	return f, err
}

func takeFrame(in *Interpreter) (*frame, error) {
	if in != nil && in.spare != nil {
		if address := in.spare.Swap(0); address != 0 {
			return at[frame](address), nil
		}
	}
	if err := load(); err != nil {
		return nil, err
	}
	if f := idleFrame(); f != nil {
		return f, nil
	}
	return nil, ErrNoMemory
}

func idleFrame() *frame {
	idle.Lock()
	defer idle.Unlock()
	if last := len(idle.frames) - 1; last >= 0 {
		f := idle.frames[last]
		idle.frames = idle.frames[:last]
		return f
	}
	return allocFrame(firstSize)
}

func allocFrame(size uintptr) *frame {
	f := at[frame](allocate(size))
	if f != nil {
		f.size, f.used = size, frameSize
	}
	return f
}

// at is what an address in C memory stands for.
func at[T any](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address))
}

func (f *frame) address() uintptr {
	return uintptr(unsafe.Pointer(f))
}

// release gives the frame back. What was read from its memory is invalid from then on. It keeps the interpreter from
// being taken for dropped before.
func (f *frame) release(in *Interpreter) {
	if f.counted {
		f.counted = false
		in.kept.Load().end()
	}
	if f.shared != 0 {
		f.takeBack()
	}
	if f.more != 0 || f.block > idleSize {
		f = f.tidy()
	}
	f.used = frameSize
	if in == nil || in.spare == nil || !in.spare.CompareAndSwap(0, f.address()) {
		f.abandon()
	}
	runtime.KeepAlive(in)
}

// tidy frees what is too large to be kept. In place of a frame that needed more memory comes one in which that run fits.
func (f *frame) tidy() *frame {
	if f.block > idleSize {
		f.freeResult()
		f.block = 0
	}
	total := f.size
	for f.more != 0 {
		last := at[chunk](f.more)
		address := f.more
		f.more = last.next
		total += last.size
		free(address)
	}
	if total == f.size || total > largestSize {
		return f
	}
	larger := allocFrame(total)
	if larger == nil {
		return f
	}
	f.destroy()
	return larger
}

// abandon keeps a frame for whoever needs one, or frees it.
func (f *frame) abandon() {
	idle.Lock()
	defer idle.Unlock()
	if len(idle.frames) < idleFrames && f.size <= idleSize {
		idle.frames = append(idle.frames, f)
	} else {
		f.destroy()
	}
}

func (f *frame) destroy() {
	f.freeResult()
	free(f.address())
}

// alloc returns C memory, aligned for values, that lasts as long as the run. nil: there is none.
func (f *frame) alloc(size uintptr) unsafe.Pointer {
	size = (size + 7) &^ 7
	if size > f.size-f.used {
		return f.allocMore(size)
	}
	memory := unsafe.Add(unsafe.Pointer(f), f.used)
	f.used += size
	return memory
}

func (f *frame) allocMore(size uintptr) unsafe.Pointer {
	if size > largestArg {
		return nil
	}
	last := at[chunk](f.more)
	if last == nil || size > last.size-last.used {
		wanted := 2 * f.size
		if last != nil {
			wanted = 2 * last.size
		}
		wanted = max(chunkSize+size, min(wanted, largestSize))
		address := allocate(wanted)
		if address == 0 {
			return nil
		}
		last = at[chunk](address)
		*last = chunk{f.more, wanted, chunkSize}
		f.more = address
	}
	memory := unsafe.Add(unsafe.Pointer(last), last.used)
	last.used += size
	return memory
}

// place copies a struct without Go pointers into C memory, where it lasts as long as the run, and returns its address. 0:
// there is no memory.
func place[T any](f *frame, from T) uintptr {
	memory := f.alloc(unsafe.Sizeof(from))
	if memory != nil {
		*(*T)(memory) = from
	}
	return uintptr(memory)
}

// copyText copies text, or bytes, into C memory, where it lasts as long as the run.
func (f *frame) copyText(text string) (address uintptr, err *ConversionError) {
	if len(text) == 0 {
		return 0, nil
	}
	memory := f.alloc(uintptr(len(text)))
	if memory == nil {
		return 0, errTooLarge()
	}
	copy(unsafe.Slice((*byte)(memory), len(text)), text)
	return uintptr(memory), nil
}

// cString copies text that C takes to end with a NUL. what is its name in errors.
func (f *frame) cString(what, text string) (address uintptr, err error) {
	if strings.Contains(text, "\x00") {
		return 0, conversionError("has a NUL character").of(what, true)
	}
	memory := f.alloc(uintptr(len(text)) + 1)
	if memory == nil {
		return 0, errTooLarge().of(what, true)
	}
	end := copy(unsafe.Slice((*byte)(memory), len(text)), text)
	*(*byte)(unsafe.Add(memory, end)) = 0
	return uintptr(memory), nil
}

// cStrings copies texts and makes an array of their addresses, which ends with 0. Of no texts there is none.
func (f *frame) cStrings(what string, texts []string) (address uintptr, err error) {
	if len(texts) == 0 {
		return 0, nil
	}
	memory := f.alloc(uintptr(len(texts)+1) * unsafe.Sizeof(uintptr(0)))
	if memory == nil {
		return 0, errTooLarge().of(what, true)
	}
	addresses := unsafe.Slice((*uintptr)(memory), len(texts)+1)
	for i, text := range texts {
		if addresses[i], err = f.cString(what, text); err != nil {
			return 0, err
		}
	}
	addresses[len(texts)] = 0
	return uintptr(memory), nil
}

// A span is text in C memory. Its address is 0 when there is none.
type span struct {
	address, len uintptr
}

func (s span) String() string {
	return string(unsafe.Slice(at[byte](s.address), s.len))
}

// cText is the text at an address, which ends with a NUL. "" for 0.
func cText(address uintptr) string {
	s := span{address: address}
	if address != 0 {
		for *at[byte](address + s.len) != 0 {
			s.len++
		}
	}
	return s.String()
}

// The structs of subpy.h, in C memory. Those that begin with their size may get more fields, which are not used here.

type runtimeOptions struct {
	size    uintptr
	python  uintptr
	flags   uint64
	worker  uintptr
	preload uintptr
}

type interpOptions struct {
	size      uintptr
	gil, busy int32
	flags     uint64
	path      uintptr
	pathLen   uintptr
	timeout   int64 // in milliseconds
	memory    uint64

	grace, cpuLimit    uint64 // in milliseconds
	readable, writable uintptr
	venv               uintptr
}

type poolRequest struct {
	size                        uintptr
	workers, backlog, spares    uintptr
	interp                      uintptr
	setup, setupLen             uintptr
	prepare, userdata, finalize uintptr
	runsPerWorker, flags        uint64
	isolation                   Isolation
	_                           uint32
}

type queueOptions struct {
	size, capacity uintptr
	_              uint64 // flags
}

type defineRequest struct {
	size           uintptr
	flags, _       uint32
	signature, doc uintptr
}

type closeRequest struct {
	size     uintptr
	timeout  int64 // in milliseconds
	flags, _ uint32
}

type runRequest struct {
	size          uintptr
	interp        uint64
	what          int32
	flags         uint32
	text, textLen uintptr // these two are written where C is called
	function      uint64
	args, nargs   uintptr
	kwargs        uintptr
	filename      uintptr
	timeout       int64 // in milliseconds
	cancel        uint64
	output        uintptr
	outputData    uintptr
}

type tracebackFrame struct {
	size                             uintptr
	file, function, source           span
	line, endLine, column, endColumn int32
}

// errorFields is all of a subpy_error but its frames.
type errorFields struct {
	message, typeName, qualname, module, exception, formatted, display span

	sourceLine                       uintptr // ends with a NUL
	frames, row                      uintptr
	interp, tag                      uint64
	line, column, exitStatus, status int32
	signal, exitCode                 int32
	isExit, isRow                    bool
}
