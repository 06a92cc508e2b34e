package subpy

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCloseWith(t *testing.T) {
	interp := create(t, "import threading\nstop = threading.Event()\nthread = threading.Thread(target=stop.wait, name='the waiting one')\nthread.start()")
	err := interp.CloseWith(CloseOptions{})
	wantStatus(t, "a thread that nobody waits for", err, ErrBusy)
	wantMessage(t, "a thread that nobody waits for", err, "the waiting one")
	wantStatus(t, "a thread that goes on", interp.CloseWith(CloseOptions{Timeout: 20 * time.Millisecond}), ErrBusy)
	if err := interp.Exec("stop.set()"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := interp.CloseWith(CloseOptions{Timeout: -1}); err != nil {
		t.Error(err)
	}
	wantStatus(t, "again", interp.CloseWith(CloseOptions{Timeout: -1}), ErrNotFound)
	wantStatus(t, "a nil interpreter", (*Interpreter)(nil).CloseWith(CloseOptions{}), ErrNotFound)
}

func TestCloseWithEndsWhatRuns(t *testing.T) {
	interp := create(t, loops)
	began := make(chan struct{})
	define(t, interp, "began", func() { close(began) })
	ended := make(chan error)
	go func() { ended <- interp.Exec("began()\nloop()") }()
	<-began
	wantStatus(t, "a run", interp.CloseWith(CloseOptions{Timeout: -1}), ErrBusy)
	wantStatus(t, "a run that goes on", interp.CloseWith(CloseOptions{Timeout: time.Millisecond, Drain: true}), ErrBusy)
	if err := interp.CloseWith(CloseOptions{Timeout: -1, Drain: true, Interrupt: true}); err != nil {
		t.Error(err)
	}
	var interrupted *InterruptedError
	if err := <-ended; !errors.As(err, &interrupted) || interrupted.Type != "KeyboardInterrupt" {
		t.Errorf("the run: %v", err)
	}
	if count := definedFunctions(); count != 0 {
		t.Errorf("%d functions are kept", count)
	}
}

// Closing meets runs, cancels, definitions and output. In the end everything is closed, and nothing of Go's is kept.
func TestCloseWithRaces(t *testing.T) {
	for range 20 {
		var out strings.Builder
		interp := create(t, loops, WithBusy(BusyShare), WithOutput(&out, &out))
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				for {
					err := interp.Define("f", func() int { return i })
					if err == nil {
						err = interp.ExecContext(soon(t, nil), "print(f())\nloop()")
					}
					if errors.Is(err, ErrNotFound) {
						return
					}
					if !errors.Is(err, ErrInterrupted) && !errors.Is(err, ErrBusy) {
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(time.Millisecond)
		if err := interp.CloseWith(CloseOptions{Timeout: -1, Drain: true, Interrupt: true}); err != nil {
			t.Error(err)
		}
		group.Wait()
	}
	if count := countOf(&handles.all); count != 0 {
		t.Errorf("%d handles are left", count)
	}
}

func init() {
	children["shutdown"] = func() {
		interp, err := Create()
		check(err)
		check(interp.Exec(loops))
		began := make(chan struct{})
		check(interp.Define("began", func() { close(began) }))
		ended := make(chan error)
		go func() { ended <- interp.Exec("began()\nloop()") }()
		<-began
		if err := ShutdownWith(CloseOptions{}); !errors.Is(err, ErrBusy) {
			panic(err)
		}
		check(ShutdownWith(CloseOptions{Timeout: -1, Drain: true, Interrupt: true}))
		if err := <-ended; !errors.Is(err, ErrInterrupted) {
			panic(err)
		}
		if countOf(&handles.all) != 0 {
			panic("a function is kept")
		}
	}
}

func TestShutdownWith(t *testing.T) {
	if output, err := child(t, "shutdown").CombinedOutput(); err != nil {
		t.Errorf("got %v: %s", err, output)
	}
}
