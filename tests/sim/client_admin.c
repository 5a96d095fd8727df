/* SPDX-License-Identifier: Apache-2.0
 *
 * Administrators: topics, offsets, trims, cuts, one question at a time.
 */
#include "clients.h"
#include "keyed.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_api_versions.h>
#include <wire/msg_create_partitions.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_delete_records.h>
#include <wire/msg_delete_topics.h>
#include <wire/msg_ext_cut.h>
#include <wire/msg_list_offsets.h>
#include <wire/msg_metadata.h>

#define METADATA_QUIET 4 /* first version of Metadata that can ask without making what is missing */
#define METADATA_IDS 10  /* first version that has topic ids */
#define TOPICS_WANTED 4u

/* The answer has come: NULL when it is lost. */
static const void *take(struct admin_client *a, const void *response)
{
    a->busy = false;
    a->c->answers += response != NULL;
    return response;
}

static void send_ask(struct admin_client *a, enum el_api_key key, const void *body, peer_answer_fn done)
{
    a->busy = true;
    peer_send(&a->peer, key, a->version, body, done, a);
}

static struct model_topic *topic_of(struct admin_client *a)
{
    return &a->c->m->topics[a->topic];
}

/* An error that speaks of the topic or partition asked for. */
static void topic_refused(struct admin_client *a, const char *what, int16_t code)
{
    bool gone = code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID;
    if (!clients_excuse(a->c, code) && !(gone && topic_of(a)->state != TOPIC_THERE)) {
        world_violation(a->c->w, "%s of topic %u failed: %s", what, a->topic, el_kafka_error_name(code));
    }
}

/* --- topics ------------------------------------------------------------------------------------------------------- */

static void on_created(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_create_topics_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->topic_count == 1);
    const struct el_msg_create_topics_topic_result *r = &answer->topics[0];
    struct model_topic *t = topic_of(a);
    if (r->error_code == EL_KAFKA_NONE) {
        /* Before version 7 the id is not told: Metadata will. */
        if (!el_uuid_is_zero(&r->topic_id)) {
            t->state = TOPIC_THERE;
            t->id = r->topic_id;
            t->partition_count = t->partition_asked;
        }
    } else if (!clients_excuse(a->c, r->error_code)) {
        world_violation(a->c->w, "making topic %u failed: %s", a->topic, el_kafka_error_name(r->error_code));
    }
}

static void config_add(struct el_msg_create_topics_config *config, const char *name, const char *value)
{
    el_schema_init(&el_schema_create_topics_config, config);
    config->name = el_slice_str(name);
    config->value = el_slice_str(value);
}

static uint32_t choose_configs(struct model *m, struct model_topic *t, struct el_msg_create_topics_config *configs)
{
    struct world *w = m->w;
    uint32_t count = 0;
    static const char *const words[][2] = {{"segment.bytes", "65536"},
                                           {"retention.bytes", "100000"},
                                           {"evlog.durability", "memory"},
                                           {"message.timestamp.type", "LogAppendTime"}};
    static const uint32_t chances[] = {1000000, 150000, 100000, 250000};
    bool chosen[4];
    for (uint32_t i = 0; i < 4; i++) {
        chosen[i] = world_chance(w, chances[i]);
        if (chosen[i]) {
            config_add(&configs[count++], words[i][0], words[i][1]);
        }
    }
    t->retention = chosen[1];
    t->memory = chosen[2];
    t->stamped = chosen[3];
    if (world_chance(w, 350000)) {
        struct keyed_setting settings[KEYED_SETTINGS_MAX];
        uint32_t more = keyed_configure(m, t, settings);
        for (uint32_t i = 0; i < more; i++) {
            config_add(&configs[count++], settings[i].name, settings[i].value);
        }
    } else if (world_chance(w, 700000)) {
        t->spread = 1u << world_below(w, 6);
    }
    return count;
}

