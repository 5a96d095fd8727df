/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about the commits of a group: OffsetCommit and OffsetFetch, of partition 0 of a topic.
 */
#include "clients.h"

#include <core/assert.h>
#include <wire/error_code.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_offset_fetch.h>

#define COMMIT_INSTANCE 7 /* first versions that know instance ids, several groups, topic ids */
#define COMMIT_IDS 10
#define FETCH_GROUPS 8
#define FETCH_IDS 10
#define NOTE_LEN 4u
#define LONG_NOTE_LEN_MAX 60u

struct el_slice group_name(uint32_t group)
{
    static const char *const names[GROUP_MODELS] = {"sim-a", "sim-b", "sim-c"};
    return el_slice_str(names[group]);
}

struct group_slot *group_slot(struct clients *c, uint32_t group, uint32_t topic)
{
    return &c->groups[group].slots[topic];
}

static struct group_slot *slot_of(const struct offsets_ask *ask)
{
    return group_slot(ask->c, ask->group, ask->topic);
}

static bool is_gone(const struct offsets_ask *ask, int16_t code)
{
    return (code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID) &&
           ask->c->m->topics[ask->topic].state != TOPIC_THERE;
}

/* --- commit ------------------------------------------------------------------------------------------------------- */

/* Was the text judged by the limit? */
static bool see_note(const struct offsets_ask *ask, int16_t code)
{
    struct world *w = ask->c->w;
    bool refused = code == EL_KAFKA_OFFSET_METADATA_TOO_LARGE;
    int64_t least = rule_least(ask->c->rules, RULE_NOTE_LEN, ask->reading);
    int64_t most = rule_most(ask->c->rules, RULE_NOTE_LEN, ask->reading);
    if (refused && ask->note_len <= least) {
        world_violation(w, "a commit with a text of %u was refused, %lld may be", ask->note_len, (long long)least);
    } else if (code == EL_KAFKA_NONE && ask->note_len > most) {
        world_violation(w, "a commit with a text of %u was taken, %lld may be", ask->note_len, (long long)most);
    }
    w->events[EVENT_LIMIT_REFUSED] += refused;
    return refused;
}

static void on_committed(void *arg, const void *response)
{
    struct offsets_ask *ask = arg;
    const struct el_msg_offset_commit_response *answer = response;
    if (response == NULL) {
        group_model_committed(ask->c->w, slot_of(ask), ask->value, COMMIT_LOST);
        ask->done(ask->owner, false, 0);
        return;
    }
    EL_ASSERT(answer->topic_count == 1);
    EL_ASSERT(answer->topics[0].partition_count == 1);
    int16_t code = answer->topics[0].partitions[0].error_code;
    bool unsure = code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    group_model_committed(ask->c->w, slot_of(ask), ask->value,
                          code == EL_KAFKA_NONE ? COMMIT_ACKED
                          : unsure              ? COMMIT_LOST
                                                : COMMIT_REFUSED);
    bool said = !see_note(ask, code) && !is_gone(ask, code);
    ask->done(ask->owner, said, code);
}

