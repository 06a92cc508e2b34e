# Runs in each interpreter of `subpy repl`. What is typed is run in its __main__, as python does it.

def begin():
    import __main__
    import codeop
    import linecache
    import sys
    import traceback
    import types

    compiled = codeop.CommandCompiler()
    count = 0

    def is_complete(source):
        try:
            return compiled(source, "<input>", "single") is not None
        except (OverflowError, SyntaxError, ValueError):
            return True

    def run(source):
        nonlocal count
        count += 1
        name = f"<input-{count}>"
        linecache.cache[name] = len(source), None, source.splitlines(True), name
        try:
            code = compiled(source, name, "single")
        except (OverflowError, SyntaxError, ValueError) as error:
            traceback.print_exception(error.with_traceback(None))
            return
        try:
            exec(code, vars(__main__))
        except Exception as error:
            traceback.print_exception(error.with_traceback(error.__traceback__.tb_next))

    module = types.ModuleType("_subpy_repl")
    module.is_complete, module.run = is_complete, run
    sys.modules[module.__name__] = module


begin()
del begin
