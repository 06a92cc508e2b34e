package subpy

// A TypedFunc is a Go function for [Interpreter.Define] whose types are known when the program is compiled: a call takes about
// half the time, because there is no reflection in it. [Func1] and its like make one.
type TypedFunc struct {
	fn   any
	call typedCall
}

// A typedCall is a call with as many arguments as the function has parameters.
type typedCall func(h *hostFunction, r *reply, args []value) error

// Func1 makes a function of one parameter a [TypedFunc]:
//
//	interp.Define("half", subpy.Func1(func(x float64) (float64, error) { return x / 2, nil }))
func Func1[A, R any](fn func(A) (R, error)) TypedFunc {
	return typed(fn, fn == nil, func(h *hostFunction, r *reply, args []value) error {
		var a A
		if err := decodeTo(&reading{}, &args[0], &a); err != nil {
			return h.badArgument(0, err)
		}
		result, err := fn(a)
		return answer(h, r, result, err)
	})
}

// Func2 is [Func1] of a function of two parameters.
func Func2[A, B, R any](fn func(A, B) (R, error)) TypedFunc {
	return typed(fn, fn == nil, func(h *hostFunction, r *reply, args []value) error {
		var a A
		var b B
		if err := decodeTo(&reading{}, &args[0], &a); err != nil {
			return h.badArgument(0, err)
		}
		if err := decodeTo(&reading{}, &args[1], &b); err != nil {
			return h.badArgument(1, err)
		}
		result, err := fn(a, b)
		return answer(h, r, result, err)
	})
}

// Func3 is [Func1] of a function of three parameters.
func Func3[A, B, C, R any](fn func(A, B, C) (R, error)) TypedFunc {
	return typed(fn, fn == nil, func(h *hostFunction, r *reply, args []value) error {
		var a A
		var b B
		var c C
		if err := decodeTo(&reading{}, &args[0], &a); err != nil {
			return h.badArgument(0, err)
		}
		if err := decodeTo(&reading{}, &args[1], &b); err != nil {
			return h.badArgument(1, err)
		}
		if err := decodeTo(&reading{}, &args[2], &c); err != nil {
			return h.badArgument(2, err)
		}
		result, err := fn(a, b, c)
		return answer(h, r, result, err)
	})
}

func typed(fn any, none bool, call typedCall) TypedFunc {
	if none {
		return TypedFunc{}
	}
	return TypedFunc{fn, call}
}

// answer writes what a function returned.
func answer[R any](h *hostFunction, r *reply, result R, err error) error {
	if err != nil {
		return err
	}
	switch result := any(&result).(type) {
	case *int:
		*r.value = intValue(int64(*result))
		return nil
	case *float64:
		*r.value = floatValue(*result)
		return nil
	case *bool:
		*r.value = boolValue(*result)
		return nil
	}
	if err := r.needsFrame(); err != nil {
		return err
	}
	return h.badResult(r.frame.encode(r.value, result, 0))
}
