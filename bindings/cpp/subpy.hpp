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

/* C++ exceptions that pass through Python. */
#ifndef SUBPY_CAUSE_HPP
#define SUBPY_CAUSE_HPP

#if SUBPY_CPP_EXCEPTIONS

#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <unordered_map>
#include <utility>

#endif

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

#if SUBPY_CPP_EXCEPTIONS

/// The runs of this header's that a thread is in, and the last exception that a host function threw meanwhile.
struct thread_runs {
  unsigned depth = 0;
  std::uint64_t newest = 0;
};

inline thread_local thread_runs this_thread_runs;

/// What host functions threw, until the run that it may come out of has returned. The Python exception has the tag.
class cause_store {
 public:
  /// Never destroyed: threads of Python's may go on while the program ends.
  static cause_store &get() {
    static auto &store = *new cause_store;
    return store;
  }

  /// Keeps it until the outermost run of this thread returns. A thread that this header runs nothing on has none: of what
  /// is thrown there the last few are kept, for the one who joins.
  std::uint64_t keep(const std::exception_ptr &cause) {
    thread_runs &runs = this_thread_runs;
    kept::node_type dropped;  // destroyed without the lock: that is code of the program's
    const std::lock_guard<std::mutex> guard(lock_);
    // Tags of other bindings, or of another copy of this one, are other numbers.
    const std::uint64_t tag = (reinterpret_cast<std::uintptr_t>(this) << 16U) + ++last_;
    if (runs.depth != 0) {
      kept_.emplace(tag, entry{cause, runs.newest, false});
      runs.newest = tag;
      return tag;
    }
    strays_.push_back(tag);
    kept_.emplace(tag, entry{cause, 0, true});
    if (strays_.size() > most_strays) {
      dropped = kept_.extract(strays_.front());
      strays_.pop_front();
    }
    return tag;
  }

  /// The exception with this tag; null when there is none any more.
  [[nodiscard]] std::exception_ptr find(std::uint64_t tag) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto found = kept_.find(tag);
    if (found == kept_.end()) return nullptr;
    std::exception_ptr cause = found->second.cause;
    if (found->second.stray) kept_.erase(found);
    return cause;
  }

  /// Drops what this thread has kept.
  void drop(thread_runs &runs) noexcept {
    std::uint64_t tag = std::exchange(runs.newest, 0);
    while (tag != 0) {
      kept::node_type dropped;
      const std::lock_guard<std::mutex> guard(lock_);
      dropped = kept_.extract(tag);
      tag = dropped.empty() ? 0 : dropped.mapped().older;
    }
  }

 private:
  struct entry {
    std::exception_ptr cause;
    std::uint64_t older;
    bool stray;
  };
  using kept = std::unordered_map<std::uint64_t, entry>;
  static constexpr std::size_t most_strays = 64;

  std::mutex lock_;
  kept kept_;
  std::deque<std::uint64_t> strays_;
  std::uint64_t last_ = 0;
};

/// As long as a run of this header's lasts.
class in_run {
 public:
  in_run() noexcept { this_thread_runs.depth++; }
  in_run(const in_run &) = delete;
  in_run(in_run &&) = delete;
  in_run &operator=(const in_run &) = delete;
  in_run &operator=(in_run &&) = delete;
  ~in_run() {
    thread_runs &runs = this_thread_runs;
    if (--runs.depth == 0 && runs.newest != 0) cause_store::get().drop(runs);
  }
};

#else

class in_run {
 public:
  in_run() noexcept {}
  in_run(const in_run &) = delete;
  in_run &operator=(const in_run &) = delete;
  ~in_run() {}
};

#endif

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_CAUSE_HPP

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

/* A value, or the error that came instead. */
#ifndef SUBPY_RESULT_HPP
#define SUBPY_RESULT_HPP

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A value, or the error that came instead: what the try_ functions return. Like C++23's std::expected<T, subpy::error>,
/// except that asking for what is not there ends the program with a message.
template <class T>
class [[nodiscard]] result {
  static_assert(!std::is_reference_v<T>, "subpy::result holds values, not references");

 public:
  using value_type = T;

  result(const T &value) : held_(std::in_place_index<0>, value) {}
  result(T &&value) noexcept(std::is_nothrow_move_constructible_v<T>)
      : held_(std::in_place_index<0>, std::move(value)) {}
  result(const subpy::error &cause) noexcept : held_(std::in_place_index<1>, cause) {}
  /// Makes the T in its place.
  template <class... Args>
  explicit result(std::in_place_t /*unused*/, Args &&...args)
      : held_(std::in_place_index<0>, std::forward<Args>(args)...) {}

  [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T &operator*() & noexcept { return *pointer(); }
  const T &operator*() const & noexcept { return *pointer(); }
  T &&operator*() && noexcept { return std::move(*pointer()); }
  T *operator->() noexcept { return pointer(); }
  const T *operator->() const noexcept { return pointer(); }

  [[nodiscard]] const subpy::error &error() const noexcept {
    if (const auto *found = std::get_if<1>(&held_)) return *found;
    detail::misuse("result::error()", "there is a value");
  }

  template <class U>
  [[nodiscard]] T value_or(U &&other) const & {
    return has_value() ? **this : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  [[nodiscard]] T value_or(U &&other) && {
    return has_value() ? *std::move(*this) : static_cast<T>(std::forward<U>(other));
  }

#if SUBPY_CPP_EXCEPTIONS
  /// The value. Throws the error, as the class that belongs to its code.
  T &value() & {
    check();
    return *std::get_if<0>(&held_);
  }
  const T &value() const & {
    check();
    return *std::get_if<0>(&held_);
  }
  T value() && {
    check();
    return std::move(*std::get_if<0>(&held_));
  }
#endif

 private:
  [[nodiscard]] const T *pointer() const noexcept {
    if (const T *found = std::get_if<0>(&held_)) return found;
    detail::misuse("a result without a value", error().what());
  }
  [[nodiscard]] T *pointer() noexcept { return const_cast<T *>(std::as_const(*this).pointer()); }

#if SUBPY_CPP_EXCEPTIONS
  void check() const {
    if (const auto *found = std::get_if<1>(&held_)) found->raise();
  }
#endif

  std::variant<T, subpy::error> held_;
};

/// Done, or the error that came instead.
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;

  result() noexcept = default;
  result(const subpy::error &cause) noexcept : error_(cause) {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] const subpy::error &error() const noexcept {
    if (error_) return *error_;
    detail::misuse("result::error()", "there is no error");
  }

#if SUBPY_CPP_EXCEPTIONS
  /// Throws the error, if there is one.
  void value() const {
    if (error_) error_->raise();
  }
#endif

 private:
  std::optional<subpy::error> error_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RESULT_HPP

/* What a conversion is: `convert<T>`, and what its authors use. */
#ifndef SUBPY_CONVERT_HPP
#define SUBPY_CONVERT_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/* ---------------------------------------------------------------------------------------------------------------------
 * Conversions
 *
 * convert<T> turns a T into a Python value and back. That is how the types of the standard library do it
 * (standard.hpp), and how yours can:
 *
 *   template <>
 *   struct subpy::convert<point> {
 *     static subpy_value to_python(const point &p, subpy::encoder &encoder) { return encoder.tuple(p.x, p.y); }
 *     static subpy::result<point> from_python(subpy::value_view view) {
 *       auto x = view.try_get<double>(0);
 *       if (!x) return x.error();
 *       auto y = view.try_get<double>(1);
 *       if (!y) return y.error();
 *       return point{*x, *y};
 *     }
 *   };
 *
 * A type that goes one way only leaves the other function out. For structs that are dicts in Python there is
 * convert_as_dict. from_python() reports what is wrong in its result: conversion_error("..."), wrong_type<T>(view), or
 * the error of a part.
 * --------------------------------------------------------------------------------------------------------------------- */

class encoder;
class object;
class value;
class value_view;

/// How a C++ type becomes a Python value and back. To be specialised.
///
///   subpy_value to_python(const T &, encoder &)   What it points to lives as long as the T, or in the encoder.
///   result<T> from_python(value_view)
///   std::string name()                            Optional: what messages call the type.
///   bool borrows                                  Optional: true when a T points into the value that it came from,
///                                                 as std::string_view does. It can then be no result of a call.
///   std::uint32_t wants                           Optional: the SUBPY_RESULT_* that a result with a T in it needs.
template <class T, class Enable = void>
struct convert {};

/// What a value is.
enum class kind : std::int32_t {
  none = SUBPY_KIND_NONE,
  boolean = SUBPY_KIND_BOOL,
  /// An int that fits std::int64_t.
  integer = SUBPY_KIND_INT,
  /// Any other int.
  bigint = SUBPY_KIND_BIGINT,
  floating = SUBPY_KIND_FLOAT,
  str = SUBPY_KIND_STR,
  bytes = SUBPY_KIND_BYTES,
  tuple = SUBPY_KIND_TUPLE,
  list = SUBPY_KIND_LIST,
  dict = SUBPY_KIND_DICT,
  /// Something that stays in Python: subpy::object.
  object = SUBPY_KIND_OBJECT,
  /// Memory that is not copied: subpy::buffer_view.
  buffer = SUBPY_KIND_BUFFER,
  queue = SUBPY_KIND_QUEUE,
};

/// Which Python type a value is of, when its kind does not tell; see interpreter_options::tagged_values. Such a value is
/// also read as what its kind says.
enum class tag : std::uint32_t {
  none = 0,
  /// A list.
  set = SUBPY_TAG_SET,
  /// A tuple.
  frozenset = SUBPY_TAG_FROZENSET,
  /// A tuple of two floats.
  complex = SUBPY_TAG_COMPLEX,
  /// A str as date.isoformat() makes it.
  date = SUBPY_TAG_DATE,
  /// A str as time.isoformat() makes it.
  time = SUBPY_TAG_TIME,
  /// A str as datetime.isoformat() makes it.
  datetime = SUBPY_TAG_DATETIME,
  /// A tuple of three ints: days, seconds, microseconds.
  timedelta = SUBPY_TAG_TIMEDELTA,
  /// A str.
  decimal = SUBPY_TAG_DECIMAL,
  /// A str.
  uuid = SUBPY_TAG_UUID,
  /// A member of an Enum: a tuple of "module:qualname", the name and the value.
  enumeration = SUBPY_TAG_ENUM,
  /// A dict of the fields, behind an entry "__class__": "module:qualname".
  dataclass = SUBPY_TAG_DATACLASS,
};

namespace detail {

/// What an argument is converted as: without const and reference, and a text literal as a pointer.
template <class T>
using plain = std::remove_cv_t<std::decay_t<T>>;

template <class T, class = void>
struct has_to_python : std::false_type {};
template <class T>
struct has_to_python<
    T, std::void_t<decltype(convert<T>::to_python(std::declval<const T &>(), std::declval<encoder &>()))>>
    : std::true_type {};

template <class T, class = void>
struct has_from_python : std::false_type {};
template <class T>
struct has_from_python<T, std::void_t<decltype(convert<T>::from_python(std::declval<value_view>()))>> : std::true_type {
};

template <class T, class = void>
struct borrows : std::false_type {};
template <class T>
struct borrows<T, std::void_t<decltype(convert<T>::borrows)>> : std::bool_constant<convert<T>::borrows> {};

template <class... Ts>
inline constexpr bool any_borrows = (borrows<Ts>::value || ...);

template <class T, class = void>
struct wants : std::integral_constant<std::uint32_t, 0> {};
template <class T>
struct wants<T, std::void_t<decltype(convert<T>::wants)>> : std::integral_constant<std::uint32_t, convert<T>::wants> {};

template <class... Ts>
inline constexpr std::uint32_t all_want = (std::uint32_t{0} | ... | wants<Ts>::value);

/// A T that may keep a result instead of reading it.
template <class T, class = void>
struct has_take : std::false_type {};
template <class T>
struct has_take<T, std::void_t<decltype(convert<T>::take(std::declval<subpy_value &>()))>> : std::true_type {};

template <class T, class = void>
struct has_name : std::false_type {};
template <class T>
struct has_name<T, std::void_t<decltype(convert<T>::name())>> : std::true_type {};

/// The name of a type as the compiler spells it, without run-time type information.
template <class T>
std::string spelled() {
#if defined(__GNUC__)
  const std::string_view function = __PRETTY_FUNCTION__;  // "... [with T = point; ...]", "... [T = point]"
  const std::size_t start = function.find("T = ");
  if (start != std::string_view::npos) {
    const std::string_view rest = function.substr(start + 4);
    return std::string(rest.substr(0, rest.find_first_of(";]")));
  }
#endif
  return "the C++ type";
}

template <class T>
std::string name_of() {
  if constexpr (has_name<T>::value)
    return convert<T>::name();
  else
    return spelled<T>();
}

template <class First, class... Rest>
std::string names_of() {
  return (name_of<First>() + ... + (", " + name_of<Rest>()));
}

/// Without the union, which the others fill in.
inline subpy_value make(std::int32_t what, std::size_t length = 0) noexcept { return {what, 0, length, {}}; }

inline subpy_value make_bool(bool value) noexcept {
  subpy_value made = make(SUBPY_KIND_BOOL);
  made.u.as_bool = value;
  return made;
}

inline subpy_value make_int(std::int64_t value) noexcept {
  subpy_value made = make(SUBPY_KIND_INT);
  made.u.as_int = value;
  return made;
}

inline subpy_value make_float(double value) noexcept {
  subpy_value made = make(SUBPY_KIND_FLOAT);
  made.u.as_float = value;
  return made;
}

/// A str or a bigint.
inline subpy_value make_text(std::int32_t what, std::string_view text) noexcept {
  subpy_value made = make(what, text.size());
  made.u.as_str = text.data();
  return made;
}

inline subpy_value make_bytes(const void *data, std::size_t size) noexcept {
  subpy_value made = make(SUBPY_KIND_BYTES, size);
  made.u.as_bytes = static_cast<const std::uint8_t *>(data);
  return made;
}

/// A list or a tuple.
inline subpy_value make_sequence(std::int32_t what, const subpy_value *items, std::size_t count) noexcept {
  subpy_value made = make(what, count);
  made.u.as_items = items;
  return made;
}

inline subpy_value make_dict(const subpy_pair *pairs, std::size_t count) noexcept {
  subpy_value made = make(SUBPY_KIND_DICT, count);
  made.u.as_pairs = pairs;
  return made;
}

constexpr std::uint32_t tag_bits = 0xFF;

inline subpy_value with_tag(tag what, subpy_value made) noexcept {
  made.flags |= static_cast<std::uint32_t>(what);
  return made;
}

inline subpy_value make_object(subpy_object handle) noexcept {
  subpy_value made = make(SUBPY_KIND_OBJECT);
  made.u.as_object = handle;
  return made;
}

inline subpy_value make_buffer(const subpy_buffer *buffer) noexcept {
  subpy_value made = make(SUBPY_KIND_BUFFER);
  made.u.as_buffer = buffer;
  return made;
}

inline bool is_text(const subpy_value &raw) noexcept {
  return raw.kind == SUBPY_KIND_STR || raw.kind == SUBPY_KIND_BYTES || raw.kind == SUBPY_KIND_BIGINT;
}

inline bool is_sequence(const subpy_value &raw) noexcept {
  return raw.kind == SUBPY_KIND_TUPLE || raw.kind == SUBPY_KIND_LIST;
}

inline bool points_to_something(const subpy_value &raw) noexcept {
  return is_text(raw) || is_sequence(raw) || raw.kind == SUBPY_KIND_DICT;
}

/// A null pointer with a length, such as subpy_str(NULL, SUBPY_AUTO_LEN): an argument that the library refuses.
inline bool points_nowhere(const subpy_value &raw) noexcept {
  return points_to_something(raw) && raw.len != 0 && raw.u.as_bytes == nullptr;
}

/// A text as a part of a message: in one line, and not endless.
inline std::string shortened(std::string_view text) {
  constexpr std::size_t limit = 60;
  std::string_view rest;
  if (text.size() > limit) {
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) end--;  // not inside a character
    text = text.substr(0, end);
    rest = "...";
  }
  std::string shown;
  for (const char letter : text) shown += static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F ? ' ' : letter;
  return shown.append(rest);
}

inline std::string quoted(std::string_view text) { return "'" + shortened(text) + "'"; }

inline std::string element(std::size_t index) { return "[" + std::to_string(index) + "]"; }
inline std::string element(std::string_view key) { return "[" + quoted(key) + "]"; }

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_CONVERT_HPP

/* Values that are looked at where they lie, and what is borrowed. */
#ifndef SUBPY_VIEW_HPP
#define SUBPY_VIEW_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Memory that somebody else owns, as a Python bytes object: an argument that is not copied before the call, or the
/// content of a value.
class bytes_view {
 public:
  bytes_view() noexcept = default;
  bytes_view(const void *data, std::size_t size) noexcept
      : data_(static_cast<const std::uint8_t *>(data)), size_(size) {}

  [[nodiscard]] const std::uint8_t *data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const std::uint8_t *begin() const noexcept { return data_; }
  [[nodiscard]] const std::uint8_t *end() const noexcept { return data_ + size_; }

 private:
  const std::uint8_t *data_ = nullptr;
  std::size_t size_ = 0;
};

/// An int of any size, as hexadecimal text such as "-0x1ff".
struct bigint {
  std::string hex;

  friend bool operator==(const bigint &one, const bigint &other) { return one.hex == other.hex; }
  friend bool operator!=(const bigint &one, const bigint &other) { return !(one == other); }
};

class items_view;
class pairs_view;

/// A value that somebody else owns: a part of a subpy::value, or any subpy_value. As small as a pointer.
class value_view {
 public:
  /// Shows what `raw` holds, as long as that stays where it is. A temporary would be gone at once.
  explicit value_view(const subpy_value &raw) noexcept : raw_(&raw) {}
  explicit value_view(subpy_value &&raw) = delete;

  [[nodiscard]] subpy::kind kind() const noexcept { return static_cast<subpy::kind>(raw_->kind); }
  [[nodiscard]] bool is_none() const noexcept { return kind() == subpy::kind::none; }
  [[nodiscard]] subpy::tag tag() const noexcept { return static_cast<subpy::tag>(raw_->flags & detail::tag_bits); }

  /// The name of the Python type: "int", "NoneType"; what is behind an object is not looked at.
  [[nodiscard]] const char *type_name() const noexcept;

  /// How many bytes, items or entries; 0 for values that have none.
  [[nodiscard]] std::size_t size() const noexcept { return detail::points_to_something(*raw_) ? raw_->len : 0; }

  /// The value as a T. Throws conversion_error.
  template <class T>
  [[nodiscard]] result<T> try_as() const {
    static_assert(detail::has_from_python<T>::value, "subpy: this type has no subpy::convert<T>::from_python()");
    return convert<T>::from_python(*this);
  }

  /// A part of the value as a T: `get<int>("files", 3, "line")`. Keys are text for dicts and indexes for sequences.
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const;

  [[nodiscard]] result<value_view> try_at(std::size_t index) const;
  [[nodiscard]] result<value_view> try_at(std::string_view key) const;

  /// What a dict has for a str key. Looks at the entries one by one; anything but a dict has none.
  [[nodiscard]] std::optional<value_view> find(std::string_view key) const noexcept {
    const subpy_value *found = subpy_value_get(raw_, key.data(), key.size());
    return found == nullptr ? std::nullopt : std::optional<value_view>(value_view(*found));
  }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key).has_value(); }

  /// The items of a list or tuple, none of anything else: `for (auto item : view)`.
  [[nodiscard]] items_view items() const noexcept;
  /// The entries of a dict in their order, none of anything else: `for (auto [key, value] : view.pairs())`.
  [[nodiscard]] pairs_view pairs() const noexcept;
  [[nodiscard]] inline auto begin() const noexcept;
  [[nodiscard]] inline auto end() const noexcept;

#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T as() const {
    return try_as<T>().value();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const {
    return try_get<T>(keys...).value();
  }
  /// Throws conversion_error when there is no such item or key, or the value can have none.
  [[nodiscard]] value_view operator[](std::size_t index) const { return try_at(index).value(); }
  [[nodiscard]] value_view operator[](std::string_view key) const { return try_at(key).value(); }
#endif

  /// The value for the C interface.
  [[nodiscard]] const subpy_value &raw() const noexcept { return *raw_; }

 private:
  const subpy_value *raw_;
};

/// The items of a list or tuple.
class items_view {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = value_view;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_view;

    explicit iterator(const subpy_value *at) noexcept : at_(at) {}
    value_view operator*() const noexcept { return value_view(*at_); }
    iterator &operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return iterator(at_++); }
    friend bool operator==(iterator one, iterator other) noexcept { return one.at_ == other.at_; }
    friend bool operator!=(iterator one, iterator other) noexcept { return one.at_ != other.at_; }

   private:
    const subpy_value *at_;
  };

  items_view(const subpy_value *items, std::size_t count) noexcept : items_(items), count_(count) {}
  [[nodiscard]] iterator begin() const noexcept { return iterator(items_); }
  [[nodiscard]] iterator end() const noexcept { return iterator(items_ + count_); }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  const subpy_value *items_;
  std::size_t count_;
};

/// The entries of a dict.
class pairs_view {
 public:
  struct entry {
    value_view key;
    value_view value;
  };

  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = entry;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = entry;

    explicit iterator(const subpy_pair *at) noexcept : at_(at) {}
    entry operator*() const noexcept { return {value_view(at_->key), value_view(at_->value)}; }
    iterator &operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept { return iterator(at_++); }
    friend bool operator==(iterator one, iterator other) noexcept { return one.at_ == other.at_; }
    friend bool operator!=(iterator one, iterator other) noexcept { return one.at_ != other.at_; }

   private:
    const subpy_pair *at_;
  };

  pairs_view(const subpy_pair *pairs, std::size_t count) noexcept : pairs_(pairs), count_(count) {}
  [[nodiscard]] iterator begin() const noexcept { return iterator(pairs_); }
  [[nodiscard]] iterator end() const noexcept { return iterator(pairs_ + count_); }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  const subpy_pair *pairs_;
  std::size_t count_;
};

inline items_view value_view::items() const noexcept {
  return detail::is_sequence(*raw_) ? items_view(raw_->u.as_items, raw_->len) : items_view(nullptr, 0);
}

inline pairs_view value_view::pairs() const noexcept {
  return raw_->kind == SUBPY_KIND_DICT ? pairs_view(raw_->u.as_pairs, raw_->len) : pairs_view(nullptr, 0);
}

inline auto value_view::begin() const noexcept { return items().begin(); }
inline auto value_view::end() const noexcept { return items().end(); }

namespace detail {

/// The name of the type of a value with a tag; null without one.
inline const char *name_of_tagged(tag what) noexcept {
  switch (what) {
    case tag::set:
      return "set";
    case tag::frozenset:
      return "frozenset";
    case tag::complex:
      return "complex";
    case tag::date:
      return "date";
    case tag::time:
      return "time";
    case tag::datetime:
      return "datetime";
    case tag::timedelta:
      return "timedelta";
    case tag::decimal:
      return "Decimal";
    case tag::uuid:
      return "UUID";
    case tag::enumeration:
      return "Enum";
    case tag::dataclass:
      return "dataclass";
    case tag::none:
      break;
  }
  return nullptr;
}

}  // namespace detail

inline const char *value_view::type_name() const noexcept {
  if (const char *tagged = detail::name_of_tagged(tag())) return tagged;
  switch (kind()) {
    case subpy::kind::none:
      return "NoneType";
    case subpy::kind::boolean:
      return "bool";
    case subpy::kind::integer:
    case subpy::kind::bigint:
      return "int";
    case subpy::kind::floating:
      return "float";
    case subpy::kind::str:
      return "str";
    case subpy::kind::bytes:
      return "bytes";
    case subpy::kind::tuple:
      return "tuple";
    case subpy::kind::list:
      return "list";
    case subpy::kind::dict:
      return "dict";
    case subpy::kind::object:
      return "object";
    case subpy::kind::buffer:
      return "memoryview";
    case subpy::kind::queue:
      return "Queue";
  }
  return "unknown";
}

/// What a from_python() returns for a value of another type: "list does not convert to point".
template <class T>
[[nodiscard]] error wrong_type(value_view view) {
  return conversion_error(std::string(view.type_name()) + " does not convert to " + detail::name_of<T>());
}

inline result<value_view> value_view::try_at(std::size_t index) const {
  if (!detail::is_sequence(*raw_)) return conversion_error(std::string(type_name()) + " has no indexes");
  if (index < raw_->len) return value_view(raw_->u.as_items[index]);
  return conversion_error(std::string(type_name()) + " of " + std::to_string(raw_->len) + " has no index " +
                          std::to_string(index));
}

inline result<value_view> value_view::try_at(std::string_view key) const {
  if (raw_->kind != SUBPY_KIND_DICT) return conversion_error(std::string(type_name()) + " has no keys");
  if (const auto found = find(key)) return *found;
  return conversion_error("dict has no key " + detail::quoted(key));
}

namespace detail {

template <class T>
result<T> descend(value_view view) {
  return view.try_as<T>();
}

template <class T, class Key, class... Keys>
result<T> descend(value_view view, const Key &key, const Keys &...keys) {
  using step = std::conditional_t<std::is_convertible_v<const Key &, std::string_view>, std::string_view, std::size_t>;
  const auto at = static_cast<step>(key);
  const auto next = view.try_at(at);
  if (!next) return next.error();
  auto found = descend<T>(*next, keys...);
  if (!found) return conversion_path::within(found.error(), element(at));
  return found;
}

}  // namespace detail

template <class T, class... Keys>
result<T> value_view::try_get(const Keys &...keys) const {
  return detail::descend<T>(*this, keys...);
}

namespace detail {

/// What a subpy_buffer leaves out.
inline std::size_t dimensions_of(const subpy_buffer &raw) noexcept {
  return raw.ndim <= 0 ? 1 : static_cast<std::size_t>(raw.ndim);
}

inline std::string_view format_of(const subpy_buffer &raw) noexcept { return raw.format == nullptr ? "B" : raw.format; }

/// Equal formats, shapes and bytes; those of values have no gaps.
inline bool same_buffer(const subpy_buffer &one, const subpy_buffer &other) noexcept {
  if (one.len != other.len || dimensions_of(one) != dimensions_of(other) || format_of(one) != format_of(other))
    return false;
  if (one.shape != nullptr && other.shape != nullptr && !std::equal(one.shape, one.shape + dimensions_of(one), other.shape))
    return false;
  return one.len == 0 || std::memcmp(one.data, other.data, one.len) == 0;
}

}  // namespace detail

