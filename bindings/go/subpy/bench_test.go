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
