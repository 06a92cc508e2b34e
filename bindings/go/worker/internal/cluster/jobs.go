package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/subpy/subpy/bindings/go/worker/wire"
)

//go:embed functions.py
var functionsCode []byte

// A job is a request, and what its result has to be.
type job struct {
	request wire.Request
	content wire.Content
	want    want
}

// want is a value, as Go or JSON has it, or an error.
type want struct {
	value  any
	kind   string // of the error
	fails  string // its type
	reason string // its message
}

// Jobs are all jobs of one run: the same ones for the same seed and the same files.
type jobs struct {
	count int
	seed  uint64
	files []string
	found map[string]json.RawMessage // what the census of each file is, known when all results are there
}

// Shares of each kind of job, of 1,000.
const (
	shareCensus = 150
	shareDigest = 400
	sharePrimes = 250
	shareWords  = 185
	shareRefuse = 10
	shareCrash  = 2
)

// job makes the one of a number.
func (j *jobs) job(number int) job {
	random := rand.New(rand.NewPCG(j.seed, uint64(number)))
	made := j.make(random, number)
	name := made.request.Function[strings.LastIndexByte(made.request.Function, '.')+1:]
	made.request.Key = fmt.Sprintf("%s-%06d", name, number)
	made.request.Tries = 1
	return made
}

func (j *jobs) make(random *rand.Rand, number int) job {
	n := random.IntN(1000)
	next := func(share int) bool {
		n -= share
		return n < 0
	}
	call := func(function string, value any, args ...any) job {
		made := job{wire.Request{Function: function}, wire.JSON, want{value: value}}
		if len(args) > 0 {
			made.request.Args = args
		}
		return made
	}
	switch {
	case next(shareCensus) && len(j.files) > 0:
		file := j.files[random.IntN(len(j.files))]
		return call("census.census", j.found[file], map[string]string{"path": file, "name": file})
	case next(shareDigest):
		text, rounds := fmt.Sprintf("täxt %d", random.Uint64()), 1+random.IntN(2000)
		return call("functions.digest", digest(text, rounds), text, rounds)
	case next(sharePrimes):
		below := random.IntN(50_000)
		return call("functions.primes", primes(below), below)
	case next(shareWords):
		text, atLeast := someWords(random), 1+random.IntN(3)
		request := wire.Request{Function: "functions.words", Args: []any{text}, Kwargs: map[string]any{"at_least": atLeast}}
		return job{request, wire.MessagePack, want{value: countWords(text, atLeast)}}
	case next(shareRefuse):
		made := call("functions.refuse", nil, number)
		made.want = want{kind: wire.KindException, fails: "ValueError", reason: fmt.Sprintf("%d is refused", number)}
		return made
	case next(shareCrash):
		made := call("functions.crash", nil)
		made.want = want{kind: wire.KindCrashed}
		return made
	}
	seconds := longerThanAckWait.Seconds() * (0.5 + random.Float64())
	return call("functions.pause", seconds, seconds)
}

func digest(text string, rounds int) string {
	value := []byte(text)
	for range rounds {
		sum := sha256.Sum256(value)
		value = sum[:]
	}
	return hex.EncodeToString(value)
}

func primes(below int) int {
	composite := make([]bool, max(below, 2))
	count := 0
	for n := 2; n < below; n++ {
		if composite[n] {
			continue
		}
		count++
		for multiple := n * n; multiple < below; multiple += n {
			composite[multiple] = true
		}
	}
	return count
}

var vocabulary = strings.Fields("to be or not that is the question Größe Ωmega 日本 🐍 whether tis nobler in mind suffer")

func someWords(random *rand.Rand) string {
	text := make([]string, random.IntN(300))
	for i := range text {
		text[i] = vocabulary[random.IntN(len(vocabulary))]
	}
	return strings.Join(text, " ")
}

func countWords(text string, atLeast int) map[string]int {
	count := map[string]int{}
	for _, word := range strings.Fields(text) {
		count[word]++
	}
	for word, n := range count {
		if n < atLeast {
			delete(count, word)
		}
	}
	return count
}

// check says what is wrong with a result, if anything is.
func (w want) check(result *wire.Result) error {
	if w.kind == "" {
		if result.Error != nil {
			return fmt.Errorf("it is an error: %w", result.Error)
		}
		return same(w.value, result.Value)
	}
	if result.Error == nil {
		return fmt.Errorf("it has a value, and was to be an error of the kind %s", w.kind)
	}
	if e := result.Error; e.Kind != w.kind || w.fails != "" && (e.Type != w.fails || e.Message != w.reason) {
		return fmt.Errorf("it is the error %q, and was to be %s: %s: %s", e.Error(), w.kind, w.fails, w.reason)
	}
	return nil
}

// same compares by their form in JSON, in which maps are sorted.
func same(want, got any) error {
	a, err := canonical(want)
	if err != nil {
		return err
	}
	b, err := canonical(got)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return fmt.Errorf("the value is %.200s, and was to be %.200s", b, a)
	}
	return nil
}

func canonical(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var plain any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}
