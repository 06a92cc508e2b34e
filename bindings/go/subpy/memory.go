package subpy

import "unsafe"

// MemoryInfo says what memory an interpreter uses, in bytes: what Python's own allocators have given out, and not what C libraries
// get from the system by themselves.
type MemoryInfo struct {
	Used, Peak uint64
	Limit      uint64 // 0 when there is none
	Refused    uint64 // how many allocations the limit has refused
}

// memoryInfo mirrors subpy_memory_info.
type memoryInfo struct {
	size                       uintptr
	used, peak, limit, refused uint64
}

// WithMemoryLimit limits the memory of the interpreter, in bytes. Code that wants more gets a MemoryError. See
// [Interpreter.Memory] for what counts.
func WithMemoryLimit(bytes uint64) Option {
	return func(o *options) { o.memory = bytes }
}

// WithCountMemory counts the memory that the interpreter uses, without a limit, for [Interpreter.Memory].
func WithCountMemory() Option {
	return withFlag(interpCountMemory)
}

// Memory returns what memory the interpreter uses. It is [ErrWrongState] when it has neither [WithMemoryLimit] nor
// [WithCountMemory].
func (in *Interpreter) Memory() (MemoryInfo, error) {
	var info MemoryInfo
	_, err := ask(in, func(f *frame, interp uint64) {
		address := place(f, memoryInfo{size: unsafe.Sizeof(memoryInfo{})})
		if address == 0 {
			f.status, f.error = ErrNoMemory, 0
			return
		}
		f.memory(interp, address)
		read := at[memoryInfo](address)
		info = MemoryInfo{Used: read.used, Peak: read.peak, Limit: read.limit, Refused: read.refused}
	})
	return info, err
}
