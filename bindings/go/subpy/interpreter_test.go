package subpy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInterpreter(t *testing.T) {
	interp := create(t, "x = 1")
	id, err := interp.ID()
	if err != nil || id <= 0 {
		t.Errorf("id %d, %v", id, err)
	}
	if whence, err := interp.Whence(); whence != "C-API" || err != nil {
		t.Errorf("whence %q, %v", whence, err)
	}
	if running, err := interp.IsRunning(); running || err != nil {
		t.Errorf("running %t, %v", running, err)
	}
	if x, err := interp.Eval("x"); x != int64(1) || err != nil {
		t.Errorf("x = %v, %v", x, err)
	}
	if found, err := Find(id); found != interp || err != nil {
		t.Errorf("found %p, %v, want %p", found, err, interp)
	}
	all, err := ListAll()
	if err != nil || !slices.Contains(all, interp) {
		t.Errorf("%p is not in %v, %v", interp, all, err)
	}
	if err := interp.Close(); err != nil {
		t.Error(err)
	}
	wantStatus(t, "a second close", interp.Close(), ErrNotFound)
	wantMessage(t, "a second close", interp.Close(), "unrecognized interpreter ID")
	_, err = Find(id)
	wantStatus(t, "finding a closed interpreter", err, ErrNotFound)
	_, err = Find(-1)
	wantStatus(t, "finding a negative id", err, ErrInvalidArgument)
}

func TestMainInterpreter(t *testing.T) {
	main, err := Main()
	if err != nil {
		t.Fatal(err)
	}
	if id, err := main.ID(); id != 0 || err != nil {
		t.Errorf("id %d, %v", id, err)
	}
	if whence, _ := main.Whence(); whence != "runtime init" {
		t.Errorf("whence %q", whence)
	}
	if all, err := ListAll(); err != nil || len(all) == 0 || all[0] != main {
		t.Errorf("main is not the first of %v, %v", all, err)
	}
	if n, err := CallAs[int](main, "math:factorial", 5); n != 120 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	wantStatus(t, "closing main", main.Close(), ErrInterpreter)
}

func TestListAllOfMany(t *testing.T) {
	var want []*Interpreter
	for range 20 {
		want = append(want, create(t, ""))
	}
	all, err := ListAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, interp := range want {
		if !slices.Contains(all, interp) {
			t.Errorf("interpreter %d is missing", i)
		}
	}
	ids := make([]int64, len(all))
	for i, interp := range all {
		ids[i], _ = interp.ID()
	}
	if !slices.IsSorted(ids) {
		t.Errorf("not by ascending id: %v", ids)
	}
}

func TestCurrentOutside(t *testing.T) {
	_, err := Current()
	wantStatus(t, "the current interpreter of a goroutine", err, ErrNotFound)
}

// Python code that makes interpreters of its own: they are listed, and refuse to be driven.
func TestForeign(t *testing.T) {
	interp := create(t, "import _interpreters; id = _interpreters.create()")
	id, err := EvalAs[int64](interp, "id")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := Find(id)
	if err != nil {
		t.Fatal(err)
	}
	if whence, err := foreign.Whence(); whence != "_interpreters module" || err != nil {
		t.Errorf("whence %q, %v", whence, err)
	}
	wantStatus(t, "exec", foreign.Exec("1"), ErrInterpreter)
	wantStatus(t, "close", foreign.Close(), ErrInterpreter)
	if err := interp.Exec("_interpreters.destroy(id)"); err != nil {
		t.Error(err)
	}
	wantStatus(t, "exec in one that is gone", foreign.Exec("1"), ErrNotFound)
}

func TestMisuse(t *testing.T) {
	closed := create(t, "")
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]*Interpreter{"nil": nil, "zero": {}, "closed": closed} {
		t.Run(name, func(t *testing.T) {
			_, evalErr := in.Eval("1")
			_, callErr := in.Call("builtins:len", "a", Kwargs{})
			_, callAsErr := CallAs[int](in, "builtins:len", "a")
			_, threadErr := in.CallInThread("builtins:len", "a")
			_, runningErr := in.IsRunning()
			_, idErr := in.ID()
			_, whenceErr := in.Whence()
			for what, err := range map[string]error{
				"Exec": in.Exec("1"), "Eval": evalErr, "Call": callErr, "CallAs": callAsErr, "CallInThread": threadErr,
				"PrepareMain": in.PrepareMain(map[string]any{"a": 1}), "IsRunning": runningErr, "ID": idErr,
				"Whence": whenceErr, "Close": in.Close(),
			} {
				wantStatus(t, what, err, ErrNotFound)
			}
		})
	}
	interp := create(t, "", nil)
	if _, err := interp.Eval("1", nil); err != nil {
		t.Error("a nil option:", err)
	}
	for name, thread := range map[string]*Thread{"nil": nil, "zero": {}} {
		_, err := thread.Join()
		wantStatus(t, name+" thread", err, ErrNotFound)
		thread.Free()
	}
}

