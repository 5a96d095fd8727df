/* SPDX-License-Identifier: Apache-2.0
 *
 * The public face of a subscriber: open, next, seek, pause, close. Runs on the reader.
 *
 * 1. evlog_subscriber_open() hands a membership to the internal thread, which joins the group.
 * 2. evlog_subscriber_next() counts the event given before as processed, does what the membership asks for, tells of
 *    commits, commits when it is time, and takes the next event from the engine; when there is none it waits for an
 *    answer or for the membership.
 * 3. evlog_subscriber_close() commits, lets go and leaves, then waits until the internal thread has let go.
 *
 * A failure ends the call, not the subscriber, unless the group does not take this member: then every call says so.
 */
#include "fail.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>

#define TOPIC_COUNT_MAX 10000
#define GROUP_LEN_MAX 32767

/* --- open -------------------------------------------------------------------------------------------------------- */

static int check_topics(const struct evlog_subscriber_options *options, struct evlog_failure *failure)
{
    if (options->topic_count == 0 || options->topic_count > TOPIC_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a subscriber reads 1 to %d topics", TOPIC_COUNT_MAX);
    }
    for (size_t i = 0; i < options->topic_count; i++) {
        const char *name = options->topics[i];
        size_t len = name == NULL ? 0 : strlen(name);
        if (len == 0 || len > EL_TOPIC_NAME_MAX) {
            return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "a topic's name has 1 to %d characters",
                           EL_TOPIC_NAME_MAX);
        }
        if (strcspn(name, "*") < len - 1) {
            return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "%s: a star can only stand at the end of a name", name);
        }
    }
    return 0;
}

static int copy_names(struct evlog_subscriber *fresh, const struct evlog_subscriber_options *options, const char *group)
{
    const char *instance = fresh->client->cfg.instance_id;
    fresh->group = el_strdup(group);
    fresh->instance_id = instance[0] == '\0' ? NULL : el_strdup(instance);
    fresh->topics = el_calloc(options->topic_count, sizeof(char *));
    bool ok = fresh->group != NULL && fresh->topics != NULL && (instance[0] == '\0' || fresh->instance_id != NULL);
    for (size_t i = 0; ok && i < options->topic_count; i++) {
        fresh->topics[i] = el_strdup(options->topics[i]);
        fresh->topic_count++;
        ok = fresh->topics[i] != NULL;
        fresh->has_pattern = fresh->has_pattern || (ok && strchr(fresh->topics[i], '*') != NULL);
    }
    fresh->member.id = el_strdup("");
    return ok && fresh->member.id != NULL ? 0 : EVLOG_ERR_NO_MEMORY;
}

static void subscriber_free(struct evlog_subscriber *subscriber)
{
    el_subscriber_detach_commits(subscriber);
    el_consumer_destroy(&subscriber->engine);
    el_member_destroy(&subscriber->member);
    for (uint32_t i = 0; subscriber->topics != NULL && i < subscriber->topic_count; i++) {
        el_free(subscriber->topics[i]);
    }
    el_free(subscriber->topics);
    el_free(subscriber->group);
    el_free(subscriber->instance_id);
    el_free(subscriber);
}