static void create(struct admin_client *a)
{
    struct model *m = a->c->m;
    struct el_msg_create_topics_request request;
    struct el_msg_create_topics_topic topic;
    struct el_msg_create_topics_config configs[4 + KEYED_SETTINGS_MAX];
    if (m->topic_count == MODEL_TOPICS_MAX) {
        return;
    }
    a->topic = m->topic_count++;
    struct model_topic *t = topic_of(a);
    memset(t, 0, sizeof(*t));
    t->small = clients_works_on(a->c, a->topic);
    snprintf(t->name, sizeof(t->name), "topic-%u", m->topic_count);
    t->partition_asked = 1 + (int32_t)world_below(a->c->w, 3);
    t->state = TOPIC_MAYBE;
    el_schema_init(&el_schema_create_topics_request, &request);
    el_schema_init(&el_schema_create_topics_topic, &topic);
    topic.name = el_slice_str(t->name);
    topic.num_partitions = t->partition_asked;
    topic.replication_factor = 1;
    topic.configs = configs;
    topic.config_count = choose_configs(m, t, configs);
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = 30000;
    a->version = peer_version(&a->peer, EL_API_CreateTopics);
    send_ask(a, EL_API_CreateTopics, &request, on_created);
}

static void on_deleted(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_delete_topics_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->response_count == 1);
    if (answer->responses[0].error_code == EL_KAFKA_NONE) {
        topic_of(a)->state = TOPIC_GONE;
    } else {
        topic_refused(a, "deletion", answer->responses[0].error_code);
    }
}

static void delete_topic(struct admin_client *a)
{
    struct el_msg_delete_topics_request request;
    struct el_msg_delete_topics_topic topic;
    struct el_slice name = el_slice_str(topic_of(a)->name);
    el_schema_init(&el_schema_delete_topics_request, &request);
    el_schema_init(&el_schema_delete_topics_topic, &topic);
    a->version = peer_version(&a->peer, EL_API_DeleteTopics);
    topic_of(a)->state = TOPIC_MAYBE_GONE;
    topic.name = name;
    if (a->version >= 6) {
        request.topics = &topic;
        request.topic_count = 1;
    } else {
        request.topic_names = &name;
        request.topic_name_count = 1;
    }
    request.timeout_ms = 30000;
    send_ask(a, EL_API_DeleteTopics, &request, on_deleted);
}

static void on_grown(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_create_partitions_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->result_count == 1);
    int16_t code = answer->results[0].error_code;
    if (code == EL_KAFKA_NONE) {
        topic_of(a)->partition_count = topic_of(a)->partition_asked;
    } else if (code != EL_KAFKA_INVALID_PARTITIONS) { /* the growth before, whose answer was lost */
        topic_refused(a, "growth", code);
    }
}

static void grow(struct admin_client *a)
{
    struct el_msg_create_partitions_request request;
    struct el_msg_create_partitions_topic topic;
    struct model_topic *t = topic_of(a);
    if (t->partition_count >= MODEL_PARTITIONS_MAX) {
        return;
    }
    t->partition_asked = t->partition_count + 1;
    el_schema_init(&el_schema_create_partitions_request, &request);
    el_schema_init(&el_schema_create_partitions_topic, &topic);
    topic.name = el_slice_str(t->name);
    topic.count = t->partition_asked;
    topic.assignments = NULL; /* the broker's choice; empty would be one */
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = 30000;
    a->version = peer_version(&a->peer, EL_API_CreatePartitions);
    send_ask(a, EL_API_CreatePartitions, &request, on_grown);
}

/* --- metadata ----------------------------------------------------------------------------------------------------- */

