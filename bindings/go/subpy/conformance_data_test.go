package subpy

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// A dataCase is a row of the table for objects, buffers, queues, pools, tags and memory.
type dataCase struct {
	conformanceCase
	TaggedValues bool              `json:"tagged_values"`
	MemoryLimit  uint64            `json:"memory_limit"`
	Flags        []string          `json:"flags"`
	Object       string            `json:"object"`
	ObjectIn     string            `json:"object_in"`
	Queue        []json.RawMessage `json:"queue"`
	QueueClosed  bool              `json:"queue_closed"`
	QueueAfter   []json.RawMessage `json:"queue_after"`
	Pool         bool              `json:"pool"`
}

// A bufferCase is a buffer of the table, an objectCase the text of an object.
type (
	bufferCase struct {
		Format string
		Shape  []int
		Bytes  string
	}
	objectCase string
)

func (c *dataCase) ways() []string {
	if c.Pool {
		return []string{c.Do}
	}
	return c.conformanceCase.ways()
}

// run returns what is wrong, "" for nothing.
func (c *dataCase) run(t *testing.T, way string) string {
	if c.Pool {
		return c.compare(c.inPool())
	}
	var options []Option
	if c.TaggedValues {
		options = append(options, WithTaggedValues())
	}
	if c.MemoryLimit != 0 {
		options = append(options, WithMemoryLimit(c.MemoryLimit))
	}
	interp := createForTable(t, c.Setup, options...)
	defer interp.Close()
	var args []any
	if c.Object != "" {
		of := interp
		if c.ObjectIn == "another" {
			of = createForTable(t, "")
			defer of.Close()
		}
		args = append(args, must(EvalAs[*Object](of, c.Object)))
	}
	var queue *Queue
	if c.Queue != nil {
		queue = must(NewQueue(0))
		defer queue.Free()
		for _, item := range c.Queue {
			check(queue.Put(conformanceValue(item)))
		}
		if c.QueueClosed {
			check(queue.Close())
		}
		args = append(args, queue)
	}
	if problem := c.compare(c.outcome(interp, way, append(args, c.arguments()...))); problem != "" {
		return problem
	}
	for i, item := range c.QueueAfter {
		if got, err := TryGetAs[Ordered](queue); err != nil || !sameValue(got.Value, conformanceValue(item)) {
			return fmt.Sprintf("item %d of the queue is %#v, %v", i, got.Value, err)
		}
	}
	if c.QueueAfter != nil && must(queue.Len()) != 0 {
		return "there is more in the queue"
	}
	return ""
}

func (c *dataCase) arguments() (args []any) {
	for _, arg := range c.Args {
		v := conformanceValue(arg)
		if b, ok := v.(bufferCase); ok {
			v = NewBuffer(must(hex.DecodeString(b.Bytes)), WithFormat(b.Format), WithShape(b.Shape...))
		}
		args = append(args, v)
	}
	if c.Kwargs != nil {
		var kwargs OrderedKwargs
		for _, pair := range c.Kwargs {
			kwargs = append(kwargs, Pair{conformanceValue(pair[0]), conformanceValue(pair[1])})
		}
		args = append(args, kwargs)
	}
	return args
}

func (c *dataCase) context() context.Context {
	ctx := context.Background()
	for _, flag := range c.Flags {
		switch flag {
		case "object":
			ctx = ContextWithResults(ctx, ResultObject)
		case "objects":
			ctx = ContextWithResults(ctx, ResultObjects)
		case "buffer":
			ctx = ContextWithResults(ctx, ResultBuffers)
		case "array":
			ctx = ContextWithResults(ctx, ResultArrays)
		case "async":
			ctx = ContextWithAsync(ctx)
		default:
			panic(flag)
		}
	}
	if c.Timeout != 0 {
		ctx = ContextWithTimeLimit(ctx, time.Duration(c.Timeout)*time.Millisecond)
	}
	return ctx
}

func (c *dataCase) outcome(interp *Interpreter, way string, args []any) (result Ordered, err error) {
	ctx := c.context()
	switch way {
	case "exec":
		err = interp.ExecContext(ctx, c.Text)
	case "eval":
		result, err = EvalAsContext[Ordered](ctx, interp, c.Text)
	case "by name":
		result, err = CallAsContext[Ordered](ctx, interp, c.Text, args...)
	case "prepared":
		result, err = CallFunctionAsContext[Ordered](ctx, must(interp.Function(c.Text)), args...)
	case "on a thread":
		var thread *Thread
		if thread, err = interp.CallInThreadContext(ctx, c.Text, args...); err == nil {
			result, err = JoinAs[Ordered](thread)
		}
	case "in a session":
		err = interp.Session(func() (err error) {
			result, err = CallAsContext[Ordered](ctx, interp, c.Text, args...)
			return err
		})
	default:
		err = fmt.Errorf("the table says %q", c.Do)
	}
	return result, err
}

func (c *dataCase) inPool() (result Ordered, err error) {
	options := PoolOptions{Workers: 1, Setup: c.Setup}
	if inProcesses() {
		options.Isolation = IsolationProcess
		options.Interpreter = []Option{WithGrace(5 * time.Second)}
	}
	pool := must(NewPool(options))
	switch c.Do {
	case "exec":
		err = pool.Exec(c.context(), c.Text)
	case "eval":
		result, err = EvalPoolAs[Ordered](c.context(), pool, c.Text)
	default:
		result, err = CallPoolAs[Ordered](c.context(), pool, c.Text, c.arguments()...)
	}
	check(pool.CloseWith(CloseOptions{Drain: true, Timeout: time.Minute}))
	return result, err
}

func (c *dataCase) compare(result Ordered, err error) string {
	switch {
	case c.Error != nil:
		return wrongError(err, c.Error)
	case err != nil:
		return err.Error()
	case c.Result != nil:
		if got, want := plain(result.Value), conformanceValue(c.Result); !sameValue(got, want) {
			return fmt.Sprintf("got %#v, want %#v", got, want)
		}
	}
	return ""
}

// plain is a result with what the table has for buffers and objects.
func plain(v any) any {
	items := func(items []any) []any {
		items = slices.Clone(items)
		for i := range items {
			items[i] = plain(items[i])
		}
		return items
	}
	switch v := v.(type) {
	case *Buffer:
		defer v.Close()
		return bufferCase{v.Format(), v.Shape(), hex.EncodeToString(v.Bytes())}
	case *Object:
		defer v.Free()
		return objectCase(must(v.Text()))
	case []any:
		return items(v)
	case Tuple:
		return Tuple(items(v))
	case Dict:
		v = slices.Clone(v)
		for i := range v {
			v[i] = Pair{plain(v[i].Key), plain(v[i].Value)}
		}
		return v
	}
	return v
}

// tagName is the tag with a name of the table.
func tagName(name string) Tag {
	for tag := TagSet; tag <= TagDataclass; tag++ {
		if tag.String() == name {
			return tag
		}
	}
	panic(name)
}
