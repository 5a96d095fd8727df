/* SPDX-License-Identifier: Apache-2.0 */
#include "bisect_search.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/error.h>
#include <string.h>

void bisect_begin(struct bisect_search *search, uint64_t count)
{
    EL_ASSERT(count > 0);
    *search = (struct bisect_search){.good = 0, .bad = count};
}

void bisect_end(struct bisect_search *search)
{
    el_free(search->skipped);
    *search = (struct bisect_search){.good = 0};
}

/* Index of the first skipped count that is not below count. */
static size_t place_of(const struct bisect_search *search, uint64_t count)
{
    size_t low = 0, high = search->skipped_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        low = search->skipped[middle] < count ? middle + 1 : low;
        high = search->skipped[middle] < count ? high : middle;
    }
    return low;
}

bool bisect_next(const struct bisect_search *search, uint64_t *count)
{
    uint64_t middle = search->good + (search->bad - search->good) / 2;
    if (search->bad - search->good < 2) {
        return false;
    }
    size_t up = place_of(search, middle), down = up;
    uint64_t high = middle, low = middle;
    if (up == search->skipped_count || search->skipped[up] != middle) {
        *count = middle;
        return true;
    }
    /* Upwards and downwards from the middle, out of the run of skipped ones that it lies in. */
    while (up < search->skipped_count && search->skipped[up] == high) {
        up++;
        high++;
    }
    do {
        low--;
    } while (down > 0 && search->skipped[--down] == low);
    bool high_fits = high<search->bad, low_fits = low> search->good;
    if (!high_fits && !low_fits) {
        return false;
    }
    *count = !high_fits || (low_fits && middle - low < high - middle) ? low : high;
    return true;
}

int bisect_note(struct bisect_search *search, uint64_t count, enum bisect_verdict verdict)
{
    EL_ASSERT(count > search->good);
    EL_ASSERT(count < search->bad);
    switch (verdict) {
    case BISECT_GOOD:
        search->good = count;
        return 0;
    case BISECT_BAD:
        search->bad = count;
        return 0;
    case BISECT_SKIP:
        break;
    }
    if (search->skipped_count == search->skipped_room) {
        size_t room = search->skipped_room == 0 ? 16 : 2 * search->skipped_room;
        uint64_t *grown = el_realloc(search->skipped, room * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        search->skipped = grown;
        search->skipped_room = room;
    }
    size_t place = place_of(search, count);
    memmove(&search->skipped[place + 1], &search->skipped[place],
            (search->skipped_count - place) * sizeof *search->skipped);
    search->skipped[place] = count;
    search->skipped_count++;
    return 0;
}
