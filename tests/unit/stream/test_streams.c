/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the life of a shard's stream index, start to end, does what its document says: what is not ours to change is
 * left alone, what is lost comes back from the log. Method: a node on the simulated machine, one thing at a time.
 */
#include "life_kit.h"

#include <core/cursor.h>
#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_check.h>

/* --- of a newer format -------------------------------------------------------------------------------------------- */

/* Give the header of a file another format number, with a sum that is right. */
static void make_newer(struct life *l, const char *path, size_t header_len)
{
    uint8_t p[EL_RUN_BLOCK_LEN];
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    size_t done = 0;
    int fd = -1;
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, header_len, 0, &done), 0);
    assert_int_equal(done, header_len);
    el_put_le32(p + 8, 2);
    el_put_le64(p + header_len - 8, el_xxh3(p, header_len - 8));
    assert_int_equal(disk_pwrite(disk, fd, p, header_len, 0), 0);
    assert_int_equal(disk_sync(disk, fd), 0);
    disk_close(disk, fd);
}

static void begin_with_runs(struct life *l, uint64_t seed)
{
    life_init(l, seed);
    life_begin(l);
    for (uint32_t i = 0; i < 2; i++) {
        life_append_many(l, i * 100, 100);
        life_flush(l);
    }
    life_stop(l);
}

struct mix {
    struct disk *disk;
    uint64_t sum;
};

static void mix_file(void *arg, const char *path, uint64_t len)
{
    struct mix *m = arg;
    uint8_t *p = malloc((size_t)len + 1);
    size_t done = 0;
    int fd = -1;
    if (strncmp(path, "streams/", 8) == 0) {
        assert_int_equal(disk_open(m->disk, path, DISK_READ, &fd), 0);
        assert_int_equal(disk_pread(m->disk, fd, p, (size_t)len, 0, &done), 0);
        disk_close(m->disk, fd);
        m->sum = m->sum * 31 + el_xxh3(path, strlen(path)) + el_xxh3(p, done);
    }
    free(p);
}

/* Of all names and bytes of the index. */
static uint64_t index_mix(struct life *l)
{
    struct mix m = {.disk = sim_disk_as_disk(l->w.disk)};
    sim_disk_each(l->w.disk, false, mix_file, &m);
    return m.sum;
}

static void refused_and_unchanged(struct life *l)
{
    struct el_error err = {0};
    uint64_t before = index_mix(l);
    assert_int_equal(life_open(l, &err), EVLOG_ERR_FORMAT);
    assert_non_null(strstr(err.text, "start a newer evlogd"));
    assert_non_null(strstr(err.text, "streams/0000"));
    assert_int_equal(index_mix(l), before);
    assert_int_equal(sim_disk_open_count(l->w.disk), 0);
}

TEST(streams, a_list_of_a_newer_format_refuses_the_start)
{
    struct life l;
    begin_with_runs(&l, 1);
    make_newer(&l, "streams/0000/list", 128);
    refused_and_unchanged(&l);
    life_free(&l);
}

TEST(streams, a_run_of_a_newer_format_refuses_the_start)
{
    struct life l;
    char path[128];
    begin_with_runs(&l, 2);
    assert_true(life_files(&l, ".run", path) >= 2);
    make_newer(&l, path, EL_RUN_BLOCK_LEN);
    refused_and_unchanged(&l);
    life_free(&l);
}

static void last_path(void *arg, const char *path, uint64_t len)
{
    (void)len;
    if (strstr(path, ".run") != NULL) {
        memcpy(arg, path, strlen(path) + 1);
    }
}

/* Whichever is looked at first: the newer one counts. */
TEST(streams, a_run_of_a_newer_format_is_found_beside_damage)
{
    for (unsigned i = 0; i < 2; i++) {
        struct life l;
        char first[128], last[128];
        begin_with_runs(&l, 3);
        assert_true(life_files(&l, ".run", first) >= 2);
        sim_disk_each(l.w.disk, false, last_path, last);
        make_newer(&l, i == 0 ? first : last, EL_RUN_BLOCK_LEN);
        assert_true(sim_disk_flip(l.w.disk, i == 0 ? last : first, 20, 1));
        refused_and_unchanged(&l);
        life_free(&l);
    }
}

