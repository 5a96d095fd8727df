/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: opening and closing, the way of an op to its owner and back, and the shard's tick.
 */
#include <storage/recover.h>
#include <storage/redact.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/base64.h>
#include <core/logger.h>
#include <stdarg.h>
#include <stdio.h>
#include <storage/catalogue.h>
#include <storage/compact.h>
#include <storage/refill.h>
#include <storage/upkeep.h>

#define SLOT_LEN_MIN (256u << 10)
#define SLOT_LEN_MAX_SHARE 5 /* slots that the ring holds at least */
#define MEMORY_RING_SHARE 3  /* the ring is at most this part of the memory: what is not in segments fits */
#define MEMORY_TAIL_SHARE 4
#define CHUNK_JOBS_MAX 64u
#define STOP_NS_MAX 30000000000u /* a stop that takes longer, say on a full disk, leaves no clean mark */

void store_config_init(struct store_config *cfg)
{
    *cfg = (struct store_config){
        .shard_count = 1,
        .memory_max = 1ull << 30,
        .journal_ring_len = 256ull << 20,
        .journal_slot_len = 32ull << 20,
        .journal_first_slot_len = 4ull << 20,
        .disk_reserve_len = 256ull << 20,
        .adaptive_commit = true,
        .retention_interval_ms = 10000,
        .open_segments_max = 512,
        .chunk_len = 256u << 10,
        .carry_len = 16u << 10,
        .sync_files_max = 64,
    };
    topic_config_init(&cfg->topic_defaults);
}

/* --- ops ---------------------------------------------------------------------------------------------------------- */

static void op_on_arrive(struct io_message *message)
{
    struct store_op *op = EL_CONTAINER(message, struct store_op, message);
    op->run(op);
}

static void op_deliver(struct store_op *op)
{
    if (op->returned != NULL) {
        op->returned(op);
    } else {
        op->done(op);
    }
}

static void op_on_return(struct io_message *message)
{
    op_deliver(EL_CONTAINER(message, struct store_op, message));
}

void store_op_carry(struct store_op *op)
{
    op->message.run = op_on_arrive;
    io_post(op->owner->io, &op->message);
}

void store_op_send(struct store_shard *origin, struct store_shard *owner, struct store_op *op,
                   void (*run)(struct store_op *op))
{
    OBJ_CHECK(origin, SHARD);
    EL_ASSERT(op->done != NULL);
    EL_ASSERT(owner->store == origin->store);
    op->origin = origin;
    op->owner = owner;
    op->run = run;
    op->returned = NULL;
    op->error = 0;
    el_list_init(&op->link);
    if (owner == origin) {
        run(op);
        return;
    }
    store_op_carry(op);
}

void store_op_finish(struct store_op *op, int error)
{
    op->error = error;
    if (op->owner == op->origin) {
        op_deliver(op);
        return;
    }
    op->message.run = op_on_return;
    io_post(op->origin->io, &op->message);
}

void shard_salt(struct store_shard *shard, uint8_t salt[16])
{
    if (shard->random_left < 16) {
        io_random(shard->io, shard->random, sizeof(shard->random));
        shard->random_left = sizeof(shard->random);
    }
    EL_ASSERT(shard->random_left % 16 == 0); /* no byte is given out twice */
    shard->random_left -= 16;
    memcpy(salt, shard->random + shard->random_left, 16);
}

void shard_fail(struct store_shard *shard, const char *format, ...)
{
    if (shard->failed) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(shard->failed_reason, sizeof(shard->failed_reason), format, args);
    va_end(args);
    shard->failed = true;
    atomic_store(&shard->failed_flag, true);
    metrics_set(shard->metrics, METRIC_SHARD_STOPPED, 1);
    el_log(EL_LOG_ERROR, "storage", "shard %u takes no more appends: %s", shard->index, shard->failed_reason);
    journal_abort(&shard->journal);
    tier_release_all(shard, EVLOG_ERR_STORAGE);
}

/* --- journal callbacks -------------------------------------------------------------------------------------------- */

static void on_durable(void *arg, struct jgroup *group)
{
    (void)arg;
    struct batch_entry *next = NULL;
    for (struct batch_entry *e = group->entries; e != NULL; e = next) {
        next = e->group_next;
        e->group_next = NULL;
        struct partition *part = e->part;
        EL_ASSERT(e->sequence == group->sequence);
        partition_on_durable(part, e);
        partition_unpin(part);
    }
}

