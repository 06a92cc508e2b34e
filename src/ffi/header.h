/*
 * subpy.h: many isolated CPython interpreters in one program: each with its own GIL, or in a process of its own.
 *
 * The interface of Python's `concurrent.interpreters`, for programs that are not Python. Generated from the library's
 * sources. Where to begin: docs/tour.md, docs/c.md; more about what follows: docs/abi.md, docs/errors.md,
 * docs/threads.md.
 *
 *   #include <stdio.h>
 *   #include "subpy.h"
 *
 *   int main(void) {
 *     subpy_interp interp = 0;
 *     subpy_error *error = NULL;
 *     subpy_value args[] = {subpy_float(2.0)}, root = {0};
 *     if (subpy_create(NULL, &interp, &error) == SUBPY_OK &&
 *         subpy_exec(interp, "print('hello from Python')", SUBPY_AUTO_LEN, &error) == SUBPY_OK &&
 *         subpy_call(interp, "math:sqrt", SUBPY_AUTO_LEN, args, 1, NULL, &root, &error) == SUBPY_OK)
 *       printf("the square root of 2 is %.15f\n", root.u.as_float);
 *     else
 *       fprintf(stderr, "%s\n", subpy_error_message(error, NULL));
 *     subpy_value_free(&root);
 *     subpy_error_free(error);
 *     return subpy_shutdown(NULL) == SUBPY_OK ? 0 : 1;
 *   }
 *
 * Conventions
 *   Threads     Any function may be called from any thread at any time, unless its comment says otherwise. Nothing is
 *               kept for the calling thread (there is no "last error"), except between subpy_enter() and subpy_leave().
 *   Arguments   What a function acts on comes first, then inputs, then outputs, then the error.
 *   Errors      Every function that can fail returns a subpy_status. Its last parameter, a subpy_error **, may be NULL;
 *               otherwise it receives NULL on success and, on failure, an error to be freed with subpy_error_free().
 *               All of these functions can return SUBPY_ERROR_FORKED, SUBPY_ERROR_NO_MEMORY and SUBPY_ERROR_PANIC;
 *               their comments do not repeat them.
 *   Outputs     are written on success, and made zero or NULL on failure, so one clean-up path serves both. What they
 *               held before is not looked at. An output may be NULL if it is not wanted, unless its comment says
 *               otherwise.
 *   Text        In: UTF-8, with its length in bytes or SUBPY_AUTO_LEN. Text that has no length parameter ends with a
 *               NUL. Out: ends with a NUL, and is valid as long as what it belongs to.
 *   Ownership   What you pass in is borrowed until the function returns. What you receive is yours: the comment of the
 *               function that gives you an error, a result or a handle names the one that frees or closes it. The
 *               subpy_*_free() functions ignore NULL, 0 and empty values.
 *   Options     Structs begin with their own size in bytes, so that old programs work with new libraries. Set it with
 *               sizeof; zero is the default of every other field. Unknown flags, and fields that are set but do not
 *               apply, are SUBPY_ERROR_INVALID_ARGUMENT.
 *   Times       are in milliseconds. As a limit of what code may take, 0 is no limit. As a time to wait (for a thread, a
 *               queue, a close), 0 is not to wait, and -1 is no limit.
 *   Enums       are int32_t; their constants are #defined.
 */

#ifndef SUBPY_H
#define SUBPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Stands before each function. It is empty except on Windows, where it says that the function is in a DLL; define
 * SUBPY_STATIC there when you link the static library.
 */
#ifndef SUBPY_API
#if defined(_WIN32) && !defined(SUBPY_STATIC)
#define SUBPY_API __declspec(dllimport)
#else
#define SUBPY_API
#endif
#endif

/*
 * Stands before each function that is called only for what it returns: the compiler warns when that is not used.
 * Functions that return a status do not have it, since a caller may look at the error instead.
 */
#ifndef SUBPY_NODISCARD
#if (defined(__cplusplus) && __cplusplus >= 201703L) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
#define SUBPY_NODISCARD [[nodiscard]]
#elif defined(__GNUC__)
#define SUBPY_NODISCARD __attribute__((warn_unused_result))
#else
#define SUBPY_NODISCARD
#endif
#endif

/** A length that means: the text ends with a NUL. */
#define SUBPY_AUTO_LEN SIZE_MAX

@DECLARATIONS@
#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* SUBPY_H */
