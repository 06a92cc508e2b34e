package subpy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

func Example() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	if err := interp.Exec("def greet(name, *, mark='.'): return f'hello {name}{mark}'"); err != nil {
		log.Fatal(err)
	}
	greeting, err := subpy.CallAs[string](interp, "greet", "gopher", subpy.Kwargs{"mark": "!"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
	// Output: hello gopher!
}

// Each interpreter runs on its own goroutine, and all at the same time.
func Example_parallel() {
	sums := make([]int, 4)
	var group sync.WaitGroup
	for i := range sums {
		group.Add(1)
		go func() {
			defer group.Done()
			interp, err := subpy.Create()
			if err != nil {
				log.Fatal(err)
			}
			defer interp.Close()
			sums[i], err = subpy.EvalAs[int](interp, fmt.Sprintf("sum(range(%d))", 1000*(i+1)))
			if err != nil {
				log.Fatal(err)
			}
		}()
	}
	group.Wait()
	fmt.Println(sums)
	// Output: [499500 1999000 4498500 7998000]
}

func ExampleCallAs() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	type word struct {
		Text  string `subpy:"text"`
		Count int    `subpy:"count"`
	}
	if err := interp.Exec(`
import collections
def count(text):
    words = collections.Counter(text.split())
    return [{"text": word, "count": n} for word, n in words.most_common()]
`); err != nil {
		log.Fatal(err)
	}
	words, err := subpy.CallAs[[]word](interp, "count", "to be or not to be")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(words)
	// Output: [{to 2} {be 2} {or 1} {not 1}]
}

func ExampleInterpreter_Call() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	root, err := interp.Call("math:sqrt", 2.0)
	if err != nil {
		log.Fatal(err)
	}
	sorted, err := interp.Call("builtins:sorted", []string{"b", "c", "a"}, subpy.Kwargs{"reverse": true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(root, sorted)
	// Output: 1.4142135623730951 [c b a]
}

func ExampleFunction_CallMany() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	if err := interp.Exec("def half(n):\n    if n % 2: raise ValueError(f'{n} is odd')\n    return n // 2"); err != nil {
		log.Fatal(err)
	}
	half, err := interp.Function("half")
	if err != nil {
		log.Fatal(err)
	}
	defer half.Free()
	halves, err := subpy.CallManyAs[int](half, [][]int{{2}, {4}, {6}})
	fmt.Println(halves, err)

	_, err = half.CallMany([][]any{{2}, {5}, {6}})
	var failed *subpy.ExecutionFailedError
	if errors.As(err, &failed) {
		row, _ := failed.Row()
		fmt.Println(row, failed.Message)
	}

	outcomes, err := subpy.CallEachAs[int](half, [][]int{{2}, {5}, {6}})
	if err != nil {
		log.Fatal(err)
	}
	for _, outcome := range outcomes {
		fmt.Println(outcome.Value, outcome.Err)
	}
	// Output:
	// [1 2 3] <nil>
	// 1 5 is odd
	// 1 <nil>
	// 0 row 1: ValueError: 5 is odd
	// 3 <nil>
}

func ExampleInterpreter_Session() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	if err := interp.Exec(`
import threading
seen = threading.local()
def step(n):
    seen.total = getattr(seen, "total", 100) + n
    return seen.total
`); err != nil {
		log.Fatal(err)
	}
	step, err := interp.Function("step")
	if err != nil {
		log.Fatal(err)
	}
	defer step.Free()
	err = interp.Session(func() error {
		for i := range 3 {
			n, err := subpy.CallFunctionAs[int](step, i)
			if err != nil {
				return err
			}
			fmt.Println(n)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 100
	// 101
	// 103
}

func ExampleInterpreter_CallInThread() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	thread, err := interp.CallInThread("math:factorial", 20)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(thread.Join())
	// Output: 2432902008176640000 <nil>
}

func ExampleInterpreter_PrepareMain() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	if err := interp.PrepareMain(map[string]any{"prices": []float64{1.5, 2.25}, "count": 4}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(interp.Eval("sum(prices) * count"))
	// Output: 15 <nil>
}

func ExampleExecutionFailedError() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	err = interp.Exec("def divide(a, b):\n    return a / b\n\ndivide(1, 0)", subpy.WithFilename("divide.py"))
	var failed *subpy.ExecutionFailedError
	if errors.As(err, &failed) {
		fmt.Println(failed.Type, "in line", failed.Frames[len(failed.Frames)-1].Line)
		fmt.Println(failed.Display)
	}
	// Output:
	// ZeroDivisionError in line 2
	// Traceback (most recent call last):
	//   File "divide.py", line 4, in <module>
	//   File "divide.py", line 2, in divide
	// ZeroDivisionError: division by zero
}

