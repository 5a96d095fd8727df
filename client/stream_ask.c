/* SPDX-License-Identifier: Apache-2.0
 *
 * One request about a stream, from the topic's metadata to an answer that counts.
 *
 * 1. The topic is looked up; it is never made by this.
 * 2. The leader of the partition is asked. Where the key decides on the partition, the leader of the first one is: it
 *    knows the topic's partitioner, and sends the request on.
 * 3. A leader that has moved, a busy broker and a lost connection lead back to 1, with backoff, until the deadline.
 *
 * Appends carry an id for each event, so that trying again does no harm: what was stored by a try whose answer was lost
 * is a duplicate for the next one. When the time is over without an answer, the append is in doubt.
 */
#include "stream_ask.h"
#include "fail.h"
#include "group_ask.h"

#include <core/utf8.h>
#include <stdio.h>
#include <wire/error_code.h>

static int no_streams(struct evlog_failure *failure, const char *topic)
{
    (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED, "topic %.250s: this broker has no streams", topic);
    el_fail_hint(failure, "only evlog has them; any broker takes 'evlog produce -k KEY' and replay");
    return EVLOG_ERR_UNSUPPORTED;
}

/* One try. returns 0 an answer, whatever it says | a failure */
static int try_once(struct evlog_client *client, const struct el_stream_ask *ask, int64_t deadline_ns,
                    struct el_call *call, void *response, struct evlog_failure *failure)
{
    struct el_topic_ask topic = {.name = ask->topic, .deadline_ns = deadline_ns};
    int32_t count;
    int rc = el_cluster_topic(client, &topic, &count, failure);
    if (rc != 0) {
        return rc;
    }
    if (ask->partition >= count) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s has partitions 0 to %d, not %d", ask->topic,
                       count - 1, ask->partition);
    }
    el_client_lock(client);
    int32_t leader = el_cluster_leader(client, ask->topic, EL_MAX(ask->partition, 0));
    el_client_unlock(client);
    struct el_ask of = {
        .api = ask->api,
        .request = ask->request,
        .version_max = INT16_MAX,
        .node_id = leader < 0 ? EL_NODE_ANY : leader,
        .deadline_ns = deadline_ns,
        .once = true,
    };
    return el_client_ask(client, &of, call, response, failure);
}

/* An answer that may be another one after a while. A topic that is unknown was known a moment ago: once more. */
static bool may_mend(int kafka_code)
{
    return el_kafka_error_retriable(kafka_code) && kafka_code != EL_KAFKA_UNKNOWN_TOPIC_ID;
}

static bool worth_another_try(int code)
{
    return code == EVLOG_ERR_CLOSED || code == EVLOG_ERR_UNREACHABLE || code == EVLOG_ERR_TIMED_OUT;
}

static int refused(struct evlog_client *client, const struct el_stream_ask *ask, int kafka_code,
                   struct evlog_failure *why)
{
    char what[300];
    (void)snprintf(what, sizeof what, "topic %.250s", ask->topic);
    int rc = el_fail_kafka(why, kafka_code, el_slice_of(NULL, 0), what);
    el_fail_right(why,
                  ask->api == EL_API_StreamAppend   ? "write topic"
                  : ask->api == EL_API_StreamDelete ? "delete topic"
                                                    : "read topic",
                  ask->topic);
    why->in_doubt = ask->appends && kafka_code == EL_KAFKA_REQUEST_TIMED_OUT; /* it may still be stored */
    if (kafka_code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION) {
        el_cluster_forget(client, ask->topic);
    } else {
        el_client_lock(client);
        el_cluster_suspect(client);
        el_client_unlock(client);
    }
    return rc;
}

int el_stream_ask(struct evlog_client *client, const struct el_stream_ask *ask, struct el_call *call, void *response,
                  struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(ask->appends ? client->cfg.delivery_timeout_ms : client->cfg.request_timeout_ms);
    bool in_doubt = false;
    for (uint32_t tries = 1;; tries++) {
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        int rc = try_once(client, ask, deadline_ns, call, response, &why);
        int kafka_code = rc == 0 ? ask->code_of(response) : 0;
        if (rc == 0 && !may_mend(kafka_code)) {
            return 0;
        }
        if (rc == 0) {
            el_call_free(call);
            (void)refused(client, ask, kafka_code, &why);
        } else if (rc == EVLOG_ERR_UNSUPPORTED) {
            return no_streams(failure, ask->topic);
        } else if (!worth_another_try(rc)) {
            return el_fail_copy(failure, &why);
        }
        in_doubt = in_doubt || why.in_doubt;
        if (!el_pause_before_retry(client, tries, deadline_ns)) {
            if (ask->appends && in_doubt) {
                (void)el_fail(failure, EVLOG_ERR_IN_DOUBT, "topic %s: the append was sent, and no answer came: %.300s",
                              ask->topic, why.text);
                el_fail_hint(failure, "append again with the same ids: what is stored already is not stored "
                                      "twice");
                return EVLOG_ERR_IN_DOUBT;
            }
            why.in_doubt = false;
            return el_fail_copy(failure, &why);
        }
    }
}

int el_stream_check_name(const char *topic, struct evlog_bytes key, struct evlog_failure *failure)
{
    if (topic == NULL || topic[0] == '\0' || key.data == NULL || key.len == 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a stream needs a topic and a key");
    }
    if (key.len > EVLOG_STREAM_KEY_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "topic %.250s: a key has at most %d bytes, not %zu", topic,
                       EVLOG_STREAM_KEY_MAX, key.len);
    }
    return 0;
}

const char *el_stream_what(char *what, const char *topic, struct evlog_bytes key)
{
    char name[101];
    const unsigned char *bytes = key.data;
    size_t len = EL_MIN(key.len, sizeof name - 1);
    while (len > 0 && len < key.len && (bytes[len] & 0xc0) == 0x80) {
        len--; /* not within a character */
    }
    bool is_text = el_utf8_valid(bytes, len);
    for (size_t i = 0; i < len; i++) {
        bool shown = bytes[i] >= ' ' && bytes[i] != 0x7f && (is_text || bytes[i] < 0x80);
        name[i] = shown ? (char)bytes[i] : '?';
    }
    name[len] = '\0';
    (void)snprintf(what, EL_STREAM_WHAT_LEN, "stream %s%s of topic %.250s", name, key.len > len ? "..." : "", topic);
    return what;
}
