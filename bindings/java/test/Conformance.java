import io.github.subpy.Cancel;
import io.github.subpy.ExecutionFailedException;
import io.github.subpy.Function;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterPool;
import io.github.subpy.Keywords;
import io.github.subpy.Options;
import io.github.subpy.Outcome;
import io.github.subpy.Output;
import io.github.subpy.PoolOptions;
import io.github.subpy.ProcessOptions;
import io.github.subpy.PythonBuffer;
import io.github.subpy.PythonException;
import io.github.subpy.PythonObject;
import io.github.subpy.PythonQueue;
import io.github.subpy.PythonThread;
import io.github.subpy.ResultForm;
import io.github.subpy.RunOptions;
import io.github.subpy.Session;
import io.github.subpy.Source;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import io.github.subpy.Tag;
import io.github.subpy.Tagged;
import io.github.subpy.Tuple;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.stream.Stream;

/** The table of what every binding does (conformance/README.md), all of it. The argument is the path of cases.json. */
public class Conformance {
  /** Cases that Java cannot express, by their names, with the reason. */
  private static final Map<String, String> SKIPPED =
      Map.of("a row with an argument that is wrong", "every BigInteger is an int for Python");

  private static final List<String> MEMBERS =
      List.of("name", "setup", "do", "text", "args", "kwargs", "filename", "keep_indent", "result", "error");

  private static final List<String> MANY_MEMBERS = List.of("name", "setup", "text", "rows", "outcomes", "ends");

  private static final List<String> LIMITS_MEMBERS =
      Stream.concat(MEMBERS.stream(), Stream.of("interp_timeout_ms", "timeout_ms", "cancel_ms")).toList();

  private static final List<String> OUTPUT_MEMBERS =
      Stream.concat(MEMBERS.stream(), Stream.of("output", "stdout", "stderr", "stdout_length", "no_stdin")).toList();

  private static final List<String> DATA_MEMBERS =
      Stream.concat(
              MEMBERS.stream(),
              Stream.of(
                  "tagged_values", "memory_limit", "flags", "object", "object_in", "queue", "queue_after", "queue_closed",
                  "pool", "timeout_ms"))
          .toList();

  /** The ways to call something. */
  private enum Way {
    BY_NAME,
    PREPARED,
    THREAD,
    SESSION
  }

  /** The parts of the table whose cases are alike. */
  private enum Section {
    CASES(MEMBERS),
    HOST(MEMBERS),
    LIMITS(LIMITS_MEMBERS),
    OUTPUT(OUTPUT_MEMBERS),
    DATA(DATA_MEMBERS);

    private final List<String> members;

    Section(List<String> members) {
      this.members = members;
    }
  }

  /** The table is the same for interpreters in processes of their own. */
  private static final boolean IN_PROCESSES = System.getenv("SUBPY_CONFORMANCE_PROCESS") != null;

  private static Options where(Options options) {
    return IN_PROCESSES ? options.process(ProcessOptions.DEFAULT.grace(Duration.ofSeconds(5))) : options;
  }

  private static Interpreter create(Options options) {
    return Subpy.create(where(options));
  }

  private interface Action {
    Object run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    Map<?, ?> table = (Map<?, ?>) Json.parse(Files.readString(Path.of(args[0])));
    List<String> failures = new ArrayList<>();
    List<String> names = new ArrayList<>();
    int count = 0;
    for (Section section : Section.values()) {
      List<Map<?, ?>> cases = known(table.get(section.name().toLowerCase()), section.members, names);
      Check.that(!cases.isEmpty());
      for (Map<?, ?> one : cases) {
        for (Way way : ways(one)) {
          try {
            run(one, way, section);
          } catch (Throwable t) {
            failures.add(one.get("name") + ", " + way + ": " + t);
          }
        }
      }
      count += cases.size();
    }
    List<Map<?, ?>> many = known(table.get("many"), MANY_MEMBERS, names);
    for (Map<?, ?> one : many) {
      for (boolean outcomes : new boolean[] {false, true}) {
        try {
          runMany(one, outcomes);
        } catch (Throwable t) {
          failures.add(one.get("name") + ", outcomes " + outcomes + ": " + t);
        }
      }
    }
    Check.that(!many.isEmpty());
    Check.that(names.containsAll(SKIPPED.keySet()), SKIPPED.keySet());
    failures.forEach(System.out::println);
    Check.that(failures.isEmpty(), failures.size() + " failed");
    System.out.println("conformance: " + (count + many.size()) + " cases in Java" + (IN_PROCESSES ? ", in processes" : ""));
    theRunnerSeesDifferences();
    Subpy.shutdown();
    System.out.println("done");
  }