/// Equal kinds, tags and contents: True is not 1, dicts have the same entries in the same order, sets their items.
/// As in Python a NaN equals nothing. Objects and queues equal themselves: no Python code is run.
inline bool operator==(value_view one, value_view other) {
  std::vector<std::pair<const subpy_value *, const subpy_value *>> todo{{&one.raw(), &other.raw()}};
  while (!todo.empty()) {
    const auto [left, right] = todo.back();
    todo.pop_back();
    if (left->kind != right->kind || ((left->flags ^ right->flags) & detail::tag_bits) != 0) return false;
    if (detail::points_to_something(*left) && left->len != right->len) return false;
    switch (left->kind) {
      case SUBPY_KIND_BOOL:
        if (left->u.as_bool != right->u.as_bool) return false;
        break;
      case SUBPY_KIND_INT:
        if (left->u.as_int != right->u.as_int) return false;
        break;
      case SUBPY_KIND_FLOAT:
        if (left->u.as_float != right->u.as_float) return false;
        break;
      case SUBPY_KIND_TUPLE:
      case SUBPY_KIND_LIST:
        for (std::size_t i = 0; i < left->len; i++) todo.emplace_back(&left->u.as_items[i], &right->u.as_items[i]);
        break;
      case SUBPY_KIND_DICT:
        for (std::size_t i = 0; i < left->len; i++) {
          todo.emplace_back(&left->u.as_pairs[i].key, &right->u.as_pairs[i].key);
          todo.emplace_back(&left->u.as_pairs[i].value, &right->u.as_pairs[i].value);
        }
        break;
      case SUBPY_KIND_NONE:
        break;
      case SUBPY_KIND_OBJECT:
        if (left->u.as_object != right->u.as_object) return false;
        break;
      case SUBPY_KIND_QUEUE:
        if (left->u.as_queue != right->u.as_queue) return false;
        break;
      case SUBPY_KIND_BUFFER:
        if (!detail::same_buffer(*left->u.as_buffer, *right->u.as_buffer)) return false;
        break;
      default:  // texts, of any bytes
        if (left->len != 0 && std::memcmp(left->u.as_bytes, right->u.as_bytes, left->len) != 0) return false;
        break;
    }
  }
  return true;
}

inline bool operator!=(value_view one, value_view other) { return !(one == other); }

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_VIEW_HPP

/* C++ values on their way to Python. */
#ifndef SUBPY_ENCODER_HPP
#define SUBPY_ENCODER_HPP

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <limits>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// One keyword argument, made by kw().
template <class T>
struct keyword {
  std::string_view name;
  const T &value;
};

/// A keyword argument of a call, an entry of encoder::dict(), a name for prepare_main(): `call<int>("f", kw("x", 1))`.
/// Borrows both: use it in the call itself.
template <class T>
[[nodiscard]] keyword<T> kw(std::string_view name, const T &value) noexcept {
  return {name, value};
}

/// Many arguments at once, made by unpack().
template <class Container>
struct unpacked {
  const Container &container;
};

/// Python's `*args` and `**kwargs`: the items of a container as arguments, the entries of a map with text keys as
/// keyword arguments. Borrows the container: use it in the call itself.
template <class Container>
[[nodiscard]] unpacked<Container> unpack(const Container &container) noexcept {
  return {container};
}

/// Makes Python values out of C++ ones, and holds the memory that they need besides: what a to_python() uses. Small
/// calls need no memory of the heap.
class encoder {
 public:
  // The local memory is written before it is read; filling it would cost more than a small call may.
  encoder() noexcept {}  // NOLINT(modernize-use-equals-default,cppcoreguidelines-pro-type-member-init)
  encoder(const encoder &) = delete;
  encoder(encoder &&) = delete;
  encoder &operator=(const encoder &) = delete;
  encoder &operator=(encoder &&) = delete;
  ~encoder() {
    if (lent_ != nullptr) release_lent();
    if (chunks_ != nullptr) free_chunks();
  }

  /// The value of anything that has a conversion. It may point into `from`.
  template <class T>
  [[nodiscard]] subpy_value value(const T &from) {
    static_assert(detail::has_to_python<detail::plain<T>>::value,
                  "subpy: this type has no subpy::convert<T>::to_python()");
    return convert<detail::plain<T>>::to_python(from, *this);
  }

  /// A str that this encoder keeps, for text that would not live long enough.
  [[nodiscard]] subpy_value copy(std::string_view text) {
    return detail::make_text(SUBPY_KIND_STR, {keep(text), text.size()});
  }

  template <class... Ts>
  [[nodiscard]] subpy_value tuple(const Ts &...parts) {
    subpy_value *made = items(sizeof...(Ts));
    [[maybe_unused]] std::size_t count = 0;
    (::new (&made[count++]) subpy_value(value(parts)), ...);
    return detail::make_sequence(SUBPY_KIND_TUPLE, made, sizeof...(Ts));
  }

  /// A list of what a container holds.
  template <class Container>
  [[nodiscard]] subpy_value list(const Container &container) {
    subpy_value *made = items(container.size());
    return detail::make_sequence(SUBPY_KIND_LIST, made, fill(made, container));
  }

  /// A dict: `encoder.dict(kw("x", p.x), kw("y", p.y))`.
  template <class... Ts>
  [[nodiscard]] subpy_value dict(const keyword<Ts> &...entries) {
    subpy_pair *made = pairs(sizeof...(Ts));
    [[maybe_unused]] std::size_t count = 0;
    (::new (&made[count++]) subpy_pair(entry(entries)), ...);
    return detail::make_dict(made, sizeof...(Ts));
  }

  /// Memory that Python sees without a copy: what `lend` returns, a subpy_buffer. This encoder releases it, unless a call
  /// has taken it over: passed().
  template <class Lend>
  [[nodiscard]] subpy_value buffer(const Lend &lend) {
    void *place = allocate(sizeof(lent));
    lent_ = ::new (place) lent{lend(), lent_};
    return detail::make_buffer(&lent_->memory);
  }

  /// To be told the status of the function that the values were passed to, which it returns.
  subpy_status passed(subpy_status code) noexcept {
    if (code != SUBPY_ERROR_INVALID_ARGUMENT && code != SUBPY_ERROR_FORKED) lent_ = nullptr;
    return code;
  }

  /// Room for values, to be filled in; it lives as long as the encoder.
  [[nodiscard]] subpy_value *items(std::size_t count) {
    return static_cast<subpy_value *>(allocate(bytes_of(count, sizeof(subpy_value))));
  }

  /// Room for the entries of a dict, to be filled in.
  [[nodiscard]] subpy_pair *pairs(std::size_t count) {
    return static_cast<subpy_pair *>(allocate(bytes_of(count, sizeof(subpy_pair))));
  }

  /// A copy of a text that lives as long as the encoder.
  [[nodiscard]] const char *keep(std::string_view text) {
    auto *copy = static_cast<char *>(allocate(text.size()));
    if (!text.empty()) std::memcpy(copy, text.data(), text.size());
    return copy;
  }

  /// Writes the values of what a container holds, and says how many there are.
  template <class Container>
  std::size_t fill(subpy_value *room, const Container &container) {
    std::size_t count = 0;
    for (const auto &item : container) {
      using stored = typename std::iterator_traits<decltype(std::begin(container))>::reference;
      static_assert(std::is_reference_v<stored> || std::is_trivially_copyable_v<stored>,
                    "subpy: what a value points to must be in the container, not made when it is looked at");
      if constexpr (std::is_reference_v<stored>) {
        ::new (&room[count++]) subpy_value(value(item));
      } else {  // made when it was looked at: what the value points to may be inside it
        static_assert(alignof(stored) <= alignof(subpy_pair), "subpy: such an item has to be in the container");
        const auto *kept = ::new (allocate(sizeof(stored))) std::remove_cv_t<stored>(item);
        ::new (&room[count++]) subpy_value(value(*kept));
      }
    }
    return count;
  }

  template <class T>
  [[nodiscard]] subpy_pair entry(const keyword<T> &from) {
    return {detail::make_text(SUBPY_KIND_STR, from.name), value(from.value)};
  }

 private:
  // Eight values. More is not faster: a call that reaches further down the stack was seen to take 5 % longer.
  static constexpr std::size_t local_size = 8 * sizeof(subpy_value);
  static constexpr std::size_t first_chunk_size = 4096;

  struct chunk {
    chunk *older;
  };

  struct lent {
    subpy_buffer memory;
    lent *older;
  };

  /// Too many are as many bytes as no allocation has.
  static constexpr std::size_t bytes_of(std::size_t count, std::size_t size) noexcept {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 4;
    return count > most / size ? most : count * size;
  }

  void *allocate(std::size_t size) {
    constexpr std::size_t alignment = alignof(subpy_pair);
    size = (size + alignment - 1) / alignment * alignment;
    if (size > left_) grow(size);
    std::byte *found = next_;
    next_ += size;
    left_ -= size;
    return found;
  }

  /// Each chunk is twice as large as the one before.
  void grow(std::size_t size) {
    const std::size_t room = std::max(size, chunk_size_);
    chunk_size_ *= 2;
    auto *memory = static_cast<std::byte *>(::operator new(sizeof(chunk) + room));
    chunks_ = ::new (memory) chunk{chunks_};
    next_ = memory + sizeof(chunk);
    left_ = room;
  }

  void release_lent() noexcept {
    for (const lent *each = lent_; each != nullptr; each = each->older) {
      if (each->memory.release != nullptr) each->memory.release(each->memory.userdata);
    }
  }

  void free_chunks() noexcept {
    while (chunks_ != nullptr) ::operator delete(std::exchange(chunks_, chunks_->older));
  }

  alignas(subpy_pair) std::byte local_[local_size];
  std::byte *next_ = local_;
  std::size_t left_ = local_size;
  std::size_t chunk_size_ = first_chunk_size;
  chunk *chunks_ = nullptr;
  lent *lent_ = nullptr;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_ENCODER_HPP

/* A value that owns its memory. */
#ifndef SUBPY_VALUE_HPP
#define SUBPY_VALUE_HPP

#include <cstddef>
#include <cstring>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// What a copy of a value holds besides its block: handles of its own, and the contents of buffers.
class kept {
 public:
  kept() noexcept = default;
  kept(const kept &) = delete;
  kept(kept &&) = delete;
  kept &operator=(const kept &) = delete;
  kept &operator=(kept &&) = delete;
  ~kept() {
    for (const subpy_object each : objects_) subpy_object_free(each);
    for (const subpy_queue each : queues_) subpy_queue_free(each);
  }

  /// Makes the value, whose object, queue or buffer is somebody else's, one with its own. 0 when there is no such handle
  /// any more: then it is not found when it is used.
  void keep(subpy_value &part) {
    if (part.kind == SUBPY_KIND_OBJECT) {
      objects_.push_back(0);
      subpy_object_keep(part.u.as_object, &objects_.back(), nullptr);
      part.u.as_object = objects_.back();
    } else if (part.kind == SUBPY_KIND_QUEUE) {
      queues_.push_back(0);
      subpy_queue_keep(part.u.as_queue, &queues_.back(), nullptr);
      part.u.as_queue = queues_.back();
    } else {
      part.u.as_buffer = copy(*part.u.as_buffer);
    }
  }

 private:
  struct copied {
    subpy_buffer raw{};
    std::vector<std::max_align_t> bytes;
    std::string format;
    std::vector<std::size_t> shape;
  };

  const subpy_buffer *copy(const subpy_buffer &from) {
    copied &made = buffers_.emplace_back();
    made.raw = from;
    // No size: it can be read, but is refused as an argument, since nobody would know when Python lets go of the bytes.
    made.raw.size = 0;
    made.raw.release = nullptr;
    made.raw.userdata = nullptr;
    made.raw.strides = nullptr;
    made.bytes.resize((from.len + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    if (from.len != 0) std::memcpy(made.bytes.data(), from.data, from.len);
    made.raw.data = made.bytes.data();
    made.format = format_of(from);
    made.raw.format = made.format.c_str();
    if (from.shape != nullptr) {
      made.shape.assign(from.shape, from.shape + dimensions_of(from));
      made.raw.shape = made.shape.data();
    }
    return &made.raw;
  }

  std::vector<subpy_object> objects_;
  std::vector<subpy_queue> queues_;
  std::deque<copied> buffers_;  // whose members stay where they are
};

/// A value, and all that it points to.
struct tree {
  subpy_value root{};
  std::unique_ptr<std::byte[]> block;  // null when nothing is pointed to
  std::unique_ptr<detail::kept> kept;  // null when there are no handles and no buffers
};

/// A copy of a value with all that it points to. Does not recurse, so any depth is fine.
inline tree deep_copy(const subpy_value &from) {
  static_assert(sizeof(subpy_pair) == 2 * sizeof(subpy_value) && alignof(subpy_pair) == alignof(subpy_value));
  std::size_t values = 0;
  std::size_t letters = 0;
  std::vector<const subpy_value *> sources{&from};
  while (!sources.empty()) {
    const subpy_value &part = *sources.back();
    sources.pop_back();
    if (points_nowhere(part)) continue;
    if (is_text(part)) letters += part.len + 1;
    for (const value_view item : value_view(part).items()) sources.push_back(&item.raw());
    for (const auto [key, value] : value_view(part).pairs()) sources.insert(sources.end(), {&key.raw(), &value.raw()});
    if (!is_text(part)) values += value_view(part).size() * (part.kind == SUBPY_KIND_DICT ? 2 : 1);
  }

  tree copy{from, nullptr, nullptr};
  if (values + letters != 0) copy.block.reset(new std::byte[values * sizeof(subpy_value) + letters]);
  std::byte *room = copy.block.get();
  char *text_room = reinterpret_cast<char *>(room) + values * sizeof(subpy_value);
  std::vector<subpy_value *> copies{&copy.root};
  while (!copies.empty()) {
    subpy_value &part = *copies.back();
    copies.pop_back();
    part.flags &= tag_bits;  // without the library's mark of a result, which a copy is not
    if (points_nowhere(part)) part = make(-1);  // of no kind: still refused when it is used, and nothing can read it
    if (is_text(part)) {
      if (part.len != 0) std::memcpy(text_room, part.u.as_str, part.len);
      text_room[part.len] = '\0';
      part.u.as_str = text_room;
      text_room += part.len + 1;
    } else if (is_sequence(part)) {
      auto *items = reinterpret_cast<subpy_value *>(room);
      room += part.len * sizeof(subpy_value);
      std::uninitialized_copy_n(part.u.as_items, part.len, items);
      for (std::size_t i = 0; i < part.len; i++) copies.push_back(&items[i]);
      part.u.as_items = items;
    } else if (part.kind == SUBPY_KIND_DICT) {
      auto *pairs = reinterpret_cast<subpy_pair *>(room);
      room += part.len * sizeof(subpy_pair);
      std::uninitialized_copy_n(part.u.as_pairs, part.len, pairs);
      for (std::size_t i = 0; i < part.len; i++) copies.insert(copies.end(), {&pairs[i].key, &pairs[i].value});
      part.u.as_pairs = pairs;
    } else if (part.kind == SUBPY_KIND_OBJECT || part.kind == SUBPY_KIND_QUEUE || part.kind == SUBPY_KIND_BUFFER) {
      if (copy.kept == nullptr) copy.kept = std::make_unique<kept>();
      copy.kept->keep(part);
    }
  }
  return copy;
}

}  // namespace detail

template <>
struct convert<value_view> {
  static constexpr bool borrows = true;
  static subpy_value to_python(value_view from, encoder & /*unused*/) noexcept { return from.raw(); }
  static result<value_view> from_python(value_view view) { return view; }
};

template <>
struct convert<value> {
  static inline subpy_value to_python(const value &from, encoder & /*unused*/) noexcept;
  static inline result<value> from_python(value_view view);
  static inline result<value> take(subpy_value &raw) noexcept;
};

/// Any Python value, with all that is in it: a tree in one block of memory. Cheap to move, and to pass on as an argument.
/// It does not change; build it from containers of values, which convert as they do: `std::map<std::string, value>`.
/// Views of it are valid as long as it lives and is not assigned to or moved. A copy has handles of its own for the same
/// objects and queues; of buffers it has the bytes, to be read alone: pass a subpy::buffer on.
class value {
 public:
  /// None.
  value() noexcept = default;

  /// The value of anything that has a conversion. A copy: `from` may go.
  template <class T, std::enable_if_t<!std::is_same_v<detail::plain<T>, value> &&
                                          detail::has_to_python<detail::plain<T>>::value,
                                      int> = 0>
  value(const T &from) : value(made([&](encoder &room) { return room.value(from); })) {}

  value(const value &other) : tree_(detail::deep_copy(other.tree_.root)) {}
  value(value &&other) noexcept
      : tree_{std::exchange(other.tree_.root, subpy_value{}), std::move(other.tree_.block), std::move(other.tree_.kept)} {}
  value &operator=(const value &other) {
    if (this != &other) *this = value(other);
    return *this;
  }
  value &operator=(value &&other) noexcept {
    std::swap(tree_, other.tree_);
    return *this;
  }
  ~value() { subpy_value_free(&tree_.root); }

  /// Takes over a result of the C interface, which becomes None.
  [[nodiscard]] static value take(subpy_value &result) noexcept {
    value taken;
    taken.tree_.root = std::exchange(result, subpy_value{});
    return taken;
  }

  [[nodiscard]] static value list(std::initializer_list<value> items) {
    return made([&](encoder &to) { return to.list(items); });
  }
  [[nodiscard]] static value tuple(std::initializer_list<value> items) {
    return made([&](encoder &to) {
      subpy_value made = to.list(items);
      made.kind = SUBPY_KIND_TUPLE;
      return made;
    });
  }
  /// `value::dict({{"x", 1}, {2, "y"}})`
  [[nodiscard]] static value dict(std::initializer_list<std::pair<value, value>> entries) {
    return made([&](encoder &to) {
      subpy_pair *pairs = to.pairs(entries.size());
      std::size_t count = 0;
      for (const auto &entry : entries) ::new (&pairs[count++]) subpy_pair{entry.first.tree_.root, entry.second.tree_.root};
      return detail::make_dict(pairs, count);
    });
  }

  /// What it holds, of another Python type: `value::tagged(subpy::tag::decimal, "1.50")`.
  template <class T>
  [[nodiscard]] static value tagged(subpy::tag what, const T &content) {
    return made([&](encoder &to) {
      subpy_value made = to.value(content);
      made.flags = 0;
      return detail::with_tag(what, made);
    });
  }

  [[nodiscard]] value_view view() const & noexcept { return value_view(tree_.root); }
  value_view view() const && = delete;
  operator value_view() const & noexcept { return view(); }
  operator value_view() const && = delete;

  [[nodiscard]] subpy::kind kind() const noexcept { return view().kind(); }
  [[nodiscard]] bool is_none() const noexcept { return view().is_none(); }
  [[nodiscard]] subpy::tag tag() const noexcept { return view().tag(); }
  [[nodiscard]] const char *type_name() const noexcept { return view().type_name(); }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return view().contains(key); }

  /// See value_view. What points into the value, such as std::string_view, cannot be taken from a temporary one.
  template <class T>
  [[nodiscard]] result<T> try_as() const & {
    return view().try_as<T>();
  }
  template <class T>
  [[nodiscard]] result<T> try_as() const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().try_as<T>();
  }
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const & {
    return view().try_get<T>(keys...);
  }
  template <class T, class... Keys>
  [[nodiscard]] result<T> try_get(const Keys &...keys) const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().try_get<T>(keys...);
  }

  [[nodiscard]] std::optional<value_view> find(std::string_view key) const & noexcept { return view().find(key); }
  [[nodiscard]] items_view items() const & noexcept { return view().items(); }
  [[nodiscard]] pairs_view pairs() const & noexcept { return view().pairs(); }
  std::optional<value_view> find(std::string_view key) const && = delete;
  items_view items() const && = delete;
  pairs_view pairs() const && = delete;
  [[nodiscard]] auto begin() const noexcept { return view().begin(); }
  [[nodiscard]] auto end() const noexcept { return view().end(); }

#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T as() const & {
    return try_as<T>().value();
  }
  template <class T>
  [[nodiscard]] T as() const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().as<T>();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const & {
    return try_get<T>(keys...).value();
  }
  template <class T, class... Keys>
  [[nodiscard]] T get(const Keys &...keys) const && {
    static_assert(!detail::borrows<T>::value, "subpy: this would point into a temporary value");
    return view().get<T>(keys...);
  }
  [[nodiscard]] value_view operator[](std::size_t index) const & { return view()[index]; }
  [[nodiscard]] value_view operator[](std::string_view key) const & { return view()[key]; }
  value_view operator[](std::size_t index) const && = delete;
  value_view operator[](std::string_view key) const && = delete;
#endif

  friend bool operator==(const value &one, const value &other) { return one.view() == other.view(); }
  friend bool operator!=(const value &one, const value &other) { return !(one == other); }
  friend bool operator==(const value &one, value_view other) { return one.view() == other; }
  friend bool operator!=(const value &one, value_view other) { return !(one == other); }
  friend bool operator==(value_view one, const value &other) { return one == other.view(); }
  friend bool operator!=(value_view one, const value &other) { return !(one == other); }

 private:
  explicit value(detail::tree &&tree) noexcept : tree_(std::move(tree)) {}

  template <class Make>
  static value made(const Make &make) {
    encoder room;
    return value(detail::deep_copy(make(room)));
  }

  // The root may be a result of the library instead, which has no block here and is freed as one. Other roots are
  // not touched by that.
  detail::tree tree_;
};

inline subpy_value convert<value>::to_python(const value &from, encoder & /*unused*/) noexcept {
  return from.view().raw();
}
inline result<value> convert<value>::from_python(value_view view) { return value(view); }
inline result<value> convert<value>::take(subpy_value &raw) noexcept { return value::take(raw); }

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_VALUE_HPP

/* Structs that are dicts in Python. */
#ifndef SUBPY_FIELDS_HPP
#define SUBPY_FIELDS_HPP

#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A struct that is a dict in Python: derive convert<T> from this and name the members.
///
///   template <>
///   struct subpy::convert<point> : subpy::convert_as_dict<point> {
///     static constexpr auto fields = std::tuple{subpy::field{"x", &point::x}, subpy::field{"y", &point::y}};
///   };
///
/// From Python, a std::optional member may be missing, other keys are ignored, and T is default-constructed first.
template <class T>
struct convert_as_dict {
  static subpy_value to_python(const T &from, encoder &encoder) {
    return std::apply(
        [&](const auto &...fields) { return encoder.dict(kw(fields.name, from.*fields.member)...); },
        convert<T>::fields);
  }

  static result<T> from_python(value_view view) {
    if (view.kind() != kind::dict) return wrong_type<T>(view);
    T to{};
    std::optional<error> wrong;
    std::apply([&](const auto &...fields) { (read(view, fields, to, wrong), ...); }, convert<T>::fields);
    if (wrong) return *wrong;
    return to;
  }

 private:
  template <class M>
  struct is_optional : std::false_type {};
  template <class M>
  struct is_optional<std::optional<M>> : std::true_type {};

  template <class Field>
  static void read(value_view view, const Field &field, T &to, std::optional<error> &wrong) {
    using member = typename Field::member_type;
    if (wrong) return;
    if constexpr (is_optional<member>::value) {
      if (!view.contains(field.name)) return;
    }
    auto found = view.try_get<member>(field.name);
    if (found)
      to.*field.member = *std::move(found);
    else
      wrong = found.error();
  }
};

/// A member of a struct, and its key in the dict.
template <class T, class Member>
struct field {
  using member_type = Member;
  constexpr field(std::string_view key, Member T::*at) noexcept : name(key), member(at) {}

  std::string_view name;
  Member T::*member;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_FIELDS_HPP

/* Memory that Python and the program share. */
#ifndef SUBPY_BUFFER_HPP
#define SUBPY_BUFFER_HPP

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

template <class T, class... Others>
inline constexpr bool is_one_of = (std::is_same_v<T, Others> || ...);

template <class T>
inline constexpr bool is_byte = is_one_of<T, std::byte, std::uint8_t>;

/// What an item of a buffer is.
enum class item_kind : std::uint8_t { other, boolean, byte, signed_int, unsigned_int, floating };

struct item_type {
  item_kind kind = item_kind::other;
  std::size_t size = 0;

