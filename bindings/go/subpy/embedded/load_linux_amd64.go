//go:build !cgo

package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"github.com/subpy/subpy/bindings/go/internal/carried"
)

func init() {
	carried.Open = func() (path string, err error) {
		code, err := folder.ReadFile(library)
		if err != nil {
			return "", errors.New("this copy of the module has no library inside, since it is no release (docs/go.md of subpy says more)")
		}
		return inMemory(code)
	}
}

// linux/memfd.h and linux/fcntl.h.
const (
	mfdCloexec      = 1
	mfdAllowSealing = 2
	mfdNoexecSeal   = 8
	fAddSeals       = 1033
	allSeals        = 1 | 2 | 4 | 8 // no other seals, no shrinking, no growing, no writing
)

// memory is never closed: the descriptor is how a process for an interpreter gets the library, too.
var memory *os.File

// inMemory makes a file without a name, which nobody can change any more, and returns a path to it.
func inMemory(code []byte) (path string, err error) {
	name := []byte("libsubpy.so\x00")
	create := func(flags uintptr) (uintptr, syscall.Errno) {
		number, _, err := syscall.Syscall(memfdCreate, uintptr(unsafe.Pointer(&name[0])), flags, 0)
		return number, err
	}
	// It is mapped, not executed, which some systems do not allow. Linux before 6.3 does not know the flag.
	number, failure := create(mfdCloexec | mfdAllowSealing | mfdNoexecSeal)
	if failure == syscall.EINVAL {
		number, failure = create(mfdCloexec | mfdAllowSealing)
	}
	if failure != 0 {
		return "", fmt.Errorf("no file in memory for the library inside the program: %w", failure)
	}
	file := os.NewFile(number, "libsubpy.so")
	if _, err := file.Write(code); err != nil {
		file.Close()
		return "", fmt.Errorf("no memory for the library inside the program: %w", err)
	}
	if _, _, failure := syscall.Syscall(syscall.SYS_FCNTL, number, fAddSeals, allSeals); failure != 0 {
		file.Close()
		return "", fmt.Errorf("the library inside the program cannot be sealed: %w", failure)
	}
	memory = file
	// The dynamic loader knows what it has loaded by name, even when a descriptor of that number is another file's by now. Others
	// who load out of memory write /proc/self/fd.
	return fmt.Sprintf("/proc/self/./fd/%d", number), nil
}
