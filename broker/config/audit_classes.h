/* SPDX-License-Identifier: Apache-2.0
 *
 * What the audit log keeps: evlog.audit.include, words with commas between them, as a set. Pure functions.
 */
#ifndef EL_CONFIG_AUDIT_CLASSES_H
#define EL_CONFIG_AUDIT_CLASSES_H

#include <core/err.h>
#include <stdint.h>

enum config_audit_class {
    CONFIG_AUDIT_CHANGES,        /* who has changed what: asked, and how it ended */
    CONFIG_AUDIT_DENIALS,        /* who wanted what without the right to it */
    CONFIG_AUDIT_AUTHENTICATION, /* who has proved who they are, and who could not */
    CONFIG_AUDIT_ACCESS,         /* who has read and written which topic */
    CONFIG_AUDIT_FAULTS,         /* damage found, clocks that jump, gaps of the audit log itself */
    CONFIG_AUDIT_CLASS_COUNT
};

/* The word of a class, such as "changes". */
const char *config_audit_word(int class);
/* A list as 1 << class of each; "none" is the empty set. returns 0 | EVLOG_ERR_INVALID_CONFIG with a text */
int config_audit_classes(const char *list, uint32_t *classes, struct el_error *err);

#endif
