/* SPDX-License-Identifier: Apache-2.0
 *
 * Redrives of dead letters as tasks: begun, listed, cancelled, ended, kept for a while, forgotten.
 *
 *   1. what is asked is checked; each partition of letters is measured, so that the task has an end
 *   2. the task is a record of control's shard, durable before whoever asked is told its number
 *   3. it runs (redrive_run.c), and its record says after each step how far it is
 *   4. it has seen all, was cancelled, or cannot go on: its record says so, and stays until there are REDRIVE_KEEP
 *      later ones of its group, or the group ends
 *
 * A restart goes on from the record. What was done since it was written is asked for again, and found to be done.
 */
#include <lease/redrive.h>

#include <core/logger.h>
#include <stdio.h>

#define PATTERN_LEN_MAX (1u << 20)
#define STORE_RETRY_NS 1000000000u

static struct el_list *tasks_of(struct leases *ls)
{
    return &ls->control->redrives;
}

static struct redrive *task_find(struct leases *ls, uint64_t id)
{
    EL_LIST_EACH(node, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (task->id == id) {
            return task;
        }
    }
    return NULL;
}

static bool has_ended(const struct redrive *task)
{
    return task->state > LEASE_REDRIVE_RUNNING;
}

void redrive_free(struct redrive *task)
{
    struct leases *ls = task->ls;
    OBJ_CHECK(task, REDRIVE);
    EL_ASSERT(task->step == REDRIVE_IDLE);
    EL_ASSERT(task->beginner == NULL);
    io_timer_cancel(ls->io, &task->timer);
    el_list_remove(&task->link);
    el_arena_reset(&task->arena);
    lease_drop(ls, &task->group_id);
    lease_drop(ls, &task->topic);
    lease_drop(ls, &task->copy.topic);
    lease_drop(ls, &task->selection.key);
    lease_drop(ls, &task->selection.reason);
    lease_drop(ls, &task->selection.pattern);
    lease_free(ls, task->ends);
    redrive_piece_free(task);
    task->magic = 0;
    el_buddy_free(ls->buddy, task);
}

static struct redrive *task_new(struct leases *ls, uint64_t id)
{
    struct redrive *task = el_buddy_alloc(ls->buddy, sizeof *task);
    if (task == NULL) {
        return NULL;
    }
    memset(task, 0, sizeof *task);
    task->magic = REDRIVE_MAGIC;
    task->ls = ls;
    task->id = id;
    task->ended_ms = -1;
    task->copy.producer_id = task->copy.epoch = task->copy.next = -1;
    task->copy.room = REDRIVE_COPIES_LEN;
    task->timer = (struct io_timer){.fire = redrive_on_timer, .arg = task};
    el_list_init(&task->link);
    el_list_init(&task->cancellers);
    el_arena_init(&task->arena, ls->buddy, PATTERN_LEN_MAX);
    return task;
}

