/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks that are not the one the archive was written from: an older copy, two copies at work at once, and one that was
 * made anew from the bucket.
 */
#include "archive_life.h"

#include "sim_disk_priv.h"
#include <core/alloc.h>
#include <core/assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_restore.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTICE_STEPS_MAX 60000u
#define DUEL_PPM_MAX 20000u /* a start is many calls, and begins again when one of them fails */
#define HEAL_STARTS_MAX 16u
#define LATE_STEPS 3000u
#define DUEL_STEPS 1000u
#define DUEL_QUIET_STEPS 240000u
#define DUEL_ASKS_NS 1000000000u
#define HEIR_STEPS 1500u
#define FILE_MAX (64u << 20)

/* --- an older copy ------------------------------------------------------------------------------------------------ */

void arch_keep_disk(struct archive_life *l)
{
    sim_disk_power_cycle(l->w.disk); /* what is copied is not lost later */
    l->older = sim_disk_copy(l->w.disk, &l->w.rng);
    l->older_sequence = l->bucket->state->header.sequence;
    world_say(&l->w, "a copy of the disk is kept", (long long)l->older_sequence, 0);
}

static void check_named(struct archive_life *l, const char *reason)
{
    if (strstr(reason, "older than") == NULL) {
        world_violation(&l->w, "an older disk is not named as one: %s", reason);
    }
}

/* Clients go on, and wait. It ends when the disk is healed, or goes on where the archive ends. returns that */
static bool notice(struct archive_life *l, const struct bucket_line *before)
{
    struct world *w = &l->w;
    const char *reason = NULL;
    uint64_t acks = l->acks;
    bool over = false;
    l->serving = true;
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX && !over && w->violation[0] == 0; i++) {
        reason = archive_stopped_reason(l->archive);
        over = reason != NULL || archive_healed(l->archive) || l->bucket->line != before || !world_step(w);
        if (l->acks != acks && l->bucket->line == before) {
            world_violation(w, "an older disk acknowledged events before it was healed");
        }
    }
    l->serving = false;
    if (reason != NULL) {
        check_named(l, reason);
        l->redacted_since = strstr(reason, "redacted since") != NULL; /* it has what nobody may see */
    }
    if (reason != NULL && !l->redacted_since) {
        world_violation(w, "an older disk is not healed: %s", reason);
    } else if (!over) {
        char text[256] = "";
        (void)archive_behind(l->archive, text, sizeof text);
        world_violation(w, "this disk is older than root %llu, and nobody noticed: %s",
                        (unsigned long long)l->bucket->state->header.sequence, text);
    }
    return l->bucket->line != before && !sim_disk_crashed(w->disk);
}

/* What the archive has of topics and events is what there is now; of what only the lost disk had, nothing is known. */
static void forget_unarchived(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            struct life_part *p = &t->parts[k];
            int64_t end = bucket_end(l->bucket, &t->id, k);
            uint32_t kept = 0;
            for (uint32_t n = 0; n < p->acked_count; n++) {
                if (p->acked[n].offset < end) {
                    p->acked[kept++] = p->acked[n];
                }
            }
            p->acked_count = kept;
        }
    }
}

/* What is known before a disk starts of which nobody knows whether it is of use. */
static void acks_note(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            l->topics[i].parts[k].before = l->topics[i].parts[k].acked_count;
        }
    }
}

/* It is of no use, nor is what it has acknowledged since. */
static void acks_drop(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            l->topics[i].parts[k].acked_count = l->topics[i].parts[k].before;
        }
    }
}

/* Topics are those of the disk that is open. */
static void take_topics(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct life_topic *t = &l->topics[i];
        const struct topic *there = store_topic_by_id(store_shard_at(l->w.store, 0), &t->id);
        t->there = there != NULL;
        t->partition_count = there == NULL ? t->partition_count : (int32_t)there->partition_count;
    }
}

static void restart(struct archive_life *l)
{
    struct world *w = &l->w;
    bool stops = !sim_disk_crashed(w->disk) && world_chance(w, 700000) && world_stop(w);
    if (w->store != NULL) {
        world_abandon(w);
    }
    sim_disk_crash_at(w->disk, 0);
    if (stops) {
        sim_disk_process_exit(w->disk);
    } else {
        sim_disk_power_cycle(w->disk);
    }
}

