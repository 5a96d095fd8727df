/* SPDX-License-Identifier: Apache-2.0
 *
 * What people want of a saga: to go on, or to be undone. Each is a record of its stream, appended behind the state that
 * was looked at, so that it cannot meet a saga which has become another one in between. A runner obeys it.
 */
#include "fail.h"
#include "saga_state.h"
#include "stream_ask.h"

#define RACES_MAX 20

struct wish {
    const char *type;
    const char *reason; /* NULL: none */
};

static int refuse(const char *topic, const struct evlog_saga *saga, const struct wish *wish,
                  struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    bool retry = strcmp(wish->type, EL_SAGA_RETRY) == 0;
    (void)el_stream_what(what, topic, saga->id);
    int rc = el_fail(failure, EVLOG_ERR_CONFLICT, "%s: the saga is %s: it cannot be %s", what,
                     evlog_saga_status_name(saga->status), retry ? "retried" : "cancelled");
    el_fail_hint(failure, "%s", retry ? "only a stuck saga is retried" : "only one that runs or is stuck is cancelled");
    return rc;
}

static int append_wish(struct evlog_client *client, const char *topic, const struct evlog_saga *saga,
                       const struct wish *wish, struct evlog_failure *failure)
{
    struct el_saga_record record = {.status = EVLOG_SAGA_RUNNING, .reason = wish->reason};
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct el_buffer text = {0};
    record.correlation = saga->correlation;
    int rc = el_saga_record_write(&text, &record);
    if (rc != 0) {
        el_buffer_free(&text);
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a reason is UTF-8");
    }
    struct evlog_new_event event = {
        .type = wish->type, .content_type = "application/json", .data = {text.data, text.len}};
    append.topic = topic;
    append.key = saga->id;
    append.expected = saga->version;
    append.events = &event;
    append.event_count = 1;
    rc = evlog_append(client, &append, NULL, failure);
    el_buffer_free(&text);
    return rc;
}

static int want(struct evlog_client *client, const char *name, struct evlog_bytes id, const struct wish *wish,
                struct evlog_failure *failure)
{
    char topic[EL_SAGA_TOPIC_ROOM];
    bool retry = strcmp(wish->type, EL_SAGA_RETRY) == 0;
    int rc = EVLOG_ERR_WRONG_VERSION;
    for (int i = 0; rc == EVLOG_ERR_WRONG_VERSION && i < RACES_MAX; i++) {
        struct evlog_saga *saga;
        rc = evlog_saga_load(client, name, id, &saga, failure);
        if (rc != 0) {
            return rc;
        }
        rc = el_saga_topic(topic, name, EVLOG_SAGA_TOPIC_SUFFIX, failure);
        if (rc == 0 && (retry ? !saga->stuck : saga->status != EVLOG_SAGA_RUNNING)) {
            rc = refuse(topic, saga, wish, failure);
        }
        rc = rc == 0 ? append_wish(client, topic, saga, wish, failure) : rc;
        evlog_saga_close(saga);
    }
    return rc;
}

int evlog_saga_retry(struct evlog_client *client, const char *name, struct evlog_bytes id,
                     struct evlog_failure *failure)
{
    struct wish wish = {EL_SAGA_RETRY, NULL};
    return want(client, name, id, &wish, failure);
}

int evlog_saga_cancel(struct evlog_client *client, const char *name, struct evlog_bytes id, const char *reason,
                      struct evlog_failure *failure)
{
    struct wish wish = {EL_SAGA_CANCEL, reason == NULL ? "cancelled" : reason};
    return want(client, name, id, &wish, failure);
}
