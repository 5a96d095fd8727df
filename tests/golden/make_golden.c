/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the golden data directory of format version 1: the same bytes on every machine.
 *
 * usage: make_golden FOLDER    into a folder that is there and empty
 *        make_golden --sums    XXH3-64 and CRC-32C of 0 to 70,000 fixed bytes, for the second reader
 *
 * The directory is that of a node which was killed twice. Everything that docs/format.md section 7 decides is in it:
 *
 *   shard 0, slot 0   first start: groups 1 to 10, then a gap where group 11 was lost, then a whole group 12: void
 *            slot 1   second start, parent group 10: groups 11 to 13, group 14 torn, then a whole group 15: void
 *            slot 2   a valid group 14 that belongs into slot 1: misplaced, void
 *            mark     (first start, 10), (second start, 13)
 *            checkpoint 1 base, cut 5; checkpoint 2 delta, cut 7
 *   shard 1, slot 0   first start: groups 1 and 2; never a checkpoint
 *   topic orders      partition 0 in two segments: one sealed, one with a chunk behind its length that was cut off;
 *                     partition 1 in the journal of shard 1; partition 2 compacted: in checkpoint 1 two segments, one
 *                     without a batch, with ids against the order of offsets, in checkpoint 2 one in their place,
 *                     and a batch behind the hole in the journal
 *   topic gone-topic  made, written to, and deleted by the second start
 */
#include <core/assert.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <format/checkpoint_layout.h>
#include <format/journal_layout.h>
#include <format/segment_layout.h>
#include <io/disk.h>
#include <storage/catalogue.h>
#include <storage/compact_batch.h>
#include <storage/node.h>

#include <stdio.h>
#include <stdlib.h>

#define SLOT_LEN ((size_t)16 * EL_JOURNAL_ALIGN)
#define TIME_NS 1760000000000000000ull /* of group 0; each group a second later */
#define TIME_MS 1760000000000ll
#define SECOND_NS 1000000000ull
#define CLEANED_S 1760000004u /* when partition 2 was compacted */
#define PRODUCER_ID ((5ll << 40) | 7)
#define BATCH_ROOM 512

static const uint64_t first_start = 0xa1a1a1a1a1a1a1a1;
static const uint64_t second_start = 0xb2b2b2b2b2b2b2b2;
static const struct el_uuid node_id = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
static const struct el_uuid orders = {
    {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}};
static const struct el_uuid gone = {
    {0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f}};

static struct disk *disk;

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "make_golden: %s\n", what);
        exit(1);
    }
}

static void file_write(const char *path, const void *bytes, size_t len)
{
    int fd = -1;
    must(disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCL, &fd) == 0, path);
    must(disk_pwrite(disk, fd, bytes, len, 0) == 0, path);
    must(disk_sync(disk, fd) == 0, path);
    must(disk_close(disk, fd) == 0, path);
}

/* --- batches ----------------------------------------------------------------------------------------------------- */

enum batch_name {
    META_ORDERS,   /* __evlog_meta 0: orders is made */
    META_GONE,     /* 1: gone-topic is made */
    META_DELETE,   /* 2: gone-topic is deleted */
    ORDERS_0,      /* orders/0: offsets 0 to 2 */
    ORDERS_3,      /* 3 */
    ORDERS_4,      /* 4 */
    ORDERS_5,      /* 5 */
    ORDERS_6,      /* 6 */
    ORDERS_7,      /* 7 and 8 */
    ORDERS_9,      /* 9, by the second start */
    ORDERS_VOID,   /* 9 to 11, of the first start's group 12 */
    ORDERS_TORN,   /* 10 */
    ORDERS_BEHIND, /* 11 */
    GONE_0,        /* gone-topic/0: 0 */
    ORDERS_1_0,    /* orders/1: 0 and 1, append time */
    ORDERS_1_2,    /* orders/1: 2 */
    ORDERS_2_0,    /* orders/2: 0 to 2, of which 0 and 2 are left out */
    ORDERS_2_3,    /* orders/2: 3, a tombstone */
    ORDERS_2_6,    /* orders/2: 6, behind a hole */
    BATCH_COUNT,
};

struct batch {
    struct el_uuid topic_id;
    int32_t partition;
    int32_t leader_epoch;
    uint64_t append_time_ns;
    uint8_t salt[16];
    uint8_t bytes[BATCH_ROOM];
    uint32_t len;
    uint32_t cleaned_s;
    struct el_batch_info info;
};

