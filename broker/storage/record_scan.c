/* SPDX-License-Identifier: Apache-2.0
 *
 * See record_scan.h.
 *
 *   1. look up where the log begins
 *   2. read a piece, hand its records over in order, go on in the next turn of the shard's loop, up to the high
 *      watermark
 *
 * A record that its owner cannot take, a piece that is damaged, or too little memory for what it says ends it, and the
 * log says why: what is not known would be taken for what never was. A read that failed without saying that something
 * is damaged is repeated.
 */
#include <storage/record_scan.h>

#include <core/logger.h>
#include <inttypes.h>

#define PIECE_LEN_MAX (1u << 20)
#define RETRY_NS 100000000u /* no memory for the piece now */
#define RETRY_STORAGE_NS 1000000000u
#define NS_PER_MS 1000000u

static int take_batch(struct record_scan *scan, const uint8_t *data, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int code = el_batch_open(&iter, data, len, NULL, 0);
    while (code == 0) {
        int more = el_batch_next(&iter, &record);
        if (more <= 0) {
            return more;
        }
        code = scan->take(scan->arg, &record.record);
        scan->record_count++;
        if (code != 0) {
            el_log(EL_LOG_ERROR, scan->module,
                   "%s partition %d: the record at offset %" PRId64 " cannot be taken: %s%s", scan->topic,
                   scan->partition, record.offset, evlog_error_text(code),
                   code == EVLOG_ERR_NO_MEMORY ? "; raise group.memory.max or memory.max" : "");
        }
    }
    return code;
}

static void scan_end(struct record_scan *scan, int code)
{
    uint64_t took_ms = (scan->io->now_ns - scan->began_ns) / NS_PER_MS;
    EL_ASSERT(scan->timer.heap_index == 0);
    if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT || code == EVLOG_ERR_INVALID_RECORD) {
        metrics_add(scan->metrics, scan->damaged, 1);
    }
    if (code != 0 && code != EVLOG_ERR_CLOSED) {
        el_log(EL_LOG_ERROR, scan->module,
               "%s partition %d cannot be read at offset %" PRId64
               " (%s): %s are refused until it can be and evlogd is started again",
               scan->topic, scan->partition, scan->offset, evlog_error_text(code), scan->waiters);
    } else if (code == 0 && scan->record_count > 0) {
        el_log(EL_LOG_INFO, scan->module, "%s partition %d: %" PRIu64 " records read in %" PRIu64 " ms", scan->topic,
               scan->partition, scan->record_count, took_ms);
    }
    scan->end(scan->arg, code);
}

static void scan_later(struct record_scan *scan, uint64_t delay_ns)
{
    io_timer_set(scan->io, &scan->timer, scan->io->now_ns + delay_ns);
}

/* Repeat what failed, when that may help. */
static bool scan_again(struct record_scan *scan, int error)
{
    if (error == EVLOG_ERR_NO_MEMORY) {
        scan_later(scan, RETRY_NS);
        return true;
    }
    if (error != EVLOG_ERR_STORAGE && error != EVLOG_ERR_NO_FILES) {
        return false;
    }
    if (!scan->complained) {
        el_log(EL_LOG_ERROR, scan->module,
               "%s partition %d cannot be read at offset %" PRId64 " (%s): trying again every second, %s wait",
               scan->topic, scan->partition, scan->offset, evlog_error_text(error), scan->waiters);
    }
    scan->complained = true;
    scan_later(scan, RETRY_STORAGE_NS);
    return true;
}

static void scan_on_read(struct store_op *base)
{
    struct record_scan *scan = base->arg;
    struct read_op *read = &scan->read;
    size_t pos = 0;
    int code = base->error;
    while (code == 0 && pos < read->data_len) {
        struct el_batch_info info;
        code = el_batch_header(read->data + pos, read->data_len - pos, &info);
        if (code == 0) {
            code = take_batch(scan, read->data + pos, info.len);
            pos += info.len;
        }
    }
    bool at_end = read->next_offset >= read->high_watermark;
    if (code == 0) {
        EL_ASSERT(at_end || read->next_offset > scan->offset); /* else it would never end */
        scan->offset = read->next_offset;
    }
    int error = base->error;
    store_read_release(read);
    if (error != 0 && scan_again(scan, error)) {
        return;
    }
    if (code != 0 || at_end) {
        scan_end(scan, code);
    } else {
        scan_later(scan, 0);
    }
}

static void scan_on_timer(struct io_timer *timer)
{
    struct record_scan *scan = timer->arg;
    if (*scan->stopping) {
        scan_end(scan, EVLOG_ERR_CLOSED);
        return;
    }
    scan->read = (struct read_op){
        .base = {.done = scan_on_read, .arg = scan},
        .topic_id = scan->topic_id,
        .partition = scan->partition,
        .offset = scan->offset,
        .max_bytes = PIECE_LEN_MAX,
        .at_least_one = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    store_read(scan->shard, &scan->read);
}

static void scan_on_lookup(struct store_op *base)
{
    struct record_scan *scan = base->arg;
    if (base->error != 0) {
        scan_end(scan, base->error);
        return;
    }
    scan->offset = scan->lookup.offset;
    scan_later(scan, 0);
}

void record_scan_drop(struct record_scan *scan)
{
    io_timer_cancel(scan->io, &scan->timer);
}

void record_scan_start(struct record_scan *scan)
{
    EL_ASSERT(scan->take != NULL);
    EL_ASSERT(scan->end != NULL);
    scan->offset = 0;
    scan->record_count = 0;
    scan->began_ns = scan->io->now_ns;
    scan->complained = false;
    scan->timer = (struct io_timer){.fire = scan_on_timer, .arg = scan};
    scan->lookup = (struct lookup_op){.base = {.done = scan_on_lookup, .arg = scan},
                                      .topic_id = scan->topic_id,
                                      .partition = scan->partition,
                                      .timestamp = -2,
                                      .current_leader_epoch = -1};
    store_lookup(scan->shard, &scan->lookup);
}