  private static List<Way> ways(Map<?, ?> one) {
    boolean several = one.get("do").equals("call") && !Boolean.TRUE.equals(one.get("pool"));
    return several ? List.of(Way.values()) : List.of(Way.BY_NAME);
  }

  /** The cases that Java runs. Names are added to those that were seen. */
  private static List<Map<?, ?>> known(Object cases, List<String> members, List<String> names) {
    List<Map<?, ?>> known = new ArrayList<>();
    for (Object each : (List<?>) cases) {
      Map<?, ?> one = (Map<?, ?>) each;
      String name = (String) one.get("name");
      Check.that(!names.contains(name), "there are two of " + name);
      names.add(name);
      if (SKIPPED.containsKey(name)) {
        System.out.println("skipped: conformance in Java: " + name + ": " + SKIPPED.get(name));
        continue;
      }
      // What this runner does not know it would not check.
      Check.that(members.containsAll(one.keySet()), name, one.keySet());
      known.add(one);
    }
    return known;
  }

  private static void run(Map<?, ?> one, Way way, Section section) throws Exception {
    Options interpOptions = Options.DEFAULT;
    if (one.get("interp_timeout_ms") instanceof BigDecimal timeout) {
      interpOptions = interpOptions.timeout(Duration.ofMillis(timeout.longValueExact()));
    }
    if (Boolean.TRUE.equals(one.get("no_stdin"))) {
      interpOptions = interpOptions.flag(Options.Flag.NO_STDIN);
    }
    if (Boolean.TRUE.equals(one.get("tagged_values"))) {
      interpOptions = interpOptions.flag(Options.Flag.TAGGED_VALUES);
    }
    if (one.get("memory_limit") instanceof BigDecimal bytes) {
      interpOptions = interpOptions.memoryLimit(bytes.longValueExact());
    }
    RunOptions options = null;
    if (one.get("timeout_ms") instanceof BigDecimal timeout) {
      options = RunOptions.DEFAULT.timeout(Duration.ofMillis(timeout.longValueExact()));
    }
    Map<Output.Stream, StringBuilder> printed =
        Map.of(Output.Stream.STDOUT, new StringBuilder(), Output.Stream.STDERR, new StringBuilder());
    Output output = (stream, text) -> printed.get(stream).append(text);
    if ("run".equals(one.get("output"))) {
      options = RunOptions.DEFAULT.output(output);
    }
    if (one.get("flags") instanceof List<?> flags) {
      options = results(options == null ? RunOptions.DEFAULT : options, flags);
    }
    if (Boolean.TRUE.equals(one.get("pool"))) {
      runInPool(one, interpOptions, options == null ? RunOptions.DEFAULT : options);
      return;
    }
    try (Interpreter interp = create(interpOptions);
        Cancel cancel = new Cancel()) {
      if (section == Section.HOST) {
        defineHost(interp);
      }
      if ("interpreter".equals(one.get("output"))) {
        interp.setOutput(output);
      }
      if (one.get("setup") instanceof String setup) {
        interp.exec(setup);
      }
      Thread firing = null;
      if (one.get("cancel_ms") instanceof BigDecimal after) {
        options = RunOptions.DEFAULT.cancel(cancel);
        if (after.signum() == 0) {
          cancel.fire();
        } else {
          firing = Thread.ofVirtual().start(() -> fireAfter(after.longValueExact(), cancel));
        }
      }
      try (Interpreter another = create(Options.DEFAULT)) {
        PythonQueue queue = PythonQueue.create();
        Object first = null;
        if (one.get("object") instanceof String expression) {
          first = ("another".equals(one.get("object_in")) ? another : interp).evalObject(expression);
        } else if (one.get("queue") instanceof List<?> items) {
          for (Object item : values(items)) {
            queue.put(item);
          }
          if (Boolean.TRUE.equals(one.get("queue_closed"))) {
            queue.close();
          }
          first = queue;
        }
        compareOutcome(one, action(one, interp, way, options, first));
        if (one.get("queue_after") instanceof List<?> items) {
          for (Object expected : values(items)) {
            Check.that(same(queue.get(Duration.ZERO), expected), expected);
          }
          Check.equal(queue.size(), 0L);
        }
      }
      if (firing != null) {
        firing.interrupt();
        firing.join();
      }
    }
    printed.forEach(
        (stream, text) -> {
          if (one.get(stream.name().toLowerCase()) instanceof String expected) {
            Check.equal(text.toString(), expected);
          }
        });
    if (one.get("stdout_length") instanceof BigDecimal length) {
      Check.equal(printed.get(Output.Stream.STDOUT).length(), length.intValueExact());
    }
  }

