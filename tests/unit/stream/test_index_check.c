/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a check of the index finds every damage, also such as only a find would meet, and nothing where there is none;
 * what is put aside is never taken for an index. Method: bytes changed, and numbers changed under a right sum; the
 * removal crashed at each of its calls.
 */
#include "run_kit.h"

#include <evlog/error.h>
#include <stream/index_check.h>
#include <string.h>

#define RUN_1 "streams/0000/0000000000000001.run"

/* Runs 2 and 1, listed. */
struct world {
    struct kit k;
    struct kit_set sets[2];
    struct el_index_run_info info[2];
};

static void list_save(struct world *w, uint32_t next_slot)
{
    uint64_t run_ids[2] = {2, 1};
    struct index_list list = {
        .sequence = 1, .next_run_id = 3, .next_slot = next_slot, .run_ids = run_ids, .run_count = 2};
    assert_int_equal(index_list_save(&w->k.d.disk, 0, &list, NULL), 0);
}

static void world_make(struct world *w, uint64_t seed, uint32_t entry_max, uint32_t name_max)
{
    memset(w, 0, sizeof(*w));
    kit_init(&w->k, seed);
    for (uint32_t i = 0; i < 2; i++) {
        do {
            kit_set_free(&w->sets[i]);
            kit_set_draw(&w->sets[i], &w->k.rng, entry_max, name_max, 4);
        } while (w->sets[i].entry_count < entry_max / 2 || w->sets[i].name_count < name_max / 2);
        assert_int_equal(kit_write(&w->k, i + 1, &w->sets[i], &w->info[i]), 0);
    }
    list_save(w, 5);
}

static void world_free(struct world *w)
{
    assert_int_equal(sim_disk_open_count(w->k.sim), 0);
    kit_set_free(&w->sets[0]);
    kit_set_free(&w->sets[1]);
    kit_free(&w->k);
}

static int check(struct world *w)
{
    struct index_check_count count = {.run_count = 0};
    struct el_error err = {.code = 0};
    int code = index_check_shard(&w->k.d.disk, 0, &count, &err);
    assert_int_equal(err.code, code);
    if (code == 0 && count.run_count == 2) {
        assert_int_equal(count.entry_count, w->sets[0].entry_count + w->sets[1].entry_count);
        assert_int_equal(count.name_count, w->sets[0].name_count + w->sets[1].name_count);
    }
    return code;
}

TEST(index_check, finds_nothing_where_there_is_no_index)
{
    struct kit k;
    struct index_check_count count = {.run_count = 7};
    kit_init(&k, 1);
    assert_int_equal(index_check_shard(&k.d.disk, 0, &count, NULL), 0);
    assert_int_equal(count.run_count, 0);
    assert_int_equal(index_check_shard(&k.d.disk, 3, &count, NULL), 0);
    kit_free(&k);
}

TEST(index_check, finds_nothing_in_what_is_sound)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct world w;
        world_make(&w, seed, seed == 4 ? 200000 : 3000, seed == 3 ? 0 : 6000);
        assert_int_equal(check(&w), 0);
        world_free(&w);
    }
}

TEST(index_check, finds_every_changed_byte)
{
    struct world w;
    world_make(&w, 5, 300, 900);
    assert_true(w.info[0].name_block_count > 2);
    for (uint64_t pos = 0; pos < w.info[0].file_len; pos += 61) {
        assert_true(sim_disk_flip(w.k.sim, RUN_1, pos, (uint8_t)(1u << pos % 8)));
        assert_int_equal(check(&w), EVLOG_ERR_CORRUPT);
        assert_true(sim_disk_flip(w.k.sim, RUN_1, pos, (uint8_t)(1u << pos % 8)));
    }
    assert_int_equal(check(&w), 0);
    world_free(&w);
}

