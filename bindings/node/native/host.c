// How threads that are not a JS thread's call its functions. koffi would post such a call to the event loop and keep the
// thread until JS has returned: for ever when the JS thread is waiting for that thread, and not until a promise is
// settled. Here the thread waits for an answer that may come at any time, and stops waiting when its run is cancelled,
// when the JS thread is gone, or when that runs Python itself and so cannot answer.
//
// Every JS thread that defines a function has a loop: a queue of messages, and a socket whose other end tells libuv that
// there are some.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

// A JS thread that has been inside one call of the library for so long is taken to wait for the caller.
#define PATIENCE_MS 2000
#define SLICE_MS 20
// Text that waits for a JS thread that does not take it.
#define MOST_TEXT ((size_t)16 << 20)
// Of a function of the library.
#define MOST_ARGS 9

static int32_t (*context_raise)(void *context, const char *type, size_t type_len, const char *message, size_t len);
static bool (*context_cancelled)(const void *context);
static int32_t (*define_with)(
    uint64_t interp, const char *name, size_t len, const void *options, const void *fn, void *userdata,
    const void *finalize, void **error);
static int32_t (*set_output)(uint64_t interp, const void *fn, void *userdata, const void *finalize, void **error);
static const char *(*error_message)(const void *error, size_t *len);
static void (*error_free)(void *error);

struct loop {
    pthread_mutex_t lock;
    pthread_cond_t changed; // for the JS thread that waits in host_next(), and for all callers
    struct message *first, **last;
    size_t text;
    bool told, closed;
    int fds[2]; // JS has the first
    // Odd while the JS thread is inside a call of the library. And the interpreter in which it waits for its turn, or
    // whose end it waits for. JS sets both.
    uint64_t inside, where;
    // koffi's, for this thread alone.
    void (*direct)(uint64_t id, void *context, const void *args, size_t nargs, const void *kwargs);
    void (*drain)(void);
};

struct function {
    struct message forget;
    struct loop *loop;
    uint64_t interp;
    struct preparation *preparation; // that it is from, if it is
};

// A subpy_define_options.
struct define_options {
    size_t size;
    uint32_t flags, reserved;
    const char *signature, *doc;
};

// A function for each interpreter of a pool. JS writes it.
struct definition {
    uint64_t id;
    const char *name;
    struct define_options options;
};

// What each new interpreter of a pool is given, with no help of JS. Belongs to the pool, and to each of the functions.
struct preparation {
    struct function function; // that JS is told of
    size_t owners;
    uint64_t output; // the id of where the output goes, 0: nowhere
    size_t count;
    struct definition definitions[]; // and their texts
};

// READING: JS reads the arguments.
enum { WAITING, READING, TAKEN, DONE };

// A call of a function by another thread. Belongs to both; who is last frees it.
struct call {
    struct message message, ran;
    struct loop *loop;
    void *context;
    const void *args, *kwargs;
    size_t nargs;
    int state;
    bool left;
    // A function of the library that JS wants to be called on the thread that waits, and its arguments: numbers and
    // addresses, which all systems that there is a package for pass alike. Those behind the last are not looked at.
    int32_t (*run)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    uint64_t args_of_run[MOST_ARGS];
    int32_t status;
};

// The loop of this thread. Not found by the id of a thread, which a later thread may have, too.
static __thread struct loop *mine;

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wait_slice(struct loop *loop) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += SLICE_MS * 1000000L;
    if (end.tv_nsec >= 1000000000L) {
        end.tv_nsec -= 1000000000L;
        end.tv_sec += 1;
    }
    pthread_cond_timedwait(&loop->changed, &loop->lock, &end);
}

static uint64_t inside(struct loop *loop) {
    return __atomic_load_n(&loop->inside, __ATOMIC_RELAXED);
}

// Whether a JS thread stays inside one call of the library, since a moment that is remembered.
struct patience {
    uint64_t inside, since;
};

static bool out_of_patience(struct loop *loop, struct patience *patience) {
    uint64_t at = inside(loop);
    if (at % 2 == 0 || at != patience->inside || patience->since == 0) {
        *patience = (struct patience){at, now_ms()};
        return false;
    }
    return now_ms() - patience->since >= PATIENCE_MS;
}

// Whether the JS thread waits for what runs in the interpreter of a function, which the caller does.
static bool waits_for(struct loop *loop, struct function *function) {
    return __atomic_load_n(&loop->where, __ATOMIC_RELAXED) == function->interp;
}

