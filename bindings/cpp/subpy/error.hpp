/* Errors: what went wrong, as an object and as exceptions. */
#ifndef SUBPY_ERROR_HPP
#define SUBPY_ERROR_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cause.hpp"

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// What went wrong, as a number. docs/errors.md says when each one comes, and what to do about it.
enum class status : std::int32_t {
  ok = SUBPY_OK,
  invalid_argument = SUBPY_ERROR_INVALID_ARGUMENT,
  not_found = SUBPY_ERROR_NOT_FOUND,
  busy = SUBPY_ERROR_BUSY,
  execution_failed = SUBPY_ERROR_EXECUTION_FAILED,
  not_shareable = SUBPY_ERROR_NOT_SHAREABLE,
  interpreter = SUBPY_ERROR_INTERPRETER,
  syntax = SUBPY_ERROR_SYNTAX,
  python_not_found = SUBPY_ERROR_PYTHON_NOT_FOUND,
  python_unsupported = SUBPY_ERROR_PYTHON_UNSUPPORTED,
  timeout = SUBPY_ERROR_TIMEOUT,
  interrupted = SUBPY_ERROR_INTERRUPTED,
  no_memory = SUBPY_ERROR_NO_MEMORY,
  forked = SUBPY_ERROR_FORKED,
  wrong_state = SUBPY_ERROR_WRONG_STATE,
  panic = SUBPY_ERROR_PANIC,
  crashed = SUBPY_ERROR_CRASHED,
  /// A value does not fit the C++ type that was asked for. From this header alone, so the number is positive.
  conversion = 1,
};

/// The C name of a status, "SUBPY_ERROR_BUSY"; "conversion" for the one that C does not have. Static text.
inline const char *status_name(status code) noexcept {
  return code == status::conversion ? "conversion" : subpy_status_name(static_cast<subpy_status>(code));
}

class error;

namespace detail {

struct free_error {
  /// Whose the error is, when it is a part of something larger.
  std::shared_ptr<const void> owner;
  void operator()(subpy_error *raw) const noexcept {
    if (owner == nullptr) subpy_error_free(raw);
  }
};

/// What copies of an error share. Immutable once it is made.
struct failure {
  status code = status::ok;
  std::unique_ptr<subpy_error, free_error> source;  // what the library said; null for an error of this header
  std::string message;                              // of an error of this header
  std::string path;                                 // conversion: the way to the value, such as "[3]['x']"
  std::string reason;                               // conversion: what is wrong with it
  std::optional<std::size_t> row;                   // conversion: of many calls, whose result it is
  std::string python_type{};                        // python_exception: its type
#if SUBPY_CPP_EXCEPTIONS
  std::exception_ptr cause{};  // what a host function threw, when that is what came out
#endif
};

inline std::string_view view_of(const char *text, std::size_t length) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text, length);
}

inline std::string_view view_of(const char *text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

/// The way to a value that does not fit is put together from the inside out, step by step.
struct conversion_path {
  static error make(std::string_view root, std::string path, std::string reason);
  /// One more step in front of the way. Errors that have none stay as they are.
  static error within(const error &inner, const std::string &element);
  /// Another word than "value" for where the way begins.
  static error rooted(const error &inner, std::string_view root);
};

/// What a host function makes of an error.
struct host_error {
  /// The type of a python_exception; empty for all others.
  static const std::string &python_type(const error &of) noexcept;
  /// The message of a python_exception, without its type.
  static const std::string &python_message(const error &of) noexcept;
  static error make(std::string type, std::string message);
};

/// The errors of a row of many calls.
struct row_error {
  /// One among the results, which it keeps.
  static error shared(const subpy_error *raw, std::shared_ptr<const void> results);
  /// One that is lent.
  static error kept(const subpy_error *raw);
  /// Its result does not fit.
  static error conversion(const error &inner, std::size_t row);
};

}  // namespace detail

/// One frame of a traceback. The texts belong to the error; those that are not known are empty.
struct frame {
  std::string_view file;
  /// From 1; 0 when it is not known.
  int line = 0;
  /// "<module>" at the top level.
  std::string_view function;
  /// The source line, without its newline.
  std::string_view source;
  /// The line in which the expression that was being evaluated ends; 0 when it is not known.
  int end_line = 0;
  /// Where in `line` that expression begins, in characters from 1; 0 when it is not known.
  int column = 0;
  /// The column behind its last character, in `end_line`; 0 when it is not known.
  int end_column = 0;
};

