// Memory that JS and Python share, and what waits for a queue or a pool with no thread of JS waiting.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host.h"

static void (*value_free)(void *value);
static void *(*error_copy)(const void *error);
static void (*error_free)(void *error);
static int32_t (*queue_get)(uint64_t queue, int64_t timeout_ms, void *value, void *error);
static int32_t (*queue_put_with)(uint64_t queue, const void *value, int64_t timeout_ms, uint64_t cancel, void *error);
static int32_t (*queue_keep)(uint64_t queue, uint64_t *own, void *error);
static void (*queue_free)(uint64_t queue);
static int32_t (*buffer_new)(size_t len, uint32_t flags, void *buffer, void *error);
static void (*buffer_free)(void *buffer);

// A subpy_value.
struct value {
    uint64_t words[3];
};

// Looks up the functions of the library, which is open already.
int32_t data_open(const char *library) {
    void *opened = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (!opened) return -1;
    *(void **)&value_free = dlsym(opened, "subpy_value_free");
    *(void **)&error_copy = dlsym(opened, "subpy_error_copy");
    *(void **)&error_free = dlsym(opened, "subpy_error_free");
    *(void **)&queue_get = dlsym(opened, "subpy_queue_get");
    *(void **)&queue_put_with = dlsym(opened, "subpy_queue_put_with");
    *(void **)&queue_keep = dlsym(opened, "subpy_queue_keep");
    *(void **)&queue_free = dlsym(opened, "subpy_queue_free");
    *(void **)&buffer_new = dlsym(opened, "subpy_buffer_new");
    *(void **)&buffer_free = dlsym(opened, "subpy_buffer_free");
    bool values = value_free && error_copy && error_free && buffer_new && buffer_free;
    return values && queue_get && queue_put_with && queue_keep && queue_free ? 0 : -1;
}

// ---- notices

// The userdata of data_notify(): calls a callback of the JS thread.
struct notice *data_notice(struct loop *loop, uint64_t id) {
    struct notice *notice = calloc(1, sizeof *notice);
    if (!notice) return NULL;
    notice->message.what = NOTICE;
    notice->message.id = id;
    notice->loop = loop;
    return notice;
}

// A subpy_notify_fn.
void data_notify(struct notice *notice) {
    if (!host_push(notice->loop, &notice->message)) free(notice);
}

const void *data_address(void) {
    return (void *)data_notify;
}

// A thread that takes no signals, and that nobody waits for.
static bool start(void *(*run)(void *), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    bool started = pthread_create(&thread, NULL, run, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) pthread_detach(thread);
    return started;
}

// ---- descriptors

// A descriptor that somebody waits for, until it can be read from.
struct watch {
    struct watch *next;
    uint64_t key;
    int fd;
    struct notice *notice;
};

static pthread_mutex_t watches_lock = PTHREAD_MUTEX_INITIALIZER;
static struct watch *watches;
static uint64_t last_key;
static int watched = -1; // an epoll

// With the lock. Takes a watch out of the list.
static struct watch *unlink_watch(uint64_t key) {
    for (struct watch **at = &watches; *at; at = &(*at)->next) {
        struct watch *watch = *at;
        if (watch->key != key) continue;
        *at = watch->next;
        epoll_ctl(watched, EPOLL_CTL_DEL, watch->fd, NULL);
        close(watch->fd);
        return watch;
    }
    return NULL;
}

// The one thread that looks after the descriptors of all JS threads.
static void *look(void *unused) {
    (void)unused;
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(watched, &event, 1, -1) < 1) continue;
        pthread_mutex_lock(&watches_lock);
        struct watch *watch = unlink_watch(event.data.u64);
        pthread_mutex_unlock(&watches_lock);
        if (!watch) continue;
        data_notify(watch->notice);
        free(watch);
    }
    return NULL;
}

