// Embedded is a program that carries its CPython inside its executable and runs it in its own process. It works on a
// machine without any Python.
//
// At the first start the files of CPython, about 150 MB, are put into the user's cache folder. Later starts check them
// and take those that are there.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/kluctl/go-embed-python/python"

	"github.com/subpy/subpy/bindings/go/subpy"
)

// start starts the CPython that is inside the executable, and returns the folder that it was put into.
func start() (folder string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	embedded, err := python.NewEmbeddedPythonWithTmpDir(filepath.Join(cache, "subpy-example", "cpython"), true)
	if err != nil {
		return "", err
	}
	executable, err := embedded.GetExePath()
	if err != nil {
		return "", err
	}
	return embedded.GetExtractedPath(), subpy.Init(subpy.RuntimeOptions{Python: executable})
}

func main() {
	if _, err := start(); err != nil {
		log.Fatal(err)
	}
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	ssl, err := subpy.EvalAs[string](interp, "__import__('ssl').OPENSSL_VERSION")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Python %s with %s, out of %s\n", subpy.PythonVersion(), ssl, filepath.Base(os.Args[0]))
}
