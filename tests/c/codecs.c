/* New interpreters do not read the codecs' modules from files; nobody notices it by the modules. */
#include "test.h"

static const char *const LOOK =
    "import codecs, encodings, encodings.aliases, encodings.utf_8, importlib, importlib.resources, importlib.util\n"
    "import inspect, os, pickle, pkgutil, subprocess, sys\n"
    "folder = os.path.join(os.path.dirname(os.__file__), 'encodings')\n"
    "for module, name in (encodings, '__init__'), (encodings.aliases, 'aliases'), (encodings.utf_8, 'utf_8'):\n"
    "  file, spec = os.path.join(folder, name + '.py'), module.__spec__\n"
    "  assert module.__file__ == spec.origin == file, (module.__file__, spec)\n"
    "  assert module.__loader__ is spec.loader and type(spec.loader).__name__ == 'SourceFileLoader', spec\n"
    "  assert spec.loader.get_filename() == file and spec.loader_state is None and spec.has_location\n"
    "  assert spec.cached == importlib.util.cache_from_source(file)\n"
    "  assert sys.version_info >= (3, 15) or module.__cached__ == spec.cached\n"
    "  source = open(file, encoding='utf-8').read()\n"
    "  assert inspect.getsource(module) == spec.loader.get_source(spec.name) == source\n"
    "  assert pkgutil.get_data('encodings', name + '.py').decode() == source\n"
    "  assert importlib.resources.files('encodings').joinpath(name + '.py').read_text('utf-8') == source\n"
    "assert encodings.__path__ == encodings.__spec__.submodule_search_locations == [folder]\n"
    "assert encodings.search_function.__code__.co_filename == encodings.__file__\n"
    "assert 'def search_function' in inspect.getsource(encodings.search_function)\n"
    /* The other codecs are read from there, and those that users add are found. */
    "for name, known in ('UTF8', 'utf-8'), ('latin-1', 'iso8859-1'), ('cp1252', 'cp1252'), ('idna', 'idna'), ('rot13', 'rot-13'):\n"
    "  assert codecs.lookup(name).name == known, name\n"
    "assert '\\u20ac'.encode('cp1252') == b'\\x80' and b'\\xe9'.decode('latin-1') == '\\xe9'\n"
    "codecs.register(lambda name: codecs.lookup('utf-8') if name == 'mine' else None)\n"
    "assert '\\xe9'.encode('mine') == b'\\xc3\\xa9'\n"
    "try: 'x'.encode('nobody_has_this')\n"
    "except LookupError: pass\n"
    "else: raise AssertionError\n"
    "assert pickle.loads(pickle.dumps(encodings.utf_8.encode)) is encodings.utf_8.encode\n"
    "assert pickle.loads(pickle.dumps(encodings.normalize_encoding)) is encodings.normalize_encoding\n"
    "importlib.reload(encodings.utf_8)\n"
    "importlib.reload(encodings)\n"
    "assert encodings.__path__ == [folder] and encodings.utf_8.__file__ == os.path.join(folder, 'utf_8.py')\n"
    "assert '\\u20ac'.encode('cp1250') == b'\\x80'\n"
    "del sys.modules['encodings.utf_8'], sys.modules['encodings.aliases'], sys.modules['encodings']\n"
    "import encodings.utf_8\n"
    "assert encodings.__path__ == [folder]\n"
    "import encodings.cp1251\n"
    "if flags & 2 == 0:\n" /* it would import site */
    "  command = [sys.executable, '-I', '-c', 'import encodings.cp1252; print(encodings.__file__)']\n"
    "  assert subprocess.check_output(command, text=True).strip() == os.path.join(folder, '__init__.py')\n";

static void look(subpy_interp interp, uint64_t flags) {
  char set[32];
  snprintf(set, sizeof set, "flags = %d", (int)flags);
  run(interp, set);
  run(interp, LOOK);
}

static void one_life(uint64_t flags) {
  subpy_error *error = NULL;
  subpy_runtime_options options = {.size = sizeof options, .flags = flags};
  OK(subpy_init(&options, &error));
  subpy_interp main_interp = 0, own = create(), shared = 0;
  OK(subpy_get_main(&main_interp, &error));
  subpy_interp_options with_main = {.size = sizeof with_main, .gil = SUBPY_GIL_SHARED};
  OK(subpy_create(&with_main, &shared, &error));
  CHECK(number(own, "all(map(__import__('_imp').is_frozen, ('encodings', 'encodings.aliases', 'encodings.utf_8')))"));
  look(own, flags);
  look(shared, flags);
  look(main_interp, flags);
  /* What a guest does to its own way of importing is its own affair. */
  run(own, "import sys\nsys.meta_path.clear()\nsys.path.clear()");
  subpy_interp next = create();
  look(next, flags);
  /* Guests make interpreters too. */
  run(main_interp,
      "from concurrent import interpreters\n"
      "made = interpreters.create()\n"
      "made.exec(\"import encodings.cp1253, os\\n\"\n"
      "          \"assert encodings.__path__ == [os.path.dirname(os.__file__) + '/encodings']\")\n"
      "made.close()");
  shut_down();
}

int main(void) {
  one_life(0);
  one_life(SUBPY_RUNTIME_NO_SITE);
  one_life(SUBPY_RUNTIME_USE_ENVIRONMENT);
  one_life(0);
  return 0;
}
