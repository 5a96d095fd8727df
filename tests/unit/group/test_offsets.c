/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a commit counts when it is durable, never before; it ends by deletion, by age and with its topic.
 * Method: writes end when the test says so; a restart finds what was durable.
 */
#include "bench.h"

#include <stdio.h>

static struct bench b;
static struct caller one, two;
static struct topic *events, *others;

static void begin(void)
{
    bench_begin(&b);
    caller_init(&one);
    caller_init(&two);
    events = fake_topic(&b.store, "events", 3);
    others = fake_topic(&b.store, "others", 3);
}

/* A commit whose answer comes later. */
struct later {
    struct commit_op op;
    struct commit_entry entries[2];
    bool waits;
};

static void on_later(struct group_op *op)
{
    ((struct later *)op->arg)->waits = false;
}

static void commit_later(struct later *l, const char *group, int64_t offset, const char *metadata)
{
    memset(l, 0, sizeof *l);
    for (int i = 0; i < 2; i++) {
        l->entries[i] = (struct commit_entry){
            .topic_id = events->id, .partition = i, .offset = offset + i, .metadata = el_slice_str(metadata)};
    }
    l->op = (struct commit_op){.base = {.group_id = el_slice_str(group), .done = on_later, .arg = l},
                               .generation = -1,
                               .entries = l->entries,
                               .entry_count = 2};
    l->waits = true;
    groups_commit(&b.groups[0], &l->op);
    fake_store_run(&b.store);
}

TEST(commit, refuses_by_membership_and_generation)
{
    begin();
    assert_int_equal(bench_commit(&one, "g", events, 0, 5), 0); /* no member, and no group yet */
    one.generation = 3;
    assert_int_equal(bench_commit(&one, "new", events, 0, 5), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(bench_commit(&one, "g", events, 0, 5), EVLOG_ERR_UNKNOWN_MEMBER);
    caller_init(&one);
    caller_alone(&one, "g");
    assert_int_equal(bench_commit(NULL, "g", events, 0, 6), EVLOG_ERR_UNKNOWN_MEMBER);
    one.generation--;
    assert_int_equal(bench_commit(&one, "g", events, 0, 6), EVLOG_ERR_GENERATION);
    one.generation++;
    assert_int_equal(bench_commit(&one, "g", events, 0, 6), 0);
    assert_int_equal(bench_offset("g", events, 0), 6);
    caller_join(&two, "g"); /* it may save its place before it gives partitions up */
    assert_int_equal(bench_commit(&one, "g", events, 0, 7), 0);
    caller_join(&one, "g");
    assert_int_equal(bench_commit(&one, "g", events, 0, 8), EVLOG_ERR_REBALANCE);
    assert_int_equal(bench_offset("g", events, 0), 7);
    bench_end(&b);
}

TEST(commit, refuses_long_metadata_alone)
{
    begin();
    struct later l;
    commit_later(&l, "g", 4, "12345678901");
    assert_false(l.waits);
    assert_int_equal(l.entries[0].error, EVLOG_ERR_METADATA_TOO_LARGE);
    assert_string_equal(bench_state("g"), "Dead");
    commit_later(&l, "g", 4, "1234567890");
    assert_int_equal(l.entries[0].error, 0);
    assert_int_equal(l.entries[1].error, 0);
    commit_later(&l, "g", 5,
                 "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"); /* letters count, not bytes */
    assert_int_equal(l.entries[0].error, 0);
    commit_later(&l, "g", 6, "12345678\U0001f600x"); /* this one is two UTF-16 units */
    assert_int_equal(l.entries[0].error, EVLOG_ERR_METADATA_TOO_LARGE);
    bench_end(&b);
}

TEST(commit, refuses_and_counts_when_memory_is_spent)
{
    begin();
    assert_int_equal(bench_commit(NULL, "g", events, 0, 1), 0);
    b.groups[0].cfg.memory_max = b.groups[1].cfg.memory_max = 1;
    assert_int_equal(bench_commit(NULL, "g", events, 1, 1), EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_int_equal(fake_store_metric(&b.store, METRIC_REFUSED_GROUP_MEMORY), 1);
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_offset("g", events, 1), -1);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_OFFSETS), 1);
    bench_end(&b);
}

TEST(commit, counts_and_is_answered_when_it_is_durable)
{
    begin();
    struct later first, second;
    b.store.defer = true;
    commit_later(&first, "g", 10, "");
    commit_later(&second, "g", 20, "");
    assert_true(first.waits);
    assert_int_equal(bench_offset("g", events, 0), -1);
    fake_store_durable(&b.store);
    assert_false(first.waits);
    assert_true(second.waits);
    assert_int_equal(bench_offset("g", events, 0), 10);
    assert_int_equal(bench_offset("g", events, 1), 11);
    fake_store_durable(&b.store);
    assert_int_equal(bench_offset("g", events, 0), 20);
    bench_restart(&b);
    assert_int_equal(bench_offset("g", events, 0), 20);
    assert_int_equal(bench_offset("g", events, 1), 21);
    assert_int_equal(bench_offset("g", others, 0), -1);
    bench_end(&b);
}

