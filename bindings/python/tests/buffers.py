"""Memory that is shared: of this program in an interpreter, and of an interpreter in results."""

import array
import ctypes
import gc
import os
import threading

import subpy
from check import fails
from subpy import Results, _handles

MIB = 1 << 20

SETUP = """
import array, ctypes

def about(view):
    return type(view).__name__, view.format, view.itemsize, view.shape, view.strides, view.readonly, view.tolist()

def keep(view):
    global kept
    kept = view[1:]

def fill(view, value):
    for index in range(len(view)):
        view[index] = value
"""


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_free(data: bytearray) -> bool:
    """Whether nobody has a view of it: then it can be resized."""
    try:
        data.append(0)
    except BufferError:
        return False
    data.pop()
    return True


def arguments(interp: subpy.Interpreter) -> None:
    data = bytearray(4)
    interp.call("fill", memoryview(data), 7)
    assert data == b"\x07" * 4
    interp.exec("pass")  # what the call has let go of is given back by now
    assert is_free(data)

    assert interp.call("about", memoryview(b"abc")) == ("memoryview", "B", 1, (3,), (1,), True, [97, 98, 99])
    numbers = array.array("d", [0.5, 1.5])
    assert interp.call("about", memoryview(numbers)) == ("memoryview", "d", 8, (2,), (8,), False, [0.5, 1.5])
    table = memoryview(bytes(range(6))).cast("B", (2, 3))
    assert interp.call("about", table)[3:] == ((2, 3), (3, 1), True, [[0, 1, 2], [3, 4, 5]])
    every_other = memoryview(array.array("i", range(6)))[::2]
    assert interp.call("about", every_other)[3:] == ((3,), (8,), False, [0, 2, 4])
    backwards = memoryview(bytes(range(6)))[::-2]
    assert interp.call("about", backwards)[3:] == ((3,), (-2,), True, [5, 3, 1])
    assert interp.call("about", memoryview(b""))[3:] == ((0,), (1,), True, [])
    assert interp.call("about", memoryview(b"abc")[3:0:-1])[6] == [99, 98]
    # Letters that memoryview itself does not read.
    points = (ctypes.c_int32 * 2)(1, 2)
    interp.exec("def bytes_of(view): return view.format, view.nbytes, view.tobytes()")
    assert interp.call("bytes_of", memoryview(points)) == ("<i", 8, bytes(points))
    assert interp.call("bytes_of", memoryview(ctypes.c_double(1)))[1] == 8  # without dimensions: of one element

    # Wherever there are values.
    interp.exec("def nested(*args, key): return args[0]['x'][0].tobytes(), key.tobytes()")
    assert interp.call("nested", {"x": [memoryview(b"1")]}, key=memoryview(b"2")) == (b"1", b"2")
    function = interp.function("about")
    assert [row[6] for row in function.call_many([(memoryview(b"1"),), (memoryview(b"2"),)])] == [[49], [50]]
    assert interp.call_in_thread("about", memoryview(b"1")).join()[6] == [49]
    interp.prepare_main(prepared=memoryview(b"1"))
    assert interp.eval("prepared.tobytes()") == b"1"
    interp.define("host:memory", lambda: [memoryview(data)])
    assert interp.eval("__import__('host').memory()[0].tobytes()") == bytes(data)
    waiting = subpy.create_queue()
    waiting.put(memoryview(data))
    assert not is_free(data) and waiting.get() == data
    interp.exec("del prepared")


