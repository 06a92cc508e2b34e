package subpy

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// conformanceSkipped are the cases that Go cannot express, with the reason.
var conformanceSkipped = map[string]string{
	"a row with an argument that is wrong": "an int is a number in Go, never text",
}

// A conformanceCase is a row of conformance/cases.json; conformance/README.md says what its members are.
type conformanceCase struct {
	Name       string
	Setup      string
	Do         string
	Text       string
	Args       []json.RawMessage
	Kwargs     [][2]json.RawMessage
	Filename   string
	KeepIndent bool            `json:"keep_indent"`
	Result     json.RawMessage // nil when it is absent, "null" for None
	Error      map[string]json.RawMessage

	// Of the cases with limits, and of those whose output is captured.
	InterpTimeout int64   `json:"interp_timeout_ms"`
	Timeout       int64   `json:"timeout_ms"`
	Cancel        *int64  `json:"cancel_ms"`
	Output        string  `json:"output"`
	Stdout        *string `json:"stdout"`
	Stderr        *string `json:"stderr"`
	StdoutLength  *int    `json:"stdout_length"`
	NoStdin       bool    `json:"no_stdin"`
}

// A manyCase is a row of the other table in it, for calls of many rows.
type manyCase struct {
	Name     string
	Setup    string
	Text     string
	Rows     [][]json.RawMessage
	Outcomes []struct {
		Result json.RawMessage
		Error  map[string]json.RawMessage
	}
	Ends map[string]json.RawMessage
}

func TestConformance(t *testing.T) {
	const path = "../../../conformance/cases.json"
	data, err := os.ReadFile(path)
	if err != nil {
		skipOutside(t, path)
	}
	var table struct {
		Cases, Host, Limits, Output []conformanceCase
		Many                        []manyCase
		Data                        []dataCase
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&table); err != nil {
		t.Fatal(err)
	}
	if len(table.Cases) == 0 || len(table.Many) == 0 || len(table.Host) == 0 || len(table.Limits) == 0 || len(table.Output) == 0 ||
		len(table.Data) == 0 {
		t.Fatal("there are no cases")
	}
	count, names := 0, map[string]bool{}
	run := func(name string, ways []string, run func(t *testing.T, way string) string) {
		if names[name] {
			t.Errorf("two cases are named %q", name)
		}
		names[name] = true
		if reason, ok := conformanceSkipped[name]; ok {
			fmt.Printf("skipped: conformance in Go: %s: %s\n", name, reason)
			return
		}
		count++
		for _, way := range ways {
			if problem := run(t, way); problem != "" {
				t.Errorf("%s (%s): %s", name, way, problem)
			}
		}
	}
	for _, c := range table.Cases {
		run(c.Name, c.ways(), c.run)
	}
	for _, c := range table.Host {
		run(c.Name, c.ways(), c.runHost)
	}
	for _, c := range table.Limits {
		run(c.Name, c.ways(), c.run)
	}
	for _, c := range table.Output {
		run(c.Name, c.ways(), c.runOutput)
	}
	for _, c := range table.Many {
		run(c.Name, []string{untilOneFails, errorsCollected}, c.run)
	}
	for _, c := range table.Data {
		run(c.Name, c.ways(), c.run)
	}
	for name := range conformanceSkipped {
		if !names[name] {
			t.Errorf("no case is named %q", name)
		}
	}
	where := ""
	if inProcesses() {
		where = ", in processes"
	}
	fmt.Printf("conformance: %d cases in Go (%s)%s\n", count, mode, where)
}

// inProcesses tells that the interpreters are to have processes of their own: the table is the same for them.
func inProcesses() bool {
	return os.Getenv("SUBPY_CONFORMANCE_PROCESS") != ""
}

func createForTable(t *testing.T, code string, options ...Option) *Interpreter {
	t.Helper()
	if inProcesses() {
		options = append(options, WithProcess(), WithGrace(5*time.Second))
	}
	return create(t, code, options...)
}

func (c *conformanceCase) ways() []string {
	if c.Do == "call" {
		return []string{"by name", "prepared", "on a thread", "in a session"}
	}
	return []string{c.Do}
}