  /** The options with the forms that the flags of a case ask for. */
  private static RunOptions results(RunOptions options, List<?> flags) {
    if (flags.equals(List.of("async"))) {
      return options.async(true);
    }
    return options.result(
        flags.stream().map(flag -> ResultForm.valueOf(((String) flag).toUpperCase())).toArray(ResultForm[]::new));
  }

  private static void runInPool(Map<?, ?> one, Options interpreter, RunOptions options) throws Exception {
    String text = (String) one.get("text");
    PoolOptions poolOptions =
        PoolOptions.DEFAULT.workers(1).interpreter(where(interpreter)).setup((String) one.get("setup"));
    try (InterpreterPool pool = InterpreterPool.create(poolOptions)) {
      Future<Object> task =
          switch ((String) one.get("do")) {
            case "exec" -> pool.submitExec(options, Source.of(text));
            case "eval" -> pool.submitEval(options, Source.of(text));
            case "call" -> pool.submit(options, text, arguments(one, null));
            default -> throw new AssertionError(one.get("do"));
          };
      compareOutcome(
          one,
          () -> {
            try {
              return task.get();
            } catch (ExecutionException e) {
              throw (SubpyException) e.getCause();
            }
          });
    }
  }

  private static void fireAfter(long milliseconds, Cancel cancel) {
    try {
      Thread.sleep(milliseconds);
      cancel.fire();
    } catch (InterruptedException over) {
      // The run has ended before.
    }
  }

  private static void defineHost(Interpreter interp) {
    interp.define("host:echo", call -> call.arg(0));
    interp.define("host:arguments", call -> Tuple.of(call.args(), call.kwargs()));
    interp.define("host:nothing", call -> null);
    interp.define(
        "host:fail",
        call -> {
          throw new PythonException((String) call.arg(0), (String) call.arg(1));
        });
    interp.define("host:again", call -> interp.eval((String) call.arg(0)));
  }

  private static void compareOutcome(Map<?, ?> one, Action action) throws Exception {
    Object result = null;
    try {
      result = action.run();
    } catch (SubpyException e) {
      if (!(one.get("error") instanceof Map<?, ?> error)) {
        throw e;
      }
      compare(e, error);
      return;
    }
    Check.that(!one.containsKey("error"), "no error, but", result);
    if (one.containsKey("result")) {
      Check.that(same(result, value(one.get("result"))), "it is", result, "and not", one.get("result"));
    }
  }

