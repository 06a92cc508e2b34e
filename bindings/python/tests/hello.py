import subpy

with subpy.create() as interp:
    interp.exec("""
        import collections

        def count(text, *, least=1):
            words = collections.Counter(text.split())
            return {word: n for word, n in words.items() if n >= least}
    """)
    print(interp.call("count", "to be or not to be", least=2))
    try:
        interp.call("count", 42)
    except subpy.ExecutionFailed as failed:
        print(failed.excinfo.errdisplay)

subpy.shutdown()