/* --- a full disk -------------------------------------------------------------------------------------------------- */

static int64_t metric(struct life *l, enum metric_id id)
{
    return metrics_get(l->w.metrics[0], id);
}

TEST(streams, a_full_disk_is_tried_less_and_less_and_nothing_is_sorted_again)
{
    struct life l;
    life_init(&l, 4);
    life_begin(&l);
    life_append_many(&l, 0, 500);
    struct streams *st = life_streams(&l);
    const struct stream_sorted *sorted = NULL;
    life_steps(&l, 2000); /* segments have what they want */
    sim_disk_capacity(l.w.disk, sim_disk_used(l.w.disk) + 8192);
    st->want_flush = true;
    streams_soon(st);
    for (uint64_t wanted_ns = STREAMS_RETRY_NS; wanted_ns <= STREAMS_RETRY_MAX_NS; wanted_ns *= 2) {
        for (int i = 0; i < 100000 && st->work.retry_ns < wanted_ns; i++) {
            life_steps(&l, 1);
        }
        assert_int_equal(st->work.retry_ns, wanted_ns);
        assert_true(st->work.waiting);
        assert_non_null(st->work.sorted);
        assert_true(sorted == NULL || sorted == st->work.sorted);
        sorted = st->work.sorted;
        assert_int_equal(life_files(&l, ".run", NULL), 0);
    }
    assert_int_equal(life_last(&l, "s499"), 0);
    assert_true(metric(&l, METRIC_STREAM_PENDING) >= 500);
    sim_disk_capacity(l.w.disk, 0);
    life_rest(&l);
    assert_int_equal(life_files(&l, ".run", NULL), 1);
    assert_int_equal(st->work.retry_ns, 0);
    assert_int_equal(metric(&l, METRIC_STREAM_PENDING), 0);
    assert_int_equal(metric(&l, METRIC_STREAM_RUNS), 1);
    assert_true(metric(&l, METRIC_STREAM_BYTES) > 4 * EL_RUN_BLOCK_LEN);
    assert_int_equal(life_last(&l, "s499"), 0);
    life_stop(&l);
    life_free(&l);
}

TEST(streams, a_stop_does_not_wait_for_the_next_try)
{
    struct life l;
    life_will_crash();
    life_init(&l, 5);
    life_begin(&l);
    life_append_many(&l, 0, 500);
    life_steps(&l, 2000);
    struct streams *st = life_streams(&l);
    sim_disk_capacity(l.w.disk, sim_disk_used(l.w.disk) + 8192);
    st->want_flush = true;
    streams_soon(st);
    while (st->work.retry_ns < STREAMS_RETRY_MAX_NS) {
        life_steps(&l, 1);
    }
    sim_disk_capacity(l.w.disk, 0);
    uint64_t now_ns = l.w.clock.now_ns;
    streams_stop(st);
    life_rest(&l);
    assert_true(l.w.clock.now_ns - now_ns < STREAMS_RETRY_MAX_NS / 2);
    assert_int_equal(life_files(&l, ".run", NULL), 1);
    life_crash(&l);
    life_free(&l);
}

TEST(streams, a_file_that_a_question_held_last_is_closed_when_that_ends)
{
    struct life l;
    life_init(&l, 19);
    life_begin(&l);
    life_append_many(&l, 0, 100);
    life_flush(&l);
    struct streams *st = life_streams(&l);
    struct stream_run_set *held = stream_runs_hold(st);
    uint32_t first = 100;
    while (first < 3000 && st->runs->runs[st->runs->count - 1] == held->runs[0]) {
        life_append_many(&l, first, 100);
        life_flush(&l);
        life_rest(&l);
        first += 100;
    }
    assert_ptr_not_equal(st->runs->runs[st->runs->count - 1], held->runs[0]); /* merged with others */
    stream_runs_drop(st, held);
    life_rest(&l);
    life_stop(&l);
    life_free(&l);
}

TEST(streams, memory_is_counted)
{
    struct life l;
    life_init(&l, 6);
    life_begin(&l);
    assert_int_equal(metric(&l, METRIC_STREAM_MEMORY), 0); /* who has no streams pays nothing */
    life_append_many(&l, 0, 500);
    int64_t first = metric(&l, METRIC_STREAM_MEMORY);
    assert_true(first > 500 * 48);
    assert_true(first <= (int64_t)STREAMS_MEMORY_MIN);
    life_flush(&l);
    assert_true(metric(&l, METRIC_STREAM_MEMORY) < first);
    life_stop(&l);
    life_free(&l);
}

