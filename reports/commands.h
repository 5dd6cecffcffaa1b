/* SPDX-License-Identifier: Apache-2.0 */
/* The commands over the nights' history. */
#ifndef REPORTS_COMMANDS_H
#define REPORTS_COMMANDS_H

#include "core/commands.h"

extern const struct command command_trend, command_history;

#endif