func TestOptions(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "module_of_test.py"), []byte("x = 5"), 0o666); err != nil {
		t.Fatal(err)
	}
	interp := create(t, "", WithPath(folder, "/nonexistent"))
	if path, err := EvalAs[[]string](interp, "__import__('sys').path[:2]"); err != nil || !slices.Equal(path, []string{folder, "/nonexistent"}) {
		t.Errorf("path %q, %v", path, err)
	}
	if x, err := EvalAs[int](interp, "__import__('module_of_test').x"); x != 5 || err != nil {
		t.Errorf("%d, %v", x, err)
	}

	const daemon = "import threading; threading.Thread(target=int, daemon=True).start()"
	wantMessage(t, "a daemon thread", interp.Exec(daemon), "daemon threads are disabled")
	if err := create(t, "", WithDaemonThreads()).Exec(daemon); err != nil {
		t.Error(err)
	}
	wantMessage(t, "a thread", create(t, "", WithNoThreads()).Exec("import threading; threading.Thread(target=int).start()"), "thread")
	wantMessage(t, "a fork", interp.Exec("import os; os.fork()"), "fork not supported")
	wantMessage(t, "an exec", interp.Exec("import os; os.execv('/nonexistent', ['x'])"), "exec not supported")
	wantMessage(t, "an exec that is allowed", create(t, "", WithExec()).Exec("import os; os.execv('/nonexistent', ['x'])"), "No such file")

	wantMessage(t, "curses", interp.Exec("import curses"), "does not support loading in subinterpreters")
	if err := create(t, "", WithSharedGIL(), WithNoExtensionCheck()).Exec("import curses"); err != nil {
		t.Error(err)
	}

	for what, opts := range map[string][]Option{
		"a policy that is none":         {WithBusy(7)},
		"no check without a shared GIL": {WithNoExtensionCheck()},
		"a path with a NUL":             {WithPath("a\x00b")},
	} {
		_, err := Create(opts...)
		wantStatus(t, what, err, ErrInvalidArgument)
	}
}

func TestForkOption(t *testing.T) {
	interp := create(t, "", WithFork())
	// The child would crash in CPython, so it is only seen that the fork is allowed.
	flag, err := EvalAs[bool](interp, "__import__('_interpreters').get_config(__import__('_interpreters').get_current()[0]).allow_fork")
	if err != nil || !flag {
		t.Errorf("allow_fork %t, %v", flag, err)
	}
}

func TestExecOptions(t *testing.T) {
	interp := create(t, "")
	if err := interp.Exec("    y = 1\n    z = y"); err != nil {
		t.Error("indented source:", err)
	}
	var syntax *SyntaxError
	if err := interp.Exec("    y = 1\n", WithKeepIndent()); !errors.As(err, &syntax) || syntax.Type != "IndentationError" {
		t.Errorf("got %v, want an IndentationError", err)
	}
	err := interp.Exec("1/0", WithFilename("some file.py"))
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || len(failed.Frames) != 1 || failed.Frames[0].File != "some file.py" {
		t.Errorf("got %#v", err)
	}
	_, err = interp.Eval("1/0", WithFilename("an expression"))
	if !errors.As(err, &failed) || !strings.Contains(failed.Display, `File "an expression", line 1`) {
		t.Errorf("got %v", err)
	}
	_, err = interp.Eval("1", WithKeepIndent())
	wantStatus(t, "eval that keeps the indentation", err, ErrInvalidArgument)
	wantMessage(t, "a file name with a NUL", interp.Exec("1", WithFilename("a\x00b")), "filename: has a NUL character")
	wantStatus(t, "source that is not UTF-8", interp.Exec("a\xff"), ErrInvalidArgument)
	wantMessage(t, "source that is not UTF-8", interp.Exec("a\xff"), "invalid UTF-8 at byte offset 1")
	if err := interp.Exec(""); err != nil {
		t.Error(err)
	}
	_, err = interp.Eval("")
	wantStatus(t, "an empty expression", err, ErrSyntax)
}

