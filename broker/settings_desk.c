/* SPDX-License-Identifier: Apache-2.0
 *
 * The main thread's: shards only post, and go on.
 *
 *   1. what an earlier change left in doubt is taken back
 *   2. the file is read, edited, and checked against the whole configuration
 *   3. it is replaced: from then on the change is durable, and may be put in force and answered
 *
 * A change that cannot be kept is refused, and then must not come with the next start either. When the file was
 * replaced and the sync of the folder failed, nobody knows which of the two a crash would leave, so the old text is put
 * in its place once more. If that fails as well the answer is EVLOG_ERR_IN_DOUBT, and nothing else is changed before it
 * has been taken back.
 */
#include <settings_desk.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <io/disk_file.h>

#include <unistd.h>

#define FILE_TMP CONFIG_REQUEST_FILE ".new"

void settings_desk_init(struct settings_desk *desk, int wake_fd)
{
    *desk = (struct settings_desk){.wake_fd = wake_fd};
    el_queue_init(&desk->queue);
}

void settings_desk_free(struct settings_desk *desk)
{
    el_buffer_free(&desk->before);
    desk->doubtful = false;
}

void settings_desk_post(void *arg, struct broker_settings_op *op)
{
    struct settings_desk *desk = arg;
    uint64_t one = 1;
    op->err = (struct el_error){.code = 0};
    (void)el_queue_push(&desk->queue, &op->node);
    if (desk->wake_fd >= 0) {
        ssize_t n = write(desk->wake_fd, &one, sizeof one);
        EL_ASSERT(n == sizeof one);
    }
}

struct broker_settings_op *settings_desk_take(struct settings_desk *desk)
{
    struct el_qnode *node = el_queue_pop(&desk->queue);
    return node == NULL ? NULL : EL_CONTAINER(node, struct broker_settings_op, node);
}

static void on_back(struct io_message *message)
{
    struct broker_settings_op *op = EL_CONTAINER(message, struct broker_settings_op, message);
    op->done(op);
}

void settings_desk_answer(struct broker_settings_op *op)
{
    op->message.run = on_back;
    io_post(op->origin, &op->message);
}

void settings_desk_close(struct settings_desk *desk)
{
    for (struct broker_settings_op *op = settings_desk_take(desk); op != NULL; op = settings_desk_take(desk)) {
        el_error_set(&op->err, EVLOG_ERR_CLOSED, "evlogd is stopping");
        settings_desk_answer(op);
    }
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static int say(struct el_error *err, int code)
{
    return el_error_set(err, code, CONFIG_REQUEST_FILE ": %s", evlog_error_text(code));
}

int settings_desk_read(struct disk *disk, struct el_buffer *text, struct el_error *err)
{
    size_t len = 0;
    uint8_t *bytes = el_malloc(CONFIG_FILE_MAX + 1);
    int code = EVLOG_ERR_NO_MEMORY;
    if (bytes != NULL) {
        code = disk_file_read(disk, CONFIG_REQUEST_FILE, bytes, CONFIG_FILE_MAX + 1, &len);
        code = code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    if (code == 0 && len > CONFIG_FILE_MAX) {
        code = EVLOG_ERR_LIMIT;
    }
    if (code == 0) {
        el_buffer_append(text, bytes, len);
        code = text->err;
    }
    el_free(bytes);
    return code == 0 ? 0 : say(err, code);
}

static int write_text(struct disk *disk, const struct el_buffer *text, struct el_error *err)
{
    static const struct disk_file file = {"", CONFIG_REQUEST_FILE, FILE_TMP, 0};
    struct el_slice bytes = el_buffer_slice(text);
    int code = disk_file_replace(disk, &file, bytes.data, bytes.len);
    return code == 0 ? 0 : say(err, code);
}

int settings_desk_settle(struct settings_desk *desk, struct disk *disk, struct el_error *err)
{
    if (!desk->doubtful) {
        return 0;
    }
    int error = write_text(disk, &desk->before, err);
    if (error == 0) {
        el_log(EL_LOG_INFO, "server", CONFIG_REQUEST_FILE ": what could not be kept is taken back");
        settings_desk_free(desk);
    }
    return error;
}

/* The change could not be kept: the text before it, and nothing else, must be there after a crash. `why` says what went
 * wrong, and afterwards what the answer is; before is empty then, or as it was. */
static int take_back(struct settings_desk *desk, struct disk *disk, struct el_buffer *before, struct el_error *why)
{
    struct el_buffer now = {.err = 0};
    struct el_error again = {.code = 0};
    bool same = settings_desk_read(disk, &now, &again) == 0 &&
                el_slice_eq(el_buffer_slice(&now), el_buffer_slice(before));
    el_buffer_free(&now);
    if (same || write_text(disk, before, &again) == 0) {
        return why->code;
    }
    el_log(EL_LOG_ERROR, "server", "%s: a change of settings is not in force, and may be after the next start",
           why->text);
    EL_ASSERT(!desk->doubtful); /* what is kept of another change would be lost */
    desk->before = *before;
    desk->doubtful = true;
    *before = (struct el_buffer){.err = 0};
    return el_error_set(why, EVLOG_ERR_IN_DOUBT,
                        CONFIG_REQUEST_FILE ": %s: the change is not in force, and may be after the next start",
                        evlog_error_text(again.code));
}

static int check(const struct config_sources *from, struct el_slice text, struct el_error *err)
{
    struct config *fresh = el_malloc(sizeof *fresh);
    if (fresh == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for settings");
    }
    int error = config_load_requested(fresh, from, &text, err);
    el_free(fresh);
    return error;
}

void settings_desk_note(struct broker_settings_op *op, const struct config *cfg)
{
    for (uint32_t i = 0; op->before != NULL && i < op->change_count; i++) {
        (void)config_request_value(cfg, op->changes[i].name, op->before[i], sizeof op->before[i]);
    }
}

int settings_desk_keep(struct settings_desk *desk, struct disk *disk, const struct config_sources *from,
                       struct broker_settings_op *op, struct el_buffer *kept)
{
    struct el_buffer before = {.err = 0};
    int error = settings_desk_settle(desk, disk, &op->err);
    if (error == 0) {
        error = settings_desk_read(disk, &before, &op->err);
    }
    if (error == 0) {
        error = config_request_edit(el_buffer_slice(&before), op->changes, op->change_count, kept, &op->err);
    }
    if (error == 0) {
        error = check(from, el_buffer_slice(kept), &op->err);
    }
    if (error == 0 && !op->validate_only) {
        error = write_text(disk, kept, &op->err);
        error = error == 0 ? 0 : take_back(desk, disk, &before, &op->err);
    }
    el_buffer_free(&before);
    return error;
}
