/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client has for its callers besides answers: the log, and a descriptor that says when something is due.
 *
 * 1. The internal thread writes lines into a bounded queue; callers take them out inside their own calls.
 * 2. Whatever becomes due notifies the client; then the descriptor, when somebody has asked for it, is made readable.
 * 3. A call that has found everything done makes it unreadable again, under the same lock: nothing due is missed, and
 *    nothing done is announced for ever.
 */
#include "fail.h"
#include "lease_state.h"
#include "producer_state.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOG_MAX 256
#define LINE_LEN_MAX 600

struct el_log_line {
    struct el_list link;
    enum evlog_log_level level;
    char text[]; /* NUL-terminated */
};

/* --- log --------------------------------------------------------------------------------------------------------- */

static void drop_oldest(struct evlog_client *client)
{
    el_free(EL_CONTAINER(el_list_pop_front(&client->log), struct el_log_line, link));
    client->log_count--;
}

void el_client_log(struct evlog_client *client, enum evlog_log_level level, const char *format, ...)
{
    if (client->log_fn == NULL || level > client->log_level_max) {
        return;
    }
    char text[LINE_LEN_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = strlen(text);
    struct el_log_line *line = el_malloc(sizeof *line + len + 1);
    if (line == NULL) {
        client->log_lost_count++;
        return;
    }
    line->level = level;
    memcpy(line->text, text, len + 1);
    if (client->log_count == LOG_MAX) {
        drop_oldest(client);
        client->log_lost_count++;
    }
    el_list_push_back(&client->log, &line->link);
    client->log_count++;
    el_client_notify(client);
}

int el_client_tell_log(struct evlog_client *client)
{
    struct el_list due;
    int told_count = 0;
    el_list_init(&due);
    el_client_lock(client);
    el_list_splice_back(&due, &client->log);
    client->log_count = 0;
    unsigned long long lost_count = client->log_lost_count;
    client->log_lost_count = 0;
    evlog_log_fn fn = client->log_fn;
    void *arg = client->log_arg;
    el_client_unlock(client);
    if (lost_count > 0 && fn != NULL) {
        char text[64];
        (void)snprintf(text, sizeof text, "%llu lines of the log were dropped", lost_count);
        fn(arg, EVLOG_LOG_WARNING, text);
        told_count++;
    }
    for (struct el_list *node = el_list_pop_front(&due); node != NULL; node = el_list_pop_front(&due)) {
        struct el_log_line *line = EL_CONTAINER(node, struct el_log_line, link);
        if (fn != NULL) {
            fn(arg, line->level, line->text);
            told_count++;
        }
        el_free(line);
    }
    return told_count;
}

void evlog_client_set_log(struct evlog_client *client, enum evlog_log_level level_max, evlog_log_fn fn, void *arg)
{
    el_client_lock(client);
    client->log_fn = fn;
    client->log_arg = arg;
    client->log_level_max = level_max;
    while (fn == NULL && client->log_count > 0) {
        drop_oldest(client);
    }
    el_client_unlock(client);
}

/* --- descriptor -------------------------------------------------------------------------------------------------- */

static bool has_due(const struct evlog_client *client)
{
    bool due = client->log_count > 0;
    EL_LIST_EACH(node, &client->producers) {
        due = due || !el_list_empty(&EL_CONTAINER(node, struct evlog_producer, link)->done);
    }
    EL_LIST_EACH(node, &client->subscribers) {
        const struct evlog_subscriber *subscriber = EL_CONTAINER(node, struct evlog_subscriber, link);
        due = due || el_subscriber_has_due(subscriber) || el_consumer_has_answer(&subscriber->engine);
    }
    EL_LIST_EACH(node, &client->groups) {
        due = due || el_group_has_due(EL_CONTAINER(node, struct evlog_group, link));
    }
    return due;
}

void el_client_announce(struct evlog_client *client)
{
    if (client->event_fd < 0 || client->event_sent || !has_due(client)) {
        return;
    }
    uint64_t one = 1;
    client->event_sent = write(client->event_fd, &one, sizeof one) == (ssize_t)sizeof one;
}

void el_client_settle(struct evlog_client *client)
{
    el_client_lock(client);
    if (client->event_sent && !has_due(client)) {
        uint64_t value;
        client->event_sent = read(client->event_fd, &value, sizeof value) != (ssize_t)sizeof value;
    }
    el_client_unlock(client);
}

int evlog_client_fd(struct evlog_client *client)
{
    el_client_lock(client);
    if (client->event_fd < 0) {
        client->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    int fd = client->event_fd;
    if (fd >= 0) {
        el_client_announce(client);
    }
    el_client_unlock(client);
    return fd >= 0 ? fd : EVLOG_ERR_NO_FILES;
}

int evlog_client_poll(struct evlog_client *client, int timeout_ms)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    el_client_lock(client);
    while (timeout_ms != 0 && client->log_count == 0 && !client->stopping) {
        if (!el_client_wait(client, deadline_ns)) {
            break;
        }
    }
    el_client_unlock(client);
    int told_count = el_client_tell_log(client);
    el_client_settle(client);
    return told_count;
}

void el_client_events_destroy(struct evlog_client *client)
{
    while (client->log_count > 0) {
        drop_oldest(client);
    }
    if (client->event_fd >= 0) {
        (void)close(client->event_fd);
    }
}
