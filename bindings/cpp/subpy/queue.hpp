/* Queues between the program and interpreters. */
#ifndef SUBPY_QUEUE_HPP
#define SUBPY_QUEUE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "object.hpp"

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