/* It is started again until all of it is healed. returns true: it works, and is up */
static bool heal(struct archive_life *l)
{
    struct world *w = &l->w;
    const struct bucket_line *before = l->bucket->line;
    struct el_error err = {0};
    for (uint32_t starts = 0; starts < HEAL_STARTS_MAX && w->violation[0] == 0; starts++) {
        if (starts < HEAL_STARTS_MAX / 2 && world_chance(w, 400000)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
        }
        int code = world_open(w, &err);
        if (code != 0 && !sim_disk_crashed(w->disk)) {
            world_violation(w, "a start on an older disk was refused: %s", err.text);
            return false;
        }
        if (code == 0 && notice(l, before)) {
            sim_disk_crash_at(w->disk, 0);
            return w->violation[0] == 0;
        }
        restart(l);
        if (l->redacted_since) {
            return false;
        }
    }
    if (w->violation[0] == 0) {
        world_violation(w, "an older disk is not healed, however often it is started");
    }
    return false;
}

/* What was deleted is not there again, and clients see that the log may be another one. */
static void check_healed(struct archive_life *l)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        struct store_shard *shard = store_shard_at(l->w.store, i);
        size_t cursor = 0;
        for (struct partition *part; (part = store_tier_next(shard, &cursor)) != NULL;) {
            struct tier_view view;
            store_tier_view(part, &view);
            const struct archive_partition *p = archive_state_partition(l->bucket->line->parent->state, &view.topic_id,
                                                                        view.partition);
            if (p != NULL && EL_MIN(p->now.log_start, p->now.end_offset) > view.log_start) {
                world_violation(&l->w, "a healed log begins at offset %lld, in the archive at %lld",
                                (long long)view.log_start, (long long)p->now.log_start);
            }
            if (p != NULL && p->now.end_offset > view.durable_end) {
                world_violation(&l->w, "a healed log ends at offset %lld, the archive at %lld",
                                (long long)view.durable_end, (long long)p->now.end_offset);
            }
        }
    }
    if (store_leader_epoch(l->w.store) < ARCHIVE_RESTORE_EPOCHS) {
        world_violation(&l->w, "a healed disk goes on with leader epoch %d", store_leader_epoch(l->w.store));
    }
}

/* Is there an event that was acknowledged where the archive has another one? */
static bool forked(const struct archive_life *l, const int64_t ends[TOPICS_MAX][PARTITIONS_MAX])
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            const struct life_part *p = &l->topics[i].parts[k];
            if (p->acked_count > p->before && p->acked[p->before].offset < ends[i][k]) {
                return true;
            }
        }
    }
    return false;
}

/* The store cannot be asked while events are taken: it is found later whether the disk may be healed, which in some
 * seeds nobody wants. returns true: it may, and nothing was lost */
static bool late(struct archive_life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    uint64_t hold_ms = l->cfg.hold_ms;
    bool heals = l->cfg.heals;
    int64_t ends[TOPICS_MAX][PARTITIONS_MAX];
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            ends[i][k] = bucket_end(l->bucket, &l->topics[i].id, k);
        }
    }
    l->cfg.hold_ms = 1;
    l->cfg.heals = world_chance(w, 500000);
    l->strays = true;
    l->bucket->refuses_until_ns = w->clock.now_ns + world_below(w, 200000000);
    if (world_open(w, &err) != 0) {
        world_violation(w, "a start on an older disk was refused: %s", err.text);
        return false;
    }
    l->serving = true;
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX && archive_stopped_reason(l->archive) == NULL; i++) {
        if (archive_healed(l->archive) || !world_step(w)) {
            break;
        }
    }
    const char *reason = archive_stopped_reason(l->archive);
    for (uint32_t i = 0; i < LATE_STEPS && reason != NULL && w->violation[0] == 0; i++) {
        l->ended = i > LATE_STEPS / 6; /* everybody has been told: nothing is taken where the archive has more */
        (void)world_step(w);
    }
    l->serving = l->ended = false;
    bool fork = forked(l, ends);
    if (reason != NULL) {
        check_named(l, reason);
        arch_read_left(l);
    }
    if (archive_healed(l->archive) && fork) {
        world_violation(w, "an older disk was healed that has other events than the archive");
    }
    bool may = reason == NULL;
    l->cfg.hold_ms = hold_ms;
    l->cfg.heals = heals;
    l->bucket->refuses_until_ns = 0;
    restart(l);
    l->strays = !may;
    return may && !fork && w->violation[0] == 0;
}