static void on_failed(void *arg, const char *reason)
{
    struct store_shard *shard = arg;
    shard_fail(shard, "%s", reason);
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

int store_stored_shard_count(struct disk *disk, uint32_t *shard_count, struct el_error *err)
{
    struct el_node node = {0};
    int code = node_load(disk, &node, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        *shard_count = 0;
        return 0;
    }
    if (code == 0 && (node.shard_count == 0 || node.shard_count > EL_SHARD_COUNT_MAX)) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "node file names %u shards", node.shard_count);
    }
    if (code == 0) {
        *shard_count = node.shard_count;
    }
    return code;
}

static void journal_config(struct store_shard *shard, const struct store_config *cfg)
{
    uint64_t ring = EL_MIN(cfg->journal_ring_len, shard->buddy->len / MEMORY_RING_SHARE);
    uint64_t slot = EL_MAX(EL_MIN(cfg->journal_slot_len, ring / SLOT_LEN_MAX_SHARE), (uint64_t)SLOT_LEN_MIN);
    slot = EL_MIN(slot, cfg->journal_slot_len) / EL_JOURNAL_ALIGN * EL_JOURNAL_ALIGN;
    shard->journal.cfg = (struct journal_config){
        .shard = shard->index,
        .ring_len = ring,
        .slot_len = slot,
        .first_slot_len = EL_MIN(cfg->journal_first_slot_len, slot),
        .adaptive = cfg->adaptive_commit,
    };
    shard->journal.mark_fd = -1;
    shard->journal.io = shard->io;
    shard->journal.buddy = shard->buddy;
    shard->journal.metrics = shard->metrics;
    shard->journal.clock = &shard->store->clock;
    shard->journal.cb = (struct journal_cb){on_durable, on_failed, shard};
}

static int shard_init(struct store *store, uint32_t index, struct io *io, struct el_buddy *buddy,
                      struct metrics *metrics)
{
    struct store_shard *shard = &store->shards[index];
    shard->magic = SHARD_MAGIC;
    shard->index = index;
    shard->store = store;
    shard->io = io;
    shard->buddy = buddy;
    shard->metrics = metrics;
    struct el_list *lists[] = {&shard->dirty,         &shard->pending,          &shard->behind, &shard->unsynced,
                               &shard->open_segments, &shard->removed_segments, &shard->held,   &shard->tier_held,
                               &shard->held_parts,    &shard->resumed_parts};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        el_list_init(lists[i]);
    }
    struct el_map *maps[] = {&shard->partitions, &shard->topics_by_name, &shard->topics_by_id, &shard->tombstones};
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
        el_map_init(maps[i], buddy);
    }
    el_pool_init(&shard->id_pool, buddy, sizeof(struct el_uuid));
    el_pool_init(&shard->partition_pool, buddy, sizeof(struct partition));
    el_pool_init(&shard->segment_pool, buddy, sizeof(struct segment));
    el_pool_init(&shard->epoch_pool, buddy, sizeof(struct epoch_start));
    el_pool_init(&shard->producer_pool, buddy, sizeof(struct producer));
    shard->topic_defaults = store->cfg.topic_defaults;
    shard->disk_reserve_len = store->cfg.disk_reserve_len;
    tail_init(&shard->tail, buddy, buddy->len / MEMORY_TAIL_SHARE);
    journal_config(shard, &store->cfg);
    upkeep_init(shard);
    tier_init(shard);
    if (shard->journal.cfg.ring_len < store->cfg.journal_ring_len && index == 0) {
        el_log(EL_LOG_INFO, "storage",
               "the journal of a shard is %llu MiB in slots of %llu KiB, less than journal.ring.bytes: "
               "what is in no segment yet must fit into a third of the shard's memory",
               (unsigned long long)(shard->journal.cfg.ring_len >> 20),
               (unsigned long long)(shard->journal.cfg.slot_len >> 10));
    }
    metrics_set(metrics, METRIC_JOURNAL_RING_BYTES, (int64_t)shard->journal.cfg.ring_len);
    int code = segment_writer_init(shard);
    code = code != 0 ? code : checkpoint_init(shard);
    code = code != 0 ? code : spare_init(shard);
    return code != 0 ? code : catalogue_bootstrap(shard);
}

