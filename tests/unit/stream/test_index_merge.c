/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a merge holds what its runs held, of each entry the newest, without the slots that are gone, whatever the
 * length of its steps; one that fails or is given up leaves no file. Method: random sets that overlap, merged in small
 * steps and compared with what sorted arrays merge to; each call of the disk and each allocation failed; damaged runs.
 */
#include "run_kit.h"

#include <evlog/error.h>
#include <string.h>

#define RUNS_MAX 6u
#define TARGET 99u

static bool keep_all(uint32_t slot)
{
    return true;
}
static bool keep_odd(uint32_t slot)
{
    return slot % 2 == 1;
}
static bool keep_none(uint32_t slot)
{
    return false;
}

/* What keep was asked. */
struct asked {
    bool (*keep)(uint32_t slot);
    uint32_t last;
    uint32_t count;
};

static bool ask_keep(void *arg, uint32_t slot)
{
    struct asked *a = arg;
    assert_true(slot != a->last); /* once for each slot, among the entries and among the names */
    a->last = slot;
    a->count++;
    return a->keep(slot);
}

/* Runs 1 (oldest) .. count, open, newest first. */
struct world {
    struct kit k;
    uint32_t count;
    struct kit_set sets[RUNS_MAX]; /* newest first */
    struct kit_run runs[RUNS_MAX];
    const struct index_run *open[RUNS_MAX];
    const struct kit_set *set_list[RUNS_MAX];
};

static void world_make(struct world *w, uint64_t seed, uint32_t count, uint32_t entry_max)
{
    struct el_index_run_info info;
    kit_init(&w->k, seed);
    w->count = count;
    for (uint32_t i = count; i-- > 0;) {
        kit_set_draw(&w->sets[i], &w->k.rng, entry_max, entry_max / 10, 6);
        assert_int_equal(kit_write(&w->k, count - i, &w->sets[i], &info), 0);
        assert_int_equal(kit_open(&w->k, count - i, true, &w->runs[i]), 0);
        w->open[i] = &w->runs[i].run;
        w->set_list[i] = &w->sets[i];
    }
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        kit_close(&w->runs[i]);
        kit_set_free(&w->sets[i]);
    }
    assert_int_equal(sim_disk_open_count(w->k.sim), 0);
    kit_free(&w->k);
}

/* Merge all runs of a world in steps of so many bytes. *steps counts them. */
static int merge_all(struct world *w, bool (*keep)(uint32_t slot), size_t step_len, uint32_t *steps)
{
    char path[INDEX_PATH_LEN];
    struct asked asked = {.keep = keep};
    struct index_merge *m = NULL;
    struct el_index_run_info info;
    index_run_path(path, 0, TARGET);
    int code = index_merge_open(w->open, w->count, &w->k.d.disk, path, TARGET, ask_keep, &asked, &m, NULL);
    if (code != 0) {
        return code;
    }
    do {
        code = index_merge_step(m, step_len, &info);
        (*steps)++;
    } while (code > 0);
    index_merge_close(m);
    return code;
}

static uint32_t target_count;
static void look_for_target(void *arg, const char *path, uint64_t len)
{
    target_count += strcmp(path, arg) == 0;
}
static bool target_is_there(struct world *w)
{
    char path[INDEX_PATH_LEN];
    index_run_path(path, 0, TARGET);
    target_count = 0;
    sim_disk_each(w->k.sim, false, look_for_target, path);
    return target_count > 0;
}

static void merge_and_compare(struct world *w, bool (*keep)(uint32_t slot), size_t step_len)
{
    struct kit_set merged;
    struct kit_run run;
    uint32_t steps = 0;
    kit_set_merge(&merged, w->set_list, w->count, keep);
    assert_int_equal(merge_all(w, keep, step_len, &steps), 0);
    assert_int_equal(kit_open(&w->k, TARGET, true, &run), 0);
    kit_run_is(&run, &merged);
    assert_true(step_len > 1000 || merged.entry_count < 1000 || steps > 10);
    for (uint32_t i = 0; i < merged.entry_count; i += 1 + merged.entry_count / 500) {
        assert_true(index_run_may_hold(&run.run, merged.entries[i].slot, merged.entries[i].hash));
    }
    kit_close(&run);
    kit_set_free(&merged);
}

TEST(index_merge, holds_what_its_runs_held_the_newest_of_each)
{
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct world w;
        world_make(&w, seed, 1 + (uint32_t)(seed % RUNS_MAX), seed % 4 == 0 ? 100 : 20000);
        merge_and_compare(&w, keep_all, seed % 3 == 0 ? 1 : 1u << el_rng_below(&w.k.rng, 20));
        world_free(&w);
    }
}

