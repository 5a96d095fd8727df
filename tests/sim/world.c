/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated machine: opening, stepping, crashing.
 */
#include "world.h"

#include "sim_tier.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <stdarg.h>
#include <stdio.h>

#define MEMORY_PER_SHARD (24u << 20)
#define WAIT_STEPS_MAX 100000u
#define ARCHIVE_TRIES_MAX 120u
#define STALL_NS_MAX 20000000u
#define SECOND_NS 1000000000ll
#define FORWARD_NS_MAX (72000 * SECOND_NS)  /* 20 hours */
#define START_WALL_NS 1767225600000000000ll /* 2026-01-01 */
#define WALL_NS_MIN 946684800000000000ll    /* 2000-01-01 */
#define WALL_NS_MAX 4102444800000000000ll   /* 2100-01-01 */

void world_violation(struct world *w, const char *format, ...)
{
    if (w->violation[0] != 0) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(w->violation, sizeof(w->violation), format, args);
    va_end(args);
}

uint64_t world_clock_age(const struct world *w, uint32_t life, uint64_t then_ns)
{
    uint64_t low_ns = then_ns, age_ns = 0;
    for (uint32_t i = life; i <= w->life; i++) {
        low_ns = i > life ? EL_MIN(low_ns, w->clock_begin_ns[i]) : low_ns;
        age_ns = EL_MAX(age_ns, w->clock_end_ns[i] > low_ns ? w->clock_end_ns[i] - low_ns : 0);
    }
    return age_ns;
}

void world_say(const struct world *w, const char *text, long long a, long long b)
{
    if (w->verbose) {
        printf("  %12llu ns  step %8llu  %s %lld %lld\n", (unsigned long long)w->clock.now_ns,
               (unsigned long long)w->steps, text, a, b);
    }
}

void world_init(struct world *w, uint64_t seed, uint32_t shards_max, bool verbose)
{
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->verbose = verbose;
    el_rng_seed(&w->rng, seed);
    w->disk = sim_disk_create(&w->rng);
    w->trace = sim_disk_trace(w->disk);
    w->clock.now_ns = 1000000000;
    w->clock.wall_offset = START_WALL_NS;
    w->memory_len = MEMORY_PER_SHARD;
    w->jump_kinds = 4;
    w->shard_count = 1 + (uint32_t)world_below(w, 3);
    w->shard_count = EL_MIN(w->shard_count, shards_max);
    store_config_init(&w->cfg);
    w->cfg.shard_count = w->shard_count;
    w->cfg.journal_slot_len = (64u << 10) << world_below(w, 3);
    w->cfg.journal_first_slot_len = 64u << 10;
    w->cfg.journal_ring_len = w->cfg.journal_slot_len * (5 + world_below(w, 4));
    w->cfg.disk_reserve_len = 0;
    w->cfg.adaptive_commit = world_chance(w, 800000);
    w->cfg.retention_interval_ms = 1000;
    w->cfg.open_segments_max = (uint32_t)world_below(w, 6);
    w->cfg.chunk_len = (4u << 10) << 2 * world_below(w, 4);
    w->cfg.carry_len = world_chance(w, 500000) ? 16u << 10 : 512u << world_below(w, 5);
    w->cfg.sync_files_max = world_chance(w, 700000) ? 64 : (uint32_t)world_below(w, 4);
    w->cfg.accept_clock = true;
    w->cfg.compact_map_len = world_chance(w, 500000) ? 4096 : 0; /* of 170 places */
}

void world_free(struct world *w)
{
    if (w->store != NULL) {
        world_abandon(w);
    }
    sim_disk_free(w->disk);
}

void world_faults(struct world *w, bool work)
{
    bool on[FAULT_COUNT];
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        bool here = work && sim_fault_applies((enum sim_fault)i, w->mode);
        on[i] = sim_fault_table[i].scope == SCOPE_SEED || (here && world_chance(w, 600000));
        sim_disk_fault_set(w->disk, (enum sim_fault)i, on[i] ? w->knobs.ppm[i] : 0);
    }
    bool bounded = work && world_chance(w, on[FAULT_DISK_FULL] ? w->knobs.ppm[FAULT_DISK_FULL] : 0);
    sim_disk_capacity(w->disk, bounded ? sim_disk_used(w->disk) + (1u << 20) + world_below(w, 2u << 20) : 0);
    w->disk_bounded = bounded || (on[FAULT_FULL_LATE] && w->knobs.ppm[FAULT_FULL_LATE] > 0) ||
                      (on[FAULT_FULL_ALLOCATE] && w->knobs.ppm[FAULT_FULL_ALLOCATE] > 0);
    w->read_errors = on[FAULT_READ_ERROR] && w->knobs.ppm[FAULT_READ_ERROR] > 0;
    w->no_files = on[FAULT_NO_FILES] && w->knobs.ppm[FAULT_NO_FILES] > 0;
}

