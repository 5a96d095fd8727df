/* SPDX-License-Identifier: Apache-2.0
 *
 * Redactions on shard 0: one is asked for, and each round until the job says that nothing is left of it has it as a
 * step (archive_redact.c). The first of these rounds begins after the question came, so that shards read marks. It is
 * answered when these are in the archive, too.
 */
#include <archive/archiver_state.h>

static void ask_back(struct io_message *message)
{
    struct archive_redact_ask *ask = EL_CONTAINER(message, struct archive_redact_ask, message);
    ask->done(ask);
}

static void ask_answer(struct archive_redact_ask *ask, int error)
{
    ask->error = error;
    ask->message.run = ask_back;
    io_post(ask->origin, &ask->message);
}

/* Why there are no more rounds. */
static int ended_error(const struct archive *a)
{
    return archive_stopped_reason(a) != NULL ? EVLOG_ERR_POLICY : EVLOG_ERR_CLOSED;
}

static void ask_run(struct io_message *message)
{
    struct archive_redact_ask *ask = EL_CONTAINER(message, struct archive_redact_ask, message);
    struct archive *a = ask->archive;
    if (archive_stopped_reason(a) != NULL || a->sm.state == ROOT_ENDED) {
        ask_answer(ask, ended_error(a));
    } else if (a->redaction != NULL) {
        ask_answer(ask, EVLOG_ERR_AGAIN);
    } else {
        a->redaction = ask;
        archive_root_want(a);
    }
}

void archive_redact(struct archiver *ar, struct archive_redact_ask *ask)
{
    OBJ_CHECK(ar, ARCHIVER);
    EL_ASSERT(ask->reason.len <= EL_REDACTION_REASON_MAX);
    ask->origin = ar->io;
    ask->archive = ar->archive;
    ask->parent_end = 0;
    ask->waits = false;
    ask->message.run = ask_run;
    io_post(ar->archive->io, &ask->message);
}

void archive_root_redact_begin(struct archive *a)
{
    const struct archive_redact_ask *ask = a->redaction;
    EL_ASSERT(ask == NULL || ask->reason.len <= sizeof a->redaction_job.reason);
    a->redacting = ask != NULL;
    if (!a->redacting) {
        return;
    }
    a->redaction_job = (struct archive_redaction_job){.topic_id = ask->topic_id,
                                                      .partition = ask->partition,
                                                      .first_offset = ask->first_offset,
                                                      .end_offset = ask->end_offset,
                                                      .when_ms = ask->when_ms,
                                                      .reason_len = ask->reason.len};
    if (ask->reason.len > 0) {
        memcpy(a->redaction_job.reason, ask->reason.data, ask->reason.len);
    }
}

void archive_root_redact_made(struct archive *a)
{
    struct archive_redact_ask *ask = a->redaction;
    bool left = false;
    for (uint32_t i = 0; i < a->shard_count; i++) {
        left = left || a->shards[i].marks_left;
    }
    bool done = a->redacting && a->redaction_job.done;
    if (done && !left) {
        EL_ASSERT(ask != NULL);
        ask->parent_end = a->redaction_job.parent_end;
        a->redaction = NULL;
        ask_answer(ask, 0);
    } else if (a->redacting && a->redaction_job.child) {
        EL_ASSERT(ask != NULL);
        a->redaction = NULL;
        ask_answer(ask, EVLOG_ERR_CONFLICT);
    }
    bool waits = a->redacting && a->redaction_job.waits; /* for something new, which brings a round of its own */
    if (a->redaction != NULL) {
        a->redaction->waits = waits;
    }
    a->more = a->more || (a->redaction != NULL && !done && !waits); /* marks that are left come when they can be read */
}

void archive_root_redact_end(struct archive *a)
{
    if (a->redaction != NULL) {
        ask_answer(a->redaction, ended_error(a));
        a->redaction = NULL;
    }
}
