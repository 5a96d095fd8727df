/* SPDX-License-Identifier: Apache-2.0
 *
 * From a ShareFetch answer to leases. Runs on the thread that fetches, without the lock while it reads records.
 *
 * 1. The partitions of an answer that hold leases are matched with their sources, under the lock.
 * 2. Batches are checked and walked once; the offsets of a partition's acquired ranges are walked beside them. A record
 *    in a range becomes a lease, which owns a copy; a hole becomes the outcome "gap".
 * 3. Leases go to group->ready, unless their session was lost meanwhile; then they are dropped, as the broker has them
 *    back.
 *
 * What cannot be read is given back (released) from there on, so that it counts as a delivery and ends among the dead
 * letters; the reader is told once.
 */
#include "consumer_state.h"
#include "fail.h"
#include "lease_state.h"

#include <core/alloc.h>

/* One partition of an answer. */
struct piece {
    struct el_lease_call *its;
    struct el_lease_source *source;
    const struct el_msg_share_fetch_partition_result *result;
    uint32_t range_index; /* acquired range that comes next */
    int64_t next;         /* offset in it that comes next */
    struct el_list leases;
    struct el_list gaps; /* struct el_outcome without a lease */
    const char *topic;
};

/* --- leases ------------------------------------------------------------------------------------------------------- */

static struct evlog_bytes copied(uint8_t **to, struct el_slice source)
{
    struct evlog_bytes bytes = {source.data == NULL ? NULL : *to, source.len};
    if (source.len > 0) {
        memcpy(*to, source.data, source.len);
        *to += source.len;
    }
    return bytes;
}

/* Bytes of a record's key, value and headers. */
static size_t len_of(const struct el_record *record)
{
    struct el_reader headers = record->headers;
    struct el_header header;
    size_t len = record->key.len + record->value.len;
    for (uint32_t i = 0; i < record->header_count && el_header_next(&headers, &header); i++) {
        len += header.key.len + header.value.len;
    }
    return len;
}

/* A lease that owns a copy of its event. returns NULL: no memory */
static struct el_lease *lease_new(const struct piece *piece, const struct el_batch_record *source, int32_t leader_epoch)
{
    const struct el_record *record = &source->record;
    size_t table_len = record->header_count * sizeof(struct evlog_header);
    struct el_lease *lease = el_calloc(1, sizeof *lease + table_len + len_of(record));
    if (lease == NULL) {
        return NULL;
    }
    uint8_t *to = (uint8_t *)lease->headers + table_len;
    struct el_reader headers = record->headers;
    struct el_header header;
    struct evlog_event *event = &lease->event;
    *event = (struct evlog_event){
        .topic = piece->topic,
        .partition = piece->source->partition,
        .leader_epoch = leader_epoch,
        .offset = source->offset,
        .timestamp_ms = source->timestamp_ms,
        .append_time_ns = -1,
        .key = copied(&to, record->key),
        .value = copied(&to, record->value),
        .headers = lease->headers,
    };
    while (event->header_count < record->header_count && el_header_next(&headers, &header)) {
        lease->headers[event->header_count].key = copied(&to, header.key);
        lease->headers[event->header_count++].value = copied(&to, header.value);
    }
    lease->lease = (struct evlog_lease){event, piece->result->acquired_records[piece->range_index].delivery_count};
    lease->session = piece->its->session;
    lease->session_number = piece->its->session_number;
    lease->source = piece->source;
    lease->lease_ns = piece->its->fetched.acquisition_lock_timeout_ms * EL_NS_PER_MS;
    lease->deadline_ns = piece->its->arrived_ns + lease->lease_ns;
    el_list_init(&lease->link);
    lease->outcome = lease->extension = (struct el_outcome){
        .source = piece->source,
        .lease = lease,
        .first = source->offset,
        .last = source->offset,
        .delay_ms = -1,
    };
    el_list_init(&lease->outcome.link);
    el_list_init(&lease->emits);
    el_list_init(&lease->extension.link);
    return lease;
}