  /** As many calls, by {@code callManyOutcomes} or by {@code callMany}. */
  private static void runMany(Map<?, ?> one, boolean outcomes) {
    List<List<Object>> rows = new ArrayList<>();
    ((List<?>) one.get("rows")).forEach(row -> rows.add(values(row)));
    List<Map<?, ?>> expected = new ArrayList<>();
    List<Map<?, ?>> errors = new ArrayList<>();
    if (one.get("ends") instanceof Map<?, ?> ends) {
      errors.add(ends);
    } else {
      for (Object each : (List<?>) one.get("outcomes")) {
        Map<?, ?> outcome = (Map<?, ?>) each;
        expected.add(outcome);
        if (outcome.get("error") instanceof Map<?, ?> error && !outcomes) {
          errors.add(ofRow(error, expected.size() - 1));
        }
      }
    }
    List<Outcome> actual;
    try (Interpreter interp = create(Options.DEFAULT)) {
      if (one.get("setup") instanceof String setup) {
        interp.exec(setup);
      }
      Function function = interp.function((String) one.get("text"));
      if (outcomes) {
        actual = function.callManyOutcomes(rows);
      } else {
        actual = new ArrayList<>();
        function.callMany(rows).forEach(value -> actual.add(new Outcome.Success(value)));
      }
    } catch (SubpyException e) {
      if (errors.isEmpty()) {
        throw e;
      }
      compare(e, errors.getFirst());
      Check.equal(e.row().isPresent(), errors.getFirst().containsKey("row"));
      return;
    }
    Check.that(errors.isEmpty(), "no error, but", actual);
    Check.equal(actual.size(), expected.size());
    for (int row = 0; row < actual.size(); row++) {
      switch (actual.get(row)) {
        case Outcome.Success(Object value) ->
            Check.that(
                expected.get(row).containsKey("result") && same(value, value(expected.get(row).get("result"))),
                "row", row, "is", value, "and not", expected.get(row));
        case Outcome.Failure(SubpyException error) -> {
          Check.that(expected.get(row).containsKey("error"), error);
          compare(error, ofRow((Map<?, ?>) expected.get(row).get("error"), row));
        }
      }
    }
  }

  /** An error of the table with the row that it is of. */
  private static Map<?, ?> ofRow(Map<?, ?> error, int row) {
    Map<Object, Object> copy = new LinkedHashMap<>(error);
    copy.put("row", BigDecimal.valueOf(row));
    return copy;
  }

  /** What a case does; without options by the methods that have none. */
  private static Action action(Map<?, ?> one, Interpreter interp, Way way, RunOptions options, Object first) {
    String text = (String) one.get("text");
    String filename = (String) one.get("filename");
    boolean keepIndent = Boolean.TRUE.equals(one.get("keep_indent"));
    boolean plain = filename == null && !keepIndent;
    Source source = new Source(text, filename, keepIndent);
    return switch ((String) one.get("do")) {
      case "exec" -> () -> {
        if (options != null) {
          interp.exec(options, source);
        } else if (plain) {
          interp.exec(text);
        } else {
          interp.exec(source);
        }
        return null;
      };
      case "eval" -> () -> {
        if (options != null) {
          return interp.eval(options, source);
        }
        return plain ? interp.eval(text) : interp.eval(source);
      };
      case "prepare_main" -> () -> {
        interp.prepareMain(pairs(one.get("kwargs")));
        return interp.eval(text);
      };
      case "call" -> () -> call(interp, text, arguments(one, first), way, options);
      default -> throw new AssertionError(one.get("do"));
    };
  }

  private static Object call(Interpreter interp, String callable, Object[] args, Way way, RunOptions options) {
    switch (way) {
      case BY_NAME:
        return options == null ? interp.call(callable, args) : interp.call(options, callable, args);
      case PREPARED:
        try (Function function = interp.function(callable)) {
          return options == null ? function.call(args) : function.call(options, args);
        }
      case THREAD:
        RunOptions some = options == null ? RunOptions.DEFAULT : options;
        try (PythonThread thread = interp.callInThread(some, callable, args)) {
          return thread.join();
        }
      default:
        try (Session _ = interp.enter()) {
          return options == null ? interp.call(callable, args) : interp.call(options, callable, args);
        }
    }
  }

  /** The arguments of a case, after what is made for it. */
  private static Object[] arguments(Map<?, ?> one, Object first) {
    List<Object> args = new ArrayList<>();
    if (first != null) {
      args.add(first);
    }
    if (one.containsKey("args")) {
      values(one.get("args")).forEach(arg -> args.add(arg instanceof Memory memory ? memory.buffer() : arg));
    }
    if (one.containsKey("kwargs")) {
      args.add(new Keywords(pairs(one.get("kwargs"))));
    }
    return args.toArray();
  }

