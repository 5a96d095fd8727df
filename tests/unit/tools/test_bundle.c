/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what may be secret does not get into a bundle, and the rest does, letter by letter. Method: tables of lines.
 */
#include "../../../tools/evlog/bundle_tar.h"
#include "../../../tools/evlog/http_page.h"

#include "../../lib/test.h"

#include <string.h>

static void assert_masked(const char *text, const char *wanted)
{
    struct el_buffer out = {.err = 0};
    bundle_mask(&out, el_slice_str(text));
    assert_string_equal(out.len == 0 ? "" : el_buffer_text(&out), wanted);
    el_buffer_free(&out);
}

TEST(bundle, secrets_are_masked)
{
    assert_masked("sasl.password = Zitrone=7\nnext = 1\n", "sasl.password = ***\nnext = 1\n");
    assert_masked("{\"client_secret\": \"x\", \"a\": 1}", "{\"client_secret\": ***");
    assert_masked("AWS_SECRET_ACCESS_KEY=abc", "AWS_SECRET_ACCESS_KEY= ***");
    assert_masked("Authorization: Basic eA==\r\n", "Authorization: ***\n");
    assert_masked("PASSWORD:x", "PASSWORD: ***");
    assert_masked("archive.url = s3://key:pass@host/b  # file\n", "archive.url = s3://***@host/b  # file\n");
    assert_masked("two http://a@b and http://c:d@e", "two http://***@b and http://***@e");
    assert_masked("a\n-----BEGIN PRIVATE KEY-----\nabc\nxyz\n-----END PRIVATE KEY-----\nb\n",
                  "a\n*** a block of PEM\nb\n");
    assert_masked("x -----BEGIN KEY-----\nnever ends", "*** a block of PEM\n");
}

TEST(bundle, the_rest_stays)
{
    static const char *const same[] = {
        "",
        "\n",
        "a = 1",
        "ssl.key.file = /etc/evlog/broker.key # file\n",
        "http://127.0.0.1:8080/x@y\n",
        "passwords are in no line\n",
        "evlog_requests_total{reason=\"x\"} 7\n\n",
        "//\n",
        "mail a@b // c",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_masked(same[i], same[i]);
    }
}

TEST(bundle, files_are_padded_blocks)
{
    struct el_buffer tar = {.err = 0};
    bundle_add(&tar, "dir/name", el_slice_str("hello"), 1);
    assert_int_equal(tar.len, 1024);
    assert_string_equal((const char *)tar.data, "dir/name");
    assert_string_equal((const char *)tar.data + 124, "00000000005");
    assert_memory_equal(tar.data + 257, "ustar\00000", 8);
    bundle_add(&tar, "empty", el_slice_str(""), -1);
    assert_int_equal(tar.len, 1536);
    bundle_end(&tar);
    assert_int_equal(tar.len, 2560);
    el_buffer_free(&tar);
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

struct seen {
    size_t count;
    double sum;
    char labels[64];
};

static void on_sample(void *arg, const char *labels, double value)
{
    struct seen *seen = arg;
    seen->count++;
    seen->sum += value;
    snprintf(seen->labels, sizeof seen->labels, "%s", labels);
}

TEST(http_page, samples_are_those_of_the_metric)
{
    static const char page[] = "# HELP a_b x\na_b{t=\"x y\"} 1.5\na_bc 100\na_b{t=\"z\"} 2\n\na_b 4\nza_b 8";
    struct seen seen = {0};
    assert_int_equal(http_page_samples(page, "a_b", on_sample, &seen), 3);
    assert_true(seen.sum == 7.5);
    assert_string_equal(seen.labels, "");
    memset(&seen, 0, sizeof seen);
    assert_int_equal(http_page_samples("a_b{t=\"x y\"} 1", "a_b", on_sample, &seen), 1);
    assert_string_equal(seen.labels, "t=\"x y\"");
    static const char *const odd[] = {"", "a_b", "a_b{", "a_b{}", "a_b{x", "a_b ", "a_b{\n", "a_b{t=\"} 1"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        (void)http_page_samples(odd[i], "a_b", on_sample, &seen); /* stays within the text */
    }
}

TEST(http_page, labels_are_found_and_unescaped)
{
    char text[16];
    static const char labels[] = "group=\"a\\\"b,topic=\\\\\",topic=\"t\"";
    assert_true(http_page_label(labels, "group", text, sizeof text));
    assert_string_equal(text, "a\"b,topic=\\");
    assert_true(http_page_label(labels, "topic", text, sizeof text));
    assert_string_equal(text, "t");
    assert_false(http_page_label(labels, "opic", text, sizeof text));
    assert_false(http_page_label(labels, "none", text, sizeof text));
    assert_false(http_page_label(labels, "group", text, 4));
    static const char *const odd[] = {"", "a", "a=", "a=\"", "a=\"\\", "a=\"x\"b=\"y\"", ",", "=\"x\""};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_false(http_page_label(odd[i], "b", text, sizeof text));
    }
}
