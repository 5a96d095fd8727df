/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two halves of the compiler share: pattern_compile.c reads names and objects, pattern_matcher.c the arrays of
 * matchers in them.
 */
#ifndef EL_CORE_PATTERN_PARSE_H
#define EL_CORE_PATTERN_PARSE_H

#include "pattern_program.h"
#include <core/json_scan.h>

struct pattern_parse {
    struct el_pattern *pattern; /* being built, over all texts of a set */
    const struct el_pattern_limits *limits;
    struct el_arena *arena;
    struct el_error *err;
    struct el_json_walk walk;
    uint32_t pattern_count; /* of the set */
    uint32_t matcher_count; /* of this pattern */
    struct pattern_node *made_last;
};

/* Whose matchers are read: text that has no inner structure takes fewer kinds. */
enum pattern_place { PATTERN_IN_KEY, PATTERN_IN_HEADER, PATTERN_IN_PAYLOAD };

/* Refuse what lies at the current token. returns EVLOG_ERR_MALFORMED, so that it can be returned */
int pattern_refuse(struct pattern_parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for what is too much of it. returns EVLOG_ERR_LIMIT */
int pattern_refuse_limit(struct pattern_parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));
int pattern_no_memory(struct pattern_parse *parse);
/* The next token; the text has been scanned before, so there is one. */
enum el_json_token pattern_token(struct pattern_parse *parse);
/* The string or name that is the current token, decoded into the arena. returns 0 | EVLOG_ERR_NO_MEMORY */
int pattern_string(struct pattern_parse *parse, struct el_slice *text);
/* The array of a name, whose opening bracket is the current token, into term. returns 0 | EVLOG_ERR_ */
int pattern_parse_leaf(struct pattern_parse *parse, enum pattern_place place, struct pattern_term *term);

#endif