/* Change a byte of a block, put its sum right, and check; then undo it. */
static int lie(struct world *w, uint32_t number, size_t len, size_t pos, uint8_t bits)
{
    uint8_t p[EL_RUN_NAME_LEN], was[EL_RUN_NAME_LEN];
    size_t done = 0;
    int fd = -1;
    uint64_t at = (uint64_t)number * EL_RUN_BLOCK_LEN;
    assert_int_equal(disk_open(w->k.d.inner, RUN_1, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(w->k.d.inner, fd, p, len, at, &done), 0);
    memcpy(was, p, len);
    p[pos] ^= bits;
    el_put_le64(p, el_xxh3(p + 8, len - 8));
    assert_int_equal(disk_pwrite(w->k.d.inner, fd, p, len, at), 0);
    int code = check(w);
    assert_int_equal(disk_pwrite(w->k.d.inner, fd, was, len, at), 0);
    disk_close(w->k.d.inner, fd);
    return code;
}

TEST(index_check, finds_what_contradicts_itself_under_right_sums)
{
    struct world w;
    struct kit_run run;
    world_make(&w, 6, 3000, 900);
    assert_int_equal(kit_open(&w.k, 1, true, &run), 0);
    const struct el_index_run_info *info = &run.run.info;
    uint32_t index_block = 1 + (uint32_t)info->block_count, filter = index_block + 1, found = 0;
    uint32_t root = info->top_block - 4;
    assert_int_equal(info->group_count, 1);
    assert_int_equal(lie(&w, index_block, EL_RUN_BLOCK_LEN, 24 + 10, 1), EVLOG_ERR_CORRUPT);      /* first key */
    assert_int_equal(lie(&w, index_block, EL_RUN_BLOCK_LEN, 24 + 28 + 25, 1), EVLOG_ERR_CORRUPT); /* second key */
    assert_int_equal(lie(&w, index_block, EL_RUN_BLOCK_LEN, 22, 1), EVLOG_ERR_CORRUPT);           /* count */
    assert_int_equal(lie(&w, info->top_block, EL_RUN_BLOCK_LEN, 24 + 8, 1), EVLOG_ERR_CORRUPT); /* first of the group */
    assert_int_equal(lie(&w, info->top_block + 1, EL_RUN_BLOCK_LEN, 24, 1), EVLOG_ERR_CORRUPT); /* entries */
    assert_int_equal(lie(&w, info->top_block + 1, EL_RUN_BLOCK_LEN, 32, 1), EVLOG_ERR_CORRUPT); /* names */
    assert_int_equal(lie(&w, info->top_block + 1, EL_RUN_BLOCK_LEN, 48, 1), EVLOG_ERR_CORRUPT); /* hashes */
    assert_int_equal(lie(&w, 1, EL_RUN_BLOCK_LEN, 20, 2), EVLOG_ERR_CORRUPT);                   /* kind */
    for (size_t pos = EL_RUN_LINES_POS; pos < EL_RUN_LINES_POS + 64; pos++) { /* a line of the filter */
        found += lie(&w, filter, EL_RUN_BLOCK_LEN, pos, 0xff) == EVLOG_ERR_CORRUPT;
    }
    assert_true(found > 40); /* where a bit was set */
    /* The tree: another child for a name, another name for a child. */
    assert_int_equal(lie(&w, root, EL_RUN_NAME_LEN, 20, EL_RUN_NAMES ^ EL_RUN_NAME_INDEX), EVLOG_ERR_CORRUPT);
    uint32_t key_len = w.sets[0].names[0].len;
    assert_true(key_len < 128);
    assert_int_equal(lie(&w, root, EL_RUN_NAME_LEN, 24 + 3 + key_len, 4), EVLOG_ERR_CORRUPT);
    assert_int_equal(check(&w), 0);
    kit_close(&run);
    world_free(&w);
}

TEST(index_check, finds_runs_that_are_missing_or_another)
{
    struct world w;
    world_make(&w, 7, 300, 30);
    list_save(&w, 4); /* a slot that was never given */
    assert_int_equal(check(&w), EVLOG_ERR_CORRUPT);
    list_save(&w, 5);
    assert_int_equal(check(&w), 0);
    assert_int_equal(disk_rename(w.k.d.inner, "streams/0000/0000000000000002.run", RUN_1), 0);
    assert_int_equal(check(&w), EVLOG_ERR_CORRUPT);
    assert_int_equal(disk_rename(w.k.d.inner, RUN_1, "streams/0000/0000000000000002.run"), 0);
    assert_int_equal(check(&w), EVLOG_ERR_CORRUPT); /* 1 is missing now */
    world_free(&w);
}

TEST(index_check, an_error_of_the_disk_is_told_as_such)
{
    struct world w;
    world_make(&w, 8, 300, 2000);
    for (uint64_t n = 1;; n++) {
        kit_fail_at(&w.k, n, EVLOG_ERR_IO);
        int code = check(&w);
        if (code == 0) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(code, EVLOG_ERR_IO);
    }
    world_free(&w);
}

TEST(index_check, survives_failing_memory)
{
    struct world w;
    world_make(&w, 9, 300, 900);
    for (uint64_t n = 1;; n++) {
        el_alloc_fail_at(n);
        int code = check(&w);
        el_alloc_fail_at(0);
        if (code == 0) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(code, EVLOG_ERR_NO_MEMORY);
    }
    world_free(&w);
}

static uint32_t file_count;
static void count_file(void *arg, const char *path, uint64_t len)
{
    file_count++;
}

TEST(index_check, what_is_dropped_is_never_taken_for_an_index)
{
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            struct world w;
            struct index_list list;
            world_make(&w, 100 + seed, 300, 30);
            sim_disk_fault_set(w.k.sim, FAULT_NAMES_LOST, SIM_PPM / 2);
            sim_disk_crash_at(w.k.sim, n);
            done = index_drop(&w.k.d.disk, 0, NULL) == 0;
            sim_disk_crash_at(w.k.sim, 0);
            sim_disk_power_cycle(w.k.sim);
            assert_int_equal(index_list_load(w.k.d.inner, 0, &list, NULL), 0);
            file_count = 0;
            sim_disk_each(w.k.sim, false, count_file, NULL);
            if (list.sequence == 0) {
                assert_int_equal(file_count, 0); /* no list: nothing else is left */
            } else {
                assert_int_equal(check(&w), file_count == 3 ? 0 : EVLOG_ERR_CORRUPT);
            }
            assert_true(!done || list.sequence == 0);
            index_list_free(&list);
            assert_int_equal(index_drop(&w.k.d.disk, 0, NULL), 0);
            assert_int_equal(check(&w), 0);
            world_free(&w);
        }
    }
}
