/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of requests and the choice of layout by request. Runs on any thread.
 *
 * A body is decoded whole or refused: bytes left over behind it mean that the peer's idea of the version differs.
 */
#include <wire/api.h>

#include <core/assert.h>
#include <evlog/error.h>
#include <wire/schema_cbor.h>

#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit)                      \
    extern const struct el_schema el_schema_##stem##_request, el_schema_##stem##_response;
#include <wire/api.def>
#undef X

/* clang-format off */
static const struct el_api apis[EL_API_COUNT] = {
#define X(NAME, stem, key, list_min, list_max, accept_min, flexible_from, body, operation, audit)                      \
    {#NAME, {&el_schema_##stem##_request, &el_schema_##stem##_response}, #operation,                                   \
     key, list_min, list_max, accept_min, flexible_from, EL_BODY_##body},
#include <wire/api.def>
#undef X
};
/* clang-format on */

const struct el_api *el_api_find(int key)
{
    size_t low = 0, high = EL_API_COUNT;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (apis[mid].key == key) {
            return &apis[mid];
        }
        if (apis[mid].key < key) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

const struct el_api *el_api_find_name(const char *name)
{
    for (uint32_t i = 0; i < EL_API_COUNT; i++) {
        if (strcmp(apis[i].name, name) == 0) {
            return &apis[i];
        }
    }
    return NULL;
}

const struct el_api *el_api_at(uint32_t index)
{
    EL_ASSERT(index < EL_API_COUNT);
    return &apis[index];
}

bool el_api_accepts(const struct el_api *api, int version)
{
    return version >= api->accept_min && version <= api->list_max;
}

int el_api_request_header_version(const struct el_api *api, int version)
{
    return version >= api->flexible_from ? 2 : 1;
}

int el_api_response_header_version(const struct el_api *api, int version)
{
    return api->key != EL_API_ApiVersions && version >= api->flexible_from ? 1 : 0;
}

int el_api_decode(const struct el_api *api, enum el_side side, int version, struct el_reader *r, struct el_arena *arena,
                  void *out)
{
    if (!el_api_accepts(api, version)) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    int err = api->body == EL_BODY_CBOR ? el_schema_cbor_decode(api->schema[side], version, r, arena, out)
                                        : el_schema_decode(api->schema[side], version, r, arena, out);
    if (err == 0 && el_reader_left(r) != 0) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
        err = EVLOG_ERR_MALFORMED;
    }
    return err;
}

void el_api_measure(const struct el_api *api, enum el_side side, int version, const void *in, size_t copy_len_max,
                    struct el_schema_size *size)
{
    if (api->body == EL_BODY_CBOR) {
        el_schema_cbor_measure(api->schema[side], version, in, copy_len_max, size);
    } else {
        el_schema_measure(api->schema[side], version, in, copy_len_max, size);
    }
}

int el_api_encode(const struct el_api *api, enum el_side side, int version, const void *in, struct el_writer *w,
                  struct el_gather *gather)
{
    if (!el_api_accepts(api, version)) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    return api->body == EL_BODY_CBOR ? el_schema_cbor_encode(api->schema[side], version, in, w, gather)
                                     : el_schema_encode_gather(api->schema[side], version, in, w, gather);
}
