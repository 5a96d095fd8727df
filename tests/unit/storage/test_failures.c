/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a failed call stops the shard where it must and nowhere else, and nothing that was asked for stays without an
 * answer. Method: a store on the simulated machine, and one call that is made to fail.
 */
#include "kit.h"
#include <stdio.h>
#include <stdlib.h>
#include <storage/upkeep.h>

static bool is_stopped(struct kit *k)
{
    return world_failed_shard(&k->w);
}

TEST(failures, a_failed_segment_sync_stops_the_shard_and_loses_nothing)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct kit k;
        kit_init(&k, seed);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        kit_append_many(&k, 0, 3000, 20);
        kit_steps(&k, 500);
        kit_shard(&k)->checkpoint.wanted = true;
        sim_disk_fail_next(k.w.disk, SIM_SYNC, EVLOG_ERR_IO);
        kit_steps(&k, 2000);
        assert_true(is_stopped(&k));
        assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_STORAGE);
        kit_read_all(&k, 0, 0, 20);
        kit_crash(&k);
        assert_int_equal(kit_open(&k), 0);
        kit_read_all(&k, 0, 0, 20);
        kit_free(&k);
    }
}

/* Delayed allocation: the blocks are looked for at the sync. The kernel has dropped the bytes, a second sync of them
 * would succeed. */
TEST(failures, a_segment_sync_without_space_is_no_full_disk)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct kit k;
        kit_init(&k, seed);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        kit_append_many(&k, 0, 3000, 20);
        kit_steps(&k, 500);
        kit_shard(&k)->checkpoint.wanted = true;
        sim_disk_fail_next(k.w.disk, SIM_SYNC, EVLOG_ERR_NO_SPACE);
        for (int i = 0; i < 40 && !is_stopped(&k); i++) {
            kit_steps(&k, 200);
        }
        assert_true(is_stopped(&k));
        kit_crash(&k);
        assert_int_equal(kit_open(&k), 0);
        kit_read_all(&k, 0, 0, 20);
        kit_free(&k);
    }
}

TEST(failures, a_rename_without_space_is_tried_again)
{
    struct kit k;
    kit_init(&k, 3);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 20);
    sim_disk_fail_next(k.w.disk, SIM_RENAME, EVLOG_ERR_NO_SPACE);
    assert_true(kit_checkpoint(&k));
    assert_false(is_stopped(&k));
    assert_int_equal(kit_append(&k, 0, 10), 20);
    kit_free(&k);
}

TEST(failures, a_rename_that_fails_otherwise_stops_the_shard)
{
    struct kit k;
    kit_init(&k, 3);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 20);
    sim_disk_fail_next(k.w.disk, SIM_RENAME, EVLOG_ERR_IO);
    assert_false(kit_checkpoint(&k));
    assert_true(is_stopped(&k));
    kit_free(&k);
}

/* The chunk that fails has others of its partition behind it: they must not be written behind the hole. */
TEST(failures, chunks_behind_a_failed_one_are_given_up)
{
    struct kit k;
    kit_init(&k, 5);
    k.w.cfg.chunk_len = 1u << 20;
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 60);
    kit_shard(&k)->store->cfg.chunk_len = 4096;
    kit_shard(&k)->checkpoint.wanted = true;
    kit_steps(&k, 1);
    assert_true(kit_shard(&k)->chunk_jobs > 2);
    sim_disk_fail_next(k.w.disk, SIM_PWRITEV, EVLOG_ERR_IO);
    kit_steps(&k, 2000);
    assert_true(is_stopped(&k));
    assert_int_equal(kit_shard(&k)->chunk_jobs, 0);
    kit_read_all(&k, 0, 0, 60);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, 60);
    kit_free(&k);
}

static void fill_disk(struct kit *k)
{
    sim_disk_capacity(k->w.disk, 1);
}

static void free_disk(struct kit *k)
{
    sim_disk_capacity(k->w.disk, 0);
}

