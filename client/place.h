/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions as people and programs pass them on: the word that an append printed, or TOPIC/PARTITION/OFFSET.
 */
#ifndef EL_CLIENT_PLACE_H
#define EL_CLIENT_PLACE_H

#include <core/bytes.h>
#include <evlog/failure.h>

#define EL_PLACE_TOPIC_MAX 249 /* bytes */

/* One event of a partition; a topic is known by its name, or by its id. */
struct el_place {
    char topic[EL_PLACE_TOPIC_MAX + 1]; /* empty: by id */
    struct el_uuid topic_id;
    int32_t partition;
    int64_t next_offset; /* the first one behind the event */
};

/* Read a position. returns 0 | EVLOG_ERR_MALFORMED, told */
int el_place_read(const char *text, struct el_place *place, struct evlog_failure *failure);
/* Is it of this topic? */
bool el_place_is_of(const struct el_place *place, const char *topic, const uint8_t topic_id[16]);

#endif
