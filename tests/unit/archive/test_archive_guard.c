/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what was signed last is there after any crash, whole, or what was signed before it is; and nothing else is
 * taken for it.
 * Method: the simulated disk; every byte of the file turned, every length, a crash at every call of a save.
 */
#include "../../sim/sim_disk.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <core/rng.h>
#include <test.h>

#define PATH ARCHIVE_DIR "/signed"

static struct archive_guard guard_of(uint64_t sequence, const char *manifest)
{
    struct archive_guard guard = {.sequence = sequence,
                                  .cluster = el_slice_str("{}"),
                                  .note = el_slice_str(sequence == 0 ? "" : "a note\n"),
                                  .manifest = el_slice_str(manifest)};
    guard.incarnation.bytes[5] = 7;
    return guard;
}

static int load(struct sim_disk *disk, struct archive_guard *guard)
{
    struct el_error err = {0};
    int code = archive_guard_load(sim_disk_as_disk(disk), guard, &err);
    assert_int_equal(code != 0, err.text[0] != 0);
    return code;
}

static void save(struct sim_disk *disk, uint64_t sequence, const char *manifest)
{
    struct archive_guard guard = guard_of(sequence, manifest);
    assert_int_equal(archive_guard_save(sim_disk_as_disk(disk), &guard, NULL, NULL), 0);
}

static void assert_guard(struct sim_disk *disk, uint64_t sequence, const char *manifest)
{
    struct archive_guard got, want = guard_of(sequence, manifest);
    assert_int_equal(load(disk, &got), 0);
    assert_int_equal(got.sequence, sequence);
    assert_true(el_uuid_eq(&got.incarnation, &want.incarnation));
    assert_true(el_slice_eq(got.cluster, want.cluster));
    assert_true(el_slice_eq(got.note, want.note));
    assert_true(el_slice_eq(got.manifest, want.manifest));
    archive_guard_free(&got);
}

TEST(archive_guard, of_a_new_directory_is_not_there)
{
    struct el_rng rng;
    struct archive_guard guard;
    el_rng_seed(&rng, 1);
    struct sim_disk *disk = sim_disk_create(&rng);
    assert_int_equal(load(disk, &guard), EVLOG_ERR_NOT_FOUND);
    save(disk, 0, "");
    assert_guard(disk, 0, "");
    save(disk, 1, "first");
    assert_guard(disk, 1, "first");
    sim_disk_free(disk);
}

TEST(archive_guard, that_was_changed_or_cut_short_is_refused)
{
    struct el_rng rng;
    struct archive_guard guard;
    el_rng_seed(&rng, 1);
    struct sim_disk *disk = sim_disk_create(&rng);
    save(disk, 3, "manifest");
    uint64_t len = 96 + 2 + 7 + 8;
    for (uint64_t pos = 0; pos < len; pos++) {
        assert_true(sim_disk_flip(disk, PATH, pos, 0x10));
        int code = load(disk, &guard);
        assert_true(code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
        assert_true(sim_disk_flip(disk, PATH, pos, 0x10));
    }
    assert_guard(disk, 3, "manifest");
    for (uint64_t cut = len; cut-- > 0;) {
        assert_true(sim_disk_cut(disk, PATH, cut));
        assert_int_equal(load(disk, &guard), EVLOG_ERR_CORRUPT);
    }
    sim_disk_free(disk);
}

TEST(archive_guard, survives_a_crash_at_any_call_as_the_old_or_the_new)
{
    bool whole = false;
    for (uint64_t n = 1; !whole; n++) {
        struct el_rng rng;
        struct archive_guard guard = guard_of(8, "newer");
        el_rng_seed(&rng, n);
        struct sim_disk *disk = sim_disk_create(&rng);
        save(disk, 7, "older");
        sim_disk_crash_at(disk, n);
        int code = archive_guard_save(sim_disk_as_disk(disk), &guard, NULL, NULL);
        whole = !sim_disk_crashed(disk);
        assert_int_equal(code == 0, whole);
        sim_disk_crash_at(disk, 0);
        sim_disk_power_cycle(disk);
        assert_int_equal(load(disk, &guard), 0);
        assert_true(guard.sequence == 8 || (guard.sequence == 7 && !whole));
        archive_guard_free(&guard);
        sim_disk_free(disk);
        assert_true(n < 100);
    }
}

TEST(archive_guard, that_cannot_be_synced_is_not_saved_and_is_tried_again)
{
    static const enum sim_call calls[] = {SIM_PWRITEV, SIM_SYNC, SIM_SYNC_DIR, SIM_RENAME};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct el_rng rng;
        struct archive_guard guard = guard_of(8, "newer");
        el_rng_seed(&rng, i);
        struct sim_disk *disk = sim_disk_create(&rng);
        save(disk, 7, "older");
        sim_disk_fail_next(disk, calls[i], EVLOG_ERR_NO_SPACE);
        assert_int_equal(archive_guard_save(sim_disk_as_disk(disk), &guard, NULL, NULL), EVLOG_ERR_NO_SPACE);
        assert_int_equal(archive_guard_save(sim_disk_as_disk(disk), &guard, NULL, NULL), 0);
        sim_disk_power_cycle(disk);
        assert_guard(disk, 8, "newer");
        sim_disk_free(disk);
    }
}
