/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the keys that sign an archive are in the data directory before anything is signed by them, whenever the power
 * is cut. Method: cut it at each call of the disk while they are made, and when that is over; look, and make them.
 */
#include "../../sim/sim_disk.h"

#include <archive_keys.h>
#include <io/disk_file.h>
#include <string.h>
#include <test.h>

#define SEEDS 3u
#define CALLS_MAX 100u

/* returns the number of keys in the file, which is whole; 0 there is none */
static size_t keys_found(struct disk *disk)
{
    static char text[ARCHIVE_KEYS_TEXT_MAX];
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t len = 0, count = 0;
    int code = disk_file_read(disk, "keys/archive.pem", text, sizeof text, &len);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    assert_int_equal(code, 0);
    assert_int_equal(el_private_keys_parse(el_slice_of(text, len), keys, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        el_private_key_free(keys[i]);
    }
    assert_int_equal(count, 2);
    assert_int_equal(disk_file_read(disk, "keys/archive.pub.pem", text, sizeof text, &len), 0);
    return count;
}

TEST(archive_keys, are_durable_when_they_are_told_whatever_call_the_power_is_cut_at)
{
    char shown[ARCHIVE_KEYS_TEXT_MAX];
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bool whole = false;
        for (uint64_t at = 1; !whole; at++) {
            struct el_rng rng;
            el_rng_seed(&rng, seed * 1000 + at);
            struct sim_disk *sim = sim_disk_create(&rng);
            struct disk *disk = sim_disk_as_disk(sim);
            assert_true(at < CALLS_MAX);
            sim_disk_crash_at(sim, at);
            whole = archive_keys_make(disk, shown, NULL) == 0;
            assert_true(whole != sim_disk_crashed(sim));
            sim_disk_power_cycle(sim); /* in the end it is cut, too */
            size_t count = keys_found(disk);
            assert_true(!whole || count == 2);
            if (count == 0) {
                assert_int_equal(archive_keys_make(disk, shown, NULL), 0);
                sim_disk_power_cycle(sim);
                assert_int_equal(keys_found(disk), 2);
            }
            assert_non_null(strstr(shown, "PUBLIC KEY"));
            sim_disk_free(sim);
        }
    }
}
