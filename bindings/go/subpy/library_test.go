package subpy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
)

func init() {
	if os.Getenv(childVariable) == "first thread" {
		runtime.LockOSThread() // which here is the process's first one, whose stack is another than those of others
	}
	children["library"] = func() {
		interp, err := Create()
		fmt.Printf("%s\nversion %q, python %q\n", err, Version(), PythonVersion())
		for what, err := range map[string]error{
			"Init": Init(RuntimeOptions{}), "Shutdown": Shutdown(), "Exec": interp.Exec("1"), "Close": interp.Close(),
		} {
			if err == nil {
				panic(what + " succeeds without a library")
			}
		}
		_, err = (*Thread)(nil).Join()
		if err == nil {
			panic("Join succeeds without a library")
		}
		_ = fmt.Sprint(ErrBusy.String(), interp, (*Function)(nil)) // which must not crash
	}
	children["first thread"] = func() {
		check(recurse())
	}
}

func TestRecursionThatUsesUpTheStack(t *testing.T) {
	if err := recurse(); err != nil {
		t.Error(err)
	}
	runChild(t, "first thread")
}

// recurse runs recursion without end, in Python and in C, which must be a RecursionError.
func recurse() error {
	interp, err := Create()
	if err != nil {
		return err
	}
	defer interp.Close()
	if err := interp.Exec(`
		deep = []
		twin = []
		for i in range(200_000): deep, twin = [deep], [twin]
		def through_c(n): return sorted([1], key=lambda _: through_c(n + 1))
	`); err != nil {
		return err
	}
	for _, code := range []string{"deep == twin", "through_c(0)", "(f := lambda: f())()"} {
		_, err := interp.Eval(code)
		if failed, ok := err.(*ExecutionFailedError); !ok || failed.Type != "RecursionError" {
			return fmt.Errorf("%s: %v", code, err)
		}
	}
	return nil
}

// Extension modules find the libraries that they need, whatever the Go program is linked to.
func TestExtensionModules(t *testing.T) {
	folder, err := filepath.Abs("../../../tests/support")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "stdlib.py")); err != nil {
		skipOutside(t, folder+"/stdlib.py")
	}
	interp := create(t, "", WithPath(folder))
	type seen struct {
		Versions string `subpy:"versions"`
		TLS      string `subpy:"tls"`
		Rows     int    `subpy:"rows"`
		Asyncio  string `subpy:"asyncio"`
		Ctypes   int    `subpy:"ctypes"`
		Zlib     bool   `subpy:"zlib"`
	}
	got, err := CallAs[seen](interp, "stdlib:use")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("Python %s: %s", PythonVersion(), got.Versions)
	got.Versions = ""
	if want := (seen{TLS: "through TLS", Rows: 6, Asyncio: "later", Ctypes: 5, Zlib: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestVersion(t *testing.T) {
	const path = "../../../include/subpy.h"
	header, err := os.ReadFile(path)
	if err != nil {
		skipOutside(t, path)
	}
	found := regexp.MustCompile(`(?m)^#define SUBPY_VERSION (\d+)$`).FindSubmatch(header)
	if found == nil || string(found[1]) != strconv.Itoa(neededVersion) {
		t.Errorf("the header says %q, this package is for %d", found, neededVersion)
	}
	number := strconv.Itoa(neededVersion/1_000_000) + "." + strconv.Itoa(neededVersion/1000%1000) + "." + strconv.Itoa(neededVersion%1000)
	if Version() != number {
		t.Errorf("the library is %s, this package is for %s", Version(), number)
	}
}

func TestCheckVersion(t *testing.T) {
	path := func() string { return "/lib/libsubpy.so.0" }
	for found, want := range map[uint32]string{
		neededVersion / 1000 * 1000:   "",
		neededVersion/1000*1000 + 999: "",
		999_000:                       "subpy: this package needs libsubpy 0.1.x, found 0.999.0 at /lib/libsubpy.so.0",
		999:                           "subpy: this package needs libsubpy 0.1.x, found 0.0.999 at /lib/libsubpy.so.0",
		1_001_002:                     "subpy: this package needs libsubpy 0.1.x, found 1.1.2 at /lib/libsubpy.so.0",
	} {
		got := ""
		if err := checkVersion(found, path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d: got %q, want %q", found, got, want)
		}
	}
}

// buildLibrary compiles a library for a test, under the names that libsubpy has.
func buildLibrary(t *testing.T, source string) (folder string) {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	folder = t.TempDir()
	file := filepath.Join(folder, "library.c")
	check(os.WriteFile(file, []byte(source), 0o666))
	for _, name := range []string{"libsubpy.so", "libsubpy.so.0"} {
		command := exec.Command(cc, "-shared", "-fPIC", "-Wl,-soname,"+name, "-o", filepath.Join(folder, name), file)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return folder
}

// A library of another version is one clear error, and nothing of it is called or looked up but its version.
func TestOtherVersion(t *testing.T) {
	source := "unsigned subpy_version(void) { return 2000; }\n"
	if mode == "cgo" { // which looks everything up when the program starts, on some systems
		const path = "../../../include/subpy.h"
		header, err := os.ReadFile(path)
		if err != nil {
			skipOutside(t, path)
		}
		functions := regexp.MustCompile(`(?m)^[A-Za-z].*\b(subpy_\w+)\(`).FindAllSubmatch(header, -1)
		if len(functions) < 50 {
			t.Fatalf("%s has %d functions", path, len(functions))
		}
		source += "#include <stdlib.h>\n"
		for _, function := range functions {
			if name := string(function[1]); name != "subpy_version" {
				source += "void " + name + "(void) { abort(); }\n"
			}
		}
	}
	folder := buildLibrary(t, source)
	out, _ := runChild(t, "library", "LD_LIBRARY_PATH="+folder, "SUBPY_LIBRARY="+filepath.Join(folder, "libsubpy.so"))
	want := regexp.MustCompile(`^subpy: this package needs libsubpy 0\.1\.x, found 0\.2\.0 at ` + regexp.QuoteMeta(folder) +
		`/libsubpy\.so(\.0)?\nversion "", python ""\n$`)
	if !want.MatchString(out) {
		t.Errorf("got %s", out)
	}
}
