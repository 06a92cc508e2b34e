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

#include "range.hpp"

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
