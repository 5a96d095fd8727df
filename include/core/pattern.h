/* SPDX-License-Identifier: Apache-2.0
 *
 * Event patterns: conditions on key, headers and payload of an event, written in JSON.
 *
 *   {"ce_type": ["OrderPaid"], "data": {"total": [{"numeric": [">", 100]}]}}
 *
 * A pattern is compiled once, into an arena, and then only read: any thread may match with it, each with a scratch of
 * its own. Matching allocates nothing, does not recurse, reads the payload once from front to back, and ends after a
 * bounded number of steps.
 *
 * Source: docs/patterns.md, which describes the language; it follows the event patterns of Amazon EventBridge.
 */
#ifndef EL_CORE_PATTERN_H
#define EL_CORE_PATTERN_H

#include <core/arena.h>
#include <core/bytes.h>
#include <core/err.h>

#define EL_PATTERN_COUNT_MAX 5  /* patterns of which any may match */
#define EL_PATTERN_DEPTH_MAX 8  /* objects within each other, alternatives of $or included */
#define EL_PATTERN_NAME_MAX 255 /* bytes of a name in a pattern */

/* Steps that are enough for an ordinary pattern and a payload of 1 MiB, and far below a second. */
#define EL_PATTERN_STEPS_DEFAULT 200000u

struct el_pattern;

struct el_pattern_limits {
    size_t text_len_max;        /* bytes of one text */
    uint32_t matcher_count_max; /* of one pattern; each value of an anything-but list counts */
    uint32_t depth_max;         /* 1 .. EL_PATTERN_DEPTH_MAX */
};
#define EL_PATTERN_LIMITS_DEFAULT                                                                                      \
    {                                                                                                                  \
        .text_len_max = 65536, .matcher_count_max = 1000, .depth_max = EL_PATTERN_DEPTH_MAX                            \
    }

/* Compile one pattern, or an array of up to EL_PATTERN_COUNT_MAX of which any may match.
 *
 * text     len bytes of JSON; not needed any more afterwards
 * limits   NULL for EL_PATTERN_LIMITS_DEFAULT
 * arena    holds the result, which lives as long; after a failure it holds scraps, for the caller to reset
 * pattern  written on success only
 * returns  0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED | EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY; the text of err says
 *          line, column, what is wrong there and what to write instead
 */
int el_pattern_compile(const void *text, size_t len, const struct el_pattern_limits *limits, struct el_arena *arena,
                       const struct el_pattern **pattern, struct el_error *err);
/* As el_pattern_compile(), of texts[count] of which any may match; count 1 .. EL_PATTERN_COUNT_MAX, and there are no
 * more patterns than that in all of them. The text of err begins with "pattern 2: " where there are several texts. */
int el_pattern_compile_any(const struct el_slice *texts, size_t count, const struct el_pattern_limits *limits,
                           struct el_arena *arena, const struct el_pattern **pattern, struct el_error *err);

/* Next header of an event. returns false behind the last one; name and value (data NULL: null) are borrowed */
typedef bool (*el_pattern_header_fn)(void *headers, struct el_slice *name, struct el_slice *value);

/* What a pattern looks at; all borrowed. */
struct el_pattern_event {
    struct el_slice key;              /* data NULL: no key */
    struct el_slice value;            /* the payload; data NULL: none (a tombstone) */
    el_pattern_header_fn header_next; /* called until it returns false; NULL: no headers */
    void *headers;                    /* its cursor */
};

enum el_pattern_verdict {
    EL_PATTERN_NO_MATCH,
    EL_PATTERN_MATCH,
    EL_PATTERN_UNPARSABLE,     /* no match: the payload decides, and is neither JSON nor CBOR */
    EL_PATTERN_TOO_MANY_STEPS, /* no match: it would take more than steps_max */
};

/* Bytes of scratch that one match needs. */
size_t el_pattern_scratch_len(const struct el_pattern *pattern);
/* Match one event.
 *
 * scratch    el_pattern_scratch_len() bytes, of any content
 * steps_max  bound on the work; a step is 16 bytes read or compared, or one value tried
 */
enum el_pattern_verdict el_pattern_match(const struct el_pattern *pattern, const struct el_pattern_event *event,
                                         void *scratch, uint32_t steps_max);
/* The same, and the steps that it took are added to *steps. */
enum el_pattern_verdict el_pattern_match_counted(const struct el_pattern *pattern, const struct el_pattern_event *event,
                                                 void *scratch, uint32_t steps_max, uint64_t *steps);

#endif