static uint32_t topic_by_name(const struct model *m, struct el_slice name)
{
    for (uint32_t i = 0; i < m->topic_count; i++) {
        if (el_slice_eq(name, el_slice_str(m->topics[i].name))) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void see_topic(struct admin_client *a, uint32_t index, const struct el_msg_metadata_topic *r)
{
    struct world *w = a->c->w;
    struct model_topic *t = &a->c->m->topics[index];
    bool ids = a->version >= METADATA_IDS;
    if ((a->gone & 1u << index) != 0) {
        world_violation(w, "topic %u was deleted and is shown", index);
    } else if ((a->maybe & 1u << index) != 0 && t->state == TOPIC_MAYBE && ids && r->error_code == 0) {
        t->state = TOPIC_THERE; /* so it was made */
        t->id = r->topic_id;
        t->partition_count = (int32_t)r->partition_count;
    } else if ((a->there & 1u << index) != 0 && t->state == TOPIC_THERE) {
        if (r->error_code != 0 || (int32_t)r->partition_count < a->counts[index] ||
            (int32_t)r->partition_count > t->partition_asked || (ids && !el_uuid_eq(&r->topic_id, &t->id))) {
            world_violation(w, "topic %u is shown with error %d and %u partitions", index, r->error_code,
                            r->partition_count);
        }
    }
}

/* Those that the broker makes itself: its own, and dead letters. */
static bool is_of_broker(struct el_slice name)
{
    return name.len > 4 && (memcmp(name.data, "__", 2) == 0 || memcmp(name.data + name.len - 4, ".dlq", 4) == 0);
}

static void on_metadata(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_metadata_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    uint32_t seen = 0;
    for (uint32_t i = 0; i < answer->topic_count; i++) {
        if (is_of_broker(answer->topics[i].name)) {
            continue;
        }
        uint32_t index = topic_by_name(a->c->m, answer->topics[i].name);
        if (index == UINT32_MAX) {
            world_violation(a->c->w, "Metadata shows a topic that nobody made");
            return;
        }
        seen |= 1u << index;
        see_topic(a, index, &answer->topics[i]);
    }
    for (uint32_t i = 0; i < a->c->m->topic_count; i++) {
        if ((a->there & 1u << i) != 0 && a->c->m->topics[i].state == TOPIC_THERE && (seen & 1u << i) == 0) {
            world_violation(a->c->w, "topic %u is not shown", i);
        }
    }
}

static void metadata(struct admin_client *a)
{
    const struct model *m = a->c->m;
    struct el_msg_metadata_request request;
    el_schema_init(&el_schema_metadata_request, &request);
    a->version = peer_version(&a->peer, EL_API_Metadata);
    request.topics = NULL; /* all */
    request.allow_auto_topic_creation = true;
    a->there = a->gone = a->maybe = 0;
    for (uint32_t i = 0; i < m->topic_count; i++) {
        a->there |= m->topics[i].state == TOPIC_THERE ? 1u << i : 0;
        a->gone |= m->topics[i].state == TOPIC_GONE ? 1u << i : 0;
        a->maybe |= m->topics[i].state == TOPIC_MAYBE ? 1u << i : 0;
        a->counts[i] = m->topics[i].partition_count;
    }
    send_ask(a, EL_API_Metadata, &request, on_metadata);
}

static void on_versions(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_api_versions_response *answer = take(a, response);
    if (answer != NULL && (answer->error_code != 0 || answer->api_key_count != EL_API_COUNT)) {
        world_violation(a->c->w, "ApiVersions lists %u requests with error %d", answer->api_key_count,
                        answer->error_code);
    }
}

static void versions(struct admin_client *a)
{
    struct el_msg_api_versions_request request;
    el_schema_init(&el_schema_api_versions_request, &request);
    a->version = peer_version(&a->peer, EL_API_ApiVersions);
    if (a->version >= 3) {
        request.client_software_name = el_slice_str("evlog-sim");
        request.client_software_version = el_slice_str("1");
    }
    send_ask(a, EL_API_ApiVersions, &request, on_versions);
}

/* --- offsets ------------------------------------------------------------------------------------------------------ */

static void on_offsets(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_list_offsets_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->topic_count == 1);
    EL_ASSERT(answer->topics[0].partition_count == 1);
    const struct el_msg_list_offsets_partition_result *r = &answer->topics[0].partitions[0];
    if (r->error_code != EL_KAFKA_NONE) {
        topic_refused(a, "ListOffsets", r->error_code);
    } else if (a->value == -1) {
        model_see_end(a->c->m, a->topic, a->partition, a->end_before, r->offset);
    } else if (a->value >= 0) {
        model_see_lookup(a->c->m, &a->lookup, r->offset);
        if (r->offset >= 0 && r->timestamp < a->value) {
            world_violation(a->c->w, "a lookup of %lld found time %lld", (long long)a->value, (long long)r->timestamp);
        }
    } else {
        model_see_start(a->c->m, a->topic, a->partition, r->offset);
    }
}

static void list_offsets(struct admin_client *a)
{
    struct el_msg_list_offsets_request request;
    struct el_msg_list_offsets_topic topic;
    struct el_msg_list_offsets_partition partition;
    el_schema_init(&el_schema_list_offsets_request, &request);
    el_schema_init(&el_schema_list_offsets_topic, &topic);
    el_schema_init(&el_schema_list_offsets_partition, &partition);
    a->value = world_chance(a->c->w, 500000) ? -1 : -2;
    if (world_chance(a->c->w, 400000) &&
        model_lookup_choose(a->c->m, a->topic, a->partition, TIME_OF_EVENT, &a->lookup)) {
        a->value = EL_MAX(a->lookup.time, (int64_t)0);
    }
    a->end_before = model_end(a->c->m, a->topic, a->partition);
    partition.partition_index = a->partition;
    partition.timestamp = a->value;
    topic.name = el_slice_str(topic_of(a)->name);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    a->version = peer_version(&a->peer, EL_API_ListOffsets);
    send_ask(a, EL_API_ListOffsets, &request, on_offsets);
}

/* Nothing of it may be cut off. */
static bool keeps_all(const struct model_topic *t)
{
    return t->compacted && !t->retention;
}

static void on_trimmed(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_delete_records_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->topic_count == 1);
    EL_ASSERT(answer->topics[0].partition_count == 1);
    const struct el_msg_delete_records_partition_result *r = &answer->topics[0].partitions[0];
    bool keeps = keeps_all(topic_of(a));
    if (r->error_code != EL_KAFKA_NONE) {
        if (r->error_code != EL_KAFKA_POLICY_VIOLATION || !keeps) {
            topic_refused(a, "DeleteRecords", r->error_code);
        }
        return;
    }
    if (keeps) {
        world_violation(a->c->w, "topic %u, which is only compacted, was trimmed", a->topic);
    }
    struct model_partition *p = &topic_of(a)->partitions[a->partition];
    p->log_start_min = EL_MAX(p->log_start_min, a->value);
    if (r->low_watermark < a->value) {
        world_violation(a->c->w, "a trim to %lld answered %lld", (long long)a->value, (long long)r->low_watermark);
    }
    model_see_start(a->c->m, a->topic, a->partition, r->low_watermark);
}

