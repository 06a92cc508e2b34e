/*
Package subpy runs many isolated CPython interpreters in one program, each with its own GIL or in a process of its own,
so that Python code runs on all cores at the same time. It is Python's concurrent.interpreters for Go programs.

	interp, err := subpy.Create()
	if err != nil {
		return err
	}
	defer interp.Close()
	if err := interp.Exec("def add(a, b): return a + b"); err != nil {
		return err
	}
	sum, err := subpy.CallAs[int](interp, "add", 1, 2)

The package needs the subpy library. With cgo it finds that with pkg-config when a program is built. A program that is
built with CGO_ENABLED=0 opens it when it runs: the file that the environment variable SUBPY_LIBRARY names, or
libsubpy.so.0 or libsubpy.so beside the program or where the dynamic loader looks. The API is the same. When a program
runs, it needs a CPython 3.14.1 or newer as well: see [Init] for how one is chosen.

# Values

Values are copies. What goes into Python, and what [Interpreter.Call] and [Interpreter.Eval] return for it:

	Python             from Go                                     to Go
	None               nil, nil pointers                           nil
	bool               bool                                        bool
	int                all integer types, *big.Int                 int64; *big.Int when it needs more bits
	float              float32, float64                            float64
	str                string                                      string
	bytes              []byte, [n]byte                             []byte
	list               slices                                      []any
	tuple              Tuple, arrays                               Tuple
	dict               maps, structs, Dict                         map[string]any when all keys are str, else
	                                                               map[any]any, or Dict when a Go map cannot
	                                                               hold a key or find it again

Pointers and interfaces stand for what is behind them. A nil slice is an empty list, a nil map an empty dict. The order of
a Go map is unspecified; a [Dict] keeps its own. Types that are defined by a program count as what they are made of.
A complex number is a complex, a map[T]struct{} a set, a time.Time a datetime, and a [Tagged] one of some more types, see
[WithTaggedValues]. Anything else, such as a channel, is a [ConversionError], and nothing runs.

What is not copied is an [Object], which stays in Python, a [Buffer], which is memory that Go and Python share, or a [Queue].
They are arguments, and results of runs whose type of result they are, or are in.

A struct becomes a dict of its exported fields. A tag gives a field another name, leaves it out when it is empty (false,
0, nil, or of length 0), or leaves it out always:

	type Person struct {
		Name  string   `subpy:"name"`
		Email string   `subpy:"email,omitempty"`
		Tags  []string `subpy:",omitempty"`
		cache []byte   // not exported
		Notes string   `subpy:"-"`
	}

The fields of an embedded struct count as fields of the outer one, unless a tag gives it a name.

[CallAs], [EvalAs] and [JoinAs] return a result as any type that has a place in the table. They are strict: what does not
fit is a ConversionError that names the place, such as "result['sizes'][2]: 300 does not fit a Go int8". A list goes into a
slice or, when the lengths agree, an array; so does a tuple, which also goes into a Tuple. None goes into pointers, slices
and maps. An int goes into a float when the float is equal to it; a float never goes into an int. A dict goes into a
struct by the names of its keys; keys without a field are ignored.

Values may be nested 1,000 levels deep, in both directions. [Ordered] is a type of result that keeps the order of all
dicts. A value of a kind that a newer library has and this package does not know is a ConversionError, too.

# Errors

Every error of the library wraps a [Status], for errors.Is. Uncaught Python exceptions are an [*ExecutionFailedError] and
source that does not compile is a [*SyntaxError], for errors.As. All are copies: an interpreter may be closed meanwhile.

# Goroutines

Everything may be called by any goroutine at any time, and no goroutine has to stay on its OS thread; one that wants to
stay in an interpreter uses [Interpreter.Session]. A run happens on the thread that the goroutine is on, which it
occupies as long as it lasts, as every call of C does. So does a run that waits for its interpreter, see [BusyWait]: a
program with many goroutines and few interpreters had better have a [Pool], for which goroutines wait in Go, than keep
thousands of threads, of which Go allows 10,000.

# Contexts

Functions whose names end with Context take a context, as in database/sql: when that is done Python code is interrupted. They
return when it has ended. See [Interpreter.ExecContext]. Those without do not watch anything.

Two things about a run go by its context as well: [ContextWithTimeLimit] and [ContextWithOutput].

# Go functions

[Interpreter.Define] makes a Go function callable from Python. Its errors and panics become exceptions there, and errors.Is and
errors.As find them again in the error of a run that such an exception ends.
*/
package subpy
