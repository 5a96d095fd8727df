/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a header of Basic becomes a message of PLAIN, and any other bytes are refused. Method: a table.
 */
#include <http/authorization.h>

#include "../../lib/test.h"

#include <core/base64.h>
#include <core/err.h>

#include <string.h>

TEST(authorization, basic_is_plain)
{
    uint8_t plain[HTTP_PLAIN_MAX];
    size_t len = 0;
    assert_int_equal(http_basic_plain("Basic YWxpY2U6c2VjcmV0", plain, &len), 0);
    assert_int_equal(len, 13);
    assert_memory_equal(plain, "\0alice\0secret", 13);
    assert_int_equal(http_basic_plain("bASIC   YTpiOmM=", plain, &len), 0); /* a password may hold a colon */
    assert_memory_equal(plain, "\0a\0b:c", 6);
    assert_int_equal(len, 6);
}

TEST(authorization, others_are_refused)
{
    static const struct {
        const char *header;
        int error;
    } rows[] = {
        {"", EVLOG_ERR_UNSUPPORTED},
        {"Basic", EVLOG_ERR_UNSUPPORTED},
        {"Bearer YTpi", EVLOG_ERR_UNSUPPORTED},
        {"BasicYTpi", EVLOG_ERR_UNSUPPORTED},
        {"Basic ", EVLOG_ERR_MALFORMED},
        {"Basic YWI=", EVLOG_ERR_MALFORMED},
        {"Basic YTpi=", EVLOG_ERR_MALFORMED},
        {"Basic YTpiOmJiYmI/Pz8_", EVLOG_ERR_MALFORMED}, /* behind most of a password */
        {"Basic YQBiOmM=", EVLOG_ERR_MALFORMED},
        {"Basic YTpi ", EVLOG_ERR_MALFORMED},
        {"Basic Y Tp", EVLOG_ERR_MALFORMED},
    };
    uint8_t plain[HTTP_PLAIN_MAX] = {0};
    size_t len = 77;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(http_basic_plain(rows[i].header, plain, &len), rows[i].error);
        assert_int_equal(len, 77);
        assert_true(memchr(plain, 'b', sizeof plain) == NULL); /* of "a:b" and the like nothing stays */
    }
}

TEST(authorization, longest_fits_and_one_more_does_not)
{
    static char data[HTTP_PLAIN_MAX + 2], header[2 * HTTP_PLAIN_MAX];
    uint8_t plain[HTTP_PLAIN_MAX];
    size_t len = 0;
    memset(data, 'x', sizeof data);
    data[1] = ':';
    for (size_t more = 0; more < 2; more++) {
        strcpy(header, "Basic ");
        el_base64_encode(header + 6, data, HTTP_PLAIN_MAX - 1 + more);
        assert_int_equal(http_basic_plain(header, plain, &len), more == 0 ? 0 : EVLOG_ERR_LIMIT);
        assert_int_equal(len, HTTP_PLAIN_MAX);
    }
}