func TestPrepareMain(t *testing.T) {
	interp := create(t, "")
	if err := interp.PrepareMain(map[string]any{"a": []int{1, 2}, "b": 1}); err != nil {
		t.Fatal(err)
	}
	if sum, err := EvalAs[int](interp, "sum(a) + b"); sum != 4 || err != nil {
		t.Errorf("%d, %v", sum, err)
	}
	wantStatus(t, "no names", interp.PrepareMain(nil), ErrInvalidArgument)
	wantStatus(t, "a name with a NUL", interp.PrepareMain(map[string]any{"a\x00": 1}), ErrInvalidArgument)
	err := interp.PrepareMain(map[string]any{"a": 5, "c": map[string]any{"d": func() {}}})
	wantStatus(t, "a function", err, ErrInvalidArgument)
	wantMessage(t, "a function", err, "names['c']['d']: func() cannot be passed to Python")
	if a, _ := interp.Eval("len(a)"); a != int64(2) {
		t.Error("a name was bound although another could not be")
	}
}

func TestKwargs(t *testing.T) {
	interp := create(t, "def f(*args, **kwargs): return [list(args), kwargs]")
	for _, c := range []struct {
		args []any
		want string
	}{
		{nil, "[[] map[]]"},
		{[]any{Kwargs{}}, "[[] map[]]"},
		{[]any{Kwargs(nil)}, "[[] map[]]"},
		{[]any{1, map[string]any{"a": 2}}, "[[1 map[a:2]] map[]]"},
		{[]any{1, Kwargs{"a": 2, "b": nil}}, "[[1] map[a:2 b:<nil>]]"},
	} {
		if got, err := interp.Call("f", c.args...); err != nil || sprint(got) != c.want {
			t.Errorf("%v: got %v, %v, want %s", c.args, got, err, c.want)
		}
	}
	_, err := interp.Call("f", Kwargs{"a": 1}, 2)
	wantMessage(t, "Kwargs that are not last", err, "args[0]: Kwargs must be the last argument")
	_, err = interp.Call("f", Kwargs{"a": make(chan int)})
	wantMessage(t, "a channel", err, "kwargs['a']: chan int cannot be passed to Python")
	_, err = interp.Call("f", Kwargs{"a\xff": 1})
	wantStatus(t, "a keyword that is not UTF-8", err, ErrInvalidArgument)
	thread, err := interp.CallInThread("f", 1, Kwargs{"a": 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := thread.Join(); err != nil || sprint(got) != "[[1] map[a:2]]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestCallables(t *testing.T) {
	interp := create(t, "class C:\n  @staticmethod\n  def m(): return 7")
	if n, err := CallAs[int](interp, "C.m"); n != 7 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s, err := CallAs[string](interp, "os.path:join", "a", "b"); s != "a/b" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	for name, want := range map[string]string{
		"nope": "AttributeError", "nope:x": "ModuleNotFoundError", "math:pi": "TypeError",
	} {
		_, err := interp.Call(name)
		var failed *ExecutionFailedError
		if !errors.As(err, &failed) || failed.Type != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	_, err := interp.Call("")
	if err == nil {
		t.Error("an empty name works")
	}
	_, err = interp.Call("a\xff")
	wantStatus(t, "a name that is not UTF-8", err, ErrInvalidArgument)
}

func TestIgnored(t *testing.T) {
	interp := create(t, "import datetime\ndef now(): return datetime.datetime.now()")
	_, err := interp.Call("now")
	wantStatus(t, "a datetime", err, ErrNotShareable)
	wantMessage(t, "a datetime", err, "result: datetime.datetime cannot be shared")
	if _, err := CallAs[Ignored](interp, "now"); err != nil {
		t.Error(err)
	}
	if _, err := EvalAs[Ignored](interp, "now()"); err != nil {
		t.Error(err)
	}
	if n, err := CallAs[int](interp, "builtins:int", 5); n != 5 || err != nil {
		t.Errorf("after an ignored result: %d, %v", n, err)
	}
}
