package subpy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func init() {
	children["output"] = func() {
		interp, err := Create()
		check(err)
		for i := range 3 {
			fmt.Println("go", i)
			check(interp.Exec(fmt.Sprintf("print('python', %d)", i)))
			fmt.Fprintln(os.Stderr, "go to stderr", i)
			check(interp.Exec(fmt.Sprintf("import sys; print('python to stderr', %d, file=sys.stderr)", i)))
		}
		fmt.Println("h\u00e9")
		check(interp.Exec("print('h\u00e9', end='')")) // and the program just ends
	}
	children["pipe"] = func() {
		interp, err := Create()
		check(err)
		check(interp.Exec("import os\nr, w = os.pipe()\nos.close(r)"))
		err = interp.Exec("os.write(w, b'x')")
		var failed *ExecutionFailedError
		if !errors.As(err, &failed) || failed.Type != "BrokenPipeError" {
			panic(fmt.Sprint("got ", err))
		}
	}
	children["runtime"] = func() {
		if PythonVersion() != "" || PythonLibrary() != "" {
			panic("there is a CPython before the start")
		}
		check(Shutdown())
		python := os.Getenv("SUBPY_PYTHON")
		os.Unsetenv("SUBPY_PYTHON")
		options := RuntimeOptions{Python: python, NoSite: true, KeepSIGPIPE: true, Preload: []string{"json"}}
		check(Init(options))
		check(Init(options))
		if err := Init(RuntimeOptions{Python: python}); !errors.Is(err, ErrWrongState) {
			panic(fmt.Sprint("other options: ", err))
		}
		more := options
		more.Preload = []string{"json", "decimal"}
		if err := Init(more); !errors.Is(err, ErrWrongState) {
			panic(fmt.Sprint("another module: ", err))
		}
		more = options
		more.Worker = "/nonexistent"
		if err := Init(more); !errors.Is(err, ErrWrongState) {
			panic(fmt.Sprint("another worker: ", err))
		}
		for range 3 {
			interp, err := Create()
			check(err)
			site, err := EvalAs[bool](interp, "'site' in __import__('sys').modules")
			check(err)
			if site {
				panic("site was imported")
			}
			thread, err := interp.CallInThread("builtins:len", "abc")
			check(err)
			_, err = thread.Join()
			check(err)
			check(Shutdown())
			check(Shutdown())
			if err := interp.Exec("1"); !errors.Is(err, ErrNotFound) {
				panic(fmt.Sprint("after the shutdown: ", err))
			}
			check(Init(options))
		}
		fmt.Println(Version(), PythonVersion(), PythonLibrary())
	}
	children["environment"] = func() {
		check(Init(RuntimeOptions{UseEnvironment: true}))
		interp, err := Create()
		check(err)
		path, err := EvalAs[[]string](interp, "__import__('sys').path")
		check(err)
		fmt.Println(strings.Join(path, "\n"))
	}
	children["nothing found"] = func() {
		for _, options := range []RuntimeOptions{{Python: "/nonexistent/python3"}, {Python: "/etc"}, {Python: "/bin/sh"}} {
			err := Init(options)
			if !errors.Is(err, ErrPythonNotFound) && !errors.Is(err, ErrPythonUnsupported) {
				panic(fmt.Sprint(options, ": ", err))
			}
		}
		for _, options := range []RuntimeOptions{{Python: "a\x00b"}, {Worker: "a\x00b"}, {Preload: []string{"a", "a\x00b"}}} {
			if err := Init(options); !errors.Is(err, ErrInvalidArgument) {
				panic(fmt.Sprint("a NUL: ", err))
			}
		}
		_, err := Create() // with the SUBPY_PYTHON of the environment
		fmt.Println(err)
	}
	children["thread"] = func() {
		interp, err := Create()
		check(err)
		check(interp.Exec("import time\ndef f(): time.sleep(.1); raise ValueError('nobody listens')"))
		thread, err := interp.CallInThread("f")
		check(err)
		for running := false; !running; time.Sleep(time.Millisecond) {
			running, err = interp.IsRunning()
			check(err)
		}
		thread.Free()
		for err = Shutdown(); errors.Is(err, ErrBusy); err = Shutdown() {
			time.Sleep(time.Millisecond)
		}
		check(err)
	}
	children["memory"] = func() {
		interp, err := Create()
		check(err)
		check(interp.Exec("def same(v): return v\ndef fail(): raise ValueError('x' * 100_000)"))
		same, err := interp.Function("same")
		check(err)
		fail, err := interp.Function("fail")
		check(err)
		large := strings.Repeat("x", 2<<20)
		list := make([]string, 2000)
		round := func() {
			_, err := CallAs[Ignored](interp, "same", large)
			check(err)
			_, err = CallAs[string](interp, "same", large)
			check(err)
			_, err = CallAs[[]string](interp, "same", list)
			check(err)
			outcomes, err := fail.CallEach(make([][]any, 1))
			check(err)
			if !errors.Is(outcomes[0].Err, ErrExecutionFailed) {
				panic(outcomes[0].Err)
			}
			_, err = CallManyAs[[]string](same, [][][]string{{list}})
			check(err)
			for range 20 {
				_, err = interp.Call("same", map[string]any{"a": []any{1, "b"}, "c": nil})
				check(err)
				if _, err = interp.Call("fail"); !errors.Is(err, ErrExecutionFailed) {
					panic(err)
				}
				if _, err = interp.Call("same", list, make(chan int)); !errors.Is(err, ErrInvalidArgument) {
					panic(err)
				}
				thread, err := interp.CallInThread("same", list)
				check(err)
				_, err = thread.Join()
				check(err)
			}
			runtime.GC()
		}
		for range 20 {
			round()
		}
		// What malloc keeps for more threads than before comes once, and a leak each time.
		grown := math.MaxInt
		for range 3 {
			before := residentKiB()
			for range 100 {
				round()
			}
			if grown = min(grown, residentKiB()-before); grown < 8<<10 {
				break
			}
		}
		fmt.Println(grown)
	}
	children["dropped at shutdown"] = func() {
		for range 20 {
			for range 3 {
				_, err := Create()
				check(err)
			}
			runtime.GC() // their cleanup goes on while the runtime is shut down
			check(Shutdown())
		}
	}
}