  friend bool operator==(item_type one, item_type two) noexcept { return one.kind == two.kind && one.size == two.size; }
};

/// What the items of a C++ type are; `other` when Python has none like them.
template <class T>
constexpr item_type item_type_of() noexcept {
  if constexpr (std::is_same_v<T, bool>) return {item_kind::boolean, sizeof(T)};
  if constexpr (is_one_of<T, char, std::byte>) return {item_kind::byte, 1};
  if constexpr (is_one_of<T, float, double>) return {item_kind::floating, sizeof(T)};
  if constexpr (std::is_integral_v<T> && !is_one_of<T, bool, char, wchar_t, char16_t, char32_t> &&
                sizeof(T) <= sizeof(std::int64_t))
    return {std::is_signed_v<T> ? item_kind::signed_int : item_kind::unsigned_int, sizeof(T)};
  return {};
}

/// The same in the words of Python's struct module.
template <class T>
constexpr const char *format_for() noexcept {
  constexpr item_type type = item_type_of<T>();
  switch (type.kind) {
    case item_kind::boolean:
      return "?";
    case item_kind::floating:
      return type.size == sizeof(float) ? "f" : "d";
    case item_kind::signed_int:
      return type.size == 1 ? "b" : type.size == 2 ? "h" : type.size == 4 ? "i" : "q";
    case item_kind::unsigned_int:
      return type.size == 1 ? "B" : type.size == 2 ? "H" : type.size == 4 ? "I" : "Q";
    case item_kind::byte:
    case item_kind::other:
      break;
  }
  return "B";
}

template <class T>
inline constexpr bool is_item = item_type_of<std::remove_cv_t<T>>().kind != item_kind::other;

/// What a format of one letter says, in the byte order of this machine.
inline item_type item_type_of(std::string_view format, std::size_t size) noexcept {
  if (!format.empty() && (format.front() == '@' || format.front() == '=')) format.remove_prefix(1);
  if (format.size() != 1) return {};
  const char letter = format.front();
  if (letter == '?') return {item_kind::boolean, size};
  if (letter == 'c') return {item_kind::byte, size};
  const bool number = size == 1 || size == 2 || size == 4 || size == 8;
  if (number && std::string_view("bhilqn").find(letter) != std::string_view::npos) return {item_kind::signed_int, size};
  if (number && std::string_view("BHILQN").find(letter) != std::string_view::npos) return {item_kind::unsigned_int, size};
  if (letter == (size == sizeof(float) ? 'f' : 'd')) return {item_kind::floating, size};
  return {};
}

/// One item of a buffer as a value, which lives as long as this.
class item_value {
 public:
  item_value(item_type type, const std::byte *at) noexcept {
    switch (type.kind) {
      case item_kind::boolean:
        raw_ = make_bool(load<std::uint8_t>(at) != 0);
        break;
      case item_kind::floating:
        raw_ = make_float(type.size == sizeof(float) ? static_cast<double>(load<float>(at)) : load<double>(at));
        break;
      case item_kind::signed_int:
        raw_ = make_int(type.size == 1   ? load<std::int8_t>(at)
                        : type.size == 2 ? load<std::int16_t>(at)
                        : type.size == 4 ? load<std::int32_t>(at)
                                         : load<std::int64_t>(at));
        break;
      case item_kind::byte:
        raw_ = make_bytes(at, 1);
        break;
      case item_kind::unsigned_int:
      case item_kind::other:
        set_unsigned(type.size == 1   ? load<std::uint8_t>(at)
                     : type.size == 2 ? load<std::uint16_t>(at)
                     : type.size == 4 ? load<std::uint32_t>(at)
                                      : load<std::uint64_t>(at));
        break;
    }
  }
  item_value(const item_value &) = delete;
  item_value(item_value &&) = delete;
  item_value &operator=(const item_value &) = delete;
  item_value &operator=(item_value &&) = delete;
  ~item_value() = default;

  [[nodiscard]] value_view view() const noexcept { return value_view(raw_); }

 private:
  template <class T>
  static T load(const std::byte *at) noexcept {
    T loaded{};
    std::memcpy(&loaded, at, sizeof loaded);
    return loaded;
  }

  void set_unsigned(std::uint64_t number) noexcept {
    if (number >> 63U == 0) {
      raw_ = make_int(static_cast<std::int64_t>(number));
      return;
    }
    const int length = std::snprintf(hex_, sizeof hex_, "0x%llx", static_cast<unsigned long long>(number));
    raw_ = make_text(SUBPY_KIND_BIGINT, {hex_, static_cast<std::size_t>(length)});
  }

  subpy_value raw_{};
  char hex_[24]{};
};

}  // namespace detail

/// Items that lie one behind the other in memory of somebody else's; converts to a std::span.
template <class T>
class array_view {
 public:
  using value_type = std::remove_cv_t<T>;

  array_view() noexcept = default;
  array_view(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

  [[nodiscard]] T *data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T *begin() const noexcept { return data_; }
  [[nodiscard]] T *end() const noexcept { return data_ + size_; }
  [[nodiscard]] T &operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

/// The memory that a value of kind::buffer shows, as long as that value lives: `value.as<subpy::buffer_view>()`. Its items
/// lie one behind the other, the last index running fastest.
class buffer_view {
 public:
  explicit buffer_view(const subpy_buffer &raw) noexcept : raw_(&raw) {}

  [[nodiscard]] void *data() const noexcept { return raw_->data; }
  /// In bytes.
  [[nodiscard]] std::size_t size() const noexcept { return raw_->len; }
  /// What the items are, in the words of Python's struct module.
  [[nodiscard]] std::string_view format() const noexcept { return detail::format_of(*raw_); }
  [[nodiscard]] std::size_t item_size() const noexcept { return raw_->itemsize == 0 ? 1 : raw_->itemsize; }
  /// How many items there are in all.
  [[nodiscard]] std::size_t count() const noexcept { return size() / item_size(); }
  [[nodiscard]] std::vector<std::size_t> shape() const {
    if (raw_->shape == nullptr) return {count()};
    return {raw_->shape, raw_->shape + detail::dimensions_of(*raw_)};
  }
  [[nodiscard]] bool writable() const noexcept { return (raw_->flags & SUBPY_BUFFER_WRITABLE) != 0; }

  /// All items, if that is what they are: `view.try_items<const double>()`. Those that are not const have to be writable.
  template <class T>
  [[nodiscard]] result<array_view<T>> try_items() const {
    static_assert(detail::is_item<T>, "subpy: Python has no buffers with items of this type");
    using item = std::remove_cv_t<T>;
    if (!holds<item>()) {
      return conversion_error("memoryview of format '" + std::string(format()) + "' does not convert to " +
                              detail::name_of<item>() + "s");
    }
    if constexpr (!std::is_const_v<T>) {
      if (!writable()) return conversion_error("memoryview is read-only");
    }
    return array_view<T>(static_cast<T *>(data()), count());
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] array_view<T> items() const {
    return try_items<T>().value();
  }
#endif

  [[nodiscard]] detail::item_type item_type() const noexcept { return detail::item_type_of(format(), item_size()); }
  [[nodiscard]] const subpy_buffer &raw() const noexcept { return *raw_; }

 private:
  template <class T>
  [[nodiscard]] bool holds() const noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(data());
    const detail::item_type type = item_type();
    const bool bytes = sizeof(T) == 1 && type.size == 1 && type.kind != detail::item_kind::other &&
                       detail::item_type_of<T>().kind == detail::item_kind::byte;
    return (type == detail::item_type_of<T>() || bytes) && address % alignof(T) == 0;
  }

  const subpy_buffer *raw_;
};

template <>
struct convert<buffer_view> {
  static constexpr bool borrows = true;
  static constexpr std::uint32_t wants = SUBPY_RESULT_BUFFER;
  static std::string name() { return "subpy::buffer_view"; }
  static result<buffer_view> from_python(value_view view) {
    if (view.kind() != kind::buffer) return wrong_type<buffer_view>(view);
    return buffer_view(*view.raw().u.as_buffer);
  }
};

/// Memory of the program's that Python sees without a copy, as a memoryview:
///
///   interp.call("f", subpy::buffer(std::move(frame)));
///
/// It lives as long as a copy of this, or a view in Python: copies share it. To learn when it is gone, give it an owner
/// with a deleter. Python only reads it, unless it is writable(). What the program writes meanwhile, Python sees.
class buffer {
 public:
  /// No memory.
  buffer() : buffer(static_cast<const std::byte *>(nullptr), 0, nullptr) {}

  /// What a container holds that moves into this: a std::vector, a std::string or the like, of numbers or bytes.
  template <class Container, class T = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>,
            std::enable_if_t<std::is_rvalue_reference_v<Container &&> && !std::is_const_v<Container> && detail::is_item<T>,
                             int> = 0>
  explicit buffer(Container &&container) {
    auto owner = std::make_shared<Container>(std::forward<Container>(container));
    state_ = made(std::data(*owner), std::size(*owner), owner);
  }

  /// `count` items that stay where they are as long as `owner` lives: a shared pointer to anything, whose deleter may be
  /// a function of yours. It runs on any thread, without a GIL.
  template <class T>
  buffer(T *data, std::size_t count, std::shared_ptr<const void> owner) : state_(made(data, count, std::move(owner))) {}

  /// So many items, all zero, that interpreters in processes (process_options) see without a copy, and so do all others.
  /// Python may write to them, as the program may: `memory.view().items<double>()`. Any other memory goes to such a process
  /// as a copy when Python may only read it, and is status::not_shareable otherwise.
  template <class T>
  [[nodiscard]] static result<buffer> try_shared(std::size_t count) {
    static_assert(detail::is_item<T> && !std::is_const_v<T>, "subpy: Python has no buffers with items of this type");
    const std::size_t size = count > static_cast<std::size_t>(-1) / sizeof(T) ? static_cast<std::size_t>(-1) : count * sizeof(T);
    const auto free = [](subpy_buffer *memory) noexcept {
      subpy_buffer_free(memory);
      delete memory;
    };
    const std::shared_ptr<subpy_buffer> memory(new subpy_buffer{}, free);
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_buffer_new(size, SUBPY_BUFFER_WRITABLE, memory.get(), &cause);
    if (code != SUBPY_OK) return error(code, cause);
    return buffer(static_cast<T *>(memory->data), count, memory).writable();
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] static buffer shared(std::size_t count) {
    return try_shared<T>(count).value();
  }
#endif

  /// The same memory, which Python may write to.
  [[nodiscard]] buffer writable() const {
    return changed([](state &to) { to.raw.flags |= SUBPY_BUFFER_WRITABLE; });
  }

  /// The same memory for one call: its views are released when the call returns. If Python has kept another view of it
  /// then, such as a slice, the call ends with status::busy, and the memory lives on until that is gone.
  [[nodiscard]] buffer lent() const {
    return changed([](state &to) { to.raw.flags |= SUBPY_BUFFER_LENT; });
  }

  /// The same memory with so many items in each dimension, and, when they do not lie one behind the other, so many bytes
  /// from one to the next. What does not fit the memory is status::invalid_argument when it is passed.
  [[nodiscard]] buffer shaped(std::vector<std::size_t> shape, std::vector<std::ptrdiff_t> strides = {}) const {
    return changed([&](state &to) {
      to.shape = std::move(shape);
      to.strides = std::move(strides);
      to.raw.ndim = static_cast<std::int32_t>(to.shape.size());
      to.raw.shape = to.shape.data();
      to.raw.strides = to.strides.empty() ? nullptr : to.strides.data();
      if (!to.strides.empty() && to.strides.size() != to.shape.size()) to.raw.ndim = -1;
    });
  }

  [[nodiscard]] buffer_view view() const & noexcept { return buffer_view(state_->raw); }
  buffer_view view() const && = delete;

  /// The memory for the C interface, one more time: to be released once, by raw.release(raw.userdata).
  [[nodiscard]] subpy_buffer lend() const {
    subpy_buffer raw = state_->raw;
    raw.userdata = std::make_unique<std::shared_ptr<const state>>(state_).release();
    raw.release = [](void *data) noexcept { delete static_cast<std::shared_ptr<const state> *>(data); };
    return raw;
  }

 private:
  struct state {
    subpy_buffer raw{};
    std::vector<std::size_t> shape;
    std::vector<std::ptrdiff_t> strides;
    std::shared_ptr<const void> owner;
  };

  template <class T>
  static std::shared_ptr<const state> made(T *data, std::size_t count, std::shared_ptr<const void> owner) {
    using item = std::remove_cv_t<T>;
    static_assert(detail::is_item<item>, "subpy: Python has no buffers with items of this type");
    auto state = std::make_shared<buffer::state>();
    state->raw.size = sizeof state->raw;
    state->raw.data = const_cast<item *>(data);
    state->raw.len = count * sizeof(item);
    state->raw.format = detail::format_for<item>();
    state->raw.itemsize = sizeof(item);
    state->owner = std::move(owner);
    return state;
  }

  template <class Change>
  [[nodiscard]] buffer changed(const Change &change) const {
    auto copy = std::make_shared<state>();
    copy->raw = state_->raw;
    copy->owner = state_->owner;
    if (state_->raw.shape != nullptr) {
      copy->shape = state_->shape;
      copy->raw.shape = copy->shape.data();
    }
    if (state_->raw.strides != nullptr) {
      copy->strides = state_->strides;
      copy->raw.strides = copy->strides.data();
    }
    change(*copy);
    buffer other(*this);
    other.state_ = std::move(copy);
    return other;
  }

  std::shared_ptr<const state> state_;
};

/// Numbers that a call has returned, to be read where they lie: `interp.call<subpy::array<double>>("f")`. Those of a list,
/// of an array.array, of anything with a buffer of such items are not copied; what else converts to a std::vector<T> is.
/// Movable, not copyable; converts to a std::span. What Python writes into a buffer meanwhile is seen here.
template <class T>
class array {
  static_assert(detail::is_item<T> && !std::is_const_v<T> && !detail::is_one_of<T, bool, char>,
                "subpy: an array is one of numbers or bytes");

 public:
  using value_type = T;

  array() noexcept = default;
  array(const array &) = delete;
  array &operator=(const array &) = delete;
  array(array &&other) noexcept
      : owner_(std::exchange(other.owner_, subpy_value{})),
        copied_(std::move(other.copied_)),
        items_(std::exchange(other.items_, {})) {}
  array &operator=(array &&other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(copied_, other.copied_);
    std::swap(items_, other.items_);
    return *this;
  }
  ~array() { subpy_value_free(&owner_); }

  [[nodiscard]] const T *data() const noexcept { return items_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] const T *begin() const noexcept { return items_.begin(); }
  [[nodiscard]] const T *end() const noexcept { return items_.end(); }
  [[nodiscard]] const T &operator[](std::size_t index) const noexcept { return items_[index]; }
  /// Whether it is a copy.
  [[nodiscard]] bool copied() const noexcept { return !copied_.empty(); }

 private:
  friend struct convert<array<T>>;

  subpy_value owner_{};
  std::vector<T> copied_;
  array_view<const T> items_;
};

template <class T>
struct convert<array<T>> {
  static constexpr std::uint32_t wants = SUBPY_RESULT_BUFFER | SUBPY_RESULT_ARRAY;
  static std::string name() { return "subpy::array<" + detail::name_of<T>() + ">"; }

  /// A part of something larger is copied.
  static result<array<T>> from_python(value_view view) {
    auto copied = view.try_as<std::vector<T>>();
    if (!copied) return copied.error();
    array<T> made;
    made.copied_ = *std::move(copied);
    made.items_ = {made.copied_.data(), made.copied_.size()};
    return made;
  }

  static result<array<T>> take(subpy_value &raw) {
    if (raw.kind == SUBPY_KIND_BUFFER) {
      const buffer_view view(*raw.u.as_buffer);
      const auto items = view.try_items<const T>();
      if (items && detail::dimensions_of(view.raw()) == 1) {
        array<T> made;
        made.items_ = *items;
        made.owner_ = std::exchange(raw, subpy_value{});
        return made;
      }
    }
    return from_python(value_view(raw));
  }
};

template <>
struct convert<buffer> {
  static subpy_value to_python(const buffer &from, encoder &encoder) { return encoder.buffer([&] { return from.lend(); }); }
};

namespace detail {

/// Reads the items of a buffer of one dimension into a container, each as it would be read from a list.
template <class T, class Sequence>
result<Sequence> read_items(value_view view) {
  const buffer_view from(*view.raw().u.as_buffer);
  const item_type type = from.item_type();
  if (dimensions_of(from.raw()) != 1 || type.kind == item_kind::other) return wrong_type<Sequence>(view);
  const auto *data = static_cast<const std::byte *>(from.data());
  if constexpr (std::is_trivially_copyable_v<T> && !std::is_same_v<T, bool> && is_item<T>) {
    // Bytes are bytes.
    const bool bytes = sizeof(T) == 1 && type.size == 1 && is_byte<T>;
    if (type == item_type_of<T>() || bytes) {
      Sequence to(from.count());
      if (from.size() != 0) std::memcpy(to.data(), data, from.size());
      return to;
    }
  }
  if constexpr (is_byte<T>) {
    return wrong_type<Sequence>(view);
  } else {
    Sequence to;
    to.reserve(from.count());
    for (std::size_t i = 0; i < from.count(); i++) {
      const item_value item(type, data + i * type.size);
      auto read = item.view().try_as<T>();
      if (!read) return conversion_path::within(read.error(), element(i));
      to.push_back(*std::move(read));
    }
    return to;
  }
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_BUFFER_HPP

/* The types of the standard library. */
#ifndef SUBPY_STANDARD_HPP
#define SUBPY_STANDARD_HPP

#include <array>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// Numbers. The character types are none: `char` is a std::string or an int, and only the caller knows which.
template <class T>
inline constexpr bool is_integer = std::is_integral_v<T> && !is_one_of<T, bool, char, wchar_t, char16_t, char32_t
#if defined(__cpp_char8_t)
                                                                       ,
                                                                       char8_t
#endif
                                                                       >;

template <class T>
[[nodiscard]] error misfit(value_view view, const std::string &shown) {
  return conversion_error(std::string(view.type_name()) + " " + shown + " does not fit " + name_of<T>());
}

/// "-0x1ff", when its size fits 64 bits.
inline std::optional<std::pair<bool, std::uint64_t>> sign_and_size(std::string_view hex) noexcept {
  const bool negative = !hex.empty() && hex.front() == '-';
  hex.remove_prefix(negative ? 1 : 0);
  if (hex.substr(0, 2) != "0x" && hex.substr(0, 2) != "0X") return std::nullopt;
  std::uint64_t size = 0;
  for (const char digit : hex.substr(2)) {
    const unsigned value = digit >= '0' && digit <= '9'   ? static_cast<unsigned>(digit - '0')
                           : digit >= 'a' && digit <= 'f' ? static_cast<unsigned>(digit - 'a') + 10
                           : digit >= 'A' && digit <= 'F' ? static_cast<unsigned>(digit - 'A') + 10
                                                          : 16;
    if (value == 16 || size >> 60U != 0) return std::nullopt;
    size = size << 4U | value;
  }
  return std::pair(negative, size);
}

inline std::string hexadecimal(std::uint64_t size) {
  char digits[19];
  std::snprintf(digits, sizeof digits, "0x%llx", static_cast<unsigned long long>(size));
  return digits;
}

/// Whether a T may come out of this kind: saves trying the alternatives of a variant that cannot fit.
template <class T>
bool may_be(kind from) noexcept {
  if constexpr (std::is_same_v<T, bool>) return from == kind::boolean;
  if constexpr (is_integer<T>) return from == kind::integer || from == kind::bigint;
  if constexpr (std::is_floating_point_v<T>) return from == kind::floating || from == kind::integer;
  if constexpr (is_one_of<T, std::string, std::string_view>) return from == kind::str;
  if constexpr (is_one_of<T, std::monostate, std::nullptr_t>) return from == kind::none;
  return true;
}

}  // namespace detail

template <>
struct convert<bool> {
  static std::string name() { return "bool"; }
  static subpy_value to_python(bool from, encoder & /*unused*/) noexcept { return detail::make_bool(from); }
  static result<bool> from_python(value_view view) {
    if (view.kind() != kind::boolean) return wrong_type<bool>(view);
    return view.raw().u.as_bool;
  }
};

/// Integers of every size, signed or not. An int that does not fit is an error.
template <class T>
struct convert<T, std::enable_if_t<detail::is_integer<T>>> {
  static std::string name() {
    return (std::is_signed_v<T> ? "std::int" : "std::uint") + std::to_string(sizeof(T) * 8) + "_t";
  }

  static subpy_value to_python(T from, encoder &encoder) {
    static_assert(sizeof(T) <= sizeof(std::int64_t), "subpy: this integer is too large");
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(std::int64_t)) {
      if (from > static_cast<T>(std::numeric_limits<std::int64_t>::max())) {
        const std::string hex = detail::hexadecimal(from);
        return detail::make_text(SUBPY_KIND_BIGINT, {encoder.keep(hex), hex.size()});
      }
    }
    return detail::make_int(static_cast<std::int64_t>(from));
  }

  static result<T> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_INT) {
      const auto found = static_cast<T>(raw.u.as_int);
      if (static_cast<std::int64_t>(found) == raw.u.as_int && (found < T{}) == (raw.u.as_int < 0)) return found;
      return detail::misfit<T>(view, std::to_string(raw.u.as_int));
    }
    if (raw.kind != SUBPY_KIND_BIGINT) return wrong_type<T>(view);
    const std::string_view hex(raw.u.as_str, raw.len);
    if (const auto number = detail::sign_and_size(hex)) {
      // -size in two's complement; what does not fit comes out as another number or sign
      const auto [negative, size] = *number;
      const std::uint64_t bits = negative ? ~size + 1 : size;
      const auto found = static_cast<T>(bits);
      const bool same = static_cast<std::uint64_t>(found) == bits;
      if (same && (found < T{}) == (negative && size != 0)) return found;
    }
    return detail::misfit<T>(view, detail::shortened(hex));
  }
};

/// double and float. An int is fine when a T holds it exactly. A float that is too large for a C++ float is an error;
/// one that is not has its last digits rounded off.
template <class T>
struct convert<T, std::enable_if_t<detail::is_one_of<T, double, float>>> {
  static std::string name() { return std::is_same_v<T, double> ? "double" : "float"; }

  static subpy_value to_python(T from, encoder & /*unused*/) noexcept {
    return detail::make_float(static_cast<double>(from));
  }

  static result<T> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_FLOAT) {
      if constexpr (std::is_same_v<T, float>) {
        if (std::isfinite(raw.u.as_float) && std::fabs(raw.u.as_float) > std::numeric_limits<float>::max())
          return detail::misfit<T>(view, std::to_string(raw.u.as_float));
      }
      return static_cast<T>(raw.u.as_float);
    }
    if (raw.kind == SUBPY_KIND_INT) {
      const auto found = static_cast<T>(raw.u.as_int);
      constexpr T limit = static_cast<T>(std::uint64_t{1} << 63U);  // too large to be turned back
      if (found < limit && static_cast<std::int64_t>(found) == raw.u.as_int) return found;
      return detail::misfit<T>(view, std::to_string(raw.u.as_int));
    }
    if (raw.kind == SUBPY_KIND_BIGINT)
      return detail::misfit<T>(view, detail::shortened({raw.u.as_str, raw.len}));
    return wrong_type<T>(view);
  }
};

/// An int of any size.
template <>
struct convert<bigint> {
  static std::string name() { return "subpy::bigint"; }
  static subpy_value to_python(const bigint &from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_BIGINT, from.hex);
  }
  static result<bigint> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if (raw.kind == SUBPY_KIND_BIGINT) return bigint{std::string(raw.u.as_str, raw.len)};
    if (raw.kind != SUBPY_KIND_INT) return wrong_type<bigint>(view);
    const bool negative = raw.u.as_int < 0;
    const auto bits = static_cast<std::uint64_t>(raw.u.as_int);
    return bigint{(negative ? "-" : "") + detail::hexadecimal(negative ? ~bits + 1 : bits)};
  }
};

template <class Allocator>
struct convert<std::basic_string<char, std::char_traits<char>, Allocator>> {
  using text = std::basic_string<char, std::char_traits<char>, Allocator>;
  static std::string name() { return "std::string"; }
  static subpy_value to_python(const text &from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_STR, from);
  }
  static result<text> from_python(value_view view) {
    if (view.kind() != kind::str) return wrong_type<text>(view);
    return result<text>(std::in_place, view.raw().u.as_str, view.raw().len);
  }
};

template <>
struct convert<std::string_view> {
  static constexpr bool borrows = true;
  static std::string name() { return "std::string_view"; }
  static subpy_value to_python(std::string_view from, encoder & /*unused*/) noexcept {
    return detail::make_text(SUBPY_KIND_STR, from);
  }
  static result<std::string_view> from_python(value_view view) {
    if (view.kind() != kind::str) return wrong_type<std::string_view>(view);
    return std::string_view(view.raw().u.as_str, view.raw().len);
  }
};

/// Text up to its NUL, and text literals. A null pointer is status::invalid_argument.
template <>
struct convert<const char *> {
  static subpy_value to_python(const char *from, encoder & /*unused*/) noexcept {
    return subpy_str(from, SUBPY_AUTO_LEN);
  }
};

template <>
struct convert<char *> : convert<const char *> {};

template <>
struct convert<bytes_view> {
  static constexpr bool borrows = true;
  static std::string name() { return "subpy::bytes_view"; }
  static subpy_value to_python(bytes_view from, encoder & /*unused*/) noexcept {
    return detail::make_bytes(from.data(), from.size());
  }
  static result<bytes_view> from_python(value_view view) {
    if (view.kind() != kind::bytes) return wrong_type<bytes_view>(view);
    return bytes_view(view.raw().u.as_bytes, view.raw().len);
  }
};

/// None, and nothing else.
template <>
struct convert<std::nullptr_t> {
  static std::string name() { return "std::nullptr_t"; }
  static subpy_value to_python(std::nullptr_t /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
  static result<std::nullptr_t> from_python(value_view view) {
    if (!view.is_none()) return wrong_type<std::nullptr_t>(view);
    return nullptr;
  }
};

/// As an argument: there is no std::nullopt_t to make.
template <>
struct convert<std::nullopt_t> {
  static subpy_value to_python(std::nullopt_t /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
};

template <>
struct convert<std::monostate> {
  static std::string name() { return "std::monostate"; }
  static subpy_value to_python(std::monostate /*unused*/, encoder & /*unused*/) noexcept { return subpy_value{}; }
  static result<std::monostate> from_python(value_view view) {
    if (!view.is_none()) return wrong_type<std::monostate>(view);
    return std::monostate{};
  }
};

/// None is std::nullopt.
template <class T>
struct convert<std::optional<T>> {
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::optional<" + detail::name_of<T>() + ">"; }
  static subpy_value to_python(const std::optional<T> &from, encoder &encoder) {
    return from ? encoder.value(*from) : subpy_value{};
  }
  static result<std::optional<T>> from_python(value_view view) {
    if (view.is_none()) return std::optional<T>();
    auto found = view.try_as<T>();
    if (!found) return found.error();
    return std::optional<T>(*std::move(found));
  }
};

/// Bytes are bytes, anything else is a list. A tuple, a set and a buffer of one dimension from Python are fine too.
template <class T, class Allocator>
struct convert<std::vector<T, Allocator>> {
  using sequence = std::vector<T, Allocator>;
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::vector<" + detail::name_of<T>() + ">"; }

