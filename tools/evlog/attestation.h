/* SPDX-License-Identifier: Apache-2.0
 *
 * What an attestation says (docs/archive.md, Attesting), out of an archive alone:
 *
 *   evlog/<cluster>/attest
 *   archive <incarnation>
 *   root <sequence, which is the number of manifests> <base64 of its hash, as in the root's note>
 *   topic <id> <name>
 *   until <append time>
 *   projection <SHA-256 of the file>
 *   events <count> <digest of the replay>
 *   history whole|partial <offsets without an event>
 *   table <rows> <digest> "<name>"          one line each, by name (row_digest.h)
 *   made by evlog <version>
 *
 * 1. attestation_begin() opens the archive and writes what is known without reading events
 * 2. attestation_finish() replays them through the projection into a temporary database, and writes the rest
 */
#ifndef EVLOG_TOOLS_ATTESTATION_H
#define EVLOG_TOOLS_ATTESTATION_H

#include "archive_open.h"
#include "attestation_note.h"
#include "replay_target.h"

struct attestation {
    struct archive_arguments *archive; /* which, as of which root, whose keys */
    const char *topic, *project;
    int64_t until_ns;             /* inclusive */
    struct evlog_key_store *keys; /* opens sealed fields, or NULL */
    struct el_buffer text;        /* as far as it is known */
    uint64_t root;                /* that it is made of */
    char incarnation[33];
    uint64_t event_count, table_count;
    struct replay_target *target;
    int exit_code; /* of a target that failed */
};

/* returns CLI_OK | exit code, told. To be closed in every case */
int attestation_begin(struct attestation *at);
int attestation_finish(struct attestation *at);
void attestation_close(struct attestation *at);

#endif
