/* SPDX-License-Identifier: Apache-2.0
 *
 * What is cheap to look at comes first: key, then type, then patterns.
 */
#include <format/sieve.h>

size_t el_sieve_scratch_len(const struct el_sieve *sieve)
{
    return sieve->pattern == NULL ? 1 : EL_MAX(el_pattern_scratch_len(sieve->pattern), (size_t)1);
}

static bool next_header(void *headers, struct el_slice *name, struct el_slice *value)
{
    struct el_header header;
    if (!el_header_next(headers, &header)) {
        return false;
    }
    *name = header.key;
    *value = header.value;
    return true;
}

static bool key_fits(const struct el_sieve *sieve, struct el_slice key)
{
    if (sieve->key.data != NULL && (key.data == NULL || !el_slice_eq(key, sieve->key))) {
        return false;
    }
    return sieve->prefix.data == NULL || (key.data != NULL && key.len >= sieve->prefix.len &&
                                          memcmp(key.data, sieve->prefix.data, sieve->prefix.len) == 0);
}

static bool type_fits(const struct el_sieve *sieve, const struct el_record *record)
{
    struct el_slice type;
    if (sieve->type_count == 0) {
        return true;
    }
    if (!el_header_find(record, EL_SIEVE_TYPE_HEADER, &type) || type.data == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < sieve->type_count; i++) {
        if (el_slice_eq(type, sieve->types[i])) {
            return true;
        }
    }
    return false;
}

enum el_pattern_verdict el_sieve_match(const struct el_sieve *sieve, const struct el_record *record, void *scratch,
                                       uint64_t *steps)
{
    if (!key_fits(sieve, record->key) || !type_fits(sieve, record)) {
        return EL_PATTERN_NO_MATCH;
    }
    if (sieve->pattern == NULL) {
        return EL_PATTERN_MATCH;
    }
    struct el_reader headers = record->headers;
    const struct el_pattern_event event = {
        .key = record->key,
        .value = record->value,
        .header_next = next_header,
        .headers = &headers,
    };
    uint32_t steps_max = sieve->steps_max == 0 ? EL_PATTERN_STEPS_DEFAULT : sieve->steps_max;
    return el_pattern_match_counted(sieve->pattern, &event, scratch, steps_max, steps);
}
