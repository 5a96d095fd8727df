/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a durable write has carried is there after a restart, and nothing else is; damaged blocks are refused.
 * Method: one table and a disk of records; restarts between begin and end of writes; each byte of a block cut off.
 */
#include "table_kit.h"

#include <lease/lease_table_state.h>

#include <stdlib.h>

static struct kit k;

static void open_table(void)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 0);
}

/* From memory of exactly that length, so that the sanitizer sees one byte too many. */
static int restore(uint64_t number, const void *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, data, len);
    int err = lease_block_restore(k.t, number, el_slice_of(copy, len));
    free(copy);
    return err;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_progress, refuses_blocks_that_are_not_as_they_are_written)
{
    static const struct {
        const char *what;
        size_t len;
        uint8_t bytes[12];
    } bad[] = {
        {"nothing", 0, {0}},
        {"another version", 2, {2, 1}},
        {"kind 3", 2, {1, 3}},
        {"no attempts", 2, {1, 2}},
        {"0 attempts", 3, {1, 2, 0}},
        {"32,768 attempts", 5, {1, 2, 0x80, 0x80, 2}},
        {"untouched at the end", 2, {1, 0}},
        {"finished, untouched", 3, {1, 1, 0}},
        {"two runs alike", 3, {1, 1, 1}},
        {"the same attempts twice", 5, {1, 2, 5, 2, 5}},
        {"a long way to write 1", 3, {1, 0x81, 0}},
        {"a long way to write attempts", 4, {1, 2, 0x85, 0}},
        {"65,537 offsets", 4, {1, 0x81, 0x80, 0x10}},
        {"65,536 and one more", 6, {1, 0xfd, 0xff, 0x0f, 2, 1}},
        {"a length of 2^30", 6, {1, 0xfd, 0xff, 0xff, 0xff, 0x0f}},
        {"a number without end", 7, {1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80}},
    };
    open_table();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        if (restore(0, bad[i].bytes, bad[i].len) != EVLOG_ERR_MALFORMED) {
            fail_msg("taken: %s", bad[i].what);
        }
    }
    uint8_t good[] = {1, 1};
    assert_int_equal(restore((uint64_t)INT64_MAX, good, sizeof(good)), EVLOG_ERR_MALFORMED);
    assert_int_equal(restore(1ull << 47, good, sizeof(good)), EVLOG_ERR_MALFORMED);
    assert_int_equal(lease_start(k.t), 0);
    assert_false(lease_dirty(k.t));
    assert_int_equal(lease_memory_used(k.memory), k.memory_empty);
    kit_close(&k);
}

TEST(lease_progress, a_block_that_is_cut_anywhere_is_refused_or_says_less)
{
    uint8_t good[] = {1, 1, 2, 5, 0x85, 4, 2, 0xff, 0xff, 1, 9};
    open_table();
    assert_int_equal(restore(0, good, sizeof(good)), 0);
    assert_int_equal(lease_block_encode(k.t, 0, k.room, sizeof(k.room)), sizeof(good));
    assert_memory_equal(k.room, good, sizeof(good));
    for (size_t len = 0; len < sizeof(good); len++) {
        int err = restore(0, good, len);
        assert_true(err == 0 || err == EVLOG_ERR_MALFORMED);
        if (err == 0) {
            assert_int_equal(lease_block_encode(k.t, 0, k.room, sizeof(k.room)), len);
            assert_memory_equal(k.room, good, len);
        } else {
            assert_int_equal(lease_block_encode(k.t, 0, k.room, sizeof(k.room)), 1);
        }
    }
    kit_close(&k);
}

TEST(lease_progress, does_not_write_into_a_room_that_is_too_small)
{
    open_table();
    for (int64_t i = 0; i < 20; i++) {
        kit_add(&k, i, 0);
    }
    kit_take(&k, KIT_SESSION, 10, 10);
    size_t len = lease_block_encode(k.t, 0, k.room, sizeof(k.room));
    assert_int_equal(len, 3);
    for (size_t room = 0; room < len; room++) {
        uint8_t *exact = malloc(room == 0 ? 1 : room);
        assert_int_equal(lease_block_encode(k.t, 0, exact, room), 0);
        free(exact);
    }
    kit_close(&k);
}

