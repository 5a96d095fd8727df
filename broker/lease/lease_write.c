/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing records of __evlog_groups. One write is one batch; its memory is one block: the write, then the batch.
 *
 *   1. the caller makes a write, puts records, and submits it: an append to the shard's own partition
 *   2. the store answers when it is durable, in the order of submission; refusals may come earlier
 *   3. the caller's done applies it, then the memory goes
 *
 * A write that failed may be in the log all the same: nobody was told that it is.
 */
#include <lease/lease_state.h>

#include <core/logger.h>

int lease_write_new(struct leases *ls, uint32_t record_count, size_t records_len, struct lease_write **out)
{
    size_t head_len = EL_ALIGN_UP(sizeof(struct lease_write), 16);
    size_t batch_len = EL_BATCH_HEADER_LEN + records_len + (size_t)record_count * LEASE_RECORD_OVERHEAD;
    EL_ASSERT(ls->state == LEASES_READY);
    if (batch_len > EL_BATCH_LEN_MAX) {
        return EVLOG_ERR_TOO_LARGE;
    }
    uint8_t *block = el_buddy_alloc(ls->buddy, head_len + batch_len);
    if (block == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct lease_write *write = (struct lease_write *)(void *)block;
    memset(write, 0, sizeof *write);
    write->ls = ls;
    el_batch_builder_init_fixed(&write->builder, block + head_len, batch_len);
    *out = write;
    return 0;
}

void lease_write_drop(struct lease_write *write)
{
    el_buddy_free(write->ls->buddy, write);
}

bool lease_write_room(const struct lease_write *write, size_t key_len, size_t value_len)
{
    return write->builder.len + key_len + value_len + LEASE_RECORD_OVERHEAD <= write->builder.buf_len;
}

void lease_write_put(struct lease_write *write, struct el_slice key, struct el_slice value)
{
    struct el_record_body body = {.key = key, .value = value};
    EL_ASSERT(key.len > 0);
    int code = el_batch_builder_add(&write->builder, lease_wall_ms(write->ls), &body);
    EL_ASSERT(code == 0); /* the caller said how much there will be */
    write->record_count++;
}

static void write_on_append(struct store_op *base)
{
    struct lease_write *write = EL_CONTAINER(base, struct lease_write, op.base);
    struct leases *ls = write->ls;
    OBJ_CHECK(ls, LEASES);
    int error = base->error == 0 || base->error == EVLOG_ERR_CLOSED ? base->error : EVLOG_ERR_STORAGE;
    bool said = ls->unstored_ns != 0 && ls->io->now_ns - ls->unstored_ns < LEASE_MINUTE_NS;
    if (error == EVLOG_ERR_STORAGE && !said) {
        ls->unstored_ns = ls->io->now_ns;
        el_log(EL_LOG_WARN, "lease", "%s partition %d: progress of work groups cannot be stored: %s", LEASES_TOPIC,
               ls->partition, evlog_error_text(base->error));
    }
    write->done(write, error);
    el_buddy_free(ls->buddy, write);
    EL_ASSERT(ls->busy > 0);
    ls->busy--;
}

void lease_write_submit(struct lease_write *write, lease_write_fn done, void *arg)
{
    struct leases *ls = write->ls;
    struct el_slice batch;
    EL_ASSERT(write->record_count > 0);
    int code = el_batch_builder_finish(&write->builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(code == 0);
    write->done = done;
    write->arg = arg;
    write->op.base.done = write_on_append;
    write->op.topic_id = ls->topic_id;
    write->op.partition = ls->partition;
    write->op.batch = batch.data;
    write->op.batch_len = (uint32_t)batch.len;
    code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &write->op.info);
    EL_ASSERT(code == 0);
    ls->busy++;
    store_append(ls->shard, &write->op);
}
