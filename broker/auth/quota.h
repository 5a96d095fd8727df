/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of users, client ids and addresses, as one shard has them: what was set for whom, and which of it counts for a
 * caller. Each shard has a copy of its own, kept the same by broker/access. What has been used of a limit is in
 * quota_budget.h.
 *
 * A limit is set for an entity: a user, a client id, both, or an address, each by name or as the default for all that
 * have none of their own. For a caller the first counts that is there, for each kind of limit by itself:
 *
 *   1 user, client id     2 user, default id     3 user
 *   4 default user, id    5 both default         6 default user     7 client id     8 default client id
 *
 * A limit of users is shared by all client ids of that user, one of both is of that pair, one of client ids is shared
 * by all users; a default gives each name a budget of its own. Source: docs/security.md, Quotas; KIP-124, KIP-257.
 */
#ifndef EL_AUTH_QUOTA_H
#define EL_AUTH_QUOTA_H

#include <core/assert.h>
#include <core/bytes.h>
#include <core/map.h>
#include <core/pool.h>

#define QUOTA_USER_LEN_MAX 511u /* of a user's name, without "User:" */
#define QUOTA_NAME_LEN_MAX 255u /* of a client id or address */
#define QUOTA_LIMITS_MAX 20000u /* of a node: entities, times the limits that each has */

enum quota_kind {
    QUOTA_PRODUCE, /* producer_byte_rate: bytes a second of requests that write events */
    QUOTA_CONSUME, /* consumer_byte_rate: bytes a second of answers that bring events */
    QUOTA_REQUEST, /* request_percentage: of one shard's thread */
    QUOTA_CONNECT, /* connection_creation_rate: new connections a second of an address */
    QUOTA_KIND_COUNT
};

/* What a part of an entity's name says. */
enum quota_part { QUOTA_PART_NONE, QUOTA_PART_DEFAULT, QUOTA_PART_NAMED };

/* Whom a limit is set for: an address, or a user, a client id, or both. Names are borrowed, and empty unless NAMED. */
struct quota_entity {
    uint8_t user, client_id, ip; /* enum quota_part */
    struct el_slice user_name, client_name, ip_name;
};

/* Who asks. user is without "User:"; borrowed. */
struct quota_caller {
    struct el_slice user, client_id;
};

/* A limit that counts for a caller. */
struct quota_hit {
    double limit;               /* a second; percent for QUOTA_REQUEST */
    bool of_user, of_client_id; /* which names of the caller have a budget of their own */
};

#define QUOTA_SHAPE_COUNT 11u

struct quota_table {
    struct el_map entries; /* entity -> struct quota_entry */
    struct el_pool entry_pool;
    uint32_t limit_count[QUOTA_KIND_COUNT];
    uint32_t shape_count[QUOTA_SHAPE_COUNT]; /* entries of each combination of parts, so that few are looked for */
};

/* All limits of an entity; 0: it has none of that kind. */
struct quota_limits {
    struct quota_entity entity;
    double values[QUOTA_KIND_COUNT];
};

void quota_init(struct quota_table *table, struct el_buddy *buddy);
void quota_destroy(struct quota_table *table);

/* "producer_byte_rate" and the others. */
const char *quota_kind_name(enum quota_kind kind);
/* returns QUOTA_KIND_COUNT when there is none of this name */
enum quota_kind quota_kind_find(struct el_slice name);
/* Can limits be set for this? returns 0 | EVLOG_ERR_ARGUMENT with what is wrong in *why, a static text */
int quota_entity_check(const struct quota_entity *entity, const char **why);
/* Can the entity have this limit? The same returns. */
int quota_limit_check(const struct quota_entity *entity, enum quota_kind kind, double value, const char **why);

/* Set or, with 0, remove a limit that was checked. returns 0 | EVLOG_ERR_NO_MEMORY nothing has changed */
int quota_put(struct quota_table *table, const struct quota_entity *entity, enum quota_kind kind, double value);
/* Exactly this one; 0: there is none. */
double quota_limit_of(const struct quota_table *table, const struct quota_entity *entity, enum quota_kind kind);
/* All limits, of all kinds. */
uint32_t quota_limit_count(const struct quota_table *table);
/* Entities with limits, in no order that means anything; index 0 .. count - 1. */
uint32_t quota_count(const struct quota_table *table);
const struct quota_limits *quota_at(const struct quota_table *table, uint32_t index);

/* The limit that counts for a caller; kind is not QUOTA_CONNECT. returns false: it has none */
bool quota_find(const struct quota_table *table, enum quota_kind kind, const struct quota_caller *caller,
                struct quota_hit *hit);
/* The limit of an address; 0: none. */
double quota_find_ip(const struct quota_table *table, struct el_slice address);

#endif