// With the lock. Fails when the JS thread is gone.
static bool push(struct loop *loop, struct message *message) {
    if (loop->closed) return false;
    message->next = NULL;
    *loop->last = message;
    loop->last = &message->next;
    if (!loop->told) {
        // Full: there is enough in it to wake JS.
        if (send(loop->fds[1], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) loop->closed = true;
        loop->told = true;
    }
    pthread_cond_broadcast(&loop->changed);
    return true;
}

bool host_push(struct loop *loop, struct message *message) {
    pthread_mutex_lock(&loop->lock);
    bool pushed = push(loop, message);
    pthread_mutex_unlock(&loop->lock);
    return pushed;
}

// Whether the JS thread is gone without having said so, as one is that was terminated: then its socket is closed.
static bool gone(struct loop *loop) {
    char byte;
    if (recv(loop->fds[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) loop->closed = true;
    return loop->closed;
}

static void take_back(struct loop *loop, struct message *message) {
    for (struct message **at = &loop->first; *at; at = &(*at)->next) {
        if (*at != message) continue;
        *at = message->next;
        if (loop->last == &message->next) loop->last = at;
        return;
    }
}

static void fail(void *context, const char *message) {
    context_raise(context, "RuntimeError", strlen("RuntimeError"), message, strlen(message));
}

// ---- what JS calls, and gives to the library

// Looks up the functions of the library, which is open already.
int32_t host_open(const char *library) {
    void *opened = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (!opened) return -1;
    *(void **)&context_raise = dlsym(opened, "subpy_context_raise");
    *(void **)&context_cancelled = dlsym(opened, "subpy_context_cancelled");
    *(void **)&define_with = dlsym(opened, "subpy_define_with");
    *(void **)&set_output = dlsym(opened, "subpy_set_output");
    *(void **)&error_message = dlsym(opened, "subpy_error_message");
    *(void **)&error_free = dlsym(opened, "subpy_error_free");
    return context_raise && context_cancelled && define_with && set_output && error_message && error_free ? 0 : -1;
}

// Makes the loop of this thread, which is never freed: a thread may come to it at any time.
struct loop *host_loop(void *direct, void *drain, int32_t *fd) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop) return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, loop->fds) < 0) {
        free(loop);
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->changed, &attributes);
    pthread_mutex_init(&loop->lock, NULL);
    loop->last = &loop->first;
    *(void **)&loop->direct = direct;
    *(void **)&loop->drain = drain;
    *fd = loop->fds[0];
    return mine = loop;
}

// The JS thread ends: callers get an exception, now and later.
void host_close(struct loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->closed = true;
    pthread_cond_broadcast(&loop->changed);
    pthread_mutex_unlock(&loop->lock);
    mine = NULL;
}

uint64_t *host_inside(struct loop *loop) {
    return &loop->inside;
}

// The userdata of a function or of an output.
struct function *host_function(struct loop *loop, uint64_t id, uint64_t interp) {
    struct function *function = calloc(1, sizeof *function);
    if (!function) return NULL;
    function->loop = loop;
    function->interp = interp;
    function->forget.what = FORGET;
    function->forget.id = id;
    return function;
}

void host_free(void *memory) {
    free(memory);
}

static void forget(struct function *function) {
    if (!host_push(function->loop, &function->forget)) free(function);
}

static void leave(struct preparation *preparation) {
    if (__atomic_sub_fetch(&preparation->owners, 1, __ATOMIC_ACQ_REL) == 0) forget(&preparation->function);
}

// A subpy_finalize_fn.
void host_finalize(struct function *function) {
    struct preparation *preparation = function->preparation;
    if (!preparation) {
        forget(function);
        return;
    }
    free(function);
    leave(preparation);
}

