package subpy

import "testing"

func BenchmarkCall(b *testing.B) {
	interp := create(b, "def nothing(): pass\ndef add(a, b): return a + b\ndef upper(text): return text.upper()\ndef numbers(v): return v")
	add, err := interp.Function("add")
	if err != nil {
		b.Fatal(err)
	}
	list := make([]int, 1000)
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"nothing", func() error { _, err := CallAs[any](interp, "nothing"); return err }},
		{"ints", func() error { _, err := CallAs[int](interp, "add", 1000, 2000); return err }},
		{"function", func() error { _, err := CallFunctionAs[int](add, 1000, 2000); return err }},
		{"text", func() error { _, err := CallAs[string](interp, "upper", "to be or not to be"); return err }},
		{"list", func() error { _, err := CallAs[[]int](interp, "numbers", list); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	rows := make([][]int, 100)
	for i := range rows {
		rows[i] = []int{i, 2000}
	}
	b.Run("100 rows", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := CallManyAs[int](add, rows); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		err := interp.Session(func() error {
			for b.Loop() {
				if _, err := CallFunctionAs[int](add, 1000, 2000); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkData(b *testing.B) {
	interp := create(b, "def same(v): return v\nmega = bytes(1 << 20)\nnumbers = [x / 3 for x in range(100_000)]")
	mega := make([]byte, 1<<20)
	buffer := NewBuffer(mega)
	queue := must(NewQueue(0))
	pool := newPool(b, PoolOptions{Setup: "def nothing(): pass"})
	object := must(interp.Function("same"))
	for _, c := range []struct {
		name string
		call func() error
	}{
		{"bytes in", func() error { _, err := CallAs[int](interp, "builtins:len", mega); return err }},
		{"buffer in", func() error { _, err := CallAs[int](interp, "builtins:len", buffer); return err }},
		{"list of 100000", func() error { _, err := EvalAs[[]float64](interp, "numbers"); return err }},
		{"Array of 100000", func() error { _, err := EvalAs[Array[float64]](interp, "numbers"); return err }},
		{"put and get", func() error { check(queue.Put(1)); _, err := GetAs[int](queue); return err }},
		{"task", func() error { _, err := pool.Call(b.Context(), "nothing"); return err }},
		{"call", func() error { _, err := CallFunctionAs[any](object, 1); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("tasks of many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(50)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := pool.Call(b.Context(), "nothing"); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("map of 1000", func(b *testing.B) {
		rows := make([][]int, 1000)
		for b.Loop() {
			for _, err := range MapPoolAs[any](b.Context(), pool, "nothing", rows, 10) {
				check(err)
			}
		}
	})
}
