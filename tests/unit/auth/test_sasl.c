/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: nobody gets in without the password, and nothing that is said before tells who there is. Method: the vectors of
 * RFC 7677; a client that can go wrong in every way that other servers once took.
 */
#include "../../lib/scram_client.h"

#include <auth/auth_record.h>
#include <auth/sasl.h>
#include <core/base64.h>
#include <evlog/error.h>
#include <test.h>

#include <stdio.h>

static struct auth auth;
static struct sasl sasl;
static struct sasl_answer answer;
static const uint8_t secret[SASL_SECRET_LEN] = "of the node";
static const uint8_t random_bytes[SASL_RANDOM_LEN] = "0123456789abcdefg";

static void add_user(int mechanism, const char *name, const char *password, uint32_t iterations)
{
    struct auth_user user = {
        .mechanism = mechanism, .name = el_slice_str(name), .iterations = iterations, .salt_len = 16};
    uint8_t salted[EL_SCRAM_KEY_MAX];
    const char *why;
    memcpy(user.salt, "saltsaltsaltsalt", 16);
    el_scram_salt(mechanism, el_slice_str(password), el_slice_of(user.salt, 16), iterations, salted);
    el_scram_server_keys(mechanism, salted, user.stored_key, user.server_key);
    assert_int_equal(auth_user_check(&user, &why), 0);
    assert_int_equal(auth_user_put(&auth, &user), 0);
}

static void begin(int mechanism)
{
    auth_init(&auth, NULL);
    add_user(EL_SCRAM_SHA256, "alice", "secret", 4096);
    add_user(EL_SCRAM_SHA512, "alice", "secret", 4096);
    add_user(EL_SCRAM_SHA256, "a,b=c", "pw", 4096);
    sasl_begin(&sasl, mechanism);
}

static void end(void)
{
    sasl_end(&sasl);
    auth_destroy(&auth);
}

static enum sasl_result say(const void *data, size_t len)
{
    return sasl_take(&sasl, &auth, secret, random_bytes, el_slice_of(data, len), &answer);
}

static enum sasl_result say_text(const char *text)
{
    return say(text, strlen(text));
}

/* The whole of a client's side. */
static enum sasl_result finish(int mechanism, const char *gs2, const char *bare, const struct scram_client *c)
{
    char first[1024];
    static struct scram_last last;
    snprintf(first, sizeof first, "%s%s", gs2, bare);
    enum sasl_result result = say_text(first);
    if (result != SASL_MORE) {
        return result;
    }
    struct scram_said said = {mechanism, gs2, bare, el_slice_of(answer.bytes, answer.len)};
    scram_client_last(c, &said, &last);
    result = say_text(last.message);
    if (result == SASL_DONE) {
        struct el_scram_server_final final;
        uint8_t stored[EL_SCRAM_KEY_MAX], server_key[EL_SCRAM_KEY_MAX], signature[EL_SCRAM_KEY_MAX];
        el_scram_server_keys(mechanism, last.salted, stored, server_key);
        el_scram_signature(mechanism, server_key, el_slice_str(last.text), signature);
        assert_int_equal(el_scram_parse_server_final(el_slice_of(answer.bytes, answer.len), &final), 0);
        assert_int_equal(final.signature_len, el_scram_key_len(mechanism));
        assert_memory_equal(final.signature, signature, final.signature_len);
    }
    return result;
}

static const struct scram_client honest = {.password = "secret"};

