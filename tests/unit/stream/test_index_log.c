/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an index is held against the log whole: one that is right has no difference, one entry that is missing or says
 * something else is found, and memory and files are given back. Method: a node on the simulated machine, stopped; runs
 * written anew with one entry changed, and sums that are right.
 */
#include "life_kit.h"

#include <format/segment_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_log.h>

#define EVENTS 300u

struct heard {
    uint32_t count;
    char first[320];
};

static void hear(void *arg, const char *text)
{
    struct heard *h = arg;
    if (h->count++ == 0) {
        snprintf(h->first, sizeof(h->first), "%s", text);
    }
}

static int log_check(struct life *l, struct heard *h, struct index_log_count *count)
{
    struct el_error err = {0};
    memset(h, 0, sizeof(*h));
    int code = index_log_check(sim_disk_as_disk(l->w.disk), 0, hear, h, count, &err);
    assert_int_equal(sim_disk_open_count(l->w.disk), 0);
    return code;
}

/* Streams with several events, ids, all of it in segments. */
static void begin_logged(struct life *l, uint64_t seed)
{
    char id[16];
    life_init(l, seed);
    l->w.cfg.chunk_len = 4096;
    life_begin(l);
    life_append_many(l, 0, EVENTS);
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "i%u", i);
        assert_int_equal(life_append(l, "s3", id, (int64_t)i, NULL), 0);
        if (i % 10 == 0) {
            life_flush(l);
        }
    }
    life_append_many(l, 100, EVENTS);
    life_stop(l);
}

TEST(index_log, agrees_with_the_log_that_it_is_of)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    begin_logged(&l, 30);
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_string_equal(h.first, "");
    assert_int_equal(count.difference_count, 0);
    assert_int_equal(count.partition_count, 1);
    assert_int_equal(count.event_count + count.unseen_count, 2 * EVENTS + 50);
    assert_true(count.event_count > EVENTS); /* the rest is in the journal */
    life_free(&l);
}

/* One entry of a run says something else; its sums are right. */
static void falsify(struct life *l, void (*change)(struct el_stream_entry *entry, uint32_t number))
{
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    struct el_index_run_info info;
    struct index_run run;
    struct index_cursor *cursor = NULL;
    struct index_run_writer *writer = NULL;
    struct el_stream_entry entry;
    char path[128];
    assert_true(life_files(l, ".run", path) > 0);
    assert_int_equal(index_run_peek(disk, path, &info, NULL), 0);
    void *memory = malloc(index_run_memory(&info, true));
    assert_int_equal(index_run_open(disk, path, &info, memory, true, &run, NULL), 0);
    assert_int_equal(index_cursor_open(&run, &cursor), 0);
    assert_int_equal(index_run_writer_open(disk, "streams/other", info.run_id, &writer, NULL), 0);
    for (uint32_t i = 0; index_cursor_next(cursor, &entry) == 1; i++) {
        change(&entry, i);
        if (entry.slot != 0) {
            assert_int_equal(index_run_writer_add(writer, &entry), 0);
        }
    }
    assert_int_equal(index_run_writer_finish(writer, &info), 0);
    index_run_writer_close(writer);
    index_cursor_close(cursor);
    index_run_close(&run);
    free(memory);
    assert_int_equal(disk_rename(disk, "streams/other", path), 0);
}

static void leave_one_out(struct el_stream_entry *entry, uint32_t number)
{
    entry->slot = number == 5 ? 0 : entry->slot;
}

static void move_one(struct el_stream_entry *entry, uint32_t number)
{
    entry->place += number == 7;
}

TEST(index_log, tells_of_an_entry_that_is_missing_or_another)
{
    for (int i = 0; i < 2; i++) {
        struct life l;
        struct heard h;
        struct index_log_count count;
        begin_logged(&l, 31);
        falsify(&l, i == 0 ? leave_one_out : move_one);
        assert_int_equal(log_check(&l, &h, &count), 0);
        assert_true(count.difference_count >= 1);
        assert_int_equal(h.count, EL_MIN(count.difference_count, INDEX_LOG_TOLD_MAX));
        assert_non_null(strstr(h.first, "topics/"));
        assert_non_null(strstr(h.first, "offset "));
        life_free(&l);
    }
}