/// Where a source is wrong. What is not known is 0 or empty. The text belongs to the error.
struct syntax_location {
  /// From 1.
  int line = 0;
  /// In characters from 1.
  int column = 0;
  /// The line itself.
  std::string_view text;
};

/// How the process of an interpreter has ended. With neither of the first two it is not known how.
struct crash_info {
  /// The number of the signal that has killed it, such as SIGSEGV.
  std::optional<int> signal;
  /// What it has ended with by itself.
  std::optional<int> exit_code;
  /// Where its threads were, as faulthandler wrote it, or the message if it wrote nothing. The text belongs to the error.
  std::string_view traceback;
};

/// A Python exception, as text and numbers: ExecutionFailed.excinfo. The texts are valid as long as this object, or the
/// error that it comes from, or a copy of either.
class exception_info {
 public:
  // No move that would leave it without its state.
  exception_info(const exception_info &) noexcept = default;
  exception_info &operator=(const exception_info &) noexcept = default;

  /// excinfo.type.__name__, such as "ValueError".
  [[nodiscard]] std::string_view type_name() const noexcept { return text(subpy_error_type_name); }
  /// excinfo.type.__qualname__, such as "Outer.Error" for a nested class.
  [[nodiscard]] std::string_view type_qualname() const noexcept { return text(subpy_error_type_qualname); }
  /// excinfo.type.__module__, such as "builtins".
  [[nodiscard]] std::string_view type_module() const noexcept { return text(subpy_error_type_module); }
  /// excinfo.msg: str(exception).
  [[nodiscard]] std::string_view msg() const noexcept { return text(subpy_error_exception_message); }
  /// excinfo.formatted: "module.Type: message", without the module for builtins and `__main__`.
  [[nodiscard]] std::string_view formatted() const noexcept { return text(subpy_error_formatted); }
  /// excinfo.errdisplay: the traceback that Python would print, without the final newline.
  [[nodiscard]] std::string_view errdisplay() const noexcept { return text(subpy_error_display); }

  /// The traceback, the outermost frame first. Of more than 10,000 the middle is left out.
  [[nodiscard]] std::vector<frame> frames() const {
    std::vector<frame> found;
    const std::size_t count = subpy_error_frame_count(state_->source.get());
    found.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
      subpy_frame raw = {};
      raw.size = sizeof raw;
      if (!subpy_error_frame(state_->source.get(), index, &raw)) break;
      found.push_back({detail::view_of(raw.file, raw.file_len), raw.line, detail::view_of(raw.function, raw.function_len),
                       detail::view_of(raw.source, raw.source_len), raw.end_line, raw.column, raw.end_column});
    }
    return found;
  }

  /// The status that SystemExit asked for: 0 for None, 1 for anything that is no int. Empty for other exceptions.
  [[nodiscard]] std::optional<int> exit_status() const noexcept {
    std::int32_t code = 0;
    return subpy_error_exit_status(state_->source.get(), &code) ? std::optional<int>(code) : std::nullopt;
  }

 private:
  friend class error;
  explicit exception_info(std::shared_ptr<const detail::failure> state) noexcept : state_(std::move(state)) {}

  [[nodiscard]] std::string_view text(const char *(*get)(const subpy_error *, std::size_t *)) const noexcept {
    std::size_t length = 0;
    const char *found = get(state_->source.get(), &length);
    return detail::view_of(found, length);
  }

  std::shared_ptr<const detail::failure> state_;
};

/// What every operation throws, or puts into its result: the base of all errors. A copy is cheap, never fails, and shares
/// the immutable details; it may be read on any thread, and outlives the interpreter that it is about.
class error : public std::exception {
 public:
  /// An error of the C interface, which it takes over. `raw` may be NULL.
  error(subpy_status code, subpy_error *raw) : error(taken(static_cast<status>(code), raw)) {}

  /// An error of your own, with this message.
  error(status code, const std::string &message) : error(detail::failure{code, nullptr, message, {}, message, {}}) {}

  error(const error &) noexcept = default;
  error &operator=(const error &) noexcept = default;
  ~error() override = default;

