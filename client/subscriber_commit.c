/* SPDX-License-Identifier: Apache-2.0
 *
 * Offsets of a subscriber: what counts as processed, commits with and without waiting, and the committed offsets. Runs
 * on the reader.
 *
 * 1. An event counts as processed when the next one is asked for, or when the program says so (store, commit). Each
 *    feed keeps what a commit would say, and what the last one that succeeded said.
 * 2. A commit carries generation and member id: a coordinator that has gone on without this member refuses it, and what
 *    was not committed is read again by whoever holds the partition now.
 * 3. An asynchronous commit belongs to the internal thread until it has ended, then waits in commits_done for the
 *    reader.
 *
 * A commit that waits is tried again when its answer was lost: the same offsets twice do no harm. One that does not
 * wait is not: by then a later commit may be on its way, and an older one must not come behind it.
 */
#include "admin_offsets.h"
#include "fail.h"
#include "group_ask.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>
#include <wire/error_code.h>

/* --- what is processed ------------------------------------------------------------------------------------------- */

static void store(struct el_feed *feed, int64_t offset, int32_t epoch)
{
    feed->stored_offset = offset + 1;
    feed->stored_epoch = epoch;
}

void el_subscriber_store_last(struct evlog_subscriber *subscriber)
{
    if (subscriber->last != NULL && subscriber->client->cfg.auto_store) {
        store(subscriber->last, subscriber->last_offset, subscriber->last_epoch);
    }
    subscriber->last = NULL;
}

int evlog_subscriber_store(struct evlog_subscriber *subscriber, const struct evlog_event *event)
{
    struct el_feed *feed = el_consumer_find(&subscriber->engine, event->topic, event->partition);
    if (feed == NULL || event->offset < 0 || event->offset == INT64_MAX) {
        return EVLOG_ERR_ARGUMENT;
    }
    store(feed, event->offset, event->leader_epoch);
    subscriber->last = subscriber->last == feed ? NULL : subscriber->last;
    return 0;
}

/* Feeds whose stored offset has not been committed, as offsets in the arena. returns NULL: no memory */
static struct evlog_partition_offset *stored_offsets(struct evlog_subscriber *subscriber, struct el_arena *arena,
                                                     size_t *count)
{
    struct evlog_consumer *engine = &subscriber->engine;
    struct evlog_partition_offset *offsets = el_arena_alloc(arena, (engine->feed_count + 1) * sizeof *offsets);
    *count = 0;
    for (uint32_t i = 0; offsets != NULL && i < engine->feed_count; i++) {
        const struct el_feed *feed = engine->feeds[i];
        if (feed->stored_offset >= 0 && feed->stored_offset != feed->sent_offset) {
            offsets[(*count)++] = (struct evlog_partition_offset){
                .topic = feed->topic,
                .partition = feed->partition,
                .leader_epoch = feed->stored_epoch,
                .offset = feed->stored_offset,
            };
        }
    }
    return offsets;
}