  static subpy_value to_python(const sequence &from, encoder &encoder) {
    if constexpr (detail::is_byte<T>)
      return detail::make_bytes(from.data(), from.size());
    else
      return encoder.list(from);
  }

  static result<sequence> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    if constexpr (!detail::borrows<T>::value) {
      if (raw.kind == SUBPY_KIND_BUFFER) return detail::read_items<T, sequence>(view);
    }
    if constexpr (detail::is_byte<T>) {
      if (raw.kind != SUBPY_KIND_BYTES) return wrong_type<sequence>(view);
      const auto *data = reinterpret_cast<const T *>(raw.u.as_bytes);
      return result<sequence>(std::in_place, data, data + raw.len);
    } else {
      if (!detail::is_sequence(raw)) return wrong_type<sequence>(view);
      sequence to;
      to.reserve(raw.len);
      for (std::size_t i = 0; i < raw.len; i++) {
        auto item = value_view(raw.u.as_items[i]).try_as<T>();
        if (!item) return detail::conversion_path::within(item.error(), detail::element(i));
        to.push_back(*std::move(item));
      }
      return to;
    }
  }
};

namespace detail {

template <class T>
[[nodiscard]] error wrong_length(value_view view) {
  return conversion_error(std::string(view.type_name()) + " of length " + std::to_string(view.size()) +
                          " does not convert to " + name_of<T>());
}

}  // namespace detail

/// As std::vector, of exactly this length. T is default-constructed first.
template <class T, std::size_t N>
struct convert<std::array<T, N>> {
  static constexpr bool borrows = detail::borrows<T>::value;
  static constexpr std::uint32_t wants = detail::wants<T>::value;
  static std::string name() { return "std::array<" + detail::name_of<T>() + ", " + std::to_string(N) + ">"; }

  static subpy_value to_python(const std::array<T, N> &from, encoder &encoder) {
    if constexpr (detail::is_byte<T>)
      return detail::make_bytes(from.data(), N);
    else
      return encoder.list(from);
  }

  static result<std::array<T, N>> from_python(value_view view) {
    const subpy_value &raw = view.raw();
    const bool right = detail::is_byte<T> ? raw.kind == SUBPY_KIND_BYTES : detail::is_sequence(raw);
    if (!right) return wrong_type<std::array<T, N>>(view);
    if (raw.len != N) return detail::wrong_length<std::array<T, N>>(view);
    std::array<T, N> to{};
    if constexpr (detail::is_byte<T>) {
      std::transform(raw.u.as_bytes, raw.u.as_bytes + N, to.begin(), [](std::uint8_t byte) { return T{byte}; });
    } else {
      for (std::size_t i = 0; i < N; i++) {
        auto item = value_view(raw.u.as_items[i]).try_as<T>();
        if (!item) return detail::conversion_path::within(item.error(), detail::element(i));
        to[i] = *std::move(item);
      }
    }
    return to;
  }
};

#if defined(__cpp_lib_span)
/// As the std::vector of these, without a copy before the call. Arguments only.
template <class T, std::size_t Extent>
struct convert<std::span<T, Extent>> {
  static subpy_value to_python(std::span<T, Extent> from, encoder &encoder) {
    if constexpr (detail::is_byte<std::remove_cv_t<T>>)
      return detail::make_bytes(from.data(), from.size());
    else
      return encoder.list(from);
  }
};
#endif

/// A tuple; a list from Python is fine too. The length has to be right.
template <class... Ts>
struct convert<std::tuple<Ts...>> {
  static constexpr bool borrows = detail::any_borrows<Ts...>;
  static constexpr std::uint32_t wants = detail::all_want<Ts...>;
  static std::string name() {
    if constexpr (sizeof...(Ts) == 0)
      return "std::tuple<>";
    else
      return "std::tuple<" + detail::names_of<Ts...>() + ">";
  }

  static subpy_value to_python(const std::tuple<Ts...> &from, encoder &encoder) {
    return std::apply([&](const auto &...parts) { return encoder.tuple(parts...); }, from);
  }

  static result<std::tuple<Ts...>> from_python(value_view view) {
    if (!detail::is_sequence(view.raw())) return wrong_type<std::tuple<Ts...>>(view);
    if (view.size() != sizeof...(Ts)) return detail::wrong_length<std::tuple<Ts...>>(view);
    return read(view, std::index_sequence_for<Ts...>());
  }

 private:
  template <std::size_t... Is>
  static result<std::tuple<Ts...>> read(value_view view, std::index_sequence<Is...> /*unused*/) {
    [[maybe_unused]] const subpy_value *items = view.raw().u.as_items;
    std::tuple<result<Ts>...> parts{value_view(items[Is]).template try_as<Ts>()...};
    std::optional<error> wrong;
    [[maybe_unused]] const auto look = [&](std::size_t index, const auto &part) {
      if (!wrong && !part) wrong = detail::conversion_path::within(part.error(), detail::element(index));
    };
    (look(Is, std::get<Is>(parts)), ...);
    if (wrong) return *wrong;
    return std::tuple<Ts...>(*std::move(std::get<Is>(parts))...);
  }
};

/// A tuple of two.
template <class First, class Second>
struct convert<std::pair<First, Second>> {
  static constexpr bool borrows = detail::any_borrows<First, Second>;
  static constexpr std::uint32_t wants = detail::all_want<First, Second>;
  static std::string name() { return "std::pair<" + detail::names_of<First, Second>() + ">"; }

  static subpy_value to_python(const std::pair<First, Second> &from, encoder &encoder) {
    return encoder.tuple(from.first, from.second);
  }

  static result<std::pair<First, Second>> from_python(value_view view) {
    if (!detail::is_sequence(view.raw())) return wrong_type<std::pair<First, Second>>(view);
    if (view.size() != 2) return detail::wrong_length<std::pair<First, Second>>(view);
    auto first = view.try_get<First>(0);
    if (!first) return first.error();
    auto second = view.try_get<Second>(1);
    if (!second) return second.error();
    return std::pair<First, Second>(*std::move(first), *std::move(second));
  }
};

namespace detail {

template <class Map>
struct convert_map {
  using key_type = typename Map::key_type;
  using mapped_type = typename Map::mapped_type;
  static constexpr bool borrows = any_borrows<key_type, mapped_type>;
  static constexpr std::uint32_t wants = all_want<key_type, mapped_type>;

  static subpy_value to_python(const Map &from, encoder &encoder) {
    subpy_pair *pairs = encoder.pairs(from.size());
    std::size_t count = 0;
    for (const auto &[key, mapped] : from)
      ::new (&pairs[count++]) subpy_pair{encoder.value(key), encoder.value(mapped)};
    return make_dict(pairs, count);
  }

  static result<Map> from_python(value_view view) {
    if (view.kind() != kind::dict) return wrong_type<Map>(view);
    Map to;
    for (const pairs_view::entry from : view.pairs()) {
      auto key = from.key.try_as<key_type>();
      if (!key) return conversion_path::within(key.error(), way(from.key));
      auto mapped = from.value.try_as<mapped_type>();
      if (!mapped) return conversion_path::within(mapped.error(), way(from.key));
      if (!to.try_emplace(*std::move(key), *std::move(mapped)).second)
        return conversion_path::within(conversion_error("another key is the same " + name_of<key_type>()),
                                       way(from.key));
    }
    return to;
  }

 private:
  static std::string way(value_view key) {
    if (const auto text = key.try_as<std::string_view>()) return element(*text);
    if (const auto number = key.try_as<std::int64_t>()) return "[" + std::to_string(*number) + "]";
    return std::string("[") + key.type_name() + "]";
  }
};

}  // namespace detail

/// A dict.
template <class Key, class T, class Compare, class Allocator>
struct convert<std::map<Key, T, Compare, Allocator>> : detail::convert_map<std::map<Key, T, Compare, Allocator>> {
  static std::string name() { return "std::map<" + detail::names_of<Key, T>() + ">"; }
};

template <class Key, class T, class Hash, class Equal, class Allocator>
struct convert<std::unordered_map<Key, T, Hash, Equal, Allocator>>
    : detail::convert_map<std::unordered_map<Key, T, Hash, Equal, Allocator>> {
  static std::string name() { return "std::unordered_map<" + detail::names_of<Key, T>() + ">"; }
};

namespace detail {

template <class Set>
struct convert_set {
  using key_type = typename Set::key_type;
  static constexpr bool borrows = detail::borrows<key_type>::value;
  static constexpr std::uint32_t wants = detail::wants<key_type>::value;

  static subpy_value to_python(const Set &from, encoder &encoder) {
    return with_tag(tag::set, encoder.list(from));
  }

  static result<Set> from_python(value_view view) {
    if (view.tag() != tag::set && view.tag() != tag::frozenset) return wrong_type<Set>(view);
    Set to;
    for (const value_view item : view.items()) {
      auto key = item.try_as<key_type>();
      if (!key) return key.error();
      if (!to.insert(*std::move(key)).second)
        return conversion_error("two items are the same " + name_of<key_type>());
    }
    return to;
  }
};

}  // namespace detail

/// A set; a frozenset from Python is fine too. From interpreters with interpreter_options::tagged_values.
template <class Key, class Compare, class Allocator>
struct convert<std::set<Key, Compare, Allocator>> : detail::convert_set<std::set<Key, Compare, Allocator>> {
  static std::string name() { return "std::set<" + detail::name_of<Key>() + ">"; }
};

template <class Key, class Hash, class Equal, class Allocator>
struct convert<std::unordered_set<Key, Hash, Equal, Allocator>>
    : detail::convert_set<std::unordered_set<Key, Hash, Equal, Allocator>> {
  static std::string name() { return "std::unordered_set<" + detail::name_of<Key>() + ">"; }
};

/// From interpreters with interpreter_options::tagged_values.
template <>
struct convert<std::complex<double>> {
  static std::string name() { return "std::complex<double>"; }
  static subpy_value to_python(const std::complex<double> &from, encoder &encoder) {
    return detail::with_tag(tag::complex, encoder.tuple(from.real(), from.imag()));
  }
  static result<std::complex<double>> from_python(value_view view) {
    if (view.tag() != tag::complex || view.size() != 2) return wrong_type<std::complex<double>>(view);
    const subpy_value *parts = view.raw().u.as_items;
    return std::complex<double>(parts[0].u.as_float, parts[1].u.as_float);
  }
};

/// A datetime.timedelta, which has microseconds too. From interpreters with interpreter_options::tagged_values.
template <>
struct convert<std::chrono::microseconds> {
  using rep = std::chrono::microseconds::rep;
  static constexpr rep in_second = 1000000;
  static constexpr rep in_day = 86400 * in_second;

  static std::string name() { return "std::chrono::microseconds"; }

  static subpy_value to_python(std::chrono::microseconds from, encoder &encoder) {
    const rep days = from.count() / in_day - (from.count() % in_day < 0 ? 1 : 0);
    const rep rest = (from.count() % in_day + in_day) % in_day;
    return detail::with_tag(tag::timedelta, encoder.tuple(days, rest / in_second, rest % in_second));
  }

  static result<std::chrono::microseconds> from_python(value_view view) {
    if (view.tag() != tag::timedelta || view.size() != 3) return wrong_type<std::chrono::microseconds>(view);
    const subpy_value *parts = view.raw().u.as_items;
    const rep days = parts[0].u.as_int;
    const rep rest = parts[1].u.as_int * in_second + parts[2].u.as_int;
    // Both of one sign, so that what fits is not too large on the way.
    const rep whole = days < 0 ? days + 1 : days;
    const rep part = days < 0 ? rest - in_day : rest;
    constexpr rep last = std::numeric_limits<rep>::max() / in_day;
    constexpr rep last_part = std::numeric_limits<rep>::max() % in_day;
    if (whole < -last || whole > last || (whole == last && part > last_part) || (whole == -last && part < -last_part - 1))
      return detail::misfit<std::chrono::microseconds>(view, "of " + std::to_string(days) + " days");
    return std::chrono::microseconds(whole * in_day + part);
  }
};

/// From Python: the first alternative that fits. An int is a double only when no other alternative takes it.
template <class... Ts>
struct convert<std::variant<Ts...>> {
  using variant = std::variant<Ts...>;
  static constexpr bool borrows = detail::any_borrows<Ts...>;
  static constexpr std::uint32_t wants = detail::all_want<Ts...>;
  static std::string name() { return "std::variant<" + detail::names_of<Ts...>() + ">"; }

  static subpy_value to_python(const variant &from, encoder &encoder) {
    return write(from, encoder, std::index_sequence_for<Ts...>());
  }

  static result<variant> from_python(value_view view) {
    std::optional<variant> found;
    const bool is_int = view.kind() == kind::integer;
    read(view, found, is_int, std::index_sequence_for<Ts...>());
    if (!found && is_int) read(view, found, false, std::index_sequence_for<Ts...>());
    if (!found) return wrong_type<variant>(view);
    return *std::move(found);
  }

 private:
  template <std::size_t... Is>
  static subpy_value write(const variant &from, encoder &encoder, std::index_sequence<Is...> /*unused*/) {
    subpy_value made{};  // None, too, for a variant that is valueless by exception
    ((from.index() == Is ? void(made = encoder.value(*std::get_if<Is>(&from))) : void()), ...);
    return made;
  }

  template <std::size_t... Is>
  static void read(value_view view, std::optional<variant> &found, bool exact, std::index_sequence<Is...> /*unused*/) {
    (attempt<Is>(view, found, exact), ...);
  }

  template <std::size_t I>
  static void attempt(value_view view, std::optional<variant> &found, bool exact) {
    using alternative = std::variant_alternative_t<I, variant>;
    if (found || !detail::may_be<alternative>(view.kind())) return;
    if (exact && std::is_floating_point_v<alternative>) return;
    if (auto fits = view.try_as<alternative>()) found.emplace(std::in_place_index<I>, *std::move(fits));
  }
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_STANDARD_HPP

/* CPython in this process. */
#ifndef SUBPY_RUNTIME_HPP
#define SUBPY_RUNTIME_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Options of init(). Those of subpy_runtime_options.
struct runtime_options {
  /// Path of an executable, of a venv's folder or of a libpython. Empty: search; see subpy_init().
  std::string python;
  /// Honour PYTHONPATH and the other PYTHON* variables.
  bool use_environment = false;
  /// Start without the site module: no site-packages.
  bool no_site = false;
  /// Leave SIGPIPE as it is.
  bool keep_sigpipe = false;
  /// The program that interpreters' processes begin with. Empty: the one that is inside the library.
  std::string worker{};
  /// Modules that are imported once for all interpreters that get processes of their own.
  std::vector<std::string> preload{};
};

/// Options of interpreter_ref::close() and shutdown(). Those of subpy_close_options.
struct close_options {
  /// How long to wait; zero does not wait at all, and without one there is no limit.
  std::optional<std::chrono::milliseconds> timeout{};
  /// Runs that are in it, or wait to get in, may finish; new ones are refused.
  bool drain = false;
  /// What runs in it is interrupted, the threads of Python's own too.
  bool interrupt = false;
};

namespace detail {

/// Runs a C function that writes an error.
template <class Function>
result<void> attempt(const Function &function) {
  const in_run here;
  subpy_error *cause = nullptr;
  const subpy_status code = function(&cause);
  if (code != SUBPY_OK) return error(code, cause);
  return {};
}

/// Runs a C function that writes a Raw or an error, and makes a T of the Raw.
template <class T, class Raw = T, class Function>
result<T> fetch(const Function &function) {
  Raw written{};
  subpy_error *cause = nullptr;
  const subpy_status code = function(&written, &cause);
  if (code != SUBPY_OK) return error(code, cause);
  return T(written);
}

/// This header and the library that was loaded must be of one version: before 1.0 a minor version may change the interface.
inline std::optional<error> version_mismatch() {
  constexpr std::uint32_t patches = 1000;
  const std::uint32_t loaded = subpy_version();
  if (loaded / patches == SUBPY_VERSION / patches) return std::nullopt;
  const std::uint32_t needed = SUBPY_VERSION / patches;
  return error(status::wrong_state,
               "subpy.hpp is for libsubpy " + std::to_string(needed / patches) + "." + std::to_string(needed % patches) +
                   ", the library that was loaded is " + subpy_version_string() +
                   ": compile the program with the header of that library, or install the library of this header");
}

/// For texts that end with a NUL in C.
inline std::optional<error> nul_in(const std::string &text, const char *what) {
  if (text.find('\0') == std::string::npos) return std::nullopt;
  return error(status::invalid_argument, std::string(what) + ": a NUL inside: " + quoted(text));
}

/// A time limit for the C interface, rounded up. Zero is no limit there, so one that is over already is a millisecond.
inline std::int64_t limit_of(const std::optional<std::chrono::milliseconds> &limit) noexcept {
  return limit ? std::max<std::int64_t>(limit->count(), 1) : 0;
}

inline const char *or_null(const std::string &text) noexcept { return text.empty() ? nullptr : text.c_str(); }

/// Texts as a list that ends with NULL, which is NULL itself when there are none.
class text_list {
 public:
  std::optional<error> fill(const std::vector<std::string> &texts, const char *name) {
    if (texts.empty()) return std::nullopt;
    list_.reserve(texts.size() + 1);
    for (const std::string &text : texts) {
      if (auto wrong = nul_in(text, name)) return wrong;
      list_.push_back(text.c_str());
    }
    list_.push_back(nullptr);
    return std::nullopt;
  }

  [[nodiscard]] const char *const *get() const noexcept { return list_.empty() ? nullptr : list_.data(); }

 private:
  std::vector<const char *> list_;
};

inline std::uint64_t flag(bool set, std::uint64_t value) noexcept { return set ? value : 0; }

inline subpy_close_options raw_options(const close_options &options) noexcept {
  subpy_close_options raw{};
  raw.size = sizeof raw;
  raw.timeout_ms = options.timeout ? std::max<std::int64_t>(options.timeout->count(), 0) : -1;
  raw.flags = (options.drain ? SUBPY_CLOSE_DRAIN : 0U) | (options.interrupt ? SUBPY_CLOSE_INTERRUPT : 0U);
  return raw;
}

}  // namespace detail

/// Starts CPython, or makes sure that it runs. It starts by itself on the first use; this is for choosing which, and how.
[[nodiscard]] inline result<void> try_init(const runtime_options &options = {}) {
  if (auto wrong = detail::version_mismatch()) return *wrong;
  if (auto wrong = detail::nul_in(options.python, "python")) return *wrong;
  if (auto wrong = detail::nul_in(options.worker, "worker")) return *wrong;
  detail::text_list preload;
  if (auto wrong = preload.fill(options.preload, "preload")) return *wrong;
  subpy_runtime_options raw{};
  raw.size = sizeof raw;
  raw.python = detail::or_null(options.python);
  raw.worker = detail::or_null(options.worker);
  raw.preload = preload.get();
  raw.flags = detail::flag(options.use_environment, SUBPY_RUNTIME_USE_ENVIRONMENT) |
              detail::flag(options.no_site, SUBPY_RUNTIME_NO_SITE) |
              detail::flag(options.keep_sigpipe, SUBPY_RUNTIME_KEEP_SIGPIPE);
  return detail::attempt([&](subpy_error **cause) { return subpy_init(&raw, cause); });
}

/// Closes every interpreter and finalizes CPython. For the application alone; status::busy while anything runs. Objects
/// for what it closed may stay: their destructors do nothing then.
[[nodiscard]] inline result<void> try_shutdown() { return detail::attempt(subpy_shutdown); }

/// The same with a time limit, and with what becomes of what still runs. status::busy: everything is as it was, and the
/// message says what is still there. status::timeout: all are ending, and have not ended in time.
[[nodiscard]] inline result<void> try_shutdown(const close_options &options) {
  const subpy_close_options raw = detail::raw_options(options);
  return detail::attempt([&](subpy_error **cause) { return subpy_shutdown_with(&raw, cause); });
}

#if SUBPY_CPP_EXCEPTIONS
inline void init(const runtime_options &options = {}) { try_init(options).value(); }
inline void shutdown() { try_shutdown().value(); }
inline void shutdown(const close_options &options) { try_shutdown(options).value(); }
#endif

/// The version of the library: major * 1000000 + minor * 1000 + patch. SUBPY_VERSION is that of the headers.
[[nodiscard]] inline std::uint32_t version() noexcept { return subpy_version(); }

/// The version of the library as text, "0.1.0".
[[nodiscard]] inline std::string_view version_string() noexcept { return subpy_version_string(); }

/// The version of the CPython in use, "3.14.6"; empty before the first start.
[[nodiscard]] inline std::string_view python_version() noexcept { return detail::view_of(subpy_python_version()); }

/// The path of the libpython in use; empty before the first start, and when the host program is Python itself.
[[nodiscard]] inline std::string_view python_library() noexcept { return detail::view_of(subpy_python_library()); }

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RUNTIME_HPP

/* Stopping runs from outside. */
#ifndef SUBPY_CANCEL_HPP
#define SUBPY_CANCEL_HPP

#include <memory>
#include <utility>

#if __cplusplus >= 202002L
#include <stop_token>
#endif

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Stops the runs that it is given to as run_options::cancel: they end with status::interrupted, one that has not begun
/// does not begin. It stays fired. Copies are the same token; any thread may use it at any time.
///
/// With C++20 a std::stop_token does: `options.cancel = token`.
class cancel {
 public:
  /// No token: nothing is stopped.
  cancel() noexcept = default;

  [[nodiscard]] static result<cancel> try_create() { return try_make<token>(); }

#if defined(__cpp_lib_jthread)
  /// Fires when a stop is requested, as long as a copy lives, or a run that it was given to.
  [[nodiscard]] static result<cancel> try_create(const std::stop_token &stop) {
    if (!stop.stop_possible()) return cancel();
    return try_make<linked_token>(stop);
  }
#endif

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static cancel create() { return try_create().value(); }
#if defined(__cpp_lib_jthread)
  cancel(const std::stop_token &stop) : cancel(try_create(stop).value()) {}
#endif
#endif

  /// Stops the runs. Never waits for them.
  void fire() const noexcept { subpy_cancel_fire(handle()); }

  [[nodiscard]] subpy_cancel handle() const noexcept { return token_ == nullptr ? 0 : token_->handle; }

 private:
  struct token {
    token() noexcept : code(subpy_cancel_new(&handle, &cause)) {}
    token(const token &) = delete;
    token(token &&) = delete;
    token &operator=(const token &) = delete;
    token &operator=(token &&) = delete;
    ~token() { subpy_cancel_free(handle); }

    subpy_cancel handle = 0;
    subpy_error *cause = nullptr;
    const subpy_status code;
  };

#if defined(__cpp_lib_jthread)
  struct fire_it {
    subpy_cancel handle;
    void operator()() const noexcept { subpy_cancel_fire(handle); }
  };

  struct linked_token : token {
    explicit linked_token(const std::stop_token &stop) : link(stop, fire_it{handle}) {}

    const std::stop_callback<fire_it> link;
  };
#endif

  template <class Token, class... Args>
  static result<cancel> try_make(const Args &...args) {
    const auto made = std::make_shared<Token>(args...);
    if (made->code != SUBPY_OK) return error(made->code, std::exchange(made->cause, nullptr));
    cancel created;
    created.token_ = made;
    return created;
  }

  std::shared_ptr<const token> token_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_CANCEL_HPP

/* What Python prints. */
#ifndef SUBPY_OUTPUT_HPP
#define SUBPY_OUTPUT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// What a text was printed to.
enum class stream : std::int32_t {
  out = 1,
  err = 2,
};

namespace detail {

class sink {
 public:
  sink() = default;
  sink(const sink &) = delete;
  sink(sink &&) = delete;
  sink &operator=(const sink &) = delete;
  sink &operator=(sink &&) = delete;
  virtual ~sink() = default;
  virtual void write(stream from, std::string_view text) = 0;
};

template <class Function>
class function_sink : public sink {
 public:
  explicit function_sink(Function function) : function_(std::move(function)) {}
  void write(stream from, std::string_view text) override { function_(from, text); }

 private:
  Function function_;
};

/// Several interpreters may print to one stream at once.
class stream_sink : public sink {
 public:
  stream_sink(std::ostream &out, std::ostream &err) noexcept : out_(out), err_(err) {}

  void write(stream from, std::string_view text) override {
    std::ostream &to = from == stream::err ? err_ : out_;
    const std::lock_guard<std::recursive_mutex> guard(lock_of(to));
    to.write(text.data(), static_cast<std::streamsize>(text.size()));
  }

 private:
  static std::recursive_mutex &lock_of(const std::ostream &to) {
    static auto &locks = *new std::array<std::recursive_mutex, 16>;
    return locks[std::hash<const std::ostream *>()(&to) / alignof(std::max_align_t) % locks.size()];
  }

  std::ostream &out_;
  std::ostream &err_;
};

#if SUBPY_CPP_EXCEPTIONS
inline void report_thrown(const char *who, const char *what) noexcept {
  try {
    current_unraisable_hook.load()(error(status::execution_failed, std::string(who).append(" threw: ").append(what)));
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "subpy: ignored: %s threw\n", who);
  }
}
#endif

/// Calls a function of the program's that nobody waits for. What it throws goes to the unraisable hook.
template <class Function>
void call_quietly([[maybe_unused]] const char *who, const Function &function) noexcept {
#if SUBPY_CPP_EXCEPTIONS
  try {
    function();
  } catch (const error &thrown) {
    current_unraisable_hook.load()(thrown);
  } catch (const std::exception &thrown) {
    report_thrown(who, thrown.what());
  } catch (...) {
    report_thrown(who, "an exception that is no std::exception");
  }
#else
  function();
#endif
}

/// print() goes on whatever becomes of its text.
template <class Write>
void write_quietly(const Write &write) noexcept {
  call_quietly("an output function", write);
}

/// A subpy_output_fn; its data is a sink.
inline void write_to_sink(void *data, subpy_interp /*unused*/, std::int32_t from, const char *text,
                          std::size_t length) noexcept {
  write_quietly([&] { static_cast<sink *>(data)->write(static_cast<stream>(from), {text, length}); });
}

/// A subpy_output_fn; its data is a pointer to a sink, for the one who has no other place to keep it.
inline void write_to_kept_sink(void *data, subpy_interp interp, std::int32_t from, const char *text,
                               std::size_t length) noexcept {
  write_to_sink(static_cast<std::shared_ptr<sink> *>(data)->get(), interp, from, text, length);
}

inline void drop_sink(void *data) noexcept { delete static_cast<std::shared_ptr<sink> *>(data); }

/// The outputs of runs on threads of their own. Such a run may go on after its owner has let go of it, and print; then the
/// output is closed, and the library's pointer is a number that is not found.
class open_outputs {
 public:
  static open_outputs &get() {
    static auto &outputs = *new open_outputs;
    return outputs;
  }

