//go:build !cgo

package subpy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/subpy/subpy/bindings/go/internal/carried"
)

func init() {
	children["named"] = func() {
		os.Setenv(libraryVariable, os.Getenv("LIBRARY_OF_TEST"))
		fmt.Println(Version())
	}
	children["inside"] = func() {
		carried.Open = func() (string, error) { return os.Getenv("LIBRARY_OF_TEST"), nil }
		_, err := Create()
		fmt.Printf("%s\n%v\n", Version(), err)
	}
}

// A library that is not there is an error that says what was tried, and what to do.
func TestMissingLibrary(t *testing.T) {
	const advice = "Install it (docs/go.md of subpy says how), or set SUBPY_LIBRARY to the path of the file."
	out, _ := runChild(t, "library", "SUBPY_LIBRARY=/nonexistent/libsubpy.so")
	want := "subpy: the library libsubpy.so.0 cannot be opened. Tried:\n" +
		"  SUBPY_LIBRARY=/nonexistent/libsubpy.so: cannot open shared object file: No such file or directory\n" +
		advice + "\nversion \"\", python \"\"\n"
	if out != want {
		t.Errorf("got:\n%s", out)
	}

	out, _ = runChild(t, "library", "SUBPY_LIBRARY=", "LD_LIBRARY_PATH=")
	if strings.Contains(out, "%!s(<nil>)") {
		t.Log("the system has the library: it cannot be missing")
		return
	}
	folder := filepath.Dir(os.Args[0])
	for _, want := range []string{
		"  " + folder + "/libsubpy.so.0: ", "  " + folder + "/libsubpy.so: ",
		"  libsubpy.so.0 (in LD_LIBRARY_PATH and the system's folders): cannot open", "  libsubpy.so (in ", advice,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestLibraryThatIsNone(t *testing.T) {
	out, _ := runChild(t, "library", "SUBPY_LIBRARY="+buildLibrary(t, "int x;")+"/libsubpy.so")
	if !strings.Contains(out, "/libsubpy.so is no libsubpy: ") || !strings.Contains(out, "subpy_version") {
		t.Errorf("got %s", out)
	}
	source := fmt.Sprintf("int subpy_version(void) { return %d; }", neededVersion)
	out, _ = runChild(t, "library", "SUBPY_LIBRARY="+buildLibrary(t, source)+"/libsubpy.so")
	if !strings.Contains(out, "/libsubpy.so is incomplete: ") {
		t.Errorf("got %s", out)
	}
}

// A program may say where the library is, as late as before its first call.
func TestLibraryNamedByTheProgram(t *testing.T) {
	library := os.Getenv(libraryVariable)
	if library == "" {
		t.Skip("SUBPY_LIBRARY is not set")
	}
	if out, _ := runChild(t, "named", "SUBPY_LIBRARY=/nonexistent", "LIBRARY_OF_TEST="+library); !strings.HasPrefix(out, "0.") {
		t.Errorf("got %q", out)
	}
}

// Where the library inside the program cannot be opened, another one is, and when there is none, the error has the reason.
func TestLibraryInsideThatCannotBeOpened(t *testing.T) {
	library := os.Getenv(libraryVariable)
	if library == "" {
		t.Skip("SUBPY_LIBRARY is not set")
	}
	broken := t.TempDir()
	for _, name := range []string{"libsubpy.so", "libsubpy.so.0"} {
		check(os.WriteFile(filepath.Join(broken, name), nil, 0o666))
	}
	inside := "LIBRARY_OF_TEST=" + broken + "/libsubpy.so"
	out, _ := runChild(t, "inside", inside, "SUBPY_LIBRARY=", "LD_LIBRARY_PATH="+broken)
	for _, want := range []string{
		"  inside the program (" + broken + "/libsubpy.so): file too short\n",
		"  libsubpy.so.0 (in LD_LIBRARY_PATH and the system's folders): " + broken + "/libsubpy.so.0: file too short\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	folder := t.TempDir()
	check(os.Symlink(library, filepath.Join(folder, "libsubpy.so.0")))
	out, _ = runChild(t, "inside", inside, "SUBPY_LIBRARY=", "LD_LIBRARY_PATH="+folder)
	if !strings.HasPrefix(out, "0.") || !strings.HasSuffix(out, "\n<nil>\n") {
		t.Errorf("got %s", out)
	}
}

// A library beside the program is taken, without anything in the environment.
func TestLibraryBesideTheProgram(t *testing.T) {
	library := os.Getenv(libraryVariable)
	if library == "" {
		t.Skip("SUBPY_LIBRARY is not set")
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "program"), program, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(library, filepath.Join(folder, "libsubpy.so.0")); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "output")
	cmd.Path = filepath.Join(folder, "program")
	cmd.Env = append(cmd.Env, "SUBPY_LIBRARY=", "LD_LIBRARY_PATH=")
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("python 2\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}
