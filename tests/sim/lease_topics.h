/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics that are deleted in the lease mode while work goes on, one at a time: those of events, after which another
 * topic takes the place of one; those of dead letters, which the broker makes anew when it needs them; those that are
 * emitted to, which are made anew. A crash in between leaves it to the next life. And events that expire.
 */
#ifndef EL_SIM_LEASE_TOPICS_H
#define EL_SIM_LEASE_TOPICS_H

#include "lease_life.h"

/* Settings of a topic of events. */
void lease_topics_config(struct lease_life *l, uint32_t topic, struct topic_config *config);
/* Maybe delete one; go on with what was begun. */
void lease_topics_step(struct lease_life *l);
/* The process has ended. */
void lease_topics_lose(struct lease_life *l);
/* Events of the topic can be appended and worked on. */
bool lease_topic_there(const struct lease_life *l, uint32_t topic);
/* Where logs begin: what has expired is gone. */
void lease_topics_look(struct lease_life *l);
/* End what was begun, of any kind. returns false: crashed, or a violation */
bool lease_topics_end(struct lease_life *l);

#endif
