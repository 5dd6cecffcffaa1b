/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that read finished runs and the nights' history. */
#ifndef REPORTS_COMMANDS_H
#define REPORTS_COMMANDS_H

#include "core/commands.h"

extern const struct command command_trend, command_history;
extern const struct command command_keygen, command_verify, command_bundle;
extern const struct command command_evidence;

#endif
