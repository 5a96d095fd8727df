/* SPDX-License-Identifier: Apache-2.0
 *
 * What a question of the redactor finds. On shard 0, after it came from the shard that asked:
 *
 *   1. is it about something that is under way or was done by this run? Then that is the answer
 *   2. topic and range are checked
 *   3. the range is read batch by batch, from this disk and the archive: whole batches go, so the offsets of what goes
 *      may be more than was asked for. What is a mark already, and what is missing, is passed over
 *   4. a dry run is answered; of another one an entry joins the list
 */
#include <redact/redact_state.h>

#include <core/assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define READ_LEN (256u << 10)
#define WAITS_TEXT                                                                                                     \
    "the newest object of the archive has them; its events left by age, and it goes when another one comes: append one"

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void run_back(struct io_message *message)
{
    struct redact_ask *ask = EL_CONTAINER(message, struct redact_ask, message);
    ask->done(ask);
}

void redact_answer(struct redact_ask *ask, int error)
{
    EL_ASSERT(ask->done != NULL);
    ask->error = error;
    ask->message.run = run_back;
    io_post(ask->origin, &ask->message);
}

void redact_refuse(struct redact_ask *ask, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ask->text, sizeof ask->text, format, args);
    va_end(args);
    redact_answer(ask, error);
}

/* --- what is known ------------------------------------------------------------------------------------------------ */

static bool is_about(const struct redact_ask *ask, const struct redact_entry *e)
{
    return ask->partition == e->partition && el_uuid_eq(&ask->topic_id, &e->topic_id) &&
           ask->first_offset >= e->first_offset && ask->end_offset <= e->end_offset;
}

static bool answer_known(struct redact_ask *ask)
{
    struct redactor *r = ask->redactor;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct redact_entry *e = &r->entries[i];
        if (is_about(ask, e)) {
            ask->state = i == 0 && (r->step == WORK_ARCHIVE || r->step == WORK_RELEASE) ? REDACT_ARCHIVE : REDACT_LOCAL;
            ask->first_found = e->first_offset;
            ask->end_found = e->end_offset;
            bool waits = i == 0 && r->step == WORK_ARCHIVE && r->busy && r->ask.waits;
            (void)snprintf(ask->text, sizeof ask->text, "%.190s", waits ? WAITS_TEXT : i == 0 ? r->stuck : "");
            redact_answer(ask, 0);
            return true;
        }
    }
    for (uint32_t i = 0; i < EL_MIN(r->done_turn, REDACT_DONE_MAX); i++) {
        const struct redact_done *done = &r->done[i];
        if (is_about(ask, &done->entry)) {
            ask->state = REDACT_COMPLETE;
            ask->first_found = done->entry.first_offset;
            ask->end_found = done->entry.end_offset;
            ask->parent_end = done->parent_end;
            redact_answer(ask, 0);
            return true;
        }
    }
    return false;
}

/* --- the range ---------------------------------------------------------------------------------------------------- */

static void entry_add(struct redact_ask *ask)
{
    struct redactor *r = ask->redactor;
    if (r->count == REDACT_PENDING_MAX) {
        redact_refuse(ask, EVLOG_ERR_LIMIT, "%u redactions are under way: ask again when some are done",
                      REDACT_PENDING_MAX);
        return;
    }
    EL_ASSERT(r->count < REDACT_PENDING_MAX);
    EL_ASSERT(ask->reason.len <= EL_REDACTION_REASON_MAX);
    struct redact_entry *e = &r->entries[r->count++];
    *e = (struct redact_entry){.topic_id = ask->topic_id,
                               .partition = ask->partition,
                               .first_offset = EL_MIN(ask->first_offset, ask->first_found),
                               .end_offset = EL_MAX(ask->end_offset, ask->end_found),
                               .when_ms = io_wall(r->io) / 1000000,
                               .reason_len = (uint16_t)ask->reason.len};
    if (ask->reason.len > 0) {
        memcpy(e->reason, ask->reason.data, ask->reason.len);
    }
    EL_ASSERT(e->first_offset <= ask->first_offset);
    EL_ASSERT(e->end_offset >= ask->end_offset);
    ask->state = REDACT_LOCAL;
    redactor_accept(r, ask);
}

/* All of the range was looked at. What the log does not have, for it is below its start or was compacted away, the
 * archive may have. */
static void found(struct redact_ask *ask)
{
    bool any = ask->batch_count > 0;
    bool below_start = ask->holes || ask->covered < ask->end_offset;
    ask->first_found = any ? ask->first_found : ask->first_offset;
    ask->end_found = any ? ask->end_found : ask->end_offset;
    if (!any && (!below_start || ask->redactor->archiver == NULL)) {
        ask->state = REDACT_NOTHING;
        redact_answer(ask, 0);
    } else if (ask->dry_run) {
        if (!any) {
            (void)snprintf(ask->text, sizeof ask->text, "the log has no events there; the archive may have some");
        }
        ask->state = REDACT_FOUND;
        redact_answer(ask, 0);
    } else {
        entry_add(ask);
    }
}

static void note_batch(struct redact_ask *ask, const uint8_t *batch, size_t len)
{
    struct el_redaction_mark mark;
    int64_t first = el_batch_base_offset(batch), last = el_batch_last_offset(batch);
    if (last < ask->first_offset || first >= ask->end_offset) {
        return;
    }
    ask->holes = ask->holes || first > ask->covered;
    ask->covered = EL_MAX(ask->covered, last + 1);
    if (el_redaction_mark_get(batch, len, &mark)) {
        return;
    }
    ask->holes = ask->holes || el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT) != (uint64_t)(last - first) + 1;
    ask->first_found = ask->batch_count == 0 ? first : ask->first_found;
    ask->end_found = last + 1;
    ask->batch_count++;
    ask->event_count += el_get_be32(batch + EL_BATCH_POS_RECORD_COUNT);
}