TEST(scram, vectors_of_rfc_7677)
{
    uint8_t salt[32], salted[64], proof[64], stored[64], server_key[64], signature[64];
    size_t salt_len;
    char text[128];
    const char *auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,"
                               "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
                               "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    assert_int_equal(el_base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, salt, sizeof salt, &salt_len), 0);
    el_scram_salt(EL_SCRAM_SHA256, el_slice_str("pencil"), el_slice_of(salt, salt_len), 4096, salted);
    el_scram_proof(EL_SCRAM_SHA256, salted, el_slice_str(auth_message), proof);
    el_base64_encode(text, proof, 32);
    assert_string_equal(text, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    el_scram_server_keys(EL_SCRAM_SHA256, salted, stored, server_key);
    el_scram_signature(EL_SCRAM_SHA256, server_key, el_slice_str(auth_message), signature);
    el_base64_encode(text, signature, 32);
    assert_string_equal(text, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_true(el_scram_proof_fits(EL_SCRAM_SHA256, stored, el_slice_str(auth_message), proof));
    proof[31] ^= 1;
    assert_false(el_scram_proof_fits(EL_SCRAM_SHA256, stored, el_slice_str(auth_message), proof));
}

TEST(sasl, takes_who_knows_the_password)
{
    for (int mechanism = EL_SCRAM_SHA256; mechanism <= EL_SCRAM_SHA512; mechanism++) {
        begin(mechanism);
        assert_int_equal(finish(mechanism, "n,,", "n=alice,r=abc", &honest), SASL_DONE);
        assert_true(el_slice_eq(sasl_user(&sasl), el_slice_str("alice")));
        assert_int_equal(say_text("c=biws"), SASL_FAILED); /* it is over */
        end();
    }
    begin(EL_SCRAM_SHA256);
    struct scram_client other = {.password = "pw"};
    assert_int_equal(finish(EL_SCRAM_SHA256, "y,,", "n=a=2Cb=3Dc,r=abc", &other), SASL_DONE);
    assert_true(el_slice_eq(sasl_user(&sasl), el_slice_str("a,b=c")));
    end();
}

TEST(sasl, refuses_a_wrong_password)
{
    struct scram_client wrong = {.password = "Secret"}, flipped = {.password = "secret", .flip = true};
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,,", "n=alice,r=abc", &wrong), SASL_FAILED);
    end();
    begin(EL_SCRAM_SHA512);
    assert_int_equal(finish(EL_SCRAM_SHA512, "n,,", "n=alice,r=abc", &flipped), SASL_FAILED);
    end();
}

TEST(cve_2024_56128, the_nonce_of_the_last_message_is_the_one_that_was_handed_out)
{
    static const char *const nonces[] = {"abc", "abcMDEyMzQ1Njc4OWFiY2RlZmdB", "xbcMDEyMzQ1Njc4OWFiY2RlZmcA", "x"};
    for (size_t i = 0; i < 4; i++) {
        struct scram_client c = {.password = "secret", .nonce = nonces[i]};
        begin(EL_SCRAM_SHA256);
        assert_int_equal(finish(EL_SCRAM_SHA256, "n,,", "n=alice,r=abc", &c), SASL_FAILED);
        end();
    }
}

TEST(sasl, the_nonce_with_the_clients_part_once_more_in_front_is_what_was_handed_out)
{
    struct scram_client c = {.password = "secret", .nonce = "abcabcMDEyMzQ1Njc4OWFiY2RlZmcA"};
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,,", "n=alice,r=abc", &c), SASL_DONE);
    end();
}

TEST(cve_2017_12610, nobody_acts_as_somebody_else)
{
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,a=root,", "n=alice,r=abc", &honest), SASL_FAILED);
    end();
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,a=alice,", "n=alice,r=abc", &honest), SASL_DONE);
    end();
    begin(SASL_PLAIN);
    assert_int_equal(say("root\0alice\0secret", 17), SASL_FAILED);
    end();
}

TEST(sasl, channel_binding_that_was_taken_out_is_seen)
{
    struct scram_client c = {.password = "secret", .binding = "y,,"};
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,,", "n=alice,r=abc", &c), SASL_FAILED);
    end();
    begin(EL_SCRAM_SHA256);
    assert_int_equal(say_text("p=tls-unique,,n=alice,r=abc"), SASL_FAILED);
    end();
}

TEST(sasl, a_user_that_is_none_looks_like_one_and_always_the_same)
{
    uint8_t before[SASL_ANSWER_MAX];
    begin(EL_SCRAM_SHA256);
    assert_int_equal(say_text("n,,n=nobody,r=abc"), SASL_MORE);
    size_t len = answer.len;
    memcpy(before, answer.bytes, len);
    end();
    begin(EL_SCRAM_SHA256);
    assert_int_equal(say_text("n,,n=nobody,r=abc"), SASL_MORE);
    assert_int_equal(answer.len, len);
    assert_memory_equal(answer.bytes, before, len);
    end();
    begin(EL_SCRAM_SHA256);
    assert_int_equal(say_text("n,,n=somebody,r=abc"), SASL_MORE);
    assert_memory_not_equal(answer.bytes, before, len);
    end();
    begin(EL_SCRAM_SHA256);
    assert_int_equal(finish(EL_SCRAM_SHA256, "n,,", "n=nobody,r=abc", &honest), SASL_FAILED);
    end();
}

/* The server's first message to a name. */
static void first_of(int mechanism, const char *name, struct el_scram_server_first *first)
{
    char text[64];
    sasl_begin(&sasl, mechanism);
    snprintf(text, sizeof text, "n,,n=%s,r=abc", name);
    assert_int_equal(say_text(text), SASL_MORE);
    assert_int_equal(el_scram_parse_server_first(el_slice_of(answer.bytes, answer.len), first), 0);
}

/* Whose users were made by Kafka's tools has 4,096 iterations and salts of their length, and no others. */
TEST(sasl, a_user_that_is_none_has_iterations_and_a_salt_as_users_have)
{
    struct el_scram_server_first first;
    char name[16];
    uint32_t seen[2] = {0, 0};
    begin(EL_SCRAM_SHA256);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "nobody-%d", i);
        first_of(EL_SCRAM_SHA256, name, &first);
        assert_int_equal(first.iterations, 4096);
        assert_int_equal(first.salt_len, 16);
    }
    struct auth_user user = *auth_user_find(&auth, EL_SCRAM_SHA256, el_slice_str("alice"));
    user.salt_len = 25;
    user.iterations = 5000;
    assert_int_equal(auth_user_put(&auth, &user), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "nobody-%d", i);
        first_of(EL_SCRAM_SHA256, name, &first);
        assert_true((first.iterations == 4096 && first.salt_len == 16) ||
                    (first.iterations == 5000 && first.salt_len == 25));
        seen[first.iterations == 5000]++;
    }
    assert_true(seen[0] > 0 && seen[1] > 0); /* whose names are not all alike */
    auth_user_remove(&auth, EL_SCRAM_SHA512, el_slice_str("alice"));
    first_of(EL_SCRAM_SHA512, "nobody", &first);
    assert_int_equal(first.iterations, EL_SCRAM_ITERATIONS_DEFAULT);
    end();
}

