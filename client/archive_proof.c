/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifying an archive for a program: what store/archive_verify.h finds, in public structs.
 */
#include "archive_reading.h"
#include "fail.h"

#include <core/alloc.h>
#include <store/archive_verify.h>

EL_STATIC_ASSERT(sizeof(((struct evlog_archive_verdict *)0)->note) >= EL_NOTE_LEN_MAX, "a note fits");

static void tell(const struct evlog_archive_verify_options *options, const struct archive_report *report)
{
    for (size_t i = 0; options->on_finding != NULL && i < report->finding_count; i++) {
        const struct archive_finding *f = &report->findings[i];
        struct evlog_archive_finding finding = {.object = f->object,
                                                .topic = f->topic,
                                                .partition = f->partition,
                                                .offset = f->offset,
                                                .byte = f->byte,
                                                .text = f->text};
        options->on_finding(options->arg, &finding);
    }
}

static int fill(struct evlog_archive_verdict *verdict, const struct archive_report *report)
{
    struct evlog_archive_verdict *full = el_calloc(1, sizeof *full);
    if (full == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *full = (struct evlog_archive_verdict){
        .size = verdict->size,
        .proven = report->proven,
        .finding_count = report->finding_total,
        .root = report->root.sequence,
        .complete_ns = report->cut_ns == 0 || report->cut_ns > INT64_MAX ? -1 : (int64_t)report->cut_ns,
        .batch_count = report->batches,
        .event_count = report->events,
        .byte_count = report->data_len,
        .redacted_count = report->redacted_batches,
        .gap_count = report->gap_total,
        .object_count = report->objects,
    };
    size_t len = EL_MIN(report->root.note_len, sizeof(full->note) - 1);
    memcpy(full->note, report->root.note, len);
    full->note[len] = '\0';
    memcpy(verdict, full, EL_MIN(verdict->size, sizeof *full));
    el_free(full);
    return 0;
}

int evlog_archive_verify(const struct evlog_archive_verify_options *given, struct evlog_archive_verdict *verdict,
                         struct evlog_failure *failure)
{
    struct evlog_archive_verify_options options = EVLOG_ARCHIVE_VERIFY_OPTIONS_INIT;
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    struct el_uuid incarnation;
    struct object_store *store = NULL;
    struct el_error err = {0};
    if (!EL_OPTIONS_TAKE(&options, given) || options.url == NULL || options.public_keys == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "verifying needs the options' size, a URL and public keys");
    }
    struct archive_verify_options verify = {.keys = keys,
                                            .sequence = options.root,
                                            .since = el_slice_of(options.since.data, options.since.len),
                                            .deep = options.deep,
                                            .threads = options.threads,
                                            .progress = options.on_progress,
                                            .progress_arg = options.arg};
    int code = el_archive_keys(options.public_keys, keys, &verify.key_count, failure);
    code = code == 0 ? el_archive_incarnation(options.incarnation, &incarnation, failure) : code;
    if (code != 0) {
        return code;
    }
    verify.incarnation = options.incarnation == NULL ? NULL : &incarnation;
    struct archive_report *report = el_calloc(1, sizeof *report);
    if (report == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to verify");
    }
    code = object_store_open(options.url, false, &store, &err);
    if (code == 0) {
        code = archive_verify(store, &verify, report, &err);
    }
    if (code == 0) {
        tell(&options, report);
        code = fill(verdict, report);
        if (code != 0) {
            (void)el_error_set(&err, code, "no memory for what was found");
        }
    }
    archive_report_free(report);
    el_free(report);
    object_store_close(store);
    return code == 0 ? 0 : el_fail_from(failure, &err);
}