static void read_on(struct redact_ask *ask, int64_t offset);

static void read_failed(struct redact_ask *ask, const struct read_op *op)
{
    bool trimmed = op->base.error == EVLOG_ERR_OFFSET_RANGE && op->log_start_offset > op->offset;
    if (trimmed && op->log_start_offset < ask->end_offset) {
        read_on(ask, op->log_start_offset);
    } else if (trimmed && ask->redactor->archiver != NULL) {
        found(ask);
    } else if (trimmed) {
        redact_refuse(ask, EVLOG_ERR_OFFSET_RANGE,
                      "offsets below %" PRId64 " were deleted: they are not on this disk any more",
                      op->log_start_offset);
    } else if (op->base.error == EVLOG_ERR_OFFSET_RANGE) {
        redact_refuse(ask, EVLOG_ERR_OFFSET_RANGE, "the log ends at offset %" PRId64, op->high_watermark);
    } else {
        redact_refuse(ask, op->base.error, "offset %" PRId64 " cannot be read: %s", op->offset,
                      evlog_error_text(op->base.error));
    }
}

static void on_read(struct store_op *base)
{
    struct redact_ask *ask = base->arg;
    struct read_op *op = &ask->read;
    int64_t next = op->next_offset, end = op->high_watermark;
    if (ask->redactor->stopping) {
        store_read_release(op);
        redact_refuse(ask, EVLOG_ERR_CLOSED, "evlogd stops");
        return;
    }
    if (base->error != 0) {
        store_read_release(op);
        read_failed(ask, op);
        return;
    }
    for (uint32_t i = 0; i < op->entry_count; i++) {
        note_batch(ask, op->data + op->entries[i].pos, op->entries[i].len);
    }
    bool none = op->entry_count == 0;
    store_read_release(op);
    if (ask->end_offset > end) {
        redact_refuse(ask, EVLOG_ERR_OFFSET_RANGE, "the log ends at offset %" PRId64, end);
    } else if (next >= ask->end_offset || none) {
        found(ask);
    } else {
        read_on(ask, next);
    }
}

static void read_on(struct redact_ask *ask, int64_t offset)
{
    EL_ASSERT(offset >= ask->first_offset);
    EL_ASSERT(offset < ask->end_offset);
    ask->read = (struct read_op){.base = {.done = on_read, .arg = ask},
                                 .topic_id = ask->topic_id,
                                 .partition = ask->partition,
                                 .offset = offset,
                                 .max_bytes = READ_LEN,
                                 .at_least_one = true,
                                 .want_entries = true,
                                 .current_leader_epoch = -1,
                                 .last_fetched_epoch = -1};
    store_read(ask->redactor->shard, &ask->read);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

void redact_find(struct redact_ask *ask)
{
    struct redactor *r = ask->redactor;
    const struct topic *topic = store_topic_by_id(r->shard, &ask->topic_id);
    if (r->stopping) {
        redact_refuse(ask, EVLOG_ERR_CLOSED, "evlogd stops");
        return;
    }
    if (!ask->dry_run && answer_known(ask)) {
        return;
    }
    if (topic == NULL || ask->partition < 0 || ask->partition >= topic->partition_count) {
        redact_refuse(ask, EVLOG_ERR_UNKNOWN_TOPIC, "there is no such topic or partition");
    } else if (topic->internal) {
        redact_refuse(ask, EVLOG_ERR_POLICY, "%s is one of evlog's own topics, which are not redacted", topic->name);
    } else if (topic_config_streams(&topic->config)) {
        redact_refuse(ask, EVLOG_ERR_POLICY,
                      "%s has evlog.streams: versions of streams are counted from its events, so none of them can be "
                      "taken out. Seal what may have to be erased (docs/sealed-fields.md)",
                      topic->name);
    } else if (ask->first_offset < 0 || ask->end_offset <= ask->first_offset) {
        redact_refuse(ask, EVLOG_ERR_ARGUMENT, "a range of offsets ends at or behind its first one");
    } else if (ask->reason.len > EL_REDACTION_REASON_MAX || (ask->reason.len == 0 && !ask->dry_run)) {
        redact_refuse(ask, EVLOG_ERR_ARGUMENT, "the reason has 1 to %u bytes: it is signed, and stays",
                      EL_REDACTION_REASON_MAX);
    } else {
        read_on(ask, ask->first_offset);
    }
}

static void run_ask(struct io_message *message)
{
    redact_find(EL_CONTAINER(message, struct redact_ask, message));
}

void redactor_ask(struct redactor *redactor, struct store_shard *shard, struct redact_ask *ask)
{
    ask->origin = store_shard_io(shard);
    ask->redactor = redactor;
    ask->error = 0;
    ask->text[0] = 0;
    ask->state = REDACT_NOTHING;
    ask->first_found = ask->end_found = 0;
    ask->batch_count = ask->event_count = 0;
    ask->parent_end = 0;
    ask->covered = ask->first_offset;
    ask->holes = false;
    el_list_init(&ask->link);
    ask->message.run = run_ask;
    io_post(redactor->io, &ask->message);
}
