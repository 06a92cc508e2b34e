/* Interpreters with virtual environments of their own: two with different versions of one package, side by side. And folders
 * that are none. */
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static subpy_error *error;
static char top[] = "/tmp/subpy-venv-XXXXXX";

static const char *in_top(const char *rest) {
  static char paths[8][300];
  static int next;
  char *path = paths[next++ % 8];
  snprintf(path, sizeof paths[0], "%s/%s", top, rest);
  return path;
}

/* Environments as the venv module makes them: a package with a version in each, .pth files, and what a wheel's folder says. */
static const char make[] =
    "import os, sys\n"
    "version = '%d.%d' % sys.version_info[:2]\n"
    "def write(*path, text):\n"
    "  path = os.path.join(top, *path)\n"
    "  os.makedirs(os.path.dirname(path), exist_ok=True)\n"
    "  with open(path, 'w') as file: file.write(text)\n"
    "def environment(name, acme, config='include-system-site-packages = false\\nversion = ' + version + '.1'):\n"
    "  packages = name, 'lib', 'python' + version, 'site-packages'\n"
    "  write(name, 'pyvenv.cfg', text='home = /nowhere\\n' + config + '\\n')\n"
    "  write(name, 'bin', 'python', text='')\n"
    "  write(*packages, 'acme.py', text='version = ' + repr(acme))\n"
    "  write(*packages, 'only_' + name + '.py', text='')\n"
    "  write(*packages, 'acme-' + acme + '.dist-info', 'METADATA', text='Name: acme\\nVersion: ' + acme + '\\n')\n"
    "  write(*packages, 'more.pth', text='../../../more\\nimport sys; sys.pth_of = ' + repr(name) + '\\n')\n"
    "  write(name, 'more', 'acme_more.py', text='place = ' + repr(name))\n"
    "environment('a', '1.0')\n"
    "environment('b', '2.0', 'Version_Info = ' + version + '.6.final.0\\nInclude-System-Site-Packages = FALSE')\n"
    "environment('host', '3.0')\n"
    "environment('system', '4.0', 'home = /no/line/is/true')\n"
    "environment('other', '5.0', 'version = 3.13.5')\n"
    "environment('bare', '6.0')\n"
    "os.rename(os.path.join(top, 'bare', 'lib'), os.path.join(top, 'bare', 'other'))\n"
    "write('file', text='')\n"
    "os.mkdir(os.path.join(top, 'empty')), os.mkdir(os.path.join(top, 'pipe'))\n"
    "os.mkfifo(os.path.join(top, 'pipe', 'pyvenv.cfg'))\n"
    "write('ours', 'acme.py', text='version = \"ours\"')\n"
    "environment('hostile', '7.0')\n"
    "packages = os.path.join(top, 'hostile', 'lib', 'python' + version, 'site-packages')\n"
    "write(packages, 'x.pth', text='import sys; sys.pth_ran, sys.pth_wrote = True, False\\n'\n"
    "  'import os; os.open(' + repr(os.path.join(top, 'escaped')) + ', os.O_CREAT | os.O_WRONLY); sys.pth_wrote = True\\n')\n"
    "write(packages, 'y.pth', text='/etc\\n' + top + '\\n')\n"
    "write('secret', text='')\n"
    "write('leads', 'pyvenv.cfg', text='include-system-site-packages = false\\n')\n"
    "os.symlink(os.path.join(top, 'a', 'lib'), os.path.join(top, 'leads', 'lib'))\n"
    "write('large', 'pyvenv.cfg', text='#' * 100000)\n"
    /* One that a process can be in. */
    "python = os.path.realpath(os.environ['SUBPY_PYTHON'])\n"
    "write('host', 'pyvenv.cfg', text='home = ' + os.path.dirname(python) + '\\nversion = ' + version + '\\n')\n"
    "os.remove(os.path.join(top, 'host', 'bin', 'python'))\n"
    "for name in ('python', 'python3'): os.symlink(python, os.path.join(top, 'host', 'bin', name))\n";

