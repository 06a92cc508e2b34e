// Numpy has four interpreters, each in a process of its own, draw one image with numpy. They share its memory.
//
//	SUBPY_PYTHON=environment/with/numpy go run .        or PYTHONPATH=folder/with/numpy
//	go run . 2048 1                                     2048 x 2048 numbers, measured once
//
// numpy refuses an interpreter with a GIL of its own; in processes it loads in as many as there are. It is imported once,
// before the first of them, and the others have it with their start. The image lies in memory of [subpy.NewSharedBuffer]. Each
// interpreter gets a quarter of its rows, sees them as an array of numpy, and writes its part of the Mandelbrot set where
// it is. Then each adds up the whole image, and so sees what the others have written; and Go compares all of it with what it
// computes itself. The memory is what Linux says of each process.
package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

//go:embed mandelbrot.py
var code string

const (
	interpreters = 4
	limit        = 50
)

// A usage is what a process uses, in KiB. A page that several processes have is counted in parts, one for each: so the sum is
// right.
type usage struct {
	own    int // its own, and its parts of what it has in common with the process that it was forked from
	shared int // its parts of shared memory
}

func usageOf(pid int) (u usage, err error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return u, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fmt.Sscanf(lines.Text(), "Pss_Anon: %d", &u.own)
		fmt.Sscanf(lines.Text(), "Pss_Shmem: %d", &u.shared)
	}
	return u, lines.Err()
}

// A drawing is an image, the interpreters that draw it, and what was measured.
type drawing struct {
	size    int
	interps []*subpy.Interpreter
	image   *subpy.Buffer
	counts  []int32 // what is in it
	first   time.Duration
	others  time.Duration
	alone   time.Duration
	all     time.Duration
	given   time.Duration
	before  []usage
	after   []usage
	sum     int64
}

// start creates the interpreters.
func (d *drawing) start() error {
	// As many threads as there are processes are enough. What is imported before processes are forked must start none.
	if err := os.Setenv("OPENBLAS_NUM_THREADS", "1"); err != nil {
		return err
	}
	if err := subpy.Init(subpy.RuntimeOptions{UseEnvironment: true, Preload: []string{"numpy"}}); err != nil {
		return err
	}
	begin := time.Now()
	for range interpreters {
		interp, err := subpy.Create(subpy.WithProcess())
		if err != nil {
			return err
		}
		d.interps = append(d.interps, interp)
		if err := interp.Exec(code); err != nil {
			return err
		}
		if len(d.interps) == 1 {
			d.first = time.Since(begin)
		}
	}
	d.others = (time.Since(begin) - d.first) / (interpreters - 1)
	return nil
}

