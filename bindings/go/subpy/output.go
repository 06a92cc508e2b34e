package subpy

import "io"

// outputs are the writers to which Python's output goes. The library calls them for one piece of an interpreter's output after
// the other.
type outputs struct {
	stdout, stderr io.Writer // nil: discarded
}

// The streams of subpy.h.
const (
	streamStdout = 1
	streamStderr = 2
)

// printed is called with a piece of output, on any thread.
func printed(handle uintptr, stream int32, text span) {
	object, ok := handles.all.Load(handle)
	if !ok {
		return // of a thread that nobody waits for any more
	}
	o := object.(*outputs)
	w := o.stdout
	if stream == streamStderr {
		w = o.stderr
	}
	if w != nil {
		write(w, []byte(text.String()))
	}
}

// write never fails: there is nobody to tell.
func write(w io.Writer, text []byte) {
	returned := false
	defer func() {
		if !returned && recover() == nil {
			die("a writer of Python's output called runtime.Goexit, and Python waits for it to return")
		}
	}()
	w.Write(text)
	returned = true
}

// SetOutput has what Python code in the interpreter prints go to the writers in place of the file descriptors 1 and 2. nil
// discards it. See [WithOutput].
func (in *Interpreter) SetOutput(stdout, stderr io.Writer) error {
	_, err := ask(in, func(f *frame, interp uint64) {
		f.setOutput(interp, handles.add(&outputs{stdout: stdout, stderr: stderr}))
	})
	return err
}

// ResetOutput has what Python code in the interpreter prints go to the file descriptors 1 and 2 again.
func (in *Interpreter) ResetOutput() error {
	_, err := ask(in, func(f *frame, interp uint64) { f.setOutput(interp, 0) })
	return err
}

// WithOutput has what Python code in the interpreter prints go to the writers, in UTF-8, in place of the file descriptors 1 and
// 2: what runs print, the threads that they start, and what is printed when the interpreter is closed. nil discards it.
//
// Writers are called by whatever thread prints, for one piece of an interpreter's output at a time, so one writer for both
// streams needs no lock, but one for several interpreters does. A writer that fails or panics loses the text, and Python does not
// notice. Output is buffered until a run ends, unless there is much; see [WithUnbuffered].
func WithOutput(stdout, stderr io.Writer) Option {
	return func(o *options) { o.output = &outputs{stdout: stdout, stderr: stderr} }
}

// WithUnbuffered has output arrive as soon as it is printed.
func WithUnbuffered() Option {
	return withFlag(interpUnbuffered)
}

// WithNoStdin makes reading from sys.stdin the end of the file: input() is an EOFError.
func WithNoStdin() Option {
	return withFlag(interpNoStdin)
}