  private static Map<String, Object> pairs(Object kwargs) {
    Map<String, Object> pairs = new LinkedHashMap<>();
    for (Object pair : (List<?>) kwargs) {
      String name = (String) ((List<?>) pair).get(0);
      Check.that(!pairs.containsKey(name), name, "is there twice");
      pairs.put(name, value(((List<?>) pair).get(1)));
    }
    return pairs;
  }

  private static List<Object> values(Object items) {
    List<Object> values = new ArrayList<>();
    ((List<?>) items).forEach(item -> values.add(value(item)));
    return values;
  }

  /** A buffer of the table. */
  private record Memory(String format, long[] shape, byte[] bytes) {
    static Memory of(Map<?, ?> json) {
      long[] shape = ((List<?>) json.get("shape")).stream().mapToLong(n -> ((BigDecimal) n).longValueExact()).toArray();
      return new Memory((String) json.get("format"), shape, HexFormat.of().parseHex((String) json.get("bytes")));
    }

    PythonBuffer buffer() {
      MemorySegment segment = Arena.ofAuto().allocate(bytes.length, 8);
      segment.copyFrom(MemorySegment.ofArray(bytes));
      return PythonBuffer.of(segment).format(format).shape(shape);
    }

    boolean same(PythonBuffer buffer) {
      return buffer.format().equals(format)
          && Arrays.equals(buffer.shape(), shape)
          && Arrays.equals(buffer.toByteArray(), bytes);
    }
  }

  /** The text of an object. */
  private record Kept(String text) {}

  /** What a tagged value is in Java. */
  private static Object tagged(Tag tag, Object value) {
    return switch (tag) {
      case SET -> new LinkedHashSet<>((List<?>) value);
      case DATE -> {
        try {
          yield LocalDate.parse((String) value);
        } catch (DateTimeParseException e) { // Python is to refuse it
          yield new Tagged(tag, value);
        }
      }
      case TIME -> LocalTime.parse((String) value);
      case DATETIME -> OffsetDateTime.parse((String) value);
      case TIMEDELTA -> {
        Tuple parts = (Tuple) value;
        yield Duration.ofDays((long) parts.get(0))
            .plusSeconds((long) parts.get(1))
            .plus((long) parts.get(2), ChronoUnit.MICROS);
      }
      case DECIMAL -> new BigDecimal((String) value);
      case UUID -> UUID.fromString((String) value);
      default -> new Tagged(tag, value);
    };
  }

  /** The object that a value of the table stands for. */
  private static Object value(Object json) {
    if (!(json instanceof Map<?, ?> tagged)) {
      Check.that(json == null || json instanceof Boolean || json instanceof String, json);
      return json;
    }
    if (tagged.get("tag") instanceof String tag) {
      Check.equal(tagged.size(), 2);
      return tagged(Tag.valueOf(tag.toUpperCase()), value(tagged.get("value")));
    }
    Check.equal(tagged.size(), 1);
    Object payload = tagged.values().iterator().next();
    return switch ((String) tagged.keySet().iterator().next()) {
      case "int" -> Long.valueOf((String) payload);
      case "bigint" -> {
        String text = ((String) payload).replaceFirst("0x", "");
        yield new BigInteger(text, 16);
      }
      case "float" -> Double.longBitsToDouble(Long.parseUnsignedLong((String) payload, 16));
      case "bytes" -> HexFormat.of().parseHex((String) payload);
      case "buffer" -> Memory.of((Map<?, ?>) payload);
      case "object" -> new Kept((String) payload);
      case "tuple" -> new Tuple(values(payload));
      case "list" -> values(payload);
      case "dict" -> {
        Map<Object, Object> map = new LinkedHashMap<>();
        for (Object pair : (List<?>) payload) {
          map.put(value(((List<?>) pair).get(0)), value(((List<?>) pair).get(1)));
        }
        Check.equal(map.size(), ((List<?>) payload).size());
        yield map;
      }
      default -> throw new AssertionError(json);
    };
  }

