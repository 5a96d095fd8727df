/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a proof of who a client is holds as long as it was told, for the same client and by the same mechanism
 * (KIP-368); one that fails costs its client time, and nobody else anything. Method: real connections and handlers on
 * a simulated network, whose clock the test moves.
 */
#include "../../gate/gate.h"
#include "../../lib/scram_client.h"

#include <core/base64.h>
#include <stdio.h>
#include <test.h>
#include <wire/msg_api_versions.h>
#include <wire/msg_list_partition_reassignments.h>
#include <wire/msg_sasl_authenticate.h>
#include <wire/msg_sasl_handshake.h>

#define REAUTH_MS 60000
#define AUTHENTICATE_VERSION 2
#define SLACK_MS 5u /* in which an answer that leaves arrives */

static struct gate g;
static struct gate_conn one, two;
static struct el_arena arena;
static struct el_msg_sasl_authenticate_response answer;

/* With flags of evlogd. */
#define begin(...) begin_with((const char *[]){"--connection-failed-authentication-delay-ms=5s", __VA_ARGS__, NULL})

static void begin_with(const char *const *flags)
{
    gate_begin(&g, flags);
    gate_add_user(&g, EL_SCRAM_SHA256, "alice", "secret");
    gate_add_user(&g, EL_SCRAM_SHA512, "alice", "secret");
    gate_add_user(&g, EL_SCRAM_SHA256, "bob", "pw");
    el_arena_init(&arena, NULL, 0);
}

static void end(void)
{
    el_arena_reset(&arena);
    gate_end(&g);
}

static void settle(void)
{
    gate_run(&g, SLACK_MS * GATE_MS);
}

/* returns the error code */
static int handshake(struct gate_conn *conn, const char *mechanism)
{
    struct el_msg_sasl_handshake_request ask;
    struct el_msg_sasl_handshake_response response;
    el_schema_init(&el_schema_sasl_handshake_request, &ask);
    ask.mechanism = el_slice_str(mechanism);
    gate_ask(conn, EL_API_SaslHandshake, 1, &ask);
    settle();
    assert_true(gate_answer(conn, EL_API_SaslHandshake, 1, &arena, &response));
    return response.error_code;
}

static void say(struct gate_conn *conn, struct el_slice bytes)
{
    struct el_msg_sasl_authenticate_request ask;
    el_schema_init(&el_schema_sasl_authenticate_request, &ask);
    ask.auth_bytes = bytes;
    gate_ask(conn, EL_API_SaslAuthenticate, AUTHENTICATE_VERSION, &ask);
    settle();
}

static bool answered(struct gate_conn *conn)
{
    return gate_answer(conn, EL_API_SaslAuthenticate, AUTHENTICATE_VERSION, &arena, &answer);
}

/* Say all but the answer to the last message; that is in answer, if there is one by then. */
static bool prove(struct gate_conn *conn, int mechanism, const char *user, const char *password)
{
    static struct scram_last last;
    char bare[64], first[72];
    struct scram_client client = {.password = password};
    assert_int_equal(handshake(conn, el_scram_name(mechanism)), EL_KAFKA_NONE);
    snprintf(bare, sizeof bare, "n=%s,r=abcdefgh", user);
    snprintf(first, sizeof first, "n,,%s", bare);
    say(conn, el_slice_str(first));
    if (!answered(conn) || answer.error_code != EL_KAFKA_NONE) {
        return false;
    }
    scram_client_last(&client, &(struct scram_said){mechanism, "n,,", bare, answer.auth_bytes}, &last);
    say(conn, el_slice_str(last.message));
    return answered(conn);
}

static void assert_proved(struct gate_conn *conn, int mechanism, const char *user, const char *password)
{
    assert_true(prove(conn, mechanism, user, password));
    assert_int_equal(answer.error_code, EL_KAFKA_NONE);
}

