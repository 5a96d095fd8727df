/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a password that came with a question which the shard answers too late is in memory no longer than the question.
 * Method: a shard that runs its messages when the test says so; the bytes of the whole object are searched.
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

static void begin(struct http_access **access)
{
    memset(&users, 0, sizeof users);
    users.magic = ACCESS_MAGIC;
    users.state = ACCESS_KNOWN;
    auth_init(&users.auth, NULL);
    auth_configure(&users.auth, &(struct auth_settings){.enabled = true});
    io = (struct io){.ops = &ops};
    el_queue_init(&io.inbox);
    shard = (struct shard){.io = &io, .access = &users, .stream_secret = &secret};
    cfg.authorizer = CONFIG_AUTHORIZER_ON;
    cfg.metrics_open_loopback = false;
    assert_int_equal(http_access_create(&shard, NULL, &cfg, access), 0);
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
    begin(&access);
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
    http_access_destroy(access);
    auth_destroy(&users.auth);
}
