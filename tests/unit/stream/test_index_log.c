/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an index is held against the log whole: one that is right has no difference, one entry that is missing or says
 * something else is found, and memory and files are given back. Method: a node on the simulated machine, stopped; runs
 * written anew with one entry changed, and sums that are right.
 */
#include "life_kit.h"

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