static void shard_free(struct store_shard *shard)
{
    struct disk *disk = shard->store->disk;
    if (shard->magic != SHARD_MAGIC) {
        return;
    }
    upkeep_free(shard);
    io_timer_cancel(shard->io, &shard->await_timer);
    io_timer_cancel(shard->io, &shard->remote_timer);
    compact_free(shard);
    redact_free(shard);
    refill_free(shard);
    checkpoint_free(shard);
    journal_close(&shard->journal, disk);
    catalogue_free(shard);
    for (struct el_list *n; (n = el_list_pop_front(&shard->removed_segments)) != NULL;) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        seg->pins = 0;
        segment_destroy(shard, seg);
    }
    if (shard->stop_done && !shard->failed) { /* all that was taken was given back */
        EL_ASSERT(shard->partition_pool.count == 0);
        EL_ASSERT(shard->segment_pool.count == 0);
        EL_ASSERT(shard->epoch_pool.count == 0);
        EL_ASSERT(shard->producer_pool.count == 0);
        EL_ASSERT(shard->open_count == 0);
        EL_ASSERT(shard->pending_count == 0);
    }
    tail_destroy(&shard->tail);
    spare_free(shard);
    el_buddy_free(shard->buddy, shard->chunk_buf);
    el_pool_destroy(&shard->partition_pool);
    el_pool_destroy(&shard->segment_pool);
    el_pool_destroy(&shard->epoch_pool);
    el_pool_destroy(&shard->producer_pool);
}

static void store_free(struct store *store)
{
    for (uint32_t i = 0; store->shards != NULL && i < store->shard_count; i++) {
        shard_free(&store->shards[i]);
    }
    meta_free(store);
    el_free(store->shards);
    el_free(store->node);
    el_free(store);
}

/* A directory without a node file is new, unless a journal shows that it was in use. */
static int node_open(struct store *store, struct el_error *err)
{
    struct el_error local = {0};
    int code = node_load(store->disk, store->node, &local);
    if (code != EVLOG_ERR_NOT_FOUND) {
        return code == 0 ? 0 : el_error_set(err, code, "%s", local.text);
    }
    uint8_t p[EL_GROUP_HEADER_LEN];
    size_t done = 0;
    int fd = -1;
    if (disk_open(store->disk, EL_RESTORING_FILE, DISK_READ, &fd) == 0) {
        disk_close(store->disk, fd);
        return el_error_set(
            err, EVLOG_ERR_CORRUPT,
            "the data directory is half restored: begin \"evlog archive restore\" again, it goes on where "
            "it was; or remove what is there");
    }
    if (disk_open(store->disk, "journal/0000/0000", DISK_READ, &fd) == 0) {
        code = disk_pread(store->disk, fd, p, sizeof(p), 0, &done);
        disk_close(store->disk, fd);
        if (code == 0 && done == sizeof(p) && memcmp(p, EL_GROUP_MAGIC, 8) == 0) {
            return el_error_set(err, EVLOG_ERR_CORRUPT,
                                "the node file is missing, but there is a journal in use; restore "
                                "the node file from a copy");
        }
    }
    *store->node = (struct el_node){.leader_epoch = 0};
    io_random(store->shards[0].io, store->node->id.bytes, sizeof(store->node->id.bytes));
    return 0;
}

int store_open(const struct store_config *cfg, struct disk *disk, struct io **ios, struct el_buddy **buddies,
               struct metrics **metrics, struct store **out, struct el_error *err)
{
    EL_ASSERT(cfg->shard_count >= 1);
    EL_ASSERT(cfg->shard_count <= EL_SHARD_COUNT_MAX);
    struct store *store = el_calloc(1, sizeof(*store));
    if (store == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the store");
    }
    store->cfg = *cfg;
    store->disk = disk;
    store->shard_count = cfg->shard_count;
    store->shards = el_calloc(cfg->shard_count, sizeof(*store->shards));
    store->node = el_calloc(1, sizeof(*store->node));
    int code = store->shards == NULL || store->node == NULL ? EVLOG_ERR_NO_MEMORY : meta_create(store, err);
    for (uint32_t i = 0; i < cfg->shard_count && code == 0; i++) {
        code = shard_init(store, i, ios[i], buddies[i], metrics[i]);
    }
    if (code != 0) {
        el_error_set(err, code, "no memory for the store; raise memory.max");
    }
    if (code == 0) {
        code = node_open(store, err);
    }
    if (code == 0 && store->node->shard_count > store->shard_count) {
        code = el_error_set(err, EVLOG_ERR_ARGUMENT, "the data directory has %u shards, more than the %u to run",
                            store->node->shard_count, store->shard_count);
    }
    if (code == 0) {
        code = store_recover(store, err);
        if (code == EVLOG_ERR_NO_MEMORY) {
            el_error_wrap(err, "what the journal holds does not fit into memory.max: raise it for this start");
        }
    }
    if (code != 0) {
        store_free(store);
        return code;
    }
    el_uuid_format(store->cluster_id, &store->node->id);
    *out = store;
    return 0;
}