TEST(sasl, refuses_messages_that_are_none)
{
    static const char *const bad[] = {"",
                                      "n",
                                      "n,",
                                      "n,,",
                                      "n,,n=alice",
                                      "n,,r=abc,n=alice",
                                      "x,,n=alice,r=abc",
                                      "n,,n=,r=abc",
                                      "n,,n=alice,r=",
                                      "n,,m=x,n=alice,r=abc",
                                      "n,,n=al=2xice,r=abc",
                                      "n,,n=al=,r=abc",
                                      "n,,n=alice,r=a\x01",
                                      "n,,n=\xff,r=abc",
                                      "n,,n=alice,r=abc,x",
                                      "n,,n=alice,r=abc,tokenauth=true",
                                      "n,b=x,n=alice,r=abc",
                                      "n,,n=*,r=abc",
                                      "n,,n=ANONYMOUS,r=abc"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(EL_SCRAM_SHA256);
        if (say_text(bad[i]) != SASL_FAILED) {
            fail_msg("taken: %s", bad[i]);
        }
        end();
    }
    static const char *const bad_final[] = {
        "", "c=biws", "c=biws,r=x", "p=AAAA", "c=!,r=x,p=AAAA", "c=biws,r=x,p=", "r=x,c=biws,p=AAAA"};
    for (size_t i = 0; i < sizeof bad_final / sizeof bad_final[0]; i++) {
        begin(EL_SCRAM_SHA256);
        assert_int_equal(say_text("n,,n=alice,r=abc"), SASL_MORE);
        assert_int_equal(say_text(bad_final[i]), SASL_FAILED);
        end();
    }
    static char large[4000];
    memset(large, 'x', sizeof large);
    memcpy(large, "n,,n=alice,r=", 13);
    begin(EL_SCRAM_SHA256);
    assert_int_equal(say(large, sizeof large), SASL_FAILED);
    end();
}