/* A request that only who is trusted may make. returns false when it is not answered */
static bool served(struct gate_conn *conn)
{
    struct el_msg_list_partition_reassignments_request ask;
    struct el_msg_list_partition_reassignments_response response;
    el_schema_init(&el_schema_list_partition_reassignments_request, &ask);
    gate_ask(conn, EL_API_ListPartitionReassignments, 0, &ask);
    settle();
    return gate_answer(conn, EL_API_ListPartitionReassignments, 0, &arena, &response);
}

static void assert_closed(struct gate_conn *conn)
{
    settle();
    gate_look(conn);
    assert_int_equal(conn->len, 0);
    assert_true(conn->closed);
}

static void assert_refused_in_time(struct gate_conn *conn)
{
    gate_run(&g, 6000 * GATE_MS); /* the delay of failures */
    assert_true(answered(conn));
    assert_int_equal(answer.error_code, EL_KAFKA_SASL_AUTHENTICATION_FAILED);
    assert_int_equal(answer.session_lifetime_ms, 0);
    assert_closed(conn);
    gate_drop(conn);
}

/* --- how long a proof holds --------------------------------------------------------------------------------------- */

TEST(reauthentication, the_answer_says_how_long_a_proof_is_good_for)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_int_equal(answer.session_lifetime_ms, REAUTH_MS);
    gate_drop(&one);
    end();
    begin("--connections-max-reauth-ms=0");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_int_equal(answer.session_lifetime_ms, 0);
    gate_run(&g, 300000 * GATE_MS);
    assert_true(served(&one)); /* for ever */
    gate_drop(&one);
    end();
}

TEST(reauthentication, a_request_after_the_time_closes_the_connection)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_false(served(&one)); /* before any proof */
    assert_closed(&one);
    gate_drop(&one);
    gate_connect(&g, &one);
    gate_connect(&g, &two);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_proved(&two, EL_SCRAM_SHA256, "bob", "pw");
    gate_run(&g, (REAUTH_MS - 1000) * GATE_MS);
    assert_true(served(&one));
    gate_run(&g, 2000 * GATE_MS);
    assert_false(served(&one));
    assert_closed(&one);
    gate_look(&two); /* who asks nothing is not cut */
    assert_false(two.closed);
    gate_drop(&one);
    gate_drop(&two);
    end();
}

TEST(reauthentication, in_time_it_extends_and_late_it_still_opens)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    for (int i = 0; i < 4; i++) {
        gate_run(&g, REAUTH_MS / 2 * GATE_MS);
        assert_true(served(&one));
        assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
        assert_int_equal(answer.session_lifetime_ms, REAUTH_MS);
    }
    assert_true(served(&one));
    gate_run(&g, 2 * REAUTH_MS * GATE_MS);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_true(served(&one));
    gate_drop(&one);
    end();
}

TEST(reauthentication, of_a_user_that_was_removed_is_too_late)
{
    begin("--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512");
    gate_connect(&g, &one);
    gate_connect(&g, &two);
    assert_proved(&one, EL_SCRAM_SHA512, "alice", "secret");
    assert_proved(&two, EL_SCRAM_SHA256, "bob", "pw");
    auth_user_remove(&g.auth, EL_SCRAM_SHA256, el_slice_str("alice"));
    assert_true(served(&one)); /* by the other mechanism she is known */
    auth_user_remove(&g.auth, EL_SCRAM_SHA512, el_slice_str("alice"));
    assert_false(served(&one));
    assert_closed(&one);
    assert_true(served(&two));
    gate_drop(&one);
    gate_drop(&two);
    end();
}

static void replace_alice(const char *password)
{
    auth_user_remove(&g.auth, EL_SCRAM_SHA256, el_slice_str("alice"));
    auth_user_remove(&g.auth, EL_SCRAM_SHA512, el_slice_str("alice"));
    gate_add_user(&g, EL_SCRAM_SHA256, "alice", password);
    gate_add_user(&g, EL_SCRAM_SHA512, "alice", password);
}

