/* SPDX-License-Identifier: Apache-2.0
 *
 * Conflicts of appends: from the wire to the caller, and as text.
 */
#ifndef EL_CLIENT_STREAM_CONFLICT_H
#define EL_CLIENT_STREAM_CONFLICT_H

#include <evlog/stream.h>
#include <wire/msg_ext_stream_append.h>

/* Is it the code of a refusal that has conflicts? */
bool el_is_conflict(int code);
/* A conflict for the caller; key as it was given. */
void el_conflict_take(const struct el_msg_ext_stream_append_conflict *conflict, struct evlog_bytes key,
                      struct evlog_conflict *out);
/* Tell of conflicts[count >= 1], the first one in full.
 *
 * message  the broker's words, for reasons that are not known here
 * returns  EVLOG_ERR_WRONG_VERSION | EVLOG_ERR_ID_CONFLICT | EVLOG_ERR_STREAM_ENDED
 */
int el_conflict_fail(struct evlog_failure *failure, const char *topic, struct evlog_bytes key,
                     const struct el_msg_ext_stream_append_conflict *conflicts, uint32_t count,
                     struct el_slice message);

/* Give what an append came to to its caller, as far as the caller's struct reaches; NULL: nobody wants it. */
void el_appended_give(struct evlog_appended *appended, const struct evlog_appended *full);

#endif
