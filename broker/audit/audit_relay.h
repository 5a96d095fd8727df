/* SPDX-License-Identifier: Apache-2.0
 *
 * Proofs and denials that other threads have for the audit log of a shard: those of the HTTP port.
 */
#ifndef EL_AUDIT_AUDIT_RELAY_H
#define EL_AUDIT_AUDIT_RELAY_H

#include <audit/audit.h>
#include <io/io.h>

#define AUDIT_RELAY_NOTES 32u /* that are on their way at once */

struct audit_relay;

/* io, audit  of the shard that is told; they outlive this, but for the messages to them
 * listener   by which all of it came; static
 * returns    0 | EVLOG_ERR_NO_MEMORY
 */
int audit_relay_create(struct io *io, struct audit *audit, const char *listener, struct audit_relay **relay);
/* After the shard's thread has ended. NULL is ignored. */
void audit_relay_destroy(struct audit_relay *relay);
/* Tell it, without waiting; while the shard runs. Any thread. What is told faster than the shard takes it is counted by
 * its kind, and told of as one, with the next note.
 *
 * note  of the class of proofs or of denials; copied, its outcome static
 */
void audit_relay_note(struct audit_relay *relay, const struct audit_note *note);

#endif