// run returns what is wrong, "" for nothing.
func (c *conformanceCase) run(t *testing.T, way string) string {
	var options []Option
	if c.InterpTimeout != 0 {
		options = append(options, WithTimeLimit(time.Duration(c.InterpTimeout)*time.Millisecond))
	}
	interp := createForTable(t, c.Setup, options...)
	defer interp.Close()
	return c.wrong(interp, way, nil)
}

// runHost is run where the host functions of the table are.
func (c *conformanceCase) runHost(t *testing.T, way string) string {
	interp := createForTable(t, "")
	defer interp.Close()
	for name, fn := range map[string]any{
		"echo":      func(v Ordered, _ ...any) Ordered { return v },
		"arguments": func(c *Call, args ...Ordered) (any, Dict) { return args, c.Kwargs },
		"nothing":   func() {},
		"fail":      Raise,
		"again":     func(c *Call, expression string) (any, error) { return c.Interpreter().Eval(expression) },
	} {
		check(interp.Define("host:"+name, fn))
	}
	check(interp.Exec(c.Setup))
	return c.wrong(interp, way, nil)
}

// runOutput is run that looks at what the code prints.
func (c *conformanceCase) runOutput(t *testing.T, way string) string {
	var stdout, stderr strings.Builder
	var options []Option
	if c.NoStdin {
		options = append(options, WithNoStdin())
	}
	var run *outputs
	if c.Output == "run" {
		run = &outputs{&stdout, &stderr}
	} else {
		options = append(options, WithOutput(&stdout, &stderr))
	}
	interp := createForTable(t, c.Setup, options...)
	defer interp.Close()
	problem := c.wrong(interp, way, run)
	if c.Stdout != nil && stdout.String() != *c.Stdout || c.Stderr != nil && stderr.String() != *c.Stderr ||
		c.StdoutLength != nil && utf8.RuneCountInString(stdout.String()) != *c.StdoutLength {
		problem += fmt.Sprintf(" it printed %.200q, and to stderr %.200q", stdout.String(), stderr.String())
	}
	return problem
}

// wrong makes the run and compares what comes out.
func (c *conformanceCase) wrong(interp *Interpreter, way string, output *outputs) string {
	var result any
	var err error
	if c.Timeout != 0 || c.Cancel != nil || output != nil {
		result, err = c.outcomeWith(interp, way, output)
	} else {
		result, err = c.outcome(interp, way)
	}
	switch {
	case c.Error != nil:
		return wrongError(err, c.Error)
	case err != nil:
		return err.Error()
	case c.Result != nil:
		if want := conformanceValue(c.Result); !sameValue(result, want) {
			return fmt.Sprintf("got %#v, want %#v", result, want)
		}
	}
	return ""
}

// outcomeWith is outcome of a run with a context. None has arguments.
func (c *conformanceCase) outcomeWith(interp *Interpreter, way string, output *outputs) (any, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.Cancel != nil && *c.Cancel == 0 {
		cancel()
	} else if c.Cancel != nil {
		defer time.AfterFunc(time.Duration(*c.Cancel)*time.Millisecond, cancel).Stop()
	}
	if c.Timeout != 0 {
		ctx = ContextWithTimeLimit(ctx, time.Duration(c.Timeout)*time.Millisecond)
	}
	if output != nil {
		ctx = ContextWithOutput(ctx, output.stdout, output.stderr)
	}
	var result Ordered
	var err error
	switch way {
	case "exec":
		err = interp.ExecContext(ctx, c.Text)
	case "eval":
		result, err = EvalAsContext[Ordered](ctx, interp, c.Text)
	case "by name":
		result, err = CallAsContext[Ordered](ctx, interp, c.Text)
	case "prepared":
		result, err = CallFunctionAsContext[Ordered](ctx, must(interp.Function(c.Text)))
	case "on a thread":
		var thread *Thread
		if thread, err = interp.CallInThreadContext(ctx, c.Text); err == nil {
			result, err = JoinAs[Ordered](thread)
		}
	case "in a session":
		err = interp.Session(func() (err error) {
			result, err = CallAsContext[Ordered](ctx, interp, c.Text)
			return err
		})
	default:
		err = fmt.Errorf("the table says %q", c.Do)
	}
	return result.Value, err
}