/* --- damage that is met while the shard runs ---------------------------------------------------------------------- */

#define STREAMS 300u

/* A byte of the first block of entries of a run. */
static void damage(struct life *l)
{
    char path[128];
    assert_true(life_files(l, ".run", path) > 0);
    assert_true(sim_disk_flip(l->w.disk, path, EL_RUN_BLOCK_LEN + 100, 4));
}

/* Each stream has one event, but for those that the caller has added to. */
static void all_is_there(struct life *l)
{
    char key[16];
    for (uint32_t i = 0; i < STREAMS; i += 7) {
        snprintf(key, sizeof(key), "s%u", i);
        assert_int_equal(life_last(l, key), 0);
    }
    assert_int_equal(life_last(l, "nobody"), -1);
}

/* Ask until damage is met. returns the answer */
static int64_t meet(struct life *l)
{
    char key[16];
    int64_t last = 0;
    for (uint32_t i = 0; i < STREAMS && last == 0; i++) {
        snprintf(key, sizeof(key), "s%u", i);
        last = life_last(l, key);
    }
    return last;
}

static bool is_ready(struct life *l)
{
    return store_not_ready_reason(l->w.store) == NULL;
}

static void begin_damaged(struct life *l, uint64_t seed)
{
    life_init(l, seed);
    life_begin(l);
    life_append_many(l, 0, STREAMS);
    life_stop(l);
    life_begin(l); /* heads and tables are empty */
    damage(l);
}

TEST(streams, damage_is_told_once_and_made_good_from_the_log)
{
    struct life l;
    begin_damaged(&l, 11);
    assert_int_equal(meet(&l), EVLOG_ERR_STORAGE);
    assert_false(is_ready(&l));
    assert_non_null(strstr(store_not_ready_reason(l.w.store), "made anew"));
    assert_int_equal(life_append(&l, "s1", NULL, 0, NULL), EVLOG_ERR_STORAGE);
    for (int i = 0; i < 100000 && !is_ready(&l); i++) {
        life_steps(&l, 1);
    }
    assert_true(is_ready(&l));
    assert_int_equal(metric(&l, METRIC_STREAM_REBUILDS), 1);
    all_is_there(&l);
    int64_t version = -1;
    assert_int_equal(life_append(&l, "s1", NULL, 0, &version), 0);
    assert_int_equal(version, 1);
    assert_int_equal(life_append(&l, "s1", NULL, 0, NULL), EVLOG_ERR_WRONG_VERSION);
    life_stop(&l);
    life_begin(&l);
    assert_int_equal(life_last(&l, "s1"), 1);
    assert_int_equal(life_last(&l, "s299"), 0);
    assert_int_equal(metric(&l, METRIC_STREAM_REBUILDS), 0);
    life_stop(&l);
    life_free(&l);
}

/* Give the second entry of the run's last block of entries, of a key's first event, another version, under sums that
 * are right. */