// Calls a callback of the JS thread, once, when a descriptor can be read from. Returns the key of that; 0 when there is no
// memory, descriptor or thread for it.
uint64_t data_watch(struct loop *loop, uint64_t id, int32_t fd) {
    struct watch *watch = calloc(1, sizeof *watch);
    struct notice *notice = data_notice(loop, id);
    // One's own, so that the number stays good: whoever gives up the queue gives up the watch as well.
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    uint64_t key = 0;
    pthread_mutex_lock(&watches_lock);
    if (watched < 0) {
        watched = epoll_create1(EPOLL_CLOEXEC);
        if (watched >= 0 && !start(look, NULL)) {
            close(watched);
            watched = -1;
        }
    }
    if (watch && notice && own >= 0 && watched >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = last_key + 1};
        if (epoll_ctl(watched, EPOLL_CTL_ADD, own, &event) == 0) {
            key = ++last_key;
            *watch = (struct watch){.next = watches, .key = key, .fd = own, .notice = notice};
            watches = watch;
        }
    }
    pthread_mutex_unlock(&watches_lock);
    if (key != 0) return key;
    if (own >= 0) close(own);
    free(notice);
    free(watch);
    return 0;
}

// Nobody waits any more. The callback may have been called, or be about to be.
void data_unwatch(uint64_t key) {
    pthread_mutex_lock(&watches_lock);
    struct watch *watch = unlink_watch(key);
    pthread_mutex_unlock(&watches_lock);
    if (!watch) return;
    free(watch->notice);
    free(watch);
}

// ---- a queue that is full

struct putting {
    uint64_t queue, from, cancel;
    int64_t timeout;
    struct notice *notice;
};

static void *put(void *argument) {
    struct putting *putting = argument;
    struct value value = {{0}};
    int32_t status = queue_get(putting->from, 0, &value, NULL);
    if (status == 0) status = queue_put_with(putting->queue, &value, putting->timeout, putting->cancel, NULL);
    value_free(&value);
    queue_free(putting->queue);
    queue_free(putting->from);
    putting->notice->word = (uint64_t)(int64_t)status;
    data_notify(putting->notice);
    free(putting);
    return NULL;
}

// Has the one item of `from` put into a queue on a thread of its own, and a callback called with the status. Nothing of JS
// is needed meanwhile. False when it cannot be.
bool data_put(struct loop *loop, uint64_t id, uint64_t queue, uint64_t from, int64_t timeout, uint64_t cancel) {
    struct putting *putting = calloc(1, sizeof *putting);
    struct notice *notice = data_notice(loop, id);
    if (putting && notice && queue_keep(queue, &putting->queue, NULL) == 0 && queue_keep(from, &putting->from, NULL) == 0) {
        putting->cancel = cancel;
        putting->timeout = timeout;
        putting->notice = notice;
        if (start(put, putting)) return true;
    }
    if (putting) {
        queue_free(putting->queue);
        queue_free(putting->from);
    }
    free(putting);
    free(notice);
    return false;
}

// ---- what becomes of the rows of a map

// As in an arena of JS: a result, or an error.
struct outcome {
    struct value result;
    void *error;
};

struct outcomes {
    size_t count;
    bool all; // go on after an error
    struct outcome rows[];
};

struct outcomes *data_outcomes(size_t count, bool all) {
    struct outcomes *outcomes = calloc(1, sizeof *outcomes + count * sizeof *outcomes->rows);
    if (!outcomes) return NULL;
    outcomes->count = count;
    outcomes->all = all;
    return outcomes;
}

// A subpy_map_fn.
bool data_mapped(struct outcomes *outcomes, size_t index, struct value *result, const void *error) {
    if (error) {
        outcomes->rows[index].error = error_copy(error);
        return outcomes->all;
    }
    outcomes->rows[index].result = *result;
    memset(result, 0, sizeof *result);
    return true;
}

const void *data_mapped_address(void) {
    return (void *)data_mapped;
}

// Takes one of them out.
void data_take(struct outcomes *outcomes, size_t index, struct outcome *taken) {
    *taken = outcomes->rows[index];
    memset(&outcomes->rows[index], 0, sizeof *taken);
}

void data_forget(struct outcomes *outcomes) {
    for (size_t i = 0; i < outcomes->count; i++) {
        value_free(&outcomes->rows[i].result);
        error_free(outcomes->rows[i].error);
    }
    free(outcomes);
}

// ---- memory

