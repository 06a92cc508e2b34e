// What host.c and data.c share: the messages to a JS thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL = 1, RAN, TEXT, FORGET, NOTICE };

struct message {
    struct message *next;
    int32_t what;
    int32_t stream; // of TEXT
    uint64_t id;    // of the function, the output or the callback
    size_t len;     // of TEXT, which lies behind this
};

// Calls a callback of the JS thread, once, with a number.
struct notice {
    struct message message;
    struct loop *loop;
    uint64_t word;
};

// Gives a message to a JS thread. False when that is gone: the message stays the caller's.
bool host_push(struct loop *loop, struct message *message);