  [[nodiscard]] std::uintptr_t open(std::shared_ptr<sink> to) {
    auto made = std::make_shared<gate>();
    made->to = std::move(to);
    const std::lock_guard<std::mutex> guard(lock_);
    open_.emplace(++last_, std::move(made));
    return last_;
  }

  /// Waits for a text that is being written, unless this is called by what writes it.
  void close(std::uintptr_t number) noexcept {
    if (number == 0) return;
    std::shared_ptr<gate> found;
    {
      const std::lock_guard<std::mutex> guard(lock_);
      const auto at = open_.find(number);
      if (at == open_.end()) return;
      found = std::move(at->second);
      open_.erase(at);
    }
    std::shared_ptr<sink> to;  // destroyed without the lock
    const std::lock_guard<std::recursive_mutex> guard(found->lock);
    to = std::move(found->to);
  }

  /// A subpy_output_fn; its data is the number.
  static void write(void *data, subpy_interp /*unused*/, std::int32_t from, const char *text,
                    std::size_t length) noexcept {
    const auto found = get().find(reinterpret_cast<std::uintptr_t>(data));
    if (found == nullptr) return;
    const std::lock_guard<std::recursive_mutex> guard(found->lock);
    const auto to = found->to;
    if (to != nullptr) write_quietly([&] { to->write(static_cast<stream>(from), {text, length}); });
  }

 private:
  struct gate {
    std::recursive_mutex lock;
    std::shared_ptr<sink> to;
  };

  [[nodiscard]] std::shared_ptr<gate> find(std::uintptr_t number) {
    const std::lock_guard<std::mutex> guard(lock_);
    const auto at = open_.find(number);
    return at == open_.end() ? nullptr : at->second;
  }

  std::mutex lock_;
  std::unordered_map<std::uintptr_t, std::shared_ptr<gate>> open_;
  std::uintptr_t last_ = 0;
};

}  // namespace detail

/// Where output goes: interpreter_ref::set_output(), run_options::output. A std::ostream, or a function that takes a
/// subpy::stream and a std::string_view. Copies share it. Texts come one at a time for each interpreter, on any thread, as
/// Python flushes them; characters are whole. What is thrown there goes to the unraisable hook, and print() does not notice.
class output {
 public:
  /// Nowhere else: what is printed goes to the file descriptors, or where the interpreter's goes.
  output() noexcept = default;

  /// Both go there. The stream has to live as long as texts may come.
  output(std::ostream &both) : output(both, both) {}
  output(std::ostream &out, std::ostream &err) : sink_(std::make_shared<detail::stream_sink>(out, err)) {}

  /// The function is called by one thread at a time for each interpreter, so it needs a lock when several share it.
  template <class Function, std::enable_if_t<std::is_invocable_v<std::decay_t<Function> &, stream, std::string_view>,
                                             int> = 0>
  output(Function &&function)
      : sink_(std::make_shared<detail::function_sink<std::decay_t<Function>>>(std::forward<Function>(function))) {}

  explicit operator bool() const noexcept { return sink_ != nullptr; }

  /// For the C interface.
  [[nodiscard]] const std::shared_ptr<detail::sink> &shared() const noexcept { return sink_; }

 private:
  std::shared_ptr<detail::sink> sink_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_OUTPUT_HPP

/* Runs on threads of their own. */
#ifndef SUBPY_THREAD_HPP
#define SUBPY_THREAD_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// What a T needs of a call that returns it. A single object stays in Python whatever it is.
template <class T>
inline constexpr std::uint32_t root_wants = wants<T>::value;
template <>
inline constexpr std::uint32_t root_wants<object> = SUBPY_RESULT_OBJECT;

/// A T out of a result, which stays the caller's as far as the T does not take it.
template <class T>
result<T> read_result(subpy_value &raw) {
  const auto read = [&] {
    if constexpr (has_take<T>::value)
      return convert<T>::take(raw);
    else
      return convert<T>::from_python(value_view(raw));
  };
  auto converted = read();
  if (!converted) converted = conversion_path::rooted(converted.error(), "result");
  return converted;
}

/// Where a C function puts a result and an error, and what becomes of them: a T or the error.
template <class T>
class receiver {
  static_assert(std::is_same_v<T, plain<T>>, "subpy: a result is a value, without const and reference");
  static_assert(has_from_python<T>::value || has_take<T>::value,
                "subpy: this type has no subpy::convert<T>::from_python()");
  static_assert(!borrows<T>::value,
                "subpy: this would point into a result that is gone; use std::string, std::vector or subpy::value");

 public:
  receiver() noexcept = default;
  receiver(const receiver &) = delete;
  receiver(receiver &&) = delete;
  receiver &operator=(const receiver &) = delete;
  receiver &operator=(receiver &&) = delete;
  ~receiver() { subpy_value_free(&raw_); }

  static constexpr std::uint32_t flags = root_wants<T>;
  [[nodiscard]] subpy_value *value() noexcept { return &raw_; }
  [[nodiscard]] subpy_error **cause() noexcept { return &cause_; }

  [[nodiscard]] result<T> take(subpy_status code) {
    if (code != SUBPY_OK) return error(code, cause_);
    return read_result<T>(raw_);
  }

 private:
  const in_run here_;
  subpy_value raw_{};
  subpy_error *cause_ = nullptr;
};

/// Asks for no result: it is not even converted.
template <>
class receiver<void> {
 public:
  static constexpr std::uint32_t flags = 0;
  [[nodiscard]] static subpy_value *value() noexcept { return nullptr; }
  [[nodiscard]] subpy_error **cause() noexcept { return &cause_; }

  [[nodiscard]] result<void> take(subpy_status code) const {
    if (code != SUBPY_OK) return error(code, cause_);
    return {};
  }

 private:
  const in_run here_;
  subpy_error *cause_ = nullptr;
};

/// A subpy_notify_fn; its data is the function, which is dropped afterwards.
template <class Function>
void call_once(void *data) noexcept {
  const std::unique_ptr<Function> function(static_cast<Function *>(data));
  call_quietly("a function to notify", [&] { (*function)(); });
}

/// What a run on a thread of its own uses, as long as somebody may join it.
struct thread_needs {
  thread_needs() noexcept = default;
  thread_needs(const thread_needs &) = delete;
  thread_needs(thread_needs &&) = delete;
  thread_needs &operator=(const thread_needs &) = delete;
  thread_needs &operator=(thread_needs &&) = delete;
  ~thread_needs() { open_outputs::get().close(output); }

  subpy::cancel cancel;
  std::uintptr_t output = 0;
};

}  // namespace detail

/// A run on a thread of its own, with one outcome, for the one who joins. Movable, not copyable; not to be used by two
/// threads at once.
///
/// Destroying one that was not joined lets the run go on by itself, unlike std::thread, which ends the program. Its
/// failure is not lost: it is printed to stderr, as Python's threads do it. What it prints from then on does not go to
/// run_options::output any more, and a std::stop_token does not stop it.
class thread {
 public:
  /// No thread.
  thread() noexcept = default;
  /// Takes over a thread of the C interface.
  explicit thread(subpy_thread handle) noexcept : handle_(handle) {}
  /// One that uses these until it is joined or detached.
  thread(subpy_thread handle, std::unique_ptr<detail::thread_needs> needs) noexcept
      : handle_(handle), needs_(std::move(needs)) {}

  thread(const thread &) = delete;
  thread &operator=(const thread &) = delete;
  thread(thread &&other) noexcept : handle_(std::exchange(other.handle_, 0)), needs_(std::move(other.needs_)) {}
  thread &operator=(thread &&other) noexcept {
    if (this != &other) {
      detach();
      handle_ = std::exchange(other.handle_, 0);
      needs_ = std::move(other.needs_);
    }
    return *this;
  }
  ~thread() { detach(); }

  [[nodiscard]] bool joinable() const noexcept { return handle_ != 0; }
  [[nodiscard]] subpy_thread handle() const noexcept { return handle_; }

  /// Waits for the run to end, and takes its result or its error. Once: then it is no longer joinable. Afterwards, and
  /// for no thread, it is status::not_found; for the thread itself status::wrong_state.
  template <class T = void>
  [[nodiscard]] result<T> try_join() {
    detail::receiver<T> received;
    const subpy_status code = subpy_thread_join(handle_, received.value(), received.cause());
    if (code != SUBPY_ERROR_WRONG_STATE) {
      handle_ = 0;
      needs_.reset();  // an abandoned run may still print
    }
    return received.take(code);
  }

