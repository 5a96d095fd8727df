/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics: list, create, describe, change, remove. The broker's archive, and quotas.
 *
 * Every function blocks for at most request.timeout.ms and may be called from any thread. A request that changes
 * something and whose answer is lost fails with in_doubt set. Since 1.0.
 */
#ifndef EVLOG_ADMIN_H
#define EVLOG_ADMIN_H

#include <evlog/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_setting {
    const char *key;
    const char *value; /* NULL: back to the default (when changing), hidden or unset (when reading) */
};

struct evlog_topic_name {
    const char *name;
    uint8_t id[16]; /* zero where the broker has none */
    int32_t partition_count;
    bool internal;
};
struct evlog_topic_list {
    const struct evlog_topic_name *topics; /* [topic_count], by name */
    size_t topic_count;
};

/* All topics that this client may see.
 *
 * list     written on success; free with evlog_topic_list_free()
 * returns  0 | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_topic_list(struct evlog_client *client, struct evlog_topic_list **list, struct evlog_failure *failure);
void evlog_topic_list_free(struct evlog_topic_list *list);

struct evlog_topic_create_options {
    size_t size; /* sizeof(struct evlog_topic_create_options) */
    const char *name;
    int32_t partition_count;              /* -1: the broker's default */
    int16_t replication_factor;           /* -1: the broker's default */
    const struct evlog_setting *settings; /* [setting_count] */
    size_t setting_count;
    bool validate_only; /* check, change nothing */
};
#define EVLOG_TOPIC_CREATE_OPTIONS_INIT                                                                                \
    {                                                                                                                  \
        .size = sizeof(struct evlog_topic_create_options), .partition_count = -1, .replication_factor = -1             \
    }

/* Make a topic and wait until its partitions can be used.
 *
 * returns  0 | EVLOG_ERR_TOPIC_EXISTS | EVLOG_ERR_INVALID_TOPIC, EVLOG_ERR_INVALID_PARTITIONS,
 *          EVLOG_ERR_INVALID_CONFIG, EVLOG_ERR_REPLICATION | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_IN_DOUBT
 */
int evlog_topic_create(struct evlog_client *client, const struct evlog_topic_create_options *options,
                       struct evlog_failure *failure);

struct evlog_partition_info {
    int32_t index;
    int32_t leader;       /* node id, -1 none */
    int32_t leader_epoch; /* -1 unknown */
    int64_t start_offset; /* first event that is still there */
    int64_t end_offset;   /* behind the last readable event */
};
struct evlog_topic_info {
    const char *name;
    uint8_t id[16];
    bool internal;
    const struct evlog_partition_info *partitions; /* [partition_count], by index */
    size_t partition_count;
    const struct evlog_setting *settings; /* [setting_count], by key; those that differ from the default */
    size_t setting_count;
    const struct evlog_setting *defaults; /* [default_count], by key; those at their default */
    size_t default_count;
};

/* Everything about a topic.
 *
 * info     written on success; free with evlog_topic_info_free()
 * returns  0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_topic_describe(struct evlog_client *client, const char *name, struct evlog_topic_info **info,
                         struct evlog_failure *failure);
/* The same without its settings, of which there are none in the answer then: the right to describe the topic is enough,
 * which whoever may read or write it has. */
int evlog_topic_look(struct evlog_client *client, const char *name, struct evlog_topic_info **info,
                     struct evlog_failure *failure);
void evlog_topic_info_free(struct evlog_topic_info *info);

/* Number of partitions of a topic. Never creates it.
 *
 * returns  0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE
 */
int evlog_topic_partition_count(struct evlog_client *client, const char *name, int32_t *partition_count,
                                struct evlog_failure *failure);

/* Change settings of a topic; those not named stay.
 *
 * changes        [change_count]; value NULL resets
 * validate_only  check, change nothing
 * returns        0 | EVLOG_ERR_INVALID_CONFIG | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNSUPPORTED the broker is too old
 */
int evlog_topic_alter(struct evlog_client *client, const char *name, const struct evlog_setting *changes,
                      size_t change_count, bool validate_only, struct evlog_failure *failure);

/* Raise the number of partitions.
 *
 * returns  0 | EVLOG_ERR_INVALID_PARTITIONS not more than now | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_POLICY
 */
int evlog_topic_grow(struct evlog_client *client, const char *name, int32_t partition_count,
                     struct evlog_failure *failure);

/* Remove a topic and everything in it.
 *
 * returns  0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_IN_DOUBT
 */
int evlog_topic_delete(struct evlog_client *client, const char *name, struct evlog_failure *failure);

/* --- settings of others ------------------------------------------------------------------------------------------- */

struct evlog_setting_list {
    const struct evlog_setting *settings; /* [setting_count], by key; those that were made */
    size_t setting_count;
    const struct evlog_setting *defaults; /* [default_count], by key; those at their default */
    size_t default_count;
};

/* Settings of a work group; evlog_group_set() changes them. A group that has none is one with defaults.
 *
 * list     written on success; free with evlog_setting_list_free()
 * returns  0 | EVLOG_ERR_GROUP_DENIED | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_group_settings(struct evlog_client *client, const char *group, struct evlog_setting_list **list,
                         struct evlog_failure *failure);
/* Settings of the broker; values that are secret are NULL.
 *
 * list     written on success; free with evlog_setting_list_free()
 * returns  0 | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_broker_settings(struct evlog_client *client, struct evlog_setting_list **list, struct evlog_failure *failure);
/* Change settings of the broker while it runs: they are kept, and win over its configuration, until they are reset.
 *
 * changes        [change_count]; value NULL resets
 * validate_only  check, change nothing
 * returns        0 | EVLOG_ERR_POLICY only its configuration says that, or it takes a restart: the text says where |
 *                EVLOG_ERR_INVALID_CONFIG | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNREACHABLE |
 *                EVLOG_ERR_IN_DOUBT
 */