/* Rot of one byte of the only segment. */
static void rot(struct life *l, uint64_t pos)
{
    char path[128];
    assert_int_equal(life_files(l, ".seg", path), 1);
    assert_true(sim_disk_flip(l->w.disk, path, pos, 1));
}

TEST(index_log, tells_of_a_log_that_does_not_verify)
{
    static const uint64_t places[] = {
        20,                                              /* the header of the file: topic */
        EL_SEGMENT_HEADER_LEN,                           /* that of the first chunk: magic, */
        EL_SEGMENT_HEADER_LEN + 8,                       /* topic, */
        EL_SEGMENT_HEADER_LEN + 29,                      /* count, */
        EL_SEGMENT_HEADER_LEN + 51,                      /* data length: more than there is of the file */
        EL_SEGMENT_HEADER_LEN + EL_CHUNK_HEADER_LEN + 8, /* its table */
        EL_SEGMENT_ALIGN,                                /* a batch of it */
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct life l;
        struct heard h;
        struct index_log_count count;
        begin_logged(&l, 30);
        rot(&l, places[i]);
        assert_int_equal(log_check(&l, &h, &count), 0);
        assert_int_equal(count.damage_count, 1);
        assert_int_equal(count.difference_count, 0);
        assert_int_equal(h.count, 1);
        assert_non_null(strstr(h.first, "does not verify"));
        life_free(&l);
    }
}

/* The only segment, whole. */
static uint8_t *segment_bytes(struct life *l, char *path, size_t *len)
{
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    uint8_t *bytes = calloc(1, 1u << 20);
    int fd = -1;
    assert_int_equal(life_files(l, ".seg", path), 1);
    assert_int_equal(disk_open(disk, path, DISK_READ, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, bytes, 1u << 20, 0, len), 0);
    assert_true(*len < 1u << 20);
    disk_close(disk, fd);
    return bytes;
}

static void segment_write(struct life *l, const char *path, const uint8_t *bytes, size_t len, uint64_t pos)
{
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    int fd = -1;
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pwrite(disk, fd, bytes, len, pos), 0);
    disk_close(disk, fd);
}

TEST(index_log, tells_of_a_gap_below_a_later_event)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    struct el_chunk_header first, second;
    char path[128];
    size_t len = 0;
    begin_logged(&l, 30);
    uint8_t *bytes = segment_bytes(&l, path, &len);
    assert_int_equal(el_chunk_header_get(bytes + EL_SEGMENT_HEADER_LEN, &first), 0);
    uint64_t pos = el_chunk_end(EL_SEGMENT_HEADER_LEN, first.count, first.data_len);
    /* the chunk behind the first one is taken out: the third takes its place, with a header that is right */
    assert_int_equal(el_chunk_header_get(bytes + pos, &second), 0);
    uint64_t third = el_chunk_end(pos, second.count, second.data_len);
    assert_true(third < len);
    memmove(bytes + pos, bytes + third, len - third);
    assert_int_equal(el_chunk_header_get(bytes + pos, &second), 0);
    second.pos = pos;
    el_chunk_seal(bytes + pos, &second);
    uint64_t end = el_chunk_end(pos, second.count, second.data_len);
    memset(bytes + end, 0, len - end);
    segment_write(&l, path, bytes, len, 0);
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_int_equal(count.damage_count, 1);
    assert_int_equal(count.difference_count, 0);
    assert_non_null(strstr(h.first, "have no event from here to"));
    free(bytes);
    life_free(&l);
}

