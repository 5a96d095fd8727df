/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log of a simulated broker, held to its promise: what was acknowledged has both of its records, and no topic
 * is there that nobody is recorded to have asked for, whatever crashed in between.
 */
#ifndef TESTS_SIM_AUDITS_H
#define TESTS_SIM_AUDITS_H

#include "model.h"

#include <wire/api.h>

struct audits;

struct audits *audits_create(struct model *m);
void audits_free(struct audits *audits);
/* A client has got an answer. */
void audits_answer(struct audits *audits, uint32_t client, int32_t correlation_id, const struct el_api *api,
                   int version, const void *response);
/* After a start: read the whole log and compare. Sets the world's violation. */
void audits_check(struct audits *audits);

#endif
