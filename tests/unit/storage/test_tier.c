/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: under an archive nothing leaves the disk and nothing is compacted before the archive has it; events that wait
 * for the archive are neither acknowledged nor shown before; without an archive nothing is different. Method: a store
 * on the simulated machine and an archive that the test moves.
 */
#include "kit.h"

#include <stdlib.h>

struct fake {
    struct store_tier tier;
    uint32_t changes, deletes;
    struct partition *last;
};

static void fake_changed(void *arg, struct partition *part)
{
    struct fake *f = arg;
    struct tier_view view;
    store_tier_view(part, &view);
    f->changes += !view.deleted;
    f->deletes += view.deleted;
    f->last = part;
}

static void fake_read(void *arg, struct tier_read *read)
{
    (void)arg;
    (void)read;
    fail_msg("nobody reads");
}

static void fake_open(struct kit *k, struct fake *f)
{
    *f = (struct fake){.tier = {fake_changed, fake_read, f}};
    assert_int_equal(kit_open(k), 0);
    store_tier_set(kit_shard(k), &f->tier);
}

static struct partition *part_of(struct kit *k)
{
    struct partition *part = store_tier_find(kit_shard(k), &k->topic, 0);
    assert_non_null(part);
    return part;
}

static struct tier_view view_of(struct kit *k)
{
    struct tier_view view;
    store_tier_view(part_of(k), &view);
    return view;
}

static void pass(struct kit *k, uint64_t seconds)
{
    uint64_t end = k->w.clock.now_ns + seconds * 1000000000;
    while (k->w.clock.now_ns < end) {
        kit_steps(k, 1);
    }
}

/* An append that is not waited for. */
struct sent {
    struct append_op op;
    bool done;
};

static void on_sent(struct store_op *op)
{
    struct sent *sent = op->arg;
    sent->done = true;
}

static void submit_as(struct kit *k, struct sent *sent, int32_t sequence)
{
    struct append_op op;
    kit_batch_as(k, &op, 0, 100, sequence < 0 ? -1 : 7, sequence);
    *sent = (struct sent){.op = op};
    sent->op.base.done = on_sent;
    sent->op.base.arg = sent;
    store_append(kit_shard(k), &sent->op);
}

static void submit(struct kit *k, struct sent *sent)
{
    submit_as(k, sent, -1);
}

/* The same batch, as a client sends it again. */
static void submit_again(struct kit *k, struct sent *again, const struct sent *sent)
{
    *again = (struct sent){.op = {.base = {.done = on_sent, .arg = again},
                                  .topic_id = sent->op.topic_id,
                                  .batch = sent->op.batch,
                                  .batch_len = sent->op.batch_len,
                                  .info = sent->op.info}};
    store_append(kit_shard(k), &again->op);
}

static void sent_free(struct sent *sent)
{
    free((void *)(uintptr_t)sent->op.batch);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

static int topic_with(struct kit *k, const char *durability, struct topic_op *op)
{
    static struct topic_config config;
    topic_config_init(&config);
    assert_int_equal(topic_config_set(&config, el_slice_str("evlog.durability"), el_slice_str(durability), NULL), 0);
    *op = (struct topic_op){.verb = TOPIC_CREATE, .name = el_slice_str("s"), .partition_count = 1, .config = &config};
    int code = kit_topic_change(k, op);
    k->topic = op->id;
    return code;
}

TEST(tier, a_topic_that_waits_for_an_archive_needs_one)
{
    struct kit k;
    struct topic_op op;
    kit_init(&k, 300);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(topic_with(&k, "store", &op), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(op.message, "--archive"));
    assert_int_equal(topic_with(&k, "both", &op), EVLOG_ERR_INVALID_CONFIG);
    kit_topic(&k, 1, "");
    op.verb = TOPIC_ALTER;
    op.id = k.topic;
    assert_int_equal(kit_topic_change(&k, &op), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(kit_append(&k, 0, 10), 0);
    kit_free(&k);
}

TEST(tier, without_its_archive_such_a_topic_is_read_and_not_written)
{
    struct kit k;
    struct fake f;
    struct sent sent;
    kit_init(&k, 301);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent);
    kit_steps(&k, 300);
    assert_false(sent.done);
    kit_crash(&k);
    sent_free(&sent);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_POLICY);
    kit_read_all(&k, 0, 0, 1);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 10), 0);
    kit_free(&k);
}

