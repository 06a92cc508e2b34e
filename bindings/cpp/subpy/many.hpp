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

#include "run.hpp"

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
