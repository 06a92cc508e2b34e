package subpy_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

// start returns an interpreter in which code was run.
func start(code string, options ...subpy.Option) *subpy.Interpreter {
	interp, err := subpy.Create(options...)
	if err != nil {
		log.Fatal(err)
	}
	if err := interp.Exec(code); err != nil {
		log.Fatal(err)
	}
	return interp
}

func ExampleObject() {
	interp := start(`
class Model:
    def __init__(self, factor): self.factor = factor
    def predict(self, xs): return [self.factor * x for x in xs]
`)
	defer interp.Close()
	model, err := subpy.CallAs[*subpy.Object](interp, "Model", 3)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Free()
	predicted, err := subpy.CallMethodAs[[]int](model, "predict", []int{1, 2})
	if err != nil {
		log.Fatal(err)
	}
	factor, err := subpy.AttrAs[int](model, "factor")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(predicted, factor)
	// Output: [3 6] 3
}

func ExampleIterAs() {
	interp := start("def lines():\n    for n in range(3): yield f'line {n}'")
	defer interp.Close()
	lines, err := subpy.CallAs[*subpy.Object](interp, "lines")
	if err != nil {
		log.Fatal(err)
	}
	for line, err := range subpy.IterAs[string](lines) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(line)
	}
	// Output:
	// line 0
	// line 1
	// line 2
}

func ExampleNewBuffer() {
	interp := start("def brighten(image):\n    for i in range(len(image)): image[i] += 10")
	defer interp.Close()
	image := []byte{1, 2, 3}
	buffer := subpy.NewBuffer(image, subpy.WithWritable(), subpy.WithLent())
	if _, err := interp.Call("brighten", buffer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(image)
	// Output: [11 12 13]
}

func ExampleView() {
	interp := start("import array\ndef samples(): return array.array('d', [0.5, 1.5])")
	defer interp.Close()
	buffer, err := subpy.CallAs[*subpy.Buffer](interp, "samples")
	if err != nil {
		log.Fatal(err)
	}
	defer buffer.Close()
	samples, err := subpy.View[float64](buffer)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(samples, slices.Max(samples))
	// Output: [0.5 1.5] 1.5
}

func ExampleTagged() {
	interp := start("import datetime, decimal", subpy.WithTaggedValues())
	defer interp.Close()
	price, err := interp.Eval("decimal.Decimal('1.50')")
	fmt.Println(price, err)
	when, err := subpy.EvalAs[time.Time](interp, "datetime.datetime(2026, 2, 3, tzinfo=datetime.UTC)")
	fmt.Println(when.Weekday(), err)
	seen, err := subpy.EvalAs[map[string]struct{}](interp, "{'a', 'b'}")
	fmt.Println(seen, err)
	sum, err := subpy.CallAs[string](interp, "builtins:repr", []any{complex(1, 2), subpy.Tagged{Tag: subpy.TagDecimal, Value: "0.1"}})
	fmt.Println(sum, err)
	// Output:
	// decimal "1.50" <nil>
	// Tuesday <nil>
	// map[a:{} b:{}] <nil>
	// [(1+2j), Decimal('0.1')] <nil>
}

func ExampleContextWithAsync() {
	interp := start("import asyncio\nasync def fetch(x):\n    await asyncio.sleep(0)\n    return x + 1")
	defer interp.Close()
	ctx := subpy.ContextWithAsync(context.Background())
	fmt.Println(interp.CallContext(ctx, "fetch", 1))
	// Output: 2 <nil>
}

func ExampleQueue() {
	interp := start("def count(words, counts):\n    for word in words: counts.put((word, len(word)))\n    counts.close()")
	defer interp.Close()
	words, err := subpy.NewQueue(10)
	if err != nil {
		log.Fatal(err)
	}
	counts, err := subpy.NewQueue(10)
	if err != nil {
		log.Fatal(err)
	}
	thread, err := interp.CallInThread("count", words, counts)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		defer words.Close()
		for _, word := range []string{"to", "be", "continued"} {
			if err := words.Put(word); err != nil {
				log.Print(err)
			}
		}
	}()
	for count, err := range counts.Iter(context.Background()) {
		fmt.Println(count, err)
	}
	if _, err := thread.Join(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ("to", 2) <nil>
	// ("be", 2) <nil>
	// ("continued", 9) <nil>
}

// Many goroutines share few interpreters.
func ExamplePool() {
	pool, err := subpy.NewPool(subpy.PoolOptions{Workers: 2, Setup: "def square(x): return x * x"})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.CloseWith(subpy.CloseOptions{Drain: true, Timeout: time.Minute})

	squares := make([]int, 100)
	var group sync.WaitGroup
	for i := range squares {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			var err error
			if squares[i], err = subpy.CallPoolAs[int](ctx, pool, "square", i); err != nil {
				log.Fatal(err)
			}
		})
	}
	group.Wait()
	fmt.Println(squares[0], squares[10], squares[99])
	// Output: 0 100 9801
}

func ExampleMapPoolAs() {
	ctx := context.Background()
	pool, err := subpy.NewPool(subpy.PoolOptions{Workers: 2, Setup: "def half(x):\n    if x % 2: raise ValueError(f'{x} is odd')\n    return x // 2"})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	for half, err := range subpy.MapPoolAs[int](ctx, pool, "half", [][]int{{2}, {5}, {6}}, 1) {
		fmt.Println(half, err)
	}
	// Output:
	// 1 <nil>
	// 0 row 1: ValueError: 5 is odd
	// 3 <nil>
}

func ExampleInterpreter_Memory() {
	interp, err := subpy.Create(subpy.WithMemoryLimit(100 << 20))
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	err = interp.Exec("x = bytes(200 << 20)")
	var failed *subpy.ExecutionFailedError
	if errors.As(err, &failed) {
		fmt.Println(failed.Type)
	}
	info, err := interp.Memory()
	fmt.Println(info.Refused, info.Limit>>20, err)
	// Output:
	// MemoryError
	// 1 100 <nil>
}
