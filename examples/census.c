/*
 * census: what is in a folder of Python sources, counted by many Python interpreters at once.
 *
 * Each file is parsed with Python's own ast module, first by one interpreter, then by one for each core, and the two
 * results are compared. The interpreters are those of a pool: each has its own lock (GIL) and its own thread, so they
 * really compute at the same time. The Python below only looks at one file; adding up and printing is done in C, on
 * the plain values that the calls return.
 *
 *     cc -std=c11 -O2 census.c -lsubpy -lpthread -o census
 *     ./census                     the standard library of the Python that subpy finds
 *     ./census -j 8 my_project
 */
#define _GNU_SOURCE

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "subpy.h"

/* ---- The Python side ----------------------------------------------------------------------------------------- */

/*
 * sources(folder) lists the files, sorted by path, and the order in which to analyse them: the largest first, so that
 * no thread is left alone with a big one at the end. It reads each file once, for its size and so that both runs find
 * it in the page cache. Paths are bytes, because a file name need not be valid text.
 */
static const char LISTING[] =
    "import os\n"
    "SKIPPED = b'site-packages', b'__pycache__'\n"
    "\n"
    "def printable(path):\n"
    "    text = path.decode('utf-8', 'backslashreplace')\n"
    "    return text if text.isprintable() else ascii(text)[1:-1]\n"
    "\n"
    "def size(path):\n"
    "    try:\n"
    "        with open(path, 'rb') as stream:\n"
    "            return len(stream.read())\n"
    "    except OSError:\n"
    "        return 0\n"
    "\n"
    "def sources(folder):\n"
    "    folder = folder or os.fsencode(os.path.dirname(os.__file__))\n"
    "    paths = []\n"
    "    for parent, folders, names in os.walk(folder):\n"
    "        folders[:] = [name for name in folders if name not in SKIPPED]\n"
    "        paths += [os.path.join(parent, name) for name in names if name.endswith(b'.py')]\n"
    "    files = [{'path': path, 'name': printable(os.path.relpath(path, folder)), 'size': size(path)}\n"
    "             for path in sorted(filter(os.path.isfile, paths))]\n"
    "    return {'folder': printable(folder), 'files': files, 'size': sum(file['size'] for file in files),\n"
    "            'order': sorted(range(len(files)), key=lambda index: -files[index]['size']),\n"
    "            'cores': min(os.process_cpu_count() or 1, 256)}\n";

/*
 * census(file) looks at one of them. The complexity of a function is McCabe's: one, plus one for each place where its
 * control flow branches: if and elif, conditional expression, for, while, except, a case that can fail to match, the
 * for and each if of a comprehension, each "and" and "or". Functions inside a function count for themselves, lambdas
 * and class bodies for the function around them. The walk keeps its own stack, so no tree is too deep for it.
 */