static void forge_version(struct life *l, uint64_t version)
{
    char path[128];
    uint8_t p[EL_RUN_BLOCK_LEN], forged[64];
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    struct el_index_run_info info;
    struct el_entry_unpacker u;
    struct el_writer w;
    size_t done = 0;
    int fd = -1;
    assert_int_equal(life_files(l, ".run", path), 1);
    assert_int_equal(index_run_peek(disk, path, &info, NULL), 0);
    assert_int_equal(info.group_count, 1);
    struct el_run_block block = {.run_id = info.run_id, .number = (uint32_t)info.block_count};
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, sizeof(p), (uint64_t)block.number * sizeof(p), &done), 0);
    assert_int_equal(el_run_block_open(p, sizeof(p), &block), 0);
    assert_int_equal(block.kind, EL_RUN_ENTRIES);
    el_entry_unpacker_init(&u, p + EL_RUN_BLOCK_HEADER_LEN, sizeof(p) - EL_RUN_BLOCK_HEADER_LEN, block.count);
    assert_int_equal(el_entry_unpack(&u), 1);
    size_t from = (size_t)(u.p - p);
    assert_int_equal(el_entry_unpack(&u), 1);
    size_t to = (size_t)(u.p - p), hash_len = 16 - (p[from] & 31);
    assert_true((p[from] & 31) < 16 && (p[from] & 32) != 0); /* another key, its position implied: 0 */
    while (el_entry_unpack(&u) > 0) {
    }
    size_t end = (size_t)(u.p - p);
    el_writer_init(&w, forged, sizeof(forged));
    el_write_u8(&w, p[from] & ~32u);
    el_write_bytes(&w, p + from + 1, hash_len);
    el_write_uvarlong(&w, version);
    el_write_bytes(&w, p + from + 1 + hash_len, to - from - 1 - hash_len);
    size_t len = el_writer_len(&w);
    assert_true(end - to + from + len <= sizeof(p));
    memmove(p + from + len, p + to, end - to);
    memcpy(p + from, forged, len);
    el_run_block_seal(p, sizeof(p), &block);
    assert_int_equal(disk_pwrite(disk, fd, p, sizeof(p), (uint64_t)block.number * sizeof(p)), 0);
    assert_int_equal(disk_sync(disk, fd), 0);
    disk_close(disk, fd);
}

/* A version that has no next one; the last that an entry may have; one that no event of this log can have. */
TEST(streams, a_version_that_cannot_be_is_damage_whatever_the_sums_say)
{
    static const uint64_t versions[] = {INT64_MAX, INDEX_POSITION_END - 1, STREAMS};
    for (size_t n = 0; n < sizeof(versions) / sizeof(versions[0]); n++) {
        struct life l;
        char key[16];
        uint32_t refused = 0;
        life_init(&l, 15 + n);
        life_begin(&l);
        life_append_many(&l, 0, STREAMS);
        life_stop(&l);
        forge_version(&l, versions[n]);
        struct index_check_count count = {.run_count = 0};
        bool beyond = versions[n] >= INDEX_POSITION_END; /* what a look at the file alone can tell */
        assert_int_equal(index_check_shard(sim_disk_as_disk(l.w.disk), 0, &count, NULL),
                         beyond ? EVLOG_ERR_CORRUPT : 0);
        life_begin(&l);
        for (uint32_t i = 0; i < STREAMS; i++) {
            int64_t version = -1;
            snprintf(key, sizeof(key), "s%u", i);
            int code = life_append(&l, key, NULL, STREAM_ANY, &version);
            if (code != 0) {
                assert_int_equal(code, EVLOG_ERR_STORAGE);
                refused++;
                for (int k = 0; k < 100000 && !is_ready(&l); k++) {
                    life_steps(&l, 1);
                }
                assert_int_equal(life_append(&l, key, NULL, STREAM_ANY, &version), 0);
            }
            assert_int_equal(version, 1);
        }
        assert_int_equal(refused, 1);
        assert_int_equal(metric(&l, METRIC_STREAM_REBUILDS), 1);
        life_stop(&l);
        life_free(&l);
    }
}

TEST(streams, an_append_that_meets_damage_is_refused_and_taken_later)
{
    struct life l;
    int code = 0;
    char key[16];
    begin_damaged(&l, 12);
    for (uint32_t i = 0; i < STREAMS && code == 0; i++) {
        snprintf(key, sizeof(key), "s%u", i);
        code = life_append(&l, key, NULL, 0, NULL);
    }
    assert_int_equal(code, EVLOG_ERR_STORAGE);
    for (int i = 0; i < 100000 && !is_ready(&l); i++) {
        life_steps(&l, 1);
    }
    int64_t version = -1;
    assert_int_equal(life_append(&l, key, NULL, 0, &version), 0);
    assert_int_equal(version, 1);
    life_stop(&l);
    life_free(&l);
}

TEST(streams, a_merge_that_meets_damage_makes_the_index_anew)
{
    struct life l;
    life_init(&l, 13);
    life_begin(&l);
    for (uint32_t i = 0; i < 3; i++) {
        life_append_many(&l, i * 100, 100);
        life_flush(&l);
    }
    damage(&l);
    assert_int_equal(life_append(&l, "other", NULL, STREAM_ANY, NULL), 0);
    life_flush(&l);
    for (int i = 0; i < 100000 && metric(&l, METRIC_STREAM_REBUILDS) == 0; i++) {
        life_steps(&l, 1);
    }
    assert_int_equal(metric(&l, METRIC_STREAM_REBUILDS), 1);
    for (int i = 0; i < 100000 && !is_ready(&l); i++) {
        life_steps(&l, 1);
    }
    all_is_there(&l);
    life_stop(&l);
    life_free(&l);
}