/* It passed before: the name was there again when the next request came. */
TEST(removed_user, is_another_one_than_that_of_the_same_name)
{
    begin("--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512");
    gate_connect(&g, &one);
    gate_connect(&g, &two);
    assert_proved(&one, EL_SCRAM_SHA512, "alice", "secret");
    assert_proved(&two, EL_SCRAM_SHA256, "bob", "pw");
    gate_add_user(&g, EL_SCRAM_SHA512, "alice", "another"); /* a password makes nobody another */
    assert_true(served(&one));
    replace_alice("another");
    assert_false(served(&one));
    assert_closed(&one);
    assert_true(served(&two));
    gate_drop(&one);
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA512, "alice", "another");
    assert_true(served(&one));
    gate_drop(&one);
    gate_drop(&two);
    end();
}

TEST(removed_user, proves_nothing_with_what_was_asked_before)
{
    static struct scram_last last;
    static const char first[] = "n,,n=alice,r=abcdefgh";
    struct scram_client client = {.password = "secret"};
    begin("--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512");
    gate_connect(&g, &one);
    assert_int_equal(handshake(&one, "SCRAM-SHA-256"), EL_KAFKA_NONE);
    say(&one, el_slice_str(first));
    assert_true(answered(&one));
    replace_alice("secret");
    scram_client_last(&client, &(struct scram_said){EL_SCRAM_SHA256, "n,,", first + 3, answer.auth_bytes}, &last);
    say(&one, el_slice_str(last.message));
    assert_refused_in_time(&one);
    end();
}

/* Who asks for nothing is cut as well, and who has asked for something has its answer first. */
TEST(removed_user, has_no_connection_left)
{
    static struct gate_conn three;
    begin("--sasl-enabled-mechanisms=SCRAM-SHA-256,SCRAM-SHA-512");
    gate_connect(&g, &one);
    gate_connect(&g, &two);
    gate_connect(&g, &three);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_proved(&two, EL_SCRAM_SHA512, "alice", "secret");
    assert_proved(&three, EL_SCRAM_SHA256, "bob", "pw");
    net_review(g.net, api_proof_gone, &g.api);
    assert_true(served(&one));
    assert_true(served(&two));
    replace_alice("secret");
    net_review(g.net, api_proof_gone, &g.api);
    assert_closed(&one);
    assert_closed(&two);
    assert_true(served(&three));
    gate_drop(&one);
    gate_drop(&two);
    gate_drop(&three);
    end();
}

/* --- by whom, and how --------------------------------------------------------------------------------------------- */

TEST(reauthentication, as_somebody_else_is_refused)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_false(prove(&one, EL_SCRAM_SHA256, "bob", "pw")); /* right, and not now */
    assert_refused_in_time(&one);
    assert_int_equal(metrics_get(g.metrics, METRIC_AUTHENTICATION_FAILURES), 1);
    end();
}

TEST(reauthentication, by_another_mechanism_is_refused)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_false(prove(&one, EL_SCRAM_SHA512, "alice", "secret"));
    assert_refused_in_time(&one);
    assert_int_equal(metrics_get(g.metrics, METRIC_AUTHENTICATION_FAILURES), 1);
    gate_connect(&g, &one); /* on a connection of its own it is as good as any */
    assert_proved(&one, EL_SCRAM_SHA512, "alice", "secret");
    gate_drop(&one);
    end();
}

