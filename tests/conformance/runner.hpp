// Runs one case of conformance/cases.json through the C++ header; tests/conformance.rs writes the program around it.
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "test.hpp"

using subpy::kw;
using subpy::value;

inline value number(std::uint64_t bits) {
  double made = 0;
  std::memcpy(&made, &bits, sizeof made);
  return value(made);
}

/// What is to be in a result: an object with this text.
inline value object_with_text(const std::string &text) { return value::tagged(static_cast<subpy::tag>(255), text); }

/// What is to be in a result: such a buffer.
inline value buffer_with(const char *format, std::vector<std::size_t> shape, std::string bytes) {
  subpy_buffer raw{};
  raw.data = bytes.data();
  raw.len = bytes.size();
  raw.format = format;
  raw.shape = shape.data();
  raw.ndim = static_cast<std::int32_t>(shape.size());
  const subpy_value made = subpy_value_from_buffer(&raw);
  return value(subpy::value_view(made));
}

/// An argument: these bytes as Ts.
template <class T>
subpy::buffer buffer_of(std::vector<std::size_t> shape, std::string_view bytes) {
  std::vector<T> items(bytes.size() / sizeof(T));
  std::memcpy(items.data(), bytes.data(), bytes.size());
  return subpy::buffer(std::move(items)).shaped(std::move(shape));
}

inline subpy::queue queue_of(const std::vector<value> &items, bool closed) {
  auto made = subpy::queue::create();
  for (const value &item : items) made.put(item);
  if (closed) made.close();
  return made;
}

/// What is in the queue is this.
inline void expect_queue(const subpy::queue &queue, const std::vector<value> &items) {
  for (const value &item : items) CHECK(queue.get() == item);
  CHECK(queue.size() == 0);
}

/// The table is the same for interpreters in processes of their own.
inline bool in_processes() { return std::getenv("SUBPY_CONFORMANCE_PROCESS") != nullptr; }

inline subpy::pool pool_with(std::string_view setup) {
  subpy::pool_options options;
  options.workers = 1;
  options.setup = setup;
  if (in_processes()) {
    options.isolation = subpy::isolation::process;
    options.interpreter.grace = std::chrono::seconds(5);
  }
  return subpy::pool::create(options);
}

/// The same kind, tag and content, floats bit for bit, which `==` does not say of NaN.
inline bool same(const subpy_value &one, const subpy_value &other) {
  if (one.kind == SUBPY_KIND_OBJECT)
    return subpy::value_view(one).as<subpy::object>().text() == std::string_view(other.u.as_str, other.len);
  if (one.kind != other.kind || ((one.flags ^ other.flags) & 0xFFU) != 0) return false;
  switch (one.kind) {
    case SUBPY_KIND_NONE:
      return true;
    case SUBPY_KIND_BOOL:
      return one.u.as_bool == other.u.as_bool;
    case SUBPY_KIND_INT:
      return one.u.as_int == other.u.as_int;
    case SUBPY_KIND_FLOAT:
      return std::memcmp(&one.u.as_float, &other.u.as_float, sizeof(double)) == 0;
    case SUBPY_KIND_BUFFER:
      return subpy::value_view(one) == subpy::value_view(other);
    default:
      break;
  }
  if (one.len != other.len) return false;
  for (std::size_t i = 0; i < one.len; i++) {
    if (one.kind == SUBPY_KIND_TUPLE || one.kind == SUBPY_KIND_LIST) {
      if (!same(one.u.as_items[i], other.u.as_items[i])) return false;
    } else if (one.kind == SUBPY_KIND_DICT) {
      if (!same(one.u.as_pairs[i].key, other.u.as_pairs[i].key)) return false;
      if (!same(one.u.as_pairs[i].value, other.u.as_pairs[i].value)) return false;
    } else {
      return std::memcmp(one.u.as_bytes, other.u.as_bytes, one.len) == 0;
    }
  }
  return true;
}

inline void define_host(const subpy::interpreter &interp) {
  interp.define("host:echo", [](subpy::value_view any) { return any; });
  interp.define("host:arguments", [](subpy::positional args, subpy::keywords kwargs) {
    return std::tuple(std::vector<subpy::value_view>(args.begin(), args.end()), kwargs);
  });
  interp.define("host:nothing", [] {});
  interp.define("host:fail", [](const std::string &type, const std::string &message) {
    throw subpy::python_exception(type, message);
  });
  interp.define("host:again", [](subpy::context call, std::string_view code) {
    return call.interpreter().eval<value>(code);
  });
}

inline subpy::interpreter prepared(std::string_view setup, subpy::interpreter_options options = {}, bool host = false) {
  if (in_processes()) {
    options.process = true;
    options.grace = std::chrono::seconds(5);
  }
  auto interp = subpy::interpreter::create(options);
  if (host) define_host(interp);
  interp.exec(setup);
  return interp;
}

/// What was printed, to the interpreter's output or the run's.
struct printed {
  std::string out;
  std::string err;

  subpy::output to() {
    return [this](subpy::stream from, std::string_view text) { (from == subpy::stream::err ? err : out).append(text); };
  }
};

/// How many characters of UTF-8.
inline std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (const char letter : text) count += (static_cast<unsigned char>(letter) & 0xC0U) != 0x80U ? 1U : 0U;
  return count;
}

/// Runs with a token that is fired when its time has come, unless the run has ended before.
template <class Run>
auto cancelled_after(std::chrono::milliseconds time, subpy::run_options &options, const Run &run) {
  const auto token = subpy::cancel::create();
  options.cancel = token;
  if (time.count() == 0) {
    token.fire();
    return run();
  }
  std::mutex lock;
  std::condition_variable changed;
  bool ended = false;
  std::thread canceller([&] {
    std::unique_lock<std::mutex> guard(lock);
    if (!changed.wait_for(guard, time, [&] { return ended; })) token.fire();
  });
  auto outcome = run();
  {
    const std::lock_guard<std::mutex> guard(lock);
    ended = true;
  }
  changed.notify_one();
  canceller.join();
  return outcome;
}

template <class T>
void expect_ok(const char *name, const subpy::result<T> &outcome) {
  if (outcome) return;
  std::fprintf(stderr, "%s: %s\n", name, outcome.error().what());
  std::exit(1);
}

inline void expect(const char *name, const subpy::result<value> &outcome, const value &expected) {
  expect_ok(name, outcome);
  if (same(outcome->view().raw(), expected.view().raw())) return;
  std::fprintf(stderr, "%s: another result\n", name);
  std::exit(1);
}

template <class T>
subpy::error failed(const char *name, const subpy::result<T> &outcome, const char *status) {
  if (!outcome) {
    CHECK_TEXT(subpy::status_name(outcome.error().code()), status);
    return outcome.error();
  }
  std::fprintf(stderr, "%s: it succeeded\n", name);
  std::exit(1);
}

/// Each list as the arguments of one call.
inline std::vector<subpy::unpacked<std::vector<value>>> unpacked_all(const std::vector<std::vector<value>> &lists) {
  std::vector<subpy::unpacked<std::vector<value>>> rows;
  for (const auto &list : lists) rows.push_back(subpy::unpack(list));
  return rows;
}
