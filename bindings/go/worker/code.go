package worker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
	"github.com/subpy/subpy/bindings/go/worker/wire"
)

//go:embed subpy_worker.py
var harness string

const harnessFile = "<subpy_worker>"

// A code is the Python code as it was at one time: interpreters that have imported it, and what it serves.
type code struct {
	pool      *subpy.Pool
	functions []wire.Function
	served    map[string]bool

	lock  sync.Mutex
	users int
	old   bool
	gone  bool          // it is old and has no users
	idle  chan struct{} // closed when that is so and its interpreters are closed
}

// load imports the code in new interpreters.
func (o *Options) load(maxResult int) (*code, error) {
	options := []subpy.Option{subpy.WithPath(o.Code), subpy.WithNoStdin()}
	if o.Memory > 0 {
		options = append(options, subpy.WithMemoryLimit(o.Memory))
	}
	if o.Venv != "" {
		options = append(options, subpy.WithVenv(o.Venv))
	}
	pool, err := subpy.NewPool(subpy.PoolOptions{Workers: o.Parallel, Interpreter: options, Isolation: o.Isolation,
		Setup: setup(o.Serve, maxResult)})
	if err != nil {
		return nil, explainLoad(o, err)
	}
	c := &code{pool: pool, served: map[string]bool{}, idle: make(chan struct{})}
	rows, err := subpy.CallPoolAs[[][]string](context.Background(), pool, "subpy_worker:_list")
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("no function is defined in %s: those are served whose names do not begin with an underscore",
			strings.Join(o.Serve, ", "))
	}
	if err != nil {
		c.close()
		return nil, err
	}
	for _, row := range rows {
		c.functions = append(c.functions, wire.Function{Name: row[0], Signature: row[1], Doc: row[2]})
		c.served[row[0]] = true
	}
	return c, nil
}

// setup is what each interpreter begins with.
func setup(modules []string, maxResult int) string {
	quoted := make([]string, len(modules))
	for i, name := range modules {
		quoted[i] = strconv.QuoteToASCII(name)
	}
	return fmt.Sprintf(`def load():
    import sys, types
    module = sys.modules["subpy_worker"] = types.ModuleType("subpy_worker")
    exec(compile(%s, %q, "exec"), vars(module))
    module._serve([%s], %d)
load()
del load
`, strconv.QuoteToASCII(harness), harnessFile, strings.Join(quoted, ", "), maxResult)
}

func explainLoad(o *Options, err error) error {
	names := strings.Join(o.Serve, ", ")
	var exception *subpy.ExecutionFailedError
	var syntax *subpy.SyntaxError
	switch {
	case errors.As(err, &exception) && notLoaded(&exception.Exception):
		return fmt.Errorf("%s in %s cannot be imported:\n%s", names, o.Code, ownTraceback(exception.Message))
	case errors.As(err, &exception):
		return fmt.Errorf("%s in %s cannot be imported:\n%s", names, o.Code, ownTraceback(exception.Display))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s in %s cannot be imported:\n%s", names, o.Code, ownTraceback(syntax.Display))
	}
	return fmt.Errorf("%s in %s cannot be imported: %w", names, o.Code, err)
}

// explainRun is for a job that could not be run.
func explainRun(o *Options, err error) error {
	var exception *subpy.ExecutionFailedError
	if errors.As(err, &exception) {
		return explainLoad(o, err)
	}
	return err
}

// notLoaded tells whether an exception is the one of subpy_worker.py for modules that cannot be imported.
func notLoaded(e *subpy.Exception) bool {
	return e.Module == "subpy_worker" && e.Type == "_NotLoaded"
}

// ownTraceback leaves out the lines about what calls the code.
func ownTraceback(display string) string {
	if !strings.Contains(display, harnessFile) {
		return display
	}
	lines := strings.Split(display, "\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, `  File "`+harnessFile+`"`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// use is called by a job that begins, and leave when it has ended.
func (c *code) use() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.users++
}

func (c *code) leave() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.users--
	c.look()
}

// retire closes the code when the jobs that use it have ended.
func (c *code) retire() {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.old = true
	c.look()
}

func (c *code) look() {
	if c.old && c.users == 0 && !c.gone {
		c.gone = true
		go func() {
			c.close()
			close(c.idle)
		}()
	}
}

func (c *code) close() {
	c.pool.CloseWith(subpy.CloseOptions{Drain: true, Interrupt: true, Timeout: 10 * time.Second})
}
