package subpy

/*
#include "bridge.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
	"weak"
)

// registry has the one *Interpreter of each handle, as long as the program holds it.
var registry = struct {
	sync.Mutex
	known map[C.subpy_interp]weak.Pointer[Interpreter]
}{known: map[C.subpy_interp]weak.Pointer[Interpreter]{}}

// known returns the *Interpreter of a handle.
func known(handle C.subpy_interp) *Interpreter {
	registry.Lock()
	defer registry.Unlock()
	return lookUp(handle)
}

// owned is known for an interpreter that was just created: it is closed when the program drops it.
func owned(handle C.subpy_interp) *Interpreter {
	registry.Lock()
	defer registry.Unlock()
	in := lookUp(handle) // another goroutine may have listed it already
	in.cleanup = runtime.AddCleanup(in, closeDropped, handle)
	return in
}

// lookUp needs the registry to be locked.
func lookUp(handle C.subpy_interp) *Interpreter {
	if in := registry.known[handle].Value(); in != nil {
		return in
	}
	in := &Interpreter{handle: handle, spare: new(spare)}
	runtime.AddCleanup(in, forget, handle)
	runtime.AddCleanup(in, freeSpare, in.spare)
	registry.known[handle] = weak.Make(in)
	return in
}

// forget removes a handle whose *Interpreter was dropped, unless it has got a new one.
func forget(handle C.subpy_interp) {
	registry.Lock()
	defer registry.Unlock()
	if registry.known[handle].Value() == nil {
		delete(registry.known, handle)
	}
}

func freeSpare(of *spare) {
	if f := at[frame](of.Swap(0)); f != nil {
		f.abandon()
	}
}

// disown is for an interpreter that was closed: dropping it has no effect any more.
func (in *Interpreter) disown() {
	registry.Lock()
	defer registry.Unlock()
	in.cleanup.Stop()
	in.cleanup = runtime.Cleanup{}
}

// closing is held for reading while dropped interpreters are closed, so that Shutdown, which holds it for writing, does
// not find the runtime busy for a reason that its caller can do nothing about.
var closing sync.RWMutex

// closeDropped closes an interpreter that the program dropped. Closing may take long, and must not hold up the goroutine
// on which the Go runtime calls all cleanups. The interpreter may still be busy, with a thread that was freed.
func closeDropped(handle C.subpy_interp) {
	go func() {
		for delay := time.Millisecond; ; delay = min(2*delay, time.Second) {
			closing.RLock()
			status := C.subpy_close(handle, nil)
			closing.RUnlock()
			if status != C.SUBPY_ERROR_BUSY {
				return
			}
			time.Sleep(delay)
		}
	}()
}
