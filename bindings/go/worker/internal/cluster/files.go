package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// sources are the files of the standard library of a Python.
func sources(python string) ([]string, error) {
	output, err := exec.Command(python, "-I", "-c", "import os; print(os.path.dirname(os.__file__))").Output()
	if err != nil {
		return nil, fmt.Errorf("%s, asked for its standard library: %w", python, err)
	}
	var files []string
	err = filepath.WalkDir(strings.TrimSpace(string(output)), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "site-packages" || entry.Name() == "__pycache__"):
			return filepath.SkipDir
		case entry.Type().IsRegular() && filepath.Ext(path) == ".py" && utf8.ValidString(path):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

const recompute = `
import json, sys
sys.path.insert(0, sys.argv[1])
import census
for line in sys.stdin:
    path = line.rstrip("\n")
    print(json.dumps(census.census({"path": path, "name": path})))
`

// censusOf has Python alone, without workers, look at the files of all jobs.
func (j *jobs) censusOf(python, code string) error {
	used := map[string]bool{}
	var list bytes.Buffer
	for number := range j.count {
		if made := j.job(number); made.request.Function == "census.census" {
			file := made.request.Args.([]any)[0].(map[string]string)["path"]
			if !used[file] {
				used[file] = true
				fmt.Fprintln(&list, file)
			}
		}
	}
	files := strings.Split(strings.TrimSuffix(list.String(), "\n"), "\n")
	command := exec.Command(python, "-I", "-c", recompute, code)
	command.Stdin = &list
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("the census by %s alone: %w", python, err)
	}
	j.found = map[string]json.RawMessage{}
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		j.found[files[len(j.found)]] = bytes.Clone(lines.Bytes())
	}
	if len(j.found) != len(used) {
		return fmt.Errorf("the census by %s alone has %d results for %d files", python, len(j.found), len(used))
	}
	return lines.Err()
}
