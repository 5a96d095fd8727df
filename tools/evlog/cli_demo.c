/* SPDX-License-Identifier: Apache-2.0
 *
 * The demo history as bytes of this program; the file is found from the top folder, where make runs.
 */
#include "cli.h"

__asm__(".section .rodata\n"
        ".global cli_demo_history\n"
        ".type cli_demo_history, @object\n"
        ".balign 16\n"
        "cli_demo_history:\n"
        ".incbin \"packaging/demo/history.ndjson.gz\"\n"
        ".global cli_demo_history_end\n"
        ".type cli_demo_history_end, @object\n"
        "cli_demo_history_end:\n"
        ".byte 0\n"
        ".previous\n");