int evlog_subscriber_open(struct evlog_client *client, const struct evlog_subscriber_options *given,
                          struct evlog_subscriber **subscriber, struct evlog_failure *failure)
{
    struct evlog_subscriber_options full = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&full, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    const char *group = full.group == NULL ? client->cfg.group : full.group;
    if (group[0] == '\0' || strlen(group) > GROUP_LEN_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no group, and group.id is not set");
    }
    int rc = check_topics(&full, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_subscriber *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a subscriber");
    }
    fresh->client = client;
    fresh->on_rebalance = full.on_rebalance;
    fresh->on_commit = full.on_commit;
    fresh->arg = full.arg;
    el_list_init(&fresh->commits);
    el_list_init(&fresh->commits_done);
    el_consumer_init(&fresh->engine, client);
    fresh->engine.resets = true;
    el_member_init(fresh);
    if (copy_names(fresh, &full, group) != 0) {
        subscriber_free(fresh);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a subscriber");
    }
    fresh->polled_ns = el_now_ns();
    fresh->commit_at_ns = fresh->polled_ns + client->cfg.auto_commit_ms * EL_NS_PER_MS;
    el_client_lock(client);
    fresh->engine.group = fresh->group;
    fresh->engine.lane = client->lane_next + 1;
    client->lane_next += 2;
    el_list_push_back(&client->subscribers, &fresh->link);
    fresh->member.full_wanted = client->cluster.full_count + fresh->has_pattern;
    if (fresh->has_pattern) {
        el_cluster_suspect(client);
    }
    el_client_wake(client);
    el_client_unlock(client);
    *subscriber = fresh;
    return 0;
}

/* --- next -------------------------------------------------------------------------------------------------------- */

static void enter(struct evlog_subscriber *subscriber)
{
    __atomic_store_n(&subscriber->polled_ns, EL_NEVER_NS, __ATOMIC_RELAXED);
}

/* A callback must not begin another hand-over. */
static int inside(const struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_ARGUMENT, "group %s: next, poll and close cannot be called inside a callback",
                   subscriber->group);
}

static void leave(struct evlog_subscriber *subscriber)
{
    __atomic_store_n(&subscriber->polled_ns, el_now_ns(), __ATOMIC_RELAXED);
}

/* What stands between the reader and its next event. returns callbacks run | negative */
static int serve(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    __atomic_store_n(&subscriber->due, false, __ATOMIC_RELAXED);
    el_client_tell_log(subscriber->client);
    int told_count = el_subscriber_tell_commits(subscriber);
    int rc = el_subscriber_handover(subscriber, failure);
    if (rc < 0) {
        return rc;
    }
    el_subscriber_auto_commit(subscriber);
    return told_count + rc;
}

/* Ask for more, and wait for an answer, for the membership, or for the time of an automatic commit. returns 1 something
 * may have come | 0 the time is over | negative */
static int await(struct evlog_subscriber *subscriber, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct evlog_client *client = subscriber->client;
    int64_t until_ns = client->cfg.auto_commit ? EL_MIN(deadline_ns, subscriber->commit_at_ns) : deadline_ns;
    el_client_lock(client);
    subscriber->engine.has_append_times = client->is_evlog; /* not known before the first connection */
    int rc = 0;
    if (client->stopping) {
        rc = el_fail(failure, EVLOG_ERR_CLOSED, "the client is closed");
    } else if (!el_subscriber_has_due(subscriber)) {
        rc = el_consumer_await(&subscriber->engine, until_ns, failure);
    }
    bool more = el_subscriber_has_due(subscriber) || el_consumer_has_answer(&subscriber->engine) ||
                el_now_ns() < deadline_ns;
    el_client_unlock(client);
    return rc != 0 ? rc : more;
}

static int next(struct evlog_subscriber *subscriber, int64_t deadline_ns, struct evlog_failure *failure)
{
    for (;;) {
        int rc = serve(subscriber, failure);
        if (rc >= 0) {
            rc = el_subscriber_place_astray(subscriber, failure);
        }
        if (rc == 0) {
            rc = el_consumer_event(&subscriber->engine, failure);
        }
        if (rc != 0) {
            return rc;
        }
        if (subscriber->engine.has_astray) {
            continue;
        }
        rc = await(subscriber, deadline_ns, failure);
        if (rc <= 0) {
            return rc;
        }
    }
}

/* While a batch is open and nobody wants anything, an event costs no lock. */
static bool quick(struct evlog_subscriber *subscriber)
{
    return subscriber->engine.open != NULL && !__atomic_load_n(&subscriber->due, __ATOMIC_ACQUIRE) &&
           el_now_ns() < subscriber->commit_at_ns;
}

