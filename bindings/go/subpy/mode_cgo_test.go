//go:build cgo

package subpy

// mode is how the C functions are called.
const mode = "cgo"
