package subpy

import "testing"

// Of several fields with one name the one that is embedded least deeply counts, wherever it stands, as in encoding/json.
func TestFieldsWithOneName(t *testing.T) {
	type first struct {
		X int `subpy:"n"`
	}
	type second struct {
		Y int `subpy:"n"`
	}
	type outer struct {
		first
		second
		Z int `subpy:"n,"`
	}
	type outerFirst struct {
		Z int `subpy:"n"`
		first
		second
	}
	interp := create(t, "")
	for _, arg := range []any{outer{Z: 5}, outerFirst{Z: 5}} {
		got, err := CallAs[string](interp, "builtins:repr", arg)
		if err != nil || got != "{'n': 5}" {
			t.Errorf("%T: got %q, %v", arg, got, err)
		}
	}
	_, err := interp.Call("builtins:repr", struct {
		first
		second
	}{})
	if err == nil {
		t.Error("two fields of one name at the same depth are fine")
	}
}