static void heir_live(struct archive_life *l);
static void lost_returns(struct archive_life *l);

void arch_older_disk(struct archive_life *l)
{
    struct world *w = &l->w;
    struct sim_disk *own = w->disk;
    world_say(w, "the broker starts on an older disk", (long long)l->older_sequence,
              (long long)l->bucket->state->header.sequence);
    sim_disk_fault_count(own, FAULT_DISK_OLDER);
    forget_unarchived(l);
    acks_note(l);
    w->disk = l->older;
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        w->disk->fault_counts[i] += own->fault_counts[i]; /* it is the one that is asked for them */
    }
    w->cfg.accept_clock = true;
    bool stopped = l->boot.stopped;
    l->boot.stopped = false;
    size_t count = l->bucket->mem->count;
    if (world_chance(w, 300000) && !late(l)) {
        if (l->strays && l->bucket->mem->count != count) {
            world_violation(w, "a broker on an older disk has changed what is in the bucket");
        }
        l->boot.stopped = stopped;
        l->strays = false;
        acks_drop(l);
        w->disk = own; /* it goes on */
        return;
    }
    l->strays = true;
    bool works = heal(l);
    l->strays = false;
    if (works) {
        check_healed(l);
        take_topics(l);
        arch_check_not_back(l);
        arch_redact_forget(l);
        heir_live(l);
    } else if (w->store != NULL) {
        world_abandon(w);
    }
    if (l->redacted_since) {
        l->boot.stopped = stopped;
        acks_drop(l);
        w->disk = own;
        return;
    }
    sim_disk_process_exit(w->disk);
    l->older = own;
    if (w->violation[0] == 0) {
        struct sim_disk *healed = w->disk;
        w->disk = own;
        lost_returns(l);
        w->disk = healed;
    }
}

/* --- two brokers -------------------------------------------------------------------------------------------------- */

/* Another broker with a copy of the disk and all that clients know. */
static struct archive_life *life_copy(struct archive_life *l)
{
    struct archive_life *b = calloc(1, sizeof *b);
    EL_ASSERT(b != NULL);
    b->plan = l->plan;
    world_init(&b->w, l->w.seed + 1, l->w.shard_count, l->w.verbose);
    sim_disk_free(b->w.disk);
    b->w.disk = sim_disk_copy(l->w.disk, &b->w.rng);
    b->w.trace = sim_disk_trace(b->w.disk);
    b->w.mode = l->w.mode;
    b->w.clock = l->w.clock;
    b->w.shard_count = l->w.shard_count;
    b->w.cfg = l->w.cfg;
    b->w.memory_len = l->w.memory_len;
    b->w.upper = &arch_upper;
    b->w.upper_arg = b;
    b->bucket = l->bucket;
    b->cfg = l->cfg;
    memcpy(b->topics, l->topics, sizeof b->topics);
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX; k++) {
            struct life_part *p = &b->topics[i].parts[k];
            p->acked = p->acked_room == 0 ? NULL : el_memdup(p->acked, p->acked_room * sizeof *p->acked);
        }
    }
    b->client_count = l->client_count;
    for (uint32_t i = 0; i < b->client_count; i++) {
        b->clients[i].l = b;
    }
    b->numbers = l->numbers + (1ull << 40); /* what it sends is not what the other sends */
    return b;
}

static bool duel_open(struct archive_life *l)
{
    struct el_error err = {0};
    l->bucket->w = &l->w;
    l->w.cfg.accept_clock = true;
    l->strays = true;
    if (world_open(&l->w, &err) != 0) {
        world_violation(&l->w, "a start on a copy of the disk was refused: %s", err.text);
        return false;
    }
    sim_disk_fault_set(l->w.disk, FAULT_BUCKET_AGAIN, EL_MIN(l->w.knobs.ppm[FAULT_BUCKET_AGAIN], DUEL_PPM_MAX));
    sim_disk_fault_set(l->w.disk, FAULT_BUCKET_LOST, EL_MIN(l->w.knobs.ppm[FAULT_BUCKET_LOST], DUEL_PPM_MAX));
    l->serving = true;
    return true;
}

