package subpy

import (
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A Buffer is memory that Go and Python both see, without a copy: memory of Go's that [NewBuffer] makes an argument of, or the
// result of Python code whose memory stays where it is, see [ResultBuffers]. A Buffer can be an argument in either case; Python
// sees it as a memoryview.
//
// A result is pinned in Python until it is closed, or dropped, with all other Buffers of that result; what has up to 4 KiB, or is not
// contiguous, is a copy. It stays good when the interpreter is closed, but its memory is then never given back.
type Buffer struct {
	_        noCopy
	data     unsafe.Pointer // in Go's memory or in C's
	len      int
	format   string
	itemSize int
	shape    []int
	strides  []int
	flags    uint32
	release  func()
	part     *bufferPart // nil for memory of Go's
}

var bufferType = reflect.TypeFor[*Buffer]()

// The constants of subpy.h.
const (
	bufferWritable = 1
	bufferLent     = 2
)

// Number is what the elements of a buffer can be.
type Number interface {
	~bool | ~int8 | ~int16 | ~int32 | ~int64 | ~int | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uint | ~uintptr | ~float32 | ~float64
}

// A BufferOption changes what [NewBuffer] makes.
type BufferOption func(*Buffer)

// WithShape has Python see more than one dimension, the last of which varies fastest unless there are strides.
func WithShape(shape ...int) BufferOption {
	return func(b *Buffer) { b.shape = slices.Clone(shape) }
}

// WithStrides says how many bytes lie between one element and the next, in each dimension of the shape.
func WithStrides(strides ...int) BufferOption {
	return func(b *Buffer) { b.strides = slices.Clone(strides) }
}

// WithFormat sets what Python takes the elements for, in the words of the struct module, in place of the type that they have in
// Go. A format of one letter has its own size, any other that of the type.
func WithFormat(format string) BufferOption {
	return func(b *Buffer) {
		if b.format = format; len(format) == 1 {
			b.itemSize = 0
		}
	}
}

// WithWritable lets Python write. Go does not see when it does.
func WithWritable() BufferOption {
	return func(b *Buffer) { b.flags |= bufferWritable }
}

// WithLent lends the memory for one call: when that returns, Python's views of it are revoked. What still holds a part of it then
// makes the call [ErrBusy], and the memory is Python's until that has let go of it.
func WithLent() BufferOption {
	return func(b *Buffer) { b.flags |= bufferLent }
}

// WithRelease calls a function when Python has let go of the memory, once for each time that the Buffer was passed, on whatever
// thread. That is when Python has dropped what refers to it, or when its interpreter is closed. A call that was not made because an
// argument is wrong lets go at once.
func WithRelease(release func()) BufferOption {
	return func(b *Buffer) { b.release = release }
}

// NewBuffer makes a slice an argument whose memory Python sees where it is, as a memoryview that is read-only unless it is
// [WithWritable]. The memory stays where it is, and in use, as long as Python refers to it, whatever becomes of the Buffer; it
// may also be memory that is not Go's, such as a file that is mapped. The same Buffer may be passed many times.
//
//go:noinline
func NewBuffer[T Number](data []T, options ...BufferOption) *Buffer {
	// The slice must be on the heap, where it can be pinned: this function is not inlined.
	b := &Buffer{
		data:     unsafe.Pointer(unsafe.SliceData(data)),
		len:      len(data) * int(unsafe.Sizeof(*new(T))),
		format:   formatOf(reflect.TypeFor[T]()),
		itemSize: int(unsafe.Sizeof(*new(T))),
	}
	for _, option := range options {
		if option != nil {
			option(b)
		}
	}
	return b
}

// NewSharedBuffer makes memory of n elements, all zero, that interpreters in processes of their own ([WithProcess]) see without a
// copy, and so do all others. Python may write to it, as Go may: [View] has the elements. Any other memory goes to such a process
// as a copy when Python may only read it, and is refused otherwise.
//
// The memory is outside of Go's, and is there until the Buffer is closed or dropped and no interpreter has it any more.
func NewSharedBuffer[T Number](n int, options ...BufferOption) (*Buffer, error) {
	size := unsafe.Sizeof(*new(T))
	if n < 0 || uintptr(n) > math.MaxInt/size {
		return nil, ErrNoMemory
	}
	f, err := newFrame(nil)
	if err != nil {
		return nil, err
	}
	defer f.release(nil)
	memory := allocate(unsafe.Sizeof(bufferRequest{}))
	if memory == 0 {
		return nil, ErrNoMemory
	}
	if f.newBuffer(uintptr(n)*size, bufferWritable, memory); f.status != success {
		free(memory)
		return nil, f.outcome()
	}
	made := at[bufferRequest](memory)
	b := &Buffer{
		data:     unsafe.Pointer(at[byte](made.data)),
		len:      int(made.len),
		format:   formatOf(reflect.TypeFor[T]()),
		itemSize: int(size),
		flags:    made.flags,
		part:     &bufferPart{owner: &bufferOwner{holds: 1, shared: memory}},
	}
	for _, option := range options {
		if option != nil {
			option(b)
		}
	}
	runtime.AddCleanup(b, (*bufferPart).close, b.part)
	return b, nil
}

// Formats of the struct module, by Go's kinds. Those of 64 bits are the same everywhere.
var formats = map[reflect.Kind]string{
	reflect.Bool: "?", reflect.Int8: "b", reflect.Int16: "h", reflect.Int32: "i", reflect.Int64: "q",
	reflect.Uint8: "B", reflect.Uint16: "H", reflect.Uint32: "I", reflect.Uint64: "Q", reflect.Float32: "f", reflect.Float64: "d",
}

func formatOf(t reflect.Type) string {
	return formats[kindOf(t)]
}

// kindOf is the kind of numbers of a type, with the number of bits.
func kindOf(t reflect.Type) reflect.Kind {
	switch kind := t.Kind(); kind {
	case reflect.Int:
		return ofSize(reflect.Int8, t.Size())
	case reflect.Uint, reflect.Uintptr:
		return ofSize(reflect.Uint8, t.Size())
	default:
		return kind
	}
}

// ofSize is the kind of as many bytes, of those that begin with the one of 1 byte: Go has them in a row.
func ofSize(smallest reflect.Kind, size uintptr) reflect.Kind {
	switch size {
	case 1, 2, 4, 8:
		return smallest + reflect.Kind(bits.TrailingZeros(uint(size)))
	}
	return reflect.Invalid
}

// elementKind is what Go has for the elements of a format, reflect.Invalid for nothing.
func elementKind(format string, size int) reflect.Kind {
	if len(format) == 2 && (format[0] == '@' || format[0] == '=' || format[0] == nativeOrder) {
		format = format[1:]
	}
	switch format {
	case "?":
		return reflect.Bool
	case "c":
		return reflect.Uint8
	case "b", "h", "i", "l", "q", "n":
		return ofSize(reflect.Int8, uintptr(size))
	case "B", "H", "I", "L", "Q", "N":
		return ofSize(reflect.Uint8, uintptr(size))
	case "f":
		return reflect.Float32
	case "d":
		return reflect.Float64
	}
	return reflect.Invalid
}

// nativeOrder is what begins a format in the order of bytes of this machine.
var nativeOrder = map[bool]byte{true: '<', false: '>'}[trueFirst()]

func trueFirst() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}

