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

#include "cancel.hpp"

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