TEST(failures, a_full_disk_delays_and_service_resumes)
{
    struct kit k;
    kit_init(&k, 6);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 19);
    int64_t stored = kit_append_as(&k, 0, 10, 7, 0);
    assert_int_equal(stored, 19);
    kit_steps(&k, 3000);
    fill_disk(&k);
    kit_shard(&k)->checkpoint.wanted = true;
    kit_steps(&k, 3000);
    assert_false(is_stopped(&k));
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_FULL);
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 0), stored); /* a retry of what was taken before */
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 2), EVLOG_ERR_SEQUENCE);
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 1), EVLOG_ERR_FULL);
    kit_read_all(&k, 0, 0, 20);
    free_disk(&k);
    assert_true(kit_checkpoint(&k));
    while (kit_shard(&k)->disk_full) { /* looked at every second */
        kit_steps(&k, 1);
    }
    assert_int_equal(kit_append(&k, 0, 10), 20);
    kit_read_all(&k, 0, 0, 21);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, 21);
    kit_free(&k);
}

static void on_reserved(struct store_op *base)
{
    *(bool *)base->arg = true;
}

/* Append what may use the reserve, and wait until the clock says so. returns its error; 1: it still waits */
static int append_reserved(struct kit *k, struct append_op *op, bool *done, uint64_t ns)
{
    uint64_t until_ns = k->w.clock.now_ns + ns;
    *done = false;
    kit_batch(k, op, 0, 3000);
    op->base.done = on_reserved;
    op->base.arg = done;
    op->reserved = true;
    store_append(kit_shard(k), op);
    while (!*done && k->w.clock.now_ns < until_ns) {
        kit_steps(k, 1);
    }
    return *done ? op->base.error : 1;
}

/* Who makes room must know that there is none: it asks for a record of that first. */
TEST(failures, what_may_use_the_reserve_is_refused_when_that_is_used_up)
{
    static struct append_op op;
    struct kit k;
    bool done;
    int error = 0;
    kit_init(&k, 11);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 19);
    fill_disk(&k);
    kit_shard(&k)->checkpoint.wanted = true;
    kit_steps(&k, 3000);
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_FULL);
    int64_t taken = 19;
    for (int i = 0; i < 1000 && error == 0; i++) {
        memset(&op, 0, sizeof op);
        error = append_reserved(&k, &op, &done, 60000000000u);
        taken += error == 0;
        free((void *)(uintptr_t)op.batch);
    }
    assert_int_equal(error, EVLOG_ERR_FULL);
    assert_true(taken > 19); /* the reserve is more than nothing */
    kit_read_all(&k, 0, 0, taken);
    free_disk(&k);
    assert_true(kit_checkpoint(&k));
    memset(&op, 0, sizeof op);
    assert_int_equal(append_reserved(&k, &op, &done, 60000000000u), 0);
    free((void *)(uintptr_t)op.batch);
    kit_read_all(&k, 0, 0, taken + 1); /* what was refused is not there */
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, taken + 1);
    kit_free(&k);
}

/* A chunk waits for space, and its topic is deleted: only then can there be space. */
TEST(failures, on_a_full_disk_a_deleted_topic_gives_back_its_files)
{
    struct kit k;
    kit_init(&k, 7);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 20);
    assert_true(kit_checkpoint(&k));
    assert_true(kit_files(&k, ".seg") > 0);
    kit_append_many(&k, 0, 1000, 3);
    fill_disk(&k);
    kit_shard(&k)->checkpoint.wanted = true;
    kit_steps(&k, 300);
    assert_true(kit_shard(&k)->chunks_waiting > 0);
    assert_int_equal(kit_topic_delete(&k), 0);
    for (int i = 0; i < 100000 && kit_shard(&k)->chunk_jobs > 0; i++) {
        kit_steps(&k, 1);
    }
    assert_int_equal(kit_shard(&k)->chunk_jobs, 0);
    free_disk(&k);
    kit_steps(&k, 100);
    assert_int_equal(kit_files(&k, ".seg"), 0);
    kit_crash(&k); /* their removal may be undone */
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_files(&k, ".seg"), 0);
    kit_free(&k);
}

