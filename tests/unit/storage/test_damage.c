/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: damaged bytes are refused or reported for their own range, and the older checkpoint serves when the newest does
 * not. Method: a store that ran and stopped, one byte changed, and a start.
 */
#include "kit.h"
#include <core/crypto.h>
#include <core/hash.h>
#include <format/catalogue_layout.h>
#include <format/checkpoint_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/catalogue.h>
#include <storage/node.h>

#define BATCH_LEN 3000u

/* One topic, 60 batches in sealed segments, then a tail; stopped well. */
static void prepare(struct kit *k, uint64_t seed)
{
    kit_init(k, seed);
    assert_int_equal(kit_open(k), 0);
    kit_topic(k, 1, "segment.bytes=65536");
    for (int i = 0; i < 6; i++) {
        kit_append_many(k, 0, BATCH_LEN, 10);
        assert_true(kit_checkpoint(k));
    }
    for (int i = 0; i < 100 && kit_shard(k)->jobs == 0; i++) {
        kit_steps(k, 20); /* segments are sealed by a timer */
    }
    assert_true(kit_checkpoint(k));
}

/* How many of the offsets 0 .. 59 cannot be read; they must be one range, and the others right. */
static uint32_t damaged_offsets(struct kit *k, int64_t *first)
{
    uint32_t damaged = 0;
    *first = -1;
    for (int64_t offset = 0; offset < 60; offset++) {
        int64_t next = kit_read(k, 0, offset);
        if (next == EVLOG_ERR_CORRUPT) {
            *first = *first < 0 ? offset : *first;
            assert_int_equal(offset, *first + damaged);
            damaged++;
        } else {
            assert_int_equal(next, offset + 1);
        }
    }
    return damaged;
}

static uint64_t chunk_pos(struct kit *k, const struct segment *seg)
{
    struct segment_read read = {.kind = SEEK_OFFSET, .value = seg->base_offset, .end_offset = INT64_MAX};
    struct segment *s = (struct segment *)(uintptr_t)seg;
    segment_read_begin(s, &read);
    assert_int_equal(segment_read_run(kit_shard(k)->io->disk, &read), 0);
    const struct segment_index *index = read.new_index != NULL ? read.new_index : read.index;
    assert_true(segment_index_count(index) > 1);
    uint64_t pos = segment_index_entries(index)[1].pos;
    segment_read_end(s, &read);
    return pos;
}

/* returns the position of the second chunk of the first segment, with the store stopped */
static uint64_t prepare_sealed(struct kit *k)
{
    prepare(k, 21);
    const struct partition *part = partition_find(kit_shard(k), &k->topic, 0);
    const struct segment *seg = EL_CONTAINER(part->segments.next, struct segment, link);
    assert_true(seg->sealed);
    uint64_t pos = chunk_pos(k, seg);
    kit_stop(k);
    return pos;
}

TEST(damage, a_byte_of_a_batch_hides_that_batch_only)
{
    struct kit k;
    int64_t first;
    uint64_t pos = prepare_sealed(&k);
    kit_flip(&k, "/00000001.seg", 0, pos + 2000);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(damaged_offsets(&k, &first), 1);
    assert_int_equal(kit_append(&k, 0, 10), 60); /* appends go on */
    kit_stop(&k);
    kit_free(&k);
}

TEST(damage, a_byte_of_a_chunk_header_hides_that_chunk_only)
{
    struct kit k;
    int64_t first;
    uint64_t pos = prepare_sealed(&k);
    kit_flip(&k, "/00000001.seg", 0, pos + 50);
    assert_int_equal(kit_open(&k), 0);
    assert_in_range(damaged_offsets(&k, &first), 1, 6);
    assert_true(first > 0);
    kit_free(&k);
}

TEST(damage, a_byte_of_a_footer_hides_nothing)
{
    struct kit k;
    int64_t first;
    prepare(&k, 21);
    const struct partition *part = partition_find(kit_shard(&k), &k.topic, 0);
    uint64_t len = EL_CONTAINER(part->segments.next, struct segment, link)->len;
    kit_stop(&k);
    kit_flip(&k, "/00000001.seg", 0, len + 20);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(damaged_offsets(&k, &first), 0);
    kit_free(&k);
}

