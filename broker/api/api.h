/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of requests: one file per API key, api_<stem>.c, each with one function of that name. dispatch.c decodes
 * a request and calls its handler; the handler checks, hands operations to storage, and answers when all of them are
 * done.
 *
 * One struct api per shard; everything here runs on that shard's thread. What a handler keeps while it waits lies in
 * the arena of its request, which lives until the answer has left.
 */
#ifndef EL_API_API_H
#define EL_API_API_H

#include <access/access.h>
#include <api/allow.h>
#include <api/audit_call.h>
#include <api/broker_settings.h>
#include <api/share_session.h>
#include <archive/archive.h>
#include <auth/quota_budget.h>
#include <config/config.h>
#include <core/map.h>
#include <group/groups.h>
#include <net/request.h>
#include <obs/metrics.h>
#include <redact/redactor.h>
#include <storage/store.h>
#include <stream/streams.h>
#include <wire/api.h>
#include <wire/error_code.h>

#define API_MAGIC OBJ_MAGIC('a', 'p', 'i', 's')
#define API_SCRATCH_LEN (256u << 10) /* larger decompressions would stall the shard: they go to a worker */

/* What the handlers need to know of the node; the same on every shard, set before the first request. */
struct api_node {
    int32_t id;                                             /* Kafka's node id */
    struct config_address advertised[CONFIG_LISTENERS_MAX]; /* to clients of each listener of config.listener_table */
    const char *data_path;              /* of the data directory, absolute, NUL-terminated; for DescribeLogDirs */
    uint32_t shard_count;               /* of the node */
    int64_t fetch_len_max;              /* most bytes of batches in one answer */
    bool auto_create;                   /* auto.create.topics.enable */
    int32_t partition_count;            /* num.partitions */
    uint32_t share_sessions_max;        /* of a shard's connections (group.share.max.share.sessions) */
    bool replication_refused;           /* more than one replica is an error instead of being taken as 1 */
    struct topic_config topic_defaults; /* broker-wide defaults of topic settings */
    const struct config *config;        /* for DescribeConfigs of the broker */
    const char *archive_url;            /* NULL: there is no archive */
    broker_settings_fn change_settings; /* NULL: no request changes settings of the broker */
    void *change_settings_arg;
};

struct api {
    uint32_t magic;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    const struct api_node *node;
    struct groups *groups;       /* this shard's; set before the first request */
    struct leases *leases;       /* this shard's work groups; set before the first request */
    struct streams *streams;     /* this shard's stream index; set before the first request */
    struct archiver *archiver;   /* this shard's; NULL: there is no archive */
    struct redactor *redactor;   /* the node's; set before the first request */
    struct access *access;       /* users and rules, as they change; NULL: there are none */
    struct audit *audit;         /* this shard's; NULL: nothing is kept */
    const struct auth *auth;     /* this shard's copy of them; NULL: everybody may everything */
    struct quota_budget *budget; /* what callers have used of their limits, the node's; NULL: nobody has any */
    struct el_list access_list;  /* struct request.link of what waits until they are known */
    const uint8_t *sasl_secret;  /* [SASL_SECRET_LEN] that names without a user get their salts of */
    uint32_t sasl_check_count;   /* passwords that workers look at */
    uint64_t sasl_log_ns;        /* when a failed proof was logged last; 0 never */
    uint64_t denied_log_ns;      /* when a refusal for want of a right was logged last; 0 never */
    uint8_t *scratch;            /* [API_SCRATCH_LEN] for records decompressed on the shard */
    struct el_list produce_list; /* produce requests whose batches are being checked, in order of arrival */
    struct el_list poll_list;    /* struct request.link of fetches that wait for more */
    struct share_sessions share; /* of connections of this shard */
    bool stopping;               /* nobody waits any more */
};