static const char CENSUS[] =
    "import ast, heapq, warnings\n"
    "warnings.simplefilter('ignore')     # they are about the analysed code: invalid escapes and the like\n"
    "\n"
    "FUNCTION = ast.FunctionDef, ast.AsyncFunctionDef\n"
    "BRANCHES = dict.fromkeys((ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler),\n"
    "                         lambda node: 1)\n"
    "BRANCHES[ast.comprehension] = lambda node: 1 + len(node.ifs)\n"
    "BRANCHES[ast.BoolOp] = lambda node: len(node.values) - 1\n"
    "BRANCHES[ast.match_case] = lambda node: not always_matches(node)\n"
    "\n"
    "def always_matches(case):\n"
    "    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is case.guard is None\n"
    "\n"
    "def survey(tree, file):\n"
    "    count = dict.fromkeys(('classes', 'imports', 'documentable', 'documented'), 0)\n"
    "    functions = []\n"
    "    todo = [(tree, '', {'complexity': 0})]      # node, its scope, the function it counts for\n"
    "    while todo:\n"
    "        node, scope, function = todo.pop()\n"
    "        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTION)):\n"
    "            count['documentable'] += 1\n"
    "            count['documented'] += ast.get_docstring(node, clean=False) is not None\n"
    "            count['classes'] += isinstance(node, ast.ClassDef)\n"
    "            if isinstance(node, FUNCTION):\n"
    "                function = {'name': scope + node.name, 'file': file, 'line': node.lineno, 'complexity': 1}\n"
    "                functions.append(function)\n"
    "            if not isinstance(node, ast.Module):\n"
    "                scope += node.name + '.'\n"
    "        elif isinstance(node, (ast.Import, ast.ImportFrom)):\n"
    "            count['imports'] += 1\n"
    "        elif branches := BRANCHES.get(type(node)):\n"
    "            function['complexity'] += branches(node)\n"
    "        todo += [(child, scope, function) for child in ast.iter_child_nodes(node)]\n"
    "    count['functions'] = len(functions)\n"
    "    count['complexity'] = sum(function['complexity'] for function in functions)\n"
    "    count['worst'] = heapq.nlargest(10, functions, key=lambda f: (f['complexity'], -f['line']))\n"
    "    return count\n"
    "\n"
    "def census(file):\n"
    "    try:\n"
    "        with open(file['path'], 'rb') as stream:\n"
    "            source = stream.read()\n"
    "        tree = ast.parse(source)\n"
    "    except Exception as error:      # unreadable, not Python, nested too deeply: a finding like any other\n"
    "        text = getattr(error, 'msg', None) or getattr(error, 'strerror', None) or str(error)\n"
    "        if isinstance(error, RecursionError):\n"
    "            text = 'nested too deeply'      # its own text says how much stack was used: never twice the same\n"
    "        line = getattr(error, 'lineno', None)\n"
    "        reason = f'{type(error).__name__}: {text}' + (f', line {line}' if line else '')\n"
    "        return {'file': file['name'], 'reason': reason if reason.isprintable() else ascii(reason)[1:-1]}\n"
    "    return survey(tree, file['name']) | {'lines': len(source.splitlines())}\n";

/* ---- Reading values. Their shape is known: the Python above made them. --------------------------------------- */

static const subpy_value *get(const subpy_value *dict, const char *key)
{
    return subpy_value_get(dict, key, SUBPY_AUTO_LEN);
}

static int64_t get_int(const subpy_value *dict, const char *key)        /* 0 when absent */
{
    const subpy_value *value = get(dict, key);
    return value ? value->u.as_int : 0;
}

static const char *get_str(const subpy_value *dict, const char *key)
{
    return get(dict, key)->u.as_str;
}

static bool same_value(const subpy_value *a, const subpy_value *b)      /* of the kinds that census() returns */
{
    bool same = a->kind == b->kind && a->len == b->len;
    switch (a->kind) {
    case SUBPY_KIND_INT:
        return same && a->u.as_int == b->u.as_int;
    case SUBPY_KIND_STR:
        return same && memcmp(a->u.as_str, b->u.as_str, a->len) == 0;
    case SUBPY_KIND_LIST:
        for (size_t i = 0; same && i < a->len; i++)
            same = same_value(&a->u.as_items[i], &b->u.as_items[i]);
        return same;
    case SUBPY_KIND_DICT:
        for (size_t i = 0; same && i < a->len; i++)
            same = same_value(&a->u.as_pairs[i].key, &b->u.as_pairs[i].key)
                && same_value(&a->u.as_pairs[i].value, &b->u.as_pairs[i].value);
        return same;
    default:
        return false;
    }
}

/* Says what went wrong, with Python's traceback if there is one, and frees the error. Returns false. */
static bool complain(const char *what, subpy_error *error)
{
    fprintf(stderr, "census: %s: %s\n", what, subpy_error_message(error, NULL));
    if (subpy_error_status(error) == SUBPY_ERROR_EXECUTION_FAILED)
        fprintf(stderr, "%s\n", subpy_error_display(error, NULL));
    subpy_error_free(error);
    return false;
}

/* ---- One run: a pool with as many interpreters as jobs ------------------------------------------------------- */

enum { LINES, FUNCTIONS, CLASSES, IMPORTS, DOCUMENTED, DOCUMENTABLE, COMPLEXITY, COUNTS };
enum { TOP = 10, MAX_JOBS = 256, MAX_ROUNDS = 3, ENOUGH_SECONDS = 15 };

static const char *const COUNT_NAMES[COUNTS] = {
    "lines", "functions", "classes", "imports", "documented", "documentable", "complexity",
};