func ExampleSyntaxError() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	err = interp.Exec("answer = 42\nanswer =")
	var syntax *subpy.SyntaxError
	if errors.As(err, &syntax) {
		fmt.Printf("line %d, column %d: %s\n", syntax.Line, syntax.Column, syntax.Message)
	}
	// Output: line 2, column 9: invalid syntax (<script>, line 2)
}

func ExampleStatus() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	interp.Close()
	err = interp.Exec("print('too late')")
	fmt.Println(errors.Is(err, subpy.ErrNotFound))
	// Output: true
}

func ExampleConversionError() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	_, err = subpy.EvalAs[map[string][]int8](interp, "{'sizes': [1, 20, 300]}")
	fmt.Println(err)
	_, err = interp.Call("builtins:print", []any{1, make(chan int)})
	fmt.Println(err)
	// Output:
	// subpy: result['sizes'][2]: 300 does not fit a Go int8
	// subpy: args[0][1]: chan int cannot be passed to Python
}

func ExampleDict() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	ordered := subpy.Dict{{Key: "first", Value: 1}, {Key: "second", Value: 2}}
	keys, err := subpy.CallAs[[]string](interp, "builtins:list", ordered)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys)
	// Output: [first second]
}

func ExampleInterpreter_Define() {
	interp, err := subpy.Create(subpy.WithOutput(os.Stdout, os.Stderr))
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	prices := map[string]float64{"tea": 2.5, "cake": 4}
	err = interp.Define("shop:price", func(name string, count int) (float64, error) {
		price, ok := prices[name]
		if !ok {
			return 0, subpy.Raise("LookupError", "there is no "+name)
		}
		return float64(count) * price, nil
	}, subpy.WithSignature("(name, count)"))
	if err != nil {
		log.Fatal(err)
	}
	err = interp.Exec(`
import shop
print(shop.price("tea", 2))
try:
    shop.price("coffee", 1)
except LookupError as error:
    print(error)
`)
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 5.0
	// there is no coffee
}

// An error that Python does not catch is found again.
func ExampleInterpreter_Define_errors() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	if err := interp.Define("open_file", func() error { return fs.ErrNotExist }); err != nil {
		log.Fatal(err)
	}
	err = interp.Exec("open_file()")
	fmt.Println(err)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// FileNotFoundError: file does not exist
	// true
}

func ExampleInterpreter_ExecContext() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = interp.ExecContext(ctx, "while True: pass")
	var timeout *subpy.TimeoutError
	if errors.As(err, &timeout) && errors.Is(err, context.DeadlineExceeded) {
		fmt.Println(timeout.Type, "in line", timeout.Frames[0].Line)
	}
	// Output: KeyboardInterrupt in line 1
}

func ExampleContextWithOutput() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	defer interp.Close()
	var stdout strings.Builder
	ctx := subpy.ContextWithOutput(context.Background(), &stdout, os.Stderr)
	if err := interp.ExecContext(ctx, "print('captured')"); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", stdout.String())
	// Output: "captured\n"
}

func ExampleInterpreter_CloseWith() {
	interp, err := subpy.Create()
	if err != nil {
		log.Fatal(err)
	}
	if err := interp.Exec("import threading\nthreading.Thread(target=lambda: sum(1 for _ in iter(int, 1))).start()"); err != nil {
		log.Fatal(err)
	}
	err = interp.CloseWith(subpy.CloseOptions{Timeout: time.Second, Drain: true, Interrupt: true})
	fmt.Println(err)
	// Output: <nil>
}
