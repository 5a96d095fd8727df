/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a password that came with a question which the shard answers too late is in memory no longer than the question;
 * and nobody is let in by such a shard whom one that answers would not let in. Method: a shard that runs its messages
 * when the test says so; the bytes of the whole object are searched.
 */
#include <access/access_state.h>
#include <http_access.h>
#include <test.h>

#include <core/base64.h>
#include <malloc.h>
#include <stdio.h>

#define PASSWORD "Zitrone-im-Glas-7"

static struct shard shard;
static struct access users;
static struct io io;
static struct stream_secret secret;
static struct config cfg;

static void wake(struct io *unused)
{
}

static const struct io_ops ops = {.wake = wake};

/* After the settings have been read again; tokens stay. */
static void renew(struct http_access *access)
{
    struct http_tokens *none = NULL;
    http_access_renew(access, &cfg, &none);
}

static void begin(struct http_access **access, enum config_authorizer authorizer)
{
    memset(&users, 0, sizeof users);
    users.magic = ACCESS_MAGIC;
    users.state = ACCESS_KNOWN;
    auth_init(&users.auth, NULL);
    auth_configure(&users.auth, &(struct auth_settings){.enabled = true});
    io = (struct io){.ops = &ops};
    el_queue_init(&io.inbox);
    shard = (struct shard){.io = &io, .access = &users, .stream_secret = &secret};
    cfg = (struct config){.authorizer = authorizer};
    assert_int_equal(http_access_create(&shard, NULL, &cfg, access), 0);
    renew(*access);
}

static void end(struct http_access *access)
{
    http_access_destroy(access);
    auth_destroy(&users.auth);
}

static bool knows_password(const struct http_access *access)
{
    return memmem(access, malloc_usable_size((void *)(uintptr_t)access), PASSWORD, strlen(PASSWORD)) != NULL;
}

/* returns what somebody hears who asks with the password */
static enum http_verdict judge(struct http_access *access)
{
    static const char plain[] = "billing:" PASSWORD;
    char header[80] = "Basic ", reason[200];
    struct http_caller caller = {.address = "127.0.0.1", .loopback = true, .authorization = header};
    el_base64_encode(header + strlen(header), plain, strlen(plain));
    return http_access_judge(access, &caller, reason, sizeof reason);
}

TEST(http_access, a_password_goes_with_the_question_that_nobody_waits_for)
{
    struct http_access *access;
    begin(&access, CONFIG_AUTHORIZER_ON);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(judge(access), HTTP_NOT_NOW); /* the shard hangs: a second is over */
        assert_true(knows_password(access));           /* it is the shard's */
        assert_int_equal(judge(access), HTTP_NOT_NOW); /* at once, for the question is not answered */
        struct el_qnode *node = el_queue_pop(&io.inbox);
        assert_non_null(node);
        assert_null(el_queue_pop(&io.inbox));
        struct io_message *message = EL_CONTAINER(node, struct io_message, node);
        message->run(message);
        assert_false(knows_password(access));
    }
    end(access);
}

/* principal NULL: without a certificate */
static enum http_verdict judge_certified(struct http_access *access, const char *principal)
{
    char reason[200];
    struct http_caller caller = {.address = "10.0.0.7", .secure = true, .principal = principal};
    return http_access_judge(access, &caller, reason, sizeof reason);
}

TEST(http_access, a_shard_that_hangs_asks_for_certificates_as_one_that_answers)
{
    struct http_access *access;
    begin(&access, CONFIG_AUTHORIZER_OFF);
    cfg = (struct config){.http = {.tls = true}, .ssl_client_auth = EL_TLS_AUTH_REQUIRED};
    renew(access);
    assert_int_equal(judge_certified(access, NULL), HTTP_NOT_NOW);
    assert_int_equal(judge_certified(access, NULL), HTTP_NOT_NOW);
    assert_int_equal(judge_certified(access, "User:CN=scraper"), HTTP_ALLOWED);
    cfg.ssl_client_auth = EL_TLS_AUTH_REQUESTED;
    renew(access);
    assert_int_equal(judge_certified(access, NULL), HTTP_ALLOWED);
    end(access);
}

/* The shard is asked for the first time when it hangs. */
TEST(http_access, a_shard_that_hangs_lets_nobody_in_after_the_authorizer_was_turned_on)
{
    struct http_access *access;
    begin(&access, CONFIG_AUTHORIZER_OFF);
    cfg.authorizer = CONFIG_AUTHORIZER_ON;
    renew(access);
    assert_int_equal(judge_certified(access, NULL), HTTP_NOT_NOW);
    end(access);
}