  /** Whether they are of one class and the same: equals() knows neither the order of a map nor the bits of a NaN. */
  private static boolean same(Object a, Object b) {
    if (a == null || b == null) {
      return a == b;
    }
    if (a instanceof List<?> as && b instanceof List<?> bs) {
      return sameItems(as, bs);
    }
    if (a instanceof Tuple as && b instanceof Tuple bs) {
      return sameItems(as.items(), bs.items());
    }
    if (a instanceof PythonBuffer buffer && b instanceof Memory memory) {
      return memory.same(buffer);
    }
    if (a instanceof PythonObject object && b instanceof Kept kept) {
      return object.text().equals(kept.text());
    }
    if (a instanceof Set<?> as && b instanceof Set<?> bs) {
      return sameItems(as, bs);
    }
    if (a instanceof Tagged as && b instanceof Tagged bs) {
      return as.tag() == bs.tag() && same(as.value(), bs.value());
    }
    if (a instanceof Map<?, ?> as && b instanceof Map<?, ?> bs) {
      return sameItems(as.keySet(), bs.keySet()) && sameItems(as.values(), bs.values());
    }
    if (a instanceof Double as && b instanceof Double bs) {
      return Double.doubleToRawLongBits(as) == Double.doubleToRawLongBits(bs);
    }
    return a instanceof byte[] as && b instanceof byte[] bs ? Arrays.equals(as, bs) : a.equals(b);
  }

  private static boolean sameItems(Iterable<?> as, Iterable<?> bs) {
    List<Object> left = new ArrayList<>();
    List<Object> right = new ArrayList<>();
    as.forEach(left::add);
    bs.forEach(right::add);
    boolean same = left.size() == right.size();
    for (int index = 0; same && index < left.size(); index++) {
      same = same(left.get(index), right.get(index));
    }
    return same;
  }

  private static void compare(SubpyException e, Map<?, ?> error) {
    Check.that(error.containsKey("status"), error);
    error.forEach(
        (member, expected) -> {
          Object actual = field(e, (String) member);
          Check.that(matches(actual, expected), member, "is", actual, "and not", expected);
        });
  }

  private static Object field(SubpyException e, String member) {
    if (member.equals("status")) {
      return Subpy.statusName(e.code());
    }
    if (member.equals("message")) {
      return e.getMessage();
    }
    if (member.equals("row")) {
      return e.row().isPresent() ? (Object) e.row().getAsInt() : null;
    }
    if (!(e instanceof ExecutionFailedException failed)) {
      throw new AssertionError("it has no " + member, e);
    }
    return switch (member) {
      case "type_name" -> failed.type().name();
      case "type_qualname" -> failed.type().qualifiedName();
      case "type_module" -> failed.type().module();
      case "exception_message" -> failed.exceptionMessage();
      case "formatted" -> failed.formatted();
      case "display" -> failed.traceback();
      case "frames" -> failed.frames().stream().map(Conformance::fields).toList();
      case "syntax" -> failed.location() == null ? null : fields(failed.location());
      case "exit_status" -> failed.exitStatus().isPresent() ? (Object) failed.exitStatus().getAsInt() : null;
      default -> throw new AssertionError("an unknown member: " + member);
    };
  }

