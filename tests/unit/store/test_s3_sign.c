/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests are signed as S3 computes it.
 * Method: the examples that AWS publishes, and one bit of anything signed changes the signature; versitygw judges the
 * rest (tests/integration).
 */
#include "../../../client/store/objects/s3_sign.h"
#include "../../lib/test.h"

#include <core/crypto.h>
#include <stdio.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST "examplebucket.s3.amazonaws.com"
#define DATE "20130524T000000Z"

static const struct s3_credentials example = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                                              .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static const char *signature_of(const struct s3_signed *request)
{
    static char signature[65];
    struct el_buffer out = {.err = 0};
    s3_sign(request, &example, &out);
    const char *text = el_buffer_text(&out);
    if (text == NULL) {
        assert_true(el_test_failing());
        signature[0] = '\0';
    } else {
        const char *at = strstr(text, "Signature=");
        assert_non_null(at);
        assert_null(strstr(text, "EXAMPLEKEY"));
        (void)snprintf(signature, sizeof signature, "%s", at + 10);
    }
    el_buffer_free(&out);
    return signature;
}

static struct s3_signed request_of(const char *method, const char *path, const char *query,
                                   const struct s3_header *headers, size_t count)
{
    return (struct s3_signed){.method = method,
                              .path = path,
                              .query = query,
                              .region = "us-east-1",
                              .service = "s3",
                              .date = DATE,
                              .payload = EMPTY,
                              .headers = headers,
                              .header_count = count};
}

static const struct s3_header plain[] = {{"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", DATE}};
static const struct s3_header range[] = {{"host", HOST},
                                         {"range", "bytes=0-9"},
                                         {"x-amz-content-sha256", EMPTY},
                                         {"x-amz-date", DATE}};

TEST(s3_sign, equals_published_examples)
{
    struct s3_signed request = request_of("GET", "/test.txt", "", range, 4);
    assert_string_equal(signature_of(&request), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    request = request_of("GET", "/", "lifecycle=", plain, 3);
    assert_string_equal(signature_of(&request), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    request = request_of("GET", "/", "max-keys=2&prefix=J", plain, 3);
    assert_string_equal(signature_of(&request), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(s3_sign, equals_the_published_example_of_a_put)
{
    uint8_t digest[32];
    char payload[65];
    struct el_buffer path = {.err = 0};
    el_sha256("Welcome to Amazon S3.", 21, digest);
    el_hex(payload, digest, sizeof digest);
    s3_encode(&path, "/test$file.text", true);
    const struct s3_header headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                        {"host", HOST},
                                        {"x-amz-content-sha256", payload},
                                        {"x-amz-date", DATE},
                                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
    struct s3_signed request = request_of("PUT", el_buffer_text(&path), "", headers, 5);
    request.payload = payload;
    assert_string_equal(signature_of(&request), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    el_buffer_free(&path);
}

TEST(s3_sign, derives_the_published_key)
{
    uint8_t key[32];
    char hex[65];
    struct s3_signed request = {.region = "us-east-1", .service = "iam", .date = "20150830T123600Z"};
    s3_signing_key(&request, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", key);
    el_hex(hex, key, sizeof key);
    assert_string_equal(hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

TEST(s3_sign, covers_all_that_it_names)
{
    struct s3_signed good = request_of("GET", "/a", "b=c", plain, 3);
    char signature[65];
    (void)snprintf(signature, sizeof signature, "%s", signature_of(&good));
    struct s3_header other[] = {{"host", HOST}, {"x-amz-content-sha256", EMPTY}, {"x-amz-date", DATE}};
    struct s3_signed changed[8];
    for (size_t i = 0; i < 8; i++) {
        changed[i] = good;
    }
    changed[0].method = "PUT";
    changed[1].path = "/b";
    changed[2].query = "b=d";
    changed[3].region = "eu-west-1";
    changed[4].service = "s4";
    changed[5].date = "20130524T000001Z";
    changed[6].payload = "00";
    other[0].value = "other.host";
    changed[7].headers = other;
    for (size_t i = 0; i < 8; i++) {
        assert_string_not_equal(signature_of(&changed[i]), signature);
    }
    assert_string_equal(signature_of(&good), signature);
}

TEST(s3_sign, encodes_what_is_not_plain)
{
    struct el_buffer out = {.err = 0};
    s3_query_add(&out, "a b", "/~-._*'\xc3\xa4");
    s3_query_add(&out, "c", NULL);
    assert_string_equal(el_buffer_text(&out), "a%20b=%2F~-._%2A%27%C3%A4&c=");
    el_buffer_free(&out);
    char text[S3_DATE_LEN + 1];
    s3_date_format(text, 1369353600);
    assert_string_equal(text, DATE);
    s3_date_format(text, INT64_MAX);
    assert_int_equal(strlen(text), S3_DATE_LEN);
}

TEST_TORTURE(s3_sign, says_when_memory_is_short)
{
    struct s3_signed request = request_of("GET", "/test.txt", "", range, 4);
    (void)signature_of(&request);
}