/* Chunks of one partition run one after the other. One that is planned later for another partition may end between
 * them, and must not be taken for the one that a checkpoint waits for. */
TEST(failures, a_checkpoint_waits_for_every_chunk_of_its_plan)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct kit k;
        kit_init(&k, seed);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 2, "segment.bytes=65536");
        struct checkpoint *c = &kit_shard(&k)->checkpoint;
        kit_append_many(&k, 0, 3000, 40);
        c->wanted = true;
        for (int i = 0; i < 2000 && c->state != CHECKPOINT_CHUNKS; i++) {
            kit_steps(&k, 1);
        }
        struct partition *other = partition_find(kit_shard(&k), &k.topic, 1);
        kit_append_many(&k, 1, 3000, 20);
        bool overtook = false;
        while (c->state == CHECKPOINT_CHUNKS) {
            kit_steps(&k, 1);
            overtook = overtook || !el_list_empty(&other->segments);
        }
        for (int i = 0; i < 5000 && c->sequence == 0; i++) {
            kit_steps(&k, 1);
        }
        assert_true(c->sequence > 0);
        kit_crash(&k);
        assert_int_equal(kit_open(&k), 0);
        kit_read_all(&k, 0, 0, 40);
        kit_read_all(&k, 1, 0, 20);
        kit_free(&k);
    }
}

/* A plan that was put off may have left its wait in a journal that cannot go on. */
TEST(failures, a_checkpoint_that_was_put_off_waits_for_its_journal)
{
    struct kit k;
    kit_init(&k, 9);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 3000, 20);
    kit_steps(&k, 500);
    struct store_shard *shard = kit_shard(&k);
    struct jgroup blocker = {0}; /* as if a group waited for a slot */
    el_list_init(&blocker.waiters);
    el_list_push_back(&shard->journal.flight, &blocker.link);
    shard->journal.flight_count = 2;
    shard->checkpoint.wanted = true;
    sim_disk_fail_next(k.w.disk, SIM_PWRITEV, EVLOG_ERR_NO_SPACE); /* of the checkpoint file: no chunk is pending */
    kit_steps(&k, 3000);
    uint32_t waits = 0;
    EL_LIST_EACH(n, &blocker.waiters) {
        assert_true(++waits < 10);
    }
    assert_true(waits <= 1);
    el_list_remove(&blocker.link);
    shard->journal.flight_count = 0;
    for (struct el_list *n; (n = el_list_pop_front(&blocker.waiters)) != NULL;) {
        struct journal_wait *wait = EL_CONTAINER(n, struct journal_wait, link);
        wait->done(wait, 0);
    }
    assert_true(kit_checkpoint(&k));
    kit_free(&k);
}

struct two_watches {
    struct watch_op op[2];
    int told;
};

static void on_watch(struct store_op *op)
{
    struct two_watches *t = op->arg;
    t->told++;
    store_watch_cancel(&t->op[op == &t->op[0].base]); /* a fetch that has something ends its other watches */
}

TEST(failures, a_watch_that_fires_may_cancel_its_neighbour)
{
    struct kit k;
    kit_init(&k, 10);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    struct two_watches t = {0};
    for (int i = 0; i < 2; i++) {
        t.op[i] = (struct watch_op){.base = {.done = on_watch, .arg = &t}, .topic_id = k.topic};
        store_watch(kit_shard(&k), &t.op[i]);
    }
    assert_int_equal(kit_append(&k, 0, 10), 0);
    assert_int_equal(t.told, 2);
    assert_int_equal(kit_append(&k, 0, 10), 1);
    kit_free(&k);
}

