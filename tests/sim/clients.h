/* SPDX-License-Identifier: Apache-2.0
 *
 * Kafka clients of the simulated broker: producers, consumers and administrators, each with a connection of its own
 * (peer.c), that know what they were told (model.c) and look whether it stays true.
 */
#ifndef EL_SIM_CLIENTS_H
#define EL_SIM_CLIENTS_H

#include "group_model.h"
#include "peer.h"
#include "share_model.h"
#include <auth/auth.h>
#include <lease/lease_outcome.h>

#define CLIENT_PRODUCERS 5u
#define CLIENT_CONSUMERS 3u
#define CLIENT_ADMINS 2u
#define CLIENT_MEMBERS 6u
#define CLIENT_KEEPERS 2u
#define CLIENT_SHARES 4u
#define CLIENT_WARDENS 2u
#define CLIENT_QUOTAS 2u
#define CLIENT_SETTINGS 1u
#define CLIENT_WINDOW 5u /* batches of a producer under way, as Kafka's own clients have it */
#define CLIENT_PLACES 3u
#define CLIENT_LANES 2u /* partitions of a producer */

struct clients;
struct producer_client;

/* --- producers ---------------------------------------------------------------------------------------------------- */

/* A partition that a producer writes. */
struct produce_lane {
    uint32_t topic;
    int32_t partition;
    int32_t next_sequence;
    uint32_t queue[CLIENT_WINDOW]; /* sent batches without an answer, oldest first */
    uint32_t queue_len;
    uint32_t asked; /* of the queue, how many are under way or answered */
    uint32_t busy;  /* batches under way */
    bool failed;    /* one came back with an error: the rest must come back, then all are sent again */
    bool proved;    /* one was acknowledged: from then on the broker knows the sequence */
};

/* One request: at most one batch of each lane. */
struct produce_flight {
    struct producer_client *owner;
    struct produce_lane *lanes[CLIENT_LANES]; /* [count] */
    uint32_t sent[CLIENT_LANES];              /* indexes in the model */
    size_t len[CLIENT_LANES];                 /* of the batches */
    uint32_t count;                           /* 0: not under way */
    uint32_t reading;                         /* of the configuration, when it was sent */
};

enum producer_state {
    PRODUCER_NEW,     /* looks for a topic */
    PRODUCER_ASKS_ID, /* its producer id is under way */
    PRODUCER_READY,
};

struct producer_client {
    struct clients *c;
    struct peer peer;
    enum producer_state state;
    uint32_t index; /* of the producer in the model: never used again */
    int64_t id;     /* -1: not idempotent */
    int16_t acks;
    uint64_t active_ns;   /* by the store's clock: when it began, or sent what was last acknowledged */
    uint32_t lost_before; /* connections lost when it began: acks 0 goes on as another producer after one more */
    struct produce_lane lanes[CLIENT_LANES]; /* [lane_count] all different */
    uint32_t lane_count;
    struct produce_flight flights[CLIENT_WINDOW];
};

/* Where a consumer reads. */
struct consumer_place {
    uint32_t topic;
    int32_t partition;
    int64_t next;
    int64_t end_before; /* end that was known when it asked */
    bool fresh;         /* it was just placed: next may lie inside a batch */
};

enum consumer_filter_kind { FILTER_OPEN, FILTER_KEY, FILTER_PREFIX, FILTER_PATTERN, FILTER_TYPE };

/* What a FilterFetch under way has asked for. */
struct consumer_filter {
    enum consumer_filter_kind kind;
    int64_t number; /* of the key */
    char text[16];  /* key, prefix or type */
    char pattern[64];
    uint32_t places[CLIENT_PLACES]; /* [count] indexes */
    uint32_t count;
};

/* What an answer says of one partition. */
struct consumer_fetched {
    int32_t partition;
    int16_t error;
    int64_t high_watermark, log_start;
};

