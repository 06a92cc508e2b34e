/* Options, and the arguments of a call. */
#ifndef SUBPY_RUN_HPP
#define SUBPY_RUN_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "thread.hpp"

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
  std::vector<std::string> path;
};

/// Options of exec() and eval().
struct run_options {
  /// The file name in tracebacks. Empty: "<script>".
  std::string filename;
  /// exec() does not take the common indentation off.
  bool keep_indent = false;
};

namespace detail {

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
