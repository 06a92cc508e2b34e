package subpy

import (
	"runtime"
	"sync"
	"time"
	"weak"
)

// registry has the one *Interpreter of each handle, as long as the program holds it.
var registry = struct {
	sync.Mutex
	known map[uint64]weak.Pointer[Interpreter]
	kept  map[uint64]*kept // of the interpreters in which functions are defined
}{known: map[uint64]weak.Pointer[Interpreter]{}, kept: map[uint64]*kept{}}

// known returns the *Interpreter of a handle.
func known(handle uint64) *Interpreter {
	registry.Lock()
	defer registry.Unlock()
	return lookUp(handle)
}

// owned is known for an interpreter that was just created: it is closed when the program drops it.
func owned(handle uint64) *Interpreter {
	registry.Lock()
	defer registry.Unlock()
	in := lookUp(handle) // another goroutine may have listed it already
	in.cleanup = runtime.AddCleanup(in, closeDropped, handle)
	return in
}

// lookUp needs the registry to be locked.
func lookUp(handle uint64) *Interpreter {
	if in := registry.known[handle].Value(); in != nil {
		return in
	}
	in := &Interpreter{handle: handle, spare: new(spare)}
	in.kept.Store(registry.kept[handle])
	runtime.AddCleanup(in, forget, handle)
	runtime.AddCleanup(in, freeSpare, in.spare)
	registry.known[handle] = weak.Make(in)
	return in
}

// forget removes a handle whose *Interpreter was dropped, unless it has got a new one.
func forget(handle uint64) {
	registry.Lock()
	defer registry.Unlock()
	if registry.known[handle].Value() == nil {
		delete(registry.known, handle)
	}
}

// keepErrors is for a function that is to be defined in an interpreter: until it is dropped, errors are kept there.
func keepErrors(in *Interpreter) *kept {
	if in == nil {
		return new(kept)
	}
	registry.Lock()
	defer registry.Unlock()
	k := in.kept.Load()
	if k == nil {
		k = &kept{interp: in.handle}
		in.kept.Store(k)
	}
	k.functions++
	registry.kept[in.handle] = k
	return k
}

func (k *kept) drop() {
	registry.Lock()
	defer registry.Unlock()
	if k.functions--; k.functions == 0 && registry.kept[k.interp] == k {
		delete(registry.kept, k.interp)
	}
}

// findKept returns the error that a host function of an interpreter returned, by its tag; nil when there is none.
func findKept(interp, tag uint64) error {
	if tag == 0 {
		return nil
	}
	registry.Lock()
	k := registry.kept[interp]
	if k == nil { // the functions are gone, but not the interpreter
		if in := registry.known[interp].Value(); in != nil {
			k = in.kept.Load()
		}
	}
	registry.Unlock()
	return k.find(tag)
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
func closeDropped(handle uint64) {
	closeWhenIdle(func() Status { return closeNow(handle) })
}

func closeWhenIdle(close func() Status) {
	go func() {
		for delay := time.Millisecond; ; delay = min(2*delay, time.Second) {
			closing.RLock()
			status := close()
			closing.RUnlock()
			if status != ErrBusy {
				return
			}
			time.Sleep(delay)
		}
	}()
}
