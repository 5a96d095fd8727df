/* SPDX-License-Identifier: Apache-2.0
 *
 * An id is that of a consumer group or of a work group, never of both. Whoever makes a group asks the other side first:
 * consumer groups live on the shard of their partition of __consumer_offsets, which is asked; of work groups every
 * shard knows which there are. Two who make groups of one id at the same moment, one of each kind, may both succeed:
 * the groups then work beside each other, and DeleteGroups takes the consumer group first.
 */
#include <api/api.h>

struct kind_answer {
    struct describe_op op;
    struct lease_kind_question *question;
};
EL_STATIC_ASSERT(sizeof(struct kind_answer) <= LEASE_KIND_ROOM, "the question has room for the answer's work");

static void kind_on_described(struct group_op *op)
{
    struct kind_answer *answer = EL_CONTAINER(op, struct kind_answer, op.base);
    struct lease_kind_question *question = answer->question;
    int error = op->error == EVLOG_ERR_GROUP_NOT_FOUND ? 0 : op->error == 0 ? EVLOG_ERR_GROUP_KIND : op->error;
    group_op_release(op);
    question->told(question, error);
}

void api_ask_kind(void *arg, struct lease_kind_question *question)
{
    struct api *api = arg;
    struct kind_answer *answer = (struct kind_answer *)(void *)question->room;
    OBJ_CHECK(api, API);
    *answer = (struct kind_answer){.op = {.base = {.group_id = question->group_id, .done = kind_on_described}},
                                   .question = question};
    groups_describe(api->groups, &answer->op);
}

bool api_is_work_group(struct api *api, struct el_slice group_id)
{
    return api->leases != NULL && leases_has(api->leases, group_id);
}