/* Note what a commit that succeeded said. */
static void committed(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets, size_t count)
{
    __atomic_fetch_add(&subscriber->commit_count, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < count; i++) {
        struct el_feed *feed = el_consumer_find(&subscriber->engine, offsets[i].topic, offsets[i].partition);
        if (feed != NULL) {
            feed->sent_offset = offsets[i].offset;
        }
    }
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

/* Fill a request in the name of this member. Lock held, for the membership. */
static int build_commit(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets, size_t count,
                        struct el_arena *arena, struct el_msg_offset_commit_request *request)
{
    struct el_committer self = {
        .group = subscriber->group,
        .member_id = subscriber->member.id,
        .instance_id = subscriber->instance_id,
        .generation = subscriber->member.generation,
    };
    return el_offset_commit_build(&self, offsets, count, arena, request);
}

static int commit_failure(const struct evlog_subscriber *subscriber, int kafka_code, struct evlog_failure *failure)
{
    char what[300];
    (void)snprintf(what, sizeof what, "commit of group %s", subscriber->group);
    int rc = el_fail_kafka(failure, kafka_code, el_slice_of(NULL, 0), what);
    el_fail_right(failure, "read group", subscriber->group);
    el_fail_right(failure, "read topic", NULL);
    if (rc == EVLOG_ERR_GENERATION || rc == EVLOG_ERR_UNKNOWN_MEMBER || rc == EVLOG_ERR_FENCED_INSTANCE) {
        el_fail_hint(failure, "the group has given the partitions to others: what is not committed will be read "
                              "again; process faster, or raise max.poll.interval.ms");
    }
    return rc;
}

/* --- commits that wait ------------------------------------------------------------------------------------------- */

static int commit_and_wait(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets,
                           size_t count, struct el_arena *arena, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct evlog_client *client = subscriber->client;
    struct el_msg_offset_commit_request request;
    struct el_msg_offset_commit_response response;
    struct el_call call;
    el_client_lock(client);
    int rc = build_commit(subscriber, offsets, count, arena, &request);
    el_client_unlock(client);
    if (rc != 0) {
        return el_fail(failure, rc, "no memory for a commit");
    }
    struct el_group_ask ask = {
        .group = subscriber->group,
        .api = EL_API_OffsetCommit,
        .request = &request,
        .version_max = EL_OFFSET_COMMIT_VERSION_MAX,
        .deadline_ns = deadline_ns,
        .code_of = el_offset_commit_code,
    };
    rc = el_group_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    int kafka_code = el_offset_commit_code(&response);
    el_call_free(&call);
    if (kafka_code != 0) {
        return commit_failure(subscriber, kafka_code, failure);
    }
    committed(subscriber, offsets, count);
    return 0;
}

int el_subscriber_commit_stored(struct evlog_subscriber *subscriber, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct el_arena arena;
    size_t count;
    el_arena_init(&arena, NULL, 0);
    struct evlog_partition_offset *offsets = stored_offsets(subscriber, &arena, &count);
    int rc = 0;
    if (offsets == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a commit");
    } else if (count > 0) {
        rc = commit_and_wait(subscriber, offsets, count, &arena, deadline_ns, failure);
    }
    el_arena_reset(&arena);
    return rc;
}

int evlog_subscriber_commit(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets,
                            size_t count, struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(subscriber->client->cfg.request_timeout_ms);
    if (offsets == NULL) {
        el_subscriber_store_last(subscriber);
        return el_subscriber_commit_stored(subscriber, deadline_ns, failure);
    }
    if (!el_offsets_valid(offsets, count, failure)) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (count == 0) {
        return 0;
    }
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    int rc = commit_and_wait(subscriber, offsets, count, &arena, deadline_ns, failure);
    el_arena_reset(&arena);
    return rc;
}

/* --- commits that do not wait ------------------------------------------------------------------------------------ */

static void commit_free(struct el_commit *commit)
{
    el_call_free(&commit->call);
    el_arena_reset(&commit->arena);
    el_free(commit);
}

static void commit_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_commit *commit = call->arg;
    struct evlog_subscriber *subscriber = commit->subscriber;
    if (subscriber == NULL) {
        commit_free(commit);
        return;
    }
    el_list_remove(&commit->link);
    el_list_push_back(&subscriber->commits_done, &commit->link);
    subscriber->auto_commit_count -= commit->automatic;
    __atomic_store_n(&subscriber->due, true, __ATOMIC_RELEASE);
    el_client_notify(client);
}