/* What is so in each. */
static const char check[] =
    "import importlib.metadata, importlib.util, json, os, site, subprocess, sys, sysconfig\n"
    "def check(name, acme):\n"
    "  import acme as module, acme_more\n"
    "  folder = os.path.join(top, name)\n"
    "  assert module.version == acme == importlib.metadata.version('acme'), (module.version, acme)\n"
    "  assert acme_more.place == name and sys.pth_of == name\n"
    "  assert importlib.util.find_spec('only_' + name)\n"
    "  others = [other for other in ('a', 'b', 'host', 'system') if other != name]\n"
    "  assert not any(importlib.util.find_spec('only_' + other) for other in others), sys.path\n"
    "  assert sys.prefix == sys.exec_prefix == folder != sys.base_prefix\n"
    "  assert sys.executable == os.path.join(folder, 'bin', 'python')\n"
    "  assert sysconfig.get_path('purelib').startswith(folder)\n"
    "  assert site.getsitepackages()[0].startswith(folder)\n"
    "  assert len(set(sys.path)) == len(sys.path)\n"
    /* The standard library is not hidden by what is in one. */
    "  assert sys.path.index(os.path.dirname(os.__file__)) < sys.path.index(os.path.dirname(module.__file__))\n";

static void give_top(subpy_interp interp) {
  char code[300];
  snprintf(code, sizeof code, "top = '%s'", top);
  run(interp, code);
}

static subpy_interp create_with(const char *venv, int32_t gil, uint64_t flags) {
  const subpy_interp_options options = {.size = sizeof options, .gil = gil, .flags = flags, .venv = venv};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  give_top(interp);
  return interp;
}

static void has(subpy_interp interp, const char *name, const char *acme) {
  char code[100];
  run(interp, check);
  snprintf(code, sizeof code, "check('%s', '%s')", name, acme);
  run(interp, code);
}

static void side_by_side(int32_t gil, uint64_t flags) {
  subpy_interp a = create_with(in_top("a"), gil, flags), b = create_with(in_top("b"), gil, flags);
  has(a, "a", "1.0");
  has(b, "b", "2.0");
  /* One without has the process's. */
  subpy_interp process = create_with(NULL, gil, flags);
  run(process, "import acme; assert acme.version == '3.0'; import only_host");
  has(a, "a", "1.0");
  OK(subpy_close(a, &error));
  OK(subpy_close(b, &error));
  OK(subpy_close(process, &error));
}

/* Its own code runs when it gets its environment: under the lock, and with no more to read than there is in it. */
static void locked(void) {
  const uint64_t flags = SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED;
  subpy_interp interp = create_with(in_top("hostile"), SUBPY_GIL_OWN, flags);
  run(interp, "import os, sys\n"
              "assert sys.pth_ran and not sys.pth_wrote, 'a .pth file has written'\n"
              "def refused(path):\n"
              "  try: open(path).close()\n"
              "  except PermissionError: return True\n"
              "assert refused('/etc/passwd') and refused(os.path.join(top, 'secret')), sys.path\n"
              "import acme; assert acme.version == '7.0'\n");
  OK(subpy_close(interp, &error));
  CHECK(access(in_top("escaped"), F_OK) != 0);
  /* What leads out of it is not followed: neither to what is elsewhere, nor to all that is around it. */
  const subpy_interp_options options = {.size = sizeof options, .flags = flags, .venv = in_top("leads")};
  FAILS(SUBPY_ERROR_INTERPRETER, "...leads/lib leads out of the virtual environment, to ", subpy_create(&options, &interp, &error));
  /* Without a lock it may. */
  interp = create_with(in_top("leads"), SUBPY_GIL_OWN, SUBPY_INTERP_PROCESS);
  run(interp, "import acme; assert acme.version == '1.0'");
  OK(subpy_close(interp, &error));
}

static void with_the_systems(void) {
  subpy_interp interp = create_with(in_top("system"), SUBPY_GIL_OWN, 0);
  has(interp, "system", "4.0");
  run(interp, "folders = site.getsitepackages([sys.base_prefix])\n"
              "assert all(folder in sys.path for folder in folders if os.path.isdir(folder)), sys.path\n"
              "assert sys.base_prefix in site.PREFIXES");
  OK(subpy_close(interp, &error));
}