int evlog_broker_set(struct evlog_client *client, const struct evlog_setting *changes, size_t change_count,
                     bool validate_only, struct evlog_failure *failure);
void evlog_setting_list_free(struct evlog_setting_list *list);

/* --- the broker's archive ----------------------------------------------------------------------------------------- */

struct evlog_archive_status {
    char url[512];     /* of the object store; "" when the broker has no archive */
    char state[16];    /* "none", "begins" (what is there is not known yet), "works", "stopped" (for good) */
    char message[512]; /* why it has stopped, or the last error of the object store; "" none */
    uint8_t incarnation[16];
    uint64_t sequence;      /* of the last root, 0 none */
    int64_t root_ms;        /* when it was made, ms since 1970; 0 none */
    int64_t complete_ns;    /* every event appended at or before it is in the archive, ns since 1970; 0 not yet */
    uint64_t pending_bytes; /* about: durable at the broker and not in the archive */
    uint64_t object_count;  /* objects with events that count, as far as this run of the broker has looked */
    uint64_t object_bytes;
    uint64_t replaced_count; /* objects whose content is in others */
};

/* How far the broker's archive reaches.
 *
 * returns  0 | EVLOG_ERR_UNSUPPORTED the broker is not evlog | EVLOG_ERR_UNREACHABLE
 */
int evlog_archive_status(struct evlog_client *client, struct evlog_archive_status *status,
                         struct evlog_failure *failure);

/* Archive what is new at once.
 *
 * seal     and make segments of what bundles hold
 * topic    of this topic, with seal; NULL: of all
 * wait     until all that was durable before is in the archive; EVLOG_ERR_TIMED_OUT: it is not yet, ask again
 * returns  0 | EVLOG_ERR_KAFKA the broker has no archive, or it has stopped for good | EVLOG_ERR_UNKNOWN_TOPIC |
 *          EVLOG_ERR_UNSUPPORTED | EVLOG_ERR_UNREACHABLE
 */
int evlog_archive_now(struct evlog_client *client, bool seal, const char *topic, bool wait,
                      struct evlog_failure *failure);

/* --- redaction ---------------------------------------------------------------------------------------------------- */

struct evlog_redact {
    uint32_t size; /* EVLOG_REDACT_INIT */
    const char *topic;
    int32_t partition;
    int64_t first_offset, end_offset; /* every batch with an offset in [first, end) goes as a whole */
    const char *reason;               /* 1 .. 512 bytes of text: it is signed, and stays */
    bool dry_run;                     /* say what would go, change nothing; without a reason */
};
#define EVLOG_REDACT_INIT ((struct evlog_redact){.size = sizeof(struct evlog_redact)})

struct evlog_redacted {
    uint32_t size; /* EVLOG_REDACTED_INIT */
    char state
        [16]; /* "nothing" (left) to redact; "found", of a dry run; "local", accepted and durable, the bytes leave the
                     * broker's disk; "archive", they leave the archive; "complete", they are nowhere */
    char waits_for[256];               /* what stands in the way; "" nothing */
    int64_t first_offset, end_offset;  /* of the whole batches */
    uint64_t batch_count, event_count; /* found by this call; 0 when the redaction was accepted before */
    int64_t
        parent_end; /* offsets below it are also in the archive that the broker's own continues, which stays as it is */
};
#define EVLOG_REDACTED_INIT ((struct evlog_redacted){.size = sizeof(struct evlog_redacted)})

/* Take events out of a log, of the broker's disk and of its archive, for good. Accepted and durable when it returns;
 * the same call again changes nothing, and says how far it has come.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_OFFSET_RANGE | EVLOG_ERR_POLICY a topic of
 *          evlog's own, or one with evlog.streams | EVLOG_ERR_UNSUPPORTED | EVLOG_ERR_UNREACHABLE
 */
int evlog_redact(struct evlog_client *client, const struct evlog_redact *redact, struct evlog_redacted *redacted,
                 struct evlog_failure *failure);

/* --- quotas ------------------------------------------------------------------------------------------------------- */

/* Whom a limit is for: a user, a client id, both, or an address, each by its name, or as the default of all that have
 * none of their own. */
struct evlog_quota_entity {
    const char *user, *client_id, *ip; /* NULL: not by name */
    bool default_user, default_client_id, default_ip;
};

struct evlog_quota {
    struct evlog_quota_entity entity;
    const char *key; /* producer_byte_rate, consumer_byte_rate, request_percentage; of an ip connection_creation_rate */
    double value;    /* 0: none (when changing) */
};
struct evlog_quota_list {
    const struct evlog_quota *quotas; /* [quota_count], those of an entity side by side, in the order of keys */
    size_t quota_count;
};

/* All limits.
 *
 * list     written on success; free with evlog_quota_list_free()
 * returns  0 | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNSUPPORTED | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int evlog_quota_list(struct evlog_client *client, struct evlog_quota_list **list, struct evlog_failure *failure);
void evlog_quota_list_free(struct evlog_quota_list *list);
/* Set or remove limits of one entity, all or none; durable when it returns.
 *
 * quotas   [count], all of the entity of the first
 * returns  0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_INVALID_REQUEST | EVLOG_ERR_CLUSTER_DENIED | EVLOG_ERR_UNSUPPORTED
 *          | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_IN_DOUBT
 */
int evlog_quota_set(struct evlog_client *client, const struct evlog_quota *quotas, size_t count,
                    struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