struct batch_plan {
    const struct el_uuid *topic_id;
    int32_t partition;
    int64_t base_offset;
    int count;
    int32_t first_sequence; /* -1: no producer id */
    int32_t leader_epoch;
    uint64_t group; /* whose append time it has */
};

static struct batch batches[BATCH_COUNT];

static void batch_finish(enum batch_name name, const struct batch_plan *plan, struct el_batch_builder *builder)
{
    struct batch *b = &batches[name];
    struct el_slice made;
    struct el_batch_origin origin = {.producer_id = PRODUCER_ID, .base_sequence = plan->first_sequence};
    int err = el_batch_builder_finish(builder, EL_CODEC_NONE, plan->first_sequence < 0 ? NULL : &origin, &made);
    must(err == 0, "finishing a batch");
    b->topic_id = *plan->topic_id;
    b->partition = plan->partition;
    b->leader_epoch = plan->leader_epoch;
    b->append_time_ns = TIME_NS + plan->group * SECOND_NS;
    memset(b->salt, 0x50 + (int)name, sizeof(b->salt));
    b->len = (uint32_t)made.len;
    memcpy(b->bytes, made.data, made.len);
    if (plan->partition == 1) {
        el_batch_stamp_append_time(b->bytes, b->len, (int64_t)(b->append_time_ns / 1000000));
    }
    el_batch_assign(b->bytes, plan->base_offset, plan->leader_epoch);
    must(el_batch_header(b->bytes, b->len, &b->info) == 0, "a batch's own header");
}

/* Records with keys, null keys, empty and null values, headers, and timestamps that are not in order. */
static void batch_make(enum batch_name name, const struct batch_plan *plan)
{
    static const struct el_header headers[] = {
        {{(const uint8_t *)"trace", 5}, {(const uint8_t *)"\x00\xff", 2}},
        {{(const uint8_t *)"", 0}, {NULL, 0}},
    };
    uint8_t room[BATCH_ROOM];
    struct el_batch_builder builder;
    el_batch_builder_init_fixed(&builder, room, sizeof(room));
    for (int i = 0; i < plan->count; i++) {
        char key[32], value[64];
        snprintf(key, sizeof(key), "order-%lld", (long long)plan->base_offset + i);
        snprintf(value, sizeof(value), "{\"batch\":%d,\"item\":%d}", (int)name, i);
        struct el_record_body body = {.key = el_slice_str(key), .value = el_slice_str(value)};
        if (name == ORDERS_7 && i == 0) {
            body.key = el_slice_of(NULL, 0);
            body.headers = headers;
            body.header_count = 2;
        }
        if ((name == ORDERS_7 && i == 1) || name == ORDERS_2_3) {
            body.value = el_slice_of(NULL, 0);
        }
        if (name == ORDERS_3) {
            body.value = el_slice_str("");
        }
        must(el_batch_builder_add(&builder, TIME_MS + INT64_C(10) * name - i, &body) == 0, "adding a record");
    }
    batch_finish(name, plan, &builder);
}

static void meta_make(enum batch_name name, const struct batch_plan *plan, const struct catalogue_change *change)
{
    static uint8_t value[CATALOGUE_VALUE_LEN_MAX];
    uint8_t key[CATALOGUE_KEY_LEN], room[BATCH_ROOM];
    struct el_batch_builder builder;
    size_t value_len = catalogue_encode(change, key, value);
    struct el_record_body body = {.key = el_slice_of(key, sizeof(key)), .value = el_slice_of(value, value_len)};
    el_batch_builder_init_fixed(&builder, room, sizeof(room));
    must(el_batch_builder_add(&builder, TIME_MS + (int64_t)plan->group * 1000, &body) == 0,
         "adding a catalogue record");
    batch_finish(name, plan, &builder);
}

