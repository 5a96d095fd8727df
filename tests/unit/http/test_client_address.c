/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: where a client comes from is written as access rules write it, or rules about addresses hold for nobody.
 * Method: each form that the kernel has.
 */
#include <http/client_address.h>

#include "../../lib/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const char *of_ipv6(const char *text, uint32_t scope)
{
    static char address[EL_ADDRESS_TEXT_MAX];
    struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = scope};
    assert_int_equal(inet_pton(AF_INET6, text, &from.sin6_addr), 1);
    http_client_address((const struct sockaddr *)(const void *)&from, address);
    return address;
}

TEST(client_address, is_written_as_rules_write_it)
{
    char address[EL_ADDRESS_TEXT_MAX];
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(80)};
    assert_int_equal(inet_pton(AF_INET, "10.0.0.7", &from.sin_addr), 1);
    http_client_address((const struct sockaddr *)(const void *)&from, address);
    assert_string_equal(address, "10.0.0.7");
    assert_string_equal(of_ipv6("::ffff:10.0.0.7", 0), "10.0.0.7");
    assert_string_equal(of_ipv6("2001:db8:0:0::7", 0), "2001:db8::7");
    assert_string_equal(of_ipv6("fe80::1", 1), "fe80::1");
    http_client_address(&(const struct sockaddr){.sa_family = AF_UNIX}, address);
    assert_string_equal(address, "");
}
