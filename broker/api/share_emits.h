/* SPDX-License-Identifier: Apache-2.0
 *
 * What LeaseOutcome asks to be published with an acknowledgement: its targets are found and checked as Produce does it,
 * before anything is decided.
 */
#ifndef EL_API_SHARE_EMITS_H
#define EL_API_SHARE_EMITS_H

#include <api/share_ack.h>
#include <wire/msg_ext_lease_outcome.h>

#define SHARE_EMITS_MAX 4096u /* of one event */

/* The emits of an outcome.
 *
 * ack        gets an error with a message, and emits_refused, when one of them may not be
 * partition  of the event, from which one without key and partition goes somewhere
 * request    its arena takes them, and the message; its caller needs the right to write to their topics
 * returns    false without memory
 */
bool share_emits_take(struct share_ack *ack, const struct el_msg_ext_lease_outcome_range *range, int32_t partition,
                      struct lease_outcome *outcome, struct api *api, struct request *request);

#endif