static void meta_make_all(void)
{
    static const uint8_t owners[] = {0, 0, 1, 0, 0, 0};
    struct catalogue_change change = {CATALOGUE_PUT, orders, false, el_slice_str("orders"), 3, owners, {{0}}};
    topic_config_init(&change.config);
    int err = topic_config_set(&change.config, el_slice_str("retention.ms"), el_slice_str("-1"), NULL);
    must(err == 0, "retention.ms");
    meta_make(META_ORDERS, &(struct batch_plan){&META_TOPIC_ID, 0, 0, 1, -1, 0, 1}, &change);
    change = (struct catalogue_change){CATALOGUE_PUT, gone, true, el_slice_str("gone-topic"), 1, owners, {{0}}};
    topic_config_init(&change.config);
    meta_make(META_GONE, &(struct batch_plan){&META_TOPIC_ID, 0, 1, 1, -1, 0, 4}, &change);
    change.verb = CATALOGUE_DELETE;
    change.partition_count = 0;
    meta_make(META_DELETE, &(struct batch_plan){&META_TOPIC_ID, 0, 2, 1, -1, 1, 21}, &change);
}

/* The first and the third record have later ones of their keys. */
static void batch_compact(enum batch_name name)
{
    static struct compact_rules rules = {
        .map_end = 6, .keep_offset = 6, .now_ns = CLEANED_S * SECOND_NS - 1, .tombstone_ns = UINT64_MAX};
    static _Alignas(16) uint8_t memory[COMPACT_MAP_LEN_MIN];
    struct batch *b = &batches[name];
    struct compact_scratch scratch = {0};
    struct compact_kept kept;
    struct el_chunk_entry e = {
        .base_offset = b->info.base_offset, .len = b->len, .last_offset_delta = (uint32_t)b->info.last_offset_delta};
    compact_map_init(&rules.map, memory, sizeof(memory));
    compact_map_clear(&rules.map);
    compact_map_put(&rules.map, el_xxh3_128("order-0", 7, rules.secret), 4);
    compact_map_put(&rules.map, el_xxh3_128("order-2", 7, rules.secret), 5);
    must(compact_batch_filter(&rules, b->bytes, &e, &kept, &scratch) == 0, "compacting a batch");
    b->len = (uint32_t)kept.batch.len;
    b->cleaned_s = kept.entry.cleaned_s;
    memmove(b->bytes, kept.batch.data, b->len);
    must(el_batch_header(b->bytes, b->len, &b->info) == 0, "a batch that was compacted");
    compact_scratch_free(&scratch);
}

static void batches_make(void)
{
    meta_make_all();
    batch_make(ORDERS_0, &(struct batch_plan){&orders, 0, 0, 3, 0, 0, 3});
    batch_make(ORDERS_3, &(struct batch_plan){&orders, 0, 3, 1, 3, 0, 3});
    batch_make(ORDERS_4, &(struct batch_plan){&orders, 0, 4, 1, -1, 0, 5});
    batch_make(ORDERS_5, &(struct batch_plan){&orders, 0, 5, 1, -1, 0, 5});
    batch_make(GONE_0, &(struct batch_plan){&gone, 0, 0, 1, -1, 0, 6});
    batch_make(ORDERS_6, &(struct batch_plan){&orders, 0, 6, 1, 4, 0, 7});
    batch_make(ORDERS_7, &(struct batch_plan){&orders, 0, 7, 2, 5, 0, 10});
    batch_make(ORDERS_VOID, &(struct batch_plan){&orders, 0, 9, 3, -1, 0, 12});
    batch_make(ORDERS_9, &(struct batch_plan){&orders, 0, 9, 1, -1, 1, 22});
    batch_make(ORDERS_TORN, &(struct batch_plan){&orders, 0, 10, 1, -1, 1, 24});
    batch_make(ORDERS_BEHIND, &(struct batch_plan){&orders, 0, 11, 1, -1, 1, 25});
    batch_make(ORDERS_1_0, &(struct batch_plan){&orders, 1, 0, 2, -1, 0, 3});
    batch_make(ORDERS_1_2, &(struct batch_plan){&orders, 1, 2, 1, -1, 0, 5});
    batch_make(ORDERS_2_0, &(struct batch_plan){&orders, 2, 0, 3, -1, 0, 2});
    batch_make(ORDERS_2_3, &(struct batch_plan){&orders, 2, 3, 1, -1, 0, 2});
    batch_make(ORDERS_2_6, &(struct batch_plan){&orders, 2, 6, 1, -1, 0, 10});
    batch_compact(ORDERS_2_0);
    batch_compact(ORDERS_2_3);
}

/* --- journal ----------------------------------------------------------------------------------------------------- */