func (c *conformanceCase) outcome(interp *Interpreter, way string) (any, error) {
	var options []RunOption
	if c.Filename != "" {
		options = append(options, WithFilename(c.Filename))
	}
	if c.KeepIndent {
		options = append(options, WithKeepIndent())
	}
	var args []any
	for _, arg := range c.Args {
		args = append(args, conformanceValue(arg))
	}
	var kwargs OrderedKwargs
	names := map[string]any{}
	for _, pair := range c.Kwargs {
		name := conformanceValue(pair[0]).(string)
		names[name] = conformanceValue(pair[1])
		kwargs = append(kwargs, Pair{name, names[name]})
	}
	if kwargs != nil {
		args = append(args, kwargs)
	}
	var result Ordered
	var err error
	switch way {
	case "exec":
		err = interp.Exec(c.Text, options...)
	case "eval":
		result, err = EvalAs[Ordered](interp, c.Text, options...)
	case "prepare_main":
		if err = interp.PrepareMain(names); err == nil {
			result, err = EvalAs[Ordered](interp, c.Text)
		}
	case "by name":
		result, err = CallAs[Ordered](interp, c.Text, args...)
	case "prepared":
		var fn *Function
		if fn, err = interp.Function(c.Text); err == nil {
			result, err = CallFunctionAs[Ordered](fn, args...)
		}
	case "on a thread":
		var thread *Thread
		if thread, err = interp.CallInThread(c.Text, args...); err == nil {
			result, err = JoinAs[Ordered](thread)
		}
	case "in a session":
		err = interp.Session(func() (err error) {
			result, err = CallAs[Ordered](interp, c.Text, args...)
			return err
		})
	default:
		err = fmt.Errorf("the table says %q", c.Do)
	}
	return result.Value, err
}

// The ways of a manyCase.
const (
	untilOneFails   = "until one fails"
	errorsCollected = "errors collected"
)