static void trim(struct admin_client *a)
{
    struct el_msg_delete_records_request request;
    struct el_msg_delete_records_topic topic;
    struct el_msg_delete_records_partition partition;
    struct model_partition *p = &topic_of(a)->partitions[a->partition];
    el_schema_init(&el_schema_delete_records_request, &request);
    el_schema_init(&el_schema_delete_records_topic, &topic);
    el_schema_init(&el_schema_delete_records_partition, &partition);
    a->value = (int64_t)world_below(a->c->w, (uint64_t)p->end_shown + 1);
    p->log_start_max = keeps_all(topic_of(a)) ? p->log_start_max : EL_MAX(p->log_start_max, a->value);
    partition.partition_index = a->partition;
    partition.offset = a->value;
    topic.name = el_slice_str(topic_of(a)->name);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    request.timeout_ms = 30000;
    a->version = peer_version(&a->peer, EL_API_DeleteRecords);
    send_ask(a, EL_API_DeleteRecords, &request, on_trimmed);
}

/* --- cuts --------------------------------------------------------------------------------------------------------- */

static void cut_take(struct model_cut *cut, const struct model *m, const struct el_msg_ext_cut_topic *topic)
{
    uint32_t index = topic_by_name(m, topic->topic);
    if (index == UINT32_MAX || m->topics[index].memory || m->topics[index].state != TOPIC_THERE) {
        return;
    }
    for (uint32_t p = 0; p < topic->partition_count; p++) {
        EL_ASSERT(cut->count < sizeof(cut->results) / sizeof(cut->results[0]));
        cut->results[cut->count++] = (struct cut_result){.topic_id = topic->topic_id,
                                                         .partition = topic->partitions[p].partition,
                                                         .end_offset = topic->partitions[p].end_offset,
                                                         .log_start_offset = topic->partitions[p].log_start};
    }
}

