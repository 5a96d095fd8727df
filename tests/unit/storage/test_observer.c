/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an observer of a partition decides what is appended, its refusals leave nothing behind, what it holds keeps its
 * order, and the log start stays below its floor. Method: a store on the simulated machine with an observer that says
 * what the test tells it to.
 */
#include "kit.h"

#include <stdlib.h>

#define OPS_MAX 8u

struct fake {
    struct store_observer observer;
    int verdict;   /* of admit() */
    int64_t cited; /* base offset that STORE_ANSWERED tells */
    bool waits;    /* what is told must be durable */
    int64_t floor;
    uint32_t admits, undos, ends, deletes, raises;
    int last_end;
    int64_t admitted_at; /* next offset at the last admit */
    struct kit *kit;
};

static int fake_admit(void *arg, struct partition *part, struct append_op *op)
{
    struct fake *f = arg;
    f->admits++;
    f->admitted_at = store_observed_next_offset(part);
    if (f->verdict == STORE_ANSWERED) {
        op->base_offset = f->cited;
    }
    op->sequence = f->waits ? store_last_sequence(kit_shard(f->kit)) : 0;
    return f->verdict;
}

static void fake_undo(void *arg, struct partition *part, struct append_op *op)
{
    struct fake *f = arg;
    (void)part;
    (void)op;
    f->undos++;
}

static void fake_ended(void *arg, struct partition *part, struct append_op *op, int error)
{
    struct fake *f = arg;
    (void)part;
    (void)op;
    f->ends++;
    f->last_end = error;
}

static void fake_deleted(void *arg, struct partition *part)
{
    struct fake *f = arg;
    assert_ptr_equal(*store_observed_state(part), f);
    f->deletes++;
}

static int64_t fake_floor(void *arg, struct partition *part)
{
    struct fake *f = arg;
    (void)part;
    return f->floor;
}

static int fake_raise(void *arg, struct partition *part, int64_t offset)
{
    struct fake *f = arg;
    (void)part;
    (void)offset;
    f->raises++;
    return 0;
}

static struct partition *part_of(struct kit *k, int32_t number)
{
    struct partition *part = store_observed_find(kit_shard(k), &k->topic, number);
    assert_non_null(part);
    return part;
}

static void fake_open(struct kit *k, struct fake *f, const char *settings)
{
    *f = (struct fake){.observer = {fake_admit, fake_undo, fake_ended, fake_deleted, fake_floor, fake_raise, f},
                       .floor = INT64_MAX,
                       .kit = k};
    assert_int_equal(kit_open(k), 0);
    store_observe(kit_shard(k), &f->observer);
    if (settings != NULL) {
        kit_topic(k, 2, settings);
        *store_observed_state(part_of(k, 0)) = f;
        *store_observed_state(part_of(k, 1)) = f;
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

static void submit(struct kit *k, struct sent *sent, int32_t partition, uint32_t value_len)
{
    struct append_op op;
    kit_batch(k, &op, partition, value_len);
    *sent = (struct sent){.op = op};
    sent->op.base.done = on_sent;
    sent->op.base.arg = sent;
    store_append(kit_shard(k), &sent->op);
}

static void sent_free(struct sent *sent)
{
    assert_true(sent->done);
    free((void *)(uintptr_t)sent->op.batch);
}

TEST(observer, refuses_and_nothing_is_stored)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 71);
    fake_open(&k, &f, "evlog.streams=true");
    f.verdict = EVLOG_ERR_CONFLICT;
    assert_int_equal(kit_append(&k, 0, 10), EVLOG_ERR_CONFLICT);
    assert_int_equal(f.admits, 1);
    assert_int_equal(f.undos, 0);
    assert_int_equal(f.ends, 1);
    assert_int_equal(f.last_end, EVLOG_ERR_CONFLICT);
    f.verdict = STORE_ADMITTED;
    assert_int_equal(kit_append(&k, 0, 10), 0); /* the refused one has no offset */
    assert_int_equal(f.last_end, 0);
    kit_free(&k);
}

TEST(observer, is_asked_of_topics_with_streams_only)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 72);
    fake_open(&k, &f, NULL);
    f.verdict = EVLOG_ERR_CONFLICT;
    kit_topic(&k, 1, "evlog.streams=false");
    assert_null(store_observed_find(kit_shard(&k), &k.topic, 0));
    assert_int_equal(kit_append(&k, 0, 10), 0);
    assert_int_equal(kit_topic_delete(&k), 0);
    assert_int_equal(f.admits + f.ends + f.deletes + f.raises, 0);
    kit_free(&k);
}

