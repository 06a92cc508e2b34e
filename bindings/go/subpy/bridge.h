/*
 * What crosses between Go and C with cgo: one block of C memory for each run, filled in by Go before the crossing and read
 * by Go after it. frame.go mirrors the structs, calls_cgo.go checks their layout.
 *
 * Addresses are uintptr_t where cgo would otherwise look through what they point to at each call. Functions of the way
 * that each call takes return nothing, because a result has its price, too.
 */
#ifndef SUBPY_GO_BRIDGE_H
#define SUBPY_GO_BRIDGE_H

#include <dlfcn.h>
#include <stdlib.h>
#include <subpy.h>

/* A run. The arguments and all they point to lie in C memory as well. */
typedef struct {
    const subpy_value *args;
    size_t             nargs;
    subpy_value        kwargs;     /* None when there are none */
    subpy_value        result;     /* of this run; that of the run before is freed first */
    subpy_error       *error;
    uint64_t           out;        /* a handle, or whatever else a function gives */
    size_t             block;      /* how many bytes the result points to */
    subpy_status       status;
    bool               ignore;     /* the result is not wanted, and not converted */
    bool               counted;
    size_t             size, used;
    uintptr_t          more, shared; /* these five are Go's */
} subpy_go_frame;

static inline bool subpy_go_has_block(const subpy_value *value)
{
    return value->kind >= SUBPY_KIND_STR || value->kind == SUBPY_KIND_BIGINT;
}

/* Where a result goes. The one that is there has been read by now, and is freed without a crossing of its own. */
static inline subpy_value *subpy_go_result(subpy_go_frame *frame)
{
    if (subpy_go_has_block(&frame->result))
        subpy_value_free(&frame->result);
    return frame->ignore ? NULL : &frame->result;
}

static inline void subpy_go_done(subpy_go_frame *frame)
{
    frame->block = 0;
    if (frame->result.kind >= SUBPY_KIND_TUPLE)
        subpy_value_block(&frame->result, NULL, &frame->block);
    else if (subpy_go_has_block(&frame->result))
        frame->block = frame->result.len;
}

static inline const subpy_value *subpy_go_kwargs(const subpy_go_frame *frame)
{
    return frame->kwargs.kind == SUBPY_KIND_DICT ? &frame->kwargs : NULL;
}

