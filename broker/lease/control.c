/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups on shard 0: found, made, changed, ended. A group is changed by one op at a time; others wait for it.
 *
 *   1. a new group: is its id free? The server asks the consumer groups. Then each shard forgets what an end that was
 *      cut short has left of an earlier group of that id, durable (control_end.c)
 *   2. its settings become one record of __evlog_groups, durable
 *   3. every shard is told, one after the other, and takes them over at once; so a group that its maker was told of is
 *      known everywhere (control_tell.c)
 *   4. the op is answered, and those that waited run
 *   5. the end of a group: the tombstone of its settings is durable, then each shard forgets its part, which writes
 *      tombstones of its own. A crash between leaves records of a group that nobody knows, which shards drop when they
 *      have been told all groups, or before the id is given to another one (control_end.c)
 *
 * A write that fails leaves the group as it was, and may be in the log all the same. A shard that has no memory for the
 * settings is told again until it has; one that cannot forget a group now is asked again, while the group's ops are
 * refused. What is under way when the shard stops ends with EVLOG_ERR_CLOSED.
 */
#include <lease/control.h>

#define NEXT(a) EL_SM_TO(CONTROL_##a)

static void group_check(const void *object, unsigned state)
{
    const struct control_group *group = object;
    bool has_task = state == CONTROL_NEW || state == CONTROL_CLOSING || state == CONTROL_ENDING;
    EL_ASSERT(has_task == (group->task != NULL));
    if (state == CONTROL_LIVE) {
        EL_ASSERT(group->exists);
        EL_ASSERT(group->next == NULL);
        EL_ASSERT(group->work == NULL);
    }
    if (state == CONTROL_CLOSING || state == CONTROL_ENDING) {
        EL_ASSERT(group->member_count == 0);
    }
}

static const struct el_sm_state group_states[CONTROL_STATE_COUNT] = {
    [CONTROL_NEW] = {"New", NEXT(STORING)},
    [CONTROL_STORING] = {"Storing", NEXT(TELLING) | NEXT(LIVE)},
    [CONTROL_TELLING] = {"Telling", NEXT(LIVE)},
    [CONTROL_LIVE] = {"Live", NEXT(STORING) | NEXT(CLOSING)},
    [CONTROL_CLOSING] = {"Closing", NEXT(ENDING) | NEXT(LIVE)},
    [CONTROL_ENDING] = {"Ending", 0},
};
static const struct el_sm_table group_sm = {"work group", group_states, CONTROL_STATE_COUNT, group_check};

/* --- groups ------------------------------------------------------------------------------------------------------- */

struct control_group *control_find(struct leases *ls, struct el_slice id)
{
    EL_ASSERT(ls->control != NULL);
    return el_map_get(&ls->control->groups, id.data, id.len);
}

const struct group_config *control_config(const struct control_group *group)
{
    static const struct group_config none;
    return group == NULL || group->config == NULL ? &none : group->config;
}

static struct control_group *group_new(struct leases *ls, struct el_slice id, enum control_state state)
{
    struct lease_control *control = ls->control;
    struct control_group *group = lease_alloc(ls, sizeof *group);
    EL_ASSERT(id.len > 0);
    EL_ASSERT(id.len <= LEASE_GROUP_ID_LEN_MAX);
    if (group == NULL || !lease_copy(ls, id, &group->id)) {
        lease_free(ls, group);
        return NULL;
    }
    group->magic = CONTROL_GROUP_MAGIC;
    group->ls = ls;
    group->number = ++control->group_number;
    el_list_init(&group->link);
    el_list_init(&group->blocked);
    el_list_init(&group->members);
    el_list_init(&group->topics);
    if (el_map_put(&control->groups, group->id.data, group->id.len, group) != 0) {
        lease_drop(ls, &group->id);
        lease_free(ls, group);
        return NULL;
    }
    el_sm_init(&group->sm, &group_sm, state);
    return group;
}

