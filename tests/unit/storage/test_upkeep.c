/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: old data leaves, its files leave with it, also over a restart, and nothing leaves too early. Method: a store on
 * the simulated machine, whose virtual hours pass in a moment.
 */
#include "kit.h"

static void on_done(struct store_op *op)
{
    bool *done = op->arg;
    *done = true;
}

/* Let so many virtual seconds pass. */
static void pass(struct kit *k, uint64_t seconds)
{
    uint64_t end = k->w.clock.now_ns + seconds * 1000000000;
    while (k->w.clock.now_ns < end) {
        kit_steps(k, 1);
    }
}

TEST(upkeep, old_segments_leave_and_so_do_their_files)
{
    struct kit k;
    kit_init(&k, 31);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "segment.bytes=65536 retention.ms=60000");
    for (int i = 0; i < 6; i++) {
        kit_append_many(&k, 0, 3000, 10);
        assert_true(kit_checkpoint(&k));
    }
    assert_int_equal(kit_lookup(&k, 0, -2), 0);
    assert_true(kit_files(&k, "/0000000") >= 2);
    pass(&k, 30);
    assert_int_equal(kit_lookup(&k, 0, -2), 0); /* too early */
    pass(&k, 60);
    assert_int_equal(kit_lookup(&k, 0, -2), 60);
    assert_true(kit_checkpoint(&k));
    assert_true(kit_checkpoint(&k));
    kit_steps(&k, 200);
    assert_int_equal(kit_files(&k, ".seg"), 0);
    assert_int_equal(kit_read(&k, 0, 0), EVLOG_ERR_OFFSET_RANGE);
    assert_int_equal(kit_append(&k, 0, 10), 60);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 60, 61);
    kit_free(&k);
}

/* Who reads on from there must not wait for what is gone. */
TEST(upkeep, a_read_below_the_log_start_tells_where_the_log_begins_and_ends)
{
    struct kit k;
    bool done = false;
    kit_init(&k, 33);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "retention.ms=60000");
    assert_int_equal(kit_append(&k, 0, 50), 0);
    assert_int_equal(kit_append(&k, 0, 50), 1);
    pass(&k, 40);
    assert_int_equal(kit_append(&k, 0, 50), 2);
    pass(&k, 40);
    struct read_op op = {.base = {.done = on_done, .arg = &done},
                         .topic_id = k.topic,
                         .max_bytes = 1000,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(&k), &op);
    assert_true(world_wait(&k.w, &done));
    assert_int_equal(op.base.error, EVLOG_ERR_OFFSET_RANGE);
    assert_int_equal(op.log_start_offset, 2);
    assert_int_equal(op.high_watermark, 3);
    store_read_release(&op);
    kit_free(&k);
}

/* Its few batches never fill a chunk: checkpoints carry them along in the journal. */
TEST(upkeep, old_events_of_a_quiet_partition_leave_too)
{
    struct kit k;
    kit_init(&k, 32);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "retention.ms=60000");
    assert_int_equal(kit_append(&k, 0, 50), 0);
    assert_int_equal(kit_append(&k, 0, 50), 1);
    pass(&k, 40);
    assert_int_equal(kit_append(&k, 0, 50), 2);
    pass(&k, 40);
    assert_int_equal(kit_lookup(&k, 0, -2), 2);
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_lookup(&k, 0, -2), 2);
    kit_read_all(&k, 0, 2, 3);
    kit_free(&k);
}

static int64_t trim(struct kit *k, int64_t offset)
{
    struct partition *part = partition_find(kit_shard(k), &k->topic, 0);
    assert_int_equal(partition_trim(part, offset), 0);
    while (part->trimming) {
        kit_steps(k, 1);
    }
    return part->log_start;
}

/* A segment's file goes two checkpoints after the segment. A stop comes in between. */
TEST(upkeep, files_that_were_to_go_at_a_stop_go_at_the_next_start)
{
    struct kit k;
    kit_init(&k, 33);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "segment.bytes=65536");
    for (int i = 0; i < 8; i++) {
        kit_append_many(&k, 0, 3000, 10);
        assert_true(kit_checkpoint(&k));
    }
    uint32_t before = kit_files(&k, ".seg");
    assert_true(before >= 3);
    assert_int_equal(trim(&k, 70), 70);
    kit_stop(&k);
    assert_int_equal(kit_files(&k, ".seg"), before);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_files(&k, ".seg"), before); /* the checkpoint before the last one may still be needed */
    assert_true(kit_checkpoint(&k));
    kit_steps(&k, 500);
    const struct partition *part = partition_find(kit_shard(&k), &k.topic, 0);
    uint32_t listed = 0;
    EL_LIST_EACH(n, &part->segments) {
        listed++;
    }
    assert_int_equal(kit_files(&k, ".seg"), listed);
    assert_true(listed < before);
    kit_read_all(&k, 0, 70, 80);
    kit_free(&k);
}

static void fill(struct kit *k, const struct partition *part, uint64_t len, size_t batch_len)
{
    while (part->segment_bytes + part->pending_bytes < len) {
        kit_append_many(k, 0, batch_len, 10);
    }
}