static inline void subpy_go_call(uintptr_t address, subpy_interp interp, const char *callable, size_t len)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_call(interp, callable, len, frame->args, frame->nargs, subpy_go_kwargs(frame),
                               subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_call_function(uintptr_t address, subpy_function function)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_function_call(function, frame->args, frame->nargs, subpy_go_kwargs(frame),
                                        subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_call_many(uintptr_t address, subpy_function function, size_t count, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_function_call_many(function, frame->args, count, frame->nargs, flags, subpy_go_result(frame),
                                             &frame->error);
    subpy_go_done(frame);
}

/* Go's texts may be NULL when they are empty. A function has none. */
static inline void subpy_go_set_text(subpy_run_request *request, const char *text, size_t len)
{
    if (request->what == SUBPY_RUN_FUNCTION)
        return;
    request->text = len ? text : "";
    request->text_len = len;
}

static inline void subpy_go_run(uintptr_t address, uintptr_t request, const char *source, size_t len)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    subpy_go_set_text((subpy_run_request *)request, source, len);
    frame->status = subpy_run((subpy_run_request *)request, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_start(uintptr_t address, uintptr_t request, const char *callable, size_t len)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    subpy_go_set_text((subpy_run_request *)request, callable, len);
    frame->status = subpy_run_in_thread((subpy_run_request *)request, &frame->out, &frame->error);
}

static inline void subpy_go_join(uintptr_t address, subpy_thread thread)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_thread_join(thread, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

typedef struct {
    const char *text; /* NULL: there is none */
    size_t      len;
} subpy_go_text;

/* All of an error but its frames, read in one crossing. */
typedef struct {
    subpy_go_text message, type, qualname, module, exception, formatted, display;
    const char   *source_line;
    size_t        frames, row;
    subpy_interp  interp;
    uint64_t      tag;
    int32_t       line, column, exit_status, status, signal, exit_code;
    bool          is_exit, is_row;
} subpy_go_error;

static inline void subpy_go_read_error(const subpy_error *error, subpy_go_error *fields)
{
    fields->message.text = subpy_error_message(error, &fields->message.len);
    fields->type.text = subpy_error_type_name(error, &fields->type.len);
    fields->qualname.text = subpy_error_type_qualname(error, &fields->qualname.len);
    fields->module.text = subpy_error_type_module(error, &fields->module.len);
    fields->exception.text = subpy_error_exception_message(error, &fields->exception.len);
    fields->formatted.text = subpy_error_formatted(error, &fields->formatted.len);
    fields->display.text = subpy_error_display(error, &fields->display.len);
    fields->frames = subpy_error_frame_count(error);
    fields->interp = subpy_error_interp(error);
    subpy_error_syntax(error, &fields->line, &fields->column, &fields->source_line);
    fields->is_exit = subpy_error_exit_status(error, &fields->exit_status);
    subpy_error_crash(error, &fields->signal, &fields->exit_code);
    fields->tag = subpy_error_tag(error);
    fields->is_row = subpy_error_row(error, &fields->row);
    fields->status = subpy_error_status(error);
}

static inline void subpy_go_read_frames(const subpy_error *error, subpy_frame *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        subpy_error_frame(error, i, &frames[i]);
}

/* What C calls, and the Go functions that do the work. Their handles are numbers. */

extern bool subpyGoCalled(uintptr_t handle, uintptr_t context, uintptr_t args, size_t nargs, uintptr_t kwargs, uintptr_t result);
extern void subpyGoPrinted(uintptr_t handle, int32_t stream, uintptr_t text, size_t len);
extern void subpyGoFinalized(uintptr_t handle);

/* A result that is no block of memory goes back without a crossing of its own. */
static inline void subpy_go_called(void *handle, subpy_context *context, const subpy_value *args, size_t nargs,
                                   const subpy_value *kwargs)
{
    subpy_value result = {0};
    if (subpyGoCalled((uintptr_t)handle, (uintptr_t)context, (uintptr_t)args, nargs, (uintptr_t)kwargs, (uintptr_t)&result))
        subpy_context_return(context, &result);
}

static inline void subpy_go_printed(void *handle, subpy_interp interp, int32_t stream, const char *text, size_t len)
{
    (void)interp;
    subpyGoPrinted((uintptr_t)handle, stream, (uintptr_t)text, len);
}

static inline void subpy_go_finalized(void *handle)
{
    subpyGoFinalized((uintptr_t)handle);
}

static inline subpy_status subpy_go_define(subpy_interp interp, const char *name, size_t len, uintptr_t options, uintptr_t handle,
                                           subpy_error **error)
{
    return subpy_define_with(interp, name, len, (const subpy_define_options *)options, subpy_go_called, (void *)handle,
                             subpy_go_finalized, error);
}

/* 0 for the handle: back to the file descriptors. */
static inline subpy_status subpy_go_set_output(subpy_interp interp, uintptr_t handle, subpy_error **error)
{
    if (!handle)
        return subpy_set_output(interp, NULL, NULL, NULL, error);
    return subpy_set_output(interp, subpy_go_printed, (void *)handle, subpy_go_finalized, error);
}

static inline uintptr_t subpy_go_output(void)
{
    return (uintptr_t)subpy_go_printed;
}

/* Pools. */

extern bool subpyGoMapped(uintptr_t handle, uintptr_t result, uintptr_t failure);
extern void subpyGoPrepared(uintptr_t handle, subpy_interp interp);

static inline void subpy_go_prepared(void *handle, subpy_interp interp)
{
    subpyGoPrepared((uintptr_t)handle, interp);
}

static inline bool subpy_go_mapped(void *handle, size_t index, subpy_value *result, const subpy_error *failure)
{
    (void)index;
    return subpyGoMapped((uintptr_t)handle, (uintptr_t)result, (uintptr_t)failure);
}

static inline void subpy_go_submit(uintptr_t address, subpy_pool pool, uint64_t submitter, uintptr_t request, const char *text,
                                   size_t len)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    subpy_go_set_text((subpy_run_request *)request, text, len);
    frame->status = subpy_pool_submit_as(pool, submitter, (subpy_run_request *)request, &frame->out, &frame->error);
}

static inline void subpy_go_map(uintptr_t address, subpy_pool pool, uintptr_t request, const char *callable, size_t len,
                                size_t count, size_t chunk, uintptr_t handle)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    subpy_go_set_text((subpy_run_request *)request, callable, len);
    frame->status = subpy_pool_map(pool, (subpy_run_request *)request, frame->args, count, frame->nargs, chunk, subpy_go_mapped,
                                   (void *)handle, &frame->error);
}

static inline subpy_status subpy_go_notify(subpy_thread thread, uintptr_t handle, subpy_error **error)
{
    return subpy_thread_notify(thread, subpy_go_finalized, (void *)handle, error);
}

static inline uintptr_t subpy_go_finalizer(void)
{
    return (uintptr_t)subpy_go_finalized;
}

static inline uintptr_t subpy_go_preparer(void)
{
    return (uintptr_t)subpy_go_prepared;
}

/* Objects: what has a result, in one crossing. */

static inline void subpy_go_attr(uintptr_t address, subpy_object object, const char *name, size_t len, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_attr(object, len ? name : "", len, flags, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_item(uintptr_t address, subpy_object object, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_item(object, frame->args, flags, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_call_object(uintptr_t address, subpy_object object, const char *method, size_t len, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_call(object, len ? method : NULL, len, frame->args, frame->nargs, subpy_go_kwargs(frame), flags,
                                      subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_next(uintptr_t address, subpy_object iterator, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_next(iterator, flags, (bool *)&frame->out, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_object_value(uintptr_t address, subpy_object object, uint32_t flags)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_value(object, flags, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

static inline void subpy_go_object_text(uintptr_t address, subpy_object object)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_object_text(object, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

/* Queues. */

static inline void subpy_go_put(uintptr_t address, subpy_queue queue, int64_t timeout, subpy_cancel cancel)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = cancel ? subpy_queue_put_with(queue, &frame->kwargs, timeout, cancel, &frame->error)
                           : subpy_queue_put(queue, &frame->kwargs, timeout, &frame->error);
}

static inline void subpy_go_get(uintptr_t address, subpy_queue queue)
{
    subpy_go_frame *frame = (subpy_go_frame *)address;
    frame->status = subpy_queue_get(queue, 0, subpy_go_result(frame), &frame->error);
    subpy_go_done(frame);
}

/* The file that the library was loaded from, "" when it cannot be told. */
static inline const char *subpy_go_path(void)
{
    Dl_info info;
    return dladdr((void *)(uintptr_t)subpy_version, &info) && info.dli_fname ? info.dli_fname : "";
}

#endif
