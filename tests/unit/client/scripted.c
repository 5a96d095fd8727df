/* SPDX-License-Identifier: Apache-2.0
 *
 * The scripted broker: takes the calls of a client's list, answers from the script, writes down what was asked. Runs as
 * the client's internal thread does: lock held but while it polls.
 */
#include "scripted.h"

#include "../../lib/test.h"

#include <core/alloc.h>
#include <format/batch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <wire/consumer_protocol.h>
#include <wire/error_code.h>
#include <wire/msg_fetch.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_heartbeat.h>
#include <wire/msg_join_group.h>
#include <wire/msg_leave_group.h>
#include <wire/msg_list_offsets.h>
#include <wire/msg_metadata.h>
#include <wire/msg_offset_commit.h>
#include <wire/msg_offset_fetch.h>
#include <wire/msg_sync_group.h>

const struct el_uuid scripted_topic_id = {{7, 1}};

#define WAIT_NS (10000 * EL_NS_PER_MS)
#define FRAME_ROOM 65536
#define POLL_MS_MAX 1000
#define HELD_MS 5 /* between looks at calls that wait */

void scripted_note(struct scripted *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(s->log + s->log_len, sizeof s->log - s->log_len, format, args);
    va_end(args);
    s->log_len = len < 0 || s->log_len + (size_t)len >= sizeof s->log ? s->log_len : s->log_len + (size_t)len;
    s->log[s->log_len] = '\0';
}

