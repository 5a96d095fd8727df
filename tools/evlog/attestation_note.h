/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in an attestation that somebody hands over: bytes that nobody vouches for until the signature is checked,
 * and those of who signs anything afterwards.
 */
#ifndef EVLOG_TOOLS_ATTESTATION_NOTE_H
#define EVLOG_TOOLS_ATTESTATION_NOTE_H

#include <core/bytes.h>
#include <core/limits.h>
#include <stdbool.h>

#define ATTESTATION_ORIGIN_LEN 45u /* of "evlog/<cluster>/attest" */
#define ATTESTATION_MADE_BY "made by "

/* What is needed to make it again. */
struct attestation_said {
    char topic[EL_TOPIC_NAME_MAX + 1];
    char incarnation[33];
    struct el_uuid incarnation_id;
    int64_t root; /* > 0 */
    int64_t until_ns;
};

/* The first line that differs, without its line feed; empty where there is none. */
struct attestation_difference {
    size_t line; /* from 1 */
    struct el_slice theirs, ours;
};

/* The text of a note that is an attestation, which its signature lines are over.
 * returns 0 | EVLOG_ERR_MALFORMED it is none | EVLOG_ERR_NOT_FOUND nobody has signed it */
int attestation_note_text(struct el_slice note, struct el_slice *text);
/* returns 0 | EVLOG_ERR_MALFORMED something is missing, or makes no sense */
int attestation_note_read(struct el_slice text, struct attestation_said *said);
/* Does a text differ from what was made now, or, while that is not whole, from the beginning of it? Who made it may
 * differ. */
bool attestation_note_differs(struct el_slice text, struct el_slice made, bool whole,
                              struct attestation_difference *difference);

#endif
