/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups as a shard knows them. One is made by what control tells, or by a record of one of its parts that is read
 * before that; what control does not know by then is left over of a group that ended, and ends here too.
 */
#include <lease/lease_part.h>

#include <core/logger.h>

struct lease_group *lease_group_find(struct leases *ls, struct el_slice id)
{
    return el_map_get(&ls->groups, id.data, id.len);
}

struct lease_group *lease_group_get(struct leases *ls, struct el_slice id)
{
    struct lease_group *group = lease_group_find(ls, id);
    if (group != NULL) {
        return group;
    }
    EL_ASSERT(id.len > 0);
    EL_ASSERT(id.len <= LEASE_GROUP_ID_LEN_MAX);
    group = lease_alloc(ls, sizeof *group);
    if (group == NULL || !lease_copy(ls, id, &group->id)) {
        lease_free(ls, group);
        return NULL;
    }
    group->magic = LEASE_GROUP_MAGIC;
    group->ls = ls;
    group->number = ++ls->group_number;
    el_list_init(&group->parts);
    if (el_map_put(&ls->groups, group->id.data, group->id.len, group) != 0) {
        lease_drop(ls, &group->id);
        lease_free(ls, group);
        return NULL;
    }
    return group;
}

static void group_destroy(struct lease_group *group)
{
    struct leases *ls = group->ls;
    OBJ_CHECK(group, LEASE_GROUP);
    while (!el_list_empty(&group->parts)) {
        lease_part_destroy(EL_CONTAINER(group->parts.next, struct lease_part, link));
    }
    EL_ASSERT(group->part_count == 0);
    el_map_remove(&ls->groups, group->id.data, group->id.len);
    lease_free(ls, group->config);
    lease_drop(ls, &group->id);
    group->magic = 0;
    lease_free(ls, group);
}

/* --- parts as they are read --------------------------------------------------------------------------------------- */

struct lease_part *lease_part_find(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition)
{
    struct lease_part_key key = {.group_number = group->number, .topic_id = *topic_id, .partition = partition};
    return el_map_get(&group->ls->parts, &key, sizeof key);
}

struct lease_part *lease_part_create(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition)
{
    struct leases *ls = group->ls;
    struct lease_part *part = lease_alloc(ls, sizeof *part);
    if (part == NULL) {
        return NULL;
    }
    part->magic = LEASE_PART_MAGIC;
    part->group = group;
    part->key = (struct lease_part_key){.group_number = group->number, .topic_id = *topic_id, .partition = partition};
    el_list_init(&part->stored);
    if (el_map_put(&ls->parts, &part->key, sizeof part->key, part) != 0) {
        lease_free(ls, part);
        return NULL;
    }
    el_list_push_back(&group->parts, &part->link);
    group->part_count++;
    return part;
}

static void stored_free(struct lease_stored *stored)
{
    struct leases *ls = stored->part->group->ls;
    if (ls->state == LEASES_LOADING) {
        el_map_remove(&ls->restoring, stored->key.data, stored->key.len);
    }
    el_list_remove(&stored->link);
    lease_drop(ls, &stored->key);
    lease_drop(ls, &stored->value);
    lease_free(ls, stored);
}

void lease_part_forget_stored(struct lease_part *part)
{
    while (!el_list_empty(&part->stored)) {
        stored_free(EL_CONTAINER(part->stored.next, struct lease_stored, link));
    }
}

void lease_part_destroy(struct lease_part *part)
{
    struct leases *ls = part->group->ls;
    OBJ_CHECK(part, LEASE_PART);
    lease_part_forget_stored(part);
    el_map_remove(&ls->parts, &part->key, sizeof part->key);
    el_list_remove(&part->link);
    part->group->part_count--;
    part->magic = 0;
    lease_free(ls, part);
}

/* The part that a record is of; NULL without memory. */
static struct lease_part *part_of(struct leases *ls, const struct lease_record_key *key)
{
    struct lease_group *group = lease_group_get(ls, key->group_id);
    if (group == NULL) {
        return NULL;
    }
    struct lease_part *part = lease_part_find(group, &key->topic_id, key->partition);
    return part != NULL ? part : lease_part_create(group, &key->topic_id, key->partition);
}

static int stored_add(struct leases *ls, const struct lease_record_key *key, struct el_slice raw, struct el_slice value)
{
    struct lease_part *part = part_of(ls, key);
    struct lease_stored *stored = part == NULL ? NULL : lease_alloc(ls, sizeof *stored);
    if (stored == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    stored->part = part;
    stored->kind = key->kind;
    if (!lease_copy(ls, raw, &stored->key) || !lease_copy(ls, value, &stored->value) ||
        el_map_put(&ls->restoring, stored->key.data, stored->key.len, stored) != 0) {
        lease_drop(ls, &stored->key);
        lease_drop(ls, &stored->value);
        lease_free(ls, stored);
        return EVLOG_ERR_NO_MEMORY;
    }
    el_list_push_back(&part->stored, &stored->link);
    return 0;
}

int lease_part_restore(struct leases *ls, const struct lease_record_key *key, struct el_slice raw,
                       struct el_slice value)
{
    struct lease_stored *stored = el_map_get(&ls->restoring, raw.data, raw.len);
    EL_ASSERT(ls->state == LEASES_LOADING);
    if (value.data == NULL) {
        if (stored != NULL) {
            stored_free(stored);
        }
        return 0;
    }
    if (stored == NULL) {
        return stored_add(ls, key, raw, value);
    }
    struct el_slice copy;
    if (!lease_copy(ls, value, &copy)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    lease_drop(ls, &stored->value);
    stored->value = copy;
    return 0;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void lease_groups_init(struct leases *ls)
{
    el_map_init(&ls->groups, ls->buddy);
    el_map_init(&ls->parts, ls->buddy);
    el_map_init(&ls->restoring, ls->buddy);
}

void lease_groups_destroy(struct leases *ls)
{
    while (ls->groups.count > 0) {
        group_destroy(ls->groups.entries[ls->groups.count - 1].value);
    }
    EL_ASSERT(ls->parts.count == 0);
    el_map_destroy(&ls->groups);
    el_map_destroy(&ls->parts);
    el_map_destroy(&ls->restoring);
}

void lease_groups_start(struct leases *ls)
{
    (void)ls;
}

void lease_groups_stop(struct leases *ls)
{
    (void)ls;
}

/* Parts without a record of their own are nothing: the end of one was cut short. */
void lease_groups_loaded(struct leases *ls)
{
    el_map_destroy(&ls->restoring);
}

void lease_groups_known(struct leases *ls)
{
    ls->known = true;
}