void world_clock_jump(struct world *w, bool forward)
{
    static const int64_t most_s[] = {60, 3600, 86400, 2 * 365 * 86400};
    int64_t by_ns = (1 + (int64_t)world_below(w, (uint64_t)most_s[world_below(w, w->jump_kinds)])) * SECOND_NS;
    if (forward && w->jump_kinds <= 2) { /* no number of them may be a day either: the store forgets producers then */
        by_ns = EL_MIN(by_ns, FORWARD_NS_MAX - w->forward_ns);
        w->forward_ns += by_ns;
    }
    int64_t wall_ns = (int64_t)w->clock.now_ns + w->clock.wall_offset + (forward ? by_ns : -by_ns);
    w->clock.wall_offset = EL_MAX(WALL_NS_MIN, EL_MIN(WALL_NS_MAX, wall_ns)) - (int64_t)w->clock.now_ns;
    w->clock_jumped = true;
}

static void machine_up(struct world *w)
{
    for (uint32_t i = 0; i < w->shard_count; i++) {
        int code = el_buddy_init(&w->buddies[i], w->memory_len, NULL);
        EL_ASSERT(code == 0);
        code = metrics_create(&w->metrics[i]);
        EL_ASSERT(code == 0);
        w->ios[i] = sim_io_create(&w->clock, w->disk, &w->rng, i);
        sim_io_network(w->ios[i], w->net);
        w->wish_ns[i] = 0;
    }
}

/* What a shard has done in this life. */
static void world_count(struct world *w, const struct metrics *metrics)
{
    static const struct {
        enum sim_event event;
        enum metric_id metric;
    } rows[] = {{EVENT_COMPACTED, METRIC_COMPACTIONS},
                {EVENT_REBALANCED, METRIC_GROUP_REBALANCES},
                {EVENT_MEMBER_EXPIRED, METRIC_GROUP_MEMBERS_EXPIRED},
                {EVENT_COMMITTED, METRIC_GROUP_COMMITS},
                {EVENT_COMMIT_EXPIRED, METRIC_GROUP_OFFSETS_EXPIRED},
                {EVENT_GROUPS_UNSERVED, METRIC_GROUP_RECORDS_DAMAGED},
                {EVENT_REMOTE_READ, METRIC_REMOTE_READS},
                {EVENT_CAME_TO_THE_DISK, METRIC_SEGMENTS_REFILLED},
                {EVENT_RETIRED, METRIC_ARCHIVE_RETIRED},
                {EVENT_ORPHANS, METRIC_ARCHIVE_ORPHANS}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        w->events[rows[i].event] += (uint64_t)metrics_get(metrics, rows[i].metric);
    }
}

void world_tally(struct world *w)
{
    if (w->store == NULL) {
        return;
    }
    sim_event_count(w->events, w->store, w->shard_count);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        world_count(w, w->metrics[i]);
    }
}

static void machine_down(struct world *w)
{
    for (uint32_t i = 0; i < w->shard_count; i++) {
        world_count(w, w->metrics[i]);
        sim_io_abandon(w->ios[i]);
        metrics_destroy(w->metrics[i]);
        el_buddy_destroy(&w->buddies[i]);
    }
}

static void heap_check(struct world *w, const char *after)
{
    if (el_alloc_live() != w->heap_blocks) {
        world_violation(w, "after %s %lld blocks of the heap are left", after,
                        (long long)(el_alloc_live() - w->heap_blocks));
    }
}

static void tier_down(struct world *w)
{
    if (w->tier != NULL) {
        sim_tier_down(w->tier);
    }
}

