/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of a share group's member, in few words.
 */
#ifndef EL_TEST_API_SHARE_ASK_H
#define EL_TEST_API_SHARE_ASK_H

#include "fake_leases.h"

#include <wire/msg_share_acknowledge.h>
#include <wire/msg_share_fetch.h>

/* A ShareFetch of partitions [first, first + count) of topic 0, with one acknowledged range in the first of them. */
struct share_ask {
    const char *group, *member;
    int32_t epoch;
    int32_t first, count;
    const struct el_uuid *topic_id;     /* NULL: topic 0 */
    int32_t forget_first, forget_count; /* partitions to forget */
    int64_t ack_first, ack_last;        /* acknowledged when ack_types is not NULL */
    int64_t ack2_first;                 /* when above 0: acknowledged as well, alone */
    const char *ack_types;              /* digits, one for all or one for each */
    bool renew;
    int32_t max_wait_ms, min_bytes, max_bytes, max_records, batch_size;
    int8_t mode;
    uint64_t conn_id;
};

static const struct share_ask share_defaults = {
    .group = "g",
    .member = "m",
    .count = 1,
    .min_bytes = 1,
    .max_bytes = 1 << 24,
    .max_records = 500,
    .conn_id = 1,
};

static inline uint32_t share_types(const char *digits, int8_t *out)
{
    uint32_t count = 0;
    for (; digits[count] != 0; count++) {
        out[count] = (int8_t)(digits[count] - '0');
    }
    return count;
}

static inline struct fake_request *share_send(struct fake *f, const struct share_ask *a, int version)
{
    static int8_t types[64];
    static struct el_msg_share_fetch_partition parts[FAKE_PARTITION_MAX];
    struct el_msg_share_fetch_acknowledgement batches[2];
    struct el_msg_share_fetch_topic topic;
    struct el_msg_share_fetch_forgotten_topic forgotten;
    struct el_msg_share_fetch_request message;
    int32_t forget[FAKE_PARTITION_MAX];
    el_schema_init(&el_schema_share_fetch_acknowledgement, &batches[0]);
    el_schema_init(&el_schema_share_fetch_topic, &topic);
    el_schema_init(&el_schema_share_fetch_forgotten_topic, &forgotten);
    el_schema_init(&el_schema_share_fetch_request, &message);
    for (int32_t i = 0; i < a->count; i++) {
        el_schema_init(&el_schema_share_fetch_partition, &parts[i]);
        parts[i].partition_index = a->first + i;
    }
    if (a->ack_types != NULL) {
        batches[0].first_offset = a->ack_first;
        batches[0].last_offset = a->ack_last;
        batches[0].acknowledge_types = types;
        batches[0].acknowledge_type_count = share_types(a->ack_types, types);
        batches[1] = batches[0];
        batches[1].first_offset = batches[1].last_offset = a->ack2_first;
        batches[1].acknowledge_type_count = 1;
        parts[0].acknowledgement_batches = batches;
        parts[0].acknowledgement_batch_count = a->ack2_first > 0 ? 2 : 1;
    }
    for (int32_t i = 0; i < a->forget_count; i++) {
        forget[i] = a->forget_first + i;
    }
    topic.topic_id = forgotten.topic_id = a->topic_id == NULL ? f->topics[0].id : *a->topic_id;
    topic.partitions = parts;
    topic.partition_count = (uint32_t)a->count;
    forgotten.partitions = forget;
    forgotten.partition_count = (uint32_t)a->forget_count;
    message.group_id = el_slice_str(a->group);
    message.member_id = el_slice_str(a->member);
    message.share_session_epoch = a->epoch;
    message.max_wait_ms = a->max_wait_ms;
    message.min_bytes = a->min_bytes;
    message.max_bytes = a->max_bytes;
    message.max_records = a->max_records;
    message.batch_size = a->batch_size;
    message.share_acquire_mode = a->mode;
    message.is_renew_ack = a->renew;
    message.topics = &topic;
    message.topic_count = a->count > 0 ? 1 : 0;
    message.forgotten_topics_data = &forgotten;
    message.forgotten_topics_data_count = a->forget_count > 0 ? 1 : 0;
    struct fake_request *r = fake_request(f, EL_API_ShareFetch, version, &message);
    r->conn_id = a->conn_id;
    fake_dispatch(f, r);
    return r;
}

static inline struct el_msg_share_fetch_response share_answer(struct fake_request *r)
{
    struct el_msg_share_fetch_response answer;
    fake_response(r, &answer);
    return answer;
}

/* Send, take the error of the whole answer, and forget it. */
static inline int16_t share_error(struct fake *f, const struct share_ask *a)
{
    struct fake_request *r = share_send(f, a, 2);
    int16_t error = share_answer(r).error_code;
    fake_free(r);
    return error;
}

/* The result of a partition of topic 0 in an answer; NULL when it is not in it. */
static inline const struct el_msg_share_fetch_partition_result *share_part_of(
    const struct el_msg_share_fetch_response *answer, int32_t partition)
{
    for (uint32_t t = 0; t < answer->response_count; t++) {
        for (uint32_t p = 0; p < answer->responses[t].partition_count; p++) {
            if (answer->responses[t].partitions[p].partition_index == partition) {
                return &answer->responses[t].partitions[p];
            }
        }
    }
    return NULL;
}

#endif
