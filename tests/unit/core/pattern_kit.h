/* SPDX-License-Identifier: Apache-2.0
 *
 * Events and patterns for tests, written as text.
 */
#ifndef EL_TEST_PATTERN_KIT_H
#define EL_TEST_PATTERN_KIT_H

#include <core/pattern.h>

/* An event: a key (NULL none), headers "name=value;name=value" (NULL none; a name alone has a null value), a payload
 * (NULL none). */
struct kit_event {
    const char *key;
    const char *headers;
    struct el_slice payload;
};

/* A copy in the arena with " for every '; NULL stays NULL. */
const char *kit_quoted(struct el_arena *arena, const char *text);
/* Compile a pattern that must be fair, and may be written with ', into arena. */
const struct el_pattern *kit_compile(struct el_arena *arena, const char *text);
/* Match with exactly the scratch that is asked for, filled with ones. */
enum el_pattern_verdict kit_match(const struct el_pattern *pattern, const struct kit_event *event, uint32_t steps_max);
const char *kit_verdict_name(enum el_pattern_verdict verdict);

/* A table row: in pattern and payload (NULL none) ' stands for ". */
struct kit_row {
    const char *pattern;
    const char *payload;
    enum el_pattern_verdict verdict;
    const char *headers;
    const char *key;
};
#define DATA(pattern, payload, verdict)                                                                                \
    {                                                                                                                  \
        pattern, payload, verdict, NULL, NULL                                                                          \
    }
#define NO EL_PATTERN_NO_MATCH
#define YES EL_PATTERN_MATCH
#define UNPARSABLE EL_PATTERN_UNPARSABLE

void kit_check(const struct kit_row *rows, size_t count);
#define KIT_CHECK(rows) kit_check(rows, sizeof(rows) / sizeof((rows)[0]))

#endif