static void group_free(struct control_group *group)
{
    struct leases *ls = group->ls;
    OBJ_CHECK(group, CONTROL_GROUP);
    EL_ASSERT(el_list_empty(&group->blocked));
    control_members_destroy(group);
    if (group->exists) {
        metrics_add(ls->metrics, METRIC_WORK_GROUPS, -1);
    }
    el_list_remove(&group->link);
    el_map_remove(&ls->control->groups, group->id.data, group->id.len);
    lease_free(ls, group->task);
    lease_free(ls, group->next);
    lease_free(ls, group->config);
    lease_drop(ls, &group->id);
    group->magic = 0;
    lease_free(ls, group);
}

void control_set_exists(struct control_group *group, bool exists)
{
    if (group->exists != exists) {
        metrics_add(group->ls->metrics, METRIC_WORK_GROUPS, exists ? 1 : -1);
    }
    group->exists = exists;
}

/* A copy of what counts, or NULL in *copy where there are no overrides. returns false without memory */
static bool config_copy(struct leases *ls, const struct group_config *config, struct group_config **copy)
{
    size_t len = group_config_len(config);
    *copy = NULL;
    if (config->set.overridden == 0) {
        return true;
    }
    *copy = lease_alloc(ls, len);
    if (*copy == NULL) {
        return false;
    }
    memcpy(*copy, config, len);
    return true;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

bool control_enter(struct leases *ls, struct lease_op *op, bool change, struct control_group **out)
{
    struct control_group *group = control_find(ls, op->group_id);
    *out = group;
    if (group == NULL || group->sm.state == CONTROL_LIVE) {
        return false;
    }
    if (group->refusing) {
        lease_op_refuse(op, EVLOG_ERR_GROUP_UNAVAILABLE, "the group is being deleted: try again later");
        return true;
    }
    bool ending = group->sm.state == CONTROL_CLOSING || group->sm.state == CONTROL_ENDING;
    if (!change && group->exists && !ending) {
        return false;
    }
    el_list_push_back(&group->blocked, &op->link);
    return true;
}

static void ops_run(struct leases *ls, struct el_list *waiting)
{
    for (struct el_list *node = el_list_pop_front(waiting); node != NULL; node = el_list_pop_front(waiting)) {
        struct lease_op *op = EL_CONTAINER(node, struct lease_op, link);
        if (ls->stopping) {
            lease_op_finish(op, EVLOG_ERR_CLOSED);
        } else {
            op->run(ls, op);
        }
    }
}

void control_refuse_blocked(struct control_group *group, int error)
{
    for (struct el_list *node = el_list_pop_front(&group->blocked); node != NULL;
         node = el_list_pop_front(&group->blocked)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), error);
    }
}

void control_change_ended(struct control_group *group, int error)
{
    struct leases *ls = group->ls;
    struct lease_op *work = group->work;
    control_change_fn done = group->done;
    struct el_list waiting;
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &group->blocked);
    group->work = NULL;
    if (group->exists) {
        el_sm_move(&group->sm, group, CONTROL_LIVE);
    } else {
        group_free(group);
    }
    if (work != NULL) {
        done(ls, work, error);
    }
    ops_run(ls, &waiting);
}

void control_task_drop(struct control_group *group)
{
    lease_free(group->ls, group->task);
    group->task = NULL;
}