// Keeps memory, until nobody has it: a result's, or its own, which lies behind it, or is shared with processes.
struct pin {
    size_t owners;
    struct value result; // none: all zero
    void *shared;        // NULL: none; a subpy_buffer
    size_t reserved;     // so that what lies behind is aligned for all
};

// Takes a result over. NULL when there is no memory: the result stays the caller's.
struct pin *data_pin(struct value *result) {
    struct pin *pin = calloc(1, sizeof *pin);
    if (!pin) return NULL;
    pin->owners = 1;
    if (result) {
        pin->result = *result;
        memset(result, 0, sizeof *result);
    }
    return pin;
}

// Memory of its own, all zero, behind the pin.
struct pin *data_allocate(size_t size, void **data) {
    struct pin *pin = size > SIZE_MAX - sizeof *pin ? NULL : calloc(1, sizeof *pin + size);
    if (!pin) return NULL;
    pin->owners = 1;
    *data = pin + 1;
    return pin;
}

// A subpy_buffer.
struct buffer {
    size_t size;
    void *data;
    size_t words[8];
};

// Memory that processes see, too, all zero.
struct pin *data_share(size_t size, void **data) {
    struct pin *pin = calloc(1, sizeof *pin + sizeof(struct buffer));
    if (!pin) return NULL;
    struct buffer *buffer = (struct buffer *)(pin + 1);
    if (buffer_new(size, 1, buffer, NULL) != 0) {
        free(pin);
        return NULL;
    }
    pin->owners = 1;
    pin->shared = buffer;
    *data = buffer->data;
    return pin;
}

void data_hold(struct pin *pin) {
    __atomic_add_fetch(&pin->owners, 1, __ATOMIC_RELAXED);
}

// A subpy_finalize_fn, too.
void data_drop(struct pin *pin) {
    if (__atomic_sub_fetch(&pin->owners, 1, __ATOMIC_ACQ_REL) != 0) return;
    value_free(&pin->result);
    if (pin->shared) buffer_free(pin->shared);
    free(pin);
}

const void *data_drop_address(void) {
    return (void *)data_drop;
}

// ---- Node-API: an ArrayBuffer over memory of somebody else, which koffi has no way to give up again. Node exports these.

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef void (*napi_finalize)(napi_env env, void *data, void *hint);
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_int64(napi_env, napi_value, int64_t *);
int napi_create_external_arraybuffer(napi_env, void *, size_t, napi_finalize, void *, napi_value *);
int napi_detach_arraybuffer(napi_env, napi_value);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

static void end_view(napi_env env, void *data, void *hint) {
    (void)env;
    (void)data;
    data_drop(hint);
}

// view(pin, address, size): an ArrayBuffer that keeps the pin; undefined when that cannot be.
static napi_value view(napi_env env, napi_callback_info info) {
    size_t count = 3;
    napi_value args[3], made = NULL;
    int64_t pin, address, size;
    if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != 0 || count != 3) return NULL;
    if (napi_get_value_int64(env, args[0], &pin) != 0 || napi_get_value_int64(env, args[1], &address) != 0) return NULL;
    if (napi_get_value_int64(env, args[2], &size) != 0) return NULL;
    struct pin *kept = (struct pin *)(uintptr_t)pin;
    data_hold(kept);
    void *data = (void *)(uintptr_t)address;
    if (napi_create_external_arraybuffer(env, data, (size_t)size, end_view, kept, &made) == 0) return made;
    data_drop(kept);
    return NULL;
}

// detach(buffer): its memory is not its own any more. What reads it finds nothing.
static napi_value detach(napi_env env, napi_callback_info info) {
    size_t count = 1;
    napi_value buffer;
    if (napi_get_cb_info(env, info, &count, &buffer, NULL, NULL) == 0) napi_detach_arraybuffer(env, buffer);
    return NULL;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
    napi_value function;
    if (napi_create_function(env, "view", SIZE_MAX, view, NULL, &function) == 0) {
        napi_set_named_property(env, exports, "view", function);
    }
    if (napi_create_function(env, "detach", SIZE_MAX, detach, NULL, &function) == 0) {
        napi_set_named_property(env, exports, "detach", function);
    }
    return exports;
}
