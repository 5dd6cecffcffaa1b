/* SPDX-License-Identifier: Apache-2.0 */
/* What is written from the tables of commands beside their help: the manual page and completions
 * for shells. A new command or option is in them by itself. */
#ifndef CORE_COMMAND_PAGES_H
#define CORE_COMMAND_PAGES_H

#include <stdio.h>

/* drsim(1), for man: the man macros of roff. */
void command_print_manual(FILE *out);
/* Completion scripts; names of faults and drivers are those of this program. */
void command_print_bash(FILE *out);
void command_print_zsh(FILE *out);

#endif