// usages are those of the interpreters, and of this process, which comes last.
func (d *drawing) usages() ([]usage, error) {
	pids := []int{}
	for _, interp := range d.interps {
		pid, err := subpy.EvalAs[int](interp, "os.getpid()")
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	var usages []usage
	for _, pid := range append(pids, os.Getpid()) {
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		usages = append(usages, u)
	}
	return usages, nil
}

// attach shows rows of the image to an interpreter.
func (d *drawing) attach(interp *subpy.Interpreter, first, end int) error {
	rows := d.counts[first*d.size : end*d.size]
	_, err := interp.Call("attach", subpy.NewBuffer(rows, subpy.WithShape(end-first, d.size), subpy.WithWritable()))
	return err
}

// draw has so many interpreters draw at the same time, each its part of the rows.
func (d *drawing) draw(count int) (time.Duration, error) {
	clear(d.counts)
	for i, interp := range d.interps[:count] {
		if err := d.attach(interp, d.size*i/count, d.size*(i+1)/count); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	failures := make(chan error)
	for i, interp := range d.interps[:count] {
		go func() {
			_, err := interp.Call("draw", d.size*i/count, limit)
			failures <- err
		}()
	}
	var err error
	for range count {
		err = errors.Join(err, <-failures)
	}
	return time.Since(begin), err
}

// The same in Go, in the same order: all of it is exact. The conversions keep a product and a sum from becoming one operation.
func countOf(row, column, size int) int32 {
	x := float64(float64(column)*(3.0/float64(size))) - 2.25
	y := float64(float64(row)*(3.0/float64(size))) - 1.5
	var zx, zy, xx, yy float64
	for count := range int32(limit) {
		zy = float64(zy * zx)
		zy += zy
		zy += y
		zx = xx - yy
		zx += x
		xx, yy = float64(zx*zx), float64(zy*zy)
		if xx+yy > 4 {
			return count
		}
	}
	return limit
}

// check compares the image with what Go computes, and its sum with what each interpreter says.
func (d *drawing) check() error {
	for i, count := range d.counts {
		if want := countOf(i/d.size, i%d.size, d.size); count != want {
			return fmt.Errorf("row %d, column %d: %d, not %d", i/d.size, i%d.size, count, want)
		}
		d.sum += int64(count)
	}
	for i, interp := range d.interps {
		sum, err := subpy.CallAs[int64](interp, "total")
		if err != nil {
			return err
		}
		if sum != d.sum {
			return fmt.Errorf("interpreter %d sees another sum: %d, not %d", i+1, sum, d.sum)
		}
	}
	return nil
}

// run does all of it, and measures drawing so many times.
func run(size, rounds int) (*drawing, error) {
	d := &drawing{size: size}
	defer func() {
		for _, interp := range d.interps {
			interp.Close()
		}
	}()
	if err := d.start(); err != nil {
		return nil, err
	}
	var err error
	if d.before, err = d.usages(); err != nil {
		return nil, err
	}
	if d.image, err = subpy.NewSharedBuffer[int32](size * size); err != nil {
		return nil, err
	}
	defer d.image.Close()
	if d.counts, err = subpy.View[int32](d.image); err != nil {
		return nil, err
	}
	// What else goes on in the machine can only make it slower: the fastest of some rounds counts.
	for round := range rounds {
		alone, err := d.draw(1)
		if err != nil {
			return nil, err
		}
		all, err := d.draw(interpreters)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			d.alone, d.all = alone, all
		}
		d.alone, d.all = min(d.alone, alone), min(d.all, all)
	}
	begin := time.Now()
	for _, interp := range d.interps {
		if err := d.attach(interp, 0, size); err != nil {
			return nil, err
		}
	}
	d.given = time.Since(begin) / interpreters
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.after, err = d.usages(); err != nil {
		return nil, err
	}
	for _, interp := range d.interps {
		if _, err := interp.Call("detach"); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func mib(kib int) float64 {
	return float64(kib) / 1024
}

// print shows what was measured, and is an error when memory was copied.
func (d *drawing) print(w io.Writer) error {
	image := float64(d.size*d.size*4) / (1 << 20)
	fmt.Fprintf(w, "Python %s, Go %s, %d cores\n\n", subpy.PythonVersion(), runtime.Version()[2:], runtime.NumCPU())
	fmt.Fprintf(w, "the first interpreter, with its import of numpy %10.1f ms\n", d.first.Seconds()*1000)
	fmt.Fprintf(w, "each of the others                              %10.1f ms\n\n", d.others.Seconds()*1000)
	fmt.Fprintf(w, "%d x %d numbers, %.0f MiB\n", d.size, d.size, image)
	fmt.Fprintf(w, "drawn by one interpreter                        %10.3f s\n", d.alone.Seconds())
	fmt.Fprintf(w, "by %d, each a part of the rows                   %10.3f s     speed-up %.2fx\n", interpreters, d.all.Seconds(), float64(d.alone)/float64(d.all))
	fmt.Fprintf(w, "all of it given to an interpreter               %10.3f ms\n\n", d.given.Seconds()*1000)
	fmt.Fprintf(w, "%d numbers compared with those of Go: all are the same\n", len(d.counts))
	fmt.Fprintf(w, "each interpreter sees the same sum of the whole image: %d\n", d.sum)

	fmt.Fprintf(w, "\nmemory, MiB        its own: before     after    of the image\n")
	together, copied := 0, false
	for i, before := range d.before {
		name := "this program"
		if i < interpreters {
			name = fmt.Sprint("interpreter ", i+1)
			copied = copied || mib(d.after[i].own-before.own) > image/interpreters+2 // the band that it works on has less than one MiB
		}
		part := d.after[i].shared - before.shared
		together += part
		fmt.Fprintf(w, "%-24s %9.1f %9.1f %15.1f\n", name, mib(before.own), mib(d.after[i].own), mib(part))
	}
	fmt.Fprintf(w, "%-24s %35.1f\n", "together", mib(together))
	if copied || mib(together) > image*1.05+1 {
		return fmt.Errorf("something was copied: the image has %.1f MiB", image)
	}
	fmt.Fprintf(w, "the image has %.1f MiB and is there once: nothing was copied\n", image)
	return nil
}

// number is an argument of the program, or the default.
func number(argument, least, most, otherwise int) int {
	if len(os.Args) <= argument {
		return otherwise
	}
	n, err := strconv.Atoi(os.Args[argument])
	if err != nil || n < least || n > most {
		log.Fatalf("argument %d is a number from %d to %d", argument, least, most)
	}
	return n
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("numpy: ")
	d, err := run(number(1, 64, 1<<15, 4096), number(2, 1, 1000, 3))
	if err == nil {
		err = d.print(os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}