struct slot {
    uint32_t shard;
    uint32_t index;
    uint64_t pos;      /* of the next group */
    uint64_t last_pos; /* of the one before */
    uint8_t bytes[SLOT_LEN];
};

/* One start of the node, writing into a slot. */
struct run {
    struct slot *slot;
    uint64_t incarnation;
    uint64_t parent_incarnation;
    uint64_t parent_sequence;
    uint64_t boot;
    uint64_t sequence; /* of the group before */
    uint64_t previous_checksum;
    uint32_t frame_count;
    uint32_t len; /* of the group being filled */
};

static void frame_add(struct run *run, const struct el_frame *frame)
{
    if (run->len == 0) {
        run->len = EL_GROUP_HEADER_LEN;
    }
    must(run->len + el_frame_len(frame->payload_len) <= EL_JOURNAL_ALIGN, "the groups of this file take one block");
    run->len += (uint32_t)el_frame_put(run->slot->bytes + run->slot->pos + run->len, frame);
    run->frame_count++;
}

static void batch_add(struct run *run, enum el_frame_type type, enum batch_name name)
{
    const struct batch *b = &batches[name];
    struct el_frame frame = {
        .type = type,
        .topic_id = b->topic_id,
        .partition = b->partition,
        .leader_epoch = b->leader_epoch,
        .base_offset = b->info.base_offset,
        .append_time_ns = b->append_time_ns,
        .payload = b->bytes,
        .payload_len = b->len,
    };
    memcpy(frame.salt, b->salt, sizeof(frame.salt));
    frame_add(run, &frame);
}

/* Close the group that the frames went into. append: seconds of its append time. */
static void group_end(struct run *run, uint64_t durable_through, uint64_t append)
{
    struct slot *slot = run->slot;
    struct el_group_header h = {
        .shard = slot->shard,
        .slot = slot->index,
        .frame_count = run->frame_count,
        .pos = slot->pos,
        .incarnation = run->incarnation,
        .sequence = ++run->sequence,
        .len = run->len,
        .node_tag = el_node_tag(&node_id),
        .durable_through = durable_through,
        .append_time_ns = TIME_NS + append * SECOND_NS,
        .previous_checksum = run->previous_checksum,
        .parent_incarnation = run->parent_incarnation,
        .parent_sequence = run->parent_sequence,
        .boot = run->boot,
    };
    el_group_seal(slot->bytes + slot->pos, &h);
    run->previous_checksum = h.checksum;
    slot->last_pos = slot->pos;
    slot->pos += EL_ALIGN_UP(run->len, EL_JOURNAL_ALIGN);
    run->len = 0;
    run->frame_count = 0;
}

static void slot_write(const struct slot *slot)
{
    char path[64];
    snprintf(path, sizeof(path), "journal/%04u/%04u", slot->shard, slot->index);
    file_write(path, slot->bytes, SLOT_LEN);
}

/* Groups 1 to 10 of the first start, and its void group 12. */
static void first_run(struct slot *slot)
{
    struct run run = {.slot = slot, .incarnation = first_start, .boot = 1};
    batch_add(&run, EL_FRAME_BATCH, META_ORDERS);
    group_end(&run, 0, 1);
    frame_add(&run, &(struct el_frame){
                        .type = EL_FRAME_PRODUCER_IDS, .base_offset = 4096, .append_time_ns = TIME_NS + 2 * SECOND_NS});
    frame_add(&run, &(struct el_frame){.type = EL_FRAME_CLOCK, .append_time_ns = TIME_NS + 2 * SECOND_NS + 500});
    group_end(&run, 1, 2);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_0);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_3);
    group_end(&run, 1, 3);
    batch_add(&run, EL_FRAME_BATCH, META_GONE);
    group_end(&run, 3, 4);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_4);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_5);
    group_end(&run, 4, 5); /* checkpoint 1 cuts here */
    batch_add(&run, EL_FRAME_CARRY, META_ORDERS);
    batch_add(&run, EL_FRAME_CARRY, META_GONE);
    batch_add(&run, EL_FRAME_BATCH, GONE_0);
    group_end(&run, 5, 6);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_6);
    group_end(&run, 6, 7); /* checkpoint 2 cuts here */
    frame_add(&run, &(struct el_frame){.type = EL_FRAME_LOG_START,
                                       .topic_id = orders,
                                       .base_offset = 2,
                                       .append_time_ns = TIME_NS + 8 * SECOND_NS});
    group_end(&run, 7, 8);
    batch_add(&run, EL_FRAME_CARRY, GONE_0);
    batch_add(&run, EL_FRAME_CARRY, META_GONE);
    batch_add(&run, EL_FRAME_CARRY, META_ORDERS); /* the order of offsets is not that of frames */
    group_end(&run, 8, 9);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_7);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_2_6);
    group_end(&run, 9, 10);
    slot->pos += EL_JOURNAL_ALIGN; /* group 11 never reached the disk */
    run.sequence++;
    batch_add(&run, EL_FRAME_BATCH, ORDERS_VOID);
    group_end(&run, 10, 12);
}