TEST(observer, answers_what_is_stored_already)
{
    struct kit k;
    struct fake f;
    struct sent sent;
    kit_init(&k, 73);
    fake_open(&k, &f, "evlog.streams=true");
    assert_int_equal(kit_append(&k, 0, 10), 0);
    assert_int_equal(kit_append(&k, 0, 10), 1);
    f.verdict = STORE_ANSWERED;
    f.cited = 0;
    submit(&k, &sent, 0, 10);
    assert_true(sent.done); /* what it tells is durable: nobody waits */
    assert_int_equal(sent.op.base.error, 0);
    assert_int_equal(sent.op.base_offset, 0);
    assert_true(sent.op.duplicate);
    sent_free(&sent);
    f.verdict = STORE_ADMITTED;
    assert_int_equal(kit_append(&k, 0, 10), 2);
    kit_free(&k);
}

/* Else the producer's next batch would be out of order, which is the end of librdkafka's producers. */
TEST(observer, an_answered_batch_keeps_its_producers_sequence)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 83);
    fake_open(&k, &f, "evlog.streams=true");
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 0), 0);
    f.verdict = STORE_ANSWERED;
    f.cited = 0;
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 1), 0);
    f.verdict = STORE_ADMITTED;
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 2), 2); /* the batch without records is at 1 */
    f.verdict = STORE_ANSWERED;
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 3), 0);
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 5), EVLOG_ERR_SEQUENCE);
    kit_crash(&k);
    fake_open(&k, &f, NULL);
    *store_observed_state(part_of(&k, 0)) = &f;
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 4), 4);
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 6), EVLOG_ERR_SEQUENCE);
    kit_free(&k);
}

/* A conflict with an append that a crash may still take away is no conflict yet. */
TEST(observer, tells_a_refusal_when_what_it_cites_is_durable)
{
    struct kit k;
    struct fake f;
    struct sent first, second;
    kit_init(&k, 74);
    fake_open(&k, &f, "evlog.streams=true");
    submit(&k, &first, 0, 10);
    f.verdict = EVLOG_ERR_CONFLICT;
    f.waits = true;
    submit(&k, &second, 0, 10);
    assert_false(first.done);
    assert_false(second.done);
    while (!second.done) {
        kit_steps(&k, 1);
    }
    assert_true(first.done);
    assert_int_equal(first.op.base.error, 0);
    assert_int_equal(second.op.base.error, EVLOG_ERR_CONFLICT);
    sent_free(&first);
    sent_free(&second);
    kit_free(&k);
}

TEST(observer, holds_in_order_and_other_partitions_go_on)
{
    struct kit k;
    struct fake f;
    struct sent held[OPS_MAX];
    kit_init(&k, 75);
    fake_open(&k, &f, "evlog.streams=true");
    f.verdict = STORE_HELD;
    for (uint32_t i = 0; i < OPS_MAX; i++) {
        submit(&k, &held[i], 0, 10 + i);
    }
    kit_steps(&k, 100);
    assert_int_equal(f.admits, 1); /* the others wait behind the first */
    f.verdict = STORE_ADMITTED;
    assert_int_equal(kit_append(&k, 1, 10), 0);
    assert_false(held[0].done);
    store_observed_resume(part_of(&k, 0));
    while (!held[OPS_MAX - 1].done) {
        kit_steps(&k, 1);
    }
    for (uint32_t i = 0; i < OPS_MAX; i++) {
        assert_int_equal(held[i].op.base.error, 0);
        assert_int_equal(held[i].op.base_offset, i);
        sent_free(&held[i]);
    }
    assert_int_equal(f.ends, OPS_MAX + 1);
    kit_free(&k);
}

TEST(observer, may_hold_again_what_was_tried_again)
{
    struct kit k;
    struct fake f;
    struct sent held[2];
    kit_init(&k, 76);
    fake_open(&k, &f, "evlog.streams=true");
    f.verdict = STORE_HELD;
    submit(&k, &held[0], 0, 10);
    submit(&k, &held[1], 0, 11);
    for (uint32_t i = 0; i < 3; i++) {
        store_observed_resume(part_of(&k, 0));
        kit_steps(&k, 10);
    }
    assert_int_equal(f.admits, 4);
    assert_int_equal(f.ends, 0);
    f.verdict = STORE_ADMITTED;
    store_observed_resume(part_of(&k, 0));
    while (!held[1].done) {
        kit_steps(&k, 1);
    }
    assert_int_equal(held[0].op.base_offset, 0);
    assert_int_equal(held[1].op.base_offset, 1);
    sent_free(&held[0]);
    sent_free(&held[1]);
    kit_free(&k);
}