TEST(index_log, tells_where_a_batch_lies_that_is_shorter_than_its_offset)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    struct el_chunk_header chunk;
    struct el_chunk_entry entry;
    char path[128];
    size_t len = 0;
    begin_logged(&l, 30);
    uint8_t *bytes = segment_bytes(&l, path, &len), *at = bytes + EL_SEGMENT_HEADER_LEN;
    assert_int_equal(el_chunk_header_get(at, &chunk), 0);
    el_chunk_entry_get(at + EL_CHUNK_HEADER_LEN, &entry);
    assert_int_equal(entry.base_offset, 0);
    /* all that there is of the first chunk and of the segment; its sums are right */
    memset(at, 0, len - EL_SEGMENT_HEADER_LEN);
    memset(at + EL_CHUNK_HEADER_LEN + EL_CHUNK_ENTRY_LEN, 0xff, 4);
    entry.len = chunk.data_len = 4;
    entry.checksum = el_xxh3(at + EL_CHUNK_HEADER_LEN + EL_CHUNK_ENTRY_LEN, 4);
    chunk.count = 1;
    el_chunk_entry_put(at + EL_CHUNK_HEADER_LEN, &entry);
    el_chunk_seal(at, &chunk);
    segment_write(&l, path, bytes, len, 0);
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_int_equal(count.damage_count, 1);
    assert_non_null(strstr(h.first, "the batch cannot be read"));
    assert_non_null(strstr(h.first, "offset 0:"));
    free(bytes);
    life_free(&l);
}

TEST(index_log, takes_what_a_crash_leaves_of_a_write_for_no_damage)
{
    struct life l;
    struct heard h;
    struct index_log_count count, before;
    char path[128];
    size_t len = 0;
    begin_logged(&l, 30);
    assert_int_equal(log_check(&l, &h, &before), 0);
    uint8_t *bytes = segment_bytes(&l, path, &len);
    uint8_t *zeros = calloc(2, EL_SEGMENT_ALIGN);
    segment_write(&l, path, zeros, 2 * EL_SEGMENT_ALIGN, EL_ALIGN_UP(len, (size_t)EL_SEGMENT_ALIGN));
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_memory_equal(&count, &before, sizeof(count));
    assert_int_equal(h.count, 0);
    free(zeros);
    free(bytes);
    life_free(&l);
}

TEST(index_log, takes_a_chunk_cut_short_by_a_crash_for_no_damage)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    struct el_chunk_header first;
    char path[128];
    size_t len = 0;
    begin_logged(&l, 30);
    uint8_t *bytes = segment_bytes(&l, path, &len);
    assert_int_equal(el_chunk_header_get(bytes + EL_SEGMENT_HEADER_LEN, &first), 0);
    uint64_t data = EL_SEGMENT_HEADER_LEN + el_chunk_len(first.count, first.data_len) - 1;
    assert_true(sim_disk_cut(l.w.disk, path, data));
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_int_equal(count.damage_count, 0);
    assert_int_equal(count.difference_count, 0);
    assert_int_equal(count.unseen_count, 2 * EVENTS + 50);
    free(bytes);
    life_free(&l);
}

TEST(index_log, ends_a_sealed_segment_at_its_footer)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    uint8_t footer[256];
    char path[128];
    size_t len = 0;
    begin_logged(&l, 30);
    free(segment_bytes(&l, path, &len));
    uint64_t pos = EL_ALIGN_UP(len, (size_t)EL_SEGMENT_ALIGN);
    assert_true(el_footer_len(0, false) <= sizeof(footer));
    el_footer_put(footer, pos, NULL, 0, NULL);
    segment_write(&l, path, footer, el_footer_len(0, false), pos);
    assert_int_equal(log_check(&l, &h, &count), 0);
    assert_int_equal(count.damage_count, 0);
    assert_true(count.event_count > EVENTS);
    life_free(&l);
}

TEST(index_log, of_another_secret_is_not_compared)
{
    struct life l;
    struct heard h;
    struct index_log_count count;
    begin_logged(&l, 32);
    assert_true(sim_disk_flip(l.w.disk, "streams/secret", 20, 1));
    assert_int_equal(log_check(&l, &h, &count), EVLOG_ERR_NOT_FOUND);
    life_free(&l);
}