TEST(reauthentication, that_fails_ends_the_trust)
{
    begin("--connections-max-reauth-ms=60s");
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_false(prove(&one, EL_SCRAM_SHA256, "alice", "wrong"));
    assert_false(served(&one));
    assert_refused_in_time(&one);
    end();
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

#define DELAY_MS 5000u /* of begin() */

TEST(failed_proof, is_answered_after_the_delay_and_holds_up_nobody_else)
{
    begin("--evlog-connections-unproven-ms=60s");
    gate_connect(&g, &one);
    gate_connect(&g, &two);
    assert_false(prove(&one, EL_SCRAM_SHA256, "alice", "wrong"));
    gate_run(&g, (DELAY_MS - 1000) * GATE_MS);
    assert_false(answered(&one));
    assert_false(one.closed);
    assert_proved(&two, EL_SCRAM_SHA256, "alice", "secret");
    assert_true(served(&two));
    gate_run(&g, 500 * GATE_MS);
    assert_false(answered(&one));
    assert_false(one.closed);
    gate_run(&g, 500 * GATE_MS);
    assert_true(answered(&one));
    assert_int_equal(answer.error_code, EL_KAFKA_SASL_AUTHENTICATION_FAILED);
    assert_closed(&one);
    gate_drop(&one);
    gate_drop(&two);
    end();
}

/* Else a client that sends its guesses one behind the other would wait for none of them. */
TEST(failed_proof, is_the_last_of_its_connection)
{
    begin("--evlog-connections-unproven-ms=60s");
    gate_connect(&g, &one);
    assert_false(prove(&one, EL_SCRAM_SHA256, "alice", "wrong"));
    struct el_msg_sasl_handshake_request ask;
    el_schema_init(&el_schema_sasl_handshake_request, &ask);
    ask.mechanism = el_slice_str("SCRAM-SHA-256");
    for (int i = 0; i < 3; i++) {
        gate_ask(&one, EL_API_SaslHandshake, 1, &ask);
        say(&one, el_slice_str("n,,n=alice,r=abcdefgh"));
    }
    assert_int_equal(net_request_count(g.net), 1);
    gate_run(&g, DELAY_MS * GATE_MS);
    assert_true(answered(&one));
    assert_int_equal(answer.error_code, EL_KAFKA_SASL_AUTHENTICATION_FAILED);
    assert_closed(&one);
    assert_int_equal(metrics_get(g.metrics, METRIC_AUTHENTICATION_FAILURES), 1);
    gate_drop(&one);
    end();
}

static void put_token(uint8_t *frame, const char *token)
{
    el_put_be32(frame, (uint32_t)strlen(token));
    memcpy(frame + 4, token, strlen(token));
}

TEST(failed_proof, without_an_answer_in_its_version_closes_after_the_delay)
{
    begin("--evlog-connections-unproven-ms=60s");
    gate_connect(&g, &one);
    struct el_msg_sasl_handshake_request ask;
    struct el_msg_sasl_handshake_response response;
    el_schema_init(&el_schema_sasl_handshake_request, &ask);
    ask.mechanism = el_slice_str("SCRAM-SHA-256");
    gate_ask(&one, EL_API_SaslHandshake, 0, &ask);
    settle();
    assert_true(gate_answer(&one, EL_API_SaslHandshake, 0, &arena, &response));
    const char *token = "this is no message of an exchange";
    uint8_t frame[64];
    put_token(frame, token);
    gate_send(&one, frame, 4 + strlen(token));
    gate_run(&g, (DELAY_MS - 500) * GATE_MS);
    gate_look(&one);
    assert_false(one.closed);
    gate_run(&g, 500 * GATE_MS);
    assert_closed(&one);
    gate_drop(&one);
    end();
}

/* Who waits for the answer to a failure has proved nothing: it counts as any other that has not. */
TEST(failed_proof, in_its_delay_makes_room_as_any_connection_that_has_proved_nothing)
{
    static struct gate_conn crowd[6];
    begin("--evlog-connections-unproven-max=3");
    for (int i = 0; i < 6; i++) {
        gate_connect(&g, &crowd[i]);
        assert_false(prove(&crowd[i], EL_SCRAM_SHA256, "alice", "wrong"));
        assert_true(metrics_get(g.metrics, METRIC_UNPROVEN) <= 3);
        assert_true(net_request_count(g.net) <= 3);
    }
    settle();
    assert_int_equal(net_conn_count(g.net), 3);
    for (int i = 0; i < 6; i++) {
        gate_look(&crowd[i]);
        assert_int_equal(crowd[i].closed, i < 3);
    }
    gate_connect(&g, &one);
    assert_proved(&one, EL_SCRAM_SHA256, "alice", "secret");
    assert_true(served(&one));
    for (int i = 0; i < 6; i++) {
        gate_drop(&crowd[i]);
    }
    gate_drop(&one);
    end();
}

TEST(failed_proof, keeps_no_connection_longer_than_one_that_proves_nothing)
{
    begin("--evlog-connections-unproven-ms=2s");
    gate_connect(&g, &one);
    assert_false(prove(&one, EL_SCRAM_SHA256, "alice", "wrong"));
    gate_run(&g, 1500 * GATE_MS);
    gate_look(&one);
    assert_false(one.closed);
    gate_run(&g, 1000 * GATE_MS);
    assert_closed(&one);
    assert_int_equal(net_request_count(g.net), 0);
    gate_drop(&one);
    end();
}

TEST(failed_proof, of_a_client_that_has_gone_leaves_nothing)
{
    begin("--evlog-connections-unproven-ms=60s");
    gate_connect(&g, &one);
    assert_false(prove(&one, EL_SCRAM_SHA256, "alice", "wrong"));
    gate_drop(&one);
    gate_run(&g, 2 * DELAY_MS * GATE_MS);
    assert_int_equal(net_conn_count(g.net), 0);
    assert_int_equal(net_request_count(g.net), 0);
    assert_int_equal(metrics_get(g.metrics, METRIC_UNPROVEN), 0);
    end();
}

/* --- passwords that workers look at ------------------------------------------------------------------------------- */

TEST(mechanisms, of_a_listener_are_its_own)
{
    begin("--sasl-enabled-mechanisms=SCRAM-SHA-256",
          "--listener-name-sasl_plaintext-sasl-enabled-mechanisms=SCRAM-SHA-512");
    gate_connect(&g, &one);
    assert_int_equal(handshake(&one, "SCRAM-SHA-256"), EL_KAFKA_UNSUPPORTED_SASL_MECHANISM);
    gate_drop(&one);
    gate_connect(&g, &one);
    assert_int_equal(handshake(&one, "SCRAM-SHA-512"), EL_KAFKA_NONE);
    gate_drop(&one);
    end();
}

/* Else one connection would keep all workers busy, and nobody else got in by PLAIN. */
TEST(plain, has_one_password_of_a_connection_looked_at)
{
    static const char message[] = "\0alice\0secret";
    uint8_t frames[4096];
    size_t len = 0;
    struct el_msg_sasl_handshake_request name;
    struct el_msg_sasl_handshake_response named;
    struct el_msg_sasl_authenticate_request show;
    begin("--sasl-enabled-mechanisms=PLAIN,SCRAM-SHA-256", "--evlog-connections-unproven-ms=60s");
    sim_disk_fault_set(g.disk, FAULT_STUCK_IO, 1000000); /* workers take their time */
    el_schema_init(&el_schema_sasl_handshake_request, &name);
    el_schema_init(&el_schema_sasl_authenticate_request, &show);
    name.mechanism = el_slice_str("PLAIN");
    show.auth_bytes = el_slice_of(message, sizeof message - 1);
    gate_connect(&g, &one);
    assert_int_equal(handshake(&one, "PLAIN"), EL_KAFKA_UNSUPPORTED_SASL_MECHANISM); /* without TLS */
    gate_seem_tls(&g);
    assert_int_equal(handshake(&one, "PLAIN"), EL_KAFKA_NONE);
    len += gate_frame(&one, EL_API_SaslAuthenticate, AUTHENTICATE_VERSION, &show, frames, sizeof frames);
    len += gate_frame(&one, EL_API_SaslHandshake, 1, &name, frames + len, sizeof frames - len);
    gate_send(&one, frames, len);
    settle();
    assert_int_equal(net_request_count(g.net), 2);
    assert_int_equal(g.api.sasl_check_count, 1);
    gate_run(&g, 45000 * GATE_MS);
    assert_true(answered(&one));
    assert_int_equal(answer.error_code, EL_KAFKA_NONE);
    assert_true(gate_answer(&one, EL_API_SaslHandshake, 1, &arena, &named));
    assert_int_equal(named.error_code, EL_KAFKA_ILLEGAL_SASL_STATE);
    assert_true(served(&one));
    gate_drop(&one);
    end();
}
