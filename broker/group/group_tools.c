/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeGroups and ListGroups: what tools see. Metadata is shown of stable groups only; an assignment is shown as
 * long as its member may still work by it, also while the group prepares.
 */
#include <group/group_state.h>

static size_t room(struct el_slice text)
{
    return EL_ALIGN_UP(text.len, 8);
}

static struct group_member_view view_of(const struct member *member, bool stable)
{
    const struct group_protocol *protocol = member_protocol(member, member->group->protocol);
    struct el_slice none = el_slice_str("");
    return (struct group_member_view){
        .id = member->id,
        .instance_id = member->instance_id,
        .client_id = member->client_id,
        .host = member->host,
        .metadata = stable && protocol != NULL ? protocol->metadata : none,
        .assignment = member->assignment.data != NULL ? member->assignment : none,
    };
}

static void view_copy(struct group_op *op, struct group_member_view *out, const struct group_member_view *in)
{
    out->id = group_op_copy(op, in->id);
    out->instance_id = group_op_copy(op, in->instance_id);
    out->client_id = group_op_copy(op, in->client_id);
    out->host = group_op_copy(op, in->host);
    out->metadata = group_op_copy(op, in->metadata);
    out->assignment = group_op_copy(op, in->assignment);
}

static int describe(struct group *group, struct describe_op *op)
{
    bool stable = group->sm.state == GROUP_STABLE;
    size_t len = 8 + room(group->protocol_type) + room(group->protocol) +
                 group->member_count * sizeof(struct group_member_view);
    EL_LIST_EACH(node, &group->members) {
        struct group_member_view view = view_of(EL_CONTAINER(node, struct member, link), stable);
        len += room(view.id) + room(view.instance_id) + room(view.client_id) + room(view.host) + room(view.metadata) +
               room(view.assignment);
    }
    if (!group_op_room(&op->base, len)) {
        return EVLOG_ERR_GROUP_UNAVAILABLE;
    }
    struct group_member_view *views = group_op_take(&op->base, group->member_count * sizeof *views);
    op->state = group_state_word(group);
    op->protocol_type = group_op_copy(&op->base, group->protocol_type);
    op->protocol = stable ? group_op_copy(&op->base, group->protocol) : el_slice_str("");
    op->members = views;
    EL_LIST_EACH(node, &group->members) {
        struct group_member_view view = view_of(EL_CONTAINER(node, struct member, link), stable);
        view_copy(&op->base, &views[op->member_count++], &view);
    }
    return 0;
}

static void describe_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct group *group = group_find(gs, base->group_id);
    (void)part;
    group_op_finish(base, group == NULL ? EVLOG_ERR_GROUP_NOT_FOUND
                                        : describe(group, EL_CONTAINER(base, struct describe_op, base)));
}

void groups_describe(struct groups *gs, struct describe_op *op)
{
    op->state = group_state_word(NULL);
    op->protocol_type = op->protocol = el_slice_str("");
    op->members = NULL;
    op->member_count = 0;
    op->base.run = describe_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}

static int list(struct groups *gs, struct list_op *op)
{
    size_t len = 8 + gs->by_id.count * sizeof(struct group_view);
    for (size_t i = 0; i < gs->partitions.count; i++) {
        const struct group_partition *part = gs->partitions.entries[i].value;
        if (part->state != PART_READY) {
            return part->state == PART_FAILED ? EVLOG_ERR_GROUP_UNAVAILABLE : EVLOG_ERR_GROUP_LOADING;
        }
    }
    for (size_t i = 0; i < gs->by_id.count; i++) {
        const struct group *group = gs->by_id.entries[i].value;
        len += room(group->id) + room(group->protocol_type);
    }
    if (!group_op_room(&op->base, len)) {
        return EVLOG_ERR_GROUP_UNAVAILABLE;
    }
    struct group_view *views = group_op_take(&op->base, gs->by_id.count * sizeof *views);
    op->groups = views;
    for (size_t i = 0; i < gs->by_id.count; i++) {
        const struct group *group = gs->by_id.entries[i].value;
        struct group_view *view = &views[op->group_count++];
        view->id = group_op_copy(&op->base, group->id);
        view->protocol_type = group_op_copy(&op->base, group->protocol_type);
        view->state = group_state_word(group);
    }
    return 0;
}

static void list_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    (void)part;
    group_op_finish(base, list(gs, EL_CONTAINER(base, struct list_op, base)));
}

void groups_list(struct groups *gs, struct list_op *op)
{
    op->groups = NULL;
    op->group_count = 0;
    op->base.run = list_run;
    op->base.creates = false;
    group_op_send_shard(gs, &op->base, op->shard);
}
