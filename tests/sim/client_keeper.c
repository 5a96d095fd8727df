/* SPDX-License-Identifier: Apache-2.0
 *
 * Keepers of groups: they commit in the group that never has members, look at the commits of any, and delete: commits
 * of a topic by OffsetDelete, groups by DeleteGroups.
 */
#include "clients.h"

#include <core/assert.h>
#include <wire/error_code.h>
#include <wire/msg_delete_groups.h>
#include <wire/msg_offset_delete.h>

#define LONELY (GROUP_MODELS - 1)

static bool is_unsure(int16_t code)
{
    return code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE || code == EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static void on_offsets(void *owner, bool told, int16_t code)
{
    struct keeper_client *k = owner;
    k->busy = false;
    k->c->answers += told;
    if (told && code != EL_KAFKA_NONE && !is_unsure(code)) {
        world_violation(k->c->w, "group %u: a keeper was told %s", k->offsets.group, el_kafka_error_name(code));
    }
}

static void commit(struct keeper_client *k)
{
    struct offsets_who nobody = {.generation = -1, .id = el_slice_str("")};
    k->offsets = (struct offsets_ask){.c = k->c, .peer = &k->peer, .owner = k, .done = on_offsets, .group = LONELY};
    k->busy = offsets_commit(&k->offsets, &nobody);
}

static void look(struct keeper_client *k)
{
    k->offsets = (struct offsets_ask){.c = k->c, .peer = &k->peer, .owner = k, .done = on_offsets, .group = k->group};
    k->busy = offsets_fetch(&k->offsets);
}

/* --- OffsetDelete ------------------------------------------------------------------------------------------------- */

/* What a code says of the commit that was to go. */
static enum commit_fate fate_of(struct keeper_client *k, int16_t code)
{
    bool crowded = k->group != LONELY;
    bool there = k->topic == UINT32_MAX || k->c->m->topics[k->topic].state == TOPIC_THERE;
    switch (code) {
    case EL_KAFKA_NONE:
        return COMMIT_ACKED;
    case EL_KAFKA_GROUP_ID_NOT_FOUND:
        return COMMIT_REFUSED; /* there was nothing to do: see_nothing() */
    case EL_KAFKA_COORDINATOR_NOT_AVAILABLE:
    case EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
        return COMMIT_LOST;
    case EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION:
    case EL_KAFKA_UNKNOWN_TOPIC_ID:
        if (!there) {
            return COMMIT_REFUSED;
        }
        break;
    case EL_KAFKA_NON_EMPTY_GROUP:
    case EL_KAFKA_GROUP_SUBSCRIBED_TO_TOPIC:
        if (crowded) {
            return COMMIT_REFUSED;
        }
        break;
    default:
        break;
    }
    world_violation(k->c->w, "group %u: a deletion failed: %s", k->group, el_kafka_error_name(code));
    return COMMIT_REFUSED;
}

/* What became of the commits of a topic. A group that is not found has none: is that right? */
static void see_end(struct keeper_client *k, uint32_t topic, enum commit_fate fate, int16_t code)
{
    struct group_slot *slot = group_slot(k->c, k->group, topic);
    group_model_deleted(k->c->w, slot, k->before[topic], fate);
    if (code == EL_KAFKA_GROUP_ID_NOT_FOUND && k->c->m->topics[topic].state == TOPIC_THERE) {
        group_model_fetched(k->c->w, k->c->rules, slot, 0, k->before[topic]);
    }
}

static void on_offset_deleted(void *arg, const void *response)
{
    struct keeper_client *k = arg;
    const struct el_msg_offset_delete_response *answer = response;
    const struct group_slot *slot = group_slot(k->c, k->group, k->topic);
    enum commit_fate fate = COMMIT_LOST;
    int16_t code = EL_KAFKA_NONE;
    k->busy = false;
    if (answer != NULL) {
        k->c->answers++;
        code = answer->error_code;
        if (code == EL_KAFKA_NONE) {
            EL_ASSERT(answer->topic_count == 1);
            EL_ASSERT(answer->topics[0].partition_count == 1);
            code = answer->topics[0].partitions[0].error_code;
        }
        fate = fate_of(k, code);
        k->c->w->events[EVENT_COMMIT_DELETED] += code == EL_KAFKA_NONE && k->before[k->topic].acked > slot->gone;
    }
    see_end(k, k->topic, fate, code);
}

static void offset_delete(struct keeper_client *k)
{
    struct el_msg_offset_delete_request request;
    struct el_msg_offset_delete_topic topic;
    struct el_msg_offset_delete_partition partition;
    k->topic = clients_topic(k->c);
    if (k->topic == UINT32_MAX) {
        return;
    }
    struct group_slot *slot = group_slot(k->c, k->group, k->topic);
    el_schema_init(&el_schema_offset_delete_request, &request);
    el_schema_init(&el_schema_offset_delete_topic, &topic);
    el_schema_init(&el_schema_offset_delete_partition, &partition);
    request.group_id = group_name(k->group);
    partition.partition_index = 0;
    topic.name = el_slice_str(k->c->m->topics[k->topic].name);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.topics = &topic;
    request.topic_count = 1;
    k->before[k->topic] = group_slot_before(k->c->w, slot);
    group_model_delete(slot);
    k->busy = true;
    peer_send(&k->peer, EL_API_OffsetDelete, peer_version(&k->peer, EL_API_OffsetDelete), &request, on_offset_deleted,
              k);
}

/* --- DeleteGroups ------------------------------------------------------------------------------------------------- */

static void on_group_deleted(void *arg, const void *response)
{
    struct keeper_client *k = arg;
    const struct el_msg_delete_groups_response *answer = response;
    enum commit_fate fate = COMMIT_LOST;
    int16_t code = EL_KAFKA_NONE;
    k->busy = false;
    if (answer != NULL) {
        k->c->answers++;
        EL_ASSERT(answer->result_count == 1);
        code = answer->results[0].error_code;
        fate = fate_of(k, code);
        k->c->w->events[EVENT_GROUP_DELETED] += code == EL_KAFKA_NONE;
    }
    for (uint32_t i = 0; i < MODEL_TOPICS_MAX; i++) {
        see_end(k, i, fate, code);
    }
}

static void group_delete(struct keeper_client *k)
{
    struct el_msg_delete_groups_request request;
    struct el_slice name = group_name(k->group);
    k->topic = UINT32_MAX; /* all of them */
    el_schema_init(&el_schema_delete_groups_request, &request);
    request.groups_names = &name;
    request.groups_name_count = 1;
    for (uint32_t i = 0; i < MODEL_TOPICS_MAX; i++) {
        k->before[i] = group_slot_before(k->c->w, group_slot(k->c, k->group, i));
        group_model_delete(group_slot(k->c, k->group, i));
    }
    k->busy = true;
    peer_send(&k->peer, EL_API_DeleteGroups, peer_version(&k->peer, EL_API_DeleteGroups), &request, on_group_deleted,
              k);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void keeper_act(struct keeper_client *k)
{
    struct world *w = k->c->w;
    if (k->busy || !peer_can_ask(&k->peer)) {
        return;
    }
    k->group = (uint32_t)world_below(w, GROUP_MODELS);
    uint64_t what = world_below(w, 100);
    if (what < 40) {
        commit(k);
    } else if (what < 75) {
        look(k);
    } else if (what < 87) {
        offset_delete(k);
    } else if (k->c->groups_end) {
        group_delete(k);
    }
}
