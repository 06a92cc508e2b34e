package subpy

import (
	"runtime"
	"unsafe"
)

// The constant of subpy.h.
const returnErrors = 1

// CallMany calls the function with one row of arguments after the other and returns what it returns for each. That is one
// crossing for all of them, and takes a fraction of the time of as many calls. Rows have no keyword arguments, and are of one
// length.
//
// The first row that fails ends the call, and the results so far are dropped: see [Exception.Row] and [Error.Row]. Nothing
// runs when a row cannot be passed to Python.
func (fn *Function) CallMany(rows [][]any) ([]any, error) {
	return CallManyAs[any](fn, rows)
}

// CallManyAs is [Function.CallMany] with results of type T, and rows of any type:
//
//	sums, err := subpy.CallManyAs[int](add, [][]int{{1, 2}, {3, 4}})
func CallManyAs[T, A any](fn *Function, rows [][]A) ([]T, error) {
	return callMany(fn, rows, 0, func(f *frame) ([]T, error) {
		results := make([]T, len(rows))
		if f.ignore {
			return results, nil
		}
		r := reading{root: &f.result}
		for i, items := 0, f.result.items(); i < len(items); i++ {
			if err := decodeTo(&r, &items[i], &results[i]); err != nil {
				r.finish(f, err)
				return nil, err.at(i).of("results", false)
			}
		}
		if r.special() {
			r.finish(f, nil)
		}
		return results, nil
	}, isIgnored[T]())
}

// Outcome is what became of one row of [Function.CallEach]: its result, or its error.
type Outcome[T any] struct {
	Value T
	Err   error
}

// CallEach is [Function.CallMany] that goes on after a row that fails, which has an error for its outcome. Only an
// exception that Python's "except Exception" does not catch, such as SystemExit and KeyboardInterrupt, ends the call: there
// are no outcomes then.
func (fn *Function) CallEach(rows [][]any) ([]Outcome[any], error) {
	return CallEachAs[any](fn, rows)
}

// CallEachAs is [Function.CallEach] with results of type T, and rows of any type. The outcome of a result that
// is no T is a [ConversionError]. Results are converted also when T is [Ignored].
func CallEachAs[T, A any](fn *Function, rows [][]A) ([]Outcome[T], error) {
	return callMany(fn, rows, returnErrors, func(f *frame) ([]Outcome[T], error) {
		outcomes := make([]Outcome[T], len(rows))
		var fields *errorFields
		r := reading{root: &f.result}
		for i, items := 0, f.result.items(); i < len(items); i++ {
			outcome, item := &outcomes[i], &items[i]
			if item.kind != kindError {
				if err := decodeTo(&r, item, &outcome.Value); err != nil {
					outcome.Err = err.at(i).of("results", false)
				}
				continue
			}
			if fields == nil {
				if fields = at[errorFields](place(f, errorFields{})); fields == nil {
					return nil, ErrNoMemory
				}
			}
			outcome.Err = newError(uintptr(item.data), fields)
		}
		if fields != nil {
			r.handles = true // its errors may be large, and do not count as its size
		}
		if r.special() {
			r.finish(f, nil)
		}
		return outcomes, nil
	}, false)
}

func callMany[R, A any](fn *Function, rows [][]A, flags uint32, read func(f *frame) ([]R, error), ignore bool) (results []R, err error) {
	in, handle := fn.parts()
	f, err := newFrame(in)
	if err != nil {
		return nil, err
	}
	if err = encodeRows(f, rows); err == nil {
		f.ignore = ignore
		f.callMany(handle, len(rows), flags)
		f.passed(f.status)
		if err = f.outcome(); err == nil {
			results, err = read(f)
		}
	}
	f.release(in)
	runtime.KeepAlive(rows)
	runtime.KeepAlive(fn)
	return results, err
}

// encodeRows writes the arguments of all rows into the frame, as one array.
func encodeRows[A any](f *frame, rows [][]A) error {
	f.args, f.nargs, f.kwargs = 0, 0, value{}
	if len(rows) == 0 {
		return nil
	}
	width := len(rows[0])
	if width > 0 && len(rows) > int(largestArg/valueSize)/width {
		return errTooLarge().of("rows", true)
	}
	count := len(rows) * width
	memory := f.alloc(uintptr(count) * valueSize)
	if memory == nil {
		return errTooLarge().of("rows", true)
	}
	f.args, f.nargs = uintptr(memory), uintptr(width)
	values := unsafe.Slice((*value)(memory), count)
	for i, row := range rows {
		if len(row) != width {
			return conversionError("its length is %d, that of rows[0] is %d", len(row), width).at(i).of("rows", true)
		}
		for j := range row {
			if err := f.encode(&values[j], row[j], 0); err != nil {
				return inRow(err, row[j]).at(j).at(i).of("rows", true)
			}
		}
		values = values[width:]
	}
	return nil
}

// inRow says of keyword arguments what is wrong with them here.
func inRow(err *ConversionError, argument any) *ConversionError {
	switch argument.(type) {
	case Kwargs, OrderedKwargs:
		return conversionError("rows have no keyword arguments")
	}
	return err
}