TEST(lease_progress, the_longest_block_fits_into_the_room_that_is_promised)
{
    uint8_t *bytes = malloc(LEASE_BLOCK_LEN_MAX);
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, 64u << 20);
    size_t len = 0;
    bytes[len++] = 1;
    for (uint32_t i = 0; i < 65536; i++) {
        uint32_t attempts = 32767 - i % 2;
        bytes[len++] = 2;
        bytes[len++] = (uint8_t)(attempts | 0x80);
        bytes[len++] = (uint8_t)(attempts >> 7 | 0x80);
        bytes[len++] = (uint8_t)(attempts >> 14);
    }
    assert_int_equal(len, LEASE_BLOCK_LEN_MAX);
    assert_int_equal(lease_block_restore(k.t, 3, el_slice_of(bytes, len)), 0);
    assert_int_equal(lease_block_encode(k.t, 3, k.room, sizeof(k.room)), len);
    assert_memory_equal(k.room, bytes, len);
    free(bytes);
    kit_close(&k);
}

/* --- restarts ----------------------------------------------------------------------------------------------------- */

TEST(lease_progress, a_restart_keeps_what_is_finished_and_attempts)
{
    open_table();
    for (int64_t i = 0; i < 6; i++) {
        kit_add(&k, i, (uint64_t)i + 1);
    }
    kit_take(&k, KIT_SESSION, 5, 5);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_FAIL), 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 3, 4, LEASE_ACCEPT), 0);
    kit_write(&k);
    kit_restart(&k);
    assert_int_equal(lease_start(k.t), 0);
    for (int64_t i = 0; i < 6; i++) {
        kit_add(&k, i, (uint64_t)i + 1);
    }
    kit_take_one(&k, 8, 0, 2);
    kit_take_one(&k, 8, 1, 2);
    kit_take_one(&k, 8, 2, 2);
    kit_take_one(&k, 8, 5, 1);
    kit_take(&k, 8, 1, 0);
    kit_close(&k);
}

TEST(lease_progress, a_restart_knows_nothing_of_a_write_that_did_not_end)
{
    open_table();
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_write(&k);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write_begin(&k);
    assert_int_equal(k.pending_start, 1);
    kit_restart(&k);
    assert_int_equal(lease_start(k.t), 0);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 2);
    kit_close(&k);
}

TEST(lease_progress, outcomes_that_come_during_a_write_belong_to_the_next)
{
    open_table();
    kit_add(&k, 0, 0);
    kit_add(&k, 1, 0);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write_begin(&k);
    assert_false(lease_dirty(k.t));
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), 0);
    assert_true(lease_dirty(k.t));
    kit_write_end(&k, true);
    assert_int_equal(lease_start(k.t), 1);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_SETTLING);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 2);
    assert_false(lease_dirty(k.t));
    kit_close(&k);
}

TEST(lease_progress, a_write_that_fails_is_written_again_as_a_whole)
{
    open_table();
    kit_add(&k, 0, 0);
    kit_add(&k, 70000, 0);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 70000, 70000, LEASE_ACCEPT), 0);
    kit_write_begin(&k);
    assert_int_equal(k.pending_count, 2);
    kit_write_end(&k, false);
    assert_int_equal(k.stored_count, 0);
    kit_write_begin(&k);
    assert_int_equal(k.pending_count, 2);
    kit_write_end(&k, true);
    kit_restart(&k);
    kit_add(&k, 0, 0);
    assert_int_equal(lease_read_next(k.t), 70001);
    kit_close(&k);
}

TEST(lease_progress, what_a_filter_passed_over_is_finished_after_a_restart)
{
    open_table();
    kit_add(&k, 5, 1);
    for (int64_t i = 6; i < 4 * 65536 + 10; i++) {
        struct lease_record passed = {.offset = i, .passed = true};
        assert_int_equal(lease_add(k.t, &passed, k.now), 0);
    }
    kit_take_one(&k, KIT_SESSION, 5, 1);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 5);
    kit_restart(&k);
    /* What a filter has passed over was written too. */
    kit_add(&k, 5, 1);
    assert_int_equal(lease_read_next(k.t), 4 * 65536 + 10);
    kit_close(&k);
}

