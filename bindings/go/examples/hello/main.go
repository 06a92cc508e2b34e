// Hello is the smallest program with subpy: an interpreter, a piece of Python, a call.
package main

import (
	"fmt"
	"log"

	"github.com/subpy/subpy/bindings/go/subpy"
)

func main() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()

	if err := interp.Exec("print('hello from Python')"); err != nil {
		log.Fatal(err)
	}
	root, err := subpy.CallAs[float64](interp, "math:sqrt", 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the square root of 2 is %.15f\n", root)
}
