/* SPDX-License-Identifier: Apache-2.0
 *
 * The requests evlog knows (api.def): their keys, versions, headers and schemas, and one decoder and encoder for the
 * body of any of them, whatever its layout. Pure functions; any thread.
 */
#ifndef EL_WIRE_API_H
#define EL_WIRE_API_H

#include <wire/schema.h>

enum el_api_key {
#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit) EL_API_##NAME = (key),
#include <wire/api.def>
#undef X
};

#define X(...) +1
enum {
    EL_API_COUNT = 0
#include <wire/api.def>
};
#undef X

enum el_api_body { EL_BODY_KAFKA, EL_BODY_CBOR };
enum el_side { EL_SIDE_REQUEST, EL_SIDE_RESPONSE };

struct el_api {
    const char *name;                  /* such as "ListOffsets" */
    const struct el_schema *schema[2]; /* by enum el_side */
    const char *operation;             /* what the caller must be allowed: see api.def */
    int16_t key;
    int16_t list_min; /* versions listed in ApiVersions */
    int16_t list_max;
    int16_t accept_min; /* lowest version answered, to list_max */
    int16_t flexible_from;
    uint8_t body; /* enum el_api_body */
};

/* The api of a key; NULL when unknown. */
const struct el_api *el_api_find(int key);
/* By name, exactly as in api.def; NULL when unknown. */
const struct el_api *el_api_find_name(const char *name);
/* index 0 .. EL_API_COUNT - 1, ascending keys. */
const struct el_api *el_api_at(uint32_t index);
/* True for the versions that are answered. */
bool el_api_accepts(const struct el_api *api, int version);

/* 1, or 2 with a tagged section. */
int el_api_request_header_version(const struct el_api *api, int version);
/* 0, or 1 with a tagged section; ApiVersions always 0. */
int el_api_response_header_version(const struct el_api *api, int version);

/* Decode a whole body; nothing may be left over behind it.
 *
 * version  an accepted one
 * out      api->schema[side]->size bytes; on failure partly filled, to be thrown away
 * returns  0 | EVLOG_ERR_TRUNCATED | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY arena spent
 *          | EVLOG_ERR_UNSUPPORTED version
 */
int el_api_decode(const struct el_api *api, enum el_side side, int version, struct el_reader *r, struct el_arena *arena,
                  void *out);

/* Length of a body, and how much of it are records longer than copy_len_max (see el_schema_measure). */
void el_api_measure(const struct el_api *api, enum el_side side, int version, const void *in, size_t copy_len_max,
                    struct el_schema_size *size);

/* Encode a body. gather NULL copies everything.
 *
 * returns  0 | EVLOG_ERR_LIMIT room or a length limit | EVLOG_ERR_UNSUPPORTED version, or a value it cannot carry
 */
int el_api_encode(const struct el_api *api, enum el_side side, int version, const void *in, struct el_writer *w,
                  struct el_gather *gather);

#endif
