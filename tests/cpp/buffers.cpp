// Memory that is shared, both ways.
#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

#include "test.hpp"

static_assert(std::is_nothrow_move_constructible_v<subpy::array<double>> &&
              !std::is_copy_constructible_v<subpy::array<double>>);

namespace buffers_test {

using subpy::buffer;
using subpy::kw;

const char *const views =
    "import array, gc\n"
    "kept = []\n"
    "def show(b): return f'{type(b).__name__} {b.format} {b.itemsize} {b.shape} {b.readonly} {b.tolist()}'\n"
    "def keep(b): kept.append(b)\n"
    "def keep_slice(b): kept.append(b[1:])\n"
    "def write(b):\n"
    "  for i in range(len(b)): b[i] = i\n"
    "def drop(): kept.clear(); gc.collect()\n";

/// Memory of this program, and how many times it has been released.
template <class T>
struct watched {
  std::vector<T> items;
  std::atomic<int> released{0};

  buffer lend() {
    return buffer(items.data(), items.size(), std::shared_ptr<void>(items.data(), [this](void *) { released++; }));
  }
};

void in(const subpy::interpreter &interp) {
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<std::uint8_t>{1, 2})),
             "memoryview B 1 (2,) True [1, 2]");
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<double>{1.5, -2})),
             "memoryview d 8 (2,) True [1.5, -2.0]");
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<std::int16_t>{-3, 4})),
             "memoryview h 2 (2,) True [-3, 4]");
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::string("ab"))), "memoryview B 1 (2,) True [97, 98]");
  CHECK_TEXT(interp.call<std::string>("show", buffer()), "memoryview B 1 (0,) True []");
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<int>{1, 2, 3, 4, 5, 6}).shaped({2, 3})),
             "memoryview i 4 (2, 3) True [[1, 2, 3], [4, 5, 6]]");
  CHECK_TEXT(interp.call<std::string>("show", buffer(std::vector<int>{1, 2, 3, 4, 5, 6}).shaped({3, 2}, {4, 12})),
             "memoryview i 4 (3, 2) True [[1, 4], [2, 5], [3, 6]]");
  CHECK(interp.try_call("show", buffer(std::vector<int>{1, 2}).shaped({3})).error().code() ==
        subpy::status::invalid_argument);
  CHECK(interp.try_call("show", buffer(std::vector<int>{1, 2}).shaped({2}, {4, 4})).error().code() ==
        subpy::status::invalid_argument);
}

void released(const subpy::interpreter &interp) {
  watched<int> memory{{1, 2, 3}, {}};
  // at once
  CHECK_TEXT(interp.call<std::string>("show", memory.lend()), "memoryview i 4 (3,) True [1, 2, 3]");
  interp.call("drop");
  CHECK(memory.released == 1);
  // when the last of three owners lets go: this copy, and two views in Python
  {
    const buffer mine = memory.lend();
    interp.call("keep", mine);
    interp.call("keep", mine);
    memory.items[0] = 7;
    CHECK(interp.eval<bool>("kept[0][0] == kept[1][0] == 7"));
  }
  CHECK(memory.released == 1);
  interp.exec("kept.pop(); gc.collect()");
  CHECK(memory.released == 1);
  interp.call("drop");
  CHECK(memory.released == 2);
  // whatever becomes of the call
  CHECK(interp.try_call("nothing_like_it", memory.lend()).error().code() == subpy::status::execution_failed);
  CHECK(memory.released == 3);
  CHECK(interp.try_call("show", memory.lend(), static_cast<const char *>(nullptr)).error().code() ==
        subpy::status::invalid_argument);
  CHECK(memory.released == 4);
  CHECK(subpy::interpreter_ref().try_call("show", memory.lend()).error().code() == subpy::status::not_found);
  CHECK(memory.released == 5);
  interp.call_in_thread("keep", memory.lend()).join();
  interp.call("drop");
  CHECK(memory.released == 6);
  interp.prepare_main(kw("bound", memory.lend()));
  interp.exec("del bound; gc.collect()");
  CHECK(memory.released == 7);
  const auto f = interp.function("show");
  CHECK(f.call_many<std::string>(std::vector<buffer>{memory.lend(), memory.lend()}).size() == 2);
  interp.call("drop");
  CHECK(memory.released == 9);
  {
    const auto other = subpy::interpreter::create();
    other.prepare_main(kw("bound", memory.lend()));
    CHECK(memory.released == 9);
  }
  CHECK(memory.released == 10);
  interp.define("host:memory", [&] { return memory.lend(); });
  interp.exec("import host; assert host.memory().tolist() == [7, 2, 3]; gc.collect()");
  CHECK(memory.released == 11);
  { const subpy::value copy = memory.lend(); }
  CHECK(memory.released == 12);
}

