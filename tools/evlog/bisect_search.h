/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of a row of events turned good into bad: the search, without any replay. Pure; one thread.
 *
 * The state after 0 events is good, that after count events is bad. Each try halves what is between; states that cannot
 * be judged are stepped around.
 */
#ifndef EVLOG_TOOLS_BISECT_SEARCH_H
#define EVLOG_TOOLS_BISECT_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bisect_verdict { BISECT_GOOD, BISECT_BAD, BISECT_SKIP };

struct bisect_search {
    uint64_t good;     /* the most events whose state is good */
    uint64_t bad;      /* the fewest whose state is bad */
    uint64_t *skipped; /* [skipped_count] that could not be judged, ascending */
    size_t skipped_count, skipped_room;
};

/* Begin; count is at least 1. */
void bisect_begin(struct bisect_search *search, uint64_t count);
void bisect_end(struct bisect_search *search);
/* How many events the next state to be judged is made of. returns false: nothing is left to be judged; then event
 * number bad is guilty if good + 1 == bad, else it is one of good + 1 .. bad */
bool bisect_next(const struct bisect_search *search, uint64_t *count);
/* Note a verdict. returns 0 | EVLOG_ERR_NO_MEMORY */
int bisect_note(struct bisect_search *search, uint64_t count, enum bisect_verdict verdict);

#endif
