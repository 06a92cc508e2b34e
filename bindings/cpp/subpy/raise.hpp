/* C++ exceptions that become Python's. */
#ifndef SUBPY_RAISE_HPP
#define SUBPY_RAISE_HPP

#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#if defined(__cpp_rtti) && defined(__GNUC__)
#include <cxxabi.h>

#include <typeinfo>
#endif

#include "session.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

inline void raise(subpy_context *context, std::string_view type, std::string_view message) noexcept {
  subpy_context_raise(context, type.data(), type.size(), message.data(), message.size());
}

/// The type of the Python exception that an error is about, as subpy_context_raise() takes it.
inline std::string name_of_type(const exception_info &info) {
  if (info.type_module() == "builtins") return std::string(info.type_name());
  return std::string(info.type_module()).append(":").append(info.type_qualname());
}

/// Whether the interpreter that calls has this type too: what a script defines no other one has.
inline bool can_name(const subpy_context *context, const error &thrown, const exception_info &info) noexcept {
  return info.type_module() != "__main__" || thrown.interp() == subpy_context_interp(context);
}

/// Raises what an error is about: a python_exception, the exception that ended a run inside, or the nearest builtin one.
inline void raise_error(subpy_context *context, const error &thrown) {
  if (const std::string &type = host_error::python_type(thrown); !type.empty())
    return raise(context, type, host_error::python_message(thrown));
  const auto info = thrown.excinfo();
  switch (thrown.code()) {
    case status::timeout:
      raise(context, "TimeoutError", thrown.message());
      break;
    case status::interrupted:
      raise(context, "KeyboardInterrupt", thrown.message());
      break;
    case status::execution_failed:
    case status::syntax:
      if (info && can_name(context, thrown, *info))
        raise(context, name_of_type(*info), info->msg());
      else
        raise(context, "RuntimeError", thrown.message());
      break;
    case status::conversion:
    case status::not_shareable:
      raise(context, "TypeError", thrown.message());
      break;
    case status::invalid_argument:
      raise(context, "ValueError", thrown.message());
      break;
    case status::no_memory:
      raise(context, "MemoryError", thrown.message());
      break;
    default:
      raise(context, "RuntimeError", thrown.message());
      break;
  }
  if (!info) return;
  // The other traceback: that of the run inside.
  const std::string_view display = info->errdisplay();
  subpy_context_note(context, display.data(), display.size());
}

#if SUBPY_CPP_EXCEPTIONS

/// What kind of exception it was, which Python's does not tell: "C++: std::logic_error".
inline void note(subpy_context *context, [[maybe_unused]] const std::exception &thrown, std::string text) {
#if defined(__cpp_rtti) && defined(__GNUC__)
  int code = 0;
  const char *name = typeid(thrown).name();
  char *readable = abi::__cxa_demangle(name, nullptr, nullptr, &code);
  text.append(readable == nullptr ? name : readable);
  std::free(readable);  // NOLINT(cppcoreguidelines-no-malloc)
#else
  text.append("std::exception");
#endif
  subpy_context_note(context, text.data(), text.size());
}

inline void note_nested(subpy_context *context, const std::exception &outer) {
#if defined(__cpp_rtti)
  try {
    std::rethrow_if_nested(outer);
  } catch (const std::exception &inner) {
    note(context, inner, std::string("caused by: ").append(inner.what()).append(", C++: "));
    note_nested(context, inner);
  }
#else
  static_cast<void>(context);
  static_cast<void>(outer);
#endif
}

inline void raise_standard(subpy_context *context, const char *type, const std::exception &thrown) {
  raise(context, type, thrown.what());
  note(context, thrown, "C++: ");
  note_nested(context, thrown);
}

/// Raises what was thrown, as the nearest exception of Python's.
inline void raise_nearest(subpy_context *context) {
  try {
    throw;
  } catch (const error &thrown) {
    raise_error(context, thrown);
  } catch (const std::bad_alloc &thrown) {
    raise_standard(context, "MemoryError", thrown);
  } catch (const std::out_of_range &thrown) {
    raise_standard(context, "IndexError", thrown);
  } catch (const std::invalid_argument &thrown) {
    raise_standard(context, "ValueError", thrown);
  } catch (const std::domain_error &thrown) {
    raise_standard(context, "ValueError", thrown);
  } catch (const std::length_error &thrown) {
    raise_standard(context, "ValueError", thrown);
  } catch (const std::range_error &thrown) {
    raise_standard(context, "ValueError", thrown);
  } catch (const std::overflow_error &thrown) {
    raise_standard(context, "OverflowError", thrown);
  } catch (const std::system_error &thrown) {
    raise_standard(context, "OSError", thrown);
  } catch (const std::exception &thrown) {
    raise_standard(context, "RuntimeError", thrown);
  } catch (...) {
    raise(context, "RuntimeError", "a C++ exception that is no std::exception");
  }
}

/// Raises what was thrown, and keeps it for the run that it may come out of.
inline void raise_current(subpy_context *context) noexcept {
  try {
    raise_nearest(context);
    subpy_context_tag(context, cause_store::get().keep(std::current_exception()));
  } catch (...) {  // while its message was made
    raise(context, "MemoryError", "no memory for a C++ exception");
  }
}

#endif

/// Raises the error that a host function has returned.
inline void raise_returned(subpy_context *context, const error &returned) {
#if SUBPY_CPP_EXCEPTIONS
  static_cast<void>(context);
  returned.raise();
#else
  raise_error(context, returned);
#endif
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RAISE_HPP