/* Groups 11 to 15 of the second start; stray takes a copy of group 14 as it was before it was torn. */
static void second_run(struct slot *slot, struct slot *stray)
{
    struct run run = {.slot = slot,
                      .incarnation = second_start,
                      .parent_incarnation = first_start,
                      .parent_sequence = 10,
                      .boot = 2,
                      .sequence = 10};
    batch_add(&run, EL_FRAME_BATCH, META_DELETE);
    group_end(&run, 10, 21);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_9);
    group_end(&run, 11, 22);
    batch_add(&run, EL_FRAME_CARRY, ORDERS_7); /* for a checkpoint that did not come to its end */
    group_end(&run, 12, 23);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_TORN);
    group_end(&run, 12, 24);
    memcpy(stray->bytes, slot->bytes + slot->last_pos, EL_JOURNAL_ALIGN);
    slot->bytes[slot->last_pos + 200] ^= 0x10;
    batch_add(&run, EL_FRAME_BATCH, ORDERS_BEHIND);
    group_end(&run, 13, 25);
}

static void journal_make(void)
{
    static struct slot slots[3] = {{.index = 0}, {.index = 1}, {.index = 2}};
    static struct slot other = {.shard = 1};
    static uint8_t mark[2 * EL_JOURNAL_ALIGN], other_mark[2 * EL_JOURNAL_ALIGN];
    first_run(&slots[0]);
    second_run(&slots[1], &slots[2]);
    for (int i = 0; i < 3; i++) {
        slot_write(&slots[i]);
    }
    el_mark_put(mark, 0, first_start, 10);
    el_mark_put(mark + EL_JOURNAL_ALIGN, 0, second_start, 13);
    file_write("journal/0000/mark", mark, sizeof(mark));

    struct run run = {.slot = &other, .incarnation = first_start, .boot = 1};
    batch_add(&run, EL_FRAME_BATCH, ORDERS_1_0);
    group_end(&run, 0, 3);
    batch_add(&run, EL_FRAME_BATCH, ORDERS_1_2);
    group_end(&run, 1, 5);
    slot_write(&other);
    el_mark_put(other_mark, 1, first_start, 2);
    file_write("journal/0001/mark", other_mark, sizeof(other_mark));
}

/* --- segments ---------------------------------------------------------------------------------------------------- */

struct segment_file {
    struct el_segment_header header;
    uint8_t bytes[32768];
    size_t len;
    struct el_index_entry index[8];
    size_t index_count;
    int64_t max_timestamp_ms;
};

static void segment_begin(struct segment_file *s, const struct el_segment_header *h)
{
    s->header = *h;
    s->len = EL_SEGMENT_HEADER_LEN;
    s->max_timestamp_ms = INT64_MIN;
    el_segment_header_put(s->bytes, h);
}