TEST(lease_progress, reading_goes_on_behind_blocks_that_are_finished)
{
    uint8_t whole[] = {1, 0xfd, 0xff, 0x0f};
    open_table();
    assert_int_equal(restore(1, whole, sizeof(whole)), 0);
    assert_int_equal(restore(2, whole, sizeof(whole)), 0);
    kit_add(&k, 65535, 1);
    assert_int_equal(lease_read_next(k.t), 3 * 65536);
    kit_close(&k);
}

TEST(lease_progress, what_is_finished_ahead_is_counted_within_bounds)
{
    uint8_t bytes[6000] = {1}, whole[] = {1, 0xfd, 0xff, 0x0f};
    size_t len = 1;
    for (uint32_t i = 0; i < 1500; i++) { /* by turns one offset finished, one tried once */
        bytes[len++] = 1;
        bytes[len++] = 2;
        bytes[len++] = 1;
    }
    open_table();
    assert_int_equal(lease_finished_ahead(k.t, 0, INT64_MAX), 0);
    assert_int_equal(restore(1, whole, sizeof(whole)), 0);
    assert_int_equal(restore(3, bytes, len), 0);
    assert_int_equal(lease_finished_ahead(k.t, 0, 65536), 0);
    assert_int_equal(lease_finished_ahead(k.t, 65546, 65556), 10);
    assert_int_equal(lease_finished_ahead(k.t, 0, 3 * 65536 + 100), 65536 + 50);
    assert_int_equal(lease_finished_ahead(k.t, 3 * 65536 + 1, 3 * 65536 + 100), 49);
    lease_base_restore(k.t, 2 * 65536 + 5);
    assert_int_equal(lease_finished_ahead(k.t, 0, 3 * 65536), 2 * 65536 + 5);
    /* No more than a step: a lower bound. */
    int64_t count = lease_finished_ahead(k.t, 3 * 65536, INT64_MAX);
    assert_true(count >= 500);
    assert_true(count < 750);
    kit_close(&k);
}

TEST(lease_progress, an_offset_without_an_event_is_finished)
{
    open_table();
    kit_add(&k, 3, 0);
    kit_add(&k, 9, 0);
    assert_int_equal(lease_start(k.t), 3);
    lease_read_to(k.t, 20);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 3, 3, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 9);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 9, 9, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 20);
    /* Known already: nothing is added. */
    kit_add(&k, 15, 0);
    assert_int_equal(lease_counts(k.t).total, 0);
    kit_close(&k);
}