// Bytes returns the memory itself. That of a result is there until the Buffer is closed or dropped: a deferred Close does for
// both. It must not be written to unless it is [Buffer.Writable]. It is nil when the Buffer is closed.
func (b *Buffer) Bytes() []byte {
	if b.gone() || b.len == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(b.data), b.len)
}

// View returns the memory of a buffer as a slice of its elements, however many dimensions they have, for as long as
// [Buffer.Bytes]. It is a [ConversionError] when they are no Ts.
func View[T Number](b *Buffer) ([]T, error) {
	t := reflect.TypeFor[T]()
	size := unsafe.Sizeof(*new(T))
	if b.gone() {
		return nil, ErrNotFound
	}
	if elementKind(b.format, b.ItemSize()) != kindOf(t) || uintptr(b.data)%size != 0 {
		return nil, conversionError("elements of format %q do not go into a Go []%s where they are", b.format, t).of("buffer", false)
	}
	if b.len == 0 {
		return nil, nil
	}
	return unsafe.Slice((*T)(b.data), b.len/int(size)), nil
}

// Len returns how many bytes there are.
func (b *Buffer) Len() int {
	if b == nil {
		return 0
	}
	return b.len
}

// Format returns what the elements are, in the words of Python's struct module: "B" are bytes, "d" are float64.
func (b *Buffer) Format() string {
	if b == nil {
		return ""
	}
	return b.format
}

// ItemSize returns the size of an element in bytes, 0 when Python is to tell by the format.
func (b *Buffer) ItemSize() int {
	if b == nil {
		return 0
	}
	return b.itemSize
}

// Shape returns how many elements there are in each dimension.
func (b *Buffer) Shape() []int {
	switch {
	case b == nil:
		return nil
	case b.shape == nil && b.itemSize > 0:
		return []int{b.len / b.itemSize}
	default:
		return slices.Clone(b.shape)
	}
}

// Writable tells whether Python lets the memory be written to.
func (b *Buffer) Writable() bool {
	return b != nil && b.flags&bufferWritable != 0
}

// Close lets go of the memory of a result or of [NewSharedBuffer], and of nothing else. What [Buffer.Bytes] and [View] returned must not be used any
// more.
func (b *Buffer) Close() {
	if b != nil && b.part != nil {
		b.part.close()
	}
}

// String returns "buffer of 3 B".
func (b *Buffer) String() string {
	return fmt.Sprintf("buffer of %v %s", b.Shape(), b.Format())
}

func (b *Buffer) gone() bool {
	return b == nil || b.part != nil && b.part.closed.Load()
}

// A bufferPart is the hold that one Buffer has on a result.
type bufferPart struct {
	owner  *bufferOwner
	closed atomic.Bool
}

