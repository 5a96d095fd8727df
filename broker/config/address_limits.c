/* SPDX-License-Identifier: Apache-2.0 */
#include <config/address_limits.h>

#include <config/principals.h>
#include <config/value.h>
#include <core/assert.h>
#include <evlog/error.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define SETTING_NAME "max.connections.per.ip.overrides"

EL_STATIC_ASSERT(ADDRESS_TEXT_MAX == INET6_ADDRSTRLEN, "every address fits as text");

bool address_canonical(struct el_slice given, char address[ADDRESS_TEXT_MAX])
{
    char text[ADDRESS_TEXT_MAX];
    struct in_addr in4;
    struct in6_addr in6;
    if (given.len >= 2 && given.data[0] == '[' && given.data[given.len - 1] == ']') {
        given = el_slice_of(given.data + 1, given.len - 2);
    }
    if (given.len == 0 || given.len >= sizeof text || memchr(given.data, 0, given.len) != NULL) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)given.len, (const char *)given.data);
    if (inet_pton(AF_INET, text, &in4) == 1) {
        return inet_ntop(AF_INET, &in4, address, ADDRESS_TEXT_MAX) != NULL;
    }
    if (inet_pton(AF_INET6, text, &in6) != 1) {
        return false;
    }
    return IN6_IS_ADDR_V4MAPPED(&in6) ? inet_ntop(AF_INET, &in6.s6_addr[12], address, ADDRESS_TEXT_MAX) != NULL
                                      : inet_ntop(AF_INET6, &in6, address, ADDRESS_TEXT_MAX) != NULL;
}

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
    if (colon == NULL || !address_canonical(value_trim(address), limit->address) ||
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