static int error_of(struct scripted *s, int *error)
{
    int code = *error;
    if (s->once) {
        *error = 0;
    }
    return code;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

void scripted_give(struct scripted *s, struct el_call *call, const void *response)
{
    int version = EL_MIN(call->api->list_max, call->version_max);
    uint8_t *frame = el_malloc(FRAME_ROOM);
    struct el_writer w;
    el_writer_init(&w, frame, FRAME_ROOM);
    if (response == NULL || frame == NULL ||
        el_api_encode(call->api, EL_SIDE_RESPONSE, version, response, &w, NULL) != 0) {
        el_free(frame);
        call->failure.code = EVLOG_ERR_CLOSED;
        el_call_end(&s->client, call);
        return;
    }
    call->version = (int16_t)version;
    call->sent = true;
    call->frame = frame;
    call->frame_len = el_writer_len(&w);
    el_call_end(&s->client, call);
}

static void answer_find(struct scripted *s, struct el_call *call)
{
    struct el_msg_find_coordinator_response response;
    el_schema_init(&el_schema_find_coordinator_response, &response);
    response.error_code = (int16_t)error_of(s, &s->find_error);
    response.node_id = 1;
    response.host = el_slice_str("h");
    scripted_note(s, "find ");
    scripted_give(s, call, &response);
}

static void answer_metadata(struct scripted *s, struct el_call *call)
{
    const struct el_msg_metadata_request *request = call->request;
    struct el_msg_metadata_response response;
    struct el_msg_metadata_broker broker;
    struct el_msg_metadata_topic topic;
    struct el_msg_metadata_partition partitions[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_metadata_response, &response);
    el_schema_init(&el_schema_metadata_broker, &broker);
    el_schema_init(&el_schema_metadata_topic, &topic);
    for (int32_t i = 0; i < s->partition_count; i++) {
        el_schema_init(&el_schema_metadata_partition, &partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].leader_id = 1;
    }
    broker.node_id = 1;
    broker.host = el_slice_str("h");
    topic.name = el_slice_str("t");
    topic.topic_id = scripted_topic_id;
    topic.partitions = partitions;
    topic.partition_count = (uint32_t)s->partition_count;
    if (request->topics != NULL && request->topic_count == 1 && s->second_topic != NULL &&
        !el_slice_eq(request->topics[0].name, topic.name)) {
        bool there = s->has_second && el_slice_eq(request->topics[0].name, el_slice_str(s->second_topic));
        topic.name = request->topics[0].name;
        topic.error_code = there ? 0 : EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        topic.topic_id = (struct el_uuid){{7, 2}};
        topic.partition_count = there ? topic.partition_count : 0;
    }
    response.brokers = &broker;
    response.broker_count = 1;
    response.topics = &topic;
    response.topic_count = request->topics == NULL || request->topic_count > 0;
    scripted_note(s, "metadata ");
    scripted_give(s, call, &response);
}

static void answer_join(struct scripted *s, struct el_call *call)
{
    const struct el_msg_join_group_request *request = call->request;
    struct el_msg_join_group_response response;
    struct el_msg_join_group_member member;
    el_schema_init(&el_schema_join_group_response, &response);
    el_schema_init(&el_schema_join_group_member, &member);
    response.error_code = (int16_t)error_of(s, &s->join_error);
    response.member_id = el_slice_str("m1");
    if (response.error_code == 0 && request->member_id.len == 0 && request->group_instance_id.data == NULL) {
        response.error_code = EL_KAFKA_MEMBER_ID_REQUIRED;
        response.leader = response.protocol_name = el_slice_str("");
        scripted_give(s, call, &response);
        return;
    }
    response.generation_id = response.error_code == 0 ? ++s->generation : -1;
    response.protocol_type = el_slice_str("consumer");
    response.protocol_name = el_slice_str(s->strategy);
    response.leader = el_slice_str(s->leads ? "m1" : "m0");
    member.member_id = response.member_id;
    member.metadata = request->protocols[0].metadata;
    response.members = s->leads ? &member : EL_EMPTY;
    response.member_count = s->leads;
    scripted_give(s, call, &response);
}

static void note_join(struct scripted *s, const struct el_msg_join_group_request *request)
{
    struct el_msg_consumer_protocol_subscription subscription;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    if (el_consumer_protocol_decode(&el_schema_consumer_protocol_subscription, request->protocols[0].metadata, &arena,
                                    &subscription) == 0) {
        scripted_note(s, "join(id=%.*s gen=%d topics=%u owned=", (int)request->member_id.len,
                      (const char *)request->member_id.data, subscription.generation_id, subscription.topic_count);
        for (uint32_t i = 0; i < subscription.owned_count; i++) {
            for (uint32_t j = 0; j < subscription.owned[i].partition_count; j++) {
                scripted_note(s, "%s%d", j > 0 ? "," : "", subscription.owned[i].partitions[j]);
            }
        }
        scripted_note(s, ") ");
    }
    el_arena_reset(&arena);
}

static void answer_sync(struct scripted *s, struct el_call *call)
{
    const struct el_msg_sync_group_request *request = call->request;
    struct el_msg_sync_group_response response;
    struct el_msg_consumer_protocol_assignment assignment;
    struct el_msg_consumer_protocol_partitions run = {el_slice_str("t"), s->given, s->given_count};
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_sync_group_response, &response);
    el_schema_init(&el_schema_consumer_protocol_assignment, &assignment);
    scripted_note(s, "sync(gen=%d for=%u) ", request->generation_id, request->assignment_count);
    response.error_code = (int16_t)error_of(s, &s->sync_error);
    assignment.assigned = &run;
    assignment.assigned_count = s->given_count > 0;
    if (request->assignment_count > 0) {
        response.assignment = request->assignments[0].assignment;
    } else {
        (void)el_consumer_protocol_encode(&el_schema_consumer_protocol_assignment, &assignment, &arena,
                                          &response.assignment);
    }
    if (s->breaks_sync) {
        response.assignment = el_slice_str("\x7f\x01zzz");
        s->breaks_sync = false;
    }
    scripted_give(s, call, &response);
    el_arena_reset(&arena);
}

static void answer_heartbeat(struct scripted *s, struct el_call *call)
{
    struct el_msg_heartbeat_response response;
    el_schema_init(&el_schema_heartbeat_response, &response);
    response.error_code = (int16_t)error_of(s, &s->heartbeat_error);
    scripted_note(s, "beat(%d) ", response.error_code);
    scripted_give(s, call, &response);
}

static void answer_leave(struct scripted *s, struct el_call *call)
{
    const struct el_msg_leave_group_request *request = call->request;
    struct el_msg_leave_group_response response;
    el_schema_init(&el_schema_leave_group_response, &response);
    response.members = EL_EMPTY;
    scripted_note(s, "leave(%.*s) ", (int)request->members[0].member_id.len,
                  (const char *)request->members[0].member_id.data);
    scripted_give(s, call, &response);
}

