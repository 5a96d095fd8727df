/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a log in place of a batch that was redacted: a control batch, which every reader passes over, with the
 * batch's offsets. It says what the leaf of the batch in the archive's tree is made of (docs/format.md section 4.5), so
 * that it can be archived as redacted although nobody has its bytes any more. Pure functions, any thread.
 */
#ifndef EL_FORMAT_REDACTION_H
#define EL_FORMAT_REDACTION_H

#include <core/bytes.h>
#include <stdbool.h>

#define EL_REDACTION_REASON_MAX 512u
#define EL_REDACTION_MARK_MAX 768u /* bytes of a mark */

struct el_redaction_mark {
    int64_t first_offset;       /* of the batch */
    uint32_t last_offset_delta; /* last offset less first offset */
    int32_t leader_epoch;
    uint32_t record_count;    /* of the batch that was there, as are the next two */
    int64_t max_timestamp_ms; /* the greatest of its records' event times, as the broker found it */
    uint8_t digest[32];       /* SHA-256(salt | batch) */
    uint64_t when_ms;         /* since 1970 */
    struct el_slice reason;   /* text, at most EL_REDACTION_REASON_MAX bytes */
};

/* Write the batch. returns its length, at most EL_REDACTION_MARK_MAX */
size_t el_redaction_mark_put(uint8_t out[EL_REDACTION_MARK_MAX], const struct el_redaction_mark *mark);
/* Is this stored batch a mark, and which? The reason points into it. */
bool el_redaction_mark_get(const void *batch, size_t len, struct el_redaction_mark *mark);

#endif
