package subpy

import (
	"time"
	"unsafe"
)

// CloseOptions say what [Interpreter.CloseWith] and [ShutdownWith] do about what still runs.
type CloseOptions struct {
	// Timeout is how long to wait at most, for the runs and for the threads that Python code started. 0 does not wait, a
	// negative one waits as long as it takes.
	Timeout time.Duration

	// Drain waits for the runs to end. Without it, a run is [ErrBusy] at once.
	Drain bool

	// Interrupt raises a KeyboardInterrupt in the runs and in the threads that Python code started, again and again until
	// they end.
	Interrupt bool
}

// The constants of subpy.h.
const (
	closeDrain     = 1
	closeInterrupt = 2
)

// CloseWith closes the interpreter as [Interpreter.Close] does, within a time, and ends what runs there. When it fails the
// error says what still runs, and the interpreter can be used as before.
func (in *Interpreter) CloseWith(options CloseOptions) error {
	_, err := ask(in, func(f *frame, interp uint64) {
		if address := f.closeOptions(options); address != 0 {
			f.closeWith(interp, address)
		}
	})
	if err == nil {
		in.disown()
	}
	return err
}

// ShutdownWith is [Shutdown] within a time, that ends what runs.
func ShutdownWith(options CloseOptions) error {
	f, err := newFrame(nil)
	if err != nil {
		return err
	}
	defer f.release(nil)
	closing.Lock()
	defer closing.Unlock()
	if address := f.closeOptions(options); address != 0 {
		f.shutdownWith(address)
	}
	return f.outcome()
}

func (f *frame) closeOptions(options CloseOptions) uintptr {
	request := closeRequest{timeout: milliseconds(options.Timeout)}
	request.size = unsafe.Sizeof(request)
	if options.Drain {
		request.flags |= closeDrain
	}
	if options.Interrupt {
		request.flags |= closeInterrupt
	}
	address := place(f, request)
	if address == 0 {
		f.status, f.error = ErrNoMemory, 0
	}
	return address
}