// A subpy_host_fn.
void host_call(struct function *function, void *context, const void *args, size_t nargs, const void *kwargs) {
    struct loop *loop = function->loop;
    if (loop == mine) {
        loop->direct(function->forget.id, context, args, nargs, kwargs);
        return;
    }
    struct call *call = calloc(1, sizeof *call);
    if (!call) {
        context_raise(context, "MemoryError", strlen("MemoryError"), "", 0);
        return;
    }
    *call = (struct call){.loop = loop, .context = context, .args = args, .kwargs = kwargs, .nargs = nargs};
    call->message.what = CALL;
    call->message.id = function->forget.id;
    call->ran.what = RAN;
    struct patience patience = {0, 0};
    pthread_mutex_lock(&loop->lock);
    push(loop, &call->message);
    while (call->state != DONE) {
        if (call->run) {
            uint64_t at[MOST_ARGS];
            memcpy(at, call->args_of_run, sizeof at);
            __typeof__(call->run) run = call->run;
            call->run = NULL;
            pthread_mutex_unlock(&loop->lock);
            int32_t status = run(at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8]);
            pthread_mutex_lock(&loop->lock);
            call->status = status;
            push(loop, &call->ran);
            continue;
        }
        const char *problem = NULL;
        bool left = gone(loop);
        if (call->state == READING && !left) {
            wait_slice(loop);
            continue;
        }
        if (left) {
            problem = "the JavaScript thread of this function has ended";
        } else if (waits_for(loop, function) || out_of_patience(loop, &patience)) {
            problem =
                "the JavaScript thread of this function runs Python, and so cannot run the function that another thread "
                "of Python calls: run Python with the methods whose names end with InThread";
        }
        if (problem || context_cancelled(context)) {
            if (problem) fail(context, problem);
            if (call->state == WAITING) take_back(loop, &call->message);
            break;
        }
        wait_slice(loop);
    }
    bool theirs = call->state == TAKEN;
    call->left = true;
    pthread_mutex_unlock(&loop->lock);
    // One that JS has taken is freed by host_done().
    if (!theirs) free(call);
}

// A subpy_output_fn.
void host_output(struct function *function, uint64_t interp, int32_t stream, const char *text, size_t len) {
    (void)interp;
    struct loop *loop = function->loop;
    struct message *message = malloc(sizeof *message + len);
    if (!message) return;
    *message = (struct message){.what = TEXT, .stream = stream, .id = function->forget.id, .len = len};
    memcpy(message + 1, text, len);
    struct patience patience = {0, 0};
    pthread_mutex_lock(&loop->lock);
    // Not faster than JS takes it, if it can.
    while (loop != mine && loop->text > MOST_TEXT && !loop->closed && !out_of_patience(loop, &patience)) wait_slice(loop);
    bool pushed = push(loop, message);
    if (pushed) loop->text += len;
    pthread_mutex_unlock(&loop->lock);
    if (!pushed) free(message);
    if (loop == mine) loop->drain();
}

// The next message of the JS thread, as numbers; 0 when there is none. `how` is one of these.
enum { ANY, WAIT, TEXT_ONLY };
int32_t host_next(struct loop *loop, int32_t how, uint64_t out[6]) {
    pthread_mutex_lock(&loop->lock);
    while (!loop->first && how == WAIT && !loop->closed) pthread_cond_wait(&loop->changed, &loop->lock);
    struct message *message = loop->first;
    while (message && how == TEXT_ONLY && message->what != TEXT) message = message->next;
    if (!message) {
        if (!loop->first) loop->told = false;
        pthread_mutex_unlock(&loop->lock);
        return 0;
    }
    take_back(loop, message);
    int32_t what = message->what;
    out[0] = message->id;
    if (what == CALL) {
        struct call *call = (struct call *)message;
        call->state = READING;
        out[1] = (uint64_t)(uintptr_t)call;
        out[2] = (uint64_t)(uintptr_t)call->context;
        out[3] = (uint64_t)(uintptr_t)call->args;
        out[4] = call->nargs;
        out[5] = (uint64_t)(uintptr_t)call->kwargs;
    } else if (what == RAN) {
        struct call *call = (struct call *)((char *)message - offsetof(struct call, ran));
        out[1] = (uint64_t)(uintptr_t)call;
        out[2] = (uint64_t)(int64_t)call->status;
    } else if (what == TEXT) {
        loop->text -= message->len;
        pthread_cond_broadcast(&loop->changed);
        out[1] = (uint64_t)(uintptr_t)message; // to be freed
        out[2] = (uint64_t)(uintptr_t)(message + 1);
        out[3] = message->len;
        out[4] = (uint64_t)message->stream;
    } else if (what == NOTICE) {
        out[1] = ((struct notice *)message)->word;
    }
    pthread_mutex_unlock(&loop->lock);
    if (what == FORGET || what == NOTICE) free(message);
    return what;
}