// run returns what is wrong, "" for nothing.
func (c *manyCase) run(t *testing.T, way string) string {
	interp := createForTable(t, c.Setup)
	defer interp.Close()
	fn := function(t, interp, c.Text)
	rows := [][]any{}
	for _, row := range c.Rows {
		rows = append(rows, conformanceItems(row))
	}
	ends := c.Ends
	for i, outcome := range c.Outcomes {
		if outcome.Error != nil {
			outcome.Error["row"] = json.RawMessage(strconv.Itoa(i))
			if ends == nil && way == untilOneFails {
				ends = outcome.Error
			}
		}
	}
	var outcomes []Outcome[Ordered]
	var err error
	if way == errorsCollected {
		outcomes, err = CallEachAs[Ordered](fn, rows)
	} else {
		var results []Ordered
		results, err = CallManyAs[Ordered](fn, rows)
		for _, result := range results {
			outcomes = append(outcomes, Outcome[Ordered]{Value: result})
		}
	}
	if ends != nil {
		if _, hasRow := errorMembers(err)["row"]; hasRow && ends["row"] == nil {
			return fmt.Sprintf("it says a row: %v", err)
		}
		return wrongError(err, ends)
	}
	if err != nil {
		return err.Error()
	}
	if len(outcomes) != len(c.Outcomes) {
		return fmt.Sprintf("there are %d outcomes", len(outcomes))
	}
	var wrong []string
	for i, want := range c.Outcomes {
		problem, got := "", outcomes[i]
		switch {
		case want.Error != nil:
			problem = wrongError(got.Err, want.Error)
		case got.Err != nil:
			problem = got.Err.Error()
		case !sameValue(got.Value.Value, conformanceValue(want.Result)):
			problem = fmt.Sprintf("got %#v, want %s", got.Value.Value, want.Result)
		}
		if problem != "" {
			wrong = append(wrong, fmt.Sprintf("row %d: %s", i, problem))
		}
	}
	return strings.Join(wrong, "\n")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func conformanceValue(from json.RawMessage) any {
	switch from[0] {
	case 'n':
		return nil
	case 't', 'f':
		return from[0] == 't'
	case '"':
		var text string
		check(json.Unmarshal(from, &text))
		return text
	}
	var object struct {
		Int, Bigint, Float, Bytes *string
		Tuple, List               []json.RawMessage
		Dict                      [][2]json.RawMessage
		Tag                       string
		Value                     json.RawMessage
		Buffer                    *bufferCase
		Object                    *objectCase
	}
	check(json.Unmarshal(from, &object))
	switch {
	case object.Int != nil:
		return must(strconv.ParseInt(*object.Int, 10, 64))
	case object.Bigint != nil:
		return bigOf(*object.Bigint)
	case object.Float != nil:
		return math.Float64frombits(must(strconv.ParseUint(*object.Float, 16, 64)))
	case object.Bytes != nil:
		return must(hex.DecodeString(*object.Bytes))
	case object.Tuple != nil:
		return Tuple(conformanceItems(object.Tuple))
	case object.List != nil:
		return conformanceItems(object.List)
	case object.Buffer != nil:
		return *object.Buffer
	case object.Object != nil:
		return *object.Object
	case object.Tag != "":
		tagged := Tagged{tagName(object.Tag), conformanceValue(object.Value)}
		if tagged.Tag == TagComplex {
			parts := tagged.Value.(Tuple)
			return complex(parts[0].(float64), parts[1].(float64))
		}
		return tagged
	case object.Dict != nil:
		dict := Dict{}
		for _, pair := range object.Dict {
			dict = append(dict, Pair{conformanceValue(pair[0]), conformanceValue(pair[1])})
		}
		return dict
	default:
		panic(fmt.Sprintf("%s is no value", from))
	}
}

func conformanceItems(from []json.RawMessage) []any {
	items := []any{}
	for _, item := range from {
		items = append(items, conformanceValue(item))
	}
	return items
}

// sameValue compares types, the bits of floats, and the order of dicts.
func sameValue(a, b any) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	sameItems := func(a, b []any) bool {
		for i := range min(len(a), len(b)) {
			if !sameValue(a[i], b[i]) {
				return false
			}
		}
		return len(a) == len(b)
	}
	switch a := a.(type) {
	case float64:
		return math.Float64bits(a) == math.Float64bits(b.(float64))
	case complex128:
		b := b.(complex128)
		return sameValue(real(a), real(b)) && sameValue(imag(a), imag(b))
	case Tagged:
		b := b.(Tagged)
		return a.Tag == b.Tag && sameValue(a.Value, b.Value)
	case bufferCase:
		b := b.(bufferCase)
		return a.Format == b.Format && a.Bytes == b.Bytes && slices.Equal(a.Shape, b.Shape)
	case *big.Int:
		return a.Cmp(b.(*big.Int)) == 0
	case []byte:
		return bytes.Equal(a, b.([]byte))
	case []any:
		return sameItems(a, b.([]any))
	case Tuple:
		return sameItems(a, b.(Tuple))
	case Dict:
		b := b.(Dict)
		for i := range min(len(a), len(b)) {
			if !sameValue(a[i].Key, b[i].Key) || !sameValue(a[i].Value, b[i].Value) {
				return false
			}
		}
		return len(a) == len(b)
	default:
		return a == b
	}
}

// wrongError compares each member that the table has, all as JSON.
func wrongError(err error, expected map[string]json.RawMessage) string {
	if err == nil {
		return "it succeeds"
	}
	got := errorMembers(err)
	var wrong []string
	for member, want := range expected {
		var wanted any
		check(json.Unmarshal(want, &wanted))
		there, ok := got[member]
		if !ok || !says(there, wanted) {
			wrong = append(wrong, fmt.Sprintf("%s: got %#v, want %s", member, there, want))
		}
	}
	if wrong != nil {
		return fmt.Sprintf("%v: %s", err, strings.Join(wrong, "; "))
	}
	return ""
}

