/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verification found, as text for people and as JSON for programs.
 */
#ifndef EL_STORE_ARCHIVE_REPORT_H
#define EL_STORE_ARCHIVE_REPORT_H

#include <store/archive_verify.h>

/* Append one JSON object, and a line feed:
 *
 *   proven, cluster, incarnation, root (its number), tree (its hash, base64), made, complete_through (times, or null),
 *   since (number of the earlier root, or null), incarnations, topics, partitions, batches, events, bytes, objects,
 *   manifests, roots, tiles, checkpoints, uncovered (objects that no root covers), gaps [topic, partition, first, end],
 *   gap_count, redactions [topic, partition, first, end, when, reason], failures [object, topic, partition, offset,
 *   byte, text; what does not apply is null], failure_count
 *
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int archive_report_json(const struct archive_report *report, struct el_buffer *out);
/* Append lines: failures, what was left out, and what was proven, or that it was not. */
void archive_report_text(const struct archive_report *report, struct el_buffer *out);

#endif