/* One open segment with 60 batches. returns the position of its second chunk, with the store stopped */
static uint64_t prepare_open(struct kit *k)
{
    kit_init(k, 28);
    assert_int_equal(kit_open(k), 0);
    kit_topic(k, 1, "");
    for (int i = 0; i < 6; i++) {
        kit_append_many(k, 0, BATCH_LEN, 10);
        assert_true(kit_checkpoint(k));
    }
    const struct partition *part = partition_find(kit_shard(k), &k->topic, 0);
    const struct segment *seg = EL_CONTAINER(part->segments.next, struct segment, link);
    assert_true(!seg->sealed);
    assert_int_equal(seg->written_end, 60);
    uint64_t pos = chunk_pos(k, seg);
    kit_stop(k);
    return pos;
}

/* Change the second chunk of the one segment, and make its checksums right again. */
static void chunk_rewrite(struct kit *k, uint64_t pos, int64_t first_offset, uint32_t bad_len)
{
    static uint8_t bytes[64u << 10];
    struct disk *disk = sim_disk_as_disk(k->w.disk);
    struct el_chunk_header h;
    char path[SEGMENT_PATH_MAX];
    size_t done = 0;
    int fd = -1;
    segment_path(path, sizeof(path), &k->topic, 0, 1);
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, bytes, sizeof(bytes), pos, &done), 0);
    assert_int_equal(el_chunk_header_get(bytes, &h), 0);
    size_t at = EL_CHUNK_HEADER_LEN + (size_t)h.count * EL_CHUNK_ENTRY_LEN;
    assert_true(at + h.data_len <= done);
    for (uint32_t i = 0; i < h.count; i++) {
        uint8_t *p = bytes + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN;
        struct el_chunk_entry e;
        el_chunk_entry_get(p, &e);
        if (first_offset >= 0) {
            e.base_offset = first_offset + i;
            el_batch_assign(bytes + at, e.base_offset, e.leader_epoch);
        }
        if (bad_len > 0) {
            el_put_be32(bytes + at + EL_BATCH_POS_LENGTH, bad_len);
        }
        e.checksum = el_xxh3(bytes + at, e.len);
        el_chunk_entry_put(p, &e);
        at += e.len;
    }
    el_chunk_seal(bytes, &h);
    assert_int_equal(disk_pwrite(disk, fd, bytes, at, pos), 0);
    assert_int_equal(disk_close(disk, fd), 0);
}

/* Read from the front of the first segment as much as comes. returns behind what came */
static int64_t read_from_front(struct kit *k)
{
    static uint8_t buf[1u << 20];
    struct partition *part = partition_find(kit_shard(k), &k->topic, 0);
    struct segment *seg = EL_CONTAINER(part->segments.next, struct segment, link);
    struct segment_read read = {.end_offset = INT64_MAX, .buf = buf, .buf_len = sizeof(buf), .data_max = sizeof(buf)};
    segment_read_begin(seg, &read);
    assert_int_equal(segment_read_run(kit_shard(k)->io->disk, &read), 0);
    segment_read_end(seg, &read);
    assert_int_equal(read.first_offset, 0);
    assert_true(read.data_len >= (size_t)read.next_offset * BATCH_LEN);
    assert_true(read.data_len < (size_t)read.next_offset * (BATCH_LEN + 200));
    return read.next_offset;
}

TEST(damage, a_chunk_whose_offsets_go_back_ends_what_is_read)
{
    struct kit k;
    uint64_t pos = prepare_open(&k);
    chunk_rewrite(&k, pos, 1, 0);
    assert_int_equal(kit_open(&k), 0);
    assert_in_range(read_from_front(&k), 5, 59);
    kit_free(&k);
}

/* Who reads goes from batch to batch by their own lengths. */
TEST(damage, a_batch_that_says_another_length_than_its_chunk_ends_what_is_read)
{
    struct kit k;
    uint64_t pos = prepare_open(&k);
    chunk_rewrite(&k, pos, -1, EL_BATCH_LEN_MAX);
    assert_int_equal(kit_open(&k), 0);
    assert_in_range(read_from_front(&k), 5, 59);
    kit_free(&k);
}