/* returns 0 | EVLOG_ERR_NO_MEMORY. shard and node are borrowed. */
int api_init(struct api *api, struct store_shard *shard, const struct api_node *node);
/* The shard stops: fetches that wait answer with what there is, and later ones do not wait. */
void api_stop(struct api *api);
/* A connection whose user word is set has ended; arg is the struct api. For net_config.conn_closed. */
void api_conn_closed(void *arg, void *conn_user);
/* Has the user of a proof been removed since? arg is the struct api; a net_gone_fn. */
bool api_proof_gone(void *arg, const char *principal, const struct net_proof *proof);
/* Users and rules are known now, or cannot be: requests that waited for them go on. */
void api_access_known(struct api *api);
/* After the last request has ended. */
void api_destroy(struct api *api);

/* Take a request from net: check key and version, decode, call the handler. arg is the struct api; a net_dispatch_fn.
 * */
void api_dispatch(void *arg, struct request *request);

/* The handlers: one for each row of wire/api.def, or dispatch.c does not link. message is the decoded request in the
 * request's arena; strings in it point into the request's body. */
typedef void (*api_handler_fn)(struct api *api, struct request *request, const void *message);
#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit)                      \
    void api_##stem(struct api *api, struct request *request, const void *message);
#include <wire/api.def>
#undef X

/* The answer to an ApiVersions whose version is not known here: version 0 layout, UNSUPPORTED_VERSION. */
void api_versions_fallback(struct api *api, struct request *request);
/* The rule for client names and versions in ApiVersions. */
bool api_client_word_valid(struct el_slice word);

/* The node's address for clients that come by the listener of this request. Borrowed from the node. */
const struct config_address *api_advertised(const struct api *api, const struct request *request);

/* --- what handlers share ------------------------------------------------------------------------------------------ */

/* Several operations for one answer. The handler holds one place in the count itself until it has submitted the last,
 * so that operations that end at once do not finish the call too early. */
struct api_call {
    struct api *api;
    struct request *request;
    uint32_t pending;                      /* operations under way, and 1 for the handler */
    void (*finish)(struct api_call *call); /* called once, when pending reaches 0; answers */
};

void api_call_init(struct api_call *call, struct api *api, struct request *request,
                   void (*finish)(struct api_call *call));
/* One more operation; its done is api_call_on_op and its arg the call. */
void api_call_add(struct api_call *call, struct store_op *op);
void api_call_on_op(struct store_op *op);
/* Give a place in the count back; the last one calls finish. */
void api_call_release(struct api_call *call);

/* count structs of len bytes, zeroed, from the request's arena. NULL: the request has been refused, for want of memory;
 * the handler returns at once. count 0 gives a valid pointer. */
void *api_alloc(struct api *api, struct request *request, size_t count, size_t len);
/* The same for messages: every field at its default. */
void *api_new(struct api *api, struct request *request, const struct el_schema *schema, uint32_t count);
/* End a request for which there is no memory. */
void api_refuse_memory(struct api *api, struct request *request);
/* Text in the request's arena: a copy, or "" when that is spent. */
struct el_slice api_text(struct request *request, const char *text);

