/* SPDX-License-Identifier: Apache-2.0
 *
 * Healing a disk that is older than what was signed, on shard 0: what comes after what.
 *
 *   look    all shards compare, and count what is behind (archive_heal.c)
 *   fetch   they bring it back; when the catalogue is behind, it alone, and the next start does the rest
 *   adopt   a job makes the disk's archive one that continues the old one (archive_heal_job.c)
 *   healed  who runs the broker is told: it is to be stopped and started anew, for work groups, consumer groups,
 *           streams and the catalogue know nothing of what has come
 */
#include <archive/archiver_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

void archive_root_news(struct archive *a)
{
    if (a->cfg.news != NULL) {
        a->cfg.news(a->cfg.news_arg);
    }
}

static void order(struct archive *a, enum heal_stage stage, enum archiver_order what)
{
    EL_ASSERT(a->waiting == 0);
    a->heal_stage = stage;
    a->waiting = a->shard_count;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        archiver_order(&a->shards[i], what);
    }
}

void archive_heal_begin(struct archive *a)
{
    el_sm_move(&a->sm, a, ROOT_HEAL);
    a->tries = 0;
    a->last_error[0] = 0;
    archive_needs(a, a->metrics, &a->needs, 0);
    a->sequence = a->begin.sequence;
    a->root_ms = a->begin.root_ms;
    atomic_store(&a->sequence_shown, a->sequence);
    atomic_store(&a->behind_shown, BEHIND_HEALS);
    el_log(EL_LOG_WARN, "archive",
           "this disk is older than root %" PRIu64
           " of %s, which a broker with a newer one has put: it is healed from the "
           "archive before anything is appended. The newer disk, if there is one, is not the archive's any more",
           a->sequence, a->cfg.bucket->url);
    for (uint32_t i = 0; i < a->shard_count; i++) {
        a->shards[i].told = a->begin.told;
    }
    order(a, HEAL_LOOKS, ORDER_HEAL_LOOK);
}

/* --- the end of it ------------------------------------------------------------------------------------------------ */

static void heal_done(struct archive *a, const char *text)
{
    a->heal_stage = HEAL_DONE;
    atomic_store(&a->healed, true);
    el_log(EL_LOG_WARN, "archive", "%s: evlogd starts anew", text);
    archive_root_news(a);
}

static void on_adopted(struct io_op *op)
{
    struct archive *a = op->arg;
    EL_ASSERT(a->job_busy);
    a->job_busy = false;
    if (a->sm.state == ROOT_ENDED) {
        return;
    }
    if (op->result == EVLOG_ERR_EXISTS) {
        el_log(EL_LOG_WARN, "archive", "%s", a->adopt.err.text);
        archive_root_begin(a);
        return;
    }
    if (op->result != 0) {
        archive_root_again(a, (int)op->result, &a->adopt.err, ROOT_HEAL);
        return;
    }
    heal_done(a, "this disk has what the archive has, and continues it");
}

void archive_heal_adopt(struct archive *a)
{
    if (a->heal_stage != HEAL_ADOPTS) {
        a->heal_stage = HEAL_ADOPTS;
        a->adopt = (struct archive_adopt_job){
            .ledger = a->ledger, .store = a->store, .told = a->begin.told, .now_ms = io_wall(a->io) / 1000000};
        io_random(a->io, a->adopt.fresh.bytes, sizeof a->adopt.fresh.bytes);
    }
    EL_ASSERT(!a->job_busy);
    a->job_busy = true;
    a->job.done = on_adopted;
    a->job.arg = a;
    io_job(a->io, &a->job, IO_JOB_ARCHIVE, archive_adopt_run, &a->adopt);
}

/* --- between the orders ------------------------------------------------------------------------------------------- */

/* All have looked. */
static void looked(struct archive *a)
{
    uint32_t due = 0;
    bool catalogue = false;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        due += a->shards[i].heal_due;
        catalogue = catalogue || a->shards[i].heal_catalogue;
    }
    el_log(EL_LOG_INFO, "archive", "%s%" PRIu32 " partitions of this disk are behind the archive",
           catalogue ? "the catalogue and others, together " : "", due);
    a->heal_catalogue = catalogue;
    if (due == 0) {
        archive_heal_adopt(a);
        return;
    }
    for (uint32_t i = 0; i < a->shard_count; i++) {
        a->shards[i].heal_only_catalogue = catalogue;
    }
    order(a, HEAL_FETCHES, ORDER_HEAL);
}

void archive_heal_answered(struct archive *a)
{
    if (archive_stopped_reason(a) != NULL) {
        for (uint32_t i = 0; i < a->shard_count; i++) {
            a->shards[i].older = true;
        }
        archive_root_end(a);
    } else if (a->heal_stage == HEAL_LOOKS) {
        looked(a);
    } else if (a->heal_catalogue) {
        heal_done(a, "the catalogue is healed, the rest follows");
    } else {
        archive_heal_adopt(a);
    }
}