/* `path` comes first, a relative folder is one from here, and a pool's workers have it too. */
static void with_other_options(void) {
  const char *const ours[] = {in_top("ours")};
  subpy_interp_options options = {.size = sizeof options, .path = ours, .path_len = 1, .venv = in_top("a")};
  subpy_interp interp = 0;
  OK(subpy_create(&options, &interp, &error));
  run(interp, "import acme, acme_more; assert acme.version == 'ours'");
  OK(subpy_close(interp, &error));

  CHECK(chdir(top) == 0);
  interp = create_with("b/../a", SUBPY_GIL_OWN, 0);
  has(interp, "a", "1.0");
  OK(subpy_close(interp, &error));
  interp = create_with("a", SUBPY_GIL_OWN, SUBPY_INTERP_PROCESS | SUBPY_INTERP_LOCKED | SUBPY_INTERP_LOCK_BEST_EFFORT);
  has(interp, "a", "1.0");
  OK(subpy_close(interp, &error));
  CHECK(chdir("/") == 0);

  /* A pool's are created at any time: a relative folder is one from where the pool was made. */
  CHECK(chdir(top) == 0);
  options = (subpy_interp_options){.size = sizeof options, .venv = "b"};
  const subpy_pool_options pool_options = {.size = sizeof pool_options, .workers = 1, .interp = &options};
  subpy_pool pool = 0;
  OK(subpy_pool_new(&pool_options, &pool, &error));
  CHECK(chdir("/") == 0);
  subpy_run_request request = {.size = sizeof request, .what = SUBPY_RUN_EVAL, .text = "__import__('acme').version",
                               .text_len = SUBPY_AUTO_LEN};
  subpy_thread task = 0;
  OK(subpy_pool_submit(pool, &request, &task, &error));
  subpy_value version = {0};
  OK(subpy_thread_join(task, &version, &error));
  CHECK(version.kind == SUBPY_KIND_STR && strcmp(version.u.as_str, "2.0") == 0);
  subpy_value_free(&version);
  OK(subpy_pool_close(pool, NULL, &error));
}

/* Refused, and nothing was created. */
static void refused(const char *venv, const char *message) {
  const uint64_t flags[] = {0, SUBPY_INTERP_PROCESS};
  for (int i = 0; i < 2; i++) {
    const subpy_interp_options options = {.size = sizeof options, .venv = venv, .flags = flags[i]};
    subpy_interp interp = 77;
    FAILS(SUBPY_ERROR_INVALID_ARGUMENT, message, subpy_create(&options, &interp, &error));
    CHECK(interp == 0);
  }
}

/* In a process of its own, before this one has a Python: it makes the environments, and tries what is none. */
static void make_all(void) {
  subpy_interp maker = 0;
  OK(subpy_create(NULL, &maker, &error));
  give_top(maker);
  run(maker, make);
  OK(subpy_close(maker, &error));
  refused(in_top("a/nowhere"), "...a/nowhere\" is no folder; make one with: python3.1");
  refused(in_top("file"), "...file\" is no folder; make one with: python3.1");
  refused("", "...the virtual environment \"\" is no folder; make one with: python3.1");
  refused(in_top("empty"), "...empty\" is none: its pyvenv.cfg cannot be read (No such file or directory");
  refused(in_top("pipe"), "...pipe\" is none: its pyvenv.cfg cannot be read (it is no file); make one with: python3.1");
  refused(in_top("large"), "...large\" is none: its pyvenv.cfg cannot be read (it is too large)");
  refused(in_top("other"), "...other\" is of Python 3.13.5, and this process has Python 3.1");
  refused(in_top("other"), "...: there is one Python in a process; make one with: python3.1");
  refused(in_top("bare"), "...bare\" has no lib/python3.1");
  refused("\xff", "subpy_interp_options.venv: invalid UTF-8 at byte offset 0");
  shut_down();
}

int main(void) {
  CHECK(mkdtemp(top));
  pid_t child = fork();
  if (child == 0) {
    make_all();
    exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);

  /* The process is in an environment too. */
  const subpy_runtime_options options = {.size = sizeof options, .python = in_top("host")};
  OK(subpy_init(&options, &error));
  side_by_side(SUBPY_GIL_OWN, 0);
  side_by_side(SUBPY_GIL_SHARED, 0);
  side_by_side(SUBPY_GIL_OWN, SUBPY_INTERP_PROCESS);
  locked();
  with_the_systems();
  with_other_options();
  shut_down();
  char command[100];
  snprintf(command, sizeof command, "rm -r %s", top);
  CHECK(system(command) == 0);
  return 0;
}
