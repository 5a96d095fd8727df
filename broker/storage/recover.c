/* SPDX-License-Identifier: Apache-2.0
 *
 * Recovery, in this order:
 *
 *   1. read the checkpoints of every shard and scan every journal (nothing is applied yet)
 *   2. shard 0, pass one: checkpoint and journal frames of __evlog_meta; its records make the catalogue on all shards
 *   3. every shard: checkpoint, then journal frames; batches go into memory, in order of offsets
 *   4. every partition must be dense from its last segment on, and reach what its checkpoint calls durable
 *   5. the clock starts above every stored time; the node file is written for this start; the journals open
 *   6. files of deleted topics that a crash left behind are removed
 */
#include <storage/recover.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/catalogue.h>
#include <storage/journal_recover.h>

struct shard_recovery {
    struct store_shard *shard;
    struct checkpoint_chain chain;
    struct journal_scan scan;
    bool meta_pass;    /* frames of the catalogue only, or all others */
    uint64_t clock_ns; /* greatest time seen */
    struct el_error *err;
};

int store_make_dirs(struct disk *disk, uint32_t shard_count, struct el_error *err)
{
    static const char *const tops[] = {"journal", "checkpoint", "topics"};
    int code = 0;
    char path[48];
    for (size_t i = 0; i < 3 && code == 0; i++) {
        code = disk_mkdir(disk, tops[i]);
    }
    for (uint32_t i = 0; i < shard_count && code == 0; i++) {
        journal_dir_path(path, sizeof(path), i);
        code = disk_mkdir(disk, path);
        snprintf(path, sizeof(path), "checkpoint/%04u", i);
        code = code != 0 ? code : disk_mkdir(disk, path);
    }
    for (size_t i = 0; i < 3 && code == 0; i++) {
        code = disk_sync_dir(disk, tops[i]);
    }
    code = code != 0 ? code : disk_sync_dir(disk, "");
    return code == 0 ? 0
                     : el_error_set(err, code, "making the folders of the data directory: %s", evlog_error_text(code));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* A counter of producer ids: another block of them does not reach the bits that a start draws. */
static bool counter_fits(int64_t counter)
{
    return counter >= 0 && counter <= ((int64_t)1 << PRODUCER_COUNTER_BITS) - PRODUCER_ID_BLOCK;
}

static int recovery_read(struct shard_recovery *r, struct el_error *err)
{
    struct store_shard *shard = r->shard;
    struct disk *disk = shard->store->disk;
    int code = checkpoint_chain_load(disk, shard->index, &r->chain, err);
    if (code != 0) {
        return code;
    }
    const struct el_node *node = shard->store->node;
    struct journal_start start = {.shard = shard->index,
                                  .clean = node->clean,
                                  .node_boot = node->boot,
                                  .node_incarnation = node->incarnation,
                                  .node_tag = el_node_tag(&node->id)};
    if (r->chain.count > 0) {
        const struct el_checkpoint_header *h = &r->chain.files[r->chain.count - 1].header;
        if (!counter_fits(h->producer_counter)) {
            return el_error_set(err, EVLOG_ERR_CORRUPT,
                                "checkpoint %llu of shard %u: no counter of producer ids is %lld",
                                (unsigned long long)h->sequence, shard->index, (long long)h->producer_counter);
        }
        start.incarnation = h->incarnation;
        start.sequence = h->cut;
        r->clock_ns = h->clock_ns;
        struct checkpoint *c = &shard->checkpoint;
        c->sequence = h->sequence;
        c->base_sequence = h->base_sequence;
        c->previous_base = EL_MIN(r->chain.oldest, h->base_sequence);
        c->base_len = r->chain.files[0].len;
        c->delta_len = h->delta_len;
        c->cut = h->cut;
        c->previous_cut = h->previous_cut;
        c->producer_counter = h->producer_counter;
        c->retry_base = true; /* the first checkpoint of a start is a base: it does not build on what was just proven */
    }
    return journal_scan(disk, &start, &r->scan, err);
}

static bool want_meta(const struct part_key *key)
{
    return el_uuid_eq(&key->topic_id, &META_TOPIC_ID);
}
static bool want_others(const struct part_key *key)
{
    return !want_meta(key);
}

static int frame_unknown(struct shard_recovery *r, const struct el_frame *frame)
{
    if (el_map_get(&r->shard->tombstones, &frame->topic_id, sizeof(frame->topic_id)) != NULL) {
        return 0;
    }
    char hex[33];
    el_hex(hex, frame->topic_id.bytes, 16);
    return el_error_set(r->err, EVLOG_ERR_CORRUPT,
                        "journal of shard %u: a frame of topic %s partition %d, which the "
                        "catalogue does not know",
                        r->shard->index, hex, frame->partition);
}

static int frame_apply(void *arg, const struct el_group_header *group, const struct el_frame *frame)
{
    struct shard_recovery *r = arg;
    r->clock_ns = EL_MAX(r->clock_ns, EL_MAX(group->append_time_ns, frame->append_time_ns));
    if (frame->type == EL_FRAME_CLOCK) {
        return 0;
    }
    if (frame->type == EL_FRAME_PRODUCER_IDS) {
        struct checkpoint *c = &r->shard->checkpoint;
        if (!counter_fits(frame->base_offset)) {
            return EVLOG_ERR_CORRUPT;
        }
        c->producer_counter = EL_MAX(c->producer_counter, frame->base_offset);
        return 0;
    }
    if (el_uuid_eq(&frame->topic_id, &META_TOPIC_ID) != r->meta_pass) {
        return 0;
    }
    struct partition *part = partition_find(r->shard, &frame->topic_id, frame->partition);
    if (part == NULL) {
        return frame_unknown(r, frame);
    }
    if (frame->type == EL_FRAME_LOG_START) {
        part->log_start = EL_MAX(part->log_start, frame->base_offset);
        return 0;
    }
    return partition_load(part, frame, frame->type == EL_FRAME_CARRY);
}

/* One pass over a shard: the catalogue's partition, or all others. */
static int recovery_apply(struct shard_recovery *r, bool meta_pass, struct el_error *err)
{
    struct store_shard *shard = r->shard;
    EL_ASSERT(shard != NULL);
    r->meta_pass = meta_pass;
    r->err = err;
    int code = checkpoint_chain_apply(shard, &r->chain, meta_pass ? want_meta : want_others, err);
    if (code == 0) {
        code = journal_replay(shard->store->disk, shard->index, &r->scan, frame_apply, r, err);
    }
    for (size_t i = 0; i < shard->partitions.count && code == 0; i++) {
        struct partition *part = shard->partitions.entries[i].value;
        if (want_meta(&part->key) == meta_pass) {
            code = partition_load_end(part, err);
            if (code == 0 && part->log_start > part->high_watermark) {
                code = el_error_set(err, EVLOG_ERR_CORRUPT,
                                    "topic %s partition %d: log start %lld is behind its end %lld", part->topic->name,
                                    part->key.partition, (long long)part->log_start, (long long)part->high_watermark);
            }
        }
    }
    return code;
}

/* --- catalogue ---------------------------------------------------------------------------------------------------- */

static int catalogue_batch(struct store *store, const uint8_t *batch, size_t len, struct el_error *err)
{
    struct el_batch_iter iter;
    struct el_batch_record record = {.offset = el_batch_base_offset(batch)};
    struct el_error why = {0};
    int code = el_batch_open(&iter, batch, len, NULL, 0);
    int more = 0;
    while (code == 0 && (more = el_batch_next(&iter, &record)) == 1) {
        struct catalogue_change change;
        code = catalogue_decode(record.record.key, record.record.value, &change);
        for (uint32_t i = 0; i < store->shard_count && code == 0; i++) {
            code = catalogue_apply(&store->shards[i], &change, &why);
        }
    }
    code = code != 0 ? code : more;
    return code == 0 ? 0
                     : el_error_set(err, code, "catalogue: record at offset %lld: %s", (long long)record.offset,
                                    why.code != 0 ? why.text : evlog_error_text(code));
}

static int catalogue_batches(struct store *store, const uint8_t *data, size_t len, struct el_error *err)
{
    int code = 0;
    while (len > 0 && code == 0) {
        size_t batch_len = (size_t)el_batch_total_len(data); /* verified against its chunk entry */
        code = catalogue_batch(store, data, batch_len, err);
        data += batch_len;
        len -= batch_len;
    }
    return code;
}

static int catalogue_segment(struct store *store, struct segment *seg, struct el_error *err)
{
    size_t buf_len = 4u << 20;
    uint8_t *buf = el_malloc(buf_len);
    int code = buf == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    int64_t offset = seg->base_offset;
    while (code == 0 && offset < seg->written_end) {
        struct segment_read read = {.kind = SEEK_OFFSET,
                                    .value = offset,
                                    .end_offset = INT64_MAX,
                                    .buf = buf,
                                    .buf_len = buf_len,
                                    .data_max = buf_len,
                                    .at_least_one = true};
        segment_read_begin(seg, &read);
        code = segment_read_run(store->disk, &read);
        segment_read_end(seg, &read);
        if (code == 0 && read.data_len == 0 && seg->compacted) {
            break; /* what was behind is gone */
        }
        code = code == 0 && read.data_len == 0 ? EVLOG_ERR_CORRUPT : code;
        if (code == 0) {
            code = catalogue_batches(store, buf, read.data_len, err);
            offset = read.next_offset;
        }
    }
    el_free(buf);
    if (code != 0 && (err == NULL || err->code == 0)) {
        el_error_set(err, code, "catalogue: segment %llu: %s", (unsigned long long)seg->id, evlog_error_text(code));
    }
    return code;
}

static int catalogue_load(struct store *store, struct el_error *err)
{
    struct partition *part = partition_find(&store->shards[0], &META_TOPIC_ID, META_PARTITION);
    int code = 0;
    EL_LIST_EACH(n, &part->segments) {
        code = code != 0 ? code : catalogue_segment(store, EL_CONTAINER(n, struct segment, link), err);
    }
    EL_LIST_EACH(n, &part->entries) {
        struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        code = code != 0 ? code : catalogue_batch(store, e->batch, e->len, err);
    }
    return code;
}

/* --- this start --------------------------------------------------------------------------------------------------- */

static int journals_open(struct store *store, struct shard_recovery *list, struct el_error *err)
{
    int code = 0;
    for (uint32_t i = 0; i < store->shard_count && code == 0; i++) {
        struct store_shard *shard = &store->shards[i];
        const struct journal_scan *scan = &list[i].scan;
        struct journal_config cfg = shard->journal.cfg;
        struct journal_state state = {scan->incarnation, scan->sequence, store->node->incarnation, store->node->boot,
                                      el_node_tag(&store->node->id)};
        code = journal_open(&shard->journal, &cfg, &state, scan->last_sequence, scan->slot_count,
                            shard->checkpoint.previous_cut, store->disk, err);
        for (uint32_t g = 0; g < scan->group_count; g++) {
            shard->journal.bytes_since_cut += EL_ALIGN_UP(scan->groups[g].header.len, EL_JOURNAL_ALIGN);
        }
        /* What was replayed is checkpointed soon: however often a node is killed, its journal and what a start must
         * hold
         * in memory stay bounded. */
        shard->checkpoint.wanted = scan->group_count > 0;
        if (scan->discarded > 0) {
            el_log(EL_LOG_INFO, "storage",
                   "shard %u: %llu journal groups behind a torn one were never acknowledged and "
                   "are discarded",
                   i, (unsigned long long)scan->discarded);
        }
    }
    return code;
}

static int clock_begin(struct store *store, const struct shard_recovery *list, struct el_error *err)
{
    uint64_t floor = store->node->clock_ns;
    for (uint32_t i = 0; i < store->shard_count; i++) {
        floor = EL_MAX(floor, list[i].clock_ns);
    }
    struct io *io = store->shards[0].io;
    uint64_t wall_ns = io_wall(io); /* in this order whatever the compiler */
    uint64_t boot_ns = io_boot(io);
    return el_clock_start(&store->clock, floor, wall_ns, boot_ns, store->cfg.accept_clock, err);
}

static int node_begin(struct store *store, struct el_error *err)
{
    struct el_node *node = store->node;
    bool raises = node->boot > 0 && !node->clean;
    node->leader_epoch = raises && node->leader_epoch < INT32_MAX ? node->leader_epoch + 1 : node->leader_epoch;
    node->boot++;
    node->clean = false;
    node->shard_count = store->shard_count;
    do {
        io_random(store->shards[0].io, &node->incarnation, sizeof(node->incarnation));
    } while (node->incarnation == 0);
    return node_store(store->disk, node, err);
}

struct leftover {
    struct store *store;
    char dirs[16][48];
    uint32_t count;
};

static void leftover_find(void *arg, const char *name, bool is_dir)
{
    struct leftover *l = arg;
    struct el_uuid id;
    if (!is_dir || strlen(name) != 32 || l->count == 16) {
        return;
    }
    for (int i = 0; i < 16; i++) {
        unsigned v;
        if (sscanf(&name[2 * i], "%2x", &v) != 1) {
            return;
        }
        id.bytes[i] = (uint8_t)v;
    }
    if (el_map_get(&l->store->shards[0].tombstones, &id, sizeof(id)) != NULL) {
        snprintf(l->dirs[l->count++], sizeof(l->dirs[0]), "topics/%.32s", name);
    }
}

struct tree {
    struct disk *disk;
    char dir[SEGMENT_PATH_MAX];
    int depth;
    int error;
};

/* Folders are two deep: topic, partition. */
static void tree_remove(void *arg, const char *name, bool is_dir)
{
    struct tree *t = arg;
    char path[SEGMENT_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%.60s/%.30s", t->dir, name);
    if (n < 0 || t->error != 0) {
        return;
    }
    if (!is_dir) {
        t->error = disk_unlink(t->disk, path);
    } else if (t->depth < 1) {
        struct tree sub = {.disk = t->disk, .depth = t->depth + 1};
        snprintf(sub.dir, sizeof(sub.dir), "%s", path);
        t->error = disk_list(t->disk, path, tree_remove, &sub);
        t->error = t->error != 0 ? t->error : sub.error != 0 ? sub.error : disk_rmdir(t->disk, path);
    }
}

/* Folders of deleted topics: a crash came before their removal. A failure costs only space. */
static int leftovers_remove(struct store *store)
{
    struct leftover l;
    int code = 0;
    do {
        l = (struct leftover){.store = store};
        code = disk_list(store->disk, "topics", leftover_find, &l);
        for (uint32_t i = 0; i < l.count && code == 0; i++) {
            struct tree t = {.disk = store->disk};
            snprintf(t.dir, sizeof(t.dir), "%s", l.dirs[i]);
            code = disk_list(store->disk, t.dir, tree_remove, &t);
            code = code != 0 ? code : t.error != 0 ? t.error : disk_rmdir(store->disk, t.dir);
        }
    } while (code == 0 && l.count > 0);
    if (code != 0 && code != EVLOG_ERR_CRASHED) {
        el_log(EL_LOG_WARN, "storage", "files of deleted topics stay behind: %s", evlog_error_text(code));
        return 0;
    }
    return code;
}

int store_recover(struct store *store, struct el_error *err)
{
    struct shard_recovery list[EL_SHARD_COUNT_MAX];
    memset(list, 0, sizeof(list));
    int code = store->node->shard_count == store->shard_count
                   ? 0
                   : store_make_dirs(store->disk, store->shard_count, err); /* a new directory, or more shards */
    for (uint32_t i = 0; i < store->shard_count && code == 0; i++) {
        list[i].shard = &store->shards[i];
        code = recovery_read(&list[i], err);
    }
    if (code == 0) {
        code = recovery_apply(&list[0], true, err);
    }
    if (code == 0) {
        code = catalogue_load(store, err);
    }
    for (uint32_t i = 0; i < store->shard_count && code == 0; i++) {
        code = recovery_apply(&list[i], false, err);
    }
    code = code != 0 ? code : clock_begin(store, list, err);
    code = code != 0 ? code : node_begin(store, err);
    code = code != 0 ? code : journals_open(store, list, err);
    code = code != 0 ? code : leftovers_remove(store);
    for (uint32_t i = 0; i < store->shard_count; i++) {
        checkpoint_chain_free(&list[i].chain);
        journal_scan_free(&list[i].scan);
    }
    return code;
}