TEST(tier, takes_no_appends_where_the_archive_has_something_else)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 302);
    fake_open(&k, &f);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 10), 0);
    store_tier_refuse(part_of(&k));
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_CONFLICT);
    kit_read_all(&k, 0, 0, 1);
    kit_free(&k);
}

TEST(tier, takes_no_appends_that_an_archive_would_never_get)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 303);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    store_tier_ended(kit_shard(&k));
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_POLICY);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 10), 0);
    kit_free(&k);
}

/* --- marks and news ----------------------------------------------------------------------------------------------- */

TEST(tier, tells_of_what_is_new_once_until_it_is_settled)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 303);
    fake_open(&k, &f);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 100, 3);
    assert_int_equal(f.changes, 2); /* of the new topic, and of the catalogue that has it */
    assert_ptr_equal(f.last, part_of(&k));
    store_tier_settled(part_of(&k));
    kit_append_many(&k, 0, 100, 3);
    assert_int_equal(f.changes, 3);
    kit_append_many(&k, 0, 100, 3);
    assert_int_equal(f.changes, 3);
    assert_ptr_equal(f.last, part_of(&k));
    struct tier_view view = view_of(&k);
    assert_int_equal(view.archived_end, -1);
    assert_int_equal(view.durable_end, 9);
    assert_int_equal(view.local_start, 0);
    assert_false(view.awaited);
    *store_tier_state(part_of(&k)) = &f;
    assert_int_equal(kit_topic_delete(&k), 0);
    assert_int_equal(f.deletes, 1);
    kit_free(&k);
}

TEST(tier, finds_each_partition_once)
{
    struct kit k;
    struct fake f;
    size_t cursor = 0;
    uint32_t count = 0;
    kit_init(&k, 304);
    fake_open(&k, &f);
    kit_topic(&k, 3, "");
    for (struct partition *part; (part = store_tier_next(kit_shard(&k), &cursor)) != NULL; count++) {
        assert_non_null(*store_tier_state(part) == NULL ? part : NULL);
        *store_tier_state(part) = &f;
    }
    assert_int_equal(count, 4); /* and the catalogue's */
    assert_null(store_tier_find(kit_shard(&k), &k.topic, 3));
    kit_free(&k);
}

/* --- floors ------------------------------------------------------------------------------------------------------- */

TEST(tier, retention_waits_for_the_archive)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 305);
    fake_open(&k, &f);
    kit_topic(&k, 1, "segment.bytes=65536 retention.ms=1000");
    for (int i = 0; i < 6; i++) {
        kit_append_many(&k, 0, 3000, 10);
        assert_true(kit_checkpoint(&k));
    }
    pass(&k, 30);
    assert_int_equal(kit_lookup(&k, 0, -2), 0);
    store_tier_archived(part_of(&k), 40, 0);
    pass(&k, 30);
    assert_int_equal(kit_lookup(&k, 0, -2), 0); /* it has them, but what it has of them is still to be made */
    store_tier_archived(part_of(&k), 60, 41);
    pass(&k, 30);
    assert_int_equal(kit_lookup(&k, 0, -2), 41);
    store_tier_archived(part_of(&k), 60, 60);
    pass(&k, 30);
    assert_int_equal(kit_lookup(&k, 0, -2), 60);
    kit_free(&k);
}