static void on_cut(void *arg, const void *response)
{
    struct admin_client *a = arg;
    const struct el_msg_ext_cut_response *answer = take(a, response);
    if (answer == NULL) {
        return;
    }
    if (answer->error != EL_KAFKA_NONE) {
        if (!clients_excuse(a->c, answer->error)) {
            world_violation(a->c->w, "a cut failed: %s", el_kafka_error_name(answer->error));
        }
        return;
    }
    struct model_cut *cut = calloc(1, sizeof(*cut));
    EL_ASSERT(cut != NULL);
    cut->time_ns = answer->time_ns;
    if (a->value != 0 && (uint64_t)a->value != answer->time_ns) {
        world_violation(a->c->w, "a cut at %lld was made at %llu", (long long)a->value,
                        (unsigned long long)answer->time_ns);
    }
    for (uint32_t i = 0; i < answer->topic_count; i++) {
        cut_take(cut, a->c->m, &answer->topics[i]);
    }
    model_see_cut(a->c->m, cut);
    free(cut);
}

static void cut(struct admin_client *a)
{
    struct model *m = a->c->m;
    struct world *w = a->c->w;
    struct el_msg_ext_cut_request request;
    el_schema_init(&el_schema_ext_cut_request, &request);
    bool again = m->cut_count > 0 && world_chance(w, 500000);
    a->version = 0;
    a->value = 0;
    if (again) {
        a->value = (int64_t)m->cuts[world_below(w, m->cut_count)].time_ns;
    } else if (world_chance(w, 500000)) {
        a->value = (int64_t)el_clock_now(store_clock(w->store));
    }
    request.time_ns = (uint64_t)a->value;
    send_ask(a, EL_API_Cut, &request, on_cut);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static void act_on_topics(struct admin_client *a, uint64_t what)
{
    uint32_t there = 0;
    for (uint32_t i = 0; i < a->c->m->topic_count; i++) {
        there += a->c->m->topics[i].state == TOPIC_THERE;
    }
    if (there < TOPICS_WANTED && what < 60) {
        create(a);
    } else if (what < 63 && topic_of(a)->state == TOPIC_THERE) {
        delete_topic(a);
    } else if (what < 70 && topic_of(a)->state == TOPIC_THERE) {
        grow(a);
    } else {
        metadata(a);
    }
}

void admin_act(struct admin_client *a)
{
    struct world *w = a->c->w;
    if (a->busy || !peer_can_ask(&a->peer)) {
        return;
    }
    uint64_t what = world_below(w, 100);
    uint32_t topic = clients_topic(a->c);
    a->topic = topic == UINT32_MAX ? 0 : topic;
    if (a->makes_topics) {
        act_on_topics(a, topic == UINT32_MAX ? 0 : what);
        return;
    }
    if (topic == UINT32_MAX || what < 5) {
        versions(a);
        return;
    }
    a->partition = (int32_t)world_below(w, (uint64_t)topic_of(a)->partition_count);
    if (what < 10) {
        metadata(a);
    } else if (what < 60) {
        list_offsets(a);
    } else if (what < 70) {
        trim(a);
    } else {
        cut(a);
    }
}
