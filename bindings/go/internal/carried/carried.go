// Package carried is where the library is that a program has inside itself.
package carried

// Open puts the library where the dynamic loader can open it, and returns its path. It is nil when the program has none.
// Called once at most.
var Open func() (path string, err error)