/* Nothing but the chunk itself says how long it is: every field of header and table in turn. */
TEST(damage, a_byte_of_a_chunk_header_of_an_open_segment_hides_that_chunk_only)
{
    for (uint64_t at = 0; at < EL_CHUNK_HEADER_LEN + EL_CHUNK_ENTRY_LEN; at++) {
        struct kit k;
        int64_t first;
        uint64_t pos = prepare_open(&k);
        kit_flip(&k, "/00000001.seg", 0, pos + at);
        assert_int_equal(kit_open(&k), 0);
        assert_in_range(damaged_offsets(&k, &first), 1, 6);
        assert_true(first > 0);
        assert_int_equal(kit_append(&k, 0, 10), 60);
        kit_stop(&k);
        kit_free(&k);
    }
}

static void cut_first_segment(struct kit *k, uint64_t len)
{
    char path[SEGMENT_PATH_MAX];
    segment_path(path, sizeof(path), &k->topic, 0, 1);
    assert_true(sim_disk_cut(k->w.disk, path, len));
}

TEST(damage, a_segment_cut_short_hides_nothing_before_the_cut)
{
    struct kit k;
    int64_t first;
    uint64_t pos = prepare_open(&k);
    cut_first_segment(&k, pos - EL_SEGMENT_ALIGN); /* in one of the last batches of the first chunk */
    assert_int_equal(kit_open(&k), 0);
    uint32_t damaged = damaged_offsets(&k, &first);
    assert_int_equal(first + damaged, 60);
    assert_true(first > 0);
    kit_free(&k);
    assert_int_equal(prepare_open(&k), pos);
    cut_first_segment(&k, pos + 10); /* in the second chunk: the first is whole */
    int64_t first_whole;
    assert_int_equal(kit_open(&k), 0);
    damaged = damaged_offsets(&k, &first_whole);
    assert_int_equal(first_whole + damaged, 60);
    assert_true(first_whole > first);
    kit_free(&k);
}

TEST(damage, a_segment_with_a_wrong_header_is_reported)
{
    struct kit k;
    int64_t first;
    prepare_sealed(&k);
    kit_flip(&k, "/00000001.seg", 0, 33);
    assert_int_equal(kit_open(&k), 0);
    assert_in_range(damaged_offsets(&k, &first), 1, 59);
    assert_int_equal(first, 0);
    kit_free(&k);
}

TEST(damage, the_checkpoint_before_serves_when_the_newest_is_damaged)
{
    for (uint64_t pos = 16; pos < 400; pos += 61) {
        struct kit k;
        int64_t first;
        prepare(&k, 22);
        kit_append_many(&k, 0, 100, 1);
        kit_stop(&k);
        uint32_t count = kit_files(&k, "checkpoint/0000/");
        assert_true(count > 1);
        kit_flip(&k, "checkpoint/0000/", count - 1, pos % 200);
        assert_int_equal(kit_open(&k), 0);
        assert_int_equal(damaged_offsets(&k, &first), 0);
        assert_int_equal(kit_read(&k, 0, 60), 61);
        assert_int_equal(kit_append(&k, 0, 10), 61);
        assert_true(kit_checkpoint(&k));
        kit_crash(&k);
        assert_int_equal(kit_open(&k), 0);
        assert_int_equal(kit_read(&k, 0, 61), 62);
        kit_free(&k);
    }
}

/* Meanwhile the journal went on, into slots that were free. */
TEST(damage, the_checkpoint_before_still_has_its_journal)
{
    struct kit k;
    kit_init(&k, 27);
    k.w.cfg.journal_slot_len = 64u << 10;
    k.w.cfg.journal_ring_len = 20u * (64u << 10);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    for (int i = 0; i < 3; i++) {
        kit_append_many(&k, 0, BATCH_LEN, 60);
        assert_true(kit_checkpoint(&k));
    }
    uint64_t newest = kit_shard(&k)->checkpoint.sequence;
    kit_append_many(&k, 0, BATCH_LEN, 80);
    kit_steps(&k, 500);
    assert_int_equal(kit_shard(&k)->checkpoint.sequence, newest);
    kit_crash(&k);
    kit_flip(&k, "checkpoint/0000/", kit_files(&k, "checkpoint/0000/") - 1, 60);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, 260);
    kit_free(&k);
}

