/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: which groups count after a start, what is refused, and that bytes of clients prove nothing. Method: slots made
 * group by group on the simulated disk, then scanned.
 */
#include "../../sim/sim_disk.h"
#include <core/rng.h>
#include <stdio.h>
#include <storage/journal_recover.h>
#include <test.h>

#define BLOCK EL_JOURNAL_ALIGN
#define SLOT_LEN (16u * BLOCK)
#define OWN 1001u   /* incarnation of the run that is recovered */
#define CHILD 1002u /* of the start after it */
#define FORGED 9999u

struct fixture {
    struct el_rng rng;
    struct sim_disk *sim;
    struct disk *disk;
    int slots[3];
    struct el_error err;
};

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    el_rng_seed(&f->rng, 1);
    f->sim = sim_disk_create(&f->rng);
    f->disk = sim_disk_as_disk(f->sim);
    assert_int_equal(disk_mkdir(f->disk, "journal"), 0);
    assert_int_equal(disk_mkdir(f->disk, "journal/0000"), 0);
    for (int i = 0; i < 3; i++) {
        char path[48];
        static const uint8_t zeros[SLOT_LEN];
        journal_slot_path(path, sizeof(path), 0, (uint32_t)i);
        assert_int_equal(disk_open(f->disk, path, DISK_WRITE | DISK_CREATE, &f->slots[i]), 0);
        assert_int_equal(disk_pwrite(f->disk, f->slots[i], zeros, SLOT_LEN, 0), 0);
    }
}

static void tear_down(struct fixture *f)
{
    sim_disk_free(f->sim);
}

/* Write a group without frames into block `block` of a slot. */
static void put(struct fixture *f, uint32_t slot, uint64_t block, struct el_group_header h)
{
    uint8_t data[BLOCK] = {0};
    h.slot = slot;
    h.pos = block * BLOCK;
    h.len = EL_GROUP_HEADER_LEN;
    el_group_seal(data, &h);
    assert_int_equal(disk_pwrite(f->disk, f->slots[slot], data, sizeof(data), h.pos), 0);
}

static struct el_group_header own(uint64_t sequence, uint64_t durable_through)
{
    return (struct el_group_header){
        .incarnation = OWN, .sequence = sequence, .durable_through = durable_through, .boot = 5};
}

static struct el_group_header child(uint64_t sequence, uint64_t parent_sequence, uint64_t durable_through)
{
    return (struct el_group_header){.incarnation = CHILD,
                                    .sequence = sequence,
                                    .durable_through = durable_through,
                                    .parent_incarnation = OWN,
                                    .parent_sequence = parent_sequence,
                                    .boot = 6};
}

static void damage(struct fixture *f, uint32_t slot, uint64_t block)
{
    uint8_t bad = 0xff;
    assert_int_equal(disk_pwrite(f->disk, f->slots[slot], &bad, 1, block * BLOCK + 40), 0);
}

/* returns the last sequence accepted | EVLOG_ERR_... */
static int64_t scan(struct fixture *f, uint64_t node_boot, uint64_t node_incarnation)
{
    struct journal_start start = {.incarnation = OWN,
                                  .sequence = 10, /* the checkpoint's cut */
                                  .node_boot = node_boot,
                                  .node_incarnation = node_incarnation};
    struct journal_scan found;
    f->err.code = 0;
    int code = journal_scan(f->disk, &start, &found, &f->err);
    if (code != 0) {
        assert_int_equal(f->err.code, code);
        return code;
    }
    uint64_t last = found.sequence;
    assert_int_equal(found.group_count, last - 10);
    journal_scan_free(&found);
    return (int64_t)last;
}

TEST(journal_recover, accepts_the_chain_over_slots)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 10));
    put(&f, 1, 0, own(13, 12));
    assert_int_equal(scan(&f, 5, OWN), 13);
    tear_down(&f);
}

TEST(journal_recover, discards_a_torn_tail_with_whole_groups_behind_it)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 10));
    put(&f, 0, 2, own(13, 11)); /* in flight together with 12 */
    damage(&f, 0, 1);
    assert_int_equal(scan(&f, 5, OWN), 11);
    tear_down(&f);
}

TEST(journal_recover, refuses_a_hole_below_the_durable_end)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 11));
    put(&f, 0, 2, own(13, 12)); /* proves that 12 was durable */
    damage(&f, 0, 1);
    assert_int_equal(scan(&f, 5, OWN), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(f.err.text, "group 12"));
    tear_down(&f);
}

