package subpy

import (
	"fmt"
	"math/big"
	"reflect"
	"testing"
	"time"
)

// Types of Python that Go has a counterpart for when it is asked for.
func TestTaggedAs(t *testing.T) {
	interp := create(t, `
import dataclasses, datetime, decimal, uuid
@dataclasses.dataclass
class Point:
    x: int
    y: float
`, WithTaggedValues())
	type point struct {
		X int     `subpy:"x"`
		Y float64 `subpy:"y"`
	}
	zone := time.FixedZone("", 5*3600+30*60)
	for _, c := range []struct {
		got, want any
	}{
		{decoded[complex128](interp, "1.5-2j"), complex(1.5, -2)},
		{decoded[complex64](interp, "1j"), complex64(1i)},
		{decoded[map[int]struct{}](interp, "{1, 2}"), map[int]struct{}{1: {}, 2: {}}},
		{decoded[map[string]struct{}](interp, "frozenset('a')"), map[string]struct{}{"a": {}}},
		{decoded[[]int](interp, "{3}"), []int{3}},
		{decoded[point](interp, "Point(1, 2.5)"), point{1, 2.5}},
		{decoded[time.Duration](interp, "datetime.timedelta(-1, 1, 500)"), -24*time.Hour + time.Second + 500*time.Microsecond},
		{decoded[string](interp, "decimal.Decimal('1.50')"), "1.50"},
		{decoded[big.Rat](interp, "decimal.Decimal('1.50')"), *big.NewRat(3, 2)},
		{decoded[*big.Rat](interp, "decimal.Decimal('1.50')"), big.NewRat(3, 2)},
		{decoded[Tagged](interp, "datetime.date(2026, 2, 3)"), Tagged{TagDate, "2026-02-03"}},
		{decoded[map[any]any](interp, "{datetime.date(2026, 2, 3): 1}"), map[any]any{Tagged{TagDate, "2026-02-03"}: int64(1)}},
		{decoded[any](interp, "{datetime.date(2026, 2, 3): 1}"), map[any]any{Tagged{TagDate, "2026-02-03"}: int64(1)}},
		{decoded[any](interp, "{(1, 2j): 1}"), Dict{{Tuple{int64(1), 2i}, int64(1)}}},
		{decoded[[]any](interp, "[{1}, 1j]"), []any{Tagged{TagSet, []any{int64(1)}}, 1i}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("got %#v, want %#v", c.got, c.want)
		}
	}
	moment, err := EvalAs[time.Time](interp, "datetime.datetime(2026, 2, 3, 4, 5, 6, 7, datetime.timezone(datetime.timedelta(hours=5.5)))")
	if want := time.Date(2026, 2, 3, 4, 5, 6, 7000, zone); err != nil || !moment.Equal(want) || moment.Format(time.RFC3339) != want.Format(time.RFC3339) {
		t.Errorf("got %v, %v", moment, err)
	}
	for _, c := range []struct {
		got  any
		want string
	}{
		{decoded[time.Time](interp, "datetime.datetime(2026, 2, 3)"), "cannot parse"},
		{decoded[time.Time](interp, "datetime.date(2026, 2, 3)"), "cannot parse"},
		{decoded[time.Duration](interp, "datetime.timedelta.max"), "does not fit a Go time.Duration"},
		{decoded[complex64](interp, "1e300j"), "does not fit a Go complex64"},
		{decoded[complex128](interp, "1.5"), "a Python float does not go into a Go complex128"},
		{decoded[map[int8]struct{}](interp, "{300}"), "result[0]: 300 does not fit a Go int8"},
		{decoded[map[any]struct{}](interp, "{(1,)}"), "cannot be a key of a Go map"},
		{decoded[map[float32]struct{}](interp, "{0.1, 0.10000000149011612}"), "another item is the same Go float32"},
	} {
		err, _ := c.got.(error)
		wantMessage(t, c.want, err, c.want)
	}
}

// What goes into Python with a tag, in an interpreter that returns none.
func TestTaggedArguments(t *testing.T) {
	interp := create(t, "def show(x): return f'{type(x).__name__} {x}'")
	zone := time.FixedZone("", -3600-90)
	for _, c := range []struct {
		from any
		want string
	}{
		{complex(1, -2), "complex (1-2j)"},
		{complex64(2i), "complex 2j"},
		{map[int]struct{}{7: {}}, "set {7}"},
		{[]any{map[string]struct{}{}}, "list [set()]"},
		{Tagged{TagFrozenSet, Tuple{1}}, "frozenset frozenset({1})"},
		{Tagged{TagDecimal, "1.50"}, "Decimal 1.50"},
		{&Tagged{TagDate, "2026-02-03"}, "date 2026-02-03"},
		{time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC), "datetime 2026-02-03 04:05:06.000007+00:00"},
		{time.Date(2026, 2, 3, 4, 5, 6, 0, zone), "datetime 2026-02-03 04:05:06-01:01:30"},
		{[]time.Time{time.Unix(0, 0).UTC()}, "list [datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)]"},
		{struct{ When time.Time }{time.Unix(0, 0).UTC()}, "dict {'When': datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)}"},
	} {
		if got, err := CallAs[string](interp, "show", c.from); got != c.want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
	for _, c := range []struct {
		from any
		want string
	}{
		{time.Unix(0, 1), "args[0]: a datetime has microseconds"},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), "args[0]: a datetime cannot be in the year 10000"},
		{Tagged{TagSet, make(chan int)}, "args[0]: chan int cannot be passed"},
	} {
		_, err := interp.Call("show", c.from)
		wantMessage(t, c.want, err, c.want)
	}
	if _, err := interp.Call("show", Tagged{200, 1}); err == nil {
		t.Error("an unknown tag is accepted")
	}
}

func TestTaggedText(t *testing.T) {
	if got := fmt.Sprint(Tagged{TagSet, []any{1, "a"}}, TagUUID, Tag(99)); got != `set [1, "a"] uuid Tag(99)` {
		t.Error(got)
	}
}
