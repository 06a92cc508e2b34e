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

#include "parameters.hpp"

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