func (p *bufferPart) close() {
	if p.closed.CompareAndSwap(false, true) {
		p.owner.drop()
	}
}

// A bufferOwner is the result that buffers are parts of, or memory of [NewSharedBuffer]. It is freed with the last of them.
type bufferOwner struct {
	sync.Mutex
	holds  int
	result uintptr // a value in C memory
	shared uintptr // or a subpy_buffer, whose memory is shared
}

// adopt takes a result over.
func (o *bufferOwner) adopt(result *value) {
	*at[value](o.result) = *result
	*result = value{}
}

// hold is false when the result is freed already.
func (o *bufferOwner) hold() bool {
	o.Lock()
	defer o.Unlock()
	if o.holds == 0 {
		return false
	}
	o.holds++
	return true
}

func (o *bufferOwner) drop() {
	o.Lock()
	defer o.Unlock()
	if o.holds--; o.holds == 0 {
		if o.shared != 0 {
			freeBuffer(o.shared)
			free(o.shared)
			return
		}
		freeValue(o.result)
		free(o.result)
	}
}

// A bufferRequest mirrors subpy_buffer.
type bufferRequest struct {
	size, data, len, format, itemSize, shape, strides uintptr

	dimensions        int32
	flags             uint32
	release, userdata uintptr
}

// read fills in what a result says about the buffer.
func (b *Buffer) read(from *bufferRequest) {
	b.data, b.len = unsafe.Pointer(at[byte](from.data)), int(from.len)
	b.format, b.itemSize, b.flags = cText(from.format), int(from.itemSize), from.flags&bufferWritable
	if b.format == "" {
		b.format = "B"
	}
	if b.itemSize == 0 {
		b.itemSize = 1
	}
	b.shape = []int{b.len / b.itemSize}
	if from.shape != 0 && from.dimensions > 0 {
		b.shape = make([]int, from.dimensions)
		for i, n := range unsafe.Slice(at[uintptr](from.shape), from.dimensions) {
			b.shape[i] = int(n)
		}
	}
}

// buffer makes a Buffer of a part of a result.
func (r *reading) buffer(from *value) (*Buffer, *ConversionError) {
	r.handles = true
	if r.root == nil {
		return nil, conversionError("a buffer that Go cannot keep")
	}
	if r.owner == nil {
		memory := allocate(valueSize)
		if memory == 0 {
			return nil, errTooLarge()
		}
		r.owner = &bufferOwner{result: memory}
	}
	b := &Buffer{part: &bufferPart{owner: r.owner}}
	b.read((*bufferRequest)(from.pointer()))
	r.owner.holds++ // nobody else has it before it is read
	runtime.AddCleanup(b, (*bufferPart).close, b.part)
	return b, nil
}

// decodeBuffer copies a buffer into a slice, or an array, of what its elements are or go into.
func decodeBuffer(r *reading, from *value, to reflect.Value) *ConversionError {
	var b Buffer
	b.read((*bufferRequest)(from.pointer()))
	t, kind := to.Type(), elementKind(b.format, b.itemSize)
	if t.Kind() != reflect.Slice && t.Kind() != reflect.Array || len(b.shape) != 1 || kind == reflect.Invalid {
		return conversionError("a Python buffer of format %q and shape %v does not go into a Go %s", b.format, b.shape, t)
	}
	n := b.shape[0]
	if t.Kind() == reflect.Slice {
		to.Set(reflect.MakeSlice(t, n, n))
	} else if n != t.Len() {
		return conversionError("a Python buffer of length %d does not go into a Go %s", n, t)
	}
	if n == 0 {
		return nil
	}
	if kindOf(t.Elem()) == kind && kind != reflect.Bool {
		copy(unsafe.Slice((*byte)(to.Index(0).Addr().UnsafePointer()), b.len), unsafe.Slice((*byte)(b.data), b.len))
		return nil
	}
	for i := range n {
		element := numberAt(unsafe.Add(b.data, i*b.itemSize), kind)
		if kind == reflect.Uint64 && int64(element.data) < 0 {
			return outOfRange(element.data, to.Index(i)).at(i)
		}
		if err := decode(r, &element, to.Index(i)); err != nil {
			return err.at(i)
		}
	}
	return nil
}

// numberAt is an element of a buffer as a value.
func numberAt(at unsafe.Pointer, kind reflect.Kind) value {
	switch kind {
	case reflect.Bool:
		return boolValue(*(*byte)(at) != 0)
	case reflect.Int8:
		return intValue(int64(*(*int8)(at)))
	case reflect.Int16:
		return intValue(int64(*(*int16)(at)))
	case reflect.Int32:
		return intValue(int64(*(*int32)(at)))
	case reflect.Uint8:
		return intValue(int64(*(*uint8)(at)))
	case reflect.Uint16:
		return intValue(int64(*(*uint16)(at)))
	case reflect.Uint32:
		return intValue(int64(*(*uint32)(at)))
	case reflect.Float32:
		return floatValue(float64(*(*float32)(at)))
	case reflect.Float64:
		return floatValue(*(*float64)(at))
	default:
		return intValue(*(*int64)(at))
	}
}