struct consumer_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    bool log_fetch;   /* of the request under way */
    uint32_t reading; /* of the configuration, when it was asked */
    int version;
    int32_t bytes_max;
    struct consumer_place places[CLIENT_PLACES]; /* [place_count] all different */
    uint32_t place_count;
    struct consumer_filter filter;
};

struct admin_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    bool makes_topics; /* one client does, so that it knows what comes from itself */
    /* the question under way */
    int version;
    uint32_t topic;
    int32_t partition;
    int64_t value;      /* offset of a trim, timestamp of a lookup */
    int64_t end_before; /* end that was known */
    struct model_lookup lookup;
    uint32_t there; /* bit n: topic n was there, ... */
    uint32_t gone;  /* ... was gone */
    uint32_t maybe; /* ... was asked for */
    int32_t counts[MODEL_TOPICS_MAX];
};

/* --- groups ------------------------------------------------------------------------------------------------------- */

/* A question about the commits of a group, by a member or by a keeper. */
struct offsets_ask {
    struct clients *c;
    struct peer *peer;
    void *owner;
    /* told: code is the group's answer to this client; else it was lost, or tells nothing of the client. */
    void (*done)(void *owner, bool told, int16_t code);
    uint32_t group;
    int version;
    uint32_t topic, value;
    uint32_t note_len;
    uint32_t reading; /* of the configuration, when it was asked */
    struct group_slot_before before;
};

/* Who commits: generation -1 and no ids: nobody in particular. */
struct offsets_who {
    int32_t generation;
    struct el_slice id, instance; /* instance data NULL: none */
};

enum member_state {
    MEMBER_OUT,    /* joins next */
    MEMBER_JOINED, /* asks for its assignment next */
    MEMBER_IN,
};

/* A member of a consumer group. */
struct member_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    bool is_static;
    uint32_t group;
    enum member_state state;
    char instance[24];
    char id[96];
    bool tried;     /* it asked to join with this id */
    uint64_t owner; /* number of it as a member: another one with every id */
    int32_t generation;
    uint32_t incarnation;                 /* of the group, that it is in */
    uint64_t joined_ns;                   /* when it was first told a generation with this id */
    uint64_t alive_ns;                    /* when it asked what was last granted to it */
    uint8_t parts;                        /* bit n: partition n */
    char members[CLIENT_MEMBERS * 4][96]; /* [member_count] when it leads */
    uint32_t member_count;
    uint64_t silent_ns; /* says nothing before */
    uint64_t beat_ns;   /* next heartbeat when all goes well */
    /* the question under way */
    bool tried_before;
    int32_t told_before;
    uint32_t incarnation_before;
    uint64_t asked_ns;
    int32_t session_ms;
    uint32_t reading; /* of the configuration */
    struct offsets_ask offsets;
};

/* Somebody who looks after groups without being a member: commits in one that never has any, looks at commits, deletes
 * commits and groups. */
struct keeper_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    /* the question under way */
    uint32_t group, topic;
    struct group_slot_before before[MODEL_TOPICS_MAX];
    struct offsets_ask offsets;
};

/* --- users and access rules --------------------------------------------------------------------------------------- */

#define WARDEN_THINGS 6u /* of each kind */

enum warden_kind { WARDEN_USERS, WARDEN_RULES, WARDEN_KINDS };

/* Of a user the number of its last change, of a rule 1; 0: it is not there. */
struct warden_state {
    uint32_t version[WARDEN_THINGS];
};

/* Somebody who changes users and access rules of its own, and looks at them. */
struct warden_client {
    struct clients *c;
    struct peer peer;
    uint32_t index;
    bool busy;
    uint32_t version;                      /* of the last change */
    struct warden_state now[WARDEN_KINDS]; /* what was answered, or is there after a start */
    bool unsure;                           /* a change was asked for, and perhaps not made */
    bool witnessed;                        /* it was seen */
    enum warden_kind kind;                 /* of that */
    struct warden_state next;              /* with it */
};

/* --- quotas ------------------------------------------------------------------------------------------------------- */