TEST(damage, with_two_damaged_checkpoints_the_start_is_refused_and_changes_nothing)
{
    struct kit k;
    prepare(&k, 23);
    kit_stop(&k);
    uint32_t count = kit_files(&k, "checkpoint/0000/");
    kit_flip(&k, "checkpoint/0000/", count - 1, 60);
    kit_flip(&k, "checkpoint/0000/", count - 2, 60);
    assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
    sim_disk_process_exit(k.w.disk);
    kit_flip(&k, "checkpoint/0000/", count - 1, 60);
    kit_flip(&k, "checkpoint/0000/", count - 2, 60);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, 60);
    kit_free(&k);
}

/* The first entry of the newest checkpoint says another end of what is in segments, under a checksum that is right. */
static void checkpoint_refused(int64_t beyond_next)
{
    struct kit k;
    static uint8_t p[1u << 20];
    struct el_checkpoint_header h;
    struct el_checkpoint_entry e;
    struct el_reader r;
    struct el_writer w;
    char path[64];
    size_t done = 0;
    int fd = -1;
    prepare(&k, 26);
    snprintf(path, sizeof(path), "checkpoint/0000/%016llx", (unsigned long long)kit_shard(&k)->checkpoint.sequence);
    kit_crash(&k);
    struct disk *disk = sim_disk_as_disk(k.w.disk);
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, sizeof(p), 0, &done), 0);
    assert_int_equal(el_checkpoint_open(p, done, &h), 0);
    el_reader_init(&r, p + EL_CHECKPOINT_HEADER_LEN, done - EL_CHECKPOINT_HEADER_LEN);
    el_checkpoint_entry_get(&r, &e);
    e.segment_end = beyond_next > 0 ? e.next_offset + beyond_next : beyond_next;
    el_writer_init(&w, p + EL_CHECKPOINT_HEADER_LEN, EL_CHECKPOINT_ENTRY_LEN);
    el_checkpoint_entry_put(&w, &e);
    el_checkpoint_seal(p, &h);
    assert_int_equal(disk_pwrite(disk, fd, p, done, 0), 0);
    assert_int_equal(disk_close(disk, fd), 0);
    assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
    kit_free(&k);
}

TEST(damage, a_checkpoint_with_an_end_of_segments_behind_the_log_or_below_none_is_refused)
{
    checkpoint_refused(5);
    checkpoint_refused(-1);
}

static void node_refused(uint64_t pos, int code)
{
    struct kit k;
    prepare(&k, 24);
    kit_stop(&k);
    kit_flip(&k, "node", 0, pos);
    assert_int_equal(kit_open(&k), code);
    sim_disk_process_exit(k.w.disk);
    kit_flip(&k, "node", 0, pos);
    assert_int_equal(kit_open(&k), 0);
    kit_free(&k);
}

TEST(damage, a_damaged_node_file_is_refused)
{
    node_refused(3, EVLOG_ERR_CORRUPT);
    node_refused(20, EVLOG_ERR_CORRUPT);
    node_refused(125, EVLOG_ERR_CORRUPT);
}

static void node_rewrite(struct kit *k, uint32_t pos, uint32_t value, size_t len)
{
    struct disk *disk = sim_disk_as_disk(k->w.disk);
    uint8_t p[EL_NODE_LEN];
    size_t done = 0;
    int fd = -1;
    assert_int_equal(disk_open(disk, "node", DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, sizeof(p), 0, &done), 0);
    assert_int_equal(done, sizeof(p));
    el_put_le32(p + pos, value);
    el_put_le64(p + 120, el_xxh3(p, 120));
    assert_int_equal(disk_truncate(disk, fd, 0), 0);
    assert_int_equal(disk_pwrite(disk, fd, p, len, 0), 0);
    assert_int_equal(disk_close(disk, fd), 0);
}