TEST(tier, a_client_may_delete_what_is_not_archived)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 306);
    fake_open(&k, &f);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 100, 10);
    struct trim_op op = {.base = {.done = on_sent, .arg = NULL}, .topic_id = k.topic, .offset = 7};
    struct sent flag = {0};
    op.base.arg = &flag;
    store_trim(kit_shard(&k), &op);
    for (uint32_t i = 0; i < 2000 && !flag.done; i++) {
        kit_steps(&k, 1);
    }
    assert_int_equal(op.base.error, 0);
    assert_int_equal(op.log_start_offset, 7);
    store_tier_archived(part_of(&k), 7, 7);
    kit_read_all(&k, 0, 7, 10);
    kit_free(&k);
}

TEST(tier, compaction_waits_for_the_archive)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 307);
    fake_open(&k, &f);
    kit_topic(&k, 1, "segment.bytes=65536 cleanup.policy=compact min.cleanable.dirty.ratio=0 segment.ms=1000");
    for (int i = 0; i < 6; i++) {
        kit_append_many(&k, 0, 3000, 10); /* without keys: each may go but the last of its segments */
        assert_true(kit_checkpoint(&k));
    }
    pass(&k, 30);
    assert_int_equal(part_of(&k)->clean_end, 0);
    store_tier_archived(part_of(&k), 60, 25);
    pass(&k, 30);
    int64_t clean_end = part_of(&k)->clean_end;
    assert_true(clean_end > 0);
    assert_true(clean_end <= 25);
    store_tier_archived(part_of(&k), 60, 60);
    pass(&k, 30);
    assert_true(part_of(&k)->clean_end > clean_end);
    kit_free(&k);
}

/* --- durability --------------------------------------------------------------------------------------------------- */

TEST(tier, an_append_that_waits_for_the_archive_is_answered_and_shown_when_it_has_it)
{
    struct kit k;
    struct fake f;
    struct sent sent[3];
    kit_init(&k, 308);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=both");
    for (int i = 0; i < 3; i++) {
        submit(&k, &sent[i]);
    }
    kit_steps(&k, 500);
    struct tier_view view = view_of(&k);
    assert_int_equal(view.durable_end, 3);
    assert_true(view.awaited);
    assert_false(sent[0].done);
    assert_int_equal(kit_lookup(&k, 0, -1), EVLOG_ERR_ARCHIVE); /* it has not said yet how far it goes */
    assert_int_equal(kit_read(&k, 0, 0), EVLOG_ERR_ARCHIVE);
    store_tier_archived(part_of(&k), 0, 0);
    assert_int_equal(kit_lookup(&k, 0, -1), 0);
    assert_int_equal(kit_read(&k, 0, 0), 0); /* nothing */
    store_tier_archived(part_of(&k), 2, 0);
    assert_true(sent[0].done);
    assert_true(sent[1].done);
    assert_false(sent[2].done);
    assert_int_equal(sent[1].op.base_offset, 1);
    assert_int_equal(kit_lookup(&k, 0, -1), 2);
    kit_read_all(&k, 0, 0, 2);
    store_tier_archived(part_of(&k), 3, 3);
    assert_true(sent[2].done);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sent[i].op.base.error, 0);
        sent_free(&sent[i]);
    }
    kit_free(&k);
}

TEST(tier, the_archiver_reads_what_nobody_is_shown_yet)
{
    struct kit k;
    struct fake f;
    struct sent sent, read = {0};
    kit_init(&k, 309);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent);
    kit_steps(&k, 500);
    struct read_op op = {.base = {.done = on_sent, .arg = &read},
                         .topic_id = k.topic,
                         .max_bytes = 1u << 20,
                         .want_entries = true,
                         .for_archive = true,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(&k), &op);
    assert_true(read.done);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(op.entry_count, 1);
    assert_int_equal(op.next_offset, 1);
    store_read_release(&op);
    kit_crash(&k);
    sent_free(&sent);
    kit_free(&k);
}