bool offsets_commit(struct offsets_ask *ask, const struct offsets_who *who)
{
    static const char note[LONG_NOTE_LEN_MAX + 1] = "012345678901234567890123456789012345678901234567890123456789";
    struct clients *c = ask->c;
    struct el_msg_offset_commit_request request;
    struct el_msg_offset_commit_topic topic;
    struct el_msg_offset_commit_partition partition;
    ask->topic = clients_topic(c);
    ask->value = ask->topic == UINT32_MAX ? 0 : group_model_commit(c->w, c->rules, slot_of(ask));
    if (ask->value == 0) {
        return false;
    }
    int version = peer_version(ask->peer, EL_API_OffsetCommit);
    if (who->instance.data != NULL) {
        version = EL_MAX(version, COMMIT_INSTANCE);
    }
    const struct model_topic *t = &c->m->topics[ask->topic];
    ask->reading = c->rules->done;
    ask->note_len = world_chance(c->w, 100000) ? (uint32_t)world_below(c->w, LONG_NOTE_LEN_MAX) : NOTE_LEN;
    el_schema_init(&el_schema_offset_commit_request, &request);
    el_schema_init(&el_schema_offset_commit_topic, &topic);
    el_schema_init(&el_schema_offset_commit_partition, &partition);
    request.group_id = group_name(ask->group);
    request.generation_id_or_member_epoch = who->generation;
    request.member_id = who->id;
    request.group_instance_id = who->instance;
    topic.name = el_slice_str(version < COMMIT_IDS ? t->name : "");
    topic.topic_id = version < COMMIT_IDS ? (struct el_uuid){{0}} : t->id;
    partition.committed_offset = ask->value;
    partition.committed_metadata = el_slice_of(note, ask->note_len);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    peer_send(ask->peer, EL_API_OffsetCommit, version, &request, on_committed, ask);
    return true;
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

static void see_offset(struct offsets_ask *ask, int64_t offset, int16_t code)
{
    struct clients *c = ask->c;
    if (code == EL_KAFKA_NONE && (offset >= 0 || c->m->topics[ask->topic].state == TOPIC_THERE)) {
        group_model_fetched(c->w, c->rules, slot_of(ask), offset < 0 ? 0 : (uint32_t)offset, ask->before);
    }
    ask->done(ask->owner, !is_gone(ask, code), code);
}

static void on_fetched(void *arg, const void *response)
{
    struct offsets_ask *ask = arg;
    const struct el_msg_offset_fetch_response *answer = response;
    if (response == NULL) {
        ask->done(ask->owner, false, 0);
    } else if (ask->version < FETCH_GROUPS && answer->topic_count == 0) {
        ask->done(ask->owner, true, answer->error_code);
    } else if (ask->version < FETCH_GROUPS) {
        const struct el_msg_offset_fetch_partition_result *r = &answer->topics[0].partitions[0];
        see_offset(ask, r->committed_offset, r->error_code);
    } else if (answer->groups[0].topic_count == 0) {
        ask->done(ask->owner, true, answer->groups[0].error_code);
    } else {
        const struct el_msg_offset_fetch_group_partition_result *r = &answer->groups[0].topics[0].partitions[0];
        see_offset(ask, r->committed_offset, r->error_code);
    }
}

bool offsets_fetch(struct offsets_ask *ask)
{
    static int32_t zero[1];
    struct el_msg_offset_fetch_request request;
    struct el_msg_offset_fetch_topic topic;
    struct el_msg_offset_fetch_group group;
    struct el_msg_offset_fetch_group_topic group_topic;
    ask->topic = clients_topic(ask->c);
    if (ask->topic == UINT32_MAX) {
        return false;
    }
    const struct model_topic *t = &ask->c->m->topics[ask->topic];
    ask->version = peer_version(ask->peer, EL_API_OffsetFetch);
    el_schema_init(&el_schema_offset_fetch_request, &request);
    el_schema_init(&el_schema_offset_fetch_topic, &topic);
    el_schema_init(&el_schema_offset_fetch_group, &group);
    el_schema_init(&el_schema_offset_fetch_group_topic, &group_topic);
    if (ask->version < FETCH_GROUPS) {
        request.group_id = group_name(ask->group);
        topic.name = el_slice_str(t->name);
        topic.partition_indexes = zero;
        topic.partition_index_count = 1;
        request.topics = &topic;
        request.topic_count = 1;
    } else {
        group.group_id = group_name(ask->group);
        group_topic.name = el_slice_str(ask->version < FETCH_IDS ? t->name : "");
        group_topic.topic_id = ask->version < FETCH_IDS ? (struct el_uuid){{0}} : t->id;
        group_topic.partition_indexes = zero;
        group_topic.partition_index_count = 1;
        group.topics = &group_topic;
        group.topic_count = 1;
        request.groups = &group;
        request.group_count = 1;
    }
    ask->before = group_slot_before(ask->c->w, slot_of(ask));
    peer_send(ask->peer, EL_API_OffsetFetch, ask->version, &request, on_fetched, ask);
    return true;
}