/* A chunk of the batches named, which lie one after the other in enum batch_name. */
static void chunk_add(struct segment_file *s, enum batch_name first, uint32_t count)
{
    struct el_chunk_header h = {s->header.topic_id, s->header.partition, count, s->header.segment_id, s->len, 0};
    uint8_t *table = s->bytes + s->len;
    uint8_t *data = table + el_chunk_len(count, 0);
    for (uint32_t i = 0; i < count; i++) {
        const struct batch *b = &batches[first + i];
        struct el_chunk_entry e = {
            .append_time_ns = b->append_time_ns,
            .base_offset = b->info.base_offset,
            .leader_epoch = b->leader_epoch,
            .len = b->len,
            .checksum = el_xxh3(b->bytes, b->len),
            .max_timestamp_ms = b->info.max_timestamp,
            .last_offset_delta = (uint32_t)b->info.last_offset_delta,
            .cleaned_s = b->cleaned_s,
        };
        memcpy(e.salt, b->salt, sizeof(e.salt));
        el_chunk_entry_put(table + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        memcpy(data + h.data_len, b->bytes, b->len);
        h.data_len += b->len;
        s->max_timestamp_ms = EL_MAX(s->max_timestamp_ms, b->info.max_timestamp);
    }
    el_chunk_seal(table, &h);
    uint64_t len = el_chunk_end(s->len, count, h.data_len) - s->len;
    memset(data + h.data_len, 0, (size_t)(len - el_chunk_len(count, h.data_len)));
    s->index[s->index_count++] = (struct el_index_entry){batches[first].info.base_offset, s->len, s->max_timestamp_ms,
                                                         batches[first].append_time_ns, len};
    s->len += len;
}

static size_t segment_seal(struct segment_file *s)
{
    EL_ASSERT(s->len + 1024 <= sizeof(s->bytes));
    uint8_t digest[32];
    struct el_sha256 sha;
    el_sha256_begin(&sha);
    el_sha256_add(&sha, s->bytes, s->len);
    el_sha256_end(&sha, digest);
    el_footer_put(s->bytes + s->len, s->len, s->index, s->index_count, digest);
    return s->len + el_footer_len(s->index_count, true);
}

static void segments_make(struct segment_file *sealed, struct segment_file *active)
{
    segment_begin(sealed, &(struct el_segment_header){.topic_id = orders, .segment_id = 1, .generation = first_start});
    chunk_add(sealed, ORDERS_0, 2);
    chunk_add(sealed, ORDERS_4, 1);
    chunk_add(sealed, ORDERS_5, 1);
    segment_begin(active, &(struct el_segment_header){.topic_id = orders,
                                                      .segment_id = 2,
                                                      .base_offset = 6,
                                                      .generation = first_start,
                                                      .previous_id = 1,
                                                      .previous_generation = first_start});
    chunk_add(active, ORDERS_6, 1);
    struct segment_file longer = *active; /* the next chunk was being written when the power failed */
    chunk_add(&longer, ORDERS_7, 1);
    char dir[64];
    char path[96];
    snprintf(dir, sizeof(dir), "topics/101112131415161718191a1b1c1d1e1f");
    must(disk_mkdir(disk, dir) == 0, dir);
    snprintf(path, sizeof(path), "%s/0", dir);
    must(disk_mkdir(disk, path) == 0, path);
    snprintf(path, sizeof(path), "%s/0/00000001.seg", dir);
    file_write(path, sealed->bytes, segment_seal(sealed));
    snprintf(path, sizeof(path), "%s/0/00000002.seg", dir);
    file_write(path, longer.bytes, active->len + 200);
}

static struct segment_file compacted[3];

static void compacted_begin(struct segment_file *s, uint64_t id, int64_t base_offset)
{
    segment_begin(s, &(struct el_segment_header){.topic_id = orders,
                                                 .partition = 2,
                                                 .segment_id = id,
                                                 .base_offset = base_offset,
                                                 .generation = first_start});
}

/* Segments 4 and 3 of partition 2, and 5 that covers what both do; 1 and 2 are gone. */
static void compacted_make(void)
{
    static const char dir[] = "topics/101112131415161718191a1b1c1d1e1f/2";
    compacted_begin(&compacted[0], 4, 0);
    chunk_add(&compacted[0], ORDERS_2_0, 2);
    compacted_begin(&compacted[1], 3, 4);
    compacted_begin(&compacted[2], 5, 0);
    chunk_add(&compacted[2], ORDERS_2_0, 1);
    chunk_add(&compacted[2], ORDERS_2_3, 1);
    must(disk_mkdir(disk, dir) == 0, dir);
    for (int i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof(path), "%s/%08llu.seg", dir, (unsigned long long)compacted[i].header.segment_id);
        size_t len = compacted[i].len + el_footer_len(compacted[i].index_count, false);
        el_footer_put(compacted[i].bytes + compacted[i].len, compacted[i].len, compacted[i].index,
                      compacted[i].index_count, NULL);
        file_write(path, compacted[i].bytes, len);
    }
}

/* --- checkpoints ------------------------------------------------------------------------------------------------- */

struct golden_checkpoint {
    uint8_t bytes[4096];
    struct el_writer w;
    struct el_checkpoint_header header;
};

