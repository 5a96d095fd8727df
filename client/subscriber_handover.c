/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions changing hands, on the reader's side.
 *
 * 1. The membership asks (member.task): adopt an assignment, revoke all, or lose all.
 * 2. What goes is committed, told, and dropped, in this order: a callback still finds the feeds and may commit.
 * 3. What comes is placed (the committed offset, or auto.offset.reset), added, and told.
 * 4. The membership hears what is held now.
 *
 * Fails while it asks for offsets: the task stays, and the next call goes on where this one stopped. The membership may
 * be lost meanwhile; then the task has become another one and is done next.
 */
#include "fail.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <stdio.h>

#define HANDOVER_MAX 8 /* tasks in a row before an event is looked for */

/* --- letting go -------------------------------------------------------------------------------------------------- */

static struct evlog_partition_offset offset_of(const struct el_feed *feed)
{
    return (struct evlog_partition_offset){
        .topic = feed->topic,
        .partition = feed->partition,
        .leader_epoch = -1,
        .offset = feed->position,
    };
}

static int tell(struct evlog_subscriber *subscriber, enum evlog_rebalance what,
                const struct evlog_partition_offset *partitions, size_t count)
{
    if (count == 0 || subscriber->on_rebalance == NULL) {
        return 0;
    }
    subscriber->in_callback = true;
    subscriber->on_rebalance(subscriber->arg, subscriber, what, partitions, count);
    subscriber->in_callback = false;
    return 1;
}

static bool is_assigned(const struct el_partition_set *set, const struct el_feed *feed)
{
    for (uint32_t i = 0; i < set->run_count; i++) {
        if (!el_slice_eq(set->runs[i].topic, el_slice_str(feed->topic))) {
            continue;
        }
        for (uint32_t j = 0; j < set->runs[i].partition_count; j++) {
            if (set->runs[i].partitions[j] == feed->partition) {
                return true;
            }
        }
    }
    return false;
}

static void drop(struct evlog_subscriber *subscriber, struct el_feed *feed)
{
    subscriber->last = subscriber->last == feed ? NULL : subscriber->last;
    el_consumer_drop(&subscriber->engine, feed);
}

/* Let go of every feed that is not in keep (NULL: of all). returns callbacks run | EVLOG_ERR_NO_MEMORY */
static int let_go(struct evlog_subscriber *subscriber, const struct el_partition_set *keep, enum evlog_rebalance what)
{
    struct evlog_consumer *engine = &subscriber->engine;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_feed **feeds = el_arena_alloc(&arena, (engine->feed_count + 1) * sizeof(struct el_feed *));
    struct evlog_partition_offset *partitions = el_arena_alloc(&arena, (engine->feed_count + 1) * sizeof *partitions);
    size_t count = 0;
    if (feeds == NULL || partitions == NULL) {
        el_arena_reset(&arena);
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < engine->feed_count; i++) {
        if (keep == NULL || !is_assigned(keep, engine->feeds[i])) {
            feeds[count] = engine->feeds[i];
            partitions[count++] = offset_of(engine->feeds[i]);
        }
    }
    if (count > 0 && what == EVLOG_PARTITIONS_REVOKED && subscriber->client->cfg.auto_commit) {
        /* A commit that fails now means that events are read twice, which is allowed; the heartbeat tells why. */
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        int64_t deadline_ns = el_deadline(subscriber->client->cfg.request_timeout_ms);
        if (el_subscriber_commit_stored(subscriber, deadline_ns, &failure) != 0 && subscriber->on_commit != NULL) {
            subscriber->in_callback = true;
            subscriber->on_commit(subscriber->arg, NULL, 0, &failure);
            subscriber->in_callback = false;
        }
    }
    int told_count = tell(subscriber, what, partitions, count);
    for (size_t i = 0; i < count; i++) {
        drop(subscriber, feeds[i]);
    }
    el_arena_reset(&arena);
    return told_count;
}

int el_subscriber_release(struct evlog_subscriber *subscriber, enum evlog_rebalance what)
{
    int told_count = let_go(subscriber, NULL, what);
    if (told_count >= 0) {
        return told_count;
    }
    while (subscriber->engine.feed_count > 0) { /* without memory to tell of it */
        drop(subscriber, subscriber->engine.feeds[0]);
    }
    return 0;
}

/* --- placing ----------------------------------------------------------------------------------------------------- */

/* Where auto.offset.reset begins. */
static int reset_offset(struct evlog_subscriber *subscriber, const char *topic, int32_t partition, int64_t *offset,
                        struct evlog_failure *failure)
{
    int64_t place = subscriber->client->cfg.reset_offset;
    if (place == EL_RESET_NONE) {
        (void)el_fail(failure, EVLOG_ERR_NO_OFFSET, "group %s has no offset for %s[%d] that is in the log",
                      subscriber->group, topic, partition);
        el_fail_hint(failure, "auto.offset.reset=earliest or latest says where to begin; 'evlog groups seek' "
                              "sets an offset");
        return EVLOG_ERR_NO_OFFSET;
    }
    return evlog_offset_at(subscriber->client, topic, partition, place, offset, failure);
}

int el_subscriber_place_astray(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    if (!subscriber->engine.has_astray) {
        return 0;
    }
    for (uint32_t i = 0; i < subscriber->engine.feed_count; i++) {
        struct el_feed *feed = subscriber->engine.feeds[i];
        int64_t offset;
        int rc = feed->astray ? reset_offset(subscriber, feed->topic, feed->partition, &offset, failure) : 0;
        if (rc != 0) {
            return rc;
        }
        if (feed->astray) {
            el_consumer_jump(&subscriber->engine, feed, offset);
        }
    }
    subscriber->engine.has_astray = false;
    return 0;
}

