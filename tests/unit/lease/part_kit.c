/* SPDX-License-Identifier: Apache-2.0
 *
 * See part_kit.h.
 */
#include "part_kit.h"

static struct desk part_desk;
struct topic *part_source;

/* --- asking ------------------------------------------------------------------------------------------------------- */

bool part_waits;

void part_on_answer(struct lease_op *op)
{
    (void)op;
    part_waits = false;
}

struct lease_fetch_op part_fetch_of(uint64_t session, uint32_t records_max)
{
    part_waits = true;
    return (struct lease_fetch_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                   .topic_id = part_source->id,
                                   .partition = 0,
                                   .session = session,
                                   .worker = el_slice_str("w"),
                                   .records_max = records_max,
                                   .bytes_max = 1u << 20};
}

void part_fetch(struct lease_fetch_op *op)
{
    leases_fetch(desk->leases[1], op);
    fake_store_run(&desk->store);
}

static int64_t part_lease_now(uint64_t session)
{
    static struct lease_fetch_op op;
    op = part_fetch_of(session, 1);
    part_fetch(&op);
    assert_false(part_waits);
    int64_t offset = op.base.error != 0 ? op.base.error : op.range_count == 0 ? -1 : op.ranges[0].first;
    lease_op_release(&op.base);
    fake_store_run(&desk->store);
    return offset;
}

int64_t part_lease(uint64_t session)
{
    int64_t offset = part_lease_now(session);
    return offset == -1 ? part_lease_now(session) : offset;
}

static struct lease_outcome outcome;
struct lease_fetch_op part_settle_op;

void part_settle_begin(uint64_t session, int64_t offset, enum lease_outcome_kind kind)
{
    part_settle_op = part_fetch_of(session, 0);
    outcome = (struct lease_outcome){.first = offset, .last = offset, .kind = kind, .delay_ms = -1};
    outcome.error = el_slice_str("broken");
    part_settle_op.outcomes = &outcome;
    part_settle_op.outcome_count = 1;
    part_fetch(&part_settle_op);
}

int part_settle(uint64_t session, int64_t offset, enum lease_outcome_kind kind)
{
    part_settle_begin(session, offset, kind);
    assert_false(part_waits);
    assert_int_equal(part_settle_op.base.error, 0);
    lease_op_release(&part_settle_op.base);
    return part_settle_op.outcome_error;
}

static void append_done(struct store_op *op)
{
    *(bool *)op->arg = true;
}

void part_append_batch(const struct part_event *events, uint32_t count, enum el_codec codec)
{
    static struct append_op op;
    static uint8_t scratch[1u << 20];
    struct el_batch_builder builder;
    struct el_slice batch;
    bool done = false;
    el_batch_builder_init(&builder, 1u << 20);
    for (uint32_t i = 0; i < count; i++) {
        const char *key = events[i].key;
        struct el_record_body body = {.key = key == NULL ? (struct el_slice){0} : el_slice_str(key),
                                      .value = el_slice_str(events[i].value)};
        assert_int_equal(el_batch_builder_add(&builder, 1, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, codec, NULL, &batch), 0);
    op = (struct append_op){.base = {.done = append_done, .arg = &done},
                            .topic_id = part_source->id,
                            .batch = batch.data,
                            .batch_len = (uint32_t)batch.len};
    assert_int_equal(el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, scratch, sizeof scratch, &op.info), 0);
    store_append(&desk->store.shards[0], &op);
    assert_true(done);
    el_batch_builder_destroy(&builder);
    fake_store_run(&desk->store);
}

void part_append(const char *key)
{
    part_append_batch(&(struct part_event){key, "v"}, 1, EL_CODEC_NONE);
}

void part_begin(const char *settings)
{
    desk_begin(&part_desk);
    part_source = fake_topic(&desk->store, "source", 2);
    assert_int_equal(desk_set("g", settings), 0);
}

void part_end(void)
{
    desk_end(&part_desk);
}

int64_t part_letters(const char *topic)
{
    for (uint32_t i = 0; i < desk->store.topic_count; i++) {
        if (strcmp(desk->store.topics[i].name, topic) == 0) {
            return desk->store.next_offset[i][0];
        }
    }
    return -1;
}

uint32_t part_durable(const char *topic)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < desk->store.batch_count; i++) {
        const struct fake_batch *batch = &desk->store.batches[i];
        const struct topic *found = store_topic_by_id(&desk->store.shards[0], &batch->topic_id);
        count += batch->durable && found != NULL && strcmp(found->name, topic) == 0;
    }
    return count;
}

const char *part_why(const char *key)
{
    static struct lease_why_op op;
    op = (struct lease_why_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                               .topic_id = part_source->id,
                               .key = el_slice_str(key)};
    leases_why(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_int_equal(op.base.error, 0);
    return op.base.message_text;
}