TEST(damage, a_node_file_of_a_newer_program_or_with_more_shards_or_cut_short_is_refused)
{
    struct kit k;
    prepare(&k, 25);
    kit_stop(&k);
    node_rewrite(&k, 8, 2, EL_NODE_LEN);
    assert_int_equal(kit_open(&k), EVLOG_ERR_FORMAT);
    sim_disk_process_exit(k.w.disk);
    node_rewrite(&k, 8, 1, EL_NODE_LEN);
    node_rewrite(&k, 12, 3, EL_NODE_LEN);
    assert_int_equal(kit_open(&k), EVLOG_ERR_ARGUMENT);
    sim_disk_process_exit(k.w.disk);
    node_rewrite(&k, 12, 1, EL_NODE_LEN - 1);
    assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
    sim_disk_process_exit(k.w.disk);
    kit_free(&k);
}

TEST(damage, a_journal_without_its_node_file_is_refused)
{
    struct kit k;
    prepare(&k, 26);
    kit_stop(&k);
    assert_int_equal(disk_unlink(sim_disk_as_disk(k.w.disk), "node"), 0);
    assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
    sim_disk_process_exit(k.w.disk);
    kit_free(&k);
}

/* --- the catalogue ------------------------------------------------------------------------------------------------ */

TEST(damage, a_record_of_the_catalogue_about_its_own_topic_is_refused)
{
    uint8_t key[EL_CATALOGUE_KEY_LEN], value[EL_CATALOGUE_DELETE_LEN];
    struct catalogue_change change;
    struct el_uuid other = META_TOPIC_ID;
    other.bytes[0]++;
    el_catalogue_delete_put(value);
    el_catalogue_key_put(key, &META_TOPIC_ID);
    assert_int_equal(catalogue_decode(el_slice_of(key, sizeof(key)), el_slice_of(value, sizeof(value)), &change),
                     EVLOG_ERR_CORRUPT);
    el_catalogue_key_put(key, &other);
    assert_int_equal(catalogue_decode(el_slice_of(key, sizeof(key)), el_slice_of(value, sizeof(value)), &change), 0);
    assert_int_equal(change.verb, CATALOGUE_DELETE);
}

static void on_durable(struct journal_wait *wait, int error)
{
    assert_int_equal(error, 0);
    wait->done = NULL;
}

/* A record that no request writes, made durable as one. */
static void forge_record(struct kit *k, const struct catalogue_change *change)
{
    static uint8_t value[CATALOGUE_VALUE_LEN_MAX];
    uint8_t key[CATALOGUE_KEY_LEN];
    struct journal_wait wait = {.done = on_durable};
    size_t len = catalogue_encode(change, key, value);
    struct el_record_body body = {.key = el_slice_of(key, sizeof(key)), .value = el_slice_of(value, len)};
    struct partition *part = partition_find(kit_shard(k), &META_TOPIC_ID, META_PARTITION);
    assert_int_equal(shard_append_internal(part, &body, &wait), 0);
    for (int i = 0; i < 10000 && wait.done != NULL; i++) {
        kit_steps(k, 1);
    }
    assert_null(wait.done);
}

/* --- numbers at the end of their range ---------------------------------------------------------------------------- */

TEST(damage, a_counter_of_producer_ids_that_has_no_next_one_is_refused)
{
    static const int64_t counters[] = {INT64_MAX, -1, (int64_t)1 << PRODUCER_COUNTER_BITS};
    el_test_may_leak(true);
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        struct kit k;
        struct el_frame frame = {.type = EL_FRAME_PRODUCER_IDS, .base_offset = counters[i]};
        struct journal_wait wait = {.done = on_durable};
        kit_init(&k, 61);
        assert_int_equal(kit_open(&k), 0);
        assert_int_equal(journal_room(&kit_shard(&k)->journal, 0), 0);
        journal_add(&kit_shard(&k)->journal, &frame);
        journal_wait(&kit_shard(&k)->journal, &wait);
        for (int n = 0; n < 10000 && wait.done != NULL; n++) {
            kit_steps(&k, 1);
        }
        assert_null(wait.done);
        kit_crash(&k);
        assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
        kit_free(&k);
    }
    el_test_may_leak(false);
}

struct newest {
    char path[64];
    uint64_t len;
};

static void newest_checkpoint(void *arg, const char *path, uint64_t len)
{
    struct newest *n = arg;
    if (strncmp(path, "checkpoint/0000/", 16) == 0 && strstr(path, "tmp") == NULL) {
        snprintf(n->path, sizeof(n->path), "%s", path);
        n->len = len;
    }
}