/* Assigned partitions that are not read yet; names lie in the set. returns NULL: no memory */
static struct evlog_partition_offset *missing(const struct evlog_subscriber *subscriber, struct el_arena *arena,
                                              size_t *count)
{
    const struct el_partition_set *set = &subscriber->member.assigned;
    size_t room = 1;
    for (uint32_t i = 0; i < set->run_count; i++) {
        room += set->runs[i].partition_count;
    }
    struct evlog_partition_offset *partitions = el_arena_alloc(arena, room * sizeof *partitions);
    *count = 0;
    for (uint32_t i = 0; partitions != NULL && i < set->run_count; i++) {
        const char *topic = (const char *)set->runs[i].topic.data;
        for (uint32_t j = 0; j < set->runs[i].partition_count; j++) {
            int32_t partition = set->runs[i].partitions[j];
            if (partition >= 0 && el_consumer_find(&subscriber->engine, topic, partition) == NULL) {
                partitions[(*count)++] = (struct evlog_partition_offset){topic, partition, -1, -1};
            }
        }
    }
    return partitions;
}

/* Make sure that the leaders are known, so that reading can begin. */
static int know_topics(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *partitions,
                       size_t count, struct evlog_failure *failure)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int32_t partition_count;
        struct el_topic_ask ask = {
            .name = partitions[i].topic,
            .deadline_ns = el_deadline(subscriber->client->cfg.request_timeout_ms),
        };
        if (i == 0 || strcmp(partitions[i].topic, partitions[i - 1].topic) != 0) {
            rc = el_cluster_topic(subscriber->client, &ask, &partition_count, failure);
            rc = rc == EVLOG_ERR_UNKNOWN_TOPIC ? 0 : rc; /* removed: the group will notice */
        }
    }
    return rc;
}

static int take_up(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    struct el_arena arena;
    size_t count;
    el_arena_init(&arena, NULL, 0);
    struct evlog_partition_offset *partitions = missing(subscriber, &arena, &count);
    int rc = partitions == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an assignment") : 0;
    if (rc == 0 && count > 0) {
        rc = know_topics(subscriber, partitions, count, failure);
    }
    if (rc == 0 && count > 0) {
        rc = el_subscriber_ask_committed(subscriber, partitions, count, failure);
    }
    size_t added_count = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct evlog_partition_offset *p = &partitions[i];
        bool is_new = p->offset < 0;
        if (is_new) {
            rc = reset_offset(subscriber, p->topic, p->partition, &p->offset, failure);
        }
        if (rc == EVLOG_ERR_UNKNOWN_TOPIC) { /* removed meanwhile */
            rc = 0;
            continue;
        }
        struct el_feed *feed = rc == 0 ? el_consumer_add(&subscriber->engine, p->topic, p->partition, p->offset) : NULL;
        if (rc == 0 && feed == NULL) {
            rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an assignment");
        }
        if (feed != NULL) {
            feed->sent_offset = is_new ? -1 : p->offset;
            partitions[added_count] = *p;
            partitions[added_count++].topic = feed->topic;
        }
    }
    /* What was added before a failure is told too: it is read from now on. */
    int told_count = tell(subscriber, EVLOG_PARTITIONS_ASSIGNED, partitions, added_count);
    el_arena_reset(&arena);
    return rc == 0 ? told_count : rc;
}

/* --- tasks ------------------------------------------------------------------------------------------------------- */

static int do_task(struct evlog_subscriber *subscriber, enum el_member_task task, struct evlog_failure *failure)
{
    int told_count = 0, rc = 0;
    switch (task) {
    case EL_TASK_NONE:
        break;
    case EL_TASK_ADOPT:
        told_count = let_go(subscriber, &subscriber->member.assigned, EVLOG_PARTITIONS_REVOKED);
        rc = told_count < 0 ? el_fail(failure, told_count, "no memory for an assignment")
                            : take_up(subscriber, failure);
        break;
    case EL_TASK_REVOKE:
        rc = el_subscriber_release(subscriber, EVLOG_PARTITIONS_REVOKED);
        break;
    case EL_TASK_LOSE:
        rc = el_subscriber_release(subscriber, EVLOG_PARTITIONS_LOST);
        break;
    }
    return rc < 0 ? rc : told_count + rc;
}

int el_subscriber_handover(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    struct evlog_client *client = subscriber->client;
    struct el_member *member = &subscriber->member;
    int told_count = 0;
    for (int i = 0; i < HANDOVER_MAX; i++) {
        el_client_lock(client);
        enum el_member_task task = member->task;
        bool failed = member->sm.state == EL_MEMBER_FAILED;
        bool missed = member->poll_missed && task == EL_TASK_NONE;
        if (missed) {
            member->poll_missed = false;
            el_client_wake(client);
        }
        el_client_unlock(client);
        if (task == EL_TASK_NONE && failed) {
            return el_fail_copy(failure, &member->failure);
        }
        if (missed) {
            (void)el_fail(failure, EVLOG_ERR_POLL_INTERVAL,
                          "group %s went on without this member: no call for %lld ms (max.poll.interval.ms)",
                          subscriber->group, (long long)client->cfg.poll_interval_ms);
            el_fail_hint(failure, "call again to join again; process faster, or raise max.poll.interval.ms");
            return EVLOG_ERR_POLL_INTERVAL;
        }
        if (task == EL_TASK_NONE) {
            break;
        }
        int rc = do_task(subscriber, task, failure);
        if (rc < 0) {
            return rc;
        }
        told_count += rc;
        el_client_lock(client);
        rc = el_member_task_done(subscriber, task);
        el_client_unlock(client);
        if (rc != 0) {
            return el_fail(failure, rc, "no memory for an assignment");
        }
    }
    return told_count;
}
