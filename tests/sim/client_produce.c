/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers: each writes one or two partitions, up to five requests under way. An idempotent one sends what has no
 * answer again, with the same sequence numbers and in order, after an error or a lost connection. Another one cannot
 * know whether a batch is stored and does not send it again; after a lost connection what was under way may still come,
 * in between what it sends then, so it goes on as another producer.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_init_producer_id.h>
#include <wire/msg_produce.h>

#define BATCH_ROOM (160u << 10)
#define RECORDS_MAX 5u
#define SLOT_LEN_SAFE 30000u            /* a batch that fits into every slot */
#define SILENT_NS_MAX 72000000000000ull /* 20 h; after 24 the broker forgets what a producer has sent */
#define PRODUCE_ZSTD 7                  /* first version that takes zstd */

static struct produce_flight *flight_free(struct producer_client *p)
{
    for (uint32_t k = 0; k < CLIENT_WINDOW; k++) {
        if (p->flights[k].count == 0) {
            return &p->flights[k];
        }
    }
    return NULL;
}

static bool is_busy(const struct producer_client *p)
{
    for (uint32_t k = 0; k < CLIENT_WINDOW; k++) {
        if (p->flights[k].count > 0) {
            return true;
        }
    }
    return false;
}

/* The store's clock, or what it may be told next. */
static uint64_t store_now_ns(const struct producer_client *p)
{
    const struct world *w = p->c->w;
    return EL_MAX(w->clock_max_ns, (uint64_t)((int64_t)w->clock.now_ns + w->clock.wall_offset));
}

/* Answers to what is under way are not waited for. */
static void retire(struct producer_client *p)
{
    p->state = PRODUCER_NEW;
    p->lane_count = 0;
}

/* --- a producer begins -------------------------------------------------------------------------------------------- */

static void on_id(void *arg, const void *response)
{
    struct producer_client *p = arg;
    struct clients *c = p->c;
    const struct el_msg_init_producer_id_response *answer = response;
    EL_ASSERT(p->state == PRODUCER_ASKS_ID);
    p->state = PRODUCER_NEW;
    if (answer == NULL) {
        return;
    }
    if (answer->error_code != EL_KAFKA_NONE) {
        if (answer->error_code != EL_KAFKA_KAFKA_STORAGE_ERROR &&
            answer->error_code != EL_KAFKA_NOT_LEADER_OR_FOLLOWER) {
            world_violation(c->w, "InitProducerId failed: %s", el_kafka_error_name(answer->error_code));
        }
        return;
    }
    for (uint32_t i = 0; i < c->id_count; i++) {
        if (c->ids[i] == answer->producer_id && !c->w->lying) {
            world_violation(c->w, "producer id %lld was given out twice", (long long)answer->producer_id);
        }
    }
    if (answer->producer_id < 0 || answer->producer_epoch != 0) {
        world_violation(c->w, "producer id %lld with epoch %d", (long long)answer->producer_id, answer->producer_epoch);
    }
    c->ids[c->id_count++] = answer->producer_id;
    p->id = answer->producer_id;
    p->state = PRODUCER_READY;
}

/* A partition more that the producer does not write yet; none where its topic keeps nothing and that matters. */
static void lane_add(struct producer_client *p)
{
    struct clients *c = p->c;
    uint32_t topic = clients_topic(c);
    if (topic == UINT32_MAX || (p->lane_count > 0 && c->m->topics[topic].memory)) {
        return;
    }
    int32_t partition = (int32_t)world_below(c->w, (uint64_t)c->m->topics[topic].partition_count);
    if (p->lane_count > 0 && p->lanes[0].topic == topic && p->lanes[0].partition == partition) {
        return;
    }
    p->lanes[p->lane_count++] = (struct produce_lane){.topic = topic, .partition = partition};
}