bool store_close(struct store *store)
{
    bool clean = atomic_load(&store->clean_stops) == store->shard_count;
    if (clean) {
        struct el_error err = {0};
        store->node->clean = true;
        store->node->clock_ns = el_clock_last(&store->clock);
        if (node_store(store->disk, store->node, &err) != 0) {
            el_log(EL_LOG_WARN, "storage", "the clean mark was not left: %s", err.text);
            clean = false;
        }
    }
    store_free(store);
    return clean;
}

/* --- accessors ---------------------------------------------------------------------------------------------------- */

struct store_shard *store_shard_at(struct store *store, uint32_t index)
{
    EL_ASSERT(index < store->shard_count);
    return &store->shards[index];
}
uint32_t store_shard_count(const struct store *store)
{
    return store->shard_count;
}
const char *store_cluster_id(const struct store *store)
{
    return store->cluster_id;
}
struct el_uuid store_cluster_uuid(const struct store *store)
{
    return store->node->id;
}
int32_t store_leader_epoch(const struct store *store)
{
    return __atomic_load_n(&store->node->leader_epoch, __ATOMIC_RELAXED);
}
int store_epoch_raise(struct store *store, int32_t epoch, struct el_error *err)
{
    struct el_node node = *store->node;
    node.leader_epoch = EL_MAX(node.leader_epoch, epoch);
    node.clean = false;
    int code = node_store(store->disk, &node, err);
    if (code == 0) {
        __atomic_store_n(&store->node->leader_epoch, node.leader_epoch, __ATOMIC_RELAXED);
    }
    return code;
}
const struct topic_config *store_topic_defaults(const struct store_shard *shard)
{
    return &shard->topic_defaults;
}

struct el_clock *store_clock(struct store *store)
{
    return &store->clock;
}
struct io *store_shard_io(struct store_shard *shard)
{
    return shard->io;
}
struct el_buddy *store_shard_buddy(struct store_shard *shard)
{
    return shard->buddy;
}
struct metrics *store_shard_metrics(struct store_shard *shard)
{
    return shard->metrics;
}
bool store_shard_space(const struct store_shard *shard, uint64_t *free_bytes, uint64_t *total_bytes)
{
    if (shard->disk_total_bytes == 0) {
        return false;
    }
    *free_bytes = shard->disk_free_bytes;
    *total_bytes = shard->disk_total_bytes;
    return true;
}

uint32_t store_shard_index(const struct store_shard *shard)
{
    return shard->index;
}

uint32_t store_owner_index(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition)
{
    const struct store_shard *owner = shard_owner(shard, topic_id, partition);
    return owner == NULL ? shard->index : owner->index;
}
struct store *store_shard_store(struct store_shard *shard)
{
    return shard->store;
}

const char *store_not_ready_reason(struct store *store)
{
    for (uint32_t i = 0; i < store->shard_count; i++) {
        if (atomic_load(&store->shards[i].failed_flag)) {
            return store->shards[i].failed_reason;
        }
    }
    for (uint32_t i = 0; i < store->shard_count; i++) {
        const char *reason = atomic_load(&store->shards[i].observer_reason);
        if (reason != NULL) {
            return reason;
        }
    }
    for (uint32_t i = 0; i < store->shard_count; i++) { /* a full disk on one shard must not hide another's failure */
        if (atomic_load(&store->shards[i].full_flag)) {
            return "the disk is full: appends are refused until space returns";
        }
    }
    return NULL;
}

uint64_t store_flush_since_ns(struct store *store, uint32_t *shard)
{
    uint64_t oldest_ns = 0;
    for (uint32_t i = 0; i < store->shard_count; i++) {
        uint64_t since_ns = atomic_load_explicit(&store->shards[i].journal.flight_since_ns, memory_order_relaxed);
        if (since_ns != 0 && (oldest_ns == 0 || since_ns < oldest_ns)) {
            oldest_ns = since_ns;
            *shard = i;
        }
    }
    return oldest_ns;
}

/* --- the shard's tick --------------------------------------------------------------------------------------------- */

