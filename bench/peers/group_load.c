/* SPDX-License-Identifier: Apache-2.0
 *
 * Consumer groups of any broker on a loopback port that speaks the Kafka protocol. A thread and a blocking connection
 * for each member; members do nothing but ask. Prints one line of JSON.
 *
 * 1. rebalance: all members are in one group. In each round all of them join again at the same moment, with another
 *    subscription, and the leader assigns. A round lasts from the first request to the last member's assignment, so no
 *    heartbeat interval is in it, only the broker's part
 * 2. commit: each member is alone in a group of its own and commits one offset, one request at a time
 */
#include "../lib/bench.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wire/error_code.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_join_group.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_sync_group.h>

#define MEMBER_MAX 1000u
#define ROUND_MAX 10000u
#define ID_LEN_MAX 256u
#define TRIES_MAX 60000u
#define RETRY_US 1000
#define SESSION_MS 60000
#define WARM_ROUNDS 3u

#define FIND_VERSION 3
#define JOIN_VERSION 5
#define SYNC_VERSION 3
#define COMMIT_VERSION 8

struct group_load {
    uint16_t port;
    const char *topic;
    uint32_t members;
    double seconds;
    pthread_barrier_t barrier; /* of all members and the main thread */
    volatile bool over;
    uint64_t began_ns; /* of a round */
};

struct member {
    struct group_load *load;
    pthread_t thread;
    uint32_t index;
    int fd;
    char group[32];
    char id[ID_LEN_MAX];
    int32_t generation;
    uint64_t ended_ns; /* of a round */
    uint64_t commits;
    struct bench_histogram *times; /* of commits */
    struct el_arena arena;
};

/* --- requests ----------------------------------------------------------------------------------------------------- */

static bool is_starting(int error)
{
    return error == EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error == EL_KAFKA_COORDINATOR_NOT_AVAILABLE ||
           error == EL_KAFKA_NOT_COORDINATOR;
}

/* The first question for a coordinator makes the topic of offsets. */
static void find(struct member *m)
{
    struct el_msg_find_coordinator_request request;
    struct el_msg_find_coordinator_response response;
    el_schema_init(&el_schema_find_coordinator_request, &request);
    request.key = el_slice_str(m->group);
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        bench_call(m->fd, EL_API_FindCoordinator, FIND_VERSION, &request, &m->arena, &response);
        int error = response.error_code;
        el_arena_reset(&m->arena);
        if (error == 0) {
            return;
        }
        usleep(RETRY_US);
    }
    bench_die("no coordinator for %s", m->group);
}

/* returns false when the others have begun to join again meanwhile */
static bool sync_group(struct member *m, const struct el_msg_join_group_response *joined)
{
    struct el_msg_sync_group_request request;
    struct el_msg_sync_group_response response;
    el_schema_init(&el_schema_sync_group_request, &request);
    request.group_id = el_slice_str(m->group);
    request.generation_id = joined->generation_id;
    request.member_id = el_slice_str(m->id);
    request.assignment_count = joined->member_count;
    request.assignments = el_schema_new(&el_schema_sync_group_assignment, &m->arena, joined->member_count);
    for (uint32_t i = 0; i < joined->member_count; i++) {
        request.assignments[i].member_id = joined->members[i].member_id;
        request.assignments[i].assignment = joined->members[i].metadata;
    }
    bench_call(m->fd, EL_API_SyncGroup, SYNC_VERSION, &request, &m->arena, &response);
    if (response.error_code == EL_KAFKA_REBALANCE_IN_PROGRESS) {
        return false;
    }
    if (response.error_code != 0 || response.assignment.len == 0) {
        bench_die("SyncGroup of %s: error %d", m->group, response.error_code);
    }
    m->generation = joined->generation_id;
    return true;
}

/* Join and sync. round: becomes the subscription, for one that has not changed is no reason to assign anew.
 * returns how many are in the generation, 0 for all but the leader */
