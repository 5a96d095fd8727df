/* SPDX-License-Identifier: Apache-2.0
 *
 * What members of share groups work on: events leased by ShareFetch in share sessions, and acknowledged, released,
 * rejected, failed and extended by ShareFetch, ShareAcknowledge and LeaseOutcome.
 */
#include "client_share.h"

#include <core/assert.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_share_acknowledge.h>
#include <wire/msg_share_fetch.h>

#define RENEW_VERSION 2 /* first that knows extended leases */
#define RECORDS_MAX 60u /* of a fetch */
#define NS_PER_MS 1000000ull

/* --- outcomes ----------------------------------------------------------------------------------------------------- */

static int held_compare(const void *a, const void *b)
{
    const struct share_held *x = a, *y = b;
    if (x->topic != y->topic) {
        return x->topic < y->topic ? -1 : 1;
    }
    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static enum lease_outcome_kind kind_choose(struct share_client *s, bool extends, bool fails)
{
    uint64_t what = world_below(s->c->w, 100);
    if (s->c->sharing || what < 72) {
        return LEASE_ACCEPT;
    }
    if (what < 84) {
        return fails ? LEASE_FAIL : LEASE_RELEASE;
    }
    if (what < 90) {
        return LEASE_RELEASE;
    }
    return what < 94 ? LEASE_REJECT : extends ? LEASE_EXTEND : LEASE_ACCEPT;
}

/* Some of what is held gets an outcome, and is no longer held. */
static void outcomes_choose(struct share_client *s, bool extends, bool fails)
{
    uint32_t kept = 0;
    qsort(s->held, s->held_count, sizeof(s->held[0]), held_compare);
    s->told_count = 0;
    for (uint32_t i = 0; i < s->held_count; i++) {
        if (!s->c->sharing && world_chance(s->c->w, 300000)) {
            s->held[kept++] = s->held[i];
            continue;
        }
        struct share_held *told = &s->told[s->told_count++];
        *told = s->held[i];
        told->kind = told->gap ? LEASE_GAP : kind_choose(s, extends, fails);
        struct share_view *view = share_view(share_group_of(s), told->topic, told->partition, told->offset);
        view->ack_sent = view->ack_sent || told->kind == LEASE_ACCEPT || told->kind == LEASE_GAP;
        view->rejected = view->rejected || told->kind == LEASE_REJECT;
    }
    s->held_count = kept;
}

static bool extends_any(const struct share_client *s)
{
    for (uint32_t i = 0; i < s->told_count; i++) {
        if (s->told[i].kind == LEASE_EXTEND) {
            return true;
        }
    }
    return false;
}

/* End of the outcomes of one partition, and of one topic, that begin at i. */
static uint32_t told_partition_end(const struct share_client *s, uint32_t i)
{
    uint32_t end = i;
    while (end < s->told_count && s->told[end].topic == s->told[i].topic &&
           s->told[end].partition == s->told[i].partition) {
        end++;
    }
    return end;
}

/* All outcomes of a partition were refused: had one of the leases ended? */
static void see_late(struct share_client *s, uint32_t from, uint32_t to)
{
    const struct share_group *g = share_group_of(s);
    bool late = s->c->w->lying || s->c->w->rotten > 0 || s->haunted;
    for (uint32_t i = from; i < to; i++) {
        const struct share_held *told = &s->told[i];
        late = late || share_now_ns(s) - told->asked_ns >= g->lease_ms * NS_PER_MS ||
               !share_event_stays(s->c->m, told->topic, told->partition, told->offset);
    }
    s->c->w->events[EVENT_LEASE_LATE]++;
    if (!late) {
        world_violation(s->c->w, "group %u: outcomes from offset %lld of topic %u partition %d were refused in time",
                        s->group, (long long)s->told[from].offset, s->told[from].topic, s->told[from].partition);
    }
}

/* One whose lease had ended may come again to the same member. */
static void hold(struct share_client *s, uint32_t topic, int32_t partition, int64_t offset, bool gap)
{
    for (uint32_t i = 0; i < s->held_count; i++) {
        struct share_held *held = &s->held[i];
        if (held->topic == topic && held->partition == partition && held->offset == offset) {
            held->asked_ns = s->asked_ns;
            held->gap = gap;
            return;
        }
    }
    EL_ASSERT(s->held_count < SHARE_HELD);
    s->held[s->held_count++] = (struct share_held){
        .topic = topic, .partition = partition, .offset = offset, .asked_ns = s->asked_ns, .gap = gap};
}

/* The outcomes of a partition were answered. */
static void told_answered(struct share_client *s, uint32_t topic, int32_t partition, int16_t code)
{
    uint32_t from = 0;
    while (from < s->told_count && (s->told[from].topic != topic || s->told[from].partition != partition)) {
        from++;
    }
    uint32_t to = told_partition_end(s, from);
    if (code == EL_KAFKA_INVALID_RECORD_STATE && from < to) {
        see_late(s, from, to);
    } else if (code != EL_KAFKA_NONE && !share_is_fair(s, topic, code)) {
        world_violation(s->c->w, "group %u: outcomes were refused: %s", s->group, el_kafka_error_name(code));
    }
    for (uint32_t i = from; i < to; i++) {
        static const char *const done[] = {
            [LEASE_GAP] = "gap",         [LEASE_ACCEPT] = "done",     [LEASE_RELEASE] = "released",
            [LEASE_REJECT] = "rejected", [LEASE_EXTEND] = "extended", [LEASE_FAIL] = "failed"};
        struct share_held *told = &s->told[i];
        told->answered = true;
        share_say(share_group_of(s), s->c->m, code == EL_KAFKA_NONE ? done[told->kind] : "outcome refused", topic,
                  partition, told->offset);
        if (code == EL_KAFKA_NONE && told->kind == LEASE_ACCEPT) {
            struct share_view *view = share_view(share_group_of(s), topic, partition, told->offset);
            view->acked = share_event_stays(s->c->m, topic, partition, told->offset); /* else it was gone */
            view->acked_ns = share_now_ns(s);
            s->c->w->events[EVENT_LEASE_DONE]++;
        } else if (code == EL_KAFKA_NONE && told->kind == LEASE_EXTEND && s->held_count < SHARE_HELD) {
            told->asked_ns = s->asked_ns;
            hold(s, topic, partition, told->offset, told->gap);
            s->c->w->events[EVENT_LEASE_EXTENDED]++;
        }
    }
}

/* Every outcome has had its answer. */
static void told_end(struct share_client *s)
{
    for (uint32_t i = 0; i < s->told_count; i++) {
        if (!s->told[i].answered) {
            world_violation(s->c->w, "group %u: outcomes of topic %u partition %d have no answer", s->group,
                            s->told[i].topic, s->told[i].partition);
        }
    }
    s->told_count = 0;
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

static int32_t told_of(const struct el_msg_share_fetch_partition_result *r, int64_t offset)
{
    for (uint32_t i = 0; i < r->acquired_record_count; i++) {
        if (offset >= r->acquired_records[i].first_offset && offset <= r->acquired_records[i].last_offset) {
            return r->acquired_records[i].delivery_count;
        }
    }
    return 0;
}

static void see_sent(struct share_client *s, const struct sent *sent,
                     const struct el_msg_share_fetch_partition_result *r)
{
    struct world *w = s->c->w;
    for (uint32_t i = 0; i < sent->record_count && w->violation[0] == 0; i++) {
        int32_t told = told_of(r, sent->offset + i);
        if (told == 0 || (sent->read_records >> i & 1) == 0) {
            continue;
        }
        w->events[told == 1 ? EVENT_LEASED : EVENT_LEASED_AGAIN]++;
        share_group_delivered(share_group_of(s), s->c->m, &(struct share_delivery){sent, i, told, s->asked_ns});
        hold(s, sent->topic, sent->partition, sent->offset + i, false);
    }
}

/* What was leased and has no record: compaction or a trim came between. */
static void see_gaps(struct share_client *s, uint32_t topic, const struct el_msg_share_fetch_partition_result *r)
{
    for (uint32_t i = 0; i < r->acquired_record_count; i++) {
        for (int64_t o = r->acquired_records[i].first_offset; o <= r->acquired_records[i].last_offset; o++) {
            bool found = false;
            for (uint32_t k = 0; k < s->held_count && !found; k++) {
                const struct share_held *held = &s->held[k];
                found = held->topic == topic && held->partition == r->partition_index && held->offset == o;
                found = found && held->asked_ns == s->asked_ns && !held->gap;
            }
            if (found) {
                continue;
            }
            if (share_event_stays(s->c->m, topic, r->partition_index, o) && !s->c->w->lying) {
                world_violation(s->c->w, "group %u: offset %lld of topic %u partition %d was leased and did not come",
                                s->group, (long long)o, topic, r->partition_index);
                return;
            }
            hold(s, topic, r->partition_index, o, true);
        }
    }
}

static void see_partition(struct share_client *s, uint32_t topic, const struct el_msg_share_fetch_partition_result *r)
{
    struct model *m = s->c->m;
    struct world *w = s->c->w;
    if (r->error_code != EL_KAFKA_NONE && !share_is_fair(s, topic, r->error_code)) {
        world_violation(w, "group %u: a fetch of topic %u partition %d failed: %s", s->group, topic, r->partition_index,
                        el_kafka_error_name(r->error_code));
    }
    if (r->acquired_record_count > 0) {
        share_group_learn(share_group_of(s), m, topic, r->partition_index);
    }
    for (size_t pos = 0; pos < r->records.len && w->violation[0] == 0;) {
        const uint8_t *batch = r->records.data + pos;
        uint32_t len = (uint32_t)el_batch_total_len(batch);
        EL_ASSERT(len <= r->records.len - pos);
        const struct sent *sent = model_see_some(m, topic, r->partition_index, batch, len);
        pos += len;
        if (sent != NULL) {
            see_sent(s, sent, r);
        }
    }
    if (w->violation[0] == 0) {
        see_gaps(s, topic, r);
    }
    told_answered(s, topic, r->partition_index, r->acknowledge_error_code);
}

static uint32_t acquired_count(const struct el_msg_share_fetch_response *answer)
{
    uint32_t count = 0;
    for (uint32_t t = 0; t < answer->response_count; t++) {
        for (uint32_t p = 0; p < answer->responses[t].partition_count; p++) {
            const struct el_msg_share_fetch_partition_result *r = &answer->responses[t].partitions[p];
            for (uint32_t i = 0; i < r->acquired_record_count; i++) {
                count += (uint32_t)(r->acquired_records[i].last_offset - r->acquired_records[i].first_offset + 1);
            }
        }
    }
    return count;
}

/* A request was refused as a whole. A session lasts as long as its connection, unless what the member had asked over
 * one that it has lost arrives later than its first question over the next. */
static bool session_refused(struct share_client *s, const char *what, int16_t code)
{
    if (code == EL_KAFKA_NONE) {
        return false;
    }
    bool haunts = code == EL_KAFKA_SHARE_SESSION_NOT_FOUND || code == EL_KAFKA_INVALID_SHARE_SESSION_EPOCH;
    if (code != EL_KAFKA_SHARE_SESSION_LIMIT_REACHED && !clients_excuse(s->c, code) && !(haunts && s->haunted)) {
        world_violation(s->c->w, "group %u: %s in epoch %d was refused: %s", s->group, what, s->session,
                        el_kafka_error_name(code));
    }
    s->told_count = 0;
    share_drop_session(s);
    return true;
}

static void on_fetched(void *arg, const void *response)
{
    struct share_client *s = arg;
    const struct el_msg_share_fetch_response *answer = share_take(s, response);
    share_group_of(s)->flying -= s->records_max > 0;
    if (answer == NULL) {
        share_group_of(s)->lost += s->records_max > 0;
        s->told_count = 0;
        return;
    }
    if (session_refused(s, "ShareFetch", answer->error_code)) {
        return;
    }
    bool closed = s->closing;
    if (acquired_count(answer) > s->records_max) {
        world_violation(s->c->w, "group %u: %u events were leased, and %u asked for", s->group, acquired_count(answer),
                        s->records_max);
        return;
    }
    for (uint32_t t = 0; t < answer->response_count; t++) {
        const struct el_msg_share_fetch_topic_result *topic = &answer->responses[t];
        uint32_t index = share_topic_by_id(s->c->m, &topic->topic_id);
        EL_ASSERT(index != UINT32_MAX);
        for (uint32_t p = 0; p < topic->partition_count && s->c->w->violation[0] == 0; p++) {
            see_partition(s, index, &topic->partitions[p]);
        }
    }
    told_end(s);
    if (closed) {
        share_drop_session(s);
    } else {
        s->session++;
    }
}

/* The message of a fetch: partitions that are new to the session, and those with outcomes. */
struct fetch_message {
    struct el_msg_share_fetch_request request;
    struct el_msg_share_fetch_topic topics[SHARE_PLACES];
    struct el_msg_share_fetch_partition partitions[SHARE_PLACES];
    struct el_msg_share_fetch_acknowledgement ranges[SHARE_HELD];
    struct el_msg_share_fetch_forgotten_topic forgotten[SHARE_PLACES];
    int32_t gone[SHARE_PLACES];
    int8_t kinds[SHARE_HELD];
    uint32_t partition_count, range_count;
};

/* A range of outcomes of offsets that follow each other, from i on; returns its end. */
static uint32_t range_take(const struct share_client *s, uint32_t i, uint32_t to, int8_t *kinds, int64_t *last)
{
    uint32_t end = i;
    while (end < to && s->told[end].offset == s->told[i].offset + (end - i)) {
        kinds[end] = (int8_t)s->told[end].kind;
        *last = s->told[end].offset;
        end++;
    }
    return end;
}

static void message_partition(struct fetch_message *message, const struct share_client *s,
                              const struct share_place *place)
{
    struct el_msg_share_fetch_request *request = &message->request;
    const struct el_uuid *id = &s->c->m->topics[place->topic].id;
    struct el_msg_share_fetch_topic *topic = request->topic_count == 0 ? NULL
                                                                       : &request->topics[request->topic_count - 1];
    struct el_msg_share_fetch_partition *partition = &message->partitions[message->partition_count++];
    el_schema_init(&el_schema_share_fetch_partition, partition);
    partition->partition_index = place->partition;
    if (topic == NULL || !el_uuid_eq(&topic->topic_id, id)) {
        topic = &request->topics[request->topic_count++];
        el_schema_init(&el_schema_share_fetch_topic, topic);
        topic->topic_id = *id;
        topic->partitions = partition;
    }
    topic->partition_count++;
    partition->acknowledgement_batches = &message->ranges[message->range_count];
    for (uint32_t i = 0; i < s->told_count;) {
        if (s->told[i].topic != place->topic || s->told[i].partition != place->partition) {
            i++;
            continue;
        }
        struct el_msg_share_fetch_acknowledgement *range = &message->ranges[message->range_count++];
        uint32_t end = range_take(s, i, told_partition_end(s, i), message->kinds, &range->last_offset);
        range->first_offset = s->told[i].offset;
        range->acknowledge_types = &message->kinds[i];
        range->acknowledge_type_count = end - i;
        partition->acknowledgement_batch_count++;
        i = end;
    }
}

static int place_compare(const void *a, const void *b)
{
    const struct share_place *x = a, *y = b;
    return x->topic != y->topic ? (x->topic < y->topic ? -1 : 1) : x->partition - y->partition;
}

static bool has_told(const struct share_client *s, const struct share_place *place)
{
    for (uint32_t i = 0; i < s->told_count; i++) {
        if (s->told[i].topic == place->topic && s->told[i].partition == place->partition) {
            return true;
        }
    }
    return false;
}

/* Partitions into the message; those that are no longer wanted are forgotten. */
static void message_places(struct fetch_message *message, struct share_client *s)
{
    struct el_msg_share_fetch_request *request = &message->request;
    uint32_t kept = 0;
    qsort(s->places, s->place_count, sizeof(s->places[0]), place_compare);
    for (uint32_t i = 0; i < s->place_count; i++) {
        struct share_place *place = &s->places[i];
        bool told = has_told(s, place);
        if (told || (place->wanted && !place->there && !s->closing)) {
            message_partition(message, s, place);
        }
        if (!place->wanted && (place->there || told) && !s->closing) {
            uint32_t n = request->forgotten_topics_data_count++;
            message->gone[n] = place->partition;
            el_schema_init(&el_schema_share_fetch_forgotten_topic, &message->forgotten[n]);
            message->forgotten[n].topic_id = s->c->m->topics[place->topic].id;
            message->forgotten[n].partitions = &message->gone[n];
            message->forgotten[n].partition_count = 1;
        }
        place->there = place->wanted;
        if (place->wanted) {
            s->places[kept++] = *place;
        }
    }
    s->place_count = kept;
}

/* Events are held of partitions that may have gone to others: an outcome names them once more. */
static void places_of_told(struct share_client *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->told_count; i++) {
        if (share_place_at(s, s->told[i].topic, s->told[i].partition) != NULL) {
            s->told[kept++] = s->told[i];
        }
    }
    s->told_count = kept;
}

void share_fetch(struct share_client *s, bool closing)
{
    static struct fetch_message message;
    struct world *w = s->c->w;
    bool behaving = s->c->sharing;
    int version = peer_version(&s->peer, EL_API_ShareFetch);
    memset(&message, 0, sizeof(message));
    el_schema_init(&el_schema_share_fetch_request, &message.request);
    message.request.topics = message.topics;
    message.request.topic_count = 0;
    message.request.forgotten_topics_data = message.forgotten;
    message.request.forgotten_topics_data_count = 0;
    s->told_count = 0;
    s->closing = closing;
    if (s->session > 0 && (behaving || closing || world_chance(w, 500000))) {
        outcomes_choose(s, version >= RENEW_VERSION, false);
        places_of_told(s);
    }
    s->records_max = behaving ? RECORDS_MAX : (uint32_t)world_below(w, RECORDS_MAX);
    if (closing || s->held_count + s->told_count + s->records_max > SHARE_HELD) {
        s->records_max = 0;
    }
    s->asked_ns = share_now_ns(s);
    message_places(&message, s);
    message.request.group_id = share_group_name(share_group_of(s));
    message.request.member_id = share_member_id(s);
    message.request.share_session_epoch = closing ? -1 : s->session;
    message.request.max_wait_ms = behaving ? 60 : (int32_t)world_below(w, 30);
    message.request.min_bytes = 1;
    message.request.max_bytes = behaving || world_chance(w, 800000) ? 1 << 20 : (int32_t)world_below(w, 4000);
    message.request.max_records = (int32_t)s->records_max;
    message.request.batch_size = 1 + (int32_t)world_below(w, 100);
    if (version >= RENEW_VERSION) {
        message.request.share_acquire_mode = (int8_t)world_below(w, 2);
        message.request.is_renew_ack = extends_any(s);
    }
    s->busy = true;
    share_group_of(s)->flying += s->records_max > 0;
    peer_send(&s->peer, EL_API_ShareFetch, version, &message.request, on_fetched, s);
}

/* --- outcomes by themselves --------------------------------------------------------------------------------------- */

static void on_acknowledged(void *arg, const void *response)
{
    struct share_client *s = arg;
    const struct el_msg_share_acknowledge_response *answer = share_take(s, response);
    if (answer == NULL || session_refused(s, "ShareAcknowledge", answer->error_code)) {
        s->told_count = 0;
        return;
    }
    for (uint32_t t = 0; t < answer->response_count; t++) {
        const struct el_msg_share_acknowledge_topic_result *topic = &answer->responses[t];
        uint32_t index = share_topic_by_id(s->c->m, &topic->topic_id);
        EL_ASSERT(index != UINT32_MAX);
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            told_answered(s, index, topic->partitions[p].partition_index, topic->partitions[p].error_code);
        }
    }
    told_end(s);
    s->session++;
}

