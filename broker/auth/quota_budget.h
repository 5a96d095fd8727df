/* SPDX-License-Identifier: Apache-2.0
 *
 * What has been used of limits, for all shards of a node: one table of words that they change without a lock, so that
 * a limit holds over all shards to the byte, whichever shard a connection has fallen to.
 *
 * A budget is the moment at which all that was used will have been earned. Using some moves it on by what that takes at
 * the limit's rate; what lies further ahead than the burst has to be waited for. A budget whose moment has passed is as
 * good as none, so that its place can be given to another: the table is of a fixed size, and strangers with many names
 * cannot make it grow. Only when all places of a row are in debt does one in the least debt lose that.
 *
 * Names are told apart by a hash with a secret: nobody can choose one that shares another's budget.
 */
#ifndef EL_AUTH_QUOTA_BUDGET_H
#define EL_AUTH_QUOTA_BUDGET_H

#include <auth/quota.h>
#include <core/hash.h>
#include <stdatomic.h>

#define QUOTA_ROW_COUNT 1024u
#define QUOTA_ROW_LEN 8u
#define QUOTA_WAIT_NS_MAX UINT64_C(300000000000) /* the most that anybody is made to wait for; more use is forgotten */

struct quota_slot {
    _Atomic uint64_t id;       /* of the budget; 0: free */
    _Atomic uint64_t until_ns; /* monotonic; earned by then */
};

struct quota_budget {
    uint8_t secret[EL_XXH3_SECRET_LEN];
    struct quota_slot rows[QUOTA_ROW_COUNT][QUOTA_ROW_LEN];
};

/* A use of a budget. */
struct quota_use {
    uint64_t id;       /* quota_budget_id() */
    uint64_t now_ns;   /* monotonic */
    uint64_t cost_ns;  /* what it takes at the limit's rate: quota_cost_ns() */
    uint64_t burst_ns; /* what may be used ahead of its time */
};

/* Free of any use; secret is filled by the caller with random bytes. */
void quota_budget_init(struct quota_budget *budget);
/* The budget of a limit that counts for a caller, or of an address. */
uint64_t quota_budget_id(const struct quota_budget *budget, enum quota_kind kind, const struct quota_hit *hit,
                         const struct quota_caller *caller);
uint64_t quota_budget_ip_id(const struct quota_budget *budget, struct el_slice address);
/* Time that an amount takes at a rate a second; at most what is waited for and some more. */
uint64_t quota_cost_ns(double amount, double limit);

/* Use it, whatever is left. Any thread. returns ns to wait before the next use; 0: none */
uint64_t quota_budget_charge(struct quota_budget *budget, const struct quota_use *use);
/* Use it if that leaves nothing to be waited for. Any thread. returns false: nothing was used */
bool quota_budget_try(struct quota_budget *budget, const struct quota_use *use);

#endif
