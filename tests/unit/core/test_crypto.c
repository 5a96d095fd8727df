/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: SHA-256 equals FIPS 180-4, however the bytes are handed over.
 */
#include "../../lib/test.h"

#include <core/crypto.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(const char *data, const char *expected)
{
    uint8_t digest[32];
    char text[65];
    el_sha256(data, strlen(data), digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, expected);
    el_sha256_portable(data, strlen(data), digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, expected);
}

TEST(crypto, sha256_equals_published_vectors)
{
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(crypto, sha256_of_a_million_a)
{
    struct el_sha256 ctx;
    uint8_t digest[32];
    char text[65], block[1000];
    memset(block, 'a', sizeof(block));
    el_sha256_begin(&ctx);
    for (int i = 0; i < 1000; i++) {
        el_sha256_add(&ctx, block, sizeof(block));
    }
    el_sha256_end(&ctx, digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(crypto, sha256_does_not_depend_on_the_cuts)
{
    uint8_t data[300], whole[32], parts[32];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31);
    }
    el_sha256(data, sizeof(data), whole);
    for (size_t cut = 0; cut <= sizeof(data); cut++) {
        struct el_sha256 ctx;
        el_sha256_begin(&ctx);
        el_sha256_add(&ctx, data, cut);
        el_sha256_add(&ctx, data + cut, sizeof(data) - cut);
        el_sha256_end(&ctx, parts);
        assert_memory_equal(parts, whole, 32);
    }
}

TEST(crypto, both_paths_agree_at_every_length)
{
    uint8_t data[700], fast[32], portable[32];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * i + 7);
    }
    for (size_t len = 0; len < 600; len++) {
        el_sha256(data + len % 16, len, fast);
        el_sha256_portable(data + len % 16, len, portable);
        assert_memory_equal(fast, portable, 32);
    }
}

static const enum el_sha256_way ways[] = {EL_SHA256_BEST, EL_SHA256_WIDE, EL_SHA256_TWO, EL_SHA256_ONE};
#define WAYS (sizeof ways / sizeof ways[0])
#define MANY 40u
#define TEXT_LEN 5000u

static void fill(uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(i * i * 3 + i / 251 + 5);
    }
}

static void portable_of(const struct el_sha256_job *job, uint8_t digest[32])
{
    uint8_t text[EL_SHA256_HEAD_MAX + TEXT_LEN];
    for (size_t i = 0; i < job->head.len; i++) {
        text[i] = job->head.data[i];
    }
    memcpy(text + job->head.len, job->data.data, job->data.len);
    el_sha256_portable(text, job->head.len + job->data.len, digest);
}

/* Each number of messages, so that lanes are idle, and messages of every length beside one another. */
TEST(crypto, many_at_once_are_each_by_itself)
{
    uint8_t data[TEXT_LEN], digests[MANY][32], expected[32];
    struct el_sha256_job jobs[MANY];
    fill(data, sizeof data);
    for (size_t way = 0; way < WAYS; way++) {
        size_t number = 0;
        for (size_t count = 0; count <= MANY; count++) {
            for (size_t i = 0; i < count; i++, number++) {
                size_t len = number % 7 == 3 ? number * 13 % 4000 : number % 260;
                jobs[i] = (struct el_sha256_job){.head = el_slice_of(data + number % 50, number % 33),
                                                 .data = el_slice_of(data + number % 64, len),
                                                 .digest = digests[i]};
            }
            if (!el_sha256_many_by(ways[way], jobs, count)) {
                break;
            }
            for (size_t i = 0; i < count; i++) {
                portable_of(&jobs[i], expected);
                assert_memory_equal(digests[i], expected, 32);
            }
        }
    }
}

TEST(crypto, two_at_once_agree_at_every_length)
{
    uint8_t data[600], digests[2][32], expected[32];
    fill(data, sizeof data);
    for (size_t way = 0; way < WAYS; way++) {
        for (size_t a = 0; a < 200; a++) {
            for (size_t b = 0; b < 200; b += 1 + a % 3) {
                const struct el_sha256_job jobs[2] = {{.data = el_slice_of(data + 1, a), .digest = digests[0]},
                                                      {.data = el_slice_of(data + 300, b), .digest = digests[1]}};
                if (el_sha256_many_by(ways[way], jobs, 2) && b % 16 == a % 16) {
                    portable_of(&jobs[0], expected);
                    assert_memory_equal(digests[0], expected, 32);
                    portable_of(&jobs[1], expected);
                    assert_memory_equal(digests[1], expected, 32);
                }
            }
        }
    }
}

/* A message in pieces of every length, beside others that end; its last piece ends it, or el_sha256_end() does. */
TEST(crypto, a_message_goes_on_beside_others)
{
    uint8_t data[TEXT_LEN], digests[MANY][32], whole[32], expected[32];
    fill(data, sizeof data);
    for (size_t way = 0; way < WAYS; way++) {
        for (size_t step = 0; step < 200; step++) {
            struct el_sha256 ctx;
            struct el_sha256_job jobs[MANY];
            size_t len = 0, others = step % 20, pieces = 1 + step % 5;
            bool ends = step % 2 == 0, can = true;
            el_sha256_begin(&ctx);
            for (size_t piece = 0; piece < pieces && can; piece++) {
                size_t some = (step * 7 + piece * 31) % 200, head = step * piece % 33;
                jobs[0] = (struct el_sha256_job){.ctx = &ctx,
                                                 .head = el_slice_of(data + len, head),
                                                 .data = el_slice_of(data + len + head, some),
                                                 .digest = ends && piece + 1 == pieces ? whole : NULL};
                len += head + some;
                for (size_t i = 1; i <= others; i++) {
                    jobs[i] = (struct el_sha256_job){.data = el_slice_of(data + i, i * 17), .digest = digests[i]};
                }
                can = el_sha256_many_by(ways[way], jobs, 1 + others);
            }
            if (!can) {
                break;
            }
            if (!ends) {
                el_sha256_end(&ctx, whole);
            }
            el_sha256_portable(data, len, expected);
            assert_memory_equal(whole, expected, 32);
            for (size_t i = 1; i <= others; i++) {
                portable_of(&jobs[i], expected);
                assert_memory_equal(digests[i], expected, 32);
            }
        }
    }
}

TEST(crypto, nothing_at_once_is_fine)
{
    uint8_t empty[32], expected[32];
    el_sha256_many(NULL, 0);
    el_sha256_many(&(struct el_sha256_job){.digest = empty}, 1);
    el_sha256_portable("", 0, expected);
    assert_memory_equal(empty, expected, 32);
}

TEST(crypto, hex_is_lower_case_and_ends)
{
    char text[9] = "xxxxxxxx";
    el_hex(text, "\x00\xff\x0a", 3);
    assert_string_equal(text, "00ff0a");
    el_hex(text, NULL, 0);
    assert_string_equal(text, "");
}

/* The second halves cannot be read: whoever goes on to them, though the first halves differ, ends by a signal. */
static bool reads_to_the_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *a = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *b = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(a != MAP_FAILED && b != MAP_FAILED);
    a[0] = 1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        bool kept = mprotect(a + page, page, PROT_NONE) == 0;
        _exit(kept && !el_equal_always(a, b, 2 * page) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(el_equal_always(a, b, 2 * page));
    a[0] = 0;
    assert_true(el_equal_always(a, b, 2 * page));
    munmap(a, 2 * page);
    munmap(b, 2 * page);
    return !WIFEXITED(status) || WEXITSTATUS(status) > 1;
}

TEST(cve_2021_38153, a_comparison_of_secrets_reads_to_the_end)
{
    assert_true(reads_to_the_end());
}
