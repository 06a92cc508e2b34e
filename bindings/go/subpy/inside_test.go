package subpy

// The library of a release's module goes into these tests, too. In a checkout there is none.
import _ "github.com/subpy/subpy/bindings/go/subpy/embedded"
