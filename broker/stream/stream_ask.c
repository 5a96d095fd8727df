/* SPDX-License-Identifier: Apache-2.0
 *
 * The way of a question to the shard that owns the partition, and back; and its wait until the partition is caught up.
 */
#include <stream/stream_state.h>

static void ask_on_arrive(struct io_message *message)
{
    struct store_op *op = EL_CONTAINER(message, struct store_op, message);
    op->run(op);
}

static void ask_on_return(struct io_message *message)
{
    struct store_op *op = EL_CONTAINER(message, struct store_op, message);
    op->done(op);
}

void stream_ask(struct streams *st, struct store_op *op, const struct el_uuid *topic_id, int32_t partition,
                struct streams **owner, void (*run)(struct store_op *op))
{
    OBJ_CHECK(st, STREAMS);
    const struct topic *topic = store_topic_by_id(st->shard, topic_id);
    int code = 0;
    if (topic == NULL || partition < 0 || partition >= topic->partition_count) {
        code = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC_ID : EVLOG_ERR_UNKNOWN_TOPIC;
    } else if (!topic_config_streams(&topic->config)) {
        code = EVLOG_ERR_ARGUMENT;
    }
    el_list_init(&op->link);
    op->run = run;
    op->returned = NULL;
    op->error = code;
    op->origin = st->shard;
    if (code != 0) {
        op->done(op);
        return;
    }
    op->owner = store_shard_at(store_shard_store(st->shard), topic->shard_of[partition]);
    *owner = st->peers[topic->shard_of[partition]];
    if (op->owner == op->origin) {
        run(op);
        return;
    }
    op->message.run = ask_on_arrive;
    io_post(store_shard_io(op->owner), &op->message);
}

void stream_ask_end(struct streams *st, struct store_op *op, int error)
{
    EL_ASSERT(el_list_empty(&op->link));
    EL_ASSERT(st->shard == op->owner);
    op->error = error;
    if (op->owner == op->origin) {
        op->done(op);
        return;
    }
    op->message.run = ask_on_return;
    io_post(store_shard_io(op->origin), &op->message);
}

struct stream_part *stream_ask_part(struct streams *st, struct store_op *op, const struct el_uuid *topic_id,
                                    int32_t partition)
{
    OBJ_CHECK(st, STREAMS);
    struct partition *part = store_observed_find(st->shard, topic_id, partition);
    struct stream_part *sp = part == NULL ? NULL : stream_part_of(st, part);
    int code = part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : sp == NULL ? EVLOG_ERR_NO_MEMORY : streams_refusal(st, sp);
    if (st->stopping && code == 0) {
        code = EVLOG_ERR_CLOSED;
    }
    if (code == 0 && store_observed_settling(part)) {
        code = EVLOG_ERR_ARCHIVE; /* with an end that is too low a stream would look shorter than it is */
    }
    if (code != 0) {
        stream_ask_end(st, op, code);
        return NULL;
    }
    stream_catch_want(sp);
    if (sp->state == STREAM_PART_READY) {
        return sp;
    }
    code = streams_refusal(st, sp); /* it may have ended at once */
    if (code != 0) {
        stream_ask_end(st, op, code);
    } else {
        el_list_push_back(&sp->questions, &op->link);
    }
    return NULL;
}

void stream_question_go(struct stream_part *sp, struct store_op *op, int error)
{
    if (error != 0) {
        stream_ask_end(sp->st, op, error);
    } else {
        op->run(op);
    }
}
