// Census tells what is in a folder of Python sources, counted by many Python interpreters at once.
//
// Each file is parsed with Python's own ast module, first by one interpreter, then by one for each core, and the two
// results are compared. The Python only looks at one file; sharing out the work, adding up and printing is done in Go.
//
//	go run .                     the standard library of the Python that subpy finds
//	go run . -j 8 my_project
package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/subpy/subpy/bindings/go/subpy"
)

//go:embed listing.py
var listingCode string

//go:embed census.py
var censusCode string

type file struct {
	Path []byte `subpy:"path"`
	Name string `subpy:"name"`
	Size int    `subpy:"size"`
}

type listing struct {
	Folder string `subpy:"folder"`
	Files  []file `subpy:"files"`
	Order  []int  `subpy:"order"`
	Cores  int    `subpy:"cores"`
}

type function struct {
	Name       string `subpy:"name" json:"name"`
	File       string `subpy:"file" json:"file"`
	Line       int    `subpy:"line" json:"line"`
	Complexity int    `subpy:"complexity" json:"complexity"`
}

type failure struct {
	File   string `subpy:"file" json:"file"`
	Reason string `subpy:"reason" json:"reason"`
}

type counts struct {
	Lines        int `subpy:"lines" json:"lines"`
	Functions    int `subpy:"functions" json:"functions"`
	Classes      int `subpy:"classes" json:"classes"`
	Imports      int `subpy:"imports" json:"imports"`
	Documented   int `subpy:"documented" json:"documented"`
	Documentable int `subpy:"documentable" json:"documentable"`
	Complexity   int `subpy:"complexity" json:"complexity"`
}

// A report is what Python says about one file. One that cannot be parsed has a reason.
type report struct {
	counts
	failure
	Worst []function `subpy:"worst"`
}

// A census is the sum of all reports.
type census struct {
	Folder string `json:"folder"`
	Python string `json:"python"`
	Files  int    `json:"files"`
	counts
	MostComplex []function `json:"most_complex"`
	Failures    []failure  `json:"failures"`
	Rounds      int        `json:"rounds"`
	Fastest     []timing   `json:"fastest"`
	Identical   *bool      `json:"identical"`
	SpeedUp     *float64   `json:"speed_up"`
}

type timing struct {
	Interpreters int     `json:"interpreters"`
	Seconds      float64 `json:"seconds"`
}

// list asks Python for the files of a folder, of the standard library when it is "".
func list(folder string) (l listing, err error) {
	interp, err := open(listingCode)
	if err != nil {
		return l, err
	}
	defer interp.Close()
	var argument any
	if folder != "" {
		if _, err := os.ReadDir(folder); err != nil {
			return l, err
		}
		argument = []byte(folder)
	}
	l, err = subpy.CallAs[listing](interp, "sources", argument)
	if err == nil && len(l.Files) == 0 {
		err = fmt.Errorf("no .py files in %s", l.Folder)
	}
	return l, err
}

func open(code string) (*subpy.Interpreter, error) {
	interp, err := subpy.Create()
	if err != nil {
		return nil, err
	}
	return interp, interp.Exec(code)
}

// analyse has a new pool of so many interpreters look at the files, and returns their reports and how long it took.
func analyse(l listing, jobs int) ([]report, float64, error) {
	pool, err := subpy.NewPool(subpy.PoolOptions{Workers: jobs, Spares: -1, Setup: censusCode})
	if err != nil {
		return nil, 0, err
	}
	defer pool.Close()
	rows := make([][]file, len(l.Order))
	for turn, at := range l.Order {
		rows[turn] = []file{l.Files[at]}
	}
	reports := make([]report, len(l.Files))
	turn := 0
	start := time.Now()
	for r, err := range subpy.MapPoolAs[report](context.Background(), pool, "census", rows, 1) {
		if err != nil {
			return nil, 0, err
		}
		reports[l.Order[turn]] = r
		turn++
	}
	return reports, time.Since(start).Seconds(), nil
}