TEST(failures, a_stop_with_work_in_flight_ends_and_keeps_what_was_answered)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct kit k;
        kit_init(&k, seed);
        assert_int_equal(kit_open(&k), 0);
        kit_topic(&k, 1, "");
        kit_append_many(&k, 0, 3000, 40);
        kit_stop(&k); /* chunks are still to be written */
        assert_int_equal(kit_open(&k), 0);
        kit_read_all(&k, 0, 0, 40);
        assert_int_equal(kit_append(&k, 0, 10), 40);
        kit_free(&k);
    }
}

TEST(failures, a_catalogue_that_memory_cannot_hold_is_refused)
{
    struct kit k;
    kit_init(&k, 11);
    assert_int_equal(kit_open(&k), 0);
    bool refused = false;
    for (int i = 0; i < 40 && !refused; i++) {
        char name[16];
        snprintf(name, sizeof(name), "big%d", i);
        struct topic_op op = {.verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = 1000};
        refused = kit_topic_change(&k, &op) == EVLOG_ERR_POLICY;
    }
    assert_true(refused);
    assert_false(is_stopped(&k));
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0); /* what was taken fits again */
    kit_free(&k);
}

static void on_end(struct store_op *op)
{
    bool *ended = op->arg;
    *ended = true;
}

/* Its batch is longer than the first block that is read, so that it would be read once more. */
TEST(failures, a_read_of_a_topic_that_is_deleted_meanwhile_says_so)
{
    struct kit k;
    bool ended = false;
    kit_init(&k, 60);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 50000), 0);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0); /* with nothing of it in memory */
    struct read_op op = {.base = {.done = on_end, .arg = &ended},
                         .topic_id = k.topic,
                         .max_bytes = 1,
                         .at_least_one = true,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(&k), &op);
    assert_false(ended); /* a job reads the segment */
    partition_delete(partition_find(kit_shard(&k), &k.topic, 0));
    for (int i = 0; i < 10000 && !ended; i++) {
        kit_steps(&k, 1);
    }
    assert_true(ended);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    store_read_release(&op);
    kit_free(&k);
}

TEST(failures, a_full_disk_on_one_shard_does_not_hide_another_that_stopped)
{
    struct kit k;
    kit_init(&k, 12);
    k.w.shard_count = k.w.cfg.shard_count = 2;
    assert_int_equal(kit_open(&k), 0);
    upkeep_set_full(kit_shard(&k), true);
    assert_non_null(strstr(store_not_ready_reason(k.w.store), "full"));
    shard_fail(store_shard_at(k.w.store, 1), "made to fail");
    assert_string_equal(store_not_ready_reason(k.w.store), "made to fail");
    kit_free(&k);
}

static void on_done(struct store_op *op)
{
    *(bool *)op->arg = true;
}

TEST(failures, a_journal_write_is_seen_from_its_begin_to_its_end)
{
    struct kit k;
    struct append_op op;
    bool done = false;
    uint32_t shard = 77;
    kit_init(&k, 13);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 100, 3);
    assert_int_equal(store_flush_since_ns(k.w.store, &shard), 0);
    assert_int_equal(shard, 77);
    kit_batch(&k, &op, 0, 100);
    op.base.done = on_done;
    op.base.arg = &done;
    store_append(kit_shard(&k), &op);
    uint64_t since_ns = 0;
    for (int i = 0; i < 10000 && !done; i++) {
        uint64_t now_ns = store_flush_since_ns(k.w.store, &shard);
        assert_true(since_ns == 0 || now_ns == since_ns); /* one write, begun once */
        since_ns = now_ns;
        kit_steps(&k, 1);
    }
    assert_true(done);
    assert_true(since_ns > 0);
    assert_int_equal(shard, 0);
    assert_int_equal(store_flush_since_ns(k.w.store, &shard), 0);
    free((void *)(uintptr_t)op.batch);
    kit_free(&k);
}
