/* SPDX-License-Identifier: Apache-2.0 */
#include <config/address_limits.h>

#include <config/principals.h>
#include <config/value.h>
#include <core/assert.h>
#include <evlog/error.h>

#include <stdio.h>
#include <string.h>

#define SETTING_NAME "max.connections.per.ip.overrides"

static bool take_count(struct el_slice text, uint32_t *count)
{
    int64_t value = 0;
    if (!value_int(text, &value) || value < 0 || value > (int64_t)ADDRESS_LIMIT_MAX) {
        return false;
    }
    *count = (uint32_t)value;
    return true;
}

static int take_limit(struct el_slice word, struct address_limits *limits, struct el_error *err)
{
    struct address_limit *limit = &limits->list[limits->count];
    const uint8_t *colon = memrchr(word.data, ':', word.len);
    size_t len = colon == NULL ? 0 : (size_t)(colon - word.data);
    struct el_slice address = el_slice_of(word.data, len);
    if (colon == NULL || !el_address_canonical(value_trim(address), limit->address) ||
        !take_count(el_slice_of(colon + 1, word.len - len - 1), &limit->count_max)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            SETTING_NAME " holds '%.*s': each must be ADDRESS:COUNT with a numeric address and 0 to %u "
                                         "connections, with commas between them",
                            value_shown_len(word), (const char *)word.data, ADDRESS_LIMIT_MAX);
    }
    for (uint32_t i = 0; i < limits->count; i++) {
        if (strcmp(limits->list[i].address, limit->address) == 0) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, SETTING_NAME " holds %s twice", limit->address);
        }
    }
    limits->count++;
    return 0;
}

int address_limits_parse(const char *text, struct address_limits *limits, struct el_error *err)
{
    struct el_slice word;
    limits->count = 0;
    for (const char *rest = text; config_word_next(&rest, &word);) {
        if (limits->count == ADDRESS_LIMITS_MAX) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, SETTING_NAME " can list at most %u addresses",
                                ADDRESS_LIMITS_MAX);
        }
        int error = take_limit(word, limits, err);
        if (error != 0) {
            return error;
        }
    }
    EL_ASSERT(limits->count <= ADDRESS_LIMITS_MAX);
    return 0;
}

uint32_t address_limits_find(const struct address_limits *limits, struct el_slice address, uint32_t otherwise)
{
    EL_ASSERT(limits->count <= ADDRESS_LIMITS_MAX);
    for (uint32_t i = 0; i < limits->count; i++) {
        if (el_slice_eq(address, el_slice_str(limits->list[i].address))) {
            return limits->list[i].count_max;
        }
    }
    return otherwise;
}
