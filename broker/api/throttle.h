/* SPDX-License-Identifier: Apache-2.0
 *
 * Quotas: what requests use of the limits of their callers, and how long clients have to stay away (KIP-219).
 *
 *   writing    charged with the length of its frame when its right is proved
 *   reading    charged with the length of its answer when that is made; a fetch asks for no more than a burst, and one
 *              whose client is in debt is answered empty
 *   any        charged with the time of the shard's thread; who is in debt by earlier requests stays away
 *
 * A client that has to stay away is answered at once, with the time in throttle_time_ms, and its connection is not read
 * on until that is over. Proving who one is costs nothing. Source: docs/security.md, Quotas.
 */
#ifndef EL_API_THROTTLE_H
#define EL_API_THROTTLE_H

#include <api/api.h>
#include <auth/quota_budget.h>

/* The time of the thread that a request takes; made by api_throttle_begin(). */
struct api_spent {
    uint64_t id; /* of the budget; 0: it is not measured */
    double limit;
    uint64_t from_ns;
};

/* The request is about to be handled. */
void api_throttle_begin(struct api *api, struct request *request, struct api_spent *spent);
/* Its handler has returned; the request may be gone. */
void api_throttle_end(struct api *api, const struct api_spent *spent);
/* The answer to a metered request is made; arg is the struct api: a net_meter_fn. */
void api_throttle_meter(void *arg, struct request *request, size_t len);
/* For net_config.admit; arg is the struct api. */
bool api_throttle_admit(void *arg, struct el_slice address);
/* Most bytes that an answer with events may have, out of those asked for. */
uint32_t api_throttle_len_max(struct api *api, const struct request *request, uint32_t bytes_max);

#endif