/* Say of a range that has no events here what it is. */
static int add_range(struct piece *piece, enum el_outcome_kind kind, int64_t first, int64_t last)
{
    struct el_outcome *outcome = el_calloc(1, sizeof *outcome);
    if (outcome == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    outcome->source = piece->source;
    outcome->kind = kind;
    outcome->first = first;
    outcome->last = last;
    outcome->delay_ms = -1;
    el_list_init(&outcome->link);
    el_list_push_back(&piece->gaps, &outcome->link);
    return 0;
}

/* --- walking ------------------------------------------------------------------------------------------------------ */

static const struct el_msg_share_fetch_acquired *range_of(const struct piece *piece)
{
    return piece->range_index < piece->result->acquired_record_count
               ? &piece->result->acquired_records[piece->range_index]
               : NULL;
}

static void next_range(struct piece *piece)
{
    piece->range_index++;
    const struct el_msg_share_fetch_acquired *range = range_of(piece);
    piece->next = range == NULL ? INT64_MAX : range->first_offset;
}

/* All offsets below this one that are acquired and were not seen are holes. */
static int holes_up_to(struct piece *piece, int64_t offset)
{
    int rc = 0;
    for (const struct el_msg_share_fetch_acquired *range = range_of(piece);
         rc == 0 && range != NULL && piece->next < offset; range = range_of(piece)) {
        int64_t last = EL_MIN(range->last_offset, offset - 1);
        rc = add_range(piece, EL_OUTCOME_GAP, piece->next, last);
        piece->next = last + 1;
        if (last == range->last_offset) {
            next_range(piece);
        }
    }
    return rc;
}

static int add_record(struct piece *piece, const struct el_batch_record *record, int32_t leader_epoch)
{
    int rc = holes_up_to(piece, record->offset);
    const struct el_msg_share_fetch_acquired *range = range_of(piece);
    if (rc != 0 || range == NULL || record->offset != piece->next) {
        return rc; /* not ours */
    }
    struct el_lease *lease = lease_new(piece, record, leader_epoch);
    if (lease == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_list_push_back(&piece->leases, &lease->link);
    if (piece->next == range->last_offset) {
        next_range(piece);
    } else {
        piece->next++;
    }
    return 0;
}

/* Open a batch, with more scratch memory if it must be decompressed. */
static int open_batch(struct evlog_group *group, struct el_batch_iter *iter, const uint8_t *data, size_t len)
{
    int rc = el_batch_open(iter, data, len, group->scratch, group->scratch_len);
    while (rc == EVLOG_ERR_NO_MEMORY && iter->info.scratch_len_wanted > group->scratch_len) {
        size_t wanted = EL_MIN(iter->info.scratch_len_wanted, EL_BATCH_OUTPUT_MAX);
        uint8_t *scratch = el_malloc(wanted);
        if (scratch == NULL) {
            break;
        }
        el_free(group->scratch);
        group->scratch = scratch;
        group->scratch_len = wanted;
        rc = el_batch_open(iter, data, len, group->scratch, group->scratch_len);
    }
    return rc;
}

static int walk_batch(struct evlog_group *group, struct piece *piece, const uint8_t *data, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    int rc = open_batch(group, &iter, data, len);
    if (rc != 0) {
        return rc;
    }
    if ((iter.info.attributes & EL_BATCH_ATTR_CONTROL) == 0) {
        rc = el_batch_next(&iter, &record);
        while (rc == 1) {
            int its = add_record(piece, &record, el_batch_leader_epoch(data));
            rc = its != 0 ? its : el_batch_next(&iter, &record);
        }
    }
    return rc != 0 ? rc : holes_up_to(piece, el_batch_last_offset(data) + 1);
}

/* Ranges must rise and make sense: the loops above rely on it. */
static bool ranges_rise(const struct el_msg_share_fetch_partition_result *result)
{
    int64_t before = -1;
    for (uint32_t i = 0; i < result->acquired_record_count; i++) {
        const struct el_msg_share_fetch_acquired *range = &result->acquired_records[i];
        if (range->first_offset <= before || range->last_offset < range->first_offset ||
            range->last_offset == INT64_MAX) {
            return false;
        }
        before = range->last_offset;
    }
    return true;
}

/* Turn a partition's records into leases. returns 0 | negative: what is left was given back */
static int walk(struct evlog_group *group, struct piece *piece)
{
    uint32_t count = 0;
    size_t len = 0, pos = 0;
    int rc = ranges_rise(piece->result) ? el_batches_check(piece->result->records, &count, &len) : EVLOG_ERR_MALFORMED;
    if (rc == EVLOG_ERR_MALFORMED) {
        return rc;
    }
    piece->range_index = UINT32_MAX;
    next_range(piece);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const uint8_t *batch = piece->result->records.data + pos;
        size_t batch_len = (size_t)el_batch_total_len(batch);
        rc = walk_batch(group, piece, batch, batch_len);
        pos += batch_len;
    }
    while (range_of(piece) != NULL) { /* not in the answer after all, or unreadable */
        int its = add_range(piece, EL_OUTCOME_RELEASE, piece->next, range_of(piece)->last_offset);
        rc = rc == 0 ? its : rc;
        next_range(piece);
    }
    return rc;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static struct el_lease_source *find_source(struct evlog_group *group, const struct el_uuid *topic_id, int32_t partition)
{
    EL_LIST_EACH(node, &group->sources) {
        struct el_lease_source *source = EL_CONTAINER(node, struct el_lease_source, link);
        if (source->partition == partition && el_uuid_eq(&source->topic_id, topic_id)) {
            return source->topic == NULL ? NULL : source;
        }
    }
    return NULL;
}

/* What was read goes to the reader; or nowhere, when the session is lost. Lock held. */
static void hand_over(struct evlog_group *group, struct piece *piece)
{
    bool lost = piece->its->session->number != piece->its->session_number;
    for (struct el_list *node = el_list_pop_front(&piece->leases); node != NULL;
         node = el_list_pop_front(&piece->leases)) {
        struct el_lease *lease = EL_CONTAINER(node, struct el_lease, link);
        lease->source->use_count++;
        group->counts.leased++;
        if (lost) {
            el_lease_free(lease);
        } else {
            el_list_push_back(&group->ready, &lease->link);
        }
    }
    for (struct el_list *node = el_list_pop_front(&piece->gaps); node != NULL; node = el_list_pop_front(&piece->gaps)) {
        struct el_outcome *outcome = EL_CONTAINER(node, struct el_outcome, link);
        outcome->source->use_count++;
        el_outcome_queue(group, piece->its->session, piece->its->session_number, outcome);
    }
}

/* The span of the fetch, for what it brought of a partition. */
static void trace(const struct evlog_group *group, const struct piece *piece)
{
    struct el_span_about about = {
        .kind = EVLOG_SPAN_CLIENT,
        .operation = "receive",
        .operation_type = "receive",
        .topic = piece->topic,
        .group = group->name,
        .partition = piece->source->partition,
    };
    const struct el_lease_call *its = piece->its;
    struct el_span_batch *span = el_span_batch_received(group->client, &about, its->sent_ns, its->arrived_ns);
    EL_LIST_EACH(node, &piece->leases) {
        el_span_batch_add(span, &EL_CONTAINER(node, struct el_lease, link)->event);
    }
    el_span_batch_end(span, NULL, NULL);
}

static int take_partition(struct evlog_group *group, struct el_lease_call *its, const struct el_uuid *topic_id,
                          const struct el_msg_share_fetch_partition_result *result, struct evlog_failure *failure)
{
    struct piece piece = {.its = its, .result = result};
    el_list_init(&piece.leases);
    el_list_init(&piece.gaps);
    el_client_lock(group->client);
    piece.source = find_source(group, topic_id, result->partition_index);
    if (piece.source != NULL) {
        piece.source->use_count++;
        piece.topic = piece.source->topic;
    }
    el_client_unlock(group->client);
    if (piece.source == NULL) {
        return 0; /* nobody asked for it; the lease ends by itself */
    }
    int rc = walk(group, &piece);
    if (el_trace_on(group->client)) {
        trace(group, &piece);
    }
    el_client_lock(group->client);
    hand_over(group, &piece);
    piece.source->use_count--;
    el_client_unlock(group->client);
    return rc == 0 ? 0
                   : el_fail(failure, rc, "%s[%d]: leased events cannot be read: %s", piece.topic,
                             piece.source->partition, evlog_error_text(rc));
}

int el_lease_take_answers(struct evlog_group *group, struct evlog_failure *failure)
{
    struct el_list answers;
    int rc = 0;
    el_list_init(&answers);
    el_client_lock(group->client);
    el_list_splice_back(&answers, &group->answers);
    el_client_unlock(group->client);
    for (struct el_list *node = el_list_pop_front(&answers); node != NULL; node = el_list_pop_front(&answers)) {
        struct el_lease_call *its = EL_CONTAINER(node, struct el_lease_call, link);
        for (uint32_t i = 0; i < its->fetched.response_count; i++) {
            const struct el_msg_share_fetch_topic_result *topic = &its->fetched.responses[i];
            for (uint32_t j = 0; j < topic->partition_count; j++) {
                int one = topic->partitions[j].acquired_record_count == 0
                              ? 0
                              : take_partition(group, its, &topic->topic_id, &topic->partitions[j], failure);
                rc = rc == 0 ? one : rc;
            }
        }
        el_lease_call_free(its);
    }
    return rc;
}