  [[nodiscard]] status code() const noexcept { return state_->code; }

  /// What went wrong, in one line. It may hold NUL characters, so message() may be longer.
  [[nodiscard]] const char *what() const noexcept override {
    return state_->source ? subpy_error_message(state_->source.get(), nullptr) : state_->message.c_str();
  }

  /// what() with its length. Valid as long as a copy of the error.
  [[nodiscard]] std::string_view message() const noexcept {
    if (!state_->source) return state_->message;
    std::size_t length = 0;
    const char *text = subpy_error_message(state_->source.get(), &length);
    return detail::view_of(text, length);
  }

  /// The Python exception: there is one for status::execution_failed, syntax, timeout and interrupted. Empty when a run was
  /// stopped before it began.
  [[nodiscard]] std::optional<exception_info> excinfo() const noexcept {
    if (subpy_error_type_name(state_->source.get(), nullptr) == nullptr) return std::nullopt;
    return exception_info(state_);
  }

  /// Where the source is wrong, for status::syntax.
  [[nodiscard]] std::optional<syntax_location> syntax() const noexcept {
    std::int32_t line = 0;
    std::int32_t column = 0;
    const char *text = nullptr;
    if (!subpy_error_syntax(state_->source.get(), &line, &column, &text)) return std::nullopt;
    return syntax_location{line, column, detail::view_of(text)};
  }

  /// How the process of the interpreter has ended, for status::crashed.
  [[nodiscard]] std::optional<crash_info> crash() const noexcept {
    std::int32_t signal = 0;
    std::int32_t exit_code = -1;
    if (!subpy_error_crash(state_->source.get(), &signal, &exit_code)) return std::nullopt;
    std::size_t length = 0;
    const char *text = subpy_error_display(state_->source.get(), &length);
    crash_info found;
    if (signal != 0) found.signal = signal;
    if (exit_code != -1) found.exit_code = exit_code;
    found.traceback = detail::view_of(text, length);
    return found;
  }

  /// Which row of function::call_many() or call_each() it is about, from 0. Empty for all other errors.
  [[nodiscard]] std::optional<std::size_t> row() const noexcept {
    std::size_t found = 0;
    return subpy_error_row(state_->source.get(), &found) ? std::optional<std::size_t>(found) : state_->row;
  }

  /// The handle of the interpreter that the error is about, which may be gone; 0 when none.
  [[nodiscard]] subpy_interp interp() const noexcept { return subpy_error_interp(state_->source.get()); }

#if SUBPY_CPP_EXCEPTIONS
  /// What a host function threw, when that is the exception that Python did not catch; null for all other errors. The
  /// class that is thrown for the error has it as its nested exception: std::rethrow_if_nested(error).
  [[nodiscard]] std::exception_ptr cause() const noexcept { return state_->cause; }

  /// Throws it, as the class that belongs to its code.
  [[noreturn]] void raise() const;
#endif

 private:
  friend struct detail::conversion_path;
  friend struct detail::host_error;
  friend struct detail::row_error;

  explicit error(detail::failure &&state) : state_(std::make_shared<const detail::failure>(std::move(state))) {}

  static detail::failure taken(status code, subpy_error *raw) {
    detail::failure state;
    state.source.reset(raw);
    state.code = code;
    if (raw == nullptr) state.message = status_name(code);
    find_cause(state);
    return state;
  }

