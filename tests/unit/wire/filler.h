/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages made and compared by table, so that one test serves every request and every version.
 */
#ifndef EL_TEST_WIRE_FILLER_H
#define EL_TEST_WIRE_FILLER_H

#include <core/rng.h>
#include <wire/api.h>

enum fill_how {
    FILL_ALL,    /* every field of the version differs from its default, nothing is null or empty */
    FILL_RANDOM, /* also defaults, nulls, empty strings and arrays */
    FILL_EMPTY,  /* defaults, and null wherever the version allows it */
};

/* A message for this version in arena memory; fields that the version lacks keep their defaults. */
void *fill_message(const struct el_schema *schema, int version, enum fill_how how, struct el_rng *rng,
                   struct el_arena *arena);
/* True when two messages are equal in every field, null and empty told apart where the version does. */
bool message_equal(const struct el_schema *schema, int version, const void *a, const void *b);

/* An api's message, made and encoded; in arena memory. */
struct encoded {
    const void *message;
    uint8_t *data;
    size_t len;
};
struct encoded encode_filled(const struct el_api *api, enum el_side side, int version, enum fill_how how,
                             struct el_rng *rng, struct el_arena *arena);

/* Decode from a block of exactly len bytes, so that a sanitizer sees every read past the end. */
int decode_copy(const struct el_api *api, enum el_side side, int version, const uint8_t *data, size_t len,
                struct el_arena *arena, void **message, uint8_t **copy);

/* For every api, side and version. */
#define EACH_MESSAGE(api, side, version)                                                                               \
    for (uint32_t api##_i = 0; api##_i < EL_API_COUNT; api##_i++)                                                      \
        for (int side = 0; side < 2; side++)                                                                           \
            for (const struct el_api *api = el_api_at(api##_i), *api##_once = api; api##_once != NULL;                 \
                 api##_once = NULL)                                                                                    \
                for (int version = api->accept_min; version <= api->list_max; version++)

#endif
