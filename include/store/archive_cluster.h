/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.json of an incarnation (docs/format.md section 15.6): by it archives are found; nothing of it is believed.
 */
#ifndef EL_STORE_ARCHIVE_CLUSTER_H
#define EL_STORE_ARCHIVE_CLUSTER_H

#include <core/buffer.h>
#include <core/sign.h>

#define ARCHIVE_CLUSTER_LEN_MAX 65536u

struct archive_cluster {
    struct el_uuid cluster;
    struct el_uuid incarnation;
    struct el_uuid parent; /* zeros: none */
    uint64_t parent_sequence;
    uint64_t made_ms;
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    size_t key_count;
};

/* Append the text. returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_cluster_write(const struct archive_cluster *cluster, struct el_buffer *out);
/* Keys of kinds that are not known are left out. returns 0 | EVLOG_ERR_MALFORMED with a text | EVLOG_ERR_FORMAT a newer
 * format | EVLOG_ERR_NO_MEMORY */
int archive_cluster_parse(struct el_slice text, struct archive_cluster *cluster, struct el_error *err);
/* 32 digits of lower-case hex. returns 0 | EVLOG_ERR_MALFORMED */
int archive_id_parse(struct el_slice text, struct el_uuid *id);

#endif
