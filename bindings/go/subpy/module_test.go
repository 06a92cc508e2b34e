package subpy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The first program of the documentation, in a folder of its own, with nothing of subpy's but the module's files.
func TestModuleAlone(t *testing.T) {
	const root, page = "..", "../../../docs/go.md"
	text, err := os.ReadFile(page)
	if err != nil {
		skipOutside(t, page)
	}
	_, program, found := strings.Cut(string(text), "```go\npackage main\n")
	if !found {
		t.Fatal("there is no program in docs/go.md")
	}
	program, after, _ := strings.Cut(program, "\n```\n")
	_, after, _ = strings.Cut(after, "```text\n")
	output, _, _ := strings.Cut(after, "```\n")

	folder := t.TempDir()
	module := filepath.Join(folder, "module")
	copyModule(t, root, module)
	app := filepath.Join(folder, "app")
	check(os.Mkdir(app, 0o777))
	check(os.WriteFile(filepath.Join(app, "main.go"), []byte("package main\n"+program+"\n"), 0o666))
	goTool := func(args ...string) string {
		t.Helper()
		command := exec.Command("go", args...)
		command.Dir = app
		command.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GO111MODULE=on")
		var errs strings.Builder
		command.Stderr = &errs
		out, err := command.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
		}
		return string(out)
	}
	goTool("mod", "init", "example.com/app")
	goTool("mod", "edit", "-replace", "github.com/subpy/subpy/bindings/go="+module)
	goTool("mod", "tidy")
	if got := goTool("run", "."); got != output || !strings.HasPrefix(got, "hello") {
		t.Errorf("got %q, want %q", got, output)
	}
}

// copyModule copies what a proxy would serve: not the modules in folders of this one.
func copyModule(t *testing.T, from, to string) {
	licences := 0
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != from {
				return filepath.SkipDir
			}
			return os.MkdirAll(target, 0o777)
		}
		if strings.HasPrefix(entry.Name(), "LICENSE-") {
			licences++
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o444)
	})
	if err != nil {
		t.Fatal(err)
	}
	if licences != 2 {
		t.Errorf("the module has %d licences", licences)
	}
}