int world_open(struct world *w, struct el_error *err)
{
    struct el_buddy *buddies[WORLD_SHARDS_MAX];
    EL_ASSERT(w->store == NULL);
    machine_up(w);
    w->heap_blocks = el_alloc_live();
    for (uint32_t i = 0; i < w->shard_count; i++) {
        buddies[i] = &w->buddies[i];
    }
    err->code = 0;
    int code = store_open(&w->cfg, sim_disk_as_disk(w->disk), w->ios, buddies, w->metrics, &w->store, err);
    if (code != 0) {
        w->store = NULL;
        heap_check(w, "a start that failed");
        machine_down(w);
        return code;
    }
    w->stopped_count = 0;
    w->clock_begin_ns[w->life] = w->clock_end_ns[w->life] = el_clock_now(store_clock(w->store));
    if (w->tier != NULL) {
        sim_tier_open(w->tier);
    }
    if (w->upper != NULL) {
        code = w->upper->up(w, err);
        if (code != 0) {
            tier_down(w);
            store_close(w->store);
            w->store = NULL;
            heap_check(w, "a start that failed");
            machine_down(w);
        }
        return code;
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_start(store_shard_at(w->store, i));
    }
    return 0;
}

/* What is seen of a store before it is closed. */
static void life_over(struct world *w)
{
    const struct topic *topic = store_topic_by_name(store_shard_at(w->store, 0), el_slice_str("__consumer_offsets"));
    if (topic != NULL) {
        char hex[33];
        el_hex(hex, topic->id.bytes, sizeof(topic->id.bytes));
        snprintf(w->offsets_dir, sizeof(w->offsets_dir), "topics/%s/", hex);
    }
    sim_event_count(w->events, w->store, w->shard_count);
    w->life = EL_MIN(w->life + 1, WORLD_LIVES_MAX - 1);
}

void world_abandon(struct world *w)
{
    bool off = sim_disk_crashed(w->disk);
    bool jobs = false;
    EL_ASSERT(w->store != NULL);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        jobs = jobs || sim_io_has_jobs(w->ios[i]);
    }
    if (jobs) { /* while all that they use is still there */
        sim_disk_off(w->disk, true);
        for (uint32_t i = 0; i < w->shard_count; i++) {
            sim_io_kill_jobs(w->ios[i]);
        }
        sim_disk_off(w->disk, off);
    }
    if (w->upper != NULL) {
        w->upper->down(w);
    }
    tier_down(w);
    life_over(w);
    store_close(w->store);
    w->store = NULL;
    machine_down(w);
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    io_step(w->ios[shard], 0);
    return sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
}

