/* SPDX-License-Identifier: Apache-2.0
 *
 * Positions as words.
 */
#include <wire/position.h>

#include <core/assert.h>
#include <core/base64.h>
#include <core/hash.h>
#include <evlog/error.h>

#define POSITION_VERSION 1
#define POSITION_LEN 30u /* a multiple of 3: its base64 has no padding */
#define POS_TOPIC_ID 1u
#define POS_PARTITION 17u
#define POS_OFFSET 21u
#define POS_CHECK 29u

EL_STATIC_ASSERT(POSITION_LEN / 3 * 4 == EL_POSITION_TEXT_LEN, "the word has no padding");

static void swap_letter(char *letter, char from, char to)
{
    if (*letter == from) {
        *letter = to;
    }
}

void el_position_format(char *text, const struct el_position *position)
{
    uint8_t bytes[POSITION_LEN];
    EL_ASSERT(position->partition >= 0);
    EL_ASSERT(position->offset >= 0);
    bytes[0] = POSITION_VERSION;
    memcpy(bytes + POS_TOPIC_ID, position->topic_id.bytes, sizeof position->topic_id.bytes);
    el_put_be32(bytes + POS_PARTITION, (uint32_t)position->partition);
    el_put_be64(bytes + POS_OFFSET, (uint64_t)position->offset);
    bytes[POS_CHECK] = (uint8_t)el_crc32c(0, bytes, POS_CHECK);
    el_base64_encode(text, bytes, sizeof bytes);
    for (uint32_t i = 0; i < EL_POSITION_TEXT_LEN; i++) {
        swap_letter(&text[i], '+', '-');
        swap_letter(&text[i], '/', '_');
    }
}

int el_position_parse(struct el_slice text, struct el_position *position)
{
    char letters[EL_POSITION_TEXT_LEN];
    uint8_t bytes[POSITION_LEN];
    size_t len;
    if (text.len != EL_POSITION_TEXT_LEN) {
        return EVLOG_ERR_MALFORMED;
    }
    memcpy(letters, text.data, sizeof letters);
    for (uint32_t i = 0; i < EL_POSITION_TEXT_LEN; i++) {
        if (letters[i] == '+' || letters[i] == '/') {
            return EVLOG_ERR_MALFORMED; /* one word for one position */
        }
        swap_letter(&letters[i], '-', '+');
        swap_letter(&letters[i], '_', '/');
    }
    if (el_base64_decode(letters, sizeof letters, bytes, sizeof bytes, &len) != 0 || len != POSITION_LEN ||
        bytes[POS_CHECK] != (uint8_t)el_crc32c(0, bytes, POS_CHECK)) {
        return EVLOG_ERR_MALFORMED;
    }
    if (bytes[0] != POSITION_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    struct el_position found = {
        .partition = (int32_t)el_get_be32(bytes + POS_PARTITION),
        .offset = (int64_t)el_get_be64(bytes + POS_OFFSET),
    };
    memcpy(found.topic_id.bytes, bytes + POS_TOPIC_ID, sizeof found.topic_id.bytes);
    if (found.partition < 0 || found.offset < 0) {
        return EVLOG_ERR_MALFORMED;
    }
    *position = found;
    return 0;
}
