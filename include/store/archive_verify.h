/* SPDX-License-Identifier: Apache-2.0
 *
 * Is an archive what its root says? All of docs/format.md section 15.5, with the objects and public keys alone.
 *
 *   always   signature and tree of the root; manifests that it builds on; every batch table, folded into the trees of
 *            partitions; newest checkpoint and tiles of each partition; names and lengths of all objects
 *   deep     every byte of every object: all manifests from the first and their roots, packs and their batches, all
 *            tiles and checkpoints
 *
 * What is wrong is a finding, with the object, and offset and byte where there are some. What the store cannot say now
 * ends the call instead. Work is divided over threads; memory is that of the manifests and of one table or some MiB a
 * thread.
 */
#ifndef EL_STORE_ARCHIVE_VERIFY_H
#define EL_STORE_ARCHIVE_VERIFY_H

#include <store/archive_reader.h>

#define ARCHIVE_FINDINGS_MAX 1000u /* kept; all are counted */
#define ARCHIVE_GAPS_MAX 10000u
#define ARCHIVE_THREADS_MAX 64u

struct archive_verify_options {
    const struct el_public_key *keys; /* [key_count], 1 at least */
    size_t key_count;
    const struct el_uuid *incarnation; /* NULL: the newest */
    uint64_t sequence;                 /* 0: the newest root */
    struct el_slice since;             /* root note of an earlier visit; empty: none */
    bool deep;
    uint32_t threads; /* 0: 1 */
    /* Called now and then from any thread, one at a time: bytes that were checked, of how many; may be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *progress_arg;
};

struct archive_finding {
    char object[EL_ARCHIVE_KEY_MAX]; /* "" when it is not one object's */
    char topic[EL_TOPIC_NAME_MAX + 1];
    int32_t partition; /* -1: none */
    int64_t offset;    /* -1: none */
    int64_t byte;      /* of the object; -1: the whole */
    char text[320];
};

struct archive_gap {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset;
    int64_t end_offset;
};

struct archive_redacted {
    struct el_manifest_redaction redaction; /* its reason is this struct's own */
    uint8_t *reason;
};

/* Events that left the archive by age. Their leaves are proven; that they were old enough says who signed it. */
struct archive_retired {
    int64_t first_offset;
    struct el_manifest_retired retired;
};

struct archive_report {
    bool proven;              /* no finding */
    struct archive_root root; /* that was verified; sequence 0: it could not be opened */
    uint64_t cut_ns, made_ms; /* of its manifest */
    uint64_t since_sequence;  /* 0: none was given */
    uint32_t incarnations;    /* with parents */
    uint64_t topics, partitions, batches, events, data_len, redacted_batches;
    uint64_t objects, manifests, roots, tiles, checkpoints; /* that were there and looked at */
    uint64_t orphans;  /* objects that no root covers: left by a round that did not end */
    uint64_t read_len; /* bytes read of packs */
    struct archive_finding *findings;
    size_t finding_count, finding_total;
    struct archive_gap *gaps;
    size_t gap_count, gap_total;
    struct archive_redacted *redactions; /* of all incarnations, newest first */
    size_t redaction_count;
    struct archive_retired *retired; /* [retired_count], of all incarnations, newest first */
    size_t retired_count;
    struct archive_state *state; /* of the newest incarnation, for names; NULL when it could not be opened */
};

/* returns  0 it was looked at, report->proven says the result | EVLOG_ERR_ARGUMENT no keys, since is no note |
 *          EVLOG_ERR_NOT_FOUND no archive there | EVLOG_ERR_CONFLICT say which incarnation | EVLOG_ERR_NO_MEMORY | what
 *          the store says. report is to be freed in any case. */
int archive_verify(struct object_store *store, const struct archive_verify_options *options,
                   struct archive_report *report, struct el_error *err);
void archive_report_free(struct archive_report *report);

#endif
