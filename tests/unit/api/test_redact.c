/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: Redact passes on what is asked and answers what the redactor says, when it says it.
 * Method: a redactor that answers as the test wants (it stands in for the symbol of redactor.h).
 */
#include "fake.h"

#include <wire/msg_ext_redact.h>

static struct fake f;
static struct redact_ask answer; /* results to be given */
static struct redact_ask asked;  /* the last question */
static struct redact_ask *waiting;
static char asked_reason[64];

static void ask_end(struct redact_ask *ask)
{
    ask->error = answer.error;
    memcpy(ask->text, answer.text, sizeof ask->text);
    ask->state = answer.state;
    ask->first_found = answer.first_found;
    ask->end_found = answer.end_found;
    ask->batch_count = answer.batch_count;
    ask->event_count = answer.event_count;
    ask->parent_end = answer.parent_end;
    ask->done(ask);
}

void redactor_ask(struct redactor *redactor, struct store_shard *shard, struct redact_ask *ask)
{
    assert_ptr_equal(redactor, f.api.redactor);
    assert_ptr_equal(shard, f.api.shard);
    asked = *ask;
    snprintf(asked_reason, sizeof asked_reason, "%.*s", (int)ask->reason.len, (const char *)ask->reason.data);
    waiting = ask;
}

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    f.api.redactor = (struct redactor *)(void *)&f;
    answer = (struct redact_ask){.state = REDACT_LOCAL, .first_found = 4, .end_found = 9};
    asked = (struct redact_ask){0};
    waiting = NULL;
}

static struct fake_request *ask_redact(const char *topic, bool dry_run)
{
    struct el_msg_ext_redact_request message;
    el_schema_init(&el_schema_ext_redact_request, &message);
    message.topic = el_slice_str(topic);
    message.partition = 1;
    message.first = 5;
    message.end = 8;
    message.reason = dry_run ? (struct el_slice){0} : el_slice_str("a password");
    message.dry_run = dry_run;
    return fake_send(&f, EL_API_Redact, 0, &message);
}

TEST(redact_request, of_a_topic_that_is_not_there_is_refused)
{
    struct el_msg_ext_redact_response response;
    begin();
    struct fake_request *r = ask_redact("nothing", false);
    fake_response(r, &response);
    assert_int_equal(response.error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_non_null(response.message.data);
    assert_null(waiting);
    fake_free(r);
    fake_end(&f);
}

TEST(redact_request, passes_on_what_is_asked_and_waits_for_the_answer)
{
    struct el_msg_ext_redact_response response;
    begin();
    struct fake_request *r = ask_redact("events", false);
    assert_int_equal(r->outcome, FAKE_OPEN);
    assert_true(el_uuid_eq(&asked.topic_id, &f.topics[0].id));
    assert_int_equal(asked.partition, 1);
    assert_int_equal(asked.first_offset, 5);
    assert_int_equal(asked.end_offset, 8);
    assert_string_equal(asked_reason, "a password");
    assert_false(asked.dry_run);
    ask_end(waiting);
    fake_response(r, &response);
    assert_int_equal(response.error, 0);
    assert_true(el_slice_eq(response.state, el_slice_str("local")));
    assert_null(response.message.data);
    assert_int_equal(response.first, 4);
    assert_int_equal(response.end, 9);
    fake_free(r);
    fake_end(&f);
}

TEST(redact_request, says_each_state_and_what_stands_in_the_way)
{
    static const char *const names[] = {"nothing", "found", "local", "archive", "complete"};
    for (int i = 0; i < 5; i++) {
        struct el_msg_ext_redact_response response;
        begin();
        answer.state = (enum redact_state)i;
        answer.batch_count = 2;
        answer.event_count = 6;
        answer.parent_end = 7;
        snprintf(answer.text, sizeof answer.text, "the archive cannot be reached");
        struct fake_request *r = ask_redact("events", i == 1);
        assert_int_equal(asked.dry_run, i == 1);
        ask_end(waiting);
        fake_response(r, &response);
        assert_int_equal(response.error, 0);
        assert_true(el_slice_eq(response.state, el_slice_str(names[i])));
        assert_true(el_slice_eq(response.message, el_slice_str("the archive cannot be reached")));
        assert_int_equal(response.batches, 2);
        assert_int_equal(response.events, 6);
        assert_int_equal(response.parent_end, 7);
        fake_free(r);
        fake_end(&f);
    }
}

TEST(redact_request, tells_why_it_is_refused)
{
    static const struct {
        int error;
        int16_t kafka;
    } cases[] = {{EVLOG_ERR_POLICY, EL_KAFKA_POLICY_VIOLATION},
                 {EVLOG_ERR_OFFSET_RANGE, EL_KAFKA_OFFSET_OUT_OF_RANGE},
                 {EVLOG_ERR_ARGUMENT, EL_KAFKA_INVALID_REQUEST}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_msg_ext_redact_response response;
        begin();
        answer.error = cases[i].error;
        snprintf(answer.text, sizeof answer.text, "%s", i == 0 ? "a text" : "");
        struct fake_request *r = ask_redact("events", false);
        ask_end(waiting);
        fake_response(r, &response);
        assert_int_equal(response.error, cases[i].kafka);
        assert_non_null(response.message.data);
        fake_free(r);
        fake_end(&f);
    }
}