/* Change 8 bytes of a partition's entry in the newest checkpoint, or with pos NO_ENTRY its clock, under sums that are
 * right. */
#define NO_ENTRY SIZE_MAX
static void forge_entry(struct kit *k, size_t pos, uint64_t value)
{
    struct newest n = {.len = 0};
    struct disk *disk = sim_disk_as_disk(k->w.disk);
    struct el_checkpoint_header h;
    size_t done = 0;
    int fd = -1;
    sim_disk_each(k->w.disk, true, newest_checkpoint, &n);
    uint8_t *p = malloc((size_t)n.len);
    assert_int_equal(disk_open(disk, n.path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, (size_t)n.len, 0, &done), 0);
    assert_int_equal(el_checkpoint_open(p, done, &h), 0);
    if (pos == NO_ENTRY) {
        h.clock_ns = value;
    } else {
        uint8_t *entry = memmem(p, done, k->topic.bytes, sizeof(k->topic.bytes));
        assert_non_null(entry);
        el_put_le64(entry + pos, value);
    }
    el_checkpoint_seal(p, &h);
    assert_int_equal(disk_pwrite(disk, fd, p, done, 0), 0);
    assert_int_equal(disk_sync(disk, fd), 0);
    disk_close(disk, fd);
    free(p);
}

/* Whoever has the end of a log adds the next batch to it. */
TEST(damage, a_checkpoint_whose_log_has_no_room_behind_it_is_refused)
{
    static const uint64_t ends[] = {INT64_MAX, INT64_MAX - 1, (uint64_t)INT64_MAX - INT32_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i <= sizeof(ends) / sizeof(ends[0]); i++) {
        struct kit k;
        kit_init(&k, 63);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        kit_stop(&k);
        uint64_t end = i == 4 ? (uint64_t)INT64_MAX - INT32_MAX : ends[i];
        forge_entry(&k, 32, end); /* next offset */
        forge_entry(&k, 40, end); /* segment end */
        assert_int_equal(kit_open(&k), i == 4 ? 0 : EVLOG_ERR_CORRUPT);
        if (i == 4) {
            assert_int_equal(kit_append(&k, 0, 10), INT64_MAX - INT32_MAX);
            kit_stop(&k);
        }
        kit_free(&k);
    }
}

static void on_given(struct store_op *op)
{
    op->arg = op;
}

/* The next batch has a later one; --accept-clock is what the log advises of a clock that is far behind. */
TEST(damage, a_time_that_has_no_later_one_is_refused)
{
    static const uint64_t times[] = {UINT64_MAX, UINT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct kit k;
        kit_init(&k, 64);
        assert_true(k.w.cfg.accept_clock);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        kit_stop(&k);
        forge_entry(&k, NO_ENTRY, times[i]);
        assert_int_equal(kit_open(&k), EVLOG_ERR_CORRUPT);
        kit_free(&k);
    }
}

TEST(damage, a_batch_from_elsewhere_with_such_a_time_is_refused)
{
    struct kit k;
    struct append_given given = {.append_time_ns = UINT64_MAX};
    kit_init(&k, 65);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    struct append_op op;
    kit_batch(&k, &op, 0, 10);
    op.base.done = on_given;
    store_append_given(kit_shard(&k), &op, &given);
    for (int i = 0; i < 10000 && op.base.arg == NULL; i++) {
        kit_steps(&k, 1);
    }
    assert_int_equal(op.base.error, EVLOG_ERR_CORRUPT);
    free((void *)(uintptr_t)op.batch);
    assert_int_equal(kit_append(&k, 0, 10), 0);
    kit_stop(&k);
    kit_free(&k);
}

TEST(damage, the_last_leader_epoch_stays_and_one_below_0_is_refused)
{
    struct kit k;
    struct el_node node;
    kit_init(&k, 62);
    assert_int_equal(kit_open(&k), 0);
    kit_stop(&k);
    struct disk *disk = sim_disk_as_disk(k.w.disk);
    for (int32_t epoch = INT32_MAX; epoch != 0; epoch = epoch > 0 ? -1 : 0) {
        assert_int_equal(node_load(disk, &node, NULL), 0);
        node.leader_epoch = epoch;
        node.clean = false; /* a start after a crash has the next one */
        assert_int_equal(node_store(disk, &node, NULL), 0);
        assert_int_equal(kit_open(&k), epoch < 0 ? EVLOG_ERR_CORRUPT : 0);
        if (epoch > 0) {
            assert_int_equal(store_leader_epoch(k.w.store), INT32_MAX);
            kit_stop(&k);
        }
    }
    kit_free(&k);
}

