/* SPDX-License-Identifier: Apache-2.0
 *
 * A sieve: which records somebody wants, by key, prefix of the key, event type and event patterns. The broker and a
 * subscriber use the same one: the first to pass over batches without a match, the second over what came in a batch
 * with one. Pure functions; any thread, each with a scratch of its own.
 */
#ifndef EL_FORMAT_SIEVE_H
#define EL_FORMAT_SIEVE_H

#include <core/pattern.h>
#include <format/record.h>

#define EL_SIEVE_TYPE_HEADER "ce_type"

/* A record is wanted when all that is given is true of it; all borrowed. All zero takes every record. */
struct el_sieve {
    struct el_slice key;          /* its key is this one; data NULL: any */
    struct el_slice prefix;       /* its key begins so; data NULL: any, also none */
    const struct el_slice *types; /* [type_count] its ce_type is one of these; none: any */
    uint32_t type_count;
    const struct el_pattern *pattern; /* NULL: any */
    uint32_t steps_max;               /* of the pattern on one record; 0: EL_PATTERN_STEPS_DEFAULT */
};

static inline bool el_sieve_is_open(const struct el_sieve *sieve)
{
    return sieve->key.data == NULL && sieve->prefix.data == NULL && sieve->type_count == 0 && sieve->pattern == NULL;
}

/* Bytes of scratch that one match needs, at least 1. */
size_t el_sieve_scratch_len(const struct el_sieve *sieve);
/* Is the record wanted? EL_PATTERN_UNPARSABLE and EL_PATTERN_TOO_MANY_STEPS say that the pattern could not tell. The
 * steps that the pattern took are added to *steps. */
enum el_pattern_verdict el_sieve_match(const struct el_sieve *sieve, const struct el_record *record, void *scratch,
                                       uint64_t *steps);

#endif