bool world_step(struct world *w)
{
    uint64_t next = UINT64_MAX;
    w->steps++;
    if (w->upper != NULL) {
        w->upper->step(w);
        next = w->upper->next(w);
    }
    if (w->tier != NULL) {
        sim_tier_step(w->tier);
        next = EL_MIN(next, sim_tier_next(w->tier));
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        uint32_t k = (uint32_t)((i + w->steps) % w->shard_count);
        if (sim_disk_fault(w->disk, FAULT_SHARD_STALL)) {
            w->stalled_until_ns[k] = w->clock.now_ns + world_below(w, STALL_NS_MAX);
        }
        if (world_chance(w, 150000) || w->stalled_until_ns[k] > w->clock.now_ns) {
            continue; /* a shard that was not scheduled */
        }
        w->wish_ns[k] = w->upper != NULL ? w->upper->turn(w, k) : turn(w, k);
        uint64_t now_ns = el_clock_now(store_clock(w->store));
        w->clock_max_ns = EL_MAX(w->clock_max_ns, now_ns);
        w->clock_end_ns[w->life] = EL_MAX(w->clock_end_ns[w->life], now_ns);
        if (sim_disk_crashed(w->disk)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        next = EL_MIN(next, EL_MIN(sim_io_next(w->ios[i]), w->wish_ns[i]));
    }
    uint64_t step = 1000 + world_below(w, 100000);
    w->clock.now_ns = EL_MIN(EL_MAX(w->clock.now_ns + step, next == UINT64_MAX ? 0 : next),
                             w->clock.now_ns + 1000000000);
    SIM_TRACE(w->trace, "step", w->clock.now_ns);
    if (sim_disk_fault(w->disk, FAULT_CLOCK_FORWARD)) {
        world_clock_jump(w, true);
    }
    if (sim_disk_fault(w->disk, FAULT_CLOCK_BACK)) {
        world_clock_jump(w, false);
    }
    return true;
}

void world_space_returns(struct world *w)
{
    w->disk_bounded = false;
    sim_disk_capacity(w->disk, 0);
    sim_disk_fault_set(w->disk, FAULT_FULL_LATE, 0);
    sim_disk_fault_set(w->disk, FAULT_FULL_ALLOCATE, 0);
}

bool world_wait(struct world *w, const bool *flag)
{
    uint64_t until_ns = w->clock.now_ns + WORLD_WAIT_NS_MIN;
    for (uint32_t i = 0; (i < WAIT_STEPS_MAX || w->clock.now_ns < until_ns) && !*flag; i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (!*flag && w->disk_bounded) {
        world_space_returns(w); /* what waited must go on by itself */
        return world_wait(w, flag);
    }
    if (!*flag) {
        world_violation(w, "stuck: something that was asked for never ended");
    }
    return *flag;
}

/* Operations are under way, or a shard does not run. */
static bool is_busy(const struct world *w)
{
    for (uint32_t i = 0; i < w->shard_count; i++) {
        if (w->ios[i]->op_count > 0 || w->stalled_until_ns[i] > w->clock.now_ns) {
            return true;
        }
    }
    return false;
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    w->stopped_count++;
}

bool world_stop(struct world *w)
{
    if (w->tier != NULL) {
        sim_tier_stop(w->tier);
    }
    if (w->upper != NULL && !w->upper->stop(w)) {
        return false;
    }
    for (uint32_t i = 0; w->upper == NULL && i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    uint64_t until_ns = w->clock.now_ns + WORLD_WAIT_NS_MIN;
    for (uint32_t i = 0; (i < WAIT_STEPS_MAX || w->clock.now_ns < until_ns) && w->stopped_count < w->shard_count; i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (w->stopped_count < w->shard_count) {
        world_violation(w, "stuck: a clean stop did not end");
        return false;
    }
    uint32_t quiet = 0; /* steps without slow reads and stalled shards: answers find their way to other shards */
    for (uint32_t i = 0; i < WAIT_STEPS_MAX && quiet < 100; i++) {
        quiet = is_busy(w) ? 0 : quiet + 1;
        if (!world_step(w)) {
            return false;
        }
    }
    const char *reason = store_not_ready_reason(w->store);
    w->stopped_well = reason == NULL || strstr(reason, "disk is full") != NULL || world_index_failed(w);
    if (!w->stopped_well) {
        world_abandon(w);
        return true;
    }
    if (w->upper != NULL) {
        w->upper->down(w);
    }
    tier_down(w);
    life_over(w);
    store_close(w->store);
    w->store = NULL;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        if (w->buddies[i].used != 0) {
            world_violation(w, "after a clean stop shard %u has %zu bytes that nobody gave back", i,
                            w->buddies[i].used);
        }
    }
    if (sim_disk_open_count(w->disk) != 0) {
        world_violation(w, "after a clean stop %u files are open", sim_disk_open_count(w->disk));
    }
    heap_check(w, "a clean stop");
    machine_down(w);
    return true;
}

bool world_archive_waits(struct world *w, int error, uint32_t *tries)
{
    if (error != EVLOG_ERR_ARCHIVE || w->tier == NULL || (*tries)++ >= ARCHIVE_TRIES_MAX) {
        return false;
    }
    uint64_t until_ns = w->clock.now_ns + SECOND_NS;
    bool up = true;
    sim_tier_knobs(w->tier)->calm = true;
    while (up && w->clock.now_ns < until_ns) {
        up = world_step(w);
    }
    sim_tier_knobs(w->tier)->calm = false;
    return up;
}

bool world_failed_shard(struct world *w)
{
    const char *reason = store_not_ready_reason(w->store);
    return reason != NULL && strstr(reason, "disk is full") == NULL && !world_index_failed(w);
}

bool world_index_failed(const struct world *w)
{
    const char *reason = store_not_ready_reason(w->store);
    return reason != NULL && strstr(reason, "stream index") != NULL;
}

bool world_read_may_fail(const struct world *w, int error)
{
    return (error == EVLOG_ERR_STORAGE && w->read_errors) || (error == EVLOG_ERR_NO_FILES && w->no_files) ||
           (error == EVLOG_ERR_NO_MEMORY && w->memory_tight) || (error == EVLOG_ERR_ARCHIVE && w->tier != NULL);
}

bool world_read_is_damage(const struct world *w, int error)
{
    return w->rotten > 0 && (error == EVLOG_ERR_CORRUPT || error == EVLOG_ERR_FORMAT);
}