  /// Waits until the run has ended, and takes nothing: it can still be joined.
  [[nodiscard]] result<void> try_wait() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_thread_wait(handle_, -1, nullptr, cause); });
  }

  /// Waits until the run has ended or the time is up, and says whether it has ended. Zero or less only looks.
  template <class Rep, class Period>
  [[nodiscard]] result<bool> try_wait_for(std::chrono::duration<Rep, Period> limit) const {
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
    const std::int64_t milliseconds = std::max<std::int64_t>(rounded, 0);
    return detail::fetch<bool>([&](bool *done, subpy_error **cause) {
      return subpy_thread_wait(handle_, milliseconds, done, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  void wait() const { try_wait().value(); }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) const {
    return try_wait_for(limit).value();
  }
  template <class T = void>
  T join() {
    return try_join<T>().value();
  }
#endif

  /// Lets the run go on by itself.
  void detach() noexcept {
    subpy_thread_free(std::exchange(handle_, 0));
    needs_.reset();
  }

  /// Calls the function once, when the run has ended: on any thread, or here and now if it has ended. It should be short:
  /// to wake somebody, such as an event loop. What it throws goes to the unraisable hook.
  template <class Function>
  [[nodiscard]] result<void> try_notify(Function &&function) const {
    using kept = std::decay_t<Function>;
    auto made = std::make_unique<kept>(std::forward<Function>(function));
    auto set = detail::attempt([&](subpy_error **cause) {
      return subpy_thread_notify(handle_, detail::call_once<kept>, made.get(), cause);
    });
    if (set) static_cast<void>(made.release());
    return set;
  }

  /// A file descriptor that can be read from when the run has ended, for poll() and the like. It belongs to this thread:
  /// do not read from it, nor close it; it is closed when the thread is joined or detached.
  [[nodiscard]] result<int> try_fd() const {
    return detail::fetch<int>([&](int *fd, subpy_error **cause) { return subpy_thread_fd(handle_, fd, cause); });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class Function>
  void notify(Function &&function) const {
    try_notify(std::forward<Function>(function)).value();
  }
  [[nodiscard]] int fd() const { return try_fd().value(); }
#endif

 private:
  subpy_thread handle_ = 0;
  std::unique_ptr<detail::thread_needs> needs_;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_THREAD_HPP

/* Options, and the arguments of a call. */
#ifndef SUBPY_RUN_HPP
#define SUBPY_RUN_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Which GIL an interpreter has.
enum class gil_policy : std::int32_t {
  /// Its own: it runs in parallel with the others.
  own = SUBPY_GIL_OWN,
  /// The main interpreter's: more extension modules load; it runs when main and its like do not.
  shared = SUBPY_GIL_SHARED,
};

/// What happens to a run while the interpreter is running.
enum class busy_policy : std::int32_t {
  /// status::busy, as in Python.
  refuse = SUBPY_BUSY_REFUSE,
  /// It waits its turn, in slices of a fifth of a millisecond (SUBPY_BUSY_WAIT).
  wait = SUBPY_BUSY_WAIT,
  /// It runs as well: the threads take turns with the GIL.
  share = SUBPY_BUSY_SHARE,
};

/// Options of interpreter::create(). Those of subpy_interp_options.
struct interpreter_options {
  gil_policy gil = gil_policy::own;
  busy_policy busy = busy_policy::refuse;
  /// Python code may call os.fork().
  bool allow_fork = false;
  /// Python code may call os.exec*().
  bool allow_exec = false;
  /// Python code may not start threads.
  bool no_threads = false;
  /// Python code may start daemon threads.
  bool allow_daemon_threads = false;
  /// Extension modules that do not declare support for sub-interpreters load too. Needs gil_policy::shared.
  bool no_extension_check = false;
  /// Folders to put in front of sys.path.
  std::vector<std::string> path{};
  /// The time limit of every run in it that has none of its own.
  std::optional<std::chrono::milliseconds> timeout{};
  /// input() and sys.stdin are at their end.
  bool no_stdin = false;
  /// What is printed goes out at once, not when the run has ended.
  bool unbuffered = false;
  /// Results have sets, complex numbers, dates, decimals, UUIDs, members of enums and dataclasses, with a subpy::tag.
  bool tagged_values = false;
  /// How many bytes its Python objects may take; beyond it there is a MemoryError. 0: no limit.
  std::uint64_t memory_limit = 0;
  /// interpreter_ref::memory() knows. So it does where there is a limit.
  bool count_memory = false;
  /// It is the main interpreter of a process of its own: all extension modules load in it, and what would end or block a
  /// process ends or blocks that one (status::crashed). Needs gil_policy::own.
  bool process = false;
  /// That process is locked down: no network, no programs, no files but Python's own and those below. Needs `process`, as
  /// all that follows does, and goes without allow_fork and allow_exec.
  bool locked = false;
  /// An older Linux, with less than that takes, is no error: the process is locked with what there is, which
  /// interpreter_ref::lock_info() says. Needs `locked`.
  bool lock_best_effort = false;
  /// How long code may go on after the exception that is to end its run; then its process is killed. None: 100 ms.
  std::optional<std::chrono::milliseconds> grace{};
  /// How much time of processors its process may use in all.
  std::optional<std::chrono::milliseconds> cpu_limit{};
  /// Folders that it may read, and those that it may read and write: absolute paths. Need `locked`.
  std::vector<std::string> readable{};
  std::vector<std::string> writable{};
  /// The folder of a virtual environment, for the same minor version of Python: it has the packages of that one, and not
  /// those of the process. Empty: those of the process.
  std::string venv{};
};

/// Options of a run: behind the source of exec() and eval(), in front of what a call() calls.
struct run_options {
  /// For exec() and eval(): the file name in tracebacks. Empty: "<script>".
  std::string filename{};
  /// exec() does not take the common indentation off.
  bool keep_indent = false;
  /// The time limit, after which it ends with status::timeout. One that is over already is a millisecond.
  std::optional<std::chrono::milliseconds> timeout{};
  /// Stops it: status::interrupted. A subpy::cancel, or a std::stop_token.
  subpy::cancel cancel{};
  /// Where what it prints goes: what this run prints, and nobody else. The threads that it starts print to the
  /// interpreter's output.
  subpy::output output{};
  /// On a thread of its own: when the time limit is over or it is cancelled, join() does not wait for a run that CPython
  /// cannot stop, such as one in time.sleep(). The interpreter is busy until it really ends.
  bool abandon = false;
  /// What is returned stays in Python whatever it is, for join<subpy::object>(). Calls that return one need not say so.
  bool keep_object = false;
  /// What has no value comes back as a subpy::object, wherever it is in the result.
  bool objects = false;
  /// Bytes, and what else has a buffer, are pinned instead of copied, wherever they are in the result.
  bool buffers = false;
  /// Lists and tuples of floats, or of ints of 64 bits, come back as one buffer.
  bool arrays = false;
  /// An awaitable that the code returns is run to its end, on the interpreter's event loop.
  bool run_async = false;
};

namespace detail {

/// A request with these options, which it borrows; `filename` has no NUL in it.
inline subpy_run_request request_with(const run_options &options) noexcept {
  subpy_run_request made{};
  made.size = sizeof made;
  made.flags = (options.keep_indent ? SUBPY_KEEP_INDENT : 0U) | (options.abandon ? SUBPY_ABANDON : 0U) |
               (options.keep_object ? SUBPY_RESULT_OBJECT : 0U) | (options.objects ? SUBPY_RESULT_OBJECTS : 0U) |
               (options.buffers ? SUBPY_RESULT_BUFFER : 0U) | (options.arrays ? SUBPY_RESULT_ARRAY : 0U) |
               (options.run_async ? SUBPY_RUN_ASYNC : 0U);
  made.filename = or_null(options.filename);
  made.timeout_ms = limit_of(options.timeout);
  made.cancel = options.cancel.handle();
  if (options.output) {
    made.output = write_to_sink;
    made.output_data = options.output.shared().get();
  }
  return made;
}

/// Starts it on a thread of its own, or where else `run` does, which keeps what the options lend.
template <class Run>
result<thread> start(subpy_run_request request, const run_options &options, const Run &run) {
  std::unique_ptr<thread_needs> needs;
  if (options.output || options.cancel.handle() != 0) {
    needs = std::make_unique<thread_needs>();
    needs->cancel = options.cancel;
  }
  if (options.output) {
    needs->output = open_outputs::get().open(options.output.shared());
    request.output = open_outputs::write;
    request.output_data = reinterpret_cast<void *>(needs->output);  // NOLINT(performance-no-int-to-ptr)
  }
  subpy_thread started = 0;
  subpy_error *cause = nullptr;
  const subpy_status code = run(&request, &started, &cause);
  if (code != SUBPY_OK) return error(code, cause);
  return thread(started, std::move(needs));
}

template <class T>
struct is_keyword : std::false_type {};
template <class T>
struct is_keyword<keyword<T>> : std::true_type {};

template <class T, class = void>
struct is_map : std::false_type {};
template <class T>
struct is_map<T, std::void_t<typename T::mapped_type>> : std::true_type {};

/// The arguments of a call, positional and by name, in an encoder's memory.
struct arguments {
  subpy_value *items = nullptr;
  subpy_pair *pairs = nullptr;
  std::size_t item_count = 0;
  std::size_t pair_count = 0;

  template <class T>
  void count(const T & /*unused*/) noexcept {
    item_count++;
  }
  template <class T>
  void count(const keyword<T> & /*unused*/) noexcept {
    pair_count++;
  }
  template <class Container>
  void count(const unpacked<Container> &many) noexcept {
    (is_map<Container>::value ? pair_count : item_count) += many.container.size();
  }

  template <class T>
  void add(encoder &room, const T &argument) {
    ::new (&items[item_count++]) subpy_value(room.value(argument));
  }
  template <class T>
  void add(encoder &room, const keyword<T> &argument) {
    ::new (&pairs[pair_count++]) subpy_pair(room.entry(argument));
  }
  template <class Container>
  void add(encoder &room, const unpacked<Container> &many) {
    if constexpr (is_map<Container>::value) {
      for (const auto &[name, mapped] : many.container)
        ::new (&pairs[pair_count++]) subpy_pair{room.value(name), room.value(mapped)};
    } else {
      item_count += room.fill(items + item_count, many.container);
    }
  }
};

template <class... Args>
arguments gather(encoder &room, const Args &...args) {
  arguments gathered;
  (gathered.count(args), ...);
  gathered.items = room.items(gathered.item_count);
  gathered.pairs = room.pairs(gathered.pair_count);
  gathered.item_count = gathered.pair_count = 0;
  (gathered.add(room, args), ...);
  return gathered;
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RUN_HPP

/* Many calls of a function in one crossing. */
#ifndef SUBPY_MANY_HPP
#define SUBPY_MANY_HPP

#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

template <class T, class = void>
struct is_tuple : std::false_type {};
template <class T>
struct is_tuple<T, std::void_t<decltype(std::tuple_size<T>::value)>> : std::true_type {};

template <class T>
struct is_unpacked : std::false_type {};
template <class Container>
struct is_unpacked<unpacked<Container>> : std::true_type {};

/// The arguments of all calls, in an encoder's memory: a tuple for each row, unpack(container), or one argument.
template <class Rows>
class rows_of {
 public:
  rows_of(encoder &room, const Rows &rows) {
    for (const row &each : rows) {
      const std::size_t found = width(each);
      if (count_ == 0) nargs_ = found;
      if (found != nargs_ && odd_.empty()) {
        odd_ = "row " + std::to_string(count_) + ": " + std::to_string(found) + " arguments, those before have " +
               std::to_string(nargs_);
      }
      count_++;
    }
    if (!odd_.empty()) return;
    values_ = room.items(count_ * nargs_);
    subpy_value *next = values_;
    for (const row &each : rows) {
      write(room, next, each);
      next += nargs_;
    }
  }

  [[nodiscard]] const subpy_value *values() const noexcept { return values_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t nargs() const noexcept { return nargs_; }
  /// Which row is not as long as those before it; empty when all are.
  [[nodiscard]] const std::string &odd() const noexcept { return odd_; }

 private:
  using reference = decltype(*std::begin(std::declval<const Rows &>()));
  static_assert(std::is_reference_v<reference>,
                "subpy: rows must be in the container, not made when they are looked at");
  using row = std::remove_cv_t<std::remove_reference_t<reference>>;

  static std::size_t width([[maybe_unused]] const row &each) {
    if constexpr (is_tuple<row>::value) {
      return std::tuple_size_v<row>;
    } else if constexpr (is_unpacked<row>::value) {
      return each.container.size();
    } else {
      return 1;
    }
  }

  static void write(encoder &room, subpy_value *next, const row &each) {
    if constexpr (is_tuple<row>::value) {
      std::apply([&](const auto &...parts) { (::new (next++) subpy_value(room.value(parts)), ...); }, each);
    } else if constexpr (is_unpacked<row>::value) {
      room.fill(next, each.container);
    } else {
      ::new (next) subpy_value(room.value(each));
    }
  }

  subpy_value *values_ = nullptr;
  std::size_t count_ = 0;
  std::size_t nargs_ = 0;
  std::string odd_;
};

/// The results of all calls, which the errors among them keep.
struct results_list {
  subpy_value root{};

  results_list() noexcept = default;
  results_list(const results_list &) = delete;
  results_list(results_list &&) = delete;
  results_list &operator=(const results_list &) = delete;
  results_list &operator=(results_list &&) = delete;
  ~results_list() { subpy_value_free(&root); }
};

/// The result of one row as a T, or its error.
template <class T>
[[nodiscard]] result<T> result_of(const std::shared_ptr<const results_list> &results, std::size_t row) {
  const subpy_value &raw = results->root.u.as_items[row];
  if (raw.kind == SUBPY_KIND_ERROR) return row_error::shared(raw.u.as_error, results);
  if constexpr (std::is_same_v<T, subpy::value>) {
    return subpy::value(value_view(raw));
  } else {
    auto converted = convert<T>::from_python(value_view(raw));
    if (!converted) converted = row_error::conversion(converted.error(), row);
    return converted;
  }
}

/// Calls a function with one row after the other; results are wanted.
template <class Rows>
[[nodiscard]] result<std::shared_ptr<const results_list>> call_rows(subpy_function function, const Rows &rows,
                                                                    std::uint32_t flags) {
  encoder room;
  const rows_of<Rows> gathered(room, rows);
  if (!gathered.odd().empty()) return error(status::invalid_argument, gathered.odd());
  auto results = std::make_shared<results_list>();
  subpy_error *cause = nullptr;
  const subpy_status code = subpy_function_call_many(function, gathered.values(), gathered.count(), gathered.nargs(),
                                                     flags, &results->root, &cause);
  room.passed(code);
  if (code != SUBPY_OK) return error(code, cause);
  return std::shared_ptr<const results_list>(std::move(results));
}

template <class T, class Rows>
[[nodiscard]] result<std::vector<T>> call_many(subpy_function function, const Rows &rows) {
  const auto results = call_rows(function, rows, 0);
  if (!results) return results.error();
  std::vector<T> all;
  all.reserve((*results)->root.len);
  for (std::size_t row = 0; row < (*results)->root.len; row++) {
    auto one = result_of<T>(*results, row);
    if (!one) return one.error();
    all.push_back(*std::move(one));
  }
  return all;
}

template <class T, class Rows>
[[nodiscard]] result<std::vector<result<T>>> call_each(subpy_function function, const Rows &rows) {
  const auto results = call_rows(function, rows, SUBPY_RETURN_ERRORS);
  if (!results) return results.error();
  std::vector<result<T>> all;
  all.reserve((*results)->root.len);
  for (std::size_t row = 0; row < (*results)->root.len; row++) all.push_back(result_of<T>(*results, row));
  return all;
}

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_MANY_HPP

/* Prepared functions. */
#ifndef SUBPY_FUNCTION_HPP
#define SUBPY_FUNCTION_HPP

#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// The call of a function or an object, which borrows all of it.
inline subpy_run_request function_request(subpy_function handle, const run_options &options, const arguments &gathered,
                                          const subpy_value &kwargs) noexcept {
  subpy_run_request request = request_with(options);
  request.what = SUBPY_RUN_FUNCTION;
  request.function = handle;
  request.args = gathered.items;
  request.nargs = gathered.item_count;
  request.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
  return request;
}

template <class T, class... Args>
result<T> call_function(subpy_function handle, const run_options &options, const Args &...args) {
  if (auto wrong = nul_in(options.filename, "filename")) return *wrong;
  encoder room;
  const auto gathered = gather(room, args...);
  const subpy_value kwargs = make_dict(gathered.pairs, gathered.pair_count);
  subpy_run_request request = function_request(handle, options, gathered, kwargs);
  request.flags |= receiver<T>::flags;
  receiver<T> received;
  return received.take(room.passed(subpy_run(&request, received.value(), received.cause())));
}

}  // namespace detail

/// A callable that was looked up once, to be called many times, from any thread: interpreter_ref::function(). It holds the
/// object, whatever its name is bound to later. Movable, not copyable. May outlive its interpreter: then calls are
/// status::not_found.
class function {
 public:
  /// No function.
  function() noexcept = default;
  /// Takes over a function of the C interface.
  explicit function(subpy_function handle) noexcept : handle_(handle) {}

  function(const function &) = delete;
  function &operator=(const function &) = delete;
  function(function &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  function &operator=(function &&other) noexcept {
    if (this != &other) {
      subpy_function_free(handle_);
      handle_ = std::exchange(other.handle_, 0);
    }
    return *this;
  }
  ~function() { subpy_function_free(handle_); }

  [[nodiscard]] subpy_function handle() const noexcept { return handle_; }

  /// Gives up the ownership.
  subpy_function release() noexcept { return std::exchange(handle_, 0); }

  /// Calls it in its interpreter. Arguments and result are those of interpreter_ref::call().
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const Args &...args) const {
    if constexpr (detail::receiver<T>::flags != 0) return try_call<T>(run_options(), args...);
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    detail::receiver<T> received;
    return received.take(room.passed(subpy_function_call(handle_, gathered.items, gathered.item_count,
                                                         gathered.pair_count == 0 ? nullptr : &kwargs, received.value(),
                                                         received.cause())));
  }

  /// The same, with a time limit, a token or an output: `f.call<int>(options, 1, 2)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const run_options &options, const Args &...args) const {
    return detail::call_function<T>(handle_, options, args...);
  }

  /// Calls it with one row of arguments after the other, in a fraction of the time of as many calls: the interpreter is
  /// entered once. A row is a tuple (std::tuple, std::pair, std::array), unpack(container), or one argument:
  /// `f.call_many<int>(std::vector<std::pair<int, int>>{{1, 2}, {3, 4}})`. All have as many arguments. The first row
  /// that fails ends the calls, and its error knows its row().
  template <class T = void, class Rows>
  [[nodiscard]] auto try_call_many(const Rows &rows) const {
    if constexpr (std::is_void_v<T>) {
      encoder room;
      const detail::rows_of<Rows> gathered(room, rows);
      if (!gathered.odd().empty()) return result<void>(error(status::invalid_argument, gathered.odd()));
      detail::receiver<void> received;
      return received.take(room.passed(subpy_function_call_many(handle_, gathered.values(), gathered.count(),
                                                                gathered.nargs(), 0, nullptr, received.cause())));
    } else {
      return detail::call_many<T>(handle_, rows);
    }
  }

  /// The same, with a result or an error for each row. Only what `except Exception` does not catch (SystemExit,
  /// KeyboardInterrupt) ends the calls. The errors keep the memory of all results.
  template <class T = value, class Rows>
  [[nodiscard]] result<std::vector<result<T>>> try_call_each(const Rows &rows) const {
    return detail::call_each<T>(handle_, rows);
  }

  /// Calls it on a new thread. The arguments are copied first.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const Args &...args) const {
    return try_call_in_thread(run_options(), args...);
  }

  /// The same with options: `f.call_in_thread(options, 1, 2)`.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const run_options &options, const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::start(detail::function_request(handle_, options, gathered, kwargs), options, [&](auto... given) {
      return room.passed(subpy_run_in_thread(given...));
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class T = void, class... Args>
  T call(const Args &...args) const {
    return try_call<T>(args...).value();
  }
  template <class T = void, class... Args>
  T call(const run_options &options, const Args &...args) const {
    return try_call<T>(options, args...).value();
  }
  template <class T = void, class Rows>
  auto call_many(const Rows &rows) const {
    return try_call_many<T>(rows).value();
  }
  template <class T = value, class Rows>
  [[nodiscard]] std::vector<result<T>> call_each(const Rows &rows) const {
    return try_call_each<T>(rows).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const Args &...args) const {
    return try_call_in_thread(args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const run_options &options, const Args &...args) const {
    return try_call_in_thread(options, args...).value();
  }
#endif

 private:
  subpy_function handle_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_FUNCTION_HPP

/* What is gone through once, with `for`. */
#ifndef SUBPY_RANGE_HPP
#define SUBPY_RANGE_HPP

#include <cstddef>
#include <iterator>
#include <optional>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

namespace detail {

/// A range of what Self::try_next() returns, until that is nothing; errors are thrown. To be gone through once.
template <class T, class Self>
class next_range {
#if SUBPY_CPP_EXCEPTIONS
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T *;
    using reference = T &;

    /// The end.
    iterator() noexcept = default;
    explicit iterator(next_range &range) : range_(&range) { ++*this; }

    T &operator*() const noexcept { return *range_->current_; }
    T *operator->() const noexcept { return &*range_->current_; }
    iterator &operator++() {
      range_->current_ = static_cast<Self *>(range_)->next();
      if (!range_->current_) range_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator &one, const iterator &other) noexcept { return one.range_ == other.range_; }
    friend bool operator!=(const iterator &one, const iterator &other) noexcept { return !(one == other); }

   private:
    next_range *range_ = nullptr;
  };

  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] iterator end() noexcept { return iterator(); }

 private:
  std::optional<T> current_;
#endif
};

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_RANGE_HPP

/* Python objects that stay where they are. */
#ifndef SUBPY_OBJECT_HPP
#define SUBPY_OBJECT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

class interpreter_ref;
template <class T>
class iteration;

/// An object in an interpreter, whatever it is: `interp.eval<subpy::object>("open('log')")`. Python keeps it as long as a
/// copy of this lives; copies share it. Its operations return another object, or a value: `object.attr("size")`,
/// `object.attr<int>("size")`. As an argument it is the object itself, in its own interpreter; in another one
/// status::not_shareable. Any thread may use it and drop it. May outlive its interpreter: then it is status::not_found.
class object {
 public:
  /// No object.
  object() noexcept = default;
  /// Takes over an object of the C interface.
  explicit object(subpy_object handle) : owned_(std::make_shared<owned>(handle)) {}
  /// A prepared function is one.
  explicit object(subpy::function &&of) : object(of.release()) {}

  [[nodiscard]] subpy_object handle() const noexcept { return owned_ == nullptr ? 0 : owned_->handle; }
  explicit operator bool() const noexcept { return owned_ != nullptr; }

  /// Lets go of it. The other copies keep it.
  void reset() noexcept { owned_.reset(); }

  /// getattr(object, name)
  template <class T = object>
  [[nodiscard]] result<T> try_attr(std::string_view name) const {
    return fetch<T>([&](std::uint32_t flags, subpy_value *to, subpy_error **cause) {
      return subpy_object_attr(handle(), name.data(), name.size(), flags, to, cause);
    });
  }

  /// object[key]
  template <class T = object, class Key>
  [[nodiscard]] result<T> try_item(const Key &key) const {
    encoder room;
    const subpy_value raw = room.value(key);
    return fetch<T>([&](std::uint32_t flags, subpy_value *to, subpy_error **cause) {
      return room.passed(subpy_object_item(handle(), &raw, flags, to, cause));
    });
  }

  /// object(...), with the arguments of interpreter_ref::call(). void: what it returns is dropped.
  template <class T = object, class... Args>
  [[nodiscard]] result<T> try_call(const Args &...args) const {
    return call_named<T>(nullptr, 0, args...);
  }

  /// The same with a time limit, a token or an output: `object.call<int>(options, 1, 2)`.
  template <class T = object, class... Args>
  [[nodiscard]] result<T> try_call(const run_options &options, const Args &...args) const {
    return detail::call_function<T>(handle(), options, args...);
  }

  /// object.method(...)
  template <class T = object, class... Args>
  [[nodiscard]] result<T> try_call_method(std::string_view method, const Args &...args) const {
    return call_named<T>(method.data(), method.size(), args...);
  }

  /// What `for` goes through, as Ts: `for (int item : object.iter<int>())`.
  template <class T = object>
  [[nodiscard]] result<iteration<T>> try_iter() const;

  /// The object as a value; an object that can be none is status::not_shareable.
  template <class T = value>
  [[nodiscard]] result<T> try_as() const {
    return fetch<T>([&](std::uint32_t flags, subpy_value *to, subpy_error **cause) {
      return subpy_object_value(handle(), flags, to, cause);
    });
  }

  /// str(object)
  [[nodiscard]] result<std::string> try_text() const {
    detail::receiver<std::string> received;
    return received.take(subpy_object_text(handle(), received.value(), received.cause()));
  }

  /// The interpreter that it is in.
  [[nodiscard]] inline result<interpreter_ref> try_interpreter() const;

  /// The same as a prepared function, for calls on threads and many calls at once.
  [[nodiscard]] result<subpy::function> try_function() const {
    return detail::fetch<subpy::function, subpy_object>([&](subpy_object *own, subpy_error **cause) {
      return subpy_object_keep(handle(), own, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  template <class T = object>
  [[nodiscard]] T attr(std::string_view name) const {
    return try_attr<T>(name).value();
  }
  template <class T = object, class Key>
  [[nodiscard]] T item(const Key &key) const {
    return try_item<T>(key).value();
  }
  template <class Key>
  [[nodiscard]] object operator[](const Key &key) const {
    return item(key);
  }
  template <class T = object, class... Args>
  T call(const Args &...args) const {
    return try_call<T>(args...).value();
  }
  template <class T = object, class... Args>
  T call(const run_options &options, const Args &...args) const {
    return try_call<T>(options, args...).value();
  }
  template <class... Args>
  object operator()(const Args &...args) const {
    return call(args...);
  }
  template <class T = object, class... Args>
  T call_method(std::string_view method, const Args &...args) const {
    return try_call_method<T>(method, args...).value();
  }
  template <class T = object>
  [[nodiscard]] iteration<T> iter() const;
  template <class T = value>
  [[nodiscard]] T as() const {
    return try_as<T>().value();
  }
  [[nodiscard]] std::string text() const { return try_text().value(); }
  [[nodiscard]] inline interpreter_ref interpreter() const;
  [[nodiscard]] subpy::function function() const { return try_function().value(); }
#endif

 private:
  friend struct convert<object>;

  struct owned {
    explicit owned(subpy_object taken) noexcept : handle(taken) {}
    owned(const owned &) = delete;
    owned(owned &&) = delete;
    owned &operator=(const owned &) = delete;
    owned &operator=(owned &&) = delete;
    ~owned() {
      subpy_object_free(handle);
      subpy_value_free(&result);
    }

    subpy_object handle;
    subpy_value result{};  // that the handle belongs to, if it is one's
  };

  template <class T, class Ask>
  static result<T> fetch(const Ask &ask) {
    detail::receiver<T> received;
    return received.take(ask(detail::receiver<T>::flags, received.value(), received.cause()));
  }

  template <class T, class... Args>
  [[nodiscard]] result<T> call_named(const char *method, std::size_t length, const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return fetch<T>([&](std::uint32_t flags, subpy_value *to, subpy_error **cause) {
      return room.passed(subpy_object_call(handle(), method, length, gathered.items, gathered.item_count,
                                           gathered.pair_count == 0 ? nullptr : &kwargs, flags, to, cause));
    });
  }

  std::shared_ptr<owned> owned_;
};

/// The object itself, in its own interpreter.
template <>
struct convert<object> {
  static constexpr std::uint32_t wants = SUBPY_RESULT_OBJECTS;
  static std::string name() { return "subpy::object"; }

  static subpy_value to_python(const object &from, encoder & /*unused*/) noexcept {
    return detail::make_object(from.handle());
  }

  /// A part of something larger, which gets a handle of its own.
  static result<object> from_python(value_view view) {
    if (view.kind() != kind::object) return wrong_type<object>(view);
    return detail::fetch<object, subpy_object>([&](subpy_object *own, subpy_error **cause) {
      return subpy_object_keep(view.raw().u.as_object, own, cause);
    });
  }

  static result<object> take(subpy_value &raw) {
    if (raw.kind != SUBPY_KIND_OBJECT) return wrong_type<object>(value_view(raw));
    object taken(raw.u.as_object);
    taken.owned_->result = std::exchange(raw, subpy_value{});
    return taken;
  }
};

template <>
struct convert<function> {
  static subpy_value to_python(const function &from, encoder & /*unused*/) noexcept {
    return detail::make_object(from.handle());
  }
};

/// What object::iter() goes through. One item at a time is taken from Python.
template <class T>
class iteration : public detail::next_range<T, iteration<T>> {
 public:
  explicit iteration(object from) noexcept : from_(std::move(from)) {}

  /// The next item; empty when there is none any more.
  [[nodiscard]] result<std::optional<T>> try_next() {
    bool more = false;
    detail::receiver<T> received;
    const subpy_status code = subpy_object_next(from_.handle(), detail::receiver<T>::flags, &more, received.value(),
                                                received.cause());
    if (code == SUBPY_OK && !more) return std::optional<T>();
    auto item = received.take(code);
    if (!item) return item.error();
    return std::optional<T>(*std::move(item));
  }
#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] std::optional<T> next() { return try_next().value(); }
#endif

 private:
  object from_;
};

template <class T>
result<iteration<T>> object::try_iter() const {
  auto found = detail::fetch<object, subpy_object>([&](subpy_object *to, subpy_error **cause) {
    return subpy_object_iter(handle(), to, cause);
  });
  if (!found) return found.error();
  return iteration<T>(*std::move(found));
}

#if SUBPY_CPP_EXCEPTIONS
template <class T>
iteration<T> object::iter() const {
  return try_iter<T>().value();
}
#endif

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_OBJECT_HPP

/* Queues between the program and interpreters. */
#ifndef SUBPY_QUEUE_HPP
#define SUBPY_QUEUE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// How long a queue is waited for.
struct wait_options {
  /// Zero does not wait at all, and without one there is no limit. Then it is status::timeout.
  std::optional<std::chrono::milliseconds> timeout{};
  /// Ends the waiting: status::interrupted. A subpy::cancel, or a std::stop_token.
  subpy::cancel cancel{};
};

/// What queue::info() says.
struct queue_info {
  /// The same for all copies of a queue. Python: Queue.id.
  std::uint64_t id = 0;
  /// How many items have room; 0: no bound. Python: Queue.maxsize.
  std::size_t capacity = 0;
  /// How many items are in it. Others may change that at any time.
  std::size_t size = 0;
  bool closed = false;
};

template <class T>
class queue_items;

/// A queue of values, for the program's threads and for interpreters, where it is a subpy_queues.Queue: pass it as an
/// argument, or bind it with prepare_main(). What is put is copied. Copies of this are the same queue; any thread may use
/// it at any time. Python: concurrent.interpreters.Queue.
class queue {
 public:
  /// No queue.
  queue() noexcept = default;
  /// Takes over a queue of the C interface.
  explicit queue(subpy_queue handle) : owned_(std::make_shared<const owned>(handle)) {}

  /// At most `capacity` items are in it at one time; 0: no bound.
  [[nodiscard]] static result<queue> try_create(std::size_t capacity = 0) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    subpy_queue_options options{};
    options.size = sizeof options;
    options.capacity = capacity;
    return detail::fetch<queue, subpy_queue>([&](subpy_queue *made, subpy_error **cause) {
      return subpy_queue_new(&options, made, cause);
    });
  }

  [[nodiscard]] subpy_queue handle() const noexcept { return owned_ == nullptr ? 0 : owned_->handle; }
  explicit operator bool() const noexcept { return owned_ != nullptr; }

  /// Waits while it is full. status::wrong_state when it is closed.
  template <class T>
  [[nodiscard]] result<void> try_put(const T &item, const wait_options &options = {}) const {
    encoder room;
    const subpy_value raw = room.value(item);
    return detail::attempt([&](subpy_error **cause) {
      return room.passed(subpy_queue_put_with(handle(), &raw, milliseconds(options), options.cancel.handle(), cause));
    });
  }

  /// Waits while it is empty. status::wrong_state when it is closed and empty. An item that is no T is an error, and
  /// gone: where there may be any, take a subpy::value.
  template <class T = value>
  [[nodiscard]] result<T> try_get(const wait_options &options = {}) const {
    detail::receiver<T> received;
    return received.take(subpy_queue_get_with(handle(), milliseconds(options), received.value(), options.cancel.handle(),
                                              received.cause()));
  }

  /// How many items are in it.
  [[nodiscard]] result<std::size_t> try_size() const {
    return detail::fetch<std::size_t>([&](std::size_t *found, subpy_error **cause) {
      return subpy_queue_len(handle(), found, cause);
    });
  }

  /// Which queue it is, and how large.
  [[nodiscard]] result<queue_info> try_info() const {
    subpy_queue_info raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_queue_get_info(handle(), &raw, cause); });
    if (!asked) return asked.error();
    return queue_info{raw.id, raw.capacity, raw.len, raw.closed != 0};
  }

  /// Nothing more can be put; what is in it can be taken. Who waits is woken.
  [[nodiscard]] result<void> try_close() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_queue_close(handle(), cause); });
  }

  /// A file descriptor that can be read from while there is something to take, or it is closed, for poll() and the like.
  /// It belongs to the queue: do not read from it, nor close it.
  [[nodiscard]] result<int> try_fd() const {
    return detail::fetch<int>([&](int *fd, subpy_error **cause) { return subpy_queue_fd(handle(), fd, cause); });
  }

  /// What comes out of it until it is closed and empty: `for (int item : queue.items<int>())`.
  template <class T = value>
  [[nodiscard]] queue_items<T> items() const;

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static queue create(std::size_t capacity = 0) { return try_create(capacity).value(); }
  template <class T>
  void put(const T &item, const wait_options &options = {}) const {
    try_put(item, options).value();
  }
  template <class T = value>
  [[nodiscard]] T get(const wait_options &options = {}) const {
    return try_get<T>(options).value();
  }
  [[nodiscard]] std::size_t size() const { return try_size().value(); }
  [[nodiscard]] queue_info info() const { return try_info().value(); }
  void close() const { try_close().value(); }
  [[nodiscard]] int fd() const { return try_fd().value(); }
#endif

 private:
  struct owned {
    explicit owned(subpy_queue taken) noexcept : handle(taken) {}
    owned(const owned &) = delete;
    owned(owned &&) = delete;
    owned &operator=(const owned &) = delete;
    owned &operator=(owned &&) = delete;
    ~owned() { subpy_queue_free(handle); }

    const subpy_queue handle;
  };

  static std::int64_t milliseconds(const wait_options &options) noexcept {
    return options.timeout ? std::max<std::int64_t>(options.timeout->count(), 0) : -1;
  }

  std::shared_ptr<const owned> owned_;
};

/// The queue itself, in any interpreter.
template <>
struct convert<queue> {
  static std::string name() { return "subpy::queue"; }

  static subpy_value to_python(const queue &from, encoder & /*unused*/) noexcept {
    subpy_value made = detail::make(SUBPY_KIND_QUEUE);
    made.u.as_queue = from.handle();
    return made;
  }

  static result<queue> from_python(value_view view) {
    if (view.kind() != kind::queue) return wrong_type<queue>(view);
    return detail::fetch<queue, subpy_queue>([&](subpy_queue *own, subpy_error **cause) {
      return subpy_queue_keep(view.raw().u.as_queue, own, cause);
    });
  }
};

/// What comes out of a queue: queue::items().
template <class T>
class queue_items : public detail::next_range<T, queue_items<T>> {
 public:
  explicit queue_items(queue from) noexcept : from_(std::move(from)) {}

  /// The next item; empty when the queue is closed, and all that was in it has been taken.
  [[nodiscard]] result<std::optional<T>> try_next() {
    auto item = from_.template try_get<T>();
    if (item) return std::optional<T>(*std::move(item));
    if (item.error().code() == status::wrong_state) return std::optional<T>();
    return item.error();
  }
#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] std::optional<T> next() { return try_next().value(); }
#endif

 private:
  queue from_;
};

template <class T>
queue_items<T> queue::items() const {
  return queue_items<T>(*this);
}

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_QUEUE_HPP

/* Threads that stay in an interpreter. */
#ifndef SUBPY_SESSION_HPP
#define SUBPY_SESSION_HPP

#include <utility>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// This thread's stay in an interpreter: interpreter_ref::enter(). As long as it lasts, runs of the thread cost less and
/// keep what Python keeps for a thread (threading.local, contextvars); other threads get in between runs; the interpreter
/// cannot be closed. Sessions nest. Movable, not copyable; to be destroyed on the thread that entered. What goes wrong
/// there (another thread, or the last one while this thread runs something) goes to the unraisable hook.
class session {
 public:
  /// No session.
  session() noexcept = default;
  /// Takes over one subpy_enter() of this thread.
  explicit session(subpy_interp entered) noexcept : entered_(entered) {}

  session(const session &) = delete;
  session &operator=(const session &) = delete;
  session(session &&other) noexcept : entered_(std::exchange(other.entered_, 0)) {}
  session &operator=(session &&other) noexcept {
    if (this != &other) {
      leave_quietly();
      entered_ = std::exchange(other.entered_, 0);
    }
    return *this;
  }
  ~session() { leave_quietly(); }

  /// Leaves. On failure the session goes on.
  [[nodiscard]] result<void> try_leave() {
    auto left = detail::attempt([&](subpy_error **cause) { return subpy_leave(entered_, cause); });
    if (left) entered_ = 0;
    return left;
  }

#if SUBPY_CPP_EXCEPTIONS
  void leave() { try_leave().value(); }
#endif

 private:
  void leave_quietly() noexcept {
    if (entered_ == 0) return;
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_leave(std::exchange(entered_, 0), &cause);
    if (code == SUBPY_ERROR_FORKED) subpy_error_free(cause);  // this is a child
    else if (code != SUBPY_OK) detail::report(code, cause);
  }

  subpy_interp entered_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_SESSION_HPP

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

/* What a function of the program takes, and how Python's arguments find their places. */
#ifndef SUBPY_PARAMETERS_HPP
#define SUBPY_PARAMETERS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// A parameter of a host function: the positional arguments that no other parameter takes. Valid during the call.
class positional {
 public:
  positional(const subpy_value *items, std::size_t count) noexcept : items_(items, count), first_(items) {}

  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] auto begin() const noexcept { return items_.begin(); }
  [[nodiscard]] auto end() const noexcept { return items_.end(); }

  [[nodiscard]] subpy_value raw() const noexcept {
    return detail::make_sequence(SUBPY_KIND_TUPLE, first_, items_.size());
  }

 private:
  items_view items_;
  const subpy_value *first_;
};

/// A parameter of a host function: the keyword arguments that no other parameter takes. Valid during the call.
class keywords {
 public:
  keywords(const subpy_pair *pairs, std::size_t count) noexcept : raw_(detail::make_dict(pairs, count)) {}

  [[nodiscard]] std::size_t size() const noexcept { return raw_.len; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] bool contains(std::string_view name) const noexcept { return view().contains(name); }
  [[nodiscard]] std::optional<value_view> find(std::string_view name) const noexcept { return view().find(name); }
  /// The one of this name as a T, or an error.
  template <class T>
  [[nodiscard]] result<T> try_get(std::string_view name) const {
    return view().try_get<T>(name);
  }
#if SUBPY_CPP_EXCEPTIONS
  template <class T>
  [[nodiscard]] T get(std::string_view name) const {
    return try_get<T>(name).value();
  }
#endif
  /// `for (auto [name, value] : keywords)`
  [[nodiscard]] auto begin() const noexcept { return view().pairs().begin(); }
  [[nodiscard]] auto end() const noexcept { return view().pairs().end(); }

  [[nodiscard]] const subpy_value &raw() const noexcept { return raw_; }

 private:
  [[nodiscard]] value_view view() const noexcept { return value_view(raw_); }

  subpy_value raw_;
};

/// Passing them on.
template <>
struct convert<positional> {
  static subpy_value to_python(const positional &from, encoder & /*unused*/) noexcept { return from.raw(); }
};
template <>
struct convert<keywords> {
  static subpy_value to_python(const keywords &from, encoder & /*unused*/) noexcept { return from.raw(); }
};

namespace detail {

/// What Python passed.
struct passed {
  const subpy_value *args;
  std::size_t nargs;
  const subpy_pair *kwargs;
  std::size_t nkwargs;
};

/// One parameter of a host function.
struct parameter {
  /// Empty: it can be passed by position alone.
  std::string name;
  bool optional = false;
};

/// What a host function takes, and how arguments find their places.
class parameter_list {
 public:
  parameter_list(std::string_view function, std::vector<parameter> all, bool rest, bool names)
      : function_(function.substr(function.rfind(':') + 1)),
        all_(std::move(all)),
        positional_(all_.size()),
        rest_(rest),
        names_(names) {}

  /// Takes the names from a signature such as "(a, /, b=0, *rest, c=None, **names)".
  [[nodiscard]] result<void> read(std::string_view signature) {
    std::size_t found = 0;
    std::vector<std::string_view> parts = split(signature);
    for (const std::string_view part : parts) {
      const std::string_view name = part.substr(0, part.find_first_of("=: \t\n"));
      if (name == "/") {
        for (std::size_t i = 0; i < std::min(found, all_.size()); i++) all_[i].name.clear();
      } else if (name.substr(0, 1) == "*") {
        if (name.substr(0, 2) != "**") positional_ = std::min(found, all_.size());
      } else {
        if (found < all_.size()) all_[found].name = name;
        found++;
      }
    }
    if (found == all_.size()) return {};
    return error(status::invalid_argument, "signature: " + std::to_string(found) + " parameters, the function has " +
                                               std::to_string(all_.size()));
  }

  /// Finds the argument of each parameter; null where there is none. What is left over by name goes to `left`, if there is
  /// a parameter for that. Returns what is wrong.
  [[nodiscard]] std::optional<std::string> place(const passed &from, const subpy_value **places,
                                                 std::vector<subpy_pair> &left) const {
    for (std::size_t i = 0; i < positional_ && i < from.nargs; i++) places[i] = &from.args[i];
    if (from.nargs > positional_ && !rest_) return count_is_wrong(from.nargs);
    for (std::size_t i = 0; i < from.nkwargs; i++) {
      const subpy_pair &pair = from.kwargs[i];
      const std::string_view name(pair.key.u.as_str, pair.key.len);
      const std::size_t at = index_of(name);
      if (at == all_.size()) {
        if (!names_) return function_ + "() got an unexpected keyword argument " + quoted(name);
        left.push_back(pair);
      } else if (places[at] != nullptr) {
        return function_ + "() got multiple values for argument " + quoted(name);
      } else {
        places[at] = &pair.value;
      }
    }
    for (std::size_t i = 0; i < all_.size(); i++) {
      if (places[i] != nullptr || all_[i].optional) continue;
      if (all_[i].name.empty()) return count_is_wrong(from.nargs);
      return function_ + "() missing required argument " + quoted(all_[i].name) + " (pos " + std::to_string(i + 1) + ")";
    }
    return std::nullopt;
  }

  /// How many arguments by position have parameters of their own.
  [[nodiscard]] std::size_t positional_count() const noexcept { return positional_; }

  /// What an argument is called in a message.
  [[nodiscard]] std::string word_for(std::size_t index) const {
    const std::string &name = all_[index].name;
    return function_ + "() argument " + (name.empty() ? std::to_string(index + 1) : quoted(name));
  }

 private:
  /// The parts of "(a, b=(1, 2))" between the outer commas, without what is around them.
  static std::vector<std::string_view> split(std::string_view signature) {
    std::vector<std::string_view> parts;
    const std::size_t open = signature.find('(');
    if (open == std::string_view::npos) return parts;
    std::size_t depth = 0;
    char quote = 0;
    std::size_t start = open + 1;
    for (std::size_t i = start; i < signature.size(); i++) {
      const char letter = signature[i];
      const bool ends = depth == 0 && quote == 0 && (letter == ',' || letter == ')');
      if (ends) {
        add_stripped(parts, signature.substr(start, i - start));
        start = i + 1;
        if (letter == ')') break;
      } else if (quote != 0) {
        if (letter == '\\')
          i++;
        else if (letter == quote)
          quote = 0;
      } else if (letter == '\'' || letter == '"') {
        quote = letter;
      } else if (letter == '(' || letter == '[' || letter == '{') {
        depth++;
      } else if (letter == ')' || letter == ']' || letter == '}') {
        depth--;
      }
    }
    return parts;
  }

  static void add_stripped(std::vector<std::string_view> &parts, std::string_view part) {
    const std::size_t first = part.find_first_not_of(" \t\n");
    if (first != std::string_view::npos) parts.push_back(part.substr(first));
  }

  [[nodiscard]] std::size_t index_of(std::string_view name) const noexcept {
    std::size_t index = 0;
    while (index < all_.size() && (name.empty() || all_[index].name != name)) index++;
    return index;
  }

  [[nodiscard]] std::string count_is_wrong(std::size_t given) const {
    std::size_t least = 0;
    for (std::size_t i = 0; i < positional_; i++) least += all_[i].optional ? 0U : 1U;
    std::string takes = function_ + "() takes ";
    if (rest_)
      takes += "at least " + std::to_string(least);
    else if (least < positional_)
      takes += "from " + std::to_string(least) + " to " + std::to_string(positional_);
    else
      takes += std::to_string(positional_);
    const bool one = (rest_ ? least : positional_) == 1;
    return takes + " positional argument" + (one ? "" : "s") + " but " + std::to_string(given) +
           (given == 1 ? " was given" : " were given");
  }

  std::string function_;
  std::vector<parameter> all_;
  std::size_t positional_;
  bool rest_;
  bool names_;
};

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_PARAMETERS_HPP

/* Functions of the program that Python calls. */
#ifndef SUBPY_HOST_HPP
#define SUBPY_HOST_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

class interpreter_ref;

/// Options of interpreter_ref::define(). Those of subpy_define_options.
struct define_options {
  /// The parameters as Python sees them, "(a, b=0, *, c=None)". Then they can be passed by these names, which are those of
  /// the function's parameters in order. What has a default here is a std::optional there. Empty: by position alone.
  std::string signature{};
  /// Its `__doc__`.
  std::string doc{};
  /// Python does not run meanwhile: for functions of nanoseconds, which must not wait, nor use an interpreter.
  bool keep_gil = false;
  /// Only the thread that defines it may call it. Others get a RuntimeError.
  bool caller_thread_only = false;
};

/// The first parameter of a host function that wants to know about the call. Valid during the call; a copy that is kept
/// knows nothing afterwards, and does no harm.
class context {
 public:
  explicit context(subpy_context *raw) noexcept : raw_(raw) {}

  /// The interpreter that calls.
  [[nodiscard]] inline interpreter_ref interpreter() const noexcept;

  /// Whether the run that calls has been cancelled, or its time limit is over: then a long function should give up.
  [[nodiscard]] bool cancelled() const noexcept { return subpy_context_cancelled(raw_); }

  /// Adds a note to the exception that the function is about to throw, as BaseException.add_note().
  [[nodiscard]] result<void> try_add_note(std::string_view text) const {
    const subpy_status code = subpy_context_note(raw_, text.data(), text.size());
    if (code != SUBPY_OK) return error(code, nullptr);
    return {};
  }
#if SUBPY_CPP_EXCEPTIONS
  void add_note(std::string_view text) const { try_add_note(text).value(); }
#endif

  [[nodiscard]] subpy_context *raw() const noexcept { return raw_; }

 private:
  subpy_context *raw_;
};

namespace detail {

inline subpy_define_options raw_options(const define_options &options) noexcept {
  subpy_define_options raw{};
  raw.size = sizeof raw;
  raw.flags = (options.keep_gil ? SUBPY_DEFINE_KEEP_GIL : 0U) |
              (options.caller_thread_only ? SUBPY_DEFINE_CALLER_THREAD_ONLY : 0U);
  raw.signature = or_null(options.signature);
  raw.doc = or_null(options.doc);
  return raw;
}

/// The parameters and the result of a callable that has one operator().
template <class R, class... Params>
struct call_signature {
  using result = R;
  using parameters = std::tuple<Params...>;
};

template <class Member>
struct member_signature {};
template <class R, class C, class... Params>
struct member_signature<R (C::*)(Params...)> : call_signature<R, Params...> {};
template <class R, class C, class... Params>
struct member_signature<R (C::*)(Params...) const> : call_signature<R, Params...> {};
template <class R, class C, class... Params>
struct member_signature<R (C::*)(Params...) noexcept> : call_signature<R, Params...> {};
template <class R, class C, class... Params>
struct member_signature<R (C::*)(Params...) const noexcept> : call_signature<R, Params...> {};

template <class F, class = void>
struct signature_of {};
template <class F>
struct signature_of<F, std::void_t<decltype(&F::operator())>> : member_signature<decltype(&F::operator())> {};
template <class R, class... Params>
struct signature_of<R (*)(Params...)> : call_signature<R, Params...> {};
template <class R, class... Params>
struct signature_of<R (*)(Params...) noexcept> : call_signature<R, Params...> {};

template <class F, class = void>
struct has_signature : std::false_type {};
template <class F>
struct has_signature<F, std::void_t<typename signature_of<F>::parameters>> : std::true_type {};

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

template <class T>
struct is_result : std::false_type {};
template <class T>
struct is_result<result<T>> : std::true_type {};

/// A parameter that takes one argument; the others are about the call.
template <class P>
inline constexpr bool takes_argument = !is_one_of<plain<P>, context, positional, keywords>;

template <class P, class... Others>
inline constexpr std::size_t count_of = (std::size_t{0} + ... + (std::is_same_v<plain<Others>, P> ? 1U : 0U));

template <class F, class Params = typename signature_of<F>::parameters>
class host_function;

/// What the library calls: the function, and what it takes.
template <class F, class... Params>
class host_function<F, std::tuple<Params...>> {
  using returned = typename signature_of<F>::result;
  static_assert(((!std::is_lvalue_reference_v<Params> || std::is_const_v<std::remove_reference_t<Params>> ||
                  !takes_argument<Params>)&&...),
                "subpy: a parameter of a host function is a value or a const reference: changes would not reach Python");
  static_assert(((has_from_python<plain<Params>>::value || !takes_argument<Params>)&&...),
                "subpy: a parameter of this type has no subpy::convert<T>::from_python()");
  static_assert(count_of<context, Params...> <= 1 && count_of<positional, Params...> <= 1 &&
                    count_of<keywords, Params...> <= 1,
                "subpy: a host function has one subpy::context, subpy::positional and subpy::keywords at most");

 public:
  host_function(F function, parameter_list list) : function_(std::move(function)), list_(std::move(list)) {}

  [[nodiscard]] static result<parameter_list> parameters(std::string_view name, const define_options &options) {
    std::vector<parameter> all;
    (add<Params>(all), ...);
    parameter_list list(name, std::move(all), count_of<positional, Params...> != 0,
                        count_of<keywords, Params...> != 0);
    if (options.signature.empty()) return list;
    if (auto read = list.read(options.signature); !read) return read.error();
    return list;
  }

  /// A subpy_host_fn.
  static void call(void *self, subpy_context *raw, const subpy_value *args, std::size_t nargs,
                   const subpy_value *kwargs) noexcept {
    const passed from{args, nargs, kwargs == nullptr ? nullptr : kwargs->u.as_pairs, kwargs == nullptr ? 0 : kwargs->len};
    auto &host = *static_cast<host_function *>(self);
#if SUBPY_CPP_EXCEPTIONS
    try {
      host.answer(raw, from, std::index_sequence_for<Params...>());
    } catch (...) {
      raise_current(raw);
    }
#else
    host.answer(raw, from, std::index_sequence_for<Params...>());
#endif
  }

  /// A subpy_finalize_fn.
  static void finalize(void *self) noexcept { delete static_cast<host_function *>(self); }

 private:
  static constexpr std::size_t count = (std::size_t{0} + ... + (takes_argument<Params> ? 1U : 0U));

  template <class P>
  static void add(std::vector<parameter> &all) {
    if constexpr (takes_argument<P>) all.push_back({{}, is_optional<plain<P>>::value});
  }

  /// Which of the arguments the parameter at this index takes.
  static constexpr std::size_t place_of(std::size_t index) {
    constexpr std::array<bool, sizeof...(Params) + 1> takes{takes_argument<Params>..., false};
    std::size_t place = 0;
    for (std::size_t i = 0; i < index; i++) place += takes[i] ? 1U : 0U;
    return place;
  }

  struct call_state {
    subpy_context *raw = nullptr;
    const passed &from;
    std::array<const subpy_value *, count + 1> places{};
    std::vector<subpy_pair> left;
  };

  template <std::size_t... Is>
  void answer(subpy_context *raw, const passed &from, std::index_sequence<Is...> /*unused*/) {
    call_state state{raw, from, {}, {}};
    if (const auto wrong = list_.place(from, state.places.data(), state.left))
      return detail::raise(raw, "TypeError", *wrong);
    [[maybe_unused]] std::tuple<result<plain<Params>>...> given{argument<plain<Params>>(state, place_of(Is))...};
    if constexpr (count != 0) {
      std::optional<std::string> wrong;
      [[maybe_unused]] const auto look = [&](std::size_t place, const auto &one) {
        if (!wrong && !one) wrong = conversion_path::rooted(one.error(), list_.word_for(place)).message();
      };
      (look(place_of(Is), std::get<Is>(given)), ...);
      if (wrong) return detail::raise(raw, "TypeError", *wrong);
    }
    if constexpr (std::is_void_v<returned>)
      function_(static_cast<Params &&>(*std::get<Is>(given))...);
    else
      give(raw, function_(static_cast<Params &&>(*std::get<Is>(given))...));
  }

  template <class T>
  [[nodiscard]] result<T> argument(const call_state &state, [[maybe_unused]] std::size_t place) const {
    if constexpr (std::is_same_v<T, context>) {
      return context(state.raw);
    } else if constexpr (std::is_same_v<T, positional>) {
      const std::size_t taken = std::min(list_.positional_count(), state.from.nargs);
      return positional(taken == state.from.nargs ? nullptr : state.from.args + taken, state.from.nargs - taken);
    } else if constexpr (std::is_same_v<T, keywords>) {
      return keywords(state.left.data(), state.left.size());
    } else {
      const subpy_value *found = state.places[place];
      if constexpr (is_optional<T>::value) {
        if (found == nullptr) return T();
      }
      return convert<T>::from_python(value_view(*found));
    }
  }

  template <class Returned>
  static void give(subpy_context *raw, const Returned &value) {
    if constexpr (is_result<Returned>::value) {
      if (!value) return raise_returned(raw, value.error());
      if constexpr (!std::is_void_v<typename Returned::value_type>) give(raw, *value);
    } else {
      static_assert(has_to_python<plain<Returned>>::value,
                    "subpy: what this host function returns has no subpy::convert<T>::to_python()");
      encoder room;
      const subpy_value made = room.value(value);
      room.passed(subpy_context_return(raw, &made));
    }
  }

  F function_;
  const parameter_list list_;
};

}  // namespace detail

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_HOST_HPP

/* Interpreters. */
#ifndef SUBPY_INTERPRETER_HPP
#define SUBPY_INTERPRETER_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// What interpreter_ref::memory() says, in bytes.
struct memory_info {
  std::uint64_t used = 0;
  /// The most that were used at one time.
  std::uint64_t peak = 0;
  /// 0: none.
  std::uint64_t limit = 0;
  /// How many times the limit was reached.
  std::uint64_t refused = 0;
};

/// What interpreter_ref::lock_info() says: what holds an interpreter that is locked down.
struct lock_info {
  /// The version of Landlock that keeps it from files; 0: none does. 6 is all that is asked for.
  std::int32_t landlock = 0;
  /// Its system calls are filtered.
  bool seccomp = false;
};

/// An interpreter that somebody else owns, by its handle: may be copied, and may outlive it. Whatever is asked of one
/// that is gone is status::not_found. All operations may be called from any thread at any time.
class interpreter_ref {
 public:
  /// No interpreter.
  interpreter_ref() noexcept = default;
  /// An interpreter of the C interface.
  explicit interpreter_ref(subpy_interp handle) noexcept : handle_(handle) {}

  [[nodiscard]] subpy_interp handle() const noexcept { return handle_; }

  /// Runs statements in `__main__`. Python: Interpreter.exec().
  [[nodiscard]] result<void> try_exec(std::string_view code, const run_options &options = {}) const {
    return try_run<void>(SUBPY_RUN_EXEC, code, options);
  }

  /// Evaluates an expression. void: its value is not converted.
  template <class T>
  [[nodiscard]] result<T> try_eval(std::string_view expression, const run_options &options = {}) const {
    return try_run<T>(SUBPY_RUN_EVAL, expression, options);
  }

  /// Calls something by its name: "name" in `__main__`, or "package.module:attribute.attribute". Arguments are anything
  /// that has a conversion, kw(name, value) and unpack(container). void: what it returns is not converted. Python:
  /// Interpreter.call().
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(std::string_view callable, const Args &...args) const {
    if constexpr (detail::receiver<T>::flags != 0) return try_call<T>(run_options(), callable, args...);
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    detail::receiver<T> received;
    return received.take(room.passed(subpy_call(handle_, callable.data(), callable.size(), gathered.items,
                                                gathered.item_count, gathered.pair_count == 0 ? nullptr : &kwargs,
                                                received.value(), received.cause())));
  }

  /// The same, with a time limit, a token or an output: `call<int>(options, "f", 1)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<T> try_call(const run_options &options, std::string_view callable, const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    subpy_run_request made = call_request(options, callable, gathered, kwargs);
    made.flags |= detail::receiver<T>::flags;
    detail::receiver<T> received;
    return received.take(room.passed(subpy_run(&made, received.value(), received.cause())));
  }

  /// Calls something by its name on a new thread. The arguments are copied first. Python: Interpreter.call_in_thread().
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(std::string_view callable, const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::fetch<thread, subpy_thread>([&](subpy_thread *started, subpy_error **cause) {
      return room.passed(subpy_call_in_thread(handle_, callable.data(), callable.size(), gathered.items,
                                              gathered.item_count, gathered.pair_count == 0 ? nullptr : &kwargs,
                                              started, cause));
    });
  }

  /// The same with options: `call_in_thread(options, "f", 1)`.
  template <class... Args>
  [[nodiscard]] result<thread> try_call_in_thread(const run_options &options, std::string_view callable,
                                                  const Args &...args) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    return detail::start(call_request(options, callable, gathered, kwargs), options, [&](auto... given) {
      return room.passed(subpy_run_in_thread(given...));
    });
  }

  /// Looks a callable up, by its name as try_call() takes it, to call it many times.
  [[nodiscard]] result<subpy::function> try_function(std::string_view callable) const {
    return detail::fetch<subpy::function, subpy_function>([&](subpy_function *found, subpy_error **cause) {
      return subpy_function_new(handle_, callable.data(), callable.size(), found, cause);
    });
  }

  /// Keeps this thread in the interpreter as long as the session lasts.
  [[nodiscard]] result<session> try_enter() const {
    if (auto entered = detail::attempt([&](subpy_error **cause) { return subpy_enter(handle_, cause); }); !entered)
      return entered.error();
    return session(handle_);
  }

  /// exec() on a new thread.
  [[nodiscard]] result<thread> try_exec_in_thread(std::string_view code, const run_options &options = {}) const {
    return try_run_in_thread(SUBPY_RUN_EXEC, code, options);
  }

  /// eval() on a new thread.
  [[nodiscard]] result<thread> try_eval_in_thread(std::string_view expression, const run_options &options = {}) const {
    return try_run_in_thread(SUBPY_RUN_EVAL, expression, options);
  }

  /// Binds names in `__main__`: `prepare_main(kw("x", 1), kw("y", "text"))`, or a map with text keys. All or nothing.
  /// Python: Interpreter.prepare_main().
  template <class... Args>
  [[nodiscard]] result<void> try_prepare_main(const Args &...names) const {
    encoder room;
    subpy_value dict{};
    if constexpr (sizeof...(Args) == 1 && !(detail::is_keyword<Args>::value || ...)) {
      ((dict = room.value(names)), ...);
    } else {
      static_assert((detail::is_keyword<Args>::value && ...), "subpy: a name and its value are kw(name, value)");
      dict = room.dict(names...);
    }
    return detail::attempt([&](subpy_error **cause) { return room.passed(subpy_prepare_main(handle_, &dict, cause)); });
  }

  /// Makes a function of the program's callable from Python: "name" in `__main__`, or "module:name", where the module is
  /// made when there is none. A function, a lambda or any object with one operator(); its parameters and its result are
  /// types that have a conversion:
  ///
  ///   interp.define("host:add", [](int a, int b) { return a + b; });
  ///   interp.exec("import host; print(host.add(1, 2))");
  ///
  /// A std::optional parameter may be missing; subpy::positional takes the other positional arguments, subpy::keywords
  /// those by name, and a first parameter of type subpy::context tells about the call. Parameters that point into their
  /// argument, such as std::string_view, are valid during the call.
  ///
  /// The function is called without the GIL, on the thread that Python calls it on, from several at once when it has
  /// several; it may use the interpreter. What it throws becomes a Python exception: a python_exception the type that it
  /// names, an error the Python exception that it is about, the standard exceptions their nearest relatives (see
  /// docs/cpp.md). It is destroyed when Python has no use for it any more, at the latest when the interpreter is closed.
  template <class Function>
  [[nodiscard]] result<void> try_define(std::string_view name, Function &&function,
                                        const define_options &options = {}) const {
    static_assert(detail::has_signature<std::decay_t<Function>>::value,
                  "subpy: a host function is a function or an object with one operator() that is no template");
    using host = detail::host_function<std::decay_t<Function>>;
    if (auto wrong = detail::nul_in(options.signature, "signature")) return *wrong;
    if (auto wrong = detail::nul_in(options.doc, "doc")) return *wrong;
    auto parameters = host::parameters(name, options);
    if (!parameters) return parameters.error();
    const subpy_define_options raw = detail::raw_options(options);
    auto made = std::make_unique<host>(std::forward<Function>(function), *std::move(parameters));
    return detail::attempt([&](subpy_error **cause) {
      return subpy_define_with(handle_, name.data(), name.size(), &raw, host::call, made.release(), host::finalize,
                               cause);
    });
  }

  /// Where stdout and stderr go from now on: `set_output(std::cout)`, `set_output([](subpy::stream, std::string_view) {})`.
  /// Without an argument to the file descriptors again.
  [[nodiscard]] result<void> try_set_output(const output &to = {}) const {
    if (!to) {
      return detail::attempt([&](subpy_error **cause) {
        return subpy_set_output(handle_, nullptr, nullptr, nullptr, cause);
      });
    }
    auto kept = std::make_unique<std::shared_ptr<detail::sink>>(to.shared());
    return detail::attempt([&](subpy_error **cause) {
      return subpy_set_output(handle_, detail::write_to_kept_sink, kept.release(), detail::drop_sink, cause);
    });
  }

  /// Raises KeyboardInterrupt in whatever runs in it now. To stop one run and no other, use run_options::cancel.
  [[nodiscard]] result<void> try_interrupt() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_interrupt(handle_, cause); });
  }

  /// Whether something is being run in it by this library. Python: Interpreter.is_running().
  [[nodiscard]] result<bool> try_is_running() const {
    return detail::fetch<bool>([&](bool *found, subpy_error **cause) {
      return subpy_is_running(handle_, found, cause);
    });
  }

  /// The id that CPython gave it: 0 for main, then ascending. Python: Interpreter.id.
  [[nodiscard]] result<std::int64_t> try_id() const {
    return detail::fetch<std::int64_t>([&](std::int64_t *found, subpy_error **cause) {
      return subpy_id(handle_, found, cause);
    });
  }

  /// Where it came from, in CPython's words, such as "C-API". Static text. Python: Interpreter.whence.
  [[nodiscard]] result<std::string_view> try_whence() const {
    return detail::fetch<std::string_view, const char *>([&](const char **found, subpy_error **cause) {
      return subpy_whence(handle_, found, cause);
    });
  }

  /// What its Python objects take. status::wrong_state when it does not count: interpreter_options::count_memory.
  [[nodiscard]] result<memory_info> try_memory() const {
    subpy_memory_info raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_memory(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return memory_info{raw.used, raw.peak, raw.limit, raw.refused};
  }

  /// What holds it. status::wrong_state when it is not interpreter_options::locked.
  [[nodiscard]] result<subpy::lock_info> try_lock_info() const {
    subpy_lock_info raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_lock_get_info(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return subpy::lock_info{raw.landlock, raw.seccomp != 0};
  }

  /// Finalizes and destroys it. Waits for the threads that Python code started, without end if one never ends.
  /// status::busy while something runs in it: it stays as it was. Python: Interpreter.close().
  [[nodiscard]] result<void> try_close() const {
    return detail::attempt([&](subpy_error **cause) { return subpy_close(handle_, cause); });
  }

  /// The same with a time limit, and with what becomes of what still runs in it. status::busy: the interpreter is as it
  /// was, and the message says what is still there. status::timeout: it is ending, and has not ended in time.
  [[nodiscard]] result<void> try_close(const close_options &options) const {
    const subpy_close_options raw = detail::raw_options(options);
    return detail::attempt([&](subpy_error **cause) { return subpy_close_with(handle_, &raw, cause); });
  }

#if SUBPY_CPP_EXCEPTIONS
  void exec(std::string_view code, const run_options &options = {}) const { try_exec(code, options).value(); }
  template <class T>
  T eval(std::string_view expression, const run_options &options = {}) const {
    return try_eval<T>(expression, options).value();
  }
  template <class T = void, class... Args>
  T call(std::string_view callable, const Args &...args) const {
    return try_call<T>(callable, args...).value();
  }
  template <class T = void, class... Args>
  T call(const run_options &options, std::string_view callable, const Args &...args) const {
    return try_call<T>(options, callable, args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(std::string_view callable, const Args &...args) const {
    return try_call_in_thread(callable, args...).value();
  }
  template <class... Args>
  [[nodiscard]] thread call_in_thread(const run_options &options, std::string_view callable,
                                      const Args &...args) const {
    return try_call_in_thread(options, callable, args...).value();
  }
  [[nodiscard]] subpy::function function(std::string_view callable) const { return try_function(callable).value(); }
  [[nodiscard]] session enter() const { return try_enter().value(); }
  [[nodiscard]] thread exec_in_thread(std::string_view code, const run_options &options = {}) const {
    return try_exec_in_thread(code, options).value();
  }
  [[nodiscard]] thread eval_in_thread(std::string_view expression, const run_options &options = {}) const {
    return try_eval_in_thread(expression, options).value();
  }
  template <class... Args>
  void prepare_main(const Args &...names) const {
    try_prepare_main(names...).value();
  }
  template <class Function>
  void define(std::string_view name, Function &&function, const define_options &options = {}) const {
    try_define(name, std::forward<Function>(function), options).value();
  }
  void set_output(const output &to = {}) const { try_set_output(to).value(); }
  void interrupt() const { try_interrupt().value(); }
  [[nodiscard]] bool is_running() const { return try_is_running().value(); }
  [[nodiscard]] std::int64_t id() const { return try_id().value(); }
  [[nodiscard]] std::string_view whence() const { return try_whence().value(); }
  [[nodiscard]] memory_info memory() const { return try_memory().value(); }
  [[nodiscard]] subpy::lock_info lock_info() const { return try_lock_info().value(); }
  void close() const { try_close().value(); }
  void close(const close_options &options) const { try_close(options).value(); }
#endif

  friend bool operator==(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ == other.handle_; }
  friend bool operator!=(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ != other.handle_; }
  friend bool operator<(interpreter_ref one, interpreter_ref other) noexcept { return one.handle_ < other.handle_; }

 protected:
  subpy_interp handle_ = 0;

 private:
  /// The request of an exec or eval, which borrows all of it.
  [[nodiscard]] subpy_run_request request(std::int32_t what, std::string_view text,
                                          const run_options &options) const noexcept {
    subpy_run_request made = detail::request_with(options);
    made.interp = handle_;
    made.what = what;
    made.text = text.data();
    made.text_len = text.size();
    return made;
  }

  [[nodiscard]] subpy_run_request call_request(const run_options &options, std::string_view callable,
                                               const detail::arguments &gathered,
                                               const subpy_value &kwargs) const noexcept {
    subpy_run_request made = request(SUBPY_RUN_CALL, callable, options);
    made.args = gathered.items;
    made.nargs = gathered.item_count;
    made.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
    return made;
  }

  template <class T>
  result<T> try_run(std::int32_t what, std::string_view text, const run_options &options) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    subpy_run_request made = request(what, text, options);
    made.flags |= detail::receiver<T>::flags;
    detail::receiver<T> received;
    return received.take(subpy_run(&made, received.value(), received.cause()));
  }

  [[nodiscard]] result<thread> try_run_in_thread(std::int32_t what, std::string_view text,
                                                 const run_options &options) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    return detail::start(request(what, text, options), options, subpy_run_in_thread);
  }
};

namespace detail {

/// The options as the C interface takes them, with the lists that they point to.
class raw_interpreter_options {
 public:
  explicit raw_interpreter_options(const interpreter_options &options) : wrong_(fill(options)) {}

  /// What is wrong with them.
  [[nodiscard]] const std::optional<error> &wrong() const noexcept { return wrong_; }
  /// As long as this and the options are there.
  [[nodiscard]] const subpy_interp_options *get() const noexcept { return &raw_; }

 private:
  std::optional<error> fill(const interpreter_options &options) {
    if (auto wrong = path_.fill(options.path, "path")) return wrong;
    if (auto wrong = readable_.fill(options.readable, "readable")) return wrong;
    if (auto wrong = writable_.fill(options.writable, "writable")) return wrong;
    if (auto wrong = nul_in(options.venv, "venv")) return wrong;
    raw_.size = sizeof raw_;
    raw_.gil = static_cast<std::int32_t>(options.gil);
    raw_.busy = static_cast<std::int32_t>(options.busy);
    raw_.flags = flag(options.allow_fork, SUBPY_INTERP_ALLOW_FORK) | flag(options.allow_exec, SUBPY_INTERP_ALLOW_EXEC) |
                 flag(options.no_threads, SUBPY_INTERP_NO_THREADS) |
                 flag(options.allow_daemon_threads, SUBPY_INTERP_ALLOW_DAEMON_THREADS) |
                 flag(options.no_extension_check, SUBPY_INTERP_NO_EXTENSION_CHECK) |
                 flag(options.unbuffered, SUBPY_INTERP_UNBUFFERED) | flag(options.no_stdin, SUBPY_INTERP_NO_STDIN) |
                 flag(options.tagged_values, SUBPY_INTERP_TAGGED_VALUES) |
                 flag(options.count_memory, SUBPY_INTERP_COUNT_MEMORY) | flag(options.process, SUBPY_INTERP_PROCESS) |
                 flag(options.locked, SUBPY_INTERP_LOCKED) |
                 flag(options.lock_best_effort, SUBPY_INTERP_LOCK_BEST_EFFORT);
    raw_.timeout_ms = limit_of(options.timeout);
    raw_.path = path_.get();
    raw_.path_len = options.path.size();
    raw_.memory_limit = options.memory_limit;
    raw_.grace_ms = static_cast<std::uint64_t>(limit_of(options.grace));
    raw_.cpu_limit_ms = static_cast<std::uint64_t>(limit_of(options.cpu_limit));
    raw_.readable = readable_.get();
    raw_.writable = writable_.get();
    raw_.venv = options.venv.empty() ? nullptr : options.venv.c_str();
    return std::nullopt;
  }

  subpy_interp_options raw_{};
  text_list path_;
  text_list readable_;
  text_list writable_;
  std::optional<error> wrong_;
};

}  // namespace detail

inline interpreter_ref context::interpreter() const noexcept { return interpreter_ref(subpy_context_interp(raw_)); }

inline result<interpreter_ref> object::try_interpreter() const {
  return detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *found, subpy_error **cause) {
    return subpy_object_interp(handle(), found, cause);
  });
}
#if SUBPY_CPP_EXCEPTIONS
inline interpreter_ref object::interpreter() const { return try_interpreter().value(); }
#endif