#define QUOTA_SLOTS 6u /* users with limits; each is changed by one client */
#define QUOTA_UNSURE_MAX 16u

/* The limits of a user, as they may be. */
struct quota_model {
    uint64_t acked;                    /* 0: none */
    uint64_t unsure[QUOTA_UNSURE_MAX]; /* [unsure_count] asked for, and not known to be made or not */
    uint32_t unsure_count;
    uint32_t change_count; /* changes asked for, and answers */
    bool asked;            /* a change waits for its answer */
    bool under_way;        /* some of unsure may still be made */
    bool open;             /* it may be anything: the devices have lied */
    bool settled;          /* nobody has looked since the last start */
};

struct quota_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    uint32_t index;
    /* the question under way */
    uint32_t slot;
    uint64_t value;
    uint32_t change_counts[QUOTA_SLOTS];
};

/* --- settings of the broker --------------------------------------------------------------------------------------- */

#define SETTINGS_UNSURE_MAX 16u

struct settings_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    uint64_t value_last;                  /* used */
    uint64_t acked;                       /* 0: as the configuration has it */
    uint64_t unsure[SETTINGS_UNSURE_MAX]; /* [unsure_count] asked for, and not known to be made or not */
    uint32_t unsure_count;
    bool under_way; /* some of unsure may still be made */
    bool open;      /* it may be anything: the devices have lied, or files rotted */
    bool settled;   /* nobody has looked since the last start */
    /* the question under way */
    uint64_t value;
    bool validates; /* it is only looked whether it could be made */
};

/* --- share groups ------------------------------------------------------------------------------------------------- */

#define SHARE_PLACES 48u
#define SHARE_HELD 256u

/* A partition that a member reads. */
struct share_place {
    uint32_t topic;
    int32_t partition;
    bool wanted; /* it is assigned to the member */
    bool there;  /* it is in the session */
};

/* A lease, and its outcome. */
struct share_held {
    uint32_t topic;
    int32_t partition;
    int64_t offset;
    uint64_t asked_ns; /* when the lease, or its extension, was asked for */
    bool gap;          /* no record came with it */
    enum lease_outcome_kind kind;
    bool answered; /* of outcomes under way */
};

/* A member of a share group. */
struct share_client {
    struct clients *c;
    struct peer peer;
    bool busy;
    uint32_t group, number;
    char id[32];
    uint32_t incarnation;                    /* of its id */
    int32_t epoch;                           /* 0: it joins next */
    int32_t session;                         /* epoch of the session's next request; 0: there is none */
    uint32_t lost_seen;                      /* connections lost, as far as it knows */
    bool haunted;                            /* ... under this id: what it asked over them may still arrive */
    struct share_place places[SHARE_PLACES]; /* [place_count] */
    uint32_t place_count;
    struct share_held held[SHARE_HELD]; /* [held_count] leases without an outcome */
    uint32_t held_count;
    uint64_t silent_ns; /* says nothing before */
    uint64_t beat_ns;   /* next heartbeat when all goes well */
    uint64_t look_ns;   /* next look at the progress, likewise */
    /* the question under way */
    struct share_held told[SHARE_HELD]; /* [told_count] outcomes, in order */
    uint32_t told_count;
    uint32_t records_max;
    uint64_t asked_ns;
    bool closing; /* the session */
};

/* ------------------------------------------------------------------------------------------------------------------ */

