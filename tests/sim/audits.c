/* SPDX-License-Identifier: Apache-2.0 */
#include "audits.h"

#include <api/audit_call.h>
#include <audit/audit_show.h>
#include <core/assert.h>
#include <core/json.h>
#include <stdlib.h>

#define READ_LEN 60000u
#define CLIENT "sim-"

struct acked {
    uint32_t client;
    int32_t correlation_id;
    const char *api;
    bool asked, done; /* found in the log */
};

struct audits {
    struct model *m;
    struct acked *acked; /* [count] */
    uint32_t count, room;
    bool topic_asked[MODEL_TOPICS_MAX];
    bool stopped; /* a read failed for a fault that was made: no verdict */
};

struct audits *audits_create(struct model *m)
{
    struct audits *audits = calloc(1, sizeof(*audits));
    EL_ASSERT(audits != NULL);
    audits->m = m;
    return audits;
}

void audits_free(struct audits *audits)
{
    free(audits->acked);
    free(audits);
}

void audits_answer(struct audits *audits, uint32_t client, int32_t correlation_id, const struct el_api *api,
                   int version, const void *response)
{
    const struct api_audit_rule *rule = api_audit_rule_at((uint32_t)(api - el_api_at(0)));
    struct audit_outcome outcome;
    if (rule->kind != API_AUDIT_CHANGE || rule->when != NULL) {
        return;
    }
    audit_show_answer(NULL, api->schema[EL_SIDE_RESPONSE], version, response, &outcome);
    if (outcome.failed > 0 || outcome.count == 0) {
        return; /* perhaps because it could not be recorded; it asked for nothing, and there was no place to say so */
    }
    if (audits->count == audits->room) {
        audits->room = EL_MAX(2 * audits->room, 64u);
        audits->acked = realloc(audits->acked, audits->room * sizeof(*audits->acked));
        EL_ASSERT(audits->acked != NULL);
    }
    audits->acked[audits->count++] = (struct acked){
        .client = client, .correlation_id = correlation_id, .api = api->name};
}

/* --- the log ------------------------------------------------------------------------------------------------------ */

static void see_topics(struct audits *audits, const struct el_json *json, const char *api)
{
    const struct el_json *parameters = el_json_get(json, "parameters");
    const struct el_json *topics = el_json_get(parameters, "topics");
    bool makes = strcmp(api, "CreateTopics") == 0 || strcmp(api, "Metadata") == 0;
    for (size_t i = 0; makes && topics != NULL && i < el_json_count(topics); i++) {
        const char *name;
        if (el_json_get_text(el_json_at(topics, i), "name", &name, NULL) != 0) {
            continue;
        }
        for (uint32_t t = 0; t < audits->m->topic_count; t++) {
            audits->topic_asked[t] = audits->topic_asked[t] || strcmp(audits->m->topics[t].name, name) == 0;
        }
    }
}

static void see_record(struct audits *audits, struct el_slice value)
{
    struct el_json *json;
    const char *phase, *api, *client;
    int64_t correlation_id;
    if (el_json_parse(value.data, value.len, 16, &json, NULL) != 0) {
        world_violation(audits->m->w, "a record of the audit log is no JSON: %.*s", (int)value.len,
                        (const char *)value.data);
        return;
    }
    if (el_json_get_text(json, "phase", &phase, NULL) == 0 && el_json_get_text(json, "api", &api, NULL) == 0 &&
        el_json_get_text(json, "client_id", &client, NULL) == 0 &&
        el_json_get_int(json, "correlation_id", &correlation_id, NULL) == 0 &&
        strncmp(client, CLIENT, strlen(CLIENT)) == 0) {
        uint32_t number = (uint32_t)strtoul(client + strlen(CLIENT), NULL, 10);
        bool asked = strcmp(phase, "asked") == 0;
        for (uint32_t i = 0; i < audits->count; i++) {
            struct acked *a = &audits->acked[i];
            if (a->client == number && a->correlation_id == correlation_id && strcmp(a->api, api) == 0) {
                a->asked = a->asked || asked;
                a->done = a->done || !asked;
            }
        }
        see_topics(audits, json, api);
    }
    el_json_free(json);
}

