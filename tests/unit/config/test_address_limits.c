/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: limits of single addresses are read as Kafka writes them, and what says nothing sure is refused. Method: lists
 * that are refused, then each way to write an address.
 */
#include <config/address_limits.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

static void refused(const char *text, const char *said)
{
    struct address_limits limits;
    struct el_error err = {0};
    assert_int_equal(address_limits_parse(text, &limits, &err), EVLOG_ERR_INVALID_CONFIG);
    if (strstr(err.text, said) == NULL) {
        fail_msg("%s: '%s' is not in: %s", text, said, err.text);
    }
}

static uint32_t limit_of(const char *text, const char *address)
{
    struct address_limits limits;
    struct el_error err = {0};
    if (address_limits_parse(text, &limits, &err) != 0) {
        fail_msg("%s: %s", text, err.text);
    }
    return address_limits_find(&limits, el_slice_str(address), 77);
}

TEST(address_limits, what_is_no_address_and_count_is_refused)
{
    static const char *const bad[] = {
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:x",
        "10.0.0.1:-1",
        "10.0.0.1:1000001",
        "10.0.0.1:5 6",
        ":5",
        "10.0.0:5",
        "10.0.0.256:5",
        "[::1:5",
        "::g:5",
        "broker.example:5",
        "10.0.0.1:5;",
        "[]:1",
        "10.0.0.1:5 , x",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:5",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(bad[i], "each must be ADDRESS:COUNT");
    }
    refused("10.0.0.1:5,10.0.0.1:6", "holds 10.0.0.1 twice");
    refused("::1:5,[0:0::1]:6", "holds ::1 twice");
    char long_list[ADDRESS_LIMITS_MAX * 16 + 64];
    size_t len = 0;
    for (uint32_t i = 0; i <= ADDRESS_LIMITS_MAX; i++) {
        len += (size_t)snprintf(long_list + len, sizeof long_list - len, "10.0.0.%u:1,", i);
    }
    refused(long_list, "at most 64 addresses");
}

TEST(address_limits, each_address_has_its_own_and_the_others_have_the_general_one)
{
    assert_int_equal(limit_of("", "10.0.0.1"), 77);
    assert_int_equal(limit_of("10.0.0.1:5", "10.0.0.1"), 5);
    assert_int_equal(limit_of("10.0.0.1:5", "10.0.0.10"), 77);
    assert_int_equal(limit_of(" 10.0.0.1:5 , 10.0.0.2 : 0,, ::1:8 ", "10.0.0.2"), 0);
    assert_int_equal(limit_of(" 10.0.0.1:5 , 10.0.0.2 : 0,, ::1:8 ", "::1"), 8);
    assert_int_equal(limit_of("[::ffff:10.0.0.1]:5", "10.0.0.1"), 5); /* as such a connection's is told */
    assert_int_equal(limit_of("[2001:DB8:0::1]:1000000", "2001:db8::1"), 1000000);
}