def released(interp: subpy.Interpreter) -> None:
    """The memory is there until the last view of it is gone, and not longer."""
    data = bytearray(b"abc")
    view = memoryview(data)
    interp.call("keep", view)
    view.release()
    assert not is_free(data) and interp.eval("bytes(kept)") == b"bc"
    interp.exec("del kept")
    assert is_free(data)
    fails(subpy.NotShareableError, lambda: interp.call("keep", view))

    with subpy.create() as other:
        other.exec(SETUP)
        other.call("keep", memoryview(data))
        assert not is_free(data)
    assert is_free(data)

    # Whatever becomes of the call.
    before = len(_handles.called)
    fails(subpy.ExecutionFailed, lambda: interp.call("nothing", memoryview(data)))
    fails(subpy.InterpreterNotFoundError, lambda: other.call("about", memoryview(data)))
    wrong = subpy.Tagged(subpy.Tag.SET, 5)
    status = fails(subpy.InterpreterError, lambda: interp.call("about", memoryview(data), wrong)).status
    assert status == subpy.Status.INVALID_ARGUMENT
    fails(subpy.NotShareableError, lambda: interp.call("about", memoryview(data), object()))
    interp.define("host:wrong", lambda: [memoryview(data), wrong])
    fails(subpy.ExecutionFailed, lambda: interp.exec("__import__('host').wrong()"))
    interp.exec("pass")
    gc.collect()
    assert is_free(data) and len(_handles.called) == before + 1, {**_handles.called}  # the function
    interp.exec("del __import__('host').wrong")


def lent(interp: subpy.Interpreter) -> None:
    data = bytearray(b"abc")
    interp.exec("def later(view):\n    global all\n    all = view\n    return view[0]")
    assert interp.call("later", subpy.Lent(data)) == 97
    assert fails(subpy.ExecutionFailed, lambda: interp.eval("all[0]")).excinfo.type.__name__ == "ValueError"
    assert is_free(data)
    status = fails(subpy.InterpreterError, lambda: interp.call("keep", subpy.Lent(data))).status
    assert status == subpy.Status.BUSY and interp.eval("bytes(kept)") == b"bc" and not is_free(data)
    interp.exec("del kept")
    assert is_free(data)
    fails(TypeError, lambda: subpy.Lent("text"))


def results(interp: subpy.Interpreter) -> None:
    shared = interp.with_options(results=Results.BUFFER)
    interp.exec("data = bytearray(10_000)")
    view = shared.eval("data")
    assert type(view) is memoryview and (view.format, view.shape, view.readonly) == ("B", (10_000,), False)
    interp.exec("data[5] = 1")
    view[6] = 2
    assert (view[5], interp.eval("data[6]")) == (1, 2)
    assert fails(subpy.ExecutionFailed, lambda: interp.exec("data.append(1)")).excinfo.type.__name__ == "BufferError"
    part = view[5:7]
    view.release()
    fails(subpy.ExecutionFailed, lambda: interp.exec("data.append(1)"))
    assert bytes(part) == b"\x01\x02"
    del part
    interp.exec("data.append(1)")

    constant = shared.eval("bytes(range(256)) * 100")
    assert constant.readonly and constant == bytes(range(256)) * 100
    one, (two, rest) = shared.eval("[array.array('i', range(3)), (memoryview(bytes(6)).cast('B', (2, 3)), 'x')]")
    assert (one.format, one.tolist(), two.shape, rest) == ("i", [0, 1, 2], (2, 3), "x")
    assert shared.eval("(ctypes.c_int32 * 2)(1, 2)").format == "<i"
    assert shared.eval("b''").nbytes == 0 and shared.eval("array.array('d')").tolist() == []
    assert shared.eval("[1, None]") == [1, None]

    # It goes back in, and to another interpreter, and stays when its own has ended.
    with subpy.create() as other:
        other.exec(SETUP)
        other.call("keep", memoryview(constant))
        assert other.eval("len(kept), kept[0]") == (25_599, 1)
        last = other.with_options(results=Results.BUFFER).eval("b'x' * 10_000")
    assert last == b"x" * 10_000

    rows = interp.with_options(results=Results.ARRAY)
    floats = rows.eval("[i / 4 for i in range(5)]")
    assert (floats.format, floats.tolist(), floats.readonly) == ("d", [0.0, 0.25, 0.5, 0.75, 1.0], True)
    both = rows.eval("{'ints': (1, -2), 'mixed': [1, 2.0], 'none': []}")
    assert both["ints"].tolist() == [1, -2] and both["mixed"] == [1, 2.0] and both["none"] == []
    many = interp.with_options(results=Results.ARRAY).function("builtins:list")
    assert [row.tolist() for row in many.call_many([((1.5,),), ([0, 1, 2],)])] == [[1.5], [0, 1, 2]]
    thing = interp.with_options(results=Results.OBJECT).eval("array.array('q', [3])")
    assert thing.with_options(results=Results.BUFFER).value().tolist() == [3]