// JS has read the arguments of a call.
void host_taken(struct call *call) {
    pthread_mutex_lock(&call->loop->lock);
    call->state = TAKEN;
    pthread_mutex_unlock(&call->loop->lock);
}

// A call is answered, by the functions of its context: its thread goes on.
void host_done(struct call *call) {
    struct loop *loop = call->loop;
    pthread_mutex_lock(&loop->lock);
    bool left = call->left;
    call->state = DONE;
    pthread_cond_broadcast(&loop->changed);
    pthread_mutex_unlock(&loop->lock);
    if (left) free(call);
}

// Has a function of the library called on the thread of a call, which is in the interpreter already; RAN says that it is
// done. False when the thread has stopped waiting.
bool host_run(struct call *call, const void *function, const uint64_t args[MOST_ARGS]) {
    struct loop *loop = call->loop;
    pthread_mutex_lock(&loop->lock);
    bool there = !call->left && call->state == TAKEN;
    if (there) {
        *(const void **)&call->run = function;
        memcpy(call->args_of_run, args, sizeof call->args_of_run);
        pthread_cond_broadcast(&loop->changed);
    }
    pthread_mutex_unlock(&loop->lock);
    return there;
}

// The address of a function of the library.
const void *host_symbol(const char *library, const char *name) {
    void *opened = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    return opened ? dlsym(opened, name) : NULL;
}

// ---- pools

static char *copied(char **room, const char *text) {
    if (!text) return NULL;
    char *copy = *room;
    *room = stpcpy(copy, text) + 1;
    return copy;
}

static size_t room_for(const char *text) {
    return text ? strlen(text) + 1 : 0;
}

// What each new interpreter of a pool is to be given: the userdata of host_prepare() and host_prepared().
struct preparation *host_preparation(
    struct loop *loop, uint64_t id, const struct definition *definitions, size_t count, uint64_t output) {
    size_t texts = 0;
    for (size_t i = 0; i < count; i++) {
        const struct definition *one = &definitions[i];
        texts += room_for(one->name) + room_for(one->options.signature) + room_for(one->options.doc);
    }
    struct preparation *preparation = calloc(1, sizeof *preparation + count * sizeof *definitions + texts);
    if (!preparation) return NULL;
    preparation->function.loop = loop;
    preparation->function.forget.what = FORGET;
    preparation->function.forget.id = id;
    preparation->owners = 1;
    preparation->output = output;
    preparation->count = count;
    char *room = (char *)&preparation->definitions[count];
    for (size_t i = 0; i < count; i++) {
        struct definition *one = &preparation->definitions[i];
        *one = definitions[i];
        one->name = copied(&room, one->name);
        one->options.signature = copied(&room, one->options.signature);
        one->options.doc = copied(&room, one->options.doc);
    }
    return preparation;
}

static struct function *prepared(struct preparation *preparation, uint64_t id, uint64_t interp) {
    struct function *function = host_function(preparation->function.loop, id, interp);
    if (!function) return NULL;
    function->preparation = preparation;
    __atomic_add_fetch(&preparation->owners, 1, __ATOMIC_RELAXED);
    return function;
}

static void complain(int32_t status, void *error) {
    if (status != 0 && error) fprintf(stderr, "subpy: an interpreter of a pool: %s\n", error_message(error, NULL));
    error_free(error);
}

// A subpy_prepare_fn.
void host_prepare(struct preparation *preparation, uint64_t interp) {
    void *error = NULL;
    if (preparation->output) {
        struct function *function = prepared(preparation, preparation->output, interp);
        if (function) complain(set_output(interp, host_output, function, host_finalize, &error), error);
    }
    for (size_t i = 0; i < preparation->count; i++) {
        const struct definition *one = &preparation->definitions[i];
        struct function *function = prepared(preparation, one->id, interp);
        if (!function) continue;
        int32_t status = define_with(
            interp, one->name, strlen(one->name), &one->options, host_call, function, host_finalize, &error);
        complain(status, error);
    }
}

// The subpy_finalize_fn that belongs to it.
void host_prepared(struct preparation *preparation) {
    leave(preparation);
}

// What subpy_define(), subpy_set_output() and subpy_pool_new() take.
const void *host_address(int32_t which) {
    static const void *const addresses[] = {
        (void *)host_call, (void *)host_output, (void *)host_finalize, (void *)host_prepare, (void *)host_prepared,
    };
    return addresses[which];
}
