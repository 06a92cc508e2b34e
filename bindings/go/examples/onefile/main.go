// Onefile has the subpy library inside: CGO_ENABLED=0 go build, with the module of a release, makes one file.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/subpy/subpy/bindings/go/subpy"
)

import _ "github.com/subpy/subpy/bindings/go/subpy/embedded"

func main() {
	for _, options := range [][]subpy.Option{nil, {subpy.WithProcess()}} {
		interp, err := subpy.Create(options...)
		if err != nil {
			log.Fatal(err)
		}
		root, err := subpy.CallAs[float64](interp, "math:sqrt", 2)
		if err != nil {
			log.Fatal(err)
		}
		process, err := subpy.CallAs[int](interp, "os:getpid")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("the square root of 2 is %.15f, in this process: %t\n", root, process == os.Getpid())
		if err := interp.Close(); err != nil {
			log.Fatal(err)
		}
	}
}
