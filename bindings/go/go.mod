module github.com/subpy/subpy/bindings/go

go 1.24
