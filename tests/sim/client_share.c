/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of share groups: they join, work (client_lease.c), keep some events until their leases have ended, close
 * sessions, leave, go silent, and forget who they were. Each has one question under way.
 */
#include "client_share.h"

#include <core/assert.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_group_progress.h>
#include <wire/msg_incremental_alter_configs.h>
#include <wire/msg_share_group_heartbeat.h>

#define GROUP_RESOURCE 32
#define BEAT_MS 100       /* between heartbeats when all goes well */
#define SESSION_MS 1500   /* of the groups */
#define LOOK_NS 200000000 /* between looks at the progress */
#define NS_PER_MS 1000000ull

struct share_group *share_group_of(struct share_client *s)
{
    return &s->c->shares[s->group];
}

struct el_slice share_member_id(struct share_client *s)
{
    return el_slice_str(s->id);
}

uint64_t share_now_ns(const struct share_client *s)
{
    return s->c->w->clock.now_ns;
}

void share_init(struct share_client *s, struct clients *c, uint32_t index)
{
    s->c = c;
    s->group = index % SHARE_GROUPS;
    s->number = index;
    snprintf(s->id, sizeof(s->id), "member-%u-0", index);
}

/* It forgets who it was. */
static void forget_id(struct share_client *s)
{
    s->epoch = 0;
    s->place_count = 0;
    s->haunted = false;
    snprintf(s->id, sizeof(s->id), "member-%u-%u", s->number, ++s->incarnation);
}

/* Nothing is known of the session any more, and nothing is held: the broker gives it to others. */
void share_drop_session(struct share_client *s)
{
    s->session = 0;
    s->held_count = 0;
    for (uint32_t i = 0; i < s->place_count; i++) {
        s->places[i].there = false;
    }
}

/* The answer has come: NULL when it is lost, with all that the connection's session held. */
const void *share_take(struct share_client *s, const void *response)
{
    s->busy = false;
    s->c->answers += response != NULL;
    if (response == NULL) {
        share_drop_session(s);
    }
    return response;
}

/* Where an error speaks of a topic or partition. */
bool share_is_fair(const struct share_client *s, uint32_t topic, int16_t code)
{
    bool gone = code == EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == EL_KAFKA_UNKNOWN_TOPIC_ID;
    return clients_excuse(s->c, code) || (gone && s->c->m->topics[topic].state != TOPIC_THERE);
}

uint32_t share_topic_by_id(const struct model *m, const struct el_uuid *id)
{
    for (uint32_t i = 0; i < m->topic_count; i++) {
        if (el_uuid_eq(&m->topics[i].id, id)) {
            return i;
        }
    }
    return UINT32_MAX;
}

/* --- settings ----------------------------------------------------------------------------------------------------- */

#define SETTINGS_MAX 10u

static void on_configured(void *arg, const void *response)
{
    struct share_client *s = arg;
    const struct el_msg_incremental_alter_configs_response *answer = share_take(s, response);
    if (answer == NULL) {
        return;
    }
    EL_ASSERT(answer->response_count == 1);
    int16_t code = answer->responses[0].error_code;
    share_group_of(s)->configured = share_group_of(s)->configured || code == EL_KAFKA_NONE;
    if (code != EL_KAFKA_NONE && code != EL_KAFKA_COORDINATOR_NOT_AVAILABLE && !clients_excuse(s->c, code) &&
        code != EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS) {
        world_violation(s->c->w, "settings of group %u were refused: %s", s->group, el_kafka_error_name(code));
    }
}

/* Before anybody joins, so that the group begins at the beginning. */
static void configure(struct share_client *s)
{
    static const char *const orders[] = {
        [SHARE_BY_KEY] = "key", [SHARE_BY_PARTITION] = "partition", [SHARE_UNORDERED] = "none"};
    const struct share_group *g = share_group_of(s);
    struct el_msg_incremental_alter_configs_request request;
    struct el_msg_incremental_alter_configs_resource resource;
    struct el_msg_incremental_alter_configs_config configs[SETTINGS_MAX];
    char text[SETTINGS_MAX][24];
    const char *const names[] = {"start",
                                 "order",
                                 "retry.max.attempts",
                                 "retry.backoff.ms",
                                 "lease.ms",
                                 "max.inflight",
                                 "share.session.timeout.ms",
                                 "share.heartbeat.interval.ms",
                                 "retry.backoff.max.ms"};
    const long values[] = {0, 0, g->attempts_max, 5, g->lease_ms, g->inflight_max, SESSION_MS, BEAT_MS, 40};
    uint32_t count = sizeof(names) / sizeof(names[0]);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text[i], sizeof(text[i]), "%ld", values[i]);
        el_schema_init(&el_schema_incremental_alter_configs_config, &configs[i]);
        configs[i].name = el_slice_str(names[i]);
        configs[i].value = el_slice_str(i == 0 ? "earliest" : i == 1 ? orders[g->order] : text[i]);
    }
    el_schema_init(&el_schema_incremental_alter_configs_request, &request);
    el_schema_init(&el_schema_incremental_alter_configs_resource, &resource);
    resource.resource_type = GROUP_RESOURCE;
    resource.resource_name = share_group_name(g);
    resource.configs = configs;
    resource.config_count = count;
    request.resources = &resource;
    request.resource_count = 1;
    s->busy = true;
    peer_send(&s->peer, EL_API_IncrementalAlterConfigs, peer_version(&s->peer, EL_API_IncrementalAlterConfigs),
              &request, on_configured, s);
}

