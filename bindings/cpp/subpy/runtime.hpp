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

#include "standard.hpp"

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
