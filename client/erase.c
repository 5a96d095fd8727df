/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog_erase(): a subject's key goes, and a log is told.
 *
 * 1. The broker is there, has the topic that is told, and lets this client append to it: else nothing is destroyed.
 * 2. The key store destroys the key, and remembers that no log has been told yet.
 * 3. An event that names the pseudonym is appended. Its id is made of the pseudonym, so that the same append again,
 *    after a crash or a lost answer, is a duplicate.
 * 4. The key store forgets the subject.
 *
 * In this order, since the other one could tell of an erasure that never happened.
 */
#include "client_core.h"
#include "fail.h"

#include <core/acl.h>
#include <core/timefmt.h>
#include <evlog/admin.h>
#include <evlog/seal.h>
#include <evlog/stream.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wire/error_code.h>
#include <wire/msg_metadata.h>

#define NS_PER_MS 1000000

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* May the key be destroyed now? */
static int may_destroy(const struct evlog_key_record *record, bool now, struct evlog_failure *failure)
{
    char time[40];
    if (now || record->state == EVLOG_KEY_DESTROYED) {
        return 0;
    }
    if (record->state == EVLOG_KEY_LIVE) {
        return el_fail(failure, EVLOG_ERR_CONFLICT, "the subject's key %s is live: disable it first", record->id);
    }
    if (record->until_ms > now_ms()) {
        el_time_format(time, record->until_ms * NS_PER_MS, 3);
        return el_fail(failure, EVLOG_ERR_CONFLICT, "the subject's key %s is disabled, and can be restored until %s",
                       record->id, time);
    }
    return 0;
}

static int make_topic(struct evlog_client *client, const char *name, struct evlog_failure *failure)
{
    static const struct evlog_setting settings[] = {{"evlog.streams", "true"}};
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = name;
    options.partition_count = 1;
    options.settings = settings;
    options.setting_count = sizeof settings / sizeof settings[0];
    int rc = evlog_topic_create(client, &options, failure);
    return rc == EVLOG_ERR_TOPIC_EXISTS ? 0 : rc;
}

/* Does the broker say that this client may append to the topic? One that does not tell rights is believed. */
static int ask_right(struct evlog_client *client, const char *topic, struct evlog_failure *failure)
{
    struct el_msg_metadata_request request;
    struct el_msg_metadata_request_topic named;
    struct el_msg_metadata_response response;
    struct el_call call;
    el_schema_init(&el_schema_metadata_request, &request);
    el_schema_init(&el_schema_metadata_request_topic, &named);
    named.name = el_slice_str(topic);
    request.topics = &named;
    request.topic_count = 1;
    request.allow_auto_topic_creation = false;
    request.include_topic_authorized_operations = true;
    struct el_ask ask = {
        .api = EL_API_Metadata,
        .request = &request,
        .version_max = EL_METADATA_VERSION_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int rc = el_client_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    int code = response.topic_count == 1 ? response.topics[0].error_code : EL_KAFKA_UNKNOWN_SERVER_ERROR;
    uint32_t operations = response.topic_count == 1 ? (uint32_t)response.topics[0].topic_authorized_operations : 0;
    if (code == 0 && operations != (uint32_t)INT32_MIN && (operations & 1u << EL_ACL_OP_WRITE) == 0) {
        code = EL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    }
    el_call_free(&call);
    if (code == 0) {
        return 0;
    }
    rc = el_fail_kafka(failure, code, (struct el_slice){0}, topic);
    el_fail_right(failure, "write topic", topic);
    return rc;
}

/* Nothing is destroyed that could not be told of. */
static int may_tell(struct evlog_client *client, const struct evlog_erase *erase, struct evlog_failure *failure)
{
    const char *topic = erase->topic == NULL ? EVLOG_ERASURES_TOPIC : erase->topic;
    int rc = ask_right(client, topic, failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC && erase->topic == NULL) {
        rc = make_topic(client, topic, failure);
        rc = rc == 0 ? ask_right(client, topic, failure) : rc;
    }
    if (rc != 0) {
        el_fail_wrap(failure, "nothing was destroyed, for the erasure could not be told of");
    }
    return rc;
}

static int tell(struct evlog_client *client, const struct evlog_erase *erase, const struct evlog_key_record *record,
                struct evlog_appended *appended, struct evlog_failure *failure)
{
    char id[64], data[160], time[40];
    const char *topic = erase->topic == NULL ? EVLOG_ERASURES_TOPIC : erase->topic;
    el_time_format(time, record->changed_ms * NS_PER_MS, 3);
    (void)snprintf(id, sizeof id, "erased-%s", record->id);
    (void)snprintf(data, sizeof data, "{\"subject\":\"%s\",\"erased_at\":\"%s\"}", record->id, time);
    struct evlog_new_event event = {
        .id = id,
        .type = EVLOG_ERASED_TYPE,
        .content_type = "application/json",
        .timestamp_ms = record->changed_ms,
        .data = {data, strlen(data)},
    };
    struct evlog_append append = EVLOG_APPEND_INIT;
    append.topic = topic;
    append.key = (struct evlog_bytes){record->id, strlen(record->id)};
    append.events = &event;
    append.event_count = 1;
    int rc = evlog_append(client, &append, appended, failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC && erase->topic == NULL) {
        rc = make_topic(client, topic, failure);
        rc = rc == 0 ? evlog_append(client, &append, appended, failure) : rc;
    }
    if (rc != 0) {
        el_fail_wrap(failure, "the key %s is destroyed, but topic %s could not be told", record->id, topic);
        el_fail_hint(failure, "erase the same subject again: what is missing is appended, once");
    }
    return rc;
}

int evlog_erase(struct evlog_client *client, struct evlog_key_store *keys, const struct evlog_erase *erase,
                struct evlog_erased *erased, struct evlog_failure *failure)
{
    struct evlog_erase full = EVLOG_ERASE_INIT;
    struct evlog_key_record record;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    if (!EL_OPTIONS_TAKE(&full, erase) || client == NULL || keys == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "erasing takes a client, a key store and EVLOG_ERASE_INIT");
    }
    int rc = keys->calls->look(keys, full.subject, &record, failure);
    rc = rc == 0 ? may_destroy(&record, full.now, failure) : rc;
    rc = rc == 0 ? may_tell(client, &full, failure) : rc;
    rc = rc == 0 ? keys->calls->destroy(keys, full.subject, &record, failure) : rc;
    rc = rc == 0 ? tell(client, &full, &record, &appended, failure) : rc;
    rc = rc == 0 ? keys->calls->told(keys, full.subject, failure) : rc;
    if (rc == 0 && erased != NULL) {
        struct evlog_erased out = {.size = erased->size};
        memcpy(out.subject, record.id, sizeof out.subject);
        out.erased_ms = record.changed_ms;
        out.partition = appended.partition;
        out.offset = appended.offset;
        memcpy(erased, &out, EL_MIN(erased->size, sizeof out));
    }
    return rc;
}
