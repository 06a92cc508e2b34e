package subpy

import (
	"errors"
	"runtime"
)

// Session calls fn while the goroutine stays in the interpreter, on one OS thread. What fn itself runs there is cheaper
// than elsewhere, and what Python keeps for a thread (threading.local, contextvars, the decimal context) lasts from run to
// run instead of being new in each:
//
//	err := interp.Session(func() error {
//		for _, row := range rows {
//			if _, err := add.Call(row); err != nil {
//				return err
//			}
//		}
//		return nil
//	})
//
// Other goroutines, those that fn starts among them, run in the interpreter as ever: a session does not lock it. Sessions
// nest, also in several interpreters. Until fn returns, [Interpreter.Close] and [Shutdown] are [ErrBusy].
//
// Session returns the error of fn, or its own when the session could not begin, and fn was not called, or end.
func (in *Interpreter) Session(fn func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := ask(in, (*frame).enter); err != nil {
		return err
	}
	defer func() {
		if _, failed := ask(in, (*frame).leave); failed != nil {
			err = errors.Join(err, failed)
		}
	}()
	return fn()
}
