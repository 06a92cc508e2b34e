def module(name):
    """The module that a host function goes into: it is made when there is none."""
    import sys
    from importlib import import_module
    from importlib.machinery import ModuleSpec
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name
        # None forbids the import. Anything else has come meanwhile.
        forbidden = sys.modules.get(name, name) is None
        if forbidden or missing is None or not f'{name}.'.startswith(f'{missing}.'):
            raise
    parent, _, child = name.rpartition('.')
    package = module(parent) if parent else None
    # A package, since modules of hosts may be in it.
    made = type(sys)(name)
    made.__spec__ = ModuleSpec(name, None, origin='host', is_package=True)
    made.__package__ = name
    made.__path__ = []
    # Another thread may have been faster.
    made = sys.modules.setdefault(name, made)
    if package is not None:
        setattr(package, child, made)
    return made