  private static Map<String, Object> fields(ExecutionFailedException.Frame frame) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("file", frame.file());
    fields.put("line", frame.line());
    fields.put("function", frame.function());
    fields.put("source", frame.source());
    fields.put("end_line", frame.endLine());
    fields.put("column", frame.column());
    fields.put("end_column", frame.endColumn());
    return fields;
  }

  private static Map<String, Object> fields(ExecutionFailedException.Location location) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("line", location.line());
    fields.put("column", location.column());
    fields.put("text", location.text());
    return fields;
  }

  /** Whether a field is what the table says, each member of an object that is there. */
  private static boolean matches(Object actual, Object expected) {
    return switch (expected) {
      case null -> actual == null;
      case String text -> text.replace("{python}", String.valueOf(Subpy.pythonVersion())).equals(actual);
      case BigDecimal number -> actual instanceof Integer whole && number.compareTo(BigDecimal.valueOf(whole)) == 0;
      case List<?> items -> {
        List<?> actuals = actual instanceof List<?> list ? list : List.of();
        boolean match = actual != null && actuals.size() == items.size();
        for (int index = 0; match && index < items.size(); index++) {
          match = matches(actuals.get(index), items.get(index));
        }
        yield match;
      }
      case Map<?, ?> members -> {
        Map<?, ?> fields = actual instanceof Map<?, ?> map ? map : Map.of();
        boolean match = true;
        for (Object key : members.keySet()) {
          match &= fields.containsKey(key) && matches(fields.get(key), members.get(key));
        }
        yield match;
      }
      default -> expected.equals(actual);
    };
  }

  /** A runner that finds everything right would not be noticed. */
  private static void theRunnerSeesDifferences() throws Exception {
    String[] wrong = {
      "{'do': 'eval', 'text': '1', 'result': {'int': '2'}}",
      "{'do': 'eval', 'text': '1', 'result': {'float': '3ff0000000000000'}}",
      "{'do': 'eval', 'text': '-0.0', 'result': {'float': '0000000000000000'}}",
      "{'do': 'eval', 'text': '(1,)', 'result': {'list': [{'int': '1'}]}}",
      "{'do': 'eval', 'text': '{0: 0, 1: 0}', 'result': {'dict': [[{'int': '1'}, {'int': '0'}], [{'int': '0'}, "
          + "{'int': '0'}]]}}",
      "{'do': 'exec', 'text': 'print()', 'output': 'run', 'stdout': ''}",
      "{'do': 'eval', 'text': '{1}', 'tagged_values': true, 'result': {'list': [{'int': '1'}]}}",
      "{'do': 'eval', 'text': '1j', 'tagged_values': true, 'result': {'tag': 'complex', 'value': {'tuple': "
          + "[{'float': '0000000000000000'}, {'float': '0000000000000000'}]}}}",
      "{'do': 'eval', 'text': 'range(3)', 'flags': ['object'], 'result': {'object': 'range(3)'}}",
      "{'do': 'eval', 'text': 'None', 'flags': ['object'], 'result': null}",
      "{'do': 'eval', 'text': 'bytes(1)', 'flags': ['buffer'], 'result': {'buffer': {'format': 'B', 'shape': [1], "
          + "'bytes': '01'}}}",
      "{'do': 'eval', 'text': '[1]', 'flags': ['array'], 'result': {'list': [{'int': '1'}]}}",
      "{'do': 'exec', 'text': '', 'queue': [null], 'queue_after': []}",
      "{'do': 'exec', 'text': '', 'queue': [null], 'queue_after': [true]}",
      "{'do': 'eval', 'text': '1', 'pool': true, 'result': {'int': '2'}}",
      "{'do': 'exec', 'text': 'print()', 'output': 'interpreter', 'stdout_length': 0}",
      "{'do': 'eval', 'text': '1', 'error': {'status': 'SUBPY_ERROR_SYNTAX'}}",
      "{'do': 'exec', 'text': '1/0'}",
      "{'do': 'exec', 'text': '1/0', 'error': {'status': 'SUBPY_ERROR_SYNTAX'}}",
      "{'do': 'exec', 'text': '1/0', 'error': {'status': 'SUBPY_ERROR_EXECUTION_FAILED', 'frames': []}}",
      "{'do': 'exec', 'text': '1/0', 'error': {'status': 'SUBPY_ERROR_EXECUTION_FAILED', 'frames': [{'line': 2}]}}",
      "{'do': 'exec', 'text': '1/0', 'error': {'status': 'SUBPY_ERROR_EXECUTION_FAILED', 'exit_status': 1}}",
      "{'do': 'exec', 'text': '1/0', 'error': {'status': 'SUBPY_ERROR_EXECUTION_FAILED', 'misspelt': 1}}",
    };
    for (String each : wrong) {
      boolean seen = false;
      try {
        run((Map<?, ?>) Json.parse(each.replace('\'', '"')), Way.BY_NAME, Section.CASES);
      } catch (AssertionError | SubpyException e) {
        seen = true;
      }
      Check.that(seen, "not seen: " + each);
    }
  }
}
