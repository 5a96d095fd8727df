/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups as a shard knows them. One is made by what control tells, or by a record of one of its parts that is read
 * before that; what control does not know by then is left over of a group that ended, and ends here too.
 */
#include <lease/lease_filter.h>
#include <lease/lease_part.h>

#include <core/logger.h>

#define SWEEP_NS 10000000000u
#define SWEEP_STEP_NS 10000000u
#define SWEEP_PARTS 256u

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
    el_list_init(&group->enders);
    if (el_map_put(&ls->groups, group->id.data, group->id.len, group) != 0) {
        lease_drop(ls, &group->id);
        lease_free(ls, group);
        return NULL;
    }
    return group;
}

static void part_free(struct lease_part *part);

static void group_destroy(struct lease_group *group)
{
    struct leases *ls = group->ls;
    OBJ_CHECK(group, LEASE_GROUP);
    while (!el_list_empty(&group->parts)) {
        part_free(EL_CONTAINER(group->parts.next, struct lease_part, link));
    }
    EL_ASSERT(group->part_count == 0);
    el_map_remove(&ls->groups, group->id.data, group->id.len);
    lease_free(ls, group->config);
    lease_filter_let_go(group->filter);
    EL_ASSERT(el_list_empty(&group->enders));
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
    part->producer_id = -1;
    part->start_fixed = LEASE_START_BY_GROUP;
    part->write_ns = part->tick_ns = UINT64_MAX;
    part->timer.fire = lease_part_on_timer;
    part->timer.arg = part;
    struct el_list *lists[] = {&part->gathering,      &part->stored,         &part->waiting,
                               &part->watchers,       &part->settled,        &part->carried,
                               &part->parked_changed, &part->parked_writing, &part->enders};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        el_list_init(lists[i]);
    }
    el_map_init(&part->parked, ls->buddy);
    lease_stories_init(&part->stories, ls);
    lease_again_init(part);
    lease_letters_init(part);
    el_sm_init(&part->sm, &lease_part_sm, PART_STORED);
    if (el_map_put(&ls->parts, &part->key, sizeof part->key, part) != 0) {
        lease_free(ls, part);
        return NULL;
    }
    el_list_push_back(&group->parts, &part->link);
    group->part_count++;
    metrics_add(ls->metrics, METRIC_LEASE_PARTS, 1);
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

/* The last part of a group that has ended is gone, and so is the group. */
static void group_leave(struct lease_group *group)
{
    if (group->exists || group->part_count > 0) {
        return;
    }
    struct el_list enders;
    el_list_init(&enders);
    el_list_splice_back(&enders, &group->enders);
    group_destroy(group);
    for (struct el_list *node = el_list_pop_front(&enders); node != NULL; node = el_list_pop_front(&enders)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), 0);
    }
}

static void part_free(struct lease_part *part)
{
    struct leases *ls = part->group->ls;
    OBJ_CHECK(part, LEASE_PART);
    io_timer_cancel(ls->io, &part->timer);
    lease_part_forget_stored(part);
    lease_bury_free(part);
    lease_emit_free(part);
    lease_park_free_all(part);
    lease_stories_free(&part->stories);
    lease_again_free(part);
    lease_letters_free(part);
    lease_table_destroy(part->table);
    el_map_remove(&ls->parts, &part->key, sizeof part->key);
    el_list_remove(&part->link);
    part->group->part_count--;
    metrics_add(ls->metrics, METRIC_LEASE_PARTS, -1);
    part->magic = 0;
    lease_free(ls, part);
}