  static void find_cause([[maybe_unused]] detail::failure &state) {
#if SUBPY_CPP_EXCEPTIONS
    const std::uint64_t tag = subpy_error_tag(state.source.get());
    if (tag != 0) state.cause = detail::cause_store::get().find(tag);
#endif
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class Error>
  [[noreturn]] void throw_as() const;
#endif

  std::shared_ptr<const detail::failure> state_;  // never null: there is no move that would leave it so
};

/// Python's InterpreterError: about an interpreter, and the base of what Python derives from it.
class interpreter_error : public error {
 public:
  explicit interpreter_error(const error &cause) noexcept : error(cause) {}
};

/// Python's InterpreterNotFoundError: no such interpreter or thread. It was closed, joined, freed, or never there.
class interpreter_not_found_error : public interpreter_error {
 public:
  using interpreter_error::interpreter_error;
};

/// The interpreter is running already, or is running and cannot be closed. Nothing changed.
class busy_error : public interpreter_error {
 public:
  using interpreter_error::interpreter_error;
};

/// Python's ExecutionFailed: Python code ended with an uncaught exception, SystemExit included. See excinfo().
class execution_failed : public interpreter_error {
 public:
  using interpreter_error::interpreter_error;
};

/// The process of the interpreter has ended, and the interpreter with it. See crash().
class crashed_error : public interpreter_error {
 public:
  using interpreter_error::interpreter_error;
};

/// Python's NotShareableError: a result cannot leave the interpreter. The code ran; the message has the way to the object.
class not_shareable_error : public error {
 public:
  explicit not_shareable_error(const error &cause) noexcept : error(cause) {}
};

/// The source does not compile. Nothing ran. See syntax().
class syntax_error : public error {
 public:
  explicit syntax_error(const error &cause) noexcept : error(cause) {}
};

/// An argument makes no sense. Nothing was done.
class invalid_argument_error : public error {
 public:
  explicit invalid_argument_error(const error &cause) noexcept : error(cause) {}
};

/// A value does not fit the C++ type that was asked for. The code ran. The message has the way to the value, and both
/// types: "result[3]: int 300 does not fit std::uint8_t".
class conversion_error : public error {
 public:
  explicit conversion_error(const error &cause) noexcept : error(cause) {}

  /// For a from_python() of your own; the way to the value is put in front of the reason.
  explicit conversion_error(std::string reason)
      : error(detail::conversion_path::make("value", {}, std::move(reason))) {}
};

/// No CPython that fits was found; the message lists what was tried.
class python_not_found_error : public error {
 public:
  explicit python_not_found_error(const error &cause) noexcept : error(cause) {}
};

/// The CPython that was asked for, or that is in the process already, does not fit.
class python_unsupported_error : public error {
 public:
  explicit python_unsupported_error(const error &cause) noexcept : error(cause) {}
};

/// The library had no memory for a thread state or a result. A MemoryError in Python code is an execution_failed.
class no_memory_error : public error {
 public:
  explicit no_memory_error(const error &cause) noexcept : error(cause) {}
};

/// This process was forked from one in which Python runs. It can exit, or start another program.
class forked_error : public error {
 public:
  explicit forked_error(const error &cause) noexcept : error(cause) {}
};

/// Not now: the message says what has to come before, or what is going on.
class wrong_state_error : public error {
 public:
  explicit wrong_state_error(const error &cause) noexcept : error(cause) {}
};

/// The time limit was over. excinfo() shows where Python was.
class timeout_error : public error {
 public:
  explicit timeout_error(const error &cause) noexcept : error(cause) {}
};

/// The run was cancelled. excinfo() shows where Python was.
class interrupted_error : public error {
 public:
  explicit interrupted_error(const error &cause) noexcept : error(cause) {}
};

/// A bug in subpy; please report it.
class panic_error : public error {
 public:
  explicit panic_error(const error &cause) noexcept : error(cause) {}
};

/// The Python exception that a host function wants to raise: `throw subpy::python_exception("KeyError", "no such user")`,
/// or returned as the error of a subpy::result.
class python_exception : public error {
 public:
  /// `type` is the name of a builtin exception, or "package.module:Type".
  python_exception(std::string type, std::string message)
      : error(detail::host_error::make(std::move(type), std::move(message))) {}