TEST(lease_progress, blocks_behind_the_start_lose_their_records)
{
    open_table();
    for (int64_t i = 0; i < 5; i++) {
        kit_add(&k, i * 65536, 0);
    }
    kit_take(&k, KIT_SESSION, 5, 5);
    kit_write(&k);
    assert_int_equal(k.stored_count, 5);
    for (int64_t i = 1; i < 4; i++) {
        assert_int_equal(kit_settle(&k, KIT_SESSION, i * 65536, i * 65536, LEASE_ACCEPT), 0);
    }
    kit_write(&k);
    assert_int_equal(k.gone_count, 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(k.gone_count, 4);
    assert_int_equal(k.stored_start, 4 * 65536);
    for (uint64_t i = 0; i < 4; i++) {
        assert_null(kit_stored(&k, i));
    }
    assert_non_null(kit_stored(&k, 4));
    assert_false(lease_dirty(k.t));
    kit_write(&k);
    assert_int_equal(k.gone_count, 4);
    kit_close(&k);
}

TEST(lease_progress, a_record_that_a_crash_left_behind_the_start_is_deleted)
{
    uint8_t some[] = {1, 1};
    open_table();
    k.stored_start = 3 * 65536;
    kit_restart(&k);
    assert_int_equal(restore(1, some, sizeof(some)), 0);
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    assert_int_equal(k.gone_count, 1);
    assert_false(lease_dirty(k.t));
    assert_int_equal(lease_memory_used(k.memory), k.memory_empty);
    kit_close(&k);
}

TEST(lease_progress, the_last_record_of_a_block_counts_and_a_deleted_one_none)
{
    uint8_t first[] = {1, 1, 2, 5}, second[] = {1, 2, 9};
    open_table();
    assert_int_equal(restore(0, first, sizeof(first)), 0);
    assert_int_equal(restore(0, second, sizeof(second)), 0);
    assert_int_equal(lease_read_next(k.t), 0);
    assert_int_equal(lease_block_restore(k.t, 0, el_slice_of(NULL, 0)), 0);
    assert_int_equal(lease_block_restore(k.t, 0, el_slice_of(NULL, 0)), 0);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_close(&k);
}

TEST(lease_progress, an_attempt_that_was_written_and_taken_back_is_written_again)
{
    open_table();
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_write(&k);
    assert_true(lease_unacquire(k.t, KIT_SESSION, 0, k.now));
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    kit_restart(&k);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_close(&k);
}

/* --- start -------------------------------------------------------------------------------------------------------- */

TEST(lease_progress, when_the_log_begins_later_keys_that_waited_for_what_is_gone_go_on)
{
    open_table();
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    kit_add(&k, 2, 1);
    kit_add(&k, 3, 2);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
    assert_true(lease_set_start(k.t, 2, k.now));
    assert_int_equal(lease_start(k.t), 2);
    kit_take_one(&k, KIT_SESSION, 2, 1);
    assert_true(lease_set_start(k.t, 1, k.now));
    assert_int_equal(lease_start(k.t), 2);
    assert_true(lease_set_start(k.t, 100, k.now));
    assert_int_equal(lease_read_next(k.t), 100);
    assert_int_equal(lease_counts(k.t).total, 0);
    kit_close(&k);
}

TEST(lease_progress, the_start_may_pass_events_of_the_write_that_is_under_way)
{
    open_table();
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write_begin(&k);
    assert_true(lease_set_start(k.t, 1, k.now));
    kit_take_one(&k, KIT_SESSION, 1, 1);
    kit_write_end(&k, true);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_LEASED);
    assert_int_equal(lease_start(k.t), 1);
    kit_close(&k);
}

TEST(lease_progress, the_start_moves_over_a_long_queue_in_steps)
{
    open_table();
    for (int64_t i = 0; i < 2500; i++) {
        kit_add(&k, i, 1);
    }
    assert_false(lease_set_start(k.t, 2400, k.now));
    assert_int_equal(lease_start(k.t), LEASE_STEP_MAX);
    assert_false(lease_set_start(k.t, 2400, k.now));
    assert_true(lease_set_start(k.t, 2400, k.now));
    assert_int_equal(lease_start(k.t), 2400);
    kit_take_one(&k, KIT_SESSION, 2400, 1);
    kit_close(&k);
}

TEST(lease_progress, a_reset_begins_anew_also_after_a_restart)
{
    open_table();
    for (int64_t i = 0; i < 2000; i++) {
        kit_add(&k, i, (uint64_t)i % 5);
    }
    kit_take(&k, KIT_SESSION, 10, 10);
    struct lease_grant grant;
    for (int64_t i = 0; lease_counts(k.t).of[LEASE_STATE_LEASED] > 4; i++) {
        (void)kit_settle(&k, KIT_SESSION, i, i, LEASE_ACCEPT);
    }
    kit_write(&k);
    while (!lease_reset(k.t, 0)) {
    }
    assert_int_equal(lease_counts(k.t).total, 0);
    assert_int_equal(lease_read_next(k.t), 0);
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    kit_restart(&k);
    assert_int_equal(lease_read_next(k.t), 0);
    kit_add(&k, 0, 1);
    assert_int_equal(lease_acquire(k.t, KIT_SESSION, k.now, &grant, 1), 1);
    assert_int_equal(grant.offset, 0);
    assert_int_equal(grant.attempts, 1);
    kit_close(&k);
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

TEST(lease_progress, what_the_filter_passes_over_is_finished_at_once)
{
    open_table();
    for (int64_t i = 0; i < 10; i++) {
        struct lease_record record = {.offset = i, .key_hash = 1, .passed = i % 2 == 0};
        assert_int_equal(lease_add(k.t, &record, k.now), 0);
    }
    assert_int_equal(lease_start(k.t), 1);
    assert_int_equal(lease_counts(k.t).total, 5);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    kit_close(&k);
}
