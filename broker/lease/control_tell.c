/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups on shard 0: every shard is told the settings of a group that was made or changed. One group at a time,
 * one shard after the other; see control.c.
 */
#include <lease/control.h>

#include <core/logger.h>

#define TELL_RETRY_NS 100000000u
#define COMPLAIN_NS 60000000000u

static void tell_on_return(struct io_message *message)
{
    struct lease_control *control = EL_CONTAINER(message, struct lease_control, tell_message);
    OBJ_CHECK(control, CONTROL);
    EL_ASSERT(control->tell_flying);
    control->tell_flying = false;
    control->ls->busy--;
    control_tell_result(control);
}

/* On the shard that is told. */
static void tell_at_shard(struct io_message *message)
{
    struct lease_control *control = EL_CONTAINER(message, struct lease_control, tell_message);
    struct leases *ls = control->ls->peers[control->tell_shard];
    const struct control_group *group = control->telling;
    control->tell_error = 0;
    if (group == NULL) {
        lease_groups_known(ls);
    } else {
        control->tell_error = lease_group_apply(ls, group->id, control_config(group));
    }
    message->run = tell_on_return;
    io_post(control->ls->io, message);
}

/* Tell tell_shard; the next one follows. */
static void tell_post(struct lease_control *control)
{
    struct leases *ls = control->ls;
    EL_ASSERT(!control->tell_flying);
    EL_ASSERT(control->tell_shard < ls->shard_count);
    control->tell_flying = true;
    ls->busy++;
    control->tell_message.run = tell_at_shard;
    io_post(ls->peers[control->tell_shard]->io, &control->tell_message);
}

void control_complain(struct lease_control *control, const char *what, uint32_t shard, int error)
{
    uint64_t now_ns = control->ls->io->now_ns;
    if (control->complained_ns == 0 || now_ns - control->complained_ns >= COMPLAIN_NS) {
        control->complained_ns = now_ns;
        el_log(EL_LOG_ERROR, "lease", "shard %u %s: %s; trying again", shard, what, evlog_error_text(error));
    }
}

void control_tell_on_retry(struct io_timer *timer)
{
    tell_post(timer->arg);
}

void control_tell_result(struct lease_control *control)
{
    struct leases *ls = control->ls;
    struct control_group *group = control->telling;
    if (ls->stopping) {
        control->telling = NULL;
        control->knowing = false;
        if (group != NULL) {
            control_set_exists(group, true);
            control_change_ended(group, EVLOG_ERR_CLOSED);
        }
        return;
    }
    if (control->tell_error != 0) {
        control_complain(control, "cannot take the settings of work groups; raise group.memory.max or memory.max",
                         control->tell_shard, control->tell_error);
        io_timer_set(ls->io, &control->tell_retry, ls->io->now_ns + TELL_RETRY_NS);
        return;
    }
    if (++control->tell_shard < ls->shard_count) {
        tell_post(control);
        return;
    }
    control->telling = NULL;
    if (group == NULL) {
        control->knowing = false;
        control->known = true;
    } else {
        control_set_exists(group, true);
        control_change_ended(group, 0);
    }
    control_tell_next(control);
}

/* Nobody is told any more, also of what is stored from now on. */
static void close_changed(struct lease_control *control)
{
    while (!el_list_empty(&control->changed)) {
        struct control_group *group = EL_CONTAINER(el_list_pop_front(&control->changed), struct control_group, link);
        control_set_exists(group, true);
        control_change_ended(group, EVLOG_ERR_CLOSED);
    }
}

void control_tell_next(struct lease_control *control)
{
    if (control->ls->stopping) {
        close_changed(control);
        return;
    }
    if (control->telling != NULL || control->knowing) {
        return;
    }
    struct el_list *node = el_list_pop_front(&control->changed);
    if (node == NULL && (!control->loaded || control->known)) {
        return;
    }
    control->telling = node == NULL ? NULL : EL_CONTAINER(node, struct control_group, link);
    control->knowing = node == NULL;
    control->tell_shard = 0;
    tell_post(control);
}
