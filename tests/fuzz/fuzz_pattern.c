/* SPDX-License-Identifier: Apache-2.0
 *
 * Event patterns as users send them, and events as publishers do. The input is a pattern, a NUL, a byte that says how
 * the payload is to be read, and the payload; without a NUL it is pattern and payload both.
 *
 *   1. a pattern that is refused comes with a code and a text; one that is taken stays inside its limits;
 *   2. a match needs no memory but the scratch it asks for, and gives the same verdict again;
 *   3. with fewer steps the verdict is the same, or that they were too few;
 *   4. the pattern twice is the pattern once, unless those are more patterns than may be;
 *   5. a payload is unreadable for every pattern that looks into it, or for none.
 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/pattern.h>
#include <evlog/error.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ARENA_MAX ((size_t)8 << 20) /* of a pattern of at most 64 KiB */
#define STEPS 100000

struct headers {
    bool cbor;
    uint32_t next;
    struct el_slice payload;
};

static bool next_header(void *cursor, struct el_slice *name, struct el_slice *value)
{
    struct headers *headers = cursor;
    switch (headers->next++) {
    case 0:
        *name = el_slice_str("content-type");
        *value = el_slice_str(headers->cbor ? "application/cbor" : "text/plain");
        return true;
    case 1: /* text of any kind, also what is no UTF-8 */
        *name = el_slice_str("h");
        *value = headers->payload;
        return true;
    default:
        return false;
    }
}

static enum el_pattern_verdict match(const struct el_pattern *pattern, struct headers headers, uint32_t steps)
{
    size_t scratch_len = el_pattern_scratch_len(pattern);
    void *scratch = malloc(scratch_len);
    EL_ASSERT(scratch != NULL || scratch_len == 0);
    struct el_pattern_event event = {
        .key = headers.payload,
        .value = headers.payload,
        .header_next = next_header,
        .headers = &headers,
    };
    bool before = el_alloc_seal(true);
    enum el_pattern_verdict verdict = el_pattern_match(pattern, &event, scratch, steps);
    (void)el_alloc_seal(before);
    free(scratch);
    return verdict;
}

static const struct el_pattern *compile(struct el_arena *arena, struct el_slice text, size_t count)
{
    const struct el_slice texts[2] = {text, text};
    const struct el_pattern *pattern = NULL;
    struct el_error err = {0};
    int rc = el_pattern_compile_any(texts, count, NULL, arena, &pattern, &err);
    EL_ASSERT((rc == 0) == (pattern != NULL));
    EL_ASSERT(rc == err.code);
    EL_ASSERT(rc != EVLOG_ERR_NO_MEMORY);
    EL_ASSERT((rc == 0) == (err.text[0] == '\0'));
    return pattern;
}

static bool readable(struct headers headers)
{
    static const char text[] = "{\"data\":{\"no such name\":[{\"exists\":false}]}}";
    struct el_arena arena;
    el_arena_init(&arena, NULL, ARENA_MAX);
    const struct el_pattern *pattern = compile(&arena, el_slice_str(text), 1);
    enum el_pattern_verdict verdict = match(pattern, headers, UINT32_MAX);
    el_arena_reset(&arena);
    return verdict != EL_PATTERN_UNPARSABLE;
}

static void try_pattern(struct el_slice text, struct headers headers)
{
    struct el_arena arena, arena_twice;
    el_arena_init(&arena, NULL, ARENA_MAX);
    el_arena_init(&arena_twice, NULL, 2 * ARENA_MAX);
    const struct el_pattern *pattern = compile(&arena, text, 1);
    const struct el_pattern *twice = compile(&arena_twice, text, 2);
    EL_ASSERT(pattern != NULL || twice == NULL);
    if (pattern != NULL) {
        enum el_pattern_verdict verdict = match(pattern, headers, STEPS);
        EL_ASSERT(match(pattern, headers, STEPS) == verdict);
        for (uint32_t steps = 0; steps < STEPS; steps = 2 * steps + 1) {
            enum el_pattern_verdict fewer = match(pattern, headers, steps);
            EL_ASSERT(fewer == verdict || fewer == EL_PATTERN_TOO_MANY_STEPS);
        }
        enum el_pattern_verdict both = twice == NULL ? verdict : match(twice, headers, 2 * STEPS);
        EL_ASSERT(both == verdict || verdict == EL_PATTERN_TOO_MANY_STEPS);
        if (verdict == EL_PATTERN_UNPARSABLE) {
            EL_ASSERT(!readable(headers));
        }
    }
    el_arena_reset(&arena);
    el_arena_reset(&arena_twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *nul = len == 0 ? NULL : memchr(data, 0, len);
    struct el_slice text = el_slice_of(data, nul == NULL ? len : (size_t)(nul - data));
    struct headers headers = {.payload = text};
    if (nul != NULL && (size_t)(nul - data) + 1 < len) {
        headers.cbor = (nul[1] & 1) != 0;
        headers.payload = el_slice_of(nul + 2, len - (size_t)(nul - data) - 2);
    }
    try_pattern(text, headers);
    return 0;
}
