/* Threads that stay in an interpreter. */
#ifndef SUBPY_SESSION_HPP
#define SUBPY_SESSION_HPP

#include <utility>

#include "queue.hpp"

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