static void begin(struct producer_client *p)
{
    struct clients *c = p->c;
    p->lane_count = 0;
    if (c->producer_count == MODEL_PRODUCERS_MAX || is_busy(p)) {
        return;
    }
    lane_add(p);
    if (p->lane_count == 0) {
        return;
    }
    if (world_chance(c->w, 400000)) {
        lane_add(p);
    }
    p->index = c->producer_count++;
    p->id = -1;
    p->lost_before = p->peer.lost_count;
    p->active_ns = p->c->w->clock_max_ns;
    p->acks = world_chance(c->w, 100000) ? 0 : world_chance(c->w, 500000) ? 1 : -1;
    p->state = PRODUCER_READY;
    if (p->acks != 0 && !c->m->topics[p->lanes[0].topic].memory && world_chance(c->w, 700000)) {
        struct el_msg_init_producer_id_request ask;
        el_schema_init(&el_schema_init_producer_id_request, &ask);
        ask.transactional_id = (struct el_slice){0};
        p->state = PRODUCER_ASKS_ID;
        peer_send(&p->peer, EL_API_InitProducerId, peer_version(&p->peer, EL_API_InitProducerId), &ask, on_id, p);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void queue_drop(struct produce_lane *lane, uint32_t sent)
{
    for (uint32_t i = 0; i < lane->queue_len; i++) {
        if (lane->queue[i] == sent) {
            memmove(&lane->queue[i], &lane->queue[i + 1], sizeof(lane->queue[0]) * (lane->queue_len - i - 1));
            lane->queue_len--;
            lane->asked--;
            return;
        }
    }
}

static void stored(struct producer_client *p, struct sent *s, const struct el_msg_produce_partition_result *r)
{
    struct world *w = p->c->w;
    const struct model_topic *t = &p->c->m->topics[s->topic];
    model_acked(p->c->m, s, r->base_offset, 0);
    if (t->stamped != (r->log_append_time_ms >= 0)) {
        world_violation(w, "batch %llu was answered with time %lld", (unsigned long long)s->id,
                        (long long)r->log_append_time_ms);
    }
    if (t->stamped && s->append_ns != 0 && r->log_append_time_ms != (int64_t)(s->append_ns / 1000000)) {
        world_violation(w, "batch %llu was stored at another time than answered", (unsigned long long)s->id);
    }
    if (r->log_start_offset >= 0) {
        model_see_start(p->c->m, s->topic, s->partition, r->log_start_offset);
    }
}

static void refused(struct producer_client *p, struct produce_lane *lane, uint32_t sent, int16_t code)
{
    struct world *w = p->c->w;
    struct sent *s = &p->c->m->sent[sent];
    bool gone = code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID;
    bool first = lane->queue_len > 0 && lane->queue[0] == sent;
    if (code == EL_KAFKA_MESSAGE_TOO_LARGE) {
        s->state = s->state == SENT_UNKNOWN && !s->repeated ? SENT_REFUSED : s->state;
        retire(p);
        return;
    }
    if (code == EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && w->lying) {
        retire(p); /* what it built upon is gone */
        return;
    }
    if (code == EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && p->id >= 0 && lane->proved && first) {
        world_violation(w, "producer %u: batch %llu follows the last one and was refused as out of order", p->index,
                        (unsigned long long)s->id);
    } else if (!gone && code != EL_KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER && code != EL_KAFKA_KAFKA_STORAGE_ERROR &&
               code != EL_KAFKA_REQUEST_TIMED_OUT && code != EL_KAFKA_NOT_LEADER_OR_FOLLOWER) {
        world_violation(w, "producer %u: batch %llu was refused: %s", p->index, (unsigned long long)s->id,
                        el_kafka_error_name(code));
    }
    if (gone && p->c->m->topics[lane->topic].state == TOPIC_THERE) {
        world_violation(w, "producer %u: topic %u is not known", p->index, lane->topic);
    }
    if (gone) {
        retire(p);
    } else if (p->id >= 0) {
        lane->failed = true;
    } else {
        queue_drop(lane, sent);
    }
}

/* Was the batch judged by the limit? The slots of the journal have another one. */
static void see_len(const struct produce_flight *f, uint32_t n, int16_t code)
{
    struct world *w = f->owner->c->w;
    const struct rule_book *rules = f->owner->c->rules;
    bool refused = code == EL_KAFKA_MESSAGE_TOO_LARGE;
    int64_t least = EL_MIN(rule_least(rules, RULE_BATCH_LEN, f->reading), (int64_t)SLOT_LEN_SAFE);
    int64_t most = rule_most(rules, RULE_BATCH_LEN, f->reading);
    if ((refused && (int64_t)f->len[n] <= least) || (code == EL_KAFKA_NONE && (int64_t)f->len[n] > most)) {
        world_violation(w, "a batch of %zu bytes was %s, %lld may be", f->len[n], refused ? "refused" : "taken",
                        (long long)(refused ? least : most));
    }
    w->events[EVENT_LIMIT_REFUSED] += refused;
}

static void answered(struct producer_client *p, struct produce_lane *lane, uint32_t sent,
                     const struct el_msg_produce_partition_result *r)
{
    struct world *w = p->c->w;
    struct sent *s = &p->c->m->sent[sent];
    if (r->index != s->partition) {
        world_violation(w, "an answer to Produce is for another partition");
        return;
    }
    if (r->error_code != EL_KAFKA_NONE) {
        refused(p, lane, sent, r->error_code);
        return;
    }
    stored(p, s, r);
    p->active_ns = s->sent_ns;
    if (lane->queue_len > 0 && lane->queue[0] == sent) {
        queue_drop(lane, sent);
        lane->proved = true;
    } else if (!lane->failed) {
        world_violation(w, "producer %u: batch %llu was answered before an earlier one", p->index,
                        (unsigned long long)s->id);
    }
}

/* The result of the n-th batch: those of one topic are together. NULL when there is none */
static const struct el_msg_produce_partition_result *result_at(const struct el_msg_produce_response *answer,
                                                               const struct produce_flight *f, uint32_t n)
{
    bool together = f->count > 1 && f->lanes[0]->topic == f->lanes[1]->topic;
    uint32_t topic = together ? 0 : n, partition = together ? n : 0;
    if (topic >= answer->response_count || partition >= answer->responses[topic].partition_response_count) {
        return NULL;
    }
    return &answer->responses[topic].partition_responses[partition];
}

static void lane_back(struct producer_client *p, struct produce_lane *lane)
{
    lane->busy--;
    if (lane->failed && lane->busy == 0) {
        lane->failed = false;
        lane->asked = 0;
    }
}

static void on_produced(void *arg, const void *response)
{
    struct produce_flight *f = arg;
    struct producer_client *p = f->owner;
    struct clients *c = p->c;
    c->answers += response != NULL;
    for (uint32_t i = 0; i < f->count && p->state == PRODUCER_READY; i++) {
        struct produce_lane *lane = f->lanes[i];
        const struct el_msg_produce_partition_result *r = response == NULL ? NULL : result_at(response, f, i);
        if (r != NULL) {
            see_len(f, i, r->error_code);
            answered(p, lane, f->sent[i], r);
        } else if (response != NULL) {
            world_violation(c->w, "an answer to Produce has too few partitions");
        } else if (p->id < 0) {
            retire(p); /* lost with the connection */
        } else {
            lane->failed = true;
        }
    }
    for (uint32_t i = 0; i < f->count && p->state == PRODUCER_READY; i++) {
        lane_back(p, f->lanes[i]);
    }
    f->count = 0;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

struct batch_shape {
    uint32_t value_len;
    enum el_codec codec;
};

/* It follows from the id, so that a retry sends the same bytes. The largest are decompressed by a worker. */
static struct batch_shape shape_of(const struct model *m, const struct sent *s)
{
    struct el_rng rng;
    struct batch_shape shape = {12, EL_CODEC_NONE};
    el_rng_seed(&rng, s->id * 77);
    if (el_rng_chance(&rng, 150000)) {
        shape.codec = (enum el_codec)(1 + el_rng_below(&rng, EL_CODEC_ZSTD));
    }
    if (!m->topics[s->topic].small && el_rng_chance(&rng, 3000)) {
        shape.value_len += (uint32_t)el_rng_below(&rng, 28000);
    } else if (shape.codec != EL_CODEC_NONE && !m->topics[s->topic].small && el_rng_chance(&rng, 70000)) {
        shape.value_len += MODEL_PLAIN_LEN + (uint32_t)el_rng_below(&rng, 150000);
    } else {
        shape.value_len += (uint32_t)el_rng_below(&rng, el_rng_chance(&rng, 100000) ? 5000 : 200);
    }
    return shape;
}

static size_t batch_make(struct producer_client *p, const struct sent *s, const struct batch_shape *shape, uint8_t *out)
{
    if (shape->codec == EL_CODEC_NONE) {
        return model_batch(p->c->m, s, p->id, shape->value_len, out, BATCH_ROOM);
    }
    return model_batch_packed(s, p->id, shape->value_len, shape->codec, out, BATCH_ROOM);
}

/* The message of a flight: batches of one topic go together, as the protocol has it. */
struct produce_message {
    struct el_msg_produce_request request;
    struct el_msg_produce_topic topics[CLIENT_LANES];
    struct el_msg_produce_partition partitions[CLIENT_LANES];
    bool zstd;
};

static void message_add(struct produce_message *message, struct producer_client *p, uint32_t n,
                        struct produce_flight *f, uint8_t *room)
{
    const struct model *m = p->c->m;
    const struct sent *s = &m->sent[f->sent[n]];
    struct batch_shape shape = shape_of(m, s);
    struct el_msg_produce_partition *partition = &message->partitions[n];
    el_schema_init(&el_schema_produce_partition, partition);
    partition->index = s->partition;
    partition->records = el_slice_of(room, batch_make(p, s, &shape, room));
    f->len[n] = partition->records.len;
    message->zstd = message->zstd || shape.codec == EL_CODEC_ZSTD;
    if (n > 0 && f->lanes[0]->topic == f->lanes[n]->topic) {
        message->topics[0].partition_data_count++;
        return;
    }
    struct el_msg_produce_topic *topic = &message->topics[message->request.topic_data_count++];
    el_schema_init(&el_schema_produce_topic, topic);
    topic->name = el_slice_str(m->topics[s->topic].name);
    topic->topic_id = m->topics[s->topic].id;
    topic->partition_data = partition;
    topic->partition_data_count = 1;
}

static void flight_send(struct producer_client *p, struct produce_flight *f)
{
    struct world *w = p->c->w;
    struct produce_message message = {.zstd = false};
    uint8_t *room = malloc(BATCH_ROOM * (size_t)CLIENT_LANES);
    EL_ASSERT(room != NULL);
    el_schema_init(&el_schema_produce_request, &message.request);
    message.request.transactional_id = (struct el_slice){0};
    message.request.acks = p->acks;
    message.request.timeout_ms = world_chance(w, 900000) ? 30000 : (int32_t)world_below(w, 50);
    message.request.topic_data = message.topics;
    message.request.topic_data_count = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        message_add(&message, p, i, f, room + i * (size_t)BATCH_ROOM);
    }
    int version = peer_version(&p->peer, EL_API_Produce);
    version = message.zstd ? EL_MAX(version, PRODUCE_ZSTD) : version;
    peer_send(&p->peer, EL_API_Produce, version, &message.request, p->acks != 0 ? on_produced : NULL, f);
    free(room);
    f->reading = p->c->rules->done;
    f->count = p->acks != 0 ? f->count : 0;
}

/* The next batch of a lane: one that is to be sent again, or a new one. returns false when there is none now */
static bool lane_next(struct producer_client *p, struct produce_lane *lane, uint32_t *sent)
{
    struct clients *c = p->c;
    if (lane->failed || c->m->topics[lane->topic].state != TOPIC_THERE) {
        return false;
    }
    if (lane->asked < lane->queue_len) { /* again, in order */
        c->repeats++;
        *sent = lane->queue[lane->asked++];
        c->m->sent[*sent].repeated = true;
        return true;
    }
    if (lane->queue_len == CLIENT_WINDOW) {
        return false;
    }
    uint32_t records = 1 + (uint32_t)world_below(c->w, RECORDS_MAX);
    int32_t sequence = p->id < 0 ? -1 : lane->next_sequence;
    *sent = model_send(c->m, lane->topic, lane->partition, p->index, records, sequence);
    lane->next_sequence = el_sequence_add(lane->next_sequence, (int32_t)records);
    if (p->acks != 0) {
        lane->queue[lane->queue_len++] = *sent;
        lane->asked++;
    }
    return true;
}

/* True when it goes on as another producer. */
static bool is_over(struct producer_client *p)
{
    struct clients *c = p->c;
    bool unanswered = false;
    if (store_now_ns(p) - p->active_ns > SILENT_NS_MAX) {
        return true; /* a batch that is sent again may not be recognized */
    }
    for (uint32_t i = 0; i < p->lane_count; i++) {
        unanswered = unanswered || p->lanes[i].queue_len > 0;
        if (c->m->topics[p->lanes[i].topic].state != TOPIC_THERE) {
            return true;
        }
    }
    if (p->acks == 0 && p->lost_before != p->peer.lost_count) {
        return true; /* nobody tells what of it has arrived, or will */
    }
    return !unanswered && world_chance(c->w, 3000);
}

void producer_act(struct producer_client *p)
{
    struct produce_flight *f = flight_free(p);
    if (!peer_can_ask(&p->peer) || f == NULL) {
        return;
    }
    if (p->state == PRODUCER_NEW) {
        begin(p);
        return;
    }
    if (p->state != PRODUCER_READY) {
        return;
    }
    if (is_over(p)) {
        retire(p);
        return;
    }
    for (uint32_t i = 0; i < p->lane_count; i++) {
        bool skipped = world_chance(p->c->w, 300000);
        if (!skipped && lane_next(p, &p->lanes[i], &f->sent[f->count])) {
            p->lanes[i].busy += p->acks != 0;
            f->lanes[f->count++] = &p->lanes[i];
        }
    }
    if (f->count > 0) {
        flight_send(p, f);
    }
}