/* --- heartbeats --------------------------------------------------------------------------------------------------- */

struct share_place *share_place_at(struct share_client *s, uint32_t topic, int32_t partition)
{
    for (uint32_t i = 0; i < s->place_count; i++) {
        if (s->places[i].topic == topic && s->places[i].partition == partition) {
            return &s->places[i];
        }
    }
    if (s->place_count == SHARE_PLACES) {
        return NULL;
    }
    s->places[s->place_count] = (struct share_place){.topic = topic, .partition = partition};
    return &s->places[s->place_count++];
}

static void assigned(struct share_client *s, const struct el_msg_share_group_heartbeat_assignment *assignment)
{
    for (uint32_t i = 0; i < s->place_count; i++) {
        s->places[i].wanted = false;
    }
    for (uint32_t t = 0; t < assignment->topic_partition_count; t++) {
        const struct el_msg_share_group_heartbeat_topic *topic = &assignment->topic_partitions[t];
        uint32_t index = share_topic_by_id(s->c->m, &topic->topic_id);
        for (uint32_t p = 0; p < topic->partition_count && index != UINT32_MAX; p++) {
            struct share_place *place = share_place_at(s, index, topic->partitions[p]);
            if (place != NULL) {
                place->wanted = true;
            }
        }
    }
}

static void on_beat(void *arg, const void *response)
{
    struct share_client *s = arg;
    const struct el_msg_share_group_heartbeat_response *answer = share_take(s, response);
    if (answer == NULL) {
        return;
    }
    switch (answer->error_code) {
    case EL_KAFKA_NONE:
        s->epoch = answer->member_epoch;
        if (s->epoch <= 0) {
            world_violation(s->c->w, "group %u: a member has epoch %d", s->group, s->epoch);
        }
        if (answer->assignment != NULL) {
            assigned(s, answer->assignment);
        }
        break;
    case EL_KAFKA_UNKNOWN_MEMBER_ID:
    case EL_KAFKA_FENCED_MEMBER_EPOCH:
        if (s->epoch == 0) {
            world_violation(s->c->w, "group %u: a member that joins was refused: %s", s->group,
                            el_kafka_error_name(answer->error_code));
        }
        s->epoch = 0;
        break;
    case EL_KAFKA_GROUP_ID_NOT_FOUND: /* settings of which a device that lies knows nothing any more */
        s->epoch = 0;
        break;
    case EL_KAFKA_COORDINATOR_NOT_AVAILABLE:
    case EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
        break;
    default:
        if (!clients_excuse(s->c, answer->error_code)) {
            world_violation(s->c->w, "group %u: a heartbeat failed: %s", s->group,
                            el_kafka_error_name(answer->error_code));
        }
        break;
    }
}

/* epoch 0 joins */
static void beat(struct share_client *s)
{
    struct el_msg_share_group_heartbeat_request request;
    struct el_slice names[MODEL_TOPICS_MAX];
    const struct model *m = s->c->m;
    el_schema_init(&el_schema_share_group_heartbeat_request, &request);
    request.group_id = share_group_name(share_group_of(s));
    request.member_id = share_member_id(s);
    request.member_epoch = s->epoch;
    request.rack_id = (struct el_slice){0};
    if (s->epoch == 0 || s->c->sharing || world_chance(s->c->w, 500000)) {
        request.subscribed_topic_names = names;
        for (uint32_t i = 0; i < m->topic_count; i++) {
            if (share_group_reads(share_group_of(s), m, i)) {
                names[request.subscribed_topic_name_count++] = el_slice_str(m->topics[i].name);
            }
        }
        if (request.subscribed_topic_name_count == 0) {
            s->beat_ns = share_now_ns(s) + BEAT_MS * NS_PER_MS; /* nobody joins without a topic */
            return;
        }
    }
    s->beat_ns = share_now_ns(s) + BEAT_MS * NS_PER_MS;
    s->busy = true;
    peer_send(&s->peer, EL_API_ShareGroupHeartbeat, peer_version(&s->peer, EL_API_ShareGroupHeartbeat), &request,
              on_beat, s);
}

static void on_left(void *arg, const void *response)
{
    struct share_client *s = arg;
    (void)share_take(s, response);
    s->epoch = 0;
}

