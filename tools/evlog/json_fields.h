/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of a JSON value, each with its path: "customer.name", "items.0.cents". What has no parts is a field:
 * strings, numbers, true, false, null, and objects and arrays without members. A value that is no object and no array
 * is one field with an empty path.
 */
#ifndef EVLOG_TOOLS_JSON_FIELDS_H
#define EVLOG_TOOLS_JSON_FIELDS_H

#include "cli.h"

#include <core/arena.h>

struct json_field {
    struct el_slice path;  /* names and indexes with dots between them */
    struct el_slice value; /* JSON */
};

/* All zero is none. */
struct json_fields {
    struct json_field *fields; /* [count] by path in byte order, in the arena */
    size_t count;
};

/* Take a value apart.
 *
 * arena    holds what fields points to
 * returns  0 | EVLOG_ERR_MALFORMED, EVLOG_ERR_LIMIT it is no JSON that can be looked into | EVLOG_ERR_NO_MEMORY
 */
int json_fields_of(struct el_arena *arena, struct evlog_bytes data, struct json_fields *fields);
/* The field of a path; NULL: there is none. */
const struct json_field *json_fields_find(const struct json_fields *fields, struct el_slice path);
int json_path_order(struct el_slice a, struct el_slice b);
/* Is path the one asked for, or below it? */
bool json_path_within(struct el_slice path, struct el_slice asked);

#endif
