package subpy

import (
	"errors"
	"testing"
)

func TestMemoryInfo(t *testing.T) {
	const limit = 100_000_000
	interp := create(t, "", WithMemoryLimit(limit))
	before, err := interp.Memory()
	if err != nil || before.Used == 0 || before.Limit != limit || before.Refused != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	err = interp.Exec("x = []\nwhile True: x.append(bytes(100000))")
	var failed *ExecutionFailedError
	if !errors.As(err, &failed) || failed.Type != "MemoryError" {
		t.Fatal(err)
	}
	after, err := interp.Memory()
	if err != nil || after.Refused == 0 || after.Peak < limit/2 || after.Peak > 2*limit {
		t.Errorf("%+v, %v", after, err)
	}
	check(interp.Exec("del x"))
	if _, err := interp.Eval("len(bytes(1000))"); err != nil {
		t.Error("after that:", err)
	}

	counted := create(t, "x = bytes(10_000_000)", WithCountMemory())
	if info, err := counted.Memory(); err != nil || info.Used < 10_000_000 || info.Limit != 0 {
		t.Errorf("%+v, %v", info, err)
	}
	_, err = create(t, "").Memory()
	wantStatus(t, "one that does not count", err, ErrWrongState)
	_, err = (*Interpreter)(nil).Memory()
	wantStatus(t, "nil", err, ErrNotFound)
}