static void leave(struct share_client *s)
{
    struct el_msg_share_group_heartbeat_request request;
    el_schema_init(&el_schema_share_group_heartbeat_request, &request);
    request.group_id = share_group_name(share_group_of(s));
    request.member_id = share_member_id(s);
    request.member_epoch = -1;
    s->busy = true;
    peer_send(&s->peer, EL_API_ShareGroupHeartbeat, peer_version(&s->peer, EL_API_ShareGroupHeartbeat), &request,
              on_left, s);
}

/* --- progress ----------------------------------------------------------------------------------------------------- */

static bool is_finished(const struct el_msg_ext_group_progress_response *answer, struct el_slice topic,
                        int32_t partition)
{
    for (uint32_t t = 0; t < answer->topic_count; t++) {
        for (uint32_t p = 0; p < answer->topics[t].partition_count; p++) {
            const struct el_msg_ext_group_progress_partition *r = &answer->topics[t].partitions[p];
            if (el_slice_eq(answer->topics[t].topic, topic) && r->partition == partition) {
                return r->error == EL_KAFKA_NONE && r->lag == 0;
            }
        }
    }
    return false;
}

static void on_progress(void *arg, const void *response)
{
    struct share_client *s = arg;
    struct share_group *g = share_group_of(s);
    const struct model *m = s->c->m;
    const struct el_msg_ext_group_progress_response *answer = share_take(s, response);
    if (answer == NULL || answer->error != EL_KAFKA_NONE) {
        return;
    }
    bool finished = true;
    for (uint32_t t = 0; t < m->topic_count; t++) {
        for (int32_t p = 0; p < m->topics[t].partition_count && share_group_reads(g, m, t); p++) {
            finished = finished && is_finished(answer, el_slice_str(m->topics[t].name), p);
        }
    }
    g->finished = finished;
}

static void look(struct share_client *s)
{
    struct el_msg_ext_group_progress_request request;
    el_schema_init(&el_schema_ext_group_progress_request, &request);
    request.group = share_group_name(share_group_of(s));
    s->look_ns = share_now_ns(s) + LOOK_NS;
    s->busy = true;
    peer_send(&s->peer, EL_API_GroupProgress, 0, &request, on_progress, s);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static bool may_ask(struct share_client *s)
{
    if (s->lost_seen != s->peer.lost_count) {
        s->lost_seen = s->peer.lost_count;
        share_drop_session(s);
        s->haunted = true;
        if (world_chance(s->c->w, 500000)) {
            forget_id(s);
        }
    }
    return !s->busy && s->peer.conn >= 0 && peer_can_ask(&s->peer) && s->silent_ns <= s->c->w->clock.now_ns;
}

void share_act(struct share_client *s)
{
    struct world *w = s->c->w;
    if (!may_ask(s)) {
        return;
    }
    if (!share_group_of(s)->configured) {
        configure(s);
        return;
    }
    uint64_t what = world_below(w, 1000);
    if (s->epoch == 0 || what < 120) {
        beat(s);
    } else if (what < 700) {
        share_fetch(s, false);
    } else if (what < 830 && s->session > 0) {
        share_acknowledge(s);
    } else if (what < 950 && s->session > 0) {
        share_tell(s);
    } else if (what < 965 && s->session > 0) {
        share_fetch(s, true);
    } else if (what < 975) {
        leave(s);
    } else if (what < 985) {
        s->silent_ns = share_now_ns(s) + world_below(w, 2 * SESSION_MS * NS_PER_MS);
    } else if (what < 990) {
        share_drop_session(s);
        forget_id(s);
    } else if (what < 1000) {
        look(s);
    }
}

static bool has_topics(struct share_client *s)
{
    for (uint32_t i = 0; i < s->c->m->topic_count; i++) {
        if (share_group_reads(share_group_of(s), s->c->m, i)) {
            return true;
        }
    }
    return false;
}

void share_behave(struct share_client *s)
{
    if (!may_ask(s)) {
        return;
    }
    uint64_t now = share_now_ns(s);
    if (!has_topics(s)) {
        share_group_of(s)->finished = true;
        return;
    }
    if ((!share_group_of(s)->configured || s->epoch == 0) && s->beat_ns > now) {
        return; /* not at once again after a refusal */
    }
    if (!share_group_of(s)->configured) {
        s->beat_ns = now + BEAT_MS * NS_PER_MS;
        configure(s);
    } else if (s->held_count > 0 && s->session > 0) {
        share_fetch(s, false); /* before the leases end */
    } else if (s->epoch == 0 || s->beat_ns <= now) {
        beat(s);
    } else if (s->number < SHARE_GROUPS && s->look_ns <= now) {
        look(s);
    } else {
        share_fetch(s, false);
    }
}

uint64_t share_next(const struct share_client *s)
{
    return s->busy ? UINT64_MAX : s->beat_ns;
}
