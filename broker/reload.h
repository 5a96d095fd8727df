/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings and the files that they name, read again. Main thread.
 */
#ifndef EL_RELOAD_H
#define EL_RELOAD_H

#include <http_port.h>

struct reload {
    const char *why;            /* for the log */
    struct config *cfg;         /* in force; out: what is to be in force */
    struct tls_files *tls;      /* the same */
    struct http_port *http;     /* borrowed; NULL: there is none */
    struct tls_files replaced;  /* out: what is to be closed when no shard has it any more */
    struct http_tokens *tokens; /* out: NULL: those that are in force stay */
    bool certified;             /* out: certificate and key are those of the files */
    bool whole;                 /* out: nothing had a fault */
};

/* Of files with a fault the old ones stay, and so do the settings that name them, so that what is shown and told of
 * settings is in force. The log has every fault.
 *
 * requested  all that requests have set; NULL: as its file says
 * returns    0 | a fault of the settings: nothing was changed
 */
int reload_read(struct reload *reload, const struct config_sources *from, const struct el_slice *requested);

#endif