TEST(streams, a_disk_that_damages_again_and_again_ends_the_index)
{
    struct life l;
    life_will_crash();
    begin_damaged(&l, 14);
    for (int64_t n = 1; n <= 3; n++) {
        assert_int_equal(meet(&l), EVLOG_ERR_STORAGE);
        assert_int_equal(metric(&l, METRIC_STREAM_REBUILDS), n);
        for (int i = 0; i < 100000 && !is_ready(&l); i++) {
            life_steps(&l, 1);
        }
        all_is_there(&l);
        life_flush(&l);
        life_stop(&l);
        life_begin(&l);
        life_streams(&l)->rebuilds = (uint32_t)n; /* as if it had not been stopped, which made the heads cold */
        metrics_add(l.w.metrics[0], METRIC_STREAM_REBUILDS, n);
        damage(&l);
    }
    assert_int_equal(meet(&l), EVLOG_ERR_STORAGE);
    life_steps(&l, 20000);
    assert_true(life_streams(&l)->failed);
    assert_false(is_ready(&l));
    life_crash(&l);
    life_begin(&l);
    all_is_there(&l);
    life_stop(&l);
    life_free(&l);
}

/* Whenever the power is cut, the next start has all of it, from the old list or the empty one. */
TEST(streams, a_crash_while_the_index_is_made_anew_loses_nothing)
{
    for (uint64_t n = 1; n < 60; n++) {
        struct life l;
        life_will_crash();
        begin_damaged(&l, 100 + n);
        meet(&l);
        sim_disk_crash_at(l.w.disk, n);
        for (int i = 0; i < 3000 && !sim_disk_crashed(l.w.disk); i++) {
            world_step(&l.w);
        }
        sim_disk_crash_at(l.w.disk, 0);
        life_crash(&l);
        life_begin(&l);
        meet(&l);
        for (int i = 0; i < 100000 && !is_ready(&l); i++) {
            life_steps(&l, 1);
        }
        all_is_there(&l);
        life_stop(&l);
        life_free(&l);
    }
}

/* --- what cannot be made anew ------------------------------------------------------------------------------------- */

/* A log that begins above 0, and an index that is gone. The refusal came at once, from inside the append, which then
 * waited for it for ever. */