void store_shard_start(struct store_shard *shard)
{
    OBJ_CHECK(shard, SHARD);
    upkeep_start(shard);
    tier_begin(shard);
    EL_LIST_EACH(n, &shard->pending) {
        struct partition *part = EL_CONTAINER(n, struct partition, pending_link);
        EL_ASSERT(part->pending != NULL);
        if (part->pending_bytes >= shard->store->cfg.chunk_len) {
            el_list_push_back(&shard->behind, &part->behind_link);
        }
    }
}

/* Write behind: partitions with enough durable batches for a chunk. */
static void write_behind(struct store_shard *shard)
{
    while (!el_list_empty(&shard->behind) && shard->chunk_jobs < CHUNK_JOBS_MAX && !shard->failed) {
        struct partition *part = EL_CONTAINER(el_list_pop_front(&shard->behind), struct partition, behind_link);
        int count = 1;
        while (part->pending_bytes >= shard->store->cfg.chunk_len && count > 0) {
            count = segment_write_chunk(part, UINT64_MAX);
        }
    }
}

static void memory_relief(struct store_shard *shard)
{
    struct tail *tail = &shard->tail;
    bool stuck = tail_evict(tail, tail->bytes_max);
    if (stuck && tail->bytes > tail->bytes_max + tail->bytes_max / 2) {
        shard->checkpoint.wanted = true;
    }
    segment_close_idle(shard, shard->store->cfg.open_segments_max);
}

static void stop_finish(struct store_shard *shard, bool clean)
{
    EL_ASSERT(shard->jobs == 0);
    EL_ASSERT(shard->chunk_jobs == 0);
    EL_ASSERT(!clean || checkpoint_idle(&shard->checkpoint));
    shard->stop_done = true;
    journal_rest(&shard->journal);
    if (clean) {
        atomic_fetch_add(&shard->store->clean_stops, 1);
    }
    shard->stopped(shard->stopped_arg);
}

/* A clean stop: everything appended is durable, and a checkpoint was taken after that. */
static void stop_tick(struct store_shard *shard)
{
    if (!shard->failed && shard->io->now_ns > shard->stop_by_ns) {
        shard_fail(shard, "it could not be stopped cleanly in time; the next start recovers from the journal");
    }
    if (shard->failed) {
        if (shard->jobs == 0 && journal_quiet(&shard->journal)) {
            stop_finish(shard, false);
        }
        return;
    }
    bool quiet = journal_idle(&shard->journal) && shard->jobs == 0 && checkpoint_idle(&shard->checkpoint) &&
                 (shard->index != 0 || meta_idle(shard->store));
    if (!quiet) {
        return;
    }
    if (!shard->draining) {
        shard->draining = true; /* from here on nothing but the last checkpoint */
        checkpoint_tick(shard, true);
        return;
    }
    stop_finish(shard, true);
}

uint64_t store_shard_tick(struct store_shard *shard)
{
    OBJ_CHECK(shard, SHARD);
    if (shard->stop_done) {
        return UINT64_MAX; /* reads may still be answered, nothing is written any more */
    }
    uint64_t wall_ns = io_wall(shard->io); /* in this order whatever the compiler */
    uint64_t boot_ns = io_boot(shard->io);
    el_clock_tick(&shard->store->clock, wall_ns, boot_ns);
    write_behind(shard);
    memory_relief(shard);
    shard_retry_held(shard);
    checkpoint_tick(shard, false);
    if (shard->stopping && !shard->stop_done) {
        stop_tick(shard);
    }
    return journal_tick(&shard->journal);
}

void store_shard_reload(struct store_shard *shard, const struct topic_config *topic_defaults, uint64_t disk_reserve_len)
{
    shard->topic_defaults = *topic_defaults;
    shard->disk_reserve_len = disk_reserve_len;
    for (size_t i = 0; shard->tier != NULL && i < shard->partitions.count; i++) {
        partition_show(shard->partitions.entries[i].value); /* evlog.durability may have changed */
    }
}

void store_shard_stop(struct store_shard *shard, void (*stopped)(void *arg), void *arg)
{
    EL_ASSERT(!shard->stopping);
    shard->stopping = true;
    shard->stop_by_ns = shard->io->now_ns + STOP_NS_MAX;
    shard->stopped = stopped;
    shard->stopped_arg = arg;
    upkeep_stop(shard);
    shard_retry_held(shard);
    tier_release_all(shard, EVLOG_ERR_CLOSED);
    redact_stop(shard);
}
