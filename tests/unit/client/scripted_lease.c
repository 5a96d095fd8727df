/* SPDX-License-Identifier: Apache-2.0
 *
 * The work group of the scripted broker: a table of events with states, and the answers that follow from it.
 */
#include "scripted_lease.h"

#include "../../../client/client_conn.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <format/batch.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_describe_share_group_offsets.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_init_producer_id.h>
#include <wire/msg_produce.h>
#include <wire/msg_share_acknowledge.h>
#include <wire/msg_share_fetch.h>
#include <wire/msg_share_group_heartbeat.h>

static int error_of(struct scripted_lease *l, int *error)
{
    int code = *error;
    if (l->once) {
        *error = 0;
    }
    return code;
}

/* --- membership --------------------------------------------------------------------------------------------------- */

static void answer_beat(struct scripted_lease *l, struct el_call *call)
{
    const struct el_msg_share_group_heartbeat_request *request = call->request;
    struct el_msg_share_group_heartbeat_response response;
    struct el_msg_share_group_heartbeat_assignment assignment;
    struct el_msg_share_group_heartbeat_topic topic;
    int32_t partitions[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_share_group_heartbeat_response, &response);
    el_schema_init(&el_schema_share_group_heartbeat_assignment, &assignment);
    el_schema_init(&el_schema_share_group_heartbeat_topic, &topic);
    response.error_code = (int16_t)error_of(l, &l->beat_error);
    response.heartbeat_interval_ms = 20;
    if (request->member_epoch < 0) {
        scripted_note(&l->s, "leave ");
        l->member_epoch = 0;
    } else if (request->member_epoch == 0) {
        scripted_note(&l->s, "join(%u) ", request->subscribed_topic_name_count);
    } else {
        scripted_note(&l->s, "beat(%d) ", request->member_epoch);
    }
    if (response.error_code == 0 && request->member_epoch == 0) {
        l->member_epoch = l->member_epoch + 1;
        for (int32_t i = 0; i < l->s.partition_count; i++) {
            partitions[i] = i;
        }
        topic.topic_id = scripted_topic_id;
        topic.partitions = partitions;
        topic.partition_count = (uint32_t)l->s.partition_count;
        assignment.topic_partitions = &topic;
        assignment.topic_partition_count = 1;
        response.assignment = &assignment;
    }
    response.member_epoch = EL_MAX(l->member_epoch, 1);
    scripted_give(&l->s, call, &response);
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

/* All that is leased is here again. */
static void release_all(struct scripted_lease *l)
{
    for (int32_t p = 0; p < SCRIPTED_PARTITIONS; p++) {
        for (int64_t o = 0; o < l->s.ends[p]; o++) {
            l->state[p][o] = l->state[p][o] == LEASED_OUT ? LEASED_HERE : l->state[p][o];
        }
    }
    l->session_epoch = 0;
}

static void note_fetch(struct scripted_lease *l, const struct el_msg_share_fetch_request *request)
{
    scripted_note(&l->s, "fetch(%d", request->share_session_epoch);
    for (uint32_t i = 0; i < request->topic_count; i++) {
        for (uint32_t j = 0; j < request->topics[i].partition_count; j++) {
            scripted_note(&l->s, "%s%d", j == 0 ? " +" : ",", request->topics[i].partitions[j].partition_index);
        }
    }
    for (uint32_t i = 0; i < request->forgotten_topics_data_count; i++) {
        scripted_note(&l->s, " -%u", request->forgotten_topics_data[i].partition_count);
    }
    scripted_note(&l->s, ") ");
}

static int add_event(struct el_batch_builder *builder, int64_t offset)
{
    char value[24];
    (void)snprintf(value, sizeof value, "%lld", (long long)offset);
    struct el_record_body body = {.value = el_slice_str(value), .key = el_slice_str("k")};
    return el_batch_builder_add(builder, 1000, &body);
}

/* One batch from the first to the last event that is leased now; holes in it are told apart by the ranges. */
static bool lease_some(struct scripted_lease *l, int32_t p, int32_t *left, struct el_batch_builder *builder,
                       struct el_msg_share_fetch_partition_result *part, struct el_msg_share_fetch_acquired *ranges)
{
    int64_t first = -1;
    for (int64_t o = 0; o < l->s.ends[p] && *left > 0; o++) {
        if (l->state[p][o] != LEASED_HERE) {
            if (first >= 0) {
                break; /* batches of the test have no records between */
            }
            continue;
        }
        first = first < 0 ? o : first;
        l->state[p][o] = LEASED_OUT;
        l->deliveries[p][o]++;
        (*left)--;
        uint32_t n = part->acquired_record_count;
        if (n > 0 && ranges[n - 1].delivery_count == l->deliveries[p][o]) {
            ranges[n - 1].last_offset = o;
        } else {
            ranges[part->acquired_record_count++] = (struct el_msg_share_fetch_acquired){o, o, l->deliveries[p][o]};
        }
    }
    if (first < 0) {
        return false;
    }
    int64_t last = ranges[part->acquired_record_count - 1].last_offset;
    for (int64_t o = first; o <= last; o++) {
        (void)add_event(builder, o);
    }
    if (el_batch_builder_finish(builder, EL_CODEC_NONE, NULL, &part->records) != 0) {
        return false;
    }
    uint8_t *bytes = (uint8_t *)(uintptr_t)part->records.data;
    el_batch_assign(bytes, first, 0);
    if (l->spoils) {
        bytes[part->records.len - 1] ^= 1;
        l->spoils = false;
    }
    part->acquired_records = ranges;
    return true;
}

/* A request with this epoch has come. returns a Kafka code */
static int take_epoch(struct scripted_lease *l, int32_t epoch)
{
    if (epoch != 0 && epoch != l->session_epoch) {
        return l->session_epoch == 0 ? EL_KAFKA_SHARE_SESSION_NOT_FOUND : EL_KAFKA_INVALID_SHARE_SESSION_EPOCH;
    }
    l->session_epoch = epoch + 1;
    return 0;
}

/* returns false when there is nothing, and there is time */
static bool answer_fetch(struct scripted_lease *l, struct el_call *call)
{
    const struct el_msg_share_fetch_request *request = call->request;
    struct el_msg_share_fetch_response response;
    struct el_msg_share_fetch_topic_result topic;
    struct el_msg_share_fetch_partition_result parts[SCRIPTED_PARTITIONS];
    struct el_msg_share_fetch_acquired ranges[SCRIPTED_PARTITIONS][LEASED_EVENTS];
    struct el_batch_builder builders[SCRIPTED_PARTITIONS];
    int32_t left = request->max_records, built = 0;
    bool any = false;
    el_schema_init(&el_schema_share_fetch_response, &response);
    el_schema_init(&el_schema_share_fetch_topic_result, &topic);
    response.acquisition_lock_timeout_ms = l->lease_ms;
    response.error_code = (int16_t)error_of(l, &l->fetch_error);
    if (response.error_code == 0 && call != l->waiting) {
        response.error_code = (int16_t)take_epoch(l, request->share_session_epoch);
    }
    l->waiting = call;
    topic.topic_id = scripted_topic_id;
    topic.partitions = parts;
    for (int32_t p = 0; response.error_code == 0 && p < l->s.partition_count; p++, built++) {
        el_schema_init(&el_schema_share_fetch_partition_result, &parts[p]);
        parts[p].partition_index = p;
        parts[p].records = el_slice_str("");
        parts[p].acquired_records = EL_EMPTY;
        el_batch_builder_init(&builders[p], 65536);
        any = lease_some(l, p, &left, &builders[p], &parts[p], ranges[p]) || any;
    }
    topic.partition_count = (uint32_t)built;
    response.responses = &topic;
    response.response_count = 1;
    int64_t began_ns = call->deadline_ns - (l->s.client.cfg.request_timeout_ms + request->max_wait_ms) * EL_NS_PER_MS;
    bool answers = any || response.error_code != 0 || el_now_ns() >= began_ns + request->max_wait_ms * EL_NS_PER_MS ||
                   request->share_session_epoch == 0;
    if (answers) {
        note_fetch(l, request);
        l->waiting = NULL;
        scripted_give(&l->s, call, &response);
    }
    while (built > 0) {
        el_batch_builder_destroy(&builders[--built]);
    }
    return answers;
}

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

/* One range; all or nothing is the caller's to see to. returns a Kafka code */
static int settle(struct scripted_lease *l, int32_t p, int64_t first, int64_t last, int kind, bool dry)
{
    for (int64_t o = first; o <= last; o++) {
        if (o < 0 || o >= l->s.ends[p] || l->state[p][o] != LEASED_OUT || o == l->refused_offset) {
            return EL_KAFKA_INVALID_RECORD_STATE;
        }
        if (!dry && kind != 4) {
            l->state[p][o] = kind <= 1 ? LEASED_DONE : kind == 3 ? LEASED_DEAD : LEASED_HERE;
        }
    }
    return 0;
}

static void note_range(struct scripted_lease *l, int32_t p, int64_t first, int64_t last, int kind)
{
    scripted_note(&l->s, " %d:%lld", p, (long long)first);
    if (first != last) {
        scripted_note(&l->s, "-%lld", (long long)last);
    }
    scripted_note(&l->s, "=%d", kind);
}

static void settle_partition(struct scripted_lease *l, const struct el_msg_share_acknowledge_partition *asked,
                             struct el_msg_share_acknowledge_partition_result *result)
{
    el_schema_init(&el_schema_share_acknowledge_partition_result, result);
    result->partition_index = asked->partition_index;
    for (int dry = 1; dry >= 0 && result->error_code == 0; dry--) {
        for (uint32_t i = 0; i < asked->acknowledgement_batch_count && result->error_code == 0; i++) {
            const struct el_msg_share_acknowledge_batch *batch = &asked->acknowledgement_batches[i];
            if (dry == 1) {
                note_range(l, asked->partition_index, batch->first_offset, batch->last_offset,
                           batch->acknowledge_types[0]);
            }
            result->error_code = (int16_t)settle(l, asked->partition_index, batch->first_offset, batch->last_offset,
                                                 batch->acknowledge_types[0], dry == 1);
        }
    }
}

static void answer_acknowledge(struct scripted_lease *l, struct el_call *call)
{
    const struct el_msg_share_acknowledge_request *request = call->request;
    struct el_msg_share_acknowledge_response response;
    struct el_msg_share_acknowledge_topic_result topic;
    struct el_msg_share_acknowledge_partition_result results[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_share_acknowledge_response, &response);
    el_schema_init(&el_schema_share_acknowledge_topic_result, &topic);
    response.responses = &topic;
    topic.topic_id = scripted_topic_id;
    topic.partitions = results;
    if (l->breaks) {
        l->breaks = false;
        scripted_note(&l->s, "broken ");
        call->sent = true;
        release_all(l);
        scripted_give(&l->s, call, NULL);
        return;
    }
    if (request->share_session_epoch < 0) {
        scripted_note(&l->s, "close ");
        release_all(l);
    } else if (request->share_session_epoch != l->session_epoch || l->session_epoch == 0) {
        response.error_code = EL_KAFKA_INVALID_SHARE_SESSION_EPOCH;
    } else {
        l->session_epoch++;
        scripted_note(&l->s, "ack(%d%s", request->share_session_epoch, request->is_renew_ack ? " renew" : "");
        for (uint32_t i = 0; i < request->topic_count; i++) {
            for (uint32_t j = 0; j < request->topics[i].partition_count; j++) {
                settle_partition(l, &request->topics[i].partitions[j], &results[topic.partition_count++]);
            }
        }
        scripted_note(&l->s, ") ");
        response.response_count = topic.partition_count > 0;
    }
    scripted_give(&l->s, call, &response);
}

static void answer_full(struct scripted_lease *l, struct el_call *call)
{
    const struct el_msg_ext_lease_outcome_request *request = call->request;
    const struct el_msg_ext_lease_outcome_partition *asked = &request->topics[0].partitions[0];
    struct el_msg_ext_lease_outcome_response response;
    struct el_msg_ext_lease_outcome_topic_result topic;
    struct el_msg_ext_lease_outcome_partition_result result;
    el_schema_init(&el_schema_ext_lease_outcome_response, &response);
    el_schema_init(&el_schema_ext_lease_outcome_topic_result, &topic);
    el_schema_init(&el_schema_ext_lease_outcome_partition_result, &result);
    scripted_note(&l->s, "full(");
    result.partition = asked->partition;
    for (uint32_t i = 0; i < asked->outcome_count; i++) {
        const struct el_msg_ext_lease_outcome_range *range = &asked->outcomes[i];
        note_range(l, asked->partition, range->first, range->last, range->kind);
        scripted_note(&l->s, " %lld %.*s %.*s", (long long)range->delay_ms, (int)range->reason.len,
                      range->reason.data == NULL ? "" : (const char *)range->reason.data, (int)range->error.len,
                      range->error.data == NULL ? "" : (const char *)range->error.data);
        for (uint32_t n = 0; n < range->emit_count; n++) {
            scripted_note(&l->s, " emits %.*s", (int)range->emits[n].value.len,
                          (const char *)range->emits[n].value.data);
        }
        result.error = (int16_t)settle(l, asked->partition, range->first, range->last, range->kind, false);
    }
    scripted_note(&l->s, ") ");
    response.error = (int16_t)error_of(l, &l->full_error);
    topic.topic_id = scripted_topic_id;
    topic.partitions = &result;
    topic.partition_count = 1;
    response.topics = &topic;
    response.topic_count = 1;
    scripted_give(&l->s, call, &response);
}

static void answer_progress(struct scripted_lease *l, struct el_call *call)
{
    struct el_msg_describe_share_group_offsets_response response;
    struct el_msg_describe_share_group_offsets_group_result group;
    struct el_msg_describe_share_group_offsets_topic_result topic;
    struct el_msg_describe_share_group_offsets_partition_result parts[SCRIPTED_PARTITIONS];
    el_schema_init(&el_schema_describe_share_group_offsets_response, &response);
    el_schema_init(&el_schema_describe_share_group_offsets_group_result, &group);
    el_schema_init(&el_schema_describe_share_group_offsets_topic_result, &topic);
    for (int32_t p = 0; p < l->s.partition_count; p++) {
        el_schema_init(&el_schema_describe_share_group_offsets_partition_result, &parts[p]);
        parts[p].partition_index = p;
        parts[p].start_offset = 0;
        while (parts[p].start_offset < l->s.ends[p] && l->state[p][parts[p].start_offset] >= LEASED_DONE) {
            parts[p].start_offset++;
        }
        parts[p].lag = l->s.ends[p] - parts[p].start_offset;
    }
    topic.topic_name = el_slice_str("t");
    topic.partitions = parts;
    topic.partition_count = (uint32_t)l->s.partition_count;
    group.group_id = el_slice_str("g");
    group.topics = &topic;
    group.topic_count = 1;
    response.groups = &group;
    response.group_count = 1;
    scripted_give(&l->s, call, &response);
}

static void answer_producer_id(struct scripted_lease *l, struct el_call *call)
{
    struct el_msg_init_producer_id_response response;
    el_schema_init(&el_schema_init_producer_id_response, &response);
    response.producer_id = 1000;
    response.producer_epoch = 0;
    scripted_give(&l->s, call, &response);
}

static void note_batch(struct scripted_lease *l, struct el_slice batch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    assert_int_equal(el_batch_open(&iter, batch.data, batch.len, NULL, 0), 0);
    while (el_batch_next(&iter, &record) == 1) {
        struct el_slice id = {0};
        (void)el_header_find(&record.record, "ce_id", &id);
        scripted_note(&l->s, " %.*s=%.*s", (int)id.len, id.data == NULL ? "" : (const char *)id.data,
                      (int)record.record.value.len, (const char *)record.record.value.data);
    }
}

/* Of one partition, which is what the tests send. */
static void answer_produce(struct scripted_lease *l, struct el_call *call)
{
    const struct el_msg_produce_request *request = call->request;
    const struct el_msg_produce_partition *asked = &request->topic_data[0].partition_data[0];
    struct el_msg_produce_response response;
    struct el_msg_produce_topic_result topic;
    struct el_msg_produce_partition_result result;
    el_schema_init(&el_schema_produce_response, &response);
    el_schema_init(&el_schema_produce_topic_result, &topic);
    el_schema_init(&el_schema_produce_partition_result, &result);
    result.index = asked->index;
    result.error_code = (int16_t)error_of(l, &l->produce_error);
    result.base_offset = result.error_code == 0 ? 0 : -1;
    scripted_note(&l->s, "%s(%d", result.error_code == 0 ? "produced" : "refused", asked->index);
    note_batch(l, asked->records);
    scripted_note(&l->s, ") ");
    topic.name = request->topic_data[0].name;
    topic.topic_id = scripted_topic_id;
    topic.partition_responses = &result;
    topic.partition_response_count = 1;
    response.responses = &topic;
    response.response_count = 1;
    scripted_give(&l->s, call, &response);
}

static bool other(struct scripted *s, struct el_call *call)
{
    struct scripted_lease *l = EL_CONTAINER(s, struct scripted_lease, s);
    switch (call->api->key) {
    case EL_API_ShareGroupHeartbeat:
        answer_beat(l, call);
        return true;
    case EL_API_ShareFetch:
        return answer_fetch(l, call);
    case EL_API_ShareAcknowledge:
        answer_acknowledge(l, call);
        return true;
    case EL_API_LeaseOutcome:
        answer_full(l, call);
        return true;
    case EL_API_DescribeShareGroupOffsets:
        answer_progress(l, call);
        return true;
    case EL_API_InitProducerId:
        answer_producer_id(l, call);
        return true;
    case EL_API_Produce:
        answer_produce(l, call);
        return true;
    default:
        scripted_give(s, call, NULL);
        return true;
    }
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

void scripted_lease_begin(struct scripted_lease *l, const char *const *settings)
{
    memset(l, 0, sizeof *l);
    scripted_begin(&l->s, settings);
    l->lease_ms = 30000;
    l->refused_offset = -1;
    el_client_lock(&l->s.client);
    l->s.other = other;
    l->s.partition_count = 1;
    el_client_unlock(&l->s.client);
}

void scripted_lease_versions(struct scripted_lease *l, int acknowledge, int outcome)
{
    struct evlog_client *client = &l->s.client;
    el_client_lock(client);
    struct el_conn *conn = el_calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->node_id = 1;
    conn->lane = client->lane_next - 1; /* the sessions' of the group made last */
    conn->fd = -1;
    conn->state = EL_CONN_READY;
    el_list_init(&conn->sending);
    el_list_init(&conn->flying);
    el_list_init(&conn->negotiation.link);
    el_arena_init(&conn->negotiation.arena, NULL, 0);
    conn->versions = el_calloc(3, sizeof *conn->versions);
    assert_non_null(conn->versions);
    conn->versions[0] = (struct el_msg_api_versions_key){EL_API_ShareFetch, 1, 2};
    conn->versions[1] = (struct el_msg_api_versions_key){EL_API_ShareAcknowledge, 1, (int16_t)acknowledge};
    conn->versions[2] = (struct el_msg_api_versions_key){EL_API_LeaseOutcome, 0, (int16_t)outcome};
    conn->version_count = outcome < 0 ? 2 : 3;
    el_list_push_back(&client->conns, &conn->link);
    el_client_unlock(client);
}

int scripted_lease_count(struct scripted_lease *l, int32_t partition, enum leased_state state)
{
    int count = 0;
    el_client_lock(&l->s.client);
    for (int64_t o = 0; o < l->s.ends[partition]; o++) {
        count += l->state[partition][o] == state;
    }
    el_client_unlock(&l->s.client);
    return count;
}

struct evlog_group *scripted_lease_open(struct scripted_lease *l)
{
    struct evlog_group *group = NULL;
    struct evlog_group_options options = EVLOG_GROUP_OPTIONS_INIT;
    const char *topic = "t";
    options.group = "g";
    options.topics = &topic;
    options.topic_count = 1;
    assert_int_equal(evlog_group_open(&l->s.client, &options, &group, NULL), 0);
    return group;
}

void scripted_lease_fetch(struct evlog_group *group, const struct evlog_lease **leases, int count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (int have = 0; have < count;) {
        int n = evlog_group_fetch(group, (size_t)(count - have), SCRIPTED_PATIENCE_MS, leases + have, &failure);
        if (n <= 0) {
            fail_msg("%d of %d leases: %d %s", have, count, n, failure.text);
        }
        have += n;
    }
}
