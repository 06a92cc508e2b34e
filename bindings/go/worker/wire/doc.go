// Package wire is the wire format of the worker, version 1, as docs/worker.md describes it: requests, results, events, what workers say
// of themselves, and the names of subjects and streams. It has no connection to anything.
package wire