TEST(streams, a_partition_that_cannot_be_read_from_its_start_refuses_at_once)
{
    for (unsigned i = 0; i < 3; i++) {
        struct life l;
        life_init(&l, 20);
        life_begin(&l);
        life_append_many(&l, 0, STREAMS);
        static struct trim_op op;
        op = (struct trim_op){.topic_id = l.topic, .partition = 0, .offset = 100};
        assert_int_equal(stream_world_trim(&l.sw, &op), 0);
        life_stop(&l);
        assert_true(sim_disk_flip(l.w.disk, "streams/0000/list", 40, 1));
        life_begin(&l);
        if (i == 0) {
            assert_int_equal(life_append(&l, "s1", NULL, STREAM_ANY, NULL), EVLOG_ERR_CORRUPT);
        } else if (i == 1) {
            assert_int_equal(life_last(&l, "s1"), EVLOG_ERR_CORRUPT);
        } else {
            op = (struct trim_op){.topic_id = l.topic, .partition = 0, .offset = 200};
            assert_int_equal(stream_world_trim(&l.sw, &op), EVLOG_ERR_CORRUPT);
        }
        assert_int_equal(life_append(&l, "s1", NULL, STREAM_ANY, NULL), EVLOG_ERR_CORRUPT);
        assert_int_equal(life_last(&l, "s299"), EVLOG_ERR_CORRUPT);
        life_stop(&l);
        life_free(&l);
    }
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

/* While runs are merged old and new filters do not fit at the same time. */
TEST(streams, a_merged_run_gets_its_filter_when_those_of_its_inputs_are_gone)
{
    struct life l;
    life_init(&l, 40);
    life_begin(&l);
    struct streams *st = life_streams(&l);
    uint64_t largest = 0;
    for (uint32_t i = 0; i < 70000 && largest < 50000; i += 500) {
        life_append_many(&l, i, 500);
        for (uint32_t k = 0; k < st->runs->count; k++) {
            largest = EL_MAX(largest, st->runs->runs[k]->run.info.entry_count);
        }
    }
    assert_true(largest >= 50000);
    life_steps(&l, 2000);
    life_rest(&l);
    for (uint32_t k = 0; k < st->runs->count; k++) {
        assert_non_null(st->runs->runs[k]->run.filter);
    }
    assert_int_equal(metric(&l, METRIC_STREAM_UNFILTERED), 0);
    assert_true(metric(&l, METRIC_STREAM_MEMORY) <= (int64_t)STREAMS_MEMORY_MIN);
    assert_int_equal(life_last(&l, "s17"), 0);
    assert_int_equal(life_last(&l, "s49999"), 0);
    life_stop(&l);
    life_free(&l);
}

/* Blocks of two lengths until there are none, each holding the one before, but one of the smaller ones. */
static void **buddy_fill(struct el_buddy *buddy, size_t len)
{
    void **held = NULL;
    for (size_t n = len; n >= len / 2; n /= 2) {
        for (void **block = el_buddy_alloc(buddy, n); block != NULL; block = el_buddy_alloc(buddy, n)) {
            *block = held;
            held = block;
        }
    }
    assert_non_null(held);
    void **left = held;
    held = *left;
    el_buddy_free(buddy, left);
    return held;
}

TEST(streams, a_filter_that_finds_no_memory_gives_back_what_it_took_at_once)
{
    struct life l;
    life_init(&l, 41);
    life_begin(&l);
    life_append_many(&l, 0, 20000);
    life_flush(&l);
    life_rest(&l);
    struct streams *st = life_streams(&l);
    struct stream_run *run = st->runs->runs[0];
    for (uint32_t i = 1; i < st->runs->count; i++) {
        run = st->runs->runs[i]->run.info.filter_len > run->run.info.filter_len ? st->runs->runs[i] : run;
    }
    const uint8_t *filter = run->run.filter;
    size_t with = index_run_memory(&run->run.info, true), taken = st->filter_len, len = 2ul * EL_BUDDY_BLOCK_MIN;
    assert_true(with > EL_BUDDY_BLOCK_MIN);
    assert_non_null(filter);
    while (len < with) {
        len *= 2;
    }
    assert_true(stream_run_fits(st, &run->run.info));
    assert_true(index_run_memory(&run->run.info, false) <= len / 2);
    el_pool_put(&st->run_pool, el_pool_get(&st->run_pool)); /* it has one to give from here on */
    void **held = buddy_fill(st->buddy, len);
    run->run.filter = NULL;
    st->work.filter_from_ns = 0;
    stream_filter_go(st);
    assert_true(st->work.filter_from_ns > 0); /* it was tried, and found none */
    assert_true(st->filter_len > taken);
    assert_true(el_list_empty(&st->work.closing)); /* on its way already, whether or not something else is to be done */
    run->run.filter = filter;
    while (held != NULL) {
        void **next = *held;
        el_buddy_free(st->buddy, held);
        held = next;
    }
    life_rest(&l);
    assert_int_equal(st->filter_len, taken);
    life_stop(&l);
    life_free(&l);
}

/* --- with an archive ---------------------------------------------------------------------------------------------- */

TEST(streams, what_is_not_shown_yet_hides_nothing)
{
    struct life l;
    life_init_archived(&l, 7);
    life_begin(&l);
    assert_int_equal(life_append(&l, "a", NULL, STREAM_ANY, NULL), 0);
    sim_tier_knobs(l.w.tier)->hold = true;
    life_append_begin(&l, "a");
    life_steps(&l, 200);
    life_flush(&l); /* both are in a run */
    assert_true(life_files(&l, "streams/0000/", NULL) > 0);
    assert_int_equal(life_last(&l, "a"), 0);
    sim_tier_knobs(l.w.tier)->hold = false;
    assert_int_equal(life_append_end(&l), 0);
    assert_int_equal(life_last(&l, "a"), 1);
    life_stop(&l);
    life_free(&l);
}