static void answer_commit(struct scripted *s, struct el_call *call)
{
    const struct el_msg_offset_commit_request *request = call->request;
    struct el_msg_offset_commit_response response;
    struct el_msg_offset_commit_topic_result topic;
    struct el_msg_offset_commit_partition_result results[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_offset_commit_response, &response);
    el_schema_init(&el_schema_offset_commit_topic_result, &topic);
    topic.name = el_slice_str("t");
    topic.partitions = results;
    int error = error_of(s, &s->commit_error);
    scripted_note(s, "commit(gen=%d", request->generation_id_or_member_epoch);
    for (uint32_t i = 0; i < request->topics[0].partition_count && i < SCRIPTED_PARTITIONS; i++) {
        const struct el_msg_offset_commit_partition *p = &request->topics[0].partitions[i];
        el_schema_init(&el_schema_offset_commit_partition_result, &results[i]);
        results[i].partition_index = p->partition_index;
        results[i].error_code = (int16_t)error;
        if (error == 0) {
            s->committed[p->partition_index] = p->committed_offset;
        }
        scripted_note(s, " %d=%lld", p->partition_index, (long long)p->committed_offset);
        topic.partition_count++;
    }
    scripted_note(s, ") ");
    response.topics = &topic;
    response.topic_count = 1;
    scripted_give(s, call, &response);
}

static void answer_committed(struct scripted *s, struct el_call *call)
{
    const struct el_msg_offset_fetch_request *request = call->request;
    struct el_msg_offset_fetch_response response;
    struct el_msg_offset_fetch_topic_result topic;
    struct el_msg_offset_fetch_partition_result results[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_offset_fetch_response, &response);
    el_schema_init(&el_schema_offset_fetch_topic_result, &topic);
    topic.name = el_slice_str("t");
    topic.partitions = results;
    for (uint32_t i = 0; i < request->topics[0].partition_index_count && i < SCRIPTED_PARTITIONS; i++) {
        el_schema_init(&el_schema_offset_fetch_partition_result, &results[i]);
        results[i].partition_index = request->topics[0].partition_indexes[i];
        results[i].committed_offset = s->committed[results[i].partition_index];
        topic.partition_count++;
    }
    response.topics = &topic;
    response.topic_count = 1;
    scripted_note(s, "committed ");
    scripted_give(s, call, &response);
}

static void answer_offsets(struct scripted *s, struct el_call *call)
{
    const struct el_msg_list_offsets_request *request = call->request;
    struct el_msg_list_offsets_response response;
    struct el_msg_list_offsets_topic_result topic;
    struct el_msg_list_offsets_partition_result results[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_list_offsets_response, &response);
    el_schema_init(&el_schema_list_offsets_topic_result, &topic);
    topic.name = el_slice_str("t");
    topic.partitions = results;
    for (uint32_t i = 0; i < request->topics[0].partition_count && i < SCRIPTED_PARTITIONS; i++) {
        const struct el_msg_list_offsets_partition *p = &request->topics[0].partitions[i];
        el_schema_init(&el_schema_list_offsets_partition_result, &results[i]);
        results[i].partition_index = p->partition_index;
        results[i].offset = p->timestamp == EVLOG_OFFSET_LATEST ? s->ends[p->partition_index]
                                                                : s->starts[p->partition_index];
        topic.partition_count++;
    }
    response.topics = &topic;
    response.topic_count = 1;
    scripted_give(s, call, &response);
}

static bool waits(const struct scripted *s, const struct el_call *call, int32_t max_wait_ms)
{
    int64_t began_ns = call->deadline_ns -
                       (s->client.cfg.request_timeout_ms + s->client.cfg.fetch_wait_ms) * EL_NS_PER_MS;
    return el_now_ns() < began_ns + max_wait_ms * EL_NS_PER_MS;
}