static void on_asked(struct archive_ask *ask)
{
    *(bool *)ask->arg = true;
}

/* The other one has made the archive its own: at the next round this one finds out. */
static void fenced(struct archive_life *l)
{
    static struct archive_ask ask; /* it may outlive this */
    bool answered = true;
    char text[256];
    l->bucket->w = &l->w;
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX && archive_stopped_reason(l->archive) == NULL; i++) {
        if (archive_behind(l->archive, text, sizeof text)) {
            return;
        }
        if (answered) {
            answered = false;
            ask = (struct archive_ask){.done = on_asked, .arg = &answered, .now = true, .wait = true};
            archive_ask(archive_shard(l->archive, 0), &ask);
        }
        if (!world_step(&l->w)) {
            return;
        }
    }
    if (archive_stopped_reason(l->archive) == NULL) {
        world_violation(&l->w,
                        "the archive is continued by a disk that was healed, and its old broker does not notice");
    }
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX && !answered && world_step(&l->w); i++) {
    }
}

/* A store that fails can keep a broker from beginning for long: each try begins with a few looks, of which none may
 * fail, and between two that tell nothing new it waits up to half a minute, while the other one makes thousands of
 * roots in no time. Such a broker archives nothing, and has nothing to notice. So in the end the store works, rounds
 * are asked for by the clock only, and then it must be noticed.
 *
 * Two brokers of which neither has anything to archive, and whose clocks are behind what was signed, sign the same
 * manifests byte for byte: nothing can tell them apart, and nothing need. So one of them gets something. */
static void duel_calm(struct archive_life *both[2])
{
    struct archive_life *l = both[0];
    bool there = false;
    for (uint32_t k = 0; k < 2; k++) {
        world_say(&both[k]->w, "the store works for both", k, (long long)both[k]->bucket->state->header.sequence);
        sim_disk_fault_set(both[k]->w.disk, FAULT_BUCKET_AGAIN, 0);
        sim_disk_fault_set(both[k]->w.disk, FAULT_BUCKET_LOST, 0);
        both[k]->serving = false;
    }
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        there = there || l->topics[i].there;
    }
    l->bucket->w = &l->w;
    if (!there && !arch_topic_make(l, 0)) {
        world_violation(&l->w, "a topic could not be made while two brokers work");
    }
}

/* Both work, and are asked for rounds, until one has noticed the other. */
static void duel(struct archive_life *both[2])
{
    static struct archive_ask asks[2];
    bool answered[2] = {true, true};
    uint64_t asks_ns[2] = {0, 0}; /* not before */
    char text[256];
    uint32_t left = 0;
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX + DUEL_QUIET_STEPS && left < DUEL_STEPS; i++) {
        uint32_t ended = 0;
        if (i == NOTICE_STEPS_MAX && left == 0) {
            duel_calm(both);
        }
        for (uint32_t k = 0; k < 2; k++) {
            struct archive_life *l = both[k];
            l->bucket->w = &l->w;
            ended += archive_stopped_reason(l->archive) != NULL || archive_behind(l->archive, text, sizeof text);
            if (answered[k] && left == 0 && ended == 0 && l->w.clock.now_ns >= asks_ns[k]) {
                answered[k] = false;
                asks_ns[k] = i < NOTICE_STEPS_MAX ? 0 : l->w.clock.now_ns + DUEL_ASKS_NS;
                asks[k] = (struct archive_ask){.done = on_asked, .arg = &answered[k], .now = true, .wait = true};
                archive_ask(archive_shard(l->archive, 0), &asks[k]);
            }
            if (!world_step(&l->w) || l->w.violation[0] != 0) {
                return;
            }
        }
        left += ended > 0; /* and on for a while */
    }
    for (uint32_t k = 0; k < 2; k++) {
        if (archive_healed(both[k]->archive)) {
            fenced(both[1 - k]);
        }
    }
    if (left < DUEL_STEPS) {
        world_violation(&both[0]->w, "two brokers archive to one place, and neither notices");
    }
}