/* Offsets with their names, copied into the commit. */
static int copy_offsets(struct el_commit *commit, const struct evlog_partition_offset *offsets, size_t count)
{
    commit->offsets = el_arena_alloc(&commit->arena, (count + 1) * sizeof *commit->offsets);
    for (size_t i = 0; commit->offsets != NULL && i < count; i++) {
        commit->offsets[i] = offsets[i];
        bool same = i > 0 && strcmp(offsets[i].topic, offsets[i - 1].topic) == 0;
        commit->offsets[i].topic = same ? commit->offsets[i - 1].topic
                                        : el_arena_strndup(&commit->arena, offsets[i].topic, strlen(offsets[i].topic));
        if (commit->offsets[i].topic == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    commit->count = count;
    commit->request = el_arena_zalloc(&commit->arena, sizeof *commit->request);
    return commit->offsets == NULL || commit->request == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int submit(struct evlog_subscriber *subscriber, struct el_commit *commit)
{
    struct evlog_client *client = subscriber->client;
    int rc = build_commit(subscriber, commit->offsets, commit->count, &commit->arena, commit->request);
    if (rc != 0) {
        return rc;
    }
    el_call_init(&commit->call, el_api_find(EL_API_OffsetCommit), commit->request);
    commit->call.version_max = EL_OFFSET_COMMIT_VERSION_MAX;
    commit->call.node_id = subscriber->member.coordinator;
    commit->call.deadline_ns = el_now_ns() + client->cfg.request_timeout_ms * EL_NS_PER_MS;
    commit->call.on_done = commit_on_done;
    commit->call.arg = commit;
    subscriber->auto_commit_count += commit->automatic;
    if (subscriber->member.coordinator < 0) {
        el_list_push_back(&subscriber->commits, &commit->link);
        (void)el_fail(&commit->call.failure, EVLOG_ERR_GROUP_UNAVAILABLE,
                      "commit of group %s: its coordinator is not known now", subscriber->group);
        commit->call.done = true;
        commit_on_done(client, &commit->call);
        return 0;
    }
    el_list_push_back(&subscriber->commits, &commit->link);
    el_call_submit(client, &commit->call);
    return 0;
}

static int commit_async(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets, size_t count,
                        const struct el_commit *tell)
{
    struct el_commit *commit = el_calloc(1, sizeof *commit);
    if (commit == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    commit->subscriber = subscriber;
    commit->fn = tell->fn;
    commit->arg = tell->arg;
    commit->automatic = tell->automatic;
    el_list_init(&commit->link);
    el_arena_init(&commit->arena, NULL, 0);
    el_arena_init(&commit->call.arena, NULL, 0);
    int rc = copy_offsets(commit, offsets, count);
    if (rc == 0) {
        el_client_lock(subscriber->client);
        rc = submit(subscriber, commit);
        el_client_unlock(subscriber->client);
    }
    if (rc != 0) {
        commit_free(commit);
    }
    return rc;
}

int evlog_subscriber_commit_async(struct evlog_subscriber *subscriber, const struct evlog_partition_offset *offsets,
                                  size_t count, evlog_commit_fn fn, void *arg, struct evlog_failure *failure)
{
    struct el_arena arena;
    struct el_commit tell = {.fn = fn, .arg = arg};
    if (offsets != NULL && !el_offsets_valid(offsets, count, failure)) {
        return EVLOG_ERR_ARGUMENT;
    }
    el_arena_init(&arena, NULL, 0);
    if (offsets == NULL) {
        el_subscriber_store_last(subscriber);
        offsets = stored_offsets(subscriber, &arena, &count);
    }
    int rc = offsets == NULL ? EVLOG_ERR_NO_MEMORY : commit_async(subscriber, offsets, count, &tell);
    el_arena_reset(&arena);
    return rc == 0 ? 0 : el_fail(failure, rc, "no memory for a commit");
}

void el_subscriber_auto_commit(struct evlog_subscriber *subscriber)
{
    const struct el_client_config *cfg = &subscriber->client->cfg;
    int64_t now_ns = cfg->auto_commit ? el_now_ns() : 0;
    if (!cfg->auto_commit || now_ns < subscriber->commit_at_ns) {
        return;
    }
    subscriber->commit_at_ns = now_ns + cfg->auto_commit_ms * EL_NS_PER_MS;
    el_client_lock(subscriber->client);
    bool busy = subscriber->auto_commit_count > 0;
    el_client_unlock(subscriber->client);
    struct el_arena arena;
    size_t count;
    el_arena_init(&arena, NULL, 0);
    const struct evlog_partition_offset *offsets = busy ? NULL : stored_offsets(subscriber, &arena, &count);
    if (offsets != NULL && count > 0) {
        struct el_commit tell = {.fn = subscriber->on_commit, .arg = subscriber->arg, .automatic = true};
        (void)commit_async(subscriber, offsets, count, &tell); /* without memory: the next one says the same */
    }
    el_arena_reset(&arena);
}

/* Tell of one commit. returns callbacks run */
static int tell_commit(struct evlog_subscriber *subscriber, struct el_commit *commit)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_msg_offset_commit_response response;
    int rc = commit->call.failure.code;
    if (rc != 0) {
        (void)el_fail_copy(&failure, &commit->call.failure);
    } else {
        rc = el_call_decode(&commit->call, &response, &failure);
    }
    if (rc == 0 && el_offset_commit_code(&response) != 0) {
        rc = commit_failure(subscriber, el_offset_commit_code(&response), &failure);
    }
    if (rc == 0) {
        committed(subscriber, commit->offsets, commit->count);
    }
    if (commit->fn == NULL || (commit->automatic && rc == 0)) {
        return 0;
    }
    subscriber->in_callback = true;
    commit->fn(commit->arg, commit->offsets, commit->count, rc == 0 ? NULL : &failure);
    subscriber->in_callback = false;
    return 1;
}

int el_subscriber_tell_commits(struct evlog_subscriber *subscriber)
{
    struct el_list due;
    int told_count = 0;
    el_list_init(&due);
    el_client_lock(subscriber->client);
    el_list_splice_back(&due, &subscriber->commits_done);
    el_client_unlock(subscriber->client);
    for (struct el_list *node = el_list_pop_front(&due); node != NULL; node = el_list_pop_front(&due)) {
        struct el_commit *commit = EL_CONTAINER(node, struct el_commit, link);
        told_count += tell_commit(subscriber, commit);
        commit_free(commit);
    }
    return told_count;
}

void el_subscriber_detach_commits(struct evlog_subscriber *subscriber)
{
    el_client_lock(subscriber->client);
    for (struct el_list *node = el_list_pop_front(&subscriber->commits); node != NULL;
         node = el_list_pop_front(&subscriber->commits)) {
        EL_CONTAINER(node, struct el_commit, link)->subscriber = NULL;
    }
    el_client_unlock(subscriber->client);
    for (struct el_list *node = el_list_pop_front(&subscriber->commits_done); node != NULL;
         node = el_list_pop_front(&subscriber->commits_done)) {
        commit_free(EL_CONTAINER(node, struct el_commit, link));
    }
}

/* --- committed offsets ------------------------------------------------------------------------------------------- */

static void take_fetch(const struct el_msg_offset_fetch_response *response, struct evlog_partition_offset *partitions,
                       size_t count)
{
    for (size_t k = 0; k < count; k++) {
        partitions[k].offset = -1;
        partitions[k].leader_epoch = -1;
    }
    size_t turn = 0; /* answers mostly come in the order of the questions */
    for (uint32_t i = 0; i < response->topic_count; i++) {
        const struct el_msg_offset_fetch_topic_result *topic = &response->topics[i];
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            for (size_t k = 0; k < count; k++) {
                struct evlog_partition_offset *p = &partitions[(turn + k) % count];
                if (p->partition == topic->partitions[j].partition_index &&
                    el_slice_eq(topic->name, el_slice_str(p->topic))) {
                    p->offset = EL_MAX(topic->partitions[j].committed_offset, -1);
                    p->leader_epoch = topic->partitions[j].committed_leader_epoch;
                    turn = (turn + k + 1) % count;
                    break;
                }
            }
        }
    }
}

int el_subscriber_ask_committed(struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                                size_t count, struct evlog_failure *failure)
{
    struct el_msg_offset_fetch_request request;
    struct el_msg_offset_fetch_response response;
    struct el_call call;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    int rc = el_offset_fetch_build(subscriber->group, partitions, count, &arena, &request);
    if (rc != 0) {
        el_arena_reset(&arena);
        return el_fail(failure, rc, "no memory to ask for committed offsets");
    }
    struct el_group_ask ask = {
        .group = subscriber->group,
        .api = EL_API_OffsetFetch,
        .request = &request,
        .version_max = EL_OFFSET_FETCH_VERSION_MAX,
        .deadline_ns = el_deadline(subscriber->client->cfg.request_timeout_ms),
        .code_of = el_offset_fetch_code,
    };
    rc = el_group_ask(subscriber->client, &ask, &call, &response, failure);
    if (rc == 0) {
        int kafka_code = el_offset_fetch_code(&response);
        if (kafka_code == 0) {
            take_fetch(&response, partitions, count);
        } else {
            char what[300];
            (void)snprintf(what, sizeof what, "committed offsets of group %s", subscriber->group);
            rc = el_fail_kafka(failure, kafka_code, el_slice_of(NULL, 0), what);
            el_fail_right(failure, "read group", subscriber->group);
        }
        el_call_free(&call);
    }
    el_arena_reset(&arena);
    return rc;
}

int evlog_subscriber_committed(struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                               size_t count, struct evlog_failure *failure)
{
    if (count == 0) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (partitions[i].topic == NULL || partitions[i].partition < 0) {
            return el_fail(failure, EVLOG_ERR_ARGUMENT, "partition %zu names no topic, or is negative", i);
        }
    }
    return el_subscriber_ask_committed(subscriber, partitions, count, failure);
}
