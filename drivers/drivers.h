/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers: one line each, the default first. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "core/driver.h"

#define DRIVER_LIST(DRIVER)                                                                        \
	DRIVER(sim)                                                                                \
	DRIVER(null)                                                                               \
	DRIVER(process)

#define DRIVER_DECLARE(name) extern const struct driver_ops driver_##name;
DRIVER_LIST(DRIVER_DECLARE)
#undef DRIVER_DECLARE

#endif
