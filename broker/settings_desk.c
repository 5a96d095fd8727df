/* SPDX-License-Identifier: Apache-2.0 */
#include <settings_desk.h>

#include <core/alloc.h>
#include <core/assert.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM (CONFIG_PATH_MAX + 32)

void settings_desk_init(struct settings_desk *desk, int wake_fd)
{
    el_queue_init(&desk->queue);
    desk->wake_fd = wake_fd;
}

void settings_desk_post(void *arg, struct broker_settings_op *op)
{
    struct settings_desk *desk = arg;
    uint64_t one = 1;
    op->err = (struct el_error){.code = 0};
    (void)el_queue_push(&desk->queue, &op->node);
    ssize_t n = write(desk->wake_fd, &one, sizeof one);
    EL_ASSERT(n == sizeof one);
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

static int say(struct el_error *err, const char *path)
{
    return el_error_set(err, EVLOG_ERR_IO, "%s: %s", path, strerror(errno));
}

/* Its text; empty when there is none. */
static int read_text(const char *path, struct el_buffer *text, struct el_error *err)
{
    char some[4096];
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : say(err, path);
    }
    while (text->len <= CONFIG_FILE_MAX && (n = read(fd, some, sizeof some)) > 0) {
        el_buffer_append(text, some, (size_t)n);
    }
    int error = n < 0 ? say(err, path) : 0;
    (void)close(fd);
    return error != 0 || text->err == 0 ? error : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for settings");
}

static bool write_synced(int fd, struct el_slice text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);
        if (n <= 0) {
            return false;
        }
        text = el_slice_of(text.data + n, text.len - (size_t)n);
    }
    return fsync(fd) == 0;
}

static int write_text(const char *dir, struct el_slice text, struct el_error *err)
{
    char path[PATH_ROOM], beside[PATH_ROOM + 4];
    (void)snprintf(path, sizeof path, "%s/" CONFIG_REQUEST_FILE, dir);
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write_synced(fd, text);
    int error = done ? 0 : say(err, beside);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (error == 0 && rename(beside, path) != 0) {
        error = say(err, path);
    }
    int folder = error == 0 ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (error == 0 && (folder < 0 || fsync(folder) != 0)) {
        error = say(err, dir);
    }
    if (folder >= 0) {
        (void)close(folder);
    }
    return error;
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

int settings_desk_keep(const char *dir, const struct config_sources *from, struct broker_settings_op *op)
{
    char path[PATH_ROOM];
    struct el_buffer before = {.err = 0}, after = {.err = 0};
    (void)snprintf(path, sizeof path, "%s/" CONFIG_REQUEST_FILE, dir);
    int error = read_text(path, &before, &op->err);
    if (error == 0) {
        error = config_request_edit(el_buffer_slice(&before), op->changes, op->change_count, &after, &op->err);
    }
    if (error == 0) {
        error = check(from, el_buffer_slice(&after), &op->err);
    }
    if (error == 0 && !op->validate_only) {
        error = write_text(dir, el_buffer_slice(&after), &op->err);
    }
    el_buffer_free(&before);
    el_buffer_free(&after);
    return error;
}
