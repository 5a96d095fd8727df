/* SPDX-License-Identifier: Apache-2.0 */
#include <group/group_state.h>
#include <obs/lag.h>

static void add_offset(const struct group *group, const struct group_offset *offset, struct lag_list *list)
{
    const struct topic *topic = store_topic_by_id(group->gs->shard, &offset->key.topic_id);
    if (!offset->committed || topic == NULL) {
        return;
    }
    struct lag_entry entry = {
        .kind = LAG_CONSUMER,
        .topic_id = offset->key.topic_id,
        .partition = offset->key.partition,
        .offset = offset->offset,
        .records = -1,
    };
    lag_list_add(list, group->id, el_slice_of(topic->name, topic->name_len), &entry);
}

void groups_lag(struct groups *gs, struct lag_list *list)
{
    OBJ_CHECK(gs, GROUPS);
    for (size_t i = 0; i < gs->by_id.count; i++) {
        const struct group *group = gs->by_id.entries[i].value;
        EL_LIST_EACH(node, &group->offsets) {
            add_offset(group, EL_CONTAINER(node, struct group_offset, link), list);
        }
    }
}