TEST(tier, a_duplicate_waits_for_the_archive_as_its_first_did)
{
    struct kit k;
    struct fake f;
    struct sent first, again, later;
    kit_init(&k, 310);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit_as(&k, &first, 0);
    kit_steps(&k, 500);
    submit_as(&k, &later, 1);
    submit_again(&k, &again, &first);
    kit_steps(&k, 500);
    assert_false(first.done || again.done || later.done);
    store_tier_archived(part_of(&k), 1, 0);
    assert_true(first.done);
    assert_true(again.done);
    assert_true(again.op.duplicate);
    assert_int_equal(again.op.base_offset, 0);
    assert_false(later.done);
    submit_again(&k, &again, &later);
    kit_crash(&k);
    fake_open(&k, &f); /* nobody remembers when the group of a duplicate was durable */
    submit_again(&k, &again, &later);
    kit_steps(&k, 500);
    assert_false(again.done);
    store_tier_archived(part_of(&k), 2, 0);
    assert_true(again.done);
    assert_true(again.op.duplicate);
    sent_free(&first);
    sent_free(&later);
    kit_free(&k);
}

TEST(tier, a_start_shows_nothing_that_the_archive_has_not_confirmed)
{
    struct kit k;
    struct fake f;
    struct sent sent[2];
    kit_init(&k, 311);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent[0]);
    submit(&k, &sent[1]);
    kit_steps(&k, 500);
    store_tier_archived(part_of(&k), 1, 0);
    assert_true(sent[0].done);
    kit_crash(&k);
    sent_free(&sent[0]);
    sent_free(&sent[1]);
    fake_open(&k, &f);
    assert_int_equal(view_of(&k).durable_end, 2);
    assert_int_equal(part_of(&k)->high_watermark, 0);
    store_tier_archived(part_of(&k), 1, 0);
    assert_int_equal(kit_lookup(&k, 0, -1), 1);
    store_tier_archived(part_of(&k), 2, 2);
    kit_read_all(&k, 0, 0, 2);
    kit_free(&k);
}

TEST(tier, nobody_waits_for_the_archive_longer_than_was_asked)
{
    struct kit k;
    struct fake f;
    struct sent sent;
    struct append_op op;
    kit_init(&k, 312);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    kit_batch(&k, &op, 0, 100);
    sent = (struct sent){.op = op};
    sent.op.base.done = on_sent;
    sent.op.base.arg = &sent;
    sent.op.wait_by_ns = k.w.clock.now_ns + 2000000000;
    store_append(kit_shard(&k), &sent.op);
    pass(&k, 1);
    assert_false(sent.done);
    pass(&k, 2);
    assert_true(sent.done);
    assert_int_equal(sent.op.base.error, EVLOG_ERR_TIMED_OUT);
    sent_free(&sent);
    kit_free(&k);
}

TEST(tier, a_stop_and_a_deletion_end_what_waits)
{
    struct kit k;
    struct fake f;
    struct sent sent[2];
    kit_init(&k, 313);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent[0]);
    kit_steps(&k, 500);
    assert_int_equal(kit_topic_delete(&k), 0);
    assert_true(sent[0].done);
    assert_int_equal(sent[0].op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent[1]);
    kit_steps(&k, 500);
    kit_stop(&k);
    assert_true(sent[1].done);
    assert_int_equal(sent[1].op.base.error, EVLOG_ERR_CLOSED);
    sent_free(&sent[0]);
    sent_free(&sent[1]);
    kit_free(&k);
}

TEST(tier, who_no_longer_waits_for_the_archive_is_answered_at_once)
{
    struct kit k;
    struct fake f;
    struct sent sent;
    kit_init(&k, 314);
    fake_open(&k, &f);
    kit_topic(&k, 1, "evlog.durability=store");
    submit(&k, &sent);
    kit_steps(&k, 500);
    assert_false(sent.done);
    struct topic_config config;
    topic_config_init(&config);
    struct topic_op op = {.verb = TOPIC_ALTER, .id = k.topic, .config = &config};
    assert_int_equal(kit_topic_change(&k, &op), 0);
    assert_true(sent.done);
    assert_int_equal(sent.op.base.error, 0);
    assert_int_equal(kit_lookup(&k, 0, -1), 1);
    sent_free(&sent);
    kit_free(&k);
}