/* The same, made as printf does; at most 511 bytes. */
struct el_slice api_textf(struct request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Index of the record whose timestamp is further from now than a topic allows, -1 for none.
 *
 * before_ms, after_ms  how far; -1: not checked
 */
int32_t api_timestamp_fault(struct api *api, const struct el_batch_info *info, int64_t before_ms, int64_t after_ms);

/* A partition as a request names it. */
struct api_target {
    struct el_uuid topic_id; /* valid when error is 0 */
    int error;               /* 0 or EVLOG_ERR_UNKNOWN_TOPIC, _UNKNOWN_TOPIC_ID */
    bool by_id;
};
/* Is there such a partition? */
bool api_partition_exists(const struct topic *topic, int32_t partition);
/* The same of a topic from api_topic(), with the error from there. returns that | EVLOG_ERR_UNKNOWN_TOPIC | 0 */
int api_partition_error(const struct topic *topic, int32_t partition, int error);
/* Partitions of a topic as a request names them: one, or with -1 all. */
struct api_partitions {
    struct el_uuid topic_id;
    int32_t first;
    uint32_t count;
};
/* returns 0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNKNOWN_TOPIC_ID no topic has that id | EVLOG_ERR_TOPIC_DENIED */
int api_partitions(struct api *api, const struct request *request, struct el_slice name, const struct el_uuid *id,
                   int32_t partition, struct api_partitions *out);
/* Names that clients may not write, create or delete: evlog's own topics. */
bool api_name_reserved(struct el_slice name);
/* 1 to 249 of [a-zA-Z0-9._-], not "." or ".." */
bool api_name_valid(struct el_slice name);

/* Is this the number of this node, as a resource's name? */
bool api_is_self(const struct api *api, struct el_slice name);

/* Say in the log which of a topic's settings are kept but change nothing in evlogd, one line for all.
 *
 * before, after  overrides; what was there before has been said
 */
void api_log_without_effect(struct el_slice topic, const struct topic_config *before, const struct topic_config *after);

/* Names of one request that must differ: the errors of all entries with a name given twice become
 * EVLOG_ERR_INVALID_REQUEST. Begin with el_map_init(seen, api->buddy), end with el_map_destroy(). */
void api_name_once(struct el_map *seen, struct el_slice name, int *error);

/* Kafka's code for an EVLOG_ERR_ code; an unknown topic is told by name or by id, as the client asked. */
int16_t api_error(int error, bool by_id);
/* The same, for requests older than the code of storage errors: their clients look for the leader again instead.
 *
 * version_storage   the first version of the request whose clients know the code (KIP-112)
 */
int16_t api_error_since(int error, bool by_id, int version, int version_storage);
/* Count a refusal by its reason. error is not 0. */
void api_count_refusal(struct api *api, int error);
/* Text of an error for the answer, a NULL slice for 0. */
struct el_slice api_error_message(int error);
/* The same of what store_append() ended with. */
struct el_slice api_append_message(int error);

/* The operation has been asked for one more group; its done is to call api_call_release(). */
void api_call_add_group(struct api_call *call, struct group_op *op, group_op_fn done);
/* Kafka's code for what a group op ended with. */
int16_t api_group_error(int error);
/* The address of a client as Kafka shows it, "/address" without the port; in the request's arena. */
struct el_slice api_client_host(struct request *request);
/* The same as api_group_error() for what a request of share groups asks: a group of another kind is none. */
int16_t api_share_group_error(int error);
/* The operation has been asked for one more work group or partition; its done is to call api_call_release(). */
void api_call_add_lease(struct api_call *call, struct lease_op *op, lease_op_fn done);
/* For both, where the answer is made of their results. */
void api_call_on_group(struct group_op *op);
void api_call_on_lease(struct lease_op *op);
/* Where it is made of how they ended: results are given back at once. */
void api_call_on_lease_end(struct lease_op *op);
/* Has a work group this id? Requests of consumer groups that would make one are refused then. */
bool api_is_work_group(struct api *api, struct el_slice group_id);
/* Has a consumer group this id? Work groups ask before they are made: a leases_config.ask_kind, arg is the struct api
 * of shard 0. */
void api_ask_kind(void *arg, struct lease_kind_question *question);
/* Does the metadata of a consumer name this topic? returns 1 | 0 | EVLOG_ERR_MALFORMED */
int api_group_subscribes(struct el_slice metadata, struct el_slice topic);
/* Id of a topic as a request names it. returns 0 | EVLOG_ERR_UNKNOWN_TOPIC_ID no such topic, also by name |
 * EVLOG_ERR_UNKNOWN_TOPIC no such partition | EVLOG_ERR_TOPIC_DENIED */
int api_group_topic(struct api *api, const struct request *request, struct el_slice name, const struct el_uuid *id,
                    int32_t partition, struct el_uuid *out);

/* Resource types and sources of values, as on the wire. */
enum api_resource {
    API_RESOURCE_TOPIC = 2,
    API_RESOURCE_BROKER = 4,
    API_RESOURCE_BROKER_LOGGER = 8,
    API_RESOURCE_CLIENT_METRICS = 16,
    API_RESOURCE_GROUP = 32,
};

#endif
