/* SPDX-License-Identifier: Apache-2.0
 *
 * Membership in a consumer group. Internal thread of the client, lock held.
 *
 * 1. A turn finds the coordinator when it is not known, and joins. The answer makes this member a follower or the
 *    leader of a generation; SyncGroup brings the assignment.
 * 2. The reader is asked to adopt it; then the member is stable. Heartbeats go on all the time.
 * 3. A rebalance: an eager member asks the reader to revoke everything and joins when that is done; a cooperative one
 *    joins at once, reads on, and lets go only of what the next assignment leaves out, after which it joins once more.
 * 4. A coordinator that does not know the member any more, or a reader that has not been seen for
 *    max.poll.interval.ms, ends the membership: the reader loses everything and a new one begins.
 *
 * Whatever fails for a moment (connections, a coordinator that moves or loads) is tried again with backoff, for ever;
 * what trying again cannot mend stops in the state "failed", and every call of the reader says why.
 */
#include "fail.h"
#include "subscriber_state.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <stdlib.h>

#define TURNS_MAX 4 /* states passed in one turn */

static void check(const void *object, unsigned state)
{
    const struct evlog_subscriber *subscriber = object;
    const struct el_member *member = &subscriber->member;
    switch ((enum el_member_state)state) {
    case EL_MEMBER_JOINING:
        EL_ASSERT(member->task == EL_TASK_NONE);
        break;
    case EL_MEMBER_SYNCING:
        EL_ASSERT(member->generation >= 0);
        EL_ASSERT(member->task == EL_TASK_NONE);
        break;
    case EL_MEMBER_ADOPTING:
        EL_ASSERT(member->task == EL_TASK_ADOPT);
        break;
    case EL_MEMBER_STABLE:
        EL_ASSERT(member->task == EL_TASK_NONE);
        EL_ASSERT(member->generation >= 0);
        break;
    case EL_MEMBER_RETREATING:
        EL_ASSERT(member->task == EL_TASK_REVOKE || member->task == EL_TASK_LOSE);
        break;
    case EL_MEMBER_FAILED:
        EL_ASSERT(member->failure.code != 0);
        break;
    case EL_MEMBER_LEAVING:
    case EL_MEMBER_LEFT:
    case EL_MEMBER_STATE_COUNT:
        break;
    }
}

#define ENDS (EL_SM_TO(EL_MEMBER_FAILED) | EL_SM_TO(EL_MEMBER_LEAVING))

static const struct el_sm_state states[EL_MEMBER_STATE_COUNT] = {
    [EL_MEMBER_JOINING] = {"joining", EL_SM_TO(EL_MEMBER_SYNCING) | EL_SM_TO(EL_MEMBER_RETREATING) | ENDS},
    [EL_MEMBER_SYNCING] = {"syncing", EL_SM_TO(EL_MEMBER_ADOPTING) | EL_SM_TO(EL_MEMBER_JOINING) |
                                          EL_SM_TO(EL_MEMBER_RETREATING) | ENDS},
    [EL_MEMBER_ADOPTING] = {"adopting", EL_SM_TO(EL_MEMBER_STABLE) | EL_SM_TO(EL_MEMBER_RETREATING) | ENDS},
    [EL_MEMBER_STABLE] = {"stable", EL_SM_TO(EL_MEMBER_JOINING) | EL_SM_TO(EL_MEMBER_RETREATING) | ENDS},
    [EL_MEMBER_RETREATING] = {"retreating", EL_SM_TO(EL_MEMBER_JOINING) | ENDS},
    [EL_MEMBER_FAILED] = {"failed", EL_SM_TO(EL_MEMBER_LEAVING)},
    [EL_MEMBER_LEAVING] = {"leaving", EL_SM_TO(EL_MEMBER_LEFT)},
    [EL_MEMBER_LEFT] = {"left", 0},
};
static const struct el_sm_table member_sm = {"member", states, EL_MEMBER_STATE_COUNT, check};

static void move(struct evlog_subscriber *subscriber, enum el_member_state state)
{
    if (subscriber->member.sm.state != (unsigned)state) {
        el_client_log(subscriber->client, EVLOG_LOG_DEBUG, "group %s: %s, then %s", subscriber->group,
                      el_sm_name(&subscriber->member.sm), states[state].name);
        el_sm_move(&subscriber->member.sm, subscriber, state);
    }
}

/* Ask the reader for something. */
static void set_task(struct evlog_subscriber *subscriber, enum el_member_task task)
{
    subscriber->member.task = task;
    __atomic_store_n(&subscriber->due, true, __ATOMIC_RELEASE);
    el_client_notify(subscriber->client);
}

