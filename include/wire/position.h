/* SPDX-License-Identifier: Apache-2.0
 *
 * A position: a word that an append answers with and that readers can be waited for by. It names a topic, a partition
 * and the offset behind the last event; to whoever passes it on it is opaque.
 *
 * 40 characters of url-safe base64, of: version byte 1 | topic id 16 | partition int32 | offset int64 | low byte of the
 * CRC-32C of what is before it, so that a cut or mistyped word is noticed.
 */
#ifndef EL_WIRE_POSITION_H
#define EL_WIRE_POSITION_H

#include <core/bytes.h>

#define EL_POSITION_TEXT_LEN 40u /* characters, without the NUL */

struct el_position {
    struct el_uuid topic_id;
    int32_t partition; /* >= 0 */
    int64_t offset;    /* first one behind what it stands for, >= 0 */
};

/* text[EL_POSITION_TEXT_LEN + 1], NUL-terminated. */
void el_position_format(char *text, const struct el_position *position);
/* returns 0 | EVLOG_ERR_MALFORMED not a position | EVLOG_ERR_FORMAT one of a newer version */
int el_position_parse(struct el_slice text, struct el_position *position);

#endif