TEST(sasl, plain_is_checked_against_the_same_keys)
{
    static const struct {
        const char *message;
        size_t len;
        bool sound, right;
    } cases[] = {{"\0alice\0secret", 13, true, true},     {"alice\0alice\0secret", 18, true, true},
                 {"\0alice\0wrong", 12, true, false},     {"\0nobody\0secret", 14, true, false},
                 {"\0alice\0", 7, false, false},          {"alice\0secret", 12, false, false},
                 {"\0alice\0sec\0ret", 14, false, false}, {"", 0, false, false},
                 {"\0\0secret", 8, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(SASL_PLAIN);
        enum sasl_result result = say(cases[i].message, cases[i].len);
        assert_int_equal(result, cases[i].sound ? SASL_CHECK : SASL_FAILED);
        if (cases[i].sound) {
            sasl_check(&sasl);
            assert_int_equal(sasl.password[0], 0); /* wiped */
            assert_int_equal(sasl_checked(&sasl), cases[i].right ? SASL_DONE : SASL_FAILED);
        }
        end();
    }
}

/* --- who is the same ---------------------------------------------------------------------------------------------- */

static bool is_since(int mechanism, uint64_t births)
{
    return auth_user_since(&auth, mechanism, el_slice_str("alice"), births);
}

TEST(users, are_the_same_until_they_are_removed)
{
    begin(SASL_PLAIN);
    uint64_t births = auth.user_births;
    add_user(EL_SCRAM_SHA256, "alice", "another", 4096); /* a password makes nobody another */
    assert_true(is_since(EL_SCRAM_SHA256, births));
    assert_true(is_since(EL_SCRAM_SHA512, births));
    assert_true(is_since(0, births));
    auth_user_remove(&auth, EL_SCRAM_SHA256, el_slice_str("alice"));
    assert_false(is_since(EL_SCRAM_SHA256, births));
    add_user(EL_SCRAM_SHA256, "alice", "another", 4096);
    assert_false(is_since(EL_SCRAM_SHA256, births)); /* keys of this mechanism were taken away */
    assert_true(is_since(EL_SCRAM_SHA512, births));
    assert_true(is_since(0, births)); /* and the user was there all the time, also without those that it had first */
    auth_user_remove(&auth, EL_SCRAM_SHA512, el_slice_str("alice"));
    assert_true(is_since(0, births));
    auth_user_remove(&auth, EL_SCRAM_SHA256, el_slice_str("alice"));
    assert_false(is_since(0, births));
    add_user(EL_SCRAM_SHA512, "alice", "another", 4096);
    assert_false(is_since(0, births));
    assert_false(is_since(EL_SCRAM_SHA512, births));
    assert_true(is_since(EL_SCRAM_SHA512, auth.user_births));
    assert_true(is_since(0, auth.user_births));
    end();
}

/* --- records ------------------------------------------------------------------------------------------------------ */

TEST(records, of_rules_and_users_come_back)
{
    uint8_t key_bytes[AUTH_RECORD_KEY_MAX], value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_writer key, value;
    struct auth_record record;
    begin(SASL_PLAIN);
    const struct auth_user *user = auth_user_find(&auth, EL_SCRAM_SHA512, el_slice_str("alice"));
    el_writer_init(&key, key_bytes, sizeof key_bytes);
    el_writer_init(&value, value_bytes, sizeof value_bytes);
    auth_record_user_key(&key, user);
    auth_record_user_value(&value, user);
    struct el_slice k = el_slice_of(key_bytes, el_writer_len(&key)),
                    v = el_slice_of(value_bytes, el_writer_len(&value));
    assert_int_equal(auth_record_decode(k, v, &record), 0);
    assert_memory_equal(record.user.server_key, user->server_key, 64);
    assert_int_equal(record.user.iterations, user->iterations);
    for (size_t cut = 0; cut < k.len; cut++) {
        assert_int_not_equal(auth_record_decode(el_slice_of(k.data, cut), v, &record), 0);
    }
    for (size_t cut = 0; cut < v.len; cut++) {
        assert_int_not_equal(auth_record_decode(k, el_slice_of(v.data, cut), &record), 0);
    }
    key_bytes[0] = 2;
    assert_int_equal(auth_record_decode(k, v, &record), EVLOG_ERR_FORMAT);
    key_bytes[0] = 1;
    assert_int_equal(auth_record_decode(k, (struct el_slice){0}, &record), 0);
    assert_true(record.gone);
    assert_int_equal(auth_record_apply(&auth, &record), 0);
    assert_null(auth_user_find(&auth, EL_SCRAM_SHA512, el_slice_str("alice")));
    end();
}