  explicit python_exception(const error &cause) noexcept : error(cause) {}
};

#if SUBPY_CPP_EXCEPTIONS
template <class Error>
void error::throw_as() const {
  if (state_->cause == nullptr) throw Error(*this);
  try {
    std::rethrow_exception(state_->cause);
  } catch (...) {  // which makes it the exception that is nested
    std::throw_with_nested(Error(*this));
  }
}

inline void error::raise() const {
  if (!state_->python_type.empty()) throw_as<python_exception>();
  switch (code()) {
    case status::invalid_argument:
      throw_as<invalid_argument_error>();
    case status::not_found:
      throw_as<interpreter_not_found_error>();
    case status::busy:
      throw_as<busy_error>();
    case status::execution_failed:
      throw_as<execution_failed>();
    case status::not_shareable:
      throw_as<not_shareable_error>();
    case status::interpreter:
      throw_as<interpreter_error>();
    case status::syntax:
      throw_as<syntax_error>();
    case status::python_not_found:
      throw_as<python_not_found_error>();
    case status::python_unsupported:
      throw_as<python_unsupported_error>();
    case status::timeout:
      throw_as<timeout_error>();
    case status::interrupted:
      throw_as<interrupted_error>();
    case status::no_memory:
      throw_as<no_memory_error>();
    case status::forked:
      throw_as<forked_error>();
    case status::wrong_state:
      throw_as<wrong_state_error>();
    case status::panic:
      throw_as<panic_error>();
    case status::crashed:
      throw_as<crashed_error>();
    case status::conversion:
      throw_as<conversion_error>();
    case status::ok:
      break;
  }
  throw_as<error>();  // a code of a newer library
}
#endif

namespace detail {

inline error conversion_path::make(std::string_view root, std::string path, std::string reason) {
  std::string message = std::string(root) + path + ": " + reason;
  return error(failure{status::conversion, nullptr, std::move(message), std::move(path), std::move(reason), {}});
}

inline error conversion_path::within(const error &inner, const std::string &element) {
  const failure &state = *inner.state_;
  return state.code == status::conversion ? make("value", element + state.path, state.reason) : inner;
}

inline error conversion_path::rooted(const error &inner, std::string_view root) {
  const failure &state = *inner.state_;
  return state.code == status::conversion ? make(root, state.path, state.reason) : inner;
}

inline const std::string &host_error::python_type(const error &of) noexcept { return of.state_->python_type; }
inline const std::string &host_error::python_message(const error &of) noexcept { return of.state_->reason; }

inline error host_error::make(std::string type, std::string message) {
  failure state;
  state.code = status::execution_failed;
  state.message = message.empty() ? type : type + ": " + message;
  state.reason = std::move(message);
  state.python_type = std::move(type);
  return error(std::move(state));
}

inline error row_error::shared(const subpy_error *raw, std::shared_ptr<const void> results) {
  failure state;
  state.code = static_cast<status>(subpy_error_status(raw));
  // Nothing changes an error; only its owner frees it.
  state.source = {const_cast<subpy_error *>(raw), free_error{std::move(results)}};
  error::find_cause(state);
  return error(std::move(state));
}

inline error row_error::kept(const subpy_error *raw) { return {subpy_error_status(raw), subpy_error_copy(raw)}; }

inline error row_error::conversion(const error &inner, std::size_t row) {
  const failure &of = *inner.state_;
  if (of.code != status::conversion) return inner;
  std::string message = "row " + std::to_string(row) + ": result" + of.path + ": " + of.reason;
  return error(failure{status::conversion, nullptr, std::move(message), of.path, of.reason, row});
}

/// Ends the program: for asking a result for what it does not hold. There is nothing to return, and nothing to throw.
[[noreturn]] inline void misuse(const char *what, const char *why) noexcept {
  std::fprintf(stderr, "subpy: %s: %s\n", what, why);
  std::abort();
}

}  // namespace detail

/// Takes errors that nobody can be told of, because they come up in a destructor, or in a function that output goes to. It
/// may be called on any thread.
using unraisable_hook = void (*)(const error &) noexcept;

namespace detail {

inline void print_unraisable(const error &ignored) noexcept {
  std::fprintf(stderr, "subpy: ignored: %s: %s\n", status_name(ignored.code()), ignored.what());
}

inline std::atomic<unraisable_hook> current_unraisable_hook{print_unraisable};

/// Hands an error of the C interface to the hook. Without memory for that, at least says that there was one.
inline void report(subpy_status code, subpy_error *raw) noexcept {
#if SUBPY_CPP_EXCEPTIONS
  try {
    current_unraisable_hook.load()(error(code, raw));
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "subpy: ignored: %s\n", subpy_status_name(code));
  }
#else
  current_unraisable_hook.load()(error(code, raw));
#endif
}

}  // namespace detail

/// Sets the hook, and returns the one before. The first one prints a line to stderr, and so does nullptr. Python:
/// sys.unraisablehook.
inline unraisable_hook set_unraisable_hook(unraisable_hook hook) noexcept {
  return detail::current_unraisable_hook.exchange(hook == nullptr ? detail::print_unraisable : hook);
}

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_ERROR_HPP