static void checkpoint_begin(struct golden_checkpoint *c, const struct el_checkpoint_header *h)
{
    c->header = *h;
    el_writer_init(&c->w, c->bytes + EL_CHECKPOINT_HEADER_LEN, sizeof(c->bytes) - EL_CHECKPOINT_HEADER_LEN);
}

static void entry_add(struct golden_checkpoint *c, const struct el_checkpoint_entry *e)
{
    el_checkpoint_entry_put(&c->w, e);
    el_checkpoint_epoch_put(&c->w, &(struct el_checkpoint_epoch){0, 0});
    c->header.entry_count++;
}

static void segment_entry_add(struct golden_checkpoint *c, const struct segment_file *s, enum batch_name first,
                              enum batch_name last, uint32_t flags)
{
    el_checkpoint_segment_put(&c->w, &(struct el_checkpoint_segment){
                                         .id = s->header.segment_id,
                                         .base_offset = s->header.base_offset,
                                         .end_offset = el_batch_last_offset(batches[last].bytes) + 1,
                                         .len = s->len,
                                         .max_timestamp_ms = s->max_timestamp_ms,
                                         .first_append_ns = batches[first].append_time_ns,
                                         .last_append_ns = batches[last].append_time_ns,
                                         .generation = s->header.generation,
                                         .created_ns = batches[first].append_time_ns + 1,
                                         .flags = flags,
                                     });
}

static void compacted_entry_add(struct golden_checkpoint *c, const struct segment_file *s, int64_t end_offset,
                                uint32_t flags)
{
    bool empty = s->index_count == 0;
    el_checkpoint_segment_put(&c->w,
                              &(struct el_checkpoint_segment){
                                  .id = s->header.segment_id,
                                  .base_offset = s->header.base_offset,
                                  .end_offset = end_offset,
                                  .len = s->len,
                                  .max_timestamp_ms = s->max_timestamp_ms,
                                  .first_append_ns = batches[ORDERS_2_0].append_time_ns,
                                  .last_append_ns = batches[ORDERS_2_3].append_time_ns,
                                  .generation = s->header.generation,
                                  .created_ns = CLEANED_S * SECOND_NS,
                                  .flags = EL_CHECKPOINT_SEGMENT_SEALED | EL_CHECKPOINT_SEGMENT_COMPACTED | flags,
                                  .tombstones_s = empty ? 0 : CLEANED_S,
                              });
}

static void producer_add(struct golden_checkpoint *c, const enum batch_name *names, uint16_t count)
{
    el_checkpoint_producer_put(
        &c->w, &(struct el_checkpoint_producer){PRODUCER_ID, 0, count, batches[names[count - 1]].append_time_ns});
    for (uint16_t i = 0; i < count; i++) {
        const struct batch *b = &batches[names[i]];
        el_checkpoint_batch_put(&c->w,
                                &(struct el_checkpoint_batch){b->info.base_sequence, el_batch_last_sequence(&b->info),
                                                              b->info.base_offset, b->append_time_ns});
    }
}

static void checkpoint_end(struct golden_checkpoint *c)
{
    char path[64];
    must(c->w.err == 0, "a checkpoint is too large");
    c->header.body_len = el_writer_len(&c->w);
    c->header.delta_len = c->header.kind == EL_CHECKPOINT_DELTA ? c->header.body_len : 0;
    el_checkpoint_seal(c->bytes, &c->header);
    snprintf(path, sizeof(path), "checkpoint/0000/%016llx", (unsigned long long)c->header.sequence);
    file_write(path, c->bytes, EL_CHECKPOINT_HEADER_LEN + (size_t)c->header.body_len);
}

