/* SPDX-License-Identifier: Apache-2.0
 *
 * The mechanisms by which clients of a listener may prove who they are.
 */
#ifndef EL_API_SASL_OFFER_H
#define EL_API_SASL_OFFER_H

#include <api/api.h>

#define SASL_OFFER_MAX 3u

/* names[SASL_OFFER_MAX], static; returns how many: 0 on a listener without SASL. PLAIN is offered over TLS only. */
uint32_t sasl_offer(const struct api *api, const struct request *request, struct el_slice *names);
bool sasl_offered(const struct el_slice *names, uint32_t count, struct el_slice name);

#endif
