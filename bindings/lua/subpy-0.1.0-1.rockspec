rockspec_format = "3.0"
package = "subpy"
version = "0.1.0-1"
description = {
   summary = "Many isolated CPython interpreters in one program: each with its own GIL, or in a process of its own",
   detailed = [[
      A LuaJIT program runs Python in any number of isolated interpreters, on its own thread or on others, and exchanges
      plain values with it. It needs CPython 3.14.1 or newer, and libsubpy.so, which is in the rock for linux-x86_64 alone.
   ]],
   homepage = "https://github.com/subpy/subpy",
   license = "MIT OR Apache-2.0",
   labels = { "python", "luajit", "ffi", "embedding" },
}
supported_platforms = { "linux" }
-- LuaJIT, whose FFI it uses, is Lua 5.1 to LuaRocks.
dependencies = { "lua ~> 5.1" }
-- `pack` makes this archive; it is inside of the source rock.
source = {
   url = "https://github.com/subpy/subpy/releases/download/v0.1.0/subpy-lua-0.1.0.tar.gz",
   dir = "subpy-lua-0.1.0",
}
build = {
   type = "builtin",
   modules = { subpy = "subpy.lua" },
   install = { lua = { "subpy.cdef" } },
}