void written(const subpy::interpreter &interp) {
  watched<int> memory{{9, 9, 9}, {}};
  CHECK(interp.try_call("write", memory.lend()).error().excinfo()->type_name() == "TypeError");
  interp.call("write", memory.lend().writable());
  CHECK((memory.items == std::vector<int>{0, 1, 2}));
  const buffer shared = buffer(std::vector<int>{5, 5}).writable();
  interp.call("write", shared);
  CHECK(shared.view().items<int>()[1] == 1);
}

void lent(const subpy::interpreter &interp) {
  watched<int> memory{{1, 2, 3}, {}};
  CHECK_TEXT(interp.call<std::string>("show", memory.lend().lent()), "memoryview i 4 (3,) True [1, 2, 3]");
  CHECK(memory.released == 1);
  interp.call("keep", memory.lend().lent());
  CHECK(memory.released == 2);
  CHECK(interp.try_eval<int>("kept[0][0]").error().excinfo()->type_name() == "ValueError");
  // a slice lives on
  const auto held = interp.try_call("keep_slice", memory.lend().lent());
  CHECK(held.error().code() == subpy::status::busy && memory.released == 2);
  CHECK(interp.eval<int>("kept[1][0]") == 2);
  interp.call("drop");
  CHECK(memory.released == 3);
}

template <class Numbers>
double sum(const Numbers &numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}