TEST(commit, that_fails_changes_nothing)
{
    begin();
    struct later l;
    assert_int_equal(bench_commit(NULL, "g", events, 0, 1), 0);
    b.store.append_error = EVLOG_ERR_FULL;
    commit_later(&l, "g", 10, "");
    assert_int_equal(l.entries[0].error, EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_int_equal(l.entries[1].error, EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_offset("g", events, 1), -1);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_OFFSETS), 1);
    b.store.append_error = 0;
    bench_end(&b);
}

TEST(offsets, of_all_topics_are_those_that_were_committed)
{
    begin();
    struct later l;
    commit_later(&l, "g", 10, "note");
    bench_commit(NULL, "g", others, 2, 7);
    struct offsets_op op = {.all = true};
    l.waits = true;
    op.base = (struct group_op){.group_id = el_slice_str("g"), .done = on_later, .arg = &l};
    groups_offsets(&b.groups[1], &op);
    fake_store_run(&b.store);
    assert_false(l.waits);
    assert_int_equal(op.view_count, 3);
    assert_int_equal(op.views[0].offset, 10);
    assert_true(el_slice_eq(op.views[1].metadata, el_slice_str("note")));
    assert_true(el_uuid_eq(&op.views[2].topic_id, &others->id));
    assert_int_equal(op.views[2].leader_epoch, 3);
    group_op_release(&op.base);
    fake_store_run(&b.store);
    bench_end(&b);
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

TEST(delete_group, refuses_members_and_strangers)
{
    begin();
    assert_int_equal(bench_delete("g"), EVLOG_ERR_GROUP_NOT_FOUND);
    caller_alone(&one, "g");
    assert_int_equal(bench_delete("g"), EVLOG_ERR_GROUP_NOT_EMPTY);
    bench_end(&b);
}

TEST(delete_group, takes_all_commits_and_stays_gone)
{
    begin();
    struct later l;
    commit_later(&l, "g", 10, "");
    caller_alone(&one, "g");
    bench_leave(&one, "g");
    assert_string_equal(bench_state("g"), "Empty");
    assert_int_equal(bench_delete("g"), 0);
    assert_string_equal(bench_state("g"), "Dead");
    assert_int_equal(bench_offset("g", events, 0), -1);
    bench_restart(&b);
    assert_string_equal(bench_state("g"), "Dead");
    assert_int_equal(bench_offset("g", events, 0), -1);
    assert_int_equal(b.groups[0].memory_used + b.groups[1].memory_used, 0);
    bench_end(&b);
}

TEST(delete_group, waits_for_commits_under_way_and_others_wait_behind_it)
{
    begin();
    struct later before, behind;
    struct delete_group_op op;
    struct later flag = {.waits = true};
    memset(&op, 0, sizeof op);
    bench_commit(NULL, "g", events, 0, 1);
    b.store.defer = true;
    commit_later(&before, "g", 10, "");
    op.base = (struct group_op){.group_id = el_slice_str("g"), .done = on_later, .arg = &flag};
    groups_delete(&b.groups[0], &op);
    fake_store_run(&b.store);
    commit_later(&behind, "g", 30, "");
    assert_int_equal(b.store.append_count, 1); /* neither the deletion nor what came after it is written yet */
    fake_store_durable(&b.store);
    assert_false(before.waits);
    assert_true(flag.waits);
    assert_int_equal(b.store.append_count, 1);
    fake_store_durable(&b.store);
    assert_false(flag.waits);
    assert_int_equal(op.base.error, 0);
    assert_true(behind.waits);
    fake_store_durable(&b.store);
    assert_int_equal(behind.entries[0].error, 0);
    bench_restart(&b);
    assert_int_equal(bench_offset("g", events, 0), 30);
    bench_end(&b);
}

TEST(delete_group, that_cannot_be_stored_leaves_it_there)
{
    begin();
    bench_commit(NULL, "g", events, 0, 1);
    b.store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(bench_delete("g"), EVLOG_ERR_GROUP_UNAVAILABLE);
    b.store.append_error = 0;
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_commit(NULL, "g", events, 0, 2), 0);
    bench_end(&b);
}