/* One event a batch, whose value is its offset. returns false when no partition has anything, and there is time */
static bool answer_fetch(struct scripted *s, struct el_call *call)
{
    const struct el_msg_fetch_request *request = call->request;
    struct el_msg_fetch_response response;
    struct el_msg_fetch_topic_result topic;
    struct el_msg_fetch_partition_result results[SCRIPTED_PARTITIONS];
    struct el_batch_builder builders[SCRIPTED_PARTITIONS];
    uint32_t built = 0;
    bool any = false;
    el_schema_init(&el_schema_fetch_response, &response);
    el_schema_init(&el_schema_fetch_topic_result, &topic);
    topic.topic = el_slice_str("t");
    topic.partitions = results;
    for (uint32_t i = 0; i < request->topics[0].partition_count && i < SCRIPTED_PARTITIONS; i++) {
        const struct el_msg_fetch_partition *p = &request->topics[0].partitions[i];
        int64_t end = s->ends[p->partition];
        el_schema_init(&el_schema_fetch_partition_result, &results[i]);
        results[i].partition_index = p->partition;
        results[i].high_watermark = end;
        results[i].error_code = p->fetch_offset > end ? EL_KAFKA_OFFSET_OUT_OF_RANGE : 0;
        results[i].records = el_slice_str("");
        any = any || p->fetch_offset > end;
        topic.partition_count++;
        if (p->fetch_offset >= end) {
            continue;
        }
        char value[24];
        (void)snprintf(value, sizeof value, "%lld", (long long)p->fetch_offset);
        struct el_record_body body = {.value = el_slice_str(value)};
        el_batch_builder_init(&builders[built], 4096);
        if (el_batch_builder_add(&builders[built], 1000, &body) == 0 &&
            el_batch_builder_finish(&builders[built], EL_CODEC_NONE, NULL, &results[i].records) == 0) {
            uint8_t *base = (uint8_t *)(uintptr_t)results[i].records.data;
            for (int k = 0; k < 8; k++) {
                base[k] = (uint8_t)((uint64_t)p->fetch_offset >> (56 - 8 * k));
            }
            any = true;
        }
        built++;
    }
    response.responses = &topic;
    response.response_count = 1;
    any = any || !waits(s, call, request->max_wait_ms);
    if (any) {
        scripted_give(s, call, &response);
    }
    while (built > 0) {
        el_batch_builder_destroy(&builders[--built]);
    }
    return any;
}

/* --- thread ------------------------------------------------------------------------------------------------------ */

/* returns false when the call has to wait */
static bool answer(struct scripted *s, struct el_call *call)
{
    switch (call->api->key) {
    case EL_API_FindCoordinator:
        answer_find(s, call);
        return true;
    case EL_API_Metadata:
        answer_metadata(s, call);
        return true;
    case EL_API_JoinGroup:
        if (s->holds_joins) {
            return false;
        }
        answer_join(s, call);
        return true;
    case EL_API_SyncGroup:
        answer_sync(s, call);
        return true;
    case EL_API_Heartbeat:
        answer_heartbeat(s, call);
        return true;
    case EL_API_LeaveGroup:
        answer_leave(s, call);
        return true;
    case EL_API_OffsetCommit:
        answer_commit(s, call);
        return true;
    case EL_API_OffsetFetch:
        answer_committed(s, call);
        return true;
    case EL_API_ListOffsets:
        answer_offsets(s, call);
        return true;
    case EL_API_Fetch:
        return answer_fetch(s, call);
    default:
        if (s->other != NULL) {
            return s->other(s, call);
        }
        scripted_give(s, call, NULL);
        return true;
    }
}

static void answer_all(struct scripted *s)
{
    struct el_list again;
    el_list_init(&again);
    el_list_splice_back(&again, &s->held);
    EL_LIST_EACH(node, &s->client.calls) {
        const struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (call->api->key == EL_API_JoinGroup) {
            note_join(s, call->request);
        }
    }
    el_list_splice_back(&again, &s->client.calls);
    for (struct el_list *node = el_list_pop_front(&again); node != NULL; node = el_list_pop_front(&again)) {
        struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (!answer(s, call)) {
            el_list_push_back(&s->held, node);
        }
    }
    el_client_notify(&s->client);
}

static void *serve(void *arg)
{
    struct scripted *s = arg;
    el_client_lock(&s->client);
    while (!s->stopping) {
        int64_t until_ns = EL_NEVER_NS;
        el_producers_tick(&s->client, el_now_ns(), &until_ns);
        el_subscribers_tick(&s->client, el_now_ns(), &until_ns);
        el_groups_tick(&s->client, el_now_ns(), &until_ns);
        el_cluster_tick(&s->client, el_now_ns(), &until_ns);
        if (!el_list_empty(&s->client.calls)) {
            answer_all(s);
            continue;
        }
        struct pollfd fd = {.fd = s->client.wake_fd, .events = POLLIN};
        int64_t left_ms = until_ns == EL_NEVER_NS ? POLL_MS_MAX : (until_ns - el_now_ns()) / EL_NS_PER_MS + 1;
        left_ms = el_list_empty(&s->held) ? left_ms : EL_MIN(left_ms, HELD_MS);
        el_client_unlock(&s->client);
        (void)poll(&fd, 1, (int)EL_MAX(EL_MIN(left_ms, POLL_MS_MAX), 0));
        el_client_lock(&s->client);
        uint64_t value;
        if ((fd.revents & POLLIN) != 0) {
            (void)!read(s->client.wake_fd, &value, sizeof value);
            s->client.wake_sent = false;
        }
        answer_all(s);
    }
    el_list_splice_back(&s->client.calls, &s->held);
    el_conns_close(&s->client);
    el_client_unlock(&s->client);
    return NULL;
}

