/* SPDX-License-Identifier: Apache-2.0
 *
 * How the archive is, for any thread: sentences for /health/ready, and whether a start may go on.
 */
#include <archive/archiver_state.h>

#include <inttypes.h>
#include <stdio.h>

#define MISSING_SHOWN_NS 600000000000u /* since one was looked for in vain, which is repeated each minute */
#define LATE_LAGS 10u                  /* so many times archive.max.lag.ms are late */

uint64_t archive_lag_ns(const struct archive *archive)
{
    uint64_t now_ns = el_clock_now(store_clock(archive->store));
    uint64_t shown_ns = atomic_load(&archive->complete_shown_ns), kept_ns = atomic_load(&archive->kept_ns);
    uint64_t complete_ns = shown_ns == 0 && kept_ns != 0 ? kept_ns : EL_MAX(shown_ns, archive->made_ns);
    return now_ns > complete_ns ? now_ns - complete_ns : 0;
}

void archive_needs(struct archive *archive, struct metrics *metrics, bool *needs, int code)
{
    bool now = code == EVLOG_ERR_POLICY;
    if (now != *needs) {
        *needs = now;
        metrics_add(metrics, METRIC_ARCHIVE_REFUSED, now ? 1 : -1);
        atomic_fetch_add(&archive->needs_count, now ? 1 : -1);
    }
}

bool archive_needs_somebody(struct archive *archive, char *text, size_t text_len)
{
    if (atomic_load(&archive->needs_count) == 0) {
        return false;
    }
    snprintf(text, text_len, "the object store refuses what is to be archived: see evlog archive status");
    return true;
}

void archive_refused(struct archiver *ar, int code, const char *why)
{
    archive_needs(ar->archive, ar->metrics, &ar->needs, code);
    if (why == NULL && !ar->refused) {
        return;
    }
    ar->refused = why != NULL;
    pthread_mutex_lock(&ar->archive->fail_lock);
    snprintf(ar->refusal, sizeof ar->refusal, "%s", why == NULL ? "" : why);
    pthread_mutex_unlock(&ar->archive->fail_lock);
}

void archive_trouble(struct archive *archive, char *text, size_t text_len)
{
    snprintf(text, text_len, "%s", archive->last_error);
    pthread_mutex_lock(&archive->fail_lock);
    for (uint32_t i = 0; i < archive->shard_count && text[0] == 0; i++) {
        snprintf(text, text_len, "%s", archive->shards[i].refusal);
    }
    pthread_mutex_unlock(&archive->fail_lock);
}

bool archive_late(const struct archive *archive, char *text, size_t text_len)
{
    uint64_t lag_s = archive_lag_ns(archive) / 1000000000u;
    if (lag_s <= LATE_LAGS * archive->cfg.lag_ms / 1000) {
        return false;
    }
    snprintf(text, text_len, "the archive is %" PRIu64 " s behind: see evlog archive status", lag_s);
    return true;
}

bool archive_missing(const struct archive *archive, char *text, size_t text_len)
{
    uint64_t missing_ns = atomic_load(&archive->missing_ns), now_ns = el_clock_now(store_clock(archive->store));
    if (missing_ns == 0 || now_ns > missing_ns + MISSING_SHOWN_NS) {
        return false;
    }
    snprintf(text, text_len, "objects are missing in the archive, or are others: the log names them");
    return true;
}

bool archive_behind(struct archive *archive, char *text, size_t text_len)
{
    int64_t due = 0;
    switch ((enum behind)atomic_load(&archive->behind_shown)) {
    case BEHIND_NOT:
        return false;
    case BEHIND_WAITS:
        snprintf(text, text_len,
                 "this disk is older than what was signed, and another broker may be at work there: see evlog archive "
                 "status");
        return true;
    case BEHIND_HEALS:
        break;
    }
    for (uint32_t i = 0; i < archive->shard_count; i++) {
        due += metrics_get(archive->shards[i].metrics, METRIC_ARCHIVE_HEAL_PARTITIONS);
    }
    snprintf(text, text_len,
             "this disk is older than what was signed, and is healed from the archive: %" PRId64 " partitions are left",
             due);
    return true;
}

bool archive_asked(const struct archive *archive)
{
    return atomic_load(&archive->asked);
}

bool archive_healed(const struct archive *archive)
{
    return atomic_load(&archive->healed);
}