struct run {
    const subpy_value *files, *order;
    size_t             jobs;
    bool               ok;
    int64_t            size, done;      /* bytes of source */
    double             drawn;           /* when the bar was drawn last */
    double             seconds;
    subpy_value       *reports;         /* what census() returned, file by file */
    int64_t            count[COUNTS];   /* and what they add up to */
    size_t             failed;
    const subpy_value *top[TOP + 1];    /* the most complex functions, in file order where equal; one to spare */
    size_t             top_len;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/*
 * Seconds of processor time that were not ours, by all programs and other virtual machines. Linux tells: the first line
 * of /proc/stat has user, nice, system, idle, iowait, irq, softirq and steal. Elsewhere it is always 0.
 */
static double used_by_others(void)
{
    unsigned long long user, nice, system, irq, softirq, steal;
    struct timespec own;
    FILE *stat = fopen("/proc/stat", "r");
    int found = stat ? fscanf(stat, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &system, &irq, &softirq,
                              &steal) : 0;
    if (stat)
        fclose(stat);
    if (found != 6 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) != 0)
        return 0;
    double all = (double)(user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK);
    return all - (double)own.tv_sec - (double)own.tv_nsec / 1e9;
}

static int terminal_width(void)
{
    struct winsize size = { 0 };
    const char *columns = getenv("COLUMNS");
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

/* Progress on stderr: a bar on a terminal, ten times a second at most; else a line each quarter. */
static void advance(struct run *run, int64_t size)
{
    int before = run->size ? (int)(run->done * 100 / run->size) : 100;
    run->done += size;
    int percent = run->size ? (int)(run->done * 100 / run->size) : 100;
    if (!isatty(STDERR_FILENO)) {
        if (percent / 25 > before / 25)
            fprintf(stderr, "interpreters: %zu, done: %d %%\n", run->jobs, percent / 25 * 25);
    } else if (now() > run->drawn + 0.1) {
        char bar[51] = "";
        int room = terminal_width() - 30;
        room = room < 0 ? 0 : room > 50 ? 50 : room;
        memset(bar, '.', (size_t)room);
        memset(bar, '#', (size_t)(room * percent / 100));
        fprintf(stderr, "\rinterpreters: %-3zu [%s] %3d %%", run->jobs, bar, percent);
        run->drawn = now();
    }
}

/* One result of the pool's; they come in the order of the rows. */
static bool take(void *argument, size_t turn, subpy_value *report, const subpy_error *error)
{
    struct run *run = argument;
    int64_t index = run->order->u.as_items[turn].u.as_int;
    run->ok = error == NULL;
    if (error) {
        fprintf(stderr, "census: the analysis failed: %s\n", subpy_error_message(error, NULL));
        return false;
    }
    run->reports[index] = *report;      /* taken: now it is ours to free */
    *report = subpy_none();
    advance(run, get_int(&run->files->u.as_items[index], "size"));
    return true;
}

static bool run_pool(struct run *run, subpy_pool pool, const subpy_value *rows)
{
    subpy_run_request request = { .size = sizeof request, .what = SUBPY_RUN_CALL, .text = "census",
                                  .text_len = SUBPY_AUTO_LEN };
    subpy_error *error = NULL;
    double start = now();
    subpy_status status = subpy_pool_map(pool, &request, rows, run->order->len, 1, 1, take, run, &error);
    run->seconds = now() - start;
    if (run->drawn > 0)
        fprintf(stderr, "\r%*s\r", terminal_width() - 1, "");
    return status == SUBPY_OK ? run->ok : complain("the analysis failed", error);
}

static void rank(struct run *run, const subpy_value *function)
{
    size_t at = run->top_len;
    for (; at > 0 && get_int(run->top[at - 1], "complexity") < get_int(function, "complexity"); at--)
        run->top[at] = run->top[at - 1];
    run->top[at] = function;
    run->top_len += run->top_len < TOP;
}

static void add_up(struct run *run)
{
    for (size_t i = 0; i < run->files->len; i++) {
        const subpy_value *worst = get(&run->reports[i], "worst");
        for (size_t k = 0; worst && k < worst->len; k++)
            rank(run, &worst->u.as_items[k]);
        for (size_t k = 0; k < COUNTS; k++)
            run->count[k] += get_int(&run->reports[i], COUNT_NAMES[k]);
        run->failed += get(&run->reports[i], "reason") != NULL;
    }
}

static bool open_interpreter(const char *source, subpy_interp *interp)
{
    subpy_error *error = NULL;
    if (subpy_create(NULL, interp, &error) != SUBPY_OK)
        return complain("cannot create an interpreter", error);
    if (subpy_exec(*interp, source, SUBPY_AUTO_LEN, &error) == SUBPY_OK)
        return true;
    subpy_close(*interp, NULL);
    return complain("cannot prepare an interpreter", error);
}

/* Every run has a pool of its own, whose interpreters are ready before the clock starts. */
static bool run_all(struct run *run, size_t jobs, const subpy_value *listing)
{
    subpy_pool_options options = { .size = sizeof options, .workers = jobs, .setup = CENSUS,
                                   .setup_len = SUBPY_AUTO_LEN, .flags = SUBPY_POOL_NO_SPARES };
    subpy_pool pool = 0;
    subpy_error *error = NULL;

    run->jobs = jobs;
    run->files = get(listing, "files");
    run->order = get(listing, "order");
    run->size = get_int(listing, "size");
    run->reports = calloc(run->files->len, sizeof *run->reports);       /* all zero is None, which may be freed */
    subpy_value *rows = calloc(run->files->len, sizeof *rows);
    bool ok = run->reports && rows;
    if (!ok)
        fprintf(stderr, "census: out of memory\n");
    for (size_t i = 0; ok && i < run->files->len; i++)
        rows[i] = run->files->u.as_items[run->order->u.as_items[i].u.as_int];
    if (ok && subpy_pool_new(&options, &pool, &error) != SUBPY_OK)
        ok = complain("cannot make a pool of interpreters", error);
    ok = ok && run_pool(run, pool, rows);
    subpy_pool_close(pool, NULL, NULL);
    free(rows);
    if (ok)
        add_up(run);
    return ok;
}

static void run_free(struct run *run)
{
    for (size_t i = 0; run->reports && i < run->files->len; i++)
        subpy_value_free(&run->reports[i]);
    free(run->reports);
}

/* Totals, failures and the most complex functions all follow from the reports. */
static bool same_results(const struct run *a, const struct run *b)
{
    for (size_t i = 0; i < a->files->len; i++)
        if (!same_value(&a->reports[i], &b->reports[i])) {
            fprintf(stderr, "census: the results for %s differ\n", get_str(&a->files->u.as_items[i], "name"));
            return false;
        }
    return true;
}

/* ---- Printing ------------------------------------------------------------------------------------------------ */

static void print_count(const char *name, int64_t count)        /* 1234567 as 1,234,567 */
{
    char digits[24], grouped[32], *out = grouped;
    int len = snprintf(digits, sizeof digits, "%" PRId64, count);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    printf("%-18s%12s\n", name, grouped);
}

static double ratio(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void print_text(const subpy_value *listing, const struct run *one, const struct run *many,
                       size_t rounds, bool same)
{
    const int64_t *count = one->count;
    printf("%s, Python %s\n\n", get_str(listing, "folder"), subpy_python_version());
    print_count("files", (int64_t)one->files->len);
    for (int i = LINES; i <= IMPORTS; i++)
        print_count(COUNT_NAMES[i], count[i]);
    printf("%-18s%10.1f %%\n", "with docstring", 100 * ratio(count[DOCUMENTED], count[DOCUMENTABLE]));
    printf("%-18s%12.2f\n", "mean complexity", ratio(count[COMPLEXITY], count[FUNCTIONS]));

    printf("\ncomplexity  %-40s  where\n", "function");
    for (size_t i = 0; i < one->top_len; i++)
        printf("%10" PRId64 "  %-40s  %s:%" PRId64 "\n", get_int(one->top[i], "complexity"),
               get_str(one->top[i], "name"), get_str(one->top[i], "file"), get_int(one->top[i], "line"));

    printf("\nfiles that cannot be parsed: %zu\n", one->failed);
    for (size_t i = 0; i < one->files->len; i++)
        if (get(&one->reports[i], "reason"))
            printf("  %s: %s\n", get_str(&one->reports[i], "file"), get_str(&one->reports[i], "reason"));

    printf("\ntime of the analysis alone%s\n", rounds > 1 ? ", the fastest of several rounds" : "");
    printf("%4zu interpreter   %10.2f s\n", one->jobs, one->seconds);
    if (many->jobs == 0) {
        printf("a speed-up takes two interpreters or more: -j 2\n");
        return;
    }
    printf("%4zu interpreters  %10.2f s\n", many->jobs, many->seconds);
    printf(same ? "all results are identical\n" : "THE RESULTS DIFFER\n");
    printf("speed-up %.2fx\n", one->seconds / many->seconds);
}

/* Says so when others kept the interpreters from having a core each. A twentieth of a machine is busy at any time. */
static void print_others(double seconds, double others, size_t jobs)
{
    double cores = (double)sysconf(_SC_NPROCESSORS_ONLN), used = others / seconds;
    bool certain = others > 0.05;       /* the system counts in hundredths of a second */
    if (certain && used > cores / 20 && used + (double)jobs > cores)
        printf("other programs used %.1f of %.0f cores meanwhile\n", used, cores);
}

/* Prints a value as JSON: those kinds that census() returns. */
static void print_json_value(const subpy_value *value)
{
    switch (value->kind) {
    case SUBPY_KIND_INT:
        printf("%" PRId64, value->u.as_int);
        break;
    case SUBPY_KIND_STR:                /* valid UTF-8, as JSON wants it */
        putchar('"');
        for (size_t i = 0; i < value->len; i++) {
            unsigned char c = (unsigned char)value->u.as_str[i];
            printf(c < 0x20 ? "\\u%04x" : c == '"' || c == '\\' ? "\\%c" : "%c", c);
        }
        putchar('"');
        break;
    case SUBPY_KIND_DICT:
        for (size_t i = 0; i < value->len; i++) {
            printf(i > 0 ? ", " : "{");
            print_json_value(&value->u.as_pairs[i].key);
            printf(": ");
            print_json_value(&value->u.as_pairs[i].value);
        }
        printf("}");
    }
}

static void print_json(const subpy_value *listing, const struct run *one, const struct run *many,
                       size_t rounds, bool same)
{
    printf("{\"folder\": ");
    print_json_value(get(listing, "folder"));
    printf(", \"python\": \"%s\", \"files\": %zu", subpy_python_version(), one->files->len);
    for (size_t i = 0; i < COUNTS; i++)
        printf(", \"%s\": %" PRId64, COUNT_NAMES[i], one->count[i]);

    printf(",\n \"most_complex\": [");
    for (size_t i = 0; i < one->top_len; i++) {
        printf(i > 0 ? ",\n  " : "\n  ");
        print_json_value(one->top[i]);
    }
    printf("],\n \"failures\": [");
    for (size_t i = 0, printed = 0; i < one->files->len; i++)
        if (get(&one->reports[i], "reason")) {
            printf(printed++ > 0 ? ",\n  " : "\n  ");
            print_json_value(&one->reports[i]);
        }

    printf("],\n \"rounds\": %zu, \"fastest\": [{\"interpreters\": 1, \"seconds\": %.6f}", rounds, one->seconds);
    if (many->jobs == 0)
        printf("],\n \"identical\": null, \"speed_up\": null}\n");
    else
        printf(", {\"interpreters\": %zu, \"seconds\": %.6f}],\n \"identical\": %s, \"speed_up\": %.3f}\n",
               many->jobs, many->seconds, same ? "true" : "false", one->seconds / many->seconds);
}

/* ---- The program --------------------------------------------------------------------------------------------- */

static const char USAGE[] =
    "usage: census [-j N] [--json] [FOLDER]\n"
    "Analyse the Python sources in FOLDER (default: Python's standard library) with one interpreter,\n"
    "then with N at once, and compare. Folders named site-packages or __pycache__ are left out.\n"
    "  -j N    so many interpreters, 1 to 256 (default: one for each core)\n"
    "  --json  print the result as JSON\n"
    "  --help  print this text\n";

struct options {
    size_t      jobs;                   /* 0: one for each core */
    bool        json;
    const char *folder;                 /* NULL: the standard library */
};

static void parse_options(int argc, char **argv, struct options *options)
{
    static const struct option LONG[] = { { "json", 0, NULL, 'J' }, { "help", 0, NULL, 'h' }, { 0 } };
    bool ok = true;
    for (int option; ok && (option = getopt_long(argc, argv, "j:h", LONG, NULL)) != -1;) {
        if (option == 'j') {
            char *end;
            long jobs = strtol(optarg, &end, 10);
            ok = *end == '\0' && jobs >= 1 && jobs <= MAX_JOBS;
            options->jobs = (size_t)jobs;
        } else if (option == 'J') {
            options->json = true;
        } else if (option == 'h') {
            fputs(USAGE, stdout);
            exit(0);
        } else {
            ok = false;
        }
    }
    options->folder = argv[optind];
    if (!ok || argc - optind > 1) {
        fputs(USAGE, stderr);
        exit(2);
    }
}

/* Asks Python. The listing may be freed whatever comes out. */
static bool list_sources(const char *folder, subpy_value *listing)
{
    subpy_interp interp;
    subpy_error *error = NULL;
    subpy_value argument = folder ? subpy_bytes((const uint8_t *)folder, strlen(folder)) : subpy_none();

    if (folder && access(folder, R_OK) != 0) {
        fprintf(stderr, "census: %s: %s\n", folder, strerror(errno));
        return false;
    }
    if (!open_interpreter(LISTING, &interp))
        return false;
    subpy_status status = subpy_call(interp, "sources", SUBPY_AUTO_LEN, &argument, 1, NULL, listing, &error);
    subpy_close(interp, NULL);
    if (status != SUBPY_OK)
        return complain("cannot list the files", error);
    if (get(listing, "files")->len == 0) {
        fprintf(stderr, "census: no .py files in %s\n", get_str(listing, "folder"));
        return false;
    }
    return true;
}

static double fastest(const struct run *runs, size_t count)
{
    double seconds = runs[0].seconds;
    for (size_t i = 1; i < count; i++)
        seconds = runs[i].seconds < seconds ? runs[i].seconds : seconds;
    return seconds;
}

/*
 * True when everything worked and all runs agree. A short analysis is repeated, one interpreter and many in turn, and
 * the fastest of each counts: what else goes on in the machine can only make a run slower.
 */
static bool census(const struct options *options)
{
    subpy_value listing = subpy_none();
    struct run one[MAX_ROUNDS] = { 0 }, many[MAX_ROUNDS] = { 0 };
    size_t jobs = options->jobs, rounds = 0;

    bool ok = list_sources(options->folder, &listing), same = ok;
    if (ok && jobs == 0)
        jobs = (size_t)get_int(&listing, "cores");
    double start = now(), others = used_by_others();
    while (ok && rounds < (jobs < 2 ? 1 : MAX_ROUNDS) && now() - start < ENOUGH_SECONDS) {
        ok = run_all(&one[rounds], 1, &listing) && (jobs < 2 || run_all(&many[rounds], jobs, &listing));
        same = ok && same && same_results(one, &one[rounds]) && (jobs < 2 || same_results(one, &many[rounds]));
        rounds++;
    }
    others = used_by_others() - others;
    double seconds = now() - start;
    if (ok) {
        one->seconds = fastest(one, rounds);
        many->seconds = fastest(many, rounds);
        (options->json ? print_json : print_text)(&listing, one, many, rounds, same);
        if (!options->json && jobs > 1)
            print_others(seconds, others, jobs);
    }
    for (size_t i = 0; i < rounds; i++) {
        run_free(&one[i]);
        run_free(&many[i]);
    }
    subpy_value_free(&listing);
    return same;
}

int main(int argc, char **argv)
{
    struct options options = { 0 };
    subpy_error *error = NULL;
    parse_options(argc, argv, &options);
    bool ok = census(&options);
    if (subpy_shutdown(&error) != SUBPY_OK)
        ok = complain("cannot shut down", error);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "census: cannot write the result\n");
        ok = false;
    }
    return ok ? 0 : 1;
}