static int pattern_compile(struct redrive *task, struct el_error *err)
{
    struct el_slice text = task->selection.pattern;
    return text.data == NULL ? 0 : el_pattern_compile(text.data, text.len, NULL, &task->arena, &task->pattern, err);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void cancellers_tell(struct redrive *task, int error)
{
    for (struct el_list *node = el_list_pop_front(&task->cancellers); node != NULL;
         node = el_list_pop_front(&task->cancellers)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
}

/* A task that was never told, or whose record is gone. */
static void task_leave(struct redrive *task, int error)
{
    struct lease_redrive_op *beginner = task->beginner;
    EL_ASSERT(error != 0);
    EL_ASSERT(task->step == REDRIVE_IDLE);
    task->beginner = NULL;
    cancellers_tell(task, error);
    if (beginner != NULL && task->why[0] != 0) {
        lease_op_refuse(&beginner->base, error, "%s", task->why);
    } else if (beginner != NULL) {
        lease_op_finish(&beginner->base, error);
    }
    redrive_free(task);
}

/* The oldest of the group that has ended makes room. */
static void prune(struct leases *ls, struct el_slice group_id)
{
    uint32_t count = 0;
    struct redrive *oldest = NULL;
    EL_LIST_EACH(node, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (el_slice_eq(task->group_id, group_id) && has_ended(task) && !task->forget) {
            oldest = oldest == NULL ? task : oldest;
            count++;
        }
    }
    if (count > REDRIVE_KEEP) {
        EL_ASSERT(oldest->beginner == NULL);
        oldest->forget = true;
        redrive_go(oldest);
    }
}

void redrive_end(struct redrive *task, enum lease_redrive_state state, const char *why)
{
    struct leases *ls = task->ls;
    EL_ASSERT(task->step == REDRIVE_IDLE);
    EL_ASSERT(!has_ended(task));
    EL_ASSERT(state > LEASE_REDRIVE_RUNNING);
    snprintf(task->why, sizeof task->why, "%s", why);
    redrive_piece_free(task);
    task->copy.next = -1;
    if (task->state == LEASE_REDRIVE_BEGINNING) {
        task_leave(task, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    task->state = state;
    task->ended_ms = lease_wall_ms(ls);
    task->delay_ns = task->not_before_ns = 0;
    task->dirty = !task->dry_run;
    if (state == LEASE_REDRIVE_FAILED) {
        el_log(EL_LOG_WARN, "lease", "redrive %llu of %.*s (group %.*s) has failed: %s", (unsigned long long)task->id,
               (int)task->topic.len, (const char *)task->topic.data, (int)task->group_id.len,
               (const char *)task->group_id.data, why);
    }
    if (!task->dirty) {
        cancellers_tell(task, 0);
        prune(ls, task->group_id);
        return;
    }
    redrive_go(task);
}

void redrive_stored(struct redrive *task, int error)
{
    struct leases *ls = task->ls;
    OBJ_CHECK(task, REDRIVE);
    EL_ASSERT(task->step == REDRIVE_IDLE);
    if (task->forget && error == 0) {
        task_leave(task, EVLOG_ERR_GROUP_NOT_FOUND);
        return;
    }
    if (error != 0) {
        if (task->beginner != NULL || ls->stopping) {
            task_leave(task, ls->stopping ? EVLOG_ERR_CLOSED : error); /* it was told to nobody */
            return;
        }
        task->dirty = true;
        task->store_ns = ls->io->now_ns + STORE_RETRY_NS;
        redrive_go(task);
        return;
    }
    struct lease_redrive_op *beginner = task->beginner;
    task->beginner = NULL;
    if (beginner != NULL) {
        beginner->id = task->id;
        lease_op_finish(&beginner->base, 0);
    }
    if (has_ended(task)) {
        cancellers_tell(task, 0);
        prune(ls, task->group_id);
        return;
    }
    redrive_go(task);
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

static int selection_copy(struct redrive *task, const struct lease_selection *in)
{
    struct leases *ls = task->ls;
    struct lease_selection *out = &task->selection;
    *out = *in;
    out->key = out->reason = out->pattern = (struct el_slice){0};
    bool copied = lease_copy(ls, in->key, &out->key) && lease_copy(ls, in->reason, &out->reason) &&
                  lease_copy(ls, in->pattern, &out->pattern);
    return copied ? 0 : EVLOG_ERR_NO_MEMORY;
}

/* returns NULL or what is wrong with it */
static const char *selection_check(const struct lease_selection *selection, const struct topic *topic)
{
    if (selection->range_count > LEASE_SELECT_RANGES_MAX) {
        return "more than 64 ranges of offsets";
    }
    for (uint32_t i = 0; i < selection->range_count; i++) {
        const struct lease_select_range *range = &selection->ranges[i];
        if (range->partition < 0 || range->partition >= topic->partition_count) {
            return "a range of offsets names a partition that the topic does not have";
        }
        if (range->first < 0 || range->last < range->first) {
            return "a range of offsets begins behind its end";
        }
    }
    if (selection->key.len > LEASE_SELECT_TEXT_MAX || selection->reason.len > LEASE_SELECT_TEXT_MAX ||
        selection->pattern.len > LEASE_SELECT_TEXT_MAX) {
        return "a key, reason or pattern is longer than 64 KiB";
    }
    if (selection->since_ms >= 0 && selection->until_ms >= 0 && selection->until_ms <= selection->since_ms) {
        return "the time ends before it begins";
    }
    return NULL;
}

static struct redrive *running_of(struct leases *ls, const struct el_uuid *topic_id)
{
    EL_LIST_EACH(node, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (!has_ended(task) && !task->dry_run && el_uuid_eq(&task->topic_id, topic_id)) {
            return task;
        }
    }
    return NULL;
}

/* The op may begin one. returns false: it was answered */
static bool begin_check(struct leases *ls, struct lease_redrive_op *op, const struct topic **topic)
{
    const struct control_group *group = control_find(ls, op->base.group_id);
    *topic = store_topic_by_name(ls->shard, op->topic);
    if (group == NULL || !group->exists) {
        lease_op_finish(&op->base, EVLOG_ERR_GROUP_NOT_FOUND);
        return false;
    }
    if (*topic == NULL || (*topic)->internal || (*topic)->partition_count > (int32_t)REDRIVE_PARTITIONS_MAX) {
        lease_op_finish(&op->base, *topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : EVLOG_ERR_INVALID_TOPIC);
        return false;
    }
    const char *wrong = selection_check(op->selection, *topic);
    if (wrong != NULL) {
        lease_op_refuse(&op->base, EVLOG_ERR_ARGUMENT, "%s", wrong);
        return false;
    }
    char text[LEASE_MESSAGE_LEN];
    wrong = op->action == LEASE_REDRIVE_COPY ? redrive_copy_check(ls, op, *topic, text, sizeof text) : NULL;
    if (wrong != NULL) {
        lease_op_refuse(&op->base, EVLOG_ERR_ARGUMENT, "%s", wrong);
        return false;
    }
    const struct redrive *other = op->dry_run ? NULL : running_of(ls, &(*topic)->id);
    if (other != NULL) {
        lease_op_refuse(&op->base, EVLOG_ERR_CONFLICT,
                        "redrive %llu of these dead letters is running: wait for it, or cancel it",
                        (unsigned long long)other->id);
        return false;
    }
    return true;
}

static int task_fill(struct redrive *task, const struct lease_redrive_op *op, const struct topic *topic,
                     struct el_error *err)
{
    struct leases *ls = task->ls;
    int code = selection_copy(task, op->selection);
    code = code != 0 ? code : pattern_compile(task, err);
    if (code != 0) {
        return code;
    }
    if (!lease_copy(ls, op->base.group_id, &task->group_id) || !lease_copy(ls, op->topic, &task->topic)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (op->action == LEASE_REDRIVE_COPY) {
        task->copy.topic_id = store_topic_by_name(ls->shard, op->target)->id; /* redrive_copy_check() has seen it */
        if (!lease_copy(ls, op->target, &task->copy.topic)) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    task->ends = lease_alloc(ls, (size_t)topic->partition_count * sizeof *task->ends);
    if (task->ends == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    task->partition_count = topic->partition_count;
    task->topic_id = topic->id;
    task->action = op->action;
    task->dry_run = op->dry_run;
    task->rate = op->rate;
    task->began_ms = lease_wall_ms(ls);
    return 0;
}

static uint32_t task_count(struct leases *ls)
{
    uint32_t count = 0;
    EL_LIST_EACH(node, tasks_of(ls)) {
        count++;
    }
    return count;
}

static void begin_run(struct leases *ls, struct lease_op *base)
{
    struct lease_redrive_op *op = EL_CONTAINER(base, struct lease_redrive_op, base);
    const struct topic *topic;
    struct el_error err = {0};
    if (!begin_check(ls, op, &topic)) {
        return;
    }
    if (task_count(ls) >= REDRIVE_TASKS_MAX) {
        lease_op_refuse(base, EVLOG_ERR_LIMIT, "there are %u redrives, and more are not kept", REDRIVE_TASKS_MAX);
        return;
    }
    struct redrive *task = task_new(ls, ls->control->redrive_last + 1);
    int code = task == NULL ? EVLOG_ERR_NO_MEMORY : task_fill(task, op, topic, &err);
    if (code != 0) {
        if (task != NULL) {
            redrive_free(task);
        }
        bool pattern = err.text[0] != 0 && code != EVLOG_ERR_NO_MEMORY;
        if (pattern) {
            lease_op_refuse(base, EVLOG_ERR_ARGUMENT, "the pattern: %s", err.text);
        } else {
            lease_op_finish(base, code);
        }
        return;
    }
    ls->control->redrive_last++;
    task->beginner = op;
    el_list_push_back(tasks_of(ls), &task->link);
    redrive_go(task);
}

void leases_redrive(struct leases *ls, struct lease_redrive_op *op)
{
    op->id = 0;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, begin_run);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static bool is_asked(const struct lease_redrives_op *op, const struct redrive *task)
{
    if (task->state == LEASE_REDRIVE_BEGINNING || task->forget) {
        return false;
    }
    return op->verb != LEASE_REDRIVES_LIST ? task->id == op->id
                                           : op->topic.data == NULL || el_slice_eq(op->topic, task->topic);
}

static struct lease_redrive_view view_of(struct lease_op *base, const struct redrive *task)
{
    return (struct lease_redrive_view){
        .id = task->id,
        .group = lease_op_copy(base, task->group_id),
        .topic = lease_op_copy(base, task->topic),
        .target = task->copy.topic.data == NULL ? (struct el_slice){0} : lease_op_copy(base, task->copy.topic),
        .why = task->why[0] == 0 ? (struct el_slice){0} : lease_op_copy(base, el_slice_str(task->why)),
        .action = task->action,
        .state = task->state,
        .dry_run = task->dry_run,
        .rate = task->rate,
        .began_ms = task->began_ms,
        .ended_ms = task->ended_ms,
        .partition = task->partition,
        .offset = task->offset,
        .counts = task->counts,
    };
}

static void redrives_look(struct leases *ls, struct lease_redrives_op *op)
{
    size_t len = 0;
    uint32_t count = 0;
    EL_LIST_EACH(node, tasks_of(ls)) {
        const struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (is_asked(op, task)) {
            len += EL_ALIGN_UP(task->group_id.len, 8) + EL_ALIGN_UP(task->topic.len, 8) +
                   EL_ALIGN_UP(task->copy.topic.len, 8) + sizeof task->why;
            count++;
        }
    }
    if (count == 0) {
        lease_op_finish(&op->base, op->verb == LEASE_REDRIVES_LIST ? 0 : EVLOG_ERR_NOT_FOUND);
        return;
    }
    if (!lease_op_room(&op->base, len + count * sizeof(struct lease_redrive_view) + 8)) {
        lease_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    struct lease_redrive_view *views = lease_op_take(&op->base, count * sizeof *views);
    EL_LIST_EACH(node, tasks_of(ls)) {
        const struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (is_asked(op, task)) {
            views[op->view_count++] = view_of(&op->base, task);
        }
    }
    op->views = views;
    lease_op_finish(&op->base, 0);
}

static void redrives_run(struct leases *ls, struct lease_op *base)
{
    struct lease_redrives_op *op = EL_CONTAINER(base, struct lease_redrives_op, base);
    if (op->verb != LEASE_REDRIVES_CANCEL) {
        redrives_look(ls, op);
        return;
    }
    struct redrive *task = task_find(ls, op->id);
    if (task == NULL || !is_asked(op, task)) {
        lease_op_finish(base, EVLOG_ERR_NOT_FOUND);
    } else if (has_ended(task)) {
        lease_op_refuse(base, EVLOG_ERR_CONFLICT, "redrive %llu has ended already", (unsigned long long)op->id);
    } else {
        task->cancel = true;
        task->not_before_ns = 0;
        el_list_push_back(&task->cancellers, &base->link);
        redrive_go(task);
    }
}

void leases_redrives(struct leases *ls, struct lease_redrives_op *op)
{
    op->views = NULL;
    op->view_count = 0;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, redrives_run);
}

/* --- for control -------------------------------------------------------------------------------------------------- */

int lease_redrive_restore(struct leases *ls, struct el_slice group_id, uint64_t id, struct el_slice value)
{
    struct redrive *task = task_find(ls, id);
    struct el_error err = {0};
    ls->control->redrive_last = EL_MAX(ls->control->redrive_last, id);
    if (task != NULL) {
        redrive_free(task);
    }
    if (value.data == NULL) {
        return 0;
    }
    task = task_new(ls, id);
    if (task == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int code = redrive_record_decode(task, value);
    if (code == 0 && (!lease_copy(ls, group_id, &task->group_id))) {
        code = EVLOG_ERR_NO_MEMORY;
    }
    if (code == 0 && pattern_compile(task, &err) != 0) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code != 0) {
        redrive_free(task);
        return code;
    }
    task->stored = true;
    /* By id: a record may have been written again behind those of later tasks. */
    struct el_list *before = tasks_of(ls);
    while (before->prev != tasks_of(ls) && EL_CONTAINER(before->prev, struct redrive, link)->id > id) {
        before = before->prev;
    }
    el_list_push_back(before, &task->link);
    return 0;
}

void lease_redrives_loaded(struct leases *ls)
{
    EL_LIST_EACH_SAFE(node, next, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        task->forget = control_find(ls, task->group_id) == NULL;
        io_timer_set(ls->io, &task->timer, ls->io->now_ns);
    }
}

void lease_redrives_end_group(struct leases *ls, struct el_slice group_id)
{
    EL_LIST_EACH_SAFE(node, next, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        if (el_slice_eq(task->group_id, group_id)) {
            task->forget = true;
            io_timer_set(ls->io, &task->timer, ls->io->now_ns);
        }
    }
}

void lease_redrives_stop(struct leases *ls)
{
    EL_LIST_EACH(node, tasks_of(ls)) {
        struct redrive *task = EL_CONTAINER(node, struct redrive, link);
        struct lease_redrive_op *beginner = task->beginner;
        io_timer_cancel(ls->io, &task->timer);
        cancellers_tell(task, EVLOG_ERR_CLOSED);
        task->beginner = NULL;
        if (beginner != NULL) {
            lease_op_finish(&beginner->base, EVLOG_ERR_CLOSED);
        }
    }
}

void lease_redrives_destroy(struct leases *ls)
{
    while (!el_list_empty(tasks_of(ls))) {
        redrive_free(EL_CONTAINER(tasks_of(ls)->next, struct redrive, link));
    }
}