TEST(journal_recover, refuses_a_lost_last_group_that_the_mark_knows)
{
    struct fixture f;
    uint8_t mark[BLOCK] = {0};
    int fd = -1;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 11));
    el_mark_put(mark, 0, OWN, 12);
    assert_int_equal(disk_open(f.disk, "journal/0000/mark", DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(disk_pwrite(f.disk, fd, mark, sizeof(mark), BLOCK), 0);
    assert_int_equal(scan(&f, 5, OWN), 12);
    damage(&f, 0, 1);
    assert_int_equal(scan(&f, 5, OWN), EVLOG_ERR_CORRUPT);
    sim_disk_fault_set(f.sim, FAULT_READ_ERROR, SIM_PPM);
    assert_int_equal(scan(&f, 5, OWN), EVLOG_ERR_IO); /* a mark that cannot be read is not a missing one */
    tear_down(&f);
}

TEST(journal_recover, a_later_start_voids_what_it_did_not_accept)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 10)); /* whole again, though the start after it found it torn */
    put(&f, 0, 2, own(13, 10));
    put(&f, 1, 0, child(12, 11, 11));
    put(&f, 1, 1, child(13, 11, 12));
    assert_int_equal(scan(&f, 6, CHILD), 13);
    damage(&f, 1, 1); /* the torn tail of the child: nothing of the parent may take its place */
    assert_int_equal(scan(&f, 6, CHILD), 12);
    tear_down(&f);
}

TEST(journal_recover, refuses_when_a_later_start_went_on_beyond)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 1, 0, child(13, 12, 12)); /* accepted 12 from its parent; 12 is gone */
    assert_int_equal(scan(&f, 6, CHILD), EVLOG_ERR_CORRUPT);
    tear_down(&f);
}

/* A record may hold what looks like a group, and lie where a slot is read block by block. */
TEST(journal_recover, bytes_of_a_client_prove_nothing)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    struct el_group_header forged = {.incarnation = FORGED, .sequence = 1000, .durable_through = 999, .boot = 1u << 30};
    put(&f, 0, 3, forged);
    forged.parent_incarnation = FORGED + 1;
    forged.parent_sequence = 500;
    put(&f, 0, 5, forged);
    assert_int_equal(scan(&f, 5, OWN), 11);
    tear_down(&f);
}

TEST(journal_recover, a_newer_format_counts_at_the_front_of_a_slot_only)
{
    struct fixture f;
    uint8_t newer[BLOCK] = {0};
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    memcpy(newer, "EVLOGGRP", 8);
    newer[8] = 2;
    assert_int_equal(disk_pwrite(f.disk, f.slots[0], newer, sizeof(newer), 4 * BLOCK), 0);
    assert_int_equal(scan(&f, 5, OWN), 11); /* a client may have made it */
    assert_int_equal(disk_pwrite(f.disk, f.slots[1], newer, sizeof(newer), 0), 0);
    assert_int_equal(scan(&f, 5, OWN), EVLOG_ERR_FORMAT);
    tear_down(&f);
}

TEST(journal_recover, refuses_the_journal_of_a_newer_node_file)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    assert_int_equal(scan(&f, 4, 555), EVLOG_ERR_CONFLICT);
    assert_int_equal(scan(&f, 5, 555), EVLOG_ERR_CONFLICT); /* another start with this number */
    tear_down(&f);
}

TEST(journal_recover, a_group_in_the_wrong_place_does_not_count)
{
    struct fixture f;
    set_up(&f);
    put(&f, 0, 0, own(11, 10));
    put(&f, 0, 1, own(12, 10));
    uint8_t moved[BLOCK];
    size_t done = 0;
    assert_int_equal(disk_pread(f.disk, f.slots[0], moved, BLOCK, BLOCK, &done), 0);
    assert_int_equal(disk_pwrite(f.disk, f.slots[1], moved, BLOCK, 0), 0);
    damage(&f, 0, 1);
    assert_int_equal(scan(&f, 5, OWN), 11);
    tear_down(&f);
}

/* Whether it links to what was there or not: neither its events nor ours would be right. Behind the front of a slot a
 * client may have made it up. */
TEST(journal_recover, a_journal_of_another_node_is_refused)
{
    struct fixture f;
    set_up(&f);
    struct el_group_header stranger = {.incarnation = 77, .sequence = 1, .boot = 1, .node_tag = 4711};
    put(&f, 0, 0, own(11, 10));
    put(&f, 1, 3, stranger);
    assert_int_equal(scan(&f, 5, OWN), 11);
    put(&f, 1, 0, stranger);
    assert_int_equal(scan(&f, 5, OWN), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(f.err.text, "another node"));
    tear_down(&f);
}
