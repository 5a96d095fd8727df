/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_meta, the catalogue of topics: docs/format.md section 6. Bytes in, bytes out: no I/O here.
 */
#ifndef EL_FORMAT_CATALOGUE_LAYOUT_H
#define EL_FORMAT_CATALOGUE_LAYOUT_H

#include <core/bytes.h>
#include <core/limits.h>
#include <stdbool.h>

#define EL_CATALOGUE_KEY_LEN 17u
#define EL_CATALOGUE_HEAD_LEN 12u
#define EL_CATALOGUE_NO_SETTINGS_LEN 4u /* a count of 0 */
#define EL_CATALOGUE_DELETE_LEN (EL_CATALOGUE_HEAD_LEN + EL_CATALOGUE_NO_SETTINGS_LEN)

enum el_catalogue_verb { EL_CATALOGUE_PUT = 1, EL_CATALOGUE_DELETE = 2 };

struct el_catalogue_record {
    enum el_catalogue_verb verb;
    struct el_uuid id;
    bool internal;
    int32_t partition_count;
    struct el_slice name;
    const uint8_t *owners; /* [partition_count] u16 little-endian: shards */
    struct el_slice settings;
};

/* Id of the catalogue's own topic, which no record names. */
extern const struct el_uuid EL_CATALOGUE_TOPIC_ID;

/* Name of the topic of users and access rules. */
#define EL_ACCESS_TOPIC "__evlog_access"

/* Slices lie in the value. returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a newer version */
int el_catalogue_record_get(struct el_slice key, struct el_slice value, struct el_catalogue_record *record);
/* key[EL_CATALOGUE_KEY_LEN] */
void el_catalogue_key_put(uint8_t *key, const struct el_uuid *id);
/* What deletes a topic: value[EL_CATALOGUE_DELETE_LEN]. */
void el_catalogue_delete_put(uint8_t *value);

#endif