// errorMembers are the members of an error that it has, by their names in the table.
func errorMembers(err error) map[string]any {
	var status Status
	errors.As(err, &status)
	members := map[string]any{"status": status.String()}
	var plain *Error
	var conversion *ConversionError
	var failed *ExecutionFailedError
	var syntax *SyntaxError
	exception := exceptionOf(err)
	switch {
	case errors.As(err, &plain):
		members["message"] = plain.Message
	case errors.As(err, &conversion):
		members["message"] = conversion.Path + ": " + conversion.Problem
	case errors.As(err, &failed):
		if status, ok := failed.ExitStatus(); ok {
			members["exit_status"] = float64(status)
		}
	case errors.As(err, &syntax):
		members["syntax"] = map[string]any{
			"line": float64(syntax.Line), "column": float64(syntax.Column), "text": syntax.Text,
		}
	}
	if failed, ok := err.(row); ok {
		if row, ok := failed.Row(); ok {
			members["row"] = float64(row)
		}
	}
	if exception != nil {
		members["message"] = exception.Error()
		members["type_name"] = exception.Type
		members["type_qualname"] = exception.Qualname
		members["type_module"] = exception.Module
		members["exception_message"] = exception.Message
		members["formatted"] = exception.Formatted
		members["display"] = exception.Display
		frames := []any{}
		for _, frame := range exception.Frames {
			frames = append(frames, map[string]any{
				"file": frame.File, "function": frame.Function, "source": frame.Source, "line": float64(frame.Line),
				"column": float64(frame.Column), "end_line": float64(frame.EndLine), "end_column": float64(frame.EndColumn),
			})
		}
		members["frames"] = frames
	}
	return members
}

// says tells whether something has all that is wanted; objects may have more.
func says(got, want any) bool {
	switch want := want.(type) {
	case string:
		return got == strings.ReplaceAll(want, "{python}", PythonVersion())
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return false
		}
		for i := range want {
			if !says(got[i], want[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		got, ok := got.(map[string]any)
		for name, wanted := range want {
			there, has := got[name]
			ok = ok && has && says(there, wanted)
		}
		return ok
	default:
		return got == want
	}
}

// The comparison of the runner itself sees differences.
func TestConformanceSeesDifferences(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{`{"int": "1"}`, `true`},
		{`{"int": "1"}`, `{"float": "3ff0000000000000"}`},
		{`{"float": "0000000000000000"}`, `{"float": "8000000000000000"}`},
		{`{"float": "7ff8000000000000"}`, `{"float": "7ff8000000000001"}`},
		{`"a"`, `{"bytes": "61"}`},
		{`{"tuple": []}`, `{"list": []}`},
		{`{"list": [null]}`, `{"list": []}`},
		{`{"tag": "set", "value": {"list": []}}`, `{"list": []}`},
		{`{"tag": "date", "value": "a"}`, `{"tag": "time", "value": "a"}`},
		{`{"tag": "complex", "value": {"tuple": [{"float": "0000000000000000"}, {"float": "0000000000000000"}]}}`,
			`{"tag": "complex", "value": {"tuple": [{"float": "0000000000000000"}, {"float": "8000000000000000"}]}}`},
		{`{"buffer": {"format": "B", "shape": [2], "bytes": "6162"}}`, `{"buffer": {"format": "B", "shape": [1, 2], "bytes": "6162"}}`},
		{`{"object": "a"}`, `"a"`},
		{`{"dict": [["a", null], ["b", null]]}`, `{"dict": [["b", null], ["a", null]]}`},
	} {
		a, b := conformanceValue(json.RawMessage(c.a)), conformanceValue(json.RawMessage(c.b))
		if sameValue(a, b) || !sameValue(a, a) || !sameValue(b, b) {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
	busy := map[string]json.RawMessage{"status": json.RawMessage(`"SUBPY_ERROR_BUSY"`)}
	if wrongError(ErrNotFound, busy) == "" || wrongError(nil, busy) == "" || wrongError(ErrBusy, busy) != "" {
		t.Error("a wrong status is not seen")
	}
	frames := []any{map[string]any{"file": "a", "line": 1.0}}
	if says(frames, []any{}) || says(frames, []any{map[string]any{"function": "f"}}) || !says(frames, []any{map[string]any{"line": 1.0}}) {
		t.Error("frames are not compared")
	}
}
