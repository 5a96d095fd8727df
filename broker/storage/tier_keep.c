/* SPDX-License-Identifier: Apache-2.0
 *
 * Retention under an archive, with each look at retention:
 *
 *   local.retention.*   segments that the archive does not need any more leave this disk, the log start stays: their
 *                       events are read from the archive. Not those of compacted topics, nor of internal ones, which a
 *                       start must read whole. Before, the objects that hold them are looked for
 *   retention.*         of events that only the archive has it is the archive that knows age and size. It is asked at
 *                       intervals, and the log start follows its answer
 *   evlog.archive.retention.ms
 *                       what has left the archive too is nowhere: the log start follows as far as this disk has nothing
 */
#include <core/assert.h>
#include <storage/compact.h>
#include <storage/remote.h>

#define AGE_INTERVAL_NS_MIN 60000000000u
#define AGE_INTERVAL_NS_MAX 3600000000000u
#define CONFIRM_AGAIN_NS 60000000000u /* after a failure */
#define AGE_SHARE 100u                /* of retention.ms: the interval */

static int64_t setting(const struct partition *part, enum topic_setting_id id)
{
    return topic_config_int(&part->topic->config, &part->shard->topic_defaults, id);
}

static bool is_older(uint64_t then_ns, int64_t ms, uint64_t now_ns)
{
    return ms >= 0 && now_ns > then_ns && (now_ns - then_ns) / 1000000 > (uint64_t)ms;
}

/* --- this disk ---------------------------------------------------------------------------------------------------- */

/* End of the segments that are not kept here. */
static int64_t local_end(const struct partition *part, uint64_t now_ns)
{
    int64_t ms = setting(part, TOPIC_LOCAL_RETENTION_MS), bytes = setting(part, TOPIC_LOCAL_RETENTION_BYTES);
    uint64_t left = part->segment_bytes + part->pending_bytes;
    int64_t end = 0;
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        bool over = bytes >= 0 && left >= seg->len && left - seg->len >= (uint64_t)bytes;
        if (seg->removed) {
            continue;
        }
        if (!seg->rolled || seg->end_offset > part->tier.local_end ||
            (!is_older(seg->last_append_ns, ms, now_ns) && !over)) {
            break;
        }
        left -= EL_MIN(left, seg->len);
        end = seg->end_offset;
    }
    return end;
}

/* --- the archive -------------------------------------------------------------------------------------------------- */

/* A question, in memory of its own. */
struct keep_ask {
    struct remote remote;
};

static void ask_on_gone(struct remote *remote)
{
    el_buddy_free(remote->part->shard->buddy, EL_CONTAINER(remote, struct keep_ask, remote));
}

/* returns false when it cannot be asked now */
static bool ask_start(struct partition *part, const struct tier_read *read,
                      void (*done)(struct remote *remote, int error, bool over))
{
    struct keep_ask *ask = el_buddy_alloc(part->shard->buddy, sizeof(*ask));
    if (ask == NULL) {
        return false;
    }
    memset(ask, 0, sizeof(*ask));
    ask->remote.done = done;
    ask->remote.gone = ask_on_gone;
    ask->remote.read = *read;
    if (remote_start(part, &ask->remote) == 0) {
        return true;
    }
    el_buddy_free(part->shard->buddy, ask);
    return false;
}

static void confirm_on_done(struct remote *remote, int error, bool over)
{
    struct keep_ask *ask = EL_CONTAINER(remote, struct keep_ask, remote);
    struct partition *part = remote->part;
    struct store_shard *shard = part->shard;
    part->tier.confirming = false;
    if (error == 0) {
        part->tier.confirmed_end = EL_MAX(part->tier.confirmed_end, remote->read.next_offset);
    } else {
        part->tier.confirm_again_ns = shard->io->now_ns + CONFIRM_AGAIN_NS;
    }
    if (over) {
        el_buddy_free(shard->buddy, ask);
    }
}

/* Is every object there that holds what is to leave? It stays as long as that is not known. */
static void confirm_look(struct partition *part, int64_t end)
{
    int64_t from = EL_MAX(part->tier.confirmed_end, tier_local_start(part));
    if (from >= end || part->tier.confirming || part->shard->io->now_ns < part->tier.confirm_again_ns) {
        return;
    }
    struct tier_read read = {.by = TIER_BY_PRESENCE, .offset = from, .end_offset = end};
    part->tier.confirming = ask_start(part, &read, confirm_on_done);
}