/// An interpreter and the duty to close it. Movable, not copyable; all else is in interpreter_ref, which it converts to.
///
/// Destroying one that is open closes it, and waits as close() does. A destructor cannot fail, closing can: when something
/// still runs in it (status::busy), it stays open, the error goes to the unraisable hook, which prints it, and
/// list_all() still has it. Call close() where that matters. One that was closed already, by shutdown() too, is fine.
class interpreter : public interpreter_ref {
 public:
  /// No interpreter: a place for one.
  interpreter() noexcept = default;
  /// Takes over the duty to close this one.
  explicit interpreter(interpreter_ref taken) noexcept : interpreter_ref(taken) {}

  interpreter(const interpreter &) = delete;
  interpreter &operator=(const interpreter &) = delete;
  interpreter(interpreter &&other) noexcept : interpreter_ref(other.release()) {}
  /// Closes what it had, as the destructor does.
  interpreter &operator=(interpreter &&other) noexcept {
    if (this != &other) {
      close_quietly();
      handle_ = other.release().handle();
    }
    return *this;
  }
  ~interpreter() { close_quietly(); }

  /// Gives up the duty to close it.
  interpreter_ref release() noexcept { return interpreter_ref(std::exchange(handle_, 0)); }

  /// Creates an interpreter. Starts the runtime when it is not running. Python: create().
  [[nodiscard]] static result<interpreter> try_create(const interpreter_options &options = {}) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    const detail::raw_interpreter_options raw(options);
    if (raw.wrong()) return *raw.wrong();
    const auto created = detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *to, subpy_error **cause) {
      return subpy_create(raw.get(), to, cause);
    });
    if (!created) return created.error();
    return interpreter(*created);
  }

  /// All interpreters by ascending id: main, yours, and those that Python code created. Python: list_all().
  [[nodiscard]] static result<std::vector<interpreter_ref>> try_list_all() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    std::vector<subpy_interp> handles(16);
    std::size_t count = 0;
    do {  // others may create some meanwhile
      handles.resize(std::max(handles.size(), count));
      subpy_error *cause = nullptr;
      const subpy_status code = subpy_list_all(handles.data(), handles.size(), &count, &cause);
      if (code != SUBPY_OK) return error(code, cause);
    } while (count > handles.size());
    std::vector<interpreter_ref> found;
    found.reserve(count);
    for (std::size_t i = 0; i < count; i++) found.emplace_back(handles[i]);
    return found;
  }

  /// The one that the calling thread is in; status::not_found when it is in none. Python: get_current().
  [[nodiscard]] static result<interpreter_ref> try_get_current() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>(subpy_get_current);
  }

  /// The main interpreter, which can run code and cannot be closed. Python: get_main().
  [[nodiscard]] static result<interpreter_ref> try_get_main() {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>(subpy_get_main);
  }

  /// The one with this id. Python: Interpreter(id).
  [[nodiscard]] static result<interpreter_ref> try_find(std::int64_t id) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    return detail::fetch<interpreter_ref, subpy_interp>([&](subpy_interp *found, subpy_error **cause) {
      return subpy_find(id, found, cause);
    });
  }

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static interpreter create(const interpreter_options &options = {}) {
    return try_create(options).value();
  }
  [[nodiscard]] static std::vector<interpreter_ref> list_all() { return try_list_all().value(); }
  [[nodiscard]] static interpreter_ref get_current() { return try_get_current().value(); }
  [[nodiscard]] static interpreter_ref get_main() { return try_get_main().value(); }
  [[nodiscard]] static interpreter_ref find(std::int64_t id) { return try_find(id).value(); }