static void checkpoints_make(const struct segment_file *sealed, const struct segment_file *active)
{
    static const enum batch_name of_producer[] = {ORDERS_0, ORDERS_3, ORDERS_6};
    static struct golden_checkpoint base, delta;
    checkpoint_begin(&base, &(struct el_checkpoint_header){.sequence = 1,
                                                           .kind = EL_CHECKPOINT_BASE,
                                                           .base_sequence = 1,
                                                           .incarnation = first_start,
                                                           .cut = 5,
                                                           .clock_ns = TIME_NS + 5 * SECOND_NS,
                                                           .producer_counter = 4096});
    entry_add(&base, &(struct el_checkpoint_entry){
                         .topic_id = META_TOPIC_ID, .next_offset = 2, .next_segment_id = 1, .epoch_count = 1});
    entry_add(&base, &(struct el_checkpoint_entry){.topic_id = orders,
                                                   .next_offset = 6,
                                                   .segment_end = 6,
                                                   .next_segment_id = 2,
                                                   .epoch_count = 1,
                                                   .segment_count = 1,
                                                   .producer_count = 1});
    segment_entry_add(&base, sealed, ORDERS_0, ORDERS_5, 0);
    producer_add(&base, of_producer, 2);
    entry_add(&base, &(struct el_checkpoint_entry){.topic_id = orders,
                                                   .partition = 2,
                                                   .next_offset = 6,
                                                   .segment_end = 6,
                                                   .next_segment_id = 5,
                                                   .clean_end = 6,
                                                   .epoch_count = 1,
                                                   .segment_count = 2});
    compacted_entry_add(&base, &compacted[0], 4, 0);
    compacted_entry_add(&base, &compacted[1], 6, 0);
    checkpoint_end(&base);

    checkpoint_begin(&delta, &(struct el_checkpoint_header){.sequence = 2,
                                                            .kind = EL_CHECKPOINT_DELTA,
                                                            .base_sequence = 1,
                                                            .incarnation = first_start,
                                                            .cut = 7,
                                                            .clock_ns = TIME_NS + 7 * SECOND_NS,
                                                            .producer_counter = 4096,
                                                            .previous_cut = 5});
    entry_add(&delta, &(struct el_checkpoint_entry){.topic_id = orders,
                                                    .next_offset = 7,
                                                    .segment_end = 7,
                                                    .next_segment_id = 3,
                                                    .epoch_count = 1,
                                                    .segment_count = 2,
                                                    .producer_count = 1});
    segment_entry_add(&delta, sealed, ORDERS_0, ORDERS_5, EL_CHECKPOINT_SEGMENT_SEALED);
    segment_entry_add(&delta, active, ORDERS_6, ORDERS_6, 0);
    producer_add(&delta, of_producer, 3);
    entry_add(&delta, &(struct el_checkpoint_entry){.topic_id = orders,
                                                    .partition = 2,
                                                    .next_offset = 6,
                                                    .segment_end = 6,
                                                    .next_segment_id = 6,
                                                    .clean_end = 6,
                                                    .epoch_count = 1,
                                                    .segment_count = 3});
    compacted_entry_add(&delta, &compacted[0], 4, EL_CHECKPOINT_SEGMENT_REMOVED);
    compacted_entry_add(&delta, &compacted[1], 6, EL_CHECKPOINT_SEGMENT_REMOVED);
    compacted_entry_add(&delta, &compacted[2], 6, 0);
    entry_add(&delta, &(struct el_checkpoint_entry){
                          .topic_id = gone, .next_offset = 1, .next_segment_id = 1, .epoch_count = 1});
    checkpoint_end(&delta);
}

/* Lengths around every branch of XXH3: up to 16, 128, 240, and around stripes and blocks. */
static void sums_print(void)
{
    static uint8_t bytes[70000];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    for (size_t len = 0; len <= sizeof(bytes); len += len < 300 ? 1 : len < 2500 ? 61 : 6731) {
        printf("%zu %016llx %08x\n", len, (unsigned long long)el_xxh3(bytes, len), el_crc32c(0, bytes, len));
    }
}

int main(int argc, char **argv)
{
    static const char *const dirs[] = {"journal",    "journal/0000",    "journal/0001",
                                       "checkpoint", "checkpoint/0000", "topics"};
    static struct segment_file sealed, active;
    struct el_error err = {0};
    if (argc == 2 && strcmp(argv[1], "--sums") == 0) {
        sums_print();
        return 0;
    }
    must(argc == 2 && disk_posix_open(argv[1], &disk) == 0, "usage: make_golden FOLDER | --sums");
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        must(disk_mkdir(disk, dirs[i]) == 0, dirs[i]);
    }
    batches_make();
    journal_make();
    segments_make(&sealed, &active);
    compacted_make();
    checkpoints_make(&sealed, &active);
    struct el_node node = {.shard_count = 2, .id = node_id, .boot = 2, .leader_epoch = 1, .incarnation = second_start};
    must(node_store(disk, &node, &err) == 0, err.text);
    disk_posix_close(disk);
    return 0;
}
