/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may still hold decrypted copies of a subject's data: found from where its events lie, and who has read them.
 */
#ifndef EVLOG_TOOLS_ERASE_REPORT_H
#define EVLOG_TOOLS_ERASE_REPORT_H

#include "cli.h"

struct erase_report_wanted {
    const char *subject;           /* pseudonym: the key's id */
    const char *erasures;          /* topic that is told of erasures */
    const struct cli_list *topics; /* to look in; none: all that are not internal */
    const struct cli_list *dbs;    /* databases of projections to look at */
};

/* Read the topics, then look at groups, projections and snapshots, and print what was found. The client is connected.
 * returns CLI_OK | exit code, told */
int erase_report(struct cli *cli, const struct erase_report_wanted *wanted);

#endif
