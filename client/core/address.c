/* SPDX-License-Identifier: Apache-2.0 */
#include <core/address.h>

#include <core/assert.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

EL_STATIC_ASSERT(EL_ADDRESS_TEXT_MAX == INET6_ADDRSTRLEN, "every address fits as text");

bool el_address_canonical(struct el_slice given, char address[EL_ADDRESS_TEXT_MAX])
{
    char text[EL_ADDRESS_TEXT_MAX];
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
        return inet_ntop(AF_INET, &in4, address, EL_ADDRESS_TEXT_MAX) != NULL;
    }
    if (inet_pton(AF_INET6, text, &in6) != 1) {
        return false;
    }
    return IN6_IS_ADDR_V4MAPPED(&in6) ? inet_ntop(AF_INET, &in6.s6_addr[12], address, EL_ADDRESS_TEXT_MAX) != NULL
                                      : inet_ntop(AF_INET6, &in6, address, EL_ADDRESS_TEXT_MAX) != NULL;
}

bool el_address_same(struct el_slice a, struct el_slice b)
{
    char text_a[EL_ADDRESS_TEXT_MAX], text_b[EL_ADDRESS_TEXT_MAX];
    return el_address_canonical(a, text_a) && el_address_canonical(b, text_b) && strcmp(text_a, text_b) == 0;
}