void lease_part_destroy(struct lease_part *part)
{
    struct lease_group *group = part->group;
    struct leases *ls = group->ls;
    struct el_list enders;
    EL_ASSERT(part->pins == 0);
    el_list_init(&enders);
    el_list_splice_back(&enders, &part->enders);
    part_free(part);
    group_leave(group);
    for (struct el_list *node = el_list_pop_front(&enders); node != NULL; node = el_list_pop_front(&enders)) {
        struct lease_op *op = EL_CONTAINER(node, struct lease_op, link);
        op->run(ls, op);
    }
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
    if (key->kind == LEASE_RECORD_LETTERS) {
        struct lease_part *part = part_of(ls, key);
        return part == NULL ? EVLOG_ERR_NO_MEMORY : lease_letters_restore(part, (uint64_t)key->number, value);
    }
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

/* --- after reading ------------------------------------------------------------------------------------------------ */

bool lease_part_has_stored(const struct lease_part *part, enum lease_record_kind kind)
{
    EL_LIST_EACH(node, &part->stored) {
        if (EL_CONTAINER(node, struct lease_stored, link)->kind == kind) {
            return true;
        }
    }
    return false;
}

static bool has_intents(const struct lease_part *part)
{
    struct lease_record_part record;
    EL_LIST_EACH(node, &part->stored) {
        const struct lease_stored *stored = EL_CONTAINER(node, struct lease_stored, link);
        if (stored->kind == LEASE_RECORD_PART && lease_record_part_decode(stored->value, &record) == 0 &&
            record.intent_count > 0) {
            return true;
        }
    }
    return lease_part_has_stored(part, LEASE_RECORD_EMITS);
}

/* Dead letters and emits that were on their way go on at once. */
static void wake(struct lease_part *part)
{
    if (part->sm.state == PART_STORED && has_intents(part)) {
        lease_part_wake(part); /* the log says when it cannot be */
    }
}

/* All records have been read, and control has told all groups, in whichever order: parts of groups that ended go. */
static void begin(struct leases *ls)
{
    if (ls->state != LEASES_READY || !ls->known) {
        return;
    }
    for (size_t i = 0; i < ls->parts.count; i++) {
        struct lease_part *part = ls->parts.entries[i].value;
        if (!part->group->exists) {
            lease_part_end(part, EVLOG_ERR_GROUP_NOT_FOUND);
        } else {
            wake(part);
        }
    }
}

/* Records of a part without that of the part itself are what an end left over that was cut short: they go before the
 * part may begin anew. */
void lease_groups_loaded(struct leases *ls)
{
    el_map_destroy(&ls->restoring);
    for (size_t i = 0; i < ls->parts.count; i++) {
        struct lease_part *part = ls->parts.entries[i].value;
        int64_t letters = -1;
        bool only_letters = el_list_empty(&part->stored) && lease_letters_next(part, &letters);
        if (!lease_part_has_stored(part, LEASE_RECORD_PART) && !only_letters) {
            lease_part_end(part, EVLOG_ERR_AGAIN);
        }
    }
    begin(ls);
}

void lease_groups_known(struct leases *ls)
{
    ls->known = true;
    begin(ls);
}

/* --- what control tells ------------------------------------------------------------------------------------------- */

int lease_group_apply(struct leases *ls, struct el_slice group_id, const struct group_config *config)
{
    bool is_new = lease_group_find(ls, group_id) == NULL;
    struct lease_group *group = lease_group_get(ls, group_id);
    size_t len = group_config_len(config);
    struct group_config *copy = group == NULL ? NULL : lease_alloc(ls, len);
    struct lease_filter *filter = NULL;
    struct el_error err = {0};
    int code = copy == NULL ? EVLOG_ERR_NO_MEMORY : lease_filter_make(ls, config, &filter, &err);
    if (code == EVLOG_ERR_NO_MEMORY) {
        lease_free(ls, copy);
        if (is_new && group != NULL) {
            group_destroy(group);
        }
        return EVLOG_ERR_NO_MEMORY;
    }
    if (code != 0) { /* it was checked when it was set: another version did that */
        el_log(EL_LOG_ERROR, "lease", "work group %.*s stands still, set its filter anew: %s", (int)group_id.len,
               (const char *)group_id.data, err.text);
    }
    memcpy(copy, config, len);
    lease_free(ls, group->config);
    group->config = copy;
    lease_filter_let_go(group->filter);
    group->filter = filter;
    group->filter_broken = code != 0;
    group->exists = true;
    EL_LIST_EACH(node, &group->parts) {
        lease_part_new_rules(EL_CONTAINER(node, struct lease_part, link));
    }
    return 0;
}

void lease_group_end_failed(struct lease_group *group, int error)
{
    for (struct el_list *node = el_list_pop_front(&group->enders); node != NULL;
         node = el_list_pop_front(&group->enders)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
}

void lease_group_end(struct leases *ls, struct lease_op *op)
{
    struct lease_group *group = lease_group_find(ls, op->group_id);
    if (group == NULL) {
        lease_op_finish(op, 0);
        return;
    }
    group->exists = false;
    el_list_push_back(&group->enders, &op->link);
    EL_LIST_EACH(node, &group->parts) {
        lease_part_end(EL_CONTAINER(node, struct lease_part, link), EVLOG_ERR_GROUP_NOT_FOUND);
    }
    group_leave(group);
}

/* --- life of the shard -------------------------------------------------------------------------------------------- */

/* Parts whose topic is gone end, also those that nobody uses. Some in each turn. */
static void sweep_on_timer(struct io_timer *timer)
{
    struct leases *ls = timer->arg;
    OBJ_CHECK(ls, LEASES);
    for (uint32_t i = 0; i < SWEEP_PARTS && ls->sweep_cursor < ls->parts.count; i++) {
        struct lease_part *part = ls->parts.entries[ls->sweep_cursor++].value;
        if (ls->state == LEASES_READY && store_topic_by_id(ls->shard, &part->key.topic_id) == NULL) {
            lease_part_end(part, EVLOG_ERR_UNKNOWN_TOPIC_ID);
        }
    }
    bool round = ls->sweep_cursor >= ls->parts.count;
    ls->sweep_cursor = round ? 0 : ls->sweep_cursor;
    io_timer_set(ls->io, &ls->sweep, ls->io->now_ns + (round ? SWEEP_NS : SWEEP_STEP_NS));
}

void lease_groups_start(struct leases *ls)
{
    ls->sweep.fire = sweep_on_timer;
    ls->sweep.arg = ls;
    io_timer_set(ls->io, &ls->sweep, ls->io->now_ns + SWEEP_NS);
}

void lease_groups_stop(struct leases *ls)
{
    io_timer_cancel(ls->io, &ls->sweep);
    for (size_t i = 0; i < ls->groups.count; i++) {
        struct lease_group *group = ls->groups.entries[i].value;
        lease_group_end_failed(group, EVLOG_ERR_CLOSED);
    }
    for (size_t i = 0; i < ls->parts.count; i++) {
        struct lease_part *part = ls->parts.entries[i].value;
        io_timer_cancel(ls->io, &part->timer);
        lease_part_close(part, EVLOG_ERR_CLOSED);
        lease_save_last(part);
    }
}