static int set_all(struct evlog_settings *settings, const char *const *pairs)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && pairs != NULL && pairs[i] != NULL; i += 2) {
        rc = evlog_settings_set(settings, pairs[i], pairs[i + 1], NULL);
    }
    return rc;
}

static int configure(struct scripted *s, const char *const *usual, const char *const *pairs)
{
    struct evlog_settings *settings = NULL;
    int rc = evlog_settings_new(&settings);
    if (rc == 0) {
        rc = set_all(settings, usual);
    }
    if (rc == 0) {
        rc = set_all(settings, pairs);
    }
    if (rc == 0) {
        rc = el_client_config_make(settings, &s->client.cfg, NULL);
    }
    evlog_settings_free(settings);
    return rc;
}

void scripted_begin(struct scripted *s, const char *const *pairs)
{
    static const char *const usual[] = {
        "retry.backoff.ms",
        "1",
        "retry.backoff.max.ms",
        "2",
        "heartbeat.interval.ms",
        "5",
        "fetch.max.wait.ms",
        "20",
        "auto.offset.reset",
        "earliest",
        NULL,
    };
    memset(s, 0, sizeof *s);
    /* One allocation may be failed on purpose: not this one's. */
    assert_true(configure(s, usual, pairs) == 0 || configure(s, usual, pairs) == 0);
    s->client.magic = EL_CLIENT_MAGIC;
    s->client.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->client.bootstrap_count = 1;
    s->client.lane_next = EL_LANE_OWN;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&s->client.lock, NULL);
    (void)pthread_cond_init(&s->client.changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    el_rng_seed(&s->client.rng, 1);
    el_list_init(&s->client.calls);
    el_list_init(&s->client.conns);
    el_list_init(&s->client.producers);
    el_list_init(&s->client.subscribers);
    el_list_init(&s->client.groups);
    el_list_init(&s->client.log);
    s->client.event_fd = -1;
    el_list_init(&s->held);
    el_map_init(&s->client.cluster.topics, NULL);
    s->partition_count = 2;
    s->strategy = "cooperative-sticky";
    for (int i = 0; i < SCRIPTED_PARTITIONS; i++) {
        s->committed[i] = -1;
    }
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

void scripted_end(struct scripted *s)
{
    el_client_lock(&s->client);
    s->stopping = true;
    s->client.stopping = true;
    el_client_wake(&s->client);
    el_client_unlock(&s->client);
    (void)pthread_join(s->thread, NULL);
    (void)close(s->client.wake_fd);
    el_client_events_destroy(&s->client);
    el_cluster_destroy(&s->client.cluster);
    el_client_config_free(&s->client.cfg);
}

bool scripted_has(struct scripted *s, size_t pos, const char *text)
{
    el_client_lock(&s->client);
    bool has = strstr(s->log + pos, text) != NULL;
    el_client_unlock(&s->client);
    return has;
}

size_t scripted_pos(struct scripted *s)
{
    el_client_lock(&s->client);
    size_t pos = s->log_len;
    el_client_unlock(&s->client);
    return pos;
}

size_t scripted_wait(struct scripted *s, size_t pos, const char *text)
{
    int64_t deadline_ns = el_now_ns() + WAIT_NS;
    el_client_lock(&s->client);
    const char *found = strstr(s->log + pos, text);
    while (found == NULL && el_now_ns() < deadline_ns) {
        (void)el_client_wait(&s->client, deadline_ns);
        found = strstr(s->log + pos, text);
    }
    size_t end = found == NULL ? 0 : (size_t)(found - s->log) + strlen(text);
    el_client_unlock(&s->client);
    if (found == NULL) {
        fail_msg("\"%s\" did not come behind %zu in: %s", text, pos, s->log);
    }
    return end;
}

void scripted_release(struct scripted *s)
{
    el_client_lock(&s->client);
    s->holds_joins = false;
    el_client_wake(&s->client);
    el_client_unlock(&s->client);
}

void scripted_append(struct scripted *s, int32_t partition, int64_t count)
{
    el_client_lock(&s->client);
    s->ends[partition] += count;
    el_client_wake(&s->client);
    el_client_unlock(&s->client);
}