static uint32_t join(struct member *m, uint32_t round)
{
    struct el_msg_join_group_request request;
    struct el_msg_join_group_response response;
    struct el_msg_join_group_protocol protocol = {.name = el_slice_str("range")};
    char metadata[64];
    snprintf(metadata, sizeof metadata, "%s-%u", m->load->topic, round);
    protocol.metadata = el_slice_str(metadata);
    el_schema_init(&el_schema_join_group_request, &request);
    request.group_id = el_slice_str(m->group);
    request.session_timeout_ms = request.rebalance_timeout_ms = SESSION_MS;
    request.protocol_type = el_slice_str("consumer");
    request.protocols = &protocol;
    request.protocol_count = 1;
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        request.member_id = el_slice_str(m->id);
        bench_call(m->fd, EL_API_JoinGroup, JOIN_VERSION, &request, &m->arena, &response);
        if (response.error_code == 0) {
            uint32_t count = response.member_count;
            bool whole = sync_group(m, &response);
            el_arena_reset(&m->arena);
            if (whole) {
                return count;
            }
            continue;
        }
        if (response.error_code == EL_KAFKA_MEMBER_ID_REQUIRED && response.member_id.len < ID_LEN_MAX) {
            memcpy(m->id, response.member_id.data, response.member_id.len);
            m->id[response.member_id.len] = '\0';
        } else if (is_starting(response.error_code)) {
            usleep(RETRY_US);
        } else {
            bench_die("JoinGroup of %s: error %d", m->group, response.error_code);
        }
        el_arena_reset(&m->arena);
    }
    bench_die("%s cannot be joined", m->group);
}

static void commit(struct member *m, int64_t offset)
{
    struct el_msg_offset_commit_request request;
    struct el_msg_offset_commit_response response;
    struct el_msg_offset_commit_topic topic;
    struct el_msg_offset_commit_partition partition;
    el_schema_init(&el_schema_offset_commit_request, &request);
    el_schema_init(&el_schema_offset_commit_topic, &topic);
    el_schema_init(&el_schema_offset_commit_partition, &partition);
    partition.committed_offset = offset;
    topic.name = el_slice_str(m->load->topic);
    topic.partitions = &partition;
    topic.partition_count = 1;
    request.group_id = el_slice_str(m->group);
    request.generation_id_or_member_epoch = m->generation;
    request.member_id = el_slice_str(m->id);
    request.topics = &topic;
    request.topic_count = 1;
    bench_call(m->fd, EL_API_OffsetCommit, COMMIT_VERSION, &request, &m->arena, &response);
    if (response.topic_count != 1 || response.topics[0].partition_count != 1 ||
        response.topics[0].partitions[0].error_code != 0) {
        bench_die("a commit of %s failed", m->group);
    }
    el_arena_reset(&m->arena);
}

/* --- rebalance ---------------------------------------------------------------------------------------------------- */

static void *rebalance_member(void *arg)
{
    struct member *m = arg;
    struct group_load *load = m->load;
    find(m);
    for (uint32_t round = 0;; round++) {
        pthread_barrier_wait(&load->barrier); /* the main thread has looked at the clock */
        if (load->over) {
            return NULL;
        }
        uint32_t count = join(m, round);
        if (round >= WARM_ROUNDS && count != 0 && count != load->members) {
            bench_die("a generation of %u members", count); /* a member was too late for the others */
        }
        m->ended_ns = bench_now_ns();
        pthread_barrier_wait(&load->barrier);
    }
}

