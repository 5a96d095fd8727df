/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the share groups' members share.
 */
#ifndef EL_SIM_CLIENT_SHARE_H
#define EL_SIM_CLIENT_SHARE_H

#include "clients.h"

struct share_group *share_group_of(struct share_client *s);
struct el_slice share_member_id(struct share_client *s);
uint64_t share_now_ns(const struct share_client *s);
/* Nothing is known of the session any more, and nothing is held: the broker gives it to others. */
void share_drop_session(struct share_client *s);
/* The answer has come: NULL when it is lost, with all that the connection's session held. */
const void *share_take(struct share_client *s, const void *response);
/* May a topic or partition be answered with this? */
bool share_is_fair(const struct share_client *s, uint32_t topic, int16_t code);
/* UINT32_MAX: none */
uint32_t share_topic_by_id(const struct model *m, const struct el_uuid *id);
/* A new one when there is none; NULL without room. */
struct share_place *share_place_at(struct share_client *s, uint32_t topic, int32_t partition);

/* Ask for leases, with outcomes of some of those that are held; closing: only those, and the session ends. */
void share_fetch(struct share_client *s, bool closing);
/* Outcomes by themselves, by ShareAcknowledge and by LeaseOutcome; nothing is asked without any. */
void share_acknowledge(struct share_client *s);
void share_tell(struct share_client *s);

#endif
