/* Which mode this is compiled in. Code for the two modes differs, so that the linker must not take one for the other. */
#ifndef SUBPY_CONFIG_HPP
#define SUBPY_CONFIG_HPP

#include "subpy.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define SUBPY_CPP_EXCEPTIONS 1
#define SUBPY_CPP_MODE with_exceptions
#else
#define SUBPY_CPP_EXCEPTIONS 0
#define SUBPY_CPP_MODE without_exceptions
#endif

#endif  // SUBPY_CONFIG_HPP