def nothing_is_copied(interp: subpy.Interpreter) -> None:
    size = 256 * MIB
    data = bytearray(size)
    data[:] = b"\x01" * size
    before = resident()
    assert interp.call("builtins:len", memoryview(data)) == size
    interp.prepare_main(same=memoryview(data))
    back = interp.with_options(results=Results.BUFFER).eval("same")
    assert back.nbytes == size and back[-1] == 1
    assert resident() - before < 8 * MIB, resident() - before
    del back
    interp.exec("del same")


def leaks(interp: subpy.Interpreter) -> None:
    shared = interp.with_options(results=Results.BUFFER)
    interp.exec("def make(): return bytes(1 << 20)")

    def rounds(count: int) -> None:
        for _ in range(count):
            view = shared.call("make")
            interp.call("builtins:len", memoryview(bytearray(MIB)))
            interp.call("builtins:len", view[1:])
            view = [shared.eval("[make(), make()]")[1][1:]]
            view.append(view)  # a cycle

    rounds(10)
    gc.collect()
    before = resident()
    rounds(200)
    gc.collect()
    interp.exec("pass")
    grown = resident() - before
    assert grown < 50 * MIB, f"{grown / MIB:.0f} MiB"


def races() -> None:
    """Views go while the interpreter is used and closed."""
    for _ in range(20):
        interp = subpy.create(busy=subpy.Busy.WAIT)
        interp.exec(SETUP)
        shared, go = interp.with_options(results=Results.BUFFER), threading.Barrier(4)

        def work() -> None:
            data, view = bytearray(10_000), memoryview(b"x" * 5_000)
            go.wait()
            try:
                while True:
                    view = shared.eval("b'x' * 5_000")
                    shared.call("keep", memoryview(data))
                    assert view[-1] == 120
            except subpy.InterpreterError as error:
                assert error.status in (subpy.Status.NOT_FOUND, subpy.Status.BUSY), error
            assert view == b"x" * 5_000

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        go.wait()
        interp.close(timeout=30, drain=True)
        for thread in threads:
            thread.join()


def process() -> None:
    with subpy.create(flags=subpy.Flag.PROCESS) as interp:
        interp.exec(SETUP)
        memory = subpy.shared_memory(800_000)
        assert (memory.format, memory.nbytes, memory.readonly) == ("B", 800_000, False)
        assert memory[799_999] == 0
        floats = memory.cast("d")
        interp.call("fill", floats[10:20], 2.5)
        assert [*floats[9:11]] == [0, 2.5]
        interp.call("keep", floats)
        floats[5] = 7
        assert interp.eval("kept[4]") == 7
        back = interp.with_options(results=Results.BUFFER).eval("kept")
        floats[6] = 8
        assert back[5] == 8
        back[0] = 9
        assert floats[1] == 9
        assert interp.call("about", memoryview(b"ab"))[-1] == [97, 98]
        refused = fails(subpy.NotShareableError, lambda: interp.call("about", memoryview(bytearray(1))))
        assert "subpy_buffer_new()" in str(refused), refused
        fails(subpy.InterpreterError, lambda: subpy.shared_memory(1 << 60))
        fails(TypeError, lambda: subpy.shared_memory(1.5))  # type: ignore[arg-type]
        del back
        memory = floats = None
        assert interp.eval("kept[5]") == 8


def main() -> None:
    with subpy.create() as interp:
        interp.exec(SETUP)
        arguments(interp)
        released(interp)
        lent(interp)
        results(interp)
        nothing_is_copied(interp)
        leaks(interp)
    races()
    process()
    gc.collect()
    assert not _handles.called, {**_handles.called}
    subpy.shutdown()
    print("done")


if __name__ == "__main__":
    main()
