/* SPDX-License-Identifier: Apache-2.0
 *
 * What of each part is not finished, and how old the first of it is; the partitions of its dead letters.
 */
#include <lease/lease_part.h>
#include <obs/lag.h>

static struct el_slice name_of(const struct topic *topic)
{
    return el_slice_of(topic->name, topic->name_len);
}

static void add_part(const struct lease_part *part, const struct topic *topic, struct lag_list *list)
{
    struct leases *ls = lease_part_leases(part);
    bool ready = part->sm.state == PART_READY;
    int64_t start = ready ? lease_start(part->table) : -1;
    struct store_look look;
    if (!ready && !lease_part_stored_start(part, &start)) {
        return; /* it has not begun, or is ending */
    }
    if (!store_look(ls->shard, &part->key.topic_id, part->key.partition, start, &look)) {
        return;
    }
    struct lag_entry entry = {
        .kind = LAG_WORK,
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = start,
        .since_ns = look.append_time_ns,
    };
    if (ready) {
        entry.records = lease_lag(part->table, look.log_start_offset, look.high_watermark);
    } else {
        entry.records = EL_MAX(look.high_watermark - EL_MAX(start, look.log_start_offset), (int64_t)0);
    }
    lag_list_add(list, part->group->id, name_of(topic), &entry);
}

static void add_letters(const struct lease_part *part, const struct topic *source, struct lag_list *list)
{
    struct leases *ls = lease_part_leases(part);
    char name[EL_TOPIC_NAME_MAX + 1];
    group_config_dead_topic(part->group->config, name_of(source), part->group->id, name);
    const struct topic *topic = store_topic_by_name(ls->shard, el_slice_str(name));
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        struct lag_entry entry = {.kind = LAG_LETTERS, .topic_id = topic->id, .partition = i, .records = -1};
        lag_list_add(list, part->group->id, name_of(topic), &entry);
    }
}

static void add_group(const struct lease_group *group, struct lag_list *list)
{
    struct el_uuid last = {.bytes = {0}};
    EL_LIST_EACH(node, &group->parts) {
        const struct lease_part *part = EL_CONTAINER(node, struct lease_part, link);
        const struct topic *topic = store_topic_by_id(group->ls->shard, &part->key.topic_id);
        if (topic == NULL) {
            continue;
        }
        add_part(part, topic, list);
        if (!el_uuid_eq(&last, &part->key.topic_id)) {
            last = part->key.topic_id;
            add_letters(part, topic, list);
        }
    }
}

void leases_lag(struct leases *ls, struct lag_list *list)
{
    OBJ_CHECK(ls, LEASES);
    for (size_t i = 0; i < ls->groups.count; i++) {
        const struct lease_group *group = ls->groups.entries[i].value;
        if (group->exists) {
            add_group(group, list);
        }
    }
}
