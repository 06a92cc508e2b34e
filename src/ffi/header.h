/*
 * subpy.h: many isolated CPython interpreters in one process, each with its own GIL.
 *
 * The interface of Python's `concurrent.interpreters`, for programs that are not Python. Generated from the library's
 * sources; documentation: docs/abi.md, docs/errors.md, docs/threads.md.
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
 *   Threads     Any function may be called from any thread at any time, unless its comment says otherwise. There is no
 *               thread-local state: no "last error".
 *   Arguments   What a function acts on comes first, then inputs, then outputs, then the error.
 *   Errors      Every function that can fail returns a subpy_status and takes a subpy_error **, which may be NULL. On
 *               failure it receives an error to be freed with subpy_error_free(), on success NULL.
 *   Outputs     are written on success, and made zero or NULL on failure: one clean-up path serves both. An output that
 *               is not wanted may be NULL.
 *   Text        in: UTF-8 and a length in bytes, or SUBPY_AUTO_LEN when it ends with a NUL. Out: valid as long as its
 *               owner, with a NUL behind it.
 *   Ownership   What you pass is borrowed until the function returns. What you receive is yours: values, errors, threads
 *               and interpreters have a function to free or close them. subpy_*_free() takes NULL, 0 and empty values.
 *   Options     Structs begin with their size (sizeof), so that old programs work with new libraries; {0} plus the size
 *               is the default. Unknown flags, and fields that do not apply, are SUBPY_ERROR_INVALID_ARGUMENT.
 *   Enums       are int32_t with #define'd constants.
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
 * Before each function: nothing, but on Windows, where it says that the function is in a DLL. Define SUBPY_STATIC when
 * you link the static library there.
 */
#ifndef SUBPY_API
#if defined(_WIN32) && !defined(SUBPY_STATIC)
#define SUBPY_API __declspec(dllimport)
#else
#define SUBPY_API
#endif
#endif

/*
 * Before each function that does nothing but return something: the compiler warns when that is thrown away. Functions
 * that return a status do not have it, since a caller may look at the error instead.
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

/** As the length of a text: it ends with a NUL. */
#define SUBPY_AUTO_LEN SIZE_MAX

@DECLARATIONS@
#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* SUBPY_H */