TEST(observer, lets_go_of_what_waits_when_the_topic_is_deleted)
{
    struct kit k;
    struct fake f;
    struct sent held[2];
    kit_init(&k, 77);
    fake_open(&k, &f, "evlog.streams=true");
    f.verdict = STORE_HELD;
    submit(&k, &held[0], 0, 10);
    submit(&k, &held[1], 0, 11);
    assert_int_equal(kit_topic_delete(&k), 0);
    assert_int_equal(held[0].op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(held[1].op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(f.ends, 1); /* it has seen the first only */
    assert_int_equal(f.deletes, 2);
    sent_free(&held[0]);
    sent_free(&held[1]);
    kit_free(&k);
}

TEST(observer, lets_go_of_what_waits_when_the_shard_stops)
{
    struct kit k;
    struct fake f;
    struct sent held[2];
    kit_init(&k, 78);
    fake_open(&k, &f, "evlog.streams=true");
    f.verdict = STORE_HELD;
    submit(&k, &held[0], 0, 10);
    submit(&k, &held[1], 0, 11);
    kit_stop(&k);
    assert_int_equal(held[0].op.base.error, EVLOG_ERR_CLOSED);
    assert_int_equal(held[1].op.base.error, EVLOG_ERR_CLOSED);
    assert_int_equal(f.ends, 1);
    sent_free(&held[0]);
    sent_free(&held[1]);
    kit_free(&k);
}

TEST(observer, undoes_what_finds_no_room)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 79);
    fake_open(&k, &f, "evlog.streams=true");
    struct journal *journal = &kit_shard(&k)->journal;
    journal->cfg.slot_len = journal->cfg.first_slot_len = 4096; /* nothing large fits any more */
    assert_int_equal(kit_append(&k, 0, 60000), EVLOG_ERR_TOO_LARGE);
    assert_int_equal(f.admits, 1);
    assert_int_equal(f.undos, 1);
    assert_int_equal(f.ends, 1);
    assert_int_equal(store_observed_next_offset(part_of(&k, 0)), 0);
    kit_free(&k);
}

/* A retry of an idempotent producer is the producer's matter: no version is looked at. */
TEST(observer, is_not_asked_about_a_producers_duplicate)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 80);
    fake_open(&k, &f, "evlog.streams=true");
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 0), 0);
    f.verdict = EVLOG_ERR_CONFLICT;
    k.sent--;
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 0), 0);
    assert_int_equal(f.admits, 1);
    assert_int_equal(kit_append_as(&k, 0, 10, 7, 5), EVLOG_ERR_SEQUENCE);
    assert_int_equal(f.admits, 1);
    kit_free(&k);
}

struct trim {
    struct trim_op op;
    bool done;
};

static void on_trim(struct store_op *op)
{
    struct trim *trim = op->arg;
    trim->done = true;
}

static void trim_to(struct kit *k, struct trim *trim, int64_t offset)
{
    *trim = (struct trim){.op = {.topic_id = k->topic, .offset = offset, .base = {.done = on_trim, .arg = trim}}};
    store_trim(kit_shard(k), &trim->op);
}

TEST(observer, keeps_the_log_start_below_its_floor)
{
    struct kit k;
    struct fake f;
    struct trim trim, other;
    kit_init(&k, 81);
    fake_open(&k, &f, "evlog.streams=true");
    kit_append_many(&k, 0, 10, 5);
    f.floor = 2;
    trim_to(&k, &trim, 3);
    kit_steps(&k, 100);
    assert_false(trim.done);
    assert_int_equal(f.raises, 1);
    trim_to(&k, &other, 2);
    while (!other.done) {
        kit_steps(&k, 1);
    }
    assert_int_equal(other.op.log_start_offset, 2);
    f.floor = 3;
    store_observed_floor(part_of(&k, 0), 0);
    while (!trim.done) {
        kit_steps(&k, 1);
    }
    assert_int_equal(trim.op.base.error, 0);
    assert_int_equal(trim.op.log_start_offset, 3);
    trim_to(&k, &trim, -1);
    store_observed_floor(part_of(&k, 0), EVLOG_ERR_STORAGE);
    assert_true(trim.done);
    assert_int_equal(trim.op.base.error, EVLOG_ERR_STORAGE);
    assert_int_equal(store_observed_log_start(part_of(&k, 0)), 3);
    kit_free(&k);
}