TEST(index_merge, leaves_out_the_slots_that_are_gone)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w;
        world_make(&w, 100 + seed, 4, 5000);
        merge_and_compare(&w, seed == 8 ? keep_none : keep_odd, 500);
        world_free(&w);
    }
}

TEST(index_merge, lets_go_of_its_work_when_nothing_is_kept)
{
    struct world w;
    uint32_t steps = 0;
    world_make(&w, 200, 3, 30000);
    assert_int_equal(merge_all(&w, keep_none, 4096, &steps), 0);
    assert_true(steps > w.sets[0].entry_count / 300); /* dropping is work too: no step goes through all */
    world_free(&w);
}

TEST(index_merge, an_error_leaves_no_file)
{
    struct world w;
    uint32_t steps = 0;
    world_make(&w, 300, 4, 20000);
    for (uint64_t n = 1;; n++) {
        int failure = n % 2 == 0 ? EVLOG_ERR_NO_SPACE : EVLOG_ERR_IO;
        kit_fail_at(&w.k, n, failure);
        int code = merge_all(&w, keep_all, 8192, &steps);
        assert_int_equal(sim_disk_open_count(w.k.sim), w.count);
        if (code == 0) {
            assert_true(n > 8);
            break;
        }
        assert_int_equal(code, failure);
        assert_false(target_is_there(&w));
    }
    assert_true(target_is_there(&w));
    world_free(&w);
}

TEST(index_merge, one_that_is_given_up_leaves_no_file)
{
    struct world w;
    char path[INDEX_PATH_LEN];
    struct asked asked = {.keep = keep_all};
    struct index_merge *m = NULL;
    struct el_index_run_info info;
    world_make(&w, 400, 2, 60000);
    index_run_path(path, 0, TARGET);
    assert_int_equal(index_merge_open(w.open, 2, &w.k.d.disk, path, TARGET, ask_keep, &asked, &m, NULL), 0);
    assert_int_equal(index_merge_step(m, 100000, &info), 1);
    assert_true(target_is_there(&w));
    index_merge_close(m);
    assert_false(target_is_there(&w));
    world_free(&w);
}

TEST(index_merge, damage_of_a_run_ends_it)
{
    struct world w;
    char path[INDEX_PATH_LEN];
    uint32_t steps = 0;
    world_make(&w, 500, 3, 20000);
    assert_int_equal(disk_sync_dir(w.k.d.inner, "streams/0000"), 0);
    index_run_path(path, 0, 2);
    const struct el_index_run_info *info = &w.runs[1].run.info;
    for (uint32_t number = 1; number < info->top_block; number++) {
        assert_true(sim_disk_flip(w.k.sim, path, number * (uint64_t)EL_RUN_BLOCK_LEN + 77, 2));
        int code = merge_all(&w, keep_all, 1u << 20, &steps);
        assert_true(code == EVLOG_ERR_CORRUPT || code == 0);
        assert_int_equal(target_is_there(&w), code == 0);
        if (code == 0) {
            assert_int_equal(disk_unlink(w.k.d.inner, "streams/0000/0000000000000063.run"), 0); /* index or filter */
        }
        assert_true(sim_disk_flip(w.k.sim, path, number * (uint64_t)EL_RUN_BLOCK_LEN + 77, 2));
    }
    assert_int_equal(merge_all(&w, keep_all, 1u << 20, &steps), 0);
    world_free(&w);
}

TEST_TORTURE(index_merge, survives_failing_memory)
{
    struct world w;
    char path[INDEX_PATH_LEN];
    uint32_t steps = 0;
    struct el_index_run_info info;
    struct kit_set set;
    int code = 0;
    kit_init(&w.k, 600);
    kit_set_draw(&set, &w.k.rng, 500, 300, 3);
    w.count = 0;
    for (uint32_t i = 0; i < 2 && code == 0; i++) {
        code = kit_write(&w.k, i + 1, &set, &info);
        code = code != 0 ? code : kit_open(&w.k, i + 1, true, &w.runs[i]);
        w.open[i] = &w.runs[i].run;
        w.count += code == 0;
    }
    if (code == 0) {
        code = merge_all(&w, keep_all, 1000, &steps);
        index_run_path(path, 0, TARGET);
        assert_int_equal(target_is_there(&w), code == 0);
    }
    assert_true(code == 0 || (el_test_failing() && code == EVLOG_ERR_NO_MEMORY));
    kit_set_free(&set);
    for (uint32_t i = 0; i < w.count; i++) {
        kit_close(&w.runs[i]);
    }
    kit_free(&w.k);
}