#endif

 private:
  void close_quietly() noexcept {
    if (handle_ == 0) return;
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_close(std::exchange(handle_, 0), &cause);
    if (code == SUBPY_OK) return;
    const bool already = code == SUBPY_ERROR_NOT_FOUND;
    const bool of_the_parent = code == SUBPY_ERROR_FORKED;  // this is a child
    if (already || of_the_parent)
      subpy_error_free(cause);
    else
      detail::report(code, cause);
  }
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

template <>
struct std::hash<subpy::interpreter_ref> {
  std::size_t operator()(subpy::interpreter_ref ref) const noexcept { return std::hash<subpy_interp>()(ref.handle()); }
};

#endif  // SUBPY_INTERPRETER_HPP

/* Pools of interpreters. */
#ifndef SUBPY_POOL_HPP
#define SUBPY_POOL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace subpy {
inline namespace SUBPY_CPP_MODE {

/// Where the interpreters of a pool live.
enum class isolation : std::int32_t {
  /// In this process, as interpreter_options say.
  own_gil = SUBPY_ISOLATION_OWN_GIL,
  /// Each in a process of its own: what crashes or hangs there costs its own task alone.
  process = SUBPY_ISOLATION_PROCESS,
  /// In this process until an extension module refuses that, then each in a process of its own. The task that ended with
  /// that ImportError begins anew: what it did before, it does twice.
  automatic = SUBPY_ISOLATION_AUTO,
};

/// Options of pool::create(). Those of subpy_pool_options.
struct pool_options {
  /// How many interpreters run at the same time; 0: as many as the machine has cores.
  std::size_t workers = 0;
  /// How many tasks may wait; 0: 16 for each worker. What submits more waits, too.
  std::size_t backlog = 0;
  /// What would have to wait to submit is status::busy instead.
  bool refuse = false;
  /// How many interpreters are ready to take the place of one that was interrupted, or has done its share.
  std::size_t spares = 1;
  /// What the interpreters are like.
  interpreter_options interpreter{};
  /// Runs in each new interpreter.
  std::string setup{};
  /// Is called for each new interpreter before that: to define functions, to set its output. On any thread, by several at
  /// once; what it throws goes to the unraisable hook.
  std::function<void(interpreter_ref)> prepare{};
  /// After so many tasks an interpreter is replaced; 0: never.
  std::uint64_t runs_per_worker = 0;
  /// Where they live.
  subpy::isolation isolation = subpy::isolation::own_gil;
};

/// What pool::stats() says. Times are in microseconds.
struct pool_stats {
  std::uint64_t workers = 0;
  std::uint64_t spares = 0;
  /// Tasks now.
  std::uint64_t queued = 0;
  std::uint64_t running = 0;
  /// Tasks so far.
  std::uint64_t submitted = 0;
  std::uint64_t done = 0;
  /// Of these, those that ended with an error, and those that were cancelled among them.
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  /// Interpreters that were replaced.
  std::uint64_t replaced = 0;
  /// How long tasks waited and ran: half of them at most so long, 90 % and 99 % of them.
  std::uint64_t wait_p50_us = 0;
  std::uint64_t wait_p90_us = 0;
  std::uint64_t wait_p99_us = 0;
  std::uint64_t run_p50_us = 0;
  std::uint64_t run_p90_us = 0;
  std::uint64_t run_p99_us = 0;
  /// Interpreters that were replaced and cannot be closed yet, because of threads that Python code has left in them.
  std::uint64_t left = 0;
  /// Interpreters whose process has crashed, or was killed because a run did not end in time.
  std::uint64_t crashed = 0;
  /// Where the interpreters live now, and why, if they have moved (isolation::automatic).
  subpy::isolation isolation = subpy::isolation::own_gil;
  std::string reason{};
};

/// The outcome of a task of a pool: much like a std::future. Movable, not copyable; may outlive the pool. Destroying one
/// lets the task go on, as destroying a subpy::thread does.
template <class T>
class future {
 public:
  /// No task.
  future() noexcept = default;
  future(thread task, subpy::cancel token) noexcept : task_(std::move(task)), token_(std::move(token)) {}

  /// Whether there is an outcome to get: get() takes it.
  [[nodiscard]] bool valid() const noexcept { return task_.joinable(); }

  /// Waits for the task to end, and takes its result or its error. Once.
  [[nodiscard]] result<T> try_get() { return task_.template try_join<T>(); }
  [[nodiscard]] result<void> try_wait() const { return task_.try_wait(); }
  /// Waits until the task has ended or the time is up, and says whether it has ended. Zero or less only looks.
  template <class Rep, class Period>
  [[nodiscard]] result<bool> try_wait_for(std::chrono::duration<Rep, Period> limit) const {
    return task_.try_wait_for(limit);
  }

  /// Stops the task, whether it waits or runs: it ends with status::interrupted. Where the task has a token in its
  /// run_options, that is fired, with all that it stops.
  void cancel() const noexcept { token_.fire(); }

  /// As those of subpy::thread.
  template <class Function>
  [[nodiscard]] result<void> try_notify(Function &&function) const {
    return task_.try_notify(std::forward<Function>(function));
  }
  [[nodiscard]] result<int> try_fd() const { return task_.try_fd(); }

#if SUBPY_CPP_EXCEPTIONS
  T get() { return try_get().value(); }
  void wait() const { try_wait().value(); }
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> limit) const {
    return try_wait_for(limit).value();
  }
  template <class Function>
  void notify(Function &&function) const {
    try_notify(std::forward<Function>(function)).value();
  }
  [[nodiscard]] int fd() const { return try_fd().value(); }
#endif

 private:
  thread task_;
  subpy::cancel token_;
};

/// How pool::map() goes about it.
struct map_options {
  /// Limits and output of each task.
  run_options run{};
  /// How many rows are one task. Short calls are faster with some more.
  std::size_t chunk = 1;
};

namespace detail {

/// A part of a container.
template <class Iterator>
class range {
 public:
  range(Iterator first, Iterator last) : first_(first), last_(last) {}
  [[nodiscard]] Iterator begin() const { return first_; }
  [[nodiscard]] Iterator end() const { return last_; }

 private:
  Iterator first_;
  Iterator last_;
};

/// What pool::map() gives the results to. The function returns nothing, or false to stop.
template <class T, class Function>
class map_sink {
 public:
  explicit map_sink(Function &function) noexcept : function_(function) {}
  map_sink(const map_sink &) = delete;
  map_sink(map_sink &&) = delete;
  map_sink &operator=(const map_sink &) = delete;
  map_sink &operator=(map_sink &&) = delete;
  ~map_sink() = default;

  /// A subpy_map_fn.
  static bool call(void *self, std::size_t index, subpy_value *value, const subpy_error *cause) noexcept {
    auto &sink = *static_cast<map_sink *>(self);
#if SUBPY_CPP_EXCEPTIONS
    try {
      return sink.give(index, value, cause);
    } catch (...) {
      sink.thrown_ = std::current_exception();
      return false;
    }
#else
    return sink.give(index, value, cause);
#endif
  }

  void rethrow() const {
#if SUBPY_CPP_EXCEPTIONS
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
#endif
  }

 private:
  bool give(std::size_t index, subpy_value *value, const subpy_error *cause) {
    result<T> outcome = cause == nullptr ? read(*value) : row_error::kept(cause);
    if constexpr (std::is_same_v<decltype(function_(index, std::move(outcome))), bool>) {
      return function_(index, std::move(outcome));
    } else {
      function_(index, std::move(outcome));
      return true;
    }
  }

  static result<T> read(subpy_value &value) {
    if constexpr (std::is_void_v<T>)
      return {};
    else
      return read_result<T>(value);
  }

  Function &function_;
#if SUBPY_CPP_EXCEPTIONS
  std::exception_ptr thrown_;
#endif
};

}  // namespace detail

/// Interpreters that run tasks, and the duty to close them. Movable, not copyable. Any thread may submit at any time.
/// Tasks of one submitter begin in the order in which they were submitted. Python: InterpreterPoolExecutor.
///
/// Destroying one that is open interrupts what runs, cancels what waits, and waits for that, as a std::jthread does: call
/// close() to let all that was submitted end. What goes wrong in the destructor goes to the unraisable hook.
class pool {
 public:
  /// No pool.
  pool() noexcept = default;
  /// Takes over a pool of the C interface.
  explicit pool(subpy_pool handle) noexcept : handle_(handle) {}

  pool(const pool &) = delete;
  pool &operator=(const pool &) = delete;
  pool(pool &&other) noexcept : handle_(std::exchange(other.handle_, 0)) {}
  pool &operator=(pool &&other) noexcept {
    if (this != &other) {
      stop();
      handle_ = std::exchange(other.handle_, 0);
    }
    return *this;
  }
  ~pool() { stop(); }

  [[nodiscard]] subpy_pool handle() const noexcept { return handle_; }

  /// Creates the interpreters, and runs the setup in them.
  [[nodiscard]] static result<pool> try_create(const pool_options &options = {}) {
    if (auto wrong = detail::version_mismatch()) return *wrong;
    const detail::raw_interpreter_options interp(options.interpreter);
    if (interp.wrong()) return *interp.wrong();
    subpy_pool_options raw{};
    raw.size = sizeof raw;
    raw.workers = options.workers;
    raw.backlog = options.backlog;
    raw.spares = options.spares;
    raw.interp = interp.get();
    raw.setup = options.setup.data();
    raw.setup_len = options.setup.size();
    raw.runs_per_worker = options.runs_per_worker;
    raw.isolation = static_cast<std::int32_t>(options.isolation);
    raw.flags = detail::flag(options.refuse, SUBPY_POOL_REFUSE) | detail::flag(options.spares == 0, SUBPY_POOL_NO_SPARES);
    std::unique_ptr<preparation> prepare;
    if (options.prepare) {
      prepare = std::make_unique<preparation>(options.prepare);
      raw.prepare = call_preparation;
      raw.userdata = prepare.release();
      raw.finalize = drop_preparation;
    }
    return detail::fetch<pool, subpy_pool>([&](subpy_pool *made, subpy_error **cause) {
      return subpy_pool_new(&raw, made, cause);
    });
  }

  /// Calls something in one of its interpreters: what interpreter_ref::call() takes. The arguments are copied. Waits while
  /// the backlog is full.
  template <class T = void, class... Args>
  [[nodiscard]] result<future<T>> try_submit(std::string_view callable, const Args &...args) const {
    return try_submit<T>(run_options(), callable, args...);
  }

  /// The same with a time limit, a token or an output: `pool.submit<int>(options, "f", 1)`.
  template <class T = void, class... Args>
  [[nodiscard]] result<future<T>> try_submit(const run_options &options, std::string_view callable,
                                             const Args &...args) const {
    encoder room;
    const auto gathered = detail::gather(room, args...);
    const subpy_value kwargs = detail::make_dict(gathered.pairs, gathered.pair_count);
    subpy_run_request request{};
    request.args = gathered.items;
    request.nargs = gathered.item_count;
    request.kwargs = gathered.pair_count == 0 ? nullptr : &kwargs;
    return submit_request<T>(SUBPY_RUN_CALL, callable, request, options, &room);
  }

  /// Runs statements.
  [[nodiscard]] result<future<void>> try_submit_exec(std::string_view code, const run_options &options = {}) const {
    return submit_request<void>(SUBPY_RUN_EXEC, code, {}, options, nullptr);
  }

  /// Evaluates an expression.
  template <class T>
  [[nodiscard]] result<future<T>> try_submit_eval(std::string_view expression, const run_options &options = {}) const {
    return submit_request<T>(SUBPY_RUN_EVAL, expression, {}, options, nullptr);
  }

  /// Calls something with one row of arguments after the other, as function::call_many() does, in all interpreters at
  /// once. The results come in the order of the rows. The first row that fails ends it.
  template <class T = value, class Rows>
  [[nodiscard]] result<std::vector<T>> try_map(std::string_view callable, const Rows &rows,
                                               const map_options &options = {}) const {
    std::vector<T> all;
    std::optional<error> wrong;
    const auto collect = [&](std::size_t row, result<T> outcome) {
      if (!outcome) {
        wrong = detail::row_error::conversion(outcome.error(), row);
        return false;
      }
      all.push_back(*std::move(outcome));
      return true;
    };
    if (auto mapped = try_map<T>(callable, rows, collect, options); !mapped) return mapped.error();
    if (wrong) return *wrong;
    return all;
  }

  /// The same, and the function is given each result as it comes, in the order of the rows, on this thread:
  /// `pool.map<int>("f", rows, [](std::size_t row, subpy::result<int> outcome) { ... })`. When it returns false, it ends.
  template <class T = value, class Rows, class Function,
            std::enable_if_t<std::is_invocable_v<Function &, std::size_t, result<T>>, int> = 0>
  [[nodiscard]] result<void> try_map(std::string_view callable, const Rows &rows, Function &&function,
                                     const map_options &options = {}) const {
    if (auto wrong = detail::nul_in(options.run.filename, "filename")) return *wrong;
    encoder room;
    const detail::rows_of<Rows> gathered(room, rows);
    if (!gathered.odd().empty()) return error(status::invalid_argument, gathered.odd());
    subpy_run_request request = detail::request_with(options.run);
    request.what = SUBPY_RUN_CALL;
    request.text = callable.data();
    request.text_len = callable.size();
    if constexpr (!std::is_void_v<T>) request.flags |= detail::root_wants<T>;
    detail::map_sink<T, std::remove_reference_t<Function>> sink(function);
    auto mapped = detail::attempt([&](subpy_error **cause) {
      return room.passed(subpy_pool_map(handle_, &request, gathered.values(), gathered.count(), gathered.nargs(),
                                        options.chunk, sink.call, &sink, cause));
    });
    sink.rethrow();
    return mapped;
  }

  [[nodiscard]] result<pool_stats> try_stats() const {
    subpy_pool_stats raw{};
    raw.size = sizeof raw;
    const auto asked = detail::attempt([&](subpy_error **cause) { return subpy_pool_get_stats(handle_, &raw, cause); });
    if (!asked) return asked.error();
    return pool_stats{raw.workers,     raw.spares,      raw.queued,      raw.running,     raw.submitted,
                      raw.done,        raw.failed,      raw.cancelled,   raw.replaced,    raw.wait_p50_us,
                      raw.wait_p90_us, raw.wait_p99_us, raw.run_p50_us,  raw.run_p90_us,  raw.run_p99_us,
                      raw.left,        raw.crashed,     static_cast<subpy::isolation>(raw.isolation), raw.reason};
  }

  /// Lets all tasks that were submitted end, and closes the interpreters. Python: Executor.shutdown().
  [[nodiscard]] result<void> try_close() {
    close_options options;
    options.drain = true;
    return try_close(options);
  }

  /// The same with a time limit, and with what becomes of the tasks. status::busy: the pool is as it was.
  [[nodiscard]] result<void> try_close(const close_options &options) {
    const subpy_close_options raw = detail::raw_options(options);
    auto closed = detail::attempt([&](subpy_error **cause) { return subpy_pool_close(handle_, &raw, cause); });
    if (closed) handle_ = 0;
    return closed;
  }

#if SUBPY_CPP_EXCEPTIONS
  [[nodiscard]] static pool create(const pool_options &options = {}) { return try_create(options).value(); }
  template <class T = void, class... Args>
  [[nodiscard]] future<T> submit(std::string_view callable, const Args &...args) const {
    return try_submit<T>(callable, args...).value();
  }
  template <class T = void, class... Args>
  [[nodiscard]] future<T> submit(const run_options &options, std::string_view callable, const Args &...args) const {
    return try_submit<T>(options, callable, args...).value();
  }
  [[nodiscard]] future<void> submit_exec(std::string_view code, const run_options &options = {}) const {
    return try_submit_exec(code, options).value();
  }
  template <class T>
  [[nodiscard]] future<T> submit_eval(std::string_view expression, const run_options &options = {}) const {
    return try_submit_eval<T>(expression, options).value();
  }
  template <class T = value, class Rows>
  [[nodiscard]] std::vector<T> map(std::string_view callable, const Rows &rows, const map_options &options = {}) const {
    return try_map<T>(callable, rows, options).value();
  }
  template <class T = value, class Rows, class Function,
            std::enable_if_t<std::is_invocable_v<Function &, std::size_t, result<T>>, int> = 0>
  void map(std::string_view callable, const Rows &rows, Function &&function, const map_options &options = {}) const {
    try_map<T>(callable, rows, function, options).value();
  }
  /// As std::transform: the rows between two iterators, and where the results go. Returns where they end.
  template <class T = value, class Iterator, class Output>
  Output map(std::string_view callable, Iterator first, Iterator last, Output to, const map_options &options = {}) const {
    const auto write = [&](std::size_t row, result<T> outcome) {
      if (!outcome) detail::row_error::conversion(outcome.error(), row).raise();
      *to++ = *std::move(outcome);
    };
    try_map<T>(callable, detail::range<Iterator>(first, last), write, options).value();
    return to;
  }
  [[nodiscard]] pool_stats stats() const { return try_stats().value(); }
  void close() { try_close().value(); }
  void close(const close_options &options) { try_close(options).value(); }
#endif

 private:
  using preparation = std::function<void(interpreter_ref)>;

  /// A subpy_prepare_fn.
  static void call_preparation(void *data, subpy_interp interp) noexcept {
    detail::call_quietly("a function that prepares interpreters",
                         [&] { (*static_cast<preparation *>(data))(interpreter_ref(interp)); });
  }
  static void drop_preparation(void *data) noexcept { delete static_cast<preparation *>(data); }

  template <class T>
  [[nodiscard]] result<future<T>> submit_request(std::int32_t what, std::string_view text,
                                                 const subpy_run_request &arguments, const run_options &options,
                                                 encoder *room) const {
    if (auto wrong = detail::nul_in(options.filename, "filename")) return *wrong;
    run_options with = options;
    if (with.cancel.handle() == 0) {
      auto token = cancel::try_create();
      if (!token) return token.error();
      with.cancel = *std::move(token);
    }
    subpy_run_request request = detail::request_with(with);
    request.flags |= detail::receiver<T>::flags;
    request.what = what;
    request.text = text.data();
    request.text_len = text.size();
    request.args = arguments.args;
    request.nargs = arguments.nargs;
    request.kwargs = arguments.kwargs;
    auto task = detail::start(request, with, [&](const subpy_run_request *to_run, subpy_thread *outcome, subpy_error **cause) {
      const subpy_status code = subpy_pool_submit(handle_, to_run, outcome, cause);
      return room == nullptr ? code : room->passed(code);
    });
    if (!task) return task.error();
    return future<T>(*std::move(task), with.cancel);
  }

  void stop() noexcept {
    if (handle_ == 0) return;
    close_options options;
    options.interrupt = true;
    const subpy_close_options raw = detail::raw_options(options);
    subpy_error *cause = nullptr;
    const subpy_status code = subpy_pool_close(std::exchange(handle_, 0), &raw, &cause);
    const bool gone = code == SUBPY_ERROR_NOT_FOUND || code == SUBPY_ERROR_FORKED;
    if (gone)
      subpy_error_free(cause);
    else if (code != SUBPY_OK)
      detail::report(code, cause);
  }

  subpy_pool handle_ = 0;
};

}  // namespace SUBPY_CPP_MODE
}  // namespace subpy

#endif  // SUBPY_POOL_HPP

#endif  // SUBPY_HPP