/* As many bytes as retention.bytes says, and less than a segment more. */
static void assert_kept(const struct partition *part, uint64_t bytes)
{
    uint64_t kept = part->pending_bytes, oldest = 0;
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->end_offset > part->log_start) {
            oldest = oldest == 0 ? seg->len : oldest;
            kept += seg->len;
        }
    }
    assert_true(part->log_start > 0);
    assert_true(kept >= bytes);
    assert_true(kept - oldest < bytes);
}

/* Counted is what the disk has: a chunk is whole blocks and has a row for each batch. */
TEST(upkeep, retention_by_size_keeps_as_many_bytes_of_files_and_less_than_a_segment_more)
{
    const size_t lens[] = {3000, 60};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct kit k;
        kit_init(&k, 35);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "segment.bytes=65536 retention.bytes=200000");
        const struct partition *part = partition_find(kit_shard(&k), &k.topic, 0);
        fill(&k, part, 500000, lens[i]);
        pass(&k, 3);
        assert_kept(part, 200000);
        kit_free(&k);
    }
}

TEST(upkeep, memory_comes_back_to_where_it_was)
{
    struct kit k;
    kit_init(&k, 34);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 3, "segment.bytes=65536 retention.bytes=200000");
    size_t used[2] = {0, 0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40 * (round + 1); i++) {
            kit_append_many(&k, i % 3, 2000, 30);
            if (i % 10 == 9) {
                assert_true(kit_checkpoint(&k));
            }
        }
        pass(&k, 5);
        assert_true(kit_checkpoint(&k));
        assert_true(kit_checkpoint(&k));
        pass(&k, 5);
        tail_evict(&kit_shard(&k)->tail, 0);
        used[round] = kit_shard(&k)->buddy->used;
    }
    assert_true(used[1] <= used[0] + (64u << 10));
    kit_free(&k);
}

/* Reads at the seam: what has left the memory is read from its segment, what has not comes from memory, and a chunk
 * that
 * is being written hides nothing. */
TEST(upkeep, every_offset_can_be_read_while_chunks_are_written_and_memory_is_freed)
{
    for (uint64_t seed = 40; seed < 44; seed++) {
        struct kit k;
        kit_init(&k, seed);
        sim_disk_fault_set(k.w.disk, FAULT_JOB_PAUSE, 300000);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "segment.bytes=65536");
        int64_t end = 0;
        for (int i = 0; i < 12; i++) {
            kit_append_many(&k, 0, 1500, 20);
            end += 20;
            tail_evict(&kit_shard(&k)->tail, 0);
            kit_read_all(&k, 0, EL_MAX(end - 60, 0), end);
            assert_int_equal(kit_lookup(&k, 0, 1001), 0);
            assert_int_equal(kit_lookup(&k, 0, 1000 + end), end - 1);
        }
        kit_read_all(&k, 0, 0, end);
        while (kit_shard(&k)->jobs > 0) { /* one that seals a segment holds its index */
            kit_steps(&k, 1);
        }
        kit_free(&k);
    }
}

static void on_end(struct store_op *op)
{
    bool *ended = op->arg;
    *ended = true;
}

/* All that the shard has left. Each block begins with the place of the one taken before it. */
static void *memory_take(struct kit *k)
{
    struct el_buddy *buddy = kit_shard(k)->buddy;
    void **all = NULL;
    for (size_t len = buddy->len; len >= EL_BUDDY_BLOCK_MIN; len /= 2) {
        for (void **block = el_buddy_alloc(buddy, len); block != NULL; block = el_buddy_alloc(buddy, len)) {
            *block = all;
            all = block;
        }
    }
    return all;
}

static void memory_give(struct kit *k, void *all)
{
    for (void **block = all; block != NULL;) {
        void **next = *block;
        el_buddy_free(kit_shard(k)->buddy, block);
        block = next;
    }
}

TEST(upkeep, a_read_without_memory_tells_where_the_log_begins_and_ends)
{
    struct kit k;
    kit_init(&k, 46);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 1500, 20);
    bool done = false;
    struct read_op op = {.base = {.done = on_end, .arg = &done},
                         .topic_id = k.topic,
                         .offset = 3,
                         .max_bytes = 1u << 20,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    void *all = memory_take(&k);
    store_read(kit_shard(&k), &op);
    memory_give(&k, all);
    assert_true(done);
    assert_int_equal(op.base.error, EVLOG_ERR_NO_MEMORY);
    assert_int_equal(op.data_len, 0);
    assert_int_equal(op.log_start_offset, 0);
    assert_int_equal(op.high_watermark, 20);
    store_read_release(&op);
    kit_free(&k);
}

/* The deletion is durable first: there is no new start that could be told. */
TEST(upkeep, a_trim_of_a_topic_that_goes_is_refused)
{
    struct kit k;
    kit_init(&k, 37);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 100, 10);
    bool deleted = false, trimmed = false;
    struct topic_op gone = {.base = {.done = on_end, .arg = &deleted}, .verb = TOPIC_DELETE, .id = k.topic};
    struct trim_op trim = {.base = {.done = on_end, .arg = &trimmed}, .topic_id = k.topic, .offset = 7};
    store_topic_change(kit_shard(&k), &gone);
    store_trim(kit_shard(&k), &trim);
    while (!deleted || !trimmed) {
        kit_steps(&k, 1);
    }
    assert_int_equal(gone.base.error, 0);
    assert_int_equal(trim.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    kit_free(&k);
}
