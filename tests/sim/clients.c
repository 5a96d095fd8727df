/* SPDX-License-Identifier: Apache-2.0
 *
 * All clients of the simulated broker, and what they do next.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdlib.h>
#include <wire/error_code.h>

#define MEMBERS_FROM (CLIENT_PRODUCERS + CLIENT_CONSUMERS + CLIENT_ADMINS + CLIENT_KEEPERS)
#define SHARES_FROM (MEMBERS_FROM + CLIENT_MEMBERS)
#define WARDENS_FROM (SHARES_FROM + CLIENT_SHARES)
#define QUOTAS_FROM (WARDENS_FROM + CLIENT_WARDENS)
#define SETTINGS_FROM (QUOTAS_FROM + CLIENT_QUOTAS)
#define PEER_COUNT (SETTINGS_FROM + CLIENT_SETTINGS)

static struct peer *peer_at(struct clients *c, uint32_t i)
{
    if (i >= SETTINGS_FROM) {
        return &c->settings.peer;
    }
    if (i >= QUOTAS_FROM) {
        return &c->quota_clients[i - QUOTAS_FROM].peer;
    }
    if (i >= WARDENS_FROM) {
        return &c->wardens[i - WARDENS_FROM].peer;
    }
    if (i >= SHARES_FROM) {
        return &c->sharers[i - SHARES_FROM].peer;
    }
    if (i >= MEMBERS_FROM) {
        return &c->members[i - MEMBERS_FROM].peer;
    }
    if (i < CLIENT_PRODUCERS) {
        return &c->producers[i].peer;
    }
    i -= CLIENT_PRODUCERS;
    if (i < CLIENT_CONSUMERS) {
        return &c->consumers[i].peer;
    }
    i -= CLIENT_CONSUMERS;
    return i < CLIENT_ADMINS ? &c->admins[i].peer : &c->keepers[i - CLIENT_ADMINS].peer;
}

static const struct peer *peer_look(const struct clients *c, uint32_t i)
{
    return peer_at((struct clients *)(uintptr_t)c, i);
}

void clients_init(struct clients *c, struct model *m)
{
    memset(c, 0, sizeof(*c));
    c->w = m->w;
    c->m = m;
    c->settings.c = c;
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        peer_init(peer_at(c, i), m->w, i);
    }
    for (uint32_t i = 0; i < CLIENT_PRODUCERS; i++) {
        c->producers[i].c = c;
        c->producers[i].id = -1;
        for (uint32_t k = 0; k < CLIENT_WINDOW; k++) {
            c->producers[i].flights[k].owner = &c->producers[i];
        }
    }
    for (uint32_t i = 0; i < CLIENT_CONSUMERS; i++) {
        c->consumers[i].c = c;
    }
    for (uint32_t i = 0; i < CLIENT_ADMINS; i++) {
        c->admins[i].c = c;
        c->admins[i].makes_topics = i == 0;
    }
    for (uint32_t i = 0; i < GROUP_MODELS; i++) {
        group_model_init(&c->groups[i], i);
    }
    for (uint32_t i = 0; i < CLIENT_KEEPERS; i++) {
        c->keepers[i].c = c;
    }
    for (uint32_t i = 0; i < CLIENT_QUOTAS; i++) {
        c->quota_clients[i].c = c;
        c->quota_clients[i].index = i;
    }
    for (uint32_t i = 0; i < CLIENT_MEMBERS; i++) {
        member_init(&c->members[i], c, i);
    }
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        share_group_init(&c->shares[i], m->w, i);
    }
    for (uint32_t i = 0; i < CLIENT_SHARES; i++) {
        share_init(&c->sharers[i], c, i);
    }
    for (uint32_t i = 0; i < CLIENT_WARDENS; i++) {
        c->wardens[i].c = c;
        c->wardens[i].index = i;
    }
}

void clients_free(struct clients *c)
{
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        peer_free(peer_at(c, i));
    }
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        share_group_free(&c->shares[i]);
    }
}

uint32_t clients_topic(struct clients *c)
{
    for (int i = 0; i < 20; i++) {
        uint32_t t = (uint32_t)world_below(c->w, c->m->topic_count + 1);
        if (t < c->m->topic_count && c->m->topics[t].state == TOPIC_THERE) {
            return t;
        }
    }
    return UINT32_MAX;
}

static void act(struct clients *c)
{
    uint64_t what = world_below(c->w, 1000);
    if (what < 420) {
        producer_act(&c->producers[world_below(c->w, CLIENT_PRODUCERS)]);
    } else if (what < 640) {
        consumer_act(&c->consumers[world_below(c->w, CLIENT_CONSUMERS)]);
    } else if (what < 800) {
        share_act(&c->sharers[world_below(c->w, CLIENT_SHARES)]);
    } else if (what < 930) {
        member_act(&c->members[world_below(c->w, CLIENT_MEMBERS)]);
    } else if (what < 955) {
        keeper_act(&c->keepers[world_below(c->w, CLIENT_KEEPERS)]);
    } else if (what < 960) {
        settings_act(&c->settings);
    } else if (what < 968) {
        quota_act(&c->quota_clients[world_below(c->w, CLIENT_QUOTAS)]);
    } else if (what < 985) {
        admin_act(&c->admins[world_below(c->w, CLIENT_ADMINS)]);
    } else {
        warden_act(&c->wardens[world_below(c->w, CLIENT_WARDENS)]);
    }
}

static void behave(struct clients *c)
{
    for (uint32_t i = 0; i < CLIENT_MEMBERS && c->w->violation[0] == 0; i++) {
        peer_step(&c->members[i].peer);
        member_behave(&c->members[i]);
    }
}

static void share(struct clients *c)
{
    for (uint32_t i = 0; i < CLIENT_SHARES && c->w->violation[0] == 0; i++) {
        peer_step(&c->sharers[i].peer);
        share_behave(&c->sharers[i]);
    }
}

void clients_step(struct clients *c)
{
    if (c->sharing) {
        share(c);
        return;
    }
    if (c->behaving) {
        behave(c);
        return;
    }
    for (uint32_t i = 0; i < PEER_COUNT && c->w->violation[0] == 0; i++) {
        if (world_chance(c->w, 600000)) {
            peer_step(peer_at(c, i));
        }
    }
    for (uint32_t i = 0; i < 2 && !c->idle && c->w->violation[0] == 0; i++) {
        act(c);
    }
}

static bool takes_part(const struct clients *c, uint32_t i)
{
    return (!c->behaving || (i >= MEMBERS_FROM && i < SHARES_FROM)) &&
           (!c->sharing || (i >= SHARES_FROM && i < WARDENS_FROM));
}

uint64_t clients_next(const struct clients *c)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        next = takes_part(c, i) ? EL_MIN(next, peer_next(peer_look(c, i))) : next;
    }
    for (uint32_t i = 0; i < CLIENT_SHARES && c->sharing; i++) {
        next = EL_MIN(next, share_next(&c->sharers[i]));
    }
    for (uint32_t i = 0; i < CLIENT_MEMBERS && c->behaving; i++) {
        next = c->members[i].busy ? next : EL_MIN(next, c->members[i].beat_ns);
    }
    return next;
}

void clients_lose(struct clients *c)
{
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        peer_lose(peer_at(c, i), true);
    }
    for (uint32_t i = 0; i < CLIENT_CONSUMERS; i++) {
        consumer_lose(&c->consumers[i]);
    }
}

void clients_restart(struct clients *c)
{
    c->behaving = c->sharing = false;
    quotas_restart(c);
    settings_restart(&c->settings);
    for (uint32_t g = 0; g < GROUP_MODELS; g++) {
        group_model_restart(&c->groups[g], c->w->lying);
    }
    for (uint32_t i = 0; i < CLIENT_MEMBERS && c->w->lying; i++) {
        c->members[i].incarnation = c->groups[c->members[i].group].incarnation;
    }
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        share_group_restart(&c->shares[i]);
    }
}

bool clients_excuse(const struct clients *c, int16_t code)
{
    const struct world *w = c->w;
    switch (code) {
    case EL_KAFKA_KAFKA_STORAGE_ERROR:
    case EL_KAFKA_NOT_LEADER_OR_FOLLOWER:
    case EL_KAFKA_REQUEST_TIMED_OUT:
        return true;
    case EL_KAFKA_CORRUPT_MESSAGE:
        return w->lying || w->rotten > 0;
    default:
        return false;
    }
}

const struct peer *clients_waiting(const struct clients *c)
{
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        const struct peer *p = peer_look(c, i);
        if (p->asked_count > 0) {
            return p;
        }
    }
    return NULL;
}

/* Whoever does not take part leaves its place to those who do. */
static void make_room(struct clients *c)
{
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        if (!takes_part(c, i)) {
            peer_lose(peer_at(c, i), true);
        }
    }
}

void clients_behave(struct clients *c, bool on)
{
    c->behaving = on;
    make_room(c);
    for (uint32_t i = 0; i < CLIENT_MEMBERS && on; i++) {
        c->members[i].beat_ns = 0;
        c->members[i].silent_ns = 0;
    }
}

void clients_share(struct clients *c, bool on)
{
    c->sharing = on;
    make_room(c);
    for (uint32_t i = 0; i < CLIENT_SHARES && on; i++) {
        c->sharers[i].beat_ns = c->sharers[i].silent_ns = c->sharers[i].look_ns = 0;
    }
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        c->shares[i].finished = false;
    }
}

bool clients_shared(const struct clients *c)
{
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        if (!c->shares[i].finished) {
            return false;
        }
    }
    return true;
}

bool clients_works_on(const struct clients *c, uint32_t topic)
{
    for (uint32_t i = 0; i < SHARE_GROUPS; i++) {
        if (share_group_may_read(&c->shares[i], topic)) {
            return true;
        }
    }
    return false;
}

uint64_t clients_lost(const struct clients *c)
{
    uint64_t lost = 0;
    for (uint32_t i = 0; i < PEER_COUNT; i++) {
        lost += peer_look(c, i)->lost_count;
    }
    return lost;
}
