//go:build linux && amd64 && !cgo

package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/subpy/subpy/bindings/go/internal/carried"
	"github.com/subpy/subpy/bindings/go/subpy"
)

const variable = "SUBPY_LIBRARY"

// The library as it is in the programs of a release: out of memory, also in a process for an interpreter.
func TestLibraryInMemory(t *testing.T) {
	file := os.Getenv(variable)
	if file == "" {
		t.Skip("SUBPY_LIBRARY is not set")
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	number := loadAnother(t)
	path, err := inMemory(code)
	if err != nil {
		t.Fatal(err)
	}
	// The other one was loaded by this number. It is not taken for this one.
	if want := fmt.Sprintf("/proc/self/./fd/%d", number); path != want {
		t.Fatalf("the library is %s, not %s", path, want)
	}
	t.Setenv(variable, path)

	for name, options := range map[string][]subpy.Option{"here": nil, "in a process": {subpy.WithProcess()}} {
		interp, err := subpy.Create(options...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n, err := subpy.EvalAs[int](interp, "6 * 7"); n != 42 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		maps, err := subpy.EvalAs[string](interp, "open('/proc/self/maps').read()")
		if err != nil || !strings.Contains(maps, "/memfd:libsubpy.so (deleted)") || strings.Contains(maps, file) {
			t.Errorf("%s: %v, the library is not in memory:\n%s", name, err, maps)
		}
		const names = "sorted(__import__('os').readlink(f'/proc/self/fd/{n}') for n in __import__('os').listdir('/proc/self/fd') if __import__('os').path.lexists(f'/proc/self/fd/{n}'))"
		open, err := subpy.EvalAs[[]string](interp, names)
		if has := strings.Contains(strings.Join(open, "\n"), "/memfd:libsubpy.so"); err != nil || has != (options == nil) {
			t.Errorf("%s: %v, open files: %q", name, err, open)
		}
		if err := interp.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Nobody can change it.
	if _, err := memory.WriteAt([]byte{0}, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a write to it: %v", err)
	}
	if err := memory.Truncate(0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a truncation of it: %v", err)
	}

	// Its descriptor is another file's: that is no library of ours, and is not loaded.
	other, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup3(int(other.Fd()), int(memory.Fd()), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := subpy.Shutdown(); err != nil { // which ends the process that others are forked from
		t.Fatal(err)
	}
	_, err = subpy.Create(subpy.WithProcess())
	if err == nil || !strings.Contains(err.Error(), "the descriptor that it was loaded from was closed") {
		t.Errorf("without the descriptor: %v", err)
	}
}

// loadAnother loads another library out of memory, as others do it, and closes the descriptor, which was of that number.
func loadAnother(t *testing.T) (number int) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	file := t.TempDir() + "/another.so"
	command := exec.Command(cc, "-shared", "-fPIC", "-o", file, "-x", "c", "-")
	command.Stdin = strings.NewReader("int another;")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := []byte("another\x00")
	descriptor, _, failure := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), mfdCloexec, 0)
	if failure != 0 {
		t.Fatal(failure)
	}
	number = int(descriptor)
	defer syscall.Close(number)
	if _, err := syscall.Write(number, code); err != nil {
		t.Fatal(err)
	}
	if _, err := purego.Dlopen(fmt.Sprintf("/proc/self/fd/%d", number), purego.RTLD_NOW|purego.RTLD_LOCAL); err != nil {
		t.Fatal(err)
	}
	return number
}

// Whoever loads it by another name of its descriptor has processes for interpreters, too.
func TestLibraryByAnotherName(t *testing.T) {
	const child = "SUBPY_TEST_DEV_FD"
	file := os.Getenv(variable)
	if file == "" {
		t.Skip("SUBPY_LIBRARY is not set")
	}
	if os.Getenv(child) == "" {
		command := exec.Command(os.Args[0], "-test.run=TestLibraryByAnotherName$")
		command.Env = append(os.Environ(), child+"=1")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inMemory(code); err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, fmt.Sprintf("/dev/fd/%d", memory.Fd()))
	interp, err := subpy.Create(subpy.WithProcess())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := subpy.EvalAs[int](interp, "6 * 7"); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := interp.Close(); err != nil {
		t.Error(err)
	}
}

// In a checkout there is none, and the error says so beside what else was tried.
func TestNoLibraryInside(t *testing.T) {
	const child = "SUBPY_TEST_NO_LIBRARY"
	if os.Getenv(child) != "" {
		_, err := subpy.Create()
		os.Stdout.WriteString(err.Error())
		os.Exit(0)
	}
	if _, err := folder.ReadFile(library); err == nil {
		path, err := carried.Open()
		if err != nil || !strings.HasPrefix(path, "/proc/self/./fd/") {
			t.Errorf("%s, %v", path, err)
		}
		return
	}
	command := exec.Command(os.Args[0], "-test.run=TestNoLibraryInside$")
	// No library of this machine's, either.
	broken := t.TempDir()
	for _, name := range []string{"libsubpy.so", "libsubpy.so.0"} {
		if err := os.WriteFile(broken+"/"+name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	command.Env = append(os.Environ(), child+"=1", variable+"=", "LD_LIBRARY_PATH="+broken)
	out, err := command.CombinedOutput()
	want := "Tried:\n  inside the program: this copy of the module has no library inside, since it is no release "
	if err != nil || !bytes.Contains(out, []byte(want)) || !bytes.Contains(out, []byte("libsubpy.so.0 (in LD_LIBRARY_PATH")) {
		t.Errorf("%v\n%s", err, out)
	}
}
