/* SPDX-License-Identifier: Apache-2.0 */
#include <net/census.h>

#include <core/assert.h>
#include <core/limits.h>
#include <string.h>

#define COUNT_BITS 24u
#define COUNT_MAX ((1u << COUNT_BITS) - 1)
#define NAME_LEN_MAX 512u
#define TRIES_MAX 1000000u /* others that came in between: each try that fails is one that succeeds elsewhere */

EL_STATIC_ASSERT((CENSUS_ROW_COUNT & (CENSUS_ROW_COUNT - 1)) == 0, "rows are found by masking a hash");

uint64_t census_id(const struct census *census, enum census_kind kind, struct el_slice name)
{
    uint8_t text[1 + NAME_LEN_MAX];
    size_t len = EL_MIN(name.len, (size_t)NAME_LEN_MAX);
    text[0] = (uint8_t)kind;
    if (len > 0) {
        memcpy(text + 1, name.data, len);
    }
    return el_xxh3_128(text, 1 + len, census->secret).low;
}

static uint64_t tag_of(uint64_t id)
{
    return id >> COUNT_BITS << COUNT_BITS;
}

static uint32_t count_of(uint64_t seat)
{
    return (uint32_t)(seat & COUNT_MAX);
}

/* The n-th seat that the id may have. The low bits lead to the row, the others are the tag. */
static _Atomic uint64_t *seat_at(struct census *census, uint64_t id, uint32_t n)
{
    EL_ASSERT(n < CENSUS_ROWS_TRIED * CENSUS_ROW_LEN);
    return &census->rows[(id + n / CENSUS_ROW_LEN) & (CENSUS_ROW_COUNT - 1)][n % CENSUS_ROW_LEN];
}

/* A seat of the id (wanted is its tag) or a free one (0). returns NULL: there is none; *before is what it holds */
static _Atomic uint64_t *find(struct census *census, uint64_t id, uint64_t wanted, uint64_t *before)
{
    for (uint32_t n = 0; n < CENSUS_ROWS_TRIED * CENSUS_ROW_LEN; n++) {
        _Atomic uint64_t *seat = seat_at(census, id, n);
        uint64_t held = atomic_load_explicit(seat, memory_order_relaxed);
        bool taken = count_of(held) > 0;
        if (wanted == 0 ? !taken : taken && tag_of(held) == wanted) {
            *before = held;
            return seat;
        }
    }
    return NULL;
}

uint32_t census_count(struct census *census, uint64_t id)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < CENSUS_ROWS_TRIED * CENSUS_ROW_LEN; n++) {
        uint64_t held = atomic_load_explicit(seat_at(census, id, n), memory_order_relaxed);
        count += tag_of(held) == tag_of(id) ? count_of(held) : 0;
    }
    return count;
}

bool census_enter(struct census *census, uint64_t id, uint32_t limit, bool *seated)
{
    EL_ASSERT(limit < COUNT_MAX);
    *seated = false;
    if (census_count(census, id) >= limit) {
        return false;
    }
    for (uint32_t tries = 0; tries < TRIES_MAX; tries++) {
        uint64_t before = 0;
        _Atomic uint64_t *seat = find(census, id, tag_of(id), &before);
        seat = seat == NULL ? find(census, id, 0, &before) : seat;
        if (seat == NULL) {
            return true;
        }
        uint64_t after = tag_of(id) | (count_of(before) + 1);
        EL_ASSERT(count_of(after) > 0);
        if (atomic_compare_exchange_strong_explicit(seat, &before, after, memory_order_relaxed, memory_order_relaxed)) {
            *seated = true;
            return true;
        }
    }
    return true;
}

void census_leave(struct census *census, uint64_t id)
{
    bool left = false;
    for (uint32_t tries = 0; tries < TRIES_MAX && !left; tries++) {
        uint64_t before = 0;
        _Atomic uint64_t *seat = find(census, id, tag_of(id), &before);
        if (seat != NULL) { /* else it has moved while we looked: the seats of one are as many as its connections */
            uint64_t after = count_of(before) == 1 ? 0 : before - 1;
            left = atomic_compare_exchange_strong_explicit(seat, &before, after, memory_order_relaxed,
                                                           memory_order_relaxed);
        }
    }
    EL_ASSERT(left);
}
