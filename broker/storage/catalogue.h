/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue of topics: a copy on every shard, changed by records of the internal topic __evlog_meta. A change is
 * encoded once, made durable, and applied on every shard in the same order.
 *
 * Record key: 1 byte version (1), 16 bytes topic id. Record value, little-endian:
 *   0 1 version (1)  1 1 verb (1 put, 2 delete)  2 1 internal  3 1 zero  4 4 partition count  8 2 name length
 *  10 2 length of settings  then the name, a u16 owner shard for each partition, the settings (topic_config_encode())
 * docs/format.md section 6.
 */
#ifndef EL_STORAGE_CATALOGUE_H
#define EL_STORAGE_CATALOGUE_H

#include <storage/shard_state.h>

#define CATALOGUE_KEY_LEN 17u
#define CATALOGUE_VALUE_LEN_MAX (12u + EL_TOPIC_NAME_MAX + 2u * EL_PARTITION_COUNT_MAX + TOPIC_CONFIG_BYTES_MAX)

enum catalogue_verb { CATALOGUE_PUT = 1, CATALOGUE_DELETE = 2 };

struct catalogue_change {
    enum catalogue_verb verb;
    struct el_uuid id;
    bool internal;
    struct el_slice name;
    int32_t partition_count;
    const uint8_t *owners; /* [partition_count] u16 little-endian */
    struct topic_config config;
};

/* Encode key[CATALOGUE_KEY_LEN] and value[CATALOGUE_VALUE_LEN_MAX]; returns the value's length. */
size_t catalogue_encode(const struct catalogue_change *change, uint8_t *key, uint8_t *value);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
int catalogue_decode(struct el_slice key, struct el_slice value, struct catalogue_change *change);
/* Apply a change to this shard's copy, making and deleting the partitions that it owns.
 * returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_CORRUPT it contradicts what is there: err (may be NULL) says how, of
 * names */
int catalogue_apply(struct store_shard *shard, const struct catalogue_change *change, struct el_error *err);
/* The internal topic of the catalogue itself, on every shard. */
int catalogue_bootstrap(struct store_shard *shard);
void catalogue_free(struct store_shard *shard);
/* returns 0 | EVLOG_ERR_INVALID_TOPIC with a text */
int topic_name_check(struct el_slice name, struct el_error *err);
/* The topic whose name equals or collides with name ('.' and '_' count as one), or NULL. */
struct topic *catalogue_collision(struct store_shard *shard, struct el_slice name);
/* The owner shard of a partition that is made as the n-th of the whole catalogue. */
uint16_t catalogue_place(struct store_shard *shard, uint64_t n);

/* Changes asked for by clients: shard 0 only. */
int meta_create(struct store *store, struct el_error *err);
void meta_free(struct store *store);
/* Changes go on that store_tier_hold() held. */
void meta_retry(struct store *store);
bool meta_idle(const struct store *store);

#endif
