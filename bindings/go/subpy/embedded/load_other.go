//go:build !cgo && !(linux && amd64)

package embedded

import (
	"errors"
	"runtime"

	"github.com/subpy/subpy/bindings/go/internal/carried"
)

func init() {
	carried.Open = func() (path string, err error) {
		return "", errors.New("the module has no library for " + runtime.GOOS + " on " + runtime.GOARCH)
	}
}
