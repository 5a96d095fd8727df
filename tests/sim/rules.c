/* SPDX-License-Identifier: Apache-2.0
 *
 * See rules.h.
 */
#include "rules.h"

#include <core/assert.h>
#include <core/bytes.h>

int64_t rule_least(const struct rule_book *book, enum rule rule, uint32_t first)
{
    EL_ASSERT(first <= book->begun);
    int64_t least = book->at[first][rule];
    for (uint32_t i = first + 1; i <= book->begun; i++) {
        least = EL_MIN(least, book->at[i][rule]);
    }
    return least;
}

int64_t rule_most(const struct rule_book *book, enum rule rule, uint32_t first)
{
    EL_ASSERT(first <= book->begun);
    int64_t most = book->at[first][rule];
    for (uint32_t i = first + 1; i <= book->begun; i++) {
        most = EL_MAX(most, book->at[i][rule]);
    }
    return most;
}