static int delete_offset(const char *group, const struct topic *topic, int32_t partition)
{
    struct offset_delete_entry entry = {
        .topic_id = topic->id, .topic = el_slice_str(topic->name), .partition = partition};
    struct offset_delete_op op = {.entries = &entry, .entry_count = 1};
    struct later flag = {.waits = true};
    op.base = (struct group_op){.group_id = el_slice_str(group), .done = on_later, .arg = &flag};
    groups_offset_delete(&b.groups[0], &op);
    fake_store_run(&b.store);
    assert_false(flag.waits);
    return op.base.error != 0 ? op.base.error : entry.error;
}

TEST(offset_delete, spares_topics_that_are_read)
{
    begin();
    assert_int_equal(delete_offset("g", events, 0), EVLOG_ERR_GROUP_NOT_FOUND);
    caller_alone(&one, "g");
    bench_commit(&one, "g", events, 0, 1);
    bench_commit(&one, "g", others, 0, 2);
    assert_int_equal(delete_offset("g", events, 0), EVLOG_ERR_GROUP_SUBSCRIBED);
    assert_int_equal(delete_offset("g", others, 0), 0);
    assert_int_equal(delete_offset("g", others, 1), 0); /* there is none */
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_offset("g", others, 0), -1);
    bench_restart(&b);
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_offset("g", others, 0), -1);
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    caller_init(&two);
    two.type = "connect";
    caller_alone(&two, "c");
    assert_int_equal(delete_offset("c", others, 0), EVLOG_ERR_GROUP_NOT_EMPTY);
    bench_end(&b);
}

TEST(expiry, is_by_the_age_of_the_commit_without_members_ever)
{
    begin();
    bench_commit(NULL, "g", events, 0, 1);
    fake_store_ms(&b.store, 60000);
    bench_commit(NULL, "g", events, 1, 2);
    fake_store_ms(&b.store, 39000);
    assert_int_equal(bench_offset("g", events, 0), 1);
    fake_store_ms(&b.store, 1500); /* the look at 100 s */
    assert_int_equal(bench_offset("g", events, 0), -1);
    assert_int_equal(bench_offset("g", events, 1), 2);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_OFFSETS_EXPIRED), 1);
    fake_store_ms(&b.store, 60000);
    assert_string_equal(bench_state("g"), "Dead");
    bench_restart(&b);
    assert_string_equal(bench_state("g"), "Dead");
    bench_end(&b);
}

TEST(expiry, begins_when_the_group_became_empty_and_a_restart_does_not_change_that)
{
    begin();
    caller_alone(&one, "g");
    bench_commit(&one, "g", events, 0, 1);
    for (int i = 0; i < 150; i++) { /* it lives longer than commits are kept */
        fake_store_ms(&b.store, 900);
        assert_int_equal(bench_heartbeat(&one, "g"), 0);
    }
    bench_leave(&one, "g");
    fake_store_ms(&b.store, 50000);
    bench_restart(&b);
    fake_store_ms(&b.store, 45000);
    assert_int_equal(bench_offset("g", events, 0), 1);
    fake_store_ms(&b.store, 10500);
    assert_int_equal(bench_offset("g", events, 0), -1);
    assert_string_equal(bench_state("g"), "Dead");
    bench_end(&b);
}

TEST(expiry, takes_topics_that_nobody_in_a_living_group_reads)
{
    begin();
    caller_alone(&one, "g");
    bench_commit(&one, "g", events, 0, 1);
    bench_commit(&one, "g", others, 0, 2);
    for (int i = 0; i < 120; i++) {
        fake_store_ms(&b.store, 900);
        bench_heartbeat(&one, "g");
    }
    assert_int_equal(bench_offset("g", events, 0), 1);
    assert_int_equal(bench_offset("g", others, 0), -1);
    bench_end(&b);
}

TEST(expiry, takes_what_is_left_of_a_deleted_topic)
{
    begin();
    bench_commit(NULL, "g", events, 0, 1);
    bench_commit(NULL, "g", others, 0, 2);
    fake_topic_delete(&b.store, "events");
    struct topic *again = fake_topic(&b.store, "events", 3);
    assert_int_equal(bench_offset("g", again, 0), -1);
    fake_store_ms(&b.store, 66000);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_OFFSETS), 1);
    assert_int_equal(bench_offset("g", others, 0), 2);
    bench_end(&b);
}

TEST(topic, that_cannot_be_made_is_told_as_not_available)
{
    begin();
    b.store.change_error = EVLOG_ERR_POLICY;
    assert_int_equal(bench_commit(NULL, "g", events, 0, 1), EVLOG_ERR_GROUP_UNAVAILABLE);
    b.store.change_error = 0;
    assert_int_equal(bench_commit(NULL, "g", events, 0, 1), 0);
    bench_end(&b);
}
