/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and access rules of the node: kept as records of the internal topic __evlog_access, in memory on every shard.
 *
 * Each shard reads all records when it starts. A change is taken by shard 0, one after the other: its records are one
 * batch, which is durable before any shard knows of it; then every shard is told, and only then is the caller answered.
 * So a change that was answered survives every crash and holds on whichever shard asks next.
 *
 * Records are sealed (format/access_seal.h), so that log, copies and archive say nothing of users and rules to who has
 * not the key. Where a record that is in force is sealed by a key that is not there, nothing is known on any shard.
 */
#ifndef EL_ACCESS_ACCESS_H
#define EL_ACCESS_ACCESS_H

#include <access/access_keys.h>
#include <auth/auth_record.h>
#include <format/catalogue_layout.h>
#include <storage/store.h>

#define ACCESS_TOPIC EL_ACCESS_TOPIC /* no client reads it, for it holds what passwords are checked with */
#define ACCESS_RECORDS_MAX 1000u     /* of one change */

struct access;

/* One record of a change; value.data NULL ends what the key says. */
struct access_record {
    struct el_slice key, value;
};

struct access_op {
    const struct access_record *records; /* [record_count], 1 .. ACCESS_RECORDS_MAX; borrowed until done */
    uint32_t record_count;
    void (*done)(struct access_op *op); /* on the caller's shard; perhaps inside access_change() */
    void *arg;
    int error; /* out: 0 | EVLOG_ERR_LIMIT too many users or rules | EVLOG_ERR_STORAGE | _FULL | _CLOSED | _NO_MEMORY */
    struct io_message message; /* private, as all below */
    struct el_list link;
    struct access *origin, *home;
};

/* Of a shard, before it begins.
 *
 * peers    [shard_count] by shard: those of the whole node, this one's place is filled here; borrowed
 * keys     of the node, loaded; borrowed
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
int access_create(struct store_shard *shard, struct access **peers, uint32_t shard_count, struct access_keys *keys,
                  struct access **out);
/* After the shard's thread has ended, when it is idle. */
void access_destroy(struct access *access);
/* Begin to read the records; on the shard's thread.
 *
 * known    called once when they are known (0), or cannot be: then nobody is known, and changes are refused.
 *          EVLOG_ERR_KEYS: for want of the key that has sealed them, see access_missing_key()
 * settled  called once, on shard 0 when it knows them: they are sealed as they are to be, or cannot be now. May be NULL
 */
void access_start(struct access *access, void (*known)(void *arg, int error), void (*settled)(void *arg), void *arg);
/* Have removed be called, on the shard's thread, when users are gone from its copy, and before whoever has taken them
 * away is answered. Before the start. */
void access_on_removal(struct access *access, void (*removed)(void *arg), void *arg);
void access_stop(struct access *access);
/* Nothing is under way. */
bool access_idle(const struct access *access);
/* Are the records known? Once they are they stay so. */
bool access_known(const struct access *access);
/* Could they not be read? */
bool access_failed(const struct access *access);
/* After EVLOG_ERR_KEYS: how many records cannot be opened, and the id of the key of one of them. */
uint32_t access_missing_key(const struct access *access, char text[EL_ACCESS_KEY_ID_TEXT]);
/* The shard's copy; settings are the owner's to set. */
struct auth *access_auth(struct access *access);

/* Make a change. */
void access_change(struct access *access, struct access_op *op);

#endif