// A short analysis is repeated, one interpreter and many in turn, and the fastest of each counts: what else goes on in
// the machine can only make a run slower.
func run(folder string, jobs int) (*census, error) {
	l, err := list(folder)
	if err != nil {
		return nil, err
	}
	jobs = cmp.Or(jobs, l.Cores)
	c := &census{Folder: l.Folder, Python: subpy.PythonVersion(), Files: len(l.Files), Failures: []failure{}}
	c.Fastest = []timing{{Interpreters: 1}, {Interpreters: jobs}}[:min(jobs, 2)]
	identical := true
	var first []report
	for start := time.Now(); c.Rounds < 3 && time.Since(start) < 15*time.Second; c.Rounds++ {
		for i := range c.Fastest {
			reports, seconds, err := analyse(l, c.Fastest[i].Interpreters)
			if err != nil {
				return nil, err
			}
			if first == nil {
				first = reports
			}
			identical = identical && reflect.DeepEqual(reports, first)
			if c.Rounds == 0 || seconds < c.Fastest[i].Seconds {
				c.Fastest[i].Seconds = seconds
			}
		}
		if jobs == 1 {
			c.Rounds++
			break
		}
	}
	if jobs > 1 {
		speedUp := c.Fastest[0].Seconds / c.Fastest[1].Seconds
		c.Identical, c.SpeedUp = &identical, &speedUp
	}
	for _, r := range first {
		c.add(r)
	}
	c.MostComplex = c.MostComplex[:min(len(c.MostComplex), 10)]
	return c, nil
}

func (c *census) add(r report) {
	c.Lines += r.Lines
	c.Functions += r.Functions
	c.Classes += r.Classes
	c.Imports += r.Imports
	c.Documented += r.Documented
	c.Documentable += r.Documentable
	c.Complexity += r.Complexity
	if r.Reason != "" {
		c.Failures = append(c.Failures, r.failure)
	}
	c.MostComplex = append(c.MostComplex, r.Worst...)
	slices.SortStableFunc(c.MostComplex, func(a, b function) int { return b.Complexity - a.Complexity })
}

func (c *census) print(w io.Writer) {
	fmt.Fprintf(w, "%s, Python %s\n\n", c.Folder, c.Python)
	for _, row := range []struct {
		name  string
		count int
	}{{"files", c.Files}, {"lines", c.Lines}, {"functions", c.Functions}, {"classes", c.Classes}, {"imports", c.Imports}} {
		fmt.Fprintf(w, "%-18s%12s\n", row.name, grouped(row.count))
	}
	fmt.Fprintf(w, "%-18s%10.1f %%\n", "with docstring", 100*ratio(c.Documented, c.Documentable))
	fmt.Fprintf(w, "%-18s%12.2f\n", "mean complexity", ratio(c.Complexity, c.Functions))

	fmt.Fprintf(w, "\ncomplexity  %-40s  where\n", "function")
	for _, f := range c.MostComplex {
		fmt.Fprintf(w, "%10d  %-40s  %s:%d\n", f.Complexity, f.Name, f.File, f.Line)
	}
	fmt.Fprintf(w, "\nfiles that cannot be parsed: %d\n", len(c.Failures))
	for _, f := range c.Failures {
		fmt.Fprintf(w, "  %s: %s\n", f.File, f.Reason)
	}

	if c.Rounds > 1 {
		fmt.Fprintf(w, "\ntime of the analysis alone, the fastest of several rounds\n")
	} else {
		fmt.Fprintf(w, "\ntime of the analysis alone\n")
	}
	fmt.Fprintf(w, "%4d interpreter   %10.2f s\n", 1, c.Fastest[0].Seconds)
	if c.SpeedUp == nil {
		fmt.Fprintln(w, "a speed-up takes two interpreters or more: -j 2")
		return
	}
	fmt.Fprintf(w, "%4d interpreters  %10.2f s\n", c.Fastest[1].Interpreters, c.Fastest[1].Seconds)
	if *c.Identical {
		fmt.Fprintln(w, "all results are identical")
	} else {
		fmt.Fprintln(w, "THE RESULTS DIFFER")
	}
	fmt.Fprintf(w, "speed-up %.2fx\n", *c.SpeedUp)
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("census: ")
	jobs := flag.Int("j", 0, "so many interpreters, 1 to 256 (default: one for each core)")
	asJSON := flag.Bool("json", false, "print the result as JSON")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: census [-j N] [-json] [FOLDER]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *jobs < 0 || *jobs > 256 || flag.NArg() > 1 {
		flag.Usage()
		os.Exit(2)
	}
	c, err := run(flag.Arg(0), *jobs)
	if err != nil {
		log.Fatal(err)
	}
	if *asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", " ")
		err = out.Encode(c)
	} else {
		c.print(os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
	if c.Identical != nil && !*c.Identical {
		os.Exit(1)
	}
}