/* The reader is done with the event that it was given. */
static void handled(struct evlog_subscriber *subscriber)
{
    el_span_end(subscriber->handling, NULL, NULL);
    subscriber->handling = NULL;
}

int evlog_subscriber_next(struct evlog_subscriber *subscriber, int timeout_ms, const struct evlog_event **event,
                          struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    if (subscriber->in_callback) {
        return inside(subscriber, failure);
    }
    enter(subscriber);
    handled(subscriber);
    el_subscriber_store_last(subscriber);
    int rc = quick(subscriber) ? el_consumer_event(&subscriber->engine, failure) : 0;
    if (rc == 0) {
        rc = next(subscriber, deadline_ns, failure);
    }
    if (rc == 1) {
        __atomic_store_n(&subscriber->event_count, subscriber->event_count + 1, __ATOMIC_RELAXED);
        subscriber->last = subscriber->engine.open;
        subscriber->last_offset = subscriber->engine.event.offset;
        subscriber->last_epoch = subscriber->engine.event.leader_epoch;
        subscriber->handling = el_span_process(subscriber->client, &subscriber->engine.event, subscriber->group, 0);
        *event = &subscriber->engine.event;
    } else {
        el_client_settle(subscriber->client);
    }
    leave(subscriber);
    return rc;
}

int evlog_subscriber_poll(struct evlog_subscriber *subscriber, struct evlog_failure *failure)
{
    if (subscriber->in_callback) {
        return inside(subscriber, failure);
    }
    enter(subscriber);
    int rc = serve(subscriber, failure);
    el_client_settle(subscriber->client);
    leave(subscriber);
    return rc;
}

size_t evlog_subscriber_assignment(const struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                                   size_t room)
{
    for (uint32_t i = 0; i < subscriber->engine.feed_count && i < room; i++) {
        const struct el_feed *feed = subscriber->engine.feeds[i];
        partitions[i] = (struct evlog_partition_offset){feed->topic, feed->partition, -1, feed->position};
    }
    return subscriber->engine.feed_count;
}

int64_t evlog_subscriber_position(const struct evlog_subscriber *subscriber, const char *topic, int32_t partition)
{
    const struct el_feed *feed = el_consumer_find(&subscriber->engine, topic, partition);
    return feed == NULL ? -1 : feed->position;
}

/* --- moving ------------------------------------------------------------------------------------------------------ */

static struct el_feed *held(const struct evlog_subscriber *subscriber, const char *topic, int32_t partition,
                            struct evlog_failure *failure)
{
    struct el_feed *feed = el_consumer_find(&subscriber->engine, topic, partition);
    if (feed == NULL) {
        (void)el_fail(failure, EVLOG_ERR_ARGUMENT, "%s[%d] is not held by this member of group %s now", topic,
                      partition, subscriber->group);
    }
    return feed;
}

static void jump(struct evlog_subscriber *subscriber, struct el_feed *feed, int64_t offset)
{
    el_consumer_jump(&subscriber->engine, feed, offset);
    subscriber->last = subscriber->last == feed ? NULL : subscriber->last;
    feed->stored_offset = -1;
}

int evlog_subscriber_seek(struct evlog_subscriber *subscriber, const char *topic, int32_t partition, int64_t offset,
                          struct evlog_failure *failure)
{
    struct el_feed *feed = held(subscriber, topic, partition, failure);
    if (feed == NULL) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (offset < EVLOG_OFFSET_EARLIEST) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s[%d]: there is no offset %lld", topic, partition,
                       (long long)offset);
    }
    if (offset < 0) {
        int rc = evlog_offset_at(subscriber->client, topic, partition, offset, &offset, failure);
        if (rc != 0) {
            return rc;
        }
    }
    jump(subscriber, feed, offset);
    return 0;
}

