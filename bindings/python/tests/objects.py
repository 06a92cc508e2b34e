"""Objects that stay in their interpreter: what a host does with them, and what it may do wrong."""

import gc
import os
import signal
import threading

import subpy
from check import fails
from subpy import Results

SETUP = """
class Model:
    def __init__(self, factor):
        self.factor = factor
        self.parts = [1, object(), "x"]

    def predict(self, x, *, offset=0):
        return x * self.factor + offset

    def fail(self):
        raise ValueError("no")

    def __str__(self):
        return f"a model of {self.factor}"

    def __del__(self):
        global dropped
        dropped += 1

dropped = 0
model = Model(3)

def count(n):
    for i in range(n):
        yield i

def is_model(x):
    return x is model
"""


def use(interp: subpy.Interpreter) -> None:
    model = interp.eval_object("model")
    assert model.attr("factor") == 3 and str(model) == "a model of 3"
    assert model.call("predict", 2) == 6 and model.call("predict", 2, offset=1) == 7
    assert model.interpreter == interp
    assert interp.call("is_model", model) is True and interp.call("builtins:len", [model, {"k": model}]) == 2

    predict = model.with_options(results=Results.OBJECT).attr("predict")
    assert predict(5) == 15 and predict(5, offset=2) == 17
    assert predict.with_options(results=Results.OBJECT)(5).value() == 15

    # What has no value is an error, or an object.
    assert "parts" not in str(fails(subpy.NotShareableError, lambda: model.attr("parts")))
    one, thing, text = model.with_options(results=Results.OBJECTS).attr("parts")
    assert (one, text) == (1, "x") and str(thing).startswith("<object object at")
    parts = model.with_options(results=Results.OBJECT).attr("parts")
    assert parts[0] == 1 and parts[-1] == "x" and [*parts.with_options(results=Results.OBJECTS)][::2] == [1, "x"]
    fails(subpy.NotShareableError, thing.value)

    # Runs of every kind give them.
    stay = interp.with_options(results=Results.OBJECT)
    assert stay.call("Model", 7).attr("factor") == 7
    assert stay.function("Model")(8).attr("factor") == 8
    assert stay.call_in_thread("Model", 9).join().attr("factor") == 9
    stay.exec("y = 1")
    with interp.session():
        assert model.call("predict", 4) == 12

    # A prepared function is an object.
    with interp.function("count") as function:
        assert interp.call("builtins:callable", function) is True


def generators(interp: subpy.Interpreter) -> None:
    assert [*interp.eval_object("count(5)")] == [0, 1, 2, 3, 4]
    numbers = iter(interp.eval_object("count(10**12)"))
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]
    failed = fails(subpy.ExecutionFailed, lambda: [*interp.eval_object("(1 // n for n in (1, 0))")])
    assert failed.excinfo.type.__name__ == "ZeroDivisionError"
    fails(subpy.ExecutionFailed, lambda: iter(interp.eval_object("model")))


def misuse(interp: subpy.Interpreter, other: subpy.Interpreter) -> None:
    model = interp.eval_object("model")
    failed = fails(subpy.ExecutionFailed, lambda: model.call("fail"))
    assert (failed.excinfo.type.__name__, failed.excinfo.msg) == ("ValueError", "no")
    assert fails(subpy.ExecutionFailed, lambda: model.attr("nothing")).excinfo.type.__name__ == "AttributeError"
    assert fails(subpy.ExecutionFailed, lambda: interp.eval_object("{}")["k"]).excinfo.type.__name__ == "KeyError"
    fails(TypeError, lambda: model.attr(3))
    fails(subpy.NotShareableError, lambda: model.call("predict", {object()}))
    fails(ValueError, lambda: model.with_options(results=1))
    fails(subpy.NotShareableError, lambda: other.call("builtins:len", [model]))
    with model:
        pass
    model.close()
    for use in (model.value, model, lambda: model.attr("factor"), lambda: [*model], lambda: str(model)):
        fails(subpy.InterpreterNotFoundError, use)
    fails(subpy.InterpreterError, lambda: interp.call("is_model", model))
    late = other.eval_object("[1]")
    other.close()
    fails(subpy.InterpreterNotFoundError, late.value)


def let_go(interp: subpy.Interpreter) -> None:
    gc.collect()
    before = interp.eval("dropped")
    for _ in range(1000):
        made = interp.with_options(results=Results.OBJECTS).call("Model", 1)
    del made
    gc.collect()
    interp.exec("pass")  # what was let go goes when the interpreter is entered
    assert interp.eval("dropped") == before + 1000, interp.eval("dropped") - before


def from_hosts(interp: subpy.Interpreter) -> None:
    """A host function returns an object, which is the very object over there."""
    model = interp.eval_object("model")
    interp.define("host:model", lambda: model)
    assert interp.eval("__import__('host').model() is model") is True


def interrupted(interp: subpy.Interpreter) -> None:
    """Ctrl-C stops what an object does on the main thread."""
    interp.exec("""
        import threading
        begun = threading.Event()

        class Slow:
            def work(self):
                begun.set()
                while True:
                    pass
    """)
    slow = interp.eval_object("Slow()")

    def strike() -> None:
        interp.call("begun.wait")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=strike)
    thread.start()
    fails(KeyboardInterrupt, lambda: slow.call("work"))
    thread.join()


def races() -> None:
    """Threads use an object that another one closes, and whose interpreter another one closes."""
    for turn in range(20):
        interp = subpy.create(busy=subpy.Busy.WAIT)
        interp.exec(SETUP)
        model = interp.eval_object("model")
        used, go = [0] * 3, threading.Event()

        def work(index: int) -> None:
            try:
                while True:
                    assert model.call("predict", 2) == 6
                    used[index] += 1
                    if used[index] == 10:
                        go.set()
            except subpy.InterpreterNotFoundError:
                pass
            except subpy.InterpreterError as error:
                assert error.status == subpy.Status.BUSY, error  # it is being closed

        threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        go.wait()
        if turn % 2:
            model.close()
        else:
            interp.close(timeout=30, drain=True)
        for thread in threads:
            thread.join()
        if turn % 2:
            interp.close()


def main() -> None:
    with subpy.create() as interp, subpy.create() as other:
        interp.exec(SETUP)
        use(interp)
        generators(interp)
        misuse(interp, other)
        let_go(interp)
        from_hosts(interp)
    with subpy.create(busy=subpy.Busy.SHARE) as interp:
        interrupted(interp)
    races()
    subpy.shutdown()
    print("done")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without
    main()
