/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups on shard 0: the end of a group. Its settings' tombstone is durable, then each shard forgets it; see
 * control.c. And what is done before a new one: an end may have been cut short by a crash, and a shard may still be
 * reading the records that it left. A new group must not find them as its own, in this life or a later one.
 */
#include <lease/control.h>

#define END_RETRY_NS 1000000000u

static void end_next(struct control_task *task);

void control_end_ended(struct control_group *group, int error)
{
    group->refusing = false;
    control_change_ended(group, error);
}

static void end_on_op(struct lease_op *op)
{
    struct control_task *task = op->arg;
    struct control_group *group = task->group;
    struct leases *ls = group->ls;
    OBJ_CHECK(group, CONTROL_GROUP);
    task->flying = false;
    ls->busy--;
    lease_op_release(op);
    if (ls->stopping) {
        control_end_ended(group, EVLOG_ERR_CLOSED);
        return;
    }
    if (op->error == 0) {
        task->shard++;
        end_next(task);
        return;
    }
    control_complain(ls->control, "cannot forget a work group that was deleted", task->shard, op->error);
    group->refusing = true;
    io_timer_set(ls->io, &task->retry, ls->io->now_ns + END_RETRY_NS);
    struct lease_op *work = group->work;
    group->work = NULL;
    int error = op->error;
    control_refuse_blocked(group, EVLOG_ERR_GROUP_UNAVAILABLE);
    if (work != NULL) {
        group->done(ls, work, error);
    }
}

static void end_next(struct control_task *task)
{
    struct control_group *group = task->group;
    struct leases *ls = group->ls;
    EL_ASSERT(!task->flying);
    if (task->shard == ls->shard_count) {
        control_end_ended(group, 0);
        return;
    }
    task->flying = true;
    ls->busy++;
    task->op = (struct lease_op){.group_id = group->id, .done = end_on_op, .arg = task};
    lease_op_send(ls, &task->op, task->shard, 0, lease_group_end);
}

static void end_on_retry(struct io_timer *timer)
{
    end_next(timer->arg);
}

static void end_on_write(struct lease_write *write, int error)
{
    struct control_group *group = write->arg;
    OBJ_CHECK(group, CONTROL_GROUP);
    EL_ASSERT(group->sm.state == CONTROL_CLOSING);
    if (error != 0) {
        control_task_drop(group);
        control_change_ended(group, error);
        return;
    }
    control_set_exists(group, false);
    lease_redrives_end_group(group->ls, group->id);
    el_sm_move(&group->sm, group, CONTROL_ENDING);
    struct control_task *task = group->task;
    task->retry = (struct io_timer){.fire = end_on_retry, .arg = task};
    if (group->ls->stopping) {
        control_end_ended(group, EVLOG_ERR_CLOSED);
        return;
    }
    end_next(task);
}

void control_end(struct control_group *group, struct lease_op *op, control_change_fn done)
{
    struct leases *ls = group->ls;
    EL_ASSERT(group->sm.state == CONTROL_LIVE);
    EL_ASSERT(group->member_count == 0);
    if (!control_task_new(group)) {
        done(ls, op, EVLOG_ERR_NO_MEMORY);
        return;
    }
    el_sm_move(&group->sm, group, CONTROL_CLOSING);
    group->work = op;
    group->done = done;
    int code = control_record_write(group, NULL, end_on_write);
    if (code != 0) {
        control_task_drop(group);
        control_change_ended(group, code);
    }
}

/* --- before a new one --------------------------------------------------------------------------------------------- */

static void forget_next(struct control_task *task);

static void forget_on_op(struct lease_op *op)
{
    struct control_task *task = op->arg;
    struct control_group *group = task->group;
    struct leases *ls = group->ls;
    OBJ_CHECK(group, CONTROL_GROUP);
    EL_ASSERT(group->sm.state == CONTROL_NEW);
    EL_ASSERT(task->flying);
    task->flying = false;
    ls->busy--;
    lease_op_release(op);
    int error = op->error == EVLOG_ERR_GROUP_UNAVAILABLE ? 0 : op->error; /* that shard serves no group */
    error = ls->stopping ? EVLOG_ERR_CLOSED : error;
    if (error == 0 && ++task->shard < ls->shard_count) {
        forget_next(task);
        return;
    }
    control_task_drop(group);
    if (error != 0) {
        control_change_ended(group, error);
    } else {
        control_store(group);
    }
}

static void forget_next(struct control_task *task)
{
    struct control_group *group = task->group;
    struct leases *ls = group->ls;
    task->flying = true;
    ls->busy++;
    task->op = (struct lease_op){.group_id = group->id, .done = forget_on_op, .arg = task};
    lease_op_send(ls, &task->op, task->shard, 0, lease_group_end);
}

void control_forget(struct control_group *group)
{
    EL_ASSERT(group->sm.state == CONTROL_NEW);
    EL_ASSERT(!group->exists);
    group->task->shard = 0;
    forget_next(group->task);
}