static int64_t see_batch(struct audits *audits, const uint8_t *batch, uint32_t len)
{
    struct el_batch_info info;
    struct el_reader r;
    int code = el_batch_check(batch, len, EL_BATCH_LEN_MAX, NULL, 0, &info);
    EL_ASSERT(code == 0);
    el_reader_init(&r, batch + EL_BATCH_HEADER_LEN, len - EL_BATCH_HEADER_LEN);
    for (uint32_t i = 0; i < (uint32_t)info.record_count; i++) {
        struct el_record record;
        code = el_record_next(&r, &record);
        EL_ASSERT(code == 0);
        see_record(audits, record.value);
    }
    return info.base_offset + (int64_t)info.last_offset_delta + 1;
}

/* One read from *next on. returns false at the end, or when there is no more to be said */
static bool read_on(struct audits *audits, const struct el_uuid *id, int64_t *next)
{
    struct world *w = audits->m->w;
    bool done = false;
    struct read_op op = {.base = {.done = model_on_flag, .arg = &done}};
    op.topic_id = *id;
    op.offset = *next;
    op.max_bytes = READ_LEN;
    op.at_least_one = true;
    op.want_entries = true;
    op.current_leader_epoch = op.last_fetched_epoch = -1;
    store_read(store_shard_at(w->store, 0), &op);
    if (!world_wait(w, &done)) {
        audits->stopped = true;
        return false;
    }
    if (op.base.error != 0) {
        audits->stopped = true;
        if (!world_read_is_damage(w, op.base.error) && !world_read_may_fail(w, op.base.error) && !w->lying) {
            world_violation(w, "the audit log cannot be read at %lld: %s", (long long)*next,
                            evlog_error_text(op.base.error));
        }
        return false;
    }
    for (uint32_t i = 0; i < op.entry_count && w->violation[0] == 0; i++) {
        *next = see_batch(audits, op.data + op.entries[i].pos, op.entries[i].len);
    }
    bool more = op.entry_count > 0 && *next < op.high_watermark;
    store_read_release(&op);
    return more && w->violation[0] == 0;
}

static void compare(struct audits *audits)
{
    struct model *m = audits->m;
    for (uint32_t i = 0; i < audits->count; i++) {
        const struct acked *a = &audits->acked[i];
        if (!a->asked || !a->done) {
            world_violation(m->w, "client %u got its answer to %s (%d), and the audit log has not %s", a->client,
                            a->api, a->correlation_id, a->asked ? "its outcome" : "that it was asked for");
            return;
        }
    }
    for (uint32_t t = 0; t < m->topic_count; t++) {
        struct el_slice name = el_slice_str(m->topics[t].name);
        if (store_topic_by_name(store_shard_at(m->w->store, 0), name) != NULL && !audits->topic_asked[t]) {
            world_violation(m->w, "topic %u is there, and the audit log has nobody who asked for it", t);
            return;
        }
    }
    m->w->events[EVENT_AUDITED] += audits->count;
}

void audits_check(struct audits *audits)
{
    struct world *w = audits->m->w;
    const struct topic *topic = store_topic_by_name(store_shard_at(w->store, 0), el_slice_str(AUDIT_TOPIC));
    if (w->lying) {
        return; /* what was durable may be gone */
    }
    for (uint32_t i = 0; i < audits->count; i++) {
        audits->acked[i].asked = audits->acked[i].done = false;
    }
    audits->stopped = false;
    memset(audits->topic_asked, 0, sizeof(audits->topic_asked));
    if (topic != NULL) {
        struct el_uuid id = topic->id;
        int64_t next = 0;
        while (read_on(audits, &id, &next)) {
        }
    }
    if (!audits->stopped && w->violation[0] == 0) {
        compare(audits);
    }
}
