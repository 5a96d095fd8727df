/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges with one type for each offset become ranges of one outcome each; the checks are Kafka's.
 */
#include <api/share_ack.h>

EL_STATIC_ASSERT((int)SHARE_ACK_GAP == LEASE_GAP, "types are outcomes");
EL_STATIC_ASSERT((int)SHARE_ACK_ACCEPT == LEASE_ACCEPT, "types are outcomes");
EL_STATIC_ASSERT((int)SHARE_ACK_RELEASE == LEASE_RELEASE, "types are outcomes");
EL_STATIC_ASSERT((int)SHARE_ACK_REJECT == LEASE_REJECT, "types are outcomes");
EL_STATIC_ASSERT((int)SHARE_ACK_RENEW == LEASE_EXTEND, "types are outcomes");

int16_t share_part_error(int error)
{
    switch (error) {
    case 0:
        return EL_KAFKA_NONE;
    case EVLOG_ERR_UNKNOWN_TOPIC:
        return EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case EVLOG_ERR_UNKNOWN_TOPIC_ID:
        return EL_KAFKA_UNKNOWN_TOPIC_ID;
    case EVLOG_ERR_TOPIC_DENIED:
        return EL_KAFKA_TOPIC_AUTHORIZATION_FAILED;
    case EVLOG_ERR_LEASE:
        return EL_KAFKA_INVALID_RECORD_STATE;
    case EVLOG_ERR_ARGUMENT:
        return EL_KAFKA_INVALID_REQUEST;
    case EVLOG_ERR_CORRUPT:
        return EL_KAFKA_CORRUPT_MESSAGE;
    case EVLOG_ERR_TOO_LARGE:
        return EL_KAFKA_MESSAGE_TOO_LARGE;
    case EVLOG_ERR_CLOSED:
    case EVLOG_ERR_GROUP_LOADING:
    case EVLOG_ERR_GROUP_UNAVAILABLE:
        return EL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    default:
        return evlog_error_class_of(error) == EVLOG_CLASS_RETRY ? EL_KAFKA_KAFKA_STORAGE_ERROR
                                                                : EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
}

struct el_slice share_op_message(const struct lease_op *op)
{
    if (op->error == 0) {
        return (struct el_slice){0};
    }
    return el_slice_str(op->message_text[0] != 0 ? op->message_text : evlog_error_text(op->error));
}

/* What is wrong with a range; NULL when nothing is. */
static const char *range_fault(const struct share_ack_range *range, int64_t after, bool renew)
{
    if (range->first < 0 || range->first > range->last) {
        return "first offset of a range is negative or above its last";
    }
    if (range->first <= after) {
        return "ranges overlap or do not rise";
    }
    if (range->type_count == 0) {
        return "a range has no type";
    }
    if (range->type_count > 1 && (uint64_t)(range->last - range->first) != range->type_count - 1u) {
        return "a range has neither one type nor one for each offset";
    }
    for (uint32_t i = 0; i < range->type_count; i++) {
        if (range->types[i] < SHARE_ACK_GAP || range->types[i] > (renew ? SHARE_ACK_RENEW : SHARE_ACK_REJECT)) {
            return renew ? "type must be 0 gap, 1 accept, 2 release, 3 reject or 4 renew"
                         : "type must be 0 gap, 1 accept, 2 release or 3 reject";
        }
    }
    return NULL;
}

/* Write the outcomes of a range to out, or count them for out NULL. */
static uint32_t range_outcomes(const struct share_ack_range *range, struct lease_outcome *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < range->type_count; i++) {
        if (i > 0 && range->types[i] == range->types[i - 1]) {
            EL_ASSERT(count > 0);
            if (out != NULL) {
                out[count - 1].last++;
            }
            continue;
        }
        if (out != NULL) {
            int64_t last = range->type_count == 1 ? range->last : range->first + i;
            out[count] = (struct lease_outcome){.first = range->first + i,
                                                .last = last,
                                                .kind = (enum lease_outcome_kind)range->types[i],
                                                .delay_ms = -1};
        }
        count++;
    }
    return count;
}

bool share_ack_ranges(struct share_ack *ack, const struct share_ack_range *ranges, uint32_t range_count, bool renew,
                      struct el_arena *arena)
{
    uint32_t count = 0;
    int64_t after = -1;
    for (uint32_t i = 0; i < range_count; i++) {
        const char *fault = range_fault(&ranges[i], after, renew);
        if (fault != NULL) {
            ack->error = EL_KAFKA_INVALID_REQUEST;
            ack->message = fault;
            return true;
        }
        after = ranges[i].last;
        count += range_outcomes(&ranges[i], NULL);
    }
    struct lease_outcome *outcomes = el_arena_alloc(arena, EL_MAX(count, 1u) * sizeof *outcomes);
    if (outcomes == NULL) {
        return false;
    }
    ack->op.outcomes = outcomes;
    for (uint32_t i = 0; i < range_count; i++) {
        ack->op.outcome_count += range_outcomes(&ranges[i], outcomes + ack->op.outcome_count);
    }
    EL_ASSERT(ack->op.outcome_count == count);
    return true;
}

static void ack_refuse(struct share_ack *ack, int16_t error, const char *message)
{
    if (ack->error == EL_KAFKA_NONE) {
        ack->error = error;
        ack->message = message;
    }
}

void share_ack_target(struct share_ack *ack, struct api *api, const struct request *request, struct el_slice name,
                      const struct el_uuid *topic_id, int32_t partition)
{
    int error;
    const struct topic *topic = api_topic(api, request, name, topic_id, &error);
    ack->op.partition = partition;
    error = api_partition_error(topic, partition, error);
    if (error != 0) {
        ack_refuse(ack, share_part_error(error), evlog_error_text(error));
    } else {
        ack->op.topic_id = topic->id;
    }
}

static void acks_release(struct share_acks *acks)
{
    EL_ASSERT(acks->pending > 0);
    if (--acks->pending == 0) {
        acks->finish(acks);
    }
}

static void ack_on_done(struct lease_op *op)
{
    struct share_ack *ack = op->arg;
    EL_ASSERT(ack->error == EL_KAFKA_NONE); /* else it was not sent */
    EL_ASSERT(ack->of->pending > 0);
    int error = op->error != 0 ? op->error : ack->op.outcome_error;
    ack->error = share_part_error(error);
    if (error != 0) {
        ack->message = op->message_text[0] != 0 ? op->message_text : evlog_error_text(error);
        ack->emits_refused = ack->op.emits_refused;
        api_count_refusal(ack->of->api, error);
    } else if (ack->op.lease_ms > 0) {
        ack->of->session->lease_ms = ack->op.lease_ms;
    }
    lease_op_release(op);
    acks_release(ack->of);
}

void share_acks_start(struct share_acks *acks)
{
    EL_ASSERT(acks->pending == 0);
    EL_ASSERT(acks->count == 0 || acks->session != NULL);
    acks->pending = 1;
    for (uint32_t i = 0; i < acks->count; i++) {
        struct share_ack *ack = &acks->acks[i];
        ack->of = acks;
        if (ack->error != EL_KAFKA_NONE || ack->op.outcome_count == 0) {
            continue;
        }
        ack->op.base.group_id = acks->group_id;
        ack->op.base.done = ack_on_done;
        ack->op.base.arg = ack;
        ack->op.session = acks->session->number;
        ack->op.worker = acks->member_id;
        acks->pending++;
        leases_fetch(acks->api->leases, &ack->op);
    }
    acks_release(acks);
}
