/* SPDX-License-Identifier: Apache-2.0
 *
 * The work of the redactor, on shard 0, on one redaction after the other:
 *
 *   1. a question is looked at (redact_find.c); what is to be redacted joins the list, and the list is durable before
 *      anything else happens
 *   2. local    store_redact(): marks take the places of the batches, their bytes leave this disk
 *   3. archive  archive_redact(): objects that hold them are put anew, old ones and orphans go
 *   4. release  store_redact() lets come back from the archive what belongs on this disk
 *   5. the entry leaves the list, which is durable again
 *
 * Every step finds what was done before, so that a start begins anew with the first one of each entry. A step that
 * fails is tried again each second; what stands in its way is told to who asks, and logged once. Not before the list is
 * durable is anybody told that a redaction is accepted.
 */
#include <redact/redact_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

#define AGAIN_NS 1000000000u
#define GUARD_FILE ARCHIVE_DIR "/signed"

static void work_go(struct redactor *r);

/* Holds between any two steps. */
static void check(const struct redactor *r)
{
    EL_ASSERT(r->count <= REDACT_PENDING_MAX);
    EL_ASSERT(r->saved_count <= r->count);
    if (r->busy) {
        EL_ASSERT(r->step != WORK_IDLE);
        EL_ASSERT(r->saved_count > 0); /* nothing is done for what is not durable */
    }
    if (r->save_busy) {
        EL_ASSERT(r->saving_left <= r->saving_count);
    }
}

/* The completion of what a step has begun. */
static void step_ends(struct redactor *r, enum work_step step)
{
    check(r);
    EL_ASSERT(r->busy);
    EL_ASSERT(r->step == step);
    r->busy = false;
}

static void step_begins(struct redactor *r, enum work_step step)
{
    EL_ASSERT(!r->busy);
    r->step = step;
    r->busy = true;
    check(r);
}

static void work_later(struct redactor *r)
{
    if (!r->stopping) {
        io_timer_set(r->io, &r->timer, r->io->now_ns + AGAIN_NS);
    }
}

static void work_on_timer(struct io_timer *timer)
{
    work_go(timer->arg);
}

/* What stands in the way. */
static void work_stuck(struct redactor *r, const char *what, int code)
{
    char text[sizeof r->stuck];
    EL_ASSERT(!r->busy);
    EL_ASSERT(r->count > 0);
    snprintf(text, sizeof text, "%s: %s", what, evlog_error_text(code));
    if (strcmp(text, r->stuck) != 0) {
        const struct redact_entry *e = &r->entries[0];
        el_log(EL_LOG_WARN, "redact", "offsets %" PRId64 " to %" PRId64 " of partition %d: %s; it is tried again",
               e->first_offset, e->end_offset - 1, e->partition, text);
        snprintf(r->stuck, sizeof r->stuck, "%s", text);
    }
    r->step = WORK_IDLE;
    work_later(r);
}

/* --- the list ----------------------------------------------------------------------------------------------------- */

static int64_t save_run(struct disk *disk, void *arg)
{
    struct redactor *r = arg;
    return redact_file_save(disk, r->saving, r->saving_count);
}

static void asks_saving(struct redactor *r)
{
    EL_LIST_EACH(n, &r->asks) {
        EL_CONTAINER(n, struct redact_ask, link)->saving = true;
    }
}

/* Everybody whose redaction is in the list that was saved is told; with an error, all. */
static void asks_answer(struct redactor *r, int error)
{
    EL_LIST_EACH_SAFE(n, tmp, &r->asks) {
        struct redact_ask *ask = EL_CONTAINER(n, struct redact_ask, link);
        if (ask->saving || error != 0) {
            el_list_remove(&ask->link);
            redact_answer(ask, error);
        }
    }
}

static void save_on_done(struct io_op *op)
{
    struct redactor *r = op->arg;
    EL_ASSERT(r->save_busy);
    check(r);
    r->save_busy = false;
    if (op->result != 0) {
        el_log(EL_LOG_WARN, "redact", "%s cannot be written: %s; it is tried again", REDACT_FILE,
               evlog_error_text((int)op->result));
        r->save_wanted = true;
        work_later(r);
        return;
    }
    r->saved_count = r->saving_count - r->saving_left;
    asks_answer(r, 0);
    work_go(r);
}

static void save_begin(struct redactor *r)
{
    EL_ASSERT(!r->save_busy);
    check(r);
    r->save_busy = true;
    r->save_wanted = false;
    r->saving_count = r->count;
    r->saving_left = 0;
    memcpy(r->saving, r->entries, sizeof r->entries);
    asks_saving(r);
    r->save_op.done = save_on_done;
    r->save_op.arg = r;
    io_job(r->io, &r->save_op, IO_JOB_DISK, save_run, r);
}