void share_acknowledge(struct share_client *s)
{
    static struct el_msg_share_acknowledge_topic topics[SHARE_HELD];
    static struct el_msg_share_acknowledge_partition partitions[SHARE_HELD];
    static struct el_msg_share_acknowledge_batch ranges[SHARE_HELD];
    static int8_t kinds[SHARE_HELD];
    struct el_msg_share_acknowledge_request request;
    int version = peer_version(&s->peer, EL_API_ShareAcknowledge);
    outcomes_choose(s, version >= RENEW_VERSION, false);
    if (s->told_count == 0) {
        return;
    }
    el_schema_init(&el_schema_share_acknowledge_request, &request);
    request.group_id = share_group_name(share_group_of(s));
    request.member_id = share_member_id(s);
    request.share_session_epoch = s->session;
    request.is_renew_ack = version >= RENEW_VERSION && extends_any(s);
    request.topics = topics;
    request.topic_count = 0;
    uint32_t partition_count = 0, range_count = 0;
    for (uint32_t i = 0, to; i < s->told_count; i = to) {
        struct el_msg_share_acknowledge_partition *partition = &partitions[partition_count++];
        to = told_partition_end(s, i);
        el_schema_init(&el_schema_share_acknowledge_partition, partition);
        partition->partition_index = s->told[i].partition;
        partition->acknowledgement_batches = &ranges[range_count];
        if (i == 0 || s->told[i].topic != s->told[i - 1].topic) {
            el_schema_init(&el_schema_share_acknowledge_topic, &topics[request.topic_count]);
            topics[request.topic_count].topic_id = s->c->m->topics[s->told[i].topic].id;
            topics[request.topic_count++].partitions = partition;
        }
        topics[request.topic_count - 1].partition_count++;
        for (uint32_t k = i, end; k < to; k = end) {
            struct el_msg_share_acknowledge_batch *range = &ranges[range_count++];
            el_schema_init(&el_schema_share_acknowledge_batch, range);
            end = range_take(s, k, to, kinds, &range->last_offset);
            range->first_offset = s->told[k].offset;
            range->acknowledge_types = &kinds[k];
            range->acknowledge_type_count = end - k;
            partition->acknowledgement_batch_count++;
        }
    }
    s->asked_ns = share_now_ns(s);
    s->busy = true;
    peer_send(&s->peer, EL_API_ShareAcknowledge, version, &request, on_acknowledged, s);
}

