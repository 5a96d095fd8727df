/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the list of redactions is there after any crash, whole, or the one before it is; and nothing else is taken for
 * it. Method: the simulated disk; every byte of the file turned, every length, a crash at every call of a save.
 */
#include "../../sim/sim_disk.h"

#include <core/rng.h>
#include <redact/redactor.h>
#include <test.h>

static struct redact_entry entry_of(uint32_t n)
{
    struct redact_entry e = {.topic_id = {{1, 2, (uint8_t)n}},
                             .partition = (int32_t)n,
                             .first_offset = n,
                             .end_offset = n + 5,
                             .when_ms = 1000 + n,
                             .reason_len = (uint16_t)(1 + n)};
    memset(e.reason, 'r', e.reason_len);
    return e;
}

static void save(struct sim_disk *disk, uint32_t count)
{
    struct redact_entry entries[REDACT_PENDING_MAX];
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = entry_of(i);
    }
    assert_int_equal(redact_file_save(sim_disk_as_disk(disk), entries, count), 0);
}

/* returns how many there are, each as it was saved | EVLOG_ERR_... */
static int load(struct sim_disk *disk)
{
    struct redact_entry entries[REDACT_PENDING_MAX];
    struct el_error err = {0};
    uint32_t count;
    int code = redact_file_load(sim_disk_as_disk(disk), entries, &count, &err);
    assert_int_equal(code != 0, err.text[0] != 0);
    for (uint32_t i = 0; i < count; i++) {
        struct redact_entry e = entry_of(i);
        assert_memory_equal(&entries[i], &e, sizeof e);
    }
    return code != 0 ? code : (int)count;
}

TEST(redact_file, is_read_as_it_was_written)
{
    struct el_rng rng;
    el_rng_seed(&rng, 1);
    struct sim_disk *disk = sim_disk_create(&rng);
    assert_int_equal(load(disk), 0);
    for (uint32_t count = 0; count <= REDACT_PENDING_MAX; count += 16) {
        save(disk, count);
        assert_int_equal(load(disk), count);
    }
    sim_disk_free(disk);
}

TEST(redact_file, that_is_not_whole_is_refused)
{
    struct el_rng rng;
    el_rng_seed(&rng, 2);
    struct sim_disk *disk = sim_disk_create(&rng);
    save(disk, 3);
    sim_disk_power_cycle(disk);
    uint64_t len = 32 + 3 * 48 + 1 + 2 + 3;
    for (uint64_t pos = 0; pos < len; pos++) {
        assert_true(sim_disk_flip(disk, REDACT_FILE, pos, 0x10));
        int code = load(disk);
        assert_true(code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
        assert_true(sim_disk_flip(disk, REDACT_FILE, pos, 0x10));
    }
    assert_int_equal(load(disk), 3);
    for (uint64_t cut = len; cut-- > 0;) {
        assert_true(sim_disk_cut(disk, REDACT_FILE, cut));
        assert_int_equal(load(disk), EVLOG_ERR_CORRUPT);
    }
    sim_disk_free(disk);
}

TEST(redact_file, is_the_old_or_the_new_one_after_a_crash)
{
    for (uint64_t at = 1; at < 12; at++) {
        struct el_rng rng;
        el_rng_seed(&rng, at);
        struct sim_disk *disk = sim_disk_create(&rng);
        struct redact_entry entries[2] = {entry_of(0), entry_of(1)};
        save(disk, 1);
        sim_disk_crash_at(disk, at);
        int code = redact_file_save(sim_disk_as_disk(disk), entries, 2);
        sim_disk_crash_at(disk, 0);
        sim_disk_power_cycle(disk);
        int count = load(disk);
        assert_true(code == 0 ? count == 2 : count == 1 || count == 2);
        sim_disk_free(disk);
    }
}
