// Package embedded puts the subpy library into the program, when it is built without cgo: importing it is all.
//
//	import _ "github.com/subpy/subpy/bindings/go/subpy/embedded"
//
// CGO_ENABLED=0 go build then makes one file, which is 2 MB larger, and needs glibc and a CPython when it runs. The library
// is loaded out of memory: nothing is written to a disk. The environment variable SUBPY_LIBRARY still names another one.
//
// The library is in the module that a release has, for Linux on x86-64. In a checkout the package is empty: then, and on other
// systems, the library is looked for as without it, and the error says so when there is none. With cgo, which links the library,
// the package does nothing.
package embedded
