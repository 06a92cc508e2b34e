/* C++ exceptions that pass through Python. */
#ifndef SUBPY_CAUSE_HPP
#define SUBPY_CAUSE_HPP

#include "config.hpp"

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
