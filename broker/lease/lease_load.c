/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the shard's partition of __evlog_groups at start.
 *
 *   1. look up where its log begins
 *   2. read a piece, take its records in order, go on in the next turn of the shard's loop, up to the high watermark
 *   3. settings went to control, all else to the parts, which keep it as bytes until somebody uses them
 *
 * A record that does not decode, a piece that is damaged, or too little memory for what it says ends it: the shard's
 * work groups are refused, for progress that is not known would be taken for none. The log says why. A read that failed
 * without saying that something is damaged is repeated; clients are told meanwhile that groups are loading.
 */
#include <lease/lease_group.h>

#include <core/logger.h>
#include <inttypes.h>

#define PIECE_LEN_MAX (1u << 20)
#define RETRY_NS 100000000u /* no memory for the piece now */
#define RETRY_STORAGE_NS 1000000000u
#define NS_PER_MS 1000000u

struct lease_load {
    struct leases *ls;
    struct lookup_op lookup;
    struct read_op read;
    struct io_timer timer;
    int64_t offset; /* to be read next */
    uint64_t record_count;
    uint64_t began_ns;
    bool complained; /* of a read that failed */
};

static int apply(struct leases *ls, const struct el_record *record)
{
    struct lease_record_key key;
    int code = lease_record_key_decode(record->key, &key);
    if (code != 0) {
        return code;
    }
    if (key.kind == LEASE_RECORD_REDRIVE) {
        return ls->index == LEASE_CONTROL_SHARD
                   ? lease_redrive_restore(ls, key.group_id, (uint64_t)key.number, record->value)
                   : EVLOG_ERR_CORRUPT;
    }
    if (key.kind != LEASE_RECORD_SETTINGS) {
        return lease_part_restore(ls, &key, record->key, record->value);
    }
    /* Of another shard, when it was written there: control has always been on the same. */
    return ls->index == LEASE_CONTROL_SHARD ? lease_control_restore(ls, key.group_id, record->value)
                                            : EVLOG_ERR_CORRUPT;
}

static int apply_batch(struct lease_load *load, const uint8_t *data, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int code = el_batch_open(&iter, data, len, NULL, 0);
    while (code == 0) {
        int more = el_batch_next(&iter, &record);
        if (more <= 0) {
            return more;
        }
        code = apply(load->ls, &record.record);
        load->record_count++;
        if (code != 0) {
            el_log(EL_LOG_ERROR, "lease", "%s partition %d: the record at offset %" PRId64 " cannot be taken: %s%s",
                   LEASES_TOPIC, load->ls->partition, record.offset, evlog_error_text(code),
                   code == EVLOG_ERR_NO_MEMORY ? "; raise group.memory.max or memory.max" : "");
        }
    }
    return code;
}

static void load_end(struct lease_load *load, int code)
{
    struct leases *ls = load->ls;
    uint64_t took_ms = (ls->io->now_ns - load->began_ns) / NS_PER_MS;
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT || code == EVLOG_ERR_INVALID_RECORD) {
        metrics_add(ls->metrics, METRIC_LEASE_RECORDS_DAMAGED, 1);
    }
    if (code != 0 && code != EVLOG_ERR_CLOSED) {
        el_log(EL_LOG_ERROR, "lease",
               "%s partition %d cannot be read at offset %" PRId64
               " (%s): work groups are refused on shard %u until it can be and evlogd is started again",
               LEASES_TOPIC, ls->partition, load->offset, evlog_error_text(code), ls->index);
    } else if (code == 0 && load->record_count > 0) {
        el_log(EL_LOG_INFO, "lease", "%s partition %d: %" PRIu64 " records read in %" PRIu64 " ms", LEASES_TOPIC,
               ls->partition, load->record_count, took_ms);
    }
    ls->load = NULL;
    ls->busy--;
    el_buddy_free(ls->buddy, load);
    leases_loaded(ls, code);
}

static void load_later(struct lease_load *load, uint64_t delay_ns)
{
    struct io *io = load->ls->io;
    io_timer_set(io, &load->timer, io->now_ns + delay_ns);
}

/* Repeat what failed, when that may help. */
static bool load_again(struct lease_load *load, int error)
{
    struct leases *ls = load->ls;
    if (error == EVLOG_ERR_NO_MEMORY) {
        load_later(load, RETRY_NS);
        return true;
    }
    if (error != EVLOG_ERR_STORAGE && error != EVLOG_ERR_NO_FILES) {
        return false;
    }
    if (!load->complained) {
        el_log(EL_LOG_ERROR, "lease",
               "%s partition %d cannot be read at offset %" PRId64
               " (%s): trying again every second, work groups of shard %u wait",
               LEASES_TOPIC, ls->partition, load->offset, evlog_error_text(error), ls->index);
    }
    load->complained = true;
    load_later(load, RETRY_STORAGE_NS);
    return true;
}

static void load_on_read(struct store_op *base)
{
    struct lease_load *load = base->arg;
    struct read_op *read = &load->read;
    size_t pos = 0;
    int code = base->error;
    while (code == 0 && pos < read->data_len) {
        struct el_batch_info info;
        code = el_batch_header(read->data + pos, read->data_len - pos, &info);
        if (code == 0) {
            code = apply_batch(load, read->data + pos, info.len);
            pos += info.len;
        }
    }
    bool at_end = read->next_offset >= read->high_watermark;
    load->offset = code == 0 ? read->next_offset : load->offset;
    int error = base->error;
    store_read_release(read);
    if (error != 0 && load_again(load, error)) {
        return;
    }
    if (code != 0 || at_end) {
        load_end(load, code);
    } else {
        load_later(load, 0);
    }
}

static void load_on_timer(struct io_timer *timer)
{
    struct lease_load *load = timer->arg;
    struct leases *ls = load->ls;
    OBJ_CHECK(ls, LEASES);
    if (ls->stopping) {
        load_end(load, EVLOG_ERR_CLOSED);
        return;
    }
    load->read = (struct read_op){
        .base = {.done = load_on_read, .arg = load},
        .topic_id = ls->topic_id,
        .partition = ls->partition,
        .offset = load->offset,
        .max_bytes = PIECE_LEN_MAX,
        .at_least_one = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    store_read(ls->shard, &load->read);
}

static void load_on_lookup(struct store_op *base)
{
    struct lease_load *load = base->arg;
    if (base->error != 0) {
        load_end(load, base->error);
        return;
    }
    load->offset = load->lookup.offset;
    load_later(load, 0);
}

void lease_load_drop(struct leases *ls)
{
    struct lease_load *load = ls->load;
    if (load != NULL) {
        io_timer_cancel(ls->io, &load->timer);
        el_buddy_free(ls->buddy, load);
        ls->load = NULL;
        ls->busy--;
    }
}

void lease_load_start(struct leases *ls)
{
    struct lease_load *load = el_buddy_alloc(ls->buddy, sizeof *load);
    if (load == NULL) {
        leases_loaded(ls, EVLOG_ERR_NO_MEMORY);
        return;
    }
    *load = (struct lease_load){
        .ls = ls,
        .began_ns = ls->io->now_ns,
        .timer = {.fire = load_on_timer, .arg = load},
        .lookup = {.base = {.done = load_on_lookup, .arg = load},
                   .topic_id = ls->topic_id,
                   .partition = ls->partition,
                   .timestamp = -2,
                   .current_leader_epoch = -1},
    };
    ls->load = load;
    ls->busy++;
    store_lookup(ls->shard, &load->lookup);
}
