package subpy

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// What ends the process of an interpreter costs its own task alone.
func TestPoolOfProcesses(t *testing.T) {
	p := newPool(t, PoolOptions{Workers: 2, Setup: jobs, Isolation: IsolationProcess, Interpreter: []Option{WithGrace(50 * time.Millisecond)}})
	ctx := context.Background()
	var good []*Thread
	submit := func() {
		for i := range 20 {
			good = append(good, must(p.Submit(ctx, "square", i)))
		}
	}
	submit()
	var crash *CrashError
	if err := p.Exec(ctx, "import os; os._exit(3)"); !errors.As(err, &crash) || crash.ExitCode != 3 {
		t.Error(err)
	}
	submit()
	if err := p.Exec(ctx, "import ctypes; ctypes.string_at(1)"); !errors.As(err, &crash) || crash.Signal != syscall.SIGSEGV {
		t.Error(err)
	}
	submit()
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if err := p.Exec(short, "import itertools; sum(itertools.repeat(1))"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for i, thread := range good {
		if square := must(thread.Join()); square != int64(i%20*(i%20)) {
			t.Errorf("task %d returned %v", i, square)
		}
	}
	if stats := must(p.Stats()); stats.Crashed < 2 || stats.Isolation != IsolationProcess || stats.Reason != "" {
		t.Errorf("%+v", stats)
	}
}

// A module that is not for interpreters of this process has the pool move.
func TestPoolMoves(t *testing.T) {
	p := newPool(t, PoolOptions{Workers: 2, Isolation: IsolationAuto})
	ctx := context.Background()
	pid := func() int64 { return must(CallPoolAs[int64](ctx, p, "os:getpid")) }
	if stats := must(p.Stats()); stats.Isolation != IsolationOwnGIL || stats.Reason != "" || pid() != int64(os.Getpid()) {
		t.Errorf("%+v", stats)
	}
	if err := p.Exec(ctx, "import faulthandler"); err != nil {
		t.Error(err)
	}
	const reason = "module faulthandler does not support loading in subinterpreters"
	if stats := must(p.Stats()); stats.Isolation != IsolationProcess || stats.Reason != reason || pid() == int64(os.Getpid()) {
		t.Errorf("%+v", stats)
	}
	if _, err := NewPool(PoolOptions{Isolation: 3}); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if names := []string{IsolationOwnGIL.String(), IsolationProcess.String(), IsolationAuto.String(), Isolation(3).String()}; names[0] != "own GIL" ||
		names[1] != "process" || names[2] != "auto" || names[3] != "invalid" {
		t.Error(names)
	}
}