static void look_again(int64_t *until_ns, int64_t when_ns)
{
    *until_ns = EL_MIN(*until_ns, when_ns);
}

void el_member_init(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    const struct el_client_config *cfg = &subscriber->client->cfg;
    el_sm_init(&member->sm, &member_sm, EL_MEMBER_JOINING);
    member->generation = member->coordinator = member->assignor = -1;
    member->cooperative = true;
    for (uint32_t i = 0; i < cfg->assignor_count; i++) {
        member->cooperative = member->cooperative && el_assignor_cooperative(cfg->assignors[i]);
    }
    member->failure.size = sizeof member->failure;
    el_arena_init(&member->assigned.arena, NULL, 0);
    el_arena_init(&member->held.arena, NULL, 0);
    el_arena_init(&member->divided_arena, NULL, 0);
}

void el_member_destroy(struct el_member *member)
{
    EL_ASSERT(member->pending == NULL);
    EL_ASSERT(member->heartbeat == NULL);
    el_arena_reset(&member->assigned.arena);
    el_arena_reset(&member->held.arena);
    el_arena_reset(&member->divided_arena);
    el_free(member->id);
    member->id = NULL;
}

int el_partition_set_copy(struct el_partition_set *set, const struct el_msg_consumer_protocol_partitions *runs,
                          uint32_t run_count)
{
    el_arena_reset(&set->arena);
    set->run_count = 0;
    set->runs = el_arena_alloc(&set->arena, (run_count + 1) * sizeof *set->runs);
    for (uint32_t i = 0; set->runs != NULL && i < run_count; i++) {
        struct el_msg_consumer_protocol_partitions *run = &set->runs[i];
        size_t len = runs[i].partition_count * sizeof *run->partitions;
        char *topic = el_arena_strndup(&set->arena, runs[i].topic.data, runs[i].topic.len);
        run->partitions = len == 0 ? EL_EMPTY : el_arena_dup(&set->arena, runs[i].partitions, len);
        if (topic == NULL || run->partitions == NULL) {
            set->run_count = 0;
            return EVLOG_ERR_NO_MEMORY;
        }
        run->topic = el_slice_of(topic, runs[i].topic.len);
        run->partition_count = runs[i].partition_count;
        set->run_count++;
    }
    return set->runs == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* --- what is subscribed to --------------------------------------------------------------------------------------- */

static bool matches(const char *wanted, struct el_slice name)
{
    size_t len = strlen(wanted);
    return wanted[len - 1] == '*' && name.len >= len - 1 && memcmp(wanted, name.data, len - 1) == 0;
}

static int compare_names(const void *a, const void *b)
{
    const struct el_slice *x = a, *y = b;
    int order = memcmp(x->data, y->data, EL_MIN(x->len, y->len));
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

struct el_slice *el_member_topics(struct evlog_subscriber *subscriber, struct el_arena *arena, uint32_t *count)
{
    const struct el_map *known = &subscriber->client->cluster.topics;
    uint32_t found = 0;
    size_t room = subscriber->topic_count + (subscriber->has_pattern ? known->count : 0);
    struct el_slice *topics = el_arena_alloc(arena, (room + 1) * sizeof *topics);
    if (topics == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < subscriber->topic_count; i++) {
        if (strchr(subscriber->topics[i], '*') == NULL) {
            topics[found++] = el_slice_str(subscriber->topics[i]);
        }
    }
    for (size_t k = 0; subscriber->has_pattern && k < known->count; k++) {
        const struct el_topic *topic = known->entries[k].value;
        bool wanted = false;
        for (uint32_t i = 0; i < subscriber->topic_count; i++) {
            wanted = wanted || matches(subscriber->topics[i], known->entries[k].key);
        }
        if (wanted && !topic->internal) {
            topics[found++] = known->entries[k].key;
        }
    }
    qsort(topics, found, sizeof *topics, compare_names);
    *count = 0;
    for (uint32_t i = 0; i < found; i++) {
        if (*count == 0 || !el_slice_eq(topics[*count - 1], topics[i])) {
            topics[(*count)++] = topics[i];
        }
    }
    return topics;
}

uint64_t el_member_hash(struct evlog_client *client, const struct el_slice *topics, uint32_t count, bool counts)
{
    uint64_t hash = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct el_topic *topic = el_map_get(&client->cluster.topics, topics[i].data, topics[i].len);
        uint64_t part[2] = {hash, counts && topic != NULL ? (uint64_t)topic->partition_count : 0};
        hash = el_xxh3(part, sizeof part) ^ el_xxh3(topics[i].data, topics[i].len);
    }
    return hash;
}

uint32_t el_subscribers_topics(const struct evlog_client *client, struct el_slice *names, uint32_t room, bool *all)
{
    uint32_t count = 0;
    *all = false;
    EL_LIST_EACH(node, &client->subscribers) {
        const struct evlog_subscriber *subscriber = EL_CONTAINER(node, struct evlog_subscriber, link);
        *all = *all || subscriber->has_pattern;
        for (uint32_t i = 0; i < subscriber->topic_count; i++) {
            if (strchr(subscriber->topics[i], '*') == NULL) {
                if (count < room) {
                    names[count] = el_slice_str(subscriber->topics[i]);
                }
                count++;
            }
        }
    }
    return count;
}

/* The cluster has changed: does that concern this member? */
static void look_at_cluster(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    if (member->cluster_seen == subscriber->client->cluster.change_count) {
        return;
    }
    member->cluster_seen = subscriber->client->cluster.change_count;
    if (member->is_leader &&
        el_member_hash(subscriber->client, member->divided, member->divided_count, true) != member->divided_hash) {
        member->rejoin = true;
    }
    if (subscriber->has_pattern) {
        struct el_arena arena;
        uint32_t count;
        el_arena_init(&arena, NULL, 0);
        struct el_slice *topics = el_member_topics(subscriber, &arena, &count);
        if (topics != NULL && el_member_hash(subscriber->client, topics, count, false) != member->wanted_hash) {
            member->rejoin = true;
        }
        el_arena_reset(&arena);
    }
}

/* --- moves ------------------------------------------------------------------------------------------------------- */

void el_member_backoff(struct evlog_subscriber *subscriber)
{
    const struct el_client_config *cfg = &subscriber->client->cfg;
    struct el_member *member = &subscriber->member;
    member->failure_count++;
    member->retry_at_ns = el_now_ns() + el_client_backoff_ns(subscriber->client, member->failure_count,
                                                             cfg->retry_backoff_ms, cfg->retry_backoff_max_ms);
}

void el_member_join_later(struct evlog_subscriber *subscriber)
{
    el_member_backoff(subscriber);
    move(subscriber, EL_MEMBER_JOINING);
}

void el_member_lost(struct evlog_subscriber *subscriber, bool keeps_id)
{
    struct el_member *member = &subscriber->member;
    bool holds = member->held.run_count > 0 || member->sm.state == EL_MEMBER_ADOPTING;
    el_client_log(subscriber->client, EVLOG_LOG_WARNING, "group %s: the membership of generation %d is over",
                  subscriber->group, member->generation);
    member->generation = -1;
    member->is_leader = member->rejoin = false;
    if (!keeps_id) {
        member->id[0] = '\0';
    }
    if (holds) {
        set_task(subscriber, EL_TASK_LOSE);
        move(subscriber, EL_MEMBER_RETREATING);
    } else {
        member->task = EL_TASK_NONE;
        move(subscriber, EL_MEMBER_JOINING);
    }
}

void el_member_fail(struct evlog_subscriber *subscriber, const struct evlog_failure *why)
{
    struct el_member *member = &subscriber->member;
    bool holds = member->held.run_count > 0 || member->sm.state == EL_MEMBER_ADOPTING;
    el_client_log(subscriber->client, EVLOG_LOG_ERROR, "%s", why->text);
    el_member_detach(member);
    member->failure = *why;
    member->generation = -1;
    member->is_leader = false;
    set_task(subscriber, holds ? EL_TASK_LOSE : EL_TASK_NONE);
    move(subscriber, EL_MEMBER_FAILED);
}

void el_member_assigned(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    uint32_t count = 0;
    for (uint32_t i = 0; i < member->assigned.run_count; i++) {
        count += member->assigned.runs[i].partition_count;
    }
    el_client_log(subscriber->client, EVLOG_LOG_INFO, "group %s: generation %d gives %u partitions", subscriber->group,
                  member->generation, count);
    member->failure_count = 0;
    member->rebalance_count++;
    member->heartbeat_at_ns = el_now_ns() + subscriber->client->cfg.heartbeat_ms * EL_NS_PER_MS;
    set_task(subscriber, EL_TASK_ADOPT);
    move(subscriber, EL_MEMBER_ADOPTING);
}

/* True when something held is not in the assignment: it has just been let go. */
static bool has_let_go(const struct el_member *member)
{
    uint32_t held_count = 0, kept_count = 0;
    for (uint32_t i = 0; i < member->held.run_count; i++) {
        const struct el_msg_consumer_protocol_partitions *run = &member->held.runs[i];
        held_count += run->partition_count;
        for (uint32_t j = 0; j < member->assigned.run_count; j++) {
            const struct el_msg_consumer_protocol_partitions *now = &member->assigned.runs[j];
            for (uint32_t k = 0; el_slice_eq(run->topic, now->topic) && k < run->partition_count; k++) {
                for (uint32_t l = 0; l < now->partition_count; l++) {
                    kept_count += run->partitions[k] == now->partitions[l];
                }
            }
        }
    }
    return kept_count < held_count;
}

/* Note what the reader reads. */
static int note_held(struct evlog_subscriber *subscriber)
{
    struct evlog_consumer *engine = &subscriber->engine;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    struct el_msg_consumer_protocol_partitions *runs = el_arena_alloc(&arena, (engine->feed_count + 1) * sizeof *runs);
    int32_t *partitions = el_arena_alloc(&arena, (engine->feed_count + 1) * sizeof *partitions);
    uint32_t run_count = 0;
    for (uint32_t i = 0; runs != NULL && partitions != NULL && i < engine->feed_count; i++) {
        struct el_slice topic = el_slice_str(engine->feeds[i]->topic);
        if (run_count == 0 || !el_slice_eq(runs[run_count - 1].topic, topic)) {
            runs[run_count++] = (struct el_msg_consumer_protocol_partitions){topic, &partitions[i], 0};
        }
        partitions[i] = engine->feeds[i]->partition;
        runs[run_count - 1].partition_count++;
    }
    bool ok = runs != NULL && partitions != NULL;
    int rc = ok ? el_partition_set_copy(&subscriber->member.held, runs, run_count) : EVLOG_ERR_NO_MEMORY;
    el_arena_reset(&arena);
    return rc;
}

int el_member_task_done(struct evlog_subscriber *subscriber, enum el_member_task task)
{
    struct el_member *member = &subscriber->member;
    if (member->task != task) {
        return 0; /* the membership was lost meanwhile */
    }
    bool let_go = task == EL_TASK_ADOPT && member->cooperative && has_let_go(member);
    int rc = note_held(subscriber);
    if (rc != 0) {
        return rc;
    }
    member->task = EL_TASK_NONE;
    if (member->sm.state == EL_MEMBER_ADOPTING) {
        member->rejoin = member->rejoin || let_go;
        move(subscriber, EL_MEMBER_STABLE);
    } else if (member->sm.state == EL_MEMBER_RETREATING) {
        move(subscriber, EL_MEMBER_JOINING);
    }
    el_client_wake(subscriber->client);
    return 0;
}

bool el_subscriber_has_due(const struct evlog_subscriber *subscriber)
{
    const struct el_member *member = &subscriber->member;
    return member->task != EL_TASK_NONE || member->sm.state == EL_MEMBER_FAILED || member->poll_missed ||
           !el_list_empty(&subscriber->commits_done);
}

void el_member_leave(struct evlog_subscriber *subscriber)
{
    subscriber->member.task = EL_TASK_NONE;
    el_member_detach(&subscriber->member); /* a join that nobody needs any more may be answered before the next turn */
    move(subscriber, EL_MEMBER_LEAVING);
    el_client_wake(subscriber->client);
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

/* The reader has not been seen for too long: tell the group, and begin anew when it comes back. */
static void watch_reader(struct evlog_subscriber *subscriber, int64_t now_ns, int64_t *until_ns)
{
    struct el_member *member = &subscriber->member;
    int64_t polled_ns = __atomic_load_n(&subscriber->polled_ns, __ATOMIC_RELAXED);
    if (polled_ns == EL_NEVER_NS || member->generation < 0 || member->sm.state == EL_MEMBER_SYNCING ||
        member->sm.state == EL_MEMBER_JOINING) {
        return;
    }
    int64_t limit_ns = polled_ns + subscriber->client->cfg.poll_interval_ms * EL_NS_PER_MS;
    if (now_ns < limit_ns) {
        look_again(until_ns, limit_ns);
        return;
    }
    if (subscriber->instance_id == NULL && member->coordinator >= 0) {
        (void)el_member_send_leave(subscriber, false); /* without memory the session's end says the same */
    }
    member->poll_missed = true;
    el_member_lost(subscriber, false);
    el_client_notify(subscriber->client);
}

static void search(struct evlog_subscriber *subscriber, int64_t now_ns, int64_t *until_ns)
{
    struct el_member *member = &subscriber->member;
    if (member->finding != NULL) {
        return;
    }
    if (member->retry_at_ns > now_ns) {
        look_again(until_ns, member->retry_at_ns);
    } else if (el_member_send_find(subscriber) != 0) {
        el_member_backoff(subscriber);
        look_again(until_ns, member->retry_at_ns);
    }
}

static void beat(struct evlog_subscriber *subscriber, int64_t now_ns, int64_t *until_ns)
{
    struct el_member *member = &subscriber->member;
    if (member->generation < 0 || member->heartbeat != NULL) {
        return;
    }
    if (member->heartbeat_at_ns <= now_ns) {
        member->heartbeat_at_ns = now_ns + subscriber->client->cfg.heartbeat_ms * EL_NS_PER_MS;
        (void)el_member_send_heartbeat(subscriber);
    }
    look_again(until_ns, member->heartbeat_at_ns);
}

static void turn_joining(struct evlog_subscriber *subscriber, int64_t now_ns, int64_t *until_ns)
{
    struct el_member *member = &subscriber->member;
    bool blind = subscriber->client->cluster.full_count < member->full_wanted;
    if (member->pending != NULL || member->poll_missed || blind) {
        return;
    }
    if (member->retry_at_ns > now_ns) {
        look_again(until_ns, member->retry_at_ns);
    } else if (el_member_send_join(subscriber) != 0) {
        el_member_backoff(subscriber);
        look_again(until_ns, member->retry_at_ns);
    }
}

static void turn_stable(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    look_at_cluster(subscriber);
    if (!member->rejoin) {
        return;
    }
    member->rejoin = false;
    if (member->cooperative || member->held.run_count == 0) {
        move(subscriber, EL_MEMBER_JOINING);
    } else {
        set_task(subscriber, EL_TASK_REVOKE);
        move(subscriber, EL_MEMBER_RETREATING);
    }
}

static void turn_leaving(struct evlog_subscriber *subscriber)
{
    struct el_member *member = &subscriber->member;
    bool must_say = subscriber->instance_id == NULL && member->id[0] != '\0' && member->coordinator >= 0;
    if (must_say && !member->leaving) {
        member->leaving = el_member_send_leave(subscriber, true) == 0;
        must_say = member->leaving;
    }
    if (!must_say || member->pending == NULL) {
        el_member_detach(member);
        move(subscriber, EL_MEMBER_LEFT);
        el_conns_retire(subscriber->client, subscriber->engine.lane - 1);
        el_client_notify(subscriber->client);
    }
}

/* One state's work. */
static void turn(struct evlog_subscriber *subscriber, int64_t now_ns, int64_t *until_ns)
{
    struct el_member *member = &subscriber->member;
    switch ((enum el_member_state)member->sm.state) {
    case EL_MEMBER_JOINING:
        turn_joining(subscriber, now_ns, until_ns);
        break;
    case EL_MEMBER_SYNCING:
        break;
    case EL_MEMBER_STABLE:
        turn_stable(subscriber);
        beat(subscriber, now_ns, until_ns);
        break;
    case EL_MEMBER_ADOPTING:
    case EL_MEMBER_RETREATING:
        beat(subscriber, now_ns, until_ns);
        break;
    case EL_MEMBER_LEAVING:
        turn_leaving(subscriber);
        break;
    case EL_MEMBER_FAILED:
    case EL_MEMBER_LEFT:
    case EL_MEMBER_STATE_COUNT:
        break;
    }
}

static bool needs_coordinator(const struct el_member *member)
{
    return member->coordinator < 0 && member->sm.state != EL_MEMBER_FAILED && member->sm.state != EL_MEMBER_LEAVING &&
           member->sm.state != EL_MEMBER_LEFT;
}

void el_subscribers_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns)
{
    EL_LIST_EACH_SAFE(node, following, &client->subscribers) {
        struct evlog_subscriber *subscriber = EL_CONTAINER(node, struct evlog_subscriber, link);
        struct el_member *member = &subscriber->member;
        watch_reader(subscriber, now_ns, until_ns);
        if (needs_coordinator(member)) {
            search(subscriber, now_ns, until_ns);
            continue;
        }
        unsigned before = EL_MEMBER_STATE_COUNT;
        for (int i = 0; i < TURNS_MAX && member->sm.state != before; i++) {
            before = member->sm.state;
            turn(subscriber, now_ns, until_ns);
        }
    }
}
