/* SPDX-License-Identifier: Apache-2.0
 *
 * Parked keys of a part. The table knows hashes only; here are the bytes.
 */
#include <lease/lease_part.h>

struct lease_parked *lease_parked_find(const struct lease_part *part, struct el_slice key)
{
    struct lease_parked *parked = el_map_get(&part->parked, key.data, key.len);
    return parked != NULL && !parked->released ? parked : NULL;
}

static void parked_free(struct lease_part *part, struct lease_parked *parked)
{
    struct leases *ls = lease_part_leases(part);
    el_map_remove(&part->parked, parked->key.data, parked->key.len);
    el_list_remove(&parked->link);
    lease_drop(ls, &parked->key);
    lease_free(ls, parked);
}

static void changed(struct lease_part *part, struct lease_parked *parked)
{
    el_list_remove(&parked->link);
    el_list_push_back(&part->parked_changed, &parked->link);
}

void lease_parked_followed(struct lease_part *part, struct lease_parked *parked)
{
    struct leases *ls = lease_part_leases(part);
    parked->token = (uint64_t)lease_wall_ms(ls) << 20 | (leases_session(ls) & 0xfffff);
}

static struct lease_parked *parked_new(struct lease_part *part, struct el_slice key)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_parked *parked = lease_alloc(ls, sizeof *parked);
    if (parked == NULL || !lease_copy(ls, key, &parked->key)) {
        lease_free(ls, parked);
        return NULL;
    }
    el_list_init(&parked->link);
    parked->hash = lease_key_hash(key);
    if (el_map_put(&part->parked, parked->key.data, parked->key.len, parked) != 0) {
        lease_drop(ls, &parked->key);
        lease_free(ls, parked);
        return NULL;
    }
    return parked;
}

int lease_park_key(struct lease_part *part, struct el_slice key, const struct lease_record_parked *record, bool stored)
{
    struct lease_parked *parked = el_map_get(&part->parked, key.data, key.len);
    EL_ASSERT(key.len <= LEASE_PARK_KEY_LEN_MAX);
    if (parked != NULL && !parked->released) {
        return 0;
    }
    bool is_new = parked == NULL;
    parked = is_new ? parked_new(part, key) : parked;
    if (parked == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int code = lease_park_hash(part->table, parked->hash);
    if (code != 0) {
        if (is_new) {
            parked_free(part, parked);
        }
        return code;
    }
    lease_parked_followed(part, parked);
    parked->released = false;
    parked->offset = record->offset;
    parked->time_ms = record->time_ms;
    parked->stored = parked->stored || stored;
    if (!stored) {
        changed(part, parked);
    }
    metrics_add(lease_part_leases(part)->metrics, METRIC_LEASE_PARKED, 1);
    return 0;
}

void lease_park_release(struct lease_part *part, struct lease_parked *parked)
{
    EL_ASSERT(!parked->released);
    lease_unpark_hash(part->table, parked->hash, lease_part_now(part));
    metrics_add(lease_part_leases(part)->metrics, METRIC_LEASE_PARKED, -1);
    if (!parked->stored) {
        parked_free(part, parked);
        return;
    }
    parked->released = true;
    changed(part, parked);
}

void lease_park_end_all(struct lease_part *part)
{
    for (size_t i = part->parked.count; i > 0; i--) {
        struct lease_parked *parked = part->parked.entries[i - 1].value;
        if (!parked->released) {
            lease_park_release(part, parked);
        }
    }
}

void lease_park_write_begin(struct lease_part *part)
{
    EL_ASSERT(el_list_empty(&part->parked_writing));
    el_list_splice_back(&part->parked_writing, &part->parked_changed);
    EL_LIST_EACH(node, &part->parked_writing) {
        EL_CONTAINER(node, struct lease_parked, link)->stored = true;
    }
}

void lease_park_write_end(struct lease_part *part, bool durable)
{
    if (!durable) {
        el_list_splice_back(&part->parked_changed, &part->parked_writing);
        return;
    }
    for (struct el_list *node = el_list_pop_front(&part->parked_writing); node != NULL;
         node = el_list_pop_front(&part->parked_writing)) {
        struct lease_parked *parked = EL_CONTAINER(node, struct lease_parked, link);
        if (parked->released) {
            parked_free(part, parked);
        }
    }
}

void lease_park_free_all(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    while (part->parked.count > 0) {
        struct lease_parked *parked = part->parked.entries[part->parked.count - 1].value;
        metrics_add(ls->metrics, METRIC_LEASE_PARKED, parked->released ? 0 : -1);
        parked_free(part, parked);
    }
    el_map_destroy(&part->parked);
}