struct clients {
    struct world *w;
    struct model *m;
    bool idle;     /* ask nothing more */
    bool behaving; /* members do what they should, nobody else does anything */
    bool sharing;  /* likewise those of share groups */
    const struct rule_book *rules;
    bool groups_end; /* groups may end: by DeleteGroups, or when they are empty and nothing is committed */
    struct member_client members[CLIENT_MEMBERS];
    struct group_model groups[GROUP_MODELS];
    uint64_t member_count; /* numbers of members that were used */
    struct producer_client producers[CLIENT_PRODUCERS];
    struct consumer_client consumers[CLIENT_CONSUMERS];
    struct admin_client admins[CLIENT_ADMINS];
    struct keeper_client keepers[CLIENT_KEEPERS];
    struct quota_client quota_clients[CLIENT_QUOTAS];
    struct quota_model quotas[QUOTA_SLOTS];
    uint64_t quota_value_last;
    struct settings_client settings;
    struct share_client sharers[CLIENT_SHARES];
    struct warden_client wardens[CLIENT_WARDENS];
    bool rules_on; /* access rules can be changed */
    struct share_group shares[SHARE_GROUPS];
    uint32_t producer_count;          /* of the model: indexes that were used */
    int64_t ids[MODEL_PRODUCERS_MAX]; /* [id_count] producer ids that were given out */
    uint32_t id_count;
    uint64_t answers;
    uint64_t repeats; /* batches that were sent again */
};

void clients_init(struct clients *c, struct model *m);
void clients_free(struct clients *c);
/* Let each client move its bytes, and some ask something. */
void clients_step(struct clients *c);
uint64_t clients_next(const struct clients *c);
/* Every connection is lost. */
void clients_lose(struct clients *c);
/* There is a new process: what was under way in the old one is decided now. */
void clients_restart(struct clients *c);
/* May a healthy broker answer with this, for a fault of its disk or because it stops? */
bool clients_excuse(const struct clients *c, int16_t code);
/* A client that waits for an answer; NULL none. */
const struct peer *clients_waiting(const struct clients *c);
/* Only members of consumer groups do something, as sound clients do; or all again. */
void clients_behave(struct clients *c, bool on);
/* Likewise only those of share groups. */
void clients_share(struct clients *c, bool on);
/* Nothing is left to do for any share group, as those were told who looked. */
bool clients_shared(const struct clients *c);
/* May a share group read a topic of this number, and make dead letters of its events? */
bool clients_works_on(const struct clients *c, uint32_t topic);
/* Connections that were lost so far. */
uint64_t clients_lost(const struct clients *c);

/* Called by clients.c: one client asks something, if it can. */
void producer_act(struct producer_client *p);
void consumer_act(struct consumer_client *consumer);
/* The machine has lost what was not on its disk. */
void consumer_lose(struct consumer_client *consumer);
/* Look at what is said of a place. returns true when its batches are to be looked at */
bool consumer_see_place(struct consumer_client *consumer, const struct consumer_place *place,
                        const struct consumer_fetched *f);
/* Fetch the places of one topic through a filter. */
void consumer_filter_ask(struct consumer_client *consumer, int32_t wait_ms, int32_t bytes_max);
void admin_act(struct admin_client *a);
void keeper_act(struct keeper_client *k);
void quota_act(struct quota_client *q);
/* A process has ended: what was under way in it is decided. */
void quotas_restart(struct clients *c);
void settings_act(struct settings_client *s);
void settings_restart(struct settings_client *s);
/* Questions about commits; the group is ask->group. A commit returns false when there is nothing to ask. */
bool offsets_commit(struct offsets_ask *ask, const struct offsets_who *who);
bool offsets_fetch(struct offsets_ask *ask);
struct el_slice group_name(uint32_t group);
struct group_slot *group_slot(struct clients *c, uint32_t group, uint32_t topic);
void member_init(struct member_client *m, struct clients *c, uint32_t index);
void member_act(struct member_client *m);
/* As a sound client does: join, sync, heartbeats. */
void member_behave(struct member_client *m);
/* All are members, and every partition is somebody's. */
bool members_settled(const struct clients *c);
void share_init(struct share_client *s, struct clients *c, uint32_t index);
void share_act(struct share_client *s);
/* As a sound worker does: join, heartbeats, leases, everything done. */
void share_behave(struct share_client *s);
uint64_t share_next(const struct share_client *s);
void warden_act(struct warden_client *d);
/* There is a new process, and this is what it has read. */
void warden_started(struct warden_client *d, const struct auth *auth);
/* A topic that is there; UINT32_MAX none. */
uint32_t clients_topic(struct clients *c);

#endif