bool control_task_new(struct control_group *group)
{
    struct control_task *task = lease_alloc(group->ls, sizeof *task);
    if (task != NULL) {
        task->group = group;
    }
    group->task = task;
    return task != NULL;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static struct lease_record_key record_key(const struct control_group *group)
{
    return (struct lease_record_key){.kind = LEASE_RECORD_SETTINGS, .group_id = group->id};
}

int control_record_write(struct control_group *group, const struct group_config *config, lease_write_fn done)
{
    struct lease_record_key key = record_key(group);
    uint8_t key_bytes[LEASE_KEY_LEN_MAX];
    uint8_t value[GROUP_CONFIG_BYTES_MAX];
    struct el_writer w;
    struct lease_write *write = NULL;
    size_t value_len = 0;
    if (config != NULL) {
        int code = group_config_encode(config, value, sizeof value, &value_len);
        EL_ASSERT(code == 0);
    }
    el_writer_init(&w, key_bytes, sizeof key_bytes);
    lease_record_key_encode(&w, &key);
    EL_ASSERT(w.err == 0);
    size_t key_len = el_writer_len(&w);
    int code = lease_write_new(group->ls, 1, key_len + value_len, &write);
    if (code != 0) {
        return code;
    }
    lease_write_put(write, el_slice_of(key_bytes, key_len), el_slice_of(config == NULL ? NULL : value, value_len));
    lease_write_submit(write, done, group);
    return 0;
}

static void store_on_write(struct lease_write *write, int error)
{
    struct control_group *group = write->arg;
    struct leases *ls = group->ls;
    OBJ_CHECK(group, CONTROL_GROUP);
    EL_ASSERT(group->sm.state == CONTROL_STORING);
    if (error != 0) {
        lease_free(ls, group->next);
        group->next = NULL;
        control_change_ended(group, error);
        return;
    }
    lease_free(ls, group->config);
    group->config = group->next;
    group->next = NULL;
    el_sm_move(&group->sm, group, CONTROL_TELLING);
    el_list_push_back(&ls->control->changed, &group->link);
    control_tell_next(ls->control);
}

void control_store(struct control_group *group)
{
    static const struct group_config none;
    el_sm_move(&group->sm, group, CONTROL_STORING);
    int code = control_record_write(group, group->next == NULL ? &none : group->next, store_on_write);
    if (code != 0) {
        lease_free(group->ls, group->next);
        group->next = NULL;
        control_change_ended(group, code);
    }
}

/* --- making and changing ------------------------------------------------------------------------------------------ */

static void kind_on_told(struct lease_kind_question *question, int error)
{
    struct control_task *task = EL_CONTAINER(question, struct control_task, question);
    struct control_group *group = task->group;
    struct leases *ls = group->ls;
    OBJ_CHECK(group, CONTROL_GROUP);
    EL_ASSERT(group->sm.state == CONTROL_NEW);
    EL_ASSERT(task->flying);
    ls->busy--;
    task->flying = false;
    if (error != 0 || ls->stopping) {
        control_task_drop(group);
        control_change_ended(group, error != 0 ? error : EVLOG_ERR_CLOSED);
        return;
    }
    control_forget(group);
}

static void kind_ask(struct control_group *group)
{
    struct leases *ls = group->ls;
    struct control_task *task = group->task;
    task->flying = true;
    ls->busy++;
    task->question = (struct lease_kind_question){.group_id = group->id, .told = kind_on_told};
    if (ls->cfg.ask_kind == NULL) {
        kind_on_told(&task->question, 0);
    } else {
        ls->cfg.ask_kind(ls->cfg.kind_arg, &task->question);
    }
}

void control_change(struct leases *ls, struct control_group *group, struct lease_op *op,
                    const struct group_config *config, control_change_fn done)
{
    struct group_config *next = NULL;
    bool made = group == NULL;
    EL_ASSERT(made || group->sm.state == CONTROL_LIVE);
    if (!config_copy(ls, config, &next)) {
        done(ls, op, EVLOG_ERR_NO_MEMORY);
        return;
    }
    if (made) {
        group = group_new(ls, op->group_id, CONTROL_NEW);
        if (group != NULL && !control_task_new(group)) {
            group_free(group);
            group = NULL;
        }
    }
    if (group == NULL) {
        lease_free(ls, next);
        done(ls, op, EVLOG_ERR_NO_MEMORY);
        return;
    }
    group->next = next;
    group->work = op;
    group->done = done;
    if (made) {
        kind_ask(group);
    } else {
        control_store(group);
    }
}

/* --- the start ---------------------------------------------------------------------------------------------------- */

int lease_control_restore(struct leases *ls, struct el_slice group_id, struct el_slice value)
{
    struct control_group *group = control_find(ls, group_id);
    struct group_config config;
    struct group_config *copy = NULL;
    EL_ASSERT(!ls->control->loaded);
    if (value.data == NULL) {
        if (group != NULL) {
            group_free(group);
        }
        return 0;
    }
    if (group_id.len == 0 || group_id.len > LEASE_GROUP_ID_LEN_MAX ||
        group_config_decode(&config, value.data, value.len) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (group == NULL) {
        group = group_new(ls, group_id, CONTROL_TELLING);
    }
    if (group == NULL || !config_copy(ls, &config, &copy)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    lease_free(ls, group->config);
    group->config = copy;
    control_set_exists(group, true);
    return 0;
}

void lease_control_loaded(struct leases *ls)
{
    struct lease_control *control = ls->control;
    OBJ_CHECK(control, CONTROL);
    EL_ASSERT(!control->loaded);
    for (size_t i = 0; i < control->groups.count; i++) {
        struct control_group *group = control->groups.entries[i].value;
        el_list_push_back(&control->changed, &group->link);
    }
    control->loaded = true;
    lease_redrives_loaded(ls);
    control_tell_next(control);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int lease_control_create(struct leases *ls)
{
    struct lease_control *control = el_buddy_alloc(ls->buddy, sizeof *control);
    if (control == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(ls->index == LEASE_CONTROL_SHARD);
    *control = (struct lease_control){.magic = CONTROL_MAGIC, .ls = ls};
    control->tell_retry = (struct io_timer){.fire = control_tell_on_retry, .arg = control};
    el_map_init(&control->groups, ls->buddy);
    el_map_init(&control->members, ls->buddy);
    el_map_init(&control->topics, ls->buddy);
    el_list_init(&control->changed);
    el_list_init(&control->redrives);
    ls->control = control;
    return 0;
}

void lease_control_configure(struct leases *ls)
{
    OBJ_CHECK(ls->control, CONTROL); /* the settings are looked at when they are needed */
}

/* Ops that wait for a timer, or for others that do, end here; those that wait for a write, a message or an answer end
 * when it comes. */
void lease_control_stop(struct leases *ls)
{
    struct lease_control *control = ls->control;
    OBJ_CHECK(control, CONTROL);
    EL_ASSERT(ls->stopping);
    lease_redrives_stop(ls);
    for (size_t i = control->groups.count; i > 0; i--) {
        struct control_group *group = control->groups.entries[i - 1].value;
        control_members_stop(group);
        control_refuse_blocked(group, EVLOG_ERR_CLOSED);
    }
    if (control->tell_retry.heap_index != 0) {
        io_timer_cancel(ls->io, &control->tell_retry);
        control_tell_result(control);
    }
    for (size_t i = control->groups.count; i > 0; i--) {
        struct control_group *group = control->groups.entries[i - 1].value;
        if (group->task != NULL && group->task->retry.heap_index != 0) {
            io_timer_cancel(ls->io, &group->task->retry);
            control_end_ended(group, EVLOG_ERR_CLOSED);
        }
    }
    control_tell_next(control);
}

void lease_control_destroy(struct leases *ls)
{
    struct lease_control *control = ls->control;
    OBJ_CHECK(control, CONTROL);
    EL_ASSERT(!control->tell_flying);
    lease_redrives_destroy(ls);
    while (control->groups.count > 0) {
        struct control_group *group = control->groups.entries[control->groups.count - 1].value;
        EL_ASSERT(group->work == NULL);
        group_free(group);
    }
    EL_ASSERT(control->members.count == 0);
    EL_ASSERT(control->topics.count == 0);
    el_map_destroy(&control->groups);
    el_map_destroy(&control->members);
    el_map_destroy(&control->topics);
    control->magic = 0;
    el_buddy_free(ls->buddy, control);
    ls->control = NULL;
}

bool leases_has(struct leases *ls, struct el_slice group_id)
{
    OBJ_CHECK(ls, LEASES);
    const struct lease_group *group = group_id.len == 0 ? NULL : lease_group_find(ls, group_id);
    return group != NULL && group->exists;
}

int lease_control_check_empty(struct leases *ls, struct el_slice group_id)
{
    const struct control_group *group = control_find(ls, group_id);
    if (group == NULL || !group->exists) {
        return EVLOG_ERR_GROUP_NOT_FOUND;
    }
    return group->member_count > 0 ? EVLOG_ERR_GROUP_NOT_EMPTY : 0;
}