static void rebalance(struct group_load *load, struct member *members)
{
    struct bench_histogram *times = bench_alloc(sizeof *times);
    uint64_t until_ns = UINT64_MAX, spent_ns = 0;
    uint32_t rounds = 0;
    for (uint32_t round = 0; round < ROUND_MAX && !load->over; round++) {
        load->began_ns = bench_now_ns();
        until_ns = round == WARM_ROUNDS ? load->began_ns + (uint64_t)(load->seconds * 1e9) : until_ns;
        load->over = round > WARM_ROUNDS && load->began_ns > until_ns;
        pthread_barrier_wait(&load->barrier);
        if (load->over) {
            break;
        }
        pthread_barrier_wait(&load->barrier);
        uint64_t ended_ns = 0;
        for (uint32_t i = 0; i < load->members; i++) {
            ended_ns = EL_MAX(ended_ns, members[i].ended_ns);
        }
        if (round >= WARM_ROUNDS) {
            bench_histogram_add(times, ended_ns - load->began_ns);
            spent_ns += ended_ns - load->began_ns;
            rounds++;
        }
    }
    printf("{\"records\": %u, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n", rounds,
           (double)spent_ns / 1e9, bench_histogram_us(times, 0.5), bench_histogram_us(times, 0.99),
           bench_histogram_us(times, 0.999));
    free(times);
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static void *commit_member(void *arg)
{
    struct member *m = arg;
    find(m);
    join(m, 0);
    commit(m, 0);
    pthread_barrier_wait(&m->load->barrier);
    uint64_t from_ns = bench_now_ns();
    while (!m->load->over) {
        commit(m, (int64_t)++m->commits);
        uint64_t now_ns = bench_now_ns();
        bench_histogram_add(m->times, now_ns - from_ns);
        from_ns = now_ns;
    }
    return NULL;
}

static void commits(struct group_load *load, struct member *members)
{
    struct bench_histogram *all = bench_alloc(sizeof *all);
    uint64_t sum = 0;
    pthread_barrier_wait(&load->barrier);
    uint64_t from_ns = bench_now_ns();
    usleep((useconds_t)(load->seconds * 1e6));
    load->over = true;
    for (uint32_t i = 0; i < load->members; i++) {
        pthread_join(members[i].thread, NULL);
        sum += members[i].commits;
        all->count += members[i].times->count;
        for (size_t b = 0; b < sizeof all->buckets / sizeof all->buckets[0]; b++) {
            all->buckets[b] += members[i].times->buckets[b];
        }
    }
    printf("{\"records\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)sum, (double)(bench_now_ns() - from_ns) / 1e9, bench_histogram_us(all, 0.5),
           bench_histogram_us(all, 0.99), bench_histogram_us(all, 0.999));
    free(all);
}

/* --- main --------------------------------------------------------------------------------------------------------- */

static void members_begin(struct group_load *load, struct member *members, bool one_group)
{
    pthread_barrier_init(&load->barrier, NULL, load->members + 1);
    for (uint32_t i = 0; i < load->members; i++) {
        struct member *m = &members[i];
        m->load = load;
        m->index = i;
        m->fd = bench_connect(load->port, true);
        m->times = one_group ? NULL : bench_alloc(sizeof *m->times);
        snprintf(m->group, sizeof m->group, "%s-%u", load->topic, one_group ? 0 : i);
        el_arena_init(&m->arena, NULL, 0);
        if (pthread_create(&m->thread, NULL, one_group ? rebalance_member : commit_member, m) != 0) {
            bench_die("a thread for each of %u members", load->members);
        }
    }
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value == 0 || value > max) {
        bench_die("not a number from 1 to %u: %s", max, text);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv)
{
    static struct group_load load = {.topic = "bench", .members = 100, .seconds = 2};
    static struct member members[MEMBER_MAX];
    static const struct option longs[] = {{"port", 1, NULL, 'p'},
                                          {"topic", 1, NULL, 't'},
                                          {"members", 1, NULL, 'm'},
                                          {"seconds", 1, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
    for (int c = getopt_long(argc, argv, "", longs, NULL); c != -1; c = getopt_long(argc, argv, "", longs, NULL)) {
        switch (c) {
        case 'p':
            load.port = (uint16_t)number(optarg, 65535);
            break;
        case 't':
            load.topic = optarg;
            break;
        case 'm':
            load.members = number(optarg, MEMBER_MAX);
            break;
        case 's':
            load.seconds = strtod(optarg, NULL);
            break;
        default:
            bench_die("usage: group_load rebalance|commit --port=N [--topic --members --seconds]");
        }
    }
    const char *verb = optind < argc ? argv[optind] : "";
    bool one_group = strcmp(verb, "rebalance") == 0;
    if (load.port == 0 || (!one_group && strcmp(verb, "commit") != 0)) {
        bench_die("rebalance or commit, and --port?");
    }
    members_begin(&load, members, one_group);
    if (one_group) {
        rebalance(&load, members);
    } else {
        commits(&load, members);
    }
    return 0;
}
