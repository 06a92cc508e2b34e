//go:build !cgo

package embedded

import "embed"

// The folder has a README in any case: without a file there is nothing to embed, and nothing compiles.
//
//go:embed linux_amd64
var folder embed.FS

const library = "linux_amd64/libsubpy.so"

// memfdCreate is the number of the system call.
const memfdCreate = 319
