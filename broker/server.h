/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole server: built from the configuration, run until a signal, taken down again. Main thread; blocking.
 */
#ifndef EL_SERVER_H
#define EL_SERVER_H

#include <config/config.h>

/* The configuration, and what it was read from, so that SIGHUP can read it again. All borrowed. */
struct server_args {
    struct config *cfg;
    int argc;
    char *const *argv;
    char *const *environ;
};

/* Run until SIGTERM or SIGINT: then finish the requests that were read, checkpoint, leave the clean mark. A second
 * signal ends the process at once. Prints the ready line to standard output when the ports are open.
 *
 * returns  0 after a clean stop | the code of what prevented the start, or of a stop that was not clean, with a text
 */
int server_run(const struct server_args *args, struct el_error *err);

#endif
