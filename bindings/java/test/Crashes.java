import io.github.subpy.ExecutionFailedException;
import io.github.subpy.ExecutionTimeoutException;
import io.github.subpy.Interpreter;
import io.github.subpy.InterpreterCrashedException;
import io.github.subpy.LockInfo;
import io.github.subpy.Options;
import io.github.subpy.ProcessOptions;
import io.github.subpy.RunOptions;
import io.github.subpy.Source;
import io.github.subpy.Status;
import io.github.subpy.Subpy;
import io.github.subpy.SubpyException;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;

/** What ends or blocks the process of an interpreter is an exception of the run; and what holds one that is locked. */
public class Crashes {
  private static final Options IN_PROCESS =
      Options.DEFAULT.process(ProcessOptions.DEFAULT.grace(Duration.ofMillis(50)));

  public static void main(String[] args) throws Exception {
    InterpreterCrashedException aborted =
        endedBy(InterpreterCrashedException.class, "import os\ndef fail():\n    os.abort()\nfail()");
    Check.equal(aborted.status(), Status.CRASHED);
    Check.equal(aborted.getMessage(), "the interpreter's process was killed by signal 6 (SIGABRT)");
    Check.equal(aborted.signal(), OptionalInt.of(6));
    Check.equal(aborted.exitCode(), OptionalInt.empty());
    Check.that(aborted.traceback().startsWith("Fatal Python error: Aborted\n"), aborted.traceback());
    Check.that(aborted.traceback().contains("\n  File \"<script>\", line 3 in fail\n"), aborted.traceback());

    InterpreterCrashedException left = endedBy(InterpreterCrashedException.class, "import os; os._exit(3)");
    Check.equal(left.signal(), OptionalInt.empty());
    Check.equal(left.exitCode(), OptionalInt.of(3));
    Check.equal(left.getMessage(), "the interpreter's process has ended with exit code 3");
    Check.equal(left.traceback(), left.getMessage());

    ExecutionTimeoutException late =
        endedBy(ExecutionTimeoutException.class, "import ctypes\nctypes.CDLL(None).sleep(1000)");
    Check.equal(
        late.getMessage(), "timed out after 50 ms, and the code did not end within 50 ms more: its process was killed");

    locks();

    // Children of the host's own are left alone.
    Check.equal(new ProcessBuilder("sh", "-c", "exit 7").start().waitFor(), 7);
    Check.equal(ProcessHandle.current().children().count(), 0L);
    Subpy.shutdown();
    System.out.println("done");
  }

  @SuppressWarnings("try") // what is closed twice, on purpose
  private static void locks() {
    ProcessOptions locked = ProcessOptions.DEFAULT.locked(true);
    for (ProcessOptions options : List.of(locked, locked.lockBestEffort(true))) {
      try (Interpreter interp = Subpy.create(Options.DEFAULT.process(options))) {
        LockInfo info = interp.lockInfo();
        Check.that(info.landlock() >= 6 && info.seccomp(), info);
        try {
          interp.exec("open('/etc/passwd')");
          throw new AssertionError("it is open");
        } catch (ExecutionFailedException e) {
          Check.equal(e.type().name(), "PermissionError");
        }
        interp.close();
        Check.refusedLike(Status.NOT_FOUND, interp::lockInfo);
      }
    }
    try (Interpreter interp = Subpy.create(IN_PROCESS)) {
      Check.refusedLike(Status.WRONG_STATE, interp::lockInfo);
    }
  }

  private static <E extends SubpyException> E endedBy(Class<E> type, String code) {
    try (Interpreter interp = Subpy.create(IN_PROCESS)) {
      SubpyException ended = null;
      try {
        interp.exec(RunOptions.DEFAULT.timeout(Duration.ofMillis(50)), Source.of(code));
      } catch (SubpyException e) {
        ended = e;
      }
      Check.refusedLike(Status.NOT_FOUND, () -> interp.exec("1"));
      return type.cast(ended);
    }
  }
}