TEST(observer, holds_retention_back)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 82);
    fake_open(&k, &f, "evlog.streams=true retention.ms=60000");
    kit_append_many(&k, 0, 10, 5);
    f.floor = 4;
    uint64_t end = k.w.clock.now_ns + 90000000000u;
    while (k.w.clock.now_ns < end) {
        kit_steps(&k, 1);
    }
    assert_int_equal(store_observed_log_start(part_of(&k, 0)), 4);
    assert_true(f.raises > 0);
    kit_free(&k);
}

TEST(observer, failure_of_its_own_is_told_to_who_asks_for_health)
{
    struct kit k;
    struct fake f;
    kit_init(&k, 83);
    fake_open(&k, &f, NULL);
    assert_null(store_not_ready_reason(k.w.store));
    store_observer_failed(kit_shard(&k), "the index is gone");
    assert_string_equal(store_not_ready_reason(k.w.store), "the index is gone");
    kit_free(&k);
}

/* --- settings of such topics -------------------------------------------------------------------------------------- */

static int make(struct kit *k, const char *name, const char *setting, const char *value, bool streams)
{
    struct topic_config config;
    topic_config_init(&config);
    if (streams) {
        assert_int_equal(topic_config_set(&config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
    }
    if (setting != NULL) {
        assert_int_equal(topic_config_set(&config, el_slice_str(setting), el_slice_str(value), NULL), 0);
    }
    struct topic_op op = {.verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = 2, .config = &config};
    int error = kit_topic_change(k, &op);
    assert_true((error == 0) == (op.message[0] == 0));
    k->topic = op.id;
    return error;
}

static int alter(struct kit *k, const char *setting, const char *value)
{
    const struct topic *topic = store_topic_by_id(kit_shard(k), &k->topic);
    struct topic_config config = topic->config;
    if (value == NULL) {
        assert_int_equal(topic_config_unset(&config, el_slice_str(setting), NULL), 0);
    } else {
        assert_int_equal(topic_config_set(&config, el_slice_str(setting), el_slice_str(value), NULL), 0);
    }
    struct topic_op op = {.verb = TOPIC_ALTER, .id = k->topic, .config = &config};
    int error = kit_topic_change(k, &op);
    assert_true((error == 0) == (op.message[0] == 0));
    return error;
}

TEST(streams_topic, refuses_what_would_break_its_streams)
{
    struct kit k;
    kit_init(&k, 84);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(make(&k, "a", "cleanup.policy", "compact", true), EVLOG_ERR_POLICY);
    assert_int_equal(make(&k, "a", "cleanup.policy", "compact,delete", true), EVLOG_ERR_POLICY);
    assert_int_equal(make(&k, "a", "evlog.key.partitioner", "crc32", false), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(make(&k, "a", "evlog.stream.max.count", "5", false), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(make(&k, "a", "evlog.key.partitioner", "crc32", true), 0);
    struct topic_op grow = {.verb = TOPIC_GROW, .id = k.topic, .partition_count = 3};
    assert_int_equal(kit_topic_change(&k, &grow), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "cleanup.policy", "compact"), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "evlog.streams", "false"), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "evlog.streams", NULL), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "evlog.key.partitioner", "murmur2"), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "evlog.key.partitioner", "crc32"), 0);
    assert_int_equal(alter(&k, "evlog.stream.max.count", "5"), 0);
    assert_int_equal(alter(&k, "retention.ms", "5"), 0);
    kit_free(&k);
}

TEST(streams_topic, cannot_be_made_of_another_topic)
{
    struct kit k;
    kit_init(&k, 85);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(make(&k, "a", NULL, NULL, false), 0);
    assert_int_equal(alter(&k, "evlog.streams", "true"), EVLOG_ERR_POLICY);
    assert_int_equal(alter(&k, "evlog.stream.max.age.ms", "5"), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(alter(&k, "evlog.streams", "false"), 0);
    kit_free(&k);
}
