// Built without exceptions and run-time type information: the same operations, with results.
#include "test.hpp"

#if SUBPY_CPP_EXCEPTIONS || defined(__cpp_rtti)
#error "this is to be compiled with -fno-exceptions -fno-rtti"
#endif

int main() {
  subpy::runtime_options options;
  options.no_site = true;
  CHECK(subpy::try_init(options).has_value());

  auto created = subpy::interpreter::try_create();
  CHECK(created.has_value());
  const subpy::interpreter interp = *std::move(created);
  CHECK(interp.try_exec("def f(*args, **kwargs): return [list(args), kwargs]").has_value());
  CHECK(*interp.try_call<double>("math:sqrt", 16.0) == 4.0);
  CHECK(interp.try_prepare_main(subpy::kw("x", 5)).has_value());
  CHECK(*interp.try_eval<int>("x") == 5);

  const auto reply = interp.try_call<subpy::value>("f", 1, "two", subpy::kw("three", std::vector<int>{3}));
  CHECK(reply.has_value());
  CHECK(*reply->try_get<int>(1, "three", 0) == 3);
  CHECK(*reply->try_get<std::string_view>(0, 1) == "two");
  CHECK_ERROR(reply->try_get<int>(0, 1), conversion, "value[0][1]: str does not convert to std::int32_t");

  CHECK_ERROR(interp.try_eval<std::vector<std::uint16_t>>("[1, 2, -3]"), conversion,
              "result[2]: int -3 does not fit std::uint16_t");
  const auto failed = interp.try_exec("1/0");
  CHECK(failed.error().code() == subpy::status::execution_failed);
  CHECK_TEXT(failed.error().excinfo()->formatted(), "ZeroDivisionError: division by zero");

  // a host function returns what is wrong
  CHECK(interp.try_define("host:half", [](int n) -> subpy::result<int> {
                if (n % 2 != 0) return subpy::python_exception("ValueError", "odd");
                return n / 2;
              }).has_value());
  CHECK(interp.try_exec("import host").has_value() && *interp.try_eval<int>("host.half(8)") == 4);
  CHECK_ERROR(interp.try_eval<int>("host.half(7)"), execution_failed, "ValueError: odd");
  CHECK_ERROR(interp.try_eval<int>("host.half('x')"), execution_failed,
              "TypeError: half() argument 1: str does not convert to std::int32_t");
  std::string printed;
  subpy::run_options limits;
  limits.timeout = std::chrono::milliseconds(30);
  limits.output = [&](subpy::stream, std::string_view text) { printed.append(text); };
  CHECK(interp.try_exec("print('x', flush=True)\nwhile True: pass", limits).error().code() == subpy::status::timeout);
  CHECK(printed == "x\n");
  const auto token = subpy::cancel::try_create();
  limits.cancel = *token;
  token->fire();
  CHECK(interp.try_exec("pass", limits).error().code() == subpy::status::interrupted);

  auto thread = interp.try_call_in_thread("f", 1);
  CHECK(thread.has_value() && thread->try_join<subpy::value>().has_value());
  CHECK(*interp.try_id() == 1 && !*interp.try_is_running() && *interp.try_whence() == "C-API");
  CHECK(subpy::interpreter::try_list_all()->size() == 2);
  CHECK(*subpy::interpreter::try_find(1) == interp && *subpy::interpreter::try_get_main() != interp);
  CHECK(!subpy::interpreter::try_get_current());

  const auto kept = interp.try_eval<subpy::object>("[1, 2]");
  CHECK(kept.has_value() && *kept->try_text() == "[1, 2]" && *kept->try_item<int>(1) == 2);
  CHECK(!kept->try_attr("nothing") && kept->try_call_method<void>("append", 3).has_value());
  auto items = *kept->try_iter<int>();
  CHECK(**items.try_next() == 1 && **items.try_next() == 2 && **items.try_next() == 3 && !*items.try_next());
  CHECK(*interp.try_call<int>("builtins:sum", subpy::buffer(std::vector<int>{4, 5})) == 9);
  CHECK(interp.try_eval<subpy::array<double>>("[1.5]")->size() == 1);
  const auto queue = subpy::queue::try_create(1);
  CHECK(queue.has_value() && queue->try_put(1).has_value() && *queue->try_size() == 1);
  subpy::wait_options at_once;
  at_once.timeout = std::chrono::milliseconds(0);
  CHECK(queue->try_put(2, at_once).error().code() == subpy::status::timeout && *queue->try_get<int>() == 1);
  CHECK(queue->try_close().has_value() && !*queue->items().try_next());
  subpy::pool_options workers;
  workers.workers = 1;
  auto pool = subpy::pool::try_create(workers);
  CHECK(pool.has_value());
  auto task = pool->try_submit<double>("math:sqrt", 4.0);
  CHECK(task.has_value() && task->try_wait().has_value() && *task->try_get() == 2.0);
  CHECK(pool->try_map<double>("math:sqrt", std::vector<double>{1, 4})->size() == 2);
  CHECK(pool->try_map<double>("math:sqrt", std::vector<double>{1, -4}).error().row() == 1U);
  CHECK(pool->try_stats()->done >= 5 && pool->try_close().has_value());
  CHECK(interp.try_memory().error().code() == subpy::status::wrong_state);
  CHECK(interp.try_lock_info().error().code() == subpy::status::wrong_state);

  CHECK(interp.try_close().has_value());
  CHECK(subpy::try_shutdown().has_value());
  return 0;
}