int evlog_subscriber_seek_time(struct evlog_subscriber *subscriber, const char *topic, int32_t partition,
                               int64_t time_ms, struct evlog_failure *failure)
{
    struct el_feed *feed = held(subscriber, topic, partition, failure);
    if (feed == NULL) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (time_ms < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s[%d]: times begin in 1970", topic, partition);
    }
    int64_t offset;
    int rc = evlog_offset_at(subscriber->client, topic, partition, time_ms, &offset, failure);
    if (rc == 0 && offset < 0) {
        rc = evlog_offset_at(subscriber->client, topic, partition, EVLOG_OFFSET_LATEST, &offset, failure);
    }
    if (rc == 0) {
        jump(subscriber, feed, offset);
    }
    return rc;
}

static int set_paused(struct evlog_subscriber *subscriber, const char *topic, int32_t partition, bool paused)
{
    struct el_feed *feed = el_consumer_find(&subscriber->engine, topic, partition);
    if (feed == NULL) {
        return EVLOG_ERR_ARGUMENT;
    }
    feed->paused = paused;
    if (paused && subscriber->engine.open == feed) {
        subscriber->engine.open = NULL; /* it is opened again at the position */
    }
    return 0;
}

int evlog_subscriber_pause(struct evlog_subscriber *subscriber, const char *topic, int32_t partition)
{
    return set_paused(subscriber, topic, partition, true);
}

int evlog_subscriber_resume(struct evlog_subscriber *subscriber, const char *topic, int32_t partition)
{
    return set_paused(subscriber, topic, partition, false);
}

/* --- membership -------------------------------------------------------------------------------------------------- */

void evlog_subscriber_membership(struct evlog_subscriber *subscriber, struct evlog_membership *membership)
{
    struct evlog_membership full = {.size = membership->size};
    el_client_lock(subscriber->client);
    full.state = el_sm_name(&subscriber->member.sm);
    full.generation = subscriber->member.generation;
    full.is_leader = subscriber->member.is_leader;
    (void)snprintf(full.member_id, sizeof full.member_id, "%s", subscriber->member.id);
    el_client_unlock(subscriber->client);
    memcpy(membership, &full, EL_MIN(membership->size, sizeof full));
}

/* Wait until the internal thread has let go. */
static void wait_until_left(struct evlog_subscriber *subscriber, int64_t deadline_ns)
{
    struct evlog_client *client = subscriber->client;
    el_client_lock(client);
    el_member_leave(subscriber);
    while (subscriber->member.sm.state != EL_MEMBER_LEFT && !client->stopping && el_client_wait(client, deadline_ns)) {
    }
    el_member_detach(&subscriber->member);
    el_list_remove(&subscriber->link);
    el_client_unlock(client);
}

int evlog_subscriber_close(struct evlog_subscriber *subscriber, int timeout_ms, struct evlog_failure *failure)
{
    if (subscriber == NULL) {
        return 0;
    }
    if (subscriber->in_callback) {
        return inside(subscriber, failure);
    }
    struct evlog_client *client = subscriber->client;
    int64_t deadline_ns = el_deadline(timeout_ms < 0 ? client->cfg.request_timeout_ms : timeout_ms);
    enter(subscriber);
    handled(subscriber);
    (void)el_subscriber_tell_commits(subscriber);
    el_client_lock(client);
    bool is_member = subscriber->member.generation >= 0 && subscriber->member.task != EL_TASK_LOSE;
    el_client_unlock(client);
    int rc = 0;
    if (is_member && client->cfg.auto_commit) {
        rc = el_subscriber_commit_stored(subscriber, deadline_ns, failure);
    }
    for (uint32_t i = 0; i < subscriber->engine.feed_count; i++) { /* said once is enough */
        subscriber->engine.feeds[i]->stored_offset = -1;
    }
    (void)el_subscriber_release(subscriber, is_member ? EVLOG_PARTITIONS_REVOKED : EVLOG_PARTITIONS_LOST);
    wait_until_left(subscriber, deadline_ns);
    (void)el_subscriber_tell_commits(subscriber);
    subscriber_free(subscriber);
    return rc;
}
