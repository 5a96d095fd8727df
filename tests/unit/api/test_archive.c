/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests about the archive say what the archiver says, and are refused where there is none.
 * Method: an archiver that answers as the test wants (it stands in for the symbol of archive.h).
 */
#include "fake.h"

#include <wire/msg_ext_archive_now.h>
#include <wire/msg_ext_archive_status.h>

static struct fake f;
static struct archive_ask answer; /* results to be given */
static struct archive_ask asked;  /* the last question */
static struct archive_ask *waiting;
static bool defer;

static void ask_end(struct archive_ask *ask)
{
    ask->error = answer.error;
    ask->phase = answer.phase;
    memcpy(ask->text, answer.text, sizeof ask->text);
    ask->sequence = answer.sequence;
    ask->complete_ns = answer.complete_ns;
    ask->pending_len = answer.pending_len;
    ask->object_count = answer.object_count;
    ask->incarnation = answer.incarnation;
    ask->done(ask);
}

void archive_ask(struct archiver *ar, struct archive_ask *ask)
{
    assert_ptr_equal(ar, f.api.archiver);
    asked = *ask;
    waiting = ask;
    if (!defer) {
        ask_end(ask);
    }
}

static void begin(bool archive)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    f.api.archiver = archive ? (struct archiver *)(void *)&f : NULL;
    f.node.archive_url = archive ? "s3://bucket/prefix" : NULL;
    answer = (struct archive_ask){.phase = ARCHIVE_WORKS, .sequence = 7, .complete_ns = 99};
    asked = (struct archive_ask){0};
    defer = false;
}

static struct el_msg_ext_archive_now_response now(const char *topic, bool seal, bool wait)
{
    static struct fake_request *r;
    struct el_msg_ext_archive_now_request message;
    struct el_msg_ext_archive_now_response response;
    el_schema_init(&el_schema_ext_archive_now_request, &message);
    message.topic = el_slice_str(topic);
    message.seal = seal;
    message.wait = wait;
    r = fake_send(&f, EL_API_ArchiveNow, 0, &message);
    fake_response(r, &response);
    assert_int_equal(response.message.data == NULL, response.error == 0);
    fake_free(r);
    return response;
}

TEST(archive_now, is_refused_without_an_archive_and_for_topics_that_are_not_there)
{
    begin(false);
    assert_int_equal(now(NULL, false, false).error, EL_KAFKA_INVALID_REQUEST);
    fake_end(&f);
    begin(true);
    assert_int_equal(now("nothing", true, false).error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(now("events", false, false).error, EL_KAFKA_INVALID_REQUEST);
    assert_false(asked.now);
    answer.error = EVLOG_ERR_POLICY;
    snprintf(answer.text, sizeof answer.text, "another writer");
    assert_int_equal(now(NULL, false, false).error, EL_KAFKA_POLICY_VIOLATION);
    fake_end(&f);
}

TEST(archive_now, passes_on_what_is_asked)
{
    begin(true);
    struct el_msg_ext_archive_now_response response = now("events", true, true);
    assert_int_equal(response.error, 0);
    assert_int_equal(response.sequence, 7);
    assert_int_equal(response.complete_ns, 99);
    assert_true(asked.now);
    assert_true(asked.wait);
    assert_true(asked.seal);
    assert_true(el_uuid_eq(&asked.topic_id, &f.topics[0].id));
    now(NULL, true, false);
    assert_true(el_uuid_is_zero(&asked.topic_id));
    fake_end(&f);
}

TEST(archive_now, answers_when_the_archiver_does)
{
    struct el_msg_ext_archive_now_request message;
    begin(true);
    defer = true;
    el_schema_init(&el_schema_ext_archive_now_request, &message);
    struct fake_request *r = fake_send(&f, EL_API_ArchiveNow, 0, &message);
    assert_int_equal(r->outcome, FAKE_OPEN);
    ask_end(waiting);
    assert_int_equal(r->outcome, FAKE_REPLIED);
    fake_free(r);
    fake_end(&f);
}

static struct fake_request *status(struct el_msg_ext_archive_status_response *response)
{
    struct el_msg_ext_archive_status_request message;
    el_schema_init(&el_schema_ext_archive_status_request, &message);
    struct fake_request *r = fake_send(&f, EL_API_ArchiveStatus, 0, &message);
    fake_response(r, response);
    return r;
}

TEST(archive_status, says_none_works_and_stopped)
{
    struct el_msg_ext_archive_status_response response;
    begin(false);
    struct fake_request *r = status(&response);
    assert_true(el_slice_eq(response.state, el_slice_str("none")));
    assert_null(response.url.data);
    fake_free(r);
    fake_end(&f);
    begin(true);
    answer.pending_len = 12;
    answer.object_count = 3;
    answer.incarnation.bytes[3] = 9;
    r = status(&response);
    assert_true(el_slice_eq(response.state, el_slice_str("works")));
    assert_true(el_slice_eq(response.url, el_slice_str("s3://bucket/prefix")));
    assert_null(response.message.data);
    assert_int_equal(response.pending_bytes, 12);
    assert_int_equal(response.objects, 3);
    assert_true(el_uuid_eq(&response.incarnation, &answer.incarnation));
    fake_free(r);
    answer.phase = ARCHIVE_STOPPED;
    snprintf(answer.text, sizeof answer.text, "this disk is older");
    r = status(&response);
    assert_true(el_slice_eq(response.state, el_slice_str("stopped")));
    assert_true(el_slice_eq(response.message, el_slice_str("this disk is older")));
    fake_free(r);
    fake_end(&f);
}