static void age_on_done(struct remote *remote, int error, bool over)
{
    struct keep_ask *ask = EL_CONTAINER(remote, struct keep_ask, remote);
    struct partition *part = remote->part;
    struct store_shard *shard = part->shard;
    const struct tier_read *read = &remote->read;
    part->tier.aging = false;
    if (error == 0 && !part->deleted && !shard->failed && !shard->stopping) {
        int64_t start = read->first_offset < 0 ? read->end_offset : read->first_offset;
        int wait;
        start = EL_MIN(EL_MIN(start, tier_floor(part)), part->high_watermark);
        start = observer_allows(part, start, &wait);
        if (start > part->log_start) {
            (void)partition_trim(part, start); /* one under way: the next look asks again */
        }
    }
    if (over) {
        el_buddy_free(shard->buddy, ask);
    }
}

static void age_ask(struct partition *part, uint64_t now_ns, bool by_size)
{
    uint64_t local_len = part->segment_bytes + part->pending_bytes;
    uint64_t keep_len = (uint64_t)setting(part, TOPIC_RETENTION_BYTES);
    uint64_t age_ns = (uint64_t)EL_MIN(setting(part, TOPIC_RETENTION_MS), INT64_MAX / 1000000) * 1000000;
    struct tier_read read = {
        .by = by_size ? TIER_BY_SIZE : TIER_BY_APPEND_TIME,
        .time = (int64_t)(by_size           ? (keep_len > local_len ? keep_len - local_len : 0)
                          : now_ns > age_ns ? now_ns - age_ns
                                            : 0),
        .offset = part->log_start,
        .end_offset = tier_local_start(part),
    };
    part->tier.aging = ask_start(part, &read, age_on_done);
}

/* Turn by turn by age and by size, where both are set. */
static void age_look(struct partition *part, uint64_t now_ns)
{
    struct store_shard *shard = part->shard;
    int64_t ms = setting(part, TOPIC_RETENTION_MS), bytes = setting(part, TOPIC_RETENTION_BYTES);
    if (!tier_has_more(part) || part->tier.aging || part->trimming || (ms < 0 && bytes < 0) ||
        shard->io->now_ns < part->tier.age_again_ns) {
        return;
    }
    uint64_t interval_ns = ms < 0 ? AGE_INTERVAL_NS_MAX
                                  : (uint64_t)EL_MIN(ms, INT64_MAX / 1000000) * 1000000 / AGE_SHARE;
    interval_ns = EL_MIN(EL_MAX(interval_ns, (uint64_t)AGE_INTERVAL_NS_MIN), (uint64_t)AGE_INTERVAL_NS_MAX);
    bool both = ms >= 0 && bytes >= 0;
    part->tier.age_again_ns = shard->io->now_ns + interval_ns / (both ? 2 : 1);
    part->tier.age_by_size = both ? !part->tier.age_by_size : bytes >= 0;
    age_ask(part, now_ns, part->tier.age_by_size);
}

/* Events that are neither on this disk nor in the archive. */
static void retired_look(struct partition *part)
{
    int64_t start = EL_MIN(EL_MIN(part->tier.retired_end, tier_local_start(part)), part->high_watermark);
    int wait;
    if (start <= part->log_start || part->trimming) {
        return;
    }
    start = observer_allows(part, start, &wait);
    if (start > part->log_start) {
        (void)partition_trim(part, start); /* one that fails: the next look asks again */
    }
}

void tier_keep(struct partition *part, uint64_t now_ns)
{
    if (part->shard->tier == NULL || part->topic->internal || compact_wanted(part)) {
        return;
    }
    int64_t end = local_end(part, now_ns);
    confirm_look(part, end);
    part->tier.drop_end = EL_MAX(part->tier.drop_end, EL_MIN(end, part->tier.confirmed_end));
    if (part->tier.drop_end > tier_local_start(part)) { /* also one that a read held back the last time */
        partition_mark_dirty(part);
        part->shard->checkpoint.wanted = true;
    }
    retired_look(part);
    if (compact_deletes(part)) {
        age_look(part, now_ns);
    }
}