static void on_told(void *arg, const void *response)
{
    struct share_client *s = arg;
    const struct el_msg_ext_lease_outcome_response *answer = share_take(s, response);
    if (answer == NULL || session_refused(s, "LeaseOutcome", answer->error)) {
        s->told_count = 0;
        return;
    }
    for (uint32_t t = 0; t < answer->topic_count; t++) {
        const struct el_msg_ext_lease_outcome_topic_result *topic = &answer->topics[t];
        uint32_t index = share_topic_by_id(s->c->m, &topic->topic_id);
        EL_ASSERT(index != UINT32_MAX);
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            told_answered(s, index, topic->partitions[p].partition, topic->partitions[p].error);
        }
    }
    told_end(s);
}

void share_tell(struct share_client *s)
{
    static struct el_msg_ext_lease_outcome_topic topics[SHARE_HELD];
    static struct el_msg_ext_lease_outcome_partition partitions[SHARE_HELD];
    static struct el_msg_ext_lease_outcome_range ranges[SHARE_HELD];
    struct el_msg_ext_lease_outcome_request request;
    outcomes_choose(s, true, true);
    if (s->told_count == 0) {
        return;
    }
    el_schema_init(&el_schema_ext_lease_outcome_request, &request);
    request.group = share_group_name(share_group_of(s));
    request.member = share_member_id(s);
    request.topics = topics;
    request.topic_count = 0;
    uint32_t partition_count = 0;
    for (uint32_t i = 0, to; i < s->told_count; i = to) {
        struct el_msg_ext_lease_outcome_partition *partition = &partitions[partition_count++];
        to = told_partition_end(s, i);
        el_schema_init(&el_schema_ext_lease_outcome_partition, partition);
        partition->partition = s->told[i].partition;
        partition->outcomes = &ranges[i];
        partition->outcome_count = to - i;
        if (i == 0 || s->told[i].topic != s->told[i - 1].topic) {
            el_schema_init(&el_schema_ext_lease_outcome_topic, &topics[request.topic_count]);
            topics[request.topic_count].topic_id = s->c->m->topics[s->told[i].topic].id;
            topics[request.topic_count++].partitions = partition;
        }
        topics[request.topic_count - 1].partition_count++;
        for (uint32_t k = i; k < to; k++) {
            el_schema_init(&el_schema_ext_lease_outcome_range, &ranges[k]);
            ranges[k].first = ranges[k].last = s->told[k].offset;
            ranges[k].kind = (int8_t)s->told[k].kind;
            ranges[k].delay_ms = world_chance(s->c->w, 500000) ? -1 : (int64_t)world_below(s->c->w, 30);
            ranges[k].reason = el_slice_str("why");
            ranges[k].error = el_slice_str("a text");
        }
    }
    s->asked_ns = share_now_ns(s);
    s->busy = true;
    peer_send(&s->peer, EL_API_LeaseOutcome, 0, &request, on_told, s);
}
