package subpy

import (
	"runtime"
	"unsafe"
)

// A sharedMemory is a Buffer that was passed, until Python has let go of it.
type sharedMemory struct {
	buffer *Buffer
	pinner runtime.Pinner
	next   uintptr // the handle of the one that was passed before it, in the same frame
}

func (s *sharedMemory) finish() {
	s.pinner.Unpin()
	if s.buffer.part != nil {
		s.buffer.part.owner.drop()
	}
	if s.buffer.release != nil {
		guarded("a release function of a buffer", s.buffer.release)
	}
}

// encodeBuffer passes a buffer. Its memory is Python's until C says otherwise.
func (f *frame) encodeBuffer(to *value, b *Buffer) *ConversionError {
	s := &sharedMemory{buffer: b, next: f.shared}
	switch {
	case b.part == nil && b.len > 0:
		s.pinner.Pin(b.data)
	case b.part != nil && (b.gone() || !b.part.owner.hold()):
		return conversionError("the buffer is closed")
	}
	request := bufferRequest{
		data:       uintptr(b.data),
		len:        uintptr(b.len),
		itemSize:   uintptr(b.itemSize),
		dimensions: int32(len(b.shape)),
		flags:      b.flags,
		release:    finalizeCallback(),
		userdata:   handles.add(s),
	}
	request.size = unsafe.Sizeof(request)
	f.shared = request.userdata
	var err error
	if request.format, err = f.cString("format", b.format); err != nil {
		return conversionError("the format %q has a NUL character", b.format)
	}
	if request.shape, err = f.sizes(b.shape); err == nil {
		request.strides, err = f.sizes(b.strides)
	}
	address := place(f, request)
	if err != nil || address == 0 {
		return errTooLarge()
	}
	if len(b.strides) != 0 && len(b.strides) != len(b.shape) {
		return conversionError("%d strides for %d dimensions", len(b.strides), len(b.shape))
	}
	*to = value{kind: kindBuffer, data: uint64(address)}
	return nil
}

// sizes copies numbers into C memory.
func (f *frame) sizes(numbers []int) (address uintptr, err error) {
	if len(numbers) == 0 {
		return 0, nil
	}
	memory := f.alloc(uintptr(len(numbers)) * unsafe.Sizeof(uintptr(0)))
	if memory == nil {
		return 0, ErrNoMemory
	}
	for i, n := range numbers {
		unsafe.Slice((*uintptr)(memory), len(numbers))[i] = uintptr(n)
	}
	return uintptr(memory), nil
}

// passed is called when C has had the arguments: the buffers among them are Python's, unless nothing was taken over.
func (f *frame) passed(status Status) {
	if f.shared != 0 && status != ErrInvalidArgument && status != ErrForked {
		f.shared = 0
	}
}

// takeBack lets go of buffers that were not passed.
func (f *frame) takeBack() {
	for f.shared != 0 {
		handle := f.shared
		f.shared = 0
		if object, ok := handles.all.Load(handle); ok {
			f.shared = object.(*sharedMemory).next
			finalized(handle)
		}
	}
}
