/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of every API, made from their schemas: with one resource of each kind, the topic "events" and the group "g".
 */
#ifndef TESTS_UNIT_API_FILLED_H
#define TESTS_UNIT_API_FILLED_H

#include "fake.h"

/* Send one and let time pass until it has an answer. Metadata makes nothing. The caller frees it. */
struct fake_request *filled_send(struct fake *f, const struct el_api *row, int version);

#endif
