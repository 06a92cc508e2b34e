package main

import (
	"encoding/json"
	"testing"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

func TestExpectations(t *testing.T) {
	for below, want := range map[int]int{0: 0, 2: 0, 3: 1, 10: 4, 100: 25, 50_000: 5133} {
		if got := primes(below); got != want {
			t.Errorf("%d primes below %d, want %d", got, below, want)
		}
	}
	if got := digest("a", 1); got != "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" {
		t.Errorf("the digest is %s", got)
	}
	if err := same(countWords("a b a", 2), json.RawMessage(`{"a": 2}`)); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	failed := &wire.Result{Status: wire.StatusError, Error: &wire.Error{Kind: wire.KindException, Type: "ValueError", Message: "1 is refused"}}
	done := &wire.Result{Status: wire.StatusOK, Value: json.RawMessage("7")}
	refused := want{kind: wire.KindException, fails: "ValueError", reason: "1 is refused"}
	for _, c := range []struct {
		want  want
		got   *wire.Result
		right bool
	}{
		{want{value: 7}, done, true},
		{want{value: 8}, done, false},
		{want{value: 7}, failed, false},
		{refused, failed, true},
		{refused, done, false},
		{want{kind: wire.KindCrashed}, failed, false},
	} {
		if err := c.want.check(c.got); (err == nil) != c.right {
			t.Errorf("%+v for %+v: got %v", c.want, c.got, err)
		}
	}
}

func TestJobsAreTheSameForASeed(t *testing.T) {
	a, b := &jobs{count: 500, seed: 7, files: []string{"x.py"}}, &jobs{count: 500, seed: 7, files: []string{"x.py"}}
	keys := map[string]bool{}
	for number := range a.count {
		first, second := a.job(number), b.job(number)
		x, err := first.request.Encode(first.content)
		if err != nil {
			t.Fatal(err)
		}
		y, _ := second.request.Encode(second.content)
		if string(x) != string(y) && first.content == wire.JSON {
			t.Errorf("%s and %s", x, y)
		}
		if first.request.Key != second.request.Key || keys[first.request.Key] {
			t.Errorf("the key %s", first.request.Key)
		}
		keys[first.request.Key] = true
	}
}
