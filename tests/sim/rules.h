/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of the simulated broker as its clients know it: the limits of each reading, and which of them may
 * be in force. A reading reaches one shard after the other, so that between its beginning and its end both hold.
 */
#ifndef EL_SIM_RULES_H
#define EL_SIM_RULES_H

#include <stdbool.h>
#include <stdint.h>

#define RULES_MAX 256u /* readings of one seed */

enum rule {
    RULE_SESSION_MIN_MS,
    RULE_SESSION_MAX_MS,
    RULE_NOTE_LEN, /* of a commit */
    RULE_RETENTION_MINUTES,
    RULE_FETCH_LEN,
    RULE_BATCH_LEN,
    RULE_COUNT
};

struct rule_book {
    int64_t at[RULES_MAX][RULE_COUNT];
    uint32_t begun; /* the last reading that has begun, from 0 */
    uint32_t done;  /* the last one that every shard has */
};

/* Least and greatest value that may have been in force since `first` was book->done. */
int64_t rule_least(const struct rule_book *book, enum rule rule, uint32_t first);
int64_t rule_most(const struct rule_book *book, enum rule rule, uint32_t first);
/* A process ended: the next one has the last reading. */
static inline void rules_settle(struct rule_book *book)
{
    book->done = book->begun;
}

#endif
