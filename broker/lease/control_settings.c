/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops on whole work groups: settings, list, delete. They run on shard 0. A group is made by its first member or by its
 * first setting, and stays until it is deleted: what it has done and has not must not be lost because nobody works for
 * a while.
 */
#include <lease/control.h>
#include <lease/lease_filter.h>

static bool id_valid(struct el_slice id)
{
    return id.len > 0 && id.len <= LEASE_GROUP_ID_LEN_MAX;
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

static void settings_tell(struct leases *ls, struct lease_settings_op *op)
{
    const struct control_group *group = control_find(ls, op->base.group_id);
    bool exists = group != NULL && group->exists;
    const struct group_config *config = control_config(exists ? group : NULL);
    op->exists = exists;
    if (op->current != NULL) {
        group_config_init(op->current);
        memcpy(op->current, config, group_config_len(config));
    }
}

static void settings_on_change(struct leases *ls, struct lease_op *base, int error)
{
    struct lease_settings_op *op = EL_CONTAINER(base, struct lease_settings_op, base);
    settings_tell(ls, op);
    lease_op_finish(base, error);
}

/* Compiled here only to be refused where that is wrong; each shard compiles its own when it is told. */
static int filter_check(struct leases *ls, const struct group_config *config, struct el_error *err)
{
    struct lease_filter *filter = NULL;
    int code = lease_filter_make(ls, config, &filter, err);
    if (code == 0) {
        lease_filter_let_go(filter);
    }
    return code;
}

/* A topic of dead letters with streams takes none. One whose name depends on the source is looked at when needed. */
static int dead_topic_check(struct leases *ls, const struct group_config *config, struct el_error *err)
{
    const struct topic *topic = store_topic_by_name(ls->shard, group_config_text(config, GROUP_SETTING_DLQ_TOPIC));
    if (topic == NULL || !topic_config_streams(&topic->config)) {
        return 0;
    }
    return el_error_set(
        err, EVLOG_ERR_INVALID_CONFIG,
        "dlq.topic cannot be %s, which has evlog.streams=true: dead letters of one event would be taken "
        "for repeats; name a topic without streams, or one that is still to be made",
        topic->name);
}

static void settings_set(struct leases *ls, struct lease_op *base)
{
    struct lease_settings_op *op = EL_CONTAINER(base, struct lease_settings_op, base);
    struct control_group *group = NULL;
    struct el_error err;
    int code = group_config_check(op->config, &err);
    code = code == 0 ? filter_check(ls, op->config, &err) : code;
    code = code == 0 ? dead_topic_check(ls, op->config, &err) : code;
    if (code != 0) {
        lease_op_refuse(base, code, "%s", err.text);
        return;
    }
    if (control_enter(ls, base, true, &group)) {
        return;
    }
    EL_ASSERT(group == NULL || group->exists);
    bool same = group_config_equal(control_config(group), op->config);
    bool again = op->expected != NULL && !group_config_equal(control_config(group), op->expected);
    settings_tell(ls, op); /* maybe into what was expected */
    if (again) {
        lease_op_finish(base, EVLOG_ERR_AGAIN);
    } else if (op->validate_only || (group != NULL && same) || (group == NULL && op->config->set.overridden == 0)) {
        lease_op_finish(base, 0);
    } else {
        control_change(ls, group, base, op->config, settings_on_change);
    }
}

static void settings_get(struct leases *ls, struct lease_op *base)
{
    struct control_group *group = NULL;
    if (!control_enter(ls, base, false, &group)) {
        settings_tell(ls, EL_CONTAINER(base, struct lease_settings_op, base));
        lease_op_finish(base, 0);
    }
}

static void settings_run(struct leases *ls, struct lease_op *base)
{
    struct lease_settings_op *op = EL_CONTAINER(base, struct lease_settings_op, base);
    if (!id_valid(base->group_id)) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_GROUP, "the id of a work group has 1 to %u bytes",
                        LEASE_GROUP_ID_LEN_MAX);
    } else if (op->verb == LEASE_SETTINGS_SET) {
        settings_set(ls, base);
    } else {
        settings_get(ls, base);
    }
}

void leases_settings(struct leases *ls, struct lease_settings_op *op)
{
    bool makes = op->verb == LEASE_SETTINGS_SET && !op->validate_only && op->config->set.overridden != 0;
    EL_ASSERT(op->verb != LEASE_SETTINGS_SET || op->config != NULL);
    op->exists = false;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, makes ? LEASE_OP_CREATES : 0, settings_run);
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static void list_run(struct leases *ls, struct lease_op *base)
{
    struct lease_list_op *op = EL_CONTAINER(base, struct lease_list_op, base);
    const struct el_map *groups = &ls->control->groups;
    size_t len = 8 + groups->count * sizeof(struct lease_group_view);
    for (size_t i = 0; i < groups->count; i++) {
        const struct control_group *group = groups->entries[i].value;
        len += EL_ALIGN_UP(group->id.len, 8);
    }
    if (!lease_op_room(base, len)) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    struct lease_group_view *views = lease_op_take(base, groups->count * sizeof *views);
    op->groups = views;
    for (size_t i = 0; i < groups->count; i++) {
        const struct control_group *group = groups->entries[i].value;
        if (group->exists) {
            views[op->group_count++] = (struct lease_group_view){.id = lease_op_copy(base, group->id),
                                                                 .state = group->member_count > 0 ? "Stable" : "Empty"};
        }
    }
    EL_ASSERT(op->group_count <= groups->count);
    lease_op_finish(base, 0);
}

void leases_list(struct leases *ls, struct lease_list_op *op)
{
    op->groups = NULL;
    op->group_count = 0;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, list_run);
}

/* --- delete ------------------------------------------------------------------------------------------------------- */

static void delete_on_change(struct leases *ls, struct lease_op *base, int error)
{
    (void)ls;
    lease_op_finish(base, error);
}

static void delete_run(struct leases *ls, struct lease_op *base)
{
    struct control_group *group = NULL;
    if (base->group_id.len == 0) {
        lease_op_finish(base, EVLOG_ERR_GROUP_NOT_FOUND);
        return;
    }
    if (control_enter(ls, base, true, &group)) {
        return;
    }
    if (group == NULL || group->member_count > 0) {
        lease_op_finish(base, group == NULL ? EVLOG_ERR_GROUP_NOT_FOUND : EVLOG_ERR_GROUP_NOT_EMPTY);
        return;
    }
    control_end(group, base, delete_on_change);
}

void leases_delete(struct leases *ls, struct lease_delete_op *op)
{
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, delete_run);
}
