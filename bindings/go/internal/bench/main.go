// Bench compares calls from Go with the same calls from C.
//
//	go run ./internal/bench
//
// Everything is measured in turn, in many short rounds, and of each the median counts. For each call it prints, in
// nanoseconds:
//
//	C         the call made by a loop in C, with arguments that are ready: one crossing for all
//	crossing  how much more one costs when Go crosses into C for each, with arguments that are ready, and does nothing
//	          else
//	Go        the call made with the package: arguments from Go values, result to a Go value
//	ratio     Go / (C + 2 crossings); at most 1 is the goal
//	empty     Go / (C + 2 crossings into a C function that does nothing)
//
// A crossing around a call of Python costs more than one around nothing, because a call enters the kernel once (CPython
// asks for the thread's id), and on many machines a processor has forgotten the way back when it returns from there.
package main

/*
#cgo pkg-config: subpy
#cgo noescape nothing
#cgo noescape call
#include <stdlib.h>
#include <subpy.h>

typedef struct {
    subpy_interp interp;
    const char  *callable;
    size_t       len;
    subpy_value  args[2];
    size_t       nargs;
} bench_call;

static void nothing(uintptr_t address)
{
    (void)address;
}

static void call(uintptr_t address, int times)
{
    const bench_call *c = (const bench_call *)address;
    for (int i = 0; i < times; i++) {
        subpy_value result;
        if (subpy_call(c->interp, c->callable, c->len, c->args, c->nargs, NULL, &result, NULL) != SUBPY_OK)
            abort();
        subpy_value_free(&result);
    }
}
*/
import "C"

import (
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"time"
	"unsafe"

	"github.com/subpy/subpy/bindings/go/subpy"
)

const python = `
def nothing(): pass
def add(a, b): return a + b
def length(text): return len(text)
def upper(text): return text.upper()
`

// A benchmark is one call, from C and from Go.
type benchmark struct {
	name     string
	callable string
	args     []C.subpy_value
	call     func(interp *subpy.Interpreter) error

	memory uintptr // the bench_call
}

func discard[T any](_ T, err error) error {
	return err
}

func benchmarks() []*benchmark {
	a, b, text := 1000, 2000, "to be or not to be"
	str := C.subpy_str(C.CString(text), C.size_t(len(text)))
	return []*benchmark{
		{name: `CallAs[any]("nothing")`, callable: "nothing", call: func(in *subpy.Interpreter) error {
			return discard(subpy.CallAs[any](in, "nothing"))
		}},
		{name: `CallAs[int]("add", a, b)`, callable: "add", args: []C.subpy_value{C.subpy_int(1000), C.subpy_int(2000)}, call: func(in *subpy.Interpreter) error {
			return discard(subpy.CallAs[int](in, "add", a, b))
		}},
		{name: `Call("add", a, b)`, callable: "add", args: []C.subpy_value{C.subpy_int(1000), C.subpy_int(2000)}, call: func(in *subpy.Interpreter) error {
			return discard(in.Call("add", a, b))
		}},
		{name: `CallAs[int]("length", text)`, callable: "length", args: []C.subpy_value{str}, call: func(in *subpy.Interpreter) error {
			return discard(subpy.CallAs[int](in, "length", text))
		}},
		{name: `CallAs[string]("upper", text)`, callable: "upper", args: []C.subpy_value{str}, call: func(in *subpy.Interpreter) error {
			return discard(subpy.CallAs[string](in, "upper", text))
		}},
	}
}

func (b *benchmark) prepare(interp C.subpy_interp) {
	memory := C.malloc(C.sizeof_bench_call)
	c := (*C.bench_call)(memory)
	*c = C.bench_call{interp: interp, callable: C.CString(b.callable), len: C.size_t(len(b.callable))}
	c.nargs = C.size_t(copy(c.args[:], b.args))
	b.memory = uintptr(unsafe.Pointer(c))
}

// samples are the nanoseconds that one of many took, round by round.
type samples []float64

func (s *samples) measure(times int, run func(times int)) {
	start := time.Now()
	run(times)
	*s = append(*s, float64(time.Since(start))/float64(times))
}

func (s samples) median() float64 {
	slices.Sort(s)
	return s[len(s)/2]
}

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 1000, "how often everything is measured")
	times := flag.Int("times", 300, "calls a round")
	limit := flag.Float64("limit", 0, "fail when a ratio is above this; 0: never")
	flag.Parse()

	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	if err := interp.Exec(python); err != nil {
		log.Fatal(err)
	}
	id, err := interp.ID()
	if err != nil {
		log.Fatal(err)
	}
	var handle C.subpy_interp
	if C.subpy_find(C.int64_t(id), &handle, nil) != C.SUBPY_OK {
		log.Fatal("the interpreter is gone")
	}

	all := benchmarks()
	var empty samples
	inC, crossing, inGo := make([]samples, len(all)), make([]samples, len(all)), make([]samples, len(all))
	for _, b := range all {
		b.prepare(handle)
	}
	for range *rounds {
		empty.measure(*times, func(times int) {
			for range times {
				C.nothing(0)
			}
		})
		for i, b := range all {
			inC[i].measure(*times, func(times int) { C.call(C.uintptr_t(b.memory), C.int(times)) })
			crossing[i].measure(*times, func(times int) {
				for range times {
					C.call(C.uintptr_t(b.memory), 1)
				}
			})
			inGo[i].measure(*times, func(times int) {
				for range times {
					if err := b.call(interp); err != nil {
						log.Fatal(err)
					}
				}
			})
		}
	}

	fmt.Printf("a crossing into a C function that does nothing: %.0f ns\n\n", empty.median())
	fmt.Printf("%-30s %8s %10s %8s %8s %8s\n", "", "C", "crossing", "Go", "ratio", "empty")
	worst := 0.0
	for i, b := range all {
		c, g := inC[i].median(), inGo[i].median()
		x := crossing[i].median() - c
		ratio := g / (c + 2*x)
		worst = max(worst, ratio)
		fmt.Printf("%-30s %8.0f %10.0f %8.0f %8.2f %8.2f\n", b.name, c, x, g, ratio, g/(c+2*empty.median()))
	}
	if *limit > 0 && worst > *limit {
		fmt.Printf("the worst ratio is %.2f, above %.2f\n", worst, *limit)
		os.Exit(1)
	}
}
