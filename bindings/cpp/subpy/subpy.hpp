/*
 * subpy.hpp: many isolated CPython interpreters in one program, for C++17 and later: each with its own GIL, or in a
 * process of its own.
 *
 * The interface of Python's `concurrent.interpreters`. Header only; needs subpy.h, libsubpy and the standard library.
 * Documentation: docs/cpp.md.
 *
 *   #include <iostream>
 *   #include "subpy.hpp"
 *
 *   int main() {
 *     auto interp = subpy::interpreter::create();
 *     interp.exec("print('hello from Python')");
 *     std::cout << interp.call<double>("math:sqrt", 2.0) << '\n';
 *   }
 *
 * Conventions
 *   Errors      Each operation comes twice. `call()` throws a subpy::error; `try_call()` returns a subpy::result and
 *               throws nothing of subpy's. Without exceptions (-fno-exceptions) there are the try_ functions alone.
 *               The standard library's std::bad_alloc may come from both.
 *   Threads     Interpreters may be used from any thread at any time, through one object too: an operation changes no
 *               member. Other objects are like the standard library's: reading is safe, changing needs a lock.
 *   Ownership   interpreter, thread, value and error own what they hold. interpreter_ref, value_view, bytes_view,
 *               keyword arguments and what std::string_view shows are borrowed.
 *   Text        UTF-8, with a length, so it may hold NUL characters. Where a text has to end with a NUL (file names),
 *               one in the middle is status::invalid_argument.
 */
#ifndef SUBPY_HPP
#define SUBPY_HPP

#include "config.hpp"
#include "cause.hpp"
#include "error.hpp"
#include "result.hpp"
#include "convert.hpp"
#include "view.hpp"
#include "encoder.hpp"
#include "value.hpp"
#include "fields.hpp"
#include "buffer.hpp"
#include "standard.hpp"
#include "runtime.hpp"
#include "cancel.hpp"
#include "output.hpp"
#include "thread.hpp"
#include "run.hpp"
#include "many.hpp"
#include "function.hpp"
#include "range.hpp"
#include "object.hpp"
#include "queue.hpp"
#include "session.hpp"
#include "raise.hpp"
#include "parameters.hpp"
#include "host.hpp"
#include "interpreter.hpp"
#include "pool.hpp"

#endif  // SUBPY_HPP
