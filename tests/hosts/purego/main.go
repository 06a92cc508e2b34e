// Hello from a Go program without cgo: CGO_ENABLED=0 go run .
package main

import (
	"errors"
	"fmt"
	"log"

	"subpy.test/purego/subpy"
)

const words = `
    import collections

    def count(text, *, least=1):
        words = collections.Counter(text.split())
        return {word: n for word, n in words.items() if n >= least}
`

func main() {
	interp, err := subpy.Create(subpy.BusyError)
	if err != nil {
		log.Fatal(err)
	}
	if err := interp.Exec(words); err != nil {
		log.Fatal(err)
	}
	counts, err := interp.CallKw("count", map[string]any{"least": 2}, "to be or not to be")
	if err != nil {
		log.Fatal(err)
	}
	for _, pair := range counts.(subpy.Dict) {
		fmt.Printf("%s: %d\n", pair.Key, pair.Value)
	}

	var failure *subpy.Error
	if err := interp.Exec("count(42)"); errors.As(err, &failure) {
		fmt.Println(failure.Display)
	}

	if err := interp.Close(); err != nil {
		log.Fatal(err)
	}
	if err := subpy.Shutdown(); err != nil {
		log.Fatal(err)
	}
}