void arch_two_brokers(struct archive_life *l)
{
    struct world *w = &l->w;
    world_say(w, "two brokers go on", (long long)l->bucket->state->header.sequence, 0);
    boot_kill(&l->boot, false);
    struct archive_life *b = life_copy(l);
    struct archive_life *both[2] = {l, b};
    if (duel_open(l) && duel_open(b)) {
        duel(both);
    }
    for (uint32_t k = 0; k < 2; k++) {
        char text[256]; /* one that is behind may have acknowledged what it took before it knew */
        bool ended = both[k]->archive != NULL && archive_stopped_reason(both[k]->archive) != NULL;
        bool stopped = ended || (both[k]->archive != NULL && archive_behind(both[k]->archive, text, sizeof text));
        both[k]->serving = false;
        l->bucket->w = &both[k]->w;
        if (ended && both[k]->w.violation[0] == 0 && !sim_disk_crashed(both[k]->w.disk)) {
            arch_read_left(both[k]);
        }
        if (both[k]->w.store != NULL) {
            world_abandon(&both[k]->w);
        }
        if (both[k]->w.violation[0] == 0 && !stopped && bucket_audit(l->bucket)) {
            arch_compare_topics(both[k]); /* it is this one's archive */
        }
    }
    l->bucket->w = w;
    if (b->w.violation[0] != 0) {
        world_violation(w, "the other broker: %s", b->w.violation);
    } else if (w->violation[0] == 0) {
        (void)bucket_audit(l->bucket);
    }
    world_free(&b->w);
    arch_life_free(b);
}

/* --- a disk made anew --------------------------------------------------------------------------------------------- */

static void take_file(struct disk *disk, const char *from, const char *path)
{
    int fd = -1;
    FILE *file = fopen(from, "rb");
    EL_ASSERT(file != NULL);
    uint8_t *data = malloc(FILE_MAX);
    EL_ASSERT(data != NULL);
    size_t len = fread(data, 1, FILE_MAX, file);
    EL_ASSERT(len < FILE_MAX);
    fclose(file);
    int code = disk_open(disk, path, DISK_WRITE | DISK_CREATE, &fd);
    EL_ASSERT(code == 0);
    struct iovec iov = {.iov_base = data, .iov_len = len};
    code = len == 0 ? 0 : disk_pwritev(disk, fd, &iov, 1, 0);
    EL_ASSERT(code == 0);
    code = disk_sync(disk, fd);
    EL_ASSERT(code == 0);
    disk_close(disk, fd);
    free(data);
}

/* What is in a real folder goes to a simulated disk, and away from there. */
static void take_folder(struct disk *disk, const char *root, const char *path)
{
    char from[512], below[NAME_MAX_LEN];
    snprintf(from, sizeof from, "%s/%s", root, path);
    DIR *dir = opendir(from);
    EL_ASSERT(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        int n = snprintf(below, sizeof below, "%s%s%.80s", path, path[0] == 0 ? "" : "/", e->d_name);
        EL_ASSERT(n < (int)sizeof below);
        snprintf(from, sizeof from, "%s/%s", root, below);
        int rc = stat(from, &st);
        EL_ASSERT(rc == 0);
        if (S_ISDIR(st.st_mode)) {
            int code = disk_mkdir(disk, below);
            EL_ASSERT(code == 0);
            take_folder(disk, root, below);
            rmdir(from);
        } else {
            take_file(disk, from, below);
            unlink(from);
        }
    }
    closedir(dir);
    int code = disk_sync_dir(disk, path);
    EL_ASSERT(code == 0);
}

