/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections each client address and each principal has, over all shards of a node: one table of words that
 * they change without a lock, so that a limit holds whichever shard a connection has fallen to.
 *
 * A word is a seat: a tag of whom it is for, and how many connections it stands for. Whoever comes first takes a free
 * seat of a few rows that its hash leads to, and the last one to go frees it. Two shards that seat the same one at the
 * same moment may take two seats: all of them are added up, and the last to go finds whichever is left.
 *
 * The table has a fixed size, so that strangers cannot make it grow. Who finds all seats of its rows taken is not
 * counted, and so not held to a limit; with a thousand others at a time that does not happen, with 50,000 it may: then
 * max.connections is the limit that counts. Names are hashed with a secret: nobody can choose one that fills the rows
 * of another.
 */
#ifndef EL_NET_CENSUS_H
#define EL_NET_CENSUS_H

#include <core/bytes.h>
#include <core/hash.h>
#include <stdatomic.h>
#include <stdbool.h>

#define CENSUS_ROW_COUNT 8192u /* a power of two */
#define CENSUS_ROW_LEN 8u      /* seats, a cache line */
#define CENSUS_ROWS_TRIED 4u   /* that a name may sit in */

enum census_kind { CENSUS_ADDRESS, CENSUS_PRINCIPAL };

/* Zeros, but for the secret, is an empty one. */
struct census {
    uint8_t secret[EL_XXH3_SECRET_LEN]; /* random, filled by who makes it */
    _Alignas(64) _Atomic uint64_t rows[CENSUS_ROW_COUNT][CENSUS_ROW_LEN];
};

/* Who is counted. */
uint64_t census_id(const struct census *census, enum census_kind kind, struct el_slice name);
/* One connection more, unless that is over the limit. Any thread. Two shards that ask for the last place at the same
 * moment may both get it.
 *
 * seated   out: census_leave() is owed
 * returns  false over the limit, nothing is owed
 */
bool census_enter(struct census *census, uint64_t id, uint32_t limit, bool *seated);
/* One less. Any thread; only for who was seated. */
void census_leave(struct census *census, uint64_t id);
/* Those that are counted now. */
uint32_t census_count(struct census *census, uint64_t id);

#endif