// residentKiB is how much memory the process has.
func residentKiB() int {
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	size, err := strconv.Atoi(strings.Fields(rest)[0])
	check(err)
	return size
}

func runChild(t *testing.T, name string, env ...string) (stdout, stderr string) {
	t.Helper()
	cmd := child(t, name)
	cmd.Env = append(cmd.Env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// What Python prints has its place between what Go prints, and the end of it is not lost.
func TestOutput(t *testing.T) {
	cmd := child(t, "output")
	out, err := cmd.CombinedOutput()
	want := ""
	for i := range 3 {
		want += fmt.Sprintf("go %d\npython %d\ngo to stderr %d\npython to stderr %d\n", i, i, i, i)
	}
	want += "h\u00e9\nh\u00e9"
	if err != nil || string(out) != want {
		t.Errorf("%v, got:\n%s", err, out)
	}
}

func TestClosedPipe(t *testing.T) {
	runChild(t, "pipe")
}

func TestRuntime(t *testing.T) {
	out, _ := runChild(t, "runtime")
	if !regexp.MustCompile(`^\d+\.\d+\.\d+ 3\.\d+\.\d+\S* /.*libpython3\S*\n$`).MatchString(out) {
		t.Errorf("got %q", out)
	}
}

func TestUseEnvironment(t *testing.T) {
	folder := t.TempDir()
	out, _ := runChild(t, "environment", "PYTHONPATH="+folder)
	if !strings.Contains(out, folder+"\n") {
		t.Errorf("%s is not in:\n%s", folder, out)
	}
}

func TestPythonNotFound(t *testing.T) {
	out, _ := runChild(t, "nothing found", "SUBPY_PYTHON=/nonexistent/python3")
	if !strings.Contains(out, "SUBPY_PYTHON=/nonexistent/python3") {
		t.Errorf("got %q", out)
	}
}

func TestFreedThreadThatFails(t *testing.T) {
	_, errs := runChild(t, "thread")
	if !strings.Contains(errs, ", in f\n") || !strings.HasSuffix(errs, "\nValueError: nobody listens\n") {
		t.Errorf("got %q", errs)
	}
}

func TestDroppedAtShutdown(t *testing.T) {
	runChild(t, "dropped at shutdown")
}

// 100 rounds of large arguments and results, errors and threads: a leak of any of them would be 20 MiB or more.
func TestMemory(t *testing.T) {
	out, _ := runChild(t, "memory", "GOGC=20")
	grown, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil || grown > 12<<10 {
		t.Errorf("the process has grown by %q KiB", out)
	}
	t.Logf("the process has grown by %d KiB", grown)
}