void redactor_accept(struct redactor *r, struct redact_ask *ask)
{
    ask->saving = false;
    el_list_push_back(&r->asks, &ask->link);
    r->save_wanted = true;
    work_go(r);
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

static void entry_done(struct redactor *r, int64_t parent_end)
{
    struct redact_done *done = &r->done[r->done_turn++ % REDACT_DONE_MAX];
    *done = (struct redact_done){.entry = r->entries[0], .parent_end = parent_end};
    el_log(EL_LOG_INFO, "redact", "offsets %" PRId64 " to %" PRId64 " of partition %d are redacted: %.*s",
           done->entry.first_offset, done->entry.end_offset - 1, done->entry.partition, (int)done->entry.reason_len,
           (const char *)done->entry.reason);
    EL_ASSERT(r->saved_count > 0);
    r->count--;
    r->saved_count--;
    r->saving_left += r->save_busy;
    memmove(r->entries, r->entries + 1, r->count * sizeof r->entries[0]);
    r->step = WORK_IDLE;
    r->stuck[0] = 0;
    r->save_wanted = true;
    work_go(r);
}

static struct redact_op op_of(struct redactor *r, bool release, void (*done)(struct store_op *op))
{
    const struct redact_entry *e = &r->entries[0];
    return (struct redact_op){.base = {.done = done, .arg = r},
                              .topic_id = e->topic_id,
                              .partition = e->partition,
                              .first_offset = e->first_offset,
                              .end_offset = e->end_offset,
                              .when_ms = e->when_ms,
                              .reason = el_slice_of(e->reason, e->reason_len),
                              .release = release};
}

static void on_released(struct store_op *op)
{
    struct redactor *r = op->arg;
    step_ends(r, WORK_RELEASE);
    entry_done(r, r->ask.parent_end); /* the topic may be deleted: then there is nothing to let come back */
}

static void release_begin(struct redactor *r)
{
    step_begins(r, WORK_RELEASE);
    r->local = op_of(r, true, on_released);
    store_redact(r->shard, &r->local);
}

static void on_archive(struct archive_redact_ask *ask)
{
    struct redactor *r = ask->arg;
    step_ends(r, WORK_ARCHIVE);
    if (ask->error == EVLOG_ERR_CLOSED) {
        r->step = WORK_IDLE;
    } else if (ask->error == EVLOG_ERR_CONFLICT) {
        work_stuck(r,
                   "another archive, of a restored directory, goes on from this one and needs its objects as they are",
                   ask->error);
    } else if (ask->error != 0) {
        work_stuck(r, "the archive", ask->error);
    } else {
        release_begin(r);
    }
}

static void archive_begin(struct redactor *r)
{
    const struct redact_entry *e = &r->entries[0];
    r->ask = (struct archive_redact_ask){.done = on_archive,
                                         .arg = r,
                                         .topic_id = e->topic_id,
                                         .partition = e->partition,
                                         .first_offset = e->first_offset,
                                         .end_offset = e->end_offset,
                                         .when_ms = e->when_ms,
                                         .reason = el_slice_of(e->reason, e->reason_len)};
    if (r->archiver == NULL && r->archives) {
        work_stuck(r, "this directory has an archive, and evlogd was started without --archive", EVLOG_ERR_POLICY);
        r->step = WORK_ARCHIVE; /* it stays there until a start with it */
        return;
    }
    if (r->archiver == NULL) {
        release_begin(r);
        return;
    }
    step_begins(r, WORK_ARCHIVE);
    archive_redact(r->archiver, &r->ask);
}

static bool is_gone(int code)
{
    return code == EVLOG_ERR_UNKNOWN_TOPIC || code == EVLOG_ERR_UNKNOWN_TOPIC_ID;
}

static void on_local(struct store_op *op)
{
    struct redactor *r = op->arg;
    step_ends(r, WORK_LOCAL);
    if (op->error == EVLOG_ERR_CLOSED) {
        r->step = WORK_IDLE;
    } else if (op->error != 0 && !is_gone(op->error)) {
        work_stuck(r, "this disk", op->error);
    } else {
        archive_begin(r); /* a topic that was deleted meanwhile is in the archive all the same */
    }
}

static void local_begin(struct redactor *r)
{
    step_begins(r, WORK_LOCAL);
    r->local = op_of(r, false, on_local);
    store_redact(r->shard, &r->local);
}

/* Whatever can go on does. */
static void work_go(struct redactor *r)
{
    if (r->stopping) {
        return;
    }
    if (r->save_wanted && !r->save_busy && r->timer.heap_index == 0) {
        save_begin(r);
    }
    if (!r->busy && r->step == WORK_IDLE && r->saved_count > 0 && r->timer.heap_index == 0) {
        local_begin(r);
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int redactor_create(struct store *store, struct archive *archive, struct disk *disk, struct redactor **redactor,
                    struct el_error *err)
{
    struct redactor *r = el_calloc(1, sizeof *r);
    int fd;
    if (r == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory for redactions");
    }
    int code = redact_file_load(disk, r->entries, &r->count, err);
    if (code != 0) {
        el_free(r);
        return code;
    }
    r->archives = archive != NULL;
    if (!r->archives && disk_open(disk, GUARD_FILE, DISK_READ, &fd) == 0) {
        r->archives = true;
        (void)disk_close(disk, fd);
    }
    r->saved_count = r->count;
    check(r);
    r->store = store;
    r->shard = store_shard_at(store, 0);
    r->io = store_shard_io(r->shard);
    r->archiver = archive == NULL ? NULL : archive_shard(archive, 0);
    r->timer.fire = work_on_timer;
    r->timer.arg = r;
    el_list_init(&r->asks);
    *redactor = r;
    return 0;
}

void redactor_destroy(struct redactor *r)
{
    if (r != NULL) {
        if (!r->stopping) { /* after a crash it may be armed */
            io_timer_cancel(r->io, &r->timer);
        }
        el_free(r);
    }
}

void redactor_start(struct redactor *r)
{
    if (r->count > 0) {
        el_log(EL_LOG_INFO, "redact", "%" PRIu32 " redactions are gone on with", r->count);
    }
    work_go(r);
}

void redactor_stop(struct redactor *r)
{
    r->stopping = true;
    io_timer_cancel(r->io, &r->timer);
    asks_answer(r, EVLOG_ERR_CLOSED);
}