/* --- names in the catalogue --------------------------------------------------------------------------------------- */

static struct catalogue_change forged_topic(const struct el_uuid *id, const char *name)
{
    static const uint8_t owners[2] = {0, 0};
    struct catalogue_change change = {
        .verb = CATALOGUE_PUT, .id = *id, .name = el_slice_str(name), .partition_count = 1, .owners = owners};
    topic_config_init(&change.config);
    return change;
}

enum catalogue_place { IN_JOURNAL, BEHIND_A_CHECKPOINT, IN_SEGMENTS };

/* The start after it is refused, with both names or ids said. */
static void assert_catalogue_refused(const struct catalogue_change *change, struct kit *k, enum catalogue_place place,
                                     const char *const said[3])
{
    struct el_error err = {0};
    char id[33];
    forge_record(k, change);
    for (uint8_t n = 1; place == IN_SEGMENTS && n < 250; n++) { /* of topics that never were */
        struct catalogue_change gone = {.verb = CATALOGUE_DELETE, .id = {{n}}};
        topic_config_init(&gone.config);
        forge_record(k, &gone);
    }
    if (place != IN_JOURNAL) {
        assert_true(kit_checkpoint(k));
    }
    const struct partition *meta = partition_find(kit_shard(k), &META_TOPIC_ID, META_PARTITION);
    assert_true((meta->segment_end > 0) == (place == IN_SEGMENTS));
    kit_crash(k);
    assert_int_equal(world_open(&k->w, &err), EVLOG_ERR_CORRUPT);
    assert_string_equal(k->w.violation, "");
    el_hex(id, change->id.bytes, sizeof(change->id.bytes));
    assert_non_null(strstr(err.text, "catalogue: record at offset"));
    assert_non_null(strstr(err.text, id));
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(strstr(err.text, said[i]));
    }
}

TEST(damage, two_topics_of_one_name_are_refused_wherever_their_records_are)
{
    static const char *const names[] = {"a_topic", "a.topic"}; /* count as one */
    el_test_may_leak(true);
    for (int n = 0; n < 6; n++) {
        struct kit k;
        char first[33];
        struct el_uuid id = {{0xab, 1}};
        kit_init(&k, 31 + (uint64_t)n);
        assert_int_equal(kit_open(&k), 0);
        struct topic_op op = {.verb = TOPIC_CREATE, .name = el_slice_str("a_topic"), .partition_count = 1};
        assert_int_equal(kit_topic_change(&k, &op), 0);
        el_hex(first, op.id.bytes, sizeof(op.id.bytes));
        struct catalogue_change change = forged_topic(&id, names[n % 2]);
        assert_catalogue_refused(&change, &k, (enum catalogue_place)(n / 2),
                                 (const char *const[3]){"two topics", first, names[n % 2]});
        kit_free(&k);
    }
    el_test_may_leak(false);
}

TEST(damage, a_topic_of_two_names_is_refused_wherever_its_records_are)
{
    el_test_may_leak(true);
    for (int n = 0; n < 3; n++) {
        struct kit k;
        kit_init(&k, 41 + (uint64_t)n);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        struct catalogue_change change = forged_topic(&k.topic, "another");
        assert_catalogue_refused(&change, &k, (enum catalogue_place)n,
                                 (const char *const[3]){"two names", "t1", "another"});
        kit_free(&k);
    }
    el_test_may_leak(false);
}

TEST(damage, a_name_of_a_deleted_topic_is_free)
{
    struct kit k;
    el_test_may_leak(true);
    kit_init(&k, 51);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_topic_delete(&k), 0);
    kit_topic(&k, 1, "");
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(store_topic_count(kit_shard(&k)), 2);
    kit_stop(&k);
    kit_free(&k);
    el_test_may_leak(false);
}
