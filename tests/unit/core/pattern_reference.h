/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TEST_PATTERN_REFERENCE_H
#define EL_TEST_PATTERN_REFERENCE_H

#include <core/buffer.h>
#include <core/json.h>

#define DRAWN_HEADERS_MAX 3
#define DRAWN_CBOR_LEN_MAX 4096

struct drawn_event {
    char key[8]; /* none when has_key is false */
    bool has_key;
    struct {
        const char *name;
        char value[8];
        bool null;
    } headers[DRAWN_HEADERS_MAX];
    size_t header_count;
    size_t header_next;
    struct el_json *data; /* NULL none */
    struct el_buffer json;
    uint8_t cbor[DRAWN_CBOR_LEN_MAX];
    size_t cbor_len;
};

/* Does the event match the pattern, as a tree? */
bool reference_match(const struct el_json *pattern, const struct drawn_event *event);

#endif
