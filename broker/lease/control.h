/* SPDX-License-Identifier: Apache-2.0
 *
 * Control of work groups, on shard 0: which there are, their settings, their members and who gets which partition.
 * Private to broker/lease.
 *
 *   control.c           groups: found, made, changed
 *   control_tell.c      the other shards are told
 *   control_end.c       groups: ended
 *   control_settings.c  ops: settings, list, delete
 *   control_member.c    ops: heartbeat, describe; sessions
 *   control_assign.c    topics of a group, who gets what
 */
#ifndef EL_LEASE_CONTROL_H
#define EL_LEASE_CONTROL_H

#include <config/group_config.h>
#include <core/sm.h>
#include <lease/lease_group.h>

#define CONTROL_MAGIC OBJ_MAGIC('l', 's', 'c', 't')
#define CONTROL_GROUP_MAGIC OBJ_MAGIC('l', 's', 'c', 'g')
#define CONTROL_MEMBER_MAGIC OBJ_MAGIC('l', 's', 'c', 'm')

#define CONTROL_MEMBER_ID_LEN_MAX 256u /* Kafka's clients have 22 */
#define CONTROL_TOPICS_MAX 1000u       /* names in one subscription */

struct control_group;
struct control_member;
/* The change that an op asked for is in force (0), or has failed. */
typedef void (*control_change_fn)(struct leases *ls, struct lease_op *op, int error);

enum control_state {
    CONTROL_NEW,     /* is the id free? Nobody sees it */
    CONTROL_STORING, /* its settings are being written */
    CONTROL_TELLING, /* the shards are told its settings */
    CONTROL_LIVE,
    CONTROL_CLOSING, /* its end is being written */
    CONTROL_ENDING,  /* the shards forget it */
    CONTROL_STATE_COUNT
};

struct lease_control {
    uint32_t magic;
    struct leases *ls;
    struct el_map groups;          /* id -> struct control_group */
    struct el_map members;         /* number of the group, member id -> struct control_member */
    struct el_map topics;          /* number of the group, name -> struct control_topic */
    uint64_t mark;                 /* of the last look that marks topics */
    uint64_t group_number;         /* given to the last group */
    struct el_list changed;        /* struct control_group.link: to be told */
    struct control_group *telling; /* whose settings are on their way; NULL none */
    uint32_t tell_shard;           /* where they are */
    int tell_error;                /* what that shard said */
    struct io_message tell_message;
    struct io_timer tell_retry;
    bool tell_flying;        /* tell_message is under way */
    bool loaded;             /* all records have been read */
    bool knowing, known;     /* the shards are being told, have been told, that they know all groups */
    struct el_list redrives; /* struct redrive.link, by id */
    uint64_t redrive_last;   /* id given last */
    uint64_t complained_ns;  /* of a shard that takes nothing; 0 never */
};

/* A name that members of a group subscribe to. */
struct control_topic {
    struct el_list link; /* in group->topics */
    struct el_slice key; /* number of the group, then the name: of the map */
    struct el_slice name;
    struct el_uuid id;       /* zero: there is no such topic */
    int32_t partition_count; /* 0 without */
    uint32_t user_count;     /* members that subscribe to it */
    uint64_t mark;           /* seen in the look with this number */
    uint32_t first;          /* private to control_assign.c: number of its first partition among all */
    uint32_t users;          /* the same: where its subscribers are listed */
};

struct control_place {
    struct control_topic *topic; /* one of the member's */
    int32_t partition;
};

struct control_member {
    uint32_t magic;
    struct el_list link;
    struct control_group *group;
    struct el_slice key; /* number of the group, then the id: of the map */
    struct el_slice id;
    struct el_slice rack; /* data NULL: none */
    struct el_slice client_id, host;
    struct control_topic **topics; /* [topic_count] subscribed to, each once */
    uint32_t topic_count;
    int32_t epoch, previous_epoch; /* it was told; the one before */
    struct control_place *places;  /* [place_count] assigned, those of a topic next to each other */
    uint32_t place_count;
    struct control_place *fresh; /* private to control_assign.c: the next places, and how many */
    uint32_t load, fresh_count;
    struct io_timer session;
};

/* What the beginning and the end of a group need. */
struct control_task {
    struct control_group *group;
    union {
        struct lease_kind_question question;
        struct lease_op op; /* at shard */
    };
    uint32_t shard;
    bool flying; /* question or op is under way */
    struct io_timer retry;
};

