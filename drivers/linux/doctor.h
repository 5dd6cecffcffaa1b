/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do for faults in the kernel's own mechanisms: each is tried. */
#ifndef DRIVERS_LINUX_DOCTOR_H
#define DRIVERS_LINUX_DOCTOR_H

#include <stdbool.h>

#include "core/arena.h"

/* A line each, beside host_doctor()'s. Changes nothing on the host: what it tries it tries in
 * children, namespaces and mounts of its own. */
void linux_doctor(struct arena *arena, void (*say)(const char *what, bool yes, const char *detail));

#endif