void out(const subpy::interpreter &interp) {
  const auto floats = interp.eval<subpy::array<double>>("[1.0, 2.5]");
  CHECK(floats.size() == 2 && floats[1] == 2.5 && sum(floats) == 3.5 && !floats.copied());
  const auto ints = interp.eval<subpy::array<std::int64_t>>("tuple(range(1000))");
  CHECK(ints.size() == 1000 && sum(ints) == 499500 && !ints.copied());
  const auto small = interp.eval<subpy::array<std::int32_t>>("array.array('i', [1, -2])");
  CHECK(small.size() == 2 && small[1] == -2 && !small.copied());
  const auto bytes = interp.eval<subpy::array<std::uint8_t>>("b'abc'");
  CHECK(bytes.size() == 3 && bytes[2] == 'c' && !bytes.copied());
  CHECK(interp.eval<subpy::array<std::byte>>("bytearray(5)").size() == 5);
  // what does not fit is converted, or refused
  const auto converted = interp.eval<subpy::array<double>>("[1, 2]");
  CHECK(converted.size() == 2 && converted[1] == 2.0 && converted.copied());
  CHECK(interp.eval<subpy::array<double>>("[1, 2.5]")[1] == 2.5);
  CHECK(interp.eval<subpy::array<double>>("[]").empty());
  CHECK_THROWS(subpy::conversion_error, "result[1]: float does not convert to std::int64_t",
               interp.eval<subpy::array<std::int64_t>>("[1, 2.5]"));
  CHECK_THROWS(subpy::conversion_error, "result[1]: int 300 does not fit std::int8_t",
               interp.eval<subpy::array<std::int8_t>>("[1, 300]"));
  CHECK_THROWS(subpy::conversion_error, "result: str does not convert to std::vector<double>",
               interp.eval<subpy::array<double>>("'text'"));
  CHECK(interp.try_eval<subpy::array<int>>("memoryview(bytes(8)).cast('B', (2, 4))").error().code() ==
        subpy::status::conversion);

  // Python's own memory is seen, and kept; only what is small is copied
  interp.exec("shared = array.array('d', [1, 2] * 1000)");
  const auto seen = interp.eval<subpy::array<double>>("shared");
  interp.exec("shared[0] = 9");
  CHECK(seen[0] == 9);
  CHECK(interp.try_exec("shared.append(1)").error().excinfo()->type_name() == "BufferError");
  const auto moved = [&] {
    auto inner = interp.eval<subpy::array<double>>("array.array('d', [4])");
    return subpy::array<double>(std::move(inner));
  }();
  CHECK(moved.size() == 1 && moved[0] == 4);

  // inside of a value
  subpy::run_options options;
  options.buffers = true;
  subpy::value copy;
  {
    const auto value = interp.eval<subpy::value>(
        "['x', memoryview(b'abcd').cast('B', (2, 2)), array.array('H', [1, 2]), bytearray(b'12'), bytearray(10000)]", options);
    const auto square = value[1].as<subpy::buffer_view>();
    CHECK(square.size() == 4 && square.count() == 4 && square.item_size() == 1 && square.format() == "B");
    CHECK((square.shape() == std::vector<std::size_t>{2, 2}) && !square.writable());
    CHECK(square.items<const std::uint8_t>()[3] == 'd' && square.items<const char>()[0] == 'a');
    CHECK(square.try_items<std::uint8_t>().error().code() == subpy::status::conversion);
    CHECK(square.try_items<const double>().error().code() == subpy::status::conversion);
    CHECK((value.get<std::vector<int>>(2) == std::vector<int>{1, 2}));
    CHECK((value.get<std::vector<double>>(2) == std::vector<double>{1, 2}));
    CHECK_TEXT(value[2].type_name(), "memoryview");
    CHECK(value[3].as<subpy::buffer_view>().writable());
    value[3].as<subpy::buffer_view>().items<std::uint8_t>()[0] = 'z';
    CHECK((value.get<std::vector<std::uint8_t>>(3) == std::vector<std::uint8_t>{'z', '2'}));
    // a result is passed on without a copy, and stays as long as Python has it
    interp.call("keep", value[4]);
    copy = value;
    CHECK(copy == value);
  }
  interp.exec("kept.pop()[9999] = 5");
  // A copy has the bytes, and says so when it is passed on.
  CHECK(copy[2].as<subpy::buffer_view>().items<const std::uint16_t>()[1] == 2);
  CHECK((copy[1].as<subpy::buffer_view>().shape() == std::vector<std::size_t>{2, 2}));
  CHECK(subpy::value(copy) == copy);
  CHECK(interp.try_call("show", copy[2]).error().code() == subpy::status::invalid_argument);

  options = {};
  options.arrays = true;
  const auto nested = interp.eval<subpy::value>("{'a': [1.0, 2.0], 'b': [1, 'x'], 'c': []}", options);
  CHECK(nested["a"].kind() == subpy::kind::buffer && nested["b"].kind() == subpy::kind::list);
  CHECK((nested.get<std::vector<double>>("a") == std::vector<double>{1, 2}) && nested["c"].kind() == subpy::kind::list);
  CHECK(interp.call<subpy::array<double>>(options, "builtins:list", std::vector<double>{1.5})[0] == 1.5);

#if defined(__cpp_lib_span)
  const std::span<const double> span = floats;
  CHECK(span.size() == 2 && span[0] == 1.0);
#endif
}

/// The owner of an array may be gone, and so may its interpreter.
void outlive() {
  subpy::array<double> floats;
  subpy::value value;
  watched<int> memory{{1, 2, 3}, {}};
  {
    const auto interp = subpy::interpreter::create();
    interp.exec(views);
    floats = interp.eval<subpy::array<double>>("array.array('d', [1, 2])");
    subpy::run_options options;
    options.buffers = true;
    value = interp.eval<subpy::value>("bytearray(b'abc')", options);
    interp.call("keep", memory.lend());
  }
  CHECK(memory.released == 1);
  CHECK(sum(floats) == 3 && value.as<std::vector<std::uint8_t>>()[2] == 'c');
}

void many(const subpy::interpreter &interp) {
  watched<std::uint8_t> memory{std::vector<std::uint8_t>(100000), {}};
  for (int n = 0; n < 300; n++) {
    interp.call("keep", memory.lend());
    const auto bytes = interp.eval<subpy::array<std::uint8_t>>("bytes(100000)");
    CHECK(bytes.size() == 100000);
  }
  interp.call("drop");
  CHECK(memory.released == 300);
}

}  // namespace buffers_test

int main() {
  {
    const auto interp = subpy::interpreter::create();
    interp.exec(buffers_test::views);
    buffers_test::in(interp);
    buffers_test::released(interp);
    buffers_test::written(interp);
    buffers_test::lent(interp);
    buffers_test::out(interp);
    buffers_test::many(interp);
  }
  buffers_test::outlive();
  subpy::shutdown();
  return 0;
}
