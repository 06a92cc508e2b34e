package worker_test

import (
	"encoding/json"
	"testing"
)

type jsonText = json.RawMessage

const basic = `
def add(a, b=2):
    "Adds."
    print("adding", a, "and", b)
    return a + b
`

func TestAFunctionRuns(t *testing.T) {
	r := newRoom(t, "jobs.py", basic)
	r.start()
	key := r.submit(call("jobs.add", 1))
	result := r.result(key)
	if result.Error != nil || string(result.Value.(jsonText)) != "3" || result.Stdout != "adding 1 and 2\n" {
		t.Errorf("%+v", result)
	}
	r.until("the request is acknowledged", func() bool { return r.left() == 0 })
}