static bool is_whole(void *arg, const char *name, struct el_slice settings)
{
    struct topic_config config;
    struct topic_config defaults;
    (void)arg;
    (void)name;
    topic_config_init(&config);
    topic_config_init(&defaults);
    return topic_config_decode(&config, settings.data, settings.len) != 0 ||
           topic_config_int(&config, &defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE;
}

/* newest: of topics that may be read from the archive, only what came last. returns false: refused, a violation */
static bool restore_to(struct archive_life *l, struct sim_disk *disk, bool newest)
{
    char path[] = "/tmp/evlog-sim-XXXXXX";
    struct archive_reader_options reader = {.keys = l->bucket->publics, .key_count = l->bucket->public_count};
    struct archive_restore_options options = {.path = path, .threads = 1};
    struct archive_restore_result result;
    struct el_error err = {0};
    if (newest) {
        options.whole = is_whole;
        options.recent_ns = world_below(&l->w, 10000000000);
    }
    char *made = mkdtemp(path);
    EL_ASSERT(made != NULL);
    int code = archive_restore(&l->bucket->mem->base, &reader, &options, &result, &err);
    if (code != 0) {
        world_violation(&l->w, "what is archived cannot be restored: %s", err.text);
    }
    take_folder(sim_disk_as_disk(disk), path, "");
    rmdir(path);
    return code == 0;
}

/* No offset is given out again that events had which were deleted. */
static void check_log_starts(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < PARTITIONS_MAX && l->w.violation[0] == 0; k++) {
            int64_t before = l->log_starts[i][k], after = before < 0 ? -1 : arch_log_start(l, &l->topics[i], k);
            if (after < before) {
                world_violation(&l->w, "partition %d began at offset %lld, and begins at %lld when it is restored", k,
                                (long long)before, (long long)after);
            }
        }
    }
}

static bool restored_open(struct archive_life *l)
{
    struct el_error err = {0};
    if (world_open(&l->w, &err) != 0) {
        world_violation(&l->w, "a restored directory does not start: %s", err.text);
        return false;
    }
    return true;
}

/* All that there is is on the disk. */
static void restored_compare(struct archive_life *l)
{
    l->w.upper = NULL; /* no archive is set now */
    if (restored_open(l)) {
        arch_compare_logs(l, true);
        check_log_starts(l);
        world_abandon(&l->w);
    }
    l->w.upper = &arch_upper;
}

/* Clients go on with it, and so does the archive. */
static void heir_live(struct archive_life *l)
{
    struct world *w = &l->w;
    int code = 0;
    l->serving = true;
    for (uint32_t i = 0; i < HEIR_STEPS && w->violation[0] == 0; i++) {
        (void)world_step(w);
    }
    if (arch_clients_rest(l) && arch_now(l, true, false, &code) && w->violation[0] == 0) {
        arch_check_whole(l, UINT64_MAX);
        arch_compare_topics(l);
        arch_compare_logs(l, false);
        arch_read_all(l);
        arch_check_starts(l); /* also behind what had left the archive before it was this one's */
    }
    world_abandon(w);
    if (w->violation[0] == 0) {
        (void)bucket_audit(l->bucket);
    }
}

/* The lost disk turns up: its archive has an heir. */
static void lost_returns(struct archive_life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    uint64_t put = l->bucket->mem->bytes_put;
    world_say(w, "the lost disk is back", 0, 0);
    l->strays = true;
    if (world_open(w, &err) != 0) {
        world_violation(w, "a start on the disk that was lost is refused: %s", err.text);
        return;
    }
    for (uint32_t i = 0; i < NOTICE_STEPS_MAX && archive_stopped_reason(l->archive) == NULL; i++) {
        (void)world_step(w);
    }
    const char *reason = archive_stopped_reason(l->archive);
    if (reason == NULL || strstr(reason, "continues the archive of this disk") == NULL) {
        world_violation(w, "the archive has an heir, and its old disk says: %s", reason == NULL ? "nothing" : reason);
    }
    world_abandon(w);
    if (l->bucket->mem->bytes_put != put) {
        world_violation(w, "the old disk of an archive that has an heir has written to it");
    }
    l->strays = false;
}

void arch_restore(struct archive_life *l)
{
    struct world *w = &l->w;
    struct sim_disk *own = w->disk;
    bool newest = world_chance(w, 500000);
    world_say(w, newest ? "restore the newest" : "restore", (long long)l->bucket->state->header.sequence, 0);
    boot_kill(&l->boot, false);
    w->disk = sim_disk_create(&w->rng);
    w->cfg.accept_clock = true;
    if (restore_to(l, w->disk, newest)) {
        if (!newest) {
            restored_compare(l);
        }
        if (w->violation[0] == 0 && restored_open(l)) {
            heir_live(l);
        }
    }
    sim_disk_free(w->disk);
    w->disk = own;
    if (w->violation[0] == 0) {
        lost_returns(l);
    }
}