struct control_group {
    uint32_t magic;
    struct el_sm sm;
    struct leases *ls;
    struct el_list link; /* in control->changed */
    struct el_slice id;
    uint64_t number;             /* never used again; part of keys */
    bool exists;                 /* was told to the shards once, and has not been ended */
    bool refusing;               /* its end does not get on: ops are refused instead of waiting */
    struct group_config *config; /* overrides; NULL: none */
    struct group_config *next;   /* being written or told; NULL: none */
    struct lease_op *work;       /* what the change is for; NULL: nobody */
    control_change_fn done;      /* of work */
    struct el_list blocked;      /* struct lease_op.link: wait for the end of the change */
    struct control_task *task;   /* NEW, CLOSING, ENDING; else NULL */
    struct el_list members;      /* in order of their coming */
    uint32_t member_count;
    struct el_list topics; /* struct control_topic.link */
    int32_t epoch;         /* raised with each assignment: of members, subscriptions, their topics */
    bool stale;            /* something has changed that is not in the assignment, for want of memory */
};

/* --- control.c ---------------------------------------------------------------------------------------------------- */

struct control_group *control_find(struct leases *ls, struct el_slice id);
/* Its overrides, or none. */
const struct group_config *control_config(const struct control_group *group);
/* A wait that op needs: returns true when op waits or was refused. Without change, op only looks or joins: then a
 * change of settings is not waited for. *group: NULL when there is none (or none yet seen). */
bool control_enter(struct leases *ls, struct lease_op *op, bool change, struct control_group **group);
/* Make the group, or give it other overrides; op is its only change. done is called with op, maybe from inside.
 *
 * group   LIVE, or NULL: it is made
 * config  whole new set, borrowed
 */
void control_change(struct leases *ls, struct control_group *group, struct lease_op *op,
                    const struct group_config *config, control_change_fn done);
/* What the change under way needs beside: the group's task. returns false without memory */
bool control_task_new(struct control_group *group);
void control_task_drop(struct control_group *group);
/* Write the settings, or, config NULL, their end. done is called once unless an error is returned. */
int control_record_write(struct control_group *group, const struct group_config *config, lease_write_fn done);
/* The shards know it, or know it no more; the metric follows. */
void control_set_exists(struct control_group *group, bool exists);
/* The change under way has ended: its op is told, and those that waited run. The group is live, or is freed. Either may
 * be different afterwards. */
void control_change_ended(struct control_group *group, int error);
/* Write the settings that are next; then the shards are told. */
void control_store(struct control_group *group);
/* Those that wait for the end of the change are not waited for. */
void control_refuse_blocked(struct control_group *group, int error);

/* --- control_tell.c ----------------------------------------------------------------------------------------------- */

/* Tell the next group of `changed`; after the restored ones, that these are all. Nothing while one is told. When the
 * shard stops, nobody is told: their changes end. */
void control_tell_next(struct lease_control *control);
/* tell_shard has answered, or nobody waits for it any more. */
void control_tell_result(struct lease_control *control);
void control_tell_on_retry(struct io_timer *timer);
/* To the log, once a minute: what this shard cannot do. */
void control_complain(struct lease_control *control, const char *what, uint32_t shard, int error);

/* --- control_end.c ------------------------------------------------------------------------------------------------ */

/* End a group that is LIVE and has no members. */
void control_end(struct control_group *group, struct lease_op *op, control_change_fn done);
/* Let all shards forget what is left of an earlier group with the id of a new one, then store that one's settings. */
void control_forget(struct control_group *group);
/* All shards have forgotten it, or nobody waits for that any more. */
void control_end_ended(struct control_group *group, int error);

/* --- control_member.c --------------------------------------------------------------------------------------------- */

/* Free all members, at the end of the shard; their timers are off. */
void control_members_destroy(struct control_group *group);
void control_members_stop(struct control_group *group);

/* --- control_assign.c --------------------------------------------------------------------------------------------- */

/* Subscribe a member to these names and no others. *changed: they are not those it had.
 * returns 0 | EVLOG_ERR_NO_MEMORY nothing has changed */
int control_subscribe(struct control_member *member, const struct el_slice *names, uint32_t count, bool *changed);
/* The same for none, which needs no memory. */
void control_unsubscribe(struct control_member *member);
/* Look again at the topics that members subscribe to. returns true when there are others, or with other partitions */
bool control_topics_look(struct control_group *group);
/* Divide the partitions of the group's topics over its members, and raise the epoch.
 * returns 0 | EVLOG_ERR_NO_MEMORY the old division is in force, and the group stale */
int control_assign(struct control_group *group);

/* --- redrive.c ---------------------------------------------------------------------------------------------------- */

void lease_redrives_loaded(struct leases *ls);
/* A group has ended: its redrives are forgotten. */
void lease_redrives_end_group(struct leases *ls, struct el_slice group_id);
void lease_redrives_stop(struct leases *ls);
void lease_redrives_destroy(struct leases *ls);

/* --- for other files of the layer --------------------------------------------------------------------------------- */

/* On control's shard. returns 0 it has no members | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_GROUP_NOT_EMPTY */
int lease_control_check_empty(struct leases *ls, struct el_slice group_id);

#endif
