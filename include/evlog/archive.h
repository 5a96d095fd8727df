/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive: the events of a server in a bucket or a directory, read and proven without the server, with nothing but
 * its objects and a public key.
 *
 *     struct evlog_archive_options options = EVLOG_ARCHIVE_OPTIONS_INIT;
 *     options.url = "s3://bucket/prefix";        // or file:///dir
 *     options.public_keys = pem;                 // NULL: signatures are not looked at
 *     options.topic = "orders";
 *     evlog_archive_open(&options, &archive, &failure);
 *     while ((rc = evlog_archive_next(archive, &event, &failure)) == 1) {
 *         use(event);
 *     }
 *
 * Every event handed out is covered by a signed root, and its batch was compared with its leaf in the tree. Calls
 * block. Thread safety: one thread per archive at a time; several archives may be open. docs/archive.md. Since 1.0.
 */
#ifndef EVLOG_ARCHIVE_H
#define EVLOG_ARCHIVE_H

#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_archive;

struct evlog_archive_options {
    size_t size;     /* sizeof(struct evlog_archive_options) */
    const char *url; /* s3://BUCKET/PREFIX (credentials and endpoint by the names of the AWS SDKs) or file:///DIR */
    const char *public_keys; /* PEM, one key or more: the root must be signed with one, or with a successor of one.
                              * NULL: signatures are not looked at */
    const char *incarnation; /* 32 hex digits; NULL: the one that continues the others */
    uint64_t root;           /* sequence of the root; 0: the newest */
    const char *topic;       /* whose events are read; NULL: none */
    const char *position;    /* a word of evlog_archive_position(), a subscription or an append: go on behind it.
                              * NULL: from the beginning of the log */
};
#define EVLOG_ARCHIVE_OPTIONS_INIT                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct evlog_archive_options)                                                                   \
    }

/* Open an archive.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND no archive there | EVLOG_ERR_CONFLICT several that do not continue one another: say
 *          which incarnation; or the position is not of this archive's topic | EVLOG_ERR_CORRUPT something is not as it
 *          was signed; the text names the object | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_MALFORMED no key, no position |
 *          EVLOG_ERR_AGAIN, EVLOG_ERR_POLICY what the bucket says | EVLOG_ERR_NO_MEMORY
 */
int evlog_archive_open(const struct evlog_archive_options *options, struct evlog_archive **archive,
                       struct evlog_failure *failure);
/* Free; NULL is ignored. */
void evlog_archive_close(struct evlog_archive *archive);

struct evlog_archive_info {
    size_t size;               /* sizeof(struct evlog_archive_info), set by the caller */
    char cluster[33];          /* hex */
    char incarnation[33];      /* hex */
    uint64_t root;             /* sequence */
    int64_t complete_ns;       /* every event appended up to then is in the archive; -1: nothing is known */
    int64_t made_ms;           /* when the root was made */
    int32_t partition_count;   /* of the topic; 0 without one */
    uint64_t redacted_batches; /* batches that were passed over so far: their bytes were taken out */
};
void evlog_archive_info(const struct evlog_archive *archive, struct evlog_archive_info *info);

/* The next event of the topic: in the order of append times, then of partitions; of one partition, of offsets. Events
 * below the log's start and those that were redacted are passed over.
 *
 * event    valid until the next call on this archive
 * returns  1 | 0 all that the root covers was given: evlog_archive_refresh() may bring more | EVLOG_ERR_CORRUPT names
 *          the object and the byte | EVLOG_ERR_AGAIN and other codes of the bucket: the same call may be made again |
 *          EVLOG_ERR_INVALID_RECORD | EVLOG_ERR_NO_MEMORY
 */
int evlog_archive_next(struct evlog_archive *archive, const struct evlog_event **event, struct evlog_failure *failure);
/* Go, in all partitions, to the first batch that was appended at or after a time. returns 0 | as evlog_archive_open()
 * */
int evlog_archive_seek(struct evlog_archive *archive, int64_t append_time_ns, struct evlog_failure *failure);
/* Where the archive was read up to; a subscription at the server goes on from it as well. Valid until the next call on
 * this archive; NULL: memory is short, or there is no topic. */
const char *evlog_archive_position(struct evlog_archive *archive);
/* Look for a newer root. What was read stays read. returns 1 there was one | 0 | as evlog_archive_open() */
int evlog_archive_refresh(struct evlog_archive *archive, struct evlog_failure *failure);

/* --- verifying ---------------------------------------------------------------------------------------------------- */

/* What is not as it was signed. */
struct evlog_archive_finding {
    const char *object; /* "" when it is not about one */
    const char *topic;  /* "" when it is not about one */
    int32_t partition;  /* -1: none */
    int64_t offset;     /* -1: none */
    int64_t byte;       /* of the object, -1: none */
    const char *text;
};

struct evlog_archive_verify_options {
    size_t size; /* sizeof(struct evlog_archive_verify_options) */
    const char *url;
    const char *public_keys;  /* PEM, as above; not NULL */
    const char *incarnation;  /* NULL: the newest */
    uint64_t root;            /* 0: the newest */
    struct evlog_bytes since; /* note of a root that was verified before: the archive must have grown out of it */
    bool deep;                /* every byte of every object; else manifests, trees, tables, names and lengths */
    uint32_t threads;         /* 0: 1 */
    void (*on_finding)(void *arg, const struct evlog_archive_finding *finding); /* on the calling thread, at the end */
    void (*on_progress)(void *arg, uint64_t done, uint64_t total); /* bytes; from any thread, one at a time */
    void *arg;
};
#define EVLOG_ARCHIVE_VERIFY_OPTIONS_INIT                                                                              \
    {                                                                                                                  \
        .size = sizeof(struct evlog_archive_verify_options)                                                            \
    }

struct evlog_archive_verdict {
    size_t size; /* sizeof(struct evlog_archive_verdict), set by the caller */
    bool proven; /* nothing was found */
    uint64_t finding_count;
    uint64_t root;       /* sequence; 0: it could not be opened */
    int64_t complete_ns; /* every event appended up to then is in the archive; -1: nothing is known */
    uint64_t batch_count, event_count, byte_count, redacted_count, gap_count, object_count;
    char note[16384]; /* of the root, NUL-terminated: to be kept, for `since` */
};

/* Verify. returns 0 the verdict says what came out | EVLOG_ERR_ARGUMENT | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_CONFLICT |
 * EVLOG_ERR_MALFORMED no key | EVLOG_ERR_AGAIN ... the bucket could not be read to the end */
int evlog_archive_verify(const struct evlog_archive_verify_options *options, struct evlog_archive_verdict *verdict,
                         struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
